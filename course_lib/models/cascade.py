"""A small picture first, then larger ones: super-resolution by diffusion, and chains of it.

A stage is a U-Net that sees the small picture beside x_t (Saharia et al. 2021, "SR3") and is told
how much noise was put on it (Ho et al. 2021, "CDM": conditioning augmentation).
Built by hand in chapter 18.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Denoise, Images, RandnLike, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip, given
from course_lib.diffusion.samplers import Step, ddim_step, sample
from course_lib.diffusion.schedules import NoiseSchedule, cosine, spaced_times
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
        beside = enlarge(low_res, x_t.shape[2:])
        return self.net(torch.cat([x_t, beside], dim=1), t, also=self.aug(aug_t))


def shrink(images: Images, factor: int = 2) -> LowRes:
    """Means of factor x factor pixels: what a camera with fewer, larger pixels would see."""
    return F.avg_pool2d(images, factor)


def enlarge(low_res: LowRes, size: int | Sequence[int]) -> Images:
    """Stretched, with straight lines between the old pixels. Adds no detail.

    size   height and width in pixels, or one number for both
    """
    both = (size, size) if isinstance(size, int) else tuple(size)
    return F.interpolate(low_res, size=both, mode="bilinear", align_corners=False)


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


def sees(model: Denoiser, low_res: LowRes, s: int | Time) -> Denoise:
    """A stage that looks at these small pictures, noised to time `s`: a denoiser like any other.

    Its x_0 is clipped to [-1, 1].
    """
    aug_t = torch.as_tensor(s, device=low_res.device).expand(len(low_res))
    return clip(given(model, {"low_res": low_res, "aug_t": aug_t}))


def regress(
    model: Denoiser,
    low_res: LowRes,
    side: int,
    s: int = 0,
    *,
    noises: int = 8,
    randn_like: RandnLike = torch.randn_like,
) -> Images:
    """The stage's mean of all large pictures that fit: its answer at t = T, where x_t says nothing.

    What a network trained to predict the large picture from the small one would be after. Every
    noise should get the same answer; a network's differ a little, so several are averaged.
    """
    x_T = low_res.new_empty(len(low_res), low_res.shape[1], side, side)
    t = torch.full((len(low_res),), int(model.schedule.t_max), device=low_res.device)
    with torch.no_grad():
        answers = [sees(model, low_res, s)(randn_like(x_T), t) for _ in range(noises)]
    return torch.stack(answers).mean(0)


def grow(
    model: Denoiser,
    low_res: LowRes,
    side: int,
    s: int = 0,
    *,
    steps: int = 20,
    stop: int = 0,
    step: Step = ddim_step,
    randn_like: RandnLike = torch.randn_like,
) -> Images:
    """Draw a large picture for each small one, which is as noisy as at time `s` already.

    stop   where the walk ends; above 0 the large pictures are still as noisy as at that time
    """
    noise = randn_like(low_res.new_empty(len(low_res), low_res.shape[1], side, side))
    times = spaced_times(model.schedule, steps, stop)
    return sample(step, sees(model, low_res, s), model.schedule, noise, times)


def chain(
    base: Denoiser,
    stages: Sequence[Denoiser],
    n: int,
    *,
    side: int = 8,
    levels: Sequence[int],
    truncated: bool = False,
    steps: int = 20,
    step: Step = ddim_step,
    randn_like: RandnLike = torch.randn_like,
) -> Iterator[Images]:
    """A cascade: yield n small pictures from noise, then what each stage makes of them, doubled.

    levels      for each stage, the time s to which its small picture is noised
    truncated   True stops the walk to the small picture at s; False finishes it and noises it
                again (Ho et al. 2021, sections 3.2 and 3.3). One law, if the models are perfect

    With `truncated`, what is yielded before the last stage are the noisy pictures it is given.
    Raises ValueError unless there is one level for each stage.
    """
    if len(levels) != len(stages):
        raise ValueError(f"{len(stages)} stages need as many levels, got {list(levels)}")
    stops = [*levels, 0] if truncated else [0] * (len(stages) + 1)
    device = next((p.device for p in base.parameters()), None)  # an exact one has none
    x = randn_like(torch.empty(n, 1, side, side, device=device))
    x = sample(step, clip(base), base.schedule, x, spaced_times(base.schedule, steps, stops[0]))
    yield x
    for model, s, stop in zip(stages, levels, stops[1:], strict=True):
        now = torch.full((n,), s, device=x.device)
        low_res = x if truncated else augment(model.schedule, x, now, randn_like)
        side *= 2
        x = grow(model, low_res, side, s, steps=steps, stop=stop, step=step, randn_like=randn_like)
        yield x
