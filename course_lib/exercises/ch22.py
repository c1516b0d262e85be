"""The exercises of chapter 22: hidden captions, new channels, a CLIP-guided step, gamed scores."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require
from course_lib.models.tokenizer import END, PAD, START


@exercise("captions hidden, each by its own chance")
def check_hidden(hidden: Callable[..., Any]) -> None:
    """Exercise 1: some rows of tokens become the empty caption."""
    tokens = torch.tensor([[START, 7, 8, 9, END, PAD], [START, 5, END, PAD, PAD, PAD]] * 2)
    noise = torch.tensor([0.1, 0.9, 0.5, 0.19])
    none = torch.tensor([START, END, PAD, PAD, PAD, PAD])
    goes = noise < 0.2
    found = torch.as_tensor(hidden(tokens, 0.2, noise))
    reject(
        equal(found, goes),
        "this says which captions go. Return the tokens, some rows empty.",
    )
    reject(
        found.dim() == 2 and len(found) < 4,
        "rows are gone. A hidden caption keeps its picture: its row becomes the empty caption.",
    )
    require(
        found.shape == tokens.shape,
        f"one row for each caption, as long as before: [4, 6], got {list(found.shape)}.",
    )
    reject(
        equal(found, torch.where(goes[:, None], PAD, tokens)),
        "a row of padding alone: padding is masked, so there is nothing left to look at. The empty"
        " caption still has its START and its END.",
    )
    first = torch.where(torch.arange(6) == 0, START, PAD)
    reject(
        equal(found, torch.where(goes[:, None], first, tokens)),
        "an END is missing: the empty caption is START, END, then padding.",
    )
    reject(
        equal(found, torch.where(goes[:, None], tokens, none)),
        "the wrong ones: noise lies below p with chance p, and those captions go.",
    )
    reject(
        equal(found, none.expand(4, -1)) or equal(found, tokens),
        "the whole batch shares one fate. Each caption goes by its own number.",
    )
    late = torch.where(torch.arange(6) == 5, END, first)
    reject(
        equal(found, torch.where(goes[:, None], late, tokens)),
        "END stands at the end of the row. It ends the text: here it comes right behind START.",
    )
    reject(
        equal(found, torch.where(goes[:, None], torch.where(first == START, START, END), tokens)),
        "there is one END; what follows is padding, 0.",
    )
    kept = tokens.clone()
    inner = (tokens != START) & (tokens != END)
    kept[goes[:, None] & inner] = PAD
    reject(
        equal(found, kept),
        "the words are gone, but END stands where it stood: its place still tells how long the"
        " caption was. END moves up to the second place.",
    )
    reject(
        found.is_floating_point(), "tokens are whole numbers: a table of words looks up no floats."
    )
    reject(
        not equal(found, torch.as_tensor(hidden(tokens, 0.2, noise)))
        or equal(hidden(tokens, 0.2, 1 - noise), found),
        "you draw or count by yourself which captions go. That is what `noise` says, row by row.",
    )
    require(
        equal(found, torch.where(goes[:, None], none, tokens)),
        "with p = 0.2, rows with noise below 0.2 become START, END, padding; the others stay.",
    )
    require(
        equal(hidden(tokens, 0.0, torch.zeros(4)), tokens),
        "with p = 0 no caption may go, and noise can be exactly 0: compare with <.",
    )
    require(
        equal(hidden(tokens, 0.6, noise)[2], none),
        "p is an argument: with 0.6, noise 0.5 goes.",
    )


@exercise("new channels that change nothing yet")
def check_wider(wider: Callable[..., Any]) -> None:
    """Exercise 2: the weight of a first layer for more input channels."""
    weight, more = torch.randn(4, 3, 3, 3), 2
    zeros = torch.zeros(4, 2, 3, 3)
    found = torch.as_tensor(wider(weight, more))
    reject(
        equal(found, torch.cat([zeros, weight], 1)),
        "the new channels come first, so the old weights now read something else. New ones go"
        " behind.",
    )
    reject(
        found.shape == (6, 3, 3, 3),
        "this adds outputs. A convolution's weight is [out, in, height, width]: the inputs are"
        " its second axis.",
    )
    require(
        found.shape == (4, 5, 3, 3),
        f"4 outputs and 3 + 2 inputs are [4, 5, 3, 3], got {list(found.shape)}.",
    )
    reject(
        equal(found[:, 3:], weight[:, :2]),
        "the new channels copy old weights: the picture with the hole is added to x_t at once.",
    )
    reject(
        bool((found[:, :3] == 0).all()),
        "everything is 0: what the model had learnt is gone.",
    )
    reject(
        equal(found[:, :3], weight * 3 / 5),
        "the old weights are scaled down. What the new channels add is 0, so nothing is to be made"
        " up for.",
    )
    require(equal(found[:, :3], weight), "the old weights should stay, in their places.")
    require(
        equal(found[:, 3:], zeros),
        "the new weights are not 0, so the model is another from its first step on.",
    )
    another = torch.as_tensor(wider(torch.ones(2, 1, 1, 1), 3))
    require(another.shape == (2, 4, 1, 1), "`more` and the kernel's size are arguments.")


@exercise("a step guided by a score")
def check_nudged(nudged: Callable[..., Any]) -> None:
    """Exercise 3: the mean of a reverse step, shifted as GLIDE does it."""
    mean, x_t, text = torch.randn(4, 3), torch.randn(4, 3), torch.randn(4, 3)
    variance, scale = 0.3, 3.0
    asked: list[Tensor] = []

    def score(x: Tensor) -> Tensor:
        asked.append(x)
        require(
            torch.is_tensor(x) and x.shape == (4, 3),
            "give `score` the whole batch: it has one caption for each picture of it.",
        )
        return (x * text).sum(1) + 0.5 * (x**2).sum(1)  # whose gradient is text + x

    def shift(at: Tensor) -> Tensor:
        return text + at

    found = nudged(mean, variance, score, x_t, scale)
    require(len(asked) > 0, "the score is never asked.")
    reject(
        torch.is_tensor(found) and found.requires_grad,
        "the result still hangs on the graph of `score`: a walk of a thousand steps would keep all"
        " of them. Differentiate a detached copy of x_t.",
    )
    require(
        torch.is_tensor(found) and found.shape == mean.shape,
        "return the new mean, of the shape of the old one.",
    )
    reject(equal(found, mean), "nothing has moved.")
    reject(
        equal(found, scale * variance * shift(x_t)),
        "this is the shift alone. Add it to the mean.",
    )
    reject(
        equal(found, mean + scale * variance**2 * shift(x_t)),
        "`variance` is a variance already: no square.",
    )
    whole = shift(x_t) / shift(x_t).norm()
    reject(
        equal(found, mean - scale * variance * shift(x_t)),
        "downhill: the score is to grow, it is no loss.",
    )
    reject(
        equal(found, mean + scale * variance**0.5 * shift(x_t)),
        "the gradient is multiplied by the standard deviation. It takes the variance: a gradient is"
        " 1 / length, the shift is a length.",
    )
    reject(
        equal(found, mean + scale * shift(x_t)),
        "the variance is missing: without it, late steps, which are small, are thrown about.",
    )
    reject(equal(found, mean + variance * shift(x_t)), "`scale` is not used.")
    reject(
        equal(found, mean + scale * variance * shift(x_t) / 4),
        "the scores were averaged, so the push depends on the size of the batch. Sum them: each"
        " picture has its own score.",
    )
    reject(
        equal(found, mean + scale * variance * shift(mean)),
        "the gradient is taken at the mean. CLIP was told that its picture is as noisy as x_t: ask"
        " it there.",
    )
    reject(
        equal(found, x_t + scale * variance * shift(x_t)),
        "x_t is shifted. The mean of the step is, x_t is only where the gradient is taken.",
    )
    unit = shift(x_t) / shift(x_t).norm(dim=1, keepdim=True)
    reject(
        equal(found, mean + scale * variance * unit)
        or equal(found, mean + scale * variance * whole),
        "the gradient is made of length 1. Where CLIP is sure it should be small.",
    )
    require(
        equal(found, mean + scale * variance * shift(x_t)),
        "not mean + scale variance (gradient of the score at x_t).",
    )
    require(
        equal(nudged(mean, 0.1, score, x_t, 2.0), mean + 2.0 * 0.1 * shift(x_t)),
        "right once, and not with another `variance` and `scale`: both are arguments.",
    )
    with torch.no_grad():
        try:
            again = nudged(mean, variance, score, x_t, scale)
        except Exception:  # it worked a line above, so what fails is the gradient
            again = None
    require(
        again is not None and equal(again, found),
        "inside torch.no_grad(), where samplers run, there is no gradient: ask for it under"
        " torch.enable_grad().",
    )


@exercise("which number lies")
def check_verdict(verdict: Callable[..., Any]) -> None:
    """Exercise 4: the best method of a comparison, and those that gamed their own score."""
    first = {
        "none": {"guide": 20.0, "judge": 21.0, "oracle": 0.60},
        "CLIP 1": {"guide": 26.0, "judge": 23.0, "oracle": 0.72},
        "CLIP 8": {"guide": 41.0, "judge": 20.0, "oracle": 0.31},
        "CFG 3": {"guide": 24.0, "judge": 25.0, "oracle": 0.90},
    }
    found = verdict(first)
    require(
        isinstance(found, tuple | list) and len(found) == 2,
        "return two things: the best method's name, and the set of those that gamed.",
    )
    best, gamed = found
    reject(
        best == "CLIP 8",
        "the best by the guide's score is the one that was pushed up by the guide. Whoever steers"
        " cannot judge.",
    )
    require(best == "CFG 3", f"{best!r} does not follow its captions most often.")
    require(
        isinstance(gamed, set | frozenset | list | tuple),
        "the second is a set of names, empty if nobody gamed.",
    )
    gamed = set(gamed)
    reject("none" in gamed, '"none" is what the others are compared with: it cannot be among them.')
    reject(
        "CLIP 1" in gamed,
        '"CLIP 1" has a higher score than "none", but it also follows its captions more often. That'
        " is guidance, not gaming.",
    )
    reject("CFG 3" in gamed, '"CFG 3" follows its captions more often than "none".')
    require(gamed == {"CLIP 8"}, 'the guide prefers "CLIP 8" to "none", and the oracle does not.')

    second = {
        "none": {"guide": 10.0, "judge": 10.0, "oracle": 0.50},
        "a": {"guide": 30.0, "judge": 31.0, "oracle": 0.50},
        "b": {"guide": 9.0, "judge": 8.0, "oracle": 0.20},
        "c": {"guide": 12.0, "judge": 9.0, "oracle": 0.55},
    }
    best, gamed = verdict(second)
    reject(best == "a", "here even the judge, another CLIP, was fooled. The oracle was not.")
    require(best == "c", f"the best by the oracle is 'c', you say {best!r}.")
    gamed = set(gamed)
    reject(
        "b" in gamed,
        "'b' is worse, and its guide says so too: a bad method, but its number does not lie.",
    )
    reject(
        "a" not in gamed,
        "'a' has a score three times as high and follows its captions exactly as often as"
        ' "none": the number promises what is not there, so equal counts as gamed.',
    )
    require(gamed == {"a"}, f"only 'a' gamed here, you say {sorted(gamed)}.")
    require(
        verdict({"none": second["none"], "b": second["b"]})[0] == "none",
        '"none" is a row like the others: if no method follows its captions more often, "none" is'
        " the best.",
    )
    require(not set(verdict({"none": second["none"], "c": second["c"]})[1]), "nobody games here.")
