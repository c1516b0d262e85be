"""The ODE solver against SciPy's RK45: the same curve, for about as many evaluations."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from course_lib.data import points
from course_lib.diffusion import ode, sde
from course_lib.diffusion.exact import GaussianMixture

LAW = points.eight_gaussians_mixture()
LAW = GaussianMixture(LAW.means.double(), torch.full((8,), 0.14).double())


@pytest.mark.parametrize("schedule", [sde.vp(), sde.ve(), sde.sub_vp()], ids=["vp", "ve", "sub-VP"])
@pytest.mark.parametrize("ends", [(1.0, 1e-3), (1e-3, 1.0)], ids=["to data", "to noise"])
def test_the_flow_is_scipy_s(schedule, ends):
    x = torch.randn(20, 2, dtype=torch.float64) * float(schedule.sigma(torch.tensor(ends[0])))
    denoise, asked = LAW.denoiser(schedule), 0

    def velocity(t, flat):
        nonlocal asked
        asked += 1
        y = torch.from_numpy(flat).view_as(x)
        times = torch.full((len(y),), t, dtype=torch.float64)
        return sde.drift(denoise, schedule, y, times).numpy().ravel()

    theirs = solve_ivp(velocity, ends, x.numpy().ravel(), method="RK45", rtol=1e-7, atol=1e-7)
    ours = ode.flow(denoise, schedule, x, *ends, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(ours.x.numpy().ravel(), theirs.y[:, -1], atol=2e-4, rtol=2e-5)
    assert ours.evaluations == pytest.approx(asked, rel=0.25, abs=30)
