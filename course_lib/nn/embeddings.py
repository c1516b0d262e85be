"""A number becomes a vector that a network can read: sinusoids, and random Fourier features.

Built by hand in chapters 8 (sinusoids) and 13 (both, compared).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.core.types import Data, Time


def sinusoidal(
    t: Time, dim: int, max_period: float = 10_000.0, shift: float = 0.0
) -> Float[Tensor, "batch dim"]:
    """Sines and cosines of t at `dim / 2` wavelengths (Vaswani et al. 2017, section 3.5).

    Wavelengths run geometrically from 2 pi to about 2 pi max_period: [sin(t f_i), cos(t f_i)].
    With shift = 1 the last frequency is exactly 1 / max_period, as in DDPM's own code.

    t     times in steps, 0..T; multiply a time in [0, 1] by 1,000 first
    dim   even, at least 4

    Raises ValueError if dim is odd or below 4.
    """
    if dim % 2 or dim < 4:
        raise ValueError(f"dim must be even and at least 4, got {dim}")
    half = dim // 2
    exponent = torch.arange(half, device=t.device, dtype=torch.float32) / (half - shift)
    angle = t.float()[:, None] * torch.exp(-math.log(max_period) * exponent)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class FourierFeatures(nn.Module):
    """[sin(2 pi B x), cos(2 pi B x)] with a fixed Gaussian B (Tancik et al. 2020).

    Lets a small MLP draw sharp shapes: without it, a network in few dimensions prefers blobs.
    """

    frequencies: Tensor

    def __init__(self, in_dim: int, features: int, scale: float = 1.0, seed: int = 0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        frequencies = scale * torch.randn(in_dim, features, generator=generator)
        self.register_buffer("frequencies", frequencies)

    def forward(self, x: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch twice_features"]:
        angle = 2 * math.pi * x @ self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class TimeMLP(nn.Module):
    """Sinusoids, then two linear layers: the time embedding that every block of a U-Net reads."""

    def __init__(self, dim: int, out_dim: int, max_period: float = 10_000.0, shift: float = 0.0):
        super().__init__()
        self.dim, self.max_period, self.shift = dim, max_period, shift
        self.layers = nn.Sequential(nn.Linear(dim, out_dim), nn.SiLU(), nn.Linear(out_dim, out_dim))

    def forward(self, t: Time) -> Data:
        embedding = sinusoidal(t, self.dim, self.max_period, self.shift)
        return self.layers(embedding.to(self.layers[0].weight.dtype))
