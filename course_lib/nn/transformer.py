"""A text in, one state for each of its pieces out: the text transformer, and a bag of words.

Built by hand in chapter 20. The transformer is that of Vaswani et al. 2017, section 3.1, with the
norm before each part, as in GPT-2 (Radford et al. 2019, section 2.3) and CLIP, whose own text tower
it is with `quick=True` and `pad=None` (chapter 25).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.core.checks import one_of
from course_lib.nn.attention import MultiHeadAttention, Tokens, causal_mask
from course_lib.nn.embeddings import sinusoidal

Ids = Int[Tensor, "batch length"]

POSITIONS = ("learned", "sinusoidal", "none")


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x): close to GELU, and what the published CLIP was trained with."""

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return x * torch.sigmoid(1.702 * x)


class TransformerBlock(nn.Module):
    """Tokens look at each other, then each thinks alone; both beside a shortcut."""

    def __init__(self, dim: int, heads: int, quick: bool = False):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attend = MultiHeadAttention(dim, heads=heads)
        bend = QuickGELU() if quick else nn.GELU()
        self.think = nn.Sequential(nn.Linear(dim, 4 * dim), bend, nn.Linear(4 * dim, dim))

    def forward(self, x: Tokens, mask: Bool[Tensor, "..."] | None = None) -> Tokens:
        x = x + self.attend(self.norm1(x), mask=mask)
        return x + self.think(self.norm2(x))


class TextTransformer(nn.Module):
    """`tower(tokens)` gives a state for each token; those at padding mean nothing.

    vocabulary   how many pieces there are
    length       the longest text, in pieces
    causal       True: a token sees only what stands before it, as in CLIP, so the last one knows
                 the whole text. False: all see all, as in BERT
    positions    "learned" (a vector for each place), "sinusoidal" (Vaswani et al. 2017, section
                 3.5) or "none": then the tokens are a set, and their order is lost
    pad          the number that stands for no text; nobody looks there. None: there is no such
                 number, and what fills a short text up is read like all else, as in the published
                 CLIP
    quick        whether the bend is `QuickGELU`
    """

    place: Tensor

    def __init__(
        self,
        vocabulary: int,
        length: int,
        *,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        causal: bool = False,
        positions: str = "learned",
        pad: int | None = 0,
        quick: bool = False,
    ):
        super().__init__()
        one_of(positions, POSITIONS, "positions")
        self.length, self.dim, self.causal, self.pad = length, dim, causal, pad
        self.word = nn.Embedding(vocabulary, dim)
        nn.init.normal_(self.word.weight, std=0.5)
        if positions == "learned":
            self.place = nn.Parameter(0.5 * torch.randn(length, dim))
        else:
            fixed = sinusoidal(torch.arange(length), dim) * (positions == "sinusoidal")
            self.register_buffer("place", fixed, persistent=False)
        self.blocks = nn.ModuleList(TransformerBlock(dim, heads, quick) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Ids) -> Float[Tensor, "batch length dim"]:
        """Raises ValueError for a text that is longer than the tower was built for."""
        count = tokens.shape[1]
        if count > self.length:
            raise ValueError(f"this tower reads {self.length} tokens at most, got {count}")
        mask = self.mask(tokens)[:, None, None]  # nobody looks at padding
        if self.causal:
            mask = mask & causal_mask(count, tokens.device)
        x = self.word(tokens) + self.place[:count]
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def mask(self, tokens: Ids) -> Bool[Tensor, "batch length"]:
        """True where there is a token."""
        if self.pad is None:
            return torch.ones_like(tokens, dtype=torch.bool)
        return tokens != self.pad


class BagOfWords(nn.Module):
    """The mean of the tokens' vectors: what is said, but not in which order."""

    def __init__(self, vocabulary: int, dim: int, pad: int = 0):
        super().__init__()
        self.pad = pad
        self.word = nn.Embedding(vocabulary, dim)

    def forward(self, tokens: Ids) -> Float[Tensor, "batch dim"]:
        return mean_of(self.word(tokens), tokens != self.pad)


def mean_of(vectors: Tokens, there: Bool[Tensor, "batch length"]) -> Float[Tensor, "batch dim"]:
    """The mean of a text's vectors, those of padding left out; zeros where there is no text."""
    there = there[..., None]
    return (vectors * there).sum(1) / there.sum(1).clamp(min=1)
