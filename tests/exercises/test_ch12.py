"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.ch12 import (
    check_block_parameters,
    check_group_norm,
    check_receptive_field,
    check_way_up,
)


def way_up(size, widths, blocks, *, halve=lambda n: -(-n // 2), stem=True, shrinks=True, more=1):
    skips, sides = [widths[0]] if stem else [], [size]
    for level, out in enumerate(widths):
        skips += [out] * blocks
        if level < len(widths) - 1:
            skips += [out] if shrinks else []
            sides.append(halve(sides[-1]))
    plan, width = [], widths[-1]
    for out, side in zip(reversed(widths), reversed(sides), strict=True):
        for _ in range(blocks + more):
            plan.append((width + (skips.pop() if skips else 0), out, side))
            width = out
    return plan


def first_in_first_out(size, widths, blocks):
    right = way_up(size, widths, blocks)
    skips = [row[0] for row in way_up(size, widths, blocks)]
    own = [widths[-1], *[row[1] for row in right[:-1]]]
    skips = [a - b for a, b in zip(skips, own, strict=True)][::-1]
    return [(a + s, b, n) for a, s, (_, b, n) in zip(own, skips, right, strict=True)]


def without_skips(size, widths, blocks):
    right = way_up(size, widths, blocks)
    own = [widths[-1], *[row[1] for row in right[:-1]]]
    return [(a, b, n) for a, (_, b, n) in zip(own, right, strict=True)]


def with_skips(skip, size, widths, blocks):
    """The right plan, but every skip as wide as `skip` says, given the level's own width."""
    own = without_skips(size, widths, blocks)
    return [(a + skip(b), b, n) for a, b, n in own]


def stale_width(size, widths, blocks):
    rows, right = [], way_up(size, widths, blocks)
    for k, (a, b, n) in enumerate(right):
        came, first = ((right[j - 1][1] if j else widths[-1]) for j in (k, k - k % (blocks + 1)))
        rows.append((a - came + first, b, n))
    return rows


def doubled(size, widths, blocks):
    right = way_up(size, widths, blocks)
    return [(a, b, right[0][2] * 2 ** (k // (blocks + 1))) for k, (a, b, _) in enumerate(right)]


def pops_an_empty_list(size, widths, blocks):
    left = [way_up(size, widths, blocks)[-1]]
    return [left.pop() for _ in range(2)]


def walk(layers, step):
    r = j = 1
    for k, s in layers:
        r, j = step(r, j, k, s)
    return r


def empties_its_list(layers):
    r = j = 1
    while layers:
        k, s = layers.pop(0)
        r, j = r + (k - 1) * j, j * s
    return r


def receptive(layers, *, kernel=lambda k: k - 1, start=1, own=False, strides=True):
    r, j = start, 1
    for k, s in layers:
        if own:
            j *= s
        r += kernel(k) * j
        if not own and strides:
            j *= s
    return r


def size(a, b, d, **changes):
    parts = {
        "norm1": 2 * a,
        "conv1": 9 * a * b + b,
        "time": d * b + b,
        "norm2": 2 * b,
        "conv2": 9 * b * b + b,
        "shortcut": a * b + b if a != b else 0,
    }
    return sum((parts | {k: v(a, b, d) for k, v in changes.items()}).values())


def weights_only(a, b, d):
    return 2 * a + 9 * a * b + d * b + 2 * b + 9 * b * b + (a * b if a != b else 0)


def grouped(x, groups, eps, dims=(2, 3, 4), unbiased=False, scale=lambda v, eps: (v + eps).sqrt()):
    y = x.unflatten(1, (groups, -1))
    variance = y.var(dims, unbiased=unbiased, keepdim=True)
    return ((y - y.mean(dims, keepdim=True)) / scale(variance, eps)).flatten(1, 2)


def in_place(x, groups, eps):
    y = x.view(len(x), groups, -1)
    y -= y.mean(2, keepdim=True)
    y /= (y.square().mean(2, keepdim=True) + eps).sqrt()
    return x


def interleaved(x, groups, eps):
    y = x.unflatten(1, (-1, groups)).transpose(1, 2)
    return by(y, (2, 3, 4), eps).transpose(1, 2).flatten(1, 2)


def constant_statistics(x, groups, eps):
    y = x.unflatten(1, (groups, -1))
    z = y.detach()
    spread = (z.var((2, 3, 4), unbiased=False, keepdim=True) + eps).sqrt()
    return ((y - z.mean((2, 3, 4), keepdim=True)) / spread).flatten(1, 2)


def from_zero(x, groups, eps):
    y = x.unflatten(1, (groups, -1))
    return (y / (y.square().mean((2, 3, 4), keepdim=True) + eps).sqrt()).flatten(1, 2)


def by(x, dims, eps):
    spread = (x.var(dims, unbiased=False, keepdim=True) + eps).sqrt()
    return (x - x.mean(dims, keepdim=True)) / spread


def test_right_answers_pass() -> None:
    assert check_way_up(way_up)
    assert check_way_up(lambda *spec: [list(row) for row in way_up(*spec)])
    assert check_receptive_field(receptive)
    assert check_block_parameters(size)
    assert check_group_norm(grouped)
    assert check_group_norm(lambda x, groups, eps: F.group_norm(x, groups, eps=eps))


def mean_over_spread(x, groups, eps):
    parts = x.unflatten(1, (groups, -1))
    spread = parts.var((2, 3, 4), keepdim=True, unbiased=False) + eps
    return (parts.mean((2, 3, 4), keepdim=True) / spread.sqrt()).expand_as(parts).flatten(1, 2)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_way_up, lambda n, w, b: way_up(n, w, b, more=0), "one block is missing"),
    (check_way_up, lambda n, w, b: way_up(n, w, b, halve=lambda n: n // 2), "rounded down"),
    (check_way_up, lambda n, w, b: way_up(n, w, b, stem=False), "a skip is missing"),
    (check_way_up, lambda n, w, b: way_up(n, w, b, shrinks=False), "a skip is missing"),
    (
        check_way_up,
        lambda n, w, b: way_up(n, w, b, shrinks=False, stem=False),
        "a skip is missing",
    ),
    (check_way_up, first_in_first_out, "Last in, first out"),
    (check_way_up, without_skips, "do not read the skips"),
    (check_way_up, lambda n, w, b: way_up(n, w, b)[::-1], "upside down"),
    (check_way_up, lambda n, w, b: way_up(n, w, b)[1:], "there are"),
    (check_way_up, lambda n, w, b: [(a, a, s) for a, _, s in way_up(n, w, b)], "block 0"),
    (check_way_up, lambda *spec: with_skips(lambda b: b, *spec), "A halving keeps the channels"),
    (check_way_up, lambda *spec: with_skips(lambda b: 12, *spec), "look at the channels in"),
    (check_way_up, stale_width, "after the first block of a resolution"),
    (check_way_up, doubled, "twice 8 is 16"),
    (check_way_up, lambda *spec: [(b, a, n) for a, b, n in way_up(*spec)], "swapped"),
    (check_way_up, pops_an_empty_list, "the list runs out"),
    (check_way_up, lambda *spec: way_up(28, (8, 16, 24), 2), "use the arguments"),
    (check_way_up, lambda n, w, b: way_up(28, w, b), "look at the side"),
    (check_way_up, lambda n, w, b: way_up(n, (8, 16, 24), b), "there are 4"),
    (check_receptive_field, lambda layers: receptive(layers, start=0), "start from 1"),
    (check_receptive_field, lambda layers: receptive(layers[::-1]), "the wrong way"),
    (
        check_receptive_field,
        lambda layers: walk(layers, lambda r, j, k, s: ((r - 1) * s + k, j)),
        "the wrong way",
    ),
    (
        check_receptive_field,
        lambda layers: walk(layers, lambda r, j, k, s: (r + (k - 1) * j, s)),
        "the last stride",
    ),
    (
        check_receptive_field,
        lambda layers: walk(layers, lambda r, j, k, s: (r + (k - 1) * j, j + s - 1)),
        "do not add up",
    ),
    (
        check_receptive_field,
        lambda layers: walk(layers, lambda r, j, k, s: (r + (k - 1) * j, j + s)),
        "do not add up",
    ),
    (
        check_receptive_field,
        lambda layers: 1 + math.prod(s for _, s in layers) * sum(k - 1 for k, _ in layers),
        "only those before",
    ),
    (
        check_receptive_field,
        lambda layers: walk(layers, lambda r, j, k, s: (r + (k - 1) * j, j * min(s, 2))),
        "counts as 2",
    ),
    (
        check_receptive_field,
        lambda layers: walk(layers, lambda r, j, k, s: (r + 2 * j, j * s)),
        "counts as 3",
    ),
    (
        check_receptive_field,
        lambda layers: receptive(layers, kernel=lambda k: k // 2),
        "one side of the kernel",
    ),
    (check_receptive_field, empties_its_list, "changes the list"),
    (check_receptive_field, lambda layers: 19, "one pixel sees 3"),
    (check_receptive_field, lambda layers: receptive(layers, strides=False), "strides change"),
    (check_receptive_field, lambda layers: receptive(layers, own=True), "own stride"),
    (
        check_receptive_field,
        lambda layers: receptive(layers, start=0, kernel=lambda k: k),
        "counted already",
    ),
    (check_receptive_field, lambda layers: sum(k for k, _ in layers), "counted already"),
    (check_receptive_field, lambda layers: len(layers) + 2, "one pixel sees"),
    (check_block_parameters, weights_only, "biases are missing"),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: a * b + b),
        "the identity",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: 0),
        "the shortcut is missing",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: (9 * a * b + b) * (a != b)),
        "not 3 × 3",
    ),
    (check_block_parameters, lambda a, b, d: size(a, b, d, time=lambda *_: 0), "reads the time"),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, norm1=lambda *_: 0, norm2=lambda *_: 0),
        "norms are missing",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, norm1=lambda a, b, d: a, norm2=lambda a, b, d: b),
        "two numbers for each channel",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, norm1=lambda a, b, d: 2 * b),
        "what comes in",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, conv2=lambda a, b, d: 9 * a * b + b),
        "the second convolution",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, norm1=lambda *_: 0),
        "the first norm is missing",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, norm2=lambda a, b, d: 2 * a),
        "so it has b channels",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: a * b * (a != b)),
        "the shortcut has biases",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: (a * b + b) * (a == b)),
        "the other way round",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: (a * b + b) * (a < b)),
        "gets narrower",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, shortcut=lambda a, b, d: (a * b + b) * (a > b)),
        "gets wider",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, time=lambda a, b, d: d * b),
        "one bias is missing",
    ),
    (check_block_parameters, lambda a, b, d: size(a, b, d) - 2 * b, "convolutions have biases"),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, time=lambda a, b, d: d * a + a),
        "needs b numbers",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d, time=lambda a, b, d: 2 * (d * b + b)),
        "only shifts",
    ),
    (
        check_block_parameters,
        lambda a, b, d: size(a, b, d) - 6 * b * (a + b),
        "nine weights",
    ),
    (check_block_parameters, lambda a, b, d: size(b, a, d), "a and b are swapped"),
    (check_block_parameters, lambda a, b, d: size(12, 12, 48), "the same count"),
    (check_block_parameters, lambda a, b, d: size(a, b, 48), "does not change with d"),
    (check_block_parameters, lambda a, b, d: size(a, b, d) + 1, "you say 3,253"),
    (check_group_norm, lambda x, g, eps: by(x, (0, 2, 3), eps), "BatchNorm"),
    (check_group_norm, lambda x, g, eps: grouped(x, g, eps, (0, 2, 3, 4)), "over the batch too"),
    (check_group_norm, lambda x, g, eps: by(x, (2, 3), eps), "one channel a group"),
    (check_group_norm, lambda x, g, eps: by(x, (1, 2, 3), eps), "a single group"),
    (check_group_norm, lambda x, g, eps: grouped(x, g, eps, (2,)), "each pixel"),
    (
        check_group_norm,
        lambda x, g, eps: grouped(x, x.shape[1] // g, eps),
        "groups of three channels",
    ),
    (check_group_norm, lambda x, g, eps: grouped(x, g, eps, unbiased=True), "n - 1"),
    (
        check_group_norm,
        lambda x, g, eps: grouped(x, g, eps, scale=lambda v, eps: torch.ones_like(v)),
        "the size is not",
    ),
    (
        check_group_norm,
        lambda x, g, eps: grouped(x, g, eps, scale=lambda v, eps: v.sqrt()),
        "gives nan",
    ),
    (
        check_group_norm,
        lambda x, g, eps: grouped(x, g, eps, scale=lambda v, eps: v.sqrt() + eps),
        "where the variance is small",
    ),
    (check_group_norm, lambda x, g, eps: grouped(x, g, eps, scale=lambda v, e: v), "its root"),
    (check_group_norm, lambda x, g, eps: 2 * grouped(x, g, eps), "not the mean"),
    (check_group_norm, lambda x, g, eps: by(x, (0, 1, 2, 3), eps), "one mean for everything"),
    (check_group_norm, lambda x, g, eps: grouped(x, g, eps, (2, 3)), "both height and width"),
    (check_group_norm, interleaved, "side by side"),
    (check_group_norm, from_zero, "measured from 0"),
    (check_group_norm, lambda x, g, eps: grouped(x, g, 1e-5), "the eps that is given"),
    (check_group_norm, in_place, "writes into the x"),
    (check_group_norm, lambda x, g, eps: grouped(x.detach(), g, eps), "it is detached"),
    (check_group_norm, constant_statistics, "the gradient is not"),
    (check_group_norm, lambda x, g, eps: grouped(x.float(), g, eps), "keep the type"),
    (check_group_norm, lambda x, g, eps: grouped(x.double(), g, eps), "keep the type"),
    (check_group_norm, lambda x, g, eps: grouped(x, g, eps).numpy(), "should be a tensor"),
    (check_group_norm, lambda x, g, eps: x.flatten(1), "the shape must stay"),
    (check_receptive_field, lambda layers: receptive(layers) ** 2, "that is an area"),
    (
        check_group_norm,
        lambda x, g, eps: grouped(x, g, eps) + mean_over_spread(x, g, eps),
        "the mean is still there",
    ),
    (
        check_group_norm,
        lambda x, g, eps: grouped(x, g, eps, dims=(1, 3, 4)),
        "over the groups",
    ),
]
