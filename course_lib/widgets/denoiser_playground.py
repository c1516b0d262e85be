"""The exact denoiser of a small Gaussian mixture, under the reader's finger."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, style

THREE_MODES = ((-1.6, -0.9), (1.7, -0.7), (0.1, 1.7))


class DenoiserPlayground(LiveFigure):
    """Drag a noisy point, or the data; see the posterior mean and the DDIM path to the data.

    The path of noise is alpha = cos(pi t / 2), sigma = sin(pi t / 2), t in [0, 1].
    means: `[K, 2]`, 1 to 8 modes; stds: one number or K of them; weights: K, default equal.
    x: the noisy point at first; t: its time, 0.02..1; steps: DDIM steps to t = 0, 1..40.
    extent: half the side of the picture; seed: what the button "Draw a new x_t" draws from.
    Raises ValueError outside these shapes and ranges.
    """

    _esm = module("denoiser_playground")
    _css = style("denoiser_playground")
    means = traitlets.List().tag(sync=True)
    stds = traitlets.List().tag(sync=True)
    weights = traitlets.List().tag(sync=True)
    x = traitlets.List().tag(sync=True)
    t = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    extent = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        means: ArrayLike = THREE_MODES,
        stds: float | Sequence[float] = 0.25,
        weights: Sequence[float] | None = None,
        *,
        x: tuple[float, float] = (0.4, -0.3),
        t: float = 0.5,
        steps: int = 10,
        extent: float = 3.0,
        seed: int = 0,
    ) -> None:
        centres = np.asarray(means, dtype=np.float64)
        if centres.ndim != 2 or centres.shape[1] != 2 or not 1 <= len(centres) <= 8:
            raise ValueError(f"means must be [K, 2] with K in 1..8, got {list(centres.shape)}")
        if not extent > 0 or not np.isfinite(centres).all() or np.abs(centres).max() > extent:
            raise ValueError(f"every mean must lie within extent = {extent} of 0, got {means!r}")
        spread = np.broadcast_to(np.asarray(stds, dtype=np.float64), len(centres))
        if not (spread > 0).all():
            raise ValueError(f"stds must be positive, got {stds}")
        share = np.ones(len(centres)) if weights is None else np.asarray(weights, dtype=np.float64)
        if share.shape != (len(centres),) or not (share > 0).all():
            raise ValueError(f"weights must be {len(centres)} positive numbers, got {weights}")
        if not 0.02 <= t <= 1:
            raise ValueError(f"t must lie in 0.02..1, got {t}")
        if not 1 <= steps <= 40:
            raise ValueError(f"steps must lie in 1..40, got {steps}")
        super().__init__(
            means=centres.tolist(),
            stds=spread.tolist(),
            weights=(share / share.sum()).tolist(),
            x=[float(v) for v in x],
            t=t,
            steps=steps,
            extent=extent,
            seed=seed,
        )
