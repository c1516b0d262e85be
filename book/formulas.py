"""Sphinx extension of the book: formulas as MathML, so that a page shows them without a script.

MathJax reads the TeX, in V8 and while the book is built (formulas.js). What browsers do not do by
themselves yet, such as script letters and the columns of a table, is put in here.
"""

import atexit
import html
import re
import unicodedata
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

HERE = Path(__file__).resolve().parent
MATHJAX = ("core.js", "adaptors/liteDOM.js", "input/tex-base.js", "input/tex/extensions/ams.js")
LETTERS = {"double-struck": "DOUBLE-STRUCK", "script": "SCRIPT", "monospace": "MONOSPACE"}
LETTERS |= {"bold": "BOLD"}
DROPPED = ("LATIN", "GREEK", "LUNATE", "LETTER")
OLDER = {"MATHEMATICAL ITALIC SMALL H": "PLANCK CONSTANT"}
ACCENTS = {"^": "ˆ", "~": "˜", "¯": "¯", "˙": "˙", "→": "→"}  # as TeX has them: small, and close
TABLE = {"columnalign": "center", "columnspacing": "0.8em", "rowspacing": "1ex"}  # unless told
TIED = re.compile(r"(<math>(?:(?!</math>).)*</math>)([,.;:!?)’”]+)", re.S)


def packaged(package: str, path: str) -> Path:
    """A file that an installed package brings; ExtensionError with the cure where it is missing."""
    try:
        found = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        found = None
    if found is None or not found.exists():
        missing = f"{package} is not installed" if found is None else f"{found} is missing"
        raise ExtensionError(f'{missing}. It comes with the book: pip install -e ".[book]"')
    return found


@cache
def reader():
    """MathJax's reader of TeX, started once."""
    from py_mini_racer import MiniRacer

    machine = MiniRacer()
    atexit.register(machine.close)  # left to Python's own end, it may wait for ever
    machine.eval("var MathJax = {};")
    for name in MATHJAX:
        path = packaged("django-static-mathjax", f"mathjax/static/mathjax/es5/{name}")
        machine.eval(path.read_text(encoding="utf-8"))
    machine.eval((HERE / "formulas.js").read_text(encoding="utf-8"))
    return machine


@cache
def mathml(tex: str, display: bool = False) -> str:
    """A formula as MathML; ValueError with MathJax's words for TeX that it does not read."""
    root = ElementTree.fromstring(reader().call("toMathML", tex, display).replace("\n", ""))
    if (error := root.find(".//{*}merror")) is not None:
        raise ValueError(f"{error.get('data-mjx-error')}: {tex}")
    return ElementTree.tostring(tidied(root), encoding="unicode")


def tidied(node: ElementTree.Element) -> ElementTree.Element:
    """A node and all in it, as browsers want them."""
    kind = node.tag = node.tag.rpartition("}")[2]
    for name in [name for name in node.attrib if name.startswith("data-")]:
        del node.attrib[name]
    node.text, node.tail = (node.text or "").strip(" ") or None, None
    node[:] = [tidied(child) for child in node]
    if kind in ("math", "mrow", "mtd"):  # an empty sign, there to make a place for spaces
        node[:] = [child for child in node if child.tag != "mi" or child.text]
    if kind == "mstyle" and [child.tag for child in node] == ["mspace"]:
        return node[0]
    if kind == "mrow" and len(node) == 1 and node[0].tag != "mo":
        return node[0]
    if kind in ("msup", "msubsup") and set(node[-1].text or " ") <= set("′″‴"):
        primed(node)
    if kind == "mspace" and node.get("width", "").startswith("-"):
        return ElementTree.Element(kind, style=f"margin-left: {node.get('width')}")
    if (style := LETTERS.get(node.get("mathvariant", ""))) and node.text:
        del node.attrib["mathvariant"]
        node.text = "".join(letter(style, sign) for sign in node.text)
    if kind == "mover" and (accent := ACCENTS.get(node[1].text or "")):
        node.set("accent", "true")
        node[1].text = accent
    if kind == "mtable":
        set_columns(node)
    return node


def primed(node: ElementTree.Element) -> None:
    """Put a prime behind its letter instead of above: in fonts it has its height already."""
    prime = node[-1]
    node.remove(prime)
    if node.tag == "msup":
        node.tag = "mrow"
        node.append(prime)
    else:
        node.tag = "msub"
        row = ElementTree.Element("mrow")
        row.extend([node[0], prime])
        node[0] = row


def letter(style: str, sign: str) -> str:
    """A letter or digit of a style, by its name in Unicode: N in SCRIPT is 𝒩, and α in ITALIC 𝛼."""
    words = [word for word in unicodedata.name(sign, "").split() if word not in DROPPED]
    for name in (" ".join(["MATHEMATICAL", style, *words]), " ".join([style, *words])):
        try:
            return unicodedata.lookup(OLDER.get(name, name))
        except KeyError:
            continue
    return sign


def set_columns(table: ElementTree.Element) -> None:
    """Give each cell of a table its side and its distance from the one before."""
    told = {name: (table.attrib.pop(name, "") or usual).split() for name, usual in TABLE.items()}
    for down, row in enumerate(table):
        for along, cell in enumerate(row):
            above = f"calc({of(told['rowspacing'], down - 1)} + 0.2em)" if down else "0"
            beside = of(told["columnspacing"], along - 1) if along else "0"
            cell.set("class", of(told["columnalign"], along))  # course.css knows them
            cell.set("style", f"padding: {above} 0 0 {beside}")


def of(values: list[str], place: int) -> str:
    """The value of a place; the last one goes on."""
    return values[min(place, len(values) - 1)]


def in_a_line(translator, node: nodes.math) -> None:
    """Write a formula that stands in a line."""
    translator.body.append(written(node.astext(), node))
    raise nodes.SkipNode


def on_its_own(translator, node: nodes.math_block) -> None:
    """Write a formula that stands on lines of its own, with its number where it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    tex = node.astext().strip()
    if r"\\" in tex and not tex.startswith(r"\begin"):  # lines without a table around them
        tex = rf"\begin{{split}}{tex}\end{{split}}"
    translator.body.append(written(tex, node, display=True) + "</div>\n")
    raise nodes.SkipNode


def written(tex: str, node: nodes.Node, display: bool = False) -> str:
    """A formula's MathML; its TeX, and a warning at its place, where that cannot be read."""
    try:
        return mathml(tex, display)
    except ValueError as problem:
        logging.getLogger(__name__).warning("formula: %s", problem, location=node)
        return f"<code>{html.escape(tex)}</code>"


def tie(app, page: str, template: str, context: dict, doctree) -> None:
    """Keep a formula in a line and the mark behind it together: a browser would part them."""
    if body := context.get("body"):
        context["body"] = TIED.sub(r'<span class="tied">\1\2</span>', body)


def setup(app) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (in_a_line, None), (on_its_own, None))
    app.connect("html-page-context", tie)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
