"""Start a chapter: `python tools/new_chapter.py 34_flow_matching ["Flow matching"]`.

Copies the templates to the chapter's notebook, its solutions, its exercises and their wrong
answers, and enters it in the table of contents. It refuses to overwrite anything.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENTS = ROOT / "jupyter_book.yml"


def main() -> int:
    """Make the chapter's four files, or say in one line why not."""
    if not 2 <= len(sys.argv) <= 3 or not re.fullmatch(r"\d\d_[a-z0-9_]+", sys.argv[1]):
        return fail("give the number and name of the chapter: make chapter NAME=34_flow_matching")
    name = sys.argv[1]
    title = sys.argv[2] if len(sys.argv) == 3 else name[3:].replace("_", " ").capitalize()
    taken = sorted((ROOT / "notebooks").glob(f"{name[:2]}_*.ipynb"))
    files = copies(name[:2], name)
    taken += [path for path in files.values() if path.exists()]
    if taken:
        return fail(f"chapter {name[:2]} exists: {taken[0].relative_to(ROOT)}; nothing was changed")
    for template, path in files.items():
        text = template.read_text(encoding="utf-8")
        text = text.replace("{NUMBER}", name[:2]).replace("{NAME}", name).replace("{TITLE}", title)
        path.write_text(
            text.replace("exercises._template", f"exercises.ch{name[:2]}"), encoding="utf-8"
        )
        print(f"made {path.relative_to(ROOT)}")
    CONTENTS.write_text(with_chapter(CONTENTS.read_text(encoding="utf-8"), name), encoding="utf-8")
    print(f"entered in {CONTENTS.name}")
    return 0


def copies(number: str, name: str) -> dict[Path, Path]:
    """Each template and where its copy goes."""
    lessons, library, tests = ROOT / "notebooks", ROOT / "course_lib", ROOT / "tests"
    return {
        lessons / "_template.ipynb": lessons / f"{name}.ipynb",
        lessons / "solutions/_template.ipynb": lessons / f"solutions/{name}.ipynb",
        library / "exercises/_template.py": library / f"exercises/ch{number}.py",
        tests / "exercises/_template.py": tests / f"exercises/test_ch{number}.py",
    }


def with_chapter(contents: str, name: str) -> str:
    """The table of contents with one more chapter and its solutions, in the order of numbers."""
    lines = contents.splitlines()
    entry = re.compile(r"(\s*)- file: notebooks/(\d\d)_")
    found = [(i, m) for i, line in enumerate(lines) if (m := entry.match(line))]
    if not found:
        raise SystemExit(f"{CONTENTS.name} lists no `- file: notebooks/NN_...` to stand beside")
    before = [(i, m) for i, m in found if m[2] < name[:2]] or found[:1]
    place, neighbour = before[-1]
    indent = neighbour[1]
    place += 1
    while place < len(lines) and lines[place].startswith(indent + " "):
        place += 1  # the neighbour's own sections
    lines[place:place] = [
        f"{indent}- file: notebooks/{name}",
        f"{indent}  sections:",
        f"{indent}    - file: notebooks/solutions/{name}",
    ]
    return "\n".join(lines) + "\n"


def fail(words: str) -> int:
    print(f"new chapter: {words}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
