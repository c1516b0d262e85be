"""What a GPU takes for some work: seconds until it is done, the most memory; and which GPU it was.

Not to be run by itself. On the GPU that PyTorch takes when it is asked for "cuda".
"""

import time
from collections.abc import Callable

import torch

CUDA = torch.device("cuda")


def which() -> str:
    """The GPU and the PyTorch, in words."""
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least of some rounds, after one that does not count: the first call of a kernel loads it.

    A call returns when its kernels are in the queue; the clock goes on until they are done.
    """
    taken = []
    for _ in range(1 + rounds):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken[1:])


def most_bytes(work: Callable[[], object]) -> tuple[int, int]:
    """The largest sum of all tensors at one time, weights included, and what was reserved for them.

    Reserved is what another program finds missing, but for CUDA itself.
    """
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
