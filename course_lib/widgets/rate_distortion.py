"""One model for each beta: the rate-distortion plane, and what the pictures look like there."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, pictures, style


class RateDistortion(LiveFigure):
    """A slider over beta; a dot runs along the curve, reconstructions and samples follow.

    betas, rates, distortions: one number for each model, rates and distortions in nats per picture.
    originals: uint8 `[N, H, W]`; reconstructions, samples: one such array for each model.
    index: the model shown first.
    Raises ValueError for counts or shapes that disagree, TypeError for pictures that are not uint8.
    """

    _esm = module("rate_distortion")
    _css = style("rate_distortion")
    betas = traitlets.List().tag(sync=True)
    rates = traitlets.List().tag(sync=True)
    distortions = traitlets.List().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [N, H, W]
    originals = traitlets.Bytes().tag(sync=True)
    reconstructions = traitlets.List(traitlets.Bytes()).tag(sync=True)
    samples = traitlets.List(traitlets.Bytes()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        betas: Sequence[float],
        rates: Sequence[float],
        distortions: Sequence[float],
        *,
        originals: ArrayLike,
        reconstructions: Sequence[ArrayLike],
        samples: Sequence[ArrayLike],
        index: int = 0,
    ) -> None:
        first = pictures(np.asarray(originals), "originals")
        sets = {
            "reconstructions": [
                pictures(np.asarray(p), "reconstructions") for p in reconstructions
            ],
            "samples": [pictures(np.asarray(p), "samples") for p in samples],
        }
        counts = {len(betas), len(rates), len(distortions), *(len(s) for s in sets.values())}
        if len(counts) != 1 or not betas:
            raise ValueError(f"give as many of each as there are betas, got {sorted(counts)}")
        for name, arrays in sets.items():
            if any(array.shape != first.shape for array in arrays):
                raise ValueError(f"{name} must have the shape of originals, {list(first.shape)}")
        if not 0 <= index < len(betas):
            raise ValueError(f"index must lie in 0..{len(betas) - 1}, got {index}")
        super().__init__(
            betas=[float(b) for b in betas],
            rates=[float(r) for r in rates],
            distortions=[float(d) for d in distortions],
            shape=list(first.shape[:3]),
            originals=first.tobytes(),
            reconstructions=[array.tobytes() for array in sets["reconstructions"]],
            samples=[array.tobytes() for array in sets["samples"]],
            index=index,
        )
