"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises.ch13 import (
    check_clock_error,
    check_embed_waves,
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


def rows_to_zero(rows):
    """Zeroes the given rows of the reading layer, weight and bias."""

    def start(block):
        with torch.no_grad():
            block.read.weight[rows] = 0
            block.read.bias[rows] = 0
        return block

    return start


def shrunk(block):
    for p in block.read.parameters():
        p.data *= 1e-6
    return block


def frozen(block):
    start_as_nothing(block).read.requires_grad_(False)
    return block


def replaced(block):
    block.read = nn.Linear(block.read.in_features, block.read.out_features)
    return start_as_nothing(block)


def by_hand(power=0.5, unbiased=False):
    """The formula with a normalisation written out."""

    def steered(h, scale, shift, groups):
        if not groups:
            return steer(h, scale, shift, 0)
        parts = h.reshape(len(h), groups, -1)
        var = parts.var(2, keepdim=True, unbiased=unbiased)
        normed = (parts - parts.mean(2, keepdim=True)) / var**power
        return (1 + up(scale)) * normed.view_as(h) + up(shift)

    return steered


def share(lam, sigma):
    return sigma**2 / (lam + sigma**2)


def bound(shares, n=2):
    return (n * (shares**2).sum()) ** -0.5


def clock_error(lam, sigma):
    return bound(share(lam, sigma))


def test_right_answers_pass() -> None:
    assert check_embed_waves(embed_waves)
    assert check_steer(steer)
    assert check_start_as_nothing(start_as_nothing)
    assert check_clock_error(clock_error)
    assert check_clock_error(lambda lam, sigma: [float(clock_error(lam.float(), sigma))])


def test_either_zero_is_right_and_both_are_not() -> None:
    """Section 5: the convolution at 0 under a random gate is the identity, and alive, as well."""
    assert check_start_as_nothing(only("conv.weight", "conv.bias"))


def test_a_gate_alone_may_be_zeroed() -> None:
    """Only the gate's rows of the reading layer: also the identity, also alive."""

    def start(block):
        with torch.no_grad():
            gate = 2 * len(block.conv.bias)
            block.read.weight[gate:] = 0
            block.read.bias[gate:] = 0
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
    (check_embed_waves, lambda t, d, a, b: embed_waves(t, d, a, b)[:, :4], "not [5, 4]"),
    (check_embed_waves, lambda t, d, a, b: embed_waves(t, d, 1.0, b), "argument `shortest`"),
    (check_embed_waves, lambda t, d, a, b: embed_waves(t, d, 0.01, 3600.0), "argument `shortest`"),
    (check_embed_waves, lambda t, d, a, b: embed_waves(t, d, a, a * b), "argument `longest`"),
    (
        check_embed_waves,
        lambda t, d, a, b: waves(t, 1 / torch.linspace(1 / a, 1 / b, d // 2)),
        "those between are not",
    ),
    (
        check_embed_waves,
        lambda t, d, a, b: embed_waves(t, d, a, b)[:, : d // 2].repeat(1, 2),
        "second half is not the cosines",
    ),
    (check_embed_waves, lambda t, d, a, b: embed_waves(t, 8, a, b), "not for dim = 12"),
    (check_steer, lambda h, g, b, n: up(g) * h + up(b), "must pass unchanged"),
    (check_steer, lambda h, g, b, n: h + up(b), "with groups = 0"),
    (check_steer, lambda h, g, b, n: steer(h, g, -b, n), "with groups = 0"),
    (check_steer, lambda h, g, b, n: steer(h, g, b, n or 1), "with groups = 0"),
    (check_steer, lambda h, g, b, n: steer(h, b, g, n), "swapped"),
    (check_steer, lambda h, g, b, n: (1 + up(g)) * (h + up(b)), "shift comes last"),
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
    (check_steer, lambda h, g, b, n: steer(h, g, b, 8 if n else 0), "what groups = 8 should"),
    (check_steer, lambda h, g, b, n: steer(h, g, b, 1 if n else 0), "what groups = 1 should"),
    (check_steer, lambda h, g, b, n: steer(h, g, b, n if n > 1 else 0), "when groups = 1"),
    (
        check_steer,
        lambda h, g, b, n: steer(h, g, b, h.shape[1] // n if n else 0),
        "not how many channels",
    ),
    (check_steer, over_the_batch, "whole batch"),
    (check_steer, by_hand(power=1), "divide by its root"),
    (check_steer, by_hand(unbiased=True), "unbiased=False"),
    (check_steer, lambda h, g, b, n: F.group_norm(steer(h, g, b, n), n or 8), "with groups = 0"),
    (
        check_steer,
        lambda h, g, b, n: F.group_norm(steer(h, g, b, n), n) if n else steer(h, g, b, 0),
        "does not give AdaGN",
    ),
    (check_steer, lambda h, g, b, n: steer(h, g, b, n).view(-1, 8, *h.shape[2:]), "not for 6"),
    (check_steer, lambda h, g, b, n: steer(h, g, b, n).detach(), "answer is detached"),
    (check_steer, lambda h, g, b, n: steer(h, g.detach(), b, n), "to `scale`"),
    (check_start_as_nothing, lambda block: block, "no weight of the block has changed"),
    (check_start_as_nothing, lambda block: nn.Identity(), "return the block itself"),
    (check_start_as_nothing, only("read.bias"), "zero the weight too"),
    (check_start_as_nothing, only("conv.weight"), "convolution's bias still passes"),
    (check_start_as_nothing, only("conv.bias"), "the block's answer is not x"),
    (check_start_as_nothing, rows_to_zero(slice(0, 4)), "the gate is the last third"),
    (check_start_as_nothing, rows_to_zero(slice(-4, None)), "the block's answer is not x"),
    (check_start_as_nothing, shrunk, "small weights are not zero"),
    (check_start_as_nothing, frozen, "frozen"),
    (check_start_as_nothing, replaced, "a weight is a new tensor"),
    (check_start_as_nothing, lambda block: copy.deepcopy(block), "return the block itself"),
    (check_start_as_nothing, only("read.weight"), "bias of the layer that reads"),
    (
        check_start_as_nothing,
        only("read.weight", "read.bias", "conv.weight", "conv.bias"),
        "the block is dead",
    ),
    (check_clock_error, lambda lam, sigma: (2 * len(lam)) ** -0.5, "clock of pure noise"),
    (check_clock_error, lambda *at: (2 * share(*at).sum()) ** -0.5, "the share is squared."),
    (check_clock_error, lambda *at: clock_error(*at) ** -2, "this is the Fisher information"),
    (check_clock_error, lambda *at: clock_error(*at) ** 2, "this is a variance"),
    (check_clock_error, lambda *at: bound(share(*at), 1), "factor of 2 is missing"),
    (check_clock_error, lambda *at: bound(share(*at), 0.5), "twice too large"),
    (check_clock_error, lambda lam, sigma: sigma * clock_error(lam, sigma), "of sigma. That of"),
    (check_clock_error, lambda lam, sigma: bound(1 / (lam + sigma**2)), "the clock of sigma^2"),
    (check_clock_error, lambda lam, sigma: clock_error(lam**2, sigma), "variances already"),
    (check_clock_error, lambda lam, sigma: clock_error(lam, sigma**0.5), "sigma is a deviation"),
    (check_clock_error, lambda *at: bound(1 - share(*at)), "the picture's shares"),
    (
        check_clock_error,
        lambda lam, sigma: clock_error(lam.mean().expand_as(lam), sigma),
        "the mean variance",
    ),
    (
        check_clock_error,
        lambda lam, sigma: (lam + sigma**2).norm() / (2**0.5 * len(lam) * sigma**2),
        "from the length of x",
    ),
    (check_clock_error, lambda *at: 0.5**0.5 / share(*at), "one number is wanted"),
    (check_clock_error, lambda lam, sigma: lam.sum() ** -0.5, "steps (1) to (3)"),
]
