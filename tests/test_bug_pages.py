"""The pages of "Spot the bug": each bug fails its own check, by its symptom; each mend passes."""

import ast
import re
import runpy
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from chapter_contract import wrong_cells, wrong_outputs
from nbformat import NotebookNode

from course_lib.exercises import bugs_sampling, bugs_systems, bugs_training

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
PAGES = {
    "bugs_1_training": bugs_training,
    "bugs_2_sampling": bugs_sampling,
    "bugs_3_systems": bugs_systems,
}

# the function of each bug, and words of what its check says about the version above
SYMPTOMS = {
    "step_before": "counts the picture twice",
    "betas_for": "is left at the end of the chain",
    "add_noise": "multiplied by a variance",
    "draw_times": "T itself never comes",
    "drop_labels": "it drops half",
    "weighted_loss": "mean(weight) times mean(error)",
    "v_weight": "inside of min as well",
    "decays": "overwritten by the first",
    "judged": "the network's own, not copies",
    "walk_times": "with a picture of pure noise",
    "x_0_from_v": "the sign. With little noise it looks right",
    "ddim": "Nothing of x_t is left",
    "heun": "*old* noise level",
    "flow": "from data to noise",
    "em_step": "two draws, multiplied",
    "draw": "both generators begin with one seed",
    "guided": "throws the condition away",
    "lower": "make a plus",
    "invert": "These are places in the list",
    "paste": "Two noise levels in one picture",
    "begin": "never removed",
    "to_bytes": "below the middle is black",
    "to_pictures": "the *picture* is divided",
    "latent_of": "pushed up by one standard deviation",
    "attend": "with all values 1 it is not 1",
    "many_heads": "the width of all heads together",
    "read_text": "exp(0) is 1",
    "bits_per_dim": "costs 9 bits",
    "dequantised": "gaps that no data fills",
    "statistics": "[pictures, pictures]",
}


@cache
def read(page: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4)


@cache
def bugs_of(page: str) -> dict[str, dict[str, str]]:
    """What the page has for each bug, by the name of its function."""
    found: dict[str, dict[str, str]] = {}
    name = ""
    for cell in read(page).cells:
        if "bug" in cell.metadata.get("tags", []):
            name = re.match(r"def (\w+)\(", cell.source)[1]  # type: ignore[index]
            found[name] = {"code": cell.source}
        elif name and cell.source.startswith("def mended("):
            found[name] |= {"stub": cell.source}
        elif name and cell.source.startswith("````{dropdown}"):
            mends = re.findall(r"```python\n(.*?)```", cell.source, re.S)
            found[name] |= {"fold": cell.source, "mend": "\n\n".join(mends)}
    return found


ALL = [(page, name) for page in PAGES for name in bugs_of(page)]


def function(page: str, name: str, code: str) -> Any:
    """The function that a cell or a fold of the page defines."""
    known: dict[str, Any] = {}
    exec(read(page).cells[1].source + "\n" + code, known)
    return known[name]


def arguments(code: str) -> list[str]:
    """The arguments of the first function of a cell."""
    first = ast.parse(code).body[0]
    assert isinstance(first, ast.FunctionDef)
    return [argument.arg for argument in first.args.args]


def check_of(page: str, name: str) -> Any:
    return getattr(PAGES[page], f"check_{name}")


@pytest.mark.parametrize(("page", "name"), ALL, ids=[name for _, name in ALL])
def test_the_bug_fails_by_its_symptom_and_its_mend_passes(
    page: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = bugs_of(page)[name]
    assert check_of(page, name)(function(page, name, bug["code"])) is False
    said = capsys.readouterr().out
    assert said.startswith("Not yet: as above")
    assert SYMPTOMS[name] in said
    assert check_of(page, name)(function(page, name, bug["mend"])) is True


@pytest.mark.parametrize(("page", "name"), ALL, ids=[name for _, name in ALL])
def test_each_bug_has_its_cell_its_report_and_its_lesson(page: str, name: str) -> None:
    bug = bugs_of(page)[name]
    # What you write has the arguments of what you read, and is given to the bug's own check.
    assert arguments(bug["stub"]) == arguments(bug["code"])
    assert bug["stub"].startswith("def mended(") and ": ..." in bug["stub"]
    assert bug["stub"].endswith(f"\nbugs.check_{name}(mended);")
    assert 3 <= len(bug["code"].splitlines()) <= 15
    assert re.search(r"\]\(https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+\)", bug["fold"])
    for heading in ("**Cause.**", "**The report.**", "**In your own code**", "**Read more**"):
        assert heading in bug["fold"]


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str) -> None:
    notebook = read(page)
    assert not [*wrong_cells(notebook), *wrong_outputs(notebook)]
    assert (NOTEBOOKS / f"{page}.ipynb").stat().st_size < 150_000
    for link in re.findall(r"\]\((\w[\w./]*\.ipynb)\)", str(notebook)):
        assert (NOTEBOOKS / link).exists(), link


def test_the_bugs_are_numbered_through_and_all_have_their_words() -> None:
    titles = [cell.source for page in PAGES for cell in read(page).cells]
    numbers = [int(found[1]) for text in titles if (found := re.match(r"## Bug (\d+): ", text))]
    assert numbers == list(range(1, len(ALL) + 1))
    assert [name for _, name in ALL] == list(SYMPTOMS)
    assert len(ALL) == 30  # as README.md and the front page say


def test_each_check_names_two_half_mends_or_more() -> None:
    rows = runpy.run_path(str(NOTEBOOKS.parent / "tests/exercises/test_bugs.py"))["WRONG"]
    named = [row[0].__name__ for row in rows]
    for _, name in ALL:
        assert named.count(f"check_{name}") >= 2, name


@pytest.mark.parametrize("module", PAGES.values(), ids=PAGES)
def test_no_check_is_left_over(module: ModuleType) -> None:
    page = next(page for page, found in PAGES.items() if found is module)
    checks = {name for name in vars(module) if name.startswith("check_")}
    assert checks == {f"check_{name}" for name in bugs_of(page)}
