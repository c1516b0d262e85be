"""Formulas of the website: MathML with TeX's own spaces, and what browsers do not do themselves."""

import base64
import re
import sys
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fontTools.ttLib import TTFont

from tools import fonts

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book"))
import formulas  # noqa: E402
from formulas import letter, mathml  # noqa: E402


def spaces(tex: str) -> list[tuple[str, float]]:
    """The signs of a formula with the space before each, in em, as a browser adds them up."""
    found, behind = [], 0.0
    for node in ElementTree.fromstring(mathml(tex)).iter():
        width = {name: float(node.get(name, "0").removesuffix("em")) for name in SIDES}
        if node.tag == "mspace":
            behind += width["width"]
        elif node.text:
            found.append((node.text, round(behind + width["lspace"], 3)))
            behind = width["rspace"]
    return found


SIDES = ("lspace", "rspace", "width")
THIN, MEDIUM, THICK = 0.167, 0.222, 0.278  # 3, 4 and 5 eighteenths of an em: The TeXbook, ch. 18


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("a-b", [("a", 0), ("−", MEDIUM), ("b", MEDIUM)]),
        ("(-b)", [("(", 0), ("−", 0), ("b", 0), (")", 0)]),
        ("a=-b", [("a", 0), ("=", THICK), ("−", THICK), ("b", 0)]),
        (r"p(x\mid z)", [("p", 0), ("(", 0), ("x", 0), ("∣", THICK), ("z", THICK), (")", 0)]),
        ("f(x,y)", [("f", 0), ("(", 0), ("x", 0), (",", 0), ("y", THIN), (")", 0)]),
        (r"\log p", [("log", 0), ("\u2061", 0), ("p", THIN)]),
        (r"2\sin x", [("2", 0), ("sin", THIN), ("\u2061", 0), ("x", THIN)]),
        (r"\|x\|", [("‖", 0), ("x", 0), ("‖", 0)]),
        (r"a\,b", [("a", 0), ("b", THIN)]),
        (r"x\in\{1\}", [("x", 0), ("∈", THICK), ("{", THICK), ("1", 0), ("}", 0)]),
        ("n!", [("n", 0), ("!", 0)]),
    ],
)
def test_spaces_are_tex_s(tex: str, expected: list[tuple[str, float]]):
    assert spaces(tex) == expected


def test_an_index_has_no_spaces():
    found = spaces("x_{t-1}")
    assert found == [("x", 0), ("t", 0), ("−", 0), ("1", 0)]


def test_letters_of_a_style_are_signs_of_unicode():
    assert "𝒩" in mathml(r"\mathcal N") and "𝔼" in mathml(r"\mathbb E")
    assert "ℝ" in mathml(r"\mathbb R") and "ℒ" in mathml(r"\mathcal L")  # older than the others
    assert "𝟙" in mathml(r"\mathbb 1") and "𝐱" in mathml(r"\mathbf x")
    assert "𝚑𝚊𝚕𝚏" in mathml(r"\texttt{half}")
    told = [r"\mathcal N", r"\mathbb E", r"\mathbf x", r"\mathrm d x", r"\texttt{half}"]
    assert set(re.findall(r'mathvariant="(\w+)"', "".join(map(mathml, told)))) == {"normal"}
    assert [letter("ITALIC", sign) for sign in "xhαϵ∂2"] == ["𝑥", "ℎ", "𝛼", "𝜖", "𝜕", "2"]


def test_accents_are_small_and_primes_stand_behind():
    assert '<mover accent="true"><mi>x</mi>' in mathml(r"\hat x") and "ˆ" in mathml(r"\hat x")
    assert mathml("x'").startswith("<math><mrow><mi>x</mi><mo") and "msup" not in mathml("x'")
    assert mathml("x'_t").startswith("<math><msub><mrow><mi>x</mi><mo")
    assert mathml("x'_t").endswith("</mrow><mi>t</mi></msub></math>")


def test_a_negative_space_is_a_margin():
    found = mathml(r"a\!b")
    assert '<mspace style="margin-left: -0.167em"' in found and 'width="-' not in found


def test_columns_are_set_and_rows_have_a_distance():
    root = ElementTree.fromstring(mathml(r"\begin{aligned} a &= b \\ &= c \end{aligned}", True))
    cells = list(root.iter("mtd"))
    assert [cell.get("class") for cell in cells] == ["right", "left", "right", "left"]
    tops = [cell.get("style", "").split(": ")[1].split(" ")[0] for cell in cells]
    assert tops[:2] == ["0", "0"] and all(top.startswith("calc(3pt") for top in tops[2:])
    cases = ElementTree.fromstring(mathml(r"\begin{cases} 1 & a \\ 0 & b \end{cases}", True))
    assert [cell.get("class") for cell in cases.iter("mtd")] == ["left"] * 4


@pytest.mark.parametrize(
    ("tex", "said"), [(r"\foo{x}", r"Undefined control sequence \foo"), (r"\frac{x", "brace")]
)
def test_what_cannot_be_read_is_named(tex: str, said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        mathml(tex)


def test_a_missing_package_or_file_is_named_with_the_cure():
    with pytest.raises(
        formulas.ExtensionError, match=r'not installed.*pip install -e "\.\[book\]"'
    ):
        formulas.packaged("no-such-package-here", "a")
    with pytest.raises(formulas.ExtensionError, match=r"gone\.js is missing.*pip install"):
        formulas.packaged("sphinx", "gone.js")


def test_a_comma_stays_with_its_formula():
    context = {"body": f"<p>{mathml('t > 0')}, so {mathml('x')} is</p>"}
    formulas.tie(None, "page", "page.html", context, None)
    tied = f'<span class="tied">{mathml("t > 0")},</span>'
    assert context["body"] == f"<p>{tied} so {mathml('x')} is</p>"


def test_the_font_is_small_has_what_the_pages_show_and_roots_of_one_width(tmp_path: Path):
    (tmp_path / "_static").mkdir()
    shown = mathml(r"\sqrt{\bar\alpha_t}\,x_0 + \mathcal N(h)")
    (tmp_path / "page.html").write_text(shown, encoding="utf-8")
    (tmp_path / "_static" / "course.css").write_text("src: url(math.woff2)")
    fonts.put_math_font(tmp_path)
    data = (tmp_path / "_static" / "course.css").read_text().removeprefix("src: url(data:font/")
    file = base64.b64decode(data.removeprefix("woff2;base64,").removesuffix(")"))
    font = TTFont(BytesIO(file))
    signs = font.getBestCmap()
    assert {ord(sign) for sign in "√𝛼𝑥ℎ𝒩𝑡0¯+("} <= set(signs) and ord("β") not in signs
    assert len(file) < 10_000
    large = font["MATH"].table.MathVariants
    (root,) = [large.VertGlyphCoverage.glyphs.index(signs[ord("√")])]
    variants = large.VertGlyphConstruction[root].MathGlyphVariantRecord
    widths = {font["hmtx"][variant.VariantGlyph][0] for variant in variants}
    assert len(variants) > 3
    assert widths == {fonts.ROOT_WIDTH}
    assert "Open Font License" in font["name"].getDebugName(13)
