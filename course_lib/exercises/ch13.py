"""The exercises of chapter 13: wavelengths, one formula, a block that wakes up, a clock."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.exercises.checking import equal, exercise, reject, require


def _waves(t: Tensor, lengths: Tensor, full: float = 2 * math.pi) -> Tensor:
    angle = t[:, None] * full / lengths
    return torch.cat([angle.sin(), angle.cos()], dim=1)


@exercise("the first wave is the shortest, the last the longest, and each is a factor longer")
def check_embed_waves(embed_waves: Callable[..., Any]) -> None:
    """Exercise 1: sines and cosines between two given wavelengths."""
    t = torch.tensor([0.0, 0.3, 2.0, 9.0, 17.0])
    lengths = 4 * 100 ** (torch.arange(4) / 3)  # 4 ... 400
    answer = torch.as_tensor(embed_waves(t, 8, 4.0, 400.0))
    require(
        answer.shape == (5, 8),
        f"five times with dim = 8 make an answer of shape [5, 8], not {list(answer.shape)}: dim / 2"
        " sines and as many cosines.",
    )
    reject(
        equal(answer, _waves(t, lengths, full=1.0)),
        "a wave of length L comes back after L, and sin(t / L) only after 2 pi L. Multiply by"
        " 2 pi.",
    )
    reject(
        equal(answer, _waves(t, 4 * 100 ** (torch.arange(4) / 4))),
        "the longest wave is too short: the exponent must run from 0 to exactly 1, so divide by"
        " one less than the number of waves.",
    )
    reject(
        equal(answer, _waves(t, torch.linspace(4, 400, 4))),
        "the lengths grow by equal steps. Let them grow by equal factors, so that every scale of"
        " time gets its share.",
    )
    reject(
        equal(answer, _waves(t, 1 / lengths)),
        "these are the frequencies' reciprocals the wrong way round: divide t by the wavelength.",
    )
    reject(
        equal(answer, _waves(t, lengths.flip(0))),
        "longest and shortest are swapped: the first column should be the shortest wave.",
    )
    both = _waves(t, lengths)
    woven = both.view(-1, 2, 4).transpose(1, 2).flatten(1)
    reject(
        equal(answer, woven),
        "right numbers in another order: first all the sines, then all the cosines. A linear layer"
        " would not mind, weights that were trained with one order would.",
    )
    reject(
        equal(answer, both.roll(4, 1)), "the cosines come first. Put the sines before the cosines."
    )
    require(
        equal(answer[:, 0], both[:, 0]),
        "the first column is not sin(2 pi t / shortest). The exponent starts at 0, and the first"
        " wavelength is the argument `shortest`, whatever it is.",
    )
    require(
        equal(answer[:, 3], both[:, 3]),
        "the last sine is not sin(2 pi t / longest). The exponent ends at 1, and the last"
        " wavelength is the argument `longest`, whatever it is.",
    )
    require(
        equal(answer[:, :4], both[:, :4]),
        "the first and the last sine are right, those between are not: each wavelength is the same"
        " factor longer than the one before.",
    )
    require(
        equal(answer, both),
        "the sines are right, and the second half is not the cosines of the same angles.",
    )
    another = 0.5 * 30 ** (torch.arange(6) / 5)
    require(
        equal(embed_waves(t, 12, 0.5, 15.0), _waves(t, another), 1e-3),
        "right for dim = 8, and not for dim = 12: how many waves there are is `dim // 2`.",
    )


def _steered(h: Tensor, scale: Tensor, shift: Tensor, groups: int, one: float = 1) -> Tensor:
    return (one + scale)[:, :, None, None] * F.group_norm(h, groups) + shift[:, :, None, None]


def _over(h: Tensor, groups: int, axes: tuple[int, ...], power: float, unbiased: bool) -> Tensor:
    """h less its mean, over a power of its variance, both over `axes` of [batch, group, rest]."""
    parts = h.reshape(len(h), groups, -1)
    var = parts.var(axes, keepdim=True, unbiased=unbiased)
    return ((parts - parts.mean(axes, keepdim=True)) / var**power).view_as(h)


@exercise("one formula, and AdaIN, AdaGN and FiLM are three values of `groups`")
def check_steer(steer: Callable[..., Any]) -> None:
    """Exercise 2: (1 + scale) * norm(h) + shift for every number of groups, and for none."""
    h = 2 + 3 * torch.randn(3, 8, 4, 5) * torch.linspace(0.2, 2, 8)[:, None, None]
    scale, shift = 0.3 * torch.randn(2, 3, 8)
    up, down = (1 + scale)[:, :, None, None], shift[:, :, None, None]
    plain = up * h + down
    film = steer(h, scale, shift, 0)
    reject(
        equal(film, (up - 1) * h + down),
        "the factor is 1 + scale: with scale = 0 everywhere, the features must pass unchanged.",
    )
    reject(
        equal(film, (1 + down) * h + up - 1),
        "scale and shift are swapped. All shapes fit: only the numbers tell.",
    )
    reject(equal(film, up * (h + down)), "the shift comes last: it is not scaled.")
    require(equal(film, plain), "with groups = 0 (FiLM) it is not (1 + scale) * h + shift.")
    named = {2: "AdaGN with two groups", 8: "AdaIN, a group for each channel", 1: "one group"}
    for groups, name in named.items():
        answer, right = steer(h, scale, shift, groups), _steered(h, scale, shift, groups)
        reject(equal(answer, plain), f"nothing is normalised when groups = {groups} ({name}).")
        reject(
            equal(answer, _steered(h, scale, shift, groups, one=0)),
            "the factor is 1 + scale, also after a normalisation.",
        )
        reject(
            equal(answer, F.group_norm(plain, groups)),
            "you normalise after scaling: that divides the scale out again. Normalise first.",
        )
        reject(
            groups == 2 and equal(answer, _steered(h, scale, shift, 4)),
            "`groups` is how many groups there are, not how many channels one holds.",
        )
        for fixed in {1, 2, 4, 8} - {groups}:
            reject(
                equal(answer, _steered(h, scale, shift, fixed)),
                f"groups = {groups} gives what groups = {fixed} should: use the argument `groups`.",
            )
        reject(
            any(
                equal(answer, up * _over(h, parts, (0, 2), 0.5, True) + down, atol=2e-2)
                for parts in (groups, 8)
            ),
            "mean and spread are taken over the whole batch: each example has its own.",
        )
        reject(
            equal(answer, up * _over(h, groups, (2,), 1, False) + down, atol=5e-3),
            "you divide by the variance: divide by its root.",
        )
        require(
            not equal(answer, up * _over(h, groups, (2,), 0.5, True) + down, atol=5e-3)
            or equal(answer, right, atol=5e-3),
            "the deviation is the unbiased one, over n - 1. A normalisation divides by n, so that"
            " the result has variance 1: unbiased=False.",
        )
        require(equal(answer, right, atol=5e-3), f"groups = {groups} does not give {name}.")
    small, scale, shift = torch.randn(2, 6, 3, 2), *torch.randn(2, 2, 6)
    require(
        equal(steer(small, scale, shift, 3), _steered(small, scale, shift, 3), atol=5e-3),
        "right for 8 channels of 4 x 5 pixels, and not for 6 of 3 x 2.",
    )
    given = {"h": small, "scale": scale, "shift": shift}
    _require_gradients(steer(*(x.requires_grad_() for x in given.values()), 3), given)


def _require_gradients(answer: Any, given: dict[str, Tensor]) -> None:
    """Whether a right answer can be learned through: a gradient for each of its arguments."""
    cut = "the values are right, but no gradient can pass"
    require(bool(answer.requires_grad), f"{cut}: the answer is detached.")
    found = torch.autograd.grad(answer.square().sum(), list(given.values()), allow_unused=True)
    for name, gradient in zip(given, found, strict=True):
        require(gradient is not None, f"{cut} to `{name}`: it is detached.")


class GatedBlock(nn.Module):
    """x + gate * conv((1 + scale) * norm(x) + shift), with ordinary random weights."""

    def __init__(self, channels: int = 4, dim: int = 3):
        super().__init__()
        self.read = nn.Linear(dim, 3 * channels)
        self.norm = nn.GroupNorm(1, channels, affine=False)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """Shift, scale and gate are read in this order."""
        shift, scale, gate = self.read(vector)[:, :, None, None].chunk(3, dim=1)
        return x + gate * self.conv((1 + scale) * self.norm(x) + shift)


@exercise("the block starts as nothing, whatever it is told, and wakes up at the first step")
def check_start_as_nothing(start_as_nothing: Callable[..., Any]) -> None:
    """Exercise 3: the block with weights that make it the identity and let it learn.

    Zeroing what reads the vector (or the gate's rows of it) is right, and so is zeroing the
    convolution: the gate is random then.
    """
    for channels, dim in ((4, 3), (6, 5)):
        _starts_and_wakes(start_as_nothing, GatedBlock(channels, dim), channels, dim)


def _starts_and_wakes(
    start: Callable[..., Any], block: GatedBlock, channels: int, dim: int
) -> None:
    x, vector = torch.randn(5, channels, 6, 6), torch.randn(5, dim)
    owned = list(block.parameters())
    before = [p.detach().clone() for p in owned]
    answer = start(block)
    require(answer is block, "return the block itself, with other weights.")
    after = list(block.parameters())
    reject(
        len(after) != len(owned) or any(a is not b for a, b in zip(owned, after, strict=True)),
        "a weight is a new tensor. An optimiser that was made before would go on changing the old"
        " one: write into it, nn.init.zeros_(...).",
    )
    reject(
        all(equal(a, b, 0) for a, b in zip(before, after, strict=True)),
        "no weight of the block has changed. Change them in place: nn.init.zeros_(...).",
    )
    out = block(x, vector)
    read, bias, conv = (p.detach() for p in (block.read.weight, block.read.bias, block.conv.weight))
    reject(
        not equal(out, x, 0) and equal(out, x),
        "nearly x, and not x: small weights are not zero.",
    )
    if not equal(out, x, 0):
        reject(
            equal(block(x, torch.zeros(5, dim)), x),
            "with the vector 0 the block is the identity, with another it is not: zero the weight"
            " too, not only the bias.",
        )
        reject(
            not bool(read[-channels:].any()) and bool(bias[-channels:].any()),
            "the bias of the layer that reads the vector is still random: zero it too.",
        )
        reject(
            not bool(read[:channels].any()) or not bool(read[channels : 2 * channels].any()),
            "shift or scale is 0, and the gate is not. The layer gives shift, scale and gate in"
            " this order, a number each per channel: the gate is the last third.",
        )
        reject(
            not bool(conv.any()),
            "the block's answer is not x: the convolution's bias still passes the gate. Zero it"
            " too, not only the weight.",
        )
    require(equal(out, x, 0), "the block's answer is not x.")
    require(
        all(p.requires_grad for p in after),
        "a weight is frozen (requires_grad is False), so it never learns. A 0 is enough.",
    )
    (out - torch.randn_like(x)).square().mean().backward()
    require(
        any(bool(p.grad.any()) for p in after if p.grad is not None),
        "gate and convolution are both 0. Each one's gradient has the other as a factor, so nothing"
        " ever moves again: the block is dead. Zero one of the two.",
    )


@exercise("a clock made of the coordinates that pictures leave alone")
def check_clock_error(clock_error: Callable[..., Any]) -> None:
    """Exercise 4: the Cramer-Rao bound on ln sigma behind a Gaussian picture."""
    for numbers, sigma in (
        ([4.0, 1.0, 0.25, 0.04, 0.0], 0.5),
        ([9.0, 2.0, 0.5, 0.1, 0.1, 0.01, 0.3], 1.7),
        ([0.0] * 8, 0.3),
    ):
        variances = torch.tensor(numbers, dtype=torch.float64)
        found = torch.as_tensor(clock_error(variances, sigma)).double()
        require(found.numel() == 1, "one number is wanted: all coordinates have the same sigma.")
        found = found.reshape(())
        square, many = sigma**2, len(numbers)

        def bound(share: Tensor, n: float = 2) -> Tensor:
            return (n * (share**2).sum()) ** -0.5

        share = square / (variances + square)  # of the noise in each coordinate's variance
        right, info = bound(share), 2 * (share**2).sum()
        for wrong, why in (
            (
                torch.tensor((2 * many) ** -0.5),
                "this is the clock of pure noise. Here a coordinate's variance is not sigma^2.",
            ),
            (
                (2 * share.sum()) ** -0.5,
                "a coordinate's share of noise is a factor of the derivative. The information is"
                " the derivative's variance: the share is squared.",
            ),
            (info, "this is the Fisher information. The deviation is one over its root."),
            (1 / info, "this is a variance, one over the information. A deviation is its root."),
            (
                bound(share, 1),
                "a factor of 2 is missing: the square of a standard normal has variance 2.",
            ),
            (
                bound(share, 0.5),
                "twice too large: per ln sigma a variance of sigma^2 changes by 2 sigma^2, per"
                " ln sigma^2 by half of that.",
            ),
            (sigma * right, "this is the deviation of sigma. That of its logarithm is asked."),
            (
                bound(1 / (variances + square)),
                "this is the clock of sigma^2: chain rule, d sigma^2 / d ln sigma = 2 sigma^2.",
            ),
            (
                bound(square / (variances**2 + square)),
                "`variances` are variances already: do not square them.",
            ),
            (
                bound(sigma / (variances + sigma)),
                "sigma is a deviation: the noise has the variance sigma^2.",
            ),
            (
                bound(1 - share),
                "these are the picture's shares. Where it varies, the noise is hard to see.",
            ),
            (
                bound(square / (variances.mean() + square) + 0 * variances),
                "you give each coordinate the mean variance. The flat ones know much more.",
            ),
            (
                ((variances + square) ** 2).sum().sqrt() / (2**0.5 * many * square),
                "this is a guess from the length of x. Better ones weigh each coordinate.",
            ),
        ):
            reject(equal(found, wrong, 1e-5) and not equal(wrong, right, 1e-5), why)
        require(
            equal(found, right, 1e-5),
            "not the bound. What variance has coordinate i of x, and by how much does it change"
            " with ln sigma? Then steps (1) to (3) of section 6.",
        )
