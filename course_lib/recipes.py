"""The methods of the course on one page: each is a choice of schedule, prediction and time law."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.core.types import Data, Images, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import DiscreteSchedule, linear
from course_lib.diffusion.training import stratified_times, vlb_weight
from course_lib.nn.unet import UNet


def ddpm(net: nn.Module, schedule: DiscreteSchedule | None = None) -> Denoiser:
    """Ho et al. 2020: the linear schedule of 1,000 steps, and a network that predicts the noise."""
    return Denoiser(net, linear() if schedule is None else schedule, predicts="eps")


def ddpm_loss(model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
    """L_simple of one batch (Ho et al. 2020, eq. 14): every time and every error counts alike."""
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    return model.loss(x_0, t, torch.randn_like(x_0)).mean()


def ddpm_vlb_loss(model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
    """L of one batch: each time counts as in the bound with variance beta (their eq. 12).

    Divided by the mean weight over all times, so that one learning rate serves this and L_simple.
    """
    schedule = model.schedule
    t = stratified_times(schedule, len(x_0), x_0.device)
    every = torch.arange(1, int(schedule.t_max) + 1, device=x_0.device)
    weight = vlb_weight(schedule, every, model.predicts, "large")
    losses = model.loss(x_0, t, torch.randn_like(x_0))
    return (weight[t - 1] / weight.mean()).to(losses.dtype).mul(losses).mean()


class MeanAsNoise(nn.Module):
    """A network that predicts the mean of x_{t-1}, read as one that predicts the noise.

    The first half of Table 2 (Ho et al. 2020) trains `net` this way; their eq. 11, solved for eps.
    """

    def __init__(self, net: nn.Module, schedule: DiscreteSchedule):
        super().__init__()
        self.net, self.schedule = net, schedule

    def forward(self, x_t: Images, t: Time) -> Images:
        _, sigma = self.schedule(t, like=x_t)
        beta = self.schedule.beta.to(t.device)[t].to(x_t.dtype).view(-1, 1, 1, 1)
        return (x_t - (1 - beta).sqrt() * self.net(x_t, t)) * sigma / beta


def digits_unet() -> UNet:
    """For 8 × 8 digits: 8 × 8 and 4 × 4, small enough to train while you watch.

    Four groups, not 32: with one channel in a group, normalisation divides out how large x_t is,
    and a network that cannot tell errs by 1 / (2 · 64) on eps where eps is nearly all of x_t.
    """
    return UNet(widths=(16, 32), blocks=1, groups=4)


def fashion_unet() -> UNet:
    """For 28 × 28 garments: reads patches of 2 × 2, works at 14 × 14 and 7 × 7."""
    return UNet(widths=(48, 96), blocks=2, patch=2)
