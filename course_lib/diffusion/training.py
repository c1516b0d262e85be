"""Which times a batch is trained at, and how much each of them counts."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.core.checks import one_of
from course_lib.core.types import PerExample, Time
from course_lib.diffusion.predictions import x_0_weight
from course_lib.diffusion.schedules import DiscreteSchedule, NoiseSchedule


def uniform_times(
    schedule: DiscreteSchedule, n: int, device: str | torch.device = "cpu"
) -> Int[Tensor, " n"]:
    """n times drawn evenly from 1..T (Ho et al. 2020, algorithm 1)."""
    return torch.randint(1, schedule.T + 1, (n,), device=device)


@torch.compiler.disable  # PyTorch 2.13's compiler fails on an index by a permutation
def stratified_times(
    schedule: DiscreteSchedule, n: int, device: str | torch.device = "cpu"
) -> Int[Tensor, " n"]:
    """n times from 1..T, one from each n-th part of the range: the same mean loss, less noise.

    Every time is still equally likely; only the batch is spread evenly: the low-discrepancy sampler
    of Kingma et al. 2021.
    """
    u = (torch.arange(n, device=device) + torch.rand(1, device=device)) / n
    times = (u * schedule.T).long().clamp(max=schedule.T - 1) + 1
    return times[torch.randperm(n, device=device)]


class ImportanceTimes(nn.Module):
    """Draws times as often as their losses are large (Nichol & Dhariwal 2021, section 3.3).

    The chance of a time is proportional to the root mean square of its last `keep` losses, once
    every time has that many; before, all are equally likely. Its memory lies in buffers, so that a
    run that stops can go on.

    uniform   the share of draws that stay equally likely whatever the losses are; 1 for all
    """

    losses: Tensor
    seen: Tensor

    def __init__(self, T: int, keep: int = 10, uniform: float = 0.001):
        super().__init__()
        self.uniform = uniform
        self.register_buffer("losses", torch.zeros(T, keep, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(T, dtype=torch.long))

    def probabilities(self) -> Float[Tensor, " T"]:
        """The chance of each of the times 1..T."""
        even = torch.full_like(self.losses[:, 0], 1 / len(self.losses))
        if bool((self.seen < self.losses.shape[1]).any()):
            return even
        size = self.losses.square().mean(1).sqrt()
        return torch.lerp(size / size.sum(), even, self.uniform)

    def draw(self, n: int) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
        """n times, spread as in `stratified_times`, and what to multiply their losses by.

        The factors 1 / (T p(t)) keep the mean of a batch an unbiased estimate of the mean over t.
        """
        p = self.probabilities()
        u = (torch.arange(n, device=p.device) + torch.rand(1, device=p.device)) / n
        index = torch.searchsorted(p.cumsum(0), u.to(p.dtype)).clamp(max=len(p) - 1)
        index = index[torch.randperm(n, device=p.device)]
        return index + 1, 1 / (len(p) * p[index])

    @torch.no_grad()
    def remember(self, t: Time, losses: PerExample) -> None:
        """Take note of what was lost at the times t, before the factors of `draw`."""
        index, order = (t - 1).sort(stable=True)
        # A time that occurs twice in a batch fills two places.
        rank = torch.arange(len(t), device=t.device) - torch.searchsorted(index, index)
        place = (self.seen[index] + rank) % self.losses.shape[1]
        self.losses[index, place] = losses[order].to(self.losses.dtype)
        self.seen.index_add_(0, index, torch.ones_like(index))


def log_uniform_levels(
    n: int, low: float, high: float, device: str | torch.device = "cpu"
) -> Float[Tensor, " n"]:
    """n noise levels in [low, high], spread evenly in log sigma, one from each n-th part.

    What drawing from a geometric ladder tends to as its levels grow many. Times of `edm`.
    Raises ValueError unless 0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f"need 0 < low <= high, got low={low}, high={high}")
    u = (torch.arange(n, device=device) + torch.rand(n, device=device)) / n
    return low * torch.exp(math.log(high / low) * u)[torch.randperm(n, device=device)]


def vlb_weight(
    schedule: DiscreteSchedule, t: Time, predicts: str, variance: str = "small"
) -> PerExample:
    """What the loss on `predicts` at time t is multiplied by in the variational bound, in nats.

    The bound's term at t is KL(q(x_s | x_t, x_0) || p(x_s | x_t)) with s = t - 1: a squared
    distance of means over twice the variance. With the posterior variance ("small") it is
    (SNR(s) - SNR(t)) / 2 times the squared error in x_0 (Kingma et al. 2021, section 4), and for
    "eps" it is the factor of Ho et al. 2020, eq. 12. `variance="large"` divides by beta_t instead.

    For t >= 2: at t = 1 the "small" variance is 0 and the bound has a decoder term in its place.
    """
    one_of(variance, ("small", "large"), "variance")
    beta, alpha_bar = schedule.beta.to(t.device), schedule.alpha_bar.to(t.device)
    s, noise = t - 1, 1 - alpha_bar
    # The posterior mean holds x_0 with the factor sqrt(alpha_bar_s) beta_t / (1 - alpha_bar_t).
    distance = alpha_bar[s] * (beta[t] / noise[t]) ** 2
    spread = beta[t] if variance == "large" else beta[t] * noise[s] / noise[t]
    return distance / (2 * spread) / x_0_weight(predicts, schedule.alpha(t), schedule.sigma(t))


def min_snr_weight(
    schedule: NoiseSchedule, t: Time, predicts: str, gamma: float = 5.0
) -> PerExample:
    """What the loss on `predicts` is multiplied by, so that the x_0 error counts min(SNR, gamma).

    Hang et al. 2023: the same weight on the same error, whatever the network predicts.
    For "eps" it is min(SNR, gamma) / SNR, for "v" min(SNR, gamma) / (SNR + 1). Raises ValueError
    unless gamma > 0.
    """
    if not gamma > 0:
        raise ValueError(f"gamma must be above 0, got {gamma:g}")
    own = x_0_weight(predicts, schedule.alpha(t), schedule.sigma(t))
    return schedule.snr(t).clamp(max=gamma) / own
