"""Faster ways down the same curve: exponential integrators of second order, and noise put back.

In the time lambda = log(alpha / sigma) the probability-flow ODE has an exact solution but for one
integral,

    x_s = (sigma_s / sigma_t) x_t + sigma_s * integral of e^lambda x_0(lambda) d lambda,

from lambda_t to lambda_s (Lu et al. 2022b, "DPM-Solver++"). DDIM holds the denoiser's x_0
still over the step; the steps here let it move along a straight line. Built by hand in chapter 19.
"""

import torch
from torch import Tensor

from course_lib.core.types import Data, Denoise, RandnLike, Time
from course_lib.diffusion.predictions import eps_from
from course_lib.diffusion.samplers import ddim_step, heun_step, refuse_no_signal
from course_lib.diffusion.schedules import NoiseSchedule, shaped, time_at


def exponential_step(schedule: NoiseSchedule, x_t: Data, x_0: Data, t: Time, s: Time) -> Data:
    """From t to s with this x_0 all the way: the integral above, exactly, for a constant x_0.

    With the denoiser's answer at t it is DDIM's step; the solvers below put a better x_0 in.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t, like=x_t), schedule(s, like=x_t)
    shrinks = sigma_s / sigma_t
    return shrinks * x_t + (alpha_s - shrinks * alpha_t) * x_0


class DPMSolver2M:
    """Second order for one evaluation a step: it remembers x_0 of the step before (2M: multistep).

    DPM-Solver++(2M) of Lu et al. 2022b. A step in the socket of all others, one object for one
    walk: it keeps its memory from step to step, and starts afresh where a step does not begin at
    the time at which the last one ended. The first step of a walk and one to s = 0 are DDIM's:
    there is no line to follow, or none of finite length.

    eta          share of fresh noise in each step, as in `ddim_step`. At 1 this is what `diffusers`
                 calls "sde-dpmsolver++" and k-diffusion "DPM-Solver++(2M) SDE"
    randn_like   that noise

    Raises ValueError for an eta outside [0, 1].
    """

    def __init__(self, eta: float = 0.0, randn_like: RandnLike = torch.randn_like) -> None:
        if not 0 <= eta <= 1:
            raise ValueError(
                f"eta must lie between 0 (no fresh noise) and 1 (ancestral), got {eta}"
            )
        self.eta, self.randn_like = eta, randn_like
        self._end: Time | None = None  # where the last step ended
        self._lambda: Tensor = torch.empty(0)
        self._x_0: Tensor = torch.empty(0)

    def __call__(
        self, denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, s: Time
    ) -> Data:
        """One step from t to s; `s` alike for all examples is usual and not needed."""
        x_0, now, then = denoise(x_t, t), schedule.log_snr(t) / 2, schedule.log_snr(s) / 2
        line = x_0
        if self._end is not None and torch.equal(self._end, t):  # as many examples, too
            # x_0 half a step ahead, on the line through its last two values; at s = 0 it is 0 ahead
            ahead = (then - now) / (2 * (now - self._lambda))
            ahead = torch.where(torch.isfinite(ahead), ahead, 0)
            line = x_0 + shaped(ahead, x_0) * (x_0 - self._x_0)
        self._end, self._lambda, self._x_0 = s, now, x_0
        if self.eta == 0:
            return exponential_step(schedule, x_t, line, t, s)
        return ddim_step(
            lambda *_: line, schedule, x_t, t, s, eta=self.eta, randn_like=self.randn_like
        )


# Adams and Bashforth's weights of the last slopes, the newest first; rows: how many are known.
ADAMS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


class PLMS:
    """DDIM's step with a better noise: a mixture of the last four (Liu et al. 2022, "PNDM").

    Their multistep formula without the Runge-Kutta steps that come first in the paper: the sampler
    of the first Stable Diffusion. Only the first step of a walk asks twice: it tries DDIM's step,
    asks at its end, and goes with the mean of both noises. A step in the socket of all others, one
    object for one walk, as `DPMSolver2M` is. The weights are those of evenly spaced times; a last
    step that is shorter, as in `leading_times`, is taken with them all the same.
    """

    def __init__(self) -> None:
        self._end: Time | None = None  # where the last step ended
        self._known: list[Tensor] = []  # the last noises, the newest first

    def __call__(
        self, denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, s: Time
    ) -> Data:
        """One step from t to s."""
        alpha, sigma = schedule(t, like=x_t)
        eps = eps_from(denoise(x_t, t), x_t, alpha, sigma)
        if self._end is None or not t.equal(self._end):
            self._known = [eps]
            there, (alpha_s, sigma_s) = _along(eps, schedule, x_t, t, s), schedule(s, like=x_t)
            if bool((sigma_s > 0).all()):  # at s = 0 there is no noise to ask for
                eps = (eps + eps_from(denoise(there, s), there, alpha_s, sigma_s)) / 2
        else:
            self._known = [eps, *self._known[:3]]
            weights = ADAMS[len(self._known) - 1]
            eps = torch.stack([w * k for w, k in zip(weights, self._known, strict=True)]).sum(0)
        self._end = s
        return _along(eps, schedule, x_t, t, s)


def _along(eps: Data, schedule: NoiseSchedule, x_t: Data, t: Time, s: Time) -> Data:
    """DDIM's step with this noise."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t, like=x_t), schedule(s, like=x_t)
    refuse_no_signal(alpha_t, t)
    return alpha_s * (x_t - sigma_t * eps) / alpha_t + sigma_s * eps


def midpoint_step(denoise: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, s: Time) -> Data:
    """Second order for two evaluations: asks for x_0 again half way in lambda (2S: single step).

    DPM-Solver++(2S) of Lu et al. 2022b, with r = 1/2. Needs times in between, so a continuous
    schedule (`denoiser.on_schedule` gives a network one). A step to s = 0, where lambda has no
    middle, is DDIM's.

    Raises TypeError for a discrete schedule, by way of its table.
    """
    x_0 = denoise(x_t, t)
    now, then = schedule.log_snr(t), schedule.log_snr(s)
    if bool(torch.isinf(then).any()):
        return exponential_step(schedule, x_t, x_0, t, s)
    middle = time_at(schedule, (now + then) / 2).to(t.dtype)
    there = exponential_step(schedule, x_t, x_0, t, middle)
    return exponential_step(schedule, x_t, denoise(there, middle), t, s)


def churn_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    churn: float = 0.0,
    spread: float = 1.0,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """Put a little noise back, then one step of Heun (Karras et al. 2022, algorithm 2).

    churn    the noise level sigma / alpha rises by this share first, at most to the schedule's
             last: their gamma, which they keep at sqrt(2) - 1 or below. 0 is Heun's step
    spread   standard deviation of that noise, their S_noise

    Needs times in between, so a continuous schedule. Raises ValueError for a negative churn.
    """
    if churn < 0:
        raise ValueError(f"churn must be 0 or more, got {churn}: noise is put back, not taken out")
    if churn == 0:
        return heun_step(denoise, schedule, x_t, t, s)
    level, top = (schedule.snr(at).rsqrt() for at in (t, torch.full_like(t, schedule.t_max)))
    # Above the last level there is no time to tell the denoiser: what starts there keeps its level.
    raised = torch.maximum(level, torch.minimum((1 + churn) * level, top))
    up = torch.where(raised > level, time_at(schedule, -2 * raised.log()).to(t.dtype), t)
    alpha_t, _ = schedule(t, like=x_t)
    alpha_up, _ = schedule(up, like=x_t)
    added = spread * shaped((raised.square() - level.square()).sqrt(), x_t)
    x_up = alpha_up * (x_t / alpha_t + added * randn_like(x_t))
    return heun_step(denoise, schedule, x_up, up, s)
