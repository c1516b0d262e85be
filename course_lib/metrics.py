"""How far a set of samples is from a set of real examples, and how far is still nothing.

Every number here depends on how many samples were drawn. So each is shown beside its floor: what
the same metric says of real data against other real data, equally many (`with_floor`). Rows are
feature vectors (`course_lib.features`) or points; sums are in float64. Built by hand in chapter 9.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log, log10, prod, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.core.types import Images, PerExample

Rows = Float[Tensor, "_ _"]  # [rows, numbers in a row]
Vector = Float[Tensor, " d"]
Matrix = Float[Tensor, "d d"]
Kernel = Callable[[Tensor, Tensor], Tensor]  # rows of a and of b -> [rows of a, rows of b]

CHUNK = 200  # rows compared at a time: a chunk against 10,000 is 16 MB and stays in cache


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error."""

    value: float
    error: float

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.1g}"


@dataclass(frozen=True)
class Measured:
    """A metric of n samples, beside what n real examples score: a value near `floor` is perfect."""

    value: float
    floor: float
    n: int
    name: str = "distance"

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        value, floor = f"{self.value:.3g}", f"{self.floor:.3g}"
        return f"{self.name} {value} (real-vs-real floor {floor}, n = {self.n:,})"


def with_floor(
    metric: Callable[[Tensor, Tensor], float | Estimate],
    samples: Tensor,
    real_a: Tensor,
    real_b: Tensor,
    *,
    name: str = "",
) -> Measured:
    """Measure `samples` against `real_a`, and in the same way `real_b`, which is real as well.

    Classes count too. If samples have random labels, take random rows of real data: ours are
    loaded with the classes in turn, which no unconditional model can match.

    metric   called as metric(samples, real_a); a distance or a share
    name     how the result calls itself; the metric's own name without it

    Raises ValueError unless `samples` and `real_b` are equally many: bias depends on number.
    """
    if len(samples) != len(real_b):
        raise ValueError(
            f"{len(samples)} samples but {len(real_b)} real examples for the floor. Give equally "
            "many: with fewer examples most of these metrics come out larger"
        )
    value, floor = float(metric(samples, real_a)), float(metric(real_b, real_a))
    named = getattr(metric, "func", metric)  # what a `partial` is of
    name = name or getattr(named, "__name__", type(named).__name__).replace("_", " ")
    return Measured(value, floor, len(samples), SHORT.get(name, name))


SHORT = {"frechet distance": "FD", "kernel distance": "KD"}


def frechet_distance(a: Rows, b: Rows) -> float:
    """Squared Fréchet distance of the Gaussians fitted to a and b (Dowson & Landau 1982).

    This is FID's formula (Heusel et al. 2017) on features of our own, so the numbers cannot be
    compared with any FID. Its bias falls like 1/N: compare only equal N, and see the floor.

    Raises ValueError unless a and b each have more rows than columns.
    """
    _same_width(a, b)
    if min(len(a), len(b)) <= a.shape[1]:
        raise ValueError(
            f"{len(a)} and {len(b)} rows of {a.shape[1]} numbers: a covariance needs more rows "
            "than numbers in a row, and is trustworthy from about thirty times as many"
        )
    return gaussian_frechet_distance(*_moments(a), *_moments(b))


def gaussian_frechet_distance(
    mean_a: Vector, covariance_a: Matrix, mean_b: Vector, covariance_b: Matrix
) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) for Gaussians with covariances A and B."""
    root_a, root_b = _factor(covariance_a), _factor(covariance_b)
    # With A = R R' and B = S S', the eigenvalues of A B are the squared singular values of R' S.
    # So nothing negative can appear under the root, however close A and B are to singular.
    overlap = torch.linalg.svdvals(root_a.T @ root_b).sum()
    apart = (mean_a.double() - mean_b.double()).square().sum()
    return float(apart + root_a.square().sum() + root_b.square().sum() - 2 * overlap)


def expected_floor(covariance: Matrix, n: int, m: int) -> float:
    """What `frechet_distance` gives on average for n and m rows of one Gaussian, to order 1/n.

    With eigenvalues l_i of the covariance it is (sum_i l_i + sum_ij (1 + [i = j]) l_i l_j /
    2 (l_i + l_j)) (1/n + 1/m): derived in chapter 9. About d^2 / 4 (1/n + 1/m) for d equal ones.
    """
    values = torch.linalg.eigvalsh(covariance.double()).clamp(min=1e-12)
    pairs = values[:, None] * values / (values[:, None] + values)
    spread = (pairs.sum() + pairs.diagonal().sum()) / 2
    return float(values.sum() + spread) * (1 / n + 1 / m)


def psnr(images: Tensor, real: Tensor, *, peak: float = 2.0) -> float:
    """Peak signal to noise ratio in dB: 10 log10 of peak² over the mean squared error.

    The larger the better; it prefers a blur to a sharp guess by up to 3.01 dB (chapter 18).

    peak   the range of the pixels: 2 for pictures in [-1, 1]

    Raises ValueError unless the shapes agree, and peak > 0.
    """
    if images.shape != real.shape or peak <= 0:
        raise ValueError(
            f"psnr compares picture with picture at a peak above 0, got {list(images.shape)},"
            f" {list(real.shape)} and peak {peak}"
        )
    error = (images.double() - real.double()).square().mean()
    return 10 * log10(peak**2 / max(float(error), 1e-30))


def saturated(images: Images, edge: float = 0.99) -> PerExample:
    """The share of a picture's numbers that lie at the end of the range: |x| >= edge.

    Guidance drives pixels there (Saharia et al. 2022, section 2.3). Real pictures may have such
    numbers too, on a white ground for instance: their share is what to compare with.
    """
    return (images.abs() >= edge).flatten(1).float().mean(1)


def inception_score(logits: Rows) -> float:
    """exp of the mutual information of picture and class, 1 to the number of classes.

    Salimans et al. 2016, here for any classifier. It never looks at a real picture.
    """
    log_p = logits.double().log_softmax(1)
    log_marginal = log_p.logsumexp(0) - log(len(log_p))
    return exp(float((log_p.exp() * (log_p - log_marginal)).sum(1).mean()))


def cubic_kernel(a: Rows, b: Rows) -> Tensor:
    """(x.y / d + 1)^3, which knows the means of all products of up to three coordinates."""
    return (a @ b.T).div_(a.shape[1]).add_(1).pow_(3)


def gaussian_kernel(width: float) -> Kernel:
    """exp(-|x - y|^2 / 2 width^2), which no difference of two laws escapes."""
    if width <= 0:
        raise ValueError(f"the width of a kernel must be above 0, got {width}")

    def kernel(a: Rows, b: Rows) -> Tensor:
        return (-torch.cdist(a, b).square() / (2 * width**2)).exp()

    return kernel


def kernel_distance(a: Rows, b: Rows, *, kernel: Kernel = cubic_kernel) -> Estimate:
    """Unbiased MMD^2 (Gretton et al. 2012, lemma 6), with KID's kernel (Binkowski et al. 2018).

    Unbiased means that equal laws give 0 on average, so small values can be negative. The standard
    error is that of a U-statistic (Hoeffding 1948), and holds at 0 too.

    kernel   another one; with `gaussian_kernel` it is the distance of Jayasumana et al. 2024

    Raises ValueError unless a and b have equally many rows, two or more.
    """
    _same_width(a, b)
    n = len(a)
    if n != len(b) or n < 2:
        raise ValueError(f"kernel_distance needs equally many rows, got {n} and {len(b)}")
    a, b = a.double(), b.double()
    row_means, within, cross, squares = [], 0.0, 0.0, 0.0
    for rows in torch.arange(n).split(CHUNK):
        own_a, own_b = kernel(a[rows], a), kernel(b[rows], b)
        mixed, mixed_back = kernel(a[rows], b), kernel(b[rows], a)
        cross += float(mixed.sum())
        diagonal = (torch.arange(len(rows)), rows)
        within += float(own_a.sum() + own_b.sum() - own_a[diagonal].sum() - own_b[diagonal].sum())
        # For the pairs (a_i, b_i) and (a_j, b_j) with i and j apart:
        h = own_a.add_(own_b).sub_(mixed).sub_(mixed_back)
        h[diagonal] = 0
        squares += float(h.flatten().dot(h.flatten()))
        row_means.append(h.sum(1) / (n - 1))
    value = within / (n * (n - 1)) - 2 * cross / n**2
    means = torch.cat(row_means)
    total = squares / (n * (n - 1)) - float(means.mean()) ** 2  # variance of h
    between = max(float(means.var()) - total / (n - 1), 0.0)  # variance of its mean given one pair
    variance = (4 * (n - 2) * between + 2 * total) / (n * (n - 1))
    return Estimate(value, sqrt(max(variance, 0.0)))


def sliced_wasserstein(
    a: Rows, b: Rows, *, power: int = 2, projections: int = 256, seed: int = 0
) -> float:
    """Wasserstein distance of order `power`, averaged over random directions (Bonneel et al. 2015).

    On each line the distance is exact, for unequal numbers of rows too. The directions depend on
    `seed` alone.
    """
    _same_width(a, b)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(a.shape[1], projections, generator=generator, dtype=torch.float64).to(
        a.device
    )
    directions /= directions.norm(dim=0)
    a, b = (a.double() @ directions).sort(0).values, (b.double() @ directions).sort(0).values
    # Both quantile functions are stairs: between neighbouring steps their difference is constant.
    steps = torch.cat(
        [torch.linspace(0, 1, len(c) + 1, dtype=torch.float64, device=c.device) for c in (a, b)]
    )
    steps = steps.sort().values
    width, middle = steps.diff(), (steps[1:] + steps[:-1]) / 2
    at_a, at_b = ((middle * len(c)).long().clamp(max=len(c) - 1) for c in (a, b))
    cost = (width[:, None] * (a[at_a] - b[at_b]).abs() ** power).sum(0)
    return float(cost.mean() ** (1 / power))


def energy_distance(a: Rows, b: Rows, *, unbiased: bool = True) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|, which is 0 only for equal laws (Szekely & Rizzo 2004).

    unbiased   leave out the distance of each row from itself, so that equal laws give 0 on average
               (and small values can be negative). Without it the square of scipy's
    """
    _same_width(a, b)
    less = 1 if unbiased else 0
    if min(len(a), len(b)) < 1 + less:
        raise ValueError(f"energy_distance needs {1 + less} rows or more, got {len(a)}, {len(b)}")
    own_a = _sum_of_distances(a, a) / (len(a) * (len(a) - less))
    own_b = _sum_of_distances(b, b) / (len(b) * (len(b) - less))
    return 2 * _sum_of_distances(a, b) / (len(a) * len(b)) - own_a - own_b


def precision_recall(samples: Rows, real: Rows, *, k: int = 3) -> tuple[float, float]:
    """Share of samples that look real, and share of the real that samples reach, each in 0..1.

    A row lies in a set's manifold if it is as near to some row of the set as that row's own k-th
    neighbour (Kynkäänniemi et al. 2019). Real against real scores well below 1.

    Raises ValueError unless there are more than k rows in each set.
    """
    _enough_rows(samples, real, k)
    return _share_inside(samples, real, k), _share_inside(real, samples, k)


def density_coverage(samples: Rows, real: Rows, *, k: int = 5) -> tuple[float, float]:
    """How many real balls hold a sample, over k; and the share of real balls that hold any.

    A ball reaches from a real row to its k-th real neighbour (Naeem et al. 2020). Equal laws give
    a density of 1 and a coverage of `expected_coverage`. Density can exceed 1.

    Raises ValueError unless there are more than k rows in each set.
    """
    _enough_rows(samples, real, k)
    radius = _radius(real, k)
    held = torch.zeros(len(real), device=real.device)  # samples in each ball
    for distances in _distances(samples, real):
        held += (distances <= radius).sum(0)
    return float(held.sum()) / (k * len(samples)), float((held > 0).double().mean())


def expected_coverage(samples: int, real: int, *, k: int = 5) -> float:
    """Mean coverage of equal laws, whichever they are: 1 - 2^-k for many rows, equally many.

    A ball is empty if the k nearest of all other rows are real, and all orders of them are
    equally likely (Naeem et al. 2020).
    """
    empty = prod((real - 1 - j) / (real - 1 + samples - j) for j in range(k))
    return 1 - empty


def _share_inside(rows: Rows, manifold: Rows, k: int) -> float:
    radius = _radius(manifold, k)
    inside = torch.cat([(d <= radius).any(1) for d in _distances(rows, manifold)])
    return float(inside.double().mean())


def _radius(rows: Rows, k: int) -> Tensor:
    """Distance of each row to its k-th neighbour."""
    # The smallest distance is to the row itself, hence k + 1.
    return torch.cat([d.topk(k + 1, largest=False).values[:, k] for d in _distances(rows, rows)])


def _sum_of_distances(a: Rows, b: Rows) -> float:
    return sum(float(distances.sum()) for distances in _distances(a, b))


def _distances(a: Rows, b: Rows) -> Iterator[Tensor]:
    """Euclidean distances from a few rows of a at a time to all of b."""
    # Through inner products, |a|^2 + |b|^2 - 2 a.b, which is much faster; centred, it loses little.
    centre = b.double().mean(0)
    a, b = a.double() - centre, b.double() - centre
    for part in a.split(CHUNK):
        yield torch.cdist(part, b, compute_mode="use_mm_for_euclid_dist")


def _moments(x: Rows) -> tuple[Vector, Matrix]:
    x = x.double()
    return x.mean(0), torch.atleast_2d(x.T.cov())


def _factor(covariance: Matrix) -> Matrix:
    """R with R R' = covariance; what rounding made negative counts as 0."""
    values, vectors = torch.linalg.eigh(covariance.double())
    return vectors * values.clamp(min=0).sqrt()


def _enough_rows(samples: Tensor, real: Tensor, k: int) -> None:
    _same_width(samples, real)
    if min(len(samples), len(real)) <= k:
        raise ValueError(f"k = {k} neighbours need more rows than {len(samples)} and {len(real)}")


def _same_width(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or 0 in a.shape or 0 in b.shape:
        raise ValueError(
            f"need two tables of rows of one length, got {list(a.shape)} and {list(b.shape)}. "
            "Flatten pictures, or take `course_lib.features.features` of them"
        )
