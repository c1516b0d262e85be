"""Chapter 11's steps of the reverse SDE on garments: Euler-Maruyama, and predictor and corrector.

    python benchmarks/score_sde.py                       the cells of the chapter that are missing
    python benchmarks/score_sde.py --evaluations 100     the same with more evaluations

With the shipped DDPM network on the VP schedule, x_0 clipped, over the times of the chapter. A cell
is one sampler with one number of evaluations and one seed: its Fréchet distance to all test
pictures in the course's features, and what equally many training pictures score. The ancestral
step and the ODE are in `quality.py`'s file; chapter 11 reads both.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pair import machine
from quality import BATCH, SHAPES, UNSEEN, write
from torch import Tensor

from course_lib.core.tensors import seeded_randn_like
from course_lib.core.types import Denoise
from course_lib.diffusion import denoiser, samplers, sde
from course_lib.diffusion.guidance import clip
from course_lib.evaluation import evaluate
from course_lib.trainings import trained

NUMBERS = Path(__file__).resolve().parent.parent / "data" / "measured" / "score_sde.json"
# A step, and how often it asks the network.
STEPS = {
    "SDE, Euler-Maruyama": (sde.euler_maruyama_step, 1),
    "predictor-corrector": (sde.predictor_corrector_step, 2),
}


def dense_near_data(steps: int) -> Tensor:
    """The times of chapter 11."""
    return torch.cat([torch.linspace(1, 0.03, steps) ** 2, torch.zeros(1)])


def measure(name: str, denoise: Denoise, evaluations: int, images: int, seed: int) -> Any:
    """One cell."""
    step, asks = STEPS[name]
    step = partial(step, randn_like=seeded_randn_like(1_000 * (seed + 1)))
    x_T = seeded_randn_like(seed)(torch.zeros(images, *SHAPES["fashion"]))
    times = dense_near_data(evaluations // asks)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        made = [samplers.sample(step, denoise, sde.vp(), x, times) for x in x_T.split(BATCH)]
    found = evaluate(torch.cat(made), "fashion", pictures=UNSEEN["fashion"]).frechet
    return {
        "sampler": name, "evaluations": evaluations, "seed": seed, "images": images,
        "frechet": round(found.value, 3), "floor": round(found.floor, 3),
    }  # fmt: skip


def main() -> None:
    """Fill the cells that are missing, and write each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[20])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=NUMBERS, help="the file of numbers")
    options = parser.parse_args()
    cells = json.loads(options.out.read_text())["cells"] if options.out.exists() else []
    denoise = clip(denoiser.on_schedule(trained("fashion_ddpm"), sde.vp()))
    about = {"machine": machine(torch.device("cpu")), "network in": "bf16"}
    for seed in range(options.seeds):
        for evaluations in options.evaluations:
            for name in STEPS:
                key = {"sampler": name, "evaluations": evaluations, "seed": seed}
                key["images"] = options.images
                if any(key.items() <= cell.items() for cell in cells):
                    continue
                cells.append(measure(name, denoise, evaluations, options.images, seed))
                write(options.out, about, cells)
                print(cells[-1], flush=True)


if __name__ == "__main__":
    main()
