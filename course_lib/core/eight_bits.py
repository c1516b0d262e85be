"""Numbers in 8 bits: whole ones from -127 to 127, and a scale for each block of 32 of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 32  # numbers that share one scale


def quantise(value: Tensor) -> tuple[Tensor, Tensor]:
    """`value` as whole numbers -127 to 127 in its own shape, and a scale for each block of 32.

    A block is 32 numbers that follow each other in memory, whichever rows they belong to; the last
    one may be shorter. The largest of a block becomes 127 or -127.
    """
    flat = value.float().flatten()
    blocks = F.pad(flat, (0, -len(flat) % BLOCK)).unflatten(0, (-1, BLOCK))
    scale = (blocks.abs().amax(1) / 127).half()
    divisor = torch.where(scale > 0, scale, 1).float()
    whole = (blocks / divisor[:, None]).round().clamp(-127, 127)
    return whole.flatten()[: len(flat)].reshape(value.shape).to(torch.int8), scale


def dequantise(whole: Tensor, scale: Tensor) -> Tensor:
    """What `quantise` was given, to half a scale."""
    each = scale.float().repeat_interleave(BLOCK)[: whole.numel()]
    return whole.float() * each.reshape(whole.shape)
