"""The scoreboards of all chapters on one page, as Markdown, read from the committed notebooks.

Nothing is typed here: the tables are those that the chapters' own cells have filled in, and the
sentences that say what can be compared with what are the chapters' own, word for word.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# What a paragraph says that tells what the numbers mean beside each other.
COMPARES = re.compile(
    r"\bcompar|\bbeside ours\b|\bside by side\b|\breproduce|means something", re.I
)


@dataclass(frozen=True)
class Scoreboard:
    """One chapter's: its notebook, its title, and tables (HTML) and paragraphs in their order."""

    stem: str
    title: str
    parts: tuple[str, ...]

    @property
    def tables(self) -> list[str]:
        """The tables alone."""
        return [part for part in self.parts if part.startswith("<div")]


def source(cell: dict[str, Any]) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def tables(cell: dict[str, Any]) -> list[str]:
    """The tables among the saved outputs of a cell."""
    found = ["".join(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", [])]
    return [html for html in found if html.startswith('<div class="course-table"')]


def paragraphs(text: str) -> list[str]:
    """What a text says of comparing, or else its first paragraph."""
    every = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    plain = [part for part in every if not part.startswith(("#", "```", ":::", "$$", "- ", "|"))]
    return [part for part in plain if COMPARES.search(part)]


def scoreboard(path: Path) -> Scoreboard:
    """The scoreboard of a notebook. Raises ValueError for one without a table in its place."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title = source(cells[0]).splitlines()[0].removeprefix("# ")
    parts: list[str] = []
    said: list[str] = []
    inside = False
    for cell in cells:
        text = source(cell)
        if cell["cell_type"] == "markdown":
            for block in re.split(r"^(?=## )", text, flags=re.M):
                if block.startswith("## "):
                    inside = block.startswith("## Scoreboard")
                    block = block.partition("\n")[2]
                if inside:
                    said.append(block)
                    parts += paragraphs(block)
        elif inside:
            parts += tables(cell)
    if not any(part.startswith("<div") for part in parts):
        raise ValueError(f"{path.name}: no cell under `## Scoreboard` shows a `plot.table`")
    if all(part.startswith("<div") for part in parts):  # nothing of comparing: how it begins
        opening = [
            one.strip() for text in said for one in re.split(r"\n\s*\n", text) if one.strip()
        ]
        parts = opening[:1] + parts
    return Scoreboard(path.stem, title, tuple(parts))


def scoreboards(folder: Path = ROOT / "notebooks") -> list[Scoreboard]:
    """Those of all chapters, in order."""
    return [scoreboard(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]


def moved(text: str) -> str:
    """A chapter's paragraph with its links as they are from the folder `docs`."""
    text = re.sub(r"\]\((?=[\w/]+\.ipynb)", "](../notebooks/", text)
    return re.sub(r"\]\(\.\./docs/", "](", text)


def raw(table: str) -> str:
    """A table in a block of Markdown that stays as it is."""
    return f"```{{raw}} html\n<div class='cell_output'>{table}</div>\n```"


def page(folder: Path = ROOT / "notebooks") -> str:
    """All of them, each under its chapter's title, which leads there."""
    lines = []
    for one in scoreboards(folder):
        lines.append(f"## [{one.title}](../notebooks/{one.stem}.ipynb#scoreboard)")
        lines += [raw(part) if part.startswith("<div") else moved(part) for part in one.parts]
    return "\n\n".join(lines)
