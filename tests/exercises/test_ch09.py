"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

from math import ceil

import torch

from course_lib.exercises.ch09 import (
    check_frechet,
    check_mmd2,
    check_samples_for,
    check_share_of_copies,
)


def apart(m, n):
    return (m - n).square().sum()


def overlap(a, b):
    return torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()


def frechet(m, a, n, b):
    return apart(m, n) + (a + b).trace() - 2 * overlap(a, b)


def root(a):
    values, vectors = torch.linalg.eigh(a)
    return (vectors * values.sqrt()) @ vectors.T


def off(k):
    return k.sum() - k.trace()


def own(k):
    return off(k) / (len(k) * (len(k) - 1))


def mmd2(k_aa, k_ab, k_bb):
    return own(k_aa) + own(k_bb) - 2 * k_ab.mean()


def ratio(rows, train):
    nearest = torch.cdist(rows, train).topk(2, largest=False).values
    return nearest[:, 0] / nearest[:, 1]


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
    assert check_mmd2(mmd2)
    assert check_share_of_copies(lambda s, t, u: odd(s, t, u).double().mean())
    assert check_share_of_copies(lambda s, t, u: float(odd(s, t, u).sum()) / len(s))
    assert check_samples_for(lambda v, allowed: rows(sum(parts(v)), allowed))


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
    (check_frechet, lambda m, a, n, b: frechet(m, a, n, a), "is wrong"),
    (
        check_frechet,
        lambda m, a, n, b: frechet(m, a, n, b) + (float("nan") if a.det() == 0 else 0),
        "clamp it at 0",
    ),
    (check_mmd2, lambda a, c, b: a.mean() + b.mean() - 2 * c.mean(), "compared with itself"),
    (
        check_mmd2,
        lambda a, c, b: off(a) / len(a) ** 2 + off(b) / len(b) ** 2 - 2 * c.mean(),
        "pairs left",
    ),
    (
        check_mmd2,
        lambda a, c, b: own(a) + own(b) - 2 * (c.sum() - c.diagonal().sum()) / c.numel(),
        "a_i and b_i",
    ),
    (check_mmd2, lambda a, c, b: own(a) + own(b) - c.mean(), "counts twice"),
    (check_mmd2, lambda a, c, b: own(a) + own(b) + 2 * c.mean(), "is subtracted"),
    (check_mmd2, lambda a, c, b: mmd2(a, c, b).abs().sqrt(), "you took a root"),
    (check_mmd2, lambda a, c, b: mmd2(a, c, b).clamp(min=0), "cut off negative"),
    (check_mmd2, lambda a, c, b: mmd2(a, c, b).abs(), "do not make it positive"),
    (check_mmd2, lambda a, c, b: a, "one number"),
    (check_mmd2, lambda a, c, b: c.mean(), "is wrong"),
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
    (check_share_of_copies, lambda s, t, u: 0.5, "the share is"),
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
    (check_samples_for, lambda v, e: 1_000, "it takes"),
]
