"""Samples of the shipped models, drawn once and committed, so that judging them costs no sampling.

The sheets are PNG files under `data/samples`, so you can open them and look. Digits keep their 17
levels, and look dark. `tools/measure_models.py` draws, judges and writes them; the scenes, in
colour, `benchmarks/latents.py`.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.tensors import atomic_write
from course_lib.data.files import ROOT, pixels_sha256, read_pixels

SAMPLES = ROOT / "data" / "samples"
COLUMNS = 50  # pictures in one row of a sheet

Pixels = UInt8[Tensor, "n channels side side"]  # 1 channel or 3


def load_samples(name: str, folder: Path = SAMPLES) -> Pixels:
    """What the model `name` drew, in the grey levels or colours of its data set.

    Raises ValueError for an unknown name (listing the valid ones), FileNotFoundError or DamagedData
    (with the command that repairs it) if the sheet is not the one that was committed.
    """
    entries = index(folder)
    one_of(name, entries, "samples")
    entry = entries[name]
    repair = f"git checkout -- data/samples/{name}.png"
    sheet = torch.from_numpy(read_pixels(folder / f"{name}.png", entry, repair).copy())
    grid = sheet.reshape(-1, entry["side"], COLUMNS, entry["side"], *sheet.shape[2:] or (1,))
    return grid.permute(0, 2, 4, 1, 3).flatten(0, 1)[: entry["n"]]


def save_samples(name: str, pixels: Pixels, about: dict[str, Any], folder: Path = SAMPLES) -> Path:
    """Write a sheet, and enter it with `about` and the checksum of its pixels in the index."""
    n, channels, side, _ = pixels.shape
    full = torch.zeros(-(-n // COLUMNS) * COLUMNS, channels, side, side, dtype=torch.uint8)
    full[:n] = pixels
    grid = full.unflatten(0, (-1, COLUMNS)).permute(0, 3, 1, 4, 2)
    sheet = grid.reshape(-1, COLUMNS * side, channels).numpy()
    sheet = np.ascontiguousarray(sheet if channels == 3 else sheet[:, :, 0])
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG", optimize=True)
    path = folder / f"{name}.png"
    atomic_write(path, file.getvalue())
    entry = {"n": n, "side": side, **about, "pixels_sha256": pixels_sha256(sheet)}
    whole = dict(sorted((index(folder) | {name: entry}).items()))
    atomic_write(folder / "index.json", (json.dumps(whole, indent=2) + "\n").encode())
    return path


def index(folder: Path = SAMPLES) -> dict[str, dict[str, Any]]:
    """What is known of each sheet: number, size, how it was drawn, checksum of its pixels."""
    path = folder / "index.json"
    return json.loads(path.read_text()) if path.exists() else {}
