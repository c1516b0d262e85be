"""From x_s to a noisier x_t, and back once x_0 is known: what the forward process says by itself.

The coefficients of a small step are differences of nearly equal numbers. They are formed in float64
and take the precision of the data only then; Apple's MPS, which has no float64, keeps float32.
Built by hand in chapters 4 and 7.
"""

from typing import NamedTuple

from torch import Tensor

from course_lib.core.types import Data, PerExample, Time
from course_lib.diffusion.schedules import NoiseSchedule, shaped


class Between(NamedTuple):
    """The Gaussians between two times, as one number per example.

    keep, beta        x_t = keep x_s + sqrt(beta) eps
    on_x_0, on_x_t    x_s = on_x_0 x_0 + on_x_t x_t + sqrt(variance) eps
    variance          beta-tilde of Ho et al. 2020, eq. 7
    """

    keep: PerExample
    beta: PerExample
    on_x_0: PerExample
    on_x_t: PerExample
    variance: PerExample


def between(schedule: NoiseSchedule, t: Time, s: Time) -> Between:
    """What lies between times s < t of any schedule, in float64; sigma(t) and alpha(s) above 0."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = _levels(schedule, t), _levels(schedule, s)
    keep, before, now = alpha_t / alpha_s, sigma_s**2, sigma_t**2
    beta = (now - keep**2 * before).clamp(min=0)
    return Between(keep, beta, alpha_s * beta / now, keep * before / now, beta * before / now)


def posterior(
    schedule: NoiseSchedule, x_0: Data, x_t: Data, t: Time, s: Time
) -> tuple[Data, Tensor]:
    """Mean and variance of q(x_s | x_t, x_0), known without learning; at s = 0 the point x_0."""
    step = between(schedule, t, s)
    mean = shaped(step.on_x_0, x_t) * x_0 + shaped(step.on_x_t, x_t) * x_t
    return mean, shaped(step.variance, x_t)


def _levels(schedule: NoiseSchedule, t: Time) -> tuple[Tensor, Tensor]:
    wide = t.double() if t.is_floating_point() and t.device.type != "mps" else t
    return schedule.alpha(wide), schedule.sigma(wide)
