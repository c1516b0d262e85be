"""The exercises of chapter 11: the way back, the doubled noise, a divergence's variance, bits."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("one drift for every way back")
def check_drift(drift: Callable[..., Any]) -> None:
    """Exercise 1: the drift of the reverse process with any noise strength."""
    x, score = torch.randn(2, 5, 3, dtype=torch.float64)
    f, g = -0.7, 1.9

    def is_drift(made: Callable[[float], Tensor]) -> bool:
        return all(equal(drift(x, score, f, g, n), made(n)) for n in (0.0, 0.6, 1.0, 2.0))

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
        is_drift(lambda n: -f * x - (1 + n**2) / 2 * g**2 * score),
        "the sign of f x is turned as well. dx/dt keeps f x as it is; time runs back in the step.",
    )
    require(
        is_drift(with_factor(lambda n: (1 + n**2) / 2 * g**2)),
        "it is not f x minus some multiple of g² score that fits the Fokker-Planck equation.",
    )


@exercise("noise once, with the right size and the right shape")
def check_step(step: Callable[..., Any]) -> None:
    """Exercise 2: an Euler-Maruyama step with the noise doubled, to be repaired."""
    n, h = 200_000, 0.04
    start = torch.full((n,), 0.5, dtype=torch.float64)

    def move(g: float) -> tuple[float, float, float]:
        x = step(start, lambda x: -x, g, h, torch.randn_like)
        rest = x - x.mean()
        return float(x.mean()), float(rest.var()), float((rest**4).mean() / rest.var() ** 2)

    (mean, var, kurtosis), (_, wide, _) = move(1.5), move(3.0)
    right = 1.5**2 * h

    def near(ours: float, theirs: float) -> bool:
        return abs(ours / theirs - 1) < 0.05

    reject(var < 1e-12, "there is no noise at all: this is Euler's method for an ODE.")
    reject(
        near(var, right) and kurtosis > 4,
        f"the variance is right and the shape is not: the kurtosis is {kurtosis:.1f}, a Gaussian"
        " has 3. Noise is multiplied by noise: g must not draw any.",
    )
    reject(
        near(var, right * h),
        "sqrt(h) is there twice. The variance of a step is g² h, not g² h².",
    )
    reject(near(var, right / h), "sqrt(h) is missing from the noise.")
    reject(
        near(var, 2 * right),
        "there are two draws, and their variances add to twice what is right.",
    )
    reject(
        near(wide / var, 16),
        "g stands squared in the noise. The noise is g sqrt(h) z; g² belongs into a drift.",
    )
    require(
        near(var, right) and near(wide, 4 * right),
        f"the variance of a step is {var:.4f}; with g = 1.5 and h = {h} it is {right:.4f}.",
    )
    require(
        abs(mean - 0.5 * (1 - h)) < 0.01,
        f"the noise is right, the mean is not: from 0.5 the drift -x leads to {0.5 * (1 - h):.3f}.",
    )


@exercise("signs vary by the pairs, normals by the diagonal too")
def check_variances(variances: Callable[..., Any]) -> None:
    """Exercise 3: the variance of z J z for random signs and for normal z."""
    jacobian = torch.randn(4, 4, dtype=torch.float64)
    both = variances(jacobian)
    require(
        isinstance(both, (tuple, list)) and len(both) == 2,
        "return two numbers: the variance with signs, and the one with normals.",
    )
    signs, normals = (float(v) for v in both)
    half = (jacobian + jacobian.T) / 2
    square, diagonal = float(half.square().sum()), float(half.diag().square().sum())
    raw = float(jacobian.square().sum())
    raw_diagonal = float(jacobian.diag().square().sum())
    reject(
        equal(normals, 2 * raw) or equal(signs, 2 * (raw - raw_diagonal)),
        "z J z sees the symmetric part (J + Jᵀ) / 2 only: rotation costs nothing.",
    )
    reject(
        equal(signs, 2 * square) and equal(normals, 2 * (square - diagonal)),
        "the two are swapped: signs have z² = 1, so the diagonal adds nothing to theirs.",
    )
    reject(
        equal(signs, square - diagonal) or equal(normals, square),
        "a factor 2 is missing: each pair i < j stands in the sum twice.",
    )
    reject(equal(signs, normals), "both are equal. For signs, z² = 1 does not vary.")
    require(
        equal(signs, 2 * (square - diagonal)) and equal(normals, 2 * square),
        f"for the check's 4 x 4 matrix they are {2 * (square - diagonal):.3f} and"
        f" {2 * square:.3f}; yours are {signs:.3f} and {normals:.3f}.",
    )


@exercise("a density became bits of whole-number pixels")
def check_bits(bits: Callable[..., Any]) -> None:
    """Exercise 4: bits per dimension of pixels from a log-density, with the right offset."""
    cases = [(100.0, 64, 2 / 16), (-300.0, 784, 2 / 255), (0.0, 10, 1 / 256)]
    log = torch.tensor

    def is_bits(made: Callable[[float, int, float], float]) -> bool:
        return all(equal(bits(*case), made(*case), atol=1e-3) for case in cases)

    two = float(log(2.0).log())

    def offset(width: float) -> float:
        return float(log(width).log2())

    reject(
        is_bits(lambda p, d, w: -p / d / two + offset(w)),
        "the offset has the wrong sign: narrow bins hold less, so they cost more bits.",
    )
    reject(
        is_bits(lambda p, d, w: p / d / two - offset(w)),
        "a likely picture must cost few bits: minus the log-density.",
    )
    reject(is_bits(lambda p, d, w: -p / d - offset(w)), "log p is in nats: divide by log 2.")
    reject(
        is_bits(lambda p, d, w: -p / d / two),
        "the width of a bin is missing: these are bits of a density, which mean nothing alone.",
    )
    reject(
        is_bits(lambda p, d, w: -p / two - d * offset(w)),
        "these are bits of a picture: divide by its number of pixels.",
    )
    reject(
        is_bits(lambda p, d, w: -p / d / two + 7) or is_bits(lambda p, d, w: -p / d / two + 8),
        "7 and 8 are right for 256 levels on [-1, 1] and on [0, 1] only. Use the width.",
    )
    require(
        is_bits(lambda p, d, w: -p / d / two - offset(w)),
        "uniform pixels of 17 levels, so log p = -64 log(17 / 8), must give log2(17) = 4.09.",
    )
