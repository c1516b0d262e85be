"""What does the same time of training buy in pixels, and in latents of f = 2, 4, 8?

    course train scenes_f1     (and f2, f4, f8: some twelve minutes of one core each)
    python benchmarks/latents.py

Draws 32 x 32 pictures for all 72 captions of the small world, by the models trained in runs/train
and 16 steps of DDIM. Those with guidance 2 are kept in data/samples, in 64 levels of each colour;
chapter 24 judges them. In data/measured/latents.json are the cost of a training step and of a
picture, on one thread, and the share of pictures that obey their captions by the scale of guidance.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib.core.tensors import atomic_write, to_pixels
from course_lib.data.oracle import obeyed
from course_lib.data.samples import SAMPLES, save_samples
from course_lib.data.scenes import caption, relations
from course_lib.models.latent import imagine
from course_lib.picture import in_64
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
SCALE, SCALES = 2.0, (1.0, 2.0, 4.0)  # of guidance: what is kept, what is measured
STEPS, SIDE, BATCH = 16, 32, 32


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


def measure(f: int, rounds: int, noises: int, folder: Path) -> dict[str, Any]:
    """Draw with the model of factor f, keep what it draws, and time it."""
    name = f"scenes_f{f}"
    training = TRAININGS[name]
    assert isinstance(training, Training)
    model, space = trained(name, "cpu"), scene_space(f)
    limit = 1.0 if f == 1 else None  # pixels have a range
    every = [caption(scene) for scene in relations(**SMALL_WORLD)]
    tokens = caption_tokenizer().batch(every, CAPTION_LENGTH)

    def draw(some: Tensor, scale: float = SCALE, seed: int = 0) -> Tensor:
        return imagine(
            model, space, some, side=SIDE, scale=scale, steps=STEPS, seed=seed, limit=limit
        )

    drawn = {s: [to_pixels(draw(tokens, s, n)) for n in range(noises)] for s in SCALES}
    how = f"{name}: {STEPS} steps of DDIM, guidance {SCALE:g}, every caption of the small world"
    kept = drawn[SCALE][0].apply_(in_64)  # in place: what is kept is what is judged below
    save_samples(name, kept, {"how": f"{how}, 64 levels of each colour"}, folder)
    return {
        "steps": SWEPT[f],
        "ms a training step": round(milliseconds(step_of(training), rounds), 1),
        "ms a picture": round(milliseconds(lambda: draw(tokens[:1]), rounds), 1),
        "obeyed by guidance": {
            f"{scale:g}": [round(obeyed(made, every)["all"], 4) for made in of_scale]
            for scale, of_scale in drawn.items()
        },
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
