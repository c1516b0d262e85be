"""Guided answers equal those of `diffusers`' guider, in both of its formulations.

Theirs works on what the network says, here eps; ours on the x_0 that follows from it.
"""

import pytest
import torch
from diffusers.guiders import ClassifierFreeGuidance

from course_lib.diffusion import guidance, schedules

SCHEDULE, T = schedules.linear(), torch.tensor([30, 400, 900])


@pytest.mark.parametrize("phi", [0.0, 0.7])
@pytest.mark.parametrize("original", [True, False])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 7.5])
def test_guidance_is_diffusers(strength, original, phi):
    x, u, c = torch.randn(3, 3, 1, 8, 8, dtype=torch.float64)
    alpha, sigma = SCHEDULE(T, like=x)

    def says(eps):
        return lambda x_t, t: (x_t - sigma * eps) / alpha

    scale = guidance.scale_from_w(strength, "ho" if original else "imagen")
    guided = guidance.autoguide(says(c), says(u), scale)
    ours = guidance.rescale(guided, says(c), SCHEDULE, phi)(x, T)
    if strength == 0.0 and not original:
        return  # theirs then takes the conditional answer, ours the unconditional one
    peer = ClassifierFreeGuidance(strength, phi, use_original_formulation=original)
    theirs = peer.forward(c, u).pred
    assert torch.allclose((x - alpha * ours) / sigma, theirs, atol=1e-9)
