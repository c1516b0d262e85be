"""What chapter 0 says about the rest of the course stays true as the course grows."""

import csv
import re
from pathlib import Path

import nbformat
import pytest

from course_lib.widgets.paper_map import course_map, written_chapters
from course_lib.widgets.start_here import ROUTES

ROOT = Path(__file__).resolve().parent.parent
CELLS = nbformat.read(ROOT / "notebooks/00_start_here.ipynb", as_version=4).cells
PROSE = [cell.source for cell in CELLS if cell.cell_type == "markdown"]
TITLES = {c["number"]: c["title"] for part in course_map()["parts"] for c in part["chapters"]}


def one(start: str) -> str:
    """The prose cell that begins like this."""
    [cell] = [source for source in PROSE if source.startswith(start)]
    return cell


def test_notation_table_is_the_books() -> None:
    with (ROOT / "book/notation.csv").open(encoding="utf-8") as file:
        rows = ["| " + " | ".join(row) + " |" for row in csv.reader(file)]
    shown = [line for line in one("## Notation").splitlines() if line.startswith("|")]
    assert shown[:1] + shown[2:] == rows, "copy the rows of book/notation.csv into chapter 0"


@pytest.mark.parametrize("number", TITLES)
def test_routes_link_what_is_written_and_mark_what_is_planned(number: str) -> None:
    routes, name = one("The four routes"), f"{number} {TITLES[number]}"
    written = written_chapters().get(number)
    shown = re.findall(rf"\[{number} [^\]]*\]\([^)]*\)|\*{number} [^*]*\*", routes)
    assert set(shown) <= {f"[{name}]({written}.ipynb)" if written else f"*{name}*"}


def test_every_route_of_the_quiz_is_written_out_with_its_chapters() -> None:
    parts = re.split(r"^- \*\*", one("The four routes"), flags=re.MULTILINE)[1:]
    assert {part.split("**")[0].lower() for part in parts} == {route.name for route in ROUTES}
    for part in parts:
        assert len(re.findall(r"[\[*]\d\d ", part)) >= 5


def test_the_map_s_routes_are_those_that_the_prose_writes_out() -> None:
    parts = re.split(r"^- \*\*", one("The four routes"), flags=re.MULTILINE)[1:]
    prose = {part.split("**")[0].lower(): part.split("If time allows")[0] for part in parts}
    for route in course_map()["routes"]:
        told = re.findall(r"[\[*](\d\d) ", prose[route["name"]])
        assert route["chapters"] == ["00", *told], "00 is where they begin"
    assert {route["name"] for route in course_map()["routes"]} == {route.name for route in ROUTES}
