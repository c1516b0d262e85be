"""How wide a reverse step is: fixed, measured, or learned; and what that costs in bits.

A reverse step is a Gaussian around the posterior mean of the guess x_0. In this file it is one
function, reverse(x_t, t, s) -> (x_0, variance), for any two times s < t of a variance-preserving
schedule, so that a chain may skip times. Built by hand in chapter 15.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from course_lib.core.checks import one_of
from course_lib.core.types import Data, Denoise, PerExample, RandnLike, Time
from course_lib.diffusion.forward import between, posterior
from course_lib.diffusion.likelihood import discretised_gaussian, gaussian_kl, nats_to_bits
from course_lib.diffusion.predictions import mix, x_0_from
from course_lib.diffusion.schedules import DiscreteSchedule, NoiseSchedule, shaped

LEAST = 0.003  # of sigma squared: the smallest squared error that a learned variance may claim
Reverse = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class LearnedVariance(nn.Module):
    """A network that guesses x_0 and says where between beta-tilde and beta the variance lies.

    net        net(x_t, t) -> twice the channels of x_t: the prediction, then a raw number u
    predicts   what the first half is, as in `Denoiser`

    As a denoiser it gives x_0 alone, so it plugs in wherever one does. The fraction is (u + 1) / 2:
    a network that says 0 stands half way, and nothing keeps it inside [0, 1] (Nichol & Dhariwal
    2021, section 3.1; the half is their released code's).
    """

    def __init__(self, net: nn.Module, schedule: DiscreteSchedule, predicts: str = "eps"):
        super().__init__()
        one = Tensor([0.5])
        mix(predicts, one, one)  # an unknown name fails here, not at the first batch
        self.net, self.schedule, self.predicts = net, schedule, predicts

    def forward(self, x_t: Data, t: Time) -> Data:
        """The guess of x_0."""
        return self.both(x_t, t)[0]

    def both(self, x_t: Data, t: Time) -> tuple[Data, Data]:
        """The guess of x_0, and the fraction v of each coordinate."""
        out, v = self.outputs(x_t, t)
        alpha, sigma = self.schedule(t, like=x_t)
        return x_0_from(self.predicts, out, x_t, alpha, sigma), v

    def outputs(self, x_t: Data, t: Time) -> tuple[Data, Data]:
        """What the network predicts, in its own terms, and the fraction v."""
        out, raw = self.net(x_t, t).chunk(2, dim=1)
        if out.shape != x_t.shape:
            raise ValueError(
                f"the network must put out twice the {x_t.shape[1]} channels of x_t, a prediction"
                f" and a fraction; got {out.shape[1] + raw.shape[1]}"
            )
        return out, (raw + 1) / 2


def interpolated(schedule: NoiseSchedule, v: Data, t: Time, s: Time, above: Time) -> Data:
    """The variance between beta-tilde (v = 0) and beta (v = 1), evenly in its logarithm.

    Nichol & Dhariwal 2021, section 3.1, for any s < t.

    above   a time above t. At s = 0 beta-tilde is 0 and has no logarithm: the step from `above` to
            t lends its own, as their code does
    """
    low, high = _range(schedule, t, s, above)
    return ((1 - v) * shaped(low.log(), v) + v * shaped(high.log(), v)).exp()


def fraction(schedule: NoiseSchedule, variance: Data, t: Time, s: Time, above: Time) -> Data:
    """The v whose `interpolated` variance this is; outside [0, 1] if it lies beyond both."""
    low, high = _range(schedule, t, s, above)
    return (variance.log() - shaped(low.log(), variance)) / shaped((high / low).log(), variance)


def from_error(schedule: NoiseSchedule, error: Data, t: Time, s: Time) -> Data:
    """The best variance for a guess of x_0 whose squared error is `error` on average.

    beta-tilde plus the error as far as it reaches the mean of the step (Bao et al. 2022, for DDPM's
    steps). With the exact denoiser `error` is the variance of x_0 given x_t.
    """
    step = between(schedule, t, s)
    return shaped(step.variance, error) + shaped(step.on_x_0.square(), error) * error


def error_from(schedule: NoiseSchedule, variance: Data, t: Time, s: Time) -> Data:
    """The squared error that a step's variance allows for: `from_error` read backwards, above 0."""
    step = between(schedule, t, s)
    spare = (variance - shaped(step.variance, variance)).clamp(min=0)
    return spare / shaped(step.on_x_0.square(), variance)


def fixed(
    denoise: Denoise, schedule: NoiseSchedule, above: Callable[[Tensor], Tensor], kind: str
) -> Reverse:
    """A denoiser with the variance beta-tilde ("small") or beta ("large") of Ho et al. 2020.

    above   as `above_in(times)`: where a chain came from, for the last step of "small"
    """
    one_of(kind, ("small", "large"), "variance")
    v = 0.0 if kind == "small" else 1.0

    def reverse(x_t: Data, t: Time, s: Time) -> tuple[Data, Data]:
        return denoise(x_t, t), interpolated(schedule, torch.full_like(x_t, v), t, s, above(t))

    return reverse


def measured(denoise: Denoise, schedule: NoiseSchedule, errors: Float[Tensor, " times"]) -> Reverse:
    """A denoiser with the best variance that is one number for each step, learned without training.

    errors   errors[t] is the mean squared error of its guesses at t, on training data
    """

    def reverse(x_t: Data, t: Time, s: Time) -> tuple[Data, Data]:
        error = shaped(errors.to(t.device)[t], x_t).expand_as(x_t)
        return denoise(x_t, t), from_error(schedule, error, t, s)

    return reverse


def learned(
    model: LearnedVariance, above: Callable[[Tensor], Tensor], *, reaimed: bool = False
) -> Reverse:
    """The model's own variance, on the chain that `above` belongs to.

    reaimed   False takes v as it is between the beta-tilde and beta of the chain's own step (Nichol
              & Dhariwal 2021, section 4). True asks which squared error v stands for on the chain
              of the training, and takes the best variance for that error
    """
    schedule = model.schedule

    def reverse(x_t: Data, t: Time, s: Time) -> tuple[Data, Data]:
        x_0, v = model.both(x_t, t)
        if not reaimed:
            return x_0, interpolated(schedule, v, t, s, above(t))
        near = (t + 1).clamp(max=schedule.T)
        fine = interpolated(schedule, v, t, t - 1, near)
        error = error_from(schedule, fine, t, t - 1)
        # A v at or below 0 claims certainty; the last step would then have no width at all.
        least = LEAST * shaped(schedule.sigma(t).square(), error)
        return x_0, from_error(schedule, torch.maximum(error, least), t, s)

    return reverse


def above_in(times: Int[Tensor, " times"]) -> Callable[[Tensor], Tensor]:
    """For each of a chain's decreasing times the one it came from; for the first one itself.

    Raises ValueError for a chain of one step.
    """

    if len(times) < 3:
        raise ValueError(f"a chain needs two steps or more, got the times {times.tolist()}")

    def above(t: Time) -> Time:
        chain = times.to(t.device)
        place = (chain[None, :] == t[:, None]).int().argmax(1)
        return chain[(place - 1).clamp(min=0)]

    return above


def reverse_step(
    reverse: Reverse,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    clipped: bool = True,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """Draw x_s with the mean and the variance of `reverse`; at s = 0 its x_0, nothing added.

    clipped   keep x_0 in [-1, 1]
    """
    x_0, variance = reverse(x_t, t, s)
    mean, _ = posterior(schedule, x_0.clamp(-1, 1) if clipped else x_0, x_t, t, s)
    return mean + shaped(s > 0, x_t) * variance.sqrt().to(x_t.dtype) * randn_like(x_t)


def reverse_bits(
    reverse: Reverse, schedule: NoiseSchedule, x_0: Data, t: Time, s: Time, eps: Data, levels: int
) -> PerExample:
    """What the step from t to s costs in the bound, in bits per dimension, for any variance.

    The divergence from q(x_s | x_t, x_0); at s = 0 the grey levels of x_0 under a Gaussian that is
    cut into bins (Ho et al. 2020, eq. 13).
    """
    alpha, sigma = schedule(t, like=x_0)
    x_t = alpha * x_0 + sigma * eps
    guess, variance = reverse(x_t, t, s)
    step = between(schedule, t, s)
    last = shaped(s == 0, x_0) > 0
    apart = shaped(step.on_x_0, x_0) * (guess - x_0)
    # Where the posterior is a point, any positive number keeps the unused branch finite.
    true = torch.where(last, variance.detach(), shaped(step.variance, x_0))
    kl = gaussian_kl(apart * 0, true, apart, variance).flatten(1).sum(1)
    if not bool(last.any()):
        return nats_to_bits(kl / x_0.shape[1:].numel())
    # Elsewhere the guess may be so far off that the gradient of its logarithm is no number.
    mean = torch.where(last, guess, x_0)
    log_p = discretised_gaussian(x_0, mean, torch.where(last, variance.sqrt(), 1.0), levels)
    return nats_to_bits(torch.where(s == 0, -log_p, kl) / x_0.shape[1:].numel())


@torch.no_grad()
def chain_bits(
    reverse: Reverse,
    schedule: NoiseSchedule,
    images: Data,
    times: Shaped[Tensor, " times"],
    levels: int,
    draws: int = 64,
    randn_like: RandnLike = torch.randn_like,
) -> Float[Tensor, "steps draws"]:
    """The bound's terms for a chain that visits `times` only, T first and 0 last; without L_T.

    One row for each step, the last step first, of `draws` pictures, others in every row: the sum of
    the rows' means is an unbiased estimate, and the rows' variances add up to its own.
    """
    rows, taken = [], 0
    for t, s in reversed(list(pairwise(times.tolist()))):
        which = torch.arange(taken, taken + draws, device=images.device) % len(images)
        taken += draws
        parts = []
        for x_0 in images[which].split(512):
            now, then = (torch.full((len(x_0),), time, device=x_0.device) for time in (t, s))
            eps = randn_like(x_0)
            parts.append(reverse_bits(reverse, schedule, x_0, now, then, eps, levels))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def _range(schedule: NoiseSchedule, t: Time, s: Time, above: Time) -> tuple[Tensor, Tensor]:
    """beta-tilde and beta from t to s, one number per example, the former never 0."""
    step = between(schedule, t, s)
    lent = between(schedule, above, t).variance
    return torch.where(s == 0, lent, step.variance), step.beta
