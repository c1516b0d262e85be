"""Sphinx extension of the book: the front page, numbers by chapter, what a page is about."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from docutils import nodes

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
MAP = Path(__file__).resolve().parent.parent / "course_lib" / "widgets" / "paper_map.json"
# The widgets of the front page, and the chapter in whose notebook each is saved.
FRONT = {"live_sampler": "14", "prompt_box": "27", "paper_map": "00"}


def path(folder: Path) -> str:
    """The course's parts and chapters as Markdown; chapters found in `folder` are links."""
    from course_lib.widgets.paper_map import reading_times, written_chapters

    written, minutes, cards = written_chapters(folder), reading_times(folder), []
    for part in json.loads(MAP.read_text(encoding="utf-8"))["parts"]:
        lines = []
        for chapter in part["chapters"]:
            number, title = chapter["number"], chapter["title"]
            if number in written:
                time = f" <span class='time'>{duration(minutes.get(number, 0))}</span>"
                lines.append(f"- [{number} · {title}](../notebooks/{written[number]}.ipynb){time}")
            else:
                lines.append(f"- <span class='planned'>{number} · {title}</span>")
        cards.append(f":::{{grid-item-card}} {part['name']}\n" + "\n".join(lines) + "\n:::")
    options = ":gutter: 2\n:class-container: front-path"
    return f"::::{{grid}} 1 1 2 2\n{options}\n\n" + "\n".join(cards) + "\n::::"


def duration(minutes: int) -> str:
    """Minutes as people say them: 45 min, 2 h, 2 h 30; nothing for none."""
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest or ''}".strip() if hours else f"{rest} min" if rest else ""


def bugs(folder: Path) -> str:
    """What leads to the pages of "Spot the bug", where `folder` has them."""
    pages = sorted(file.name for file in folder.glob("bugs_*.ipynb"))
    if not pages:
        return ""
    link = f"[Spot the bug](../notebooks/{pages[0]})"
    return f"To test yourself: {link}, thirty bugs from public reports to find and mend."


def saved_widget(folder: Path, number: str, name: str) -> tuple[str, dict] | None:
    """A widget as a chapter's notebook saved it: its id and its state. None where there is none."""
    for notebook in folder.glob(f"{number}_*.ipynb"):
        saved = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("widgets", {})
        for model_id, model in saved.get(STATE, {"state": {}})["state"].items():
            if f".{name}." in model["state"].get("_anywidget_id", ""):
                for code in ("_esm", "_css"):  # the site has them in files
                    model["state"].pop(code, None)
                return model_id, model
    return None


def with_widgets(text: str, folder: Path) -> str:
    """The page with its widgets, in HTML that static-host.js brings to life.

    Where `folder` has no such widget, all from `<!-- if NAME -->` to `<!-- end -->` is left out.
    """
    states = {}
    for name, number in FRONT.items():
        saved = saved_widget(folder, number, name)
        keep = r"\1" if saved else ""
        text = re.sub(rf"<!-- if {name} -->\n(.*?)<!-- end -->\n", keep, text, flags=re.S)
        if saved:
            states[saved[0]] = saved[1]
            view = f'<script type="{VIEW}">{json.dumps({"model_id": saved[0]})}</script>'
            around = f'<div class="front-widget front-{name}">{view}</div>'
            text = text.replace(f"<!-- widget {name} -->", around)
    state = json.dumps({"state": states}).replace("</", "<\\/")  # one for all: the host reads one
    return f'{text}\n\n<script type="{STATE}">{state}</script>\n' if states else text


def fill_front(app, document: str, source: list[str]) -> None:
    """Replace the marks in the front page by the path, the widgets and the way to the bugs."""
    if document == "book/index":
        notebooks = Path(app.srcdir) / "notebooks"
        text = source[0].replace("<!-- path -->", path(notebooks))
        text = text.replace("<!-- bugs -->", bugs(notebooks))
        source[0] = with_widgets(text, notebooks)


def name_pictures(app, doctree: nodes.document) -> None:
    """Give each picture of a notebook the words that it was saved with for readers who hear it.

    MyST-NB leaves them out, so that the name of the picture's file would be read out. That name is
    the checksum of the picture.
    """
    notebook = Path(app.env.doc2path(app.env.docname))
    if notebook.suffix != ".ipynb":
        return
    words = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                data = base64.b64decode("".join(picture))
                words[hashlib.sha256(data).hexdigest()] = alt
    for node in doctree.findall(nodes.image):
        if alt := words.get(Path(node["uri"]).stem):
            node["alt"] = alt


def bring_to_life(app, page: str, template: str, context: dict, doctree) -> None:
    """Load what draws saved widgets on the front page, which is no notebook."""
    if page == "book/index":
        app.add_js_file("widgets/static-host.js", defer="")


def say_what_it_is(app, page: str, template: str, context: dict, doctree) -> None:
    """Give a page a description for search engines: what a chapter builds, or how a page begins.

    One that says it in its own head is left alone.
    """
    told = context.get("metatags", "")
    if doctree is None or 'name="description"' in told:
        return
    texts = [" ".join(found.astext().split()) for found in doctree.findall(nodes.paragraph)]
    texts = [text for text in texts if len(text) > 40]
    about = next((text for text in texts if text.startswith("You build: ")), "".join(texts[:1]))
    about = about.removeprefix("You build: ")
    if about:
        short = about if len(about) <= 160 else about[:160].rsplit(" ", 1)[0] + " …"
        context["metatags"] = f'{told}<meta name="description" content="{html.escape(short)}" />\n'


def let_the_page_come_first(app, page: str, template: str, context: dict, doctree) -> None:
    """Have the scripts wait until the page is there.

    But for the settings, which inline scripts read at once, and on the page of the search.
    """
    if page == "search" or "script_files" not in context:
        return
    scripts = []
    for script in context["script_files"]:
        name = str(getattr(script, "filename", None) or "")
        if name.endswith(".js") and "documentation_options" not in name:
            about = {**script.attributes, "defer": "defer"}
            script = type(script)(script.filename, priority=script.priority, **about)
        scripts.append(script)
    context["script_files"] = scripts


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
    app.connect("doctree-read", name_pictures)
    app.connect("html-page-context", bring_to_life)
    app.connect("html-page-context", say_what_it_is)
    app.connect("html-page-context", let_the_page_come_first, priority=900)
    app.connect("env-check-consistency", number_by_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
