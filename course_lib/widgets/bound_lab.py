"""How slow must destruction be? What a diffusion of T steps loses, for several T."""

from collections.abc import Mapping, Sequence

import traitlets

from course_lib.widgets.base import LiveFigure, module, style, valid_index


class BoundLab(LiveFigure):
    """Choose T; read the best bound K that T steps can reach, and what is lost to what.

    prices: T: (what the unlearned first step costs, what haste costs), in bits, both positive or 0.
    data: the log-likelihood of the data under its own law; null: that of noise. Both in bits.
    marks: T: a bound that somebody measured, drawn as a ring.
    index: which T is shown first, the last one if not given.
    Raises ValueError for fewer than two T, or a price that is negative.
    """

    _esm = module("bound_lab")
    _css = style("bound_lab")
    steps = traitlets.List(traitlets.Int()).tag(sync=True)
    first = traitlets.List(traitlets.Float()).tag(sync=True)
    haste = traitlets.List(traitlets.Float()).tag(sync=True)
    marks = traitlets.List().tag(sync=True)  # [T, K]
    data = traitlets.Float().tag(sync=True)
    null = traitlets.Float().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        prices: Mapping[int, Sequence[float]],
        *,
        data: float,
        null: float,
        marks: Mapping[int, float] | None = None,
        index: int | None = None,
    ) -> None:
        if len(prices) < 2:
            raise ValueError(f"prices of two T or more are needed, got {len(prices)}")
        steps = sorted(prices)
        for T in steps:
            if min(prices[T]) < -1e-9 or len(prices[T]) != 2:
                raise ValueError(f"T = {T} needs two prices of 0 or more, got {list(prices[T])}")
        index = len(steps) - 1 if index is None else index
        super().__init__(
            steps=steps,
            first=[max(0.0, float(prices[T][0])) for T in steps],
            haste=[max(0.0, float(prices[T][1])) for T in steps],
            marks=[[T, float(K)] for T, K in (marks or {}).items()],
            data=data,
            null=null,
            index=valid_index(index, len(steps)),
        )
