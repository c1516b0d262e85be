"""The set-up tool: what completes an environment, what counts as complete, what it tells."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools" / "setup_env.py"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, in a folder of its own with an empty `.venv`; nothing is installed."""
    spec = importlib.util.spec_from_file_location("setup_env", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / ".venv" / "lib" / "site-packages").mkdir(parents=True)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((TOOL.parent.parent / name).read_text())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "complete.sha256")
    monkeypatch.setattr(module, "make_venv", lambda: None)
    monkeypatch.setattr(sys, "argv", ["setup_env.py"])
    return module


def record_steps(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, fail_at: str = "") -> list[str]:
    """Replace the installing by a list of what would be installed; one of them may fail."""
    steps: list[str] = []

    def install(*arguments: str) -> None:
        steps.append(Path(arguments[-1]).name)
        if fail_at and steps[-1].startswith(fail_at):
            raise subprocess.CalledProcessError(1, ["pip", "install", *arguments])

    monkeypatch.setattr(tool, "pip", install)
    monkeypatch.setattr(tool, "quietly", lambda *arguments: False)  # PyTorch's index: out of reach
    return steps


def test_second_call_finds_nothing_to_do(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps = record_steps(tool, monkeypatch)
    assert tool.main() == 0
    assert steps == ["requirements.lock", tool.pinned_torch(), tmp_path.name]
    assert tool.main() == 0
    assert len(steps) == 3


def test_what_a_failure_leaves_is_completed_by_the_next_call(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record_steps(tool, monkeypatch, fail_at="torch")
    assert tool.main() == 1
    assert "The next call goes on" in capsys.readouterr().err
    assert not tool.STAMP.exists()
    record_steps(tool, monkeypatch)
    assert tool.main() == 0
    assert tool.STAMP.exists()


def test_a_change_that_fails_undoes_the_stamp(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another PyTorch, half installed, must not pass for the one that was complete before."""
    record_steps(tool, monkeypatch)
    assert tool.main() == 0
    steps = record_steps(tool, monkeypatch, fail_at="torch")
    monkeypatch.setattr(sys, "argv", ["setup_env.py", "torch==0"])
    assert tool.main() == 1
    monkeypatch.setattr(sys, "argv", ["setup_env.py"])
    assert tool.main() == 1
    assert steps.count("requirements.lock") == 2


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_is_set_up_anew(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    steps = record_steps(tool, monkeypatch)
    assert tool.main() == 0
    (tmp_path / file).write_text((tmp_path / file).read_text() + "\n")
    assert tool.main() == 0
    assert len(steps) == 6


def test_half_installed_packages_are_forgotten(tool: ModuleType) -> None:
    packages = tool.VENV / "lib" / "site-packages"
    for name, signed in [("whole-1.0.dist-info", True), ("half-1.0.dist-info", False)]:
        (packages / name).mkdir()
        (packages / name / "METADATA").touch()
        if signed:
            (packages / name / "INSTALLER").touch()
    tool.remove_half_installed()
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]


def test_unsuitable_python_is_told(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool.sys, "version_info", (3, 9, 1))
    assert tool.main() == 1
    assert "needs Python 3.11, 3.12 or 3.13" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one build only")
@pytest.mark.parametrize("reached", [True, False])
def test_torch_comes_from_its_own_index_if_that_is_in_reach(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    commands: list[list[str]] = []
    steps = record_steps(tool, monkeypatch)
    monkeypatch.setattr(tool, "quietly", lambda *arguments: reached)
    monkeypatch.setattr(tool, "gpu_name", lambda: "the CPU")
    monkeypatch.setattr(tool.subprocess, "run", lambda command, **o: commands.append(command))
    tool.install_torch("torch==1")
    assert steps == ([] if reached else ["torch==1"])
    assert [command[-3:] for command in commands] == (
        [["--torch-backend", "auto", "torch==1"]] if reached else []
    )
