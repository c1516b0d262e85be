"""How far a chain's bound lies above the truth, step by step, as the steps grow finer."""

import traitlets

from course_lib.widgets.base import LiveFigure, module, style

VARIANCES = ("small", "exact", "large")
STEPS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


class BoundGap(LiveFigure):
    """Move T; see what each reverse step costs, and how the bound nears the entropy of the data.

    The data is N(0, std²). Latents 1..T lie on a line in log SNR from `high` to `low`; the model
    has the right means, the right last step to the data, and one of three reverse variances.
    steps: T, one of `STEPS`; std: 0.05..2; variance: "small" (beta-tilde), "exact", "large" (beta).
    Raises ValueError outside these.
    """

    _esm = module("bound_gap")
    _css = style("bound_gap")
    steps = traitlets.Int().tag(sync=True)
    std = traitlets.Float().tag(sync=True)
    variance = traitlets.Unicode().tag(sync=True)
    high = traitlets.Float().tag(sync=True)
    low = traitlets.Float().tag(sync=True)
    choices = traitlets.List().tag(sync=True)  # the values of T that the slider has

    def __init__(
        self,
        *,
        steps: int = 8,
        std: float = 0.5,
        variance: str = "small",
        high: float = 8.0,
        low: float = -10.0,
    ) -> None:
        if steps not in STEPS:
            raise ValueError(f"steps must be one of {', '.join(map(str, STEPS))}, got {steps}")
        if not 0.05 <= std <= 2:
            raise ValueError(f"std must lie in 0.05..2, got {std}")
        if variance not in VARIANCES:
            raise ValueError(f"variance must be one of {', '.join(VARIANCES)}, got {variance!r}")
        if not low < high:
            raise ValueError(f"high must lie above low, got high={high}, low={low}")
        super().__init__(
            steps=steps, std=std, variance=variance, high=high, low=low, choices=list(STEPS)
        )
