"""The exercises of chapter 9: Fréchet's formula, a mended distance, a cheat, enough samples."""

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

    answer = _one_number(frechet(mean_a, a, mean_b, b))
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
    reject(
        equal(answer, apart + traces - 2 * (a @ b).trace().sqrt()),
        "this is the root of the trace. Asked for is the trace of the root: first each eigenvalue's"
        " root, then the sum.",
    )
    reject(
        equal(answer, apart + traces - 2 * torch.linalg.svdvals(a @ b).sqrt().sum()),
        "these are the singular values of A B. It is not symmetric, so its eigenvalues are others.",
    )
    reject(
        equal(answer, apart + traces - 2 * torch.linalg.eigvalsh(a @ b).clamp(min=0).sqrt().sum()),
        "`eigvalsh` reads only one half of a matrix, and A B is not symmetric. Use `eigvals`, or"
        " `eigvalsh` of A^(1/2) B A^(1/2).",
    )
    reject(equal(answer, apart + traces + 2 * overlap), "the overlap is subtracted.")
    reject(equal(answer, traces - 2 * overlap), "the means are missing.")
    reject(
        equal(answer, apart.sqrt() + traces - 2 * overlap),
        "the distance of the means enters squared.",
    )
    reject(
        equal(answer, apart / 2 + traces - 2 * overlap),
        "the squares of the means' difference are added up, not averaged.",
    )
    require(equal(answer, right), f"for two Gaussians whose axes differ {_not(right, answer)}")
    for _ in range(5):  # eight numbers with only two directions: six eigenvalues are 0
        a, b = (x.T @ x for x in torch.randn(2, 2, 8, dtype=torch.float64))
        mean = a.mean(0)
        answer = _one_number(frechet(mean, a, mean, b))
        right = gaussian_frechet_distance(mean, a, mean, b)
        require(
            equal(answer, right, atol=5e-2),
            f"with eigenvalues 0 {_not(right, answer)} Rounding can make an eigenvalue of A B"
            " slightly negative, and its root nan: clamp it at 0 before the root.",
        )
    a, b = 1e-4 * torch.eye(2).double(), 4e-4 * torch.eye(2).double()
    answer = _one_number(frechet(mean_a, a, mean_a, b))
    require(
        equal(answer, 2e-4, atol=2e-6),
        f"for variances of 0.0001 and 0.0004 {_not(2e-4, answer)} Have you put in a small number"
        " for safety that is too large?",
    )


def _one_number(answer: Any) -> float:
    """The answer as a float, if it is one real number of whatever type."""
    answer = torch.as_tensor(answer)
    require(answer.numel() == 1, "return one number, the distance.")
    reject(
        answer.is_complex(),
        "this is a complex number. `eigvals` always gives complex ones; those of A B are real up to"
        " rounding, so take their `.real`.",
    )
    return float(answer)


def _not(right: float, answer: float) -> str:
    return f"the number is {right:.6g}, not {answer:.6g}."


def _root(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.sqrt()) @ vectors.T


@exercise("an estimate mended after the fact, negative where it should be")
def check_mended(mended: Callable[..., Any]) -> None:
    """Exercise 2: the unbiased squared MMD from the means of three whole kernel matrices."""
    a, b = torch.randn(7, 2).double(), torch.randn(5, 2).double() + 2
    pairs = ((a, a), (a, b), (b, b))
    aa, ab, bb = (float((-(torch.cdist(x, y) ** 2)).exp().mean()) for x, y in pairs)
    n, m = 7, 5
    within_a, within_b = (n * aa - 1) / (n - 1), (m * bb - 1) / (m - 1)
    right = within_a + within_b - 2 * ab
    answer = _one_number(mended(aa, ab, bb, n, m))
    reject(equal(answer, aa + bb - 2 * ab), "that is the paper's number, diagonals and all.")
    reject(
        equal(answer, aa - 1 / n + bb - 1 / m - 2 * ab),
        "the diagonals are out of the sums, but you still divide by n². Only n (n - 1) pairs are"
        " left.",
    )
    reject(
        equal(answer, n * aa / (n - 1) + m * bb / (m - 1) - 2 * ab),
        "you divide by n (n - 1), and the diagonals are still in the sums: take them out first.",
    )
    reject(
        equal(answer, (n**2 * aa - 1) / n / (n - 1) + (m**2 * bb - 1) / m / (m - 1) - 2 * ab),
        "a diagonal has n entries, each of them k(x, x) = 1: take n out of the sum.",
    )
    reject(
        equal(answer, within_a + within_b - 2 * (m * ab - 1) / (m - 1))
        or equal(answer, within_a + within_b - 2 * (n * ab - 1) / (n - 1))
        or equal(answer, within_a + within_b - 2 * (n * m * ab - m) / (n * m - m)),
        "you mend the mixed mean too. No entry of that matrix compares a point with itself: it is"
        " right as it stands.",
    )
    reject(
        equal(answer, (n * aa - 1) / (n - 1) + (n * bb - 1) / (n - 1) - 2 * ab)
        or equal(answer, (m * aa - 1) / (m - 1) + (m * bb - 1) / (m - 1) - 2 * ab),
        "you use one size for both sets. Each has its own.",
    )
    reject(
        equal(answer, (m * aa - 1) / (m - 1) + (n * bb - 1) / (n - 1) - 2 * ab),
        "n and m are swapped: k_aa is n x n.",
    )
    reject(
        equal(answer, within_a + bb - 2 * ab) or equal(answer, aa + within_b - 2 * ab),
        "one of the two sets still compares its points with themselves.",
    )
    reject(
        equal(answer, aa + bb - 2 * ab - 1 / n - 1 / m)
        or equal(answer, aa + bb - 2 * ab - (1 - ab) * (1 / n + 1 / m)),
        "you take off the bias that equal laws would have on average. The five numbers hold more:"
        " this very sample's diagonals.",
    )
    require(
        equal(answer, right),
        f"for 7 samples against 5 {_not(right, answer)} Take the sum of each matrix from its mean,"
        " its diagonal from the sum, and divide by the pairs that are left.",
    )
    alike = _one_number(mended(0.4, 0.4, 0.4, 3, 3))
    reject(
        equal(alike, 0.6) or equal(alike, 0.0),
        "where it is negative, leave it so: cut off or turned, the mean over repeated draws is"
        " above 0 again.",
    )
    require(equal(alike, -0.6), f"for three means of 0.4 and 3 rows each {_not(-0.6, alike)}")


@exercise("a submission that repeats its training set no longer wins")
def check_share_of_copies(share_of_copies: Callable[..., Any]) -> None:
    """Exercise 3: how many samples are oddly near to one training row and to no second."""
    for numbers in (12, 3):  # a usual ratio is small in few dimensions, and near 1 in many
        samples, train, unseen = _hand_in(numbers)
        near, usual = _two_nearest(samples, train), _two_nearest(unseen, train)
        ratio, usual_ratio = near[:, 0] / near[:, 1], usual[:, 0] / usual[:, 1]
        # None so close to the threshold that it matters how a quantile is interpolated.
        clear = (ratio < usual_ratio.quantile(0.008)) | (ratio > usual_ratio.quantile(0.012))
        samples, near, ratio = samples[clear], near[clear], ratio[clear]
        flagged = ratio < usual_ratio.quantile(0.01)
        right = float(flagged.double().mean())

        answer = torch.as_tensor(share_of_copies(samples, train, unseen)).double()
        require(
            answer.numel() == 1,
            "return one number, the share; you return one for each sample. Take the mean.",
        )
        found = float(answer)
        reject(equal(found, right * len(samples), 0.5), "this is a number of samples, not a share.")
        reject(equal(found, 100 * right, 0.1), "this is in per cent. A share lies between 0 and 1.")
        reject(equal(found, 1 - right, 0.004), "this is the share of samples that are no copies.")
        back, twins = _two_nearest(samples, unseen), _nearest(unseen, unseen, 3)[:, 1:]
        third, usual_third = _nearest(samples, train, 3), _nearest(unseen, train, 3)
        for wrong, why in (
            (
                near[:, 0] < usual[:, 0].quantile(0.01),
                "you compare the distances to the nearest row. A soft average of many rows is near"
                " to all of them, and no copy. Divide by the distance to the second nearest.",
            ),
            (
                ratio < ratio.quantile(0.01),
                "your threshold comes from the samples, so 1 % are always copies, even if all are."
                " Take it from `unseen`.",
            ),
            (
                ratio < usual_ratio.quantile(0.99),
                "nearly all unseen rows would count as copies, too. Odd is what only 1 % of them"
                " reach.",
            ),
            (
                1 / ratio < (1 / usual_ratio).quantile(0.01),
                "your ratio is d_2 / d_1, which is large for a copy. Below stands what has two"
                " neighbours equally near.",
            ),
            (
                back[:, 0] / back[:, 1] < usual_ratio.quantile(0.01),
                "you look for the nearest rows in `unseen`. Copies come from `train`.",
            ),
            (
                ratio < (twins[:, 0] / twins[:, 1]).quantile(0.01),
                "you compare the unseen rows with each other. The threshold is what they show"
                " against `train`, as the samples do.",
            ),
            (
                third[:, 1] / third[:, 2] < (usual_third[:, 1] / usual_third[:, 2]).quantile(0.01),
                "you leave out the nearest row. No sample stands in `train` itself, so the nearest"
                " is d_1.",
            ),
        ):
            share = float(wrong.double().mean())
            reject(equal(found, share) and not equal(found, right), why)
        many = "many" if found > right else "few"
        require(
            equal(found, right),
            f"of {len(samples)} rows of {numbers} numbers the share is {right:.3f}, not"
            f" {found:.3f}: too {many} are flagged. The threshold is the 1 % quantile of the ratios"
            " of `unseen`; no fixed one fits all data.",
        )


def _hand_in(numbers: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples, training rows and unseen rows; a few of all stand there twice, or almost."""

    def again(rows: torch.Tensor) -> torch.Tensor:
        return rows + 0.02 * torch.randn(rows.shape)

    train, unseen = 3 * torch.randn(80, numbers), 3 * torch.randn(1_000, numbers)
    train, unseen = torch.cat([train, again(train[:10])]), torch.cat([unseen, again(unseen[:50])])
    noise = torch.logspace(-2.5, 0.3, 60)[:, None] * torch.randn(60, numbers)
    neighbour = train[torch.cdist(train, train).topk(2, largest=False).indices[:, 1]]
    soft = (train + neighbour) / 2 + 1e-3 * torch.randn(train.shape)  # near to two: no copies
    new = torch.cat([3 * torch.randn(200, numbers), again(unseen[-25:])])
    return torch.cat([new, train[10:70] + noise, again(train[:10]), soft]), train, unseen


def _two_nearest(rows: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    return _nearest(rows, train, 2)


def _nearest(rows: torch.Tensor, train: torch.Tensor, k: int) -> torch.Tensor:
    return torch.cdist(rows, train).topk(k, largest=False).values


@exercise("now your gate asks for enough samples, and for no more")
def check_samples_for(samples_for: Callable[..., Any]) -> None:
    """Exercise 4: the fewest rows on each side that bring the expected floor down to a bound."""
    cases = (([1.0] * 4, 0.0503), ([5.0, 1.0, 0.2], 0.03071), ([1.0] * 4, 0.5625))
    for values, allowed in cases:
        eigenvalues = torch.tensor(values, dtype=torch.float64)
        pairs = eigenvalues[:, None] * eigenvalues / (eigenvalues[:, None] + eigenvalues)
        spread, mean = (pairs.sum() + pairs.trace()) / 2, eigenvalues.sum()
        right = _enough(mean + spread, allowed)

        answer = samples_for(eigenvalues, allowed)
        d = len(values)
        for cost, why in (
            (
                (mean + spread) / 2,
                "you count one side only. The samples and the real pictures are both drawn, so the"
                " law has 1/N twice.",
            ),
            (
                (mean + spread) * allowed / 0.5,
                "you put 0.5 in. The bound is the argument `allowed`.",
            ),
            (spread, "the means are missing: they differ by chance as well, by tr(A) (1/N + 1/N)."),
            (mean, "the covariances are missing: they are most of the floor."),
            (
                mean + pairs.sum() / 2,
                "a variance fluctuates twice as much as a covariance: the terms with i = j count"
                " double.",
            ),
            (
                mean + pairs.triu().sum() / 2,
                "the sum runs over all i and j, so each pair counts twice: (i, j) and (j, i).",
            ),
            (
                mean + pairs.trace(),
                "the sum runs over all i and j. You have only the terms with i = j.",
            ),
            (mean + 2 * spread, "the terms are l_i l_j / 2 (l_i + l_j): a factor 1/2 is missing."),
            (
                torch.tensor(d + d * (d + 1) / 4),
                "this is the law for eigenvalues that are all 1. Yours differ.",
            ),
        ):
            other = _enough(cost, allowed)
            reject(other != right and equal(float(answer), float(other), 1), why)
        exact = 2 * float(mean + spread) / allowed
        reject(
            equal(float(answer), exact, 0.999) and float(answer) < right,
            "round up: with one row less the floor is still above what is allowed.",
        )
        reject(
            float(answer) == right + 1,
            "this is one row more than it takes: `allowed` itself is allowed. `math.ceil` leaves a"
            " whole number as it is.",
        )
        reject(
            float(answer) == right and not _whole(answer),
            f"return an integer: {right}, not {answer}. `int(...)` of a number rounded up is one.",
        )
        require(
            equal(float(answer), float(right)),
            f"for eigenvalues {values} and {allowed} allowed it takes {right} rows, not {answer}.",
        )


def _whole(answer: Any) -> bool:
    """Whether a number is of an integer type, not only of an integer value."""
    return not torch.as_tensor(answer).is_floating_point()


def _enough(cost: torch.Tensor, allowed: float) -> int:
    return ceil(2 * float(cost) / allowed)
