"""What does the same time of training buy in pixels, and in latents of f = 2, 4, 8?

    course train scenes_f1     (and f2, f4, f8: some twelve minutes of one core each)
    python benchmarks/latents.py

Draws 32 x 32 pictures for all 72 captions of the small world, two noises each, guidance 2, 16 steps
of DDIM, by the models trained in runs/train; they go to data/samples, and the cost of a training
step and of a picture, on one thread, to data/measured/latents.json. Chapter 24 judges the pictures.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from course_lib.core.tensors import atomic_write, to_pixels
from course_lib.data.samples import SAMPLES, save_samples
from course_lib.data.scenes import caption, relations
from course_lib.models.latent import imagine
from course_lib.trainings import (
    CAPTION_LENGTH,
    SMALL_WORLD,
    SWEPT,
    TRAININGS,
    Training,
    caption_tokenizer,
    scene_space,
    trained,
)

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = ROOT / "data" / "measured" / "latents.json"
SCALE, STEPS, SIDE, BATCH = 2.0, 16, 32, 32


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """The median time of `work`, after one round that is not counted."""
    taken = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[1:])


def step_of(training: Training) -> Callable[[], None]:
    """A training step of a fresh model on its first batch."""
    assert training.labels is not None
    model, z, tokens = training.model(), training.data()[:BATCH], training.labels()[:BATCH]
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        training.loss(model, z, tokens).backward()
        optimizer.step()

    return step


def measure(f: int, rounds: int, noises: int, folder: Path) -> dict[str, float]:
    """Draw with the model of factor f, keep what it draws, and time it."""
    name = f"scenes_f{f}"
    training = TRAININGS[name]
    assert isinstance(training, Training)
    model, space = trained(name, "cpu"), scene_space(f)
    limit = 1.0 if f == 1 else None  # pixels have a range
    every = [caption(scene) for scene in relations(**SMALL_WORLD)]
    tokens = caption_tokenizer().batch(every, CAPTION_LENGTH)

    def draw(some: Tensor, seed: int = 0) -> Tensor:
        return imagine(
            model, space, some, side=SIDE, scale=SCALE, steps=STEPS, seed=seed, limit=limit
        )

    made = torch.cat([draw(tokens, seed) for seed in range(noises)])
    how = f"{name}: {STEPS} steps of DDIM, guidance {SCALE:g}, every caption of the small world"
    save_samples(name, to_pixels(made), {"how": how}, folder)
    return {
        "steps": SWEPT[f],
        "ms a training step": round(milliseconds(step_of(training), rounds), 1),
        "ms a picture": round(milliseconds(lambda: draw(tokens[:1]), rounds), 1),
    }


def main() -> None:
    """Draw, time and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=NUMBERS)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="where the pictures go")
    parser.add_argument("--rounds", type=int, default=15, help="of each timing")
    parser.add_argument("--noises", type=int, default=2, help="pictures for each caption")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for f in SWEPT:
        found[str(f)] = measure(f, options.rounds, options.noises, options.samples)
        print(f, found[str(f)], flush=True)
    atomic_write(options.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
