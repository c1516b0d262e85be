"""Noise that a page draws as well: the same numbers from the same seed, in two languages.

PyTorch's own generator exists in no browser. This one takes three lines in either language; a
picture drawn from it is the same in a notebook, at the command line and on the website. `normals`
of widgets/kit.js is its other half.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from course_lib.core.types import RandnLike


def normals(seed: int, count: int, start: int = 0) -> NDArray[np.float64]:
    """`count` standard normal numbers of the sequence that the seed names, from `start` on.

    Seeds count modulo 2**32. Raises ValueError for a seed, count or start below 0.
    """
    if min(seed, count, start) < 0:
        raise ValueError(f"need 0 or more, got seed {seed}, count {count} and start {start}")
    calls = np.arange(2 * start + 1, 2 * (start + count) + 1, dtype=np.uint64)
    word = np.uint64(0xFFFFFFFF)
    state = (np.uint64(seed % 2**32) + calls * np.uint64(0x6D2B79F5)) & word  # mulberry32
    z = (state ^ (state >> 15)) * (state | 1) & word
    z ^= (z + ((z ^ (z >> 7)) * (z | 61) & word)) & word
    uniform = ((z ^ (z >> 14)) / 2**32).reshape(-1, 2)
    # Box and Muller
    return np.sqrt(-2 * np.log(1 - uniform[:, 0])) * np.cos(2 * np.pi * uniform[:, 1])


def shared_randn_like(seed: int) -> RandnLike:
    """A `randn_like` that goes through `normals(seed)`: what a page draws from this seed, too."""
    used = 0

    def randn_like(x: Tensor) -> Tensor:
        nonlocal used
        drawn = normals(seed, x.numel(), used)
        used += x.numel()
        return torch.from_numpy(drawn).to(x).view_as(x)

    return randn_like
