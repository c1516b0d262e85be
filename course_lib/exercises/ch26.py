"""Checks for chapter 26: the loss of a prior, the better of n draws, axes to keep, a text diff."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.diffusion.latents import slerp
from course_lib.diffusion.schedules import cosine
from course_lib.exercises.checking import equal, exercise, factors, reject, require


def _unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


@exercise("the loss of a prior")
def check_prior_loss(prior_loss: Callable[..., Any]) -> None:
    """Exercise 1: squared error of the predicted vector, scaled by the root of its width."""
    n, d = 6, 16
    bar = cosine().alpha_bar.double()
    z, eps = _unit(n, d), torch.randn(n, d, dtype=torch.float64)
    t = torch.tensor([1, 200, 400, 600, 800, 1000])
    share = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    asked: list[tuple[Tensor, Tensor]] = []

    def answer(z_t: Tensor, time: Tensor) -> Tensor:
        asked.append((z_t.detach(), torch.as_tensor(time).reshape(-1)))
        return share * z_t + 0.1

    found = torch.as_tensor(prior_loss(answer, z, t, bar, eps))
    require(  # one call for the batch, or one for each vector
        sum(len(one) for one, _ in asked) == n and all(one.ndim == 2 for one, _ in asked),
        f"the network is asked once of each vector: z_t is {[n, d]}, and t is {[n]}.",
    )
    z_t, times = (torch.cat(given) for given in zip(*asked, strict=True))
    require(z_t.shape == z.shape, f"the network gets z_t of shape {[n, d]}, not {list(z_t.shape)}.")
    reject(not equal(times, t), "the network must be told the times t.")
    a, x = bar[t][:, None], math.sqrt(d) * z
    noise = (1 - a).sqrt() * eps
    right = a.sqrt() * x + noise
    for noised, why in (
        (a.sqrt() * z + noise, "the vector was noised at length 1: times √d."),
        (a * x + (1 - a) * eps, "alpha_bar is a variance: both factors are roots."),
        (a * z + (1 - a) * eps, "scale by √d, and take roots: alpha_bar is a variance."),
        (a.sqrt() * d * z + noise, "the scale is √d, not d."),
        (
            math.sqrt(d) * (a.sqrt() * z + noise),
            "the noise was scaled too. Its numbers have variance 1 already.",
        ),
        (x, "nothing was noised: the network saw the vector itself."),
    ):
        reject(equal(z_t, noised), why)
    parts = {"z": z[3], "eps": eps[3]}  # one time, so that the factors are numbers
    taken = factors(z_t[3], right[3], parts) or " It is no mix of z and the eps that is given."
    require(
        equal(z_t, right),
        f"z_t is not √alpha_bar √d z + √(1 - alpha_bar) eps. At t = {t[3]}:{taken}",
    )
    out = (share * z_t + 0.1).detach()
    require(found.ndim == 0, "return one number.")
    square = (out - x).square()
    for wrong, why in (
        ((out - eps).square().mean(), "this asks for the noise. A prior predicts the vector."),
        ((out - z).square().mean(), "compare with the scaled vector, the one that was noised."),
        (square.sum(1).mean(), "the mean over all numbers: this is a sum over each vector's."),
        (square.sum(), "the mean, not the sum."),
        ((out - z_t).square().mean(), "compare with the clean vector, not with z_t."),
        ((out - x).abs().mean(), "square the errors; this is their absolute value."),
        (square.mean().sqrt(), "no root: the mean of the squares."),
        ((out - x).mean().square(), "square first, then take the mean."),
        ((a / (1 - a) * square).mean(), "every time counts alike: this weighs errors by the SNR."),
    ):
        reject(equal(found, wrong), why)
    require(equal(found, square.mean()), "it is not the mean square of answer - √d z.")
    require(found.requires_grad, "the number is right, but no gradient can pass: it is detached.")


@exercise("the better of n")
def check_better(better: Callable[..., Any]) -> None:
    """Exercise 2: of several candidates for each text, the one nearest to it."""
    for count, n, d in ((5, 7, 4), (2, 5, 8), (4, 4, 3), (1, 3, 4), (3, 3, 3)):
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
            tuple(found.shape) == (count, d) and count != n,
            "a best text was chosen for each set of candidates: the largest over dimension 0.",
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
        (lambda z, p: count(variances(z), p) - 1, "one axis too few: more than the share is left."),
        (lambda z, p: count(variances(z), p) + 1, "one axis too many: fewer would do."),
        (
            lambda z, p: count(variances(z).sqrt(), p),
            "singular values are spreads. Square them: shares are of variance.",
        ),
        (
            lambda z, p: count(torch.linalg.svdvals(z).square(), p),
            "take the mean away first: the first axis must not point at it.",
        ),
        (
            lambda z, p: count(torch.linalg.svdvals(z.T - z.mean(1)).square(), p),
            "each vector lost its own mean. Take away the mean of all vectors, over dim=0"
            " (torch.cov wants them as columns).",
        ),
        (
            lambda z, p: count(z.var(0).sort(descending=True).values, p),
            "these are the given axes. Principal ones are turned.",
        ),
        (
            lambda z, p: int((variances(z) > p * variances(z).sum()).sum()),
            "this counts axes that hold more than the share each. Together counts.",
        ),
        (lambda z, p: len(z.T) - count(variances(z), p), "this is how many are dropped."),
        (
            lambda z, p: count(variances(z).flip(0), p),
            "the axes of least variance were kept. Begin with those of most.",
        ),
        (lambda z, p: count(variances(z), 1 - p), "`share` is what may be lost, not what is kept."),
    ):
        wrong = [float(mistake(z, share)) for z, share in cases]
        reject(found == wrong != right, why)
    for ours, own, (z, share) in zip(found, right, cases, strict=True):
        require(
            ours == own,
            f"to lose at most {share:g} of {len(z.T)} axes' variance: {own} axes, not {ours:g}.",
        )


@exercise("a text diff")
def check_turned(turned: Callable[..., Any]) -> None:
    """Exercise 4: slerp from an image vector to the normalised difference of two texts."""
    for n, d, weight in ((4, 8, 0.3), (6, 5, 0.5), (4, 8, 0.0), (1, 3, 1.0)):
        z, before, after = (_unit(n, d) for _ in range(3))
        found = torch.as_tensor(turned(z, before, after, weight))
        require(found.shape == z.shape, f"return {list(z.shape)}, one vector for each.")
        _one_turn(found, z, before, after, weight)


def _one_turn(found: Tensor, z: Tensor, before: Tensor, after: Tensor, weight: float) -> None:
    away = after - before
    way = F.normalize(away, dim=1)
    right = slerp(z, way, weight)
    angle = (z * way).sum(1, keepdim=True).arccos()

    def mix(a: Tensor, b: Tensor, angle: Tensor) -> Tensor:
        return ((1 - weight) * angle).sin() * a + (weight * angle).sin() * b

    normalise = "normalise the difference first: slerp is for two vectors of length 1."
    raw = (z * away).sum(1, keepdim=True).clamp(-1, 1).arccos()
    straight = z + weight * (way - z)
    for wrong, why in (
        (slerp(z, -way, weight), "the difference is after - before: this goes the other way."),
        (slerp(z, after, weight), "this turns towards the new text. Take the old one away."),
        (slerp(z, before, weight), "this turns towards the old text."),
        (slerp(way, z, weight), "weight and 1 - weight are swapped."),
        (straight, "a straight line: on the great circle the length stays 1."),
        (F.normalize(straight, dim=1), "a straight line, put back to length 1: not slerp."),
        (z + weight * away, "the difference was added. It has to be a turn."),
        (z + weight * way, "the difference was added. It has to be a turn."),
        (F.normalize(z + weight * away, dim=1), "added and put back to length 1: not slerp."),
        (F.normalize(z + weight * way, dim=1), "added and put back to length 1: not slerp."),
        (mix(z, away, angle) / angle.sin(), normalise),
        (mix(z, away, raw) / raw.sin(), normalise),
        (mix(z, way, angle), "divide both factors by sin φ: the length must stay 1."),
        (mix(z, way, angle.rad2deg()) / angle.rad2deg().sin(), "sine takes the angle in radians."),
    ):
        reject(equal(found, wrong) and not equal(wrong, right), why)
    require(
        equal(found.norm(dim=1), torch.ones(len(z))),
        "the length must stay 1: normalise each row's difference, take arccos of its z · d.",
    )
    require(equal(found, right), "it is not slerp from z to the difference, φ between these two.")
