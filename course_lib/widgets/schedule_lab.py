"""A noise schedule to take apart by hand."""

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, pictures, style

KINDS = ("linear", "cosine")


class ScheduleLab(LiveFigure):
    """Move beta's ends and T; see alpha_bar, SNR, L_T and one picture being noised.

    picture: uint8 `[H, W]` or `[H, W, 3]`, small (32 pixels do); None shows none.
    kind: "linear" (Ho et al. 2020) or "cosine" (Nichol & Dhariwal 2021, eq. 17, beta <= 0.999).
    beta_first, beta_last: the ends of linear, 0 < beta < 1; steps: T, 2..10000.
    mean_square: E[x_0²] of the data for which L_T is computed, 1 for unit-variance data.
    seed: which noise is mixed into the picture.
    Raises ValueError outside these ranges, TypeError for a picture that is not uint8.
    """

    _esm = module("schedule_lab")
    _css = style("schedule_lab")
    picture = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [H, W, C]
    kind = traitlets.Unicode().tag(sync=True)
    beta_first = traitlets.Float().tag(sync=True)
    beta_last = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    square = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        picture: ArrayLike | None = None,
        *,
        kind: str = "linear",
        beta_first: float = 1e-4,
        beta_last: float = 0.02,
        steps: int = 1000,
        mean_square: float = 1.0,
        seed: int = 0,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        for name, beta in {"beta_first": beta_first, "beta_last": beta_last}.items():
            if not 0 < beta < 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {beta}")
        if not 2 <= steps <= 10_000:
            raise ValueError(f"steps must lie in 2..10000, got {steps}")
        if mean_square < 0:
            raise ValueError(f"mean_square must not be negative, got {mean_square}")
        pixels = b""
        shape: list[int] = [0, 0, 1]
        if picture is not None:
            packed = pictures(np.asarray(picture)[None], "picture")
            pixels, shape = packed.tobytes(), list(packed.shape[1:])
        super().__init__(
            picture=pixels,
            shape=shape,
            kind=kind,
            beta_first=beta_first,
            beta_last=beta_last,
            steps=steps,
            square=mean_square,
            seed=seed,
        )
