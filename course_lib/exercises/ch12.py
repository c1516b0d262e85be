"""The exercises of chapter 12: the plan of a U-Net, its reach, its size, and its normalisation."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, reject, require
from course_lib.nn.blocks import ResBlock

Row = tuple[int, int, int]


def _plan(
    size: int,
    widths: Sequence[int],
    blocks: int,
    *,
    first: bool = False,
    floor: bool = False,
    shrinks: bool = True,
    stem: bool = True,
    read: bool = True,
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
        for _ in range(blocks + more):
            skip = skips.pop(0 if first else -1) if skips else 0
            rows.append((width + read * skip, out, sides[level]))
            width = out
    return rows


@exercise("every skip meets the block that it was left for, at its own size")
def check_way_up(way_up: Callable[..., Any]) -> None:
    """Exercise 1: the blocks of the way up, from the plan of the network."""
    for spec in [(28, (8, 16, 24), 2), (15, (12, 24), 1), (32, (8, 16, 16, 32), 3)]:
        answer = [tuple(int(n) for n in row) for row in way_up(*spec)]
        right = _plan(*spec)
        if answer == right:
            continue
        reject(
            answer == _plan(*spec, more=0),
            "one block is missing at each resolution: the way up has blocks + 1 of them, for there"
            " is one more skip than there are blocks on the way down.",
        )
        reject(
            answer == _plan(*spec, read=False),
            "the blocks do not read the skips: add the channels of the skip to what comes up.",
        )
        reject(
            answer == _plan(*spec, first=True),
            "the skips are read in the order in which they were left. Last in, first out.",
        )
        reject(
            answer == _plan(*spec, floor=True),
            f"the sizes are rounded down. A convolution of stride 2 with padding 1 makes"
            f" {spec[0]} into {-(-spec[0] // 2)} and rounds up: 7 becomes 4.",
        )
        reject(
            answer == right[::-1],
            "this is the right list upside down: the way up begins at the smallest size.",
        )
        wrong_skips = [_plan(*spec, shrinks=False), _plan(*spec, stem=False)]
        wrong_skips.append(_plan(*spec, shrinks=False, stem=False))
        reject(
            answer in wrong_skips,
            "a skip is missing. The first convolution leaves one, and so does every halving.",
        )
        require(len(answer) == len(right), f"{len(answer)} blocks; there are {len(right)}.")
        for k, (row, wanted) in enumerate(zip(answer, right, strict=True)):
            require(
                row == wanted, f"for {spec}, block {k} of the way up is not right: you say {row}."
            )


@exercise("each convolution adds its kernel less one, in steps of all the strides before it")
def check_receptive_field(receptive_field: Callable[..., Any]) -> None:
    """Exercise 2: how many input pixels one output pixel sees, along one side."""
    for layers in [
        [(3, 1)],
        [(3, 1), (3, 1), (3, 1)],
        [(5, 2), (3, 1)],
        [(3, 1), (3, 2), (3, 1), (5, 2), (3, 1)],
        [(7, 2), (1, 1), (2, 2), (3, 1)],
    ]:
        answer = int(receptive_field(layers))
        right, own, flat, whole, jump = 1, 1, 1, 0, 1
        for kernel, stride in layers:
            right += (kernel - 1) * jump
            own += (kernel - 1) * jump * stride
            flat += kernel - 1
            whole += kernel * jump
            jump *= stride
        if answer == right:
            continue
        reject(answer == whole, "you add the kernel; its middle pixel is counted already: k - 1.")
        reject(answer == flat, "the strides change nothing in your answer: after a stride of 2, one"
               " pixel to the side is two pixels of the input.")  # fmt: skip
        reject(answer == own, "a layer's own stride counts only for the layers after it.")
        reject(answer == right - 1, "a network without layers sees one pixel: start from 1.")
        require(
            False, f"through {layers} (kernel, stride) one pixel sees {right}, you say {answer}."
        )


@exercise("to the unit")
def check_block_parameters(block_parameters: Callable[..., Any]) -> None:
    """Exercise 3: how many numbers a residual block has to learn."""
    for a, b, d in [(12, 12, 48), (12, 24, 48), (36, 12, 20)]:
        answer = int(block_parameters(a, b, d))
        right = sum(p.numel() for p in ResBlock(a, b, d).parameters())
        if answer == right:
            continue
        missing = right - answer
        shortcut = a * b + b
        reject(
            a == b and -missing == shortcut,
            "where the widths agree the shortcut is the identity, and has nothing to learn.",
        )
        reject(
            a != b and missing == shortcut,
            "the shortcut is missing: where the widths differ it is a 1 × 1 convolution.",
        )
        reject(a != b and -missing == 8 * a * b, "the shortcut is 1 × 1, not 3 × 3.")
        biases = 3 * b + (b if a != b else 0)
        reject(missing == biases, "the biases are missing: one for each output of a layer.")
        reject(missing == d * b + b, "the layer that reads the time is missing.")
        reject(
            missing == 2 * a + 2 * b, "the norms are missing: a scale and a shift for each channel."
        )
        reject(missing == a + b, "a norm has two numbers for each channel: a scale and a shift.")
        reject(
            a != b and missing == 2 * (a - b),
            "the first norm works on what comes in, so it has as many channels as that.",
        )
        reject(
            a != b and missing in (9 * b * (b - a), -9 * b * (b - a)),
            "the second convolution leads from the block's width to itself.",
        )
        require(
            False,
            f"a block from {a} to {b} channels with a time of {d} numbers has {right:,} parameters,"
            f" you say {answer:,}.",
        )


@exercise("a picture is normalised by itself alone, in groups that keep their proportions")
def check_group_norm(normalise: Callable[..., Any]) -> None:
    """Exercise 4: GroupNorm without its learned scale and shift."""
    x = 3 * torch.randn(4, 12, 5, 7, dtype=torch.float64) + torch.randn(1, 12, 1, 1) + 2
    answer = torch.as_tensor(normalise(x.clone(), 3, 1e-5))
    require(answer.shape == x.shape, f"the shape must stay {list(x.shape)}.")
    right = torch.nn.functional.group_norm(x, 3, eps=1e-5)

    def by(dims: tuple[int, ...], y: torch.Tensor) -> torch.Tensor:
        variance = y.var(dims, keepdim=True, unbiased=False)
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
        equal(answer, by((2, 3), x)),
        "this is one channel a group: whatever a time adds to a channel is taken away again.",
    )
    reject(equal(answer, by((1, 2, 3), x)), "this is a single group; there are to be three.")
    reject(
        equal(answer, by((2,), grouped).flatten(1, 2)),
        "each pixel is normalised by itself. The mean of a group runs over its pixels as well.",
    )
    reject(
        equal(answer, by((2, 3, 4), x.unflatten(1, (4, 3))).flatten(1, 2)),
        "these are groups of three channels; asked for are three groups.",
    )
    mean = grouped.mean((2, 3, 4), keepdim=True)
    spread = grouped.var((2, 3, 4), keepdim=True)
    reject(
        equal(answer, ((grouped - mean) / (spread + 1e-5).sqrt()).flatten(1, 2)),
        "the variance is divided by n - 1. GroupNorm divides by n (`unbiased=False`).",
    )
    reject(
        equal(answer, (grouped - mean).flatten(1, 2)), "the mean is gone, the size is not: divide."
    )
    require(equal(answer, right), "this is not the mean taken away and the root of the variance"
            " plus eps divided out, in each group of each picture.")  # fmt: skip
    flat = torch.full((1, 6, 2, 2), 5.0, dtype=torch.float64)
    still = torch.as_tensor(normalise(flat, 2, 1e-5))
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
