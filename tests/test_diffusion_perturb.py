"""Multiplying a step by r(x), against the product on a grid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.diffusion.perturb import tilted_bernoulli, tilted_gaussian, times_gaussian

GRID = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
near, width = st.floats(-1.5, 1.5), st.floats(0.05, 1.0)


def moments(log_weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    weight = log_weight.softmax(0)
    mean = (weight * GRID).sum()
    return mean, (weight * (GRID - mean) ** 2).sum()


@given(mean=near, variance=width, slope=near)
@settings(max_examples=20, deadline=None)
def test_a_log_linear_r_moves_the_mean_and_nothing_else(mean, variance, slope):
    found, spread = moments(-((GRID - mean) ** 2) / (2 * variance) + slope * GRID)
    ours = tilted_gaussian(
        *(torch.tensor([v], dtype=torch.float64) for v in (mean, variance, slope))
    )
    assert abs(found - ours) < 1e-8 and abs(spread - variance) < 1e-8


@given(mean=near, variance=width, centre=near, spread=width)
@settings(max_examples=20, deadline=None)
def test_a_product_of_two_bells_is_a_bell(mean, variance, centre, spread):
    log = -((GRID - mean) ** 2) / (2 * variance) - (GRID - centre) ** 2 / (2 * spread)
    one = [torch.tensor([v], dtype=torch.float64) for v in (mean, variance, centre)]
    ours, narrower = times_gaussian(*one, spread)
    found, width_found = moments(log)
    assert abs(found - ours) < 1e-8 and abs(width_found - narrower) < 1e-8


def test_a_delta_fixes_and_a_constant_leaves_alone():
    mean, variance = torch.tensor([0.3, 0.3]), torch.tensor([0.2, 0.2])
    spread = torch.tensor([0.0, float("inf")])
    new, narrower = times_gaussian(mean, variance, torch.tensor([-1.0, -1.0]), spread)
    assert torch.equal(new, torch.tensor([-1.0, 0.3]))
    assert torch.equal(narrower, torch.tensor([0.0, 0.2]))


def test_a_bit_is_weighed_exactly():
    chance = torch.tensor([0.2, 0.2, 0.2, 0.7])
    ours = tilted_bernoulli(chance, torch.tensor([1.0, 0, 3, 5]), torch.tensor([0.0, 1, 1, 5]))
    torch.testing.assert_close(ours, torch.tensor([1.0, 0.0, 0.6 / 1.4, 0.7]))


@pytest.mark.parametrize(("if_one", "if_zero"), [(0.0, 0.0), (-1.0, 2.0), (2.0, -1.0)])
def test_an_r_that_allows_nothing_is_refused(if_one, if_zero):
    with pytest.raises(ValueError, match="must not be negative"):
        tilted_bernoulli(torch.tensor([0.5]), if_one, if_zero)


def test_a_known_value_wins_over_a_step_without_noise():
    mean, centre = torch.zeros(1, 2), torch.ones(1, 2)
    found = times_gaussian(mean, torch.tensor([[0.0, 0.5]]), centre, 0.0)
    assert torch.equal(found[0], centre) and not found[1].any()


@pytest.mark.parametrize(("chance", "r"), [(0.0, (1.0, 0.0)), (1.0, (0.0, 1.0))])
def test_a_known_bit_that_has_no_chance_is_refused(chance, r):
    with pytest.raises(ValueError, match="whose chance is 0"):
        tilted_bernoulli(torch.tensor([[0.5, chance]]), *r)
