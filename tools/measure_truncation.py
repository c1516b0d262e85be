"""How much of a chain is needed? Fréchet distances of garments without the first reverse steps.

`python tools/measure_truncation.py` samples with the shipped `fashion_ddpm` on its own linear
schedule in 20 steps. Then the walk starts later, from noise of variance 1 at that time, and the
steps before are left out. Results go to data/truncation.json as they come; what is there already is
not measured again. Nichol & Dhariwal 2021, figure 4.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch

from course_lib.core.tensors import atomic_write, seeded_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddpm_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.evaluation import evaluate
from course_lib.trainings import trained
from course_lib.weights import WEIGHTS

OUT = WEIGHTS.parent / "truncation.json"
STEPS, SKIPPED = 20, (0.0, 0.2, 0.4)


def measure(model: Denoiser, skipped: float, n: int, seed: int) -> dict[str, float]:
    """Fréchet and kernel distance of n garments, the first `skipped` of the chain left out."""
    schedule = model.schedule
    times = spaced_times(schedule, STEPS)[round(skipped * STEPS) :]
    randn_like = seeded_randn_like(seed)
    step = partial(ddpm_step, randn_like=randn_like)
    parts = [
        sample(step, clip(model), schedule, noise, times)
        for noise in randn_like(torch.empty(n, 1, 28, 28)).split(100)
    ]
    found = evaluate(torch.cat(parts), "fashion")
    return {
        "frechet": round(found.frechet.value, 4),
        "floor": round(found.frechet.floor, 4),
        "kernel": round(found.kernel.value, 4),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--skipped", type=float, nargs="*", default=SKIPPED)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    record = json.loads(options.out.read_text()) if options.out.exists() else {"found": {}}
    record["how"] = (
        f"fashion_ddpm, {options.images} garments, {STEPS} ancestral steps of the whole chain with"
        " the small variance, x_0 clipped; the first ones left out. `tools/measure_truncation.py`"
    )
    record["images"] = options.images
    model = trained("fashion_ddpm")
    for seed in range(options.seeds):
        for skipped in options.skipped:
            key = f"{skipped:g} {seed}"
            if key in record["found"]:
                continue
            record["found"][key] = measure(model, skipped, options.images, seed)
            atomic_write(options.out, (json.dumps(record, indent=2) + "\n").encode())
            print(key, record["found"][key], flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
