"""A U-Net with one of its parts taken out or changed, to see what the part was for.

Each function changes the network that it is given, and returns it. Used in chapters 12 and 16.
"""

import math
from functools import partial

import torch
from torch import Tensor, nn

from course_lib.nn.attention import SelfAttention2d
from course_lib.nn.blocks import ResBlock
from course_lib.nn.unet import UNet


def without_attention(unet: UNet) -> UNet:
    """No pixel looks at another one any more: every attention block becomes the identity."""
    return _replace(unet, SelfAttention2d)


def without_norm(unet: UNet) -> UNet:
    """Features keep whatever size they have: every GroupNorm becomes the identity."""
    return _replace(unet, nn.GroupNorm)


def without_skips(unet: UNet) -> UNet:
    """The way up reads zeros in place of every skip; shapes, parameters and cost stay as they are.

    Done by hooks, so it can be tried on a trained network too, and its weights still fit.
    """
    skips = [unet.stem.out_channels]
    for level in unet.down:
        skips += [block.conv2.out_channels for block, _ in level["blocks"]]
        if not isinstance(level["shrink"], nn.Identity):
            skips.append(level["shrink"].conv.out_channels)
    for level in unet.up:
        for block, _ in level["blocks"]:
            block.register_forward_pre_hook(partial(_silence, skips.pop()))
    return unet


def with_rescaled_blocks(unet: UNet) -> UNet:
    """Every residual block's sum is divided by the root of 2, so that variances do not add up.

    One of the changes that Dhariwal & Nichol 2021, section 3, try. Done by hooks.
    """
    for block in unet.modules():
        if isinstance(block, ResBlock):
            block.register_forward_hook(_rescale)
    return unet


def _rescale(block: nn.Module, inputs: tuple[Tensor, Tensor], output: Tensor) -> Tensor:
    return output / math.sqrt(2)


def _silence(channels: int, block: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """What a block is called with, its last `channels` channels set to zero."""
    x, embedding = inputs
    own = x[:, :-channels]
    return torch.cat([own, torch.zeros_like(x[:, -channels:])], dim=1), embedding


def _replace(unet: UNet, kind: type[nn.Module]) -> UNet:
    for parent in list(unet.modules()):
        for name, child in parent.named_children():
            if isinstance(child, kind):
                setattr(parent, name, nn.Identity())
    return unet
