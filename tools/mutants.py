"""Break the library in one place at a time, and see which test notices.

    python tools/mutants.py                          all of them, as a table
    python tools/mutants.py --only samplers          those of one file
    python tools/mutants.py --report docs/mutants.md also write the table

Each mutant is a sign, an index, a root, a factor or an order changed in a copy of `course_lib`; the
fast tests of that file must fail on it. Exit status 1 if one survives: then a test is missing.
"""

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in course_lib/`file`. `old` occurs there exactly once."""

    file: str
    old: str
    new: str
    what: str

    @property
    def tests(self) -> list[str]:
        """The test files that look after this file, nearest first."""
        return TESTS[self.file]


TESTS = {
    "diffusion/schedules.py": ["tests/test_diffusion_schedules.py"],
    "diffusion/predictions.py": ["tests/test_diffusion_predictions.py"],
    "diffusion/denoiser.py": ["tests/test_diffusion_denoiser.py"],
    "diffusion/forward.py": ["tests/test_diffusion_forward.py"],
    "diffusion/samplers.py": ["tests/test_diffusion_samplers.py"],
    "diffusion/training.py": ["tests/test_diffusion_training.py"],
    "diffusion/exact.py": ["tests/test_diffusion_exact.py"],
    "diffusion/likelihood.py": ["tests/test_diffusion_likelihood.py"],
    "nn/attention.py": ["tests/test_nn_attention.py"],
    "nn/embeddings.py": ["tests/test_nn_embeddings.py"],
    "nn/blocks.py": ["tests/test_nn_unet.py"],
    "train.py": ["tests/test_train.py"],
    "weights.py": ["tests/test_weights.py"],
}

MUTANTS = [
    # schedules
    Mutant("diffusion/schedules.py", "(1 - beta).cumprod(0)", "(1 + beta).cumprod(0)", "sign"),
    Mutant(
        "diffusion/schedules.py",
        "_Table(alpha_bar.sqrt())",
        "_Table(alpha_bar)",
        "root: alpha is alpha_bar",
    ),
    Mutant(
        "diffusion/schedules.py",
        "_Table((1 - alpha_bar).sqrt())",
        "_Table(1 - alpha_bar)",
        "root: sigma is a variance",
    ),
    Mutant(
        "diffusion/schedules.py",
        "1 - alpha_bar[1:] / alpha_bar[:-1]",
        "1 - alpha_bar[:-1] / alpha_bar[1:]",
        "index: neighbours swapped",
    ),
    Mutant(
        "diffusion/schedules.py",
        "torch.linspace(0, 1, T + 1, dtype=torch.float64)",
        "torch.linspace(0, 1, T + 2, dtype=torch.float64)",
        "off by one: T + 1 steps",
    ),
    Mutant(
        "diffusion/schedules.py",
        "/ (1 + offset) * math.pi / 2).square()",
        "/ (1 + offset) * math.pi / 2)",
        "root: cosine without its square",
    ),
    Mutant(
        "diffusion/schedules.py",
        "torch.linspace(schedule.T, 0, steps + 1",
        "torch.linspace(schedule.T, 1, steps + 1",
        "index: times end at 1",
    ),
    Mutant(
        "diffusion/schedules.py",
        "(self.alpha(t) / self.sigma(t)).square()",
        "(self.alpha(t) / self.sigma(t))",
        "root: SNR without its square",
    ),
    Mutant(
        "diffusion/schedules.py",
        "return 2 * (self.alpha(t).log()",
        "return (self.alpha(t).log()",
        "factor 2 of the log-SNR",
    ),
    Mutant("diffusion/schedules.py", "** (1 / rho) - high", "** (1 / rho) + high", "sign"),
    Mutant(
        "diffusion/schedules.py",
        "if t.shape != like.shape[:1]:",
        "if False:",
        "a check that never fails",
    ),
    # predictions
    Mutant(
        "diffusion/predictions.py",
        "(sigma * out - b * x_t) / (a",
        "(sigma * out + b * x_t) / (a",
        "sign",
    ),
    Mutant(
        "diffusion/predictions.py", "(a * sigma - b * alpha)\n", "(a * sigma + b * alpha)\n", "sign"
    ),
    Mutant("diffusion/predictions.py", "(-sigma, alpha)", "(sigma, alpha)", "sign of v"),
    Mutant("diffusion/predictions.py", "(-sigma, alpha)", "(-alpha, sigma)", "v: swapped"),
    Mutant("diffusion/predictions.py", "-1 / sigma)", "1 / sigma)", "sign of the score"),
    Mutant(
        "diffusion/predictions.py", "(x_t - alpha * x_0) / sigma", "(x_t - x_0) / sigma", "factor"
    ),
    Mutant("diffusion/predictions.py", "/ sigma).square()", "/ sigma)", "root of the weight"),
    Mutant("diffusion/predictions.py", "sigma * SIGMA_DATA / total", "SIGMA_DATA / total", "c_out"),
    Mutant(
        "diffusion/predictions.py",
        "alpha * SIGMA_DATA**2 / total**2",
        "alpha * SIGMA_DATA**2 / total",
        "c_skip: root",
    ),
    # denoiser
    Mutant(
        "diffusion/denoiser.py", "alpha * x_0 + sigma * eps", "sigma * x_0 + alpha * eps", "swapped"
    ),
    Mutant("diffusion/denoiser.py", ".flatten(1).mean(1)", ".flatten(1).sum(1)", "mean is a sum"),
    # forward
    Mutant("diffusion/forward.py", "alpha_t / alpha_s,", "alpha_s / alpha_t,", "swapped"),
    Mutant("diffusion/forward.py", "now - keep**2 * before", "now - keep * before", "root"),
    Mutant(
        "diffusion/forward.py",
        "alpha_s * beta / now",
        "alpha_t * beta / now",
        "index: alpha of t for alpha of s",
    ),
    Mutant("diffusion/forward.py", "sigma_s**2, sigma_t**2", "sigma_t**2, sigma_s**2", "swapped"),
    Mutant(
        "diffusion/forward.py",
        "beta * before / now",
        "beta * now / before",
        "index: noise of s over noise of t",
    ),
    Mutant("diffusion/forward.py", "t.double() if", "t if", "times in float32"),
    # samplers
    Mutant("diffusion/samplers.py", "spread.sqrt() * randn", "spread * randn", "root"),
    Mutant(
        "diffusion/samplers.py",
        "torch.where(spread > 0, beta, 0)",
        "beta",
        "noise at the last step too",
    ),
    Mutant(
        "diffusion/samplers.py",
        'if variance == "large":',
        'if variance == "small":',
        "small and large swapped",
    ),
    Mutant(
        "diffusion/samplers.py",
        "return alpha_s * x_0 + sigma_s * eps",
        "return alpha_s * x_0 + sigma_t * eps",
        "index",
    ),
    Mutant("diffusion/samplers.py", ".variance, x_t).sqrt()", ".variance, x_t)", "root"),
    Mutant("diffusion/samplers.py", "(sigma_s**2 - fresh**2)", "(sigma_s**2 - fresh)", "root"),
    Mutant(
        "diffusion/samplers.py", "(n_s - n_t) * slope)", "(n_t - n_s) * slope)", "sign of Euler"
    ),
    Mutant(
        "diffusion/samplers.py",
        "(slope_t + slope_s) / 2",
        "slope_t",
        "Heun without its second slope",
    ),
    Mutant(
        "diffusion/samplers.py",
        "denoise(alpha_s * z_s, s)",
        "denoise(alpha_s * z_s, t)",
        "index: second slope at t",
    ),
    Mutant(
        "diffusion/samplers.py",
        "for t, s in pairwise(times)",
        "for s, t in pairwise(times)",
        "order",
    ),
    # training
    Mutant(
        "diffusion/training.py",
        "torch.randint(1, schedule.T + 1",
        "torch.randint(0, schedule.T",
        "off by one",
    ),
    Mutant("diffusion/training.py", "max=schedule.T - 1) + 1", "max=schedule.T - 1)", "off by one"),
    Mutant(
        "diffusion/training.py",
        "torch.rand(1, device=device)) / n",
        "0.5) / n",
        "no random offset: few times are ever seen",
    ),
    Mutant(
        "diffusion/training.py",
        "times[torch.randperm(n, device=device)]",
        "times",
        "times stay sorted",
    ),
    Mutant("diffusion/training.py", "s, noise = t - 1", "s, noise = t", "index"),
    Mutant("diffusion/training.py", "(beta[t] / noise[t]) ** 2", "(beta[t] / noise[t])", "root"),
    Mutant("diffusion/training.py", "distance / (2 * spread)", "distance / spread", "factor 2"),
    Mutant(
        "diffusion/training.py",
        "beta[t] * noise[s] / noise[t]",
        "beta[t] * noise[t] / noise[s]",
        "swapped",
    ),
    # exact
    Mutant(
        "diffusion/exact.py",
        "a**2 * self.variances + s**2)\n        shift",
        "a**2 * self.variances + s)\n        shift",
        "root of the gain",
    ),
    Mutant("diffusion/exact.py", "-offset / self.variances", "offset / self.variances", "sign"),
    Mutant(
        "diffusion/exact.py",
        "alpha**2 * covariances + noise",
        "alpha * covariances + noise",
        "root",
    ),
    Mutant(
        "diffusion/exact.py",
        "square + variance.log().sum(2)",
        "square - variance.log().sum(2)",
        "sign of the determinant",
    ),
    Mutant(
        "diffusion/exact.py",
        "self.variances.sqrt()[:, None, :]",
        "self.variances[:, None, :]",
        "root",
    ),
    Mutant(
        "diffusion/exact.py",
        'einsum("kij,bki->bkj"',
        'einsum("kij,bkj->bki"',
        "index: axes not turned",
    ),
    Mutant("diffusion/exact.py", "- 2 * alpha * (x_t", "- alpha * (x_t", "factor 2"),
    Mutant("diffusion/exact.py", "(2 * sigma**2)).softmax(1)", "(2 * sigma)).softmax(1)", "root"),
    # likelihood
    Mutant("diffusion/likelihood.py", "(var_p / var_q).log()", "(var_q / var_p).log()", "swapped"),
    Mutant("diffusion/likelihood.py", "/ var_p - 1)", "/ var_q - 1)", "index"),
    Mutant(
        "diffusion/likelihood.py", "sigma**2, torch.zeros_like", "sigma, torch.zeros_like", "root"
    ),
    Mutant("diffusion/likelihood.py", "nats / math.log(2)", "nats * math.log(2)", "nats to bits"),
    Mutant(
        "diffusion/likelihood.py",
        'vlb_weight(schedule, t, "x_0", variance)',
        'vlb_weight(schedule, t, "eps", variance)',
        "weight of another row",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "beta[t] * noise[t - 1] / noise[t]",
        "beta[t] * noise[t] / noise[t - 1]",
        "swapped",
    ),
    # networks
    Mutant("nn/attention.py", "/ math.sqrt(query.shape[-1])", "/ query.shape[-1]", "root"),
    Mutant(
        "nn/attention.py", "torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=-2)", "index"
    ),
    Mutant("nn/attention.py", "return x + mixed", "return mixed", "no shortcut"),
    Mutant("nn/embeddings.py", "/ (half - shift)", "/ (half + shift)", "sign"),
    Mutant("nn/embeddings.py", "math.log(max_period) * exponent)", "exponent)", "factor"),
    Mutant("nn/blocks.py", "channels // n >= 3)", "channels // n >= 1)", "groups of one channel"),
    Mutant("nn/blocks.py", "* (1 + scale) + shift", "* scale + shift", "scale does not start at 1"),
    # trainer
    Mutant("train.py", "min(decay, (1 + n)", "min(decay, (2 + n)", "off by one"),
    Mutant("train.py", "current, 1 - min(decay", "current, min(decay", "average runs backwards"),
    Mutant(
        "train.py",
        "config.seed * 1_000_003 + done",
        "config.seed * 1_000_003",
        "the same noise each step",
    ),
    Mutant(
        "train.py",
        "(done + 1) / max(1, config.warmup_steps)",
        "done / max(1, config.warmup_steps)",
        "off by one",
    ),
    Mutant(
        "train.py",
        "left = config.total_steps - done",
        "left = config.total_steps - done - 1",
        "off by one",
    ),
    Mutant(
        "train.py",
        '_under("ema.", tensors))',
        '_under("model.", tensors))',
        "the average is not restored",
    ),
    Mutant("train.py", 'about["sha256"] != _digest', "None is _digest", "damage goes unnoticed"),
    Mutant(
        "train.py", 'record["config"] != asdict', "None is asdict", "another config goes unnoticed"
    ),
    # weights
    Mutant("weights.py", "found != expected", "not found", "damage goes unnoticed"),
    Mutant("weights.py", "own[k].shape != tensors[k].shape", "False", "shapes go unnoticed"),
]


def main() -> int:
    """Run the mutants that were asked for; print and perhaps write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="part of a file's name, e.g. samplers")
    parser.add_argument("--report", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.file]
    if not chosen:
        parser.error(f"no file matches {options.only!r}. Files: {', '.join(TESTS)}")

    warm = sys.platform == "linux"
    if warm:  # once here, instead of once for each mutant
        for package in ("torch", "hypothesis", "beartype", "jaxtyping", "scipy.stats", "tqdm.auto"):
            importlib.import_module(package)

    rows, survivors = [], 0
    with tempfile.TemporaryDirectory() as folder:
        copy = make_copy(Path(folder))
        sound = sorted({test for mutant in chosen for test in mutant.tests})
        if failed := first_failure(copy, sound, warm):
            print(f"the tests fail without any mutant: {failed}. Mend that first")
            return 2
        for number, mutant in enumerate(chosen, 1):
            caught = try_mutant(copy, mutant, warm)
            survivors += caught is None
            rows.append(row(mutant, caught))
            print(f"{number:3}/{len(chosen)} {rows[-1]}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants caught")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        old = options.report.read_text() if options.report.exists() else ""
        options.report.write_text(report(rows, old))
    return 1 if survivors else 0


def make_copy(folder: Path) -> Path:
    """What the tests need, where it may be broken."""
    clean = shutil.ignore_patterns("__pycache__", "reference", "browser")
    for name in ("course_lib", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=clean)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def try_mutant(copy: Path, mutant: Mutant, warm: bool = False) -> str | None:
    """Break the copy, name the first test that fails (None if all pass), and mend it."""
    path = copy / "course_lib" / mutant.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(mutate(sound, mutant), encoding="utf-8")
    try:
        return first_failure(copy, mutant.tests, warm)
    finally:
        path.write_text(sound, encoding="utf-8")


def mutate(text: str, mutant: Mutant) -> str:
    """Raise ValueError unless the text to change occurs exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.file}, not once."
            " The library has changed: bring tools/mutants.py up to date"
        )
    return text.replace(mutant.old, mutant.new)


def first_failure(copy: Path, tests: list[str], warm: bool = False) -> str | None:
    """The name of the first test that fails in `copy`; None if all pass.

    warm   fork this process instead of starting Python anew; it must not have seen course_lib
    """
    arguments = ["-x", "-q", "--tb=no", "-m", "not slow", "-p", "no:cacheprovider"]
    arguments += ["-p", "no:xdist", "-rfE", *tests]
    code, output = (in_a_fork if warm else in_a_process)(copy, arguments)
    if code == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    if code not in (1, 2) or not found:
        raise RuntimeError(f"pytest ended with {code}: {output[-1500:]}")
    return found[1]


def in_a_process(copy: Path, arguments: list[str]) -> tuple[int, str]:
    """Run pytest in a new Python: 3 seconds of imports for each mutant."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *arguments],
        cwd=copy,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def in_a_fork(copy: Path, arguments: list[str]) -> tuple[int, str]:
    """Run pytest in a copy of this Python, which has imported everything but `course_lib`."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                os.chdir(copy)
                sys.path.insert(0, str(copy))
                sys.dont_write_bytecode = True
                code = int(pytest.main(arguments))
                sys.stdout.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def row(mutant: Mutant, caught: str | None) -> str:
    """One line of the table."""
    name = caught and caught.split("::")[-1].split("[")[0]
    if name == caught:  # no test's name but a file's: it already fails when it is imported
        name = caught and f"import of {Path(caught).name}"
    old, new = (
        text.strip().replace("|", "\\|").replace("\n", " ") for text in (mutant.old, mutant.new)
    )
    verdict = f"`{name}`" if name else "**nothing**"
    return f"| {mutant.file} | {mutant.what} | `{old}` | `{new}` | {verdict} |"


def report(rows: list[str], old: str) -> str:
    """The page a reader finds in docs/: these rows, and the old ones of files that were not run."""
    fresh = {_file(row) for row in rows}
    kept = [line for line in old.splitlines() if _file(line) in TESTS and _file(line) not in fresh]
    rows = sorted(rows + kept, key=lambda row: list(TESTS).index(_file(row)))
    caught = sum("**nothing**" not in row for row in rows)
    return (
        "# Which test notices which mistake\n\n"
        "Made by `python tools/mutants.py --report docs/mutants.md`: each row breaks the library in"
        f" one place\nand names the first test that fails. {caught} of {len(rows)} mistakes are"
        " caught.\n\n"
        "| file | mistake | from | to | caught by |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _file(row: str) -> str:
    return row.split("|")[1].strip() if row.startswith("| ") else ""


if __name__ == "__main__":
    sys.exit(main())
