"""Tables: every cell written as asked, numbers on the right, the same bytes each time."""

from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from course_lib import plot
from course_lib.metrics import Measured


def board() -> plot.Table:
    rows = {
        "DDPM": ("3.17", 0.8123, float("inf")),
        "ours, L < x_0 & more": (None, Measured(12.449, 0.02, 500), torch.tensor(1.5)),
    }
    columns = ["paper", "clipped", "not"]
    return plot.table(rows, columns, head="model", form="{:.2f}", caption="Distance to the data")


def html_of(table: plot.Table) -> ElementTree.Element:
    return ElementTree.fromstring(table._repr_html_())


def test_text_has_its_columns_in_line():
    assert repr(board()).splitlines() == [
        "Distance to the data",
        "model                 paper  clipped   not",
        "─" * 42,
        "DDPM                   3.17     0.81     ∞",
        "ours, L < x_0 & more      –    12.45  1.50",
    ]


def test_html_has_the_same_cells_and_says_what_heads_what():
    table, tree = board(), html_of(board())
    lines = [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]
    assert lines == [table.header, *table.rows]
    assert [th.get("scope") for th in tree.iter("th")] == ["col"] * 4 + ["row"] * 2
    assert tree.findtext("table/caption") == tree.get("aria-label") == "Distance to the data"


def test_a_wide_table_scrolls_in_its_own_box_by_keyboard_too():
    box = html_of(board())
    assert "overflow-x: auto" in box.get("style", "")
    assert (box.get("role"), box.get("tabindex")) == ("region", "0")


def test_numbers_stand_on_the_right_and_words_on_the_left():
    rows = {1: ("1.2e-05", "10 %", "yes"), 2: (-1_000, 3.0, "7.3 at t = 1")}
    cells = list(html_of(plot.table(rows, ["a", "b", "c"])).iter("tr"))[-1]
    sides = [cell.get("style", "").split(";")[0].removeprefix("text-align: ") for cell in cells]
    assert sides == ["left", "right", "right", "left"]


def test_each_column_may_have_its_own_form():
    table = plot.table(
        {"a": [0.123456, 0.5, 12345]}, ["x", "y", "z"], form=["{:.1e}", "{:.0%}", ""]
    )
    assert table.rows == [["a", "1.2e-01", "50%", "12,345"]]


@pytest.mark.parametrize(
    "row", [[1.5, 2.5], (1.5, 2.5), torch.tensor([1.5, 2.5]), np.array([1.5, 2.5])]
)
def test_a_row_may_be_a_list_a_tuple_a_tensor_or_an_array(row):
    assert plot.table({"a": row}, ["x", "y"]).rows == [["a", "1.5", "2.5"]]


@pytest.mark.parametrize("cell", [0.25, torch.tensor(0.25), Measured(0.25, 0.1, 10), "0.25"])
def test_one_column_needs_no_list(cell):
    assert plot.table({"a": cell}, ["x"]).rows == [["a", "0.25"]]


@pytest.mark.parametrize("cell", [12345, torch.tensor(12345), np.int64(12345)])
def test_a_whole_number_is_written_whole(cell):
    assert plot.table({"a": [cell]}, ["x"]).rows == [["a", "12,345"]]


def test_a_notebook_shows_it_as_html_and_the_same_each_time():
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(board())
    assert set(data) == {"text/html", "text/plain"}
    assert data == DisplayFormatter().format(board())[0]


@pytest.mark.parametrize(
    ("rows", "form", "words"),
    [
        ({}, "{:g}", "one row or more"),
        ({"a": [1]}, "{:g}", "row 'a' has 1 cells for 2 columns"),
        ({"a": "12"}, "{:g}", "row 'a' has 1 cells for 2 columns"),
        ({"a": [1, 2]}, ["{:g}"], "2 columns need one form or 2"),
    ],
)
def test_bad_tables_are_named(rows, form, words):
    with pytest.raises(ValueError, match=words):
        plot.table(rows, ["x", "y"], form=form)
