"""Resolve pyproject.toml into requirements.lock, once for Python 3.11-3.13 on all systems.

PyTorch and the CUDA packages it drags along on Linux are left out: which build of PyTorch is right
depends on the machine, so tools/setup_env.py chooses it there.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHOSEN_LATER = re.compile(r"(torch|triton|nvidia-.*|cuda-.*)==")
HEADER = """\
# Made by `make lock` from pyproject.toml, all extras: do not edit.
# PyTorch is not here: tools/setup_env.py installs the build that fits the machine.
"""


def main() -> None:
    """Write requirements.lock."""
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "compile", "pyproject.toml", "--all-extras", "--universal"]
    command += ["--python-version", "3.11", "--fork-strategy", "fewest"]
    command += ["--no-annotate", "--no-header", "--quiet", "--upgrade"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    kept = [line for line in lines.splitlines() if not CHOSEN_LATER.match(line)]
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
