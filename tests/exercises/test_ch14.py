"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

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


def angle_of(a, b):
    return torch.arccos(a @ b / (a.norm() * b.norm()))


def slerp(a, b, w):
    angle = angle_of(a, b)
    return (((1 - w) * angle).sin() * a + (w * angle).sin() * b) / angle.sin()


def levels(bar, s, t):
    return tuple(((1 - bar[i]) / bar[i]).sqrt() for i in (s, t))


def test_right_answers_pass() -> None:
    assert check_sigma_of(sigma_of)
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
    (check_sigma_of, lambda bar, t, s, eta: 0 * bar[t], "equation 16"),
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
    (check_step_up, lambda x, e, bar, s, t: x, "not alpha_t x_0"),
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
    (check_excess, lambda bar, t, s, v: 1 - bar[t] / bar[s], "not the difference"),
    (check_slerp, lambda a, b, w: (1 - w) * a + w * b, "straight line"),
    (check_slerp, lambda a, b, w: slerp(a, b, 1 - w), "swapped"),
    (check_slerp, lambda a, b, w: slerp(a, b, w) * angle_of(a, b).sin(), "whole angle"),
    (
        check_slerp,
        lambda a, b, w: ((1 - w) * a + w * b) / ((1 - w) * a + w * b).norm() * 20,
        "turns by equal angles",
    ),
    (check_slerp, lambda a, b, w: 2 * slerp(a, b, w), "not as long"),
    (check_slerp, lambda a, b, w: slerp(a, b, w**2), "not at that angle"),
    (check_slerp, lambda a, b, w: a[:5], "a vector like"),
]
