"""The variational bound, term by term, in bits per dimension."""

import math

import torch
from torch import Tensor

from course_lib.core.types import Data, Denoise, PerExample, Time
from course_lib.diffusion.schedules import DiscreteSchedule, NoiseSchedule
from course_lib.diffusion.training import vlb_weight


def gaussian_kl(mean_q: Tensor, var_q: Tensor, mean_p: Tensor, var_p: Tensor) -> Tensor:
    """KL(q || p) of Gaussians with independent coordinates, entry by entry, in nats."""
    return 0.5 * ((var_p / var_q).log() + (var_q + (mean_q - mean_p).square()) / var_p - 1)


def bits_per_dim(nats: Tensor) -> Tensor:
    """Nats per coordinate to bits per coordinate."""
    return nats / math.log(2)


def pixel_bits(log_density: PerExample, dims: int, bin_width: float) -> PerExample:
    """Bits per dimension of whole-number pixels, from a density of pixels made continuous.

    log_density   log p(x) of a whole example in nats, where x = scaled (pixel + noise in [0, 1))
    dims          how many numbers an example holds
    bin_width     the width of one grey level in the units of x: 1/256 if 256 levels fill [0, 1),
                  2/255 after `to_unit`

    On average no less than the bits that the density's own probabilities of the pixels would cost
    (Theis et al. 2016). Raises ValueError if dims or bin_width is not positive.
    """
    if dims < 1 or not bin_width > 0:
        raise ValueError(f"need dims >= 1 and bin_width > 0, got {dims} and {bin_width:g}")
    return bits_per_dim(-log_density / dims) - math.log2(bin_width)


def prior_bits(schedule: DiscreteSchedule, x_0: Data) -> PerExample:
    """L_T: bits per dimension paid because x_T is not quite N(0, I) (Ho et al. 2020, eq. 5).

    About 1e-5 for DDPM's schedule and image-like data; large if signal is left at t = T.
    """
    t = torch.full((len(x_0),), schedule.T, device=x_0.device)
    alpha, sigma = schedule(t, like=x_0)
    kl = gaussian_kl(alpha * x_0, sigma**2, torch.zeros_like(x_0), torch.ones_like(sigma))
    return bits_per_dim(kl.flatten(1).mean(1))


def step_bits(
    denoise: Denoise,
    schedule: DiscreteSchedule,
    x_0: Data,
    t: Time,
    eps: Data,
    variance: str = "small",
) -> PerExample:
    """L_{t-1}: bits per dimension of one reverse step, for t >= 2 (Ho et al. 2020, eq. 5).

    The model's step has the posterior variance ("small") or beta_t ("large"). One draw of eps gives
    an unbiased estimate.
    """
    alpha, sigma = schedule(t, like=x_0)
    error = (denoise(alpha * x_0 + sigma * eps, t) - x_0).square().flatten(1).mean(1)
    nats = vlb_weight(schedule, t, "x_0", variance) * error
    if variance == "large":
        # Means aside, the two variances differ: what a perfect mean still pays.
        beta, noise = schedule.beta.to(t.device), 1 - schedule.alpha_bar.to(t.device)
        nats = nats + gaussian_kl(error * 0, beta[t] * noise[t - 1] / noise[t], error * 0, beta[t])
    return bits_per_dim(nats).to(x_0.dtype)


def continuous_bits(
    denoise: Denoise, schedule: NoiseSchedule, x_0: Data, t: Time, eps: Data
) -> PerExample:
    """Bits per dimension and unit of time of the bound with infinitely many steps, at time t.

    Its integral from t = a to t = b is what the sum of `step_bits` (posterior variance) tends to as
    steps between a and b grow finer: -SNR'(t) / 2 times the squared error in x_0, the
    continuous-time bound of Kingma et al. 2021. Times are floats, with 0 < sigma(t) and
    0 < alpha(t). The integral depends on a, b through the signal-to-noise ratios there only
    (chapter 03).
    """
    alpha, sigma = schedule(t, like=x_0)
    error = (denoise(alpha * x_0 + sigma * eps, t) - x_0).square().flatten(1).mean(1)
    # -SNR' is SNR times the fall of log SNR: no difference of large numbers near t = 0.
    with torch.enable_grad():
        time = t.detach().requires_grad_()
        (slope,) = torch.autograd.grad(schedule.log_snr(time).sum(), time)
    return bits_per_dim(-0.5 * slope * schedule.snr(t) * error).to(x_0.dtype)
