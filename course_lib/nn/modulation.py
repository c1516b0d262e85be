"""A vector steers features: five papers, one formula.

    h -> (1 + scale) * norm(h) + shift        x -> x + gate * layers(h)

One linear layer reads scale, shift and gate, a number each per channel, from a vector: a time, a
label or a style. The five differ in which of the three they use, and in what `norm` is. Built by
hand in chapter 13, which compares them in `TimedNet`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images, Time
from course_lib.nn.blocks import group_norm

Vector = Float[Tensor, "batch dim"]
Gate = Float[Tensor, "#batch #channels 1 1"]


class Modulate(nn.Module):
    """(1 + scale) * norm(h) + shift, and the gate for what the next layers make of it.

    norm    what comes first; None leaves h as it is
    scale   without it, scale is 0
    gate    without it, the gate is 1
    zero    start with scale, shift and gate at 0, whatever the vector says
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        norm: nn.Module | None = None,
        *,
        scale: bool = True,
        gate: bool = False,
        zero: bool = False,
    ):
        super().__init__()
        self.norm = nn.Identity() if norm is None else norm
        self.scale, self.gate = scale, gate
        self.read = nn.Linear(dim, channels * (1 + scale + gate))
        if zero:
            nn.init.zeros_(self.read.weight)
            nn.init.zeros_(self.read.bias)

    def forward(self, h: Images, vector: Vector) -> tuple[Images, Gate]:
        numbers = list(self.read(vector)[:, :, None, None].chunk(1 + self.scale + self.gate, dim=1))
        shift = numbers.pop(0)
        scale = numbers.pop(0) if self.scale else torch.zeros_like(shift)
        gate = numbers.pop(0) if self.gate else torch.ones_like(shift)
        return (1 + scale) * self.norm(h) + shift, gate


class PixelNorm(nn.Module):
    """Each pixel's channels brought to mean 0 and variance 1: layer normalisation of an image."""

    def __init__(self, eps: float = 1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, h: Images) -> Images:
        return F.layer_norm(h.movedim(1, -1), h.shape[1:2], eps=self.eps).movedim(-1, 1)


def add(channels: int, dim: int) -> Modulate:
    """h + shift: how DDPM's code tells its blocks the time (Ho et al. 2020, appendix B)."""
    return Modulate(channels, dim, scale=False)


def film(channels: int, dim: int) -> Modulate:
    """gamma * h + beta, gamma read as 1 + scale as in their code (Perez et al. 2017, eq. 2)."""
    return Modulate(channels, dim)


def ada_in(channels: int, dim: int) -> Modulate:
    """Each channel normalised over its own pixels first (Karras et al. 2018, eq. 1)."""
    return Modulate(channels, dim, nn.InstanceNorm2d(channels))


def ada_gn(channels: int, dim: int, groups: int = 32) -> Modulate:
    """Groups of channels normalised first (Dhariwal & Nichol 2021, section 3.1)."""
    return Modulate(channels, dim, group_norm(channels, groups))


def ada_ln_zero(channels: int, dim: int) -> Modulate:
    """Each pixel normalised first, and a gate; all start at 0 (Peebles & Xie 2022, section 3.2)."""
    return Modulate(channels, dim, PixelNorm(), gate=True, zero=True)


MODULATIONS: dict[str, Callable[[int, int], Modulate]] = {
    "add": add,
    "film": film,
    "ada_in": ada_in,
    "ada_gn": ada_gn,
    "ada_ln_zero": ada_ln_zero,
}


class TimedBlock(nn.Module):
    """A residual block that one of the five steers between its two convolutions.

    Those that do not normalise by themselves are followed by the normalisation that DDPM has there.
    """

    def __init__(self, channels: int, dim: int, modulation: str, groups: int = 4):
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulate = MODULATIONS[modulation](channels, dim)
        if modulation == "ada_gn":
            self.modulate = ada_gn(channels, dim, groups)
        bare = isinstance(self.modulate.norm, nn.Identity)
        self.after = group_norm(channels, groups) if bare else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if not self.modulate.gate:  # a gate of 0 does the same: the block starts as the identity
            nn.init.zeros_(self.conv2.weight)
            nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Images, vector: Vector) -> Images:
        h, gate = self.modulate(self.conv1(F.silu(self.norm(x))), vector)
        return x + gate * self.conv2(F.silu(self.after(h)))


class TimedNet(nn.Module):
    """A plain residual network for small pictures, net(x_t, t), to compare ways of telling a time.

    read        turns t into a vector of `dim` numbers, which two linear layers then work over
    modulation  one of `MODULATIONS`: how the blocks take that vector in
    beside      also append `read`'s numbers to x_t as channels, each constant over the picture
    """

    def __init__(
        self,
        read: Callable[[Time], Vector],
        dim: int,
        modulation: str = "add",
        *,
        beside: bool = False,
        width: int = 32,
        blocks: int = 3,
    ):
        super().__init__()
        self.read, self.beside = read, beside
        self.embed = nn.Sequential(nn.Linear(dim, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.stem = nn.Conv2d(1 + beside * dim, width, 3, padding=1)
        self.blocks = nn.ModuleList(TimedBlock(width, 64, modulation) for _ in range(blocks))
        self.norm = group_norm(width, 4)
        self.out = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_t: Images, t: Time) -> Images:
        numbers = self.read(t).to(x_t.dtype)
        vector = self.embed(numbers)
        if self.beside:
            planes = numbers[:, :, None, None].expand(-1, -1, *x_t.shape[2:])
            x_t = torch.cat([x_t, planes], dim=1)
        h = self.stem(x_t)
        for block in self.blocks:
            h = block(h, vector)
        return self.out(F.silu(self.norm(h)))
