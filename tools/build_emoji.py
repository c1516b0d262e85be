"""Build the emoji of `data/emoji` from public packages, or check that they are what these give.

    python tools/build_emoji.py --check                draw anew in memory, compare, write nothing
    python tools/build_emoji.py --write                write sheets, tables and checksums
    python tools/build_emoji.py --check --from FOLDER  read the packages (*.tgz) from FOLDER

Without --from the packages come by `npm pack`, in the versions and with the sha256 of
`tools/sources.lock.json`. Drawing needs `pip install resvg-py==0.5.0` and takes minutes; whoever
only uses the course needs neither.
"""

import argparse
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from course_lib.core.tensors import atomic_write
from course_lib.data.emoji import COLOURS, FOLDERS, SIDE, Concept, colour_shares, shown_on, to_sheet
from course_lib.data.files import ROOT, pixels_sha256

SOURCE = json.loads((ROOT / "tools" / "sources.lock.json").read_text())["emoji"]
CHECKSUMS = ROOT / "data" / "checksums.json"
DRAWN = 256  # pixels a side before the average over blocks of 4 x 4
LEVELS, COVERS = 32, 16  # of each colour and of cover: half the bytes, and hardly to be seen

Picture = UInt8[np.ndarray, "64 64 4"]


@dataclass(frozen=True)
class Entry:
    """One picture: which design, which concept, and which part of the data it belongs to."""

    style: str
    code: str
    split: str
    colours: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    todo = parser.add_mutually_exclusive_group(required=True)
    todo.add_argument("--check", action="store_true", help="compare, write nothing")
    todo.add_argument("--write", action="store_true", help="write sheets, tables and checksums")
    parser.add_argument("--from", dest="folder", type=Path, help="folder of the packages")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        packages = {one["package"]: read(one, args.folder or Path(scratch)) for one in every()}
    concepts = all_concepts(packages[SOURCE["labels"]["package"]])
    called = all_names([packages[one["package"]] for one in SOURCE["designs"]], concepts)
    drawn = {}
    for design in SOURCE["designs"]:
        drawn[design["style"]] = draw(packages[design["package"]], concepts, called)
        print(f"{design['style']:12s} {len(drawn[design['style']]):5d} pictures", flush=True)
    files = lay_out(concepts, drawn)
    return write(files) if args.write else check(files)


# ---- the packages -------------------------------------------------------------------------


def every() -> Iterator[dict[str, Any]]:
    yield SOURCE["labels"]
    yield from SOURCE["designs"]


def read(source: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The JSON files of one npm package, by their path in it. Fetched into `folder` if missing."""
    name = f"{source['package'].lstrip('@').replace('/', '-')}-{source['version']}.tgz"
    if not (folder / name).exists():
        wanted = f"{source['package']}@{source['version']}"
        try:
            subprocess.run(["npm", "pack", "--silent", wanted], cwd=folder, check=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"could not get {wanted} with npm ({error}).\n"
                f"Put {name} into a folder and name it: --from FOLDER"
            ) from error
    content = (folder / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != source["sha256"]:
        raise SystemExit(f"sha256 of {name}: expected {source['sha256']}, found {found}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {path: archive.extractfile(f"package/{path}") for path in source["files"]}
        return {path: json.load(file) for path, file in files.items() if file}


def all_concepts(labels: dict[str, Any]) -> dict[str, Concept]:
    """Every emoji but flags, families, keycaps, letters and single skin tones, by code point."""
    names = labels["en/messages.json"]
    groups = {group["order"]: group["key"] for group in names["groups"]}
    parts = {part["order"]: part["key"] for part in names["subgroups"]}
    concepts = {}
    for one in labels["en/data.json"]:
        group = groups.get(one.get("group", -1), "component")
        if group in ("component", "flags") or parts[one["subgroup"]] in (
            "family",
            "keycap",
            "alphanum",
        ):
            continue
        code = plain(one["hexcode"])
        concepts[code] = Concept(
            code, one["emoji"], one["label"], tuple(one.get("tags", [])), group
        )
    return concepts


def plain(code: str) -> str:
    """A code point sequence without the variation selector, as all packages can write it."""
    return "-".join(part.zfill(4) for part in code.upper().split("-") if part.upper() != "FE0F")


def all_names(designs: list[dict[str, Any]], concepts: dict[str, Concept]) -> dict[str, str]:
    """Code points by name: Unicode's label, and what any design calls it. Without hyphens."""
    called = {bare(slug(concept.label)): code for code, concept in concepts.items()}
    for design in designs:
        for code, name in design["chars.json"].items():
            if plain(code) in concepts:
                called.setdefault(bare(name), plain(code))
    return called


def slug(label: str) -> str:
    text = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"['’.]", "", text.replace("&", "and"))
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def bare(name: str) -> str:
    return name.replace("-", "")


# ---- pictures -----------------------------------------------------------------------------


def draw(
    package: dict[str, Any], concepts: dict[str, Concept], called: dict[str, str]
) -> dict[str, Picture]:
    """The pictures that one design has of the concepts, without those it has twice."""
    icons, names = package["icons.json"], {}
    for code, name in package["chars.json"].items():
        names.setdefault(plain(code), name)
    for name in [*icons["icons"], *icons.get("aliases", {})]:  # not every icon has a code point
        if bare(name) in called:
            names.setdefault(called[bare(name)], name)
    pictures: dict[str, Picture] = {}
    for code in concepts:
        if code in names and (picture := render(svg(icons, names[code]))) is not None:
            pictures[code] = picture
    return distinct(pictures)


def svg(icons: dict[str, Any], name: str) -> str:
    while name not in icons["icons"]:
        name = icons["aliases"][name]["parent"]
    icon = icons["icons"][name]
    left, top = (icon.get(key, icons.get(key, 0)) for key in ("left", "top"))
    width, height = (icon.get(key, icons.get(key, 16)) for key in ("width", "height"))
    side = max(width, height)  # a few are not square: they stand in the middle
    left, top = left - (side - width) / 2, top - (side - height) / 2
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {side} {side}" width="{side}" height="{side}">'
        f"{icon['body']}</svg>"
    )


def render(drawing: str) -> Picture | None:
    """64 x 64 pixels, red, green, blue and cover; None for an empty drawing."""
    import resvg_py  # only here: whoever checks the tables alone does without

    png = resvg_py.svg_to_bytes(
        svg_string=drawing, width=DRAWN, height=DRAWN, skip_system_fonts=True
    )
    big = np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"), np.float32) / 255
    colour, cover = big[..., :3] * big[..., 3:], big[..., 3:]  # else what nobody sees would bleed
    block = DRAWN // SIDE
    colour, cover = (
        part.reshape(SIDE, block, SIDE, block, -1).mean((1, 3)) for part in (colour, cover)
    )
    if cover.mean() < 0.01:
        return None
    colour = np.where(cover > 0, colour / np.maximum(cover, 1e-6), 0)
    cover = _rounded(cover, COVERS)
    colour = _rounded(colour, LEVELS) * (cover > 0)
    return np.round(np.concatenate([colour, cover], -1) * 255).astype(np.uint8)


def _rounded(part: np.ndarray, levels: int) -> np.ndarray:
    return np.round(part * (levels - 1)) / (levels - 1)


def distinct(pictures: dict[str, Picture]) -> dict[str, Picture]:
    """Without those that look like an earlier one: 3.5 grey levels apart at 16 x 16, on white."""
    small = shown_on(np.stack(list(pictures.values())), (255, 255, 255), 16)
    flat = small.reshape(len(small), -1)
    kept = {}
    for n, (code, picture) in enumerate(pictures.items()):
        apart = np.sqrt(((flat[:n] - flat[n]) ** 2).mean(1))
        if apart.min(initial=np.inf) >= 3.5:
            kept[code] = picture
    return kept


# ---- what is held out ---------------------------------------------------------------------


def chance(text: str) -> float:
    """A number in [0, 1) that belongs to a text, today and on every machine."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def family(label: str) -> str:
    """One name for the man, the woman and the person who do the same, so none gives it away."""
    return re.sub(r"^(man|woman|men|women|person|people|mx|older|old)\b:? ?", "", label).strip()


def part(style: str, concept: Concept, designs: int) -> str:
    """train, test_concept (no design shows it in training) or test_pair (this design does not).

    `fluent` and `fluentflat` draw alike, so they are held out together.
    """
    if chance(f"concept:{family(concept.label.lower()) or concept.label}") < 0.08:
        return "test_concept"
    twin = "fluent" if style == "fluentflat" else style
    return "test_pair" if designs >= 4 and chance(f"pair:{twin}:{concept.code}") < 0.08 else "train"


# ---- files --------------------------------------------------------------------------------


def lay_out(
    concepts: dict[str, Concept], drawn: dict[str, dict[str, Picture]]
) -> dict[str, bytes | np.ndarray]:
    """Every committed file: sheets as pixels, tables as bytes."""
    designs = Counter(code for pictures in drawn.values() for code in pictures)
    entries: dict[str, list[Entry]] = {}
    files: dict[str, bytes | np.ndarray] = {}
    for style, pictures in drawn.items():
        folder = FOLDERS[style]
        files[f"{folder}/{style}.webp"] = to_sheet(np.stack(list(pictures.values())))
        entries.setdefault(folder, []).extend(
            Entry(style, code, part(style, concepts[code], designs[code]), named(picture))
            for code, picture in pictures.items()
        )
    for folder, ones in entries.items():
        rows = ["style\tcode\tsplit\tcolours"]
        rows += [f"{e.style}\t{e.code}\t{e.split}\t{','.join(e.colours)}" for e in ones]
        files[f"{folder}/images.tsv.gz"] = ("\n".join(rows) + "\n").encode()
    known = [vars(concept) for code, concept in concepts.items() if designs[code]]
    lines = [json.dumps(concept, ensure_ascii=False) for concept in known]
    files["emoji/concepts.jsonl.gz"] = ("\n".join(lines) + "\n").encode()
    return files


def named(picture: Picture) -> list[str]:
    """The one or two colours that cover more than a fifth of what is drawn, largest first."""
    shares = colour_shares(picture)
    order = np.argsort(-shares, kind="stable")[:2]
    return [list(COLOURS)[k] for k in order if shares[k] > 0.2]


def encode(sheet: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "WEBP", lossless=True, quality=100, method=6, exact=True)
    return buffer.getvalue()


def write(files: dict[str, bytes | np.ndarray]) -> int:
    record = json.loads(CHECKSUMS.read_text())
    for name, content in files.items():
        data = gzip.compress(content, mtime=0) if isinstance(content, bytes) else encode(content)
        entry: dict[str, Any] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if not isinstance(content, bytes):
            entry["pixels_sha256"] = pixels_sha256(content)
        record[name] = entry
        (ROOT / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(ROOT / "data" / name, data)
        print(f"wrote data/{name} ({len(data) / 1e6:.2f} MB)", flush=True)
    text = json.dumps(dict(sorted(record.items())), indent=2) + "\n"
    atomic_write(CHECKSUMS, text.encode())
    return 0


def check(files: dict[str, bytes | np.ndarray]) -> int:
    """Compare what was built with what is committed; the number of differences."""
    wrong = 0
    for name, content in files.items():
        path = ROOT / "data" / name
        if not path.exists():
            same = False
        elif isinstance(content, bytes):
            same = gzip.decompress(path.read_bytes()) == content
        else:
            with Image.open(path) as image:
                same = np.array_equal(np.asarray(image), content)
        print(f"{'equal ' if same else 'DIFFER'} data/{name}")
        wrong += not same
    return wrong


if __name__ == "__main__":
    sys.exit(main())
