"""Diffusion in continuous time: dx = f(t) x dt + g(t) dw, and every way back.

A schedule says it all: alpha and sigma fix f and g, and so does the reverse. Song et al. 2020 name
three schedules (their appendices B and C): `vp`, `ve` and `sub_vp`. One family of processes leads
back, dx = [f x - (1 + noise²) / 2 g² score] dt + noise g dw, all with the same law at every t:
noise = 0 is the probability-flow ODE (their eq. 13), noise = 1 the reverse SDE (their eq. 6).
Derived and built by hand in chapter 11.
"""

import torch
from torch import Tensor

from course_lib.core.types import Data, Denoise, PerExample, RandnLike, Time
from course_lib.diffusion.langevin import langevin_step
from course_lib.diffusion.predictions import eps_from
from course_lib.diffusion.samplers import refuse_no_signal
from course_lib.diffusion.schedules import NoiseSchedule, shaped


def vp(slowest: float = 0.1, fastest: float = 20.0) -> NoiseSchedule:
    """Variance preserving: DDPM's linear schedule in continuous time (their eq. 11 and 33).

    slowest, fastest   beta at t = 0 and t = 1: DDPM's step noises times the number of steps
    """
    _positive(slowest, fastest)

    def alpha(t: Tensor) -> Tensor:
        return torch.exp(-_integral(t, slowest, fastest) / 2)

    def sigma(t: Tensor) -> Tensor:
        return (-torch.expm1(-_integral(t, slowest, fastest))).sqrt()

    return NoiseSchedule(alpha, sigma)


def ve(low: float = 0.01, high: float = 50.0) -> NoiseSchedule:
    """Variance exploding: NCSN's geometric ladder in continuous time (their eq. 9 and 31).

    Beware: sigma(0) is `low`, not 0. Data with a little noise stands for data.
    """
    _positive(low, high)
    return NoiseSchedule(torch.ones_like, lambda t: low * (high / low) ** t)


def sub_vp(slowest: float = 0.1, fastest: float = 20.0) -> NoiseSchedule:
    """As much signal as `vp`, and noise of standard deviation 1 - alpha² (their eq. 12 and 34).

    So the variance of x_t lies below 1 on the way, for data of variance 1.
    """
    _positive(slowest, fastest)

    def sigma(t: Tensor) -> Tensor:
        return -torch.expm1(-_integral(t, slowest, fastest))

    return NoiseSchedule(vp(slowest, fastest).alpha, sigma)


def coefficients(schedule: NoiseSchedule, t: Time) -> tuple[PerExample, PerExample]:
    """f and g² of the SDE dx = f x dt + g dw that has this schedule's alpha and sigma.

    f = (log alpha)' and g² = -sigma² (log SNR)', in float64. Times are floats with sigma(t) > 0.
    Raises TypeError for integer times, which have no derivative.
    """
    if not t.is_floating_point():
        raise TypeError(f"an SDE runs in continuous time, got times of {t.dtype}")
    # Slopes are needed in inference mode too, where every tensor looks like a constant.
    with torch.inference_mode(False), torch.enable_grad():
        time = t.clone().to(t.dtype if t.device.type == "mps" else torch.float64)
        time = time.detach().requires_grad_()
        f = _slope(schedule.alpha(time).log(), time)
        # Not (sigma²)' - 2 f sigma²: near t = 1 that is a difference of nearly equal numbers.
        fall = -_slope(schedule.log_snr(time), time)
    return f, schedule.sigma(time).detach().square() * fall


def score_from(denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time) -> Data:
    """The gradient of log p_t at x_t, from the mean of x_0 (Tweedie)."""
    alpha, sigma = schedule(t, like=x_t)
    return -eps_from(denoise(x_t, t), x_t, alpha, sigma) / sigma


def drift(
    denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, noise: float = 0.0
) -> Data:
    """dx/dt of the process back, without its random part: f x - (1 + noise²) / 2 g² score.

    noise   0 is the velocity of the probability-flow ODE, 1 the drift of the reverse SDE
    """
    f, g2 = (shaped(c, x_t) for c in coefficients(schedule, t))
    return f * x_t - (1 + noise**2) / 2 * g2 * score_from(denoise, schedule, x_t, t)


def euler_maruyama_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    noise: float = 1.0,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """One Euler-Maruyama step of the process back, from t to s < t.

    noise   as in `drift`; between and beyond 0 and 1 the law is the same, the paths are not

    At s = 0 nothing random is added: the last step only denoises (their appendix G).
    """
    refuse_no_signal(schedule.alpha(t), t)
    _, g2 = coefficients(schedule, t)
    width = (t - s).to(g2.dtype)
    fresh = torch.where(s > 0, noise * (g2 * width).sqrt(), 0)  # g and sqrt(dt), each once
    mean = x_t - shaped(width, x_t) * drift(denoise, schedule, x_t, t, noise)
    return mean + shaped(fresh, x_t) * randn_like(x_t)


def predictor_corrector_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    moves: int = 1,
    rate: float = 0.05,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """A step of the reverse SDE, then Langevin moves that mend the law at s (their algorithm 1).

    rate    a move's step over sigma². The paper's signal-to-noise ratio r (its algorithm 4) is
            rate = 2 r² if sigma times the score is as long as the noise. Its best r, found by
            search (table 5), was 0.16 on VE, our 0.05, and 0.01 on VP, our 0.0002
    moves   corrector moves after each step; each costs one evaluation more

    At s = 0 there is nothing to correct.
    """
    x_s = euler_maruyama_step(denoise, schedule, x_t, t, s, randn_like=randn_like)
    if moves == 0 or bool((s == 0).all()):
        return x_s
    return langevin_step(
        denoise, schedule, x_s, s, s, moves=moves, rate=rate, randn_like=randn_like
    )


def _integral(t: Tensor, slowest: float, fastest: float) -> Tensor:
    """The integral from 0 to t of beta(t) = slowest + (fastest - slowest) t."""
    return slowest * t + (fastest - slowest) * t**2 / 2


def _slope(values: Tensor, time: Tensor) -> Tensor:
    if not values.requires_grad:  # alpha = 1 everywhere
        return torch.zeros_like(time)
    return torch.autograd.grad(values.sum(), time)[0]


def _positive(low: float, high: float) -> None:
    if not 0 < low < high:
        raise ValueError(f"need two positive numbers, the smaller first; got {low:g} and {high:g}")
