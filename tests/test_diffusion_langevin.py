"""Langevin dynamics: where it rests, what annealing recovers, and the move that does not lag."""

from functools import partial
from math import isclose

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.langevin import consistent_step, langevin_move, langevin_step
from course_lib.diffusion.samplers import ddim_step, ddpm_step, sample
from course_lib.diffusion.schedules import edm, geometric_times

MODES = torch.tensor([[-5.0, -5.0], [5.0, 5.0]])


def two_points(weight=0.2):
    """Song & Ermon's toy: under noise of level 1 it is their mixture with weights 1/5 and 4/5."""
    return GaussianMixture(MODES, torch.zeros(2), torch.tensor([weight, 1 - weight]))


def share(x):
    return float((x.sum(1) < 0).double().mean())


def affine(step, x):
    """Factor of x and variance of what is added, for a step that is linear in x and its noise."""
    zero = step(randn_like=torch.zeros_like)
    one = step(randn_like=torch.ones_like)
    return zero / x, (one - zero) ** 2


@pytest.mark.parametrize("step", [0.05, 0.5, 1.5])
def test_it_rests_at_the_law_of_its_score_up_to_the_known_bias(step):
    torch.manual_seed(0)
    variance = 2.0
    x = variance**0.5 * torch.randn(20_000, dtype=torch.float64)
    for _ in range(int(10 / step) + 20):
        x = langevin_move(lambda x: -x / variance, x, step)
    expected = variance / (1 - step / (2 * variance))
    assert isclose(x.var(), expected, rel_tol=0.05)
    assert abs(x.mean()) < 0.05


@given(step=st.floats(1e-3, 1.9), variance=st.floats(1.0, 10.0))
def test_the_bias_is_the_fixed_point_of_one_move(step, variance):
    x = torch.ones(1, 1, dtype=torch.float64)
    move = partial(langevin_move, lambda x: -x / variance, x, step)
    keep, fresh = affine(move, x)
    rest = variance / (1 - step / (2 * variance))
    assert isclose(float(keep**2 * rest + fresh), rest, rel_tol=1e-9)


@given(rate=st.floats(0.01, 1.9), sigma=st.floats(0.01, 50.0))
def test_a_move_goes_a_fraction_of_the_way_and_adds_noise(rate, sigma):
    x, t = torch.full((1, 2), 3.0, dtype=torch.float64), torch.tensor([sigma], dtype=torch.float64)
    step = partial(langevin_step, lambda x, t: 0 * x, edm, x, t, t / 2, moves=1, rate=rate)
    keep, fresh = affine(step, x)
    torch.testing.assert_close(keep, torch.full_like(x, 1 - rate), atol=1e-9, rtol=0)
    torch.testing.assert_close(fresh, torch.full_like(x, 2 * rate * sigma**2))


@pytest.mark.parametrize("seed", range(3))
def test_annealing_recovers_the_weights_that_one_level_loses(seed):
    torch.manual_seed(seed)
    start = 16 * torch.rand(3000, 2) - 8
    toy = GaussianMixture(MODES, torch.ones(2), torch.tensor([0.2, 0.8]))
    plain = start
    for _ in range(200):
        plain = langevin_move(toy.score, plain, 0.2)
    step = partial(langevin_step, moves=40, rate=0.2)
    annealed = sample(step, two_points().denoiser(edm), edm, start, geometric_times(10, 1.0, 20.0))
    assert abs(share(plain) - share(start)) < 0.03
    assert abs(share(annealed) - 0.2) < 0.035


def test_the_last_call_gives_the_denoisers_answer():
    x, t = torch.randn(5, 2), torch.full((5,), 2.0)
    denoise = two_points().denoiser(edm)
    walked = langevin_step(
        denoise, edm, x, t, t * 0, denoise_last=False, randn_like=seeded_randn_like(1)
    )
    answer = langevin_step(denoise, edm, x, t, t * 0, randn_like=seeded_randn_like(1))
    assert not torch.equal(walked, answer)
    torch.testing.assert_close(answer, denoise(walked, t))
    torch.testing.assert_close(consistent_step(denoise, edm, x, t, t * 0), denoise(x, t))


@given(rate=st.floats(0.01, 1.0), t=st.floats(0.1, 50.0), ratio=st.floats(1.01, 10.0))
def test_a_consistent_move_arrives_with_the_next_level(rate, t, ratio):
    x, sigma = torch.full((1, 2), 3.0, dtype=torch.float64), torch.tensor([t], dtype=torch.float64)
    step = partial(consistent_step, lambda x, t: 0 * x, edm, x, sigma, sigma / ratio, rate=rate)
    keep, fresh = affine(step, x)
    torch.testing.assert_close(
        keep**2 * t**2 + fresh, torch.full_like(x, (t / ratio) ** 2), atol=1e-9, rtol=1e-9
    )


def test_ddpm_and_ddim_are_consistent_moves():
    x, denoise = torch.randn(64, 2), two_points().denoiser(edm)
    t, s = torch.full((64,), 4.0), torch.full((64,), 3.0)
    noise = seeded_randn_like

    ours = consistent_step(denoise, edm, x, t, s, rate=1 - (3 / 4) ** 2, randn_like=noise(1))
    torch.testing.assert_close(ours, ddpm_step(denoise, edm, x, t, s, randn_like=noise(1)))
    ours = consistent_step(denoise, edm, x, t, s, rate=1 - 3 / 4, randn_like=noise(1))
    torch.testing.assert_close(ours, ddim_step(denoise, edm, x, t, s))


def test_the_consistent_walk_draws_the_law():
    torch.manual_seed(0)
    step = partial(consistent_step, rate=0.2)
    start = 30 * torch.randn(3000, 2)
    x = sample(step, two_points().denoiser(edm), edm, start, geometric_times(40, 0.1, 30.0))
    assert abs(share(x) - 0.2) < 0.03
    assert torch.cdist(x, MODES).min(1).values.max() < 0.1


def test_settings_that_explode_are_refused():
    x, t = torch.randn(2, 2), torch.ones(2)
    denoise = two_points().denoiser(edm)
    for wrong in ({"rate": 2.0}, {"rate": 0.0}, {"moves": 0}):
        with pytest.raises(ValueError, match="need 0 < rate < 2 and moves >= 1"):
            langevin_step(denoise, edm, x, t, t / 2, **wrong)
    for rate in (0.0, 1.1):
        with pytest.raises(ValueError, match=f"need 0 < rate <= 1, got {rate}"):
            consistent_step(denoise, edm, x, t, t / 2, rate=rate)
