"""Render the website: the committed notebooks, with the outputs they were committed with.

    python -m tools.build_book            into _build/html
    python -m tools.build_book FOLDER     into FOLDER

Needs the Python environment and nothing else; warnings are errors. The site makes no request to
another host and can also be opened from disk.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for `python tools/build_book.py`

from sphinx.errors import SphinxError  # noqa: E402

from tools.fonts import put_math_font  # noqa: E402
from tools.frontend import FrontendError, copy_widgets  # noqa: E402
from tools.light import lighten  # noqa: E402


def build(target: Path, source: Path = ROOT, *more: str) -> int:
    """Build `source` into `target`; returns Sphinx's exit code, 0 when all is well.

    more: further options of sphinx-build, such as `-D name=value`.
    """
    from sphinx.cmd.build import main as sphinx_build

    work = target.with_name(f"{target.name}-work")
    os.environ["COURSE_BOOK_WORK"] = str(work)  # conf.py reads it
    shutil.rmtree(work, ignore_errors=True)
    widgets = work / "frontend" / "widgets"
    put_networks(widgets / "networks")
    copy_widgets(widgets)
    options = ["--quiet", "--fresh-env", "--fail-on-warning", "--keep-going", *more]
    folders = ["-c", str(ROOT / "book"), "-d", str(work / "doctrees")]
    code = sphinx_build(["-b", "html", *options, *folders, str(source), str(target)])
    if code == 0:
        leave_out_what_nobody_asks_for(target / "_static")
        put_math_font(target)
        lighten(target)
    return code


def leave_out_what_nobody_asks_for(static: Path) -> None:
    """Remove the theme's maps of its sources, and its icons as a script: 5 MB of the site."""
    for path in [*static.rglob("*.map"), static / "scripts" / "fontawesome.js"]:
        path.unlink(missing_ok=True)


def put_networks(folder: Path) -> None:
    """Networks for the reader's browser; or why there are none, in one line.

    In a Python of its own: to export a network changes PyTorch for the whole process.
    """
    done = subprocess.run([sys.executable, "-m", "tools.networks", str(folder)], cwd=ROOT)
    if done.returncode:
        raise FrontendError("the networks for the browser were not made")


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__)
        return 2
    target = Path(arguments[0] if arguments else ROOT / "_build" / "html").resolve()
    try:
        code = build(target)
    except (FrontendError, SphinxError) as problem:
        print(f"build_book: {problem}", file=sys.stderr)
        return 1
    if code == 0:
        print(f"The site is in {target}; open {target / 'index.html'} in a browser.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
