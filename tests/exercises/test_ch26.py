"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch
from torch.nn import functional as F

from course_lib.exercises.ch26 import check_better, check_kept, check_prior_loss, check_turned


def prior_loss(answer, z, t, bar, eps, *, size=None, roots=True, against="z", reduce="mean"):
    size = z.shape[1] ** 0.5 if size is None else size
    a = bar[t][:, None]
    keep, noise = (a.sqrt(), (1 - a).sqrt()) if roots else (a, 1 - a)
    z_t = keep * size * z + noise * eps
    wanted = {"z": size * z, "unit": z, "eps": eps, "z_t": z_t}[against]
    off = answer(z_t, t) - wanted
    return {
        "mean": off.square().mean(),
        "rows": off.square().sum(1).mean(),
        "sum": off.square().sum(),
        "abs": off.abs().mean(),
        "root": off.square().mean().sqrt(),
        "late": off.mean().square(),
        "none": off.square(),
    }[reduce]


def loss(**how):
    return lambda *given: prior_loss(*given, **how)


def all_scaled(answer, z, t, bar, eps):
    a, size = bar[t][:, None], z.shape[1] ** 0.5
    return (answer(size * (a.sqrt() * z + (1 - a).sqrt() * eps), t) - size * z).square().mean()


def unnoised(answer, z, t, bar, eps):
    size = z.shape[1] ** 0.5
    return (answer(size * z, t) - size * z).square().mean()


def one_by_one(answer, z, t, bar, eps):
    rows = zip(z.split(1), t.split(1), eps.split(1), strict=True)
    return sum(prior_loss(answer, a, b, bar, c) for a, b, c in rows) / len(z)


def by_snr(answer, z, t, bar, eps):
    size, a = z.shape[1] ** 0.5, bar[t][:, None]
    off = answer(a.sqrt() * size * z + (1 - a).sqrt() * eps, t) - size * z
    return (a / (1 - a) * off.square()).mean()


def better(drawn, text):
    return drawn[(drawn * text).sum(2).argmax(0), torch.arange(len(text))]


def among_all(drawn, text):
    flat = drawn.reshape(-1, drawn.shape[2])
    return flat[(flat @ text.T).argmax(0)]


def kept(z, share, power=2, centre=True):
    values = torch.linalg.svdvals(z - z.mean(0) if centre else z) ** power
    left = values.sum() - values.cumsum(0)
    return int((left > share * values.sum()).sum()) + 1


def by_own_axes(z, share):
    values = z.var(0).sort(descending=True).values
    return int((values.sum() - values.cumsum(0) > share * values.sum()).sum()) + 1


def large_axes(z, share):
    values = torch.linalg.svdvals(z - z.mean(0)) ** 2
    return int((values > share * values.sum()).sum())


def least_first(z, share):
    values = (torch.linalg.svdvals(z - z.mean(0)) ** 2).flip(0)
    return int((values.sum() - values.cumsum(0) > share * values.sum()).sum()) + 1


def turn(z, d, weight, angle=None):
    angle = (z * F.normalize(d, dim=1)).sum(1, keepdim=True).arccos() if angle is None else angle
    return (((1 - weight) * angle).sin() * z + (weight * angle).sin() * d) / angle.sin()


def turned(z, before, after, weight):
    return turn(z, F.normalize(after - before, dim=1), weight)


def straight(z, before, after, weight):
    return z + weight * (F.normalize(after - before, dim=1) - z)


def in_degrees(z, before, after, weight):
    d = F.normalize(after - before, dim=1)
    return turn(z, d, weight, (z * d).sum(1, keepdim=True).arccos().rad2deg())


def dot(z, a, b):
    return (z * F.normalize(b - a, dim=1)).sum(1, keepdim=True)


def test_right_answers_pass() -> None:
    assert check_prior_loss(prior_loss)
    assert check_prior_loss(one_by_one)
    assert check_better(better)
    assert check_kept(kept)
    assert check_turned(turned)


WRONG = [
    (check_prior_loss, loss(size=1), "at length 1"),
    (check_prior_loss, loss(roots=False), "both factors are roots"),
    (check_prior_loss, loss(size=1, roots=False), "take roots"),
    (check_prior_loss, loss(size=16), "√d, not d"),
    (check_prior_loss, all_scaled, "noise was scaled"),
    (check_prior_loss, unnoised, "nothing was noised"),
    (check_prior_loss, loss(against="eps"), "asks for the noise"),
    (check_prior_loss, loss(against="unit"), "the scaled vector"),
    (check_prior_loss, loss(against="z_t"), "not with z_t"),
    (check_prior_loss, loss(reduce="rows"), "sum over each"),
    (check_prior_loss, loss(reduce="sum"), "not the sum"),
    (check_prior_loss, loss(reduce="abs"), "absolute"),
    (check_prior_loss, loss(reduce="root"), "no root"),
    (check_prior_loss, loss(reduce="late"), "square first"),
    (check_prior_loss, loss(reduce="none"), "one number"),
    (check_prior_loss, lambda answer, z, t, bar, eps: z.mean(), "asked once"),
    (check_prior_loss, loss(size=8), "You take 4.670 z + 0.812 eps"),
    (check_prior_loss, lambda *a: prior_loss(*a[:4], torch.randn_like(a[4])), "no mix"),
    (check_prior_loss, by_snr, "by the SNR"),
    (check_prior_loss, lambda *given: prior_loss(*given).detach(), "detached"),
    (check_prior_loss, lambda f, *a: prior_loss(lambda z, t: f(z, t + 1), *a), "told the times"),
    (check_better, lambda drawn, text: drawn[0], "first candidates"),
    (check_better, lambda drawn, text: drawn.mean(0), "mean of the candidates"),
    (check_better, among_all, "among all texts"),
    (check_better, lambda drawn, text: better(drawn, -text), "farthest"),
    (check_better, lambda d, text: d[(d * text).sum((1, 2)).argmax()], "for all texts together"),
    (check_better, lambda drawn, text: drawn[(drawn * text).sum(2).argmax(0)], "whole sets"),
    (check_better, lambda drawn, text: (drawn * text).sum(2).max(0).values, "these are numbers"),
    (check_better, lambda drawn, text: better(drawn, text.mean(0) + 0 * text), "were averaged"),
    (check_better, lambda drawn, text: drawn[0, 0], "one vector came back"),
    (check_better, lambda drawn, text: -better(drawn, text), "largest z · t"),
    (check_better, lambda d, t: d[range(len(d)), (d * t).sum(2).argmax(1)], "over dimension 0"),
    (check_kept, lambda z, share: kept(z, share) - 1, "too few"),
    (check_kept, lambda z, share: kept(z, share) + 1, "too many"),
    (check_kept, lambda z, share: kept(z, share, power=1), "Square them"),
    (check_kept, lambda z, share: kept(z, share, centre=False), "mean away"),
    (check_kept, by_own_axes, "turned"),
    (check_kept, large_axes, "Together counts"),
    (check_kept, lambda z, share: z.shape[1] - kept(z, share), "dropped"),
    (check_kept, least_first, "least variance"),
    (check_kept, lambda z, share: kept(z, 1 - share), "may be lost"),
    (check_kept, lambda z, share: torch.ones(3), "one whole number"),
    (check_kept, lambda z, share: kept(z.T - z.mean(1), share, centre=False), "its own mean"),
    (check_kept, lambda z, share: kept(z, share**0.5), "4 axes, not 2"),
    (check_turned, straight, "straight line: on"),
    (check_turned, lambda *a: F.normalize(straight(*a), dim=1), "put back"),
    (check_turned, lambda z, a, b, w: turned(z, b, a, w), "other way"),
    (check_turned, lambda z, a, b, w: turn(z, b, w), "towards the new text"),
    (check_turned, lambda z, a, b, w: turn(z, a, w), "towards the old text"),
    (check_turned, lambda z, a, b, w: turned(z, a, b, 1 - w), "swapped"),
    (check_turned, lambda z, a, b, w: turned(z, a, b, w) * dot(z, a, b).arccos().sin(), "by sin φ"),
    (check_turned, lambda *a: turn(a[0], F.normalize(a[2] - a[1]), a[3], dot(*a[:3])), "arccos"),
    (check_turned, lambda z, a, b, w: z, "φ between these two"),
    (check_turned, lambda z, a, b, w: z + w * (b - a), "difference was added"),
    (check_turned, lambda z, a, b, w: F.normalize(z + w * (b - a), dim=1), "not slerp"),
    (check_turned, lambda z, a, b, w: turn(z, b - a, w), "normalise the difference"),
    (check_turned, in_degrees, "radians"),
    (check_turned, lambda z, a, b, w: z[:2], "one vector for each"),
]
