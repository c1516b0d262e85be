"""Point clouds: seeded, centred, of unit variance, and each where its description says."""

from math import pi

import pytest
import torch

from course_lib.data import points

CLOUDS = [
    points.eight_gaussians,
    points.swiss_roll,
    points.two_moons,
    points.checkerboard,
    points.pinwheel,
    points.two_spirals,
    points.dinosaur,
]
every_cloud = pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.__name__)


@every_cloud
def test_centred_with_unit_variance(cloud):
    x = cloud(200_000, seed=1)
    assert x.shape == (200_000, 2) and x.dtype == torch.float32
    assert x.mean(0).abs().max() < 0.02
    assert abs(x.var(0).mean() - 1) < 0.01


@every_cloud
def test_the_seed_decides_and_the_global_generator_is_left_alone(cloud):
    state = torch.get_rng_state()
    first, again, other = cloud(50, seed=3), cloud(50, seed=3), cloud(50, seed=4)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@every_cloud
def test_no_points_is_an_error(cloud):
    with pytest.raises(ValueError, match="n must be 1 or more, got 0"):
        cloud(0)


def test_eight_gaussians_follow_their_exact_mixture():
    law = points.eight_gaussians_mixture()
    x = points.eight_gaussians(80_000)
    nearest = torch.cdist(x, law.means).argmin(1)
    assert (nearest.bincount() / len(x) - 1 / 8).abs().max() < 0.01
    for k in range(8):
        clump = x[nearest == k]
        assert (clump.mean(0) - law.means[k]).abs().max() < 0.01
        assert (clump.T.cov() - law.variances[k, 0] * torch.eye(2)).abs().max() < 0.001
    # The law of total variance, exactly: within the clumps plus between them.
    total = law.variances[0].diag() + law.means.T @ law.means / 8
    torch.testing.assert_close(total, torch.eye(2), atol=1e-6, rtol=0)


def test_swiss_roll_without_noise_lies_on_its_spiral():
    x = points.swiss_roll(2_000, noise=0.0).double()
    spread = (9.75 * pi**2 - 4 - (2 / (3 * pi)) ** 2) / 2
    roll = x * spread**0.5 + torch.tensor([2.0, 2 / (3 * pi)])
    radius, angle = roll.norm(dim=1), torch.atan2(roll[:, 1], roll[:, 0])
    turns = (radius - angle) / (2 * pi)  # the radius is the angle, whole turns apart
    assert (turns - turns.round()).abs().max() < 1e-5
    assert radius.min() >= 1.5 * pi - 1e-4 and radius.max() <= 4.5 * pi + 1e-4


def test_two_moons_without_noise_lie_on_their_circles():
    x = points.two_moons(2_000, noise=0.0).double()
    scale = points.two_moons(1, noise=0.0).double().norm() / x[0].norm()
    assert scale == 1  # the same seed draws the same first angle whatever n is asked for
    spread = (0.75 + 0.5 - 4 / pi**2 + (2 / pi - 0.25) ** 2) / 2
    moons = x * spread**0.5 + torch.tensor([0.5, 0.25])
    upper = (moons.norm(dim=1) - 1).abs()
    lower = ((moons - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs()
    assert torch.minimum(upper, lower).max() < 1e-5
    assert 0.45 < (upper < 1e-5).double().mean() < 0.55


def test_checkerboard_fills_the_dark_squares_evenly_and_no_other():
    cell = (points.checkerboard(80_000) / (3**0.5 / 2) + 2).floor().long()
    assert cell.min() == 0 and cell.max() == 3
    assert (cell.sum(1) % 2 == 0).all()
    counts = (4 * cell[:, 0] + cell[:, 1]).bincount(minlength=16)
    dark = counts[counts > 0]
    assert len(dark) == 8 and (dark / 10_000 - 1).abs().max() < 0.04


def test_pinwheel_unbent_has_five_equal_arms():
    x = points.pinwheel(50_000).double() * ((1 + 0.3**2 + 0.05**2) / 2) ** 0.5
    radius, angle = x.norm(dim=1), torch.atan2(x[:, 1], x[:, 0])
    straight = (angle - 0.25 * radius.exp()) / (2 * pi / 5)  # in arms; whole numbers on an axis
    assert (straight - straight.round()).abs().quantile(0.95) < 0.15
    counts = (straight.round().long() % 5).bincount(minlength=5)
    assert (counts / 10_000 - 1).abs().max() < 0.04


def test_two_spirals_are_each_other_turned_by_half():
    x = points.two_spirals(20_000)
    assert torch.cdist(-x[:1_000], x[1_000:]).min(1).values.max() < 0.1


def test_dinosaur_is_a_thin_line_with_an_eye():
    x, line = points.dinosaur(4_000), points.dinosaur(20_000, seed=1, noise=0.0)
    assert torch.cdist(x, line).min(1).values.quantile(0.95) < 0.06
    eye = (torch.tensor([8.75, 7.55]) - torch.tensor([5.73, 3.47])) / 2.555
    assert 0.01 < ((line - eye).norm(dim=1) < 1e-5).float().mean() < 0.03
