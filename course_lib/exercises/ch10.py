"""The exercises of chapter 10: bins, dequantisation, invisible bits, and which times to draw."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from course_lib.exercises.checking import equal, exercise, reject, require, two


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
        reject(
            equal(answer, right.log()) or equal(answer, -right.log()),
            "these are logarithms. Return the probabilities.",
        )
        reject(equal(answer, right.flip(0)), "the levels run from -1 upwards, yours downwards.")
        reject(
            equal(answer, right.cumsum(0)),
            "these are the chances of all levels up to each: take differences.",
        )
        centred, other = Normal(torch.zeros_like(x[0]), std), Normal(law.mean, std**2)
        reject(
            equal(answer, _open(centred.cdf(x - half), centred.cdf(x + half))),
            "the mean is left out.",
        )
        reject(
            equal(answer, _open(other.cdf(x - half), other.cdf(x + half))),
            "std is squared: Normal takes a standard deviation.",
        )
        reject(
            equal(answer, law.log_prob(x).softmax(0)),
            "the densities at the levels, divided by their sum, are not the masses of the bins.",
        )
        reject(
            equal(answer, law.log_prob(x).exp()),
            "these are densities. A probability is what lies between two edges: a difference of"
            " cdf.",
        )
        other = Normal(law.mean, std**0.5)
        reject(
            equal(answer, _open(other.cdf(x - half), other.cdf(x + half))),
            "`std` is a standard deviation already: no root.",
        )
        even = torch.linspace(-1, 1, levels + 1, dtype=torch.float64)[1:-1]
        reject(
            equal(answer, _cut(law, even)),
            "you cut [-1, 1] into equal pieces. But the lowest and the highest level stand at -1"
            " and 1 themselves, so the levels are 2 / (levels - 1) apart.",
        )
        reject(
            equal(answer, _cut(law, (torch.arange(levels - 1) + 0.5).double() / (levels - 1))),
            "your levels run from 0 to 1. They run from -1 to 1.",
        )
        reject(
            abs(float(torch.as_tensor(answer).double().sum()) - 1) > 1e-3,
            f"the probabilities add up to {float(torch.as_tensor(answer).double().sum()):.3f}.",
        )
        reject(
            equal(answer, _cut(law, x[1:])) or equal(answer, _cut(law, x[:-1])),
            "you cut at the levels themselves. Cut half way between two of them.",
        )
        require(
            equal(answer, right),
            f"for mean {mean}, std {std} and {levels} levels the probabilities are not right: the"
            f" lowest level has {float(right[0]):.3f}, the highest {float(right[-1]):.3f}. Are the"
            " inner edges half way between the levels?",
        )


def _cut(law: Normal, edges: Tensor) -> Tensor:
    """The masses between the edges, and beyond them."""
    below = law.cdf(edges)
    return torch.cat([below.new_zeros(1), below, below.new_ones(1)]).diff()


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
    require(
        torch.as_tensor(answer).shape == (8,),
        f"for 8 examples of {dims} dimensions return 8 numbers, one for each example.",
    )

    def bits(x: Tensor, width: float = 1 / levels, count: int = dims) -> Tensor:
        return -log_density(x) / count / math.log(2) - math.log2(width)

    unit = (pixels + noise) / levels
    nats, right = -log_density(unit), bits(unit)
    reject(
        equal(answer, bits(unit, 1)) or equal(answer, bits(pixels + noise)),
        "this is the entropy of a density, and it changes with the units. A grey level has the"
        " width 1 / levels: add log2(levels), once the pixels are divided by levels.",
    )
    reject(
        equal(answer, bits(unit, levels)), "the width of a grey level enters with the wrong sign."
    )
    reject(
        equal(answer, -bits(unit, levels)) or equal(answer, -right),
        "a likely picture is cheap: minus the logarithm of the density.",
    )
    reject(
        equal(answer, nats / dims + math.log(levels)), "these are nats: divide by log 2 for bits."
    )
    reject(
        equal(answer, nats / dims / math.log(2) + math.log(levels))
        or equal(answer, nats / dims + math.log2(levels)),
        "one half is in bits and the other in nats: log2 for the width, and nats / log 2.",
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
    reject(
        equal(answer, (nats / math.log(2) + math.log2(levels)) / dims),
        "log2(levels) is per dimension already: only the rest is divided by their number.",
    )
    reject(
        equal(answer, bits(unit, count=8)) or equal(answer, bits(unit, count=8 * dims)),
        "the log-density is of one example: divide by its dimensions, not by the number of"
        " examples.",
    )
    reject(
        equal(answer, bits(unit, 1 / 256)) or equal(answer, bits((pixels + noise) / 256, 1 / 256)),
        f"here are {levels} levels, not 256.",
    )
    reject(
        equal(answer, bits(pixels / levels)),
        "the noise is missing: a density can be as large as it likes on 17 points. (Here pixel 0"
        " costs infinitely many bits.)",
    )
    reject(
        equal(answer, bits((pixels + 0.5) / levels)),
        "half a level for everyone is not noise. Add the noise that is given.",
    )
    reject(
        equal(answer, bits(pixels / levels + noise)),
        "the noise fills one grey level: divide by levels after it is added.",
    )
    short = (pixels + noise) / (levels - 1)
    reject(
        equal(answer, bits(short))
        or equal(answer, bits(short, 1 / (levels - 1)))
        or equal(answer, bits(unit, 1 / (levels - 1))),
        "pixel + noise runs from 0 to levels, so divide by levels to fill [0, 1).",
    )
    middle = (pixels + noise - 0.5) / levels
    reject(
        equal(answer, bits(middle)) or bool(torch.as_tensor(answer).isnan().any()),
        "a pixel leaves [0, 1): is something taken away from it? The noise goes from 0 to 1, and"
        " fills the level from below.",
    )
    reject(
        not equal(answer, dequantised_bits(log_density, pixels, noise, levels), atol=1e-9),
        "two calls differ: you draw noise of your own. Use the noise that is given.",
    )
    both = 2 * unit - 1
    reject(
        equal(answer, bits(both.abs())) or equal(answer, bits(both.abs()) - 1),
        "`log_density` takes the scale [0, 1), not [-1, 1).",
    )
    require(
        equal(answer, right),
        "the bits per dimension are not right. Three parts: the density at (pixels + noise) /"
        " levels, in bits and per dimension; its sign; and log2(levels).",
    )


@exercise("most of a file is spent on what nobody sees")
def check_invisible_share(invisible_share: Callable[..., Any]) -> None:
    """Exercise 3: which share of the bits arrives when the guess is as good as it needs to be."""
    bits = torch.tensor([1.5, 0.8, 0.6, 0.4, 0.3, 0.25, 0.15], dtype=torch.float64)  # L_0 ... L_6
    levels = torch.tensor([1.0, 2.0, 2.75, 15.0, 19.0, 45.0, 60.0]).double()
    errors, limit = (levels / 127.5).square(), 3.0
    answer = invisible_share(bits, errors, limit)
    require(
        torch.as_tensor(answer).numel() == 1 and torch.as_tensor(answer).ndim == 0,
        "return one number, a share.",
    )

    def share(until: int) -> Tensor:  # the rows before this one
        return bits[:until].sum() / bits.sum()

    right = share(3)
    reject(
        equal(answer, 1 - right),
        "this is the share that arrives while the error is still visible: the other one is wanted.",
    )
    reject(
        equal(answer, bits[:3].sum()),
        "these are the bits themselves. Divide by all bits, for a share of them.",
    )
    reject(equal(answer, 100 * right), "this is in percent. Return a share, from 0 to 1.")
    reject(
        equal(answer, 3 / 7),
        "you count steps. Steps cost different numbers of bits: add up the bits.",
    )
    reject(
        equal(answer, share(2)) or equal(answer, share(4)),
        "off by one: entry t - 1 is L_{t-1}, and the error of the guess at t, before these bits"
        " arrive. At t = 3 the guess is good enough, so it can do without L_2, L_1 and L_0.",
    )
    reject(
        equal(answer, 1.0),
        "every guess counts as good enough. The errors are squared and in units of [-1, 1]: a grey"
        " level is 2 / 255, so multiply the root by 127.5.",
    )
    reject(
        equal(answer, share(1)),
        "only L_0 counts as invisible. Is it the root of the errors, times 127.5 (and not 255),"
        " that you compare with the limit? And the largest t with a good guess that you look for?",
    )
    reject(
        equal(answer, share(5)),
        "the errors are squared: take their root, then multiply by 127.5.",
    )
    require(
        equal(answer, right),
        f"for a limit of 3 grey levels the share is not {float(right):.3f}. (The errors are"
        f" {', '.join(f'{v:g}' for v in levels.tolist())} levels, from t = 1 upwards.)",
    )
    for other, until in ((5.0, 3), (50.0, 6), (1.5, 1)):
        require(
            equal(invisible_share(bits, errors, other), share(until)),
            f"with a limit of {other:g} grey levels the share is {float(share(until)):.3f}: is your"
            " function's answer for any limit?",
        )
    exact = 4.0 ** -torch.arange(7.0, 0.0, -1.0).double()  # 127.5 / 128, 127.5 / 64 ... levels
    require(
        equal(invisible_share(bits, exact, 127.5 / 64), share(2)),
        "a guess that is off by the limit itself is good enough: at most, not less than.",
    )
    require(
        equal(invisible_share(bits, exact, 127.25 / 64), share(1)),
        "from [-1, 1] to 0 ... 255 is a factor of 127.5, a little more than yours.",
    )
    require(
        equal(invisible_share(bits, errors, 100.0), 1.0),
        "with a limit of 100 grey levels every guess will do: the share is 1.",
    )
    require(
        equal(invisible_share(bits[:4], errors[:4], limit), bits[:3].sum() / bits[:4].sum()),
        "with fewer steps, four instead of seven, the share is not right.",
    )


@exercise("often where it matters, and unbiased all the same")
def check_importance(importance: Callable[..., Any]) -> None:
    """Exercise 4: chances and factors of times, from what each has lost lately."""
    losses = torch.tensor([[3.0, 3.0], [1.0, 7.0], [1.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    answer = importance(losses)
    answer = two(answer, "return two tensors: the chances, and the factors of the losses.")
    p, weight = (torch.as_tensor(part) for part in answer)
    require(
        p.shape == weight.shape == (4,),
        f"for a table of 4 times and 2 losses return 4 chances and 4 factors, not {list(p.shape)}"
        f" and {list(weight.shape)}: the mean goes over the losses of each time.",
    )
    size = losses.square().mean(1).sqrt()
    right = size / size.sum()
    square, plain = size.square() / size.square().sum(), losses.mean(1) / losses.mean(1).sum()
    reject(
        equal(p, square),
        "the chances are proportional to the mean squares: take the root.",
    )
    reject(
        equal(p, plain),
        "the chances are proportional to the mean losses. A time whose loss swings, as the second"
        " one here, deserves more draws: take the root of the mean square.",
    )
    reject(equal(p, size), "the chances do not add up to 1: divide by their sum.")
    reject(
        equal(p, 1 / (len(right) * right)),
        "the factors come second: return the chances, then the factors.",
    )
    reject(
        equal(p, torch.full_like(p, 1 / len(p))),
        "these are uniform chances. Times with large losses deserve more draws.",
    )
    reject(
        equal(p, losses.std(1) / losses.std(1).sum()),
        "a standard deviation forgets the mean: the third time would never be drawn. Take the root"
        " of the mean square.",
    )
    reject(
        equal(p, (1 / size) / (1 / size).sum()),
        "upside down: times with large losses deserve more draws, not fewer.",
    )
    require(
        equal(p, right),
        "the chances are not proportional to the root mean squares: those of the four times are"
        f" {', '.join(f'{v:.3g}' for v in size.tolist())}.",
    )
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
    reject(
        equal(weight, 1 / (losses.shape[1] * right)),
        "T is the number of times, the rows, not of losses that are kept.",
    )
    fair = 1 / (len(right) * right)
    reject(
        equal(weight, fair / fair.mean()) or equal(weight, fair / fair.sum()),
        "scaled once more, the factors estimate another mean: they are 1 / (T p) as they stand.",
    )
    require(
        equal(weight, fair),
        "the factors are not 1 / (T p): drawn twice as often as with chances 1 / T, a time counts"
        " half.",
    )
    p, weight = (torch.as_tensor(part) for part in importance(losses[:3]))
    require(
        equal(p, size[:3] / size[:3].sum()) and equal(weight, size[:3].sum() / (3 * size[:3])),
        "for three times instead of four the answer is not right.",
    )
