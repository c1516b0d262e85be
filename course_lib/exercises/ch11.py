"""The exercises of chapter 11: the way back, the doubled noise, a divergence's variance, bits."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, factors, reject, require


@exercise("one drift for every way back")
def check_drift(drift: Callable[..., Any]) -> None:
    """Exercise 1: the drift of the reverse process with any noise strength."""
    x, score = torch.randn(2, 5, 3, dtype=torch.float64)
    f, g = -0.7, 1.9
    strengths = (0.0, 0.6, 1.0, 2.0)
    found = {n: drift(x, score, f, g, n) for n in strengths}
    require(
        all(torch.is_tensor(d) and d.shape == x.shape for d in found.values()),
        "dx/dt is one tensor of the shape of x, for numbers f, g and noise.",
    )
    reject(
        not equal(drift(x, score, f, g, 2.0), found[2.0]),
        "two calls differ: dx/dt is asked for without its random part.",
    )

    def is_drift(made: Callable[[float], Tensor]) -> bool:
        return all(equal(found[n], made(n)) for n in strengths)

    def with_factor(factor: Callable[[float], float]) -> Callable[[float], Tensor]:
        return lambda n: f * x - factor(n) * score

    reject(
        is_drift(with_factor(lambda n: (1 + n**2) / 2 * g)),
        "the score is multiplied by g. It needs g², as in the Fokker-Planck equation.",
    )
    reject(
        is_drift(with_factor(lambda n: -(1 + n**2) / 2 * g**2)),
        "the sign of the score is wrong: dx/dt runs towards noise, so the score is subtracted.",
    )
    reject(
        is_drift(with_factor(lambda n: g**2 / 2)),
        "this is the ODE's drift at every strength. Noise has to be paid for with more score.",
    )
    reject(
        is_drift(with_factor(lambda n: g**2)),
        "this is the drift of strength 1 at every strength.",
    )
    reject(
        is_drift(with_factor(lambda n: (1 + n) / 2 * g**2)),
        "right at 0 and at 1 and wrong elsewhere: it is the variance, noise², that counts.",
    )
    reject(
        is_drift(with_factor(lambda n: (1 + n**2) * g**2)),
        "twice too much score: the factor is (1 + noise²) / 2.",
    )
    reject(
        is_drift(with_factor(lambda n: n**2 * g**2))
        or is_drift(with_factor(lambda n: n**2 / 2 * g**2)),
        "at strength 0 no score is left. The ODE has half of g² score, and noise adds to it.",
    )
    reject(
        is_drift(with_factor(lambda n: (1 + n**2 / 2) * g**2)),
        "at strength 0 this is the reverse SDE's drift. There the ODE's has to come out: half.",
    )
    reject(
        is_drift(with_factor(lambda n: g**2 if n else g**2 / 2)),
        "right at 0 and at 1, and every other strength is treated like 1.",
    )
    reject(
        is_drift(with_factor(lambda n: (1 + min(n, 1.0) ** 2) / 2 * g**2)),
        "right up to strength 1. More than 1 is allowed: take noise as it comes.",
    )
    reject(
        is_drift(with_factor(lambda n: (1 + n) ** 2 / 2 * g**2)),
        "the square is taken of 1 + noise. Two variances add: 1 + noise².",
    )
    reject(
        is_drift(lambda n: -f * x + (1 + n**2) / 2 * g**2 * score),
        "all signs are turned. Time runs back in the step; dx/dt keeps its signs.",
    )
    reject(
        is_drift(lambda n: -f * x - (1 + n**2) / 2 * g**2 * score),
        "the sign of f x is turned as well. dx/dt keeps f x as it is; time runs back in the step.",
    )
    reject(
        is_drift(lambda n: -(1 + n**2) / 2 * g**2 * score),
        "f x is missing.",
    )
    reject(
        is_drift(lambda n: f - (1 + n**2) / 2 * g**2 * score),
        "f stands alone: it multiplies x.",
    )
    reject(
        is_drift(with_factor(lambda n: (0.5 + n**2) * g**2)),
        "the half belongs to noise² as well: at strength 1 the factor is 1, the reverse SDE's.",
    )
    reject(
        is_drift(with_factor(lambda n: (1 - n**2) / 2 * g**2)),
        "more noise smears more, and more score has to undo it: 1 + noise².",
    )
    wanted = f * x - (1 + 2.0**2) / 2 * g**2 * score
    require(
        is_drift(with_factor(lambda n: (1 + n**2) / 2 * g**2)),
        "it is not f x minus some multiple of g² score that fits the Fokker-Planck equation. (For"
        f" f = {f}, g = {g} and strength 2, say.)"
        + factors(found[2.0], wanted, {"x": x, "score": score}),
    )
    # A likelihood differentiates the drift, so the way from x to it must stay open.
    with_grad = drift(x.requires_grad_(), score, f, g, 1.0)
    require(with_grad.requires_grad, "the numbers are right, but no gradient flows back to x.")
    require(
        with_grad.dtype == x.dtype,
        f"the numbers are right, but x of {x.dtype} becomes {with_grad.dtype}.",
    )


@exercise("noise once, with the right size and the right shape")
def check_step(step: Callable[..., Any]) -> None:
    """Exercise 2: an Euler-Maruyama step with the noise doubled, to be repaired."""
    n, g, h = 200_000, 1.5, 0.04
    start = torch.full((n,), 0.5, dtype=torch.float64)
    draws: list[Tensor] = []

    def randn_like(x: Tensor) -> Tensor:
        draws.append(torch.randn_like(x))
        return draws[-1]

    def move(g: float) -> Tensor:
        x = step(start, lambda x: -x, g, h, randn_like)
        require(
            torch.is_tensor(x) and x.shape == start.shape,
            "a step gives back one tensor: x at its end, of the shape of x.",
        )
        return x - x.mean()

    rest, wide = move(g), float(move(2 * g).var())
    var, right = float(rest.var()), g**2 * h
    kurtosis = float((rest**4).mean() / rest.var() ** 2)
    times_drawn = len(draws) / 2

    def near(ours: float, theirs: float) -> bool:
        return abs(ours / theirs - 1) < 0.05

    reject(
        var < 1e-12 and times_drawn == 0,
        "there is no noise at all: this is Euler's method for an ODE.",
    )
    reject(var < 1e-12, "all points move alike: each needs a noise of its own, of the shape of x.")
    reject(times_drawn == 0, "the noise comes from elsewhere. Draw it with `randn_like`.")
    reject(
        near(var, right) and kurtosis > 4,
        f"the variance is right and the shape is not: the kurtosis is {kurtosis:.1f}, a Gaussian"
        " has 3. Noise is multiplied by noise: g must not draw any.",
    )
    reject(
        near(var, 2 * right) and times_drawn == 1 and kurtosis > 4,
        "one draw is multiplied by itself: the noise has no sign any more.",
    )
    reject(
        near(var, right * h),
        "sqrt(h) is there twice. The variance of a step is g² h, not g² h².",
    )
    reject(near(var, right / h), "sqrt(h) is missing from the noise.")
    reject(
        near(var, 2 * right) and times_drawn == 1,
        "the variance is twice what is right: g dw has the variance g² h, without a 2.",
    )
    reject(
        near(var, 2 * right),
        "there are two draws, and their variances add to twice what is right.",
    )
    reject(
        near(wide / var, 16),
        "g stands squared in the noise. The noise is g sqrt(h) z; g² belongs into a drift.",
    )
    reject(
        near(wide / var, 2),
        "g stands under the root. The noise is g sqrt(h) z, and its variance g² h.",
    )
    reject(near(wide, var), "the noise does not depend on g.")
    reject(
        near(var, right * (1 - h) ** 2),
        "b is asked where x is after the noise. Ask it at x.",
    )
    require(
        near(var, right) and near(wide, 4 * right),
        f"the variance of a step is {var:.4f}; with g = {g} and h = {h} it is {right:.4f}.",
    )
    reject(
        times_drawn > 1,
        f"noise is drawn {times_drawn:g} times in a step. Once does it.",
    )
    _check_mean(step)


def _check_mean(step: Callable[..., Any]) -> None:
    """What a step does where every draw is 0: Euler's step along the drift."""
    x, h = torch.tensor([0.5, 2.0], dtype=torch.float64), 0.3

    def b(x: Tensor) -> Tensor:
        return 1 - x**2

    end = step(x, b, 1.5, h, torch.zeros_like)
    reject(equal(end, x - b(x) * h), "the noise is right, the drift has the wrong sign.")
    reject(equal(end, b(x) * h), "the noise is right, but a step starts from x: x is missing.")
    reject(equal(end, x), "the noise is right, but the drift is missing.")
    reject(
        equal(end, x + b(x)) or equal(end, x + b(x) * h**0.5),
        "the noise is right, the mean is not: drift is multiplied by h, noise by its root.",
    )
    reject(equal(end, x + 2 * b(x) * h), "the noise is right, but the drift is taken twice.")
    reject(equal(end, x - x * h), "the drift is -x for every b. Ask the b that is given.")
    require(
        equal(end, x + b(x) * h),
        "the noise is right, the mean is not: it is x + b(x) h, with b asked once, at x.",
    )
    require(end.dtype == x.dtype, f"the step turns x of {x.dtype} into {end.dtype}.")


@exercise("signs vary by the pairs, normals by the diagonal too")
def check_variances(variances: Callable[..., Any]) -> None:
    """Exercise 3: the variance of z J z for random signs and for normal z."""
    jacobian = torch.randn(4, 4, dtype=torch.float64)
    both = variances(jacobian)
    two = len(both) == 2 if isinstance(both, (tuple, list)) else torch.is_tensor(both)
    require(
        two and (not torch.is_tensor(both) or both.shape == (2,)),
        "return two numbers: the variance with signs, and the one with normals.",
    )
    signs, normals = (float(v) for v in both)
    half = (jacobian + jacobian.T) / 2
    square, diagonal = float(half.square().sum()), float(half.diag().square().sum())
    raw = float(jacobian.square().sum())
    raw_diagonal = float(jacobian.diag().square().sum())
    wanted = 2 * (square - diagonal), 2 * square
    reject(
        equal(normals, 2 * raw) or equal(signs, 2 * (raw - raw_diagonal)),
        "z J z sees the symmetric part (J + Jᵀ) / 2 only: rotation costs nothing.",
    )
    reject(
        equal(normals, 2 * float((jacobian * jacobian.T).sum())),
        "this is the trace of J J. Each entry of the symmetric part has to be squared.",
    )
    reject(equal(normals, 8 * square), "J + Jᵀ is not yet the symmetric part: half of it is.")
    reject(
        equal(signs, wanted[1]) and equal(normals, wanted[0]),
        "the two are swapped: signs have z² = 1, so the diagonal adds nothing to theirs.",
    )
    reject(
        equal(signs, square - diagonal) or equal(normals, square),
        "a factor 2 is missing: each pair i < j stands in the sum twice.",
    )
    reject(
        equal(signs, 2 * wanted[0]),
        "each pair is counted twice: 4 belongs to a sum over i < j, 2 to one over i ≠ j.",
    )
    reject(
        equal(normals, wanted[0] + diagonal) or equal(normals, wanted[0] + 3 * diagonal),
        "for normal z the variance of z² is 2, so the diagonal adds 2 S_ii² each.",
    )
    reject(
        equal(signs, wanted[0] ** 0.5) or equal(normals, wanted[1] ** 0.5),
        "these are roots. Variances are asked for.",
    )
    reject(
        equal(normals, wanted[1] / jacobian.numel()),
        "the squares are averaged over the entries. They add up.",
    )
    reject(equal(signs, normals), "both are equal. For signs, z² = 1 does not vary.")
    reject(
        abs(signs / wanted[0] - 1) < 0.2
        and abs(normals / wanted[1] - 1) < 0.2
        and not (equal(signs, wanted[0]) or equal(normals, wanted[1])),
        "close, as an estimate from draws is. The formula needs no draws.",
    )
    reject(
        equal(signs, wanted[1] - diagonal),
        "the diagonal leaves as it came: twice the square of each S_ii.",
    )
    reject(
        equal(signs, wanted[1]) and equal(normals, wanted[1] + 2 * diagonal),
        "the sum over all i and j holds the diagonal already. With signs it is taken out.",
    )
    reject(
        equal(signs, wanted[1] - 2 * float(half.trace()) ** 2),
        "each S_ii is squared, then they are added: not the square of the trace.",
    )
    reject(
        equal(signs, 0.0),
        "for signs z² = 1, but the pairs z_i z_j change their sign. Only the diagonal is known.",
    )
    require(
        equal(signs, wanted[0]) and equal(normals, wanted[1]),
        f"for the check's 4 x 4 matrix they are {wanted[0]:.3f} and {wanted[1]:.3f};"
        f" yours are {signs:.3f} and {normals:.3f}.",
    )


@exercise("a density became bits of whole-number pixels")
def check_bits(bits: Callable[..., Any]) -> None:
    """Exercise 4: bits per dimension of pixels from a log-density, with the right offset."""
    # The last is a density that is very high: bits per dimension may be negative.
    cases = [(100.0, 64, 2 / 16), (-300.0, 784, 2 / 255), (-3000.0, 10, 1 / 256), (900.0, 3, 0.5)]
    found = [bits(*case) for case in cases]
    two, log2 = math.log(2), math.log2

    def is_bits(made: Callable[[float, int, float], float]) -> bool:
        pairs = zip(found, cases, strict=True)
        return all(equal(ours, made(*case), atol=1e-3) for ours, case in pairs)

    reject(
        is_bits(lambda p, d, w: -p / d / two + log2(w)),
        "the offset has the wrong sign: narrow bins hold less, so they cost more bits.",
    )
    reject(
        is_bits(lambda p, d, w: p / d / two - log2(w)),
        "a likely picture must cost few bits: minus the log-density.",
    )
    reject(
        is_bits(lambda p, d, w: p / d / two + log2(w)),
        "both signs are turned: what is likely costs few bits, and narrow bins cost more.",
    )
    reject(is_bits(lambda p, d, w: -p / d - log2(w)), "log p is in nats: divide by log 2.")
    reject(
        is_bits(lambda p, d, w: -p / d - math.log(w)),
        "these are nats throughout: a bit is log 2 of them.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d / two - math.log(w)),
        "log p is in bits, the width of a bin is not yet: take its log2.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d * two - log2(w)),
        "nats become bits when they are divided by log 2, not multiplied.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d / two),
        "the width of a bin is missing: these are bits of a density, which mean nothing alone.",
    )
    reject(
        is_bits(lambda p, d, w: -p / two - d * log2(w)),
        "these are bits of a picture: divide by its number of pixels.",
    )
    reject(
        is_bits(lambda p, d, w: -p / two - log2(w)),
        "the log-density is that of a whole picture: divide it by the number of pixels.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d / two - log2(w) / d),
        "the width of a bin is divided by the number of pixels. Each pixel has its own bin.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d / two + 7) or is_bits(lambda p, d, w: -p / d / two + 8),
        "7 and 8 are right for 256 levels on [-1, 1] and on [0, 1] only. Use the width.",
    )
    width = [bits(100.0, 64, w) for w in (0.125, 0.5)]
    reject(equal(width[0], width[1], 1e-9), "`bin_width` changes nothing.")
    dims = [bits(100.0, d, 0.125) for d in (64, 784)]
    reject(equal(dims[0], dims[1], 1e-9), "`dims` changes nothing.")
    reject(
        is_bits(lambda p, d, w: max(0.0, -p / d / two - log2(w)))
        or is_bits(lambda p, d, w: abs(-p / d / two - log2(w))),
        "a density may be as high as it likes, so bits per dimension may be negative.",
    )
    reject(
        is_bits(lambda p, d, w: (-p / d - math.log(w)) * two),
        "both terms are multiplied by log 2. Bits are nats divided by it.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d / two - 1 / w) or is_bits(lambda p, d, w: -p / d / two - w),
        "the width multiplies a density, so its logarithm is added: -log2(bin_width).",
    )
    require(
        is_bits(lambda p, d, w: -p / d / two - log2(w)),
        "uniform pixels of 17 levels, so log p = -64 log(17 / 8), must give log2(17) = 4.09.",
    )
    batch = torch.tensor([100.0, -300.0], dtype=torch.float64)
    require(
        equal(bits(batch, 64, 0.125), -batch / 64 / two - log2(0.125)),
        "right for one picture. For a tensor of log-densities, one answer for each is asked for.",
    )
