"""The papers of the course on a time line, each with what it brought and where it is taught."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets

from course_lib.widgets.base import HERE, LiveFigure, module, style

NOTEBOOKS = HERE.parent.parent / "notebooks"


def course_map() -> dict[str, Any]:
    """The course's own map: `parts` with their `chapters`, `routes` through them, and `papers`.

    A paper's date is the first on arXiv.
    """
    return json.loads((HERE / "paper_map.json").read_text(encoding="utf-8"))


def written_chapters(notebooks: Path = NOTEBOOKS) -> dict[str, str]:
    """File name without ending of each chapter that exists, by its number: `{"07": "07_ddpm…"}`."""
    return {path.stem[:2]: path.stem for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))}


def reading_times(notebooks: Path = NOTEBOOKS) -> dict[str, int]:
    """Minutes to read each chapter that exists, as its head says: `{"07": 150}`."""
    times = {}
    for number, name in written_chapters(notebooks).items():
        head = (notebooks / f"{name}.ipynb").read_text(encoding="utf-8")[:20_000]
        if found := re.search(r"\*\*Time\*\*: ([\d.]+) (minute|hour)s? to read", head):
            times[number] = round(float(found[1]) * (60 if found[2] == "hour" else 1))
    return times


class PaperMap(LiveFigure):
    """Papers by year; a click shows what one brought, what it stands on, and its chapter.

    A route leaves the chapters of one of the quiz's routes in colour. It is kept in the reader's
    browser, and so are the chapters ticked as read (progress.js): they are there again on the next
    day, in JupyterLab and on the website alike.

    nodes: dicts with id, short, title, authors, date "YYYY-MM", chapter "NN", brought and,
    where there is one, arxiv; edges: pairs (earlier id, later id); default the course's own map.
    notebooks: the folder whose chapters count as written; the others are marked as planned.
    Raises ValueError for an edge to an unknown paper or one that points back in time.
    """

    _esm = module("paper_map")
    _css = style("paper_map")
    papers = traitlets.List().tag(sync=True)
    edges = traitlets.List().tag(sync=True)
    parts = traitlets.List().tag(sync=True)
    routes = traitlets.List().tag(sync=True)
    written = traitlets.Dict().tag(sync=True)
    minutes = traitlets.Dict().tag(sync=True)  # to read a chapter
    chosen = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        nodes: Sequence[Mapping[str, str]] | None = None,
        edges: Sequence[tuple[str, str]] | None = None,
        *,
        notebooks: Path = NOTEBOOKS,
        chosen: str = "ddpm",
    ) -> None:
        course = course_map()
        if nodes is None:
            nodes = course["papers"]
            edges = course["edges"] if edges is None else edges
        dates = {node["id"]: node["date"] for node in nodes}
        for earlier, later in edges or ():
            if missing := {earlier, later} - set(dates):
                raise ValueError(f"edge {earlier} -> {later} names unknown papers: {missing}")
            if dates[earlier] > dates[later]:
                raise ValueError(f"edge {earlier} -> {later} points back in time")
        super().__init__(
            papers=[dict(node) for node in sorted(nodes, key=lambda node: node["date"])],
            edges=[list(edge) for edge in edges or ()],
            parts=course["parts"],
            routes=course["routes"],
            written=written_chapters(notebooks),
            minutes=reading_times(notebooks),
            chosen=chosen if chosen in dates else "",
        )
