"""A second answer from a network that has learned its first: its own small head on frozen features.

Used in chapter 15 for the variance.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images, Time
from course_lib.nn.embeddings import TimeMLP
from course_lib.nn.unet import UNet


class SecondHead(nn.Module):
    """The last features of a U-Net, x_t and the time to an image shaped like x_t; it starts as 0.

    width   channels of the features
    patch   2 if they lie on a grid of half the size of x_t
    """

    def __init__(self, width: int, channels: int = 1, patch: int = 1):
        super().__init__()
        thin = max(8, width // 2)
        self.patch = patch
        self.thin = nn.Conv2d(width, thin, 3, padding=1)
        self.mix = nn.Conv2d(thin + channels, thin, 3, padding=1)
        self.time = TimeMLP(32, 2 * thin)
        self.out = nn.Conv2d(thin, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, h: Float[Tensor, "batch features deep_height deep_width"], x_t: Images, t: Time
    ) -> Images:
        h = F.silu(self.thin(h))
        if self.patch == 2:
            h = F.interpolate(h, size=tuple(x_t.shape[2:]), mode="nearest")
        h = self.mix(torch.cat([h, x_t], dim=1))
        scale, shift = self.time(t)[:, :, None, None].chunk(2, dim=1)
        return self.out(F.silu(h * (1 + scale) + shift))


class TwoHeads(nn.Module):
    """A trained U-Net, frozen, with a second head beside its own: net(x_t, t) -> both answers.

    second   as `SecondHead` for this network; a new one if not given

    The first answer stays what it was, to the bit. Takes the network over: its head is moved.
    """

    def __init__(self, net: UNet, second: SecondHead | None = None):
        super().__init__()
        net.requires_grad_(False)
        self.first, net.head = net.head, _Features()
        self.net = net
        width = net.norm.num_channels
        self.second = SecondHead(width, net.in_channels, net.patch) if second is None else second

    def forward(self, x_t: Images, t: Time) -> Float[Tensor, "batch both height width"]:
        h = self.net(x_t, t)
        return torch.cat([self.first(h, x_t), self.second(h, x_t, t)], dim=1)


class _Features(nn.Module):
    """Stands where a head was, and gives what the head would read."""

    def forward(self, h: Tensor, _: Tensor) -> Tensor:
        return h
