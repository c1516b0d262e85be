"""Link every chapter that the prose names and that exists: in notebooks, solutions and glossary.

python tools/link_chapters.py

Chapter 0 promises that a chapter named without a link is still to come. So run this when a new
chapter is in its place: whatever named it before then leads to it.
"""

import re
from pathlib import Path

import nbformat

from course_lib.core.tensors import atomic_write
from course_lib.data.files import ROOT

FOLDERS = ROOT / "notebooks", ROOT / "notebooks" / "solutions"
FILES = {int(path.name[:2]): path.name for path in FOLDERS[0].glob("[0-9][0-9]_*.ipynb")}
NAMED = re.compile(r"\b[Cc]hapters?[ \n]\d+\b(?:(?:, | and | to | or |, and )\d+\b(?!\.\d))*")
# Where a number stays one: code, formulas, links, tags, headings, the titles of directives.
KEPT = re.compile(
    r"^(`{3,})\w[^\n]*\n.*?^\1[^\n]*$|^(?:`{3,}|:{3,})[^\n]*$|^#+ [^\n]*$|"
    r"\$\$.*?\$\$|\$[^$\n]+\$|`[^`\n]+`|!?\[[^\]]*\](?:\([^)]*\)|\{[^}]*\})?|<[^>\n]*>",
    re.M | re.S,
)


def linked(text: str, to: str = "", own: int | None = None) -> str:
    """`text` with links to chapters in the folder `to`. Its own chapter, `own`, gets none."""

    def link(number: str, label: str) -> str:
        name = FILES.get(int(number)) if int(number) != own else None
        return f"[{label}]({to}{name})" if name else label

    def named(found: re.Match[str]) -> str:
        numbers = re.findall(r"\d+", found[0])
        if len(numbers) == 1:
            return link(numbers[0], found[0])
        return re.sub(r"\d+", lambda one: link(one[0], one[0]), found[0])

    parts, start = [], 0
    for kept in KEPT.finditer(text):
        parts += [NAMED.sub(named, text[start : kept.start()]), kept[0]]
        start = kept.end()
    return "".join([*parts, NAMED.sub(named, text[start:])])


def linked_notebook(path: Path) -> str:
    """The file's text with every chapter linked; a byte that needs no change has none."""
    notebook = nbformat.read(path, 4)
    to = "../" if path.parent.name == "solutions" else ""
    own = int(path.name[:2]) if path.name[0].isdigit() and not to else None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source, to, own)
    return nbformat.writes(notebook, 4) + "\n"


def pages() -> dict[Path, str]:
    """What each page should be."""
    found = [path for one in FOLDERS for path in sorted(one.glob("[0-9b]*.ipynb"))]
    glossary = ROOT / "docs" / "glossary.md"
    text = linked(glossary.read_text(encoding="utf-8"), "../notebooks/")
    return {**{path: linked_notebook(path) for path in found}, glossary: text}


if __name__ == "__main__":
    for path, text in pages().items():
        if text != path.read_text(encoding="utf-8"):
            atomic_write(path, text.encode("utf-8"))
            print(path.relative_to(ROOT))
