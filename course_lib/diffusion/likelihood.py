"""The variational bound, term by term, in bits per dimension. By hand in chapters 1, 3, 7."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.core.types import Data, Denoise, PerExample, RandnLike, Time
from course_lib.diffusion.schedules import DiscreteSchedule, NoiseSchedule
from course_lib.diffusion.training import vlb_weight


def gaussian_kl(mean_q: Tensor, var_q: Tensor, mean_p: Tensor, var_p: Tensor) -> Tensor:
    """KL(q || p) of Gaussians with independent coordinates, entry by entry, in nats."""
    return 0.5 * ((var_p / var_q).log() + (var_q + (mean_q - mean_p).square()) / var_p - 1)


def nats_to_bits(nats: Tensor) -> Tensor:
    """The unit of information: one nat is 1 / ln 2 bits, about 1.44."""
    return nats / math.log(2)


def pixel_bits(log_density: PerExample, dims: int, bin_width: float) -> PerExample:
    """Bits per dimension of whole-number pixels, from a density of pixels made continuous.

    log_density   log p(x) of a whole example in nats, where x = scaled (pixel + noise in [0, 1))
    dims          how many numbers an example holds
    bin_width     the width of one grey level in the units of x: 1/256 if 256 levels fill [0, 1),
                  2/255 after `to_unit`

    On average no less than the bits that the density's own probabilities of the pixels would cost
    (Theis et al. 2015). Raises ValueError if dims or bin_width is not positive.
    """
    if dims < 1 or not bin_width > 0:
        raise ValueError(f"need dims >= 1 and bin_width > 0, got {dims} and {bin_width:g}")
    return nats_to_bits(-log_density / dims) - math.log2(bin_width)


def discretised_gaussian(x: Data, mean: Data, std: float | Tensor, levels: int = 256) -> PerExample:
    """Log-probability of grey levels under a Gaussian cut into bins (Ho et al. 2020, eq. 13).

    x is one of `levels` values evenly spaced in [-1, 1]; the end bins reach to infinity, so the
    probabilities of all levels add up to 1.
    """
    std = torch.as_tensor(std, dtype=mean.dtype, device=mean.device)
    half = 1 / (levels - 1)
    # A bin has the mass of its mirror image. In the lower tail log_ndtr keeps all its digits.
    offset = -(x - mean).abs()
    upper = torch.special.log_ndtr((offset + half) / std)
    lower = torch.special.log_ndtr((offset - half) / std)
    inside = upper + torch.log(-torch.expm1(lower - upper))
    below = torch.special.log_ndtr((x + half - mean) / std)
    above = torch.special.log_ndtr((mean - x + half) / std)
    return with_open_ends(x, below, inside, above, half)


def with_open_ends(x: Data, below: Data, inside: Data, above: Data, half: float) -> PerExample:
    """The lowest level owns everything below it, the highest everything above."""
    log_mass = torch.where(x < -1 + half, below, torch.where(x > 1 - half, above, inside))
    return log_mass.flatten(1).sum(1)


def prior_bits(schedule: DiscreteSchedule, x_0: Data) -> PerExample:
    """L_T: bits per dimension paid because x_T given x_0 is not quite N(0, I).

    Ho et al. 2020, eq. 5. About 1e-5 for DDPM's schedule and image-like data; large if signal is
    left at t = T.
    """
    t = torch.full((len(x_0),), schedule.T, device=x_0.device)
    alpha, sigma = schedule(t, like=x_0)
    kl = gaussian_kl(alpha * x_0, sigma**2, torch.zeros_like(x_0), torch.ones_like(sigma))
    return nats_to_bits(kl.flatten(1).mean(1))


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
    return _step_bits(schedule, t, error, variance)


def _step_bits(schedule: DiscreteSchedule, t: Time, error: PerExample, variance: str) -> PerExample:
    nats = vlb_weight(schedule, t, "x_0", variance) * error
    if variance == "large":
        # Means aside, the two variances differ: what a perfect mean still pays.
        beta, noise = schedule.beta.to(t.device), 1 - schedule.alpha_bar.to(t.device)
        nats = nats + gaussian_kl(error * 0, beta[t] * noise[t - 1] / noise[t], error * 0, beta[t])
    return nats_to_bits(nats).to(error.dtype)


def term_bits(
    denoise: Denoise,
    schedule: DiscreteSchedule,
    x_0: Data,
    t: Time,
    eps: Data,
    levels: int,
    variance: str = "small",
) -> tuple[PerExample, PerExample]:
    """L_{t-1} in bits per dimension for any t in 1..T, and the mean squared error of the guess.

    At t = 1 it is the last step: the probability of the very grey levels of x_0, under a Gaussian
    of variance beta_1 around the guess that is cut into bins (Ho et al. 2020, eq. 13). From t = 2
    on it is `step_bits`; a chain with T = 1 has its last step alone.

    levels   how many grey levels there are, evenly spaced in [-1, 1]
    """
    alpha, sigma = schedule(t, like=x_0)
    guess = denoise(alpha * x_0 + sigma * eps, t)
    error = (guess - x_0).square().flatten(1).mean(1)
    step = _step_bits(schedule, t.clamp(min=2), error, variance) if schedule.T > 1 else 0 * error
    # Elsewhere the guess may be so far off that the gradient of its logarithm is no number.
    last = torch.where((t == 1).view(sigma.shape), guess, x_0)
    log_p = discretised_gaussian(x_0, last, float(schedule.beta[1].sqrt()), levels)
    decoder = nats_to_bits(-log_p / x_0.shape[1:].numel())
    return torch.where(t == 1, decoder.to(step.dtype), step), error


@torch.no_grad()
def bound_terms(
    denoise: Denoise,
    schedule: DiscreteSchedule,
    images: Data,
    levels: int,
    draws: int = 4,
    variance: str = "small",
    randn_like: RandnLike = torch.randn_like,
) -> tuple[Float[Tensor, "T draws"], Float[Tensor, "T draws"]]:
    """L_0 ... L_{T-1} in bits per dimension, and the squared errors of the guesses, row t - 1.

    Each row holds `draws` pictures of `images`, others in every row, so that the sum of the rows'
    means is an unbiased estimate of the bound without L_T (`prior_bits`), and the rows' variances
    add up to its own. Takes T x draws evaluations, in batches of 512.
    """
    times = torch.arange(1, schedule.T + 1, device=images.device).repeat_interleave(draws)
    # All pictures in turn: each is seen as often as any other, whatever `draws` is.
    which = torch.arange(len(times), device=images.device) % len(images)
    parts = []
    for t, rows in zip(times.split(512), which.split(512), strict=True):
        x_0 = images[rows]
        eps = randn_like(x_0)
        parts.append(torch.stack(term_bits(denoise, schedule, x_0, t, eps, levels, variance)))
    bits, error = torch.cat(parts, dim=1).view(2, schedule.T, draws)
    return bits, error


def continuous_bits(
    denoise: Denoise, schedule: NoiseSchedule, x_0: Data, t: Time, eps: Data
) -> PerExample:
    """Bits per dimension and unit of time of the bound with infinitely many steps, at time t.

    Its integral from t = a to t = b is what the sum of `step_bits` (posterior variance) tends to as
    steps between a and b grow finer: -SNR'(t) / 2 times the squared error in x_0, the
    continuous-time bound of Kingma et al. 2021. Times are floats, with 0 < sigma(t) and
    0 < alpha(t). The integral depends on a, b through the signal-to-noise ratios there only
    (chapter 3).
    """
    alpha, sigma = schedule(t, like=x_0)
    error = (denoise(alpha * x_0 + sigma * eps, t) - x_0).square().flatten(1).mean(1)
    # -SNR' is SNR times the fall of log SNR: no difference of large numbers near t = 0.
    with torch.enable_grad():
        time = t.detach().requires_grad_()
        (slope,) = torch.autograd.grad(schedule.log_snr(time).sum(), time)
    return nats_to_bits(-0.5 * slope * schedule.snr(t) * error).to(x_0.dtype)
