"""Sphinx extension of the book: reference pages that are made from the repository at each build.

A page under docs/ says in its own words what it is; where it has a mark, such as
`<!-- scoreboards -->` or `<!-- modules: diffusion.samplers -->`, the build puts what belongs there.
"""

import re
from collections.abc import Callable
from pathlib import Path

from tools import library_pages, licences, scoreboards

BIBLIOGRAPHY = Path(__file__).resolve().parent.parent / "data" / "references.bib"
MARK = re.compile(r"<!-- (?P<what>[a-z]+)(?:: (?P<names>[^>]*?))? -->", re.S)


def modules(app, document: str, names: str) -> str:
    """Descriptions of the modules named, in that order."""
    up = "../" * document.count("/")
    return "\n\n".join(library_pages.module_page(name, up) for name in library_pages.listed(names))


def library(app, document: str, names: str) -> str:
    """For each page named a table of its modules that leads to them."""
    parts = []
    for page in names.split():
        text = (Path(app.srcdir) / f"docs/library/{page}.md").read_text(encoding="utf-8")
        rows = []
        for mark in MARK.finditer(text):
            for name in library_pages.listed(mark["names"] or ""):
                link = f"{{py:mod}}`{name} <course_lib.{name}>`"
                rows.append(f"| {link} | {library_pages.summary(name)} |")
        parts.append(f"| [{title(text)}](library/{page}.md) | |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def title(text: str) -> str:
    """The first heading of a page."""
    return text.partition("\n")[0].removeprefix("# ")


def contents(app, document: str, names: str) -> str:
    """A card for each page named that the book has: its title, and how it begins."""
    cards = []
    for name in names.split():
        if f"docs/{name}" not in app.env.found_docs:
            continue
        text = (Path(app.srcdir) / f"docs/{name}.md").read_text(encoding="utf-8")
        opening = next((part for part in text.split("\n\n") if re.match(r"\w", part)), "")
        first = re.match(r".*?[.:](?=\s|$)", " ".join(opening.split()))
        words = re.sub(
            r"\[([^\]]*)\]\([^)]*\)", r"\1", first[0].rstrip(".:") + "." if first else ""
        )
        head = f":::{{grid-item-card}} {title(text)}"
        cards.append(f"{head}\n:link: {name}\n:link-type: doc\n{words}\n:::")
    return "::::{grid} 1 1 2 2\n:gutter: 3\n\n" + "\n".join(cards) + "\n::::"


def chapters_of_papers() -> dict[str, list[str]]:
    """For each key of data/references.bib the numbers of the chapters in its note."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{(\w+),(.*?)^\}", text, re.M | re.S)
    notes = {key: re.search(r"note = \{(.*?)\}", body) for key, body in entries}
    return {key: re.findall(r"\b\d\d\b", note[1]) if note else [] for key, note in notes.items()}


def readings(app, document: str, names: str) -> str:
    """For each chapter the papers that the bibliography says are read in it."""
    found: dict[str, list[str]] = {}
    for key, said in chapters_of_papers().items():
        for number in said:
            found.setdefault(number, []).append(f"{{cite:t}}`{key}`")
    lines = []
    for number, papers in sorted(found.items()):
        written = [one for one in app.env.found_docs if one.startswith(f"notebooks/{number}_")]
        link = f"[Chapter {number}](../{written[0]}.ipynb)" if written else f"Chapter {number}"
        head = link if written else f"{link}, planned"
        lines.append(f"- {head}: {', '.join(papers)}")
    return "\n".join(lines)


MAKERS: dict[str, Callable[..., str]] = {
    "modules": modules,
    "library": library,
    "contents": contents,
    "scoreboards": lambda app, document, names: scoreboards.page(),
    "licences": lambda app, document, names: licences.page(),
    "readings": readings,
    "cards": lambda app, document, names: licences.cards(),
}


def fill(app, document: str, source: list[str]) -> None:
    """Put what belongs there in the place of each mark of a page under docs/."""
    if document.startswith("docs/"):
        source[0] = MARK.sub(
            lambda mark: MAKERS[mark["what"]](app, document, mark["names"] or ""), source[0]
        )


def setup(app) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
