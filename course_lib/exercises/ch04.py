"""The exercises of chapter 4: a bit's posterior, a row of Table 1, a half-plane, an entropy."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion import discrete
from course_lib.exercises.checking import equal, exercise, reject, require

UNIT = 0.5 * math.log2(2 * math.pi * math.e)  # entropy of a standard normal number, in bits


@exercise("the posterior of a bit, by Bayes' rule for two cases")
def check_posterior(posterior: Callable[..., Any]) -> None:
    """Exercise 1: q(x_{t-1} = 1 | x_t, x_0) in closed form."""
    schedule = discrete.from_betas(torch.tensor([0.2, 0.4]), rate=0.3)
    x_t = torch.tensor([0.0, 0.0, 1.0, 1.0]).double()
    x_0 = torch.tensor([0.0, 1.0, 0.0, 1.0]).double()
    beta, keep, rate = 0.4, 0.8, 0.3
    answer = torch.as_tensor(posterior(x_t, x_0, beta, keep, rate))
    require(answer.shape == (4,), f"one chance for each bit, shape [4], got {list(answer.shape)}.")
    reject(answer.dtype == torch.bool, "this is a yes or no. A chance lies between 0 and 1.")
    before = keep * x_0 + (1 - keep) * rate

    def bayes(prior: Tensor, stay_one: float, to_one: float) -> Tensor:
        one = torch.where(x_t > 0.5, stay_one, 1 - stay_one) * prior
        zero = torch.where(x_t > 0.5, to_one, 1 - to_one) * (1 - prior)
        return one / (one + zero)

    reject(
        equal(answer, before),
        "this is q(x_{t-1} | x_0): what x_t says about x_{t-1} is not in it yet.",
    )
    one = torch.where(x_t > 0.5, 1 - beta * (1 - rate), beta * (1 - rate)) * before
    reject(
        equal(answer, one),
        "this is the weight of the case x_{t-1} = 1. Divide by the sum of both weights.",
    )
    reject(
        equal(answer, bayes(before, 1 - beta, beta)),
        "you treat beta as the chance of a flip. It is the chance of a redraw, and a redrawn bit"
        " may come up as it was.",
    )
    reject(
        equal(answer, bayes(x_0, 1 - beta * (1 - rate), beta * rate)),
        "you take x_{t-1} for x_0. The past kept the bit only with chance keep_before.",
    )
    half = bayes(keep * x_0 + (1 - keep) / 2, 1 - beta / 2, beta / 2)
    reject(equal(answer, half), "the coins are not fair: they show one with chance `rate`.")
    before_02 = keep * x_0 + (1 - keep) * 0.2
    reject(
        equal(answer, bayes(before_02, 1 - 0.8 * beta, 0.2 * beta))
        or equal(answer, bayes(before, 1 - 0.8 * beta, 0.2 * beta)),
        "the chapter's coins show one with chance 0.2. Here the chance is `rate`, everywhere.",
    )
    times = torch.full((4,), 2)
    right = discrete.posterior(schedule, x_t, x_0, times)
    reject(equal(answer, 1 - right), "this is the chance that x_{t-1} is zero.")
    reject(equal(answer, right[[0, 2, 1, 3]]), "x_t and x_0 are swapped: x_t comes first.")
    after = keep * (1 - beta)
    reject(
        equal(answer, bayes(after * (x_0 - rate) + rate, 1 - beta * (1 - rate), beta * rate)),
        "the step at t is in it twice: keep_before ends at t - 1 and does not hold it.",
    )
    reject(
        equal(answer, bayes(keep * x_0, 1 - beta * (1 - rate), beta * rate)),
        "a bit that was redrawn before t may be a one too: keep_before x_0 is not yet the chance of"
        " a one. Add (1 - keep_before) rate.",
    )
    reject(
        equal(answer, bayes(torch.full_like(x_0, 0.5), 1 - beta * (1 - rate), beta * rate)),
        "x_0 is not in it: weigh each case by how it came from x_0.",
    )
    reject(
        equal(answer, bayes(before, 1 - beta, beta * rate))
        or equal(answer, bayes(before, 1 - beta, beta)),
        "a one stays a one if it is kept, or redrawn and lucky: two chances that add up.",
    )
    reject(
        equal(answer, bayes(before, beta + (1 - beta) * rate, (1 - beta) * rate)),
        "beta is the chance of a redraw, 1 - beta that of being kept: you have them swapped.",
    )
    reject(
        equal(answer, bayes((1 - keep) * x_0 + keep * rate, 1 - beta * (1 - rate), beta * rate)),
        "keep_before is the chance that the bit was never redrawn: you have it swapped with the"
        " rest.",
    )
    lit = (1 - beta * (1 - rate)) * before
    reject(
        equal(answer, lit / (lit + beta * rate * (1 - before))),
        "x_t is taken for a one throughout. Where it is zero, the chance of becoming zero counts.",
    )
    shares = after * x_0 + (1 - after) * rate
    reject(
        equal(answer, one / shares),
        "you divide by the chance that x_t is one. Divide by the chance of the x_t that is there:"
        " the sum of both weights.",
    )
    require(
        equal(answer, right, atol=1e-6),
        f"for (x_t, x_0) = (0,0), (0,1), (1,0), (1,1) you get {_short(answer)}; by enumeration it"
        f" is {_short(right)}.",
    )


@exercise("CIFAR-10 is counted per pixel of three channels, so three numbers")
def check_numbers_per_unit(numbers_per_unit: Callable[..., Any]) -> None:
    """Exercise 2: how many numbers one unit of Table 1 holds."""
    rows = {"bark": (-0.55, 1.5, 1), "dead leaves": (1.489, 3.536, 1)}
    rows |= {"the swiss roll": (2.35, 6.45, 2), "CIFAR-10": (5.4, 11.5, 3)}
    answers = {name: float(numbers_per_unit(k, gain)) for name, (k, gain, _) in rows.items()}
    cifar, exactly = answers["CIFAR-10"], (11.5 - 5.4) / UNIT
    reject(cifar < 0, "the sign is wrong: L_null = K - gain is negative, a count is not.")
    reject(
        cifar in (exactly / math.log(2), round(exactly / math.log(2))),
        "nats and bits are mixed: a number of variance 1 scores -1.419 nats, which is -2.047 bits.",
    )
    reject(
        all(abs(answers[name] - gain / UNIT) < 0.51 for name, (_, gain, _) in rows.items()),
        "you divide the gain alone. L_null is K minus the gain.",
    )
    reject(
        all(abs(answers[name] - (gain - k)) < 0.51 for name, (k, gain, _) in rows.items()),
        "this is -L_null in bits. How many numbers is that, at 2.047 bits each?",
    )
    reject(
        all(answers[n] == round((gain - k) / (2 * UNIT)) for n, (k, gain, _) in rows.items()),
        "the half is missing: a number of variance 1 scores -log2(2 pi e) / 2, -2.047 bits.",
    )
    reject(
        all(answers[name] == int((gain - k) / UNIT) for name, (k, gain, _) in rows.items()),
        "`int` cuts off: a hair below one number is one. Round to the nearest.",
    )
    reject(
        len(set(answers.values())) == 1,
        f"every row gets {cifar:g}: use the two columns, k and gain.",
    )
    reject(
        abs(cifar - exactly) < 1e-3,
        "nearly: the columns are rounded, so round your answer to a whole number.",
    )
    for name, (k, gain, right) in rows.items():
        require(
            answers[name] == right,
            f"for {name} you get {answers[name]:g}. Its columns differ by {gain - k:.3f} bits, and"
            " one number of variance 1 accounts for 2.047 of them.",
        )


@exercise("the slope of the soft half-plane, near it and far away")
def check_half_plane_slope(half_plane_slope: Callable[..., Any]) -> None:
    """Exercise 3: the gradient of log r for r = sigmoid((n·x - c) / w)."""
    x, n, c, w = torch.randn(50, 2), torch.tensor([0.6, -0.8]), 0.3, 0.25
    answer = torch.as_tensor(half_plane_slope(x, n, c, w))
    require(answer.shape == (50, 2), f"the slope has the shape of x, got {list(answer.shape)}.")
    s = torch.sigmoid((x @ n - c) / w)[:, None]
    right = (1 - s) * n / w
    reject(equal(answer, -right), "the sign is wrong: the slope leads away from the half-plane.")
    reject(equal(answer, right * w), "the inner derivative is missing: u = (n·x - c) / w.")
    reject(equal(answer, s * right), "this is the gradient of r. You need that of log r.")
    reject(
        equal(answer, s * n / w),
        "1 - sigmoid and sigmoid are swapped: far inside, where r = 1, there is nothing to push.",
    )
    reject(equal(answer, ((1 - s) / w).expand(50, 2)), "the direction n is missing.")
    reject(equal(answer, right / w), "w divides twice. The inner derivative is n / w.")
    reject(
        equal(answer, torch.sigmoid(-(x @ n + c) / w)[:, None] * n / w),
        "c has the wrong sign: u = (n·x - c) / w.",
    )
    reject(
        equal(answer, torch.sigmoid(-(x @ n) / w)[:, None] * n / w),
        "c is left out: u = (n·x - c) / w.",
    )
    reject(
        equal(answer, torch.sigmoid(-(x @ n / w - c))[:, None] * n / w),
        "w divides c as well: u = (n·x - c) / w.",
    )
    reject(equal(answer, right * w**2), "the inner derivative is n / w: divide by w.")
    require(equal(answer, right), "this is not the gradient of log r: compare with autograd.")
    far = torch.as_tensor(half_plane_slope(-80 * n[None], n, 0.0, 0.1))
    require(
        bool(far.isfinite().all()),
        "far outside, r is 0 in float32 and its logarithm infinite. Write the derivative of the"
        " logarithm by hand: it has no division.",
    )


@exercise("K with all three of its entropies")
def check_bound(bound: Callable[..., Any]) -> None:
    """Exercise 4: the bound of their eq. 14 from its parts."""
    finished, unfinished = (
        _laboratory(1 / torch.arange(6, 0, -1)),
        _laboratory(torch.full((6,), 0.2)),
    )
    for parts, right in (finished, unfinished):
        divergences, last, first, prior = parts
        answer = float(bound(*parts))
        total = sum(divergences)
        reject(
            abs(answer - (-total - prior)) < 1e-6,
            "two terms are missing: both ends of the telescope.",
        )
        reject(
            abs(answer - (-total + last - prior)) < 1e-6,
            "this is your colleague's: H_q(X_1|X_0) is missing, and so the first step is free.",
        )
        reject(
            abs(answer - (-total - first - prior)) < 1e-6,
            "H_q(X_T|X_0) is missing: K lies far too low.",
        )
        reject(
            abs(answer - (-total - last + first - prior)) < 1e-6,
            "the two ends of the telescope have the wrong signs.",
        )
        reject(
            abs(answer - (-total - first)) < 1e-6 and abs(last - prior) > 1e-6,
            "H_q(X_T|X_0) and H_p(X_T) cancel only if nothing of the signal is left at T.",
        )
        reject(abs(answer + right) < 1e-6, "this is -K, a cost.")
        reject(
            abs(answer - (-total / len(divergences) + last - first - prior)) < 1e-6,
            "the divergences are summed over the steps, not averaged.",
        )
        reject(
            abs(answer - (-total + last - first + prior)) < 1e-6,
            "H_p(X_T) has the wrong sign: the prior's entropy is paid.",
        )
        reject(
            abs(answer - (total + last - first - prior)) < 1e-6,
            "the divergences have the wrong sign: they are what is lost.",
        )
        reject(
            abs(answer - (-total + last + first - prior)) < 1e-6,
            "H_q(X_1|X_0) has the wrong sign: what the first step hides is lost.",
        )
        reject(
            abs(answer - (-total - last - first - prior)) < 1e-6,
            "H_q(X_T|X_0) has the wrong sign: the two ends of the telescope have opposite ones.",
        )
        reject(
            abs(answer - (-sum(divergences[1:]) + last - first - prior)) < 1e-6,
            "the list starts at t = 2 already: add up all of it.",
        )
        require(
            abs(answer - right) < 1e-6,
            f"in a laboratory whose K is {right:.4f} you get {answer:.4f}.",
        )


def _laboratory(betas: Tensor) -> tuple[tuple[list[float], float, float, float], float]:
    """The parts of K, and K itself as the mean of -W over all trajectories of one bit."""
    schedule = discrete.from_betas(betas, rate=0.25)
    mean = torch.tensor([[0.0], [0.0], [0.0], [1.0]])  # the data: a one in a quarter of the cases
    steps = schedule.T

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x_t, 0.25)  # a model that has learned nothing but the mean

    divergences = []
    for t in range(2, steps + 1):
        times = torch.full((4,), t)
        one = discrete.marginal(schedule, mean, times)
        costs = [
            discrete.step_bits(denoise, schedule, mean, torch.full((4, 1), bit), times)
            for bit in (0.0, 1.0)
        ]
        divergences.append(float(((1 - one[:, 0]) * costs[0] + one[:, 0] * costs[1]).mean()))
    ends = [
        float(discrete.entropy_bits(discrete.marginal(schedule, mean, torch.full((4,), t))).mean())
        for t in (steps, 1)
    ]
    prior = float(discrete.entropy_bits(torch.tensor(0.25)))
    return (divergences, ends[0], ends[1], prior), _mean_work(schedule, denoise)


def _mean_work(schedule: discrete.BinomialSchedule, denoise: Callable[..., Tensor]) -> float:
    """The mean of log2 pi(x_T) prod p(x_{t-1}|x_t) / q(x_t|x_{t-1}), all trajectories summed up."""
    rate, total = schedule.rate, 0.0
    bit = torch.tensor([[0.0], [1.0]])
    law = torch.tensor([1 - rate, rate]).double()  # of x_{t-1}; the data has the noise's own mean
    for t in range(1, schedule.T + 1):
        beta = schedule.beta[t]
        to_one = beta * rate + (1 - beta) * bit[:, 0]
        forward = torch.stack([1 - to_one, to_one], 1)  # [before, after]
        one = discrete.reverse(denoise, schedule, bit, torch.full((2,), t))[:, 0]
        back = torch.stack([1 - one, one], 1)  # [after, before]
        if t == 1:  # the mirror of the forward step
            pi = torch.tensor([1 - rate, rate]).double()
            back = (forward * pi[:, None] / pi).T
        joint = law[:, None] * forward
        total += float((joint * (back.T.log2() - forward.log2())).sum())
        law = joint.sum(0)
    return total + float((law * torch.tensor([1 - rate, rate]).double().log2()).sum())


def _short(values: Tensor) -> str:
    return "(" + ", ".join(f"{float(value):.3f}" for value in values.flatten()) + ")"
