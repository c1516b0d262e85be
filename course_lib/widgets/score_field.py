"""The exact score of a few noised points, with the noise under the reader's finger."""

import math

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, style

SIX_POINTS = ((-2.0, 1.5), (-1.5, 1.9), (-1.7, 1.0), (1.6, -1.4), (2.1, -1.0), (1.5, -2.0))
SMALLEST, LARGEST = 0.1, 4.0


class ScoreField(LiveFigure):
    """Arrows of the score of p_sigma, the data blurred by noise of standard deviation sigma.

    Arrows are solid where p_sigma is at least 1 % of its largest value: there a network that
    learns from noisy data has something to learn from. Walkers follow the score to the data.
    data: `[K, 2]`, 1 to 12 points that can be dragged; sigma: 0.1..4, at first.
    extent: half the side of the picture. Raises ValueError outside these shapes and ranges.
    """

    _esm = module("score_field")
    _css = style("score_field")
    data = traitlets.List().tag(sync=True)
    sigma = traitlets.Float().tag(sync=True)
    walkers = traitlets.Bool().tag(sync=True)
    extent = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        data: ArrayLike = SIX_POINTS,
        *,
        sigma: float = 0.3,
        walkers: bool = False,
        extent: float = 3.0,
    ) -> None:
        points = np.asarray(data, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or not 1 <= len(points) <= 12:
            raise ValueError(f"data must be [K, 2] with K in 1..12, got {list(points.shape)}")
        if not extent > 0 or not np.isfinite(points).all() or np.abs(points).max() > extent:
            raise ValueError(f"every point must lie within extent = {extent} of 0, got {data!r}")
        if not (SMALLEST <= sigma <= LARGEST and math.isfinite(sigma)):
            raise ValueError(f"sigma must lie in {SMALLEST}..{LARGEST}, got {sigma}")
        super().__init__(data=points.tolist(), sigma=sigma, walkers=walkers, extent=extent)
