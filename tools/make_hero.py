"""Draw `docs/hero.png`, the picture at the top of the README, with the shipped Fashion-MNIST model.

python tools/make_hero.py
"""

from functools import partial
from pathlib import Path

import torch

from course_lib.core.tensors import atomic_write, seeded_randn_like
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddpm_step, walk
from course_lib.diffusion.schedules import spaced_times
from course_lib.plot import show_rows
from course_lib.recipes import ddpm, fashion_unet
from course_lib.weights import load_weights

GARMENTS, STEPS = 10, 250
SHOWN = (0, 125, 185, 220, 250)  # steps taken at each row
HERO = Path(__file__).resolve().parent.parent / "docs" / "hero.png"


def main() -> None:
    """Walk ten draws of noise to ten garments and keep five moments of the way."""
    model = load_weights("fashion_ddpm", ddpm(fashion_unet()))
    times = spaced_times(model.schedule, STEPS)
    noise = torch.randn(GARMENTS, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    step = partial(ddpm_step, randn_like=seeded_randn_like(1))
    path = list(walk(step, clip(model), model.schedule, noise, times))
    rows = {f"t = {int(times[k])}": path[k] for k in SHOWN}
    atomic_write(HERO, show_rows(rows).png())


if __name__ == "__main__":
    main()
