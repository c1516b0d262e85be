"""A dial for the weight of the KL: what comes back, and what the prior draws."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike
from PIL import Image

from course_lib.widgets.base import LiveFigure, module, pictures, style, valid_index


class WeightDial(LiveFigure):
    """The same pictures through autoencoders that differ in the weight of the KL.

    originals: uint8 `[n, H, W, 3]`.
    sheets: for each weight a WebP in base 64, two rows of n pictures: the originals drawn again,
        and what the decoder makes of draws from N(0, I).
    weights: the stops of the dial, rising, above 0.
    bits: what the KL costs at each, per picture; psnr: in dB, of the pictures drawn again.
    again, drawn: how far both rows are from real pictures, 0 or more; floor: what real ones score.
    index: the stop shown first.
    Raises TypeError for originals that are not uint8, ValueError for counts that disagree, weights
    that do not rise, distances below 0, and an index without a stop.
    """

    _esm = module("weight_dial")
    _css = style("weight_dial")
    originals = traitlets.Unicode().tag(sync=True)
    count = traitlets.Int().tag(sync=True)
    sheets = traitlets.List(traitlets.Unicode()).tag(sync=True)
    weights = traitlets.List(traitlets.Float()).tag(sync=True)
    bits = traitlets.List(traitlets.Float()).tag(sync=True)
    psnr = traitlets.List(traitlets.Float()).tag(sync=True)
    again = traitlets.List(traitlets.Float()).tag(sync=True)
    drawn = traitlets.List(traitlets.Float()).tag(sync=True)
    floor = traitlets.Float().tag(sync=True)
    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        originals: ArrayLike,
        sheets: Sequence[str],
        weights: Sequence[float],
        *,
        bits: Sequence[float],
        psnr: Sequence[float],
        again: Sequence[float],
        drawn: Sequence[float],
        floor: float,
        index: int = 0,
    ) -> None:
        shown = pictures(np.asarray(originals), "originals")
        numbers = {"weights": weights, "bits": bits, "psnr": psnr, "again": again, "drawn": drawn}
        counts = {"sheets": len(sheets)} | {name: len(row) for name, row in numbers.items()}
        if len(set(counts.values())) > 1 or not sheets:
            raise ValueError(f"give one of each for every stop of the dial, got {counts}")
        if weights[0] <= 0 or any(b <= a for a, b in zip(weights, weights[1:], strict=False)):
            raise ValueError(f"weights must rise, from above 0; got {list(weights)}")
        if min(*again, *drawn, floor) < 0:
            raise ValueError("distances and their floor must be 0 or more")
        super().__init__(
            originals=as_webp(shown),
            count=len(shown),
            sheets=list(sheets),
            floor=float(floor),
            index=valid_index(index, len(sheets)),
            **{name: [float(f"{value:.4g}") for value in row] for name, row in numbers.items()},
        )


def as_webp(images: np.ndarray) -> str:
    """Pictures side by side as one WebP in base 64."""
    row = np.concatenate(list(images), 1)
    out = io.BytesIO()
    Image.fromarray(row.squeeze()).save(out, "webp", quality=80, method=6)
    return base64.b64encode(out.getvalue()).decode()
