"""Each chapter keeps the part of the contract that a machine can check."""

import importlib
import inspect
import re
import runpy
from functools import cache
from pathlib import Path

import nbformat
import pytest
from chapter_contract import (
    Rule,
    wrong_cells,
    wrong_end,
    wrong_exercises,
    wrong_head,
    wrong_headings,
    wrong_outputs,
    wrong_parameters,
    wrong_pictures,
    wrong_plots,
    wrong_profile,
    wrong_scoreboard,
    wrong_widgets,
)
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
CHAPTERS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
LESSONS = [path for path in CHAPTERS if path.stem != "00_start_here"]  # that one is a front door
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("[0-9][0-9]_*.ipynb"))

FOR_ALL = [
    wrong_parameters,
    wrong_cells,
    wrong_outputs,
    wrong_plots,
    wrong_widgets,
    wrong_pictures,
]
FOR_LESSONS = [wrong_headings, wrong_scoreboard, wrong_profile, wrong_end]


def checks_of(number: str) -> list[str]:
    """The checks that course_lib/exercises/chNN.py defines."""
    module = importlib.import_module(f"course_lib.exercises.ch{number}")
    return [name for name, _ in inspect.getmembers(module, callable) if name.startswith("check_")]


def by_name(rule: Rule) -> str:
    return rule.__name__.removeprefix("wrong_")


@cache
def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@named(CHAPTERS)
def test_equations_are_those_of_the_chapter_itself(path: Path) -> None:
    """JupyterLab finds no others: whoever needs one of another chapter links the chapter."""
    text = " ".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert set(re.findall(r"{eq}`eq-(\d\d)-", text)) <= {path.stem[:2]}


@named(CHAPTERS)
@pytest.mark.parametrize("rule", FOR_ALL, ids=by_name)
def test_chapter(path: Path, rule: Rule) -> None:
    assert not list(rule(read(path)))


@named(LESSONS)
@pytest.mark.parametrize("rule", FOR_LESSONS, ids=by_name)
def test_lesson(path: Path, rule: Rule) -> None:
    assert not list(rule(read(path)))


@named(CHAPTERS)
def test_head(path: Path) -> None:
    assert not list(wrong_head(read(path), int(path.stem[:2])))


@named(LESSONS)
def test_exercises(path: Path) -> None:
    number = path.stem[:2]
    wrong = runpy.run_path(str(ROOT / f"tests/exercises/test_ch{number}.py"))["WRONG"]
    solutions = read(NOTEBOOKS / "solutions" / path.name)
    caught = [row[0].__name__ for row in wrong]
    assert not list(wrong_exercises(read(path), solutions, checks_of(number), caught))


@named(SOLUTIONS)
def test_solutions(path: Path) -> None:
    assert not [*wrong_outputs(read(path)), *wrong_plots(read(path))]
    assert (NOTEBOOKS / path.name).exists()


def test_every_chapter_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "jupyter_book.yml").read_text()
    assert CHAPTERS
    for path in CHAPTERS:
        assert f"notebooks/{path.stem}" in contents
