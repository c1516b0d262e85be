"""Numbers in 8 bits or fewer: whole ones, and a scale for each block of 32 of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 32  # numbers that share one scale


def quantise(value: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """`value` as whole numbers in its own shape, and a scale for each block of 32.

    A block is 32 numbers that follow each other in memory, whichever rows they belong to; the last
    one may be shorter. The largest of a block becomes 127 or -127 in 8 bits, 15 or -15 in 5. Bytes
    hold them all the same: it is gzip that makes the narrower ones shorter. A scale is in half
    precision, 6e-8 at least; what is below half of that becomes 0.

    Raises ValueError unless there are 2 to 8 bits, and for numbers too large for such a scale.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"whole numbers are kept in 2 to 8 bits, got {bits}")
    top = 2 ** (bits - 1) - 1
    flat = value.float().flatten()
    blocks = F.pad(flat, (0, -len(flat) % BLOCK)).unflatten(0, (-1, BLOCK))
    largest = blocks.abs().amax(1)
    scale = (largest / top).half()
    short = largest > (top + 0.5) * scale.float()  # half precision ends: the largest would be cut
    scale = (scale.view(torch.int16) + short).view(torch.half)  # the next number up
    if not bool(scale.isfinite().all()):
        raise ValueError(
            f"{float(largest.amax()):g} does not fit: with {bits} bits numbers end at"
            f" {top * torch.finfo(torch.half).max:g}. Store them in 16 or 32 bits"
        )
    divisor = torch.where(scale > 0, scale, 1).float()
    whole = (blocks / divisor[:, None]).round().clamp(-top, top)
    return whole.flatten()[: len(flat)].reshape(value.shape).to(torch.int8), scale


def dequantise(whole: Tensor, scale: Tensor) -> Tensor:
    """What `quantise` was given, to half a scale."""
    each = scale.float().repeat_interleave(BLOCK)[: whole.numel()]
    return whole.float() * each.reshape(whole.shape)
