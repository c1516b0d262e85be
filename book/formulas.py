"""Sphinx extension of the book: formulas in a line, as they stand until MathJax has set them.

Each is told how wide it will be, so that the lines keep their breaks when it is set (course.css
has the rule), and is tied to the mark that follows: a browser would put a comma on the next line.
"""

import html
import re

FORMULA = re.compile(
    r'<span class="math notranslate nohighlight">\\\((.*?)\\\)</span>([,.;:!?)’”]*)', re.S
)
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S")
# Widths in em of the formula's own size. What is not named is as wide as an ordinary letter.
NAMES = {0.0: "bar hat tilde mathcal mathbb mathbf mathrm text texttt textstyle left right big Big"}
NAMES |= {
    0.17: ",",
    1.0: "quad int",
    1.33: "to le ge ne in sim approx equiv propto mapsto times cdot pm mid",
}
NAMES |= {0.83: "sqrt sum nabla", 0.64: "alpha", 1.5: "log exp cos sin min max"}
WIDE = {name: width for width, names in NAMES.items() for name in names.split()}
SIGNS = (
    dict.fromkeys("=<>", 1.33) | dict.fromkeys("+-", 1.22) | dict.fromkeys("(),.[]|:;'/!tijl", 0.38)
)
SIGNS |= dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0.72)


def width(tex: str) -> float:
    """About how wide a formula is, in em: its letters side by side, an index at 0.7 of its size."""
    total, size, group, sizes = 0.0, 1.0, 1.0, []
    for token in TOKEN.findall(tex):
        if token == "{":
            sizes.append(group)
            group = size
        elif token == "}":
            group = sizes.pop() if sizes else 1.0
        elif token in "^_":
            size, total = 0.7 * group, total + 0.04
            continue
        else:
            total += size * (
                WIDE.get(token[1:], 0.55) if token[0] == "\\" else SIGNS.get(token, 0.5)
            )
        size = group
    return total


def prepare(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Write widths and ties into a page."""
    if body := context.get("body"):
        context["body"] = FORMULA.sub(prepared, body)


def prepared(found: re.Match) -> str:
    """One formula with its width, in one box with the marks behind it."""
    wide = width(html.unescape(found[1]))
    formula = (
        found[0].removesuffix(found[2]).replace(" class", f' style="--w:{wide:.1f}em" class', 1)
    )
    return f'<span class="tied">{formula}{found[2]}</span>' if found[2] else formula


def setup(app) -> dict[str, bool]:
    app.connect("html-page-context", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
