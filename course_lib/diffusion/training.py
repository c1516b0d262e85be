"""Which times a batch is trained at, and how much each of them counts."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.types import PerExample, Time
from course_lib.diffusion.predictions import x_0_weight
from course_lib.diffusion.schedules import DiscreteSchedule


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


def log_uniform_levels(
    n: int, low: float, high: float, device: str | torch.device = "cpu"
) -> Float[Tensor, " n"]:
    """n noise levels in [low, high], spread evenly in log sigma, one from each n-th part.

    What drawing from a geometric ladder tends to as its levels grow many. Times of `edm`.
    """
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
