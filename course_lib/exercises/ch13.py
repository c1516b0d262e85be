"""The exercises of chapter 13: wavelengths, one formula, a block that wakes up, mixed styles."""

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
    t = torch.tensor([0.0, 0.3, 2.0, 17.0, 90.0])
    lengths = 4 * 100 ** (torch.arange(4) / 3)  # 4 ... 400
    answer = embed_waves(t, 8, 4.0, 400.0)
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
    require(equal(answer, both), "not the sines, then the cosines, of 2 pi t / wavelength.")


def _steered(h: Tensor, scale: Tensor, shift: Tensor, groups: int, one: float = 1) -> Tensor:
    return (one + scale)[:, :, None, None] * F.group_norm(h, groups) + shift[:, :, None, None]


@exercise("one formula, and AdaIN, AdaGN and FiLM are three values of `groups`")
def check_steer(steer: Callable[..., Any]) -> None:
    """Exercise 2: (1 + scale) * norm(h) + shift for every number of groups, and for none."""
    h = 2 + 3 * torch.randn(3, 8, 4, 5) * torch.linspace(0.2, 2, 8)[:, None, None]
    scale, shift = 0.3 * torch.randn(2, 3, 8)
    plain = (1 + scale)[:, :, None, None] * h + shift[:, :, None, None]
    film = steer(h, scale, shift, 0)
    reject(
        equal(film, scale[:, :, None, None] * h + shift[:, :, None, None]),
        "the factor is 1 + scale: with scale = 0 everywhere, the features must pass unchanged.",
    )
    require(equal(film, plain), "with groups = 0 (FiLM) it is not (1 + scale) * h + shift.")
    for groups, name in ((8, "AdaIN, a group for each channel"), (2, "AdaGN with two groups")):
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
            groups == 2 and equal(answer, _steered(h, scale, shift, 8)),
            "every channel is normalised by itself, whatever `groups` says.",
        )
        reject(
            groups == 2 and equal(answer, _steered(h, scale, shift, 4)),
            "`groups` is how many groups there are, not how many channels one holds.",
        )
        across = h.reshape(3, groups, -1)
        std = across.std((0, 2), keepdim=True)
        batch = ((across - across.mean((0, 2), keepdim=True)) / std).view_as(h)
        mixed = (1 + scale)[:, :, None, None] * batch + shift[:, :, None, None]
        reject(
            equal(answer, mixed, atol=2e-2),
            "mean and spread are taken over the whole batch: each example has its own.",
        )
        require(equal(answer, right, atol=5e-3), f"groups = {groups} does not give {name}.")


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
    """Exercise 3: the block with weights that make it the identity and let it learn."""
    block, x, vector = GatedBlock(), torch.randn(5, 4, 6, 6), torch.randn(5, 3)
    before = [p.detach().clone() for p in block.parameters()]
    answer = start_as_nothing(block)
    require(answer is block, "return the block itself, with other weights.")
    changed = [not equal(a, b, 0) for a, b in zip(before, block.parameters(), strict=True)]
    reject(
        not any(changed),
        "no weight of the block has changed. Change them in place: nn.init.zeros_(...).",
    )
    still = torch.zeros(5, 3)
    out = block(x, vector)
    reject(
        equal(block(x, still), x) and not equal(out, x),
        "with the vector 0 the block is the identity, with another it is not: zero the weight too,"
        " not only the bias.",
    )
    reject(
        not bool(block.read.weight.detach().any()) and not equal(out, x),
        "the bias of the layer that reads the vector is still random: zero it too.",
    )
    require(equal(out, x, 0), "the block's answer is not x.")
    (block(x, vector) - torch.randn_like(x)).square().mean().backward()
    moved = [p.grad is not None and bool(p.grad.abs().max() > 0) for p in block.parameters()]
    reject(
        not any(moved),
        "gate and convolution are both 0. Each one's gradient has the other as a factor, so nothing"
        " ever moves again: the block is dead. Zero one of the two.",
    )
    require(
        moved[0],
        "the gate gets no gradient. Zero what reads the vector, and leave the convolution random.",
    )


@exercise("coarse styles up to the crossover, fine ones from there on")
def check_mixed(mixed: Callable[..., Any]) -> None:
    """Exercise 4: the styles of a picture with the form of one and the finish of another."""
    a, b = torch.randn(2, 3, 6, 5)
    for crossover in (2, 5, 0, 6):
        answer = mixed(a, b, crossover)
        right = torch.cat([a[:, :crossover], b[:, crossover:]], 1)
        swapped = torch.cat([b[:, :crossover], a[:, crossover:]], 1)
        reject(
            crossover in (2, 5) and equal(answer, swapped),
            "coarse and fine are swapped: the first layers belong to the coarse picture.",
        )
        later = torch.cat([a[:, : crossover + 1], b[:, crossover + 1 :]], 1)
        reject(
            crossover in (2, 5) and equal(answer, later),
            "one layer too many is coarse: layers 0 to crossover - 1 are.",
        )
        reject(
            equal(answer, (a + b) / 2),
            "this is an average of the two at every layer. Mixing switches between them.",
        )
        require(
            equal(answer, right),
            f"with crossover {crossover}, layers below it are not those of the coarse picture and"
            " the others those of the fine one.",
        )
