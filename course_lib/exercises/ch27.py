"""Checks for chapter 27: a dynamic threshold, what is trained, the front, a small DrawBench."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("a dynamic threshold")
def check_dynamic(dynamic: Callable[..., Any]) -> None:
    """Exercise 1: each picture divided by the size that most of its numbers do not exceed."""
    sizes = torch.tensor([0.2, 2.0, 9.0, 0.9], dtype=torch.float64)[:, None, None, None]
    x = sizes * torch.randn(4, 3, 8, 8, dtype=torch.float64)
    x[1] += 1.5
    for p in (0.6, 0.9, 0.99):
        found = torch.as_tensor(dynamic(x, p))
        require(found.shape == x.shape, f"return pictures of the same shape, {list(x.shape)}.")
        size = x.flatten(1).abs()
        s = size.quantile(p, dim=1).clamp(min=1)[:, None, None, None]
        right = x.clamp(-s, s) / s
        bare = size.quantile(p, dim=1)[:, None, None, None]
        all_s = x.abs().flatten().quantile(p).clamp(min=1)
        signed = x.flatten(1).quantile(p, dim=1).clamp(min=1)[:, None, None, None]
        low = size.quantile(1 - p, dim=1).clamp(min=1)[:, None, None, None]
        largest = size.amax(1).clamp(min=1)[:, None, None, None]
        channels = x.abs().flatten(2).quantile(p, dim=2).clamp(min=1)[..., None, None]
        for wrong, why in (
            (x.clamp(-1, 1), "this is the static threshold."),
            (
                x.clamp(-bare, bare) / bare,
                "s must be 1 at least: a quiet picture is made loud by dividing by less.",
            ),
            (x.clamp(-s, s), "divide by s after the clip."),
            (x / s, "clip to [-s, s] before you divide: a few numbers still leave the range."),
            (x.clamp(-1, 1) / s, "clip to [-s, s], not to [-1, 1]."),
            ((x / s).clamp(-1, 1) * s, "you have multiplied s back in."),
            (
                x.clamp(-all_s, all_s) / all_s,
                "one quantile for the whole batch: each picture has its own.",
            ),
            (x.clamp(-signed, signed) / signed, "a quantile of sizes: take abs() first."),
            (x.clamp(-low, low) / low, "this is the quantile of 1 - p."),
            (x / largest, "this divides by the largest number, whatever p is."),
            (
                x.clamp(-channels, channels) / channels,
                "one quantile for each colour: colours shift. One for each picture.",
            ),
        ):
            reject(equal(found, wrong) and not equal(wrong, right), why)
        require(bool((found.abs() <= 1 + 1e-9).all()), "numbers are left outside of [-1, 1].")
        require(equal(found[0], x[0]), "a picture within the range must stay as it is.")
        require(equal(found, right), "it is not clip(x, -s, s) / s with s = max(quantile, 1).")


@exercise("what is trained")
def check_to_train(to_train: Callable[..., Any]) -> None:
    """Exercise 2: the network's parameters, and an encoder that neither learns nor rolls dice."""
    encoder = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4)).train()
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).train()
    found = to_train(encoder, net)
    reject(isinstance(found, Tensor), "a tensor came back. Asked is a list of parameters.")
    given = list(found)
    reject(
        any(isinstance(one, nn.Module) for one in given),
        "modules came back. An optimiser takes parameters: net.parameters().",
    )
    reject(
        any(isinstance(one, tuple) for one in given),
        "names came along: parameters(), not named_parameters().",
    )
    require(all(isinstance(one, Tensor) for one in given), "return parameters.")
    have = {id(one) for one in given}
    frozen, own = list(encoder.parameters()), list(net.parameters())
    reject(
        any(id(one) in have for one in frozen),
        "the encoder's parameters are among them: then it is trained.",
    )
    reject(not have, "the list is empty. What does an optimiser of the network need?")
    require(
        have == {id(one) for one in own},
        "these are not the network's own parameters, all of them and no copies.",
    )
    reject(
        not any(one.requires_grad for one in own),
        "the network was frozen. The encoder is to be frozen.",
    )
    reject(
        any(one.requires_grad for one in frozen),
        "the encoder still collects gradients: requires_grad_(False).",
    )
    reject(
        encoder.training,
        "the encoder is in training mode: its dropout gives other features each time. eval().",
    )
    require(all(one.requires_grad for one in own), "all of the network must be able to learn.")
    require(net.training, "the network is to be trained: leave it in training mode.")


@exercise("the front")
def check_front(front: Callable[..., Any]) -> None:
    """Exercise 3: which settings no other one beats."""
    cases = [
        ([1.0, 2.0, 3.0, 2.5, 4.0], [0.5, 0.7, 0.9, 0.6, 0.8]),
        ([1.0, 1.0, 2.0, 2.0], [0.5, 0.6, 0.6, 0.7]),
        ([1.0, 1.0, 3.0], [0.9, 0.9, 0.2]),
        ([3.0, 1.0, 2.0, 5.0], [0.3, 0.1, 0.2, 0.9]),
        ([4.0, 2.0], [0.1, 0.8]),
    ]
    given = [(torch.tensor(distance), torch.tensor(accuracy)) for distance, accuracy in cases]
    found = []
    for far, good in given:
        answer = torch.as_tensor(front(far, good))
        reject(
            answer.dtype != torch.bool and tuple(answer.shape) != tuple(far.shape),
            "these are places. Return True or False for each setting.",
        )
        require(answer.shape == far.shape, f"return {len(far)} answers, one for each setting.")
        found.append(answer.bool().tolist())

    def unbeaten(near: Tensor, right: Tensor, loose: bool = True) -> Tensor:
        closer, no_worse = near[None] <= near[:, None], right[None] >= right[:, None]
        farther, better = near[None] < near[:, None], right[None] > right[:, None]
        beats = (closer & no_worse & (farther | better)) if loose else (farther & better)
        return ~beats.any(1)

    right = [unbeaten(*one).tolist() for one in given]
    # One case alone may be wrong in many ways; all of them together are wrong in one.
    for mistake, why in (
        (lambda far, good: ~unbeaten(far, good), "these are the beaten ones."),
        (lambda far, good: unbeaten(-far, good), "a large distance counts as good here."),
        (lambda far, good: unbeaten(far, -good), "a small accuracy counts as good here."),
        (
            lambda far, good: unbeaten(-far, -good),
            "this is the front on the other side: the worst of all.",
        ),
        (
            lambda far, good: unbeaten(far, good, loose=False),
            "equal in one and better in the other beats, too.",
        ),
        (
            lambda far, good: good == good.max(),
            "only the most accurate. A nearer one may be unbeaten, too.",
        ),
        (
            lambda far, good: far == far.min(),
            "only the nearest. A more accurate one may be unbeaten, too.",
        ),
        (
            lambda far, good: (far == far.min()) | (good == good.max()),
            "the two ends are not all: what lies between may be unbeaten, too.",
        ),
        (
            lambda far, good: far > far.max(),
            "nobody is left: a setting does not beat itself, nor its equal.",
        ),
        (lambda far, good: far <= far.max(), "nobody is beaten here."),
    ):
        reject(found == [mistake(*one).tolist() for one in given] != right, why)
    for ours, own, (distance, accuracy) in zip(found, right, cases, strict=True):
        require(ours == own, f"for distances {distance} and accuracies {accuracy}: {own}.")


@exercise("a small DrawBench")
def check_bench(bench: Callable[..., Any]) -> None:
    """Exercise 4: shares by kind, and a mean in which each kind counts alike."""
    kinds = ["count"] * 8 + ["colour"] * 2 + ["place"] * 5
    obeyed = [True] * 6 + [False] * 2 + [True, False] + [False] * 4 + [True]
    shares = {"count": 0.75, "colour": 0.5, "place": 0.2}
    for order in (range(15), [(7 * k) % 15 for k in range(15)]):
        found = bench([kinds[k] for k in order], [obeyed[k] for k in order])
        require(isinstance(found, dict), "return a dict: a share for each kind, and a mean.")
        named = {str(kind): float(value) for kind, value in found.items()}
        missing = [kind for kind in shares if kind not in named]
        require(not missing, f"nothing is said of {', '.join(missing)}.")
        own = [named[kind] for kind in shares]
        for wrong, why in (
            ([6.0, 1.0, 1.0], "these are counts. A share is divided by how many there are."),
            ([6 / 15, 1 / 15, 1 / 15], "divide by the prompts of the kind, not by all."),
            ([6 / 8, 1 / 8, 1 / 8], "the kinds are divided by the same number."),
            ([0.25, 0.5, 0.8], "these are the shares that are *not* obeyed."),
            ([8 / 15, 2 / 15, 5 / 15], "this is how common each kind is."),
            ([75.0, 50.0, 20.0], "shares from 0 to 1, not per cent."),
        ):
            reject(all(abs(a - b) < 1e-9 for a, b in zip(own, wrong, strict=True)), why)
        for kind, share in shares.items():
            require(
                abs(named[kind] - share) < 1e-9,
                f"{kind}: {share:g} is right, here it is {named[kind]:g}. Does the order matter?",
            )
        require("mean" in named, 'the mean is missing: under "mean".')
        for value, why in (
            (8 / 15, "this is the share of all prompts: the commonest kind rules it."),
            (sum(shares.values()), "this is the sum. Divide by the number of kinds."),
            (0.5, "this is the middle one. Asked is the mean."),
            (0.2, "this is the worst one. Asked is the mean."),
        ):
            reject(abs(named["mean"] - value) < 1e-9, why)
        right = sum(shares.values()) / 3
        require(abs(named["mean"] - right) < 1e-9, "it is not the mean of the three shares.")
        require(len(named) == 4, "nothing but the kinds and the mean.")
