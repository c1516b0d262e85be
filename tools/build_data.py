"""Build the committed data from public packages, or check that it is what they give.

    python tools/build_data.py --check                rebuild in memory, compare, write nothing
    python tools/build_data.py --write                write the sheets and checksums under data
    python tools/build_data.py --full                 write all 60,000 pictures under runs/data
    python tools/build_data.py --check --from FOLDER  read the unpacked package from FOLDER

Without --from the package comes by `apt-get download` and `dpkg-deb -x` (Debian, Ubuntu), in the
version and with the sha256 of `tools/sources.lock.json`. Nothing is installed.
"""

import argparse
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.core.tensors import atomic_write
from course_lib.data.fashion_mnist import CLASSES, SHEETS, SIDE, to_sheet
from course_lib.data.files import ROOT, pixels_sha256

SOURCE = json.loads((ROOT / "tools" / "sources.lock.json").read_text())["fashion_mnist"]
CHECKSUMS = ROOT / "data" / "checksums.json"

# split: (name of the source file, pictures taken of each class)
SPLITS = {"train": ("train", 2_000), "test": ("t10k", 600), "train_full": ("train", 6_000)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    todo = parser.add_mutually_exclusive_group(required=True)
    todo.add_argument("--check", action="store_true", help="compare, write nothing")
    todo.add_argument("--write", action="store_true", help="write the committed sheets")
    todo.add_argument("--full", action="store_true", help="write the full training set")
    parser.add_argument("--from", dest="folder", type=Path, help="folder of the unpacked package")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or download(Path(scratch))
        sheets = {split: build_sheet(folder, *how) for split, how in SPLITS.items()}
    if args.check:
        return check(sheets)
    splits = ("train_full",) if args.full else ("train", "test")
    files = {split: encode(sheets[split]) for split in splits}
    for split, data in files.items():
        atomic_write(SHEETS[split], data)
        print(f"wrote {SHEETS[split].relative_to(ROOT)} ({len(data) / 1e6:.1f} MB)")
    if args.write:
        record = describe(sheets, files)
        atomic_write(CHECKSUMS, (json.dumps(record, indent=2) + "\n").encode())
        print(f"wrote {CHECKSUMS.relative_to(ROOT)}")
    return 0


def download(scratch: Path) -> Path:
    """Fetch the Debian package, check it, unpack it under `scratch`; return the data folder."""
    name = f"{SOURCE['package']}={SOURCE['version']}"
    try:
        subprocess.run(["apt-get", "download", name], cwd=scratch, check=True)
        [archive] = scratch.glob("*.deb")
        verify("the package", archive.read_bytes(), SOURCE["archive_sha256"])
        subprocess.run(["dpkg-deb", "-x", str(archive), str(scratch)], check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"could not get {name} with apt-get and dpkg-deb ({error}).\n"
            "Unpack the package elsewhere and name the folder: --from FOLDER"
        ) from error
    return scratch / SOURCE["folder"]


def build_sheet(folder: Path, source: str, per_class: int) -> np.ndarray:
    """Lay out the first `per_class` pictures of each class, class after class."""
    labels = read_idx(folder, f"{source}-labels-idx1-ubyte", header=8)
    images = read_idx(folder, f"{source}-images-idx3-ubyte", header=16).reshape(-1, SIDE, SIDE)
    chosen = [np.flatnonzero(labels == label)[:per_class] for label in range(len(CLASSES))]
    if {len(rows) for rows in chosen} != {per_class}:
        raise SystemExit(f"{source} has fewer than {per_class} pictures of some class")
    return to_sheet(images[np.concatenate(chosen)])


def read_idx(folder: Path, name: str, header: int) -> np.ndarray:
    """Read one checked idx file. Debian gzips anew, so only the unpacked bytes can be compared."""
    matches = sorted(folder.rglob(f"{name}.gz"))
    if not matches:
        raise SystemExit(f"{name}.gz is not under {folder}: give --from the unpacked package")
    data = gzip.decompress(matches[0].read_bytes())
    verify(name, data, SOURCE["unpacked_sha256"][name])
    return np.frombuffer(data, np.uint8, offset=header)


def verify(what: str, data: bytes, expected: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise SystemExit(f"sha256 of {what}: expected {expected}, found {found}")


def encode(sheet: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def describe(sheets: dict[str, np.ndarray], files: dict[str, bytes]) -> dict[str, dict]:
    """Return the content of checksums.json: what is committed, and the pixels of what is not."""
    record = json.loads(CHECKSUMS.read_text()) if CHECKSUMS.exists() else {}
    for split, sheet in sheets.items():
        entry: dict = {"images": sheet.size // SIDE**2, "pixels_sha256": pixels_sha256(sheet)}
        if split in files:
            entry["bytes"] = len(files[split])
            entry["sha256"] = hashlib.sha256(files[split]).hexdigest()
        record[f"fashion_mnist/{split}.png"] = entry
    return dict(sorted(record.items()))


def check(sheets: dict[str, np.ndarray]) -> int:
    """Compare the rebuilt pixels with the committed ones; return the number of differences."""
    recorded = json.loads(CHECKSUMS.read_text()) if CHECKSUMS.exists() else {}
    wrong = 0
    for split, sheet in sheets.items():
        path, built = SHEETS[split], pixels_sha256(sheet)
        if path.exists():
            with Image.open(path) as image:
                same = np.array_equal(np.asarray(image), sheet)
            print(f"{'equal ' if same else 'DIFFER'} pixels of {path.relative_to(ROOT)}")
            wrong += not same
        elif split != "train_full":
            print(f"MISSING {path.relative_to(ROOT)}")
            wrong += 1
        expected = recorded.get(f"fashion_mnist/{split}.png", {}).get("pixels_sha256")
        print(f"{'equal ' if built == expected else 'DIFFER'} checksum of {split}")
        wrong += built != expected
    return wrong


if __name__ == "__main__":
    sys.exit(main())
