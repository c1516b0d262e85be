"""The course's one U-Net: down, across, and up again with the skips (Ronneberger et al. 2015).

Its anatomy is DDPM's (Ho et al. 2020, appendix B), so that published weights fit by a key map
(`models/published.py`). Built block by block in chapter 12; chapter 8 uses it whole.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images, Time
from course_lib.nn.attention import (
    Context,
    ContextMask,
    CrossAttention2d,
    LookAndRead,
    SelfAttention2d,
    SpatialTransformer,
)
from course_lib.nn.blocks import Downsample, ResBlock, Upsample, group_norm
from course_lib.nn.embeddings import TimeMLP


class UNet(nn.Module):
    """An image and a time in, an image out: net(x_t, t), or net(x_t, t, label=...), or with words.

    widths         channels at each resolution; the resolution halves between them
    blocks         residual blocks per resolution on the way down (one more on the way up); or a
                   number for each resolution: more where pictures are small is what Imagen's
                   "Efficient U-Net" does
    attention_at   indices into `widths` of the resolutions whose blocks are followed by attention
    patch          2 reads the image in patches of 2 × 2, so all the deep work happens on a quarter
                   of the pixels, and a thin full-resolution head gives the detail back
    num_classes    None: no labels. Otherwise labels 0..num_classes-1, and num_classes itself means
                   "no label" (chapter 17)
    inject         how blocks read the time: "add" (DDPM) or "scale_shift" (ADM)
    context_dim    None: no words. Otherwise each attention is followed by one in which the pixels
                   look at the tokens of `context`, which have this width (chapter 20)
    spatial        with context_dim: whole transformer blocks in the place of the two attentions, as
                   in Stable Diffusion (chapter 25)
    skip_scale     what skips are multiplied by before a block on the way up reads them: 1, or the
                   1 / sqrt(2) that deep networks learn faster with (Saharia et al. 2022, B.1)

    Raises ValueError for another patch, if `blocks` has not a number for each resolution, and for
    `spatial` without words.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        widths: Sequence[int] = (32, 64),
        blocks: int | Sequence[int] = 2,
        attention_at: Sequence[int] = (),
        patch: int = 1,
        heads: int = 1,
        inject: str = "add",
        dropout: float = 0.0,
        num_classes: int | None = None,
        pad: str = "even",
        groups: int = 32,
        eps: float = 1e-5,
        time_shift: float = 0.0,
        context_dim: int | None = None,
        spatial: bool = False,
        skip_scale: float = 1.0,
    ):
        super().__init__()
        if patch not in (1, 2):
            raise ValueError(f"patch must be 1 or 2, got {patch}")
        if spatial and context_dim is None:
            raise ValueError("spatial=True needs context_dim: whose words are to be read?")
        deep = [blocks] * len(widths) if isinstance(blocks, int) else [*blocks]
        if len(deep) != len(widths):
            raise ValueError(f"{len(widths)} resolutions need as many blocks, got {deep}")
        if not set(attention_at) <= set(range(len(widths))):
            raise ValueError(
                f"attention_at names resolutions 0..{len(widths) - 1}, got {[*attention_at]}"
            )
        self.in_channels, self.num_classes, self.patch = in_channels, num_classes, patch
        self.context_dim, self.skip_scale = context_dim, skip_scale
        self.embedding_dim = dim = 4 * widths[0]
        self.time = TimeMLP(widths[0], dim, shift=time_shift)
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, dim)

        def res(a: int, b: int) -> ResBlock:
            return ResBlock(a, b, dim, inject=inject, dropout=dropout, groups=groups, eps=eps)

        def look(width: int) -> nn.Module:
            if context_dim is not None and spatial:
                return SpatialTransformer(width, context_dim, heads, groups)
            alone = SelfAttention2d(width, heads, groups, eps)
            if context_dim is None:
                return alone
            return LookAndRead(alone, CrossAttention2d(width, context_dim, heads, groups, eps))

        def attend(width: int, level: int) -> nn.Module:
            return look(width) if level in attention_at else nn.Identity()

        self.stem = nn.Conv2d(in_channels, widths[0], 3, stride=patch, padding=1)
        # What each step down leaves behind is what a step up will pick up, last first.
        skips, width = [widths[0]], widths[0]
        self.down = nn.ModuleList()
        for level, out in enumerate(widths):
            rows = nn.ModuleList()
            for _ in range(deep[level]):
                rows.append(nn.ModuleList([res(width, out), attend(out, level)]))
                width = out
                skips.append(width)
            last = level == len(widths) - 1
            shrink = nn.Identity() if last else Downsample(width, pad)
            self.down.append(nn.ModuleDict({"blocks": rows, "shrink": shrink}))
            if not last:
                skips.append(width)

        self.middle = nn.ModuleList([res(width, width), look(width), res(width, width)])

        self.up = nn.ModuleList()
        for level, out in reversed(list(enumerate(widths))):
            rows = nn.ModuleList()
            for _ in range(deep[level] + 1):
                rows.append(nn.ModuleList([res(width + skips.pop(), out), attend(out, level)]))
                width = out
            grow = Upsample(width) if level else nn.Identity()
            self.up.append(nn.ModuleDict({"blocks": rows, "grow": grow}))

        self.norm = group_norm(width, groups, eps)
        self.head = Head(width, in_channels, out_channels, patch)

    def forward(
        self,
        x_t: Images,
        t: Time,
        label: Int[Tensor, " batch"] | None = None,
        *,
        also: Float[Tensor, "batch embedding_dim"] | None = None,
        context: Context | None = None,
        context_mask: ContextMask | None = None,
    ) -> Float[Tensor, "batch out_channels height width"]:
        """What the network says of x_t.

        also   a vector of length `embedding_dim`, added to the time's: whatever else the blocks
               should know, such as how noisy a picture beside x_t is
        context        the tokens to look at, for a network built with context_dim
        context_mask   True where there is one, False where it is padding; default: everywhere
        """
        embedding = self._embed(x_t, t, label)
        if also is not None:
            embedding = embedding + also
        if (context is None) != (self.context_dim is None):
            wants = "needs context=..." if context is None else "was built without context_dim"
            raise ValueError(f"this U-Net {wants}")

        def after(attend: nn.Module, h: Tensor) -> Tensor:
            reads = isinstance(attend, LookAndRead | SpatialTransformer)
            return attend(h, context, context_mask) if reads else attend(h)

        h = self.stem(x_t)
        skips = [h]
        for level in self.down:
            for block, attend in level["blocks"]:
                h = after(attend, block(h, embedding))
                skips.append(h)
            if not isinstance(level["shrink"], nn.Identity):
                h = level["shrink"](h)
                skips.append(h)
        for layer in self.middle:
            h = layer(h, embedding) if isinstance(layer, ResBlock) else after(layer, h)
        for level in self.up:
            for block, attend in level["blocks"]:
                skip = self.skip_scale * skips.pop()
                h = after(attend, block(torch.cat([h, skip], dim=1), embedding))
            if not isinstance(level["grow"], nn.Identity):
                h = level["grow"](h, skips[-1].shape[2:])
        return self.head(F.silu(self.norm(h)), x_t)

    def readers(self) -> nn.ModuleList:
        """The layers through which time and label enter: the embeddings, and each block's own.

        The network's own layers, not copies: what is trained or loaded here is so there.
        """
        blocks = [part.time for part in self.modules() if isinstance(part, ResBlock)]
        return nn.ModuleList([self.time, *([] if self.label is None else [self.label]), *blocks])

    def _embed(self, x_t: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        if x_t.shape[1] != self.in_channels:
            raise ValueError(
                f"this U-Net takes {self.in_channels} channels, x_t has {x_t.shape[1]}"
            )
        if (label is None) != (self.label is None):
            wants = "needs label=..." if label is None else "was built without num_classes"
            raise ValueError(f"this U-Net {wants}")
        embedding = self.time(t)
        return embedding if label is None else embedding + self.label(label)


class Head(nn.Module):
    """Features to an image. With patch = 2, back to full resolution beside x_t itself.

    Upsampling by repetition followed by convolutions leaves no 2 × 2 checkerboard, which folding
    channels back into pixels does.
    """

    def __init__(self, width: int, in_channels: int, out_channels: int, patch: int):
        super().__init__()
        self.patch = patch
        if patch == 1:
            self.out = nn.Conv2d(width, out_channels, 3, padding=1)
        else:
            thin = width // 2
            self.grow = nn.Conv2d(width, thin, 3, padding=1)
            self.mix = nn.Conv2d(thin + in_channels, thin, 3, padding=1)
            self.out = nn.Conv2d(thin, out_channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, h: Float[Tensor, "batch features deep_height deep_width"], x_t: Images
    ) -> Float[Tensor, "batch out_channels height width"]:
        if self.patch == 2:
            h = self.grow(F.interpolate(h, size=tuple(x_t.shape[2:]), mode="nearest"))
            h = F.silu(self.mix(torch.cat([F.silu(h), x_t], dim=1)))
        return self.out(h)


class TwoHeads(nn.Module):
    """A trained head, frozen with all it reads, and beside it a copy that learns something else.

    The copy's last layer starts as 0. Out come the channels of the first, then of the second: what
    a `LearnedVariance` wants of a network whose guesses are to stay as they are.
    """

    def __init__(self, first: Head):
        super().__init__()
        second = deepcopy(first).requires_grad_(True)
        nn.init.zeros_(second.out.weight)
        nn.init.zeros_(second.out.bias)
        self.first: nn.Module = first
        self.second: nn.Module = second

    def forward(
        self, h: Float[Tensor, "batch features deep_height deep_width"], x_t: Images
    ) -> Float[Tensor, "batch out_channels height width"]:
        return torch.cat([self.first(h, x_t), self.second(h, x_t)], dim=1)
