"""The exercises of chapter 09: Fréchet's formula, an unbiased distance, a cheat, enough samples."""

from collections.abc import Callable
from math import ceil
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, reject, require
from course_lib.metrics import gaussian_frechet_distance


@exercise("the Fréchet distance of two Gaussians, whose axes need not agree")
def check_frechet(frechet: Callable[..., Any]) -> None:
    """Exercise 1: |m|^2 + tr(A + B - 2 (A B)^(1/2)) with nothing but torch.linalg."""
    a = torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    b = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    mean_a, mean_b = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64)
    apart, traces = (mean_a - mean_b).square().sum(), (a + b).trace()
    overlap = torch.linalg.eigvals(a @ b).real.sqrt().sum()
    right = gaussian_frechet_distance(mean_a, a, mean_b, b)

    answer = frechet(mean_a, a, mean_b, b)
    require(torch.as_tensor(answer).numel() == 1, "the distance is one number.")
    reject(
        equal(answer, right**0.5),
        "you took the root. It is usual to report the square, without a root; so do we.",
    )
    reject(
        equal(answer, apart + traces - 2 * (a @ b).abs().sqrt().trace())
        or equal(answer, apart + traces - 2 * (a @ b).clamp(min=0).sqrt().trace()),
        "`.sqrt()` takes the root of each entry. The root of a matrix M is R with R R = M; its"
        " trace is the sum of the roots of M's eigenvalues.",
    )
    roots = [_root(matrix) for matrix in (a, b)]
    reject(
        equal(answer, apart + traces - 2 * (roots[0] @ roots[1]).trace()),
        "the root of a product is not the product of the roots, unless A and B share their axes.",
    )
    sorted_roots = [torch.linalg.eigvalsh(matrix).sqrt() for matrix in (a, b)]
    reject(
        equal(answer, apart + (sorted_roots[0] - sorted_roots[1]).square().sum()),
        "you pair the eigenvalues of A with those of B. That is right only if they share their"
        " axes. Take the eigenvalues of the product A B.",
    )
    reject(
        equal(answer, apart + traces - overlap),
        "the overlap counts twice: tr(A + B - 2 (A B)^(1/2)).",
    )
    reject(
        equal(answer, apart + traces - 2 * (a @ b).trace()),
        "the root is missing: you subtract twice the trace of A B itself.",
    )
    reject(equal(answer, traces - 2 * overlap), "the means are missing.")
    reject(
        equal(answer, apart.sqrt() + traces - 2 * overlap),
        "the distance of the means enters squared.",
    )
    require(equal(answer, right), "for two Gaussians whose axes differ the number is wrong.")
    flat = torch.diag(torch.tensor([4.0, 0.0], dtype=torch.float64))
    thin = frechet(mean_a, flat, mean_a, flat)
    require(
        equal(thin, 0.0, atol=1e-6),
        "a covariance with an eigenvalue 0 gives nan or a wrong number: rounding can make an"
        " eigenvalue of A B slightly negative, so clamp it at 0 before the root.",
    )


def _root(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.sqrt()) @ vectors.T


@exercise("equal laws score 0 on average, whatever the kernel")
def check_mmd2(mmd2: Callable[..., Any]) -> None:
    """Exercise 2: the unbiased squared MMD from three kernel matrices."""
    a, b = torch.randn(7, 2).double(), torch.randn(5, 2).double() + 2
    k_aa, k_ab, k_bb = ((-(torch.cdist(x, y) ** 2)).exp() for x, y in ((a, a), (a, b), (b, b)))
    n, m = 7, 5
    own_a, own_b = k_aa.sum() - k_aa.trace(), k_bb.sum() - k_bb.trace()
    within = own_a / (n * (n - 1)) + own_b / (m * (m - 1))
    right = within - 2 * k_ab.mean()

    answer = mmd2(k_aa, k_ab, k_bb)
    require(torch.as_tensor(answer).numel() == 1, "the distance is one number.")
    reject(
        equal(answer, k_aa.mean() + k_bb.mean() - 2 * k_ab.mean()),
        "the diagonals are still in: each point is compared with itself, so even equal laws score"
        " above 0. Leave those n + m numbers out.",
    )
    reject(
        equal(answer, own_a / n**2 + own_b / m**2 - 2 * k_ab.mean()),
        "the diagonals are left out of the sums, but you still divide by n^2. There are n (n - 1)"
        " pairs left.",
    )
    square = k_ab[:m, :m]
    reject(
        equal(answer, within - 2 * (k_ab.sum() - square.trace()) / (n * m))
        or equal(answer, within - 2 * (k_ab.sum() - square.trace()) / (n * m - m)),
        "you also leave out the diagonal of k_ab. There i and i are different points: a_i and b_i"
        " are independent, so all n m pairs count.",
    )
    reject(equal(answer, within - k_ab.mean()), "the mixed term counts twice.")
    reject(equal(answer, within + 2 * k_ab.mean()), "the mixed term is subtracted.")
    reject(
        equal(answer, right.abs().sqrt()),
        "you took a root, of what may be negative. Report the square: only it is unbiased.",
    )
    require(equal(answer, right), "for 7 rows against 5 the number is wrong.")
    nothing = mmd2(torch.eye(3) + 0.1, torch.full((3, 3), 0.4), torch.eye(3) + 0.1)
    reject(equal(nothing, 0.6), "a negative value is right: do not make it positive.")
    reject(
        equal(nothing, 0.0),
        "you cut off negative values at 0. Then the mean over repeated draws is above 0 again.",
    )
    require(equal(nothing, -0.6), "this value should be 0.1 + 0.1 - 2 * 0.4.")


@exercise("a submission that repeats its training set no longer wins")
def check_share_of_copies(share_of_copies: Callable[..., Any]) -> None:
    """Exercise 3: how many samples are oddly near to one training row and to no second."""
    train, unseen = 3 * torch.randn(80, 6), 3 * torch.randn(1_000, 6)
    samples = torch.cat([3 * torch.randn(250, 6), train[:50] + 0.05 * torch.randn(50, 6)])
    samples = torch.cat([samples, 0.1 * torch.randn(100, 6)])  # near to many: blur, and no copies
    near, usual = (_two_nearest(rows, train) for rows in (samples, unseen))
    ratio, usual_ratio = near[:, 0] / near[:, 1], usual[:, 0] / usual[:, 1]
    right = (ratio < usual_ratio.quantile(0.01)).double().mean()

    answer = torch.as_tensor(share_of_copies(samples, train, unseen))
    require(
        answer.numel() == 1,
        "return one number, the share; you return one for each sample. Take the mean.",
    )
    reject(equal(answer, right * len(samples), 0.5), "this is a number of samples, not a share.")
    reject(equal(answer, 1 - right, 0.004), "this is the share of samples that are no copies.")
    alone = near[:, 0] < usual[:, 0].quantile(0.01)
    reject(
        equal(answer, alone.double().mean(), 0.002) and not equal(answer, right, 0.002),
        "you compare the distances to the nearest row. A soft average of many rows is near to all"
        " of them, and no copy. Divide by the distance to the second nearest.",
    )
    reject(
        equal(answer, (ratio < ratio.quantile(0.01)).double().mean(), 0.002),
        "your threshold comes from the samples, so 1 % are always copies, even if all are. Take it"
        " from `unseen`.",
    )
    reject(
        equal(answer, (ratio < usual_ratio.quantile(0.99)).double().mean(), 0.002),
        "nearly all unseen rows would count as copies, too. Odd is what only 1 % of them reach.",
    )
    back = _two_nearest(samples, unseen)
    reject(
        equal(answer, (back[:, 0] / back[:, 1] < usual_ratio.quantile(0.01)).double().mean(), 0.002)
        and not equal(answer, right, 0.002),
        "you look for the nearest rows in `unseen`. Copies come from `train`.",
    )
    require(equal(answer, right, 0.004), f"the share is {float(right):.3f} here.")


def _two_nearest(rows: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    return torch.cdist(rows, train).topk(2, largest=False).values


@exercise("now your gate asks for enough samples, and for no more")
def check_samples_for(samples_for: Callable[..., Any]) -> None:
    """Exercise 4: the fewest rows on each side that bring the expected floor down to a bound."""
    for values, allowed in (([1.0] * 4, 0.0503), ([5.0, 1.0, 0.2], 0.0307)):
        eigenvalues = torch.tensor(values, dtype=torch.float64)
        pairs = eigenvalues[:, None] * eigenvalues / (eigenvalues[:, None] + eigenvalues)
        spread, mean = (pairs.sum() + pairs.trace()) / 2, eigenvalues.sum()
        right = _enough(mean + spread, allowed)

        answer = samples_for(eigenvalues, allowed)
        for cost, why in (
            (
                (mean + spread) / 2,
                "you count one side only. The samples and the real pictures are both drawn, so the"
                " law has 1/N twice.",
            ),
            (spread, "the means are missing: they differ by chance as well, by tr(A) (1/N + 1/N)."),
            (mean, "the covariances are missing: they are most of the floor."),
            (
                mean + pairs.sum() / 2,
                "a variance fluctuates twice as much as a covariance: the terms with i = j count"
                " double.",
            ),
            (mean + 2 * spread, "the terms are l_i l_j / 2 (l_i + l_j): a factor 1/2 is missing."),
        ):
            reject(equal(float(answer), float(_enough(cost, allowed)), 1), why)
        reject(
            equal(float(answer), float(2 * (mean + spread) / allowed), 0.999)
            and (float(answer) != int(answer) or int(answer) == right - 1),
            "round up: with one row less the floor is still above what is allowed.",
        )
        require(
            int(answer) == right, f"for eigenvalues {values} it takes {right} rows, not {answer}."
        )


def _enough(cost: torch.Tensor, allowed: float) -> int:
    return ceil(2 * float(cost) / allowed)
