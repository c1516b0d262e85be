"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch
from torch.distributions import Normal

from course_lib.exercises.ch10 import (
    check_dequantised_bits,
    check_importance,
    check_invisible_share,
    check_level_probabilities,
)


def edges(mean, std, levels, half, low=-math.inf, high=math.inf):
    """Probabilities between x - half and x + half, the outermost two reaching to low and high."""
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    left, right = x - half, x + half
    left[0], right[-1] = max(low, -1e9), min(high, 1e9)
    law = Normal(torch.tensor(mean, dtype=x.dtype), std)
    return law.cdf(right) - law.cdf(left)


def closed(mean, std, levels):
    half = 1 / (levels - 1)
    return edges(mean, std, levels, half, -1 - half, 1 + half)


def level_probabilities(mean, std, levels):
    return edges(mean, std, levels, 1 / (levels - 1))


def density(mean, std, levels):
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    law = Normal(torch.tensor(mean, dtype=x.dtype), std)
    return law.log_prob(x).exp() * 2 / (levels - 1)


def cut(mean, std, edges):
    """Probabilities between the edges, and beyond them."""
    below = Normal(torch.tensor(mean, dtype=edges.dtype), std).cdf(edges)
    return torch.cat([below.new_zeros(1), below, below.new_ones(1)]).diff()


def grid(levels):
    return torch.linspace(-1, 1, levels, dtype=torch.float64)


def bits(log_density, x, levels, dims=6):
    return -log_density(x) / dims / math.log(2) + math.log2(levels)


def share(bits, errors, limit, shift=0):
    good = int((127.5 * errors.sqrt() <= limit).sum())
    return bits[: good + shift].sum() / bits.sum()


def importance(losses, power=1.0):
    size = losses.square().mean(1).sqrt() ** power
    p = size / size.sum()
    return p, 1 / (len(p) * p)


def test_right_answers_pass() -> None:
    assert check_level_probabilities(level_probabilities)
    assert check_dequantised_bits(lambda f, x, u, k: bits(f, (x + u) / k, k))
    assert check_invisible_share(share)
    assert check_importance(importance)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_level_probabilities, closed, "beyond the ends"),
    (check_level_probabilities, lambda m, s, k: closed(m, s, k) / closed(m, s, k).sum(), "divide"),
    (check_level_probabilities, lambda m, s, k: edges(m, s, k, 2 / (k - 1)), "Go half of the way"),
    (check_level_probabilities, lambda m, s, k: edges(m, s, k, 1 / k), "2 / levels wide"),
    (check_level_probabilities, density, "a density times a width"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(m, s, k).log(), "logarithms"),
    (
        check_level_probabilities,
        lambda m, s, k: level_probabilities(m, s, k)[:3],
        "one probability",
    ),
    (check_level_probabilities, lambda m, s, k: -level_probabilities(m, s, k).log(), "logarithms"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(m, s**2, k), "std is squared"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(-m, s, k), "yours downwards"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(0.0, s, k), "mean is left out"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(m, 1.0, k), "are not right"),
    (
        check_level_probabilities,
        lambda m, s, k: level_probabilities(max(-1, min(1, m)), s, k),
        "lowest level has 0.903",
    ),
    (check_level_probabilities, lambda m, s, k: level_probabilities(m, s, 17), "the 5 levels"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(m, s, k).cumsum(0), "up to"),
    (check_level_probabilities, lambda m, s, k: level_probabilities(m, s, k)[None], "one prob"),
    (check_level_probabilities, lambda m, s, k: 2 * level_probabilities(m, s, k), "up to 2.000"),
    (
        check_level_probabilities,
        lambda m, s, k: density(m, s, k) / density(m, s, k).sum(),
        "divided by their sum",
    ),
    (check_level_probabilities, lambda m, s, k: cut(m, s, grid(k)[1:]), "at the levels themselves"),
    (check_level_probabilities, lambda m, s, k: cut(m, s, grid(k)[:-1]), "at the levels themselv"),
    (check_level_probabilities, lambda m, s, k: cut(m, s, grid(k - 1)), "half way between"),
    (
        check_dequantised_bits,
        lambda f, x, u, k: bits(f, (x + u) / k, 1),
        "entropy of a density",
    ),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, 1 / k), "wrong sign"),
    (
        check_dequantised_bits,
        lambda f, x, u, k: math.log(2) * bits(f, (x + u) / k, k),
        "these are nats",
    ),
    (check_dequantised_bits, lambda f, x, u, k: 6 * bits(f, (x + u) / k, k), "bits per picture"),
    (
        check_dequantised_bits,
        lambda f, x, u, k: -f((x + u) / k) / math.log(2) + math.log2(k),
        "divide that by the number",
    ),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, x / k, k), "noise is missing"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / (k - 1), k), "divide by levels"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x - u) / k, k), "taken away from it"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, ((x + u) / k) ** 2, k), "are not right"),
    (check_dequantised_bits, lambda f, x, u, k: -bits(f, (x + u) / k, k), "is cheap"),
    (check_dequantised_bits, lambda f, x, u, k: -bits(f, (x + u) / k, 1 / k), "is cheap"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, 256), "not 256"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / 256, 256), "not 256"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + 0.5) / k, k), "half a level"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, x / k + u, k), "after it is added"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, x + u, k), "entropy of a density"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, k - 1), "divide by levels"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, k, 8), "number of examples"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, k, 48), "number of examples"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, k).mean(), "one for each"),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, k)[:, None], "one for each"),
    (
        check_dequantised_bits,
        lambda f, x, u, k: bits(f, (x + u) / k, math.exp(math.log(2) * math.log(k))),
        "in bits and the other in nats",
    ),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u) / k, k, 64), "Three parts"),
    (check_invisible_share, lambda b, e, m: 1 - share(b, e, m), "the other one is wanted"),
    (check_invisible_share, lambda b, e, m: share(b, e, m) * b.sum(), "bits themselves"),
    (check_invisible_share, lambda b, e, m: share(b, e, m, -1), "off by one"),
    (check_invisible_share, lambda b, e, m: share(b, e, m, 1), "off by one"),
    (check_invisible_share, lambda b, e, m: (b * (e <= m)).sum() / b.sum(), "good enough"),
    (check_invisible_share, lambda b, e, m: 0.725, "with a limit of 5"),
    (check_invisible_share, lambda b, e, m: 0.1, "is not 0.725"),
    (check_invisible_share, lambda b, e, m: 100 * share(b, e, m), "percent"),
    (check_invisible_share, lambda b, e, m: (e.sqrt() * 127.5 <= m).double().mean(), "add up"),
    (check_invisible_share, lambda b, e, m: share(b, 4 * e, m), "not 255"),
    (check_invisible_share, lambda b, e, m: b[0] / b.sum(), "only L_0"),
    (check_invisible_share, lambda b, e, m: share(b, e.square(), m), "take their root"),
    (check_invisible_share, lambda b, e, m: share(b.flip(0), e.flip(0), m), "is not 0.725"),
    (check_invisible_share, lambda b, e, m: share(b, e, 3.0), "for any limit"),
    (check_invisible_share, lambda b, e, m: share(b, e * 1.0001, m), "at most, not less"),
    (
        check_invisible_share,
        lambda b, e, m: b[:3].sum() / 4.0 if m == 3 else share(b, e, m),
        "four",
    ),
    (check_invisible_share, lambda b, e, m: b.cumsum(0) / b.sum(), "one number"),
    (check_importance, lambda v: importance(v, 2.0), "mean squares"),
    (
        check_importance,
        lambda v: (v.mean(1) / v.mean(1).sum(), v.mean(1)),
        "mean losses",
    ),
    (check_importance, lambda v: (v.square().mean(1).sqrt(), v.mean(1)), "do not add up"),
    (check_importance, lambda v: (importance(v)[0], 1 / importance(v)[0]), "sum over all T"),
    (check_importance, lambda v: (importance(v)[0], 4 * importance(v)[0]), "count less"),
    (check_importance, lambda v: (importance(v)[0], torch.ones(4)), "without factors"),
    (check_importance, lambda v: (importance(v)[0], torch.zeros(4)), "not 1 / (T p)"),
    (check_importance, lambda v: importance(v)[0], "two tensors"),
    (check_importance, lambda v: (torch.full((4,), 0.25), torch.ones(4)), "uniform chances"),
    (check_importance, lambda v: importance(v)[::-1], "come second"),
    (check_importance, lambda v: importance(v.T), "over the losses of each time"),
    (check_importance, lambda v: importance(v[:, -1:]), "not proportional"),
    (check_importance, lambda v: importance(1 / v), "not proportional"),
    (check_importance, lambda v: importance(v.mean(1, keepdim=True), 0.5), "not proportional"),
    (check_importance, lambda v: importance(v.std(1, keepdim=True)), "forgets the mean"),
    (check_importance, lambda v: (importance(v)[0], 2 * importance(v)[1]), "rows, not of losses"),
    (check_importance, lambda v: (importance(v)[0], importance(v)[1] ** 0.5), "counts half"),
    (
        check_importance,
        lambda v: (importance(v)[0], importance(v)[1] / importance(v)[1].mean()),
        "another mean",
    ),
    (
        check_importance,
        lambda v: (importance(v)[0], 1 / (4 * importance(v)[0])),
        "three times instead of four",
    ),
    (
        check_level_probabilities,
        lambda m, s, n: density(m, s, n) * (n - 1) / 2,
        "a difference of",
    ),
    (
        check_level_probabilities,
        lambda m, s, n: level_probabilities(m, s**0.5, n),
        "deviation already",
    ),
    (
        check_level_probabilities,
        lambda m, s, n: cut(m, s, torch.linspace(-1, 1, n + 1).double()[1:-1]),
        "into equal pieces",
    ),
    (
        check_level_probabilities,
        lambda m, s, n: cut(m, s, (torch.arange(n - 1) + 0.5).double() / (n - 1)),
        "from 0 to 1",
    ),
    (
        check_dequantised_bits,
        lambda f, x, u, k: bits(f, (x + torch.rand_like(u)) / k, k),
        "noise of your own",
    ),
    (check_dequantised_bits, lambda f, x, u, k: bits(f, (x + u - 0.5) / k, k), "leaves [0, 1)"),
    (check_importance, lambda q: importance(q, power=-1.0), "upside down"),
    (
        check_dequantised_bits,
        lambda f, x, u, k: (6 * bits(f, (x + u) / k, 1) + math.log2(k)) / 6,
        "per dimension already",
    ),
    (
        check_invisible_share,
        lambda b, e, k: share(b, (127 / 127.5) ** 2 * e, k),
        "a little more than yours",
    ),
]
