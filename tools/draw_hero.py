"""Draw the picture on the website's front page: noise following the exact flow to data.

    python -m tools.draw_hero      writes book/hero.svg

Ninety numbers of noise (left) walk by DDIM with the exact denoiser of a mixture of three
Gaussians; t runs from 1 at the left edge to 0 at the right one.
"""

from functools import partial
from pathlib import Path

import torch
from scipy.stats import norm

from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.samplers import ddim_step, walk
from course_lib.diffusion.schedules import cosine_vp
from course_lib.plot import COLOURS

TARGET = Path(__file__).resolve().parent.parent / "book" / "hero.svg"
WIDTH, HEIGHT, PATHS, STEPS = 960, 250, 90, 48


def trajectories() -> torch.Tensor:
    """`[STEPS + 1, PATHS]`: evenly spread quantiles of noise, and where the flow takes them."""
    mixture = GaussianMixture(
        torch.tensor([[-1.35], [0.15], [1.45]], dtype=torch.float64),
        torch.tensor([0.12, 0.16, 0.1], dtype=torch.float64),
        torch.tensor([0.35, 0.4, 0.25], dtype=torch.float64),
    )
    noise = torch.from_numpy(norm.ppf((torch.arange(PATHS) + 0.5).numpy() / PATHS))[:, None]
    times = torch.linspace(1, 0, STEPS + 1, dtype=torch.float64)
    states = walk(partial(ddim_step, eta=0), mixture.denoiser(cosine_vp), cosine_vp, noise, times)
    return torch.stack(list(states))[:, :, 0]


def draw(paths: torch.Tensor) -> str:
    """The picture as SVG without a background: it stands on light and dark pages alike."""
    x = torch.linspace(6, WIDTH - 14, len(paths))
    y = HEIGHT / 2 - paths * (HEIGHT / 5.6)
    lines = "".join(
        '<polyline points="'
        + " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, column, strict=True))
        + '"/>'
        for column in y.T
    )
    dots = "".join(f'<circle cx="{WIDTH - 10}" cy="{end:.1f}" r="2.6"/>' for end in y[-1])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        '<defs><linearGradient id="g" gradientUnits="userSpaceOnUse" x1="0" x2="960" y1="0" y2="0">'
        f'<stop offset="0" stop-color="#8c8f94"/><stop offset="0.45" stop-color="#8c8f94"/>'
        f'<stop offset="1" stop-color="{COLOURS["model"]}"/></linearGradient></defs>'
        f'<g fill="none" stroke="url(#g)" stroke-width="1.3" stroke-opacity="0.75">{lines}</g>'
        f'<g fill="{COLOURS["model"]}">{dots}</g></svg>\n'
    )


if __name__ == "__main__":
    TARGET.write_text(draw(trajectories()), encoding="utf-8")
