"""The exercises of chapter 8: averages, clipping, reading a loss, and finding copies."""

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.checking import equal, exercise, factors, reject, require


@exercise("what is left of the random start when the average warms up")
def check_start_left(start_left: Callable[..., Any]) -> None:
    """Exercise 1: the weight of theta_0 in an average whose decay warms up."""
    cases = ((1, 0.9999), (5, 0.9999), (300, 0.9999), (100, 0.9), (40, 0.3))
    ours = [float(start_left(*case)) for case in cases]

    def left(first: int = 0, more: int = 0, choose: Callable = min) -> list[float]:
        return [
            math.prod(choose(d, (1 + n) / (10 + n)) for n in range(first, steps + more))
            for steps, d in cases
        ]

    def are(theirs: list[float]) -> bool:  # 1e-17 and 1e-13 are both "0" to an absolute tolerance
        return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(ours, theirs, strict=True))

    reject(
        are([d**steps for steps, d in cases]),
        "that is the share without the warm-up: d^n holds for a constant decay. Insert the rule"
        " into itself once more, with another decay at each step.",
    )
    reject(
        are([min(d, (1 + steps) / (10 + steps)) ** steps for steps, d in cases])
        or are([min(d, steps / (9 + steps)) ** steps for steps, d in cases]),
        "you take the last decay for all steps. The first ones are far smaller: 0.1, then 2 / 11.",
    )
    reject(
        are([math.prod((1 + n) / (10 + n) for n in range(steps)) for steps, _ in cases]),
        "you forgot the smaller of the two: once the warm-up passes `decay`, the decay is `decay`.",
    )
    reject(
        are(left(first=1, more=1)) or are(left(first=1)),
        "the first of the steps has n = 0, and keeps a tenth of the start.",
    )
    reject(are(left(more=1)), "that is one step too many: n runs from 0 to steps - 1.")
    reject(are([1 - share for share in left()]), "that is the share of all that came later.")
    for (steps, d), mine, right in zip(cases, ours, left(), strict=True):
        require(
            math.isclose(mine, right, rel_tol=1e-3),
            f"after {steps} steps with decay {d:g} it is {right:.3g}, not {mine:.3g}.",
        )


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
    """Exercise 3: the loss of the best linear denoiser, in three parametrisations."""
    variances, bar = torch.tensor([2.0, 0.5, 0.0]), 0.8
    answer = linear_loss(variances, bar, "eps")
    eps_loss = bar * variances / (bar * variances + 1 - bar)
    reject(
        not equal(answer, eps_loss.mean())
        and equal(linear_loss(variances, bar, "x_0"), eps_loss.mean()),
        "the losses of x_0 and eps are swapped.",
    )
    x_0_loss = variances * (1 - bar) / (bar * variances + 1 - bar)
    reject(
        equal(answer, x_0_loss.mean()),
        'for "eps" you give the error in x_0. With x_t known, an error of one in x_0 is an error of'
        " -alpha / sigma in eps.",
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
    signal = (1 - bar) * variances
    reject(
        equal(answer, (signal / (signal + bar)).mean()),
        "alpha_bar and 1 - alpha_bar are swapped: alpha_bar is the data's share.",
    )
    require(equal(answer, eps_loss.mean()), 'for "eps", at alpha_bar = 0.8, it is not right.')
    x_0, v = linear_loss(variances, bar, "x_0"), linear_loss(variances, bar, "v")
    said = "with x_t known, an error in x_0 moves eps by -alpha / sigma times as much"
    reject(
        equal(x_0, eps_loss.mean()) and equal(v, eps_loss.mean()),
        f"all three losses are alike in your answer. They are not: {said}.",
    )
    ratio = (1 - bar) / bar
    reject(
        equal(x_0, eps_loss.mean() / ratio),
        'for "x_0" the factor is upside down: a small noise hides little of x_0.',
    )
    reject(
        equal(x_0, eps_loss.mean() * ratio**0.5),
        f'for "x_0": {said}, and a loss is the square of an error.',
    )
    require(equal(x_0, x_0_loss.mean()), f'for "x_0" it is not right: {said}.')
    reject(
        equal(v, bar * eps_loss.mean() + (1 - bar) * x_0_loss.mean()),
        'for "v" you add the two losses as if their errors were independent. They are one error,'
        " seen twice: write v's error with x_0's alone, then square it.",
    )
    reject(
        equal(
            v, (bar**0.5 * eps_loss.mean() ** 0.5 - (1 - bar) ** 0.5 * x_0_loss.mean() ** 0.5) ** 2
        ),
        'for "v" the two errors have opposite signs (too much x_0 means too little eps), so in'
        " alpha eps - sigma x_0 they add up.",
    )
    reject(
        equal(v, eps_loss.mean() * bar) or equal(v, eps_loss.mean() / bar**0.5),
        "for \"v\" you are one factor off: v's error is -1 / sigma times x_0's, or 1 / alpha times"
        " that of eps. Square it.",
    )
    require(
        equal(v, eps_loss.mean() / bar),
        'for "v" it is not right: put the error of eps into alpha eps - sigma x_0, as a multiple of'
        " that of x_0.",
    )


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
