"""Did it follow the caption? For drawn scenes, pixels answer: no network, and no opinion.

`detect` finds the things in a picture, `judge` compares them with a caption claim by claim. The
oracle is strict and not perfect: noise and blur fool it, so `ceiling` measures it on real scenes,
and whatever is measured with it stands beside that number. The questions are those of GenEval
(Ghosh et al. 2023, section 3), which asks a detector network.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import ndimage
from torch import Tensor

from course_lib.data.scenes import (
    BACKGROUNDS,
    COLOURS,
    ENTRIES,
    PLACES,
    REACH,
    SHAPES,
    Count,
    Pair,
    Scene,
    Single,
    Thing,
    coverage,
    distances,
    draw_scenes,
    holds,
    parse,
    things,
)

Picture = UInt8[np.ndarray, "height width 3"]

PALETTE = np.array([*COLOURS.values(), *BACKGROUNDS.values()], np.float32)
_N = len(COLOURS)  # the entries after these are backgrounds
CLEAR = 0.6  # overlap with the nearest shape from which a thing counts as one
SEEN = 0.006  # of the canvas: what is smaller is a speck


@dataclass(frozen=True)
class Found:
    """A thing in a picture whose side is 1; `overlap` with a perfect one, 0 to 1."""

    thing: Thing
    x: float
    y: float
    radius: float
    overlap: float


def detect(image: Picture) -> tuple[list[Found], str]:
    """The things in a picture, and its background.

    The background is the commonest along the border. What differs from it falls into connected
    patches; a patch has the colour of its core, and the shape that overlaps it best among those of
    the same area and centre of mass. Blur and smooth edges keep both, so they do little harm.
    """
    size = image.shape[0]
    pixels = image.astype(np.float32)
    smooth = ndimage.median_filter(pixels, (3, 3, 1)) if size >= 64 else pixels
    apart = ((smooth[..., None, :] - PALETTE) ** 2).sum(-1)

    border = np.ones((size, size), bool)
    border[2:-2, 2:-2] = False
    ground = _N + int(np.bincount(apart[border][:, _N:].argmin(1), minlength=3).argmax())
    drawn = (apart[..., :_N].min(-1) < apart[..., ground]) & (apart[..., ground] > 40**2)
    labels, _ = ndimage.label(drawn, np.ones((3, 3)))

    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        patch = labels[rows, columns] == number
        if patch.sum() < SEEN * size**2:
            continue
        near = apart[rows, columns][patch]
        core = near[:, ground] >= 0.7 * near[:, ground].max()
        colour = int(np.bincount(near[core][:, :_N].argmin(1), minlength=_N).argmax())
        window = (
            range(max(0, rows.start - 2), min(size, rows.stop + 2)),
            range(max(0, columns.start - 2), min(size, columns.stop + 2)),
        )
        cover = _cover(pixels, labels, number, window, colour, ground)
        found.append(_fit(cover, window, list(COLOURS)[colour], size))
    return found, list(BACKGROUNDS)[ground - _N]


def _cover(
    pixels: np.ndarray,
    labels: np.ndarray,
    number: int,
    window: tuple[range, range],
    colour: int,
    ground: int,
) -> Float[np.ndarray, "rows columns"]:
    """How far each pixel of a window is from the background towards the thing's colour, 0 to 1."""
    cut = np.ix_(*window)
    way = PALETTE[colour] - PALETTE[ground]
    cover = np.clip((pixels[cut] - PALETTE[ground]) @ way / (way @ way), 0, 1)
    own = labels[cut] == number
    rim = ndimage.binary_dilation(own, iterations=2) & (labels[cut] == 0)
    cover *= own | rim
    cover[cover < 0.12] = 0
    return cover


def _fit(
    cover: Float[np.ndarray, "rows columns"], window: tuple[range, range], colour: str, size: int
) -> Found:
    """The shape of the same area and centre of mass that overlaps best."""
    rows, columns = window
    total = float(cover.sum())
    x = float(cover.sum(0) @ np.asarray(columns)) / total + 0.5
    y = float(cover.sum(1) @ np.asarray(rows)) / total + 0.5
    best = None
    for shape in SHAPES:
        area, right, down = _moments(shape)
        radius = (total / area) ** 0.5
        at_x, at_y = x - radius * right, y - radius * down
        perfect = coverage(shape, at_x, at_y, radius, rows, columns)
        overlap = np.minimum(perfect, cover).sum() / np.maximum(perfect, cover).sum()
        if best is None or overlap > best.overlap:
            place = at_x / size, at_y / size, radius / size
            best = Found(Thing(colour, shape), *place, overlap=float(overlap))
    assert best is not None
    return best


@cache
def _moments(shape: str) -> tuple[float, float, float]:
    """Area and centre of mass (x, y) of a shape of radius 1."""
    rows, columns = np.nonzero(distances(shape) < 0)
    side = 2 * REACH / (ENTRIES - 1)
    right, down = (float(index.mean()) * side - REACH for index in (columns, rows))
    return len(rows) * side**2, right, down


def judge(image: np.ndarray | Tensor, caption: str | Scene) -> dict[str, bool]:
    """Every claim of a caption, true or not, and "all".

    image   uint8, an array [size, size, 3] or a tensor [3, size, size]

    count        as many things as asked for
    colour       the colours asked for, each as often; shape likewise
    binding      each colour on the shape that it was asked for
    background   always asked for
    place, size  of a single thing
    relation     of a first thing to a second one

    Raises ValueError for a caption outside the grammar, a picture that is not uint8 or not square.
    """
    scene = parse(caption) if isinstance(caption, str) else caption
    found, background = detect(_pixels(image))
    clear = [one for one in found if one.overlap >= CLEAR]
    asked, seen = things(scene), [one.thing for one in clear]
    claims = {
        "count": len(found) == len(asked),
        "colour": Counter(t.colour for t in seen) == Counter(t.colour for t in asked),
        "shape": Counter(t.shape for t in seen) == Counter(t.shape for t in asked),
        "binding": Counter(seen) == Counter(asked),
        "background": background == scene.background,
    }
    match scene:
        case Single(_, size, place, _):
            one = clear[0] if len(clear) == 1 else None
            claims["place"] = one is not None and PLACES[3 * _third(one.y) + _third(one.x)] == place
            claims["size"] = one is not None and (one.radius > 0.125) == (size == "large")
        case Pair(first, second, relation, _) if relation != "and":
            by_thing = {one.thing: one for one in clear}
            a, b = by_thing.get(first), by_thing.get(second)
            claims["relation"] = (
                a is not None and b is not None and holds(relation, a.x - b.x, a.y - b.y, 0.15, 1.0)
            )
        case Count() | Pair():
            pass
    return claims | {"all": all(claims.values())}


def _third(at: float) -> int:
    return min(2, max(0, int(3 * at)))


def _pixels(image: np.ndarray | Tensor) -> Picture:
    pixels = image.permute(1, 2, 0).numpy() if isinstance(image, Tensor) else np.asarray(image)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"the oracle reads uint8 pixels, got {pixels.dtype}; "
            "course_lib.core.tensors.to_pixels turns [-1, 1] into them"
        )
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.shape[0] != pixels.shape[1]:
        raise ValueError(f"a picture must be square with 3 colours, got {list(pixels.shape)}")
    return pixels


def obeyed(
    images: UInt8[Tensor, "n 3 size size"], captions: Sequence[str | Scene]
) -> dict[str, float]:
    """The share of pictures for which each claim is true, among those whose caption makes it.

    Raises ValueError if there are not as many captions as pictures, and as `judge` does.
    """
    if len(images) != len(captions) or not len(images):
        raise ValueError(f"{len(images)} pictures but {len(captions)} captions; give one for each")
    answers = [judge(image, text) for image, text in zip(images, captions, strict=True)]
    claims = dict.fromkeys(claim for answer in answers for claim in answer)
    return {
        claim: float(np.mean([answer[claim] for answer in answers if claim in answer]))
        for claim in sorted(claims, key=lambda claim: (claim == "all", list(claims).index(claim)))
    }


def ceiling(count: int = 500, size: int = 32, seed: int = 1, noise: float = 0) -> dict[str, float]:
    """`obeyed` of real scenes of all parts: what a perfect model would score.

    noise   standard deviation added to the pixels, on the scale where black is -1 and white 1
    """
    images, captions = draw_scenes(count, "all", size=size, seed=seed)
    if noise:
        generator = torch.Generator().manual_seed(seed)
        shift = 127.5 * noise * torch.randn(images.shape, generator=generator)
        images = (images + shift).round().clamp(0, 255).to(torch.uint8)
    return obeyed(images, captions)
