"""Up to the noise and back, and what lies between two noises."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.latents import ddim_invert, slerp
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import edm, linear, spaced_times


def law():
    means = torch.tensor([[1.0, 0.5], [-1.0, 0.8], [0.2, -1.2]], dtype=torch.float64)
    return GaussianMixture(means, torch.tensor([0.3, 0.2, 0.25], dtype=torch.float64))


def round_trip(steps, repeats):
    mixture, schedule = law(), linear()
    x, denoise, times = (
        mixture.sample(30),
        mixture.denoiser(schedule),
        spaced_times(linear(), steps),
    )
    x_T = ddim_invert(denoise, schedule, x, times.flip(0), repeats=repeats)
    back = sample(ddim_step, denoise, schedule, x_T, times)
    return float((back - x).norm(dim=1).mean())


@pytest.mark.parametrize("repeats, order", [(1, 1.0), (2, 2.0)])
def test_the_round_trip_errs_by_the_order_that_is_promised(repeats, order):
    coarse, fine = round_trip(250, repeats), round_trip(1000, repeats)
    assert abs(math.log(coarse / fine) / math.log(4) - order) < 0.2


def test_many_repeats_are_the_exact_inverse():
    assert round_trip(100, 40) < 1e-12


def test_one_step_up_is_the_step_down_solved_for_x_t():
    # With a denoiser whose answer does not depend on x_t the very first guess is exact.
    schedule, x = linear(), torch.randn(4, 3, dtype=torch.float64)
    answer = torch.full((4, 3), 0.3, dtype=torch.float64)

    def noise_alone(x_t, t):  # the same eps whatever x_t is
        alpha, sigma = schedule(t, like=x_t)
        return (x_t - sigma * answer) / alpha

    up = ddim_invert(noise_alone, schedule, x, torch.tensor([300, 700]))
    t, s = torch.full((4,), 700), torch.full((4,), 300)
    torch.testing.assert_close(ddim_step(noise_alone, schedule, up, t, s), x)


def test_gaussian_data_becomes_unit_noise_as_large_as_its_place_says():
    # The walk multiplies by the ratio of the spreads: a picture keeps its quantile.
    one = GaussianMixture(torch.zeros(1, 2).double(), torch.tensor([0.5]).double())
    schedule, x = linear(), one.sample(50)
    x_T = ddim_invert(one.denoiser(schedule), schedule, x, torch.arange(1001), repeats=3)
    torch.testing.assert_close(x_T, x / 0.5, atol=0.02, rtol=0.01)


@pytest.mark.parametrize("times", [[0.0], [1.0, 0.5], [0.2, 0.2], [-0.1, 0.5], [0, float("nan")]])
def test_times_must_rise(times):
    with pytest.raises(ValueError, match="times must rise strictly from 0 or above, got"):
        ddim_invert(lambda x, t: x, edm, torch.zeros(1, 2), torch.tensor(times))


def test_repeats_must_be_one_or_more():
    with pytest.raises(ValueError, match="repeats must be 1 or more, got 0"):
        ddim_invert(lambda x, t: x, edm, torch.zeros(1, 2), torch.tensor([0.0, 1.0]), repeats=0)


@given(st.floats(0, 1), st.integers(0, 10**6))
def test_slerp_ends_right_and_keeps_length(weight, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 3, 2, 5, generator=generator, dtype=torch.float64)
    a, b = a / a.flatten(1).norm(dim=1)[:, None, None], b / b.flatten(1).norm(dim=1)[:, None, None]
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    between = slerp(a, b, weight)
    torch.testing.assert_close(between.flatten(1).norm(dim=1), torch.ones(3).double())
    # The angle from a grows evenly with the weight.
    angle = (a * b).sum((1, 2)).clamp(-1, 1).arccos()
    gone = (a * between).sum((1, 2)).clamp(-1, 1).arccos()
    torch.testing.assert_close(gone, weight * angle, atol=1e-6, rtol=1e-6)


def test_slerp_takes_a_weight_for_each_example():
    a, b = torch.randn(2, 4, 6, dtype=torch.float64)
    weights = torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64)
    found = slerp(a, b, weights)
    for i, weight in enumerate(weights):
        torch.testing.assert_close(found[i], slerp(a, b, float(weight))[i])


@pytest.mark.parametrize("factor", [1.0, -2.0])
def test_slerp_needs_two_directions(factor):
    a = torch.randn(2, 5)
    with pytest.raises(ValueError, match="two directions"):
        slerp(a, factor * a, 0.5)
