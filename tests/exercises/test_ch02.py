"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.exercises.ch02 import (
    check_active_units,
    check_best_width,
    check_forgot_the_half,
    check_tilted_draw,
)


def second(mean, log_var):
    return mean**2 + log_var.exp()


root = torch.linalg.cholesky


def tilted(mean, cov, eps):
    return mean + eps @ root(cov).T


def symmetric_root(cov):
    values, vectors = torch.linalg.eigh(cov)
    return vectors @ values.sqrt().diag() @ vectors.T


def used(values, threshold, latent):
    return min(latent, int((values > threshold).sum()))


def test_right_answers_pass() -> None:
    assert check_best_width(lambda m, a: second(m, a).mean().sqrt())
    assert check_best_width(lambda m, a: (sum(second(m, a).mean(0).tolist()) / 3) ** 0.5)
    assert check_best_width(lambda m, a: second(m.double(), a.double()).mean().sqrt()[None])
    assert check_tilted_draw(tilted)
    assert check_tilted_draw(lambda m, s, e: torch.stack([m + root(s) @ one for one in e]))
    assert check_tilted_draw(lambda m, s, e: m + e @ symmetric_root(s))
    assert check_forgot_the_half(lambda: ("C", 0.5))
    assert check_forgot_the_half(lambda: ["c", 1 / 2])
    assert check_active_units(lambda v, sigma, beta, latent: used(v, beta * sigma**2, latent))


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_best_width, lambda m, a: (m**2 + a.exp()).mean(), "that is c²"),
    (check_best_width, lambda m, a: (m**2 + a.exp()).mean() ** -0.5, "that is 1 / c"),
    (check_best_width, lambda m, a: (m**2).mean() ** 0.5, "only the means"),
    (check_best_width, lambda m, a: a.exp().mean() ** 0.5, "only the spreads"),
    (check_best_width, lambda m, a: m.std(), "deviation of the means alone"),
    (
        check_best_width,
        lambda m, a: ((m**2 + a.exp()).mean() - m.mean() ** 2).sqrt(),
        "the prior stands at 0",
    ),
    (check_best_width, lambda m, a: second(m, 2 * a).mean().sqrt(), "that of the variance"),
    (check_best_width, lambda m, a: second(m, a).sum(1).mean().sqrt(), "pays log c as well"),
    (check_best_width, lambda m, a: second(m, a).sqrt().mean(), "you average roots"),
    (check_best_width, lambda m, a: second(m, a).mean(0).sqrt(), "for each coordinate"),
    (check_best_width, lambda m, a: second(m, a).sqrt(), "yours has the shape [40, 3]"),
    (check_best_width, lambda m, a: (-a).exp().mean() ** -0.5, "Here q stands first"),
    (check_best_width, lambda m, a: 1.0, "the chapter's prior"),
    (check_best_width, lambda m, a: second(m, a).mean().sqrt() * 1.1, "larger than it need be"),
    (check_tilted_draw, lambda m, s, e: tilted(m, s, e).detach().numpy(), "yours is a ndarray"),
    (check_tilted_draw, lambda m, s, e: tilted(m, s, e).sum(1), "its shape is [6]"),
    (check_tilted_draw, lambda m, s, e: tilted(m, s, torch.randn(6, 3)), "noise of your own"),
    (check_tilted_draw, lambda m, s, e: m + e @ s.sqrt(), "there is nan in it"),
    (check_tilted_draw, lambda m, s, e: m + 0 * e, "there is no noise"),
    (check_tilted_draw, lambda m, s, e: m + s.diagonal().sqrt() * e, "independent"),
    (check_tilted_draw, lambda m, s, e: m + e @ s, "by the covariance"),
    (check_tilted_draw, lambda m, s, e: e @ root(s).T, "the mean is missing"),
    (check_tilted_draw, lambda m, s, e: 2 * m + e @ root(s).T, "zero noise must give"),
    (check_tilted_draw, lambda m, s, e: tilted(m, s, e**2), "linear in eps"),
    (check_tilted_draw, lambda m, s, e: m + e @ root(s), "in *rows*"),
    (check_tilted_draw, lambda m, s, e: m + 2 * e @ root(s).T, "is not cov"),
    (check_tilted_draw, lambda m, s, e: tilted(m, s, e).detach(), "it is detached"),
    (check_tilted_draw, lambda m, s, e: tilted(m, s.detach(), e), "reaches `cov`"),
    (check_tilted_draw, lambda m, s, e: tilted(m.detach(), s, e), "reaches `mean`"),
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
        check_active_units,
        lambda v, s, b, n: int((v[:n] > b * s**2).sum()),
        "in any order",
    ),
    (check_active_units, lambda v, s, b, n: used(v, (b * s) ** 2, n), "you square beta"),
    (check_active_units, lambda v, s, b, n: used(v.sqrt(), b * s**2, n), "root of the eigenvalues"),
]
