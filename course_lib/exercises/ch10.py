"""The exercises of chapter 10: bins, dequantisation, invisible bits, and which times to draw."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("all grey levels together have probability 1, whatever the network says")
def check_level_probabilities(level_probabilities: Callable[..., Any]) -> None:
    """Exercise 1: the probability of each grey level under a Gaussian that is cut into bins."""
    for mean, std, levels in ((0.3, 0.6, 17), (-1.4, 0.5, 5), (0.95, 0.05, 256)):
        answer = level_probabilities(mean, std, levels)
        x = torch.linspace(-1, 1, levels, dtype=torch.float64)
        law, half = Normal(torch.tensor(mean, dtype=x.dtype), std), 1 / (levels - 1)
        below, above = law.cdf(x - half), law.cdf(x + half)
        right = _open(below, above)
        require(
            torch.as_tensor(answer).shape == x.shape,
            f"return one probability for each of the {levels} levels.",
        )
        reject(
            equal(answer, above - below),
            f"the levels share {float((above - below).sum()):.3f} for mean {mean} and std {std}."
            " The rest lies beyond the ends: the lowest level owns everything below it, the highest"
            " everything above.",
        )
        reject(
            equal(answer, (above - below) / (above - below).sum()),
            "you divide by the sum. Then every level's price depends on what lies outside; the"
            " paper gives the mass beyond the ends to the end levels.",
        )
        wide, narrow = 2 * half, 1 / levels
        reject(
            equal(answer, _open(law.cdf(x - wide), law.cdf(x + wide))),
            "the bins overlap: each reaches to its neighbours' centres. Go half of the way.",
        )
        reject(
            equal(answer, _open(law.cdf(x - narrow), law.cdf(x + narrow))),
            "the bins are 2 / levels wide, so they leave gaps: levels from -1 to 1 are"
            " 2 / (levels - 1) apart.",
        )
        reject(
            equal(answer, law.log_prob(x).exp() * 2 * half),
            "a density times a width is a probability only where the bin is narrow; and nobody owns"
            " the ends.",
        )
        reject(equal(answer, right.log()), "these are logarithms. Return the probabilities.")
        require(
            equal(answer, right),
            f"for mean {mean}, std {std} and {levels} levels the probabilities are not right.",
        )


def _open(below: Tensor, above: Tensor) -> Tensor:
    below, above = below.clone(), above.clone()
    below[0], above[-1] = 0, 1
    return above - below


@exercise("a density, made into bits that may be compared with a file")
def check_dequantised_bits(dequantised_bits: Callable[..., Any]) -> None:
    """Exercise 2: bits per dimension of whole-number pixels, from a density on [0, 1)."""
    levels, dims = 17, 6
    pixels, noise = torch.randint(0, levels, (8, dims)).double(), torch.rand(8, dims).double()

    def log_density(x: Tensor) -> Tensor:  # nats per example: 2x in each coordinate
        return (2 * x).log().sum(1)

    answer = dequantised_bits(log_density, pixels, noise, levels)
    nats = -log_density((pixels + noise) / levels)
    right = nats / dims / math.log(2) + math.log2(levels)
    reject(
        equal(answer, right - math.log2(levels)),
        "this is the entropy of a density, and it changes with the units. A grey level has the"
        " width 1 / levels: add log2(levels).",
    )
    reject(
        equal(answer, right - 2 * math.log2(levels)),
        "the width of a grey level enters with the wrong sign.",
    )
    reject(
        equal(answer, nats / dims + math.log(levels)), "these are nats: divide by log 2 for bits."
    )
    reject(
        equal(answer, nats / math.log(2) + dims * math.log2(levels)),
        "these are bits per picture: divide by the number of dimensions.",
    )
    reject(
        equal(answer, nats / math.log(2) + math.log2(levels)),
        "log2(levels) is per dimension, and the rest is per picture: divide that by the number of"
        " dimensions too.",
    )
    bare = -log_density(pixels / levels) / dims / math.log(2) + math.log2(levels)
    reject(
        equal(answer, bare),
        "the noise is missing: a density can be as large as it likes on 17 points. (Here pixel 0"
        " costs infinitely many bits.)",
    )
    off = -log_density((pixels + noise) / (levels - 1)) / dims / math.log(2)
    reject(
        equal(answer, off + math.log2(levels)) or equal(answer, off + math.log2(levels - 1)),
        "pixel + noise runs from 0 to levels, so divide by levels to fill [0, 1).",
    )
    require(equal(answer, right), "the bits per dimension are not right.")


@exercise("most of a file is spent on what nobody sees")
def check_invisible_share(invisible_share: Callable[..., Any]) -> None:
    """Exercise 3: which share of the bits arrives when the guess is as good as it needs to be."""
    bits = torch.tensor([1.5, 0.6, 0.4, 0.3, 0.2], dtype=torch.float64)  # L_0 ... L_4
    errors = (torch.tensor([1.0, 2.0, 5.0, 20.0, 60.0]) / 127.5).double().square()
    answer, right = invisible_share(bits, errors, 3.0), (1.5 + 0.6) / 3.0
    reject(
        equal(answer, 1 - right),
        "this is the share that arrives while the error is still visible: the other one is wanted.",
    )
    reject(
        equal(answer, 2.1),
        "these are the bits themselves. Divide by all bits, for a share of them.",
    )
    reject(
        equal(answer, 1.5 / 3.0) or equal(answer, 2.5 / 3.0),
        "off by one: row t - 1 holds L_{t-1}, and the error of the guess at t, before these bits"
        " arrive. At t = 2 the guess is good enough, so L_1 and L_0 are what it can do without.",
    )
    reject(
        equal(answer, 1.0),
        "every guess counts as good enough. The errors are squared and in units of [-1, 1]: a grey"
        " level is 2 / 255, so multiply the root by 127.5.",
    )
    reject(
        equal(answer, 1.5 / 3.0 + 0.4 / 3.0),
        "rows are out of order: row 0 is the last step of the decoder.",
    )
    require(equal(answer, right), "for a limit of 3 grey levels the share is not 0.7.")
    late = invisible_share(bits, errors, 100.0)
    require(
        equal(late, 1.0), "with a limit of 100 grey levels every guess will do: the share is 1."
    )


@exercise("often where it matters, and unbiased all the same")
def check_importance(importance: Callable[..., Any]) -> None:
    """Exercise 4: chances and factors of times, from what each has lost lately."""
    losses = torch.tensor([[3.0, 3.0], [1.0, 7.0], [1.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    answer = importance(losses)
    require(
        isinstance(answer, tuple) and len(answer) == 2,
        "return two tensors: the chances, and the factors of the losses.",
    )
    p, weight = (torch.as_tensor(part) for part in answer)
    size = losses.square().mean(1).sqrt()
    right = size / size.sum()
    square, plain = size.square() / size.square().sum(), losses.mean(1) / losses.mean(1).sum()
    reject(
        equal(p, square),
        "the chances are proportional to the mean squares: take the root (eq. 18 of the paper).",
    )
    reject(
        equal(p, plain),
        "the chances are proportional to the mean losses. A time whose loss swings, as the second"
        " one here, deserves more draws: take the root of the mean square.",
    )
    reject(equal(p, size), "the chances do not add up to 1.")
    require(equal(p, right), "the chances are not proportional to the root mean squares.")
    reject(
        equal(weight, 1 / right),
        "with 1 / p the mean estimates the sum over all T times. For their mean, as with uniform"
        " draws, divide by T as well.",
    )
    reject(
        equal(weight, len(right) * right),
        "times that are drawn often must count less, not more: divide by T p.",
    )
    reject(
        equal(weight, torch.ones_like(right)),
        "without factors the frequent times count more, and the loss is another one.",
    )
    require(equal(weight, 1 / (len(right) * right)), "the factors are not 1 / (T p).")
