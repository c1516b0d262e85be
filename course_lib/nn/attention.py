"""Attention as a soft look-up, and its use over the pixels of a feature map.

Built by hand in chapter 20; chapters 8 and 12 use it inside the U-Net. A mask is True where a
query may look, as in PyTorch's kernel. A query that may look nowhere has no answer: `attention`
gives NaN, 0 / 0; the kernel, so every network here, gives 0, as if all values were 0.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images
from course_lib.nn.blocks import group_norm

Tokens = Float[Tensor, "batch tokens dim"]
Context = Float[Tensor, "batch context_tokens context_dim"]
Mask = Bool[Tensor, "..."]  # broadcast to [batch, heads, queries, keys]
ContextMask = Bool[Tensor, "batch context_tokens"]


def attention_weights(
    query: Float[Tensor, "*batch queries dim"],
    key: Float[Tensor, "*batch keys dim"],
    mask: Mask | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """softmax(q kᵀ / sqrt(dim)): how much each query looks at each key; each row sums to 1."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)  # e^-inf = 0: as if the key were not there
    return torch.softmax(scores, dim=-1)


def attention(
    query: Float[Tensor, "*batch queries dim"],
    key: Float[Tensor, "*batch keys dim"],
    value: Float[Tensor, "*batch keys value_dim"],
    mask: Mask | None = None,
) -> Float[Tensor, "*batch queries value_dim"]:
    """softmax(q kᵀ / sqrt(dim)) v: each query takes a weighted mean of the values.

    Vaswani et al. 2017, eq. 1.
    """
    return attention_weights(query, key, mask) @ value


def causal_mask(tokens: int, device: torch.device | None = None) -> Bool[Tensor, "tokens tokens"]:
    """True on and below the diagonal: a token sees itself and what stands before it."""
    return torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril()


class MultiHeadAttention(nn.Module):
    """Attention in several heads, each with its own part of the width (Vaswani et al. 2017, 3.2.2).

    dim           of the sequence that asks, and of the answer
    context_dim   of the sequence that is looked at; None: the one that asks, "self-attention"
    bias          whether queries, keys and values have one
    """

    def __init__(self, dim: int, context_dim: int | None = None, heads: int = 1, bias: bool = True):
        super().__init__()
        if dim % heads:
            raise ValueError(f"a width of {dim} cannot be split into {heads} heads")
        self.heads, self.crosses = heads, context_dim is not None
        self.query = nn.Linear(dim, dim, bias=bias)
        self.key = nn.Linear(context_dim or dim, dim, bias=bias)
        self.value = nn.Linear(context_dim or dim, dim, bias=bias)
        self.out = nn.Linear(dim, dim)

    def forward(
        self, x: Tokens, context: Context | None = None, mask: Mask | None = None
    ) -> Tokens:
        """What each token of x takes from the context (or from x itself)."""
        look_at = self._look_at(x, context)
        query, key, value = (
            self._split(layer(source))
            for layer, source in ((self.query, x), (self.key, look_at), (self.value, look_at))
        )
        # The same numbers as `attention` above (tested), in one fused kernel.
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(
        self, x: Tokens, context: Context | None = None, mask: Mask | None = None
    ) -> Float[Tensor, "batch heads tokens keys"]:
        """Where each token of x looks, head by head; for pictures, `forward` does not keep it."""
        query, key = self.query(x), self.key(self._look_at(x, context))
        return attention_weights(self._split(query), self._split(key), mask)

    def _look_at(self, x: Tensor, context: Tensor | None) -> Tensor:
        if self.crosses != (context is not None):
            wants = "needs a context" if self.crosses else "was built without context_dim"
            raise ValueError(f"this attention {wants}")
        return x if context is None else context

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # [batch, heads, tokens, part]


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


class CrossAttention2d(nn.Module):
    """Every pixel looks at the tokens of a context, beside a shortcut.

    As Rombach et al. 2021, section 3.3: the queries are pixels, keys and values are tokens.
    """

    def __init__(
        self, channels: int, context_dim: int, heads: int = 1, groups: int = 32, eps: float = 1e-5
    ):
        super().__init__()
        self.norm = group_norm(channels, groups, eps)
        self.attend = MultiHeadAttention(channels, context_dim, heads)
        nn.init.zeros_(self.attend.out.weight)  # the block starts as the identity
        nn.init.zeros_(self.attend.out.bias)

    def forward(self, x: Images, context: Context, mask: ContextMask | None = None) -> Images:
        """mask: True where the context has a token, False where it is padding."""
        read = self.attend(self._pixels(x), context, _for_all(mask))
        return x + read.transpose(1, 2).reshape(x.shape)

    def weights(
        self, x: Images, context: Context, mask: ContextMask | None = None
    ) -> Float[Tensor, "batch heads context_tokens height width"]:
        """A map for each token: how much each pixel looks at it. Over the tokens they sum to 1."""
        found = self.attend.weights(self._pixels(x), context, _for_all(mask))
        return found.transpose(2, 3).unflatten(3, x.shape[2:])

    def _pixels(self, x: Tensor) -> Tensor:
        return self.norm(x).flatten(2).transpose(1, 2)  # [batch, pixels, channels]


class LookAndRead(nn.Module):
    """Pixels look at each other, then at the words."""

    def __init__(self, look: SelfAttention2d, read: CrossAttention2d):
        super().__init__()
        self.look, self.read = look, read

    def forward(self, x: Images, context: Context, mask: ContextMask | None = None) -> Images:
        return self.read(self.look(x), context, mask)


class GEGLU(nn.Module):
    """One half of a linear layer's numbers, times the GELU of the other (Shazeer 2020)."""

    def __init__(self, dim: int, inner: int):
        super().__init__()
        self.both = nn.Linear(dim, 2 * inner)

    def forward(self, x: Tokens) -> Float[Tensor, "batch tokens inner"]:
        values, gates = self.both(x).chunk(2, dim=-1)
        return values * F.gelu(gates)


class SpatialTransformer(nn.Module):
    """Pixels look at each other, at the words, then each thinks alone; all beside a shortcut.

    A whole transformer block, with a 1 x 1 convolution on the way in and on the way out: what the
    released U-Nets have in the place of `LookAndRead` (Rombach et al. 2021, appendix E.2.1).
    """

    def __init__(self, channels: int, context_dim: int, heads: int = 1, groups: int = 32):
        super().__init__()
        self.norm = group_norm(channels, groups, 1e-6)
        self.enter = nn.Conv2d(channels, channels, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.look = MultiHeadAttention(channels, heads=heads, bias=False)
        self.read = MultiHeadAttention(channels, context_dim, heads, bias=False)
        self.think = nn.Sequential(GEGLU(channels, 4 * channels), nn.Linear(4 * channels, channels))
        self.leave = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.leave.weight)  # the block starts as the identity
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Images, context: Context, mask: ContextMask | None = None) -> Images:
        h = self.enter(self.norm(x)).flatten(2).transpose(1, 2)  # [batch, pixels, channels]
        h = h + self.look(self.norms[0](h))
        h = h + self.read(self.norms[1](h), context, _for_all(mask))
        h = h + self.think(self.norms[2](h))
        return x + self.leave(h.transpose(1, 2).reshape(x.shape))


def _for_all(mask: Tensor | None) -> Tensor | None:
    """A mask over keys, alike for all heads and queries."""
    return None if mask is None else mask[:, None, None]
