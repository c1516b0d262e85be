"""Noise of our own: known numbers, the normal law, parts that fit together, seeds that differ."""

import numpy as np
import pytest
import torch
from scipy import stats

from course_lib.core.noise import normals, shared_randn_like

SEVEN = [
    0.14197043782,
    -0.86425302487,
    -1.00636632409,
    0.07088442312,
]  # what kit.js gives for seed 7


def test_a_seed_is_the_same_numbers_for_ever():
    assert np.allclose(normals(7, 4), SEVEN, rtol=0, atol=1e-9)
    assert np.array_equal(normals(7, 500, 400), normals(7, 900)[400:])
    assert np.array_equal(normals(7 + 2**32, 9), normals(7, 9))
    assert not np.array_equal(normals(7 + 2**16, 9), normals(7, 9))
    assert len(normals(7, 0)) == 0


@pytest.mark.parametrize("seed", [0, 7, 999, 2**32 - 1])
def test_they_are_normal_and_know_nothing_of_their_neighbours(seed):
    x = normals(seed, 40_000)
    assert stats.kstest(x, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(x, normals(seed + 1, 40_000))[0, 1]) < 0.02


def test_a_randn_like_goes_on_where_it_was():
    draws = shared_randn_like(7)
    parts = [draws(torch.empty(2, 1, 3)), draws(torch.empty(4, dtype=torch.float64))]
    assert parts[0].shape == (2, 1, 3) and parts[0].dtype == torch.float32
    assert np.allclose(torch.cat([part.flatten() for part in parts]), normals(7, 10), atol=1e-6)
    assert parts[1].dtype == torch.float64


@pytest.mark.parametrize("wrong", [(-1, 2), (0, -2), (0, 2, -1)])
def test_numbers_below_zero_are_refused(wrong):
    with pytest.raises(ValueError, match="need 0 or more"):
        normals(*wrong)
