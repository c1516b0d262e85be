"""Sphinx extension of the book: path and live network on the front page, numbers by chapter."""

import json
import re
from pathlib import Path

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
MAP = Path(__file__).resolve().parent.parent / "course_lib" / "widgets" / "paper_map.json"


def path(folder: Path) -> str:
    """The course's parts and chapters as Markdown; chapters found in `folder` are links."""
    written = {file.stem[:2]: file.stem for file in folder.glob("[0-9][0-9]_*.ipynb")}
    cards = []
    for part in json.loads(MAP.read_text(encoding="utf-8"))["parts"]:
        lines = []
        for chapter in part["chapters"]:
            number, title = chapter["number"], chapter["title"]
            if number in written:
                lines.append(f"- [{number} · {title}](../notebooks/{written[number]}.ipynb)")
            else:
                lines.append(f"- <span class='planned'>{number} · {title}</span>")
        cards.append(f":::{{grid-item-card}} {part['name']}\n" + "\n".join(lines) + "\n:::")
    options = ":gutter: 2\n:class-container: front-path"
    return f"::::{{grid}} 1 1 2 2\n{options}\n\n" + "\n".join(cards) + "\n::::"


def bugs(folder: Path) -> str:
    """What leads to the pages of "Spot the bug", where `folder` has them."""
    pages = sorted(file.name for file in folder.glob("bugs_*.ipynb"))
    if not pages:
        return ""
    link = f"[Spot the bug](../notebooks/{pages[0]})"
    return f"To test yourself: {link}, thirty bugs from public reports to find and mend."


def saved_widget(notebook: Path, name: str) -> str:
    """A widget as a notebook saved it, in HTML that static-host.js brings to life.

    Nothing where the notebook is not there or has no widget of that name.
    """
    if not notebook.exists():
        return ""
    saved = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("widgets", {})
    for number, model in saved.get(STATE, {"state": {}})["state"].items():
        if f".{name}." in model["state"].get("_anywidget_id", ""):
            for code in ("_esm", "_css"):  # the site has them in files
                model["state"].pop(code, None)
            state = json.dumps({"state": {number: model}}).replace("</", "<\\/")
            view = json.dumps({"model_id": number})
            return f'<script type="{VIEW}">{view}</script>\n<script type="{STATE}">{state}</script>'
    return ""


def fill_front(app, document: str, source: list[str]) -> None:
    """Replace the marks in the front page by the path, the live network and the way to the bugs."""
    if document == "book/index":
        notebooks = Path(app.srcdir) / "notebooks"
        widget = saved_widget(notebooks / "14_ddim.ipynb", "live_sampler")
        source[0] = source[0].replace("<!-- path -->", path(notebooks))
        source[0] = source[0].replace("<!-- live -->", widget)
        source[0] = source[0].replace("<!-- bugs -->", bugs(notebooks))


def bring_to_life(app, page: str, template: str, context: dict, doctree) -> None:
    """Load what draws saved widgets on the front page, which is no notebook."""
    if page == "book/index":
        app.add_js_file("widgets/static-host.js", defer="")


def number_by_chapter(app, env) -> None:
    """Number equations, figures, tables and exercises by chapter: 7.1, 7.2, … in 07_….ipynb.

    Sphinx counts them through all pages, so that a new chapter would renumber the later ones.
    """
    for document, kinds in env.toc_fignumbers.items():
        chapter = re.match(r"notebooks/(?:.*/)?(\d\d)_", document)
        for numbers in kinds.values():
            for count, label in enumerate(numbers, start=1):
                numbers[label] = (int(chapter[1]), count) if chapter else (count,)


def setup(app) -> dict[str, bool]:
    app.connect("source-read", fill_front)
    app.connect("html-page-context", bring_to_life)
    app.connect("env-check-consistency", number_by_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
