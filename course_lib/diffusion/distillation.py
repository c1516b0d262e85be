"""Progressive distillation: a student learns to do in one step what its teacher does in two.

Salimans & Ho 2022. Repeated, the number of steps halves each time. Built by hand in chapter 19.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.core.types import Data, Denoise, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.predictions import x_0_weight
from course_lib.diffusion.samplers import ddim_step
from course_lib.diffusion.schedules import NoiseSchedule, shaped


def one_for_two(
    teacher: Denoise, schedule: NoiseSchedule, x_t: Data, t: Time, middle: Time, s: Time
) -> Data:
    """The guess of x_0 whose single DDIM step from t to s ends where the teacher's two do.

    The teacher goes from t to `middle` to s, with t > middle > s. Solving DDIM's step for its x_0
    gives the paper's target.
    """
    with torch.no_grad():
        there = ddim_step(teacher, schedule, x_t, t, middle)
        x_s = ddim_step(teacher, schedule, there, middle, s)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t, like=x_t), schedule(s, like=x_t)
    shrinks = sigma_s / sigma_t
    return (x_s - shrinks * x_t) / (alpha_s - shrinks * alpha_t)


class Halving:
    """The loss of a student that walks in `steps` even steps what its teacher walks in twice that.

    Squared errors of x_0 count as the student's own prediction weighs them; for "v" that is
    SNR + 1, one of the paper's choices.

    Raises ValueError unless twice `steps` divides the T of the student's schedule.
    """

    def __init__(self, teacher: Denoise, steps: int):
        self.teacher, self.steps = teacher, steps

    def __call__(self, student: Denoiser, x_0: Data) -> Float[Tensor, ""]:
        schedule = student.schedule
        stride, rest = divmod(int(schedule.t_max), 2 * self.steps)
        if rest:
            raise ValueError(
                f"{2 * self.steps} even steps do not fit into T = {schedule.t_max:g}: take a number"
                " of steps whose double divides T"
            )
        t = 2 * stride * torch.randint(1, self.steps + 1, (len(x_0),), device=x_0.device)
        alpha, sigma = schedule(t, like=x_0)
        x_t = alpha * x_0 + sigma * torch.randn_like(x_0)
        wanted = one_for_two(self.teacher, schedule, x_t, t, t - stride, t - 2 * stride)
        weight = shaped(x_0_weight(student.predicts, schedule.alpha(t), schedule.sigma(t)), x_0)
        return (weight * (student(x_t, t) - wanted).square()).mean()
