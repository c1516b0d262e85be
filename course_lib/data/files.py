"""Where the committed data lives, and how a sheet of pixels is read so that damage cannot pass.

The course is installed from its clone (`pip install -e .`), so the data stands beside `course_lib`.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


class DamagedData(RuntimeError):
    """A committed file is not what was committed; the message names it and the way to mend it."""


@cache
def checksums(folder: Path = ROOT / "data") -> dict[str, dict]:
    """Return `data/checksums.json`: for each file its sha256, and that of its decoded pixels."""
    path = folder / "checksums.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing, so course_lib was not imported from a clone of the course. "
            "Run `pip install -e .` inside the clone; the data lies there, not in the package."
        )
    return json.loads(path.read_text())


def read_whole(name: str) -> bytes:
    """The content of `data/<name>`, if it has the sha256 of `checksums()`.

    Raises FileNotFoundError or DamagedData; both name the file and the command that repairs it.
    """
    path, repair = ROOT / "data" / name, f"Repair: git checkout -- data/{name}"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing.\n{repair}")
    content = path.read_bytes()
    found, expected = hashlib.sha256(content).hexdigest(), checksums()[name]["sha256"]
    if found != expected:
        raise DamagedData(f"{path} is damaged: sha256 {found}, expected {expected}.\n{repair}")
    return content


def pixels_sha256(pixels: np.ndarray) -> str:
    """Checksum of the decoded pixels: it survives another PNG encoder, the file's does not."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def read_pixels(path: Path, expected: dict, repair: str) -> np.ndarray:
    """Decode the image at `path` to uint8 and check it.

    expected    the file's entry in `checksums()`
    repair      the command that brings a good file back; it ends the error message

    Raises FileNotFoundError or DamagedData; both name the file and the checksums.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing (its pixels have sha256 {expected['pixels_sha256']}).\n"
            f"Repair: {repair}"
        )
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:  # how Pillow reports a broken file
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        raise DamagedData(
            f"{path} cannot be decoded ({error}).\n"
            f"  sha256 of the file, expected {expected.get('sha256', 'unknown')}\n"
            f"                      found    {found}\n"
            f"Repair: {repair}"
        ) from error
    if (found := pixels_sha256(pixels)) != expected["pixels_sha256"]:
        raise DamagedData(
            f"{path} has been changed.\n"
            f"  sha256 of its pixels, expected {expected['pixels_sha256']}\n"
            f"                        found    {found}\n"
            f"Repair: {repair}"
        )
    return pixels
