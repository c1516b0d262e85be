"""One noise, many ways back: a bundle of SDE paths and the one curve of the ODE."""

from collections.abc import Sequence

import traitlets

from course_lib.widgets.base import LiveFigure, module, style


class PathBundle(LiveFigure):
    """Paths of the reverse processes from one start, over the density of the noised data.

    Data is a mixture on a line, the schedule is `sde.vp()`, the score is exact, and all of it is
    computed in the browser. Sliders set the noise strength (0 is the probability-flow ODE, 1 the
    reverse SDE), the number of steps and the start.

    means, spreads, weights: the clumps of data; weights are normalised.
    start: where paths begin, at t = 1; paths: how many; noise, steps: where the sliders stand.
    Raises ValueError unless each clump has a positive spread and weight, and the numbers fit the
    sliders: |start| <= 3, 0 <= noise <= 2, 5 <= steps <= 200.
    """

    _esm = module("path_bundle")
    _css = style("path_bundle")
    means = traitlets.List(traitlets.Float()).tag(sync=True)
    spreads = traitlets.List(traitlets.Float()).tag(sync=True)
    weights = traitlets.List(traitlets.Float()).tag(sync=True)
    start = traitlets.Float().tag(sync=True)
    noise = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    paths = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        means: Sequence[float] = (-1.3, 1.1),
        spreads: Sequence[float] = (0.2, 0.3),
        weights: Sequence[float] = (0.3, 0.7),
        *,
        start: float = 0.3,
        noise: float = 1.0,
        steps: int = 100,
        paths: int = 80,
        seed: int = 1,
    ) -> None:
        clumps = len(means) == len(spreads) == len(weights) > 0
        if not clumps or min(spreads) <= 0 or min(weights) <= 0:
            raise ValueError(
                "each clump needs a mean, a positive spread and a positive weight, got "
                f"{list(means)}, {list(spreads)}, {list(weights)}"
            )
        if not (abs(start) <= 3 and 0 <= noise <= 2 and 5 <= steps <= 200 and paths >= 1):
            raise ValueError(
                "need |start| <= 3, 0 <= noise <= 2, 5 <= steps <= 200 and paths >= 1, got "
                f"start={start}, noise={noise}, steps={steps}, paths={paths}"
            )
        total = sum(weights)
        super().__init__(
            means=list(means),
            spreads=list(spreads),
            weights=[weight / total for weight in weights],
            start=start,
            noise=noise,
            steps=steps,
            paths=paths,
            seed=seed,
        )
