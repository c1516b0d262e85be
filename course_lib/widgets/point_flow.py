"""Points that move: data turning into noise, noise turning into data."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from course_lib.widgets.base import LiveFigure, module, named, style, texts, valid_index

ROLES = ("data", "noise", "model")  # what a colour means everywhere in the course


class PointFlow(LiveFigure):
    """Scrub or play a trajectory of 2-D points; several named ones get a chooser.

    trajectory: `[T, N, 2]`, or a dict of such arrays with one T (N may differ).
    labels: what the slider says at each of the T frames; name: what it moves.
    other: points that stay, drawn faintly behind, `[M, 2]` or a dict with trajectory's names.
    extent: half the side of the picture, default what holds 99 % of all coordinates.
    colour: what the points are, "data", "noise" or "model".
    Raises ValueError for other shapes, names, counts, or for values that are not finite.
    """

    _esm = module("point_flow")
    _css = style("point_flow")
    paths = traitlets.List(traitlets.Bytes()).tag(sync=True)  # int16 [T, N, 2] in steps of unit
    others = traitlets.List(traitlets.Bytes()).tag(sync=True)
    unit = traitlets.Float().tag(sync=True)
    counts = traitlets.List(traitlets.Int()).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    extent = traitlets.Float().tag(sync=True)
    colour = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        trajectory: ArrayLike | Mapping[str, ArrayLike],
        labels: Sequence[object] | None = None,
        other: ArrayLike | Mapping[str, ArrayLike] | None = None,
        extent: float | None = None,
        *,
        name: str = "t",
        colour: str = "model",
        index: int = 0,
        alt: str = "moving points",
    ) -> None:
        paths = {
            key: _points(array, 3, f"trajectory[{key!r}]" if key else "trajectory")
            for key, array in named(trajectory, "trajectory").items()
        }
        lengths = {key: len(array) for key, array in paths.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"every trajectory needs the same number of frames, got {lengths}")
        count = next(iter(lengths.values()))
        if colour not in ROLES:
            raise ValueError(f"colour must be one of {', '.join(ROLES)}, got {colour!r}")
        still = _beside(other, list(paths))
        everything = [*paths.values(), *still.values()]
        if extent is None:
            extent = float(
                np.quantile(np.abs(np.concatenate([a.ravel() for a in everything])), 0.99)
            )
            extent = 1.1 * extent or 1.0
        if extent <= 0:
            raise ValueError(f"extent must be positive, got {extent}")
        # Two bytes a coordinate: far finer than a pixel, and half the size of the page.
        unit = max(float(np.abs(array).max()) for array in everything) / 32767 or 1.0
        super().__init__(
            paths=[_packed(array, unit) for array in paths.values()],
            others=[_packed(array, unit) for array in still.values()],
            unit=unit,
            counts=[array.shape[1] for array in paths.values()],
            names=list(paths),
            labels=texts(labels, count, "labels"),
            extent=extent,
            colour=colour,
            name=name,
            alt=alt,
            index=valid_index(index, count),
            chosen=next(iter(paths)),
        )


def _points(array: NDArray, ndim: int, what: str) -> NDArray[np.float64]:
    """`array` as floats, checked to be `[…, 2]` with `ndim` axes and finite."""
    shape = "[T, N, 2]" if ndim == 3 else "[M, 2]"
    if array.ndim != ndim or array.shape[-1] != 2 or 0 in array.shape:
        raise ValueError(f"{what} must have shape {shape}, got {list(array.shape)}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds values that are not finite")
    return array


def _beside(
    other: ArrayLike | Mapping[str, ArrayLike] | None, names: list[str]
) -> dict[str, NDArray[np.float64]]:
    """The points that stay, one set for each trajectory in `names`, or none at all."""
    if other is None:
        return {}
    if not isinstance(other, Mapping):
        return {name: _points(np.asarray(other), 2, "other") for name in names}
    if set(other) != set(names):
        raise ValueError(f"other must have trajectory's names {names}, got {list(other)}")
    return {name: _points(np.asarray(other[name]), 2, f"other[{name!r}]") for name in names}


def _packed(array: NDArray[np.float64], unit: float) -> bytes:
    return np.round(array / unit).astype("<i2").tobytes()
