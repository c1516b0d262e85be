"""Stable Diffusion v1: the published graph, from the course's own blocks.

    text tower     77 tokens -> 77 x 768         TextTransformer, causal, 12 blocks
    U-Net          64 x 64 x 4 -> 64 x 64 x 4    UNet with a SpatialTransformer after its blocks
    autoencoder    512 x 512 x 3 <-> 64 x 64 x 4 KLAutoencoder, f = 8

The sizes are those of the released config, v1-inference.yaml of CompVis/stable-diffusion, and of
CLIP ViT-L/14. How published files fill the three is in `published_sd.py`. Chapter 25.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.core.types import Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import leading_times, scaled_linear
from course_lib.models.autoencoder import Latents, LatentSpace
from course_lib.models.clip_tokens import ClipTokenizer
from course_lib.models.kl_autoencoder import KLAutoencoder
from course_lib.models.text_to_image import TextToImage
from course_lib.nn.attention import Context
from course_lib.nn.transformer import TextTransformer
from course_lib.nn.unet import UNet

SCALE = 0.18215  # of latents: 1 / their standard deviation, as measured when it was trained
VOCABULARY, LENGTH, DIM = 49_408, 77, 768


def text_tower(
    vocabulary: int = VOCABULARY,
    length: int = LENGTH,
    dim: int = DIM,
    depth: int = 12,
    heads: int = 12,
) -> TextTransformer:
    """CLIP's text tower up to its last norm: a state for each of 77 places, padding included."""
    return TextTransformer(
        vocabulary, length, dim=dim, depth=depth, heads=heads, causal=True, pad=None, quick=True
    )


def latent_unet(
    channels: int = 4,
    widths: Sequence[int] = (320, 640, 1280, 1280),
    context_dim: int = DIM,
    heads: int = 8,
    groups: int = 32,
) -> UNet:
    """The U-Net; no attention at its lowest resolution but for the middle.

    channels   of what it is given: 4 of latents, or 9 with the hole and what is around it
    """
    return UNet(
        channels,
        4,
        widths=widths,
        blocks=2,
        attention_at=range(len(widths) - 1),
        heads=heads,
        groups=groups,
        context_dim=context_dim,
        spatial=True,
    )


class OnLatents(nn.Module):
    """The U-Net as the course's denoisers call it: net(z_t, t, context=..., beside=...).

    Times are ours, 1..T; it was trained with 0..T-1. The walk keeps its own precision, whatever
    that of the weights is: near t = T a denoiser divides by alpha = 0.07, and half precision has
    few digits to lose.
    """

    def __init__(self, unet: UNet):
        super().__init__()
        self.unet = unet

    def forward(
        self,
        z_t: Latents,
        t: Time,
        context: Context,
        beside: Float[Tensor, "batch more rows columns"] | None = None,
    ) -> Latents:
        """beside: channels behind z_t, for the network that fills holes."""
        given = z_t if beside is None else torch.cat([z_t, beside], 1)
        dtype = self.unet.stem.weight.dtype
        return self.unet(given.to(dtype), t - 1, context=context.to(dtype)).to(z_t.dtype)


def assemble(
    tokenizer: ClipTokenizer,
    tower: TextTransformer,
    unet: UNet,
    autoencoder: KLAutoencoder,
    predicts: str = "eps",
    name: str = "Stable Diffusion",
) -> TextToImage:
    """The three networks as one system.

    predicts   "eps" for v1; "v" for those of v2 that were trained so
    """

    def read(prompts: Sequence[str]) -> dict[str, Tensor]:
        ids = tokenizer.batch(prompts, tower.length)
        return {"context": tower(ids.to(tower.word.weight.device))}

    return TextToImage(
        name,
        read,
        Denoiser(OnLatents(unet), scaled_linear(), predicts).eval(),
        LatentSpace(autoencoder, SCALE).to(unet.stem.weight.device),
        leading_times,
        beside=unet.in_channels > autoencoder.bottleneck.channels,
    )
