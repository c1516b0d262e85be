"""Pack PNG pictures more tightly without changing a pixel: tracked files and outputs of notebooks.

python tools/shrink_pictures.py            # all of them
python tools/shrink_pictures.py notebooks/08_ddpm_images.ipynb docs/prompts.png

Wants `pip install pyoxipng==9.1.1`, and some 20 seconds a chapter. It saves about a tenth of what
the course's figures take. Run it after notebooks were executed or pictures were drawn.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from course_lib.core.tensors import atomic_write
from course_lib.data.files import ROOT

CHECKSUMS = ROOT / "data" / "checksums.json"


def smaller(png: bytes) -> bytes:
    """The same pixels in fewer bytes, or `png` itself. Raises ValueError if a pixel changed."""
    import oxipng  # only here: whoever reads the course does without

    packed = oxipng.optimize_from_memory(
        png,
        level=4,
        strip=oxipng.StripChunks.safe(),
        # A grey sheet stays grey: the loaders read numbers, not colours.
        bit_depth_reduction=False,
        color_type_reduction=False,
        palette_reduction=False,
        grayscale_reduction=False,
    )
    before, after = (Image.open(io.BytesIO(data)) for data in (png, packed))
    if before.mode != after.mode or not np.array_equal(
        np.asarray(before.convert("RGBA")), np.asarray(after.convert("RGBA"))
    ):
        raise ValueError("packing changed the picture; nothing was written")
    return packed if len(packed) < len(png) else png


def shrink_notebook(path: Path) -> None:
    """Pack the pictures among the outputs of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                packed = smaller(base64.b64decode(output.data["image/png"]))
                output.data["image/png"] = base64.b64encode(packed).decode()
    atomic_write(path, nbformat.writes(notebook).encode() + b"\n")


def shrink_file(path: Path) -> None:
    """Pack one PNG file, and enter its new bytes where checksums of data are kept."""
    packed = smaller(path.read_bytes())
    atomic_write(path, packed)
    record = json.loads(CHECKSUMS.read_text())
    name = path.relative_to(ROOT).as_posix().removeprefix("data/")
    if name in record:
        record[name] |= {"bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
        atomic_write(CHECKSUMS, (json.dumps(record, indent=2) + "\n").encode())


def main(arguments: list[str]) -> int:
    """Shrink what is named, or all that git tracks."""
    tracked = ["git", "ls-files", "*.png", "*.ipynb"]
    names = arguments or subprocess.check_output(tracked, cwd=ROOT, text=True).splitlines()
    for path in (ROOT / name for name in names):
        size = path.stat().st_size
        (shrink_notebook if path.suffix == ".ipynb" else shrink_file)(path)
        print(f"{path.relative_to(ROOT)}: {size:,} -> {path.stat().st_size:,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
