"""A chapter that is named is a link if it exists, and is left alone where a link would not do."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from link_chapters import linked, pages  # noqa: E402

SEVEN, EIGHT = "07_ddpm_maths.ipynb", "08_ddpm_images.ipynb"


def test_the_prose_links_every_chapter_that_it_names_and_that_is_written():
    unlinked = [path.name for path, text in pages().items() if text != path.read_text("utf-8")]
    assert unlinked == [], "run `python tools/link_chapters.py`"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("See chapter 7's table.", f"See [chapter 7](../{SEVEN})'s table."),
        ("Chapter 7, section 10", f"[Chapter 7](../{SEVEN}), section 10"),
        ("in chapters 7, 99 and 8.", f"in chapters [7](../{SEVEN}), 99 and [8](../{EIGHT})."),
        ("```{exercise} Of chapter 7\nchapter 7\n```\n", None),
        ("```python\n# chapter 7\n```\nchapter 7", None),
    ],
)
def test_links_go_where_they_should(text, wanted):
    # In a title or in code the name stays one, and only the last of two is linked.
    head, _, tail = text.rpartition("chapter 7")
    assert linked(text, "../") == (wanted or f"{head}[chapter 7](../{SEVEN}){tail}")


@pytest.mark.parametrize(
    "text",
    [
        "chapter 99 is still to come",
        "this is chapter 8",
        f"[chapter 7]({SEVEN}) and [chapter 7, the end]({SEVEN}#end)",
        "## After chapter 7",
        "`chapter 7` and $chapter 7$",
        ":::{admonition} Beside chapter 7",
    ],
)
def test_nothing_else_changes(text):
    assert linked(text, own=8) == text
