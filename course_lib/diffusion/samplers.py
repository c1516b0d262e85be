"""From noise to data: each step asks a denoiser for x_0 and moves from t to a smaller time s.

A step is a pure function, step(denoise, schedule, x_t, t, s, ...) -> x_s. Its randomness is an
argument: randn_like(x) gives the noise, torch's own by default, `seeded_randn_like(seed)` for noise
that repeats. Built by hand in chapters 0 (Euler), 7 (ancestral), 14 (DDIM) and 19 (Heun).
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from jaxtyping import Shaped
from torch import Tensor

from course_lib.core.types import Data, Denoise, RandnLike, Time
from course_lib.diffusion.forward import between, posterior
from course_lib.diffusion.predictions import eps_from
from course_lib.diffusion.schedules import NoiseSchedule, shaped

Step = Callable[[Denoise, NoiseSchedule, Tensor, Tensor, Tensor], Tensor]


def ddpm_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    variance: str = "small",
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """Draw x_s from q(x_s | x_t, x_0) with the denoiser's x_0 in place of the true one.

    Ho et al. 2020, eq. 7, for any pair s < t of a variance-preserving schedule. Neighbours
    s = t - 1 give algorithm 2.

    variance   "small" is the posterior's own, beta-tilde; "large" is beta (section 3.2)

    Nothing is added at s = 0, where the result is the denoiser's answer.
    """
    if variance not in ("small", "large"):
        raise ValueError(f"unknown variance {variance!r}. Use one of: small, large")
    mean, spread = posterior(schedule, denoise(x_t, t), x_t, t, s)
    if variance == "large":
        beta = shaped(between(schedule, t, s).beta, x_t)
        spread = torch.where(spread > 0, beta, 0)  # nothing at s = 0, whatever beta is
    return mean + spread.sqrt() * randn_like(x_t)


def ddim_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    eta: float = 0.0,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """Keep the direction of the noise and shrink it (Song, Meng & Ermon 2020, eq. 12 and 16).

    eta   0 is deterministic, 1 is DDPM's ancestral step with the small variance

    Raises ValueError unless 0 <= eta <= 1: beyond, more noise goes in than s has.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie between 0 (no fresh noise) and 1 (ancestral), got {eta}")
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t, like=x_t), schedule(s, like=x_t)
    x_0 = denoise(x_t, t)
    eps = eps_from(x_0, x_t, alpha_t, sigma_t)
    if eta == 0:
        return alpha_s * x_0 + sigma_s * eps
    fresh = eta * shaped(between(schedule, t, s).variance, x_t).sqrt()
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    return alpha_s * x_0 + kept * eps + fresh * randn_like(x_t)


def euler_step(denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, s: Time) -> Data:
    """One Euler step of the probability-flow ODE, in the coordinates that make it straightest.

    With z = x / alpha and n = sigma / alpha the ODE reads dz/dn = (z - x_0) / n (Karras et al.
    2022, eq. 1 and 3, for z). The result is DDIM's with eta = 0: chapter 14 proves it.
    """
    z, n_t, n_s, alpha_s = _scaled(schedule, x_t, t, s)
    slope = (z - denoise(x_t, t)) / n_t
    return alpha_s * (z + (n_s - n_t) * slope)


def heun_step(denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, s: Time) -> Data:
    """Euler, then again with the mean of the slopes at both ends (Karras et al. 2022, algorithm 1).

    Second order for twice the evaluations. At s = 0 the second slope does not exist and Euler's
    answer, the denoiser's own, stands.
    """
    z, n_t, n_s, alpha_s = _scaled(schedule, x_t, t, s)
    slope_t = (z - denoise(x_t, t)) / n_t
    z_s = z + (n_s - n_t) * slope_t
    if bool((n_s == 0).all()):
        return alpha_s * z_s
    slope_s = (z_s - denoise(alpha_s * z_s, s)) / n_s
    return alpha_s * torch.where(n_s > 0, z + (n_s - n_t) * (slope_t + slope_s) / 2, z_s)


def walk(
    step: Step, denoise: Denoise, schedule: NoiseSchedule, x: Data, times: Shaped[Tensor, " times"]
) -> Iterator[Data]:
    """Yield x at each of the decreasing `times`, the first one included.

    The whole path is `list(walk(...))`; a caller may also look at each state and stop.
    Raises ValueError unless the times decrease strictly and none is negative.
    """
    if len(times) < 2 or not bool((times.diff() < 0).all()) or times[-1] < 0:
        raise ValueError(f"times must decrease strictly to 0 or above, got {times.tolist()[:8]}")
    # Floating times in the precision of x: networks expect it, and MPS has no float64.
    times = times.to(x.device, x.dtype if times.is_floating_point() else None)
    yield x
    for t, s in pairwise(times):
        with torch.no_grad():
            x = step(denoise, schedule, x, t.expand(len(x)), s.expand(len(x)))
        yield x


def sample(
    step: Step, denoise: Denoise, schedule: NoiseSchedule, x: Data, times: Shaped[Tensor, " times"]
) -> Data:
    """Walk x, noise at times[0], down to times[-1]: with times that end in 0, to data."""
    *_, x_0 = walk(step, denoise, schedule, x, times)
    return x_0


def _scaled(
    schedule: NoiseSchedule, x_t: Data, t: Time, s: Time
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_t and both noise levels divided by alpha, and alpha(s) to come back with."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t, like=x_t), schedule(s, like=x_t)
    refuse_no_signal(alpha_t, t)
    return x_t / alpha_t, sigma_t / alpha_t, sigma_s / alpha_s, alpha_s


def refuse_no_signal(alpha: Tensor, t: Time) -> None:
    """Raise ValueError where what divides by alpha(t) has nothing left to divide by."""
    if bool((alpha < 1e-6).any()):
        raise ValueError(
            f"this divides by alpha, which is {float(alpha.min()):g} at t = {t.max():g}. Start a"
            " little before all signal is gone, or take the first step without it, by ddim_step"
        )
