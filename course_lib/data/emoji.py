"""Emoji in eight designs: 64 x 64 pictures with a caption, and a background of your choice.

Each design is one committed sheet, `data/emoji/noto.webp` and so on: open it and look. A picture
is red, green, blue and cover (alpha), so the background is left to you, and to the caption.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.eight_bits import dequantise
from course_lib.data.files import ROOT, checksums, read_pixels, read_whole

SIDE = 64  # pixels
COLUMNS = 40  # pictures in one row of a sheet
SPLITS = ("train", "test_pair", "test_concept")

# Where a design's sheet lies. OpenMoji has a share-alike licence, so a folder of its own.
FOLDERS = {
    "noto": "emoji",
    "blob": "emoji",
    "twemoji": "emoji",
    "fluentflat": "emoji",
    "fluent": "emoji",
    "emojione": "emoji",
    "firefox": "emoji",
    "openmoji": "emoji_openmoji",
}
STYLES = tuple(style for style, folder in FOLDERS.items() if folder == "emoji")

# Eleven basic colour words, and where they stand in sRGB.
COLOURS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (252, 205, 60),
    "green": (80, 165, 70),
    "blue": (60, 120, 210),
    "purple": (135, 85, 190),
    "pink": (240, 120, 170),
    "brown": (130, 80, 50),
    "black": (35, 35, 35),
    "gray": (140, 145, 150),
    "white": (245, 245, 245),
}


def to_sheet(images: UInt8[np.ndarray, "n 64 64 4"]) -> UInt8[np.ndarray, "height width 4"]:
    """Lay pictures out row by row, `COLUMNS` in a row; the rest of the last row is empty."""
    rows = -(-len(images) // COLUMNS)
    grid = np.zeros((rows * COLUMNS, SIDE, SIDE, 4), np.uint8)
    grid[: len(images)] = images
    grid = grid.reshape(rows, COLUMNS, SIDE, SIDE, 4).swapaxes(1, 2)
    return grid.reshape(rows * SIDE, COLUMNS * SIDE, 4)


def from_sheet(sheet: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "n 64 64 4"]:
    """Undo `to_sheet`; empty places come along."""
    grid = sheet.reshape(-1, SIDE, COLUMNS, SIDE, 4).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(-1, SIDE, SIDE, 4))


def shown_on(
    images: UInt8[np.ndarray, "n 64 64 4"], background: Sequence[float], size: int = SIDE
) -> Float[np.ndarray, "n size size 3"]:
    """Pictures on a plain background, shrunk by averaging blocks; values from 0 to 255.

    background  red, green, blue, 0 to 255
    size        64, 32, 16 or another whole part of 64; ValueError if it is not

    Colour is averaged after it is laid on the background, so edges stay what the eye expects.
    """
    if size < 1 or SIDE % size:
        raise ValueError(f"size must divide {SIDE}, got {size}; use 64, 32, 16 or 8")
    cover = images[..., 3:].astype(np.float32) / 255
    flat = images[..., :3] * cover + np.asarray(background, np.float32) * (1 - cover)
    block = SIDE // size
    return flat.reshape(len(flat), size, block, size, block, 3).mean((2, 4))


def lab(rgb: np.ndarray) -> Float[np.ndarray, "... 3"]:
    """sRGB of 0 to 255 as CIE L*a*b* (D65), in which distances are near to what the eye sees."""
    c = np.asarray(rgb, np.float64) / 255
    linear = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def colour_shares(picture: UInt8[np.ndarray, "height width 4"]) -> Float[np.ndarray, "11"]:
    """How much of what is drawn (cover above 200) has each of `COLOURS`; all 0 for an empty one.

    A pixel has the colour that is nearest in L*a*b*.
    """
    drawn = picture[picture[..., 3] > 200][:, :3]
    if len(drawn) < 50:
        return np.zeros(len(COLOURS))
    apart = ((lab(drawn)[:, None] - lab(np.array(list(COLOURS.values())))) ** 2).sum(-1)
    return np.bincount(apart.argmin(1), minlength=len(COLOURS)) / len(drawn)


@dataclass(frozen=True)
class Concept:
    """What an emoji shows, whoever drew it.

    code    its Unicode code points, "1F34E"
    label   its English short name in Unicode's CLDR, "red apple"
    tags    other words for it
    group   one of eight, "food-drink"
    """

    code: str
    emoji: str
    label: str
    tags: tuple[str, ...]
    group: str


@dataclass(frozen=True)
class Emoji:
    """Pictures and what is known of each, in the same order.

    images    uint8 [n, 64, 64, 4]: red, green, blue, cover
    styles    the design of each
    concepts  what each shows
    colours   the one or two colours of each, largest first; sometimes none
    """

    images: UInt8[np.ndarray, "n 64 64 4"]
    styles: tuple[str, ...]
    concepts: tuple[Concept, ...]
    colours: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.images)

    def pick(self, chosen: Sequence[int]) -> "Emoji":
        """Some of them, in the order asked for."""
        styles, concepts, colours = (
            tuple(row[n] for n in chosen) for row in (self.styles, self.concepts, self.colours)
        )
        return Emoji(self.images[list(chosen)], styles, concepts, colours)

    def on(
        self, background: Sequence[float] = (255, 255, 255), size: int = SIDE
    ) -> Float[Tensor, "n 3 size size"]:
        """All pictures on one background, in [-1, 1]; as in `shown_on`."""
        flat = shown_on(self.images, background, size)
        return torch.from_numpy(flat).permute(0, 3, 1, 2).contiguous() / 127.5 - 1

    def cut_outs(self, size: int = SIDE) -> UInt8[Tensor, "n 4 size size"]:
        """Red, green, blue times cover, and cover, 0 to 255; ready for any ground.

        On a ground g it is colour + (1 - cover / 255) g. So g may be chosen after shrinking, which
        is by blocks, as in `shown_on`.
        """
        black = shown_on(self.images, (0, 0, 0), size)
        cover = 255 - (shown_on(self.images, (255, 255, 255), size) - black)[..., :1]
        whole = np.concatenate([black, cover], 3).round().astype(np.uint8)
        return torch.from_numpy(whole).permute(0, 3, 1, 2).contiguous()

    def captions(self) -> list[str]:
        """Style and label of each: "noto: red apple"."""
        pairs = zip(self.styles, self.concepts, strict=True)
        return [f"{style}: {concept.label}" for style, concept in pairs]


def prompt(label: str, style: str = "", ground: str = "") -> str:
    """What the model is told of a picture: "noto style: red apple on a blue background".

    Style and ground may be left out; a picture whose ground is not named has a white one.

    Raises ValueError for a ground that is no colour word of the data.
    """
    if ground and ground not in COLOURS:
        raise ValueError(f"unknown ground {ground!r}; known are {', '.join(COLOURS)}")
    before = f"{style} style: " if style else ""
    return before + label + (f" on {_article(ground)} {ground} background" if ground else "")


def with_article(label: str) -> str:
    """The label as one would speak of it: "red apple" is "a red apple", "grapes" stay "grapes"."""
    many = label.split(" with ")[0].endswith("s") and not label.endswith(("ss", "us", "os"))
    return label if many else f"{_article(label)} {label}"


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in tuple("aeiou") else "a"


@cache
def concepts() -> dict[str, Concept]:
    """Every concept by its code, in Unicode's order."""
    rows = [json.loads(line) for line in _lines("emoji/concepts.jsonl.gz")]
    return {row["code"]: Concept(**row | {"tags": tuple(row["tags"])}) for row in rows}


def _lines(name: str) -> list[str]:
    """Of a packed text under data/."""
    return gzip.decompress(read_whole(name)).decode().splitlines()


@cache
def _design(style: str) -> tuple[np.ndarray, list[list[str]]]:
    """All pictures of one design and their rows of the table."""
    folder = FOLDERS[style]
    table = _lines(f"{folder}/images.tsv.gz")[1:]
    rows = [fields for line in table if (fields := line.split("\t"))[0] == style]
    name = f"{folder}/{style}.webp"
    repair = f"git checkout -- data/{name}   (or rebuild it: python tools/build_emoji.py --write)"
    sheet = read_pixels(ROOT / "data" / name, checksums()[name], repair)
    return from_sheet(sheet)[: len(rows)], rows


def load_emoji(
    split: str = "train",
    styles: Sequence[str] = STYLES,
    groups: Sequence[str] | None = None,
) -> Emoji:
    """The emoji of some designs, design after design, in Unicode's order.

    split    train; test_pair: this design's picture of it was held out, other designs' were not;
             test_concept: no design's picture of it is in train; or "all"
    styles   of `FOLDERS`; the default leaves out OpenMoji, whose licence is share-alike
    groups   only concepts of these groups, for instance ("animals-nature", "food-drink")

    Raises ValueError for an unknown split, style or group, FileNotFoundError or DamagedData (with
    the command that repairs it) for a sheet or a table that is not the committed one.
    """
    one_of(split, (*SPLITS, "all"), "split")
    for style in styles:
        one_of(style, FOLDERS, "style")
    known = concepts()
    for group in groups or ():
        one_of(group, dict.fromkeys(concept.group for concept in known.values()), "group")
    images, rows = [], []
    for style in styles:
        pictures, table = _design(style)
        keep = [
            n
            for n, (_, code, part, _) in enumerate(table)
            if split in ("all", part) and (groups is None or known[code].group in groups)
        ]
        images.append(pictures[keep])
        rows += [table[n] for n in keep]
    return Emoji(
        np.concatenate(images) if images else np.zeros((0, SIDE, SIDE, 4), np.uint8),
        tuple(row[0] for row in rows),
        tuple(known[row[1]] for row in rows),
        tuple(tuple(filter(None, row[3].split(","))) for row in rows),
    )


@cache
def label_embeddings() -> dict[str, Float[Tensor, "384"]]:
    """MiniLM's vector of each concept's label, by code: for whoever has not installed MiniLM.

    Made by `tools/embed_labels.py`, kept in 8 bits; `course_lib.models.minilm` does any text.
    """
    stored = load(read_whole("emoji/labels.safetensors"))
    vectors = dequantise(stored["labels"], stored["scale"])
    return dict(zip(concepts(), vectors, strict=True))
