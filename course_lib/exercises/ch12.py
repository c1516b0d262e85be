"""The exercises of chapter 12: the plan of a U-Net, its reach, its size, and its normalisation."""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, reject, require
from course_lib.nn.blocks import ResBlock

Row = tuple[int, int, int]
Spec = tuple[int, tuple[int, ...], int]
Stack = list[tuple[int, int]]


def _plan(
    size: int,
    widths: Sequence[int],
    blocks: int,
    *,
    first: bool = False,
    floor: bool = False,
    twice: bool = False,
    shrinks: bool = True,
    stem: bool = True,
    read: bool = True,
    stack: bool = True,
    stale: bool = False,
    more: int = 1,
) -> list[Row]:
    """Channels in, channels out and side of every block on the way up; or a wrong version of it."""
    skips, sides, width = [widths[0]] if stem else [], [size], widths[0]
    for level, out in enumerate(widths):
        skips += [out] * blocks
        if level < len(widths) - 1:
            sides.append(sides[-1] // 2 if floor else -(-sides[-1] // 2))
            skips += [out] if shrinks else []
    width, rows = widths[-1], []
    for level, out in reversed(list(enumerate(widths))):
        side = sides[-1] * 2 ** (len(widths) - 1 - level) if twice else sides[level]
        for _ in range(blocks + more):
            skip = skips.pop(0 if first else -1) if skips else 0
            rows.append((width + read * (skip if stack else out), out, side))
            width = width if stale else out
        width = out
    return rows


WRONG_PLANS: list[tuple[Callable[[Spec], list[Row]], str]] = [
    (
        lambda spec: _plan(*spec, more=0),
        "one block is missing at each resolution: the way up has blocks + 1 of them, for there is"
        " one more skip than there are blocks on the way down.",
    ),
    (
        lambda spec: _plan(*spec, read=False),
        "the blocks do not read the skips: add the channels of the skip to what comes up.",
    ),
    (
        lambda spec: _plan(*spec, first=True),
        "the skips are read in the order in which they were left. Last in, first out.",
    ),
    (
        lambda spec: _plan(*spec, floor=True),
        "the sizes are rounded down. A convolution of stride 2 with padding 1 makes 15 into 8 and"
        " rounds up: 7 becomes 4.",
    ),
    (
        lambda spec: _plan(*spec, twice=True),
        "you double the sides. Take those of the way down instead, from the last to the first:"
        " 15, 8 comes back as 8, 15, and twice 8 is 16.",
    ),
    (
        lambda spec: _plan(*spec)[::-1],
        "this is the right list upside down: the way up begins at the smallest size.",
    ),
    (
        lambda spec: [(out, wide, side) for wide, out, side in _plan(*spec)],
        "channels in and channels out are swapped: a row is (in, out, side).",
    ),
    (
        lambda spec: _plan(*spec, stack=False),
        "you take every skip to be as wide as the resolution that reads it. A halving keeps the"
        " channels, so the skip that it leaves is as wide as the resolution above. (And after the"
        " last resolution nothing is halved, and no skip left.)",
    ),
    (
        lambda spec: _plan(*spec, stale=True),
        "after the first block of a resolution, what comes up has that resolution's width and no"
        " longer that of the one below.",
    ),
]
NO_SKIP = "a skip is missing. The first convolution leaves one, and so does every halving."


@exercise("every skip meets the block that it was left for, at its own size")
def check_way_up(way_up: Callable[..., Any]) -> None:
    """Exercise 1: the blocks of the way up, from the plan of the network."""
    specs: list[Spec] = [(28, (8, 16, 24), 2), (15, (12, 24), 1), (32, (8, 16, 16, 32), 3)]
    answers = []
    for spec in specs:
        try:
            answers.append([tuple(int(n) for n in row) for row in way_up(*spec)])
        except Exception as error:
            reject(isinstance(error.__cause__, IndexError), f"the list runs out: {NO_SKIP}")
            raise
    for plan, why in WRONG_PLANS:
        reject(answers == [plan(spec) for spec in specs], why)
    lost = [{"shrinks": False}, {"stem": False}, {"shrinks": False, "stem": False}]
    for less in lost:
        reject(answers == [_plan(*spec, **less) for spec in specs], NO_SKIP)
    reject(answers[0] == answers[1], "another network, and the same answer: use the arguments.")
    for spec, answer in zip(specs, answers, strict=True):
        right = _plan(*spec)
        require(
            len(answer) == len(right), f"for {spec} you say {len(answer)} blocks; there are"
            f" {len(right)}, blocks + 1 at each resolution."
        )  # fmt: skip
        for k, (row, wanted) in enumerate(zip(answer, right, strict=True)):
            parts = zip(("channels in", "channels out", "side"), row, wanted, strict=True)
            wrong = [what for what, ours, theirs in parts if ours != theirs]
            reject(
                bool(wrong),
                f"for {spec}, block {k} of the way up (the first is block 0) is not right: you say"
                f" {row}; look at the {' and the '.join(wrong)}.",
            )


def _reach(layers: Stack, step: Callable[..., Any], start: int = 1) -> int:
    """The last r of a walk through the layers by r, j = step(r, j, kernel, stride)."""
    r, j = start, 1
    for kernel, stride in layers:
        r, j = step(r, j, kernel, stride)
    return r


WRONG_REACHES: list[tuple[Callable[[Stack], int], str]] = [
    (
        lambda stack: 1 + sum(k - 1 for k, _ in stack),
        "the strides change nothing in your answer: after a stride of 2, one pixel to the side is"
        " two pixels of the input.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k - 1) * j * s, j * s)),
        "a layer's own stride counts only for the layers after it.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k - 1) * j, j * s), start=0),
        "a network without layers sees one pixel: start from 1.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + k * j, j * s), start=0),
        "you add the kernel; its middle pixel is counted already: k - 1.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + k * j, j * s)),
        "you add the kernel; its middle pixel is counted already: k - 1.",
    ),
    (
        lambda stack: sum(k for k, _ in stack),
        "you add the kernels: their middle pixels are counted already, and the strides count.",
    ),
    (
        lambda stack: _reach(stack[::-1], lambda r, j, k, s: (r + (k - 1) * j, j * s)),
        "you walk the wrong way. With r and j it goes from the first layer to the last; with"
        " (r - 1) * stride + kernel from the last to the first.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k - 1) * j, s)),
        "your step is the last stride. It is the product of all the strides before.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k - 1) * j, j + s - 1)),
        "the strides multiply, they do not add up: after 2 and 3 a neighbour lies 6 pixels away.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k - 1) * j, j + s)),
        "the strides multiply, they do not add up: after 2 and 3 a neighbour lies 6 pixels away.",
    ),
    (
        lambda stack: 1 + sum(k - 1 for k, _ in stack) * math.prod(s for _, s in stack),
        "the strides *after* a layer do not count for it, only those before.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k - 1) * j, j * min(s, 2))),
        "every stride above 1 counts as 2 in your answer. There are others.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + 2 * j, j * s)),
        "every kernel counts as 3 in your answer. A kernel of k reaches k - 1 pixels further.",
    ),
    (
        lambda stack: _reach(stack, lambda r, j, k, s: (r + (k // 2) * j, j * s)),
        "you count one side of the kernel. Both sides together reach k - 1 pixels further.",
    ),
]


@exercise("each convolution adds its kernel less one, in steps of all the strides before it")
def check_receptive_field(receptive_field: Callable[..., Any]) -> None:
    """Exercise 2: how many input pixels one output pixel sees, along one side."""
    stacks = [
        [(3, 1)],
        [(3, 1), (3, 1), (3, 1)],
        [(5, 2), (3, 1)],
        [(3, 1), (3, 2), (3, 1), (5, 2), (3, 1)],
        [(7, 2), (1, 1), (2, 2), (3, 1)],
        [(4, 3), (5, 2), (3, 4), (2, 1)],
    ]
    answers = []
    for layers in stacks:
        given = list(layers)
        answers.append(float(receptive_field(given)))
        require(given == layers, "your function changes the list that it was given. Walk through it"
                " with a `for`, or work on a copy.")  # fmt: skip
    for reach, why in WRONG_REACHES:
        reject(answers == [reach(layers) for layers in stacks], why)
    squares = [_reach(s, lambda r, j, k, s: (r + (k - 1) * j, j * s)) ** 2 for s in stacks]
    reject(answers == squares, "that is an area. Asked for are pixels along a side.")
    for layers, answer in zip(stacks, answers, strict=True):
        right = _reach(layers, lambda r, j, k, s: (r + (k - 1) * j, j * s))
        require(
            answer == right,
            f"through {layers} (kernel, stride) one pixel sees {right}, you say {answer:g}.",
        )


def _miscounts(a: int, b: int, d: int) -> list[tuple[int, str]]:
    """What the usual mistakes count in a block from a to b channels, each with its diagnosis."""
    right = _size(a, b, d)
    other, shortcut = int(a != b), a * b + b
    return [
        (
            right + (1 - other) * shortcut,
            "where the widths agree the shortcut is the identity, and has nothing to learn.",
        ),
        (
            right - other * shortcut,
            "the shortcut is missing: where the widths differ it is a 1 × 1 convolution.",
        ),
        (
            right - (a > b) * shortcut,
            "a block that gets narrower has a shortcut too: it is there whenever the widths"
            " differ.",
        ),
        (
            right - (a < b) * shortcut,
            "a block that gets wider has a shortcut too: it is there whenever the widths differ.",
        ),
        (
            right + (1 - 2 * other) * shortcut,
            "the shortcut is the identity where the widths agree, and a convolution where they"
            " differ: you have it the other way round.",
        ),
        (right + other * 8 * a * b, "the shortcut is 1 × 1, not 3 × 3."),
        (right - other * b, "the shortcut has biases too: one for every channel out."),
        (right - (3 + other) * b, "the biases are missing: one for each output of a layer."),
        (right - 2 * b, "the two convolutions have biases, and each norm two numbers a channel."),
        (
            right - b,
            "one bias is missing: the two convolutions and the layer that reads the time have one"
            " each, for every channel out.",
        ),
        (right - d * b - b, "the layer that reads the time is missing."),
        (
            right + (d + 1) * (a - b),
            "the time is added after the first convolution, so it needs b numbers, not a.",
        ),
        (right + d * b + b, "this block's time only shifts: d numbers become b, not 2 b."),
        (
            right - 2 * a - 2 * b,
            "the norms are missing: a scale and a shift for each channel.",
        ),
        (right - a - b, "a norm has two numbers for each channel: a scale and a shift."),
        (right - 2 * a, "the first norm is missing: there is one before each convolution."),
        (
            right + 2 * (b - a),
            "the first norm works on what comes in, so it has as many channels as that.",
        ),
        (
            right + 2 * (a - b),
            "the second norm works on what the first convolution made, so it has b channels.",
        ),
        (
            right + 9 * b * (a - b),
            "the second convolution leads from the block's width to itself.",
        ),
        (
            right - 6 * b * (a + b),
            "a 3 × 3 kernel has nine weights for each pair of channels, not three.",
        ),
        (_size(b, a, d), "a and b are swapped: the block leads from a channels to b."),
    ]


def _size(a: int, b: int, d: int) -> int:
    return sum(p.numel() for p in ResBlock(a, b, d).parameters())


@exercise("to the unit")
def check_block_parameters(block_parameters: Callable[..., Any]) -> None:
    """Exercise 3: how many numbers a residual block has to learn."""
    specs = [(12, 12, 48), (12, 24, 48), (36, 12, 20), (12, 24, 20)]
    answers = [float(block_parameters(*spec)) for spec in specs]
    for usual in zip(*(_miscounts(*spec) for spec in specs), strict=True):
        reject(answers == [count for count, _ in usual], usual[0][1])
    reject(len(set(answers)) == 1, "every block gets the same count: use a, b and d.")
    reject(answers[1] == answers[3], "your answer does not change with d: the layer that reads the"
           " time leads from d numbers to b.")  # fmt: skip
    for (a, b, d), answer in zip(specs, answers, strict=True):
        right = _size(a, b, d)
        require(
            answer == right,
            f"a block from {a} to {b} channels with a time of {d} numbers has {right:,} parameters,"
            f" you say {answer:,.10g}. List the layers in order, and each one's weights and biases"
            f" apart.",
        )


@exercise("a picture is normalised by itself alone, in groups that keep their proportions")
def check_group_norm(normalise: Callable[..., Any]) -> None:
    """Exercise 4: GroupNorm without its learned scale and shift."""
    x = 3 * torch.randn(4, 12, 5, 7, dtype=torch.float64) + torch.randn(1, 12, 1, 1) + 2
    answer = normalise(x, 3, 1e-5)
    require(torch.is_tensor(answer), "the answer should be a tensor.")
    require(answer.shape == x.shape, f"the shape must stay {list(x.shape)}.")
    _keeps_type(answer, x)
    _recognise(answer, x)
    right = torch.nn.functional.group_norm(x, 3, eps=1e-5)
    require(equal(answer, right), "this is not the mean taken away and the root of the variance"
            " plus eps divided out, in each group of each picture.")  # fmt: skip
    flat = torch.full((1, 6, 2, 2), 5.0, dtype=torch.float64)
    still = normalise(flat, 2, 1e-5)
    require(
        bool(torch.isfinite(still).all()),
        "a group without variance gives nan: eps belongs under the root.",
    )
    faint = 1e-3 * torch.randn(2, 6, 4, 4, dtype=torch.float64)
    require(
        equal(normalise(faint, 2, 1e-5), torch.nn.functional.group_norm(faint, 2, eps=1e-5)),
        "where the variance is small the answer is off: eps is added to the variance, under the"
        " root.",
    )
    require(
        equal(normalise(x, 2, 0.5), torch.nn.functional.group_norm(x, 2, eps=0.5)),
        "with eps = 0.5 the answer is off: use the eps that is given.",
    )
    _as_a_layer(normalise)


def _recognise(answer: torch.Tensor, x: torch.Tensor) -> None:
    """The usual wrong normalisations of x into 3 groups, each by its own diagnosis."""

    def by(dims: tuple[int, ...], y: torch.Tensor, unbiased: bool = False) -> torch.Tensor:
        variance = y.var(dims, keepdim=True, unbiased=unbiased)
        return (y - y.mean(dims, keepdim=True)) / (variance + 1e-5).sqrt()

    grouped = x.unflatten(1, (3, 4))
    reject(
        equal(answer, by((0, 2, 3), x)),
        "this is BatchNorm: the mean runs over the batch, so a picture's answer depends on its"
        " neighbours.",
    )
    reject(
        equal(answer, by((0, 2, 3, 4), grouped).flatten(1, 2)),
        "the groups are right, but the mean runs over the batch too: each picture for itself.",
    )
    reject(
        equal(answer, by((0, 1, 2, 3), x)),
        "one mean for everything: each group of each picture has its own.",
    )
    reject(
        equal(answer, by((2, 3), x)),
        "this is one channel a group: whatever a time adds to a channel is taken away again.",
    )
    reject(equal(answer, by((1, 2, 3), x)), "this is a single group; there are to be three.")
    reject(
        equal(answer, by((2,), grouped).flatten(1, 2)),
        "each pixel is normalised by itself. The mean of a group runs over its pixels as well.",
    )
    reject(
        equal(answer, by((2, 3), grouped).flatten(1, 2))
        or equal(answer, by((2, 4), grouped).flatten(1, 2)),
        "the mean of a group runs over its channels, and over both height and width.",
    )
    reject(
        equal(answer, by((2, 3, 4), x.unflatten(1, (4, 3))).flatten(1, 2)),
        "these are groups of three channels; asked for are three groups.",
    )
    mixed = by((2, 3, 4), x.unflatten(1, (4, 3)).transpose(1, 2))
    reject(
        equal(answer, mixed.transpose(1, 2).flatten(1, 2)),
        "every third channel makes a group in your answer. A group is channels that stand side by"
        " side.",
    )
    reject(
        equal(answer, by((2, 3, 4), grouped, unbiased=True).flatten(1, 2)),
        "the variance is divided by n - 1. GroupNorm divides by n (`unbiased=False`).",
    )
    centred = grouped - grouped.mean((2, 3, 4), keepdim=True)
    reject(equal(answer, centred.flatten(1, 2)), "the mean is gone, the size is not: divide.")
    variance = centred.square().mean((2, 3, 4), keepdim=True) + 1e-5
    reject(
        equal(answer, (centred / variance).flatten(1, 2)),
        "you divide by the variance. The spread is its root.",
    )
    spread = grouped.var((2, 3, 4), keepdim=True, unbiased=False) + 1e-5
    reject(
        equal(answer, (grouped / spread.sqrt()).flatten(1, 2)),
        "the size is right, and the mean is still there: take it away first.",
    )
    reject(
        equal(answer, by((1, 3, 4), grouped).flatten(1, 2)),
        "your mean runs over the groups, for each place in a group: dimension 2 holds the channels"
        " of a group, dimension 1 the groups.",
    )
    power = grouped.square().mean((2, 3, 4), keepdim=True) + 1e-5
    reject(
        equal(answer, (grouped / power.sqrt()).flatten(1, 2))
        or equal(answer, (centred / power.sqrt()).flatten(1, 2)),
        "your spread is measured from 0. Take the mean away first, then square.",
    )


def _as_a_layer(normalise: Callable[..., Any]) -> None:
    """What a layer needs besides right numbers: no side effect, the type of x, a gradient."""
    x = torch.randn(2, 6, 4, 4)
    mine = x.clone()
    inspect.unwrap(normalise)(mine, 2, 1e-5)  # the reader's own function: it gets no copy
    require(torch.equal(mine, x), "your function writes into the x that it was given, and the"
            " shortcut around the norm would carry the wrong x. Work on a new tensor.")  # fmt: skip
    x.requires_grad_()
    answer, right = normalise(x, 2, 1e-5), torch.nn.functional.group_norm(x, 2, eps=1e-5)
    _keeps_type(answer, x)
    require(answer.requires_grad, "the values are right, but no gradient can pass: it is detached.")
    weight = torch.randn_like(x)
    ours, theirs = (torch.autograd.grad((weight * y).sum(), x)[0] for y in (answer, right))
    require(
        equal(ours, theirs, atol=1e-3),
        "the values are right, the gradient is not: mean and variance depend on x as well, so do"
        " not detach them.",
    )


def _keeps_type(answer: torch.Tensor, x: torch.Tensor) -> None:
    require(
        answer.dtype == x.dtype,
        f"x is {x.dtype} and your answer is {answer.dtype}: keep the type that comes in.",
    )
