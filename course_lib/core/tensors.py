"""Devices, seeds, pixel ranges, and files that are written whole or not at all."""

import os
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from course_lib.core.types import RandnLike


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises ValueError if the machine does not have the device asked for.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, there in present.items() if there))
    if not present.get(name.split(":")[0], False):
        usable = ", ".join(["auto"] + [device for device, there in present.items() if there])
        raise ValueError(f"no device {name!r} on this machine. Use one of: {usable}")
    return torch.device(name)


def seed_everything(seed: int = 0) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seeded_randn_like(seed: int) -> RandnLike:
    """A `randn_like` with a memory of its own: the same seed draws the same noise, always.

    Noise is drawn on the CPU and moved, so that every device sees the same numbers.
    """
    generator = torch.Generator().manual_seed(seed)

    def randn_like(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)

    return randn_like


def to_unit(pixels: UInt8[Tensor, "*dims"], top: int = 255) -> Float[Tensor, "*dims"]:
    """Pixels 0..top become floats in [-1, 1], the range in which every model here works."""
    return pixels.float() * (2 / top) - 1


def to_pixels(x: Float[Tensor, "*dims"], top: int = 255) -> UInt8[Tensor, "*dims"]:
    """Floats in [-1, 1] become pixels 0..top; what lies outside is clamped."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))  # 8 bits of a bfloat16 are too few
    return ((x.clamp(-1, 1) + 1) * (top / 2)).round().to(torch.uint8)


def atomic_write(path: str | Path, content: bytes, *, new: bool = False) -> None:
    """Write `content` to `path` whole or not at all, whatever interrupts.

    new   raise FileExistsError rather than overwrite, also if another process is just as fast
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        (_claim if new else os.replace)(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _claim(temporary: str, path: Path) -> None:
    """Give a finished file its name, unless there is one of that name."""
    try:
        os.link(temporary, path)  # whole from the first moment, on Linux, macOS and Windows
    except FileExistsError:
        raise
    except OSError:  # a disk without links, a USB stick say: here a kill may leave an empty file
        path.touch(exist_ok=False)
        try:
            os.replace(temporary, path)
        except BaseException:
            path.unlink()
            raise
