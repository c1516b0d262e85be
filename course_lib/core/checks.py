"""Claims that are executed: a notebook says "these are equal" by calling `check_close`."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, ...]


def check_close(
    ours: Any, theirs: Any, what: str = "the two sides", *, atol: float = 1e-6, rtol: float = 0.0
) -> None:
    """Print one line if `ours` equals `theirs` within atol + rtol |theirs|; raise if not.

    Accepts tensors, arrays and numbers. The comparison is made in float64.
    Raises AssertionError naming the worst entry, ValueError if the shapes differ and
    for complex numbers.
    """
    ours, theirs = _float64(ours), _float64(theirs)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"{what}: shapes differ, {tuple(ours.shape)} against {tuple(theirs.shape)}"
        )
    same = ours == theirs  # so that an infinity equals itself, though inf - inf does not
    gap = (ours - theirs).abs().masked_fill(same, 0)
    excess = (gap - (atol + rtol * theirs.abs())).masked_fill(same, 0)
    # NaN is never close to anything, so ask for what must hold and negate it.
    if not bool((excess <= 0).all()):
        worst = int(torch.nan_to_num(excess, nan=float("inf")).argmax())
        place = tuple(int(i) for i in np.unravel_index(worst, ours.shape))
        raise AssertionError(
            f"{what} differ: {ours.flatten()[worst]:.8g} against {theirs.flatten()[worst]:.8g}"
            f" at {place or 'the only entry'}; allowed {atol:g} + {rtol:g} |theirs|"
        )
    largest = float(gap.max()) if gap.numel() else 0.0
    # The exact difference varies in its last digits from machine to machine; its size does not.
    print(f"✓ {what}: equal (largest difference {_size(largest)})")


def check_true(claim: bool | Tensor, what: str) -> None:
    """Print `what` if the claim holds; raise AssertionError with the same words if not."""
    if not bool(claim):
        raise AssertionError(f"this does not hold: {what}")
    print(f"✓ {what}")


def one_of(value: Any, valid: Iterable[Any], what: str) -> None:
    """Raise ValueError listing the valid choices unless `value` is among them."""
    valid = list(valid)
    if value not in valid:
        choices = ", ".join(map(str, valid)) or "none yet"
        raise ValueError(f"unknown {what} {value!r}. Use one of: {choices}")


def same_shapes(here: Mapping[str, Shape], there: Mapping[str, Shape], what: str) -> None:
    """Raise ValueError unless two sets of tensors, given by their names and shapes, are alike.

    here    the network that is to be filled
    there   the file, which the message calls `what`
    """
    odd = [k for k in sorted(set(here) | set(there)) if here.get(k) != there.get(k)]
    if odd:
        first, none = odd[0], "missing"
        raise ValueError(
            f"{what} does not fit this network: {len(odd)} tensors differ, the first is {first!r},"
            f" of shape {there.get(first, none)} there and {here.get(first, none)} here"
        )


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Names and shapes of a state dict."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _float64(value: Any) -> Tensor:
    tensor = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    if tensor.is_complex():
        raise ValueError("complex numbers: compare their real and imaginary parts one by one")
    return tensor.cpu().to(torch.float64)


def _size(gap: float) -> str:
    return "0" if gap == 0 else f"below 1e{int(np.floor(np.log10(gap))) + 1}"
