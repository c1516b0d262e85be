"""`course check`: what works on this machine, and how to mend what does not."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SET_UP = "make setup   (or: python tools/setup_env.py)"
ROOM_NEEDED = 2e9  # bytes, for what trainings and the website write


@dataclass(frozen=True)
class Finding:
    """What one look found: `problem` is empty if all is well, `mend` says what to do about it."""

    words: str
    problem: str = ""
    mend: str = ""
    needed: bool = True  # without it the course does not run as it should


def report() -> int:
    """Print a line for each thing the course needs; 1 if something needed is wrong, else 0."""
    broken = False
    for what, look in LOOKS.items():
        finding = look_safely(look)
        broken |= bool(finding.problem) and finding.needed
        mark = "ok   " if not finding.problem else "WRONG" if finding.needed else "note "
        words = finding.problem or finding.words
        print(f"{mark}  {what:11} " + words.replace("\n", f"\n{'':19}"))
        if finding.mend:
            print(f"{'':19}Repair: {finding.mend}")
    print("Something needed is wrong." if broken else "Everything needed works.")
    return int(broken)


def look_safely(look: Callable[[], Finding]) -> Finding:
    """A look that itself fails has found something wrong."""
    try:
        return look()
    except Exception as error:
        return Finding("", f"{type(error).__name__}: {error}", SET_UP)


def python() -> Finding:
    """Its version is one the course is tested with."""
    words = f"{sys.version.split()[0]} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding(words)
    return Finding(words, f"{words}: not 3.11, 3.12 or 3.13", "make setup PYTHON=python3.12")


def packages() -> Finding:
    """Every package of the lock that is meant for this machine is there, in the locked version."""
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    wanted = [w for w in wanted if w.marker is None or w.marker.evaluate()]
    other = [
        str(w.specifier) + " " + w.name for w in wanted if installed(w.name) not in w.specifier
    ]
    if other:
        return Finding("", f"{len(other)} not as locked, such as {other[0]}", SET_UP, needed=False)
    return Finding(f"{len(wanted)}, all in their locked versions")


def installed(name: str) -> str:
    """The installed version of a package; "0" if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "0"


def torch_works() -> Finding:
    """PyTorch is importable and computes."""
    import torch

    total = float(torch.arange(4.0) @ torch.ones(4))
    if total != 6:
        return Finding("", f"PyTorch {torch.__version__} computes 0+1+2+3 = {total}", SET_UP)
    return Finding(f"{torch.__version__}, {torch.get_num_threads()} threads")


def device() -> Finding:
    """Which device the course will use, and whether a GPU lies idle."""
    import torch

    from course_lib.core.tensors import pick_device

    picked = pick_device()
    if picked.type == "cuda":
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding(f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB")
    if nvidia_gpu():
        mend = "update the NVIDIA driver, remove .venv, then: make setup"
        return Finding("", f"this PyTorch cannot use the {nvidia_gpu()}", mend, needed=False)
    return Finding(f"{picked.type} (no NVIDIA GPU; the fast and cpu profiles need none)")


def nvidia_gpu() -> str:
    """The NVIDIA GPU's name as its driver tells it; empty if there is none."""
    if not shutil.which("nvidia-smi"):
        return ""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(query, check=False, capture_output=True, text=True).stdout.strip()


def data() -> Finding:
    """Each committed data set, and each sheet of recorded samples, is what was committed."""
    from course_lib.data.digits import load_digits
    from course_lib.data.fashion_mnist import load_fashion_mnist
    from course_lib.data.files import checksums, read_whole
    from course_lib.data.samples import index, load_samples

    try:
        loads = load_fashion_mnist, load_digits
        pictures = [len(load(split)[0]) for load in loads for split in ("train", "test")]
        others = [name for name in checksums() if not name.startswith("fashion_mnist")]
        for name in others:  # emoji and states of prompts, as files: decoding takes seconds
            read_whole(name)
        for name in index():
            load_samples(name)
    except (RuntimeError, OSError) as error:
        return Finding("", str(error))  # it says how to mend it
    words = f"{sum(pictures):,} pictures (Fashion-MNIST, digits), {len(others)} files of emoji and"
    return Finding(f"{words} prompts, {len(index())} sheets of samples: checksums right")


def weights() -> Finding:
    """Each shipped weights file is the one that the manifest describes."""
    from course_lib.weights import manifest, whole_file

    if not manifest():
        return Finding("", "data/weights/manifest.json is missing", "git checkout -- data/weights")
    try:
        for name in manifest():
            whole_file(name)
    except ValueError as error:
        return Finding("", str(error))  # it says how to mend it
    return Finding(f"{len(manifest())} trained models, checksums right")


def disk() -> Finding:
    """There is room for runs/ and the website, and the folder can be written to."""
    free = shutil.disk_usage(ROOT).free
    words = f"{free / 1e9:.0f} GB free"
    if free < ROOM_NEEDED:
        return Finding(words, f"{free / 1e9:.1f} GB free", "make 2 GB of room; runs/ may be large")
    (ROOT / "runs").mkdir(exist_ok=True)
    probe = ROOT / "runs" / ".probe"
    probe.touch()
    probe.unlink()
    return Finding(words)


def jupyterlab() -> Finding:
    """JupyterLab is there, and its kernel runs in this environment."""
    from jupyter_client.kernelspec import KernelSpecManager

    kernel = Path(KernelSpecManager().get_kernel_spec("python3").argv[0])
    words = metadata.version("jupyterlab")
    if kernel.name == str(kernel) or kernel == Path(sys.executable):
        return Finding(words)
    problem = f"{words}, but its kernel `python3` runs {kernel}, another Python"
    return Finding(words, problem, "jupyter kernelspec remove python3, then start it again")


def website() -> Finding:
    """What `make book` needs is there: Sphinx, and what sets formulas."""
    names = {"Sphinx": "sphinx", "MathJax": "django-static-mathjax", "V8": "mini-racer"}
    versions = ", ".join(f"{name} {installed(package)}" for name, package in names.items())
    if "0" in versions.replace(",", "").split():
        return Finding("", f"`make book` cannot run: {versions}", SET_UP, needed=False)
    return Finding(versions)


LOOKS: dict[str, Callable[[], Finding]] = {
    "Python": python,
    "packages": packages,
    "PyTorch": torch_works,
    "device": device,
    "data": data,
    "weights": weights,
    "disk": disk,
    "JupyterLab": jupyterlab,
    "website": website,
}
