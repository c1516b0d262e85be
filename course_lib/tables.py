"""A table that a notebook shows: real rows and columns on the page, aligned text in a terminal.

`course_lib.plot` hands it on as `plot.table`, beside the figures. Numbers stand on the right, so
that their digits can be compared; a table that is wider than the screen scrolls in its own box.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_NUMBER = re.compile(r"[-+]?(\d[\d,.]*(e[-+]?\d+)?|∞) ?(%|×)?|–|nan")


class Table:
    """Cells as the reader sees them; the first of each row is its heading. `table` makes one."""

    def __init__(self, header: list[str], rows: list[list[str]], caption: str = "") -> None:
        self.header, self.rows, self.caption = header, rows, caption
        columns = zip(*rows, strict=True)
        self._right = [all(map(_NUMBER.fullmatch, column)) for column in columns]
        self._right[0] = False  # names of rows, though they may be numbers

    def __repr__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, self._right, strict=True)
            ).rstrip()
            for line in lines
        ]
        text.insert(1, "─" * (sum(widths) + 2 * len(widths) - 2))
        return "\n".join([self.caption] * bool(self.caption) + text)

    def _repr_html_(self) -> str:
        return "\n".join(self._html())

    def _html(self) -> Iterator[str]:
        # Styles stand in the tags: JupyterLab keeps them, and drops style sheets from outputs.
        label = escape(self.caption or ", ".join(filter(None, self.header)))
        box = f'<div class="course-table" role="region" aria-label="{label}" tabindex="0"'
        yield f'{box} style="overflow-x: auto">'
        yield '<table style="margin-left: 0">'
        if self.caption:
            style = "caption-side: top; text-align: left"
            yield f'<caption style="{style}">{escape(self.caption)}</caption>'
        yield f"<thead>{self._line(self.header, 'col')}</thead>"
        yield "<tbody>"
        yield from (self._line(row, "row") for row in self.rows)
        yield "</tbody>"
        yield "</table>"
        yield "</div>"

    def _line(self, cells: list[str], scope: str) -> str:
        parts = []
        for i, (cell, right) in enumerate(zip(cells, self._right, strict=True)):
            style = "text-align: right; white-space: nowrap" if right else "text-align: left"
            heading = (scope == "col" and cell) or (scope == "row" and i == 0)
            opening = f'th scope="{scope}"' if heading else "td"
            parts.append(f'<{opening} style="{style}">{escape(cell)}</{opening[:2]}>')
        return f"<tr>{''.join(parts)}</tr>"


def table(
    rows: Mapping[Any, Any],
    columns: Sequence[str],
    *,
    head: str = "",
    form: str | Sequence[str] = "{:.3g}",
    caption: str = "",
) -> Table:
    """A table, e.g. a chapter's scoreboard: what the paper reports beside what you measured.

    rows      name of a row: its cells (list, tuple, tensor), or one cell alone where there is one
              column. A cell is a number, what float() makes a number of (a scalar tensor, a
              `Measured`), a text, or None where there is nothing to say
    columns   a heading for each column
    head      a heading for the names of the rows
    form      how numbers are written, for all columns or for each; whole numbers are left whole
    caption   one sentence above the table

    Raises ValueError if a row has more or fewer cells than there are columns.
    """
    if not rows:
        raise ValueError("a table needs one row or more, got none")
    forms = [form] * len(columns) if isinstance(form, str) else list(form)
    if len(forms) != len(columns):
        raise ValueError(f"{len(columns)} columns need one form or {len(columns)}: {form}")
    written = []
    for name, cells in rows.items():
        cells = cells.tolist() if hasattr(cells, "tolist") else cells  # tensors and arrays
        cells = list(cells) if isinstance(cells, (list, tuple)) else [cells]
        if len(cells) != len(columns):
            raise ValueError(f"row {name!r} has {len(cells)} cells for {len(columns)} columns")
        written.append([_text(name, ""), *map(_text, cells, forms)])
    return Table([head, *columns], written, caption)


def _text(cell: Any, form: str) -> str:
    cell = cell.item() if getattr(cell, "ndim", None) == 0 else cell  # of a tensor or an array
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    number = float(cell)
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return (form or "{:g}").format(number)
