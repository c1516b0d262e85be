"""Three solvers, one budget: where each ends, and how its error falls with evaluations."""

from collections.abc import Sequence

import traitlets

from course_lib.data.points import eight_gaussians_mixture
from course_lib.widgets.base import LiveFigure, module, style


class SolverRace(LiveFigure):
    """DDIM, Heun and 2M from the same noises to data, each with the same number of evaluations.

    The denoiser is exact, for round clumps of one spread and equal weights, and all of it is
    computed in the browser, in the coordinates z = x_0 + n eps. Sliders set the number of
    evaluations and the exponent rho of the grid of noise levels (`schedules.karras_times`).

    means, spread: the clumps, by default the eight Gaussians; points: how many walks; evaluations,
    rho: where the sliders stand.
    Raises ValueError unless there is a mean, spread > 0, points >= 1, 2 <= evaluations <= 40 and
    1 <= rho <= 10.
    """

    _esm = module("solver_race")
    _css = style("solver_race")
    means = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    spread = traitlets.Float().tag(sync=True)
    points = traitlets.Int().tag(sync=True)
    evaluations = traitlets.Int().tag(sync=True)
    rho = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        means: Sequence[Sequence[float]] | None = None,
        spread: float = 0.14,
        *,
        points: int = 24,
        evaluations: int = 12,
        rho: int = 7,
        seed: int = 2,
    ) -> None:
        if means is None:
            means = [[round(v, 4) for v in row] for row in eight_gaussians_mixture().means.tolist()]
        if not (len(means) >= 1 and spread > 0 and points >= 1):
            raise ValueError(
                f"need a mean, spread > 0 and points >= 1, got {len(means)} means, spread={spread},"
                f" points={points}"
            )
        if not (2 <= evaluations <= 40 and 1 <= rho <= 10):
            raise ValueError(
                "need 2 <= evaluations <= 40 and 1 <= rho <= 10, got"
                f" evaluations={evaluations}, rho={rho}"
            )
        super().__init__(
            means=[list(map(float, row)) for row in means],
            spread=spread,
            points=points,
            evaluations=evaluations,
            rho=rho,
            seed=seed,
        )
