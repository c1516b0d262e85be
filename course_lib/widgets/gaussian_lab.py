"""Two Gaussians to multiply by hand, and one to fit to a law that it cannot match."""

from collections.abc import Sequence

import traitlets

from course_lib.core.checks import one_of
from course_lib.widgets.base import LiveFigure, module, style

TWO_CLUMPS = ((0.65, -1.5, 0.5), (0.35, 2.5, 0.6))
REACH = 5.0  # the picture runs from -REACH to REACH
SPREAD = (0.15, 3.0)


class GaussianLab(LiveFigure):
    """Drag bells; see their product, or what each of the two KL divergences makes of a fit.

    kind: "product" multiplies `first` (what was known) by `second` (what was measured, with its
    noise) and shows the posterior; "fit" lays the bell `first` over `target` and lets either
    KL divergence move it downhill.
    first, second: (mean, standard deviation), within -5..5 and 0.15..3.
    target: rows (weight, mean, standard deviation) of a mixture, 1 to 4; weights are normalised.
    Raises ValueError outside these ranges.
    """

    _esm = module("gaussian_lab")
    _css = style("gaussian_lab")
    kind = traitlets.Unicode().tag(sync=True)
    first = traitlets.List().tag(sync=True)
    second = traitlets.List().tag(sync=True)
    target = traitlets.List().tag(sync=True)

    def __init__(
        self,
        kind: str = "product",
        *,
        first: tuple[float, float] = (-1.0, 1.0),
        second: tuple[float, float] = (2.0, 0.8),
        target: Sequence[tuple[float, float, float]] = TWO_CLUMPS,
    ) -> None:
        one_of(kind, ("product", "fit"), "kind")
        for name, bell in {"first": first, "second": second}.items():
            _check_bell(name, *bell)
        if not 1 <= len(target) <= 4 or any(weight <= 0 for weight, *_ in target):
            raise ValueError(f"target needs 1 to 4 rows with positive weights, got {target!r}")
        for _, mean, std in target:
            _check_bell("target", mean, std)
        total = sum(weight for weight, *_ in target)
        super().__init__(
            kind=kind,
            first=[float(v) for v in first],
            second=[float(v) for v in second],
            target=[[weight / total, float(mean), float(std)] for weight, mean, std in target],
        )


def _check_bell(name: str, mean: float, std: float) -> None:
    low, high = SPREAD
    if not (-REACH <= mean <= REACH and low <= std <= high):
        raise ValueError(
            f"{name}: the mean must lie in {-REACH:g}..{REACH:g} and the standard deviation in "
            f"{low:g}..{high:g}, got {mean:g} and {std:g}"
        )
