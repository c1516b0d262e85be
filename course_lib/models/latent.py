"""Text to emoji: a diffusion model in an autoencoder's latents that reads captions.

The second stage of Rombach et al. 2021: a text transformer and a U-Net of latents with
cross-attention, trained together (their section 3.3), and `imagine`, which draws for prompts.
Chapter 24 builds it by hand and uses it whole.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.core.tensors import seeded_randn_like
from course_lib.core.types import Images
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import classifier_free
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import DiscreteSchedule, spaced_times
from course_lib.models.autoencoder import LatentSpace
from course_lib.models.captions import Ids, TokenUNet, empty, reader

LENGTH = 24  # of a prompt in pieces, START and END included


def latent_reader(vocabulary: int, channels: int, widths: Sequence[int] = (64, 96)) -> Denoiser:
    """A denoiser of latents that reads prompts; it predicts v, on the cosine schedule."""
    net = TokenUNet(vocabulary, LENGTH, channels=channels, widths=widths, dim=96)
    return reader(net)


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
) -> Images:
    """A picture for each prompt, in [-1, 1]: guided DDIM in latents, then the decoder.

    tokens   rows of `Tokenizer.batch`, `LENGTH` long
    side     of the pictures, a multiple of the autoencoder's f
    scale    of guidance; 1 is none
    seed     of the noise; the n-th picture of a batch begins at the seed's n-th noise

    Raises ValueError for a side that f does not divide.
    """
    schedule, f = model.schedule, space.autoencoder.f
    if not isinstance(schedule, DiscreteSchedule):
        raise ValueError(f"imagine needs a schedule of whole steps, got {type(schedule).__name__}")
    if side < f or side % f:
        raise ValueError(f"side must be a multiple of {f}, got {side}")
    channels = space.autoencoder.bottleneck.channels
    like = torch.empty(len(tokens), channels, side // f, side // f, device=tokens.device)
    noise = seeded_randn_like(seed)(like)
    null = {"tokens": empty(tokens[:1])}
    told = classifier_free(model, {"tokens": tokens}, null, scale)
    z: Tensor = sample(ddim_step, told, schedule, noise, spaced_times(schedule, steps))
    return space.decode(z).clamp(-1, 1)
