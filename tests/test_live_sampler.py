"""What a LiveSampler's kernel draws is what the library's own samplers draw."""

from functools import partial

import pytest
import torch
from torch import nn

from course_lib.core.noise import shared_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddim_step, ddpm_step, sample
from course_lib.diffusion.schedules import linear, spaced_times
from course_lib.diffusion.solvers import DPMSolver2M
from course_lib.widgets.live_sampler import LiveSampler


class Bend(nn.Module):
    """A network without weights."""

    def forward(self, x_t, t):
        return 0.6 * torch.sin(2 * x_t) + 0.3 * t[:, None, None, None] / 1000


@pytest.mark.parametrize("name", ["DDPM", "DDIM", "2M"])
@pytest.mark.parametrize(("steps", "eta", "seed"), [(4, 0.0, 3), (9, 0.7, 5)])
def test_a_walk_is_the_library_s(name, steps, eta, seed):
    model, noise = Denoiser(Bend(), linear(), "eps"), shared_randn_like(seed)
    widget = LiveSampler(model, "bend", (5, 6), steps=2)
    begin = noise(torch.empty(1, 1, 5, 6))
    step = {
        "DDPM": partial(ddpm_step, randn_like=noise),
        "DDIM": partial(ddim_step, randn_like=noise, eta=eta),
        "2M": DPMSolver2M(),
    }[name]
    times = spaced_times(model.schedule, steps)
    end = sample(step, clip(model, -1.0, 1.0), model.schedule, begin, times)
    *_, (t, drawn, again) = widget.walk(name, steps, eta, seed)
    assert t == 0 and torch.equal(drawn, end) and torch.equal(again, end)
