"""The font of the site's formulas: STIX Two Math, with the signs that its pages use.

Browsers set MathML in a font that knows how large signs are built, and few phones have one. The
font comes from a Python package that ships it (ziamath; the package itself is never imported).
"""

import hashlib
import html
import logging
import re
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book"))
from formulas import letter, packaged  # noqa: E402

FORMULA = re.compile(r"<math\b.*?</math>", re.S)
ROOT_WIDTH = 850  # in thousandths of the font's size
PLACE = "math.woff2"  # what course.css and layout.html call it


def write_math_font(site: Path) -> None:
    """Write the font into a built site, called by what is in it, and put that name into the site.

    Raises ExtensionError, with the command that installs it, when the package is missing.
    """
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    used = set().union(
        *(signs(found) for text in pages.values() for found in FORMULA.findall(text))
    )
    path = packaged("ziamath", "ziamath/fonts/STIXTwoMath-Regular.ttf")
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    options = subset.Options(flavor="woff2", layout_features=["ssty"], hinting=False)
    options.name_IDs = ["*"]  # whose it is, and its licence
    font = subset.load_font(str(path), options)
    maker = subset.Subsetter(options)
    maker.populate(text="".join(sorted(used)))
    maker.subset(font)
    even_roots(font)
    static = site / "_static"
    for old in static.glob("math.*.woff2"):
        old.unlink()  # of the build before
    subset.save_font(font, str(static / PLACE), options)
    name = f"math.{hashlib.sha256((static / PLACE).read_bytes()).hexdigest()[:8]}.woff2"
    (static / PLACE).rename(static / name)
    pages[static / "course.css"] = (static / "course.css").read_text(encoding="utf-8")
    for path, text in pages.items():
        if PLACE in text:
            path.write_text(text.replace(PLACE, name), encoding="utf-8")


def even_roots(font: TTFont) -> None:
    """Make the large root signs as wide as the small one.

    Chromium keeps room for the widest beside every root: a gap before what follows.
    """
    small = font.getBestCmap().get(ord("√"))
    variants = font["MATH"].table.MathVariants
    if small not in variants.VertGlyphCoverage.glyphs:
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
