"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

from math import ceil

import torch

from course_lib.exercises.ch09 import (
    check_frechet,
    check_mended,
    check_samples_for,
    check_share_of_copies,
)


def apart(m, n):
    return (m - n).square().sum()


def overlap(a, b):
    return torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()


def values(matrix):
    return torch.linalg.eigvals(matrix).real


def frechet(m, a, n, b):
    return apart(m, n) + (a + b).trace() - 2 * overlap(a, b)


def root(a):
    values, vectors = torch.linalg.eigh(a)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def own(mean, n, on_diagonal=None):
    """The mean of an n x n kernel matrix without its diagonal."""
    return (n**2 * mean - (on_diagonal or n)) / (n * (n - 1))


def mended(mean_aa, mean_ab, mean_bb, n, m):
    return own(mean_aa, n) + own(mean_bb, m) - 2 * mean_ab


def ratio(rows, train):
    nearest = torch.cdist(rows, train).topk(2, largest=False).values
    return nearest[:, 0] / nearest[:, 1]


def later(rows, train):
    nearest = torch.cdist(rows, train).topk(3, largest=False).values
    return nearest[:, 1] / nearest[:, 2]


def third(rows, train):
    nearest = torch.cdist(rows, train).topk(3, largest=False).values
    return nearest[:, 0] / nearest[:, 2]


def gap(rows, train):
    nearest = torch.cdist(rows, train).topk(2, largest=False).values
    return nearest[:, 1] - nearest[:, 0]


def near(rows, train):
    return torch.cdist(rows, train).min(1).values


def odd(samples, train, unseen):
    return ratio(samples, train) < ratio(unseen, train).quantile(0.01)


def parts(values):
    pairs = values[:, None] * values / (values[:, None] + values)
    return values.sum(), pairs.sum() / 2, pairs.trace() / 2


def rows(cost, allowed):
    return ceil(2 * float(cost) / allowed)


def test_right_answers_pass() -> None:
    assert check_frechet(frechet)
    assert check_frechet(
        lambda m, a, n, b: (
            apart(m, n)
            + (a + b).trace()
            - 2 * torch.linalg.eigvalsh(root(a) @ b @ root(a)).clamp(min=0).sqrt().sum()
        )
    )
    assert check_frechet(lambda m, a, n, b: frechet(*(x.float() for x in (m, a, n, b)))[None])
    assert check_mended(mended)
    assert check_mended(lambda *given: torch.tensor([mended(*given)]))
    assert check_share_of_copies(lambda s, t, u: odd(s, t, u).double().mean())
    assert check_share_of_copies(lambda s, t, u: float(odd(s, t, u).sum()) / len(s))
    assert check_samples_for(lambda v, allowed: rows(sum(parts(v)), allowed))
    assert check_samples_for(lambda v, allowed: (2 * sum(parts(v)) / allowed).ceil().int())


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_frechet, lambda m, a, n, b: frechet(m, a, n, b) ** 0.5, "you took the root"),
    (
        check_frechet,
        lambda m, a, n, b: apart(m, n) + (a + b - 2 * (a @ b).sqrt()).trace(),
        "root of each entry",
    ),
    (
        check_frechet,
        lambda m, a, n, b: apart(m, n) + (a + b - 2 * root(a) @ root(b)).trace(),
        "product of the roots",
    ),
    (
        check_frechet,
        lambda m, a, n, b: (
            apart(m, n)
            + (torch.linalg.eigvalsh(a).sqrt() - torch.linalg.eigvalsh(b).sqrt()).square().sum()
        ),
        "share their axes",
    ),
    (check_frechet, lambda m, a, n, b: frechet(m, a, n, b) + overlap(a, b), "counts twice"),
    (
        check_frechet,
        lambda m, a, n, b: apart(m, n) + (a + b - 2 * a @ b).trace(),
        "the root is missing",
    ),
    (check_frechet, lambda m, a, n, b: frechet(m, a, m, b), "the means are missing"),
    (
        check_frechet,
        lambda m, a, n, b: frechet(m, a, m, b) + (m - n).norm(),
        "enters squared",
    ),
    (check_frechet, lambda m, a, n, b: a + b, "one number"),
    (check_frechet, lambda m, a, n, b: frechet(m, a, n, a), "the number is 14.0682, not 13"),
    (
        check_frechet,
        lambda m, a, n, b: apart(m, n) + (a + b).trace() - 2 * values(a @ b).sqrt().sum(),
        "clamp it at 0",
    ),
    (
        check_frechet,
        lambda m, a, n, b: (
            apart(m, n) + (a + b).trace() - 2 * values(a @ b)[values(a @ b) > 1e-2].sqrt().sum()
        ),
        "for safety",
    ),
    (
        check_frechet,
        lambda m, a, n, b: frechet(m, a, n, b) + 0j,
        "complex number",
    ),
    (
        check_frechet,
        lambda m, a, n, b: apart(m, n) + (a + b).trace() - 2 * (a @ b).trace().sqrt(),
        "root of the trace",
    ),
    (
        check_frechet,
        lambda m, a, n, b: (
            apart(m, n) + (a + b).trace() - 2 * torch.linalg.svdvals(a @ b).sqrt().sum()
        ),
        "singular values",
    ),
    (
        check_frechet,
        lambda m, a, n, b: (
            apart(m, n)
            + (a + b).trace()
            - 2 * torch.linalg.eigvalsh(a @ b).clamp(min=0).sqrt().sum()
        ),
        "one half of a matrix",
    ),
    (check_frechet, lambda m, a, n, b: frechet(m, a, n, b) + 4 * overlap(a, b), "is subtracted"),
    (
        check_frechet,
        lambda m, a, n, b: frechet(m, a, m, b) + (m - n).square().mean(),
        "not averaged",
    ),
    (check_mended, lambda a, x, b, n, m: a + b - 2 * x, "diagonals and all"),
    (check_mended, lambda a, x, b, n, m: a - 1 / n + b - 1 / m - 2 * x, "you still divide by n²"),
    (
        check_mended,
        lambda a, x, b, n, m: a * n / (n - 1) + b * m / (m - 1) - 2 * x,
        "take them out first",
    ),
    (
        check_mended,
        lambda a, x, b, n, m: own(a, n, 1) + own(b, m, 1) - 2 * x,
        "a diagonal has n entries",
    ),
    (
        check_mended,
        lambda a, x, b, n, m: own(a, n) + own(b, m) - 2 * own(x, m),
        "you mend the mixed mean",
    ),
    (
        check_mended,
        lambda a, x, b, n, m: own(a, n) + own(b, n) - 2 * x,
        "one size for both",
    ),
    (check_mended, lambda a, x, b, n, m: own(a, m) + own(b, n) - 2 * x, "swapped"),
    (check_mended, lambda a, x, b, n, m: own(a, n) + b - 2 * x, "with themselves"),
    (
        check_mended,
        lambda a, x, b, n, m: a + b - 2 * x - (1 - x) * (1 / n + 1 / m),
        "equal laws would have",
    ),
    (check_mended, lambda *given: abs(mended(*given)), "leave it so"),
    (check_mended, lambda *given: max(0.0, mended(*given)), "leave it so"),
    (check_mended, lambda *given: mended(*given) ** 2, "for 7 samples against 5 the number is"),
    (check_mended, lambda a, x, b, n, m: torch.zeros(3), "one number"),
    (check_share_of_copies, odd, "one for each sample"),
    (check_share_of_copies, lambda s, t, u: odd(s, t, u).sum(), "not a share"),
    (check_share_of_copies, lambda s, t, u: 1 - odd(s, t, u).double().mean(), "no copies"),
    (
        check_share_of_copies,
        lambda s, t, u: (near(s, t) < near(u, t).quantile(0.01)).double().mean(),
        "soft average",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (ratio(s, t) < ratio(s, t).quantile(0.01)).double().mean(),
        "comes from the samples",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (ratio(s, t) < ratio(u, t).quantile(0.99)).double().mean(),
        "only 1 %",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (ratio(s, u) < ratio(u, t).quantile(0.01)).double().mean(),
        "come from `train`",
    ),
    (check_share_of_copies, lambda s, t, u: 0.5, "too many are flagged"),
    (check_share_of_copies, lambda s, t, u: (ratio(s, t) < 0.5).double().mean(), "no fixed one"),
    (
        check_share_of_copies,
        lambda s, t, u: (ratio(s, t) < ratio(u, t).quantile(0.05)).double().mean(),
        "too many are flagged",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (ratio(s, t) < ratio(u, t).min()).double().mean(),
        "too few are flagged",
    ),
    (check_share_of_copies, lambda s, t, u: 100 * odd(s, t, u).double().mean(), "per cent"),
    (
        check_share_of_copies,
        lambda s, t, u: (1 / ratio(s, t) < (1 / ratio(u, t)).quantile(0.01)).double().mean(),
        "d_2 / d_1",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (ratio(s, t) < later(u, u).quantile(0.01)).double().mean(),
        "with each other",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (later(s, t) < later(u, t).quantile(0.01)).double().mean(),
        "leave out the nearest",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (third(s, t) < third(u, t).quantile(0.01)).double().mean(),
        "the share is",
    ),
    (
        check_share_of_copies,
        lambda s, t, u: (gap(s, t) > gap(u, t).quantile(0.99)).double().mean(),
        "ratios of `unseen`",
    ),
    (check_samples_for, lambda v, e: rows(sum(parts(v)) / 2, e), "one side only"),
    (check_samples_for, lambda v, e: rows(sum(parts(v)[1:]), e), "the means are missing"),
    (check_samples_for, lambda v, e: rows(parts(v)[0], e), "covariances are missing"),
    (check_samples_for, lambda v, e: rows(sum(parts(v)[:2]), e), "count double"),
    (
        check_samples_for,
        lambda v, e: rows(parts(v)[0] + 2 * sum(parts(v)[1:]), e),
        "a factor 1/2",
    ),
    (check_samples_for, lambda v, e: rows(sum(parts(v)), e) - 1, "round up"),
    (check_samples_for, lambda v, e: 2 * float(sum(parts(v))) / e, "round up"),
    (check_samples_for, lambda v, e: round(2 * float(sum(parts(v))) / e), "round up"),
    (check_samples_for, lambda v, e: int(2 * float(sum(parts(v))) / e) + 1, "one row more"),
    (check_samples_for, lambda v, e: float(rows(sum(parts(v)), e)), "return an integer"),
    (check_samples_for, lambda v, e: rows(sum(parts(v)), 0.5), "you put 0.5 in"),
    (
        check_samples_for,
        lambda v, e: rows(len(v) + len(v) * (len(v) + 1) / 4, e),
        "eigenvalues that are all 1",
    ),
    (
        check_samples_for,
        lambda v, e: rows(parts(v)[0] + (parts(v)[1] + parts(v)[2]) / 2, e),
        "each pair counts twice",
    ),
    (
        check_samples_for,
        lambda v, e: rows(parts(v)[0] + 2 * parts(v)[2], e),
        "only the terms with i = j",
    ),
    (check_samples_for, lambda v, e: 1_000, "it takes"),
]
