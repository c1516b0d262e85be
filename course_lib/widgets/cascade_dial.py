"""One small picture, many large ones; a dial for the noise on the small one, and what it costs."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, pictures, style, texts, valid_index


class CascadeDial(LiveFigure):
    """What a stage of a cascade draws for one small picture, at every level s of noise on it.

    Shown are the small picture as the stage gets it, several draws, and the distance of many such
    draws from real pictures as a curve over s.

    seen: uint8 `[sources, levels, h, w]`, the small pictures, noised.
    drawn: uint8 `[sources, stages, levels, draws, H, W]`, what each stage draws for them.
    levels: s at each stop of the dial.
    sources, stages: names for the two choices.
    distances: `[sources][stages][levels]`, numbers above 0; floor: what real pictures score.
    source, stage, level: indices of what is shown first.
    Raises TypeError for pictures that are not uint8, ValueError for counts that disagree, for a
    distance that is not above 0, and for an index that points nowhere.
    """

    _esm = module("cascade_dial")
    _css = style("cascade_dial")
    seen = traitlets.Bytes().tag(sync=True)
    drawn = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [sources, stages, levels, draws, H, W, h, w]
    levels = traitlets.List(traitlets.Int()).tag(sync=True)
    sources = traitlets.List(traitlets.Unicode()).tag(sync=True)
    stages = traitlets.List(traitlets.Unicode()).tag(sync=True)
    distances = traitlets.List().tag(sync=True)
    floor = traitlets.Float().tag(sync=True)
    source = traitlets.Int().tag(sync=True)
    stage = traitlets.Int().tag(sync=True)
    level = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        seen: ArrayLike,
        drawn: ArrayLike,
        levels: Sequence[int],
        sources: Sequence[str],
        stages: Sequence[str],
        distances: ArrayLike,
        floor: float,
        *,
        source: int = 0,
        stage: int = 0,
        level: int = 0,
    ) -> None:
        small, large, numbers = np.asarray(seen), np.asarray(drawn), np.asarray(distances, float)
        if large.ndim != 6 or small.ndim != 4 or small.shape[:2] != large.shape[:3:2]:
            raise ValueError(
                "seen must be [sources, levels, h, w] and drawn [sources, stages, levels, draws, H,"
                f" W], got {list(small.shape)} and {list(large.shape)}"
            )
        if numbers.shape != large.shape[:3]:
            raise ValueError(
                f"distances must have shape {list(large.shape[:3])}, got {list(numbers.shape)}"
            )
        if not (np.isfinite(numbers).all() and (numbers > 0).all() and floor > 0):
            raise ValueError("distances and floor must be finite and above 0")
        if len(levels) != large.shape[2]:
            raise ValueError(f"give one level for each of {large.shape[2]} stops, got {levels}")
        super().__init__(
            seen=pictures(small.reshape(-1, *small.shape[2:]), "seen").tobytes(),
            drawn=pictures(large.reshape(-1, *large.shape[4:]), "drawn").tobytes(),
            shape=[*large.shape, *small.shape[2:]],
            levels=[int(s) for s in levels],
            sources=texts(sources, large.shape[0], "sources"),
            stages=texts(stages, large.shape[1], "stages"),
            distances=np.round(numbers, 3).tolist(),
            floor=float(floor),
            source=valid_index(source, large.shape[0]),
            stage=valid_index(stage, large.shape[1]),
            level=valid_index(level, large.shape[2]),
        )
