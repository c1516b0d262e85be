"""Chapter 1: wrong answers are caught, each by its own diagnosis, and solutions pass."""

import math

import pytest
import torch

from course_lib.exercises.ch01 import (
    check_bits,
    check_corrected_average,
    check_denoiser,
    check_divergence,
    check_posterior,
)


def each(mean_q, std_q, mean_p, std_p):
    ratio = (std_q / std_p) ** 2
    return 0.5 * (ratio + ((mean_q - mean_p) / std_p) ** 2 - 1 - ratio.log())


def divergence(mean_q, std_q, mean_p, std_p):
    return each(mean_q, std_q, mean_p, std_p).sum(1)


def posterior(mean, variance, y_1, sigma_1, y_2, sigma_2):
    a, b, c = 1 / variance, 1 / sigma_1**2, 1 / sigma_2**2
    return (a * mean + b * y_1 + c * y_2) / (a + b + c), 1 / (a + b + c)


def wrong_mean(formula):
    """A wrong mean beside the right variance."""
    return lambda *arguments: (formula(*arguments), posterior(*arguments)[1])


def wrong_variance(formula):
    return lambda *arguments: (posterior(*arguments)[0], formula(*arguments))


def ignores_its_arguments(*_):
    return posterior(*(torch.tensor(n) for n in (0.5, 2.0, 1.4, 0.6, -0.3, 0.9)))


def score_of(y, log_density):
    y = y.detach().requires_grad_()
    return torch.autograd.grad(log_density(y).sum(), y)[0]


def denoiser(y, log_density, alpha, sigma):
    return (y + sigma**2 * score_of(y, log_density)) / alpha


def with_history(y, log_density, alpha, sigma):
    y = y.detach().requires_grad_()
    (score,) = torch.autograd.grad(log_density(y).sum(), y)
    return (y + sigma**2 * score) / alpha


def from_score(formula):
    return lambda y, log_density, alpha, sigma: formula(y, score_of(y, log_density), alpha, sigma)


def bits(log_density, dims, levels, low, high):
    return -log_density / dims / math.log(2) - math.log2((high - low) / levels)


def offset(formula):
    """Bits without an offset, and a wrong one."""

    def answer(log_density, dims, levels, low, high):
        return -log_density / dims / math.log(2) + formula(levels, low, high)

    return answer


def corrected_average(values, decay):
    average = 0.0
    for value in values:
        average = decay * average + (1 - decay) * value
    return average / (1 - decay ** len(values))


def uncorrected(values, decay):
    return corrected_average(values, decay) * (1 - decay ** len(values))


def from_the_first(values, decay):
    average = values[0]
    for value in values[1:]:
        average = decay * average + (1 - decay) * value
    return average


def first_twice(values, decay):
    return uncorrected(values, decay) + decay ** len(values) * values[0]


def gap(apart, std):
    return (apart / (2 * std**2)).sum(1)


def half_of_the_last(m, s, n, r):
    return (2 * torch.log(r / s) - 1 + 0.5 * (s**2 + (m - n) ** 2) / r**2).sum(1)


def weighted(values, variances):
    total = sum(1 / v for v in variances)
    return sum(x / v for x, v in zip(values, variances, strict=True)) / total, 1 / total


def corrected_at_each_step(values, decay):
    average = 0.0
    for n, value in enumerate(values, start=1):
        average = (decay * average + (1 - decay) * value) / (1 - decay**n)
    return average


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_divergence, each, "Add them up"),
    (check_divergence, lambda *a: each(*a).mean(1), "mean over coordinates"),
    (check_divergence, lambda *a: each(*a).sum(), "one per example"),
    (check_divergence, lambda *a: 2 * divergence(*a), "the half"),
    (check_divergence, lambda *a: divergence(*a) / math.log(2), "in bits"),
    (check_divergence, lambda m, s, n, t: divergence(n, t, m, s), "KL(p || q)"),
    (check_divergence, lambda m, s, n, t: divergence(m, s**0.5, n, t**0.5), "square them"),
    (check_divergence, lambda *a: divergence(*a).numpy(), "yours is a ndarray"),
    (check_divergence, lambda *a: (divergence(*a), 1), "yours is a tuple"),
    (check_divergence, lambda *a: -divergence(*a), "sign is turned"),
    (check_divergence, lambda *a: each(*a).sum(0), "over the batch"),
    (check_divergence, lambda *a: each(*a).sum(1, keepdim=True), "its shape is [6, 1]"),
    (
        check_divergence,
        lambda m, s, n, t: divergence(m, s, n, t) + (s / t).log().sum(1) / 2,
        "ratio of the standard deviations",
    ),
    (check_divergence, lambda m, s, n, t: divergence(m, s, m, t), "distance of the means"),
    (check_divergence, lambda *a: divergence(*a) + 1.0, "one per coordinate"),
    (check_divergence, lambda *a: divergence(*a) + 1.5, "-1 is missing"),
    (
        check_divergence,
        lambda m, s, n, t: divergence(m, s, n, t) + 2 * (s / t).log().sum(1),
        "upside down",
    ),
    (
        check_divergence,
        lambda m, s, n, t: divergence(m, s, n, t) + (s / t).log().sum(1),
        "ratio is missing",
    ),
    (
        check_divergence,
        lambda m, s, n, t: divergence(m, s, n, t) - 0.5 * (s / t).square().sum(1),
        "own variance is missing",
    ),
    (check_divergence, lambda m, s, n, t: (m - n).square().sum(1), "the integral"),
    (check_posterior, lambda *a: posterior(*a)[0], "return two things"),
    (check_posterior, lambda *a: (None, posterior(*a)[1]), "is None"),
    (check_posterior, lambda *a: posterior(*a)[::-1], "the mean first"),
    (
        check_posterior,
        lambda *a: (posterior(*a)[0] / posterior(*a)[1], posterior(*a)[1]),
        "Divide it by the sum",
    ),
    (check_posterior, ignores_its_arguments, "wrong for other numbers"),
    (check_posterior, wrong_variance(lambda *a: 1 / posterior(*a)[1]), "that is the precision"),
    (check_posterior, wrong_variance(lambda *a: posterior(*a)[1] ** 0.5), "standard deviation"),
    (
        check_posterior,
        wrong_variance(lambda m, v, y, s, z, t: v + s**2 + t**2),
        "densities are multiplied",
    ),
    (
        check_posterior,
        lambda m, v, y, s, z, t: posterior(m, v, y, s, 0 * z, 1e9 * t),
        "second measurement",
    ),
    (
        check_posterior,
        lambda m, v, y, s, z, t: posterior(m, v, 0 * y, 1e9 * s, z, t),
        "first measurement",
    ),
    (check_posterior, lambda m, v, *a: posterior(m, 1e9 * v, *a), "prior is left out"),
    (
        check_posterior,
        lambda m, v, y, s, z, t: posterior(m, v, y, s**0.5, z, t**0.5),
        "square sigma_1",
    ),
    (
        check_posterior,
        wrong_mean(lambda m, v, y, s, z, t: (m * v + y * s**2 + z * t**2) / (v + s**2 + t**2)),
        "noisiest counts most",
    ),
    (check_posterior, wrong_mean(lambda m, v, y, s, z, t: (m + y + z) / 3), "plain average"),
    (check_posterior, wrong_variance(lambda m, v, *a: v), "not 1 over the sum"),
    (check_posterior, wrong_mean(lambda m, *a: m), "weighted by precision"),
    (check_denoiser, from_score(lambda y, s, a, g: s), "that is the score"),
    (check_denoiser, from_score(lambda y, s, a, g: y + g**2 * s), "divide by alpha"),
    (check_denoiser, from_score(lambda y, s, a, g: (y + g * s) / a), "sigma squared"),
    (check_denoiser, from_score(lambda y, s, a, g: (y - g**2 * s) / a), "a sign"),
    (check_denoiser, from_score(lambda y, s, a, g: y / a), "undoes the shrinking"),
    (check_denoiser, from_score(lambda y, s, a, g: y / a + g**2 * s), "the score's too"),
    (check_denoiser, from_score(lambda y, s, a, g: y), "it is not E[x | y]"),
    (check_denoiser, from_score(lambda y, s, a, g: (y + g**2 * s / 8) / a), "no mean"),
    (check_denoiser, from_score(lambda y, s, a, g: (y + s / g**2) / a), "not divided"),
    (check_denoiser, lambda *a: denoiser(*a).numpy(), "yours is a ndarray"),
    (check_denoiser, lambda *a: denoiser(*a).mean(0), "its shape is [2]"),
    (check_denoiser, with_history, "gradient history"),
    (check_bits, lambda *a: -bits(*a), "sign is turned"),
    (check_bits, lambda *a: bits(*a) * math.log(2), "nats per dimension"),
    (check_bits, lambda x, dims, *a: bits(x, dims, *a) * dims, "whole image"),
    (check_bits, offset(lambda n, low, high: 0), "the offset is missing"),
    (check_bits, offset(lambda n, low, high: math.log2((high - low) / n)), "wrong sign"),
    (check_bits, offset(lambda n, low, high: math.log2(n)), "for [0, 1] only"),
    (check_bits, offset(lambda n, low, high: -math.log((high - low) / n)), "in nats and the rest"),
    (check_bits, lambda x, d, n, *a: bits(x, d, n - 1, *a), "`levels` bins"),
    (
        check_bits,
        lambda x, d, n, low, high: -x / (d * math.log(2)) - math.log2((high - low) / n) / d,
        "not divided again",
    ),
    (check_bits, offset(lambda n, low, high: 1.0), "do not agree"),
    (check_bits, offset(lambda n, low, high: 7), "that of 256 levels"),
    (check_bits, offset(lambda n, low, high: -math.log2(high - low)), "the whole range"),
    (
        check_bits,
        lambda x, d, n, low, high: -x / math.log(2) - math.log2((high - low) / n),
        "divide it by dims",
    ),
    (check_bits, lambda *a: bits(*a).mean(), "one per image"),
    (check_bits, lambda *a: float(bits(*a)[0]), "yours is a float"),
    (check_bits, lambda *a: bits(*a)[:, None], "its shape is [5, 1]"),
    (check_bits, offset(lambda n, low, high: 3.0 if n < 256 else 7.0), "must cost 8 bits"),
    (check_corrected_average, uncorrected, "without its correction"),
    (check_corrected_average, lambda v, d: uncorrected(v, d) / (1 - d), "power n"),
    (
        check_corrected_average,
        lambda v, d: uncorrected(v, d) / (1 - d ** (len(v) - 1)),
        "off by one",
    ),
    (
        check_corrected_average,
        lambda v, d: uncorrected(v, d) / (1 - d ** (len(v) + 1)),
        "off by one",
    ),
    (check_corrected_average, lambda v, d: corrected_average(v, 1 - d), "swapped"),
    (check_corrected_average, lambda v, d: uncorrected(v, 1 - d), "swapped"),
    (check_corrected_average, lambda v, d: v.mean(), "plain mean"),
    (check_corrected_average, from_the_first, "starts at the first value"),
    (check_corrected_average, first_twice, "starts at the first value"),
    (check_corrected_average, lambda v, d: corrected_average(v, d) / (1 - d), "enters in full"),
    (check_corrected_average, lambda v, d: corrected_average(v.flip(0), d), "order is turned"),
    (check_corrected_average, lambda v, d: corrected_average(v, d)[None], "return one number"),
    (check_corrected_average, lambda v, d: v[-1], "not the weighted mean"),
    (
        check_corrected_average,
        lambda v, d: uncorrected(v, d) / (1 - 0.9**12),
        "times the value 3",
    ),
    (check_divergence, half_of_the_last, "the half is in front of the last term only"),
    (
        check_divergence,
        lambda m, s, n, r: divergence(m, s, n, r) - gap((m - n) ** 2, r) + gap((m - n).abs(), r),
        "by its square",
    ),
    (
        check_divergence,
        lambda m, s, n, r: (torch.log(r / s) + 0.5 * ((m - n) / s) ** 2).sum(1),
        "p's variance",
    ),
    (
        check_divergence,
        lambda m, s, n, r: divergence(m, s, 0 * n, torch.ones_like(r)),
        "from N(0, I)",
    ),
    (
        check_posterior,
        lambda m, v, y, s, z, r: weighted([m, y, z], [v**2, s**2, r**2]),
        "do not square it",
    ),
    (
        check_posterior,
        lambda m, v, y, s, z, r: weighted([m, (y + z) / 2], [v, (s**2 + r**2) / 4]),
        "one measurement of the two first",
    ),
    (
        check_posterior,
        lambda m, v, y, s, z, r: (
            m + v / (v + s**2) * (y - m) + v / (v + r**2) * (z - m),
            weighted([m, y, z], [v, s**2, r**2])[1],
        ),
        "pull at the old mean",
    ),
    (check_denoiser, from_score(lambda y, s, a, n: a * (y + n**2 * s)), "divides by it"),
    (check_denoiser, from_score(lambda y, s, a, n: (y + s) / a), "by sigma squared"),
    (
        check_denoiser,
        lambda y, p, a, n: denoiser(y, lambda y: p(y).exp(), a, n),
        "a logarithm already",
    ),
    (
        check_bits,
        lambda p, d, n, low, high: -p / d - math.log2((high - low) / n),
        "divide the first by log 2",
    ),
    (
        check_bits,
        lambda p, d, n, low, high: p / d / math.log(2) - math.log2((high - low) / n),
        "likely images cost little",
    ),
    (
        check_bits,
        lambda p, d, n, low, high: (-p / d - math.log((high - low) / n)) * math.log(2),
        "you multiply",
    ),
    (check_corrected_average, lambda v, d: uncorrected(v, 1 - d) / (1 - d ** len(v)), "swapped"),
    (check_corrected_average, lambda v, d: uncorrected(v, d) / d ** len(v), "weight of the start"),
    (check_corrected_average, corrected_at_each_step, "corrected before"),
]


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (check_divergence, divergence),
        (check_posterior, posterior),
        (check_denoiser, denoiser),
        (check_bits, bits),
        (check_corrected_average, corrected_average),
    ],
    ids=lambda value: value.__name__,
)
def test_solution_passes(check, solution) -> None:
    assert check(solution)


def test_solutions_pass_under_the_double_precision_of_the_chapter() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert check_divergence(divergence) and check_posterior(posterior)
        assert check_denoiser(denoiser) and check_bits(bits)
        assert check_corrected_average(corrected_average)
    finally:
        torch.set_default_dtype(torch.float32)
