"""One dial between beta-tilde and beta: what each setting costs, step by step, on short chains."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import traitlets

from course_lib.widgets.base import LiveFigure, module, style


class DialChain(NamedTuple):
    """A reverse chain as far as its variances matter, the noisiest step first.

    ratio   beta / beta-tilde - 1 of each step but the last
    share   the squared error of the guess over sigma_t squared, of each step but the last
    last    squared error of the last guess, and the variances at v = 0 and v = 1 there
    prior   bits per dimension paid at t = T
    """

    ratio: Sequence[float]
    share: Sequence[float]
    last: tuple[float, float, float]
    prior: float


class VarianceDial(LiveFigure):
    """Choose a chain and a v; read what every step wastes, and the bits above the truth.

    chains   name: {steps: DialChain}, the same numbers of steps for each name
    truth    bits per dimension of the data under its own law
    dial     v in twentieths, -2..22

    Raises ValueError for chains that differ in their numbers of steps, or a ratio that is not
    positive.
    """

    _esm = module("variance_dial")
    _css = style("variance_dial")
    names = traitlets.List().tag(sync=True)
    steps = traitlets.List().tag(sync=True)
    ratio = traitlets.List().tag(sync=True)  # for each name, for each number of steps, a list
    share = traitlets.List().tag(sync=True)
    last = traitlets.List().tag(sync=True)
    prior = traitlets.List().tag(sync=True)
    truth = traitlets.Float().tag(sync=True)
    dial = traitlets.Int(10).tag(sync=True)
    name = traitlets.Int(0).tag(sync=True)
    length = traitlets.Int(0).tag(sync=True)

    def __init__(
        self, chains: Mapping[str, Mapping[int, DialChain]], *, truth: float, dial: int = 10
    ) -> None:
        counts = {tuple(sorted(of)) for of in chains.values()}
        if len(counts) != 1 or not min(counts):
            raise ValueError(f"each name needs the same numbers of steps, got {sorted(counts)}")
        (steps,) = counts
        for name, of in chains.items():
            for chain in of.values():
                if not chain.ratio or min(chain.ratio) <= 0 or len(chain.ratio) != len(chain.share):
                    raise ValueError(f"{name}: a share for each ratio, and ratios above 0")
        if not -2 <= dial <= 22:
            raise ValueError(f"dial must lie in -2..22, got {dial}")

        def every(part: str) -> list[list[object]]:
            return [[_rounded(getattr(of[n], part)) for n in steps] for of in chains.values()]

        super().__init__(
            names=list(chains),
            steps=list(steps),
            ratio=every("ratio"),
            share=every("share"),
            last=every("last"),
            prior=every("prior"),
            truth=float(truth),
            dial=dial,
        )


def _rounded(value: object) -> object:
    """Six significant digits: the state is part of the page."""
    if isinstance(value, Sequence):
        return [float(f"{float(x):.6g}") for x in value]
    return float(f"{float(value):.6g}")  # type: ignore[arg-type]
