"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch02 import (
    check_active_units,
    check_forgot_the_half,
    check_kl_to_prior,
    check_sample_posterior,
)


def kl(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var)


def used(values, threshold, latent):
    return min(latent, int((values > threshold).sum()))


def test_right_answers_pass() -> None:
    assert check_kl_to_prior(lambda m, a: kl(m, a).sum(1))
    assert check_sample_posterior(lambda m, a, eps: m + (0.5 * a).exp() * eps)
    assert check_forgot_the_half(lambda: ("C", 0.5))
    assert check_forgot_the_half(lambda: ["c", 1 / 2])
    assert check_active_units(lambda v, sigma, beta, latent: used(v, beta * sigma**2, latent))


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_kl_to_prior, lambda m, a: 2 * kl(m, a).sum(1), "the half is missing"),
    (check_kl_to_prior, lambda m, a: -kl(m, a).sum(1), "the sign is turned"),
    (check_kl_to_prior, lambda m, a: kl(m, a), "one number for each coordinate"),
    (check_kl_to_prior, lambda m, a: kl(m, a).mean(1), "beta = 1 / latent in disguise"),
    (check_kl_to_prior, lambda m, a: kl(m, a).sum(1).mean(), "for the whole batch"),
    (check_kl_to_prior, lambda m, a: kl(m, 2 * a).sum(1), "that of the variance"),
    (
        check_kl_to_prior,
        lambda m, a: 0.5 * (m**2 + a.exp() - a).sum(1),
        "a term is missing",
    ),
    (check_kl_to_prior, lambda m, a: kl(m, a).sum(1).numpy(), "yours is a ndarray"),
    (check_kl_to_prior, lambda m, a: kl(m, a).sum(0), "over the batch"),
    (check_kl_to_prior, lambda m, a: kl(m, a).sum(1, keepdim=True), "its shape is [5, 1]"),
    (
        check_kl_to_prior,
        lambda m, a: (0.5 * m**2 + a.exp() - 1 - a).sum(1),
        "belongs to all four",
    ),
    (check_kl_to_prior, lambda m, a: (kl(m, a) + a).sum(1), "logarithm has the wrong sign"),
    (check_kl_to_prior, lambda m, a: (kl(m, a) + 0.5 * (m - m**2)).sum(1), "by its square"),
    (
        check_kl_to_prior,
        lambda m, a: 0.5 * ((1 + m**2) / a.exp() - 1 + a).sum(1),
        "KL(prior || q)",
    ),
    (
        check_kl_to_prior,
        lambda m, a: 0.5 * ((m**2 + a.exp() - a).sum(1) - 1),
        "inside the sum",
    ),
    (check_kl_to_prior, lambda m, a: (m**2).sum(1), "does not equal the divergence"),
    (check_sample_posterior, lambda m, a, eps: m + a.exp() * eps, "by the variance"),
    (check_sample_posterior, lambda m, a, eps: m + a * eps, "by the logarithm itself"),
    (
        check_sample_posterior,
        lambda m, a, eps: (m + (0.5 * a).exp() * eps).detach().numpy(),
        "yours is a ndarray",
    ),
    (
        check_sample_posterior,
        lambda m, a, eps: (m + (0.5 * a).exp() * eps).sum(1),
        "its shape is [6]",
    ),
    (check_sample_posterior, lambda m, a, eps: m + (-0.5 * a).exp() * eps, "without a minus"),
    (check_sample_posterior, lambda m, a, eps: m + (2 * a).exp() * eps, "not exp(2 a)"),
    (check_sample_posterior, lambda m, a, eps: m + 0.5 * a.exp() * eps, "inside the exponential"),
    (check_sample_posterior, lambda m, a, eps: (0.5 * a).exp() * eps, "the mean is missing"),
    (check_sample_posterior, lambda m, a, eps: m + eps, "log_var is not used"),
    (check_sample_posterior, lambda m, a, eps: m, "there is no noise"),
    (
        check_sample_posterior,
        lambda m, a, eps: torch.normal(m, (0.5 * a).exp()),
        "noise of your own",
    ),
    (
        check_sample_posterior,
        lambda m, a, eps: (m + (0.5 * a).exp() * eps).detach(),
        "it is detached",
    ),
    (
        check_sample_posterior,
        lambda m, a, eps: m + (0.5 * a.detach()).exp() * eps,
        "no gradient reaches `log_var`",
    ),
    (
        check_sample_posterior,
        lambda m, a, eps: m.detach() + (0.5 * a).exp() * eps,
        "no gradient reaches `mean`",
    ),
    (check_forgot_the_half, lambda: "C", "give a pair"),
    (check_forgot_the_half, lambda: (0.5, "C"), "the letter first"),
    (check_forgot_the_half, lambda: ("C", "1/2"), "beta as a number"),
    (check_forgot_the_half, lambda: ("A", 1.0), "the loss of the chapter"),
    (check_forgot_the_half, lambda: ("B", 2.0), "A times two"),
    (check_forgot_the_half, lambda: ("D", 1.0), "D is A"),
    (check_forgot_the_half, lambda: ("E", 1.0), "one of A, B, C and D"),
    (check_forgot_the_half, lambda: ("C", 2.0), "counts less than"),
    (check_forgot_the_half, lambda: ("C", 0.25), "do not count it twice"),
    (check_forgot_the_half, lambda: ("C", 1.0), "divide C by two"),
    (check_active_units, lambda v, s, b, n: int((v > b * s**2).sum()), "cannot use more than 2"),
    (check_active_units, lambda v, s, b, n: used(v, b * s, n), "sigma squared"),
    (check_active_units, lambda v, s, b, n: used(v, s**2, n), "beta does not matter"),
    (check_active_units, lambda v, s, b, n: used(v, s**2 / b, n), "you divide by beta"),
    (check_active_units, lambda v, s, b, n: used(v, b, n), "sigma does not matter"),
    (check_active_units, lambda v, s, b, n: used(v, b**0.5 * s**2, n), "it is 6, not"),
    (check_active_units, lambda v, s, b, n: used(-v, -b * s**2, n), "stay dark"),
    (check_active_units, lambda v, s, b, n: v > b * s**2, "yours has the shape [6]"),
    (check_active_units, lambda v, s, b, n: 2.5, "whole number"),
    (check_active_units, lambda v, s, b, n: n, "not all coordinates are used"),
    (check_active_units, lambda v, s, b, n: 0, "it is 6, not 0"),
    (
        check_kl_to_prior,
        lambda m, a: 0.5 * (m**2 + (0.5 * a).exp() - 1 - a).sum(1),
        "neither its root nor its square",
    ),
    (check_kl_to_prior, lambda m, a: kl(m, 0.5 * a).sum(1), "neither its root nor its square"),
    (check_kl_to_prior, lambda m, a: (m**2 + a - 1 - a.log()).sum(1), "a logarithm already"),
    (check_kl_to_prior, lambda m, a: kl(m, a).sum(1) / math.log(2), "in bits"),
    (check_sample_posterior, lambda m, a, eps: m + 0.5 * a * eps, "exp is missing"),
    (check_sample_posterior, lambda m, a, eps: m - (0.5 * a).exp() * eps, "add it"),
    (
        check_sample_posterior,
        lambda m, a, eps: m + (0.5 * a).exp() * torch.randn_like(m),
        "noise of your own",
    ),
    (
        check_active_units,
        lambda v, s, b, n: int((v[:n] > b * s**2).sum()),
        "in any order",
    ),
    (check_active_units, lambda v, s, b, n: used(v, (b * s) ** 2, n), "you square beta"),
    (check_active_units, lambda v, s, b, n: used(v.sqrt(), b * s**2, n), "root of the eigenvalues"),
    (check_sample_posterior, lambda m, a, eps: m + a.tanh() * eps, "no draw made of the"),
]
