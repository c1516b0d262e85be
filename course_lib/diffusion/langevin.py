"""Langevin dynamics: uphill along the score, shaken by noise, until x is a sample.

One move, the annealed walk of Song & Ermon 2019 (many moves at each of a falling ladder of noise
levels, then the denoiser's answer), and the move that reaches the next level with just the noise
which belongs there. Built by hand in chapter 6.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.core.types import Data, Denoise, RandnLike, Time
from course_lib.diffusion.predictions import eps_from
from course_lib.diffusion.schedules import NoiseSchedule


def langevin_move(
    score: Callable[[Tensor], Tensor],
    x: Data,
    step: float | Tensor,
    *,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """x + step score(x) + sqrt(2 step) z.

    Its law tends to the one whose score it is, up to a bias of the order of `step`.
    Beware: Song & Ermon 2019 write epsilon / 2 for this step (their eq. 4); 2020 as here.
    """
    return x + step * score(x) + (2 * step) ** 0.5 * randn_like(x)


def langevin_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    moves: int = 10,
    rate: float = 0.2,
    denoise_last: bool = True,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """Some Langevin moves on the law of x_t; what comes out is taken to the next level as it is.

    Song & Ermon 2019, algorithm 1, for a schedule with alpha = 1. The step is rate sigma^2, so one
    move goes the fraction `rate` of the way to the denoiser's answer and adds sqrt(2 rate) sigma z.

    denoise_last   with s = 0, give back the denoiser's answer instead of x_t (Jolicoeur-Martineau
                   et al. 2020; Song & Ermon 2020), for one more evaluation

    Raises ValueError unless 0 < rate < 2, where the walk is stable, and moves >= 1.
    """
    if not 0 < rate < 2 or moves < 1:
        raise ValueError(f"need 0 < rate < 2 and moves >= 1, got rate={rate}, moves={moves}")
    alpha, sigma = schedule(t, like=x_t)

    def score(x: Tensor) -> Tensor:
        return -eps_from(denoise(x, t), x, alpha, sigma) / sigma

    for _ in range(moves):
        x_t = langevin_move(score, x_t, rate * sigma**2, randn_like=randn_like)
    if denoise_last and bool((s == 0).all()):
        return denoise(x_t, t)
    return x_t


def consistent_step(
    denoise: Denoise,
    schedule: NoiseSchedule,
    x_t: Data,
    t: Time,
    s: Time,
    *,
    rate: float = 0.2,
    randn_like: RandnLike = torch.randn_like,
) -> Data:
    """One move towards the denoiser's answer, with the noise that leaves sigma_s in all.

    The consistent annealed sampling of Jolicoeur-Martineau et al. 2020, for alpha = 1: a part
    1 - rate of the old noise stays, and fresh noise fills up to sigma_s. A ladder so coarse that
    more than sigma_s would stay gets the larger rate at which nothing fresh fits in.

    rate   in (0, 1]. 1 - sigma_s^2 / sigma_t^2 is DDPM's ancestral step

    Nothing is added at s = 0, where the result is the denoiser's answer.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"need 0 < rate <= 1, got {rate}")
    (_, sigma_t), (_, sigma_s) = schedule(t, like=x_t), schedule(s, like=x_t)
    kept = ((1 - rate) * sigma_t).minimum(sigma_s)  # of the old noise
    fresh = (sigma_s**2 - kept**2).clamp(min=0).sqrt()
    x_0 = denoise(x_t, t)
    return x_0 + kept / sigma_t * (x_t - x_0) + fresh * randn_like(x_t)
