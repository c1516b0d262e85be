"""Our metrics equal scipy's and torchmetrics' where these compute the same thing."""

import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from course_lib.metrics import (
    density_coverage,
    energy_distance,
    frechet_distance,
    gaussian_kernel,
    inception_score,
    kernel_distance,
    precision_recall,
    sliced_wasserstein,
)


@pytest.fixture(params=[(300, 300, 5), (90, 250, 20)], ids=["300x5", "90and250x20"])
def tables(request):
    n, m, d = request.param
    random = torch.Generator().manual_seed(n)
    mix = torch.randn(d, d, generator=random, dtype=torch.float64)
    a = torch.randn(n, d, generator=random, dtype=torch.float64) @ mix
    return a, torch.randn(m, d, generator=random, dtype=torch.float64) + 0.5


def test_frechet_equals_the_form_with_scipys_matrix_root(tables):
    a, b = (table.numpy() for table in tables)
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    theirs = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(*tables) == pytest.approx(theirs, rel=1e-9)


def test_frechet_equals_torchmetrics(tables):
    from torchmetrics.image.fid import _compute_fid

    a, b = tables
    theirs = _compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-9)


def test_kernel_distance_equals_torchmetrics(tables):
    from torchmetrics.image.kid import poly_mmd

    a, b = (table[:90] for table in tables)
    assert kernel_distance(a, b).value == pytest.approx(float(poly_mmd(a, b)), rel=1e-9)


def test_torchmetrics_was_used_without_torchvision():
    import torchmetrics.image.fid  # noqa: F401

    assert "torchvision" not in sys.modules


@pytest.mark.parametrize("m", [200, 77])
def test_wasserstein_on_the_line_equals_scipy(m):
    random = np.random.default_rng(0)
    a, b = random.normal(size=200), random.exponential(size=m)
    theirs = scipy.stats.wasserstein_distance(a, b)
    columns = torch.from_numpy(a)[:, None], torch.from_numpy(b)[:, None]
    assert sliced_wasserstein(*columns, power=1, projections=3) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("m", [200, 77])
def test_energy_distance_on_the_line_is_the_square_of_scipys(m):
    random = np.random.default_rng(1)
    a, b = random.normal(size=200), random.exponential(size=m)
    theirs = scipy.stats.energy_distance(a, b) ** 2
    columns = torch.from_numpy(a)[:, None], torch.from_numpy(b)[:, None]
    assert energy_distance(*columns, unbiased=False) == pytest.approx(theirs, rel=1e-6)


def test_manifolds_equal_those_of_scipys_tree(tables):
    real, samples = tables

    def inside(rows, manifold, k=3):
        radius = scipy.spatial.KDTree(manifold).query(manifold, k + 1)[0][:, k]
        distance = scipy.spatial.distance.cdist(rows, manifold)
        return float((distance <= radius).any(1).mean())

    theirs = inside(samples.numpy(), real.numpy()), inside(real.numpy(), samples.numpy())
    assert precision_recall(samples, real) == pytest.approx(theirs)


def test_gaussian_kernel_distance_equals_torchmetrics_with_sklearns_kernel(tables):
    from sklearn.metrics.pairwise import rbf_kernel
    from torchmetrics.image.kid import maximum_mean_discrepancy

    a, b = (table[:90] for table in tables)
    kernels = [
        torch.from_numpy(rbf_kernel(x, y, gamma=1 / (2 * 3**2)))
        for x, y in ((a, a), (a, b), (b, b))
    ]
    theirs = float(maximum_mean_discrepancy(*kernels))
    assert kernel_distance(a, b, kernel=gaussian_kernel(3)).value == pytest.approx(theirs, rel=1e-9)


def test_inception_score_equals_torchmetrics():
    from torchmetrics.image.inception import InceptionScore

    class Sees(torch.nn.Module):
        """Stands where Inception would: its logits are the first ten pixels."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :10].float() / 32

    images = torch.randint(256, (200, 3, 4, 4), dtype=torch.uint8)
    score = InceptionScore(feature=Sees(), splits=1)
    score.update(images)
    theirs = float(score.compute()[0])
    assert inception_score(Sees()(images)) == pytest.approx(theirs, rel=1e-5)


def test_density_and_coverage_equal_sklearns_neighbours(tables):
    from sklearn.neighbors import NearestNeighbors

    samples, real = (table.numpy() for table in tables)
    radius = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, 5]
    inside = scipy.spatial.distance.cdist(real, samples) <= radius[:, None]
    theirs = inside.sum(0).mean() / 5, inside.any(1).mean()
    assert density_coverage(*tables) == pytest.approx(theirs)
