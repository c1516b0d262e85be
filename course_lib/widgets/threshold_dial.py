"""Guidance and what holds it: an estimate left alone, clipped, and held by a percentile."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, style, valid_index


class ThresholdDial(LiveFigure):
    """One picture's guided estimate at some times of a walk, under three ways to hold it.

    told, free: the denoiser's answers with the text and without, float `[times, side, side, 3]`,
        within [-1, 1] as means of pictures are.
    times: the time of each, whole numbers; index: the one shown first.
    scale: of guidance, from 1 to `most`; percentile: of the dynamic threshold, 0.8 to 1.
    Raises ValueError for answers of another shape, outside of the range or not finite, for times
    that do not fit them, and for a scale or percentile beyond its ends.
    """

    _esm = module("threshold_dial")
    _css = style("threshold_dial")
    told = traitlets.Bytes().tag(sync=True)
    free = traitlets.Bytes().tag(sync=True)
    side = traitlets.Int().tag(sync=True)
    times = traitlets.List(traitlets.Int()).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    scale = traitlets.Float().tag(sync=True)
    most = traitlets.Float().tag(sync=True)
    percentile = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        told: ArrayLike,
        free: ArrayLike,
        times: Sequence[int],
        *,
        index: int = 0,
        scale: float = 5.0,
        most: float = 15.0,
        percentile: float = 0.95,
    ) -> None:
        both = [np.asarray(one, np.float64) for one in (told, free)]
        shape = both[0].shape
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or both[1].shape != shape:
            raise ValueError(
                "told and free must both be [times, side, side, 3], got "
                f"{list(shape)} and {list(both[1].shape)}"
            )
        if not all(np.isfinite(one).all() and np.abs(one).max() <= 1 for one in both):
            raise ValueError("told and free must lie within [-1, 1]: means of pictures do")
        if len(times) != shape[0]:
            raise ValueError(f"{shape[0]} answers but {len(times)} times")
        if not 1 <= scale <= most or not 0.8 <= percentile <= 1:
            raise ValueError(
                f"scale must be 1 to {most:g} and percentile 0.8 to 1, got {scale} and {percentile}"
            )
        packed = [np.round(32767 * one).astype("<i2").tobytes() for one in both]
        super().__init__(
            told=packed[0],
            free=packed[1],
            side=shape[1],
            times=[int(time) for time in times],
            index=valid_index(index, len(times)),
            scale=float(scale),
            most=float(most),
            percentile=float(percentile),
        )
