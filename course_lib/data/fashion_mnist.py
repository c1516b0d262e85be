"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 28x28 grey pictures of ten kinds of clothing.

The pictures are committed as PNG sheets, so you can open `data/fashion_mnist/train.png` and look.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.data.files import ROOT, checksums, read_pixels

Pictures = UInt8[Tensor, "n 1 28 28"]
Labels = Int64[Tensor, " n"]

CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SIDE = 28  # pixels
SHEET_COLUMNS = 200  # pictures in one row of a sheet

# train and test are committed; train_full is built on request, in a folder that git ignores.
SHEETS = {
    "train": ROOT / "data" / "fashion_mnist" / "train.png",
    "test": ROOT / "data" / "fashion_mnist" / "test.png",
    "train_full": ROOT / "runs" / "data" / "fashion_mnist" / "train_full.png",
}


def load_fashion_mnist(split: str = "train", path: Path | None = None) -> tuple[Pictures, Labels]:
    """Return pictures (0 black to 255 white) and labels (0 to 9, named in `CLASSES`).

    Label i is i modulo 10: the classes take turns, so every slice of 10 k pictures is balanced and
    the first ten show one of each.

    split   "train" 20,000, "test" 6,000, "train_full" 60,000 (build it first, see the error)
    path    read the sheet from here instead

    Raises ValueError for another split, FileNotFoundError or DamagedData (with the command that
    repairs it) if the sheet is not the one that was committed.
    """
    one_of(split, SHEETS, "split")
    path = path or SHEETS[split]
    if split == "train_full":
        repair = "python tools/build_data.py --full"
    else:
        repair = f"git checkout -- data/fashion_mnist/{split}.png"
        repair += "   (or rebuild it: python tools/build_data.py --write)"
    sheet = read_pixels(path, checksums()[f"fashion_mnist/{split}.png"], repair)
    by_class = from_sheet(sheet).reshape(len(CLASSES), -1, 1, SIDE, SIDE)
    images = torch.from_numpy(by_class.swapaxes(0, 1).reshape(-1, 1, SIDE, SIDE))
    return images, torch.arange(len(images)) % len(CLASSES)


def to_sheet(images: UInt8[np.ndarray, "n 28 28"]) -> UInt8[np.ndarray, "height width"]:
    """Lay pictures out row by row, `SHEET_COLUMNS` in a row."""
    grid = images.reshape(-1, SHEET_COLUMNS, SIDE, SIDE)
    return grid.swapaxes(1, 2).reshape(-1, SHEET_COLUMNS * SIDE)


def from_sheet(sheet: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "n 28 28"]:
    """Undo `to_sheet`."""
    grid = sheet.reshape(-1, SIDE, SHEET_COLUMNS, SIDE)
    return grid.swapaxes(1, 2).reshape(-1, SIDE, SIDE)
