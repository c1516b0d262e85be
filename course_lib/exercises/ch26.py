"""Checks for chapter 26: the loss of a prior, the better of n draws, axes to keep, a text diff."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.diffusion.latents import slerp
from course_lib.diffusion.schedules import cosine
from course_lib.exercises.checking import equal, exercise, reject, require


def _unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


@exercise("the loss of a prior")
def check_prior_loss(prior_loss: Callable[..., Any]) -> None:
    """Exercise 1: squared error of the predicted vector, scaled by the root of its width."""
    n, d = 6, 16
    bar = cosine().alpha_bar.double()
    z, eps = _unit(n, d), torch.randn(n, d, dtype=torch.float64)
    t = torch.tensor([1, 200, 400, 600, 800, 1000])
    asked: list[tuple[Tensor, Tensor]] = []

    def answer(z_t: Tensor, time: Tensor) -> Tensor:
        asked.append((z_t, time))
        return 0.3 * z_t + 0.1

    found = torch.as_tensor(prior_loss(answer, z, t, bar, eps))
    require(len(asked) == 1, f"the network must be asked once, for the whole batch; {len(asked)}.")
    z_t, time = asked[0]
    require(z_t.shape == z.shape, f"the network gets z_t of shape {[n, d]}, not {list(z_t.shape)}.")
    reject(
        not torch.equal(torch.as_tensor(time).long(), t), "the network must be told the times t."
    )
    a, size = bar[t][:, None], math.sqrt(d)
    for scaled, noised, why in (
        (z, a.sqrt() * z + (1 - a).sqrt() * eps, "the vector was noised at length 1: times √d."),
        (
            size * z,
            a * size * z + (1 - a) * eps,
            "alpha_bar is a variance: both factors are roots.",
        ),
        (z, a * z + (1 - a) * eps, "scale by √d, and take roots: alpha_bar is a variance."),
        (z, d * a.sqrt() * z + (1 - a).sqrt() * eps, "the scale is √d, not d."),
        (
            z,
            size * (a.sqrt() * z + (1 - a).sqrt() * eps),
            "the noise was scaled too. Its numbers have variance 1 already.",
        ),
        (z, size * z, "nothing was noised: the network saw the vector itself."),
    ):
        reject(equal(z_t, noised), why)
        del scaled
    right_z_t = a.sqrt() * size * z + (1 - a).sqrt() * eps
    require(equal(z_t, right_z_t), "z_t is not √alpha_bar √d z + √(1 - alpha_bar) eps.")
    out = 0.3 * z_t + 0.1
    require(found.ndim == 0, "return one number.")
    square = (out - size * z).square()
    for wrong, why in (
        ((out - eps).square().mean(), "this asks for the noise. A prior predicts the vector."),
        ((out - z).square().mean(), "compare with the scaled vector, the one that was noised."),
        (square.sum(1).mean(), "the mean over all numbers: this is a sum over each vector's."),
        (square.sum(), "the mean, not the sum."),
        ((out - z_t).square().mean(), "compare with the clean vector, not with z_t."),
        ((out - size * z).abs().mean(), "square the errors; this is their absolute value."),
        (square.mean().sqrt(), "no root: the mean of the squares."),
        ((out - size * z).mean().square(), "square first, then take the mean."),
    ):
        reject(equal(found, wrong), why)
    require(equal(found, square.mean()), "it is not the mean square of answer - √d z.")


@exercise("the better of n")
def check_better(better: Callable[..., Any]) -> None:
    """Exercise 2: of several candidates for each text, the one nearest to it."""
    for count, n, d in ((2, 5, 8), (4, 4, 3), (1, 3, 4), (3, 3, 3)):
        drawn, text = _unit(count, n, d), _unit(n, d)
        products = (drawn * text).sum(2)
        rows = torch.arange(n)
        right = drawn[products.argmax(0), rows]
        found = torch.as_tensor(better(drawn, text))
        reject(
            tuple(found.shape) == (d,),
            "one vector came back. Each text has its own best candidate.",
        )
        reject(
            tuple(found.shape) == (n,),
            "these are numbers. Return the vectors that they belong to.",
        )
        reject(
            found.ndim == 3,
            "whole sets of candidates came back: pick drawn[best, arange(n)], one for each text.",
        )
        require(tuple(found.shape) == (n, d), f"return one vector a text, [{n}, {d}].")
        if count == 1:
            require(equal(found, right), "with one candidate there is nothing to choose.")
            continue
        flat = drawn.reshape(-1, d)
        for wrong, why in (
            (drawn[products.argmin(0), rows], "these are the farthest: argmax, not argmin."),
            (drawn[0], "these are the first candidates, whatever the texts say."),
            (drawn[products.sum(1).argmax()], "one candidate was chosen for all texts together."),
            (drawn.mean(0), "this is the mean of the candidates, which is no vector of a picture."),
            (
                flat[(flat @ text.T).argmax(0)],
                "each text chose among all texts' candidates. It may choose among its own only.",
            ),
            (
                drawn[(drawn * text.mean(0)).sum(2).argmax(0), rows],
                "all texts were averaged. Each candidate is compared with its own text.",
            ),
        ):
            reject(equal(found, wrong) and not equal(wrong, right), why)
        require(equal(found, right), "it is not, for each text, the candidate of largest z · t.")


@exercise("how many axes")
def check_kept(kept: Callable[..., Any]) -> None:
    """Exercise 3: the fewest principal components that leave a share of the variance."""
    cases = []
    for spread, middle, share in (
        ([4.0, 2.0, 1.0, 0.5, 0.2, 0.1], 0.0, 0.01),
        ([4.0, 2.0, 1.0, 0.5, 0.2, 0.1], 9.0, 0.01),
        ([3.0, 3.0, 0.1, 0.1, 0.1], 5.0, 0.3),
        ([1.0, 1.0, 1.0, 1.0], 2.0, 0.01),
        ([5.0, 0.3, 0.2, 0.1], 0.0, 0.1),
        ([1.0, 1.0, 1.0, 1.0], 9.0, 0.3),
        ([2.0] + 8 * [0.2], 1.0, 0.01),
    ):
        d = len(spread)
        turn = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64))[0]
        z = torch.randn(400, d, dtype=torch.float64) * torch.tensor(spread).double()
        cases.append((z @ turn.T + middle * turn[-1], share))

    def count(values: Tensor, share: float) -> int:
        left = values.sum() - values.cumsum(0)
        return int((left > share * values.sum()).sum()) + 1

    def variances(z: Tensor) -> Tensor:
        return torch.linalg.svdvals(z - z.mean(0)).square()

    found = []
    for z, share in cases:
        answer = torch.as_tensor(kept(z, share))
        require(answer.ndim == 0, "return one whole number.")
        found.append(float(answer))
    right = [count(variances(z), share) for z, share in cases]
    # A number alone may be wrong in many ways; all of them together are wrong in one.
    for mistake, why in (
        (
            lambda z, share: count(variances(z), share) - 1,
            "one axis too few: what is left is still more than the share.",
        ),
        (
            lambda z, share: count(variances(z), share) + 1,
            "one axis too many: fewer would do.",
        ),
        (
            lambda z, share: count(variances(z).sqrt(), share),
            "singular values are spreads. Square them: shares are of variance.",
        ),
        (
            lambda z, share: count(torch.linalg.svdvals(z).square(), share),
            "take the mean away first: the first axis must not point at it.",
        ),
        (
            lambda z, share: count(z.var(0).sort(descending=True).values, share),
            "these are the given axes. Principal ones are turned.",
        ),
        (
            lambda z, share: int((variances(z) > share * variances(z).sum()).sum()),
            "this counts axes that hold more than the share each. Together counts.",
        ),
        (lambda z, share: len(z.T) - count(variances(z), share), "this is how many are dropped."),
        (
            lambda z, share: count(variances(z).flip(0), share),
            "the axes of least variance were kept. Begin with those of most.",
        ),
        (
            lambda z, share: count(variances(z), 1 - share),
            "`share` is what may be lost, not what must be kept.",
        ),
    ):
        wrong = [float(mistake(z, share)) for z, share in cases]
        reject(found == wrong != right, why)
    for ours, own, (z, share) in zip(found, right, cases, strict=True):
        require(ours == own, f"to lose at most {share:g} of {len(z.T)} axes' variance: {own}.")


@exercise("a text diff")
def check_turned(turned: Callable[..., Any]) -> None:
    """Exercise 4: slerp from an image vector to the normalised difference of two texts."""
    z, before, after = (_unit(4, 8) for _ in range(3))
    away = after - before
    way = F.normalize(away, dim=1)
    for weight in (0.0, 0.3, 0.5):
        found = torch.as_tensor(turned(z, before, after, weight))
        right = slerp(z, way, weight)
        require(found.shape == z.shape, f"return {list(z.shape)}, one vector for each.")
        if weight == 0:
            require(equal(found, z), "with weight 0 nothing may change.")
            continue
        straight = z + weight * (way - z)
        mine, theirs = F.normalize(before, dim=1), F.normalize(after, dim=1)
        for wrong, why in (
            (slerp(z, -way, weight), "the difference is after - before: this goes the other way."),
            (slerp(z, theirs, weight), "this turns towards the new text. Take the old one away."),
            (slerp(z, mine, weight), "this turns towards the old text."),
            (slerp(way, z, weight), "weight and 1 - weight are swapped."),
            (straight, "a straight line: on the great circle the length stays 1."),
            (F.normalize(straight, dim=1), "a straight line, put back to length 1: not slerp."),
            (z + weight * away, "the difference was added. It has to be a turn."),
            (z + weight * way, "the difference was added. It has to be a turn."),
            (F.normalize(z + weight * away, dim=1), "added and put back to length 1: not slerp."),
            (F.normalize(z + weight * way, dim=1), "added and put back to length 1: not slerp."),
        ):
            reject(equal(found, wrong) and not equal(wrong, right), why)
        length = away.norm(dim=1, keepdim=True)
        angle = (z * way).sum(1, keepdim=True).arccos()
        loose = ((1 - weight) * angle).sin() * z + (weight * angle).sin() * length * way
        reject(
            equal(found, loose / angle.sin()),
            "normalise the difference first: slerp is for two vectors of length 1.",
        )
        degrees = angle.rad2deg()
        odd = ((1 - weight) * degrees).sin() * z + (weight * degrees).sin() * way
        reject(equal(found, odd / degrees.sin()), "sine takes the angle in radians.")
        require(
            equal(found.norm(dim=1), torch.ones(4)), "the length must stay 1, whatever the weight."
        )
        require(equal(found, right), "it is not slerp from z to the normalised difference.")
