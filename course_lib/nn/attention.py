"""Attention as a soft look-up, and its use over the pixels of a feature map.

Built by hand in chapter 20; chapters 08 and 12 use it inside the U-Net.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images
from course_lib.nn.blocks import group_norm

Tokens = Float[Tensor, "batch tokens dim"]


def attention(
    query: Float[Tensor, "*batch queries dim"],
    key: Float[Tensor, "*batch keys dim"],
    value: Float[Tensor, "*batch keys value_dim"],
) -> Float[Tensor, "*batch queries value_dim"]:
    """softmax(q kᵀ / sqrt(dim)) v: each query takes a weighted mean of the values.

    Vaswani et al. 2017, eq. 1.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return torch.softmax(scores, dim=-1) @ value


class SelfAttention2d(nn.Module):
    """Every pixel looks at every other one, beside a shortcut (Ho et al. 2020, appendix B)."""

    def __init__(self, channels: int, heads: int = 1, groups: int = 32, eps: float = 1e-5):
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be split into {heads} heads")
        self.heads = heads
        self.norm = group_norm(channels, groups, eps)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)  # the block starts as the identity
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Images) -> Images:
        batch, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # [batch, pixels, channels]
        query, key, value = (
            layer(tokens)
            .unflatten(2, (self.heads, -1))
            .transpose(1, 2)  # [batch, heads, pixels, dim]
            for layer in (self.query, self.key, self.value)
        )
        # The same numbers as `attention` above (tested), in one fused kernel.
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = self.out(mixed.transpose(1, 2).flatten(2))
        return x + mixed.transpose(1, 2).reshape(batch, channels, height, width)
