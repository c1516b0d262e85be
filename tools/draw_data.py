"""Draw the contact sheets of the captioned data: `docs/emoji.png` and `docs/scenes.png`.

python tools/draw_data.py
"""

import io

import numpy as np
from PIL import Image

from course_lib.core.tensors import atomic_write
from course_lib.data.emoji import FOLDERS, SIDE, load_emoji, shown_on
from course_lib.data.files import ROOT
from course_lib.data.scenes import draw_scenes

SHOWN = ("red apple", "dog face", "pizza", "bicycle", "rocket", "grinning face")
SHOWN += ("umbrella", "guitar", "octopus", "cactus", "house", "red heart")


def main() -> None:
    write("emoji.png", np.concatenate([row(style) for style in FOLDERS]))
    scenes, _ = draw_scenes(48, "all", size=SIDE)
    grid = scenes.permute(0, 2, 3, 1).numpy().reshape(4, 12, SIDE, SIDE, 3).swapaxes(1, 2)
    write("scenes.png", grid.reshape(4 * SIDE, 12 * SIDE, 3))


def row(style: str) -> np.ndarray:
    """What one design makes of `SHOWN`; grey where it has no such emoji."""
    emoji = load_emoji("all", [style])
    places = {concept.label: n for n, concept in enumerate(emoji.concepts)}
    missing = np.full((SIDE, SIDE, 3), 225.0, np.float32)
    white = (255, 255, 255)
    tiles = [
        shown_on(emoji.images[[places[label]]], white)[0] if label in places else missing
        for label in SHOWN
    ]
    return np.concatenate(tiles, 1)


def write(name: str, pixels: np.ndarray) -> None:
    """A sheet of 256 colours in docs/: a third of the file that all of them would take."""
    buffer = io.BytesIO()
    sheet = Image.fromarray(pixels.round().astype(np.uint8))
    few = sheet.quantize(256, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    atomic_write(ROOT / "docs" / name, buffer.getvalue())
    print(f"wrote docs/{name} ({len(buffer.getvalue()) / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
