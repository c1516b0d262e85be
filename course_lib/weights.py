"""Trained weights that say where they come from: `data/weights/` and its manifest.

`NAME.safetensors.gz` is a safetensors file packed by gzip, which makes it a fifteenth smaller.
Never pickle. A file whose hash is not the manifest's is refused by name.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load, save
from torch import Tensor, nn

from course_lib.core.checks import one_of, same_shapes, shapes
from course_lib.core.eight_bits import dequantise, quantise
from course_lib.core.tensors import atomic_write

Module = TypeVar("Module", bound=nn.Module)

WEIGHTS = Path(__file__).resolve().parent.parent / "data" / "weights"
SUFFIX = ".safetensors.gz"
SCALE = ":scale"  # no parameter has a colon in its name


def manifest(folder: Path = WEIGHTS) -> dict[str, dict[str, Any]]:
    """What is known of each shipped file: recipe, data, steps, hardware, metrics, sha256."""
    path = folder / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else {}


def recorded(name: str, folder: Path = WEIGHTS.parent) -> dict[str, Any]:
    """What a committed script measured and wrote to `data/NAME.json`; it says itself how."""
    return json.loads((folder / f"{name}.json").read_text())


def over_seeds(record: Mapping[str, Any], *keys: str) -> float:
    """The mean over the seeds of a record, {seed: {key: ...}}, of the number under `keys`."""
    return sum(reduce(getitem, keys, row) for row in record.values()) / len(record)


def save_weights(
    name: str,
    module: nn.Module,
    about: dict[str, Any],
    *,
    bits: int = 8,
    folder: Path = WEIGHTS,
) -> Path:
    """Write a module's weights and enter them, with `about` and their sha256, in the manifest.

    bits   of each stored number. 32: as it is. 16: half precision. 5 to 8: matrices and kernels as
           whole numbers, in 8 bits up to 127, times a scale for each block of 32 (`eight_bits`),
           the rest, biases and norms, in half precision. ValueError for another number

    What 8 bits lose is not visible: the loss of the garments' DDPM rises by less than a thousandth.
    With fewer a file is shorter, with 5 by a third, and more is lost: measure before you choose.
    """
    one_of(bits, (5, 6, 7, 8, 16, 32), "number of bits")
    tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    content = gzip.compress(save(_rounded(tensors, bits)), mtime=0)  # no clock in the hash
    path = folder / (name + SUFFIX)
    atomic_write(path, content)
    parameters = sum(p.numel() for p in module.parameters())
    entry = about | {"parameters": parameters, "sha256": hashlib.sha256(content).hexdigest()}
    whole = dict(sorted((manifest(folder) | {name: entry}).items()))
    atomic_write(
        folder / "manifest.json", (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()
    )
    return path


def _rounded(tensors: dict[str, Tensor], bits: int) -> dict[str, Tensor]:
    """What is written for `bits`: floats rounded, kernels perhaps as whole numbers and scales."""
    stored: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if bits == 32 or not value.is_floating_point():
            stored[key] = value
        elif bits <= 8 and value.dim() > 1:
            stored[key], stored[key + SCALE] = quantise(value, bits)
        else:
            stored[key] = value.half()
    return stored


def whole_file(name: str, folder: Path = WEIGHTS) -> bytes:
    """The shipped file called `name`, unpacked, if it is the one that the manifest describes.

    Raises ValueError for an unknown name (listing the valid ones), and for a missing, truncated or
    tampered file (naming both hashes, and the repair).
    """
    entries = manifest(folder)
    one_of(name, entries, "weights")
    path = folder / (name + SUFFIX)
    repair = f"Restore it with: git checkout -- data/weights/{path.name}"
    if not path.exists():
        raise ValueError(f"{path.name} is missing. {repair}")
    content = path.read_bytes()
    found, expected = hashlib.sha256(content).hexdigest(), entries[name]["sha256"]
    if found != expected:
        raise ValueError(
            f"{path.name} is damaged: sha256 {found}, the manifest says {expected}. {repair}"
        )
    return gzip.decompress(content)


def load_weights(name: str, module: Module, folder: Path = WEIGHTS) -> Module:
    """Fill `module` with the shipped weights called `name` and put it in evaluation mode.

    Raises ValueError as `whole_file` does, and for weights of another shape.
    """
    return _fill(module, load(whole_file(name, folder)), name + SUFFIX)


def load_or_train(
    name: str,
    module: Module,
    train: Callable[[Module], nn.Module] | None = None,
    folder: Path = WEIGHTS,
) -> Module:
    """The shipped weights in `module`; or, given `train`, `module` as `train(module)` leaves it.

    Either way it is ready to be used: in evaluation mode, and its parameters ask for no gradients.
    Says in one line which of the two happened. Training never writes to the shipped file.
    """
    if train is not None:
        trained = train(module)
        module.load_state_dict(trained.state_dict())
        print(f"{name}: trained here; the shipped weights are left as they are")
        return module.eval().requires_grad_(False)
    load_weights(name, module, folder)
    entry = manifest(folder)[name]
    made = entry.get("made", "origin not recorded")
    print(f"{name}: shipped weights, {entry['parameters']:,} parameters, {made}")
    return module


def _fill(module: Module, tensors: dict[str, Tensor], what: str) -> Module:
    own = module.state_dict()
    scales = {key: tensors.pop(key) for key in [*tensors] if key.endswith(SCALE)}
    same_shapes(shapes(own), shapes(tensors), what)
    for key, scale in scales.items():
        whole = key.removesuffix(SCALE)
        tensors[whole] = dequantise(tensors[whole], scale)
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in tensors.items()})
    return module.eval().requires_grad_(False)
