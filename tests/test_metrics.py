"""Metrics against closed forms, and against the laws a distance must obey."""

from functools import partial
from itertools import product
from math import pi, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.metrics import (
    Estimate,
    Measured,
    density_coverage,
    energy_distance,
    expected_coverage,
    expected_floor,
    frechet_distance,
    gaussian_frechet_distance,
    gaussian_kernel,
    inception_score,
    kernel_distance,
    precision_recall,
    psnr,
    saturated,
    sliced_wasserstein,
    with_floor,
)

DISTANCES = [frechet_distance, kernel_distance, sliced_wasserstein, energy_distance]
every_distance = pytest.mark.parametrize("distance", DISTANCES, ids=lambda d: d.__name__)


def normal(n, d, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=random, dtype=torch.float64)


def rotation(d, seed=0):
    return torch.linalg.qr(normal(d, d, seed)).Q


# Laws


@every_distance
@given(seed=st.integers(0, 10_000), d=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_symmetric_and_blind_to_the_order_of_rows(distance, seed, d):
    a, b = normal(40, d, seed), 1.5 * normal(40, d, seed + 1) + 0.3
    forward = float(distance(a, b))
    assert float(distance(b, a)) == pytest.approx(forward, rel=1e-9, abs=1e-9)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    assert float(distance(a[order], b)) == pytest.approx(forward, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, energy_distance])
@given(seed=st.integers(0, 10_000), d=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_a_rotation_of_both_changes_nothing(distance, seed, d):
    a, b, q = normal(40, d, seed), 1.5 * normal(40, d, seed + 1), rotation(d, seed)
    turned = float(distance(a @ q, b @ q))
    assert turned == pytest.approx(float(distance(a, b)), rel=1e-8, abs=1e-9)


def test_a_rotation_changes_sliced_wasserstein_only_by_its_choice_of_directions():
    a, b, q = normal(500, 4), normal(500, 4, 1) * torch.tensor([3.0, 1, 1, 1]), rotation(4)
    values = [sliced_wasserstein(x, y, projections=4000) for x, y in ((a, b), (a @ q, b @ q))]
    assert values[0] == pytest.approx(values[1], rel=0.03)


@pytest.mark.parametrize("distance", [frechet_distance, sliced_wasserstein, energy_distance])
def test_it_does_not_matter_where_zero_is(distance):
    a, b = normal(100, 3), normal(100, 3, 1) + 1
    assert distance(a + 1e6, b + 1e6) == pytest.approx(distance(a, b), rel=1e-6)


def test_a_set_is_at_no_distance_from_itself():
    a = normal(60, 5)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert sliced_wasserstein(a, a) == 0
    assert energy_distance(a, a, unbiased=False) == pytest.approx(0, abs=1e-7)
    assert precision_recall(a, a) == (1.0, 1.0)


@every_distance
def test_a_larger_shift_is_further_away(distance):
    a, b = normal(400, 3), normal(400, 3, 1)
    values = [float(distance(a + shift, b)) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values) and values[-1] > 3 * abs(values[0])


@every_distance
def test_the_unlike_and_the_empty_are_named(distance):
    with pytest.raises(ValueError, match=r"rows of one length, got \[9, 2\] and \[9, 3\]"):
        distance(normal(9, 2), normal(9, 3))
    with pytest.raises(ValueError, match=r"got \[0, 2\]"):
        distance(normal(0, 2), normal(9, 2))


@every_distance
def test_half_precision_rows_are_summed_in_double(distance):
    a, b = normal(50, 3), normal(50, 3, 1) + 1
    single = float(distance(a.float(), b.float()))
    assert single == pytest.approx(float(distance(a, b)), rel=1e-5)


# Fréchet distance


def test_frechet_of_gaussians_that_share_axes_is_a_sum_over_them():
    mean, p, q = normal(4, 1)[:, 0], torch.tensor([1.0, 4, 9, 0]), torch.tensor([4.0, 1, 0, 0])
    axes = rotation(4)
    a, b = (axes @ torch.diag(v).double() @ axes.T for v in (p, q))
    expected = mean.square().sum() + (p.sqrt() - q.sqrt()).square().sum()
    found = gaussian_frechet_distance(mean, a, torch.zeros(4), b)
    assert found == pytest.approx(float(expected), abs=1e-6)  # the root of a rounded 0 is 1e-8


def test_frechet_of_gaussians_that_do_not_commute():
    # In two dimensions tr (A B)^(1/2) = sqrt(tr(A B) + 2 sqrt(det A det B)).
    a = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    b = torch.tensor([[5.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    root = ((a @ b).trace() + 2 * (a.det() * b.det()).sqrt()).sqrt()
    zero = torch.zeros(2)
    found = gaussian_frechet_distance(zero, a, zero, b)
    assert found == pytest.approx(float(a.trace() + b.trace() - 2 * root), abs=1e-12)


def test_frechet_falls_like_one_over_n_between_equal_laws():
    means = [
        sum(frechet_distance(normal(n, 16, s), normal(n, 16, s + 99)) for s in range(8)) / 8
        for n in (200, 800, 3200)
    ]
    assert means[0] / means[1] == pytest.approx(4, rel=0.15)
    assert means[1] / means[2] == pytest.approx(4, rel=0.15)


def test_frechet_explains_why_it_needs_more_rows_than_numbers():
    with pytest.raises(ValueError, match="16 and 40 rows of 16 numbers: a covariance needs more"):
        frechet_distance(normal(16, 16), normal(40, 16))
    assert frechet_distance(normal(17, 16), normal(40, 16)) > 0


# Kernel distance


def test_kernel_distance_of_gaussians_in_closed_form():
    # On the line the kernel (xy + 1)^3 is a sum of (xy)^j, so MMD^2 compares moments.
    a, b = normal(3000, 1), 0.7 * normal(3000, 1, 1) + 0.4
    moments = [(0.0, 1.0, 0.0), (0.4, 0.7**2 + 0.4**2, 0.4**3 + 3 * 0.4 * 0.7**2)]
    exact = sum(c * (p - q) ** 2 for c, p, q in zip((3, 3, 1), moments[0], moments[1], strict=True))
    found = kernel_distance(a, b)
    assert abs(found.value - exact) < 4 * found.error
    assert found.error < 0.2 * exact


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_kernel_distance_is_unbiased_and_knows_its_error(shift):
    # Between equal laws the first-order variance vanishes; the error must hold there as well.
    runs = [kernel_distance(normal(60, 4, s) + shift, normal(60, 4, 5_000 + s)) for s in range(300)]
    values = torch.tensor([run.value for run in runs])
    spread, claimed = float(values.std()), torch.tensor([run.error for run in runs])
    exact = float(
        kernel_distance(normal(6_000, 4) + shift, normal(6_000, 4, 7_777)).value if shift else 0
    )
    assert abs(values.mean() - exact) < 4 * spread / sqrt(300) + 0.01 * shift
    assert claimed.square().mean().sqrt() == pytest.approx(spread, rel=0.2)


def test_kernel_distance_by_hand():
    a, b = normal(5, 3), normal(5, 3, 1) + 0.5

    def mean(x, y, pairs):
        return sum((float(x[i] @ y[j]) / 3 + 1) ** 3 for i, j in pairs) / len(pairs)

    every = list(product(range(5), repeat=2))
    apart = [(i, j) for i, j in every if i != j]
    expected = mean(a, a, apart) + mean(b, b, apart) - 2 * mean(a, b, every)
    assert kernel_distance(a, b).value == pytest.approx(expected)


def test_kernel_distance_wants_equally_many():
    with pytest.raises(ValueError, match="equally many rows, got 5 and 6"):
        kernel_distance(normal(5, 2), normal(6, 2))


# Sliced Wasserstein


def test_sliced_wasserstein_of_a_shift():
    # Along a direction u the clouds are |u.s| apart; (u.s)^2 is |s|^2/d on average.
    a, shift = normal(200, 3), torch.tensor([3.0, 0, 0])
    found = sliced_wasserstein(a, a + shift, projections=20_000)
    assert found == pytest.approx(3 / sqrt(3), rel=0.01)


def test_sliced_wasserstein_is_exact_for_unequal_numbers():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [0.0], [3.0]])
    # In steps of 1/6: a is 0 0 0 1 1 1, b is 0 0 0 0 3 3.
    assert sliced_wasserstein(a, b, power=1) == pytest.approx((1 + 2 + 2) / 6)
    assert sliced_wasserstein(a, b, power=2) == pytest.approx(sqrt((1 + 4 + 4) / 6))


def test_sliced_wasserstein_is_decided_by_its_seed():
    a, b = normal(50, 3), normal(50, 3, 1)
    assert sliced_wasserstein(a, b, seed=1) == sliced_wasserstein(a, b, seed=1)
    assert sliced_wasserstein(a, b, seed=1) != sliced_wasserstein(a, b, seed=2)


# Energy distance


def test_energy_distance_of_gaussians_in_closed_form():
    # E|X - Y| of centred Gaussians on the line is sqrt(2 (p^2 + q^2) / pi).
    a, b = normal(4000, 1), 2 * normal(4000, 1, 1)
    exact = 2 * sqrt(2 * 5 / pi) - sqrt(2 * 2 / pi) - sqrt(2 * 8 / pi)
    assert energy_distance(a, b) == pytest.approx(exact, abs=0.02)


def test_energy_distance_is_zero_on_average_between_equal_laws():
    values = [energy_distance(normal(50, 2, s), normal(50, 2, s + 1000)) for s in range(200)]
    mean, spread = torch.tensor(values).mean(), torch.tensor(values).std()
    assert abs(mean) < 4 * spread / sqrt(200)
    biased = [
        energy_distance(normal(50, 2, s), normal(50, 2, s + 1000), unbiased=False)
        for s in range(20)
    ]
    assert min(biased) > 0


# Precision and recall


def test_a_lost_mode_costs_recall_and_a_made_up_one_costs_precision():
    left, right = normal(200, 2) - 10, normal(200, 2, 1) + 10
    both, other = torch.cat([left, right]), normal(100, 2, 2)
    precision, recall = precision_recall(normal(200, 2, 3) - 10, both)
    assert precision > 0.85 and 0.4 < recall < 0.5
    precision, recall = precision_recall(torch.cat([both, other * 0.5]), both)
    assert precision == pytest.approx(0.8) and recall == 1.0


def test_precision_recall_by_hand():
    real = torch.tensor([[0.0], [1.0], [10.0]])  # neighbours at 1, 1 and 9: -1 to 19 is inside
    samples = torch.tensor([[-0.9], [0.5], [19.2], [19.5]])  # at 1.4, 1.4, 0.3 and 0.3
    assert precision_recall(samples, real, k=1) == (2 / 4, 2 / 3)


def test_precision_recall_does_not_depend_on_the_chunks(monkeypatch):
    a, b = normal(150, 3), normal(130, 3, 1) + 1
    whole = precision_recall(a, b)
    monkeypatch.setattr("course_lib.metrics.CHUNK", 7)
    assert precision_recall(a, b) == whole
    with pytest.raises(ValueError, match="k = 3 neighbours need more rows than 3 and 130"):
        precision_recall(a[:3], b)


@every_distance
def test_distances_do_not_depend_on_the_chunks(distance, monkeypatch):
    a, b = normal(60, 3), normal(60, 3, 1) + 0.2
    whole = distance(a, b)
    monkeypatch.setattr("course_lib.metrics.CHUNK", 7)
    again = distance(a, b)
    assert float(again) == pytest.approx(float(whole), rel=1e-8)
    if isinstance(whole, Estimate):
        assert again.error == pytest.approx(whole.error, rel=1e-8)


# Density and coverage


def test_density_coverage_by_hand():
    real = torch.tensor([[0.0], [1.0], [10.0]])  # balls of 1, 1 and 9: (-1, 1), (0, 2), (1, 19)
    samples = torch.tensor([[0.5], [1.5], [30.0]])
    # 0.5 lies in two balls, 1.5 in two, 30 in none.
    assert density_coverage(samples, real, k=1) == pytest.approx((4 / 3, 1.0))
    assert density_coverage(samples[:1].repeat(2, 1), real[:2], k=1) == pytest.approx((2.0, 1.0))
    assert density_coverage(samples[2:].repeat(2, 1), real, k=1) == (0, 0)


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (40, 90, 3), (90, 30, 2)])
def test_coverage_and_density_of_equal_laws(n, m, k):
    found = torch.tensor(
        [density_coverage(normal(n, 2, s), normal(m, 2, s + 999), k=k) for s in range(150)]
    )
    mean, error = found.mean(0), found.std(0) / sqrt(150)
    assert abs(mean[1] - expected_coverage(n, m, k=k)) < 4 * error[1]
    assert abs(mean[0] - m / (m - 1)) < 4 * error[0]  # a ball holds k of the m - 1 other real rows


def test_expected_coverage_of_many_rows():
    assert expected_coverage(10**6, 10**6) == pytest.approx(1 - 2**-5, abs=1e-5)
    assert expected_coverage(1, 2, k=1) == pytest.approx(1 / 2)


# The inception score


def test_the_inception_score_lies_between_one_and_the_number_of_classes():
    sure = 50 * torch.eye(10).repeat(3, 1)
    assert inception_score(sure) == pytest.approx(10)
    assert inception_score(sure[::10]) == pytest.approx(1)  # one class only
    assert inception_score(torch.zeros(7, 10)) == pytest.approx(1)  # sure of nothing
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64)
    joint, q = p / 2, p.mean(0)
    information = (joint * (joint / (q / 2)).log()).sum()
    assert inception_score(p.log()) == pytest.approx(float(information.exp()))


# Other kernels


def test_the_gaussian_kernel_sees_what_three_moments_hide():
    angles = torch.randint(8, (2_000,), generator=torch.Generator().manual_seed(0)) * (pi / 4)
    ring = torch.stack([angles.cos(), angles.sin()], 1).double() + 0.05 * normal(2_000, 2)
    same = normal(2_000, 2, 1) * sqrt(0.5 + 0.05**2)  # the mean and covariance of the ring
    assert frechet_distance(ring, same) < 0.01
    cubic, narrow = (
        kernel_distance(ring, same),
        kernel_distance(ring, same, kernel=gaussian_kernel(0.3)),
    )
    assert abs(cubic.value) < 4 * cubic.error
    assert narrow.value > 20 * narrow.error
    with pytest.raises(ValueError, match="above 0, got -1"):
        gaussian_kernel(-1)


def test_any_kernel_is_unbiased():
    kernel = gaussian_kernel(0.7)
    pairs = [(normal(30, 2, s), normal(30, 2, s + 500)) for s in range(200)]
    values = torch.tensor([kernel_distance(a, b, kernel=kernel).value for a, b in pairs])
    assert abs(values.mean()) < 4 * values.std() / sqrt(200)


# The law of the floor


@pytest.mark.parametrize("values", [[1.0] * 8, [4.0, 1.0, 0.25, 0.05]], ids=["even", "uneven"])
def test_equal_laws_score_the_expected_floor(values):
    width = torch.tensor(values).double().sqrt()
    found = torch.tensor(
        [
            frechet_distance(
                width * normal(400, len(values), s), width * normal(700, len(values), s + 999)
            )
            for s in range(150)
        ]
    )
    expected = expected_floor(width.square().diag(), 400, 700)
    error = float(found.std()) / sqrt(150)
    assert abs(float(found.mean()) - expected) < 4 * error + 0.03 * expected
    half = expected_floor(width.square().diag(), 800, 1400)
    assert half == pytest.approx(expected / 2)


def test_the_floor_of_equal_eigenvalues():
    d, n = 64, 1_000
    expected = (d + d * (d + 1) / 4) * 2 / n
    assert expected_floor(torch.eye(d), n, n) == pytest.approx(expected)


# Floors


def test_with_floor_prints_both_numbers():
    a, b = normal(2_000, 4), normal(2_000, 4, 1)
    measured = with_floor(frechet_distance, normal(2_000, 4, 2) + 1, a, b)
    assert measured.value == frechet_distance(normal(2_000, 4, 2) + 1, a)
    assert measured.floor == frechet_distance(b, a)
    assert float(measured) > 100 * measured.floor
    assert str(Measured(7.72, 2.89, 2_000, "FD")) == "FD 7.72 (real-vs-real floor 2.89, n = 2,000)"
    assert str(measured).startswith("FD 4.")


def test_with_floor_takes_estimates_and_shares_and_names():
    a, b = normal(100, 2), normal(100, 2, 1)
    assert str(with_floor(kernel_distance, a, a, b)).startswith("KD ")
    assert str(with_floor(partial(kernel_distance), a, a, b)).startswith("KD ")
    precision = with_floor(lambda s, r: precision_recall(s, r)[0], a, a, b, name="precision")
    assert precision.value == 1.0 and 0.5 < precision.floor < 1.0
    assert str(precision).startswith("precision 1 (")


def test_with_floor_wants_equally_many():
    with pytest.raises(ValueError, match="10 samples but 20 real examples for the floor"):
        with_floor(energy_distance, normal(10, 2), normal(20, 2), normal(20, 2))


def test_an_estimate_shows_its_error():
    assert str(Estimate(0.01234, 0.00056)) == "0.0123 ± 0.0006"


def test_psnr_counts_decibels_of_the_squared_error():
    real = torch.zeros(2, 1, 4, 4)
    assert psnr(real + 0.2, real) == pytest.approx(20)  # (2 / 0.2)² is 100
    assert psnr(real + 0.1, real, peak=1.0) == pytest.approx(20)
    noise = torch.randn(400, 1, 16, 16)
    one, two = psnr(noise, 0 * noise), psnr(2**0.5 * noise, 0 * noise)
    assert one - two == pytest.approx(3.0103, abs=1e-3)
    with pytest.raises(ValueError, match="peak 0"):
        psnr(real, real, peak=0)
    with pytest.raises(ValueError, match=r"\[2, 1, 4, 4\]"):
        psnr(real[:1], real)


def test_saturated_numbers_are_counted_picture_by_picture():
    x = torch.zeros(2, 3, 4, 4)
    x[0, 0, 0] = 1.0
    x[1, :, 1] = -0.995
    assert saturated(x).tolist() == pytest.approx([4 / 48, 12 / 48])
    assert saturated(x, edge=0.999).tolist() == pytest.approx([4 / 48, 0])
