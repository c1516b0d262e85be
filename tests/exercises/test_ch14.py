"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.ch14 import check_elsewhere, check_excess, check_mix, check_sigma_of


def tilde(bar, t, s):
    return (1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[s])


def sigma_of(bar, t, s, eta):
    return eta * tilde(bar, t, s).sqrt()


def on(table):
    """The table of a public code, with the entry of time 0 put back."""
    return torch.cat([table.new_ones(1), table])


def levels(bar):
    return bar.sqrt(), (1 - bar).sqrt()


def said(x_t, x_s, bar, t, s):
    """The x_0 and eps that two states of a deterministic walk share."""
    alpha, sigma = levels(bar)
    eps = (x_s / alpha[s] - x_t / alpha[t]) / (sigma[s] / alpha[s] - sigma[t] / alpha[t])
    return (x_t - sigma[t] * eps) / alpha[t], eps


def put(x_0, eps, bar, at):
    alpha, sigma = levels(bar)
    return alpha[at] * x_0 + sigma[at] * eps


def elsewhere(x_t, x_s, bar, t, s, r):
    return put(*said(x_t, x_s, bar, t, s), bar, r)


def line(clock, straight=True, back=True):
    """Straight over a clock, in x / alpha or in x itself."""

    def answer(x_t, x_s, bar, t, s, r):
        alpha, at = bar.sqrt(), clock(bar)
        a, b = (x_t / alpha[t], x_s / alpha[s]) if straight else (x_t, x_s)
        return (alpha[r] if back else 1) * (a + (at[r] - at[t]) / (at[s] - at[t]) * (b - a))

    return answer


def time(bar):
    return torch.arange(len(bar)).double()


def n(bar):
    return ((1 - bar) / bar).sqrt()


def straight(answer):
    """An answer in x / alpha from the two states and n at the three times."""
    return lambda x, y, bar, t, s, r: (
        bar[r].sqrt() * answer(x / bar[t].sqrt(), y / bar[s].sqrt(), *n(bar)[[t, s, r]])
    )


def of_said(answer):
    """An answer from x_0, eps, the levels and the three times."""
    return lambda x_t, x_s, bar, t, s, r: answer(*said(x_t, x_s, bar, t, s), *levels(bar), t, s, r)


def excess(bar, t, s, variance):
    beta = 1 - bar[t] / bar[s]
    return bar[s] * beta**2 * (1 - variance) / (bar[t] * variance + 1 - bar[t])


def marginal(bar, t, variance):
    return bar[t] * variance + 1 - bar[t]


def exact(bar, t, s, variance):
    return marginal(bar, s, variance) / marginal(bar, t, variance) * (1 - bar[t] / bar[s])


def wrong(answer):
    return lambda table, t, s, eta: answer(on(table), t, s, eta)


def test_right_answers_pass() -> None:
    assert check_sigma_of(lambda table, *told: sigma_of(on(table), *told))
    assert check_sigma_of(
        lambda table, *told: float(sigma_of(on(table), *told))
    )  # a plain number will do
    assert check_elsewhere(elsewhere)
    assert check_elsewhere(line(n))
    assert check_elsewhere(lambda x, y, *at: elsewhere(x.float(), y.float(), *at).tolist())
    assert check_excess(excess)
    assert check_mix(lambda e, w: w @ e / w.norm())
    assert check_mix(
        lambda e, w: sum(float(a) * b for a, b in zip(w, e, strict=True)) / float((w @ w) ** 0.5)
    )


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_sigma_of, wrong(lambda bar, t, s, eta: eta * tilde(bar, t, s)), "a variance"),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: (eta * tilde(bar, t, s)).sqrt()),
        "outside of the root",
    ),
    (check_sigma_of, wrong(lambda bar, t, s, eta: tilde(bar, t, s).sqrt()), "eta changes nothing"),
    (check_sigma_of, wrong(lambda bar, t, s, eta: eta * (1 - bar[t] / bar[s]).sqrt()), "sigma-hat"),
    (
        check_sigma_of,
        wrong(
            lambda bar, t, s, eta: (
                eta * ((1 - bar[t]) / (1 - bar[s]) * (1 - bar[t] / bar[s])).sqrt()
            )
        ),
        "upside down",
    ),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: eta * (1 - bar[s]).sqrt()),
        "all the noise up to t",
    ),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: eta * tilde(bar.sqrt(), t, s).sqrt()),
        "no root of its",
    ),
    (check_sigma_of, wrong(lambda bar, t, s, eta: eta**2 * tilde(bar, t, s).sqrt()), "there twice"),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: (1 - eta) * tilde(bar, t, s).sqrt()),
        "here it adds none",
    ),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: eta * tilde(bar, s, t).sqrt()),
        "negative number",
    ),
    (check_sigma_of, wrong(lambda bar, t, s, eta: eta * tilde(bar, t, t - 1).sqrt()), "t to t - 1"),
    (
        check_sigma_of,
        wrong(
            lambda bar, t, s, eta: (
                eta * ((1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[t - 1])).sqrt()
            )
        ),
        "a single step",
    ),
    (
        check_sigma_of,
        wrong(
            lambda bar, t, s, eta: eta * (1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[s]).sqrt()
        ),
        "both fractions",
    ),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: (1 - bar[s] - eta**2 * tilde(bar, t, s)).sqrt()),
        "old direction",
    ),
    (check_sigma_of, wrong(lambda bar, t, s, eta: sigma_of(bar, t, s, eta)[None]), "one number"),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, eta: sigma_of(bar, t, s, max(eta, 0.3))),
        "eta = 0 nothing",
    ),
    (
        check_sigma_of,
        lambda _, t, s, eta: sigma_of(linear().alpha_bar, t, s, eta),
        "`alphas_cumprod`",
    ),
    (check_elsewhere, lambda x, y, *at: x, "nothing moved"),
    (check_elsewhere, lambda x, y, *at: y, "r changes nothing"),
    (check_elsewhere, lambda *at: elsewhere(*at).mean(), "the shape of x_t"),
    (check_elsewhere, line(time, False, False), "neither in x nor over t"),
    (check_elsewhere, line(n, False, False), "not x itself"),
    (check_elsewhere, line(time), "over n, not over t"),
    (check_elsewhere, line(lambda bar: levels(bar)[1]), "is straight over n = sigma"),
    (check_elsewhere, line(lambda bar: n(bar) ** 2), "its root is missing"),
    (check_elsewhere, line(lambda bar: n(bar).log()), "not over its logarithm"),
    (check_elsewhere, lambda x, y, bar, t, *at: (bar[t] - 1).sqrt() * x, "there is nan"),
    (check_elsewhere, lambda x, y, bar, t, s, r: elsewhere(x, y, bar, t, r, s), "is not alpha_r"),
    (
        check_elsewhere,
        lambda x, y, bar, t, s, r: (
            bar[r] * line(lambda bar: 1 / bar, False, False)(x / bar[t], y / bar[s], bar, t, s, r)
        ),
        "roots are missing",
    ),
    (check_elsewhere, line(n, back=False), "Come back"),
    (check_elsewhere, lambda x, y, bar, *at: elsewhere(x, y, bar.roll(1), *at), "begins with time"),
    (check_elsewhere, of_said(lambda x, e, *at: x), "guess of x_0"),
    (check_elsewhere, of_said(lambda x, e, a, b, t, s, r: a[r] * x), "noise is gone"),
    (
        check_elsewhere,
        straight(lambda a, b, t, s, r: b + (r - t) / (s - t) * (b - a)),
        "begin at s",
    ),
    (check_elsewhere, straight(lambda a, b, t, s, r: a + (s - t) / (r - t) * (b - a)), "upside"),
    (
        check_elsewhere,
        lambda x, y, bar, t, s, r: (
            (bar[r] / bar[t]).sqrt() * x + (1 - bar[r] / bar[t]).sqrt() * said(x, y, bar, t, s)[1]
        ),
        "as if eps were fresh",
    ),
    (check_elsewhere, of_said(lambda x, e, a, b, t, s, r: a[r] * x + b[t] * e), "stays at t"),
    (
        check_elsewhere,
        lambda x, y, bar, t, s, r: elsewhere(x, y, linear().alpha_bar, t, s, r),
        "argument `alpha_bar`",
    ),
    (
        check_excess,
        lambda bar, t, s, v: bar[s] * (1 - bar[t] / bar[s]) ** 2 / (1 - bar[t]),
        "beta minus beta-tilde",
    ),
    (
        check_excess,
        lambda bar, t, s, v: (
            -bar[s] * (1 - bar[t] / bar[s]) ** 2 * v / ((1 - bar[t]) * (bar[t] * v + 1 - bar[t]))
        ),
        "which is a lack",
    ),
    (check_excess, lambda bar, t, s, v: -excess(bar, t, s, v), "the sign"),
    (check_excess, lambda bar, t, s, v: 1 - bar[t] / bar[s], "all that sigma-hat adds"),
    (check_excess, lambda bar, t, s, v: 0 * bar[t], "not the difference"),
    (check_excess, lambda bar, t, s, v: exact(bar, t, s, v), "the exact variance"),
    (
        check_excess,
        lambda bar, t, s, v: (1 - bar[t] / bar[s]) ** 2 - exact(bar, t, s, v),
        "the variance already",
    ),
    (
        check_excess,
        lambda bar, t, s, v: 1 - bar[t] / bar[s] - marginal(bar, s, v),
        "over all data",
    ),
    (
        check_excess,
        lambda bar, t, s, v: (
            (1 - bar[t] / bar[s]) * (1 - marginal(bar, t, v) / marginal(bar, s, v))
        ),
        "upside down",
    ),
    (
        check_excess,
        lambda bar, t, s, v: (1 - bar[t] / bar[s]).sqrt() - exact(bar, t, s, v).sqrt(),
        "difference of spreads",
    ),
    (check_excess, lambda bar, t, s, v: excess(bar, t, s, v**2), "do not square"),
    (
        check_excess,
        lambda bar, t, s, v: marginal(bar, s, v) - bar[t] / bar[s] * marginal(bar, t, v),
        "the way up",
    ),
    (check_excess, lambda bar, t, s, v: excess(bar, t, s, v)[None], "one number"),
    (check_excess, lambda bar, t, s, v: excess(linear().alpha_bar, t, s, v), "argument"),
    (check_mix, lambda e, w: w @ e, "the plain mix"),
    (check_mix, lambda e, w: w @ e / w.sum(), "the weights add up to 1 now"),
    (check_mix, lambda e, w: w @ e / (w**2).sum(), "divided by its root"),
    (check_mix, lambda e, w: (w / w.sum()).sqrt() @ e, "the ratio of the roots"),
    (check_mix, lambda e, w: w @ e / (w @ e).norm() * 400**0.5, "you force the length"),
    (check_mix, lambda e, w: w @ e / (w @ e).std(), "happened to have"),
    (check_mix, lambda e, w: e.mean(0) * 3**0.5, "the weights change nothing"),
    (check_mix, lambda e, w: w[:, None] * e / w.norm(), "has the shape [3, 400]"),
    (check_mix, lambda e, w: w @ e / w.max(), "it is not right"),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, e: sigma_of(bar, t + 1, s + 1, e)),
        "one step late. The table",
    ),
    (
        check_excess,
        lambda bar, t, s, v: excess(bar, t, s, v) / (1 - bar[t] / bar[s]),
        "beta enters twice",
    ),
    (
        check_excess,
        lambda bar, t, s, v: excess(bar, t, s, v) * marginal(bar, t, v) / marginal(bar, s, v),
        "divide by v_t",
    ),
    (check_excess, lambda bar, t, s, v: excess(bar, t, s, v) ** 0.5, "this is a root"),
    (check_excess, lambda bar, t, s, v: exact(bar, t, s, v) - tilde(bar, t, s), "eta = 1 lacks"),
    (
        check_sigma_of,
        wrong(lambda bar, t, s, e: sigma_of(bar.roll(-1), t, s, e)),
        "begins at time 1",
    ),
    (check_sigma_of, wrong(lambda bar, t, s, e: sigma_of(bar.cumprod(0), t, s, e)), "is done"),
    (check_sigma_of, lambda table, t, s, e: sigma_of(table, t - 1, s - 1, e), "the *last* entry"),
    (
        check_sigma_of,
        lambda table, t, s, e: sigma_of(table, t - 1, max(s - 1, 0), e),
        "where alpha_bar is 1",
    ),
]
