"""The fonts of the site, each with the signs that its pages show and no others.

Browsers set MathML in a font that knows how large signs are built, and few phones have one. STIX
Two Math has all that the course needs; it comes from a Python package that ships it (ziamath; the
package itself is never imported). The icons come with the theme.
"""

import base64
import html
import logging
import re
import sys
from io import BytesIO
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book"))
from formulas import letter, packaged  # noqa: E402

FORMULA = re.compile(r"<math\b.*?</math>", re.S)
ROOT_WIDTH = 850  # in thousandths of the font's size
ICONS = "Course Icons, a part of Font Awesome Free"
OFL = "SIL Open Font License, Version 1.1: https://openfontlicense.org"


def put_math_font(site: Path) -> None:
    """Put the font of formulas into a built site's course.css, where it is there at once.

    Raises ExtensionError, with the command that installs it, when the package is missing.
    """
    pages = [path.read_text(encoding="utf-8") for path in site.rglob("*.html")]
    found = {formula for text in pages for formula in FORMULA.findall(text)}
    path = packaged("ziamath", "ziamath/fonts/STIXTwoMath-Regular.ttf")
    font = part_of(path, set().union(*map(signs, found)))
    even_roots(font)
    data = base64.b64encode(written(font)).decode()
    style = site / "_static" / "course.css"
    text = style.read_text(encoding="utf-8")
    style.write_text(text.replace("math.woff2", f"data:font/woff2;base64,{data}"), "utf-8")


def put_icons(font_path: Path, css: str) -> None:
    """Leave those icons in a font that a stylesheet names, under another name: it is not whole."""
    told = {chr(int(code, 16)) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", css)}
    font = part_of(font_path, told | set(re.findall(r"[\ue000-\uf8ff]", css)))  # or as it is
    for number in (1, 3, 4, 6, 16):
        font["name"].setName(ICONS, number, 3, 1, 0x409)
    font["name"].setName(OFL, 13, 3, 1, 0x409)
    font_path.write_bytes(written(font))


def part_of(path: Path, signs: set[str]) -> TTFont:
    """A font with these signs alone. It still says whose it is."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    # Without the other shapes that STIX has for indices: they double it.
    options = subset.Options(layout_features=[], hinting=False)
    options.name_IDs = ["*"]
    font = subset.load_font(str(path), options)
    maker = subset.Subsetter(options)
    maker.populate(text="".join(sorted(signs)))
    maker.subset(font)
    return font


def written(font: TTFont) -> bytes:
    """A font as WOFF2."""
    font.flavor, file = "woff2", BytesIO()
    font.save(file)
    return file.getvalue()


def even_roots(font: TTFont) -> None:
    """Make the large root signs as wide as the small one.

    Chromium keeps room for the widest beside every root: a gap before what follows.
    """
    small = font.getBestCmap().get(ord("√"))
    variants = font["MATH"].table.MathVariants
    if small is None:
        return
    built = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(small)]
    built.GlyphAssembly = None  # for roots higher than three lines; its parts are wide, too
    for name in {variant.VariantGlyph for variant in built.MathGlyphVariantRecord}:
        wide, left = font["hmtx"][name]
        scale = ROOT_WIDTH / wide
        glyph = font["glyf"][name]
        glyph.coordinates.scale((scale, 1))
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (ROOT_WIDTH, round(left * scale))


def signs(formula: str) -> set[str]:
    """The signs that a formula shows. A letter that stands alone is shown in italics."""
    root = "√" if "<msqrt" in formula or "<mroot" in formula else ""
    alone = re.findall(r"<mi>([^<&])</mi>", formula)
    shown = html.unescape(re.sub(r"<[^>]*>", "", formula))
    return {*shown, *root, *(letter("ITALIC", sign) for sign in alone)}
