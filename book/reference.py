"""Sphinx extension of the book: reference pages that are made from the repository at each build.

A page under docs/ says in its own words what it is; where it has a mark, such as
`<!-- scoreboards -->` or `<!-- modules: diffusion.samplers -->`, the build puts what belongs there.
"""

import re
from collections.abc import Callable
from pathlib import Path

from tools import library_pages, licences, scoreboards

MARK = re.compile(r"<!-- (?P<what>[a-z]+)(?:: (?P<names>[^>]*?))? -->", re.S)


def modules(app, document: str, names: str) -> str:
    """Descriptions of the modules named, in that order."""
    up = "../" * document.count("/")
    return "\n\n".join(library_pages.module_page(name, up) for name in names.split())


def library(app, document: str, names: str) -> str:
    """For each page named a table of its modules that leads to them."""
    parts = []
    for page in names.split():
        text = (Path(app.srcdir) / f"docs/library/{page}.md").read_text(encoding="utf-8")
        rows = []
        for mark in MARK.finditer(text):
            for name in (mark["names"] or "").split():
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


MAKERS: dict[str, Callable[..., str]] = {
    "modules": modules,
    "library": library,
    "contents": contents,
    "scoreboards": lambda app, document, names: scoreboards.page(),
    "licences": lambda app, document, names: licences.page(),
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
