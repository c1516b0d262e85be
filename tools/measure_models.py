"""Draw from shipped models, judge the samples, and enter them in the standings.

    python tools/measure_models.py                    every row that is missing
    python tools/measure_models.py "DDPM, 100 steps"  this one, again
    python tools/measure_models.py --list             the rows, and how each is drawn

A row is judged by `course_lib.evaluation` and written to data/scoreboard.json; where it keeps a
sheet, its first samples go to data/samples too. To add a model to the course's scoreboard, add a
row. On a CPU with bf16 matrix units, `--bf16` halves the time.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace

import torch

from course_lib.core.tensors import pick_device
from course_lib.data.samples import save_samples
from course_lib.evaluation import REAL, as_pixels, enter, evaluate, standings
from course_lib.trainings import trained
from tools.ship_weights import Decoded, LearnedSteps, Sampler

NUMBER = {"fashion": 2_000, "digits": 1_352}  # of samples in a row; all rows alike
SHAPE = {"fashion": (1, 28, 28), "digits": (1, 8, 8)}


@dataclass(frozen=True)
class Row:
    """One line of the standings: which weights, how they are sampled, how many are kept."""

    weights: str
    sampler: Sampler | LearnedSteps | Decoded
    keep: int = 0

    @property
    def against(self) -> str:
        """The data set, which the name of the weights begins with."""
        return self.weights.split("_")[0]


ROWS = {
    "VAE, 2 latents": Row("fashion_vae", Decoded()),
    "VAE, 16 latents": Row("fashion_vae_16", Decoded()),
    "diffusion of 2015, 200 steps": Row("fashion_2015", LearnedSteps()),
    "NCSN, 100 levels": Row("fashion_ncsn", Sampler("consistent", 100)),
    "DDPM, 100 steps": Row("fashion_ddpm", Sampler("ddpm", 100), keep=1_000),
    "digits: predicts the mean, 50 steps": Row("digits_mean", Sampler("ddpm", 50), keep=1_352),
    "digits: DDPM on L_vlb, 50 steps": Row("digits_ddpm_vlb", Sampler("ddpm", 50), keep=1_352),
    "digits: predicts x_0, 50 steps": Row("digits_x_0", Sampler("ddpm", 50), keep=1_352),
    "digits: NCSN, 50 levels": Row("digits_ncsn", Sampler("consistent", 50), keep=1_352),
    "digits: DDPM, 50 steps": Row("digits_ddpm", Sampler("ddpm", 50), keep=1_352),
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the rows asked for; 2 if one of them is unknown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="which (default: what is missing)")
    parser.add_argument("--list", action="store_true", help="show the rows, measure nothing")
    parser.add_argument("--bf16", action="store_true", help="sample in bf16; for CPUs with AMX")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.rows if name not in ROWS]:
        print(f"measure models: no row {unknown[0]!r}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        for name, row in ROWS.items():
            print(f"{name}: {row.weights}, {row.sampler}")
        return 0
    done = {name for against in REAL for name in standings(against)}
    for name in options.rows or [name for name in ROWS if name not in done]:
        row = ROWS[name]
        sampler = row.sampler
        if options.bf16 and not isinstance(sampler, Decoded):
            sampler = replace(sampler, bf16=True)
        model = trained(row.weights).to(pick_device(options.device))
        started = time.perf_counter()
        with torch.no_grad():
            drawn = sampler(model, (NUMBER[row.against], *SHAPE[row.against]))
        keep(name, drawn, f"{row.weights}: {sampler}")
        print(f"{name}: drawn in {time.perf_counter() - started:.0f} s")
    return 0


def keep(name: str, drawn: torch.Tensor, how: str) -> None:
    """Judge what a row drew, write it down, and keep a sheet of it where the row says so."""
    row = ROWS[name]
    found = evaluate(drawn, row.against)
    print(found)
    enter(name, found, how)
    if row.keep:
        pixels = as_pixels(drawn, row.against)[: row.keep]
        path = save_samples(row.weights, pixels, {"how": how})
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
