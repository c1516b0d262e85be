"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch08 import (
    check_clipped_mean,
    check_copies,
    check_linear_loss,
    check_start_left,
)


def warmed(decay, n):
    return min(decay, (1 + n) / (10 + n))


def left(decay):
    return lambda steps, d: math.prod(decay(d, n) for n in range(steps))


def linear(v_factor=lambda bar: 1 / bar, x_0_factor=lambda bar: (1 - bar) / bar):
    """The three losses, with factors of our own between them."""

    def answer(variances, bar, predicts):
        eps = (bar * variances / (bar * variances + 1 - bar)).mean()
        return eps * {"eps": lambda bar: 1, "x_0": x_0_factor, "v": v_factor}[predicts](bar)

    return answer


def posterior(x_0, x_t, t, schedule, factor_at):
    """Their eq. 7, with alpha_bar of x_0's factor taken at `factor_at`."""
    bar, before, beta = schedule.alpha_bar[t], schedule.alpha_bar[t - 1], schedule.beta[t]
    x_0_part = schedule.alpha_bar[factor_at].sqrt() * beta * x_0
    return ((1 - beta).sqrt() * (1 - before) * x_t + x_0_part) / (1 - bar)


def x_0_of(x_t, eps, t, schedule):
    bar = schedule.alpha_bar[t]
    return (x_t - (1 - bar).sqrt() * eps) / bar.sqrt()


def clipped_mean(x_t, eps, t, schedule):
    return posterior(x_0_of(x_t, eps, t, schedule).clamp(-1, 1), x_t, t, schedule, t - 1)


def clipped_mean_of(signal, x_t, t, schedule):
    x_0 = signal / schedule.alpha_bar[t].sqrt()
    return posterior(x_0.clamp(-1, 1), x_t, t, schedule, t - 1)


def near(a, b):
    return torch.cdist(a, b).min(1).values


def test_right_answers_pass() -> None:
    assert check_start_left(left(warmed))
    assert check_start_left(
        lambda steps, d: torch.tensor([warmed(d, n) for n in range(steps)]).prod()
    )
    assert check_clipped_mean(clipped_mean)
    assert check_linear_loss(linear())
    assert check_linear_loss(lambda v, bar, what: linear()(v.double(), bar, what)[None][0])
    assert check_copies(
        lambda s, train, unseen: near(s, train) < near(unseen, train).quantile(0.01)
    )
    assert check_copies(
        lambda s, train, unseen: (
            (near(s, train)[:, None] < near(unseen, train)).float().mean(1) > 0.99
        )
    )


def eq_7(of_x_0, of_x_t):
    """Their eq. 7 with other factors: of beta x_0, and of root(1 - beta) x_t."""

    def answer(x_t, eps, t, schedule):
        bar, before, beta = schedule.alpha_bar[t], schedule.alpha_bar[t - 1], schedule.beta[t]
        x_0 = x_0_of(x_t, eps, t, schedule).clamp(-1, 1)
        known = bar, before, beta
        mean = of_x_0(*known) * beta * x_0 + of_x_t(*known) * (1 - beta) ** 0.5 * x_t
        return mean / (1 - bar)

    return answer


def ruler(variances, share, bar):
    return (share * variances / (share * variances + 1 - bar)).mean()


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_start_left, lambda steps, d: d**steps, "without the warm-up"),
    (check_start_left, lambda steps, d: warmed(d, steps) ** steps, "the last decay for all"),
    (check_start_left, left(lambda d, n: (1 + n) / (10 + n)), "once the warm-up passes"),
    (check_start_left, left(lambda d, n: warmed(d, n + 1)), "keeps a tenth"),
    (check_start_left, lambda steps, d: left(warmed)(steps + 1, d), "one step too many"),
    (check_start_left, lambda steps, d: 1 - left(warmed)(steps, d), "all that came later"),
    (check_start_left, lambda steps, d: 0.0, "after 1 steps with decay 0.9999 it is 0.1"),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: posterior(x_0_of(x_t, eps, t, s), x_t, t, s, t - 1),
        "nothing is clipped",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: posterior(x_0_of(x_t, eps, t, s), x_t, t, s, t - 1).clamp(-1, 1),
        "you clip the mean",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: posterior(x_0_of(x_t, eps.clamp(-1, 1), t, s), x_t, t, s, t - 1),
        "you clip eps",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: posterior(x_0_of(x_t, eps, t, s).clamp(-1, 1), x_t, t, s, t),
        "alpha_bar at t;",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: x_0_of(x_t, eps, t, s).clamp(-1, 1),
        "the clipped x_0 itself",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: clipped_mean(x_t, eps, t, s).clamp(-1, 1),
        "and then the mean as well",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: posterior(x_0_of(x_t, eps, t, s).clamp(0, 1), x_t, t, s, t - 1),
        "you clip to [0, 1]",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: clipped_mean_of(x_t - (1 - s.alpha_bar[t]) * eps, x_t, t, s),
        "the root of that is missing",
    ),
    (
        check_clipped_mean,
        lambda x_t, eps, t, s: posterior(
            (x_0_of(x_t, eps, t, s) * s.alpha_bar[t].sqrt()).clamp(-1, 1), x_t, t, s, t - 1
        ),
        "Divide before you clip",
    ),
    (check_clipped_mean, lambda x_t, eps, t, s: x_t, "not eq. 7"),
    (
        check_linear_loss,
        lambda v, bar, _: (v * (1 - bar) / (bar * v + 1 - bar)).mean(),
        "error in x_0",
    ),
    (check_linear_loss, lambda v, bar, _: ((1 - bar) / (bar * v + 1 - bar)).mean(), "swapped"),
    (
        check_linear_loss,
        lambda v, bar, _: (bar * v / (bar * v + 1 - bar)).sum(),
        "add the directions",
    ),
    (check_linear_loss, lambda v, bar, _: bar * v / (bar * v + 1 - bar), "Take their mean"),
    (
        check_linear_loss,
        lambda v, bar, _: bar * v.mean() / (bar * v.mean() + 1 - bar),
        "average the variances first",
    ),
    (check_linear_loss, lambda v, bar, _: v.mean(), "is not right"),
    (check_copies, lambda s, t, u: near(s, t) > near(u, t).quantile(0.01), "wrong way round"),
    (check_copies, lambda s, t, u: near(s, t) < near(u, t).quantile(0.99), "too many"),
    (check_copies, lambda s, t, u: near(s, t) < near(u, t).quantile(0.05), "too many"),
    (check_copies, lambda s, t, u: near(s, t) < near(u, t).min(), "some copies are missed"),
    (check_copies, lambda s, t, u: near(s, t) < 0.5, "some copies are missed"),
    (check_copies, lambda s, t, u: near(s, t) < near(s, t).median() / 2, "some copies"),
    (check_copies, lambda s, t, u: near(s, t) < near(s, t).quantile(0.01), "always copies"),
    (check_copies, lambda s, t, u: near(s, u) < near(u, t).quantile(0.01), "come from `train`"),
    (check_copies, lambda s, t, u: near(s, t), "one True or False"),
    (check_copies, lambda s, t, u: s[:, 0] > 1, "wrong samples"),
    (check_clipped_mean, eq_7(lambda bar, *_: bar**0.5, lambda bar, *_: 1 - bar), "both factors"),
    (
        check_clipped_mean,
        eq_7(lambda bar, before, _: before**0.5, lambda bar, *_: 1 - bar),
        "above and below",
    ),
    (
        check_clipped_mean,
        eq_7(lambda bar, before, _: before, lambda bar, before, _: 1 - before),
        "the factor of x_0 needs the root",
    ),
    (
        check_clipped_mean,
        eq_7(
            lambda bar, before, _: before**0.5,
            lambda bar, before, beta: (1 - beta) ** 0.5 * (1 - before),
        ),
        "the factor of x_t needs the root",
    ),
    (
        check_clipped_mean,
        eq_7(
            lambda bar, before, beta: (1 - beta) ** 0.5 * (1 - before) / beta,
            lambda bar, before, beta: before**0.5 * beta / (1 - beta) ** 0.5,
        ),
        "swapped",
    ),
    (
        check_clipped_mean,
        lambda x, eps, t, s: posterior(
            x_0_of(x, eps, t, s).clamp(-1, 1), x.clamp(-1, 1), t, s, t - 1
        ),
        "clipped as well",
    ),
    (
        check_clipped_mean,
        lambda x, eps, t, s: (
            s.alpha_bar[t - 1] ** 0.5 * x_0_of(x, eps, t, s).clamp(-1, 1)
            + (1 - s.alpha_bar[t - 1]) ** 0.5 * eps
        ),
        "DDIM's step",
    ),
    (check_linear_loss, lambda v, bar, _: ruler(v, 1 - bar, 1 - bar), "the data's share"),
    (check_linear_loss, lambda v, bar, _: linear()(v, bar, "eps"), "all three losses are alike"),
    (
        check_linear_loss,
        lambda v, bar, p: linear()(v, bar, {"eps": "x_0", "x_0": "eps"}.get(p, p)),
        "are swapped",
    ),
    (check_linear_loss, linear(x_0_factor=lambda bar: bar / (1 - bar)), "upside down"),
    (check_linear_loss, linear(x_0_factor=lambda bar: (1 / bar - 1) ** 0.5), "square of an error"),
    (check_linear_loss, linear(x_0_factor=lambda bar: 1 - bar), 'for "x_0" it is not right'),
    (check_linear_loss, linear(lambda bar: bar + (1 - bar) ** 2 / bar), "were independent"),
    (check_linear_loss, linear(lambda bar: (2 * bar - 1) ** 2 / bar), "opposite signs"),
    (check_linear_loss, linear(lambda bar: bar), "one factor off"),
    (check_linear_loss, linear(lambda bar: 1), 'for "v" it is not right'),
]
