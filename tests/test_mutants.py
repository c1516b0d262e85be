"""The tests are tested: they notice mistakes put into the library (all: tools/mutants.py)."""

import ast
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "mutants.py"


@pytest.fixture(scope="module")
def mutants():
    spec = importlib.util.spec_from_file_location("mutants", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutants"]


def test_every_mutant_still_applies_and_is_python(mutants):
    for mutant in mutants.MUTANTS:
        text = (mutants.ROOT / "course_lib" / mutant.file).read_text(encoding="utf-8")
        ast.parse(mutants.mutate(text, mutant))
        assert all((mutants.ROOT / test).exists() for test in mutant.tests)


def test_there_are_enough_of_them_everywhere(mutants):
    count = Counter(Path(mutant.file).stem for mutant in mutants.MUTANTS)
    for file in ("forward", "samplers", "training", "exact", "likelihood", "perturb", "sequences"):
        assert count[file] >= 6
    for file in ("schedules", "discrete", "reverse", "langevin", "vae", "metrics"):
        assert count[file] >= 11
    assert len(set(mutants.MUTANTS)) == len(mutants.MUTANTS)


def test_the_report_has_a_row_for_every_mutant_and_says_who_caught_it(mutants):
    lines = (mutants.ROOT / "docs" / "mutants.md").read_text(encoding="utf-8").splitlines()
    shown = [line.rsplit("|", 2) for line in lines if line.startswith("| ")][1:]
    wanted = {
        mutants.row(mutant, "tests/x.py::test_x").rsplit("|", 2)[0] for mutant in mutants.MUTANTS
    }
    stale = {start for start, _, _ in shown} ^ wanted
    assert not stale, f"{stale}: run python tools/mutants.py --only FILE --report docs/mutants.md"
    assert not [start for start, caught, _ in shown if "**nothing**" in caught]


def test_a_mutant_that_no_longer_applies_is_named(mutants):
    stale = mutants.Mutant("diffusion/samplers.py", "no such text", "", "")
    with pytest.raises(ValueError, match="'no such text' occurs 0 times.*up to date"):
        mutants.mutate("something else", stale)


@pytest.mark.slow
def test_one_mistake_in_each_of_four_files_is_noticed_and_none_without(mutants, tmp_path):
    copy = mutants.make_copy(tmp_path)
    files = [f"diffusion/{f}.py" for f in ("schedules", "predictions", "samplers", "training")]
    assert mutants.first_failure(copy, ["tests/test_diffusion_training.py"]) is None
    for file in files:
        mutant = next(m for m in mutants.MUTANTS if m.file == file)
        assert mutants.try_mutant(copy, mutant), mutant
