"""A damaged picture in, whole ones out: one network for several kinds of damage.

As a stage of a cascade, the network sees what is left of the picture beside x_t (Saharia et al.
2021, "Palette"). Here: a hole in the middle, a picture cut off at its sides, too few grey levels.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.core.types import Data, Denoise, Images, RandnLike, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.predictions import target
from course_lib.diffusion.schedules import cosine
from course_lib.diffusion.training import stratified_times
from course_lib.nn.unet import UNet

Hole = Bool[Tensor, "batch 1 height width"]  # True where the picture is to be made anew
Lose = Callable[[Images], Hole]


class Restorer(nn.Module):
    """The network: net(x_t, t, known=...), with the damaged picture laid beside x_t."""

    def __init__(self, channels: int = 1, *, widths: Sequence[int], blocks: int = 1):
        super().__init__()
        self.net = UNet(2 * channels, channels, widths=widths, blocks=blocks, groups=8)

    def forward(self, x_t: Images, t: Time, known: Images) -> Images:
        return self.net(torch.cat([x_t, known], dim=1), t)


def restorer(net: nn.Module) -> Denoiser:
    """The course's Palette: predicts v, on the cosine schedule of 1,000 steps."""
    return Denoiser(net, cosine(), predicts="v")


def inpaint(images: Images, smallest: int = 5, largest: int = 10) -> Hole:
    """A rectangle of random place and sides, `smallest` to `largest` pixels, for each picture."""
    n, _, height, width = images.shape
    rows = _between(n, height, smallest, largest, images.device)
    columns = _between(n, width, smallest, largest, images.device)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def uncrop(images: Images, border: int = 2) -> Hole:
    """Half of each picture is lost: one of its four sides, or `border` pixels all round."""
    n, _, height, width = images.shape
    y, x = (torch.arange(side, device=images.device) for side in (height, width))
    y, x = y[:, None].expand(height, width), x.expand(height, width)
    inner = (y >= border) & (y < height - border) & (x >= border) & (x < width - border)
    kinds = torch.stack(
        [y < height // 2, y >= height // 2, x < width // 2, x >= width // 2, ~inner]
    )
    return kinds[torch.randint(len(kinds), (n,), device=images.device)][:, None]


def posterise(images: Images, levels: int = 3) -> Images:
    """Each pixel at the nearest of `levels` evenly spaced greys. Shapes stay, shades are lost."""
    if levels < 2:
        raise ValueError(f"a picture needs 2 grey levels or more, got {levels}")
    steps = (levels - 1) / 2
    return ((images + 1) * steps).round() / steps - 1


def without(images: Images, hole: Hole, randn_like: RandnLike = torch.randn_like) -> Images:
    """The pictures with noise in their holes: it says "nothing is known here"."""
    return torch.where(hole, randn_like(images), images)


class PaletteLoss:
    """The loss of one network for three tasks; each picture of a batch gets one of them at random.

    Where pixels are known they need no answer: the error counts in the holes alone. A posterised
    picture has no hole, and all of it counts.
    """

    def __call__(self, model: Denoiser, x_0: Images) -> Float[Tensor, ""]:
        task = torch.randint(3, (len(x_0), 1, 1, 1), device=x_0.device)
        hole = torch.where(task == 0, inpaint(x_0), uncrop(x_0))
        known = torch.where(task == 2, posterise(x_0), without(x_0, hole))
        return masked_loss(model, x_0, known, hole | (task == 2))


def masked_loss(model: Denoiser, x_0: Images, known: Images, hole: Hole) -> Float[Tensor, ""]:
    """Mean squared error of what the network predicts in the holes, at a random time."""
    t, eps = stratified_times(model.schedule, len(x_0), x_0.device), torch.randn_like(x_0)
    alpha, sigma = model.schedule(t, like=x_0)
    out = model.net(alpha * x_0 + sigma * eps, t, known=known)
    error = (out - target(model.predicts, x_0, eps, alpha, sigma)).square() * hole
    return (error.flatten(1).sum(1) / hole.expand_as(x_0).flatten(1).sum(1)).mean()


def keep_known(denoise: Denoise, known: Images, hole: Hole) -> Denoise:
    """A denoiser that says `known` outside of the holes, where nothing is to be guessed.

    The network has no answer there: its loss counted in the holes alone.
    """

    def kept(x_t: Data, t: Time) -> Data:
        return torch.where(hole, denoise(x_t, t), known)

    return kept


def _between(
    n: int, side: int, smallest: int, largest: int, device: torch.device
) -> Bool[Tensor, "n side"]:
    """A run of True of random length and place in each row."""
    if not 1 <= smallest <= largest <= side:
        raise ValueError(
            f"sides of a hole lie in 1..{side}, smallest first; got {smallest} and {largest}"
        )
    length = torch.randint(smallest, largest + 1, (n, 1), device=device)
    first = (torch.rand(n, 1, device=device) * (side - length + 1)).long()
    place = torch.arange(side, device=device)
    return (place >= first) & (place < first + length)
