"""The ODE: the solver keeps its tolerance, and likelihoods are the exact ones."""

import math

import pytest
import torch

from course_lib.data import points
from course_lib.diffusion import ode, sde
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.schedules import cosine_vp, rectified

SCHEDULES = {"vp": sde.vp(), "ve": sde.ve(), "sub-VP": sde.sub_vp()}
START = {"vp": 1e-4, "ve": 1e-6, "sub-VP": 1e-4}
PLANE = points.eight_gaussians_mixture()
PLANE = GaussianMixture(PLANE.means.double(), torch.full((8,), 0.14).double())


# ---- the solver ---------------------------------------------------------------------------------


def test_it_follows_a_known_curve_both_ways():
    x = torch.tensor([[1.0, -2.0]]).double()
    there = ode.solve(lambda y, t: -3 * t**2 * y, x, 0.0, 1.5, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(there.x, x * math.exp(-(1.5**3)), atol=1e-7, rtol=0)
    back = ode.solve(lambda y, t: -3 * t**2 * y, there.x, 1.5, 0.0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(back.x, x, atol=1e-5, rtol=0)


def test_its_error_falls_with_the_tolerance_and_costs_little():
    x, errors, asked = torch.tensor([[0.0, 1.0]]).double(), [], []

    def circle(y, t):
        return torch.stack([y[:, 1], -y[:, 0]], 1)

    for tolerance in (1e-4, 1e-6, 1e-8):
        end = ode.solve(circle, x, 0.0, 2 * math.pi, rtol=tolerance, atol=tolerance)
        errors.append(float((end.x - x).abs().max()))
        asked.append(end.evaluations)
    assert errors[0] < 1e-2 and errors[1] < errors[0] / 20 and errors[2] < errors[1] / 20
    # Order 5: a hundredth of the error for 100^(1/5) = 2.5 times the steps.
    assert asked[2] / asked[1] == pytest.approx(2.5, rel=0.2)


def test_one_step_is_of_order_five():
    """A quintic in t alone is integrated exactly by the weights of the solution."""
    x = torch.zeros(1, 1, dtype=torch.float64)
    end = ode.solve(lambda y, t: 0 * y + 5 * t**4, x, 0.0, 2.0, rtol=1e-2, atol=1e-2)
    assert float(end.x) == pytest.approx(32, rel=1e-12)


def test_a_step_that_was_too_long_is_taken_again():
    """Nothing moves at first, so steps grow; then the velocity rises more steeply than any step."""
    x = torch.zeros(1, 1, dtype=torch.float64)
    end = ode.solve(lambda y, t: 0 * y + 41 * t**40, x, 0.0, 1.0)
    assert float(end.x) == pytest.approx(1, abs=1e-4)


def test_evaluations_are_counted():
    calls = []
    end = ode.solve(lambda y, t: calls.append(t) or -y, torch.ones(1, 1), 0.0, 1.0)
    assert end.evaluations == len(calls)


def test_it_says_where_it_gives_up():
    with pytest.raises(RuntimeError, match="not finite"):
        ode.solve(lambda y, t: y * math.nan, torch.ones(1, 1), 0.0, 1.0)
    with pytest.raises(RuntimeError, match=r"gave up at t = .*evaluations"):
        ode.solve(lambda y, t: torch.cos(1e4 * y) * 1e4, torch.ones(1, 1), 0.0, 1.0, most=100)


# ---- codes and likelihoods ----------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULES)
def test_log_prob_on_a_mixture_is_within_a_thousandth_of_a_bit(name):
    schedule, x = SCHEDULES[name], PLANE.sample(100, seed=1)
    tolerance = {"rtol": 1e-6, "atol": 1e-6}
    found = ode.log_prob(PLANE.denoiser(schedule), schedule, x, START[name], **tolerance)
    assert abs(float((found - PLANE.log_prob(x)).mean())) / 2 / math.log(2) < 1e-3
    # Point by point: the law at the start, which for VE has noise of 0.01 in it.
    first = torch.tensor(START[name], dtype=torch.float64)
    there = PLANE.noised(schedule.alpha(first), schedule.sigma(first))
    assert float((found - there.log_prob(x)).abs().max()) / 2 / math.log(2) < 3e-3


def test_log_prob_takes_another_end_and_prior():
    """Ending early is exact too where the law there is N(0, sigma²): data that is one point, 0."""
    point = GaussianMixture(torch.zeros(1, 3).double(), torch.tensor([1e-9]).double())
    x = 0.1 * torch.randn(20, 3).double()
    found = ode.log_prob(point.denoiser(cosine_vp), cosine_vp, x, 0.05, 0.4, rtol=1e-8, atol=1e-8)
    level = torch.sin(torch.tensor(0.05 * math.pi / 2)).double()
    there = point.noised(level * 0 + 1, level)
    torch.testing.assert_close(found, there.log_prob(x), atol=1e-5, rtol=0)


def test_a_flow_there_and_back_returns_the_data():
    schedule, x = sde.vp(), PLANE.sample(100, seed=2)
    code = ode.flow(PLANE.denoiser(schedule), schedule, x, 1e-3, 1.0, rtol=1e-8, atol=1e-8)
    back = ode.flow(PLANE.denoiser(schedule), schedule, code.x, 1.0, 1e-3, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(back.x, x, atol=1e-4, rtol=0)


def test_codes_do_not_depend_on_the_schedule():
    """In x / alpha over sigma / alpha every schedule draws the same curves."""
    x, codes = PLANE.sample(50, seed=3), []
    for schedule, low, high in [(sde.vp(), 0.1, 0.8), (cosine_vp, None, None)]:
        if low is None:  # the times at which the cosine schedule has the same ratios
            ends = [sde.vp().alpha(torch.tensor(u).double()) for u in (0.1, 0.8)]
            low, high = (float(torch.acos(a) * 2 / math.pi) for a in ends)
        end = ode.flow(PLANE.denoiser(schedule), schedule, x, low, high, rtol=1e-8, atol=1e-8)
        codes.append(end.x)
    torch.testing.assert_close(codes[0], codes[1], atol=1e-5, rtol=0)


# ---- divergences --------------------------------------------------------------------------------


def rotation_and_growth(x):
    flat = x.flatten(1)
    return (flat @ torch.tensor([[0.5, 2.0], [-1.0, 3.0]]).to(x.dtype)).view_as(x) + x**2


def test_the_exact_divergence():
    x = torch.randn(7, 1, 2).double()
    v, spread = ode.exact_divergence(rotation_and_growth, x)
    torch.testing.assert_close(v, rotation_and_growth(x))
    torch.testing.assert_close(spread, 3.5 + 2 * x.flatten(1).sum(1))


@pytest.mark.parametrize("way", [ode.exact_divergence, ode.hutchinson(torch.ones(7, 2))])
def test_divergences_keep_no_graph_name_wrong_shapes_and_know_constants(way):
    weight, x = torch.ones(2, requires_grad=True), torch.randn(7, 2)
    for found in way(lambda y: weight * y, x):
        assert not found.requires_grad
    torch.testing.assert_close(way(lambda y: weight * y, x)[1], torch.full((7,), 2.0))
    assert way(lambda y: torch.ones_like(y), x)[1].tolist() == [0] * 7
    with pytest.raises(ValueError, match=r"a vector for each point, \[7, 2\]; got \[7, 1\]"):
        way(lambda y: y[:, :1], x)


def test_hutchinson_is_right_on_average_and_signs_vary_least():
    x = torch.zeros(1, 2).double().expand(20_000, 2)
    signs = torch.randn(20_000, 2).double().sign()
    normal = torch.randn(20_000, 2).double()
    v, by_signs = ode.hutchinson(signs)(rotation_and_growth, x)
    _, by_normals = ode.hutchinson(normal)(rotation_and_growth, x)
    torch.testing.assert_close(v, rotation_and_growth(x))
    for found in (by_signs, by_normals):
        assert float(found.mean()) == pytest.approx(3.5, abs=0.12)
    # Signs: the off-diagonal pair only, (2 - 1)². Normals: twice the square of the symmetric part.
    assert float(by_signs.var()) == pytest.approx(1, rel=0.05)
    assert float(by_normals.var()) == pytest.approx(2 * (0.25 + 9 + 2 * 0.25), rel=0.05)


def test_log_prob_by_hutchinson_is_right_on_average():
    schedule, x = sde.vp(), PLANE.sample(1, seed=4).expand(400, 2)
    probe = torch.randn(400, 2).double().sign()
    found = ode.log_prob(
        PLANE.denoiser(schedule), schedule, x, 1e-3, divergence=ode.hutchinson(probe)
    )
    truth = float(PLANE.log_prob(x[:1]))
    assert float(found.mean()) == pytest.approx(truth, abs=4 * float(found.std()) / 20 + 0.02)


def test_an_end_without_signal_is_refused():
    law = GaussianMixture(torch.zeros(1, 1), torch.ones(1))
    denoise, x = law.denoiser(rectified), torch.zeros(2, 1)
    with pytest.raises(ValueError, match=r"at t = 1 alpha is next to 0.* such as at 0.999"):
        ode.log_prob(denoise, rectified, x, 0.01)
    with pytest.raises(ValueError, match="alpha is next to 0"):
        ode.flow(denoise, rectified, x, 1.0, 0.01)


def test_no_examples_flow_nowhere():
    none, schedule = torch.zeros(0, 2).double(), sde.vp()
    assert ode.flow(PLANE.denoiser(schedule), schedule, none, 0.1, 0.9).x.shape == (0, 2)
    assert ode.log_prob(PLANE.denoiser(schedule), schedule, none, 0.1).shape == (0,)
