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
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from course_lib.core.tensors import atomic_write
from course_lib.diffusion.schedules import cosine
from course_lib.imagine import known_pieces
from course_lib.models.captions import TokenUNet, with_places
from course_lib.models.latent import LENGTH
from course_lib.recipes import ddpm, fashion_unet
from course_lib.trainings import latent_space, prompt_tokenizer, trained
from course_lib.weights import load_weights, whole_file
from tools.frontend import ROOT, FrontendError

LOCK = Path(__file__).with_name("networks.lock.json")
CACHE = ROOT / "_build" / "networks"
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
SMALL_WASM = "ort-wasm.bin"  # gzip by content, not by name: a server might unpack it, or say it had


class LeftOutError(Exception):
    """Something that the networks need is not there; the site can do without."""


@dataclass(frozen=True)
class Part:
    """One network: where its weights are shipped, and what goes in and comes out."""

    weights: str
    net: Callable[[], nn.Module]
    example: Callable[[], dict[str, Tensor]]
    outputs: tuple[str, ...]


def _fashion() -> nn.Module:
    return load_weights("fashion_ddpm", ddpm(fashion_unet())).net


@cache
def _painter() -> TokenUNet:
    net = trained("emoji_latent").get_submodule("net")
    assert isinstance(net, TokenUNet)
    return net


class Reads(nn.Module):
    """The painter's text tower: numbers of pieces to what the pixels look at."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _painter()

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context, mask, gist = self.net.read(tokens)
        assert gist is not None
        return context, mask.float(), gist


class Draws(nn.Module):
    """The painter's U-Net, with what the text tower gave."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _painter().unet

    def forward(self, x: Tensor, t: Tensor, context: Tensor, there: Tensor, gist: Tensor) -> Tensor:
        return self.net(with_places(x), t, also=gist, context=context, context_mask=there > 0.5)


class Opens(nn.Module):
    """The decoder: latents to a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.space = latent_space()

    def forward(self, z: Tensor) -> Tensor:
        return self.space.decode(z)


LATENTS = (4, 16, 16)  # of an emoji of 64 x 64


def _garment() -> dict[str, Tensor]:
    return {"x": torch.zeros(1, 1, 28, 28), "t": torch.ones(1)}


def _prompt() -> dict[str, Tensor]:
    return {"tokens": torch.ones(1, LENGTH, dtype=torch.int32)}


def _step() -> dict[str, Tensor]:
    words = {"context": torch.zeros(1, LENGTH, _painter().tower.dim)}
    words |= {"there": torch.ones(1, LENGTH), "gist": torch.zeros(1, _painter().unet.embedding_dim)}
    return {"x": torch.zeros(1, *LATENTS), "t": torch.ones(1), **words}


def _latents() -> dict[str, Tensor]:
    return {"z": torch.zeros(1, *LATENTS)}


PARTS = {
    "fashion_ddpm": Part("fashion_ddpm", _fashion, _garment, ("out",)),
    "emoji_text": Part("emoji_latent", Reads, _prompt, ("context", "there", "gist")),
    "emoji_unet": Part("emoji_latent", Draws, _step, ("out",)),
    "emoji_decoder": Part("emoji_kl_4", Opens, _latents, ("picture",)),
}


def told() -> dict[str, object]:
    """What the page needs to know of the painter beside its networks (prompt_box.js)."""
    betas = cosine().beta[1:].tolist()
    return {
        "merges": prompt_tokenizer().merges,
        "known": sorted(known_pieces()),
        "length": LENGTH,
        "latents": LATENTS,
        "side": 64,
        "betas": [float(f"{beta:.9g}") for beta in betas],
    }


# ---- the networks -------------------------------------------------------------------------------


def onnx_file(name: str) -> Path:
    """The network called `name` as an ONNX file, made unless it is there."""
    part = PARTS[name]
    path = CACHE / f"{name}-{_state_of(part)}.onnx"
    if not path.exists():
        from tools.onnx_export import export, packed

        model = export(part.net(), part.example(), part.outputs)
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
        return {SCRIPT: read(SCRIPT), SMALL_WASM: small.read_bytes()}


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
    words = json.dumps(told(), separators=(",", ":"))
    (target / "emoji.json").write_text(words)
    contents = {
        "runtime": {"script": SCRIPT, "wasm": SMALL_WASM, "bytes": sum(map(len, run.values()))},
        "models": {
            name: {"file": f"{name}.onnx", "bytes": path.stat().st_size}
            for name, path in files.items()
        },
        "emoji": {"file": "emoji.json", "bytes": len(words)},
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
