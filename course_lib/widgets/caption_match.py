"""Put captions under pictures, and see what a CLIP thinks of every pair."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.core.checks import one_of
from course_lib.widgets.base import LiveFigure, module, pictures, style, texts

SCALES = (1.0, 2.0, 5.0, 10.0, 14.3, 20.0, 50.0, 100.0)
ASKS = ("which caption?", "which picture?")


class CaptionMatch(LiveFigure):
    """Drag captions onto pictures; the matrix of answers and the loss follow.

    images: uint8 `[n, H, W, 3]`, two to eight; captions: the right one of each.
    cosines: `[n, n]`, of each picture (row) with each caption (column), -1 to 1.
    order: which caption lies under each picture at first; without it, each one's neighbour's.
    scale: one of `SCALES`; asks: one of `ASKS`, the question whose answers are shown.
    Raises TypeError for pictures that are not uint8, ValueError for counts that disagree, cosines
    beyond -1 to 1, an order that is none, and a scale or question that cannot be chosen.
    """

    _esm = module("caption_match")
    _css = style("caption_match")
    pixels = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [n, H, W]
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    cosines = traitlets.List().tag(sync=True)
    scales = traitlets.List(traitlets.Float()).tag(sync=True)
    asks_for = traitlets.List(traitlets.Unicode()).tag(sync=True)
    order = traitlets.List(traitlets.Int()).tag(sync=True)
    scale = traitlets.Float().tag(sync=True)
    asks = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        images: ArrayLike,
        captions: Sequence[str],
        cosines: ArrayLike,
        *,
        order: Sequence[int] | None = None,
        scale: float = 14.3,
        asks: str = ASKS[0],
    ) -> None:
        shown, numbers = pictures(np.asarray(images), "images"), np.asarray(cosines, float)
        n = len(shown)
        if not 2 <= n <= 8 or shown.shape[3] != 3:
            raise ValueError(f"images must be 2 to 8 of [H, W, 3], got {list(shown.shape)}")
        if numbers.shape != (n, n) or not (np.abs(numbers) <= 1 + 1e-6).all():
            raise ValueError(
                f"cosines must be [{n}, {n}] of numbers from -1 to 1, got {list(numbers.shape)}"
            )
        under = [*range(1, n), 0] if order is None else [int(k) for k in order]
        if sorted(under) != list(range(n)):
            raise ValueError(f"order must hold each of 0..{n - 1} once, got {under}")
        one_of(scale, SCALES, "scale")
        one_of(asks, ASKS, "question")
        super().__init__(
            pixels=shown.tobytes(),
            shape=list(shown.shape[:3]),
            captions=texts(captions, n, "captions"),
            cosines=np.round(numbers, 4).tolist(),
            scales=list(SCALES),
            asks_for=list(ASKS),
            order=under,
            scale=float(scale),
            asks=asks,
        )
