"""Times and points as vectors."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.nn.embeddings import FourierFeatures, TimeMLP, sinusoidal
from course_lib.nn.mlp import MLP


@given(st.integers(0, 1000), st.sampled_from([4, 10, 64]), st.sampled_from([0.0, 1.0]))
def test_sinusoids_by_hand(t, dim, shift):
    ours = sinusoidal(torch.tensor([t]), dim, shift=shift)[0]
    half = dim // 2
    for i in range(half):
        angle = t / 10_000 ** (i / (half - shift))
        assert math.isclose(ours[i], math.sin(angle), abs_tol=1e-3)
        assert math.isclose(ours[half + i], math.cos(angle), abs_tol=1e-3)


def test_shift_makes_the_last_wavelength_exactly_the_longest():
    t = torch.tensor([1000])
    last = sinusoidal(t, 64, max_period=10_000.0, shift=1.0)[0, 31]
    torch.testing.assert_close(last, torch.tensor(0.1).sin())


def test_times_far_and_near_have_different_vectors():
    vectors = sinusoidal(torch.arange(1001), 32)
    nearest = torch.cdist(vectors, vectors).fill_diagonal_(9).min()
    assert nearest > 0.1


@pytest.mark.parametrize("dim", [2, 7])
def test_a_wrong_width_is_refused(dim):
    with pytest.raises(ValueError, match=f"even and at least 4, got {dim}"):
        sinusoidal(torch.tensor([1]), dim)


def test_fourier_features_have_unit_norm_per_frequency_and_do_not_train():
    features = FourierFeatures(2, 16, scale=3.0)
    out = features(torch.randn(5, 2))
    torch.testing.assert_close(out[:, :16] ** 2 + out[:, 16:] ** 2, torch.ones(5, 16))
    assert list(features.parameters()) == [] and "frequencies" in features.state_dict()
    assert torch.equal(features.frequencies, FourierFeatures(2, 16, scale=3.0).frequencies)


def test_fourier_features_see_differences_not_places():
    # An inner product of two feature vectors depends on x - y alone (Tancik et al. 2020, eq. 4).
    features, shift = FourierFeatures(2, 64), torch.tensor([[0.3, -1.1]])
    x, y = torch.randn(1, 2), torch.randn(1, 2)
    here = (features(x) * features(y)).sum()
    there = (features(x + shift) * features(y + shift)).sum()
    torch.testing.assert_close(here, there, atol=1e-3, rtol=0)


def test_time_mlp_takes_integers_and_keeps_the_weights_precision():
    embed = TimeMLP(16, 24).to(torch.float64)
    assert embed(torch.tensor([1, 500])).dtype == torch.float64
    assert embed(torch.tensor([1, 500])).shape == (2, 24)


def test_mlp_reads_both_point_and_time():
    torch.manual_seed(0)
    net, x = MLP(dim=2, width=32), torch.randn(6, 2)
    t = torch.full((6,), 300)
    assert net(x, t).shape == (6, 2)
    assert (net(x, t) - net(x, t + 100)).abs().max() > 1e-3
    assert (net(x, t) - net(x + 0.5, t)).abs().max() > 1e-3


def test_mlp_times_in_unit_range_are_scaled():
    torch.manual_seed(0)
    scaled = MLP(t_scale=1000.0)
    plain = MLP()
    plain.load_state_dict(scaled.state_dict())
    x, t = torch.randn(4, 2), torch.tensor([0.1, 0.2, 0.5, 0.9])
    torch.testing.assert_close(scaled(x, t), plain(x, 1000 * t))
