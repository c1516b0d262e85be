"""The reference pages: what the build writes of the library, the scoreboards and the licences."""

import ast
import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml

from tools import library_pages, licences, scoreboards

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MARK = re.compile(r"<!-- modules: ([^>]*?) -->")

# ---- the library --------------------------------------------------------------------------------


def placed() -> list[str]:
    """The modules of all pages of the library."""
    names = []
    for path in sorted((DOCS / "library").glob("*.md")):
        for mark in MARK.findall(path.read_text(encoding="utf-8")):
            names += library_pages.listed(mark)
    return names


def test_every_module_is_described_on_one_page():
    names, every = placed(), library_pages.modules()
    assert len(every) > 60
    missing = sorted(set(every) - set(names))
    assert not missing, f"enter them in the mark of a page under docs/library: {missing}"
    assert sorted(names) == sorted(every)


def test_every_page_of_the_library_is_in_the_contents_and_in_the_overview():
    pages = {path.stem for path in (DOCS / "library").glob("*.md")}
    contents = (ROOT / "jupyter_book.yml").read_text(encoding="utf-8")
    overview = (DOCS / "library.md").read_text(encoding="utf-8")
    named = " ".join(re.findall(r"<!-- library: (.*?) -->", overview)).split()
    assert sorted(named) == sorted(pages)
    assert all(f"- file: docs/library/{page}\n" in contents for page in pages)


@pytest.mark.parametrize("module", library_pages.modules())
def test_a_page_has_every_public_function_with_all_that_it_takes(module):
    page = library_pages.module_page(module)
    for node in library_pages.definitions(module):
        found = re.search(
            rf"^`````{{py:(?:function|class)}} {node.name}\b.*?^`````$", page, re.M | re.S
        )
        assert found, node.name
        if isinstance(node, ast.FunctionDef):
            for one in library_pages.every(node.args):
                assert f"`{one.arg}`" in found[0], (node.name, one.arg)
    assert "_Table" not in page and "```text\n\n```" not in page


def typed(code: str, module: str = "diffusion.samplers") -> str:
    annotation = ast.parse(f"x: {code}").body[0]
    assert isinstance(annotation, ast.AnnAssign)
    return library_pages.spoken(annotation.annotation, module)


@pytest.mark.parametrize(
    "code, said",
    [
        ('Float[Tensor, "batch *dims"]', "float `[batch, *dims]`"),
        ('Float[Tensor, ""]', "float, a single number"),
        ('Int[Tensor, " n"] | None', "int `[n]` or None"),
        ('Shaped[Tensor, "..."]', "tensor of any shape"),
        ("tuple[Data, Time]", "(float `[batch, *dims]`, number `[batch]`)"),
        ("Sequence[int]", "`Sequence[int]`"),
        ("NoiseSchedule", "{py:obj}`NoiseSchedule <course_lib.diffusion.schedules.NoiseSchedule>`"),
        ("Denoise", "{py:obj}`Denoise <course_lib.core.types.Denoise>`"),
        ("float", "`float`"),
    ],
)
def test_types_are_said_as_shapes(code, said):
    assert typed(code) == said


def test_a_docstring_comes_apart_into_what_it_does_what_it_takes_and_how_it_fails():
    doc = """Do it.

    Why.

    x        [batch], a number
             for each
    high, low   two levels

    Raises ValueError for none.
    """
    parts = library_pages.said(doc)
    assert parts.before == ["Do it.", "Why."]
    assert parts.rows == {"x": "[batch], a number for each", "high, low": "two levels"}
    assert parts.after == ["Raises ValueError for none."]


def test_signs_of_a_docstring_are_not_taken_for_markup():
    text = library_pages.prose("E[x_0 | x_t] * 2 <b> $1 and `x_0`\n goes on")
    assert text == r"E\[x\_0 \| x\_t\] \* 2 \<b\> \$1 and `x_0` goes on"


def test_an_entry_says_shapes_defaults_errors_and_where_it_is_built():
    page = library_pages.module_page("diffusion.samplers")
    step = page[page.index("{py:function} ddim_step") :].split("\n`````")[0]
    assert (
        "ddim_step(denoise, schedule, x_t, t, s, *, eta=0.0, randn_like=torch.randn_like)" in step
    )
    assert "- `eta`: `float` · 0 is deterministic" in step
    assert "- `t`, `s`: number `[batch]`" in step
    assert "Gives float `[batch, *dims]`." in step
    assert "(../../notebooks/14_ddim.ipynb)" in step
    ddpm = page[page.index("{py:function} ddpm_step") :].split("\n`````")[0]
    assert "- `ValueError`: unknown variance …" in ddpm


@pytest.mark.parametrize(
    "name, chapter",
    [
        ("diffusion.guidance.classifier_free", "17"),
        ("diffusion.guidance.classifier_guided", "16"),
        ("diffusion.samplers.ddpm_step", "07"),
        ("diffusion.samplers.heun_step", "19"),
        ("diffusion.ode.flow", "11"),
        ("metrics.frechet_distance", "09"),
        ("models.clip.clip_loss", "21"),
    ],
)
def test_the_chapter_that_builds_a_function_is_found(name, chapter):
    entry = library_pages.uses()[name]
    assert entry.built[:2] == chapter
    assert entry.chapters == sorted(set(entry.chapters))


def test_chapters_are_found_by_imports_of_names_of_modules_and_under_other_names():
    code = ast.parse(
        "from course_lib import recipes\n"
        "from course_lib.diffusion import samplers as walks\n"
        "from course_lib.core.checks import check_close\n"
        "recipes.ddpm(net); walks.sample(1); check_close(1, 1); other.ddpm()"
    )
    found = library_pages.used(code, library_pages.imported(code))
    assert {"recipes.ddpm", "diffusion.samplers.sample", "core.checks.check_close"} <= found
    assert "other.ddpm" not in found


def test_an_unknown_module_is_named():
    with pytest.raises(ValueError, match=r"no module 'diffusion\.sampler'"):
        library_pages.module_page("diffusion.sampler")


# ---- the scoreboards ----------------------------------------------------------------------------

CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_s_scoreboard_is_on_the_page(path):
    page, one = scoreboards.page(), scoreboards.scoreboard(path)
    assert f"(../notebooks/{path.name}#scoreboard)" in page
    assert len(one.tables) >= 1
    assert all(table in page for table in one.tables)
    words = [part for part in one.parts if part not in one.tables]
    assert words, "no paragraph says what the numbers mean beside each other"


def notebook(folder: Path, *cells: tuple[str, str, list]) -> Path:
    path = folder / "90_x.ipynb"
    made = [{"cell_type": kind, "source": text, "outputs": out} for kind, text, out in cells]
    path.write_text(json.dumps({"cells": made}), encoding="utf-8")
    return path


def shows(html: str) -> list:
    return [{"data": {"text/html": html}}]


def test_only_the_section_s_own_tables_and_sentences_are_taken(tmp_path):
    board = '<div class="course-table">7</div>'
    path = notebook(
        tmp_path,
        ("markdown", "# 90. Title", []),
        ("code", "1", shows('<div class="course-table">before</div>')),
        ("markdown", "Text.\n\n## Scoreboard\n\nHow it goes.\n\n**What compares.** All.", []),
        ("code", "2", shows(board)),
        (
            "markdown",
            "See [there](09_x.ipynb): it reproduces.\n\n## What breaks, and why\n\ncompare",
            [],
        ),
        ("code", "3", shows('<div class="course-table">after</div>')),
    )
    one = scoreboards.scoreboard(path)
    assert one.title == "90. Title"
    assert one.parts == (
        "**What compares.** All.",
        board,
        "See [there](09_x.ipynb): it reproduces.",
    )
    assert scoreboards.moved(one.parts[2]) == "See [there](../notebooks/09_x.ipynb): it reproduces."


def test_a_chapter_without_a_table_is_named(tmp_path):
    path = notebook(tmp_path, ("markdown", "# 90. Title\n\n## Scoreboard", []))
    with pytest.raises(ValueError, match=r"90_x\.ipynb: no cell under `## Scoreboard`"):
        scoreboards.scoreboard(path)


# ---- licences, cards, how to cite ---------------------------------------------------------------


def test_every_folder_of_data_says_whose_it_is():
    tracked = {path.name for path in (ROOT / "data").iterdir() if path.is_dir()}
    assert set(licences.folders()) == tracked
    assert set(licences.OWN) <= tracked
    page, cards = licences.page(), licences.cards()
    for name in tracked:
        folder = ROOT / "data" / name
        assert f"### `data/{name}`" in page
        assert (folder / "CARD.md").exists() == (f"`data/{name}`\n" in cards)
        for path in licences.texts(folder):
            assert f"`{path.relative_to(ROOT)}`" in page
        if (folder / "NOTICE").exists():
            assert licences.texts(folder), f"data/{name} has a NOTICE and no text of a licence"
            for word in (folder / "NOTICE").read_text(encoding="utf-8").split():
                assert word in page


def test_a_folder_without_a_card_is_refused_with_the_cure(tmp_path):
    (tmp_path / "faces").mkdir()
    with pytest.raises(ValueError, match=r"data/faces has no CARD\.md: write one"):
        licences.folders(tmp_path)


def test_every_shipped_weight_is_listed_once():
    manifest = json.loads((ROOT / "data" / "weights" / "manifest.json").read_text("utf-8"))
    names = re.findall(r"`(\w+)`", licences.of_weights())
    assert sorted(names) == sorted(manifest)
    assert all(
        about["licence"] in licences.of_weights()
        for about in manifest.values()
        if "licence" in about
    )


def test_what_the_site_carries_is_what_its_pages_are_made_with():
    conf = (ROOT / "book" / "conf.py").read_text(encoding="utf-8")
    for package in licences.CARRIED:
        assert distribution(package).files
    for extension in ("sphinx_design", "sphinx_copybutton", "sphinx_togglebutton", "myst_nb"):
        assert extension in conf and extension.replace("_", "-") in licences.CARRIED
    assert "sphinx_book_theme" in conf
    theme = distribution("pydata-sphinx-theme")
    said = " ".join(
        Path(str(theme.locate_file(file))).read_text(encoding="utf-8")
        for file in theme.files or []
        if file.name.endswith(".js.LICENSE.txt")
    )
    assert "Bootstrap" in said and "Licensed under MIT" in said
    assert "Icons: CC BY 4.0, Fonts: SIL OFL 1.1, Code: MIT" in said


def test_the_citation_agrees_with_the_package_and_the_book():
    about = licences.citation()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    book = yaml.safe_load((ROOT / "jupyter_book.yml").read_text(encoding="utf-8"))
    assert (about["version"], about["license"]) == (project["version"], project["license"])
    assert about["title"] == book["title"]
    assert "title = {Diffusion, step by step}" in licences.bibtex()


# ---- questions, glossary ------------------------------------------------------------------------


def test_every_question_has_an_answer_and_a_way_to_the_proof():
    text = (DOCS / "faq.md").read_text(encoding="utf-8")
    questions = re.split(r"^### ", text, flags=re.M)[1:]
    assert len(questions) >= 30
    for question in questions:
        head, _, answer = question.partition("\n")
        assert re.search(r"\.\./notebooks/\d\d_\w+\.ipynb#", answer), head
        answer = re.split(r"\n## ", answer)[0]
        said = re.split(r"\b(?:See|Asked in|Discussed in|Proven)\b", answer)[0]
        assert 2 <= len(re.findall(r"[.?!](?:\s|$)", said)) <= 7, head
    threads = re.findall(r"https://github\.com/[\w./-]+/(?:issues|pull)/\d+", text)
    assert len(threads) == len(set(threads)) > 20


def test_the_glossary_has_each_term_once():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8").split("```{glossary}")[1]
    terms = re.findall(r"^(\w[^\n:]*)\n  \S", text, re.M)
    assert len(terms) > 90 and len(terms) == len({term.lower() for term in terms})
    for term in re.findall(r"\{term\}`([^`]+)`", text):
        assert term in terms
