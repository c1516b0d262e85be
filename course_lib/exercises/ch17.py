"""The exercises of chapter 17: conventions, dropped labels, a batch of two, two laws, shunning."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("three letters, one scale")
def check_scale_of(scale_of: Callable[..., Any]) -> None:
    """Exercise 1: the scale that each convention's number means."""
    for w in (3.0, 0.0, -0.5):
        ho, imagen, lerp = (scale_of(w, name) for name in ("ho", "imagen", "lerp"))
        for found in (ho, imagen, lerp):
            require(
                not isinstance(found, str | tuple | list),
                "return one number, the s: not the weights of c and u, and not a formula.",
            )
        reject(
            equal(ho, w) and equal(imagen, w + 1),
            "the two are swapped: in Ho & Salimans w = 0 is no guidance, in Imagen w = 1.",
        )
        reject(equal(ho, w), "(1 + w) c - w u is not w: at w = 0 it is c, which is scale 1.")
        reject(equal(ho, w - 1), "this is the way back, from our scale to their w.")
        reject(
            w != 0 and equal(ho, 1 - w),
            "for 'ho', the sign: their w grows with the guidance. This is what 'lerp' needs.",
        )
        require(
            equal(ho, w + 1),
            f"for 'ho', c stands with weight 1 + w, so at w = {w:g} with {1 + w:g}. You say {ho}.",
        )
        reject(
            equal(imagen, w + 1),
            "for 'imagen', 1 is no guidance, not 0: there is nothing to convert.",
        )
        reject(
            equal(imagen, w - 1),
            "for 'imagen', this is w of Ho & Salimans. There is nothing to convert to s.",
        )
        require(
            equal(imagen, w),
            "for 'imagen', the formula w c + (1 - w) u is ours: nothing to convert.",
        )
        reject(
            equal(lerp, w) and w != 0.5,
            "torch.lerp(c, u, w) starts at c: at w = 0 it is c, at w = 1 it is u.",
        )
        reject(
            w != 0 and equal(lerp, 1 + w), "the sign: a positive w walks from c towards u, s falls."
        )
        reject(
            equal(lerp, -w) or equal(lerp, w - 1),
            "for 'lerp', this is 0 where it should be 1: at w = 0 it is c, and that is s = 1.",
        )
        require(
            equal(lerp, 1 - w),
            "for 'lerp', w = 0 must give s = 1, and w = 1 must give s = 0; below 0 it goes on.",
        )


@exercise("each label dropped by its own chance")
def check_dropped(dropped: Callable[..., Any]) -> None:
    """Exercise 2: labels replaced by the null label."""
    label, noise = torch.tensor([3, 1, 4, 1, 5]), torch.tensor([0.3, 0.05, 0.9, 0.15, 0.0])
    goes = noise < 0.2
    found = dropped(label, 10, 0.2, noise)
    reject(
        equal(found, [10, 1, 10, 1, 5]) or equal(found, torch.where(goes, label, 10)),
        "the wrong ones: with chance p the label goes, with 1 - p it stays.",
    )
    reject(
        equal(found, torch.where(noise < 0.8, 10, label))
        or equal(found, torch.where(noise > 0.8, 10, label)),
        "p is the chance to go, and noise lies below p with chance p: compare with p, not 1 - p.",
    )
    reject(equal(found, goes), "this says which labels go. Return the labels, with null in places.")
    reject(
        equal(found, torch.where(goes, 0, label)),
        "0 is a class. The null label is a number of its own.",
    )
    reject(
        equal(found, torch.where(goes, label + 10, label)),
        "the null label takes the label's place; you add it.",
    )
    reject(
        equal(found, torch.full((5,), 10)) or equal(found, label),
        "the whole batch shares one fate. Each example decides for itself.",
    )
    reject(
        equal(found, label[~goes]),
        "the batch has become shorter. Dropping a label keeps the example.",
    )
    require(
        torch.as_tensor(found).shape == label.shape,
        f"one label for each example: [5], got {list(torch.as_tensor(found).shape)}.",
    )
    reject(
        int((torch.as_tensor(found) == 10).sum()) == 1,
        "a fixed share of the batch goes. Each label should go by its own chance, so by its noise.",
    )
    require(
        equal(found, dropped(label, 10, 0.2, noise)),
        "twice the same call, two answers: you draw chance of your own. Use `noise`.",
    )
    require(equal(found, [3, 10, 4, 10, 10]), "with p = 0.2 those with noise below 0.2 go.")
    require(
        equal(dropped(label, 10, 0.0, noise), label),
        "with p = 0 no label may go, and noise can be exactly 0. The chance is p, not a fixed 0.2.",
    )
    require(
        equal(dropped(label, 7, 0.2, noise), [3, 7, 4, 7, 7]),
        "another `null`, and 10 still stands there: it is an argument.",
    )
    reject(
        torch.as_tensor(found).is_floating_point(),
        "labels are whole numbers: a table of labels cannot look a float up.",
    )


@exercise("one call, two answers")
def check_guided(guided: Callable[..., Any]) -> None:
    """Exercise 3: classifier-free guidance from one doubled batch."""
    asked: list[int] = []

    def net(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        asked.append(len(x))
        require(
            torch.is_tensor(x) and torch.is_tensor(t) and torch.is_tensor(label),
            "a network takes tensors: put both halves into one with torch.cat.",
        )
        require(
            len(x) == len(t) == len(label),
            f"the call has {len(x)} pictures, {len(t)} times and {len(label)} labels.",
        )
        reject(label.is_floating_point(), "the labels have become floats: use full_like(label, ...")
        return x * (1 + label).view(-1, 1, 1, 1) + t.view(-1, 1, 1, 1)

    x, t, label = torch.randn(3, 1, 2, 2), torch.tensor([1.0, 5.0, 9.0]), torch.tensor([0, 2, 1])

    def answer(label: Tensor | int) -> Tensor:
        told = torch.as_tensor(label).expand(3)
        return x * (1 + told).view(3, 1, 1, 1) + t.view(3, 1, 1, 1)

    c, u = answer(label), answer(10)
    found = guided(net, x, t, label, 10, 4.0)
    require(len(asked) > 0, "the network is never asked.")
    reject(
        len(asked) > 1,
        f"you call the network {len(asked)} times, not once. It works, but the task is one call"
        " on a batch of two; asked twice, it has done the work of each half alone.",
    )
    reject(asked == [3], "the batch has its old length: the network is asked only once for each x.")
    reject(
        equal(found, c + 4 * (u - c)),
        "the halves are swapped: what comes back first belongs to what you put in first.",
    )
    reject(
        equal(found, c + 4 * (c - u)), "this is (1 + s) c - s u, with the paper's letter: u + s..."
    )
    reject(equal(found, u + 3 * (c - u)), "s - 1 is the paper's w. Ours is u + s (c - u).")
    reject(equal(found, 4 * (c - u)), "the arrow alone is not the answer: it starts at u.")
    reject(equal(found, u + 4 * c), "you add the answer c, not the arrow c - u.")
    reject(equal(found, u - 4 * (c - u)), "the arrow is turned round: it flees from the label.")
    reject(
        equal(found, c),
        "this is c at any scale: does `scale` enter, and is the second half of the labels `null`?",
    )
    reject(equal(found, u), "this is u at any scale: are the labels in the first half?")
    reject(
        equal(found, answer(0) + 4 * (c - answer(0))),
        "the second half is told class 0. `null` is the label that means none.",
    )
    require(getattr(found, "shape", None) == x.shape, "the answer must be shaped like x.")
    reject(
        equal(found, (u + 4 * (c - u)).clamp(-1, 1)),
        "right, but clipped. The clip is another wrapper's business.",
    )
    require(
        equal(found, u + 4 * (c - u)),
        "it is not u + s (c - u). Do row k and row k + 3 of the batch hold the same x and the same"
        " t, and does `chunk(2)` cut between them?",
    )
    u = answer(7)
    require(
        equal(guided(net, x, t, label, 7, 2.0), u + 2 * (c - u)),
        "right once, and not with another `null` and `scale`: both are arguments.",
    )


@exercise("harmonic and geometric")
def check_variances(variances: Callable[..., Any]) -> None:
    """Exercise 4: the tilted law of two bells, and where the deterministic walk ends."""
    for v_c, v, s in ((0.8, 2.0, 4.0), (0.5, 3.0, 2.0), (0.8, 2.0, 1.0)):
        both = variances(v_c, v, s)
        require(
            not isinstance(both, dict | str) and hasattr(both, "__len__") and len(both) == 2,
            "return two numbers.",
        )
        tilted, walk = both
        harmonic, geometric = 1 / (s / v_c + (1 - s) / v), v_c**s * v ** (1 - s)
        if s != 1:
            _diagnose_variances(tilted, walk, v_c, v, s)
        require(
            equal(tilted, harmonic),
            "the tilted law: what does a power do to a bell's precision, and what a product?",
        )
        require(
            equal(walk, geometric),
            "the walk: integrate d log z / d tau from infinity, where z is sqrt(tau) times noise.",
        )


def _diagnose_variances(tilted: Any, walk: Any, v_c: float, v: float, s: float) -> None:
    harmonic, geometric = 1 / (s / v_c + (1 - s) / v), v_c**s * v ** (1 - s)
    fresh = (v_c * v - v_c ** (2 * s) * v ** (2 - 2 * s)) / ((v - v_c) * (2 * s - 1))
    reject(
        equal(tilted, geometric) and equal(walk, harmonic),
        "the two are swapped: the tilted law first.",
    )
    reject(
        equal(tilted, s * v_c + (1 - s) * v),
        "the variances are averaged. A power of a bell divides its variance, and products add"
        " precisions.",
    )
    reject(equal(tilted, s / v_c + (1 - s) / v), "this is the precision: turn it over.")
    reject(
        equal(tilted, 1 / (s / v + (1 - s) / v_c)) or equal(walk, v**s * v_c ** (1 - s)),
        "s belongs to the class, 1 - s to all data: yours are the other way round.",
    )
    reject(
        equal(tilted, 1 / ((1 + s) / v_c - s / v)) or equal(walk, v_c ** (1 + s) * v**-s),
        "the weights are s and 1 - s. With 1 + s and -s you take s for the paper's w.",
    )
    reject(
        equal(tilted, v_c / s) or equal(walk, v_c**s),
        "only the class has a say here. All data enter with the power 1 - s, which is negative.",
    )
    reject(
        equal(tilted, 1 / (s / v_c**2 + (1 - s) / v**2)),
        "v_c and v are variances already: do not square them.",
    )
    reject(equal(tilted, harmonic**0.5), "this is the spread of the tilted law, not its variance.")
    reject(
        equal(tilted, geometric),
        "both come from the walk. The tilted law needs none: section 5.",
    )
    reject(
        equal(walk, geometric**0.5),
        "this is the spread, z itself. The variance is its square.",
    )
    reject(
        equal(walk, v_c), "this is the class itself, scale 1: does s enter your second variance?"
    )
    reject(equal(walk, harmonic), "both the same: then the walk would sample the law.")
    reject(
        equal(walk, fresh) or equal(tilted, fresh),
        "this is the walk with fresh noise. Asked is the one without.",
    )
    reject(
        equal(walk, s * v_c + (1 - s) * v),
        "the walk's z is a product of powers: average the logarithms of the variances.",
    )


@exercise("towards one thing, away from another")
def check_shun(shun: Callable[..., Any]) -> None:
    """Exercise 5: a wish and an aversion, both measured from the unconditional answer."""
    u, c, bad = torch.randn(3, 6, dtype=torch.float64)
    s, less = 3.0, 1.5
    wish = u + s * (c - u)
    right = wish + less * (u - bad)
    found = shun(u, c, bad, s, less)
    require(
        getattr(found, "shape", None) == u.shape, "return one answer, shaped like u, c and bad."
    )
    reject(
        equal(found, wish + less * (bad - u)),
        "the second arrow points to what you wanted to avoid.",
    )
    reject(
        equal(found, bad + s * (c - bad)),
        "this is a negative prompt in the place of u: `less` has no say.",
    )
    reject(
        equal(found, wish - less * bad) or equal(found, u + s * (c - less * bad - u)),
        "the weights must add up to 1. Subtract an arrow, bad - u, not an answer.",
    )
    reject(
        equal(found, wish + less * (c - bad)),
        "both arrows start from u; yours starts from the unwished and ends at the wish.",
    )
    reject(
        equal(found, wish + less * (wish - bad)),
        "your second push starts from the guided answer, so `less` is multiplied by s as well.",
    )
    reject(
        equal(found, wish + s * less * (u - bad)),
        "the second arrow is `less` long, whatever s is: it stands outside of s (c - u).",
    )
    reject(equal(found, c + less * (u - bad)), "`scale` has no say: this is scale 1.")
    reject(equal(found, wish), "`bad` and `less` have no say yet.")
    reject(equal(found, wish + less * (u - c)), "the second arrow comes from `bad`, not from c.")
    reject(equal(found, right - u), "both arrows, but from nowhere: the answer starts at u.")
    reject(equal(found, right + c - u), "it starts at c. The scale counts from u: u + s (c - u).")
    reject(equal(found, right + u), "two guided answers are added, so u counts twice.")
    reject(
        equal(found, u + less * (c - u) + s * (u - bad)),
        "`scale` belongs to the wish, `less` to the unwished.",
    )
    reject(equal(found, u + s * (u - c) + less * (u - bad)), "the first arrow flees from the wish.")
    require(equal(shun(u, c, bad, s, 0.0), wish), "at less = 0 it is plain guidance.")
    require(equal(found, right), "the two pushes do not add up to what was asked.")
