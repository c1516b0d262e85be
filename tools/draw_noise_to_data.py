"""Draw the picture at the top of chapter 0: the walk of its twelve lines, at four of its times.

python -m tools.draw_noise_to_data      writes docs/noise_to_data.png
"""

from pathlib import Path

import torch

from course_lib.core.tensors import atomic_write
from course_lib.data.points import eight_gaussians_mixture
from course_lib.diffusion.samplers import ddim_step, walk
from course_lib.diffusion.schedules import cosine_vp
from course_lib.plot import show_points

TARGET = Path(__file__).resolve().parent.parent / "docs" / "noise_to_data.png"
SHOWN = (0, 20, 35, 50)  # of 50 steps


def draw() -> bytes:
    """The picture as a PNG file, the same on every call."""
    noise = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
    times = torch.linspace(1, 0, 51)
    states = list(
        walk(ddim_step, eight_gaussians_mixture().denoiser(cosine_vp), cosine_vp, noise, times)
    )
    picture = show_points(
        {f"t = {times[i]:.1f}": states[i] for i in SHOWN},
        colours=["noise", "exact", "exact", "exact"],
        columns=len(SHOWN),
        limit=2.6,
    )
    for axes in picture.axes:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return picture.png()


if __name__ == "__main__":
    atomic_write(TARGET, draw())
