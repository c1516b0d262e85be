"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch04 import (
    UNIT,
    check_bound,
    check_half_plane_slope,
    check_numbers_per_unit,
    check_posterior,
)


def posterior(x_t, x_0, beta, keep, rate, *, normalise=True, start=None):
    """Bayes' rule for the two cases, and ways to spoil it."""
    before = keep * x_0 + (1 - keep) * rate if start is None else start
    one = torch.where(x_t > 0.5, 1 - beta * (1 - rate), beta * (1 - rate)) * before
    zero = torch.where(x_t > 0.5, beta * rate, 1 - beta * rate) * (1 - before)
    return one / (one + zero) if normalise else one


def flips(x_t, x_0, beta, keep, rate):
    before = keep * x_0 + (1 - keep) * rate
    one = torch.where(x_t > 0.5, 1 - beta, beta) * before
    zero = torch.where(x_t > 0.5, beta, 1 - beta) * (1 - before)
    return one / (one + zero)


def slope(x, n, c, w):
    return torch.sigmoid(-(x @ n - c) / w)[:, None] * n / w


def inside(x, n, c, w):
    return torch.sigmoid((x @ n - c) / w)[:, None]


def divided(x, n, c, w):
    r = 1 / (1 + torch.exp(-(x @ n - c) / w))
    return (r * (1 - r) / r)[:, None] * n / w


def test_right_answers_pass() -> None:
    assert check_posterior(posterior)
    assert check_numbers_per_unit(lambda k, gain: round((gain - k) / UNIT))
    assert check_half_plane_slope(slope)
    assert check_bound(lambda d, last, first, prior: last - first - prior - sum(d))


def by_chances(x_t, x_0, beta, keep, rate, stay, come=lambda b, r: b * r):
    """Bayes' rule with any chances that a one stays one, and that a zero becomes one."""
    before = keep * x_0 + (1 - keep) * rate
    chances = stay(beta, rate), come(beta, rate)
    one, zero = (torch.where(x_t > 0.5, chance, 1 - chance) for chance in chances)
    return one * before / (one * before + zero * (1 - before))


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_posterior, lambda x_t, x_0, b, k, r: k * x_0 + (1 - k) * r, "q(x_{t-1} | x_0)"),
    (check_posterior, lambda *a: posterior(*a, normalise=False), "Divide by the sum"),
    (check_posterior, flips, "chance of a redraw"),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, k, r, start=x_0),
        "you take x_{t-1} for x_0",
    ),
    (check_posterior, lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, k, 0.5), "not fair"),
    (check_posterior, lambda x_t, x_0, b, k, r: x_t, "by enumeration"),
    (check_posterior, lambda *a: 1 - posterior(*a), "is zero"),
    (check_posterior, lambda x_t, x_0, *a: posterior(x_0, x_t, *a), "are swapped"),
    (check_posterior, lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, k * (1 - b), r), "twice"),
    (check_posterior, lambda *a: posterior(*a)[0], "one chance for each bit"),
    (check_posterior, lambda *a: posterior(*a) > 0.5, "yes or no"),
    (check_numbers_per_unit, lambda k, gain: round((k - gain) / UNIT), "sign is wrong"),
    (
        check_numbers_per_unit,
        lambda k, gain: round((gain - k) / (UNIT * math.log(2))),
        "nats and bits",
    ),
    (check_numbers_per_unit, lambda k, gain: round(gain / UNIT), "the gain alone"),
    (check_numbers_per_unit, lambda k, gain: (gain - k) / UNIT, "rounded"),
    (check_numbers_per_unit, lambda k, gain: 1, "use the two columns"),
    (check_numbers_per_unit, lambda k, gain: round(gain - k), "How many numbers is that"),
    (check_half_plane_slope, lambda *a: -slope(*a), "sign is wrong"),
    (check_half_plane_slope, lambda x, n, c, w: w * slope(x, n, c, w), "inner derivative"),
    (check_half_plane_slope, lambda *a: inside(*a) * slope(*a), "gradient of r."),
    (check_half_plane_slope, lambda x, n, c, w: inside(x, n, c, w) * n / w, "swapped"),
    (check_half_plane_slope, lambda *a: (1 - inside(*a)).expand(50, 2) / a[3], "direction n"),
    (check_half_plane_slope, lambda x, n, c, w: x * 0, "not the gradient"),
    (check_half_plane_slope, lambda *a: slope(*a)[:, 0], "has the shape of x"),
    (check_half_plane_slope, divided, "far outside"),
    (check_half_plane_slope, lambda x, n, c, w: slope(x, n, c, w) / w, "divides twice"),
    (check_half_plane_slope, lambda x, n, c, w: slope(x, n, -c, w), "c has the wrong sign"),
    (check_bound, lambda d, last, first, prior: -sum(d) - prior, "both ends"),
    (check_bound, lambda d, last, first, prior: -sum(d) + last - prior, "H_q(X_1|X_0) is missing"),
    (check_bound, lambda d, last, first, prior: -sum(d) - first - prior, "H_q(X_T|X_0) is missing"),
    (check_bound, lambda d, last, first, prior: -sum(d) - last + first - prior, "wrong signs"),
    (check_bound, lambda d, last, first, prior: -sum(d) - first, "cancel only if"),
    (check_bound, lambda d, last, first, prior: sum(d) + first + prior - last, "this is -K"),
    (check_bound, lambda d, last, first, prior: sum(d) + last - first - prior, "what is lost"),
    (check_bound, lambda d, last, first, prior: 0.0, "you get"),
    (
        check_bound,
        lambda d, last, first, prior: last - first - prior - sum(d) / len(d),
        "not averaged",
    ),
    (check_bound, lambda d, last, first, prior: last - first + prior - sum(d), "is paid"),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, k, r, start=k * x_0),
        "may be a one too",
    ),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, k, r, start=0 * x_0 + 0.5),
        "x_0 is not in it",
    ),
    (check_posterior, lambda *a: by_chances(*a, lambda b, r: 1 - b), "redrawn and lucky"),
    (
        check_posterior,
        lambda *a: by_chances(*a, lambda b, r: b + (1 - b) * r, lambda b, r: (1 - b) * r),
        "that of being kept",
    ),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, 1 - k, r),
        "never redrawn",
    ),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: posterior(0 * x_t + 1, x_0, b, k, r),
        "taken for a one throughout",
    ),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: (
            posterior(x_t, x_0, b, k, r, normalise=False)
            / (k * (1 - b) * x_0 + (1 - k * (1 - b)) * r)
        ),
        "the x_t that is there",
    ),
    (check_numbers_per_unit, lambda k, gain: round((gain - k) / UNIT / 2), "the half is missing"),
    (check_numbers_per_unit, lambda k, gain: int((gain - k) / UNIT), "cuts off"),
    (check_numbers_per_unit, lambda k, gain: 3, "use the two columns"),
    (check_half_plane_slope, lambda x, n, c, w: slope(x, n, 0, w), "c is left out"),
    (check_half_plane_slope, lambda x, n, c, w: slope(x, n, c * w, w), "w divides c as well"),
    (check_half_plane_slope, lambda x, n, c, w: w**2 * slope(x, n, c, w), "divide by w"),
    (check_bound, lambda d, last, first, prior: last + first - prior - sum(d), "hides is lost"),
    (check_bound, lambda d, last, first, prior: -last - first - prior - sum(d), "opposite ones"),
    (check_bound, lambda d, last, first, prior: last - first - prior - sum(d[1:]), "at t = 2"),
    (
        check_posterior,
        lambda x_t, x_0, b, k, r: posterior(x_t, x_0, b, k, 0.2),
        "the chance is `rate`, everywhere",
    ),
]
