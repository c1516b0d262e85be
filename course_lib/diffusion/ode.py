"""The probability-flow ODE solved to a tolerance: samples, codes of data, and exact likelihoods.

`solve` is an adaptive Runge-Kutta method of order 5. Along the flow, log-density changes by minus
the divergence of the velocity (Chen et al. 2018), so one solve gives log p(x) of a data point.
Derived and built by hand in chapter 11.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.core.types import Data, Denoise, PerExample
from course_lib.diffusion import score_matching
from course_lib.diffusion.schedules import NoiseSchedule
from course_lib.diffusion.sde import drift

Velocity = Callable[[Tensor, float], Tensor]  # (x, t) -> dx/dt, for a whole batch at one time
Divergence = Callable[[Callable[[Tensor], Tensor], Tensor], tuple[Tensor, PerExample]]

# Dormand & Prince 1980: where the slopes are taken, what each is made of, and how far the solutions
# of order 5 and 4 lie apart. The last slope of a step is the first one of the next.
_TIMES = (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1)
_MIX = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (-71 / 57600, 0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)


class Solution(NamedTuple):
    """Where the flow ends, and how often the velocity was asked for on the way."""

    x: Tensor
    evaluations: int


def solve(
    velocity: Velocity,
    x: Data,
    start: float,
    end: float,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    most: int = 10_000,
) -> Solution:
    """Follow dx/dt = velocity(x, t) from time `start` to `end`, in either direction.

    Steps are as long as the estimated error of each, atol + rtol |x| in the root mean square,
    allows: one step size for the whole batch. The method of Dormand & Prince, as SciPy's RK45.

    Raises RuntimeError if it takes more than `most` evaluations, or where numbers are not finite.
    """
    t, slope, asked = start, velocity(x, start), 1
    step = (end - start) / 100
    while t != end and len(x):  # no examples have no error
        step = math.copysign(min(abs(step), abs(end - t)), end - start)
        slopes = [slope]
        for share, weights in zip(_TIMES[1:], _MIX[1:], strict=True):
            new = x + step * _mixed(weights, slopes)
            slopes.append(velocity(new, t + share * step))
        asked += len(slopes) - 1
        allowed = atol + rtol * torch.maximum(x.abs(), new.abs())
        error = float((step * _mixed(_ERROR, slopes) / allowed).square().mean().sqrt())
        if not math.isfinite(error) or asked > most:
            why = "numbers that are not finite" if asked <= most else f"{asked:,} evaluations"
            raise RuntimeError(f"the ODE solver gave up at t = {t:g}, step {step:.1e}: {why}")
        if error <= 1:
            t = end if abs(step) == abs(end - t) else t + step
            x, slope = new, slopes[-1]
        step *= min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** -0.2))
    return Solution(x, asked)


def flow(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x: Data,
    start: float,
    end: float,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Solution:
    """Take x along the probability-flow ODE: towards noise it encodes, towards data it samples.

    The lower of the two times must have sigma > 0, the higher one alpha > 0 (ValueError).
    """
    _with_signal(schedule, max(start, end))
    velocity = _velocity(denoise, schedule)
    with torch.no_grad():
        return solve(velocity, x, start, end, rtol=rtol, atol=atol)


def log_prob(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x: Data,
    start: float,
    end: float | None = None,
    *,
    divergence: Divergence | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> PerExample:
    """log p(x) in nats, under the law that the ODE makes of N(0, sigma(end)²) at time `start`.

    Song et al. 2020, eq. 39. Exact up to the solver's tolerance: for the law of this denoiser's
    flow, not for the data's.

    start       a little above 0, where sigma > 0
    end         t_max of the schedule if not given; alpha must be above 0 there (ValueError)
    divergence  `exact_divergence` if not given, one backward pass for each coordinate; an estimate
                such as `hutchinson(probe)` costs one
    """
    end = schedule.t_max if end is None else end
    _with_signal(schedule, end)
    divergence = divergence or exact_divergence
    velocity = _velocity(denoise, schedule)

    def joint(state: Tensor, t: float) -> Tensor:
        v, spread = divergence(lambda y: velocity(y, t), state[:, :-1].reshape(x.shape))
        return torch.cat([v.flatten(1), spread[:, None]], 1)

    state = torch.cat([x.flatten(1), x.new_zeros(len(x), 1)], 1)
    state = solve(joint, state, start, end, rtol=rtol, atol=atol).x
    code, gathered = state[:, :-1], state[:, -1]
    sigma = float(schedule.sigma(torch.tensor([end], dtype=torch.float64)))
    nats = 0.5 * (code / sigma).square() + math.log(sigma) + 0.5 * math.log(2 * math.pi)
    return gathered - nats.sum(1)


def _with_signal(schedule: NoiseSchedule, t: float) -> None:
    if not float(schedule.alpha(torch.tensor([t], dtype=torch.float64))) > 1e-6:
        raise ValueError(
            f"at t = {t:g} alpha is next to 0, and its logarithm falls without end: stop a little"
            f" earlier, such as at {0.999 * t:g}"
        )


@torch.no_grad()
def exact_divergence(velocity: Callable[[Tensor], Tensor], x: Data) -> tuple[Data, PerExample]:
    """The velocity at x, and the sum of dv_i / dx_i, by one backward pass for each coordinate."""
    v, total = score_matching.divergence(velocity, x)
    return v.detach(), total


def hutchinson(probe: Data) -> Divergence:
    """The estimate z·(dv/dx) z of the divergence, which is right on average if E[z zᵀ] = I.

    probe   z, of the shape of x and the same all along the flow; random signs vary least
    """

    @torch.no_grad()
    def divergence(velocity: Callable[[Tensor], Tensor], x: Data) -> tuple[Data, PerExample]:
        v, total = score_matching.hutchinson_divergence(velocity, x, probe[None])
        return v.detach(), total

    return divergence


def _velocity(denoise: Denoise, schedule: NoiseSchedule) -> Velocity:
    def velocity(x: Tensor, t: float) -> Tensor:
        return drift(denoise, schedule, x, torch.full((len(x),), t, dtype=x.dtype, device=x.device))

    return velocity


def _mixed(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    return sum((w * k for w, k in zip(weights, slopes, strict=True) if w), 0 * slopes[0])
