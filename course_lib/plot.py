"""The figures and tables of the course, in one style: every one in it comes from these functions.

Each figure is a `Picture`, which a notebook shows when it is the last line of a cell. One colour
always means one thing (`COLOURS`). Blue, vermilion and green are Okabe
and Ito's, which eyes of every kind can tell apart.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage
from matplotlib.patches import Circle
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from course_lib.picture import (
    COLOURS,
    DPI,
    STYLE,
    WIDTH,
    Picture,
    as_array,
    as_rgb,
    canvas,
    named,
    new_figure,
    panels_of,
    pick_colours,
    zoom_for,
)
from course_lib.tables import Table as Table
from course_lib.tables import table as table

_DENSITY = LinearSegmentedColormap.from_list("density", ["#FFFFFF", "#CFE3F1", "#5FA8D3"])
_ERROR = LinearSegmentedColormap.from_list("error", ["#FFFFFF", "#F7C9A9", "#D55E00", "#6B2F00"])

Field = Callable[[Tensor], Tensor]  # points [n, 2] -> a vector or a number for each


def use_style() -> None:
    """Give your own matplotlib figures the look of the course; those made here have it anyway."""
    matplotlib.rcParams.update(STYLE)


def show_images(
    images: Tensor,
    *,
    columns: int | None = None,
    title: str = "",
    captions: Sequence[str] | None = None,
    alt: str = "",
) -> Picture:
    """A grid of pictures, each pixel blown up to a square of screen pixels.

    images     [n, 1 or 3, height, width]: uint8 in 0..255, or floats in [-1, 1] (others clipped)
    columns    pictures in a row; 8 unless the pictures are large or few
    captions   one short text for each picture, written below it
    """
    pixels = as_rgb(images)
    n, height, width = pixels.shape[:3]
    if captions is not None and len(captions) != n:
        raise ValueError(f"{n} pictures need {n} captions, got {len(captions)}")
    columns = columns or min(n, 8 if width <= 40 else 5)
    rows = -(-n // columns)
    zoom = zoom_for(columns, width, WIDTH * DPI)
    below = 26 if captions is not None else 0
    with matplotlib.rc_context(STYLE):
        figure, place = canvas(columns, rows, width * zoom, height * zoom, title=title, below=below)
        for i, picture in enumerate(pixels):
            axes = place(i // columns, i % columns)
            axes.imshow(picture, interpolation="nearest", aspect="auto")
            if captions is not None:
                size = fitting(captions, width * zoom)
                axes.set_title(captions[i], fontsize=size, y=-0.02, va="top", loc="center", pad=0)
    figure.in_colour = images.shape[1] == 3
    return named(figure, alt, f"{n} pictures of {width}x{height} pixels", title)


def show_rows(
    rows: Mapping[str, Tensor],
    *,
    columns: Sequence[str] | None = None,
    title: str = "",
    alt: str = "",
) -> Picture:
    """Rows of pictures with a label before each row, e.g. x_t for falling t.

    rows      label: pictures as in `show_images`; all rows of one length and one size
    columns   a short heading for each column
    """
    pixels = {label: as_rgb(images) for label, images in rows.items()}
    shapes = {row.shape for row in pixels.values()}
    if len(shapes) != 1:
        raise ValueError(f"rows must have one shape, got {sorted(shapes) or 'no rows'}")
    (n, height, width, _) = shapes.pop()
    if columns and len(columns) < n:
        raise ValueError(f"{n} columns need {n} headings, got {len(columns)}")
    left = 16 + 14 * max(len(line) for label in rows for line in label.split("\n"))
    zoom = zoom_for(n, width, WIDTH * DPI - left)
    above = 34 if columns else 0
    with matplotlib.rc_context(STYLE):
        figure, place = canvas(
            n, len(rows), width * zoom, height * zoom, title=title, left=left, above=above
        )
        for r, (label, row) in enumerate(pixels.items()):
            for c, picture in enumerate(row):
                axes = place(r, c)
                axes.imshow(picture, interpolation="nearest", aspect="auto")
                if r == 0 and columns:
                    size = fitting(columns, width * zoom)
                    axes.set_title(columns[c], fontsize=size, loc="center", pad=4)
                if c == 0:  # an eighth of a small picture away, and a few pixels of a large one
                    x = -min(0.12, 12 / (width * zoom))
                    axes.text(x, 0.5, label, transform=axes.transAxes, ha="right", va="center")
    figure.in_colour = any(row.shape[1] == 3 for row in rows.values())
    return named(figure, alt, f"rows of pictures: {'; '.join(rows)}", title)


def fitting(texts: Sequence[str], width: float) -> float:
    """The size of type, 10.5 at most, at which the longest text fits into so many screen pixels."""
    return min(10.5, 72 * width / DPI / (0.62 * max(1, *map(len, texts))))


def show_points(
    clouds: Tensor | Mapping[str, Tensor],
    *,
    colours: Sequence[str] | None = None,
    behind: Tensor | None = None,
    columns: int = 3,
    limit: float | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    alt: str = "",
) -> Picture:
    """Point clouds side by side, all on the same axes of equal scale.

    clouds    [n, 2], or title: cloud for several panels
    colours   a key of `COLOURS` for each panel; without it a panel called "noise" is grey, etc.
    behind    a cloud drawn faintly in every panel, to compare with
    limit     axes run from -limit to limit; without it they hold 99.5 % of the points
    xlabel    what the first number is, below each panel; ylabel, the second, at the left of a row
    """
    clouds = {"": clouds} if isinstance(clouds, Tensor) else clouds
    drawn = {label: as_array(cloud) for label, cloud in clouds.items()}
    colours = colours or [label if label in COLOURS else "data" for label in drawn]
    colours = pick_colours(drawn, colours)
    every = np.concatenate(
        list(drawn.values()) + ([as_array(behind)] if behind is not None else [])
    )
    limit = limit or 1.15 * float(np.quantile(np.abs(every), 0.995))
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(len(drawn), columns, title, labelled=any(drawn))
        each = zip(panels, drawn.items(), colours, strict=True)
        for i, (axes, (label, cloud), colour) in enumerate(each):
            if behind is not None:
                _dots(axes, as_array(behind), size=3, colour="#D0D0D0")
            size = float(np.clip(6000 / len(cloud), 2, 14))
            _dots(axes, cloud, size=size, colour=colour, alpha=0.6)
            _square(axes, limit, label)
            axes.set(xlabel=xlabel, ylabel="" if i % columns else ylabel)
    return named(figure, alt, f"point clouds: {'; '.join(filter(None, drawn))}", title)


def show_paths(
    states: Sequence[Tensor] | Mapping[str, Sequence[Tensor]],
    *,
    behind: Tensor | None = None,
    columns: int = 3,
    limit: float | None = None,
    title: str = "",
    alt: str = "",
) -> Picture:
    """The ways that points took: grey where they began, a thin line, vermilion where they ended.

    states   the positions [n, 2] after each step, as a sampler yields them, or title: positions
    behind   a cloud drawn faintly in every panel, to compare with
    """
    runs = states if isinstance(states, Mapping) else {"": states}
    drawn = {label: np.stack([as_array(x) for x in run]) for label, run in runs.items()}
    every = np.concatenate([run.reshape(-1, 2) for run in drawn.values()])
    limit = limit or 1.15 * float(np.quantile(np.abs(every), 0.995))
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(len(drawn), columns, title, labelled=any(drawn))
        for axes, (label, run) in zip(panels, drawn.items(), strict=True):
            if behind is not None:
                _dots(axes, as_array(behind), size=3, colour="#D0D0D0")
            axes.plot(run[:, :, 0], run[:, :, 1], color="#444444", linewidth=0.5, alpha=0.5)
            _dots(axes, run[0], size=7, colour=COLOURS["noise"])
            _dots(axes, run[-1], size=9, colour=COLOURS["model"])
            _square(axes, limit, label)
    words = f"paths of points: {'; '.join(filter(None, drawn))}".removesuffix(": ")
    return named(figure, alt, words, title)


def show_flow(
    paths: Tensor | Mapping[str, Tensor],
    *,
    t: Tensor,
    density: Callable[[Tensor, float], Tensor],
    columns: int = 3,
    limit: float = 3.0,
    title: str = "",
    alt: str = "",
) -> Picture:
    """Paths of points on a line over time, on top of the density at each time.

    paths     [times, n], or title: paths for several panels
    t         the times of the rows, rising or falling; drawn with 0, data, at the left
    density   x [n] and a time t to p_t(x) [n], shaded blue, each time scaled to its own height
    """
    runs = {"": paths} if isinstance(paths, Tensor) else paths
    when = np.linspace(float(t.min()), float(t.max()), 120)
    x = torch.linspace(-limit, limit, 160)
    shade = torch.stack([p / p.max() for p in (density(x, float(u)) for u in when)], 1)
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(len(runs), columns, title, labelled=any(runs))
        for axes, (label, run) in zip(panels, runs.items(), strict=True):
            axes.grid(False)
            extent = (when[0], when[-1], -limit, limit)
            axes.imshow(
                as_array(shade), origin="lower", extent=extent, aspect="auto", cmap=_DENSITY
            )
            axes.plot(as_array(t), as_array(run), color=COLOURS["model"], linewidth=0.9, alpha=0.8)
            axes.set(xlim=extent[:2], ylim=(-limit, limit), title=label, xlabel="t")
    words = f"paths over time: {'; '.join(filter(None, runs))}".removesuffix(": ")
    return named(figure, alt, words, title)


def show_field(
    field: Field | Mapping[str, Field],
    *,
    log_density: Field | Mapping[str, Field] | None = None,
    points: Tensor | None = None,
    columns: int = 3,
    limit: float = 2.5,
    arrows: int = 17,
    title: str = "",
    alt: str = "",
) -> Picture:
    """Arrows of a vector field on the plane (a score, a velocity) over its density.

    field         points [n, 2] to arrows [n, 2], or title: field for several panels; in each panel
                  lengths are scaled so that the longest just fit
    log_density   points [n, 2] to [n], shaded blue where it is high; one for all panels, or one for
                  each title
    points        a cloud drawn on top
    """
    fields = field if isinstance(field, Mapping) else {"": field}
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(len(fields), columns, title, labelled=any(fields))
        for axes, (label, one) in zip(panels, fields.items(), strict=True):
            shade = log_density[label] if isinstance(log_density, Mapping) else log_density
            axes.grid(False)
            if shade is not None:
                _shade(axes, shade(_grid(limit, 160)).exp(), limit, cmap=_DENSITY)
            _arrows(axes, one, limit, arrows)
            if points is not None:
                _dots(axes, as_array(points), size=8, colour=COLOURS["model"])
            _square(axes, limit, label)
    said = ": ".join(filter(None, ["a vector field on the plane", "; ".join(fields)]))
    return named(figure, alt, said, title)


def show_map(
    values: Field | Mapping[str, Field],
    *,
    scale: tuple[float, float],
    label: str,
    points: Tensor | None = None,
    columns: int = 3,
    limit: float = 2.5,
    title: str = "",
    alt: str = "",
) -> Picture:
    """A number at each point of the plane as colour, white where it is small, e.g. an error.

    values   points [n, 2] to numbers [n], or title: function for several panels with one scale
    scale    what is white, and what has the full colour; numbers beyond are drawn as these
    label    what the number is, written beside the scale
    points   a cloud drawn on top
    """
    maps = values if isinstance(values, Mapping) else {"": values}
    low, high = scale
    if not low < high:
        raise ValueError(f"scale must be (low, high) with low < high, got {scale}")
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(len(maps), columns, title, labelled=any(maps))
        for axes, (name, one) in zip(panels, maps.items(), strict=True):
            axes.grid(False)
            image = _shade(axes, one(_grid(limit, 160)), limit, cmap=_ERROR, vmin=low, vmax=high)
            if points is not None:
                _dots(axes, as_array(points), size=2, colour=COLOURS["data"])
            _square(axes, limit, name)
        figure.colorbar(image, ax=panels, label=label, shrink=0.8)
    said = ": ".join(filter(None, [f"{label} over the plane", "; ".join(maps)]))
    return named(figure, alt, said, title)


def lines(
    curves: Mapping[str, Any],
    *,
    x: Any = None,
    colours: Sequence[str] | None = None,
    log: str = "",
    marker: str = "",
    crosses: Mapping[str, tuple[Any, Any]] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    alt: str = "",
) -> Picture:
    """Curves with their names written at their right ends.

    curves   name: y, or name: (x, y). A name that is a key of `COLOURS` takes that colour
    x        shared by all curves given as y alone; 0, 1, 2, ... without it
    colours  a key of `COLOURS` for each curve
    log      "", "x", "y" or "xy": axes with a logarithmic scale
    marker   e.g. "o" where only the points were measured
    crosses  name of a curve: (x, y) of points that another source has for it, in the same colour

    Raises ValueError for another `log`, for crosses without their curve and a curve of nan alone.
    """
    if unknown := set(crosses or {}) - set(curves):
        raise ValueError(f"crosses need a curve of their name; there is none for {unknown}")
    if log not in ("", "x", "y", "xy"):
        raise ValueError(f"log must be '', 'x', 'y' or 'xy', got {log!r}")
    with matplotlib.rc_context(STYLE):
        figure = new_figure((WIDTH, 3.6), title)
        axes = figure.add_subplot()
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set_xscale("log" if "x" in log else "linear")
        axes.set_yscale("log" if "y" in log else "linear")
        for (name, curve), colour in zip(
            curves.items(), pick_colours(curves, colours), strict=True
        ):
            xs, ys = curve if isinstance(curve, tuple) else (x, curve)
            ys = as_array(ys)
            xs = np.arange(len(ys)) if xs is None else as_array(xs)
            if not (np.isfinite(xs) & np.isfinite(ys)).any():
                raise ValueError(f"the curve {name!r} has no point that is finite")
            axes.plot(xs, ys, color=colour, marker=marker, markersize=5, label=name)
            if crosses and name in crosses:
                axes.scatter(*map(as_array, crosses[name]), c=colour, marker="x", s=70, zorder=3)
        if "x" in log and marker and len(xs) <= 6:  # few points: each names itself
            axes.set_xticks(xs, [f"{value:g}" for value in xs])
            axes.set_xticks([], minor=True)
        axes.margins(x=0.02)
        _label_ends(figure, axes)
    return named(figure, alt, f"curves of {'; '.join(curves)} over {xlabel or 'x'}", title)


def densities(
    curves: Mapping[str, Any],
    *,
    x: Any,
    colours: Sequence[str] | None = None,
    xlabel: str = "",
    title: str = "",
    alt: str = "",
) -> Picture:
    """Densities over a line, their areas shaded, with a legend.

    curves   name: p(x). A name that is a key of `COLOURS` takes that colour
    colours  a key of `COLOURS` for each curve
    """
    xs = as_array(x)
    with matplotlib.rc_context(STYLE):
        figure = new_figure((WIDTH, 3.3), title)
        axes = figure.add_subplot()
        for (name, curve), colour in zip(
            curves.items(), pick_colours(curves, colours), strict=True
        ):
            axes.fill_between(xs, as_array(curve), color=colour, alpha=0.16, linewidth=0)
            axes.plot(xs, as_array(curve), color=colour, label=name)
        axes.set(xlabel=xlabel, ylabel="density", xlim=(xs.min(), xs.max()))
        # Room for the legend above the curves, which may be anywhere.
        axes.set_ylim(0, axes.get_ylim()[1] * (1 + 0.13 * len(curves)))
        axes.legend(loc="upper right")
    return named(figure, alt, f"densities: {'; '.join(curves)}", title)


def compare_bars(
    values: Mapping[str, Any],
    *,
    floor: Any = None,
    form: str = "{:.3g}",
    xlabel: str = "",
    title: str = "",
    alt: str = "",
) -> Picture:
    """A horizontal bar for each value, with its number at the end.

    values   name: number, or what float() makes a number of, such as a `Measured`. A name that is
             a key of `COLOURS` takes that colour
    floor    a line to compare with: what real data scores against real data
    """
    names, numbers = list(values), [float(value) for value in values.values()]
    with matplotlib.rc_context(STYLE):
        figure = new_figure(
            (WIDTH, 0.9 + 0.42 * len(names) + (0.3 if floor is not None else 0)), title
        )
        axes = figure.add_subplot()
        colours = [COLOURS.get(name, COLOURS["model"]) for name in names]
        bars = axes.barh(names, numbers, color=colours, height=0.66)
        texts = [form.format(number) for number in numbers]
        labels = axes.bar_label(bars, texts, padding=4, fontsize=11)
        if floor is not None:
            axes.axvline(floor, color=COLOURS["data"], linestyle="--", linewidth=1.5)
            label = f"real against real: {form.format(floor)}"
            axes.annotate(
                label, (floor, 1), (4, 2), ("data", "axes fraction"), "offset points",
                color=COLOURS["data"], fontsize=10.5,
            )  # fmt: skip
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.14)
        axes.set_xlabel(xlabel)
        if floor is not None:
            _clear_of(figure, axes, labels, float(floor))
    said = "; ".join(f"{k} {form.format(v)}" for k, v in zip(names, numbers, strict=True))
    return named(figure, alt, f"bars: {said}", title)


def _clear_of(figure: Picture, axes: Axes, labels: list[Annotation], x: float) -> None:
    """Move the numbers that a vertical line at x would cross, or touch, to the right of it."""
    figure.draw_without_rendering()
    line, gap = axes.transData.transform((x, 0))[0], 4 * DPI / 72
    for label in labels:
        box, (right, up) = label.get_window_extent(), label.xyann
        if box.x0 - gap / 2 < line < box.x1 + gap / 2:
            label.xyann = (right + (line + gap - box.x0) * 72 / DPI, up)


def histogram(
    samples: Mapping[str, Tensor],
    *,
    density: Callable[[Tensor], Tensor] | None = None,
    colours: Sequence[str] | None = None,
    bins: int = 60,
    limits: tuple[float, float] | None = None,
    xlabel: str = "",
    title: str = "",
    alt: str = "",
) -> Picture:
    """Histograms of numbers, all with area 1, and the exact density as a line.

    samples   name: numbers of any shape. A name that is a key of `COLOURS` takes that colour
    colours   a key of `COLOURS` for each name
    density   x [n] to p(x) [n], drawn in the colour of what is exact
    """
    flat = {name: as_array(numbers).ravel() for name, numbers in samples.items()}
    every = np.concatenate(list(flat.values()))
    low, high = limits or (float(every.min()), float(every.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1).tolist()
    with matplotlib.rc_context(STYLE):
        figure = new_figure((WIDTH, 3.3), title)
        axes = figure.add_subplot()
        for (name, numbers), colour in zip(flat.items(), pick_colours(flat, colours), strict=True):
            # Weights, not density=True: what falls outside the limits must not raise the rest.
            weights = np.full(len(numbers), 1 / (len(numbers) * (edges[1] - edges[0])))
            axes.hist(
                numbers, edges, weights=weights, color=colour, alpha=0.25, histtype="stepfilled",
                label=name,
            )  # fmt: skip
            axes.hist(numbers, edges, weights=weights, color=colour, linewidth=1.5, histtype="step")
        if density is not None:
            x = torch.linspace(low, high, 400)
            axes.plot(as_array(x), as_array(density(x)), color=COLOURS["exact"], label="exact")
        axes.set(xlabel=xlabel, ylabel="density", xlim=(low, high))
        axes.legend(loc="best")
    return named(figure, alt, f"histograms of {'; '.join(flat)}", title)


def show_chains(
    chains: Mapping[str, Sequence[tuple[str, float]]],
    *,
    fixed: Sequence[str] = (),
    title: str = "",
    alt: str = "",
) -> Picture:
    """Models with latents as rows of circles: the data at the left, the last latent at the right.

    chains   name: a (label, size) for each variable; size in (0, 1] is its number of dimensions,
             1 the most
    fixed    names of the chains whose encoder (the arrows to the right) is not learned: dashed
    """
    longest = max(len(nodes) for nodes in chains.values())
    with matplotlib.rc_context(STYLE):
        figure = new_figure((WIDTH, 1.35 * len(chains)), title)
        rows = figure.subplots(len(chains), 1, squeeze=False)[:, 0]
        for axes, (name, nodes) in zip(rows, chains.items(), strict=True):
            axes.set(xlim=(-0.6, longest - 0.4), ylim=(-0.55, 0.55), aspect="equal")
            axes.set_axis_off()
            axes.set_title(name)
            apart = (longest - 1) / max(len(nodes) - 1, 1)
            places = [i * apart for i in range(len(nodes))]
            for i, ((label, size), x) in enumerate(zip(nodes, places, strict=True)):
                kind = "data" if i == 0 else "noise" if i == len(nodes) - 1 else "accent"
                _circle(axes, x, 0.34 * size**0.5, label, COLOURS[kind])
            for i, (x, y) in enumerate(pairwise(places)):
                ends = x + 0.36 * nodes[i][1] ** 0.5, y - 0.36 * nodes[i + 1][1] ** 0.5
                up = ("noise", (0, (3, 2))) if name in fixed else ("data", "-")
                _arrow(axes, *ends, 0.11, *up)
                _arrow(axes, *ends[::-1], -0.11, "model", "-")
    return named(figure, alt, f"chains of variables: {'; '.join(chains)}", title)


def _circle(axes: Axes, x: float, radius: float, label: str, colour: str) -> None:
    axes.add_patch(Circle((x, 0), radius, facecolor="white", edgecolor=colour, linewidth=2))
    axes.text(x, 0, label, ha="center", va="center", fontsize=11)


def _arrow(axes: Axes, start: float, end: float, y: float, colour: str, line: Any) -> None:
    """A horizontal arrow; the head is drawn solid whatever the line."""
    ink = COLOURS[colour]
    axes.plot([start, end], [y, y], color=ink, linestyle=line, linewidth=1.6)
    head = {"arrowstyle": "-|>", "color": ink}
    axes.annotate("", (end, y), (end - 0.02 * np.sign(end - start), y), arrowprops=head)


def _dots(axes: Axes, cloud: np.ndarray, *, size: float, colour: str, alpha: float = 1.0) -> None:
    axes.scatter(cloud[:, 0], cloud[:, 1], s=size, c=colour, alpha=alpha, linewidths=0)


def _shade(axes: Axes, values: Tensor, limit: float, **colouring: Any) -> AxesImage:
    """Values on `_grid` as colour."""
    square = as_array(values).reshape(2 * (round(len(values) ** 0.5),)).T
    extent = (-limit, limit, -limit, limit)
    return axes.imshow(square, origin="lower", extent=extent, interpolation="bilinear", **colouring)


def _arrows(axes: Axes, field: Field, limit: float, across: int) -> None:
    where = _grid(limit * (1 - 1 / across), across)
    arrow = as_array(field(where))
    length = np.linalg.norm(arrow, axis=1, keepdims=True)
    # Lengths span decades. The square root keeps short arrows visible and long ones apart.
    spacing = 2 * limit / across
    scaled = arrow / np.sqrt(np.maximum(length, 1e-12) * max(length.max(), 1e-12)) * spacing
    axes.quiver(
        *as_array(where).T, *scaled.T, angles="xy", scale_units="xy", scale=1, width=0.004,
        color="#333333", headwidth=4.5,
    )  # fmt: skip


def _square(axes: Axes, limit: float, label: str) -> None:
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", title=label)
    for axis in (axes.xaxis, axes.yaxis):  # few enough not to touch, however far the points fly
        axis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))


def _grid(limit: float, n: int) -> Tensor:
    line = torch.linspace(-limit, limit, n)
    return torch.cartesian_prod(line, line)


def _label_ends(figure: Picture, axes: Axes) -> None:
    """Write each curve's name at its right end, and push names apart where curves meet.

    Where they end in one point, the names stand in the order in which the curves lie on the way.
    """
    figure.draw_without_rendering()
    box = axes.get_window_extent()
    ends = []
    for line in axes.get_lines():
        x, y = (np.asarray(values, float) for values in line.get_data())
        drawn = np.isfinite(x) & np.isfinite(y)
        pixels = axes.transData.transform(np.column_stack([x[drawn], y[drawn]]))[:, 1]
        heights = (pixels - box.y0) / box.height
        ends.append((heights[-1], heights.mean(), line))
    ends.sort(key=lambda end: (round(end[0], 2), end[1]))
    apart = 1.25 * STYLE["font.size"] * DPI / 72 / box.height
    places = _push_apart([height for height, _, _ in ends], apart)
    for height, (_, _, line) in zip(places, ends, strict=True):
        axes.annotate(
            str(line.get_label()), (1, height), (5, 0), "axes fraction", "offset points",
            color=line.get_color(), va="center", fontsize=11, fontweight="bold",
        )  # fmt: skip


def _push_apart(heights: list[float], apart: float) -> list[float]:
    """Move rising numbers as little as it takes to be `apart`: groups that touch share a centre."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _bottom(groups[-1], apart) < _top(groups[-2], apart) + apart:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, apart) + i * apart for group in groups for i in range(len(group))]


def _bottom(group: list[float], apart: float) -> float:
    span = (len(group) - 1) * apart
    return max(0.0, min(sum(group) / len(group) - span / 2, 1 - span))  # within the axes


def _top(group: list[float], apart: float) -> float:
    return _bottom(group, apart) + (len(group) - 1) * apart
