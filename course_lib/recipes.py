"""The methods of the course on one page: each is a choice of schedule, prediction and time law."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.core.types import Data
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import DiscreteSchedule, linear
from course_lib.diffusion.training import stratified_times
from course_lib.nn.unet import UNet


def ddpm(net: nn.Module, schedule: DiscreteSchedule | None = None) -> Denoiser:
    """Ho et al. 2020: the linear schedule of 1,000 steps, and a network that predicts the noise."""
    return Denoiser(net, linear() if schedule is None else schedule, predicts="eps")


def ddpm_loss(model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
    """L_simple of one batch (Ho et al. 2020, eq. 14): every time and every error counts alike."""
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    return model.loss(x_0, t, torch.randn_like(x_0)).mean()


def digits_unet() -> UNet:
    """For 8 × 8 digits: 8 × 8 and 4 × 4, small enough to train while you watch."""
    return UNet(widths=(32, 64), blocks=1)


def fashion_unet() -> UNet:
    """For 28 × 28 garments: reads patches of 2 × 2, works at 14 × 14 and 7 × 7."""
    return UNet(widths=(48, 96), blocks=2, patch=2)
