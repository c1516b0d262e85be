"""One model for each beta: the rate-distortion plane, and what the pictures look like there."""

from collections.abc import Sequence

import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, stops, style


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
        super().__init__(
            **stops(
                index,
                originals,
                {"betas": betas, "rates": rates, "distortions": distortions},
                {"reconstructions": reconstructions, "samples": samples},
            )
        )
