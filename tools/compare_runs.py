"""Run notebooks once more, and say where they print something else than is committed.

OMP_NUM_THREADS=2 python tools/compare_runs.py [notebooks/07_ddpm_maths.ipynb ...]

Nothing is written. Words must be the same; of a number the last digit that is shown may differ by
one, since sums are rounded in another order on another machine or with more threads. Not compared:
pictures, the state of widgets, times, and by how much a check was met.
"""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from execute_notebooks import executed
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
VARIES = re.compile(
    r"\d+(\.\d+)? ?(s|ms|seconds|minutes)\b|0x[0-9a-f]+|<Figure[^>]*>"
    r"|(largest difference )?below 1e-\d+|largest difference 0(?!\.)",
    re.IGNORECASE,
)
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


def main() -> int:
    """Compare the notebooks named on the command line, or all. 1 if one differs or fails."""
    paths = [Path(name) for name in sys.argv[1:]]
    apart = 0
    for path in paths or sorted((ROOT / "notebooks").glob("[0-9b]*.ipynb")):
        start = time.perf_counter()
        try:
            found = list(differences(nbformat.read(path, as_version=4), executed(path)))
        except CellExecutionError as error:
            found = [str(error)]
        apart += bool(found)
        print(f"{time.perf_counter() - start:7.1f} s  {len(found)} differences  {path}", flush=True)
        for one in found:
            print(f"    {one}", flush=True)
    return 1 if apart else 0


def differences(before: nbformat.NotebookNode, after: nbformat.NotebookNode) -> Iterator[str]:
    """Lines of text outputs that differ by more than the last digit, with the cell's number."""
    for n, (old, new) in enumerate(zip(before.cells, after.cells, strict=True)):
        first, second = (texts(cell) for cell in (old, new))
        if len(first) != len(second):
            yield f"cell {n}: {len(first)} lines, now {len(second)}"
        for line, now in zip(first, second, strict=False):
            if not alike(line, now):
                yield f"cell {n}: {line.strip()!r}, now {now.strip()!r}"


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """All lines that a cell shows as text."""
    whole = []
    for one in cell.get("outputs", []):
        data = one.get("data", {})
        shown = "application/vnd.jupyter.widget-view+json" in data
        whole.append(one.get("text", "") if "text" in one else "" if shown else data["text/plain"])
    return "\n".join(whole).splitlines()


def alike(first: str, second: str) -> bool:
    """Whether two lines are the same but for the last digits of their numbers."""
    first, second = (VARIES.sub("…", line) for line in (first, second))
    if NUMBER.sub("#", first).split() != NUMBER.sub("#", second).split():
        return False
    pairs = zip(NUMBER.findall(first), NUMBER.findall(second), strict=True)
    return all(abs(value(a) - value(b)) <= 1.01 * max(unit(a), unit(b)) for a, b in pairs if a != b)


def value(number: str) -> float:
    """What a number says that is written 1,024 or 1.5e-3."""
    return float(number.replace(",", ""))


def unit(number: str) -> float:
    """One in its last digit; nothing for a whole number, which counts something."""
    digits, _, exponent = number.partition("e")
    decimals = len(digits.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if decimals or exponent else 0.0


if __name__ == "__main__":
    sys.exit(main())
