"""The autoencoder of Stable Diffusion v1: pictures to latents of 1/8 of a side, and back.

Larger than `Autoencoder`, and otherwise made of the U-Net's own blocks: residual blocks that know
no time, one attention in the middle (Rombach et al. 2021, appendix G; the config file
v1-inference.yaml for the sizes).
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images
from course_lib.models.autoencoder import FirstStage, Gaussian, Latents
from course_lib.nn.attention import SelfAttention2d
from course_lib.nn.blocks import Downsample, ResBlock, Upsample, group_norm

EPS = 1e-6  # of all norms in here


def _res(before: int, after: int, groups: int) -> ResBlock:
    return ResBlock(before, after, 0, inject="none", groups=groups, eps=EPS)


def _middle(width: int, groups: int) -> nn.Sequential:
    look = SelfAttention2d(width, groups=groups, eps=EPS)
    return nn.Sequential(_res(width, width, groups), look, _res(width, width, groups))


class Encoder(nn.Module):
    """A picture to mean and log-variance: two blocks a level, height and width halve between."""

    def __init__(self, out: int, widths: Sequence[int], groups: int):
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        before = widths[0]
        for level, width in enumerate(widths):
            blocks = nn.ModuleList([_res(before, width, groups), _res(width, width, groups)])
            last = level == len(widths) - 1
            shrink = nn.Identity() if last else Downsample(width, "right")
            self.down.append(nn.ModuleDict({"blocks": blocks, "shrink": shrink}))
            before = width
        self.middle = _middle(before, groups)
        self.norm = group_norm(before, groups, EPS)
        self.out = nn.Conv2d(before, out, 3, padding=1)

    def forward(self, x: Images) -> Latents:
        h = self.stem(x)
        for level in self.down:
            for block in level["blocks"]:
                h = block(h)
            h = level["shrink"](h)
        return self.out(F.silu(self.norm(self.middle(h))))


class Decoder(nn.Module):
    """Latents to a picture: three blocks a level, height and width double between."""

    def __init__(self, reads: int, widths: Sequence[int], groups: int):
        super().__init__()
        before = widths[-1]
        self.stem = nn.Conv2d(reads, before, 3, padding=1)
        self.middle = _middle(before, groups)
        self.up = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            blocks = nn.ModuleList([_res(before, width, groups)])
            blocks.extend(_res(width, width, groups) for _ in range(2))
            grow = Upsample(width) if level else nn.Identity()
            self.up.append(nn.ModuleDict({"blocks": blocks, "grow": grow}))
            before = width
        self.norm = group_norm(before, groups, EPS)
        self.out = nn.Conv2d(before, 3, 3, padding=1)

    def forward(self, z: Latents) -> Images:
        h = self.middle(self.stem(z))
        for level in self.up:
            for block in level["blocks"]:
                h = block(h)
            h = level["grow"](h)
        return self.out(F.silu(self.norm(h)))


class KLAutoencoder(FirstStage):
    """Pictures in [-1, 1] to unscaled latents and back; put it into a `LatentSpace` with the scale.

    channels   of the latents
    widths     of the levels; f is 2^(len(widths) - 1)

    Beside the last and the first convolution stands one of 1 x 1 each, which mixes the moments and
    the latents: `quantise` and `unquantise`, named after the codebook of the other kind.
    """

    def __init__(
        self, channels: int = 4, widths: Sequence[int] = (128, 256, 512, 512), groups: int = 32
    ):
        super().__init__()
        self.f = 2 ** (len(widths) - 1)
        self.bottleneck = Gaussian(channels, 1e-6, 3 * self.f**2)
        self.encoder = Encoder(2 * channels, widths, groups)
        self.quantise = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.unquantise = nn.Conv2d(channels, channels, 1)
        self.decoder = Decoder(channels, widths, groups)

    def read(self, x: Images) -> Tensor:
        """Mean and log-variance, as channels.

        Raises ValueError for a size that f does not divide.
        """
        if x.shape[-1] % self.f or x.shape[-2] % self.f:
            raise ValueError(
                f"height and width must be multiples of {self.f}, got {list(x.shape[-2:])}: pad"
            )
        return self.quantise(self.encoder(x.to(self.quantise.weight.dtype)))

    def encode(self, x: Images) -> Latents:
        """Latents without chance: the mean of q(z | x)."""
        return self.bottleneck.settled(self.read(x)).to(x.dtype)

    def decode(self, z: Latents) -> Images:
        """Pixels; a little outside [-1, 1] now and then."""
        h = self.unquantise(z.to(self.unquantise.weight.dtype))
        return self.decoder(h).to(z.dtype)
