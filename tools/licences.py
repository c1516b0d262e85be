"""Whose everything is: code, text, data, emoji, weights and what the website carries, on a page.

Read from the files that say it (LICENSE, NOTICE, CARD.md, the weights' manifest, the metadata of
the installed packages), so that the page cannot fall behind.
"""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
# Folders under data/ that hold what the course itself has made. All others bring a card.
OWN = {
    "measured": "numbers that the course's scripts have measured",
    "samples": "pictures that the course's models have drawn",
    "weights": "what the course's models have learned: see below",
}
# Packages whose scripts, styles or fonts are copied into the site, and which of them.
CARRIED = {
    "sphinx": "search, and the base of all pages",
    "pydata-sphinx-theme": "the theme's ground",
    "sphinx-book-theme": "the theme",
    "sphinx-design": "cards, tabs and folds",
    "sphinx-copybutton": "the button that copies code",
    "sphinx-togglebutton": "folds",
    "sphinx-exercise": "the look of exercises",
    "myst-nb": "the look of cells",
}
# Works of others inside those packages, with what their own files say.
INSIDE = [
    ("layout and menus", "Bootstrap, in pydata-sphinx-theme", "MIT"),
    (
        "icons",
        "Font Awesome Free, in pydata-sphinx-theme",
        "icons CC BY 4.0, fonts SIL OFL 1.1, code MIT",
    ),
    ("the font of formulas", "STIX Two Math, in ziamath", "SIL OFL 1.1"),
    ("copying to the clipboard", "clipboard.js, in sphinx-copybutton", "MIT"),
]


def folders(data: Path = ROOT / "data") -> dict[str, str]:
    """For each folder of data what it is: its card's title, or a word on what the course made.

    Raises ValueError naming the folder of which neither is known.
    """
    found = {}
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        if (folder / "CARD.md").exists():
            title = (folder / "CARD.md").read_text(encoding="utf-8").splitlines()[0]
            found[folder.name] = title.removeprefix("# ")
        elif folder.name in OWN:
            found[folder.name] = OWN[folder.name]
        else:
            raise ValueError(
                f"data/{folder.name} has no CARD.md: write one that says what it is, whose, and"
                " under which licence. Or enter it in OWN here if the course made it"
            )
    return found


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows as a table in Markdown."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def notice(folder: Path) -> str:
    """A NOTICE as Markdown: its paragraphs, and a list where it has a column of names."""
    blocks = []
    for block in re.split(r"\n\s*\n", folder.joinpath("NOTICE").read_text(encoding="utf-8")):
        rows = re.split(r"\n(?=\S)", block)
        if len(rows) > 1 and all(re.match(r"[a-z]+ {2,}\S", row) for row in rows):
            parts = [re.split(r" {2,}", " ".join(row.split("\n")), maxsplit=1) for row in rows]
            items = [f"- `{name}`: {' '.join(text.split())}" for name, text in parts]
            blocks.append("\n".join(items))
        else:
            blocks.append(" ".join(block.split()))
    return "\n\n".join(blocks)


def texts(folder: Path) -> list[Path]:
    """The texts of the licences in a folder of data."""
    return [*sorted(folder.glob("LICEN[CS]E*")), *sorted(folder.glob("licences/*"))]


def of_data() -> str:
    """The folders of data: what each is, and its NOTICE."""
    parts = []
    for name, what in folders().items():
        folder = ROOT / "data" / name
        parts.append(f"### `data/{name}`\n\n{what[0].upper()}{what[1:]}.")
        if (folder / "CARD.md").exists() and not (folder / "NOTICE").exists():
            parts.append("Whose it is stands in [its card](data.md).")
        if (folder / "NOTICE").exists():
            parts.append(notice(folder))
            files = ", ".join(f"`{path.relative_to(ROOT)}`" for path in texts(folder))
            parts.append(f"Full text: {files}.")
        elif name in OWN:
            parts.append("Part of the course, under its licence.")
    return "\n\n".join(parts)


def of_weights() -> str:
    """What the shipped weights have learned from, and whose they are where they are not ours."""
    manifest = json.loads((ROOT / "data" / "weights" / "manifest.json").read_text("utf-8"))
    groups: dict[tuple[str, str], list[str]] = {}
    for name, about in manifest.items():
        licence = about.get("licence", "the course's")
        groups.setdefault((about["data"].split(",")[0], licence), []).append(f"`{name}`")
    rows = [(data, ", ".join(names), licence) for (data, licence), names in groups.items()]
    return table(("learned from", "weights", "licence"), sorted(rows))


def licence_of(package: str) -> str:
    """What an installed package says of its own licence, in a few words."""
    said = distribution(package).metadata
    marks = [c for c in said.get_all("Classifier") or [] if c.startswith("License ::")]
    if expression := said.get_all("License-Expression"):
        return str(expression[0])
    return marks[0].rpartition(":: ")[2] if marks else "see its licence file"


def of_the_site() -> str:
    """What the pages load, from which package and version, under which licence."""
    rows = [
        (what, f"{package} {distribution(package).version}", licence_of(package))
        for package, what in CARRIED.items()
    ]
    return table(("on the pages", "from the package", "licence"), [*rows, *INSIDE])


def citation() -> dict[str, object]:
    """CITATION.cff."""
    found: dict[str, object] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return found


def bibtex() -> str:
    """The same as an entry of BibTeX."""
    about = citation()
    authors = about["authors"]
    assert isinstance(authors, list)
    names = " and ".join(f"{{{author['name']}}}" for author in authors)
    year = str(about["date-released"])[:4]
    lines = [f"  author = {{{names}}},", f"  title = {{{about['title']}}},"]
    lines += [f"  year = {{{year}}},", f"  version = {{{about['version']}}}"]
    return "\n".join(["@software{diffusion_step_by_step,", *lines, "}"])


def page() -> str:
    """The page's body."""
    own = (ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    title, _, text = own.partition("\n")
    return "\n\n".join(
        [
            "## How to cite",
            f"```bibtex\n{bibtex()}\n```",
            "`CITATION.cff` at the top of the repository says the same to machines.",
            "## Code and text",
            f"{title}:\n\n````{{dropdown}} The whole text\n{text.strip()}\n````",
            "## Data and pictures",
            of_data(),
            "## Weights",
            of_weights(),
            "## Scripts, styles and fonts of this site",
            of_the_site(),
        ]
    )


def cards(data: Path = ROOT / "data") -> str:
    """The cards of all data sets, one after the other, as they stand in their folders."""
    parts = []
    for name in folders(data):
        card = data / name / "CARD.md"
        if card.exists():
            text = card.read_text(encoding="utf-8").replace("](../../docs/", "](")
            text = re.sub(r"\A# (.*)", rf"## \1\n\n`data/{name}`", text)
            parts.append(text.strip())
    return "\n\n".join(parts)
