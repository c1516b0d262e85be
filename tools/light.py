"""Make a built site light: what a phone on a slow line needs first is small and comes first.

`lighten` goes over what Sphinx has written and changes nothing that a reader sees:

- code has no marks around names and signs that look like the rest of it: two thirds of all marks
- pictures know their height, so that nothing jumps, and are loaded when they come near
- saved widgets stand in a file of their own, for which the text does not wait
- one stylesheet takes the place of twelve, without rules for what is on no page
- the theme's icons are those that it uses, not two thousand
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from posixpath import dirname, normpath

import tinycss2
from PIL import Image

from tools.fonts import put_icons

PICTURE = re.compile(r'<img (?=[^>]*src="([^"]*_images/[^"]*\.png)")(?![^>]*(?:height|loading)=)')
WHOLE = 'width="{}" height="{}"'
STATE = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>\s*', re.S
)
SHEET = re.compile(r'\s*<link rel="stylesheet"[^>]* href="([^"?]*)[^"]*"[^>]*>')
HOST = re.compile(r'<script [^>]*src="[^"]*widgets/static-host\.js')  # reads what `apart` writes
OWN = ("course.css", "widgets.css")  # kept whole: a widget may put a name together


def lighten(site: Path) -> None:
    """Rewrite the pages of a built site."""
    static = site / "_static"
    for old in [*static.glob("course.*.css"), *static.glob("saved/**/*.js")]:
        old.unlink()  # of the build before
    plain = "|".join(inert((static / "pygments.css").read_text(encoding="utf-8")))
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    pages = {path: text for path, text in pages.items() if SHEET.search(text)}
    scripts = [path.read_text(encoding="utf-8") for path in static.rglob("*.js")]
    known = names(pages.values(), scripts)
    sheets: dict[tuple[str, ...], str] = {}
    for path, text in pages.items():
        up = "../" * (len(path.relative_to(site).parts) - 1)
        text = re.sub(rf'<span class="(?:{plain})">([^<]*)</span>', r"\1", text)
        text = PICTURE.sub(lambda found, page=path: sized(found, page.parent), text)
        text = apart(text, site, path.relative_to(site).with_suffix("").as_posix(), up)
        asked = tuple(href.removeprefix(up) for href in SHEET.findall(text))
        if asked not in sheets:
            sheets[asked] = write(static, "course", "css", joined(site, asked, known))
        one = iter([f'\n  <link rel="stylesheet" href="{up}_static/{sheets[asked]}">'])
        path.write_text(SHEET.sub(lambda _, one=one: next(one, ""), text), encoding="utf-8")
    css = "".join((static / name).read_text(encoding="utf-8") for name in sheets.values())
    for font in (static / "vendor").rglob("*.woff2"):
        put_icons(font, css)
    for href in {href for asked in sheets for href in asked}:
        (site / href).unlink()


def write(static: Path, name: str, kind: str, text: str) -> str:
    """Write a file that is called by what is in it, so that no browser shows an old one."""
    data = text.encode()
    name = f"{name}.{hashlib.sha256(data).hexdigest()[:8]}.{kind}"
    (static / name).parent.mkdir(parents=True, exist_ok=True)
    (static / name).write_bytes(data)
    return name


def inert(css: str) -> list[str]:
    """The marks of code (`n`, `p`, …) that in each theme have the colour of the whole."""
    whole = dict(re.findall(r"(\S+) \.highlight \{[^}]* color: (#\w+)", css))
    rules = re.findall(r"(\S+) \.highlight \.(\w+) \{ ([^}]*) \}", css)
    look: dict[str, set[bool]] = {}
    for theme, name, rule in rules:
        look.setdefault(name, set()).add(rule == f"color: {whole[theme]}")
    return [name for name, same in look.items() if same == {True}]


def sized(found: re.Match, folder: Path) -> str:
    """The beginning of an <img> with its height at the width that the page gives it."""
    with Image.open(folder / found[1]) as picture:
        wide, high = picture.size
    told = re.match(r'[^>]*\bwidth="(\d+)"', found.string[found.start() :])
    room = f'height="{round(int(told[1]) * high / wide)}"' if told else ""
    return f'<img loading="lazy" {room or WHOLE.format(wide, high)} '


def apart(text: str, site: Path, page: str, up: str) -> str:
    """The page with its saved widgets in a script, which is loaded before the one that reads it."""
    if not (state := STATE.search(text)):
        return text
    name = write(site / "_static", f"saved/{page}", "js", f"window.courseSaved = {state[1]};\n")
    load = f'<script defer src="{up}_static/{name}"></script>\n    '
    return HOST.sub(lambda host: load + host[0], STATE.sub("", text), count=1)


def names(pages: Iterable[str], scripts: Iterable[str]) -> set[str]:
    """Every class that a page or a script could mean, and whatever else is written like one."""
    found: set[str] = set()
    for page in pages:
        for value in re.findall(r'class="([^"]*)"', page):
            found.update(value.split())
        scripts = [*scripts, *re.findall(r"<script(?![^>]*json)[^>]*>(.*?)</script>", page, re.S)]
    for script in scripts:
        found.update(re.findall(r"[A-Za-z][\w-]*", script))
    return found


def joined(site: Path, hrefs: Iterable[str], known: set[str]) -> str:
    """The stylesheets in their order as one, which lies in _static."""
    return "".join(
        sheet(site, href) if href.endswith(OWN) else used(parsed(sheet(site, href)), known)
        for href in hrefs
    )


def sheet(site: Path, href: str) -> str:
    """A stylesheet with what it imports, and with addresses as seen from _static."""
    folder = dirname(href)

    def seen(found: re.Match) -> str:
        return found[1] + normpath(f"{folder}/{found[2]}").removeprefix("_static/")

    text = (site / href).read_text(encoding="utf-8").replace('@charset "UTF-8";', "")
    text = re.sub(r"(url\([\"']?)(?!data:|#)([^)\"']+)", seen, text)
    imports = re.compile(r'@import "([^"]*)";')
    return imports.sub(lambda found: sheet(site, normpath(f"{folder}/{found[1]}")), text)


def parsed(css: str) -> list:
    """A stylesheet as rules."""
    return tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)


def used(rules: list, known: set[str]) -> str:
    """The rules of which a selector names known classes alone; all that is not a plain rule."""
    kept = []
    for rule in rules:
        if rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inside = used(parsed(tinycss2.serialize(rule.content)), known)
            head = f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}"
            kept.append(f"{head}{{{inside}}}" if inside else "")
        elif rule.type != "qualified-rule":
            kept.append(rule.serialize())
        elif selectors := [one for one in parts(rule.prelude) if all_known(one, known)]:
            head = ",".join(tinycss2.serialize(one).strip() for one in selectors)
            kept.append(f"{head}{{{tinycss2.serialize(rule.content).strip()}}}\n")
    return "".join(kept)


def parts(prelude: list) -> list[list]:
    """The selectors of a rule, which commas part."""
    found: list[list] = [[]]
    for token in prelude:
        if token == ",":
            found.append([])
        else:
            found[-1].append(token)
    return found


def all_known(selector: list, known: set[str]) -> bool:
    """Whether each class that a selector asks for may be on a page.

    `bs-tooltip-top` may where a script has `bs-tooltip`: it can have put the end to it. What
    stands in brackets, as in `:not(.a)`, is not asked for.
    """
    for dot, token in zip(selector, selector[1:], strict=False):
        if dot == "." and token.type == "ident":
            words = token.value.split("-")
            starts = {"-".join(words[:end]) for end in range(2, len(words))}
            if token.value not in known and not starts & known:
                return False
    return True
