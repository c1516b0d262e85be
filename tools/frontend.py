"""Put the website's front-end files into place, from packages that are already installed.

MathJax comes from a Python package that ships it; each file is named in frontend.lock.json with
its sha256, so that nothing else can reach a page. The widgets come from course_lib/widgets.

    python -m tools.frontend --lock     write the lock anew, after a change of the package's pin
"""

import hashlib
import json
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = Path(__file__).with_name("frontend.lock.json")

PACKAGE = "django-static-mathjax"
INSIDE = "mathjax/static/mathjax"  # where the package keeps MathJax
WANTED = ("LICENSE", "es5/tex-chtml.js", "es5/output/chtml/fonts/woff-v2/*.woff")
WANTED += ("es5/input/tex/extensions/*.js",)


class FrontendError(Exception):
    """A front-end file is missing or is not the one that was locked."""


def package_folder() -> tuple[Path, str]:
    """Where the installed package keeps MathJax, and the package's version.

    Raises FrontendError, with the command that installs it, when it is not there.
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        raise FrontendError(
            f'{PACKAGE} is not installed. It comes with the book extra: pip install -e ".[book]"'
        ) from None
    return Path(str(package.locate_file(INSIDE))), package.version


def copy_mathjax(target: Path) -> None:
    """Copy MathJax to `target`, every file checked against the lock.

    Raises FrontendError naming the file and both checksums, or both versions.
    """
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    folder, version = package_folder()
    if version != lock["version"]:
        raise FrontendError(f"{PACKAGE} is {version}, the lock was made for {lock['version']}")
    for name, expected in lock["files"].items():
        data = read(folder / name)
        if (found := hashlib.sha256(data).hexdigest()) != expected:
            raise FrontendError(f"{folder / name} has sha256 {found}, the lock says {expected}")
        place = target / name.removeprefix("es5/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def read(path: Path) -> bytes:
    """The bytes of a file of the package; FrontendError when it is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FrontendError(f"{path} is missing: install {PACKAGE} anew") from None


def copy_widgets(target: Path) -> None:
    """Write each widget as a plain script that `static-host.js` can load, and one style for all.

    Those that run networks are told which there are, if tools/networks.py has put them there.
    """
    from course_lib.widgets.base import HERE, SHARED, module
    from course_lib.widgets.paper_map import course_map, reading_times, written_chapters

    target.mkdir(parents=True, exist_ok=True)
    networks = target / "networks" / "networks.json"
    for path in sorted(HERE.glob("*.js")):
        if path.stem in SHARED:
            continue
        source = module(path.stem).replace("export default", "return").replace("export ", "")
        source = f"courseWidgets.{path.stem} = (() => {{\n{source}\n}})();\n"
        if networks.exists() and './network.js"' in path.read_text(encoding="utf-8"):
            source += f"courseWidgets.networks = {networks.read_text(encoding='utf-8')};\n"
        (target / path.name).write_text(source, encoding="utf-8")
    # The map was saved with the chapters of its day; on the site it shows those of the site.
    written, minutes = written_chapters(), reading_times()
    with (target / "paper_map.js").open("a", encoding="utf-8") as script:
        script.write(f"courseWidgets.chapters = {json.dumps(written)};\n")
        script.write(f"courseWidgets.minutes = {json.dumps(minutes)};\n")
    planned = [chapter for part in course_map()["parts"] for chapter in part["chapters"]]
    chapters = [{**chapter, "file": written.get(chapter["number"])} for chapter in planned]
    course = json.dumps({"chapters": chapters, "routes": course_map()["routes"]})
    source = f"(() => {{\nconst course = {course};\n{module('reading', ROOT / 'book')}\n}})();\n"
    (target / "reading.js").write_text(source, encoding="utf-8")
    own = [path for path in sorted(HERE.glob("*.css")) if path.stem != "kit"]
    styles = [path.read_text(encoding="utf-8") for path in (HERE / "kit.css", *own)]
    (target / "widgets.css").write_text("\n".join(styles), encoding="utf-8")
    shutil.copy(ROOT / "book" / "static-host.js", target)


def write_lock() -> None:
    """Lock the wanted files as the installed package has them."""
    folder, version = package_folder()
    paths = sorted({path for pattern in WANTED for path in folder.glob(pattern)})
    lock = {
        "package": PACKAGE,
        "version": version,
        "licence": "Apache-2.0",
        "files": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
        },
    }
    LOCK.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--lock"]:
        sys.exit(__doc__)
    write_lock()
