"""Checks for chapter 27: a dynamic threshold, what is trained, the front, a small DrawBench."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("a dynamic threshold")
def check_dynamic(dynamic: Callable[..., Any]) -> None:
    """Exercise 1: each example divided by the size that most of its numbers do not exceed."""
    for *shape, p in ((4, 3, 8, 8, 0.6), (4, 3, 8, 8, 0.9), (4, 2, 6, 10, 0.99), (4, 90, 0.8)):
        sizes = torch.tensor([2.0, 0.2, 9.0, 0.9], dtype=torch.float64)
        x = _wide(sizes, shape) * torch.randn(shape, dtype=torch.float64)
        x[0] += 1.5
        x[1] = x[1].clamp(-1, 1)
        found = torch.as_tensor(dynamic(x, p))
        why = f"return the same shape: for {shape} it is {list(found.shape)}. Count the axes."
        require(found.shape == x.shape, why)
        _one_threshold(found, x, p)


def _wide(each: Tensor, shape: Sequence[int]) -> Tensor:
    return each.reshape(-1, *[1] * (len(shape) - 1))


def _one_threshold(found: Tensor, x: Tensor, p: float) -> None:
    size = x.flatten(1).abs()

    def held(s: Tensor) -> Tensor:
        s = _wide(s, x.shape) if s.ndim == 1 else s
        return x.clamp(-s, s) / s

    bare = size.quantile(p, dim=1)
    s = bare.clamp(min=1)
    right, wide = held(s), _wide(s, x.shape)
    channels = x.abs().flatten(2).quantile(p, dim=2) if x.ndim > 2 else bare[:, None]
    for wrong, why in (
        (x.clamp(-1, 1), "this is the static threshold."),
        (held(bare), "s must be 1 at least: a quiet picture is made loud by dividing by less."),
        (x.clamp(-wide, wide), "divide by s after the clip."),
        (x / wide, "clip to [-s, s] before you divide: a few numbers still leave the range."),
        (x.clamp(-1, 1) / wide, "clip to [-s, s], not to [-1, 1]."),
        ((x / wide).clamp(-1, 1) * wide, "you have multiplied s back in."),
        (
            held(x.abs().flatten().quantile(p).clamp(min=1)),
            "one quantile for the whole batch: each picture has its own.",
        ),
        (held(x.flatten(1).quantile(p, dim=1).clamp(min=1)), "a quantile of sizes: abs() first."),
        (held(size.quantile(1 - p, dim=1).clamp(min=1)), "this is the quantile of 1 - p."),
        (held(size.amax(1).clamp(min=1)), "this divides by the largest number, whatever p is."),
        (
            held(channels.clamp(min=1).reshape(*channels.shape, *[1] * (x.ndim - 2))),
            "one quantile for each colour: colours shift. One for each picture.",
        ),
    ):
        reject(equal(found, wrong) and not equal(wrong, right), why)
    require(
        bool((found.abs() <= 1 + 1e-6).all()),
        "numbers are left outside of [-1, 1]: clip on both sides, divide by the same s.",
    )
    require(equal(found[1], x[1]), "a picture within the range must stay as it is.")
    # A quantile may lie between two of the numbers, or be one of them.
    quantiles = (
        size.quantile(p, dim=1, interpolation=way) for way in ("linear", "lower", "higher")
    )
    require(
        any(equal(found, held(one.clamp(min=1))) for one in quantiles),
        "it is not clip(x, -s, s) / s with s = max(quantile, 1).",
    )


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
    require(
        all(isinstance(one, Tensor) for one in given),
        "return a list of parameters and nothing else: no names, no groups.",
    )
    require(
        isinstance(found, list | tuple),
        "a generator is empty once it has been read. Make a list of it.",
    )
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
        any(part.training for part in encoder.modules()),
        "a part of the encoder is in training mode: its dropout gives other features each time."
        " eval() reaches every part.",
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
        ([3.0, 1.0, 2.0], [0.5, 0.5, 0.5]),
        ([2.0, 2.0, 2.0], [0.3, 0.8, 0.6]),
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
        require(answer.dtype == torch.bool, "these are numbers. Return True and False.")
        found.append(answer.tolist())

    def unbeaten(d: Tensor, a: Tensor, loose: bool = True) -> Tensor:
        closer, no_worse = d[None] <= d[:, None], a[None] >= a[:, None]
        nearer, better = d[None] < d[:, None], a[None] > a[:, None]
        return ~((closer & no_worse & (nearer | better)) if loose else (nearer & better)).any(1)

    right = [unbeaten(*one).tolist() for one in given]
    # One case alone may be wrong in many ways; all of them together are wrong in one.
    for mistake, why in (
        (lambda d, a: ~unbeaten(d, a), "these are the beaten ones."),
        (lambda d, a: unbeaten(-d, a), "a large distance counts as good here."),
        (lambda d, a: unbeaten(d, -a), "a small accuracy counts as good here."),
        (lambda d, a: unbeaten(-d, -a), "this is the front on the other side: who beats whom?"),
        (
            lambda d, a: unbeaten(d, a, loose=False),
            "equal in one and better in the other beats, too.",
        ),
        (lambda d, a: a == a.max(), "only the most accurate. A nearer one may be unbeaten, too."),
        (lambda d, a: d == d.min(), "only the nearest. A more accurate one may be unbeaten, too."),
        (
            lambda d, a: (d == d.min()) | (a == a.max()),
            "the two ends are not all: what lies between may be unbeaten, too.",
        ),
        (
            lambda d, a: d > d.max(),
            "nobody is left: a setting does not beat itself, nor its equal.",
        ),
        (lambda d, a: d <= d.max(), "nobody is beaten here."),
    ):
        reject(found == [mistake(*one).tolist() for one in given] != right, why)
    for ours, own, (distance, accuracy) in zip(found, right, cases, strict=True):
        require(
            ours == own,
            f"for distances {distance} and accuracies {accuracy}: {own}, not {ours}.",
        )


@exercise("a small DrawBench")
def check_bench(bench: Callable[..., Any]) -> None:
    """Exercise 4: shares by kind, and a mean in which each kind counts alike."""
    kinds = ["count"] * 8 + ["colour"] * 2 + ["place"] * 5
    obeyed = [True] * 6 + [False] * 2 + [True, False] + [False] * 4 + [True]
    shares = {"count": 0.75, "colour": 0.5, "place": 0.2}
    for order, hint in (
        (range(15), ""),
        ([(7 * k) % 15 for k in range(15)], " The kinds stand in another order now."),
    ):
        found = bench([kinds[k] for k in order], [obeyed[k] for k in order])
        named = _shares_of(found, list(shares))
        own = [named[kind] for kind in shares]
        for wrong, why in (
            ([6.0, 1.0, 1.0], "these are counts. A share is divided by how many there are."),
            ([6 / 15, 1 / 15, 1 / 15], "divide by the prompts of the kind, not by all."),
            ([6 / 8, 1 / 8, 1 / 8], "the kinds are divided by the same number."),
            ([0.25, 0.5, 0.8], "these are the shares that are *not* obeyed."),
            ([8 / 15, 2 / 15, 5 / 15], "this is how common each kind is."),
            ([75.0, 50.0, 20.0], "shares from 0 to 1, not per cent."),
        ):
            reject(all(_near(a, b) for a, b in zip(own, wrong, strict=True)), why)
        for kind, share in shares.items():
            why = f"{kind}: {share:g} is right, here it is {named[kind]:g}.{hint}"
            require(_near(named[kind], share), why)
        require("mean" in named, 'the mean is missing: under "mean".')
        for value, why in (
            (8 / 15, "this is the share of all prompts: the commonest kind rules it."),
            (sum(shares.values()), "this is the sum. Divide by the number of kinds."),
            (0.5, "this is the middle one. Asked is the mean."),
            (0.2, "this is the worst one. Asked is the mean."),
        ):
            reject(_near(named["mean"], value), why)
        right = sum(shares.values()) / 3
        require(_near(named["mean"], right), "it is not the mean of the three shares.")
        require(len(named) == 4, "nothing but the kinds and the mean.")
    found = bench(["count", "colour", "count"], [True, False, True])
    few = _shares_of(found, ["count", "colour"])
    rightly = _near(few["count"], 1) and _near(few["colour"], 0) and _near(few.get("mean", 2), 0.5)
    require(rightly, "two kinds, all of one obeyed and none of the other: 1, 0 and the mean 0.5.")


def _shares_of(found: Any, kinds: list[str]) -> dict[str, float]:
    require(isinstance(found, dict), "return a dict: a share for each kind, and a mean.")
    named = {str(kind): float(value) for kind, value in found.items()}
    missing = ", ".join(kind for kind in kinds if kind not in named)
    require(not missing, f"nothing is said of {missing}. Where none is obeyed, the share is 0.")
    return named


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, abs_tol=1e-6)  # what float32 leaves of a share
