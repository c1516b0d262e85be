"""What makes a built page light takes away nothing that a reader sees."""

import json
import re
from pathlib import Path

from PIL import Image

from tools.light import apart, inert, joined, lighten, names, parsed, sheet, used

PYGMENTS = """\
html[data-theme="light"] .highlight { background: #fefefe; color: #080808 }
html[data-theme="light"] .highlight .n { color: #080808 } /* Name */
html[data-theme="light"] .highlight .k { color: #7928A1 } /* Keyword */
html[data-theme="light"] .highlight .p { color: #080808 }
html[data-theme="dark"] .highlight { background: #2b2b2b; color: #F8F8F2 }
html[data-theme="dark"] .highlight .n { color: #F8F8F2 }
html[data-theme="dark"] .highlight .k { color: #DCC6E0 }
html[data-theme="dark"] .highlight .p { color: #F8F8F2; font-weight: bold }
"""


def test_marks_are_inert_that_look_like_the_rest_in_every_theme():
    assert inert(PYGMENTS) == ["n"]


def kept(css: str, *known: str) -> str:
    return re.sub(r"\s+", "", used(parsed(css), set(known)))


def test_a_rule_stays_while_one_of_its_selectors_can_meet_something():
    assert kept(".a{x:1}.b{x:2}", "a") == ".a{x:1}"
    assert kept(".a .b, .a > p{x:1}", "a") == ".a>p{x:1}"
    assert kept(".b.a{x:1}", "a") == ""
    assert kept("p{x:1}#id{x:2}[data-b]{x:3}") == "p{x:1}#id{x:2}[data-b]{x:3}"
    assert kept("p:not(.b), p:is(.b,.c){x:1}") == "p:not(.b),p:is(.b,.c){x:1}"
    assert kept("@media print{.a{x:1}.b{x:2}}@media print{.b{x:3}}", "a") == "@mediaprint{.a{x:1}}"
    assert kept("@font-face{src:url(a)}@keyframes k{to{x:1}}").count("@") == 2
    assert kept(r".md\:a{x:1}", "md:a") == r".md\:a{x:1}"


def test_a_script_may_put_a_name_together():
    assert kept(".bs-tooltip-top{x:1}", "bs-tooltip") == ".bs-tooltip-top{x:1}"
    assert kept(".fa-bars{x:1}", "fa") == ""  # one part says too little


def test_names_are_those_of_classes_and_of_scripts_but_not_of_saved_states():
    page = (
        '<p class="a b-c"><script>x.classList.add("d")</script><script type="json">{"e"}</script>'
    )
    found = names([page], ["toggle('f-g')"])
    assert {"a", "b-c", "d", "f-g"} <= found and "e" not in found


def test_stylesheets_become_one_with_addresses_that_arrive(tmp_path: Path):
    styles = tmp_path / "_static" / "styles"
    styles.mkdir(parents=True)
    (tmp_path / "_static" / "basic.css").write_text("p{background:url(file.png)}")
    (styles / "a.css").write_text(
        '@charset "UTF-8";@import "../basic.css";i{src:url("../fonts/f.woff2") url(data:x#y)}'
    )
    assert sheet(tmp_path, "_static/styles/a.css") == (
        'p{background:url(file.png)}i{src:url("fonts/f.woff2") url(data:x#y)}'
    )
    (tmp_path / "_static" / "course.css").write_text(".unseen{x:1}")
    whole = joined(tmp_path, ["_static/styles/a.css", "_static/course.css"], set())
    assert whole.startswith("p{") and whole.endswith(".unseen{x:1}")  # our own is kept whole


def test_saved_widgets_stand_in_a_script_before_the_one_that_reads_them(tmp_path: Path):
    state = '{"state": {"a": {"state": {"text": "<\\/script> \\u2028"}}}}'
    page = (
        f'<script type="application/vnd.jupyter.widget-state+json">{state}</script>\n'
        '<script defer src="../_static/widgets/static-host.js?v=1"></script>'
    )
    text = apart(page, tmp_path, "notebooks/07", "../")
    first, second = re.findall(r'src="([^"]*)"', text)
    assert "static-host" in second and "state+json" not in text
    (path,) = tmp_path.glob("_static/saved/notebooks/07.*.js")
    assert first == f"../{path.relative_to(tmp_path).as_posix()}"
    script = path.read_text(encoding="utf-8").removeprefix("window.courseSaved = ")
    assert json.loads(script.removesuffix(";\n")) == json.loads(state)
    assert apart("<p>", tmp_path, "notebooks/08", "../") == "<p>"


def test_a_page_keeps_its_words_and_its_pictures_their_shape(tmp_path: Path):
    static, pictures = tmp_path / "_static", tmp_path / "_images"
    static.mkdir()
    pictures.mkdir()
    (static / "pygments.css").write_text(PYGMENTS)
    (static / "theme.css").write_text(".k{x:1}.gone{x:2}")
    Image.new("L", (640, 480)).save(pictures / "a.png")
    (tmp_path / "docs").mkdir()
    head = '<link rel="stylesheet" type="text/css" href="../_static/{}?v=1" />\n'
    (tmp_path / "docs" / "page.html").write_text(
        f"<head>\n{head.format('pygments.css')}{head.format('theme.css')}</head>"
        '<span class="n">x</span> <span class="k">in</span> <span class="n">y</span>'
        '<img alt="A" src="../_images/a.png" width="320"><img alt="B" src="../_images/a.png">'
        '<img alt="C" src="../_images/a.png" height="9">'
    )
    (tmp_path / "index.html").write_text("leads on")
    lighten(tmp_path)
    text = (tmp_path / "docs" / "page.html").read_text()
    assert 'x <span class="k">in</span> y' in text
    sizes = re.findall(r'<img (?:loading="lazy" )?((?:width="\d+" )?(?:height="\d+" )?)', text)
    assert sizes == ['height="240" ', 'width="640" height="480" ', ""]
    (sheet_link,) = re.findall(r'<link rel="stylesheet" href="\.\./(.*?)">', text)
    css = (tmp_path / sheet_link).read_text()
    assert ".k{x:1}" in css and "gone" not in css and not (static / "theme.css").exists()
    assert (tmp_path / "index.html").read_text() == "leads on"
