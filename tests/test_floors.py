"""The house stands: a file imports from floors below its own, not from a sibling or from above."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent / "course_lib"

FLOORS = [
    {"core"},
    {"nn", "diffusion"},  # networks know no diffusion, the mathematics knows no networks
    {"models", "recipes", "picture", "tables"},  # the last two are what plot shows
    {"data", "train", "weights", "metrics", "plot"},
    {"features"},  # classifiers trained on the data, for the metrics to look through
    {"evaluation"},  # the one recipe that judges a model's samples
    {"trainings", "exercises", "widgets"},
    {"imagine"},  # what the course has trained, for whoever wants a picture
    {"check"},
    {"cli"},
]
FLOOR = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}
FILES = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.py") if path.parent != HOUSE)
FILES += sorted(path.relative_to(HOUSE) for path in HOUSE.glob("*.py") if path.stem[0] != "_")


def wing(file: Path) -> str:
    return Path(file.parts[0]).stem


def imported_wings(source: str) -> Iterator[str]:
    """The parts of course_lib that a source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write the whole path: it tells the floor"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("course_lib."))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_only_from_floors_below(file: Path) -> None:
    assert wing(file) in FLOOR, f"course_lib/{file} has no floor yet: give it one in FLOORS"
    for other in imported_wings((HOUSE / file).read_text()):
        below = FLOOR[other] < FLOOR[wing(file)]
        assert below or other == wing(file), f"{file} (floor {FLOOR[wing(file)]}) imports {other}"


@pytest.mark.parametrize(
    ("source", "wings"),
    [
        ("import course_lib.nn.unet", ["nn"]),
        ("from course_lib import plot", ["plot"]),
        ("def f():\n    from course_lib.core.types import Data", ["core"]),
        ("import torch\nfrom pathlib import Path", []),
    ],
)
def test_every_form_of_import_is_seen(source: str, wings: list[str]) -> None:
    assert list(imported_wings(source)) == wings
