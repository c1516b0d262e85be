"""What can be seen: colours against the ground they stand on, in light and in dark (WCAG 2)."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pydata_sphinx_theme
import pytest

from course_lib import picture

ROOT = Path(__file__).resolve().parent.parent
WIDGETS = ROOT / "course_lib" / "widgets"
GRAPHIC, TEXT = 3.0, 4.5  # the least contrast of a mark, and of letters
THEMES = ("light", "dark")
# JupyterLab's own grounds (--jp-layout-color0), on which a widget stands there.
JUPYTERLAB = {"light": "#ffffff", "dark": "#111111"}


def rgb(colour: str) -> list[float]:
    """Red, green and blue in 0..1 of #abc or #aabbcc."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Between 1 (the same) and 21 (black on white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def variables(style: str, prefix: str) -> dict[str, dict[str, str]]:
    """The colours that a style sheet names, for each theme; dark ones replace light ones."""
    found: dict[str, dict[str, str]] = {"light": {}, "dark": {}}
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style):
        named = dict(re.findall(rf"--{prefix}([\w-]+):\s*(#[0-9a-fA-F]{{3,6}})\b", body))
        for theme in ("dark",) if "dark" in selector else THEMES:
            found[theme] |= named
    return found


def site_colours() -> dict[str, dict[str, str]]:
    """The theme's colours, with the site's own in their place."""
    folder = Path(pydata_sphinx_theme.__file__).parent
    theirs = next(folder.rglob("static/styles/pydata-sphinx-theme.css")).read_text("utf-8")
    ours = (ROOT / "book" / "static" / "course.css").read_text("utf-8")
    both = variables(theirs, "pst-color-"), variables(ours, "pst-color-")
    return {theme: both[0][theme] | both[1][theme] for theme in THEMES}


def grounds(theme: str) -> Iterator[str]:
    yield JUPYTERLAB[theme]
    yield site_colours()[theme]["background"]


def test_contrast_is_wcag_s() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # known to fall short


def test_every_colour_of_a_figure_is_seen_on_its_ground() -> None:
    ground = {"white": "#ffffff"}[picture.STYLE["axes.facecolor"]]
    for colour in [*picture.COLOURS.values(), *picture._OTHERS]:
        assert contrast(colour, ground) >= GRAPHIC, colour
    for name in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
        assert contrast(picture.STYLE[name], ground) >= TEXT, name


def test_no_two_colours_of_a_figure_are_alike() -> None:
    for palette in (picture.COLOURS.values(), picture._OTHERS):
        for one, other in combinations(palette, 2):
            apart = sum((a - b) ** 2 for a, b in zip(rgb(one), rgb(other), strict=True)) ** 0.5
            assert apart > 0.25, (one, other)


@pytest.mark.parametrize("theme", THEMES)
def test_text_of_the_site_is_legible(theme: str) -> None:
    colours = site_colours()[theme]
    for name in ("text-base", "text-muted", "link", "primary"):
        for ground in ("background", "surface"):
            assert contrast(colours[name], colours[ground]) >= TEXT, (name, ground)


@pytest.mark.parametrize("theme", THEMES)
def test_widgets_are_seen_and_their_pressed_buttons_legible(theme: str) -> None:
    marks = variables((WIDGETS / "kit.css").read_text("utf-8"), "cw-")[theme]
    parts = variables((WIDGETS / "paper_map.css").read_text("utf-8"), "cw-")[theme]
    assert set(marks) >= {"data", "noise", "model", "good", "bad"} and len(parts) == 8
    for ground in grounds(theme):
        for name, colour in (marks | parts).items():
            assert contrast(colour, ground) >= GRAPHIC, (name, ground)
        # A pressed button shows its label in the ground's colour on one of these.
        pressed = {name: marks[name] for name in ("data", "good", "bad")} | parts
        for name, colour in pressed.items():
            assert contrast(colour, ground) >= TEXT, (name, ground)
