"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.ch14 import check_excess, check_sigma_of, check_slerp, check_step_up


def tilde(bar, t, s):
    return (1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[s])


def sigma_of(bar, t, s, eta):
    return eta * tilde(bar, t, s).sqrt()


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


def angle_of(a, b):
    return torch.arccos(a @ b / (a.norm() * b.norm()))


def slerp(a, b, w):
    angle = angle_of(a, b)
    return (((1 - w) * angle).sin() * a + (w * angle).sin() * b) / angle.sin()


def arc(a, b, w, angle):
    return (((1 - w) * angle).sin() * a + (w * angle).sin() * b) / angle.sin()


def put(x_0, eps, bar, t):
    return bar[t].sqrt() * x_0 + (1 - bar[t]).sqrt() * eps


def levels(bar, s, t):
    return tuple(((1 - bar[i]) / bar[i]).sqrt() for i in (s, t))


def test_right_answers_pass() -> None:
    assert check_sigma_of(sigma_of)
    assert check_sigma_of(lambda *told: float(sigma_of(*told)))  # a plain number will do
    assert check_step_up(step_up)
    assert check_excess(excess)
    assert check_slerp(slerp)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_sigma_of, lambda bar, t, s, eta: eta * tilde(bar, t, s), "a variance"),
    (check_sigma_of, lambda bar, t, s, eta: (eta * tilde(bar, t, s)).sqrt(), "outside of the root"),
    (check_sigma_of, lambda bar, t, s, eta: tilde(bar, t, s).sqrt(), "eta changes nothing"),
    (check_sigma_of, lambda bar, t, s, eta: eta * (1 - bar[t] / bar[s]).sqrt(), "sigma-hat"),
    (
        check_sigma_of,
        lambda bar, t, s, eta: eta * ((1 - bar[t]) / (1 - bar[s]) * (1 - bar[t] / bar[s])).sqrt(),
        "upside down",
    ),
    (check_sigma_of, lambda bar, t, s, eta: eta * (1 - bar[s]).sqrt(), "all the noise up to t"),
    (check_sigma_of, lambda bar, t, s, eta: eta * tilde(bar.sqrt(), t, s).sqrt(), "no root of its"),
    (check_sigma_of, lambda bar, t, s, eta: eta**2 * tilde(bar, t, s).sqrt(), "there twice"),
    (
        check_sigma_of,
        lambda bar, t, s, eta: (1 - eta) * tilde(bar, t, s).sqrt(),
        "here it adds none",
    ),
    (check_sigma_of, lambda bar, t, s, eta: eta * tilde(bar, s, t).sqrt(), "negative number"),
    (check_sigma_of, lambda bar, t, s, eta: eta * tilde(bar, t, t - 1).sqrt(), "t to t - 1"),
    (
        check_sigma_of,
        lambda bar, t, s, eta: (
            eta * ((1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[t - 1])).sqrt()
        ),
        "a single step",
    ),
    (
        check_sigma_of,
        lambda bar, t, s, eta: eta * (1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[s]).sqrt(),
        "both fractions",
    ),
    (
        check_sigma_of,
        lambda bar, t, s, eta: (1 - bar[s] - eta**2 * tilde(bar, t, s)).sqrt(),
        "old direction",
    ),
    (check_sigma_of, lambda bar, t, s, eta: sigma_of(bar, t, s, eta)[None], "one number"),
    (check_sigma_of, lambda bar, t, s, eta: sigma_of(bar, t, s, max(eta, 0.3)), "eta = 0 nothing"),
    (check_sigma_of, lambda bar, t, s, eta: sigma_of(linear().alpha_bar, t, s, eta), "argument"),
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
    (check_slerp, lambda a, b, w: (1 - w) * a + w * b, "straight line"),
    (check_slerp, lambda a, b, w: slerp(a, b, 1 - w), "swapped"),
    (check_slerp, lambda a, b, w: slerp(a, b, w) * angle_of(a, b).sin(), "whole angle"),
    (
        check_slerp,
        lambda a, b, w: ((1 - w) * a + w * b) / ((1 - w) * a + w * b).norm() * a.norm(),
        "turns by equal angles",
    ),
    (check_slerp, lambda a, b, w: 2 * slerp(a, b, w), "not as long"),
    (check_slerp, lambda a, b, w: slerp(a, b, w**2), "not at that angle"),
    (check_slerp, lambda a, b, w: a[:5], "a vector like"),
    (check_slerp, lambda a, b, w: arc(a, b, w, torch.tensor(torch.pi / 2)), "not a right one"),
    (check_slerp, lambda a, b, w: (1 - w) ** 0.5 * a + w**0.5 * b, "roots of the weights"),
    (check_slerp, lambda a, b, w: arc(a, b, w, angle_of(a, b).cos()), "this is the cosine"),
    (check_slerp, lambda a, b, w: arc(a, b, w, angle_of(a, b).cos().arcsin()), "arc sine"),
    (check_slerp, lambda a, b, w: arc(a, b, w, angle_of(a, b).rad2deg()), "radians"),
    (check_slerp, lambda a, b, w: arc(a, b, w, (a @ b).arccos()), "beyond 1"),
    (check_slerp, lambda a, b, w: arc(a, b, w, (a * b).mean().arccos()), "not a mean"),
    (
        check_slerp,
        lambda a, b, w: arc(a, b, w, (a @ b / (a @ a * (b @ b))).arccos()),
        "not by their squares",
    ),
    (check_slerp, lambda a, b, w: slerp(a / a.norm(), b / b.norm(), w), "for the angle only"),
    (
        check_slerp,
        lambda a, b, w: slerp(a / a.norm(), b / b.norm(), w) * len(a) ** 0.5,
        "need not be sqrt",
    ),
    (check_slerp, lambda a, b, w: slerp(a, b, 0.5), "changes nothing"),
    (check_slerp, lambda a, b, w: arc(a, b, w, (a @ b / (a @ a)).arccos()), "twice as long"),
    (
        check_sigma_of,
        lambda bar, t, s, e: sigma_of(bar, t - 1, s - 1, e),
        "begins with alpha_bar_0",
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
]
