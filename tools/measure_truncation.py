"""How much of a chain is needed? Fréchet distances of samples without the first reverse steps.

`python tools/measure_truncation.py` samples with shipped models in 20 steps. Then the walk starts
later, and the steps before are left out (Nichol & Dhariwal 2021, figure 4). The steps are even on
DDPM's linear schedule, or on the cosine one: the same network at the times where it sees the same
signal-to-noise ratio, since all that it knows of a schedule is its own noise level. A late start is
from noise of variance 1, as in the paper, or from the mean picture under as much noise as belongs
there. `--data fashion --seeds 1` is for garments, which take ten times as long. Results go to
data/truncation.json as they come; what is there already is not measured again.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib.core.tensors import atomic_write, seeded_randn_like
from course_lib.core.types import Images
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddpm_step, sample
from course_lib.diffusion.schedules import DiscreteSchedule, cosine, linear, spaced_times, time_at
from course_lib.evaluation import evaluate
from course_lib.trainings import digits, garments, trained
from course_lib.weights import WEIGHTS

OUT = WEIGHTS.parent / "truncation.json"
STEPS, SKIPPED = 20, (0.0, 0.2, 0.4)


class Pictures(NamedTuple):
    """What is drawn: by which model, how many for each number, and the training pictures' mean."""

    model: str
    n: int
    mean: Callable[[], Images]


DATA = {
    "digits": Pictures("digits_ddpm_long", 600, lambda: digits().mean(0, keepdim=True)),
    "fashion": Pictures("fashion_ddpm", 300, lambda: garments().mean(0, keepdim=True)),
}
CHAINS, STARTS = {"linear": linear(), "cosine": cosine()}, ("noise", "mean")


def times_of(chain: DiscreteSchedule, own: DiscreteSchedule) -> Int[Tensor, " times"]:
    """The chain's even times, as times of the schedule `own` with the same ratio of signal."""
    even = spaced_times(chain, STEPS)[:-1]
    there = time_at(own, chain.log_snr(even)).round().long()
    return torch.cat([there, torch.zeros(1, dtype=torch.long)])


def measure(
    model: Denoiser, times: Int[Tensor, " times"], mean: Images, n: int, seed: int, against: str
) -> dict[str, float]:
    """Fréchet and kernel distance of n samples by a walk that starts around `mean`."""
    schedule = model.schedule
    randn_like = seeded_randn_like(seed)
    step = partial(ddpm_step, randn_like=randn_like)
    noise = randn_like(mean.expand(n, -1, -1, -1))
    alpha, sigma = schedule(times[:1].expand(n), like=noise)
    starts = noise if not mean.any() else alpha * mean + sigma * noise
    parts = [sample(step, clip(model), schedule, x, times) for x in starts.split(100)]
    found = evaluate(torch.cat(parts), against)
    return {
        "frechet": round(found.frechet.value, 4),
        "floor": round(found.frechet.floor, 4),
        "kernel": round(found.kernel.value, 4),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", choices=[*DATA, []], default=["digits"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--chains", nargs="*", default=list(CHAINS))
    parser.add_argument("--starts", nargs="*", default=list(STARTS))
    parser.add_argument("--skipped", type=float, nargs="*", default=SKIPPED)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    record = json.loads(options.out.read_text()) if options.out.exists() else {"found": {}}
    record["how"] = (
        f"{STEPS} ancestral steps of the whole chain with the small variance, x_0 clipped; the"
        " first ones left out. Keys: data, chain, start, share left out, seed."
        " `tools/measure_truncation.py` has the rest"
    )
    record["pictures"] = {name: one.n for name, one in DATA.items()}
    whole = product(
        options.data, range(options.seeds), options.starts, options.skipped, options.chains
    )
    for data, seed, start, skipped, name in whole:
        key = f"{data} {name} {start} {skipped:g} {seed}"
        if key in record["found"] or (start == "mean" and skipped == 0):
            continue
        pictures = DATA[data]
        model = trained(pictures.model)
        times = times_of(CHAINS[name], model.schedule)[round(skipped * STEPS) :]
        mean = pictures.mean() if start == "mean" else 0 * pictures.mean()
        record["found"][key] = measure(model, times, mean, pictures.n, seed, data)
        atomic_write(options.out, (json.dumps(record, indent=1) + "\n").encode())
        print(key, record["found"][key], flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
