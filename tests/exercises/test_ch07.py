"""Chapter 7: wrong answers are caught, each by its own diagnosis, and solutions pass."""

from itertools import product

import pytest
import torch

from course_lib.exercises.ch07 import (
    SYMPTOMS,
    check_alpha_bar,
    check_conversions,
    check_final_variance,
    check_means,
    check_repaired_sampler,
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


def right_factor(beta, now, before):
    return (1 - beta) ** 0.5 * before / now


def walk(
    factor=right_factor,
    power=2,
    start=1.0,
    last=1,
):
    """A whole walk down, with one of its parts changed."""

    def answer(beta, alpha_bar, s, added):
        v = alpha_bar * s**2 + 1 - alpha_bar
        variance = v[-1] if start is None else start
        for t in range(len(beta) - 1, last - 1, -1):
            variance = factor(beta[t], v[t], v[t - 1]) ** power * variance + added[t]
        return variance

    return answer


def final_variance(beta, alpha_bar, s, added):
    """The same from the exact step: its mean's variance is v_s - exact where x_t is right."""
    v = alpha_bar * s**2 + 1 - alpha_bar
    share = (v[:-1] - beta[1:] * v[:-1] / v[1:]) / v[1:]
    variance = 1.0
    for one, noise in zip(share.flip(0).tolist(), added[1:].flip(0).tolist(), strict=True):
        variance = one * variance + noise
    return variance


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
    (check_final_variance, lambda b, a, s, added: s**2, "a right walk"),
    (check_final_variance, lambda *given: walk()(*given) ** 0.5, "a standard deviation"),
    (check_final_variance, walk(power=1), "has the square"),
    (check_final_variance, lambda b, a, s, added: walk()(b, a, s, added**2), "as they are"),
    (check_final_variance, walk(lambda b, now, before: (1 - b) ** 0.5), "the way *up*"),
    (check_final_variance, walk(lambda b, now, before: (1 - b) ** -0.5), "undoes the shrinking"),
    (check_final_variance, walk(last=2), "ends at x_1"),
    (check_final_variance, walk(start=None), "pure noise of variance 1"),
    (check_final_variance, lambda b, a, s, added: walk()(b, a, s**0.5, added), "squared"),
    (check_final_variance, lambda b, a, s, added: walk()(b, a, 0, added), "signal as well"),
    (check_final_variance, lambda b, a, s, added: b, "one number"),
    (check_final_variance, lambda *given: 0.5, "ends with the variance"),
    (
        check_final_variance,
        lambda b, a, s, added: walk()(b, a, 0.4, added),
        "right for one case",
    ),
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
]


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (check_alpha_bar, padded),
        (check_means, means),
        (check_conversions, x_0_and_v),
        (check_repaired_sampler, sampler_with_bugs),
        (check_final_variance, final_variance),
        (check_final_variance, walk()),
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
