"""The pieces of a U-Net: a residual block that reads the time, and changes of resolution.

Used from chapter 8 on; built up and ablated in chapters 12 and 13.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.checks import one_of
from course_lib.core.types import Images


def group_norm(channels: int, groups: int = 32, eps: float = 1e-5) -> nn.GroupNorm:
    """At most `groups` groups, as many as divide both numbers, of three channels or more each.

    A time is added as one number per channel. Normalising a group takes the group's mean away, so
    a group of one channel would lose the time entirely, and one of two half of it.
    """
    fits = (n for n in range(1, groups + 1) if groups % n == channels % n == 0)
    return nn.GroupNorm(max(n for n in fits if n == 1 or channels // n >= 3), channels, eps=eps)


class ResBlock(nn.Module):
    """Two normalised convolutions beside a shortcut; the time enters between them.

    `inject="add"` shifts the features, as DDPM does; `inject="scale_shift"` also scales them after
    the second normalisation (AdaGN, Dhariwal & Nichol 2021, section 3.1). `inject="none"` knows no
    time, as in an autoencoder: `embedding_dim` is 0, and no embedding is given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_dim: int,
        *,
        inject: str = "add",
        dropout: float = 0.0,
        groups: int = 32,
        eps: float = 1e-5,
    ):
        super().__init__()
        one_of(inject, ("add", "scale_shift", "none"), "inject")
        self.inject = inject
        self.norm1 = group_norm(in_channels, groups, eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time: nn.Module = nn.Identity()
        if inject != "none":
            self.time = nn.Linear(embedding_dim, out_channels * (1 if inject == "add" else 2))
        self.norm2 = group_norm(out_channels, groups, eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        nn.init.zeros_(self.conv2.weight)  # the block starts as its shortcut
        nn.init.zeros_(self.conv2.bias)

    def forward(
        self, x: Images, embedding: Float[Tensor, "batch embedding_dim"] | None = None
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Raises ValueError for an embedding that is missing, or not wanted."""
        h = self.conv1(F.silu(self.norm1(x)))
        if (embedding is None) != (self.inject == "none"):
            raise ValueError(f"this block was built with inject={self.inject!r}")
        time = None if embedding is None else self.time(F.silu(embedding))[:, :, None, None]
        if time is None:
            h = self.norm2(h)
        elif self.inject == "add":
            h = self.norm2(h + time)
        else:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))


class Downsample(nn.Module):
    """Halve height and width by a convolution of stride 2.

    `pad="right"` pads below and to the right only, as TensorFlow does with even sizes and as DDPM's
    released weights expect; `pad="even"` pads all round and rounds odd sizes up (7 becomes 4).
    """

    def __init__(self, channels: int, pad: str = "even"):
        super().__init__()
        one_of(pad, ("even", "right"), "pad")
        self.pad = pad
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1 if pad == "even" else 0)

    def forward(self, x: Images) -> Float[Tensor, "batch channels new_height new_width"]:
        return self.conv(x if self.pad == "even" else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Repeat pixels up to the size of the skip that waits there (4 becomes 7), then convolve.

    size   None: twice as high and wide, where no skip waits
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(
        self, x: Images, size: torch.Size | None = None
    ) -> Float[Tensor, "batch channels new_height new_width"]:
        if size is None:
            return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv(F.interpolate(x, size=tuple(size), mode="nearest"))
