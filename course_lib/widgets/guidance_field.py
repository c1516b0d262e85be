"""Classifier guidance on the plane: arrows, and points that flow to one class at any scale."""

from collections.abc import Sequence

import traitlets

from course_lib.widgets.base import LiveFigure, module, style


class GuidanceField(LiveFigure):
    """What the denoiser says, what a perfect classifier adds, and where the samples end.

    Each class is one round Gaussian. Denoiser, classifier and walk are exact, computed in the
    browser in the coordinates z = x_0 + n eps. Sliders set the scale and the step of the walk; the
    buttons set the class that is wanted.

    means, spreads: one class each, by default three that overlap; scale, wanted: where the
    controls stand; points: how many samples.
    Raises ValueError unless there are two to six classes, each with a spread above 0, 0 <= scale
    <= 10, wanted is one of them, and points >= 1.
    """

    _esm = module("guidance_field")
    _css = style("guidance_field")
    means = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    spreads = traitlets.List(traitlets.Float()).tag(sync=True)
    scale = traitlets.Float().tag(sync=True)
    wanted = traitlets.Int().tag(sync=True)
    points = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        means: Sequence[Sequence[float]] = ((0.0, 1.1), (-1.0, -0.6), (1.0, -0.6)),
        spreads: Sequence[float] = (0.4, 0.4, 0.4),
        *,
        scale: float = 1.0,
        wanted: int = 0,
        points: int = 150,
        seed: int = 1,
    ) -> None:
        if not (2 <= len(means) <= 6 and len(spreads) == len(means) and min(spreads) > 0):
            raise ValueError(
                "need two to six classes, each with a spread above 0; got"
                f" {len(means)} means and spreads={list(spreads)}"
            )
        if not (0 <= scale <= 10 and 0 <= wanted < len(means) and points >= 1):
            raise ValueError(
                f"need 0 <= scale <= 10, wanted in 0..{len(means) - 1} and points >= 1, got"
                f" scale={scale}, wanted={wanted}, points={points}"
            )
        super().__init__(
            means=[list(map(float, row)) for row in means],
            spreads=list(map(float, spreads)),
            scale=float(scale),
            wanted=wanted,
            points=points,
            seed=seed,
        )
