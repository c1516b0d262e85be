"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch
from torch.nn import functional as F

from course_lib.exercises.ch21 import check_apart, check_lift, check_recall, check_symmetric


def rows(scores):
    return F.cross_entropy(scores, torch.arange(len(scores)))


def cosines(u, v, dim=1):
    return F.normalize(u, dim=dim) @ F.normalize(v, dim=dim).T


def both(scores):
    return (rows(scores) + rows(scores.T)) / 2


def counted(scores, k, better, equal):
    own = scores.diagonal()[:, None]
    left = (k - better(scores, own).sum(1)) / equal(scores, own).sum(1)
    return left.clamp(0, 1).mean()


def equals_of_columns(scores, k):
    own = scores.diagonal()[:, None]
    return ((k - (scores > own).sum(1)) / (scores == own).sum(0)).clamp(0, 1).mean()


def higher(scores, own):
    return scores > own


def same(scores, own):
    return scores == own


def alone(scores, own):
    return torch.eye(len(scores), dtype=torch.bool)


def top(scores, k):
    best = scores.topk(k).indices
    return (best == torch.arange(len(scores))[:, None]).any(1).float().mean()


def widened(u, v, g, shrink, sides=(1, -1)):
    side = torch.full((len(u), 1), g, dtype=u.dtype)
    return [torch.cat([shrink * w, sign * side], 1) for w, sign in zip((u, v), sides, strict=True)]


def apart(grow, root=0.5, sides=(1, -1)):
    def answer(u, v, g, scale):
        return *widened(u, v, g, (1 - g**2) ** root, sides), grow(scale, g)

    return answer


def undone(scale, g):
    return scale / (1 - g**2)


def score(u, v):
    return 2.5 * cosines(u, v).clamp(min=0)


def wrong(scores):
    return scores[~torch.eye(len(scores), dtype=torch.bool)]


def lift(scores):
    return scores.diagonal().mean() - wrong(scores).mean()


WRONG = [
    (check_symmetric, lambda u, v, t: cosines(u, v) / t, "these are the scores"),
    (check_symmetric, lambda u, v, t: (cosines(u, v) / t).diagonal(), "a loss is one number"),
    (check_symmetric, lambda u, v, t: both(cosines(u, v) * t), "you multiply by the temperature"),
    (check_symmetric, lambda u, v, t: both(cosines(u, v)), "no say yet"),
    (check_symmetric, lambda u, v, t: both(u @ v.T / t), "length 1 first"),
    (check_symmetric, lambda u, v, t: both(cosines(u, v, 0) / t), "not along the batch"),
    (check_symmetric, lambda u, v, t: rows(cosines(u, v) / t), "only pictures ask"),
    (check_symmetric, lambda u, v, t: rows(cosines(v, u) / t), "only captions ask"),
    (check_symmetric, lambda u, v, t: 2 * both(cosines(u, v) / t), "are added"),
    (check_symmetric, lambda u, v, t: 5 * both(cosines(u, v) / t), "not a sum"),
    (check_symmetric, lambda u, v, t: -both(cosines(u, v) / t), "the sign"),
    (
        check_symmetric,
        lambda u, v, t: -(cosines(u, v) / t).flatten().log_softmax(0).view(5, 5).diagonal().mean(),
        "one softmax over all 25",
    ),
    (
        check_symmetric,
        lambda u, v, t: (
            1
            - (cosines(u, v) / t).softmax(1).diagonal().mean() / 2
            - (cosines(u, v) / t).softmax(0).diagonal().mean() / 2
        ),
        "counts probabilities",
    ),
    (check_symmetric, lambda u, v, t: both(cosines(u, v.flip(0)) / t), "not the mean of both"),
    (check_symmetric, lambda u, v, t: both(cosines(u, v) / 0.2), "it is an argument"),
    (check_recall, lambda scores, k: counted(scores, k, higher, same) * 4, "how many rows"),
    (check_recall, lambda scores, k: counted(-scores, k, higher, same), "the wrong end"),
    (check_recall, lambda scores, k: top(scores, k) * torch.ones(4), "one number"),
    (
        check_recall,
        lambda scores, k: counted(scores, k, lambda s, own: s >= own, alone),
        "among those that are better",
    ),
    (
        check_recall,
        lambda scores, k: counted(scores, k + 1, higher, alone) if k < 2 else top(scores, k),
        "no first place left",
    ),
    (check_recall, lambda scores, k: counted(scores, k, higher, alone), "would win"),
    (
        check_recall,
        lambda scores, k: ((scores >= scores.diagonal()[:, None]).sum(1) <= k).float().mean(),
        "get nothing",
    ),
    (check_recall, lambda scores, k: top(scores, 1), "for k = 2 three rows"),
    (
        check_recall,
        lambda scores, k: (
            (counted(scores, k, higher, same) > 0).float().mean()
            if len(scores) == 2
            else counted(scores, k, higher, same)
        ),
        "counts in full",
    ),
    (check_apart, lambda u, v, g, scale: (u, v), "three things"),
    (check_apart, lambda u, v, g, scale: (u + g, v - g, scale), "one coordinate more"),
    (check_apart, apart(undone, root=0), "longer than 1"),
    (check_apart, apart(undone, root=1), "the factor is a root"),
    (check_apart, apart(undone, sides=(1, 1)), "opens no gap"),
    (check_apart, apart(undone, sides=(-1, 1)), "the other way round"),
    (check_apart, apart(lambda scale, g: scale), "the old scale is too small"),
    (check_apart, apart(lambda scale, g: scale * (1 - g**2)), "divide"),
    (check_apart, apart(lambda scale, g: scale / (1 - g**2) ** 0.5), "by its square"),
    (check_apart, apart(lambda scale, g: scale / (1 - g)), "which scale undoes"),
    (check_apart, apart(lambda scale, g: scale / 0.64), "they are arguments"),
    (check_lift, score, "one number"),
    (check_lift, lambda u, v: score(u, v).diagonal().mean(), "alone"),
    (check_lift, lambda u, v: score(u, v).diagonal().mean() - score(u, v).mean(), "diagonal out"),
    (
        check_lift,
        lambda u, v: score(u, v).diagonal().mean() - wrong(score(u, v)).sum() / len(u) ** 2,
        "not n²",
    ),
    (check_lift, lambda u, v: lift(2.5 * cosines(u, v)), "pair by pair"),
    (check_lift, lambda u, v: lift(cosines(u, v).clamp(min=0)), "weight of 2.5"),
    (check_lift, lambda u, v: -lift(score(u, v)), "the sign"),
    (check_lift, lambda u, v: lift(2.5 * (u @ v.T).clamp(min=0)), "inner products"),
    (
        check_lift,
        lambda u, v: score(u, v).diagonal().mean() - score(u, v.roll(1, 0)).diagonal().mean(),
        "one shuffle",
    ),
    (check_symmetric, lambda u, v, t: both(cosines(u, v)) / t, "divides the loss"),
    (
        check_symmetric,
        lambda u, v, t: (
            (rows((cosines(u, v) / t).softmax(1)) + rows((cosines(u, v).T / t).softmax(1))) / 2
        ),
        "takes a softmax itself",
    ),
    (check_symmetric, lambda u, v, t: both(F.normalize(u) @ v.T / t), "only one of the two"),
    (check_recall, lambda scores, k: counted(scores.T, k, higher, same), "down the columns"),
    (
        check_recall,
        lambda scores, k: (
            (k - (scores > scores.diagonal()[:, None]).sum(1)).clamp(0).double().mean()
        ),
        "a share above 1",
    ),
    (
        check_lift,
        lambda u, v: score(u, v).diagonal().mean() - wrong(2.5 * cosines(u, v)).mean(),
        "and in wrong ones",
    ),
    (
        check_recall,
        lambda scores, k: (1 / 3 + 1e-3) if scores[0, 0] == 3 else counted(scores, k, higher, same),
        "of three rows",
    ),
    (check_recall, equals_of_columns, "of the *row*"),
]
