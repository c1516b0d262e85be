"""Make `.venv`: the whole course, in the versions of requirements.lock, from a bare Python.

    python tools/setup_env.py          install what is missing (under a second when nothing is)
    python tools/setup_env.py torch    take the newest PyTorch instead of the tested one

`make lab` and `make test` call it. It needs only Python's standard library, so that it also runs
where `make` does not. It may be interrupted anywhere and called again: the stamp that says
"complete" is written last, and whatever pip left half installed is installed again.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "complete.sha256"


def main() -> int:
    """Set the environment up unless it is complete; say why if it cannot be."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        ours = f"{sys.executable} is {platform.python_version()}"
        return fail(f"the course needs Python 3.11, 3.12 or 3.13; {ours}.")
    torch = sys.argv[1] if len(sys.argv) > 1 else pinned_torch()
    if stamp_text(torch) == read(STAMP):
        return 0
    with alone():
        return 0 if stamp_text(torch) == read(STAMP) else set_up(torch)


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other set-up of this folder runs: `make lab` and `make test` may meet.

    The system drops the lock when its holder ends, however it ends. Windows has no such lock here.
    """
    if fcntl is None:
        yield
        return
    with open(__file__) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another set-up is running here; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def set_up(torch: str) -> int:
    """Install everything; 0 if that went well."""
    start = time.perf_counter()
    STAMP.unlink(missing_ok=True)  # from here on it is no longer what the stamp says
    try:
        make_venv()
        remove_half_installed()
        say("installing the locked packages")
        pip("--no-deps", "-r", str(LOCK))
        install_torch(torch)
        pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    except subprocess.CalledProcessError as error:
        step = " ".join(str(part) for part in error.cmd)
        return fail(f"failed, for the reason above: {step}\nThe next call goes on from here.")
    STAMP.write_text(stamp_text(torch))
    say(f"complete after {time.perf_counter() - start:.0f} s")
    return 0


def pinned_torch() -> str:
    """The PyTorch that pyproject.toml asks for, such as `torch==2.13.0`."""
    import tomllib  # not at the top: an older Python must reach the message that says it is too old

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return next(line for line in project["dependencies"] if line.startswith("torch="))


def stamp_text(torch: str) -> str:
    """What a complete `.venv` was made from: lock, project, this file, PyTorch, Python."""
    files = [path.read_bytes() for path in (LOCK, ROOT / "pyproject.toml", Path(__file__))]
    digest = hashlib.sha256(b"\0".join([*files, torch.encode(), str(ROOT).encode()])).hexdigest()
    return f"{digest} python {platform.python_version()}\n"


def make_venv() -> None:
    """Make `.venv` with this Python, unless this Python is already the one in it."""
    if Path(sys.prefix).resolve() == VENV.resolve() and works(venv_python()):
        return
    home = read(VENV / "pyvenv.cfg")
    if f"version = {platform.python_version()}" in home and works(venv_python()):
        return
    say(f"making .venv with Python {platform.python_version()}")
    subprocess.run([base_python(), "-m", "venv", "--clear", VENV], check=True)


def base_python() -> str:
    """The Python behind the one that runs this: a `.venv` cannot clear itself."""
    return getattr(sys, "_base_executable", sys.executable)


def venv_python() -> Path:
    """Where `.venv` keeps its Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def works(python: Path) -> bool:
    """Whether this Python runs and has a pip."""
    command = [str(python), "-m", "pip", "--version"]
    return python.exists() and subprocess.run(command, capture_output=True).returncode == 0


def remove_half_installed() -> None:
    """Forget packages whose installation was cut short: pip writes INSTALLER at the end."""
    for folder in VENV.glob("**/site-packages/*.dist-info"):
        if not (folder / "INSTALLER").exists():
            say(f"{folder.name} was left half installed; installing it again")
            shutil.rmtree(folder)


def install_torch(torch: str) -> None:
    """Install PyTorch: the build that fits this machine's GPU, or the small one without CUDA.

    PyTorch keeps builds for CPUs and for each CUDA version in its own index. `uv` knows that index
    and reads the NVIDIA driver's version, so it picks. Where it cannot be reached (or there is
    nothing to pick: macOS), pip takes what the configured package index offers.
    """
    if sys.platform != "darwin":
        uv = [str(venv_python().with_name("uv")), "pip", "install", "--python", str(venv_python())]
        uv += ["--torch-backend", "auto", torch]
        patience = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "0"}
        if quietly([*uv, "--dry-run"], patience):
            say(f"installing {torch} for {gpu_name()}")
            subprocess.run(uv, check=True)
            return
        say("PyTorch's own index is not in reach; taking the package index's build")
        if sys.platform == "linux" and gpu_name() == "the CPU":
            say("unless pip knows a CPU build, it brings CUDA along: some gigabytes, harmless")
    say(f"installing {torch} with pip")
    pip(torch)


def quietly(command: list[str], variables: dict[str, str]) -> bool:
    """Whether the command succeeds with these environment variables, saying nothing."""
    environment = {**variables, **os.environ}  # what the reader has set wins
    return subprocess.run(command, capture_output=True, env=environment).returncode == 0


def gpu_name() -> str:
    """The NVIDIA GPU's name, or "the CPU"."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        names = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "the CPU"
    return names.stdout.splitlines()[0] if names.returncode == 0 and names.stdout else "the CPU"


def pip(*arguments: str) -> None:
    """`pip install`, with whatever index, proxy and constraints the reader's own settings name."""
    options = ["--disable-pip-version-check", "--no-warn-script-location"]
    options += [] if sys.stdout.isatty() else ["--quiet"]
    subprocess.run([str(venv_python()), "-m", "pip", "install", *options, *arguments], check=True)


def read(path: Path) -> str:
    """The file's text; nothing if there is no such file."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def say(words: str) -> None:
    print(f"[setup] {words}", flush=True)


def fail(words: str) -> int:
    print(f"[setup] {words}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; the next call goes on from here."))
