"""The `course` command: lab, run, train, imagine, book, check.

    course lab                         open the course in JupyterLab
    course run 07 --profile cpu        execute a chapter into runs/, leaving the notebook as it is
    course run 07 -p seed 3            ... with a parameter of its own
    course train NAME --steps 500      train one of the course's models into runs/
    course imagine "a red apple"       draw a prompt with the course's text-to-emoji model
    course book                        render the website
    course check                       what works on this machine, and how to mend the rest

Exit codes: 0 done, 1 it failed, 2 the question was wrong (the message lists the valid answers).
"""

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "runs"
PROFILES = ("fast", "cpu", "gpu")


class WrongRequest(Exception):
    """The command line asks for something that does not exist; the message says what does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one `course` command; returns the exit code."""
    options, rest = make_parser().parse_known_args(arguments)
    if rest and options.command is not lab:
        make_parser().error(f"unrecognised: {' '.join(rest)}")
    try:
        return lab(rest) if options.command is lab else options.command(options)
    except WrongRequest as problem:
        print(f"course: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("course: stopped", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Describe the six commands."""
    parser = argparse.ArgumentParser(prog="course", description="Diffusion, step by step.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Callable[..., int], words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(command=function)
        return added

    command("lab", lab, "open the course in JupyterLab; further options go to JupyterLab")

    run_ = command("run", run, "execute a chapter into runs/, leaving the notebook as it is")
    run_.add_argument("chapter", help="its number or its name: 7, 07, 07_ddpm_maths")
    run_.add_argument("--profile", default="fast", help=f"how much to compute: {PROFILES}")
    run_.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set one of the chapter's parameters",
    )

    train_ = command("train", train, "train a model into runs/; goes on where it stopped")
    train_.add_argument("name", help="which model; an unknown name lists them")
    train_.add_argument("--steps", type=positive, help="at most the recipe's (default: all)")
    train_.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    train_.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    train_.add_argument(
        "--compiled",
        action="store_true",
        help="let torch.compile fuse each step: a slow start, then faster on a GPU",
    )

    imagine_ = command("imagine", imagine, "draw a prompt with the course's text-to-emoji model")
    imagine_.add_argument("prompt", nargs="?", help='"noto style: red apple on a blue background"')
    imagine_.add_argument("--negative", help="what to lead away from")
    imagine_.add_argument("--guidance", type=float, help="how much to insist (default: 3)")
    imagine_.add_argument("--steps", type=positive, help="of the walk (default: 25)")
    imagine_.add_argument("--seed", type=int, help="of the noise (default: 0)")
    imagine_.add_argument("--count", type=positive, help="pictures, of seeds in a row (default: 1)")
    imagine_.add_argument("--enlarge", type=positive, default=4, help="each pixel (default: 4)")
    imagine_.add_argument("--like", type=Path, help="a PNG of this command: its settings, but ...")
    imagine_.add_argument("--out", type=Path, help="file to write (default: a new one in runs/)")

    command("book", book, "render the website from the committed notebooks")
    command("check", check, "say what works on this machine, and how to mend what does not")
    return parser


def lab(jupyter_options: list[str]) -> int:
    """Open JupyterLab at the first chapter, with the repository as its root."""
    first = "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"
    # Nothing here needs a network, so JupyterLab asks none for news or updates.
    quiet = [
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    command = [sys.executable, "-m", "jupyter", "lab", f"--notebook-dir={ROOT}", first, *quiet]
    # Nor does it ask the reader whether it may: a default, below whatever settings they have.
    paths = [str(ROOT / "tools" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}
    server = subprocess.Popen([*command, *jupyter_options], cwd=ROOT, env=environment)
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # Ctrl-C reaches JupyterLab too, which asks before it stops
            continue


def run(options: argparse.Namespace) -> int:
    """Execute one chapter by papermill into a new folder under runs/."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    notebook = one_chapter(options.chapter)
    parameters = checked_parameters(notebook, options.profile, options.parameters)
    result = new_folder(RUNS / notebook.stem) / notebook.name
    print(f"{notebook.relative_to(ROOT)} -> {result.relative_to(ROOT)}", flush=True)
    try:
        papermill.execute_notebook(
            notebook,
            result,
            parameters,
            cwd=NOTEBOOKS,
            kernel_name="python3",
            log_output=True,
            extra_arguments=["--log-level=ERROR"],  # the kernel's, not the chapter's, warnings
        )
    except PapermillExecutionError as error:
        where = f"cell {error.exec_count} of {result.relative_to(ROOT)}"
        print(f"course: {where} failed: {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    return 0


def train(options: argparse.Namespace) -> int:
    """Train one named model of course_lib.trainings; its folder under runs/ keeps the run."""
    from course_lib.trainings import TRAININGS

    training = chosen(options.name, TRAININGS, "training")
    folder = RUNS / "train" / options.name
    print(f"training {options.name} into {folder.relative_to(ROOT)}", flush=True)
    try:
        training(folder, options.device, options.precision, options.steps, options.compiled)
    except ValueError as problem:  # an unknown device or precision, a run of another config
        raise WrongRequest(str(problem)) from problem
    return 0


def imagine(options: argparse.Namespace) -> int:
    """Draw a prompt into a new PNG, which keeps the settings it was drawn with."""
    from tqdm.auto import tqdm

    from course_lib import imagine as painting

    try:
        settings, count = wished(options)
        if options.out and options.out.exists():
            raise WrongRequest(f"{options.out} is there already. Name another file: --out FILE")
        if options.enlarge > (most := painting.MOST_ENLARGED):
            raise WrongRequest(f"pictures cannot be enlarged by {options.enlarge} (1 to {most})")
        for note in painting.notes(settings):
            print(f"course: {note}", file=sys.stderr)
        painting.painter()
        with tqdm(total=count * settings.steps, desc="drawing", leave=False) as bar:
            pictures = painting.imagine(settings, count, lambda *_: bar.update())
        sheet = painting.sheet(pictures, options.enlarge)
        while True:  # another run may take the free name first
            path = options.out or next_free(RUNS / "imagine", ".png")
            try:
                painting.save_png(path, sheet, settings, count)
                break
            except FileExistsError:
                if options.out:
                    raise
    except (ValueError, FileNotFoundError, FileExistsError) as problem:
        raise WrongRequest(str(problem)) from problem
    print(path)
    return 0


def wished(options: argparse.Namespace) -> tuple[Any, int]:
    """The settings asked for, beginning with those of `--like`, and how many pictures."""
    from course_lib.imagine import Settings, settings_in

    if options.like is None and options.prompt is None:
        raise WrongRequest('what shall it be? course imagine "a red apple"')
    start, count = (Settings(""), 1) if options.like is None else settings_in(options.like)
    asked = {
        "prompt": options.prompt,
        "negative": options.negative,
        "guidance_scale": options.guidance,
        "steps": options.steps,
        "seed": options.seed,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return replace(start, **given), options.count or count


def book(options: argparse.Namespace) -> int:
    """Render the website."""
    return subprocess.run([sys.executable, "-m", "tools.build_book"], cwd=ROOT).returncode


def check(options: argparse.Namespace) -> int:
    """Look at everything the course needs."""
    from course_lib.check import report

    return report()


def one_chapter(wanted: str) -> Path:
    """The notebook with this number or name."""
    chapters = {path.stem: path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    stem = Path(wanted).name.removesuffix(".ipynb")
    numbered = [name for name in chapters if wanted.isdigit() and int(name[:2]) == int(wanted)]
    return chosen(numbered[0] if numbered else stem, chapters, "chapter")


def checked_parameters(notebook: Path, profile: str, pairs: list[list[str]]) -> dict[str, Any]:
    """The chapter's parameters as asked for, each known to its `parameters` cell."""
    import papermill

    known = {name: found["default"] for name, found in papermill.inspect_notebook(notebook).items()}
    asked = {"PROFILE": profile} | {name: literal(value) for name, value in pairs}
    for name in asked:
        chosen(name, known, f"parameter of {notebook.stem}")
    chosen(asked["PROFILE"], dict.fromkeys(PROFILES), "profile")
    return asked


def chosen(wanted: str, valid: Mapping[str, Any], what: str) -> Any:
    """`valid[wanted]`, or a wrong request that lists what is valid."""
    from course_lib.core.checks import one_of  # here, because it brings PyTorch along

    try:
        one_of(wanted, valid, what)
    except ValueError as problem:
        raise WrongRequest(str(problem)) from problem
    return valid[wanted]


def literal(text: str) -> Any:
    """Read a parameter's value as Python would, else as plain text: 3, 0.1, True, cosine."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def positive(text: str) -> int:
    """A whole number above zero, for argparse."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def next_free(parent: Path, suffix: str) -> Path:
    """The first of parent/001.png, parent/002.png, ... that does not exist."""
    number = 1
    while (path := parent / f"{number:03d}{suffix}").exists():
        number += 1
    return path


def new_folder(parent: Path) -> Path:
    """Make the next free folder parent/001, parent/002, ...: nothing is ever overwritten."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / f"{number:03d}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


if __name__ == "__main__":
    sys.exit(main())
