"""The website: its configuration, its pages, their links, and that nothing comes from elsewhere."""

import base64
import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from everything import build_everything
from fontTools.ttLib import TTFont

from tools.fonts import FORMULA, signs
from tools.new_chapter import with_chapter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book"))
import chapters  # noqa: E402

CONFIG = yaml.safe_load((ROOT / "jupyter_book.yml").read_text(encoding="utf-8"))

# What jupyter-book 1's schema allows, and our one addition, `toc`, which it tolerates.
JUPYTER_BOOK_1 = {
    "title": str,
    "author": str,
    "exclude_patterns": list,
    "only_build_toc_files": bool,
    "execute": dict,
    "bibtex_bibfiles": list,
    "parse": dict,
    "html": dict,
    "sphinx": dict,
    "toc": dict,
}


# ---- the configuration --------------------------------------------------------------------------


def test_the_configuration_keeps_to_jupyter_book_1():
    assert set(CONFIG) <= set(JUPYTER_BOOK_1)
    for key, value in CONFIG.items():
        assert isinstance(value, JUPYTER_BOOK_1[key]), key
    assert CONFIG["execute"]["execute_notebooks"] in ("auto", "force", "cache", "inline", "off")
    assert set(CONFIG["parse"]) <= {"myst_enable_extensions", "myst_url_schemes"}
    assert set(CONFIG["sphinx"]) <= {"extra_extensions", "local_extensions", "config"}
    assert set(CONFIG["toc"]) == {"format", "root", "parts"}
    assert CONFIG["toc"]["format"] == "jb-book"


def listed(node: object) -> list[str]:
    """Every `file` and `root` of the table of contents, in its order."""
    if isinstance(node, list):
        return [name for item in node for name in listed(item)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [name for value in node.values() for name in listed(value)]
    return []


def test_the_contents_list_every_notebook_once_and_nothing_else():
    names = listed(CONFIG["toc"])
    kinds = ("[0-9]*", "bugs_*", "solutions/[0-9]*")
    found = [path for kind in kinds for path in ROOT.glob(f"notebooks/{kind}.ipynb")]
    notebooks = {path.relative_to(ROOT).with_suffix("").as_posix() for path in found}
    assert len(names) == len(set(names))
    assert {name for name in names if name.startswith("notebooks/")} == notebooks
    rest = [name for name in names if not name.startswith("notebooks/")]
    assert all((ROOT / f"{name}.md").exists() for name in rest)


@pytest.mark.parametrize("name", ["01_refresher", "09_how_good", "34_flow_matching"])
def test_a_new_chapter_and_its_solutions_enter_the_contents_in_order(name):
    text = (ROOT / "jupyter_book.yml").read_text(encoding="utf-8")
    names = listed(yaml.safe_load(with_chapter(text, name))["toc"])
    chapters = [name for name in names if name.startswith("notebooks/")]
    assert set(names) - set(listed(CONFIG["toc"])) == {
        f"notebooks/{name}",
        f"notebooks/solutions/{name}",
    }
    numbers = [Path(chapter).name[:2] for chapter in chapters]
    assert numbers == sorted(numbers)


def test_the_notation_has_one_row_for_each_name():
    with (ROOT / "book" / "notation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {4}
    names = [name for row in rows[1:] for name in re.findall(r"`([^`]+)`", row[2])]
    assert len(names) == len(set(names)) > 15
    assert {"x_0", "x_t", "eps", "alpha", "sigma", "alpha_bar", "beta", "t", "s"} <= set(names)


def test_a_widget_is_taken_as_a_notebook_saved_it(tmp_path):
    number, model = chapters.saved_widget(ROOT / "notebooks", "14", "live_sampler")
    assert model["state"]["network"] == "fashion_ddpm" and "_esm" not in model["state"]
    assert chapters.saved_widget(ROOT / "notebooks", "14", "no_such_widget") is None
    assert chapters.saved_widget(tmp_path, "14", "live_sampler") is None


def saves(path: Path, name: str, **state: object) -> None:
    """A notebook that has one widget of that name."""
    told = {"_anywidget_id": f"course_lib.widgets.{name}.Some", "_esm": "code", **state}
    saved = {chapters.STATE: {"state": {name: {"state": told}}}}
    path.write_text(json.dumps({"cells": [], "metadata": {"widgets": saved}}))


FRONT = """# A
<!-- if live_sampler -->
garment <!-- widget live_sampler -->
<!-- end -->
between
<!-- if prompt_box -->
emoji <!-- widget prompt_box -->
<!-- end -->
<!-- if paper_map -->
[a link](#the-map)
<!-- end -->
"""


def test_the_front_page_has_the_widgets_that_are_there_and_no_gap(tmp_path):
    assert chapters.with_widgets(FRONT, tmp_path) == "# A\nbetween\n"
    saves(tmp_path / "14_ddim.ipynb", "live_sampler", steps=8)
    early = chapters.with_widgets(FRONT, tmp_path)
    assert "garment" in early and "emoji" not in early and "link" not in early
    saves(tmp_path / "27_imagen.ipynb", "prompt_box", prompt="a </script> b")
    page = chapters.with_widgets(FRONT, tmp_path)
    blocks = re.findall(r'<script type="([^"]*)">(.*?)</script>', page, re.S)
    views = [json.loads(body)["model_id"] for kind, body in blocks if kind == chapters.VIEW]
    assert views == ["live_sampler", "prompt_box"]
    (states,) = [json.loads(body)["state"] for kind, body in blocks if kind == chapters.STATE]
    assert set(states) == set(views) and states["live_sampler"]["state"]["steps"] == 8
    assert states["prompt_box"]["state"]["prompt"] == "a </script> b"
    assert "_esm" not in states["prompt_box"]["state"] and "<!--" not in page


def test_the_front_page_marks_each_of_its_widgets():
    text = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- if (\w+) -->", text)) == set(chapters.FRONT)
    assert set(re.findall(r"<!-- widget (\w+) -->", text)) == set(chapters.FRONT)
    assert text.count("<!-- if ") == text.count("<!-- end -->")


def test_the_path_says_how_long_a_chapter_takes(tmp_path):
    cell = {"cell_type": "markdown", "source": "- **Time**: 2.5 hours to read, 30 seconds to run."}
    for name in ("07_ddpm_maths", "08_ddpm_images"):
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": [cell]}))
        cell = {"cell_type": "markdown", "source": "no time"}
    lines = [line for line in chapters.path(tmp_path).splitlines() if line.startswith("- [")]
    assert len(lines) == 2 and "2 h 30" in lines[0] and "h 30" not in lines[1]
    found = [chapters.duration(minutes) for minutes in (0, 45, 60, 150)]
    assert found == ["", "45 min", "1 h", "2 h 30"]


# ---- the pages ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["every element", "the course"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites: one with every element on a page, and the course itself by its own command."""
    folder = tmp_path_factory.mktemp("site")
    if request.param == "every element":
        return build_everything(folder)
    command = [sys.executable, "-m", "tools.build_book", str(folder / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder / "html"


class Links(HTMLParser):
    """What a page loads, where it links, and the ids it offers."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.policies: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "author"):
            self.loads.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(values["content"])


def read(path: Path) -> Links:
    page = Links()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def pages(site: Path) -> dict[Path, Links]:
    """Every page, without the theme's templates and the empty one that leads to the front page."""
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: read(path) for path in found if path != site / "index.html"}


def target(page: Path, link: str) -> Path:
    """The file that a relative link names."""
    path = unquote(urlsplit(link).path)
    return (page.parent / path).resolve() if path else page.resolve()


def test_a_page_says_what_it_is_about_and_loads_no_more_than_it_needs(site: Path):
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        known = path.parent.name in ("notebooks", "docs", "book")
        assert text.count('name="description"') == int(known) or not known, path
        assert "fontawesome.js" not in text, path  # the icons are in the style
        assert ("searchindex.js" in text) == (path.name == "search.html"), path
        assert len(re.findall('<link rel="stylesheet"', text)) == 1, path
        assert "widget-state+json" not in text, path
        for picture in re.findall(r"<img [^>]*_images/[^>]*png[^>]*>", text):
            assert 'loading="lazy"' in picture and "height=" in picture, (path, picture)
    (style,) = site.glob("_static/course.*.css")
    kept = style.read_text(encoding="utf-8")
    assert ".fa-bars" in kept and "fa-solid-900" in kept and ".fa-skull-crossbones" not in kept
    assert style.stat().st_size < 280_000  # what the theme and its parts bring is 550 kB
    (icons,) = site.glob("_static/vendor/fontawesome/webfonts/fa-solid-900.woff2")
    assert icons.stat().st_size < 15_000 and ord("\uf0c9") in TTFont(icons).getBestCmap()
    assert not [*site.rglob("*.map"), *site.rglob("fontawesome.js")]


def test_nothing_is_loaded_from_another_host(site: Path):
    for path, page in pages(site).items():
        for load in page.loads:
            if load.startswith("data:"):
                continue
            assert not re.match(r"(\w+:)?//", load), (path, load)
            assert target(path, load).is_file(), (path, load)
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", style.read_text()), style


def test_every_page_forbids_other_hosts(site: Path):
    for path, page in pages(site).items():
        assert len(page.policies) == 1, path
        # For the theme's inline scripts, and for networks in WebAssembly: no other code runs.
        scripts = "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval';"
        assert scripts in page.policies[0] and "http" not in page.policies[0]
        assert page.policies[0].count("unsafe-eval") == 1


def test_every_internal_link_arrives(site: Path):
    everything = {path.resolve(): page for path, page in pages(site).items()}
    checked = 0
    for path, page in everything.items():
        for link in page.links:
            if re.match(r"(https?|mailto):", link) or "javascript:" in link:
                continue
            file, fragment = target(path, link), unquote(urlsplit(link).fragment)
            if file == site.resolve() / "index.html":
                continue
            assert file.is_file(), (path, link)
            if fragment and file in everything:
                assert fragment in everything[file].ids, (path, link)
            checked += 1
    assert checked > 50


class Names(HTMLParser):
    """The images of a page without a text in their place, and its controls without a name."""

    def __init__(self) -> None:
        super().__init__()
        self.labelled: set[str] = set()  # ids that a <label for=...> names
        self.nameless: list[tuple[str, dict[str, str]]] = []
        self.images = self.controls = 0
        self._open: list[tuple[str, dict[str, str], list[str]]] = []  # buttons, with their words

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        named = values.get("aria-label") or values.get("aria-labelledby") or values.get("title")
        if tag == "label" and "for" in values:
            self.labelled.add(values["for"])
        if tag == "img":
            self.images += 1
            for _, _, words in self._open:
                words.append(values.get("alt", ""))
            # The logo stands beside the site's name: it alone may be passed over in silence.
            alt = values.get("alt", "").strip()
            if not alt and "logo__image" not in values.get("class", ""):
                self.nameless.append((tag, values))
            if "_images/" in alt or alt.startswith("<"):  # a file's name, or a class of Python
                self.nameless.append((tag, values))
        elif tag in ("input", "select", "textarea") and values.get("type") != "hidden":
            self.controls += 1
            if not named:
                self.nameless.append((tag, values))
        elif tag == "button":
            self.controls += 1
            self._open.append((tag, values, [named or ""]))

    def handle_data(self, data: str) -> None:
        for _, _, words in self._open:
            words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            tag, values, words = self._open.pop()
            if not "".join(words).strip():
                self.nameless.append((tag, values))


def test_every_image_has_words_and_every_control_a_name(site: Path):
    images = controls = 0
    for path in pages(site):
        page = Names()
        page.feed(path.read_text(encoding="utf-8"))
        without = [found for found in page.nameless if found[1].get("id") not in page.labelled]
        assert not without, (path, without)
        images, controls = images + page.images, controls + page.controls
    assert images > 3 and controls > 10


def test_the_first_page_leads_to_the_front_page(site: Path):
    assert "book/index.html" in (site / "index.html").read_text()


def test_every_notebook_can_be_downloaded(site: Path):
    notebooks = list((site / "notebooks").rglob("*.html"))
    assert notebooks
    for path in notebooks:
        downloads = [link for link in read(path).links if link.endswith(".ipynb")]
        assert any(target(path, link).is_file() for link in downloads), path
        copy = next(target(path, link) for link in downloads if target(path, link).is_file())
        assert json.loads(copy.read_text(encoding="utf-8"))["cells"]


def test_every_widget_of_a_page_has_its_state_and_its_script(site: Path):
    checked = 0
    for path, page in pages(site).items():
        text = path.read_text(encoding="utf-8")
        views = re.findall(r'<script type="[^"]*widget-view\+json">(.*?)</script>', text, re.S)
        if not views:
            continue
        (saved,) = [load for load in page.loads if "_static/saved/" in load]
        assert (
            page.loads.index(saved) + 1
            == [place for place, load in enumerate(page.loads) if "static-host.js" in load].pop()
        ), path
        script = target(path, saved).read_text(encoding="utf-8")
        states = json.loads(script.removeprefix("window.courseSaved = ").removesuffix(";\n"))
        for view in views:
            state = states["state"][json.loads(view)["model_id"]]["state"]
            identity = state.get("_anywidget_id", "")
            if identity.startswith("course_lib.widgets."):
                name = identity.split(".")[-2]
                assert (site / "_static" / "widgets" / f"{name}.js").is_file(), (path, name)
                checked += 1
    assert checked


# What browsers know of MathML (MathML Core); other elements they show as a row of their parts.
CORE = {"math", "mi", "mn", "mo", "mtext", "mspace", "mrow", "mfrac", "msqrt", "mroot", "mstyle"}
CORE |= {"msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"}


def test_every_formula_is_mathml_that_browsers_know_in_a_font_that_has_its_signs(site: Path):
    (style,) = site.glob("_static/course.*.css")
    font = re.search(r"url\(data:font/woff2;base64,([^)]*)\)", style.read_text(encoding="utf-8"))
    assert font and len(font[1]) < 50_000
    shapes = TTFont(BytesIO(base64.b64decode(font[1]))).getBestCmap()
    seen = 0
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        assert "MathJax" not in text and r"\(" not in re.sub(r"<script.*?</script>", "", text), path
        formulas = FORMULA.findall(text)
        assert ("document.fonts.load" in text) == bool(formulas) or path.parent.name == "book", path
        for formula in formulas:
            assert set(re.findall(r"<(\w+)", formula)) <= CORE, (path, formula)
            assert set(re.findall(r'mathvariant="([^"]*)"', formula)) <= {"normal"}, formula
            missing = {sign for sign in signs(formula) if ord(sign) not in shapes}
            assert not {sign for sign in missing if sign.strip() and sign != "\u2061"}, formula
            seen += 1
    assert seen > 5


def test_the_library_is_described_with_a_place_for_each_function(site: Path):
    path = site / "docs" / "library" / "sampling.html"
    if not path.exists():  # the site with every element has no chapters to lead to
        assert (site / "notebooks" / "90_everything.html").exists()
        return
    place = "course_lib.diffusion.samplers.sample"
    assert place in read(path).ids
    overview = (site / "docs" / "library.html").read_text(encoding="utf-8")
    assert "library/sampling.html#module-course_lib.diffusion.samplers" in overview
    assert f'id="{place}"' in path.read_text(encoding="utf-8")


def test_search_knows_the_words_of_the_pages(site: Path):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "tweedi" in index.lower() and '"docs/glossary"' in index


def test_equations_and_exercises_are_numbered_by_chapter(site: Path):
    page = site / "notebooks" / "90_everything.html"
    if not page.exists():
        page = next(iter(sorted(site.glob("notebooks/07_*.html"))))
    text, chapter = page.read_text(encoding="utf-8"), int(page.stem[:2])
    numbers = re.findall(r'<span class="eqno">\((\d+)\.(\d+)\)', text)
    assert numbers and {int(number) for number, _ in numbers} == {chapter}
    assert [int(count) for _, count in numbers] == list(range(1, len(numbers) + 1))


def test_an_unknown_option_is_answered_with_the_usage():
    command = [sys.executable, "-m", "tools.build_book", "--fast"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "into FOLDER" in done.stdout
