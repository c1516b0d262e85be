"""The exercises of chapter 21: a loss, recall with ties, a free gap, a score above its floor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("CLIP's loss of two sets of vectors")
def check_symmetric(symmetric: Callable[..., Any]) -> None:
    """Exercise 1: lengths, scores, two softmaxes, a mean."""
    u, v = 2 * torch.randn(2, 5, 4, dtype=torch.float64)
    cosine, raw = F.normalize(u, dim=1) @ F.normalize(v, dim=1).T, u @ v.T

    def both(scores: Tensor) -> Tensor:
        return (_rows(scores) + _rows(scores.T)) / 2

    found, right = symmetric(u, v, 0.2), both(cosine / 0.2)
    reject(
        equal(found, cosine / 0.2) or equal(found, cosine),
        "these are the scores. The loss asks each row, and each column, for its own place.",
    )
    require(
        torch.as_tensor(found).numel() == 1,
        f"a loss is one number, yours has the shape {list(torch.as_tensor(found).shape)}.",
    )
    reject(
        equal(found, both(cosine * 0.2)),
        "you multiply by the temperature. A low one makes scores large: divide.",
    )
    reject(equal(found, both(cosine)), "the temperature has no say yet.")
    reject(
        equal(found, 5 * both(cosine)),
        "the temperature divides the scores, before the softmax. Here it divides the loss.",
    )
    twice = _rows((cosine / 0.2).softmax(1)) + _rows((cosine.T / 0.2).softmax(1))
    reject(
        equal(found, twice / 2),
        "`F.cross_entropy` takes a softmax itself: give it the scores, not their softmax.",
    )
    reject(
        equal(found, both(cosine * u.norm(dim=1)[:, None] / 0.2))
        or equal(found, both(cosine * v.norm(dim=1) / 0.2)),
        "only one of the two has length 1. A cosine divides by both lengths.",
    )
    reject(
        equal(found, both(raw / 0.2)),
        "long vectors score high whatever they say: give all of them length 1 first.",
    )
    reject(
        equal(found, both(F.normalize(u, dim=0) @ F.normalize(v, dim=0).T / 0.2)),
        "each row is a vector: normalise along the last dimension, not along the batch.",
    )
    reject(
        equal(found, _rows(cosine / 0.2)),
        "only pictures ask for their captions. Captions ask for their pictures too.",
    )
    reject(equal(found, _rows(cosine.T / 0.2)), "only captions ask. Pictures ask as well.")
    reject(equal(found, 2 * right), "the two questions are added. The loss is their mean.")
    reject(
        equal(found, 5 * right) or equal(found, 10 * right), "it is a mean over pairs, not a sum."
    )
    reject(equal(found, -right), "the sign: this grows as the answers get better.")
    whole = -(cosine / 0.2).flatten().log_softmax(0).view(5, 5).diagonal().mean()
    reject(
        equal(found, whole),
        "one softmax over all 25 pairs. Each row is a question of its own, and each column.",
    )
    believed = ((cosine / 0.2).softmax(1) + (cosine / 0.2).softmax(0)).diagonal().mean() / 2
    reject(
        equal(found, 1 - believed) or equal(found, believed) or equal(found, -believed),
        "this counts probabilities. Surprise is minus their logarithm.",
    )
    require(
        equal(found, right),
        "it is not the mean of both cross-entropies. Is column i the answer of row i?",
    )
    require(
        equal(symmetric(u, v, 1.0), both(cosine)),
        "right at a temperature of 0.2 and not at 1: it is an argument.",
    )
    require(
        equal(symmetric(3 * u, v, 0.2), right),
        "longer vectors of pictures change it: only directions should count.",
    )


def _rows(scores: Tensor) -> Tensor:
    return -scores.log_softmax(1).diagonal().mean()


@exercise("recall at k, ties shared")
def check_recall(recall: Callable[..., Any]) -> None:
    """Exercise 2: the share of rows that find their own column."""
    rows = [[0.9, 0.8, 0.1, 0.2], [0.7, 0.8, 0.5, 0.3], [0.9, 0.4, 0.2, 0.3], [0.1, 0.4, 0.9, 0.6]]
    scores = torch.tensor(rows)  # ranks 1, 1, 4, 2
    one, two = recall(scores, 1), recall(scores, 2)
    require(
        torch.as_tensor(one).numel() == 1, "one number: the share of rows, not an answer for each."
    )
    reject(equal(one, 2.0) and equal(two, 3.0), "this is how many rows, not which share of them.")
    reject(
        equal(one, 0.25) and equal(two, 0.25),
        "your ranks run from the wrong end: the best column is the one with the *highest* score.",
    )
    reject(
        equal(one, 0.0),
        "no row finds its column, and two should. Do you count the own column among those that are"
        " better than it? Or does a row with no place left count less than 0?",
    )
    reject(
        equal(one, 0.75),
        "with one column better than the own one there is no first place left: k - better.",
    )
    require(equal(one, 0.5), f"of four rows two have their own column on top; you say {one}.")
    reject(
        float(torch.as_tensor(two)) > 1,
        "a share above 1: a row that finds its own column counts 1, however many places are left.",
    )
    require(equal(two, 0.75), f"for k = 2 three rows find their own column; you say {two}.")
    require(equal(recall(scores, 4), 1.0), "for k = 4 of 4 columns, every row must find its own.")
    hub = torch.tensor([[3.0, 2.0, 1.0], [2.9, 2.5, 1.0], [2.8, 2.0, 1.5]])
    reject(
        equal(recall(hub, 1), 1.0),
        "you compare down the columns. Here the rows ask: is the own column the best of its *row*?",
    )
    require(equal(recall(hub, 1), 1 / 3), "column 0 is the best of each of three rows: 1 in 3.")
    ties, half = torch.zeros(4, 4), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    reject(
        equal(recall(ties, 1), 1.0),
        "scores that are all equal get 100 %: a tower that says nothing would win. Ties are"
        " decided by chance.",
    )
    reject(
        equal(recall(ties, 1), 0.0),
        "scores that are all equal get nothing. By chance one row in four would be right.",
    )
    reject(
        equal(recall(half, 1), 1.0),
        "a tie for the first place counts in full. Chance gives it to the own column half the"
        " time.",
    )
    require(
        equal(recall(half, 1), 0.75),
        "with one tie of two and one clear row, recall at 1 is three quarters.",
    )
    three = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    reject(
        equal(recall(three, 1), 2 / 3),
        "the equal ones are counted down the columns. They share the places of the *row*.",
    )
    require(equal(recall(three, 1), 7 / 9), "one row of three ties three ways: 7 in 9.")
    require(
        equal(recall(ties, 3), 0.75),
        "four equal columns and three places: the own one gets one with chance 3/4. Count how many"
        " places are left for the equal ones.",
    )


@exercise("a gap that the loss does not see")
def check_apart(apart: Callable[..., Any]) -> None:
    """Exercise 3: one more coordinate, and a larger scale."""
    u, v = F.normalize(torch.randn(2, 6, 4, dtype=torch.float64), dim=2)
    g, scale = 0.6, 20.0
    answer = apart(u, v, g, scale)
    require(
        isinstance(answer, tuple | list) and len(answer) == 3,
        "return three things: u2, v2 and scale2.",
    )
    a, b, larger = answer
    require(
        getattr(a, "shape", None) == (6, 5) and getattr(b, "shape", None) == (6, 5),
        "one coordinate more for each vector: [6, 5] from [6, 4].",
    )
    reject(
        equal(a[:, :4], u) or equal(a.norm(dim=1), torch.full((6,), (1 + g**2) ** 0.5)),
        "the vectors have become longer than 1: shrink what was there, by a root.",
    )
    reject(
        equal(a[:, :4], (1 - g**2) * u) or equal(a[:, :4], (1 - g) * u),
        "the length is not 1: squares of coordinates add up, so the factor is a root.",
    )
    reject(
        equal(a[:, 4], b[:, 4]),
        "both sides get the same coordinate: that moves them together, and opens no gap.",
    )
    reject(
        equal(a[:, 4], torch.full((6,), -g)),
        "pictures get g and captions -g; yours are the other way round.",
    )
    require(
        equal(a.norm(dim=1), torch.ones(6)) and equal(b.norm(dim=1), torch.ones(6)),
        "all vectors must have length 1.",
    )
    require(
        equal(a[:, 4], torch.full((6,), g)) and equal(b[:, 4], torch.full((6,), -g)),
        "the last coordinate is g for pictures and -g for captions.",
    )
    old, new = scale * u @ v.T, a @ b.T
    reject(equal(larger, scale), "the cosines have shrunk: the old scale is too small for them.")
    reject(
        equal(larger, scale * (1 - g**2)),
        "cosines became smaller, so the scale must grow: divide.",
    )
    reject(
        equal(larger, scale / (1 - g**2) ** 0.5),
        "u and v have both shrunk by the root: their product by its square.",
    )
    require(
        equal(_rows(larger * new), _rows(old)) and equal(_rows(larger * new.T), _rows(old.T)),
        f"the loss has changed. The cosines are (1 - g²) times the old ones, less g²: which scale"
        f" undoes the factor? Yours is {larger}.",
    )
    again = apart(u, v, 0.3, 5.0)[2]
    require(equal(again, 5.0 / 0.91), "right for g = 0.6 and not for 0.3: they are arguments.")


@exercise("what a CLIP score is above wrong pairs")
def check_lift(lift: Callable[..., Any]) -> None:
    """Exercise 4: a mean score less that of all wrong pairs."""
    u = torch.tensor([[1.0, 0], [0, 2], [-3, 0]])
    v = torch.tensor([[12.0, 5], [0, 1], [1, 0]])
    cosine = F.normalize(u, dim=1) @ F.normalize(v, dim=1).T
    score, wrong = 2.5 * cosine.clamp(min=0), ~torch.eye(3, dtype=torch.bool)
    own, others = score.diagonal().mean(), score[wrong].mean()
    found, right = lift(u, v), own - others
    require(torch.as_tensor(found).numel() == 1, "one number, please: a mean less another.")
    reject(equal(found, own), "this is the CLIP score alone: what do wrong pairs score?")
    reject(
        equal(found, own - score.mean()),
        "the right pairs are among your wrong ones: leave the diagonal out.",
    )
    reject(
        equal(found, own - score[wrong].sum() / 9),
        "there are n (n - 1) wrong pairs, not n²: the zeros on the diagonal do not count.",
    )
    plain = 2.5 * (cosine.diagonal().mean() - cosine[wrong].mean())
    reject(equal(found, plain), "negative cosines count as 0, pair by pair.")
    raw = 2.5 * cosine
    reject(
        equal(found, own - raw[wrong].mean())
        or equal(found, raw.diagonal().mean() - score[wrong].mean()),
        "negative cosines count as 0 in right pairs and in wrong ones.",
    )
    reject(
        equal(found, (2.5 * cosine.diagonal().mean()).clamp(min=0) - (2.5 * cosine[wrong].mean())),
        "cut off before the mean, not after it.",
    )
    reject(equal(found, right / 2.5), "the weight of 2.5 is missing.")
    reject(equal(found, -right), "the sign: right pairs less wrong ones.")
    long = 2.5 * (u @ v.T).clamp(min=0)
    reject(
        equal(found, long.diagonal().mean() - long[wrong].mean()),
        "these are inner products. A cosine divides by both lengths.",
    )
    reject(
        equal(found, own - score.roll(1, 0).diagonal().mean())
        or equal(found, own - score.roll(-1, 0).diagonal().mean()),
        "you shuffle the captions once, and this is what that one shuffle gives. Take all wrong"
        " pairs.",
    )
    require(equal(found, right), "mean score of the diagonal, less the mean of all that is off it.")
