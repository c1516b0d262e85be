"""Two runs are compared word by word, and number by number to the last digit shown."""

import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib.data.files import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from compare_runs import alike, differences, texts, unit, value  # noqa: E402


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("loss 0.123", "loss 0.124", True),
        ("loss 0.123", "loss 0.125", False),
        ("loss 0.123", "gain 0.123", False),
        ("1.50e-03", "1.51e-03", True),
        ("1.50e-03", "1.50e-04", False),
        ("1,352 digits", "1,353 digits", False),
        ("3 of 8", "4 of 8", False),
        ("took 12.5 s", "took 3 s", True),
        ("✓ means agree (below 1e-14)", "✓ means agree (below 1e-16)", True),
        ("equal (largest difference 0)", "equal (largest difference below 1e-15)", True),
        ("equal (largest difference 0)", "equal (largest difference 0.3)", False),
        ("0.1 0.2", "0.1", False),
        ("-0.10", "0.10", False),
        ("a      0.5", "a  0.5", True),
    ],
)
def test_alike(first, second, same):
    assert alike(first, second) is same and alike(second, first) is same


def test_a_number_and_its_last_digit():
    assert value("1,352") == 1352 and unit("1,352") == 0
    assert value("1.5e-3") == 0.0015 and unit("1.5e-3") == pytest.approx(1e-4)
    assert unit("2e-3") == pytest.approx(1e-3) and unit("0.25") == pytest.approx(0.01)


def notebook(*texts: str) -> nbformat.NotebookNode:
    return new_notebook(
        cells=[new_code_cell("f()", outputs=[new_output("stream", text=one)]) for one in texts]
    )


def test_differences_name_the_cell_and_both_lines():
    before, after = notebook("same", "x 0.10\ny 1"), notebook("same", "x 0.30\ny 1")
    assert list(differences(before, after)) == ["cell 1: 'x 0.10', now 'x 0.30'"]
    assert list(differences(before, before)) == []
    assert list(differences(notebook("a"), notebook("a\nb"))) == ["cell 0: 1 lines, now 2"]


def test_widgets_and_pictures_say_nothing():
    view = {"text/plain": "Dial(1)", "application/vnd.jupyter.widget-view+json": {"model_id": "a"}}
    cell = new_code_cell("f()", outputs=[new_output("display_data", data=view)])
    assert texts(cell) == []
