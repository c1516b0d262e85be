"""Noise as a latent: from a picture up to its noise, and ways between two noises.

Both rest on a sampler without fresh noise, `ddim_step` with eta = 0, under which a picture is a
function of x_T. Built by hand in chapter 14.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Shaped
from torch import Tensor

from course_lib.core.types import Data, Denoise
from course_lib.diffusion.predictions import eps_from
from course_lib.diffusion.schedules import NoiseSchedule, shaped


def ddim_invert(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x: Data,
    times: Shaped[Tensor, " times"],
    *,
    repeats: int = 1,
) -> Data:
    """Walk x, data at times[0], up to its noise at times[-1] (Song, Meng & Ermon 2020, eq. 14).

    A step up is a step of `ddim_step` solved for x_t, which stands on both sides of it:
    x_t = alpha_t (x_s / alpha_s + (n_t - n_s) eps(x_t, t)) with n = sigma / alpha. On the right it
    is guessed: x_s at first, then the last answer.

    times     rising strictly, from 0 or above; those of the walk down, reversed, undo that walk
    repeats   evaluations a step. 1 errs by about 1 / steps, 2 by its square; more go to the exact
              inverse, if the steps are small enough for the guesses to settle

    A clipped denoiser has no inverse: give one without `clip`.
    Raises ValueError for times that do not rise or repeats below 1.
    """
    *_, x_T = _upwards(denoise, schedule, x, times, repeats)
    return x_T


def slerp(a: Data, b: Data, weight: float | Tensor) -> Data:
    """The point between a (weight 0) and b (weight 1) on the great circle that joins them.

    Independent noises are nearly orthogonal and equally long: what lies between keeps that length,
    which a straight line between them loses (Song, Meng & Ermon 2020, appendix D.5). Each example
    has an angle of its own. Raises ValueError for an a and b that point the same or opposite ways.

    weight   one number, or one for each example
    """
    rows, others = a.flatten(1), b.flatten(1)
    cosine = torch.nn.functional.cosine_similarity(rows, others, dim=1)
    angle = cosine.clamp(-1, 1).arccos()
    if bool((angle.sin() < 2e-3).any()):  # what float32 leaves of an angle of 0
        raise ValueError("slerp needs two directions; these are the same or opposite ones")
    w = torch.as_tensor(weight, dtype=a.dtype, device=a.device)
    on_a, on_b = ((1 - w) * angle).sin() / angle.sin(), (w * angle).sin() / angle.sin()
    return shaped(on_a, a) * a + shaped(on_b, b) * b


def _upwards(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x: Data,
    times: Shaped[Tensor, " times"],
    repeats: int,
) -> Iterator[Data]:
    if len(times) < 2 or not bool((times.diff() > 0).all()) or times[0] < 0:
        raise ValueError(f"times must rise strictly from 0 or above, got {times.tolist()[:8]}")
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, got {repeats}")
    times = times.to(x.device, x.dtype if times.is_floating_point() else None)
    for one_s, one_t in pairwise(times):
        s, t = one_s.expand(len(x)), one_t.expand(len(x))
        (alpha_s, sigma_s), (alpha_t, sigma_t) = schedule(s, like=x), schedule(t, like=x)
        x_t = x
        for _ in range(repeats):
            with torch.no_grad():
                eps = eps_from(denoise(x_t, t), x_t, alpha_t, sigma_t)
            x_t = alpha_t / alpha_s * x + (sigma_t - alpha_t * sigma_s / alpha_s) * eps
        x = x_t
        yield x
