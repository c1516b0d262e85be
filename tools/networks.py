"""Networks that the reader's browser can run: shipped weights as ONNX files, and what runs them.

    python -m tools.networks FOLDER     put them there; the site's build does
    python -m tools.networks --lock     write the lock anew, after a change of VERSION

Nothing of it is committed. The files are made from `data/weights`, which takes some ten seconds
each, and kept in `_build/networks` until the weights or the code change. What runs them is a
package of the npm registry, fetched once by `npm pack` and checked against networks.lock.json.

Where `onnx` or `npm` is missing there are no networks on the site, in one line it is said why, and
the widgets show what was recorded.
"""

import base64
import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from course_lib.core.tensors import atomic_write
from course_lib.recipes import ddpm, fashion_unet
from course_lib.weights import load_weights, whole_file
from tools.frontend import ROOT, FrontendError

LOCK = Path(__file__).with_name("networks.lock.json")
CACHE = ROOT / "_build" / "networks"
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
UNPACKED = "ort-wasm.bin"  # gzip by content, not by name: a server might unpack it, or say it had


class LeftOutError(Exception):
    """Something that the networks need is not there; the site can do without."""


@dataclass(frozen=True)
class Part:
    """One network: where its weights are shipped, and what goes in and comes out."""

    weights: str
    net: Callable[[], nn.Module]
    example: dict[str, Tensor]
    outputs: tuple[str, ...]


def _fashion() -> nn.Module:
    return load_weights("fashion_ddpm", ddpm(fashion_unet())).net


PARTS = {
    "fashion_ddpm": Part(
        "fashion_ddpm", _fashion, {"x": torch.zeros(1, 1, 28, 28), "t": torch.ones(1)}, ("out",)
    ),
}


# ---- the networks -------------------------------------------------------------------------------


def onnx_file(name: str) -> Path:
    """The network called `name` as an ONNX file, made unless it is there."""
    part = PARTS[name]
    path = CACHE / f"{name}-{_state_of(part)}.onnx"
    if not path.exists():
        from tools.onnx_export import export, packed

        model = export(part.net(), part.example, part.outputs)
        content = packed(model, load(whole_file(part.weights))).SerializeToString()
        CACHE.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    return path


def _state_of(part: Part) -> str:
    """A name for all that the file depends on: weights, code of networks, PyTorch."""
    digest = hashlib.sha256(torch.__version__.encode())
    digest.update(whole_file(part.weights))
    code = [*ROOT.glob("course_lib/nn/*.py"), *ROOT.glob("course_lib/models/*.py")]
    code += [ROOT / "course_lib" / "recipes.py", *ROOT.glob("tools/*onnx*.py"), Path(__file__)]
    for path in sorted(code):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# ---- what runs them -----------------------------------------------------------------------------


def package() -> Path:
    """The package as npm packs it, checked against the lock; fetched unless it is there.

    Raises LeftOutError where npm is missing or brings nothing, FrontendError for another package.
    """
    path = CACHE / f"{PACKAGE}-{VERSION}.tgz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            atomic_write(path, _fetched(Path(folder)))
    expected, found = json.loads(LOCK.read_text())["integrity"], integrity(path)
    if found != expected:
        raise FrontendError(f"{path} is {found}, the lock says {expected}. Remove it and try again")
    return path


def _fetched(folder: Path) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise LeftOutError("npm is not installed")
    command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        raise LeftOutError("npm did not answer in two minutes") from None
    found = list(folder.glob("*.tgz"))
    if done.returncode or not found:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise LeftOutError(f"npm cannot get {PACKAGE} {VERSION}: {said}")
    return found[0].read_bytes()


def integrity(path: Path) -> str:
    """The package's fingerprint as npm's own registry writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def runtime() -> dict[str, bytes]:
    """The two files that run a network, by the names they have on the site."""
    small = CACHE / f"{PACKAGE}-{VERSION}.wasm.gz"
    with tarfile.open(package()) as archive:

        def read(name: str) -> bytes:
            file = archive.extractfile(f"package/dist/{name}")
            assert file is not None
            return file.read()

        if not small.exists():
            atomic_write(small, gzip.compress(read(WASM), 9, mtime=0))
        return {SCRIPT: read(SCRIPT), UNPACKED: small.read_bytes()}


# ---- all of it ----------------------------------------------------------------------------------


def put(target: Path) -> None:
    """Fill `target`; networks.json in it says what is there and how large it is.

    Raises LeftOutError, before anything is written, where something is missing.
    """
    for needed in ("onnx", "onnxscript"):
        if importlib.util.find_spec(needed) is None:
            raise LeftOutError(f'{needed} is not installed; it comes with pip install -e ".[live]"')
    run, files = runtime(), {name: onnx_file(name) for name in PARTS}
    target.mkdir(parents=True, exist_ok=True)
    for name, content in run.items():
        (target / name).write_bytes(content)
    for name, path in files.items():
        shutil.copy(path, target / f"{name}.onnx")
    contents = {
        "runtime": {"script": SCRIPT, "wasm": UNPACKED, "bytes": sum(map(len, run.values()))},
        "models": {
            name: {"file": f"{name}.onnx", "bytes": path.stat().st_size}
            for name, path in files.items()
        },
    }
    (target / "networks.json").write_text(json.dumps(contents))


def write_lock() -> None:
    """Lock the package as npm gives it now."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "package.tgz"
        path.write_bytes(_fetched(Path(folder)))
        lock = {"package": PACKAGE, "version": VERSION, "licence": "MIT"}
        LOCK.write_text(json.dumps(lock | {"integrity": integrity(path)}, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    try:
        write_lock() if arguments[0] == "--lock" else put(Path(arguments[0]))
    except LeftOutError as missing:
        print(f"No networks in the browser: {missing}.")
    except FrontendError as problem:
        print(f"networks: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
