"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.ch18 import (
    check_beside,
    check_decibels,
    check_hole_loss,
    check_timid,
    check_two_stage,
)


def wide(x, z, **how):
    how = how or {"mode": "bilinear", "align_corners": False}
    return F.interpolate(z, size=x.shape[-2:], **how)


def beside(x, z):
    return torch.cat([x, wide(x, z)], 1)


def ratio(bar, v, drawn):
    return float((bar * v + 1 - bar) / (bar * drawn + 1 - bar))


def kl(ratio):
    return (ratio - 1 - math.log(ratio)) / 2


def timid(bar, v, drawn):
    return kl(ratio(bar, v, drawn))


def by_torch(bar, v, drawn):
    laws = [torch.distributions.Normal(0, (bar * one + 1 - bar).sqrt()) for one in (v, drawn)]
    return torch.distributions.kl_divergence(*laws)


def two_stage(small, noise, large, n, s):
    return large(noise(small(n), s), s)


def decibels(k):
    return 10 * math.log10(1 + 1 / k)


def hole_loss(error, hole):
    square = (error.square() * hole).flatten(1).sum(1)
    return (square / hole.flatten(1).sum(1)).mean()


def per_hole(value, hole):
    return torch.stack([v[h].mean() for v, h in zip(value, hole, strict=True)])


def test_right_answers_pass() -> None:
    assert check_beside(beside)
    assert check_timid(timid)
    assert check_timid(lambda a, v, w: torch.as_tensor(timid(a, v, w)).float())
    assert check_timid(by_torch)
    assert check_two_stage(two_stage)
    assert check_decibels(decibels)
    assert check_hole_loss(hole_loss)

    def only_if_noisy(small, noise, large, n, s):
        z = small(n)
        return large(noise(z, s) if s else z, s)

    assert check_two_stage(only_if_noisy)  # at level 0 there is nothing to add


def a_of(bar, s):
    return bar[s].view(-1, 1, 1, 1)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_beside, lambda x, z: x + wide(x, z), "as many channels"),
    (check_beside, lambda x, z: torch.cat([x, wide(x, z)], 0), "along the batch"),
    (check_beside, lambda x, z: torch.cat([x, wide(x, z)], 2), "in space"),
    (check_beside, lambda x, z: torch.cat([x, wide(x, z)], 3), "in space"),
    (check_beside, lambda x, z: torch.cat([wide(x, z), x], 1), "x_t first"),
    (check_beside, lambda x, z: torch.cat([x, wide(x, z, mode="nearest")], 1), "repeats pixels"),
    (
        check_beside,
        lambda x, z: torch.cat([x, wide(x, z, mode="bilinear", align_corners=True)], 1),
        "corners are aligned",
    ),
    (check_beside, lambda x, z: torch.cat([x, x], 1), "not the small picture"),
    (
        check_beside,
        lambda x, z: torch.cat([x, F.pad(z, (0, x.shape[-1] - z.shape[-1]) * 2)], 1),
        "in a corner",
    ),
    (check_beside, lambda x, z: torch.cat([x, wide(x, z), x], 1), "asked is"),
    (check_beside, lambda x, z: torch.cat([2 * x, wide(x, z)], 1), "x_t as it is"),
    (check_timid, lambda a, v, w: timid(a, w, v), "that is KL(drawn || data)"),
    (check_timid, lambda a, v, w: 2 * timid(a, v, w), "the half is missing"),
    (check_timid, lambda a, v, w: -timid(a, v, w), "the sign is turned"),
    (check_timid, lambda a, v, w: timid(a, v, w) / math.log(2), "in bits"),
    (check_timid, lambda a, v, w: kl(v / w), "the level changes nothing"),
    (check_timid, lambda a, v, w: a * kl(v / w), "does not shrink by"),
    (
        check_timid,
        lambda a, v, w: kl((a * v + (1 - a) ** 0.5) / (a * w + (1 - a) ** 0.5)),
        "1 - alpha_bar: no root",
    ),
    (check_timid, lambda a, v, w: kl((v + 1 - a) / (w + 1 - a)), "shrinks as well"),
    (check_timid, lambda a, v, w: (ratio(a, v, w) - 1) / 2, "the logarithm is missing"),
    (
        check_timid,
        lambda a, v, w: a * (v - w) ** 2 / (2 * (a * v + 1 - a)),
        "the formula of a shift",
    ),
    (check_timid, lambda a, v, w: torch.zeros(2), "one number for one"),
    (check_timid, lambda a, v, w: 0.1, "it is 0."),
    (check_two_stage, lambda sm, no, la, n, s: la(sm(n), s), "not for training only"),
    (check_two_stage, lambda sm, no, la, n, s: la(sm(n), 0), "not for training only"),
    (check_two_stage, lambda sm, no, la, n, s: la(no(sm(n), s), 0), "take the noise for cloth"),
    (check_two_stage, lambda sm, no, la, n, s: la(no(no(sm(n), s), s), s), "more than once"),
    (check_two_stage, lambda sm, no, la, n, s: no(la(sm(n), s), s), "put on the large"),
    (check_two_stage, lambda sm, no, la, n, s: la(no(sm(n), s), s + 1), "it was told"),
    (check_two_stage, lambda sm, no, la, n, s: sm(n), "were not enlarged"),
    (check_two_stage, lambda sm, no, la, n, s: la(torch.zeros(n, 1, 4, 4), s), "nobody drew"),
    (
        check_two_stage,
        lambda sm, no, la, n, s: torch.cat([two_stage(sm, no, la, 1, s) for _ in range(n)]),
        "all n together",
    ),
    (check_two_stage, lambda sm, no, la, n, s: 2 * two_stage(sm, no, la, n, s), "as they were"),
    (check_decibels, lambda k: -decibels(k), "the sign"),
    (check_decibels, lambda k: 10 * math.log10(1 + k), "1/k"),
    (check_decibels, lambda k: 2 * decibels(k), "20 is for amplitudes"),
    (check_decibels, lambda k: 10 * math.log(1 + 1 / k), "base 10"),
    (check_decibels, lambda k: 10 * math.log10(2), "whatever k"),
    (check_decibels, lambda k: 1 + 1 / k, "ratio of the two errors"),
    (check_decibels, lambda k: 10 * math.log10(2 / k), "does not fall to 0"),
    (check_decibels, lambda k: 3.0 * k, "Which two errors"),
    (check_hole_loss, lambda e, h: e.square().mean(), "every pixel"),
    (check_hole_loss, lambda e, h: (e.square() * h).mean(), "not by all"),
    (check_hole_loss, lambda e, h: e.square()[h].mean(), "pools the pixels"),
    (check_hole_loss, lambda e, h: per_hole(e.square(), h).sum(), "not the sum"),
    (check_hole_loss, lambda e, h: per_hole(e.square(), h), "one number"),
    (check_hole_loss, lambda e, h: (e.square() * h).flatten(1).sum(1).mean(), "does not grow"),
    (check_hole_loss, lambda e, h: per_hole(e, h).mean(), "square the errors"),
    (check_hole_loss, lambda e, h: per_hole(e.abs(), h).mean(), "absolute errors"),
    (check_hole_loss, lambda e, h: (e.square() * ~h).flatten(1).sum(1).mean(), "outside"),
    (check_hole_loss, lambda e, h: per_hole(e.square(), h).mean() / 2, "it is not the mean"),
    (check_beside, lambda x, z: beside(x, F.interpolate(z, x.shape[-1:] * 2)), "repeats pixels"),
    (
        check_beside,
        lambda x, z: torch.cat([F.interpolate(x, z.shape[-2:], mode="bilinear"), z], 1),
        "Make z large",
    ),
    (
        check_beside,
        lambda x, z: torch.cat([x, F.interpolate(z, x.shape[-1], mode="bilinear")], 1),
        "your code raised",
    ),
    (check_decibels, lambda k: 3.01, "one draw, whatever"),
    (check_decibels, lambda k: 3.01 / k, "decibels are not"),
    (check_decibels, lambda k: 10 * math.log10(1 + k**-0.5), "falls as 1 / k"),
    (check_decibels, lambda k: math.log10(1 + 1 / k), "10 log10"),
    (check_hole_loss, lambda e, hole: hole_loss(e, ~hole), "all hole"),
    (
        check_hole_loss,
        lambda e, hole: (e * hole).flatten(1).sum(1).div(hole.flatten(1).sum(1)).square().mean(),
        "First the",
    ),
    (check_decibels, lambda k: 10 * math.log10(1 + k**-2), "V / k^2"),
    (
        check_hole_loss,
        lambda e, hole: per_hole(e.square(), hole).sqrt().mean(),
        "no root: the loss",
    ),
]
