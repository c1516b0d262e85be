"""Batches for the trainer: the data fits in memory, so a batch is one indexing, and no loader."""

from collections.abc import Callable

import torch
from torch import Tensor


def random_batches(
    *data: Tensor, size: int, generator: torch.Generator | None = None
) -> Callable[[], tuple[Tensor, ...]]:
    """Return `get_batch()`, which picks the same `size` random rows from each tensor of `data`.

    Rows are drawn with replacement and nothing is remembered between calls. So a run that reseeds
    PyTorch with (seed, step) before each step sees the same batches after a restart.

    data        tensors of equal length, e.g. images and labels; batches stay on their device
    generator   draws from it, on its device; without it from PyTorch's global one

    Raises ValueError if there is nothing to draw from, or if the lengths differ.
    """
    lengths = [len(tensor) for tensor in data]
    if not data or lengths[0] == 0 or len(set(lengths)) > 1:
        raise ValueError(f"data must be tensors of one length above 0, got lengths {lengths}")
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    draw_on = generator.device if generator is not None else data[0].device

    def get_batch() -> tuple[Tensor, ...]:
        rows = torch.randint(lengths[0], (size,), generator=generator, device=draw_on)
        return tuple(tensor[rows.to(tensor.device)] for tensor in data)

    return get_batch
