"""Which vector is the decoder given? Points of a plane whose vector is their direction."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, style, valid_index


class VectorWheel(LiveFigure):
    """Draws of a prior of directions, the best of a few kept, and the points they are decoded to.

    real: pictures of one caption, points `[n, 2]`.
    drawn: points decoded from the prior's vectors, `[m, 2]`; a point's direction is its vector.
    text_drawn: points decoded from the text's vector, `[k, 2]`.
    text: that vector, `[2]`, of length 1.
    counts: how many candidates the slider offers, rising from 1; index: the one shown first.
    Raises ValueError for points of another shape, fewer draws than the largest count asks for, a
    text whose length is not 1, and counts that do not rise from 1.
    """

    _esm = module("vector_wheel")
    _css = style("vector_wheel")
    real = traitlets.List().tag(sync=True)
    drawn = traitlets.List().tag(sync=True)
    text_drawn = traitlets.List().tag(sync=True)
    text = traitlets.List(traitlets.Float()).tag(sync=True)
    counts = traitlets.List(traitlets.Int()).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    by_text = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        real: ArrayLike,
        drawn: ArrayLike,
        text_drawn: ArrayLike,
        text: ArrayLike,
        counts: Sequence[int] = (1, 2, 4, 8, 16),
        *,
        index: int = 0,
        by_text: bool = False,
    ) -> None:
        points = [np.asarray(one, float) for one in (real, drawn, text_drawn)]
        for one in points:
            if one.ndim != 2 or one.shape[1] != 2 or not np.isfinite(one).all():
                raise ValueError(f"points must be finite and [n, 2], got {list(one.shape)}")
        way = np.asarray(text, float)
        if way.shape != (2,) or abs(np.hypot(*way) - 1) > 1e-3:
            raise ValueError(f"the text's vector must be [2] and of length 1, got {way.tolist()}")
        if counts[0] != 1 or any(b <= a for a, b in zip(counts, counts[1:], strict=False)):
            raise ValueError(f"counts must rise from 1, got {list(counts)}")
        if len(points[1]) < 10 * counts[-1]:
            raise ValueError(
                f"{len(points[1])} draws are too few: give ten for each of {counts[-1]} candidates"
            )
        super().__init__(
            real=points[0].round(2).tolist(),
            drawn=points[1].round(3).tolist(),
            text_drawn=points[2].round(2).tolist(),
            text=way.round(4).tolist(),
            counts=list(counts),
            index=valid_index(index, len(counts)),
            by_text=by_text,
        )
