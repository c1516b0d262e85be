"""pyproject.toml, requirements.lock and environment.yml describe one and the same environment."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(line) for line in sum(EXTRAS.values(), PROJECT["dependencies"])]
LOCK_LINES = (ROOT / "requirements.lock").read_text().splitlines()
LOCK = [Requirement(line) for line in LOCK_LINES if not line.startswith("#")]
SYSTEMS = [("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt")]


def locked_for(version: str, system: tuple[str, str, str]) -> dict[str, Requirement]:
    """The lock's packages on one Python and one system."""
    machine = dict(
        zip(("sys_platform", "platform_system", "os_name"), system, strict=True),
        python_version=version,
        python_full_version=f"{version}.1",
    )
    here = [r for r in LOCK if r.marker is None or r.marker.evaluate(machine)]
    names = [canonicalize_name(r.name) for r in here]
    assert len(names) == len(set(names)), "the lock names a package twice"
    return dict(zip(names, here, strict=True))


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system[0])
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_lock_satisfies_pyproject(version: str, system: tuple[str, str, str]) -> None:
    locked = locked_for(version, system)
    for direct in DIRECT:
        if direct.name == "torch":
            continue
        pin = locked[canonicalize_name(direct.name)]
        exact = re.fullmatch(r"==([^*]+)", str(pin.specifier))
        assert exact, f"{pin} is not one exact version"
        assert direct.specifier.contains(exact[1], prereleases=True), f"{pin} against {direct}"


def test_lock_is_complete_here() -> None:
    """What the locked packages themselves require is locked too, in versions they accept."""
    names = {canonicalize_name(r.name): r for r in LOCK}
    wanted = (
        here for r in LOCK if r.marker is None or r.marker.evaluate() for here in needs(r.name)
    )
    for asker, need in wanted:
        if need.name != "torch":
            pin = names[canonicalize_name(need.name)]
            assert need.specifier.contains(str(pin.specifier).removeprefix("==")), f"{asker}: {pin}"


def needs(name: str) -> list[tuple[str, Requirement]]:
    """What an installed package requires on this machine, extras aside."""
    lines = [Requirement(line) for line in metadata.requires(name) or []]
    return [(name, r) for r in lines if not r.marker or r.marker.evaluate({"extra": ""})]


def test_lock_leaves_the_build_of_pytorch_to_the_set_up() -> None:
    chosen_later = re.compile(r"torch|torchvision|triton|nvidia-.*|cuda-.*")
    assert not [r.name for r in LOCK if chosen_later.fullmatch(r.name)]


def test_torchvision_comes_in_nowhere() -> None:
    assert "torchvision" not in {r.name for r in DIRECT + LOCK}


@pytest.mark.parametrize("file", ["requirements.lock", "environment.yml", "pyproject.toml"])
def test_no_index_is_named(file: str) -> None:
    text = (ROOT / file).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)


def test_environment_yml_gives_the_same_thing() -> None:
    """conda brings a Python in pyproject's range; pip brings the lock, PyTorch and the course."""
    *conda, by_pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert conda == [f"python {PROJECT['requires-python']}", "pip"]
    torch = next(line for line in PROJECT["dependencies"] if line.startswith("torch"))
    extras = ",".join(sorted(EXTRAS))
    assert by_pip == {"pip": ["-r requirements.lock", torch, f"-e .[{extras}]"]}


def test_makefile_and_set_up_ask_for_the_same_pythons() -> None:
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    condition = "(3, 11) <= sys.version_info[:2] <= (3, 13)"
    for file in ("Makefile", "tools/setup_env.py", "course_lib/check.py"):
        assert condition in (ROOT / file).read_text(), file


def test_set_up_names_the_pinned_torch() -> None:
    show = "import setup_env; print(setup_env.pinned_torch())"
    printed = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT / "tools", capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() in PROJECT["dependencies"]


def test_installed_is_what_is_locked() -> None:
    """The tests run on the locked versions, so that green means something for the reader."""
    here = [r for r in LOCK if r.marker is None or Marker(str(r.marker)).evaluate()]
    other = [r.name for r in here if metadata.version(r.name) not in r.specifier]
    assert not other, "run `make setup`"
