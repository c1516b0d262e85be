"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.ch14 import check_excess, check_mix, check_sigma_of, check_step_up


def tilde(bar, t, s):
    return (1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[s])


def sigma_of(bar, t, s, eta):
    return eta * tilde(bar, t, s).sqrt()


def on(table):
    """The table of a public code, with the entry of time 0 put back."""
    return torch.cat([table.new_ones(1), table])


def step_up(x, eps, bar, s, t):
    x_0 = (x - (1 - bar[s]).sqrt() * eps) / bar[s].sqrt()
    return bar[t].sqrt() * x_0 + (1 - bar[t]).sqrt() * eps


def excess(bar, t, s, variance):
    beta = 1 - bar[t] / bar[s]
    return bar[s] * beta**2 * (1 - variance) / (bar[t] * variance + 1 - bar[t])


def marginal(bar, t, variance):
    return bar[t] * variance + 1 - bar[t]


def exact(bar, t, s, variance):
    return marginal(bar, s, variance) / marginal(bar, t, variance) * (1 - bar[t] / bar[s])


def put(x_0, eps, bar, t):
    return bar[t].sqrt() * x_0 + (1 - bar[t]).sqrt() * eps


def levels(bar, s, t):
    return tuple(((1 - bar[i]) / bar[i]).sqrt() for i in (s, t))


def wrong(answer):
    return lambda table, t, s, eta: answer(on(table), t, s, eta)


def test_right_answers_pass() -> None:
    assert check_sigma_of(lambda table, *told: sigma_of(on(table), *told))
    assert check_sigma_of(
        lambda table, *told: float(sigma_of(on(table), *told))
    )  # a plain number will do
    assert check_step_up(step_up)
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
    (check_step_up, lambda x, e, bar, s, t: step_up(x, e, bar, t, s), "walks down"),
    (
        check_step_up,
        lambda x, e, bar, s, t: bar[t].sqrt() * x + (1 - bar[t]).sqrt() * e,
        "as if it were x_0",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: step_up(x, e, bar, s, t) / bar[t].sqrt(),
        "Come back",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: (
            bar[t].sqrt() * (x / bar[s].sqrt() - (levels(bar, s, t)[1] - levels(bar, s, t)[0]) * e)
        ),
        "wrong sign",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: bar[t] * (x - (1 - bar[s]) * e) / bar[s] + (1 - bar[t]) * e,
        "roots are missing",
    ),
    (check_step_up, lambda x, e, bar, s, t: x, "nothing moved"),
    (check_step_up, lambda x, e, bar, s, t: step_up(x, e, bar, s - 1, t - 1), "not alpha_t x_0"),
    (
        check_step_up,
        lambda x, e, bar, s, t: (bar[t] / bar[s]).sqrt() * x + (1 - bar[t] / bar[s]).sqrt() * e,
        "the noising chain",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: put((x - (1 - bar[t]).sqrt() * e) / bar[s].sqrt(), e, bar, t),
        "there is that of s",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: (
            step_up(x, e, bar, s, t) + ((1 - bar[s]).sqrt() - (1 - bar[t]).sqrt()) * e
        ),
        "both must move",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: put((x + (1 - bar[s]).sqrt() * e) / bar[s].sqrt(), e, bar, t),
        "subtract the noise",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: put(x - (1 - bar[s]).sqrt() * e, e, bar, t),
        "Divide by alpha_s",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: (x - (1 - bar[s]).sqrt() * e) / bar[s].sqrt(),
        "Now put it",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: step_up(x, e, bar, s, t) - (1 - bar[t]).sqrt() * e,
        "the noise is gone",
    ),
    (
        check_step_up,
        lambda x, e, bar, s, t: put(
            ((x - (1 - bar[s]).sqrt() * e) / bar[s].sqrt()).clamp(-1, 1), e, bar, t
        ),
        "this clips",
    ),
    (check_step_up, lambda x, e, bar, s, t: step_up(x, e, bar, s, t).mean(), "shape of x_s"),
    (check_step_up, lambda x, e, bar, s, t: step_up(x, e, linear().alpha_bar, s, t), "argument"),
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
