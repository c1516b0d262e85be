"""The `course` command: what it runs, what it refuses and how, and that it overwrites nothing."""

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_lib import check, cli
from course_lib.check import Finding

CHAPTER = "07_two_cells"


@pytest.fixture(autouse=True)
def small_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A course of one chapter with two parameters, in a folder of its own."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    parameters = 'PROFILE = "fast"\nseed = 0\nfail = False'
    cells = [
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell("assert not fail, 'as asked'\nprint(PROFILE, seed + 1)"),
    ]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), notebooks / f"{CHAPTER}.ipynb")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.setattr(cli, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(cli, "RUNS", tmp_path / "runs")
    yield tmp_path


def output(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[-1].outputs[0].text


@pytest.mark.slow
def test_run_keeps_every_result_and_the_chapter(small_course: Path) -> None:
    chapter = small_course / "notebooks" / f"{CHAPTER}.ipynb"
    before = chapter.read_bytes()
    assert cli.main(["run", "7"]) == 0
    assert cli.main(["run", CHAPTER, "--profile", "cpu", "-p", "seed", "41"]) == 0
    results = small_course / "runs" / CHAPTER
    assert output(results / "001" / chapter.name) == "fast 1\n"
    assert output(results / "002" / chapter.name) == "cpu 42\n"
    assert chapter.read_bytes() == before


@pytest.mark.slow
def test_failing_chapter_is_told_in_one_line(
    small_course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "07", "-p", "fail", "True"]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("course:")]
    where = Path("runs") / CHAPTER / "001" / f"{CHAPTER}.ipynb"
    assert len(told) == 1
    assert str(where) in told[0]
    assert "AssertionError: as asked" in told[0]
    assert (small_course / where).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "99"], CHAPTER),
        (["run", "ddpm"], CHAPTER),
        (["run", "07", "--profile", "huge"], "fast, cpu, gpu"),
        (["run", "07", "-p", "PROFILE", "huge"], "fast, cpu, gpu"),
        (["run", "07", "-p", "sede", "sede"], "PROFILE, seed, fail"),
        (["train", "nothing"], "fashion_ddpm"),
        (["train", "digits_ddpm", "--device", "tpu"], "auto, "),
        (["train", "digits_ddpm", "--precision", "fp8"], "auto, fp32, bf16"),
        (["train", "digits_ddpm", "--steps", "20000"], "at most 1500"),
    ],
)
def test_wrong_request_lists_what_is_valid(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], small_course: Path
) -> None:
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("course: ")
    assert arguments[-1] in told
    assert words in told
    assert not list(small_course.glob("runs/**/*.*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["fly"], "train"),
        (["train", "digits_ddpm", "--steps", "0"], "'0' is not a whole number above zero"),
        (["run", "07", "--profil"], "expected one argument"),
        (["check", "--all"], "--all"),
    ],
)
def test_wrong_command_line_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_train_hands_everything_on(small_course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib import trainings

    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(trainings, "TRAININGS", {"toy": lambda *options: calls.append(options)})
    options = ["--steps", "12", "--device", "cpu", "--precision", "fp32", "--compiled"]
    assert cli.main(["train", "toy", *options]) == 0
    assert cli.main(["train", "toy"]) == 0
    folder = small_course / "runs" / "train" / "toy"
    assert calls == [(folder, "cpu", "fp32", 12, True), (folder, "auto", "auto", None, False)]


def test_lab_opens_the_first_chapter(small_course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    environments: list[dict[str, str]] = []

    class Server:
        """Ends when asked the second time: the first Ctrl-C is JupyterLab's to answer."""

        def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
            calls.append(command)
            environments.append(env)
            self.waits = iter([KeyboardInterrupt, None])

        def wait(self) -> int:
            if stopped := next(self.waits):
                raise stopped
            return 0

    monkeypatch.setattr("course_lib.cli.subprocess.Popen", Server)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    assert cli.main(["lab", "--no-browser", "--port", "8899"]) == 0
    first = "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"
    assert calls[0][1:6] == ["-m", "jupyter", "lab", f"--notebook-dir={small_course}", first]
    assert "--LabApp.news_url=None" in calls[0]
    assert calls[0][-3:] == ["--no-browser", "--port", "8899"]
    assert environments[0]["JUPYTER_CONFIG_PATH"] == f"{small_course}/tools/jupyter{os.pathsep}mine"


def test_jupyterlab_does_not_ask_whether_it_may_fetch_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server hands our defaults on, and the names in them are settings that it has."""
    from jupyterlab_server.settings_utils import _get_overrides

    plugin = "@jupyterlab/apputils-extension:notification"
    here = Path(cli.__file__).parents[1]  # not the small course
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(here / "tools" / "jupyter"))
    ours = _get_overrides("")[0][plugin]
    assert ours == {"fetchNews": "false", "checkForUpdates": False}
    schema = Path(sys.prefix, "share/jupyter/lab/schemas", *plugin.split(":")).with_suffix(".json")
    assert set(ours) <= set(json.loads(schema.read_text(encoding="utf-8"))["properties"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("True", True), ("[1, 2]", [1, 2]), ("cosine", "cosine"), ("-", "-")],
)
def test_parameter_values_are_read_as_python(text: str, value: Any) -> None:
    assert cli.literal(text) == value


@pytest.mark.parametrize(
    ("finding", "code", "lines"),
    [
        (Finding("all well"), 0, ["ok     it          all well", "Everything needed works."]),
        (Finding("", "gone", "fetch it"), 1, ["WRONG  it          gone", "Repair: fetch it"]),
        (Finding("", "odd", needed=False), 0, ["note   it          odd", "Everything needed"]),
    ],
)
def test_check_reports_and_counts_only_what_is_needed(
    finding: Finding,
    code: int,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(check, "LOOKS", {"it": lambda: finding})
    assert cli.main(["check"]) == code
    printed = capsys.readouterr().out
    assert all(line in printed for line in lines)


def test_check_survives_a_look_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Finding:
        raise ImportError("no module named torch")

    monkeypatch.setattr(check, "LOOKS", {"PyTorch": broken})
    assert cli.main(["check"]) == 1
    assert "ImportError: no module named torch" in capsys.readouterr().out


def test_check_finds_a_damaged_weights_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course_lib import weights

    (tmp_path / "toy.safetensors.gz").write_bytes(b"damaged")
    of_tmp_path = partial(weights.whole_file, folder=tmp_path)
    monkeypatch.setattr(weights, "whole_file", of_tmp_path)
    monkeypatch.setattr(weights, "manifest", lambda *_: {"toy": {"sha256": "0" * 64}})
    problem = check.weights().problem
    assert "toy.safetensors.gz is damaged: sha256 " in problem
    assert "git checkout -- data/weights/toy.safetensors.gz" in problem


@pytest.mark.parametrize("name", ["emoji/noto.webp", "samples/"])
def test_check_finds_damaged_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib.data import files, samples

    wrong = {"sha256": "0" * 64, "pixels_sha256": "0" * 64}
    if name == "samples/":
        entries = {one: entry | wrong for one, entry in samples.index().items()}
        monkeypatch.setattr(samples, "index", lambda *_: entries)
    else:
        sound = files.checksums()
        monkeypatch.setattr(files, "checksums", lambda: sound | {name: wrong})
    assert f"git checkout -- data/{name}" in check.data().problem


@pytest.mark.parametrize("name", ["Python", "packages", "PyTorch", "device", "data", "JupyterLab"])
def test_this_machine_passes(name: str) -> None:
    assert check.look_safely(check.LOOKS[name]).problem == ""
