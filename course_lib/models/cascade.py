"""A small picture first, then larger ones: super-resolution by diffusion, and chains of it.

A stage is a U-Net that sees the small picture beside x_t (Saharia et al. 2021, "SR3") and is told
how much noise was put on it (Ho et al. 2021, "CDM": conditioning augmentation).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images, RandnLike, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import NoiseSchedule, cosine
from course_lib.diffusion.training import stratified_times
from course_lib.nn.embeddings import TimeMLP
from course_lib.nn.unet import UNet

AUG_MAX = 500  # half of the way to noise: more than any stage will ask for
LowRes = Float[Tensor, "batch channels low_height low_width"]


class SuperResolver(nn.Module):
    """The network of one stage: net(x_t, t, low_res=..., aug_t=...).

    low_res   the small picture, of any size; stretched to the size of x_t and laid beside it
    aug_t     the time up to which it was noised, on the same scale as t; 0 for not at all
    """

    def __init__(
        self, channels: int = 1, *, widths: Sequence[int], blocks: int = 1, patch: int = 1
    ):
        super().__init__()
        self.net = UNet(2 * channels, channels, widths=widths, blocks=blocks, patch=patch, groups=8)
        self.aug = TimeMLP(widths[0], self.net.embedding_dim)

    def forward(self, x_t: Images, t: Time, low_res: LowRes, aug_t: Time) -> Images:
        beside = enlarge(low_res, x_t.shape[-1])
        return self.net(torch.cat([x_t, beside], dim=1), t, also=self.aug(aug_t))


def shrink(images: Images, factor: int = 2) -> LowRes:
    """Means of factor x factor pixels: what a camera with fewer, larger pixels would see."""
    return F.avg_pool2d(images, factor)


def enlarge(low_res: LowRes, side: int) -> Images:
    """Stretched to side x side pixels, straight lines between the old ones. Adds no detail."""
    return F.interpolate(low_res, size=(side, side), mode="bilinear", align_corners=False)


def augment(
    schedule: NoiseSchedule, low_res: LowRes, aug_t: Time, randn_like: RandnLike = torch.randn_like
) -> LowRes:
    """The small picture as the forward process leaves it at time aug_t."""
    alpha, sigma = schedule(aug_t, like=low_res)
    return alpha * low_res + sigma * randn_like(low_res)


def stage(net: SuperResolver) -> Denoiser:
    """One stage of the course's cascade: predicts v, on the cosine schedule of 1,000 steps."""
    return Denoiser(net, cosine(), predicts="v")


class StageLoss:
    """The loss of one stage on large pictures: make them small, noise the small ones, ask for v.

    up_to   the small picture is noised up to a time drawn evenly from 0..up_to, which the network
            is told; 0 leaves it clean, as SR3 does and as a cascade should not
    """

    def __init__(self, up_to: int):
        self.up_to = up_to

    def __call__(self, model: Denoiser, x_0: Images) -> Float[Tensor, ""]:
        n, device = len(x_0), x_0.device
        aug_t = torch.randint(self.up_to + 1, (n,), device=device)
        low_res = augment(model.schedule, shrink(x_0), aug_t)
        t = stratified_times(model.schedule, n, device)
        return model.loss(x_0, t, torch.randn_like(x_0), low_res=low_res, aug_t=aug_t).mean()
