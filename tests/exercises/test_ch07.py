"""Chapter 7: wrong answers are caught, each by its own diagnosis, and solutions pass."""

from itertools import product

import pytest
import torch

from course_lib.exercises.ch07 import (
    SYMPTOMS,
    check_alpha_bar,
    check_conversions,
    check_means,
    check_repaired_sampler,
    check_reverse_variance,
    sampler_with_bugs,
)


def products(betas):
    return (1 - betas).cumprod(0)


def padded(betas):
    return torch.cat([torch.ones(1), products(betas)])


def means(x_t, x_0, eps, beta, alpha_bar, t):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    from_x_0 = before.sqrt() * beta[t] * x_0 + (1 - beta[t]).sqrt() * (1 - before) * x_t
    from_eps = (x_t - beta[t] / (1 - now).sqrt() * eps) / (1 - beta[t]).sqrt()
    return from_x_0 / (1 - now), from_eps


def from_x_0(of_x_0, of_x_t):
    """A wrong eq. 7 beside a right eq. 11: factors are functions of beta_t and both alpha_bar."""

    def answer(x_t, x_0, eps, beta, alpha_bar, t):
        known = beta[t], alpha_bar[t], alpha_bar[t - 1]
        wrong = of_x_0(*known) * x_0 + of_x_t(*known) * x_t
        return wrong / (1 - alpha_bar[t]), means(x_t, x_0, eps, beta, alpha_bar, t)[1]

    return answer


def from_eps(formula):
    """A right eq. 7 beside a wrong eq. 11."""

    def answer(x_t, x_0, eps, beta, alpha_bar, t):
        right = means(x_t, x_0, eps, beta, alpha_bar, t)[0]
        return right, formula(x_t, eps, beta[t], alpha_bar[t])

    return answer


def x_0_and_v(eps, x_t, alpha, sigma):
    x_0 = (x_t - sigma * eps) / alpha
    return x_0, alpha * eps - sigma * x_0


def wrong_x_0(formula):
    return lambda eps, x_t, alpha, sigma: (formula(eps, x_t, alpha, sigma), eps)


def wrong_v(formula):
    def answer(eps, x_t, alpha, sigma):
        x_0 = (x_t - sigma * eps) / alpha
        return x_0, formula(x_0, eps, alpha, sigma)

    return answer


def with_bug(k):
    bugs = tuple(i == k for i in range(5))
    return lambda *arguments: sampler_with_bugs(*arguments, bugs)


def reverse_variance(beta, alpha_bar, t, s):
    v = alpha_bar * s**2 + 1 - alpha_bar
    return beta[t] * v[t - 1] / v[t]


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_alpha_bar, products, "alpha_bar_0 = 1"),
    (check_alpha_bar, lambda b: torch.cat([products(b), torch.ones(1)]), "wrong side"),
    (check_alpha_bar, lambda b: torch.cat([torch.zeros(1), products(b)]), "all of it"),
    (check_alpha_bar, lambda b: torch.cat([torch.ones(1), 1 - b]), "running product of all"),
    (check_alpha_bar, lambda b: torch.cat([torch.ones(1), b.cumprod(0)]), "not the betas"),
    (check_alpha_bar, lambda b: padded(b).sqrt(), "without a root"),
    (check_alpha_bar, lambda b: padded(b) + 0.1, "it is not 1, then"),
    (
        check_alpha_bar,
        lambda b: torch.cat([torch.ones(1), 1 - b.cumsum(0)]),
        "the steps before have left",
    ),
    (check_alpha_bar, lambda b: padded(b)[:-1], "the last step is missing"),
    (check_means, lambda x_t, *rest: x_t, "return two tensors"),
    (check_means, lambda *given: (means(*given)[0],) * 2, "must come from eps"),
    (check_means, lambda *given: (means(*given)[1],) * 2, "must come from x_0"),
    (check_means, lambda *given: means(*given)[::-1], "the wrong order"),
    (
        check_means,
        from_x_0(lambda b, now, s: now.sqrt() * b, lambda b, now, s: (1 - b).sqrt() * (1 - s)),
        "the factor of x_0 has alpha_bar[t];",
    ),
    (
        check_means,
        from_x_0(lambda b, now, s: s.sqrt() * b, lambda b, now, s: (1 - b).sqrt() * (1 - now)),
        "the factor of x_t has 1 - alpha_bar[t]",
    ),
    (
        check_means,
        from_x_0(
            lambda b, now, s: s.sqrt() * b * (1 - now),
            lambda b, now, s: (1 - b).sqrt() * (1 - s) * (1 - now),
        ),
        "still to be divided",
    ),
    (
        check_means,
        from_x_0(lambda b, now, s: now.sqrt() * b, lambda b, now, s: (1 - b).sqrt() * (1 - now)),
        "the step before",
    ),
    (
        check_means,
        from_x_0(lambda b, now, s: (1 - b).sqrt() * (1 - s), lambda b, now, s: s.sqrt() * b),
        "swapped",
    ),
    (
        check_means,
        from_x_0(lambda b, now, s: s * b, lambda b, now, s: (1 - b).sqrt() * (1 - s)),
        "root of alpha_bar[t - 1]",
    ),
    (
        check_means,
        from_x_0(lambda b, now, s: s.sqrt() * b, lambda b, now, s: (1 - b) * (1 - s)),
        "the factor of x_t needs the root",
    ),
    (
        check_means,
        from_x_0(lambda b, now, s: s.sqrt() * b, lambda b, now, s: now.sqrt() * (1 - s)),
        "You took alpha_bar_t",
    ),
    (check_means, from_x_0(lambda b, now, s: b, lambda b, now, s: b), "not eq. 7's"),
    (
        check_means,
        from_eps(lambda x, e, b, now: (x - b / (1 - now) * e) / (1 - b).sqrt()),
        "a standard deviation",
    ),
    (check_means, from_eps(lambda x, e, b, now: x - b / (1 - now).sqrt() * e), "bracket"),
    (
        check_means,
        from_eps(lambda x, e, b, now: (x + b / (1 - now).sqrt() * e) / (1 - b).sqrt()),
        "a minus before eps",
    ),
    (
        check_means,
        from_eps(lambda x, e, b, now: (x - (1 - now).sqrt() * e) / now.sqrt()),
        "all the way back",
    ),
    (check_means, from_eps(lambda x, e, b, now: x), "not eq. 11's"),
    (check_conversions, lambda eps, x_t, alpha, sigma: x_t, "return two tensors"),
    (check_conversions, lambda *given: x_0_and_v(*given)[::-1], "the wrong order"),
    (check_conversions, wrong_x_0(lambda e, x, a, s: (x - a * e) / s), "sigma with the noise"),
    (check_conversions, wrong_v(lambda x, e, a, s: a * e + s * x), "a minus before sigma x_0"),
    (check_conversions, wrong_x_0(lambda e, x, a, s: x - s * e), "Divide"),
    (check_conversions, wrong_x_0(lambda e, x, a, s: (x - s**2 * e) / a), "not squared"),
    (check_conversions, wrong_x_0(lambda e, x, a, s: (x - e) / a), "sigma eps, not eps"),
    (check_conversions, wrong_x_0(lambda e, x, a, s: x), "does not solve"),
    (check_conversions, wrong_v(lambda x, e, a, s: s * x - a * e), "opposite sign"),
    (check_conversions, wrong_v(lambda x, e, a, s: a * x - s * e), "alpha goes with the noise"),
    (check_conversions, wrong_v(lambda x, e, a, s: e - x), "velocity of a flow"),
    (check_conversions, wrong_v(lambda x, e, a, s: x), "v is not alpha eps"),
    *[(check_repaired_sampler, with_bug(k), SYMPTOMS[k]) for k in range(5)],
    (
        check_repaired_sampler,
        lambda *arguments: sampler_with_bugs(*arguments, tilde=True),
        "not beta-tilde",
    ),
    (check_repaired_sampler, lambda eps_model, x, T, randn_like: x, "was not there before"),
    (
        check_reverse_variance,
        lambda beta, alpha_bar, t, s: beta * alpha_bar,
        "not a whole table",
    ),
    (
        check_reverse_variance,
        lambda beta, alpha_bar, t, s: reverse_variance(beta, alpha_bar, t, s**0.5),
        "In a variance it stands squared",
    ),
    (check_reverse_variance, lambda beta, alpha_bar, t, s: beta[t], "for s = 1 alone"),
    (
        check_reverse_variance,
        lambda beta, alpha_bar, t, s: beta[t] * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]),
        "for s = 0 alone",
    ),
    (
        check_reverse_variance,
        lambda beta, alpha_bar, t, s: beta[t] ** 2 / reverse_variance(beta, alpha_bar, t, s),
        "upside down",
    ),
    (
        check_reverse_variance,
        lambda beta, alpha_bar, t, s: (
            beta[t] * (s**2 + 1 - alpha_bar[t - 1]) / (s**2 + 1 - alpha_bar[t])
        ),
        "the signal shrinks",
    ),
    (
        check_reverse_variance,
        lambda beta, alpha_bar, t, s: beta[t] * alpha_bar[t - 1] / alpha_bar[t],
        "noise as well as signal",
    ),
    (check_reverse_variance, lambda beta, alpha_bar, t, s: beta[t] / 2, "conditioning gives"),
    (check_alpha_bar, lambda b: torch.cat([torch.ones(1), 1 - b.cumprod(0)]), "take that first"),
    (
        check_alpha_bar,
        lambda b: torch.cat([products(b)[:1], products(b)]),
        "there twice",
    ),
    (
        check_means,
        lambda x_t, x_0, eps, beta, *rest: (
            means(x_t, x_0, eps, beta.roll(-1), *rest)[0],
            means(x_t, x_0, eps, beta, *rest)[1],
        ),
        "beta_t is beta[t]",
    ),
    (
        check_means,
        from_x_0(
            lambda beta, now, before: before.sqrt() * beta * (1 - now) / (1 - before),
            lambda beta, now, before: (1 - beta).sqrt() * (1 - before),
        ),
        "below the line",
    ),
    (
        check_means,
        from_x_0(
            lambda beta, now, before: before.sqrt() * beta,
            lambda beta, now, before: ((1 - beta) * (1 - before) * (1 - now)).sqrt(),
        ),
        "over 1 - beta_t alone",
    ),
    (
        check_means,
        from_eps(lambda x, eps, beta, now: (x - beta / (1 - now).sqrt() * eps) / (1 - beta)),
        "the root is missing",
    ),
    (
        check_means,
        from_eps(lambda x, eps, beta, now: (x - beta / (1 - now).sqrt() * eps) / now.sqrt()),
        "in front of the bracket",
    ),
    (
        check_means,
        from_eps(
            lambda x, eps, beta, now: (x - (beta / (1 - now)).sqrt() * eps) / (1 - beta).sqrt()
        ),
        "stands beta_t, without a root",
    ),
    (
        check_means,
        from_eps(lambda x, eps, beta, now: x - beta / ((1 - now) * (1 - beta)).sqrt() * eps),
        "x_t as well",
    ),
    (check_conversions, wrong_x_0(lambda eps, x, a, s: (x + s * eps) / a), "take it away"),
    (check_conversions, wrong_x_0(lambda eps, x, a, s: (x - s * eps) / a**2), "no alpha_bar"),
    (
        check_conversions,
        wrong_x_0(lambda eps, x, a, s: (x - (1 - a).sqrt() * eps) / a.sqrt()),
        "no alpha_bar",
    ),
    (
        check_conversions,
        wrong_x_0(lambda eps, x, a, s: ((x - s * eps) / a).clamp(-1, 1)),
        "asked for a clip",
    ),
    (check_conversions, wrong_v(lambda x_0, eps, a, s: s * eps - a * x_0), "goes with the noise"),
    (
        check_conversions,
        wrong_v(lambda x_0, eps, a, s: a * eps - s * (a * x_0 + s * eps)),
        "put x_t in for x_0",
    ),
    (
        check_repaired_sampler,
        lambda *a: sampler_with_bugs(*a, upper_end_alone=True),
        "the lower one as well",
    ),
    (
        check_reverse_variance,
        lambda b, a, t, s: s**2 * b[t] + (1 - s**2) * b[t] * (1 - a[t - 1]) / (1 - a[t]),
        "nothing between",
    ),
    (check_reverse_variance, lambda *a: reverse_variance(*a) ** 0.5, "a standard deviation"),
    (
        check_reverse_variance,
        lambda b, a, t, s: b[t] / (a[t] * s**2 + 1 - a[t]),
        "missing above",
    ),
    (
        check_reverse_variance,
        lambda b, a, t, s: reverse_variance(b, torch.cat([a[1:], a[-1:]]), t, s),
        "off by one",
    ),
]


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (check_alpha_bar, padded),
        (check_means, means),
        (check_conversions, x_0_and_v),
        (check_repaired_sampler, sampler_with_bugs),
        (check_reverse_variance, reverse_variance),
    ],
    ids=lambda value: value.__name__,
)
def test_solution_passes(check, solution) -> None:
    assert check(solution)


@pytest.mark.parametrize("bugs", list(product((False, True), repeat=5))[1:])
def test_every_set_of_bugs_is_counted(
    bugs: tuple[bool, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not check_repaired_sampler(lambda *arguments: sampler_with_bugs(*arguments, bugs))
    printed = capsys.readouterr().out
    assert f"{sum(bugs)} of 5 bugs left" in printed
    assert SYMPTOMS[bugs.index(True)] in printed
