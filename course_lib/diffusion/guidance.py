"""Wrappers: each takes a denoiser and gives back a denoiser, so they nest."""

from torch import Tensor

from course_lib.core.types import Denoise


def clip(denoise: Denoise, low: float = -1.0, high: float = 1.0) -> Denoise:
    """Keep the estimate of x_0 in the range of data (chapter 08 shows what this is worth).

    Raises ValueError unless low < high.
    """
    if not low < high:
        raise ValueError(f"need low < high, got low={low}, high={high}")

    def clipped(x_t: Tensor, t: Tensor) -> Tensor:
        return denoise(x_t, t).clamp(low, high)

    return clipped
