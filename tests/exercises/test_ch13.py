"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises.ch13 import (
    check_embed_waves,
    check_mixed,
    check_start_as_nothing,
    check_steer,
)


def waves(t, lengths, full=2 * math.pi):
    angle = t[:, None] * full / lengths
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def lengths(dim, shortest, longest, last=1):
    half = dim // 2
    return shortest * (longest / shortest) ** (torch.arange(half) / (half - last))


def embed_waves(t, dim, shortest, longest):
    return waves(t, lengths(dim, shortest, longest))


def up(numbers):
    return numbers[:, :, None, None]


def steer(h, scale, shift, groups):
    normed = F.group_norm(h, groups) if groups else h
    return (1 + up(scale)) * normed + up(shift)


def over_the_batch(h, scale, shift, groups):
    if not groups:
        return steer(h, scale, shift, 0)
    parts = h.reshape(len(h), groups, -1)
    normed = (parts - parts.mean((0, 2), keepdim=True)) / parts.std((0, 2), keepdim=True)
    return (1 + up(scale)) * normed.view_as(h) + up(shift)


def start_as_nothing(block):
    nn.init.zeros_(block.read.weight)
    nn.init.zeros_(block.read.bias)
    return block


def only(*names):
    def start(block):
        for name in names:
            nn.init.zeros_(block.get_parameter(name))
        return block

    return start


def mixed(a, b, crossover):
    return torch.cat([a[:, :crossover], b[:, crossover:]], dim=1)


def test_right_answers_pass() -> None:
    assert check_embed_waves(embed_waves)
    assert check_steer(steer)
    assert check_start_as_nothing(start_as_nothing)
    assert check_mixed(mixed)


def test_a_gate_alone_may_be_zeroed() -> None:
    """Only the gate's rows of the reading layer: also the identity, also alive."""

    def start(block):
        with torch.no_grad():
            block.read.weight[8:] = 0
            block.read.bias[8:] = 0
        return block

    assert check_start_as_nothing(start)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_embed_waves, lambda t, d, a, b: waves(t, lengths(d, a, b), 1.0), "Multiply by 2 pi"),
    (check_embed_waves, lambda t, d, a, b: waves(t, lengths(d, a, b, 0)), "exactly 1"),
    (
        check_embed_waves,
        lambda t, d, a, b: waves(t, torch.linspace(a, b, d // 2)),
        "equal factors",
    ),
    (check_embed_waves, lambda t, d, a, b: waves(t, 1 / lengths(d, a, b)), "wrong way round"),
    (check_embed_waves, lambda t, d, a, b: waves(t, lengths(d, b, a)), "swapped"),
    (
        check_embed_waves,
        lambda t, d, a, b: embed_waves(t, d, a, b).view(-1, 2, 4).transpose(1, 2).flatten(1),
        "another order",
    ),
    (
        check_embed_waves,
        lambda t, d, a, b: embed_waves(t, d, a, b).roll(d // 2, 1),
        "cosines come first",
    ),
    (check_embed_waves, lambda t, d, a, b: embed_waves(t, d, a, b)[:, :4], "not the sines"),
    (check_steer, lambda h, g, b, n: up(g) * h + up(b), "must pass unchanged"),
    (check_steer, lambda h, g, b, n: h + up(b), "with groups = 0"),
    (check_steer, lambda h, g, b, n: steer(h, g, b, 0), "nothing is normalised"),
    (
        check_steer,
        lambda h, g, b, n: steer(h, g - 1, b, n) if n else steer(h, g, b, 0),
        "also after a normalisation",
    ),
    (
        check_steer,
        lambda h, g, b, n: F.group_norm(steer(h, g, b, 0), n) if n else steer(h, g, b, 0),
        "Normalise first",
    ),
    (check_steer, lambda h, g, b, n: steer(h, g, b, 8 if n else 0), "whatever `groups` says"),
    (
        check_steer,
        lambda h, g, b, n: steer(h, g, b, {0: 0, 8: 8, 2: 4}[n]),
        "not how many channels",
    ),
    (check_steer, over_the_batch, "whole batch"),
    (check_steer, lambda h, g, b, n: steer(h, g, b, 1 if n else 0), "does not give AdaIN"),
    (check_start_as_nothing, lambda block: block, "no weight of the block has changed"),
    (check_start_as_nothing, lambda block: nn.Identity(), "return the block itself"),
    (check_start_as_nothing, only("read.bias"), "zero the weight too"),
    (check_start_as_nothing, only("conv.weight"), "the block's answer is not x"),
    (check_start_as_nothing, only("read.weight"), "bias of the layer that reads"),
    (
        check_start_as_nothing,
        only("read.weight", "read.bias", "conv.weight", "conv.bias"),
        "the block is dead",
    ),
    (check_start_as_nothing, only("conv.weight", "conv.bias"), "leave the convolution random"),
    (check_mixed, lambda a, b, k: mixed(b, a, k), "swapped"),
    (check_mixed, lambda a, b, k: mixed(a, b, k + 1), "one layer too many"),
    (check_mixed, lambda a, b, k: (a + b) / 2, "average"),
    (check_mixed, lambda a, b, k: a, "with crossover 2"),
]
