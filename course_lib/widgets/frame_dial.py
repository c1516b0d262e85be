"""Precomputed pictures on a grid, under two sliders: what each of two choices does to one seed."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, pictures, style, texts


class FrameDial(LiveFigure):
    """Turn two dials and watch one picture; another stays beside it, to compare with.

    Under the sliders the whole row is shown in small: what the second dial changes, at a glance.

    frames: uint8 `[rows, columns, H, W]`, grey.
    rows, columns: the name of a dial and what it says at each of its stops.
    captions: one sentence for each picture, `[rows][columns]`.
    beside: row and column of the picture that stays; start: those of the one shown first.
    alt: what the pictures show, for a reader who cannot see them.
    Raises TypeError for frames that are not uint8, ValueError for counts that disagree.
    """

    _esm = module("frame_dial")
    _css = style("frame_dial")
    frames = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [rows, columns, H, W]
    row_name = traitlets.Unicode().tag(sync=True)
    row_labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    column_name = traitlets.Unicode().tag(sync=True)
    column_labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    captions = traitlets.List().tag(sync=True)
    beside = traitlets.List().tag(sync=True)
    row = traitlets.Int().tag(sync=True)
    column = traitlets.Int().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        frames: ArrayLike,
        rows: tuple[str, Sequence[object]],
        columns: tuple[str, Sequence[object]],
        *,
        captions: Sequence[Sequence[str]] | None = None,
        beside: tuple[int, int] = (0, 0),
        start: tuple[int, int] = (0, 0),
        alt: str = "pictures",
    ) -> None:
        grid = np.asarray(frames)
        if grid.ndim != 4:
            raise ValueError(
                f"frames must have shape [rows, columns, H, W], got {list(grid.shape)}"
            )
        down, along, height, width = grid.shape
        for name, (i, k) in {"beside": beside, "start": start}.items():
            if not (0 <= i < down and 0 <= k < along):
                raise ValueError(f"{name} must lie in {down} rows and {along} columns, got {i, k}")
        said = [[""] * along] * down if captions is None else captions
        if len(said) != down:
            raise ValueError(
                f"captions must have one list for each of {down} rows, got {len(said)}"
            )
        super().__init__(
            frames=pictures(grid.reshape(-1, height, width), "frames").tobytes(),
            shape=list(grid.shape),
            row_name=rows[0],
            row_labels=texts(rows[1], down, "rows"),
            column_name=columns[0],
            column_labels=texts(columns[1], along, "columns"),
            captions=[texts(line, along, "captions") for line in said],
            beside=list(beside),
            row=start[0],
            column=start[1],
            alt=alt,
        )
