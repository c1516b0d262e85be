"""A classifier that can read noised pictures: the way down of a U-Net, and one linear layer.

After Dhariwal & Nichol 2021, section 4.3, where attention pools the features; here their mean does.
Built in chapter 16.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images, Time
from course_lib.nn.blocks import Downsample, ResBlock, group_norm
from course_lib.nn.embeddings import TimeMLP


class NoisyClassifier(nn.Module):
    """A noised image and its time in, one logit for each class out.

    widths   channels at each resolution; the resolution halves between them
    patch    2 reads the image in patches of 2 × 2, as in `UNet`
    """

    def __init__(
        self,
        classes: int = 10,
        in_channels: int = 1,
        *,
        widths: Sequence[int] = (32, 64),
        blocks: int = 1,
        patch: int = 1,
        groups: int = 8,
    ):
        super().__init__()
        dim = 4 * widths[0]
        self.time = TimeMLP(widths[0], dim)
        self.stem = nn.Conv2d(in_channels, widths[0], 3, stride=patch, padding=1)
        self.blocks, width = nn.ModuleList(), widths[0]
        for level, out in enumerate(widths):
            if level:
                self.blocks.append(Downsample(width))
            for _ in range(blocks):
                self.blocks.append(ResBlock(width, out, dim, groups=groups))
                width = out
        self.norm = group_norm(width, groups)
        self.head = nn.Linear(width, classes)

    def forward(self, x_t: Images, t: Time) -> Float[Tensor, "batch classes"]:
        embedding, h = self.time(t), self.stem(x_t)
        for layer in self.blocks:
            h = layer(h, embedding) if isinstance(layer, ResBlock) else layer(h)
        return self.head(F.silu(self.norm(h)).mean((2, 3)))
