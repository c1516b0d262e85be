"""Classifier-free guidance on a line, beside the tilted law that it is said to sample."""

import traitlets

from course_lib.core.checks import one_of
from course_lib.widgets.base import LiveFigure, module, style

WHERE = ("at all levels", "only below 1", "only below 0.5", "nowhere")
LAST = 56  # the index of noise level 0


class GuidanceLab(LiveFigure):
    """Move the scale, and walk from noise to data: the guided walk passes by the tilted law.

    Two classes N(±apart, 0.5²), equally many; all is exact, and computed where it is looked at.
    scale: 0..10, 1 is none; apart: 0.25..2.5; level: 0 (noise) to 56 (data); where: one of `WHERE`,
    the noise levels at which the walk is guided. Raises ValueError outside these.
    """

    _esm = module("guidance_lab")
    _css = style("guidance_lab")
    scale = traitlets.Float().tag(sync=True)
    apart = traitlets.Float().tag(sync=True)
    level = traitlets.Int().tag(sync=True)
    where = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        *,
        scale: float = 4.0,
        apart: float = 1.5,
        level: int = LAST,
        where: str = "at all levels",
    ) -> None:
        if not 0 <= scale <= 10:
            raise ValueError(f"scale must lie in 0..10, got {scale}")
        if not 0.25 <= apart <= 2.5:
            raise ValueError(f"apart must lie in 0.25..2.5, got {apart}")
        if not 0 <= level <= LAST:
            raise ValueError(f"level must lie in 0..{LAST}, got {level}")
        one_of(where, WHERE, "where")
        super().__init__(scale=float(scale), apart=float(apart), level=level, where=where)
