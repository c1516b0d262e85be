"""`make chapter`: four working files and an entry in the contents, and never one overwritten."""

import importlib.util
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTENTS = """\
toc:
  root: book/index
  parts:
    - caption: DDPM
      chapters:
        - file: notebooks/00_start_here
        - file: notebooks/08_ddpm_images
          sections:
            - file: notebooks/solutions/08_ddpm_images
    - caption: More
      chapters:
        - file: docs/notation
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, in a copy of the folders it writes to."""
    spec = importlib.util.spec_from_file_location("new_chapter", ROOT / "tools/new_chapter.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for template in module.copies("00", "00_x"):
        copy = tmp_path / template.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, copy)
    (tmp_path / "jupyter_book.yml").write_text(CONTENTS)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CONTENTS", tmp_path / "jupyter_book.yml")
    return module


def start(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["new_chapter.py", *arguments])
    return tool.main()


def test_chapter_is_made_of_working_files(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert start(tool, monkeypatch, "34_flow_matching", "Flow matching") == 0
    lesson = nbformat.read(tmp_path / "notebooks/34_flow_matching.ipynb", as_version=4)
    assert lesson.cells[0].source.startswith("# 34. Flow matching\n")
    made = [path for path in tool.copies("34", "34_flow_matching").values()]
    text = "".join(path.read_text() for path in made)
    assert "{NUMBER}" not in text and "{NAME}" not in text and "{TITLE}" not in text
    assert "_template" not in "".join(path.read_text() for path in made[:2])
    checks = runpy.run_path(str(tmp_path / "course_lib/exercises/ch34.py"))
    assert checks["check_noisy"](lambda x_0, alpha_bar, eps: x_0) is False


def test_nothing_is_overwritten(
    tool: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start(tool, monkeypatch, "34_flow_matching") == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert start(tool, monkeypatch, "34_another") == 2
    assert "notebooks/34_flow_matching.ipynb" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("arguments", [[], ["flow"], ["7_flow"], ["34_Flow"], ["34_a", "b", "c"]])
def test_a_name_that_is_none_is_refused(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    assert start(tool, monkeypatch, *arguments) == 2


@pytest.mark.parametrize(
    ("name", "after"),
    [("07_x", "notebooks/00_start_here"), ("34_x", "notebooks/solutions/08_ddpm_images")],
)
def test_entry_stands_in_order_at_its_neighbours_depth(
    tool: ModuleType, name: str, after: str
) -> None:
    lines = tool.with_chapter(CONTENTS, name).splitlines()
    place = lines.index(f"        - file: notebooks/{name}")
    assert lines[place - 1].endswith(after)
    assert lines[place + 1 : place + 3] == [
        "          sections:",
        f"            - file: notebooks/solutions/{name}",
    ]
    assert len(lines) == len(CONTENTS.splitlines()) + 3
