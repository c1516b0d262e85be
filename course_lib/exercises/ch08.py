"""The exercises of chapter 8: averages, clipping, reading a loss, and finding copies."""

from collections.abc import Callable
from typing import Any

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.checking import equal, exercise, factors, reject, require


@exercise("the average forgets at the rate you chose, and starts short")
def check_ema_update(ema_update: Callable[..., Any]) -> None:
    """Exercise 1: one step of an exponential moving average whose decay warms up."""
    average, current = torch.randn(2, 5)
    late = ema_update(average, current, 10**6, 0.9)
    reject(
        equal(late, 0.1 * average + 0.9 * current),
        "decay and 1 - decay are swapped: with decay = 0.9 the new weights should count 0.1.",
    )
    reject(
        equal(late, _blend(average, current, max(0.9, (1 + 10**6) / (10 + 10**6)))),
        "the decay rises above the one asked for, 0.9: take the smaller of the two.",
    )
    reject(
        equal(late, 0.9 * average + current),
        "the new weights come in whole: they count 1 - decay.",
    )
    require(
        equal(late, 0.9 * average + 0.1 * current),
        "after many steps the result is not decay * average + (1 - decay) * current.",
    )
    first = ema_update(average, current, 0, 0.999)
    reject(
        equal(first, 0.999 * average + 0.001 * current),
        "there is no warm-up: after the first step the average is still 99.9 % random start. Use"
        " min(decay, (1 + n) / (10 + n)).",
    )
    reject(
        equal(first, _blend(average, current, 2 / 11)),
        "n is 0 for the first step, so the decay there is (1 + 0) / (10 + 0) = 0.1, not 2 / 11.",
    )
    require(
        equal(first, 0.1 * average + 0.9 * current),
        "at n = 0 the decay is not (1 + 0) / (10 + 0) = 0.1.",
    )
    require(
        equal(ema_update(average, current, 8, 0.999), 0.5 * average + 0.5 * current),
        "right at the first step and not on the way up: at n = 8 the decay is (1 + 8) / (10 + 8),"
        " one half.",
    )
    require(
        equal(ema_update(average, current, 90, 0.5), 0.5 * average + 0.5 * current),
        "the warm-up must not raise the decay above the one asked for: take the smaller of the"
        " two.",
    )


def _blend(average: torch.Tensor, current: torch.Tensor, decay: float) -> torch.Tensor:
    return decay * average + (1 - decay) * current


@exercise("clipped where it is known to be safe, and the two forms agree elsewhere")
def check_clipped_mean(clipped_mean: Callable[..., Any]) -> None:
    """Exercise 2: the mean of x_{t-1} as the original code computes it, with x_0 clipped."""
    schedule, t = linear(20, first=0.02, last=0.3), 12
    bar, before, beta = (
        float(schedule.alpha_bar[t]),
        float(schedule.alpha_bar[t - 1]),
        float(schedule.beta[t]),
    )
    x_t, eps = torch.randn(2, 64, dtype=torch.float64)

    def mean(x_0: torch.Tensor) -> torch.Tensor:
        kept = (1 - beta) ** 0.5 * (1 - before) * x_t
        return (kept + before**0.5 * beta * x_0) / (1 - bar)

    free = (x_t - (1 - bar) ** 0.5 * eps) / bar**0.5
    answer = clipped_mean(x_t, eps, t, schedule)
    reject(
        equal(answer, mean(free)),
        "nothing is clipped: this is algorithm 2. Clip x_0 to [-1, 1] on the way.",
    )
    reject(
        equal(answer, mean(free).clamp(-1, 1)),
        "you clip the mean of x_{t-1}. That is still noisy and may leave [-1, 1]; x_0 may not.",
    )
    reject(
        equal(answer, mean(free.clamp(-1, 1)).clamp(-1, 1)),
        "x_0 is clipped, which is right, and then the mean as well. That one is still noisy.",
    )
    reject(
        equal(answer, mean(free.clamp(0, 1))),
        "you clip to [0, 1]. The pictures of this course live in [-1, 1].",
    )
    reject(
        equal(answer, mean(((x_t - (1 - bar) * eps) / bar**0.5).clamp(-1, 1))),
        "in x_0 the noise is multiplied by 1 - alpha_bar; the root of that is missing.",
    )
    reject(
        equal(answer, mean((x_t - (1 - bar) ** 0.5 * eps).clamp(-1, 1))),
        "x_t without its noise is root(alpha_bar) x_0. Divide before you clip.",
    )
    reject(
        equal(answer, mean((x_t - (1 - bar) ** 0.5 * eps.clamp(-1, 1)) / bar**0.5)),
        "you clip eps. Noise has no bounds; x_0 has.",
    )
    reject(
        equal(answer, free.clamp(-1, 1)),
        "this is the clipped x_0 itself. Put it into the posterior mean (their eq. 7).",
    )
    wrong = (1 - beta) ** 0.5 * (1 - before) * x_t + bar**0.5 * beta * free.clamp(-1, 1)
    reject(
        equal(answer, wrong / (1 - bar)),
        "the factor of x_0 has alpha_bar at t; in their eq. 7 it is alpha_bar at t - 1.",
    )
    x_0, keep = free.clamp(-1, 1), (1 - beta) ** 0.5
    for of_x_0, of_x_t, why in (
        (
            bar**0.5 * beta,
            keep * (1 - bar),
            "both factors have alpha_bar at t above the line; in their eq. 7 it is that at t - 1.",
        ),
        (
            before**0.5 * beta,
            keep * (1 - bar),
            "the factor of x_t has 1 - alpha_bar at t above and below: above it is that at t - 1.",
        ),
        (before * beta, keep * (1 - before), "the factor of x_0 needs the root of alpha_bar."),
        (
            before**0.5 * beta,
            (1 - beta) * (1 - before),
            "the factor of x_t needs the root of 1 - beta.",
        ),
        (
            keep * (1 - before),
            before**0.5 * beta,
            "the two factors are swapped: nearly all of the mean is x_t.",
        ),
    ):
        reject(equal(answer, (of_x_0 * x_0 + of_x_t * x_t) / (1 - bar)), why)
    reject(
        equal(answer, mean(x_0) + keep * (1 - before) / (1 - bar) * (x_t.clamp(-1, 1) - x_t)),
        "x_t is clipped as well. It is noisy, and may be anywhere.",
    )
    reject(
        equal(answer, before**0.5 * x_0 + (1 - before) ** 0.5 * eps),
        "that is DDIM's step (chapter 14): it puts the guessed noise back. Asked for is the mean of"
        " their eq. 7.",
    )
    require(
        equal(answer, mean(x_0)),
        "this is not eq. 7 with the clipped x_0."
        + factors(answer, mean(x_0), {"clipped x_0": x_0, "x_t": x_t}),
    )


@exercise("now you can tell a small loss from a good one")
def check_linear_loss(linear_loss: Callable[..., Any]) -> None:
    """Exercise 3: the loss on eps of the best linear denoiser, for Gaussian data."""
    variances, bar = torch.tensor([2.0, 0.5, 0.0]), 0.8
    answer = linear_loss(variances, bar)
    eps_loss = bar * variances / (bar * variances + 1 - bar)
    x_0_loss = variances * (1 - bar) / (bar * variances + 1 - bar)
    reject(
        equal(answer, x_0_loss.mean()),
        "this is the error in x_0. The error in eps is alpha_bar / (1 - alpha_bar) times it.",
    )
    reject(
        equal(answer, ((1 - bar) / (bar * variances + 1 - bar)).mean()),
        "signal and noise are swapped: without data (variance 0) x_t is pure noise and eps is known"
        " exactly, so the loss is 0 there.",
    )
    reject(
        equal(answer, bar * variances.mean() / (bar * variances.mean() + 1 - bar)),
        "you average the variances first. Average the losses: each direction has its own.",
    )
    reject(
        equal(answer, eps_loss.sum()),
        "you add the directions up. The loss of this course is a mean over them.",
    )
    reject(
        equal(answer, eps_loss),
        "this is the loss in each direction. Take their mean: the loss is one number.",
    )
    for wrong, why in (
        (bar**0.5, "alpha_bar multiplies a variance here: no root."),
        (bar**2, "alpha_bar is a share of the variance already: do not square it."),
    ):
        signal = wrong * variances
        reject(equal(answer, (signal / (signal + 1 - wrong)).mean()), why)
        reject(equal(answer, (signal / (signal + 1 - bar)).mean()), why)
    signal = bar * variances**2
    reject(
        equal(answer, (signal / (signal + 1 - bar)).mean()),
        "`variances` are variances already: do not square them.",
    )
    reject(
        equal(answer, (variances / (bar * variances + 1 - bar)).mean()),
        "above the line stands alpha_bar times the variance, as below.",
    )
    reject(
        equal(answer, (bar * variances / (1 - bar)).mean()),
        "that is a signal-to-noise ratio. The loss is the signal's share of all of x_t.",
    )
    signal = (1 - bar) * variances
    reject(
        equal(answer, (signal / (signal + bar)).mean()),
        "alpha_bar and 1 - alpha_bar are swapped: alpha_bar is the data's share.",
    )
    reject(equal(answer, eps_loss.mean() ** 0.5), "the loss is a mean square: no root.")
    require(equal(answer, eps_loss.mean()), "at alpha_bar = 0.8 the loss is not right.")


@exercise("a copy is nearer to the training pictures than almost any unseen picture is")
def check_copies(copies: Callable[..., Any]) -> None:
    """Exercise 4: which samples are suspiciously near to a training picture."""
    train, unseen, samples = torch.randn(60, 16), torch.randn(1_000, 16), torch.randn(400, 16)
    samples[::40] = train[::6] + 0.02 * torch.randn(10, 16)
    usual = torch.cdist(unseen, train).min(1).values
    near = torch.cdist(samples, train).min(1).values
    # None so close to the threshold that it matters how a quantile is interpolated.
    clear = (near < usual.quantile(0.008)) | (near > usual.quantile(0.012))
    samples, near = samples[clear], near[clear]

    answer = torch.as_tensor(copies(samples, train, unseen))
    require(
        answer.dtype == torch.bool and answer.shape == near.shape,
        "return one True or False for each sample.",
    )
    right = near < usual.quantile(0.01)
    reject(
        equal(answer, ~right),
        "the comparison is the wrong way round: copies are nearer than usual.",
    )
    rest = copies(samples[~right], train, unseen)  # without the copies
    reject(
        not equal(answer[~right], rest),
        "with other samples beside it, the same sample gets another answer: your threshold comes"
        " from the samples. So some are always copies, even of nothing. Take it from unseen rows.",
    )
    back = torch.cdist(samples, unseen).min(1).values
    reject(
        equal(answer, back < usual.quantile(0.01)),
        "you measure how near the samples are to the unseen rows. Copies come from `train`.",
    )
    reject(
        bool((right & ~answer).any()) and not (answer & ~right).any(),
        "some copies are missed: the threshold is too low. It is the 1 % quantile of the distances"
        " of unseen rows to their nearest in `train`.",
    )
    reject(
        bool((answer & ~right).any()) and not (right & ~answer).any(),
        "too many are flagged: more than 1 % of the unseen rows would count as copies, too. Flag"
        " what is below the 1 % quantile.",
    )
    require(equal(answer, right), "the wrong samples are flagged.")
