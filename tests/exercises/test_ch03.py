"""Chapter 3: wrong answers are caught, each by its own diagnosis, and solutions pass."""

import math

import pytest
import torch

from course_lib.exercises.ch03 import (
    check_complete_bound,
    check_continuous_loss,
    check_path_bound,
    check_posterior,
    incomplete_bound,
)


def posterior(x_t, x_0, alpha_t, sigma_t, alpha_s, sigma_s):
    keep = alpha_t / alpha_s
    fresh = sigma_t**2 - keep**2 * sigma_s**2
    mean = (keep * sigma_s**2 * x_t + alpha_s * fresh * x_0) / sigma_t**2
    return mean, fresh * sigma_s**2 / sigma_t**2


def variance_for_each(x_t, *rest):
    mean, variance = posterior(x_t, *rest)
    return mean, variance.expand_as(x_t)


def wrong_variance(formula):
    """Levels are (keep, fresh, sigma_t², sigma_s²)."""

    def answer(x_t, x_0, a_t, n_t, a_s, n_s):
        keep = a_t / a_s
        fresh = n_t**2 - keep**2 * n_s**2
        mean = posterior(x_t, x_0, a_t, n_t, a_s, n_s)[0]
        return mean, formula(keep, fresh, n_t**2, n_s**2)

    return answer


def wrong_mean(formula):
    """Factors are those of x_0 and x_t in the right answer; keep and alpha_s follow."""

    def answer(x_t, x_0, a_t, n_t, a_s, n_s):
        keep = a_t / a_s
        fresh = n_t**2 - keep**2 * n_s**2
        of_x_0, of_x_t = a_s * fresh / n_t**2, keep * n_s**2 / n_t**2
        variance = posterior(x_t, x_0, a_t, n_t, a_s, n_s)[1]
        return formula(x_0, x_t, of_x_0, of_x_t, keep, a_s), variance

    return answer


def path_bound(path, log_q, log_p, log_prior, first=1, last=0):
    bound = -log_prior(path[-1])
    for t in range(first, len(path) - last):
        bound = bound + log_q(path[t], path[t - 1], t) - log_p(path[t - 1], path[t], t)
    return bound


def steps_alone(path, log_q, log_p, log_prior):
    return path_bound(path, log_q, log_p, lambda x: 0 * x)


def with_steps(share):
    """The end right, the steps multiplied."""

    def answer(path, log_q, log_p, log_prior):
        return -log_prior(path[-1]) + share(path) * steps_alone(path, log_q, log_p, log_prior)

    return answer


def continuous_loss(mmse, log_snr, t):
    return -0.5 * torch.trapezoid(mmse(log_snr), log_snr.exp())


def over_t(weight):
    return lambda mmse, log_snr, t: torch.trapezoid(weight(log_snr) * mmse(log_snr), t)


def complete_bound(alpha_bar, std):
    last = alpha_bar[-1]
    L_T = 0.5 * (last * std**2 + (1 - last) - 1 - torch.log(1 - last))
    return incomplete_bound(alpha_bar, std) + L_T


def with_L_T(change):
    def answer(alpha_bar, std):
        short = incomplete_bound(alpha_bar, std)
        return short + change(complete_bound(alpha_bar, std) - short, alpha_bar[-1], std)

    return answer


def of_all_x_T(L_T, last, std):
    total = last * std**2 + 1 - last
    return 0.5 * (total - 1 - total.log())


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_posterior, lambda x_t, *rest: x_t, "return two things"),
    (check_posterior, wrong_variance(lambda keep, fresh, n_t, n_s: fresh), "the fresh noise"),
    (check_posterior, wrong_variance(lambda keep, fresh, n_t, n_s: n_s), "x_t tells something"),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: (fresh * n_s / n_t).sqrt()),
        "the standard deviation",
    ),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: (n_t - n_s) * n_s / n_t),
        "the old noise shrinks",
    ),
    (check_posterior, wrong_variance(lambda keep, fresh, n_t, n_s: n_t), "the variance is not"),
    (check_posterior, lambda *a: posterior(*a)[::-1], "the mean first"),
    (check_posterior, lambda x, *a: (posterior(x, *a)[0], x), "the mean first"),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: (1 - keep**2) * n_s / n_t),
        "only where alpha² + sigma² = 1",
    ),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: fresh * (n_s / n_t).sqrt()),
        "compare by squares",
    ),
    (check_posterior, wrong_mean(lambda x_0, x_t, A, B, keep, a: A * x_t + B * x_0), "swapped"),
    (check_posterior, wrong_mean(lambda x_0, x_t, A, B, keep, a: a * x_0), "x_t is not in your"),
    (
        check_posterior,
        wrong_mean(lambda x_0, x_t, A, B, keep, a: A / a * x_0 + B * x_t),
        "lacks alpha_s",
    ),
    (
        check_posterior,
        wrong_mean(lambda x_0, x_t, A, B, keep, a: A * x_0 + B / keep * x_t),
        "lacks keep",
    ),
    (check_posterior, wrong_mean(lambda x_0, x_t, A, B, keep, a: x_t), "complete the square"),
    (check_path_bound, steps_alone, "log p(x_T) is missing"),
    (check_path_bound, lambda *a: -path_bound(*a), "lower bound"),
    (check_path_bound, lambda *a: path_bound(*a, first=2), "t = 1 is missing"),
    (check_path_bound, lambda *a: path_bound(*a, last=1), "t = T is missing"),
    (
        check_path_bound,
        lambda path, q, p, prior: steps_alone(path, q, p, prior) - prior(path[0]),
        "not of the data",
    ),
    (check_path_bound, with_steps(lambda path: 1 / (len(path) - 1)), "of a path multiply"),
    (check_path_bound, with_steps(lambda path: -1), "the wrong sign"),
    (check_path_bound, lambda *a: path_bound(*a).mean(), "for each path"),
    (check_path_bound, lambda *a: path_bound(*a).sum(), "for each path"),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(path, lambda t, s, i: q(s, t, i), p, prior),
        "log_q takes",
    ),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(path, q, lambda s, t, i: p(t, s, i), prior),
        "log_p takes",
    ),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(
            path, lambda *a: q(*a[:2], a[2] - 1), lambda *a: p(*a[:2], a[2] - 1), prior
        ),
        "they count from 1",
    ),
    (check_path_bound, with_steps(lambda path: 3), "it is not -log p(x_T)"),
    (check_continuous_loss, lambda *a: 2 * continuous_loss(*a), "twice too large"),
    (check_continuous_loss, lambda *a: -continuous_loss(*a), "SNR falls with t"),
    (check_continuous_loss, lambda mmse, log_snr, t: mmse(log_snr), "not its integrand"),
    (check_continuous_loss, lambda *a: continuous_loss(*a) / math.log(2), "these are bits"),
    (
        check_continuous_loss,
        lambda mmse, log_snr, t: -0.5 * torch.trapezoid(log_snr.exp(), mmse(log_snr)),
        "swapped",
    ),
    (check_continuous_loss, over_t(lambda log_snr: 0.5), "the plain mean over t"),
    (check_continuous_loss, over_t(lambda log_snr: 1.0), "the plain mean over t"),
    (check_continuous_loss, over_t(torch.exp), "L_simple's"),
    (
        check_continuous_loss,
        lambda mmse, log_snr, t: -0.5 * torch.trapezoid(mmse(log_snr), log_snr),
        "a factor SNR is missing",
    ),
    (
        check_continuous_loss,
        lambda mmse, log_snr, t: (
            0.5 * (log_snr[0] - log_snr[-1]) * torch.trapezoid(mmse(log_snr) * log_snr.exp(), t)
        ),
        "slow at first",
    ),
    (check_complete_bound, incomplete_bound, "still missing"),
    (check_complete_bound, lambda alpha_bar, std: alpha_bar, "return one number"),
    (check_complete_bound, lambda *a: complete_bound(*a) - incomplete_bound(*a), "L_T alone"),
    (check_complete_bound, with_L_T(lambda L_T, last, std: 2 * L_T), "twice too large"),
    (check_complete_bound, lambda *a: complete_bound(*a) / math.log(2), "these are bits"),
    (check_complete_bound, with_L_T(of_all_x_T), "all x_T together"),
    (check_complete_bound, with_L_T(lambda L_T, last, std: L_T / math.log(2)), "in nats"),
    (check_complete_bound, with_L_T(lambda L_T, last, std: -L_T), "add it"),
    (
        check_complete_bound,
        with_L_T(lambda L_T, last, std: -0.5 * (1 - last).log()),
        "the logarithm alone",
    ),
    (check_complete_bound, with_L_T(lambda L_T, last, std: 3 * L_T), "the bound is"),
    (
        check_posterior,
        lambda x_t, x_0, a_t, n_t, a_s, n_s: (
            posterior(x_t, x_0, a_t, n_t, a_s, n_s)[0],
            (1 - a_s**2) * (1 - (a_t / a_s) ** 2) / (1 - a_t**2),
        ),
        "You are given the sigmas",
    ),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: (n_t - keep * n_s) * n_s / n_t),
        "by keep²",
    ),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: (n_t - n_s / keep**2) * n_s / n_t),
        "upside down",
    ),
    (
        check_posterior,
        wrong_variance(lambda keep, fresh, n_t, n_s: n_t / (fresh * n_s)),
        "the precision",
    ),
    (
        check_posterior,
        lambda x_t, x_0, a_t, n_t, a_s, n_s: posterior(x_t, x_0, a_s, n_s, a_t, n_t),
        "t and s are swapped",
    ),
    (
        check_posterior,
        lambda x_t, x_0, a_t, n_t, a_s, n_s: (
            a_s * x_0 + n_s * (x_t - a_t * x_0) / n_t,
            posterior(x_t, x_0, a_t, n_t, a_s, n_s)[1],
        ),
        "DDIM's step",
    ),
    (check_posterior, wrong_mean(lambda x, y, a, b, k, _: k * a * x + b * y), "so alpha_s"),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(path, q, p, prior) + 2 * prior(path[-1]),
        "log p(x_T) has the wrong sign",
    ),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(path, lambda *_: 0, p, prior),
        "the forward steps are missing",
    ),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(path, lambda x, y, t: q(x, y, t - 1), p, prior),
        "told t - 1",
    ),
    (
        check_path_bound,
        lambda path, q, p, prior: path_bound(path, q, lambda x, y, t: p(x, y, t - 1), prior),
        "told t - 1",
    ),
    (
        check_path_bound,
        lambda path, *rest: path_bound(path, *rest) / (len(path) - 1),
        "not their mean",
    ),
    (
        check_continuous_loss,
        lambda mmse, s, t: -0.5 * torch.trapezoid(s.exp() * mmse(s), s.exp()),
        "in it twice",
    ),
    (
        check_continuous_loss,
        lambda mmse, s, t: -0.5 * torch.trapezoid(mmse(s.exp()), s.exp()),
        "`mmse` takes the log SNR",
    ),
    (
        check_continuous_loss,
        lambda mmse, s, t: -0.5 * torch.trapezoid(mmse(t), s.exp()),
        "`mmse` takes the log SNR",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * (a * s - a - torch.log(1 - a))),
        "`std` is s",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * (-a - torch.log(1 - a))),
        "the mean of x_T is missing",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * (a.sqrt() * s**2 - a - torch.log(1 - a))),
        "its square is alpha_bar_T",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * (a * s**2 - a + torch.log(1 - a))),
        "the logarithm has the wrong sign",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * (a * s**2 - a)),
        "of the divergence is missing",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * ((1 + a * s**2) / (1 - a) - 1 + torch.log(1 - a))),
        "q stands first",
    ),
    (
        check_complete_bound,
        with_L_T(lambda L, a, s: 0.5 * torch.log(1 + s**2 * a / (1 - a))),
        "what x_T knows",
    ),
]


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (check_posterior, posterior),
        (check_posterior, variance_for_each),
        (check_path_bound, path_bound),
        (check_continuous_loss, continuous_loss),
        (check_complete_bound, complete_bound),
    ],
    ids=lambda value: value.__name__,
)
def test_solution_passes(check, solution) -> None:
    assert check(solution)


def test_the_colleagues_bound_lies_below_the_entropy_and_the_whole_one_above() -> None:
    alpha_bar = torch.cat([torch.ones(1), torch.linspace(0.98, 0.5, 60)]).double()
    for std in (0.7, 1.0):
        entropy = 0.5 * math.log(2 * math.pi * math.e * std**2)
        assert incomplete_bound(alpha_bar, std) < entropy < complete_bound(alpha_bar, std)
