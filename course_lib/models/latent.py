"""Diffusion in an autoencoder's latents that reads captions; text to emoji.

The second stage of Rombach et al. 2021: a text transformer and a U-Net of latents with
cross-attention, trained together (their section 3.3), `imagine`, which draws for prompts, and
`repaint`, which draws a part of a picture anew. Chapter 24 builds them by hand and uses them whole.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from course_lib.core.types import Images
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.models.autoencoder import Latents, LatentSpace, Pixels
from course_lib.models.captions import Ids, TokenUNet, from_noise, guided, reader
from course_lib.models.palette import keep_known

Hole = Bool[Tensor, "some 1 high wide"]  # one for each picture, or one for all
Open = Bool[Tensor, "some 1 rows columns"]

LENGTH = 24  # of a prompt in pieces, START and END included


def latent_reader(
    vocabulary: int, channels: int, widths: Sequence[int] = (80, 128), dropout: float = 0.0
) -> Denoiser:
    """A denoiser of latents that reads prompts; it predicts v, on the cosine schedule.

    Words come in twice: pixels look at each piece, and the gist scales and shifts every block.

    dropout   the share of each block's features that training hides, where pictures are few and
              would be learned by heart
    """
    net = TokenUNet(
        vocabulary,
        LENGTH,
        channels=channels,
        widths=widths,
        dim=96,
        pooled=True,
        inject="scale_shift",
        dropout=dropout,
    )
    return reader(net)


def pixel_space() -> LatentSpace:
    """Latents that are the pixels themselves, in [-1, 1] as they are."""
    return LatentSpace(Pixels(), 1.0)


@torch.no_grad()
def imagine(
    model: Denoiser,
    space: LatentSpace,
    tokens: Ids,
    *,
    side: int = 64,
    scale: float = 3.0,
    steps: int = 25,
    seed: int = 0,
    limit: float | None = None,
) -> Images:
    """A picture for each prompt, in [-1, 1]: guided DDIM in latents, then the decoder.

    tokens   rows of `Tokenizer.batch`, as long as the model reads
    side     of the pictures, a multiple of the autoencoder's f
    scale    of guidance; 1 is none
    seed     of the noise; the n-th picture of a batch begins at the seed's n-th noise
    limit    keep each estimate of z within ± limit: 1 where latents are pixels. Others have no
             range, and none is the default

    Raises ValueError for a side that f does not divide.
    """
    told = guided(model, tokens, scale)
    told = told if limit is None else clip(told, -limit, limit)
    z = from_noise(told, model.schedule, _like(space, tokens, side), steps, seed)
    return space.decode(z).clamp(-1, 1)


@torch.no_grad()
def repaint(
    model: Denoiser,
    space: LatentSpace,
    tokens: Ids,
    pictures: Images,
    hole: Hole,
    *,
    reach: int = 0,
    scale: float = 3.0,
    steps: int = 25,
    seed: int = 0,
) -> Images:
    """Draw the holes of pictures anew by prompts: at each step the known latents are put back.

    The estimate of z_0 is what is replaced (`palette.keep_known`); what is around the hole comes
    back from the decoder and is replaced by the given pixels at the very end.

    hole    True where the picture is to be made anew
    reach   how many more latents round the hole are drawn anew (`latent_hole`)

    Raises ValueError for a picture that is not square or whose side f does not divide.
    """
    if pictures.shape[-1] != pictures.shape[-2]:
        raise ValueError(f"pictures must be square, got {list(pictures.shape)}")
    known = space.encode(pictures)
    open_z = latent_hole(hole, space.autoencoder.f, reach).expand(len(pictures), -1, -1, -1)
    told = keep_known(guided(model, tokens, scale), known, open_z)
    z = from_noise(told, model.schedule, _like(space, tokens, pictures.shape[-1]), steps, seed)
    return torch.where(hole, space.decode(z).clamp(-1, 1), pictures)


def latent_hole(hole: Hole, f: int, reach: int = 0) -> Open:
    """Which latents a hole of the picture touches, and their neighbours up to `reach` away.

    One pixel of the hole is enough to touch a latent. reach = 0 alone keeps latents that have seen
    the hole, since convolutions look over the edge of their place (chapter 24 measures how far).

    Raises ValueError for a size that f does not divide, and a reach below 0.
    """
    if hole.shape[-1] % f or hole.shape[-2] % f or reach < 0:
        raise ValueError(
            f"f must divide the sides of the hole and reach must be 0 or more, got"
            f" {list(hole.shape[-2:])}, f = {f}, reach = {reach}"
        )
    touched = F.max_pool2d(hole.float(), f)
    return F.max_pool2d(touched, 2 * reach + 1, stride=1, padding=reach) > 0


def _like(space: LatentSpace, tokens: Ids, side: int) -> Latents:
    """The shape and device of the latents of a picture for each prompt."""
    f = space.autoencoder.f
    if side < f or side % f:
        raise ValueError(f"side must be a multiple of {f}, got {side}")
    channels = space.autoencoder.bottleneck.channels
    return torch.empty(len(tokens), channels, side // f, side // f, device=tokens.device)
