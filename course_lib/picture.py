"""What all figures of the course share: style, colours, and the canvas that notebooks show.

`course_lib.plot` draws on it. Letters stay readable when a figure shrinks to a phone's width.
"""

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from PIL import Image
from torch import Tensor

from course_lib.core.tensors import to_pixels

COLOURS = {
    "data": "#0072B2",  # blue: what is given
    "noise": "#7A7A7A",  # grey
    "model": "#D55E00",  # vermilion: what a network made
    "exact": "#009E73",  # green: what mathematics knows
    "accent": "#AA4499",  # purple (Tol): whatever else needs to be pointed at
}
# For things without a meaning of their own, in the order in which they come.
_OTHERS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#222222", "#3F97CE")
WIDTH, DPI = 6.4, 150  # inches, and pixels in one of them
_LETTER = 15  # pixels: the width of one letter of a title, amply

STYLE: dict[Any, Any] = {
    "font.size": 11.5,
    "axes.titlesize": 12.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 11.5,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "axes.facecolor": "white",
    "axes.edgecolor": "#888888",
    "axes.labelcolor": "#222222",
    "text.color": "#222222",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=_OTHERS),
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
}


class Picture(Figure):
    """A figure that a notebook shows once, and that says in words (`alt`) what it shows."""

    alt = ""
    # Plots and grey pictures need 64 colours; pictures in colour 64 levels of each of the three.
    in_colour = False

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"

    def png(self) -> bytes:
        """The figure as the bytes of a small PNG file, the same on every call."""
        drawn, packed = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png")
        image = Image.open(drawn).convert("RGB")
        most = 256 if self.in_colour else 64
        if not self.in_colour or image.getcolors(most):
            # The median cut, Pillow's own choice, turns blue beside orange a little green.
            way = Image.Quantize.MAXCOVERAGE
            image = image.quantize(most, method=way, kmeans=1, dither=Image.Dither.NONE)
        else:
            image = image.point([in_64(level) for level in range(256)] * 3)
        image.save(packed, "PNG", optimize=True)
        return packed.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        width = round(self.get_figwidth() * 96)  # CSS pixels: sharp on screens of double density
        return self.png(), {"alt": self.alt, "width": width}


def in_64(level: int) -> int:
    """The nearest of 64 even levels from 0 to 255: at most 2 away, and it packs a fifth smaller."""
    return round(round(level * 63 / 255) * 255 / 63)


def as_array(values: Any) -> np.ndarray:
    """Values as a float64 array, wherever they live."""
    if isinstance(values, Tensor):
        return values.detach().cpu().to(torch.float64).numpy()
    return np.asarray(values, dtype=np.float64)


def as_rgb(images: Tensor) -> np.ndarray:
    """[n, 1 or 3, h, w] to uint8 [n, h, w, 3]."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images must be [n, 1 or 3, height, width], got {list(images.shape)}")
    pixels = images.detach().cpu()
    if pixels.dtype != torch.uint8:
        pixels = to_pixels(pixels.float())
    return pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def zoom_for(columns: int, width: int, room: float) -> int:
    """Screen pixels for one pixel of a picture: whole, so that all come out the same size."""
    gap = _gap(columns)
    fits = int(min((room / columns - gap) // width, 216 // width))
    # Small pictures may be a little wider than the page rather than too small to judge.
    grown = columns * ((fits + 1) * width + gap)
    return fits + 1 if fits < 3 and grown <= 1.15 * room else max(fits, 1)


def canvas(
    columns: int,
    rows: int,
    width: int,
    height: int,
    *,
    title: str,
    left: int = 0,
    above: int = 0,
    below: int = 0,
) -> tuple[Picture, Callable[[int, int], Axes]]:
    """A figure measured in screen pixels, and `place(row, column)` to put one picture's axes in it.

    width, height         of each picture
    left, above, below    room before each row, over the first one, and under each picture
    """
    gap, lines = _gap(columns), _wrapped(title, WIDTH)
    wide = left + columns * (width + gap) - gap
    w = max(wide, *(_LETTER * len(line) for line in lines)) if lines else wide
    top = above + (36 * len(lines) + 4 if lines else 0)
    h = top + rows * (height + below + gap) - gap
    figure = Picture(figsize=(w / DPI, h / DPI), dpi=DPI)
    size = STYLE["axes.titlesize"]
    figure.text(0, 1 - 4 / h, "\n".join(lines), va="top", fontsize=size)

    def place(row: int, column: int) -> Axes:
        x, y = left + column * (width + gap), top + row * (height + below + gap)
        axes = figure.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))
        axes.set_axis_off()
        return axes

    return figure, place


def _gap(columns: int) -> int:
    return 6 if columns <= 10 else 3


def _wrapped(title: str, inches: float) -> list[str]:
    return textwrap.wrap(title, int(inches * DPI / _LETTER))


def new_figure(size: tuple[float, float], title: str) -> Picture:
    """A figure of `size` inches that makes room for its labels."""
    figure = Picture(figsize=size, dpi=DPI, layout="constrained")
    if title:
        title = "\n".join(_wrapped(title, size[0]))
        figure.suptitle(title, x=0.01, ha="left", fontsize=STYLE["axes.titlesize"])
    return figure


def panels_of(n: int, columns: int, title: str, *, labelled: bool) -> tuple[Picture, list[Axes]]:
    """A figure with n square panels; `labelled` leaves room for a title above each."""
    columns = min(n, columns)
    rows = -(-n // columns)
    side = WIDTH / max(columns, 1.5)
    height = side * rows + (0.2 * rows if labelled else -0.1) + (0.3 if title else 0)
    figure = new_figure((side * columns, height), title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for spare in grid.flat[n:]:
        spare.set_axis_off()
    return figure, list(grid.flat[:n])


def pick_colours(names: Iterable[str], chosen: Sequence[str] | None) -> list[str]:
    """A colour for each name: the chosen key of `COLOURS`, or the name's own, or the next free."""
    keys = list(chosen if chosen is not None else names)
    if chosen is not None and not set(chosen) <= set(COLOURS):
        raise ValueError(f"colours must be among {', '.join(COLOURS)}, got {list(chosen)}")
    taken = {COLOURS[key] for key in keys if key in COLOURS}
    free = cycle([colour for colour in _OTHERS if colour not in taken] or _OTHERS)
    return [COLOURS[key] if key in COLOURS else next(free) for key in keys]


def named(figure: Picture, alt: str, otherwise: str, title: str) -> Picture:
    """Give the figure its alternative text: the author's, or what can be said without one."""
    figure.alt = alt or (f"{title}: {otherwise}" if title else otherwise)
    return figure
