"""Walkers on two hills, twice: with one noise level, and with a falling ladder of them."""

import traitlets

from course_lib.widgets.base import LiveFigure, module, style


class WalkerRace(LiveFigure):
    """Run plain and annealed Langevin dynamics side by side and watch the share of each hill.

    The law is the toy of Song & Ermon 2019: two points under noise of level `low`, weights 1/5 and
    4/5. The score is exact and the walkers are computed in the browser.

    high, low: largest and smallest noise level; levels: how many, in geometric steps.
    moves: Langevin moves at each level; rate: their step over sigma squared.
    Raises ValueError unless 0 < low < high, levels >= 2, moves >= 1 and 0 < rate < 2.
    """

    _esm = module("walker_race")
    _css = style("walker_race")
    high = traitlets.Float().tag(sync=True)
    low = traitlets.Float().tag(sync=True)
    levels = traitlets.Int().tag(sync=True)
    moves = traitlets.Int().tag(sync=True)
    rate = traitlets.Float().tag(sync=True)
    walkers = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        *,
        high: float = 20.0,
        low: float = 1.0,
        levels: int = 10,
        moves: int = 40,
        rate: float = 0.2,
        walkers: int = 200,
        seed: int = 10,
    ) -> None:
        if not 0 < low < high or levels < 2 or moves < 1 or walkers < 1:
            raise ValueError(
                "need 0 < low < high, levels >= 2, moves >= 1 and walkers >= 1, got "
                f"low={low}, high={high}, levels={levels}, moves={moves}, walkers={walkers}"
            )
        if not 0 < rate < 2:
            raise ValueError(f"the walk is stable for 0 < rate < 2, got {rate}")
        super().__init__(
            high=high,
            low=low,
            levels=levels,
            moves=moves,
            rate=rate,
            walkers=walkers,
            seed=seed,
        )
