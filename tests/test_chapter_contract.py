"""Each rule of the contract passes a good chapter and names what is wrong with a broken one."""

from collections.abc import Callable

import pytest
from chapter_contract import (
    STATE,
    VIEW,
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
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

HEAD = """# 7. A title

- **On the path**: step 2, core.
- **Papers**: [Author 2020](https://arxiv.org/abs/0000.00000).
- **You build**: a thing.
- **After this chapter you can**
  - do this,
  - and this,
  - and this.
- **Time**: 40 minutes to read, 60 seconds to run.
- **Before this**: [Start here](00_start_here.ipynb)."""
BEFORE_SCORES = [
    "## The idea: noise is easy\n\n![a cloud of points that dissolves](cloud.svg)",
    "## The mathematics",
    "## By hand",
    "## The same from `course_lib`",
    "## On images",
]
TASK = "```{exercise} Name\n:label: x\n```\n\n```{dropdown} A hint\n```"
LINKS = "[a](b), [c](d), [e](f)"
CHECKS = ["check_a", "check_b", "check_c"]


def executed(source: str, *texts: str, **metadata: object) -> NotebookNode:
    outputs = [new_output("stream", text=text) for text in texts]
    return new_code_cell(source, outputs=outputs, metadata=metadata)


def good_chapter() -> NotebookNode:
    """The smallest notebook that keeps every rule."""
    widget = new_output("display_data", {VIEW: {"model_id": "w"}, "text/plain": "Widget()"})
    cells = [
        new_markdown_cell(HEAD),
        executed('PROFILE = "fast"', tags=["parameters"]),
        executed("import torch"),
        *map(new_markdown_cell, BEFORE_SCORES),
        executed("steps = 10 if PROFILE == 'fast' else 1000"),
        new_markdown_cell("## Scoreboard"),
        executed("print(1.5)", "1.5"),
        new_code_cell("Widget()", outputs=[widget]),
        new_markdown_cell("## What breaks, and why"),
        new_markdown_cell("## Exercises"),
        *[new_markdown_cell(TASK) for _ in CHECKS],
        *[executed(f"{check}(answer);", "Not yet: ...") for check in CHECKS],
        new_markdown_cell(f"## Where this stands\n\n{LINKS}"),
    ]
    chapter = new_notebook(cells=cells, metadata={"widgets": {STATE: {"state": {"w": {}}}}})
    count(chapter)
    return chapter


def count(notebook: NotebookNode) -> None:
    """Number the code cells as an execution from top to bottom does."""
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = number


def good_solutions() -> NotebookNode:
    return new_notebook(cells=[executed(f"assert {check}(answer)") for check in CHECKS])


def head(notebook: NotebookNode) -> list[str]:
    return list(wrong_head(notebook, 7))


def exercises(notebook: NotebookNode) -> list[str]:
    return list(wrong_exercises(notebook, good_solutions(), CHECKS, CHECKS * 2))


RULES = [head, exercises, wrong_headings, wrong_scoreboard, wrong_end, wrong_parameters]
RULES += [wrong_profile, wrong_cells, wrong_outputs, wrong_plots, wrong_widgets, wrong_pictures]


@pytest.mark.parametrize("rule", RULES)
def test_good_chapter_passes(rule: Rule) -> None:
    assert not list(rule(good_chapter()))


def replace(old: str, new: str) -> Callable[[NotebookNode], None]:
    """Break a chapter by replacing a text in its cells."""

    def change(notebook: NotebookNode) -> None:
        assert any(old in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def age_widget(notebook: NotebookNode) -> None:
    old = {"_anywidget_id": "course_lib.widgets.quiz.Quiz", "_esm": "export default {}"}
    notebook.metadata["widgets"][STATE]["state"]["old"] = {"state": old}


def show(text: str) -> Callable[[NotebookNode], None]:
    """Break a chapter by an output that a page must not show."""
    return lambda notebook: notebook.cells[2].outputs.append(new_output("stream", text=text))


def run_twice(notebook: NotebookNode) -> None:
    notebook.cells[2].execution_count = 40


def raise_an_error(notebook: NotebookNode) -> None:
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    notebook.cells[2].outputs.append(error)


def forget_widget_state(notebook: NotebookNode) -> None:
    del notebook.metadata["widgets"]


def forget_tag(notebook: NotebookNode) -> None:
    notebook.cells[1].metadata.tags = []


def long_cell(notebook: NotebookNode) -> None:
    notebook.cells[2].source = "x = 1\n" * 26


def long_cells(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.source = cell.source if cell.cell_type == "markdown" else "x = 1\n" * 8


def no_scores(notebook: NotebookNode) -> None:
    texts = ("print(1.5)", "Widget()")
    notebook.cells = [cell for cell in notebook.cells if cell.source not in texts]


def no_widget(notebook: NotebookNode) -> None:
    notebook.cells = [cell for cell in notebook.cells if cell.source != "Widget()"]


BROKEN = [
    (head, replace("# 7.", "# 8."), "does not begin with the title"),
    (head, replace("**Papers**", "**Paper**"), "Papers"),
    (head, replace("60 seconds", "quick"), "Time"),
    (head, replace("  - and this.\n", ""), "2 objectives"),
    (exercises, replace(":label: x", "```{exercise}"), "6 {exercise} blocks"),
    (exercises, replace("{dropdown}", "{note}"), "no hint"),
    (exercises, replace("check_b(", "print("), "never calls check_b"),
    (wrong_headings, replace("## By hand", "## By foot"), "the headings are"),
    (wrong_headings, replace("## The idea", "## The ideal"), "the headings are"),
    (wrong_headings, replace("## Exercises", "### Exercises"), "the headings are"),
    (wrong_scoreboard, no_scores, "no code fills"),
    (wrong_end, replace(LINKS, "[a](b)"), "fewer than three"),
    (wrong_parameters, forget_tag, "not one cell tagged"),
    (wrong_parameters, replace('"fast"', '"gpu"'), "not one cell tagged"),
    (wrong_profile, replace("PROFILE ==", "'fast' =="), "changes nothing"),
    (wrong_cells, long_cell, "has 26 lines"),
    (wrong_cells, replace("import torch", f"x = {'1' * 90}"), "has a line of 94 columns"),
    (wrong_cells, long_cells, "the median cell has 8"),
    (wrong_cells, replace("import torch", "import a, b\n" * 9), "9 imports"),
    (wrong_outputs, run_twice, "not executed from top to bottom"),
    (wrong_outputs, raise_an_error, "ends in an error"),
    (wrong_outputs, show("UserWarning: old"), "'UserWarning'"),
    (wrong_outputs, show("Traceback (most recent call last):"), "'Traceback"),
    (wrong_outputs, show("saved to /home/me/x"), "'/home/'"),
    (wrong_outputs, replace("import torch", "# NBVAL_CHECK_OUTPUT"), "has none"),
    (wrong_plots, replace("import torch", "plot.table(x)\nassert x"), "draws what is not shown"),
    (wrong_plots, replace("import torch", "for x in y:\n    plot.lines(x)"), "put the call"),
    (wrong_widgets, no_widget, "no widget"),
    (wrong_widgets, forget_widget_state, "is not saved"),
    (wrong_widgets, age_widget, "older code"),
    (wrong_pictures, replace("![a cloud of points that dissolves]", "![]"), "no text alternative"),
    (wrong_pictures, replace("## By hand", '<img src="x">'), "no text alternative"),
    (wrong_pictures, replace("## By hand", "```{image} x\n```"), "no text alternative"),
]


@pytest.mark.parametrize(("rule", "broken", "words"), BROKEN)
def test_broken_chapter_is_named(
    rule: Rule, broken: Callable[[NotebookNode], None], words: str
) -> None:
    chapter = good_chapter()
    broken(chapter)
    assert any(words in complaint for complaint in rule(chapter)), list(rule(chapter))


@pytest.mark.parametrize(
    ("checks", "caught", "words"),
    [
        (CHECKS[:2], CHECKS * 2, "three are wanted"),
        ([*CHECKS, "check_d"], CHECKS * 2, "no solution ends in `assert check_d(...)`"),
        (CHECKS, [*CHECKS, "check_a", "check_b"], "1 wrong answers are listed for check_c"),
    ],
)
def test_missing_exercise_is_named(checks: list[str], caught: list[str], words: str) -> None:
    complaints = wrong_exercises(good_chapter(), good_solutions(), checks, caught)
    assert any(words in complaint for complaint in complaints)
