"""Chapter 15's formulas against diffusers': learned range, zero terminal SNR, Min-SNR."""

import pytest
import torch

from course_lib.diffusion.schedules import linear, respaced, zero_terminal
from course_lib.diffusion.training import min_snr_weight
from course_lib.diffusion.variance import interpolated

diffusers = pytest.importorskip("diffusers")


def test_a_learned_range_is_theirs():
    theirs = diffusers.DDPMScheduler(1000, variance_type="learned_range")
    theirs.set_timesteps(1000)
    schedule, raw = linear(), torch.linspace(-1.2, 1.2, 7)[None]
    for t in (2, 40, 999):
        # Their t counts from 0; the range is -1..1 and the answer a logarithm.
        log = theirs._get_variance(t - 1, predicted_variance=raw, variance_type="learned_range")
        at = torch.tensor([t])
        ours = interpolated(schedule, (raw.double() + 1) / 2, at, at - 1, at + 1)
        assert torch.allclose(ours.log(), log.double(), atol=1e-4)


def test_zero_terminal_is_theirs():
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    for schedule in (linear(), linear(200)):
        theirs = rescale_zero_terminal_snr(schedule.beta[1:])
        assert torch.allclose(zero_terminal(schedule).beta[1:], theirs, atol=1e-9)


def test_min_snr_is_their_training_scripts():
    from diffusers.training_utils import compute_snr

    scheduler, t = diffusers.DDPMScheduler(1000), torch.tensor([0, 60, 400, 999])
    snr = compute_snr(scheduler, t).double()
    capped = torch.stack([snr, 5 * torch.ones_like(snr)]).min(0).values
    schedule = linear()
    for predicts, wanted in (("eps", capped / snr), ("v", capped / (snr + 1))):
        assert torch.allclose(min_snr_weight(schedule, t + 1, predicts), wanted, rtol=1e-3)


def test_respaced_betas_are_those_of_the_released_code():
    """Written by hand after `SpacedDiffusion` of openai/improved-diffusion, respace.py."""
    schedule, use = linear(), [9, 249, 600, 999]  # their times, from 0
    last, betas = 1.0, []
    for i, bar in enumerate(schedule.alpha_bar[1:].tolist()):
        if i in use:
            betas.append(1 - bar / last)
            last = bar
    times = torch.tensor([1000, 601, 250, 10, 0])
    assert torch.allclose(respaced(schedule, times).beta[1:], torch.tensor(betas).double())
