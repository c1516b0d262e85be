"""A model you can spoil: drop modes, blur, take fewer samples, and see which number notices."""

import traitlets

from course_lib.widgets.base import LiveFigure, module, style


class FidelityLab(LiveFigure):
    """Real points of eight clumps and a model of them, which three sliders spoil.

    The browser draws both, computes precision, recall and the Fréchet distance with its floor, and
    shows where the model stands in the plane of fidelity and diversity.

    kept: clumps the model knows, 1 to 8; spread: its clump width over the real one, one of SPREADS.
    n: how many samples, and how many real points, one of NUMBERS; seed: of all draws.
    Raises ValueError for a value that no slider can show.
    """

    SPREADS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
    NUMBERS = (25, 50, 100, 200, 400, 800)

    _esm = module("fidelity_lab")
    _css = style("fidelity_lab")
    spreads = traitlets.List(traitlets.Float()).tag(sync=True)
    numbers = traitlets.List(traitlets.Int()).tag(sync=True)
    kept = traitlets.Int().tag(sync=True)
    spread = traitlets.Float().tag(sync=True)
    n = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(self, *, kept: int = 8, spread: float = 1.0, n: int = 200, seed: int = 0) -> None:
        if not 1 <= kept <= 8 or spread not in self.SPREADS or n not in self.NUMBERS:
            raise ValueError(
                f"kept must lie in 1..8, spread in {self.SPREADS} and n in {self.NUMBERS}, got "
                f"kept={kept}, spread={spread}, n={n}"
            )
        super().__init__(
            spreads=list(self.SPREADS),
            numbers=list(self.NUMBERS),
            kept=kept,
            spread=spread,
            n=n,
            seed=seed,
        )
