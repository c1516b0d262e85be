"""Each modulation is its own paper's formula, and the block that starts as nothing is nothing."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.nn.blocks import ResBlock
from course_lib.nn.embeddings import sinusoidal
from course_lib.nn.modulation import (
    MODULATIONS,
    Modulate,
    PixelNorm,
    TimedBlock,
    TimedNet,
    ada_gn,
    ada_in,
    ada_ln_zero,
    add,
    film,
)


@pytest.fixture
def h() -> torch.Tensor:
    return 3 + 2 * torch.randn(4, 8, 5, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def vector() -> torch.Tensor:
    return torch.randn(4, 10, generator=torch.Generator().manual_seed(2))


def numbers(layer: Modulate, vector: torch.Tensor) -> list[torch.Tensor]:
    """What the layer reads, in its order: shift, then scale, then gate."""
    read = F.linear(vector, layer.read.weight, layer.read.bias)
    return list(read.view(4, -1, 8, 1, 1).unbind(1))


def test_addition_is_ddpm_s(h, vector):
    layer = add(8, 10)
    found, gate = layer(h, vector)
    (shift,) = numbers(layer, vector)
    assert torch.equal(found, h + shift) and torch.equal(gate, torch.ones_like(gate))


def test_film_is_gamma_h_plus_beta(h, vector):
    layer = film(8, 10)
    beta, delta = numbers(layer, vector)
    torch.testing.assert_close(layer(h, vector)[0], (1 + delta) * h + beta)


def test_adain_gives_each_channel_the_mean_and_spread_of_the_style(h):
    """Huang & Belongie 2017, eq. 8, with the statistics of a style picture as what is read."""
    style = torch.randn(4, 8, 7, 7) * torch.rand(4, 8, 1, 1) + torch.randn(4, 8, 1, 1)
    mean, std = style.mean((2, 3)), style.var((2, 3), unbiased=False).sqrt()
    layer = ada_in(8, 16)
    with torch.no_grad():
        layer.read.weight.copy_(torch.eye(16))
        layer.read.bias.zero_()
    found, _ = layer(h, torch.cat([mean, std - 1], dim=1))
    torch.testing.assert_close(found.mean((2, 3)), mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((2, 3), unbiased=False), std, atol=1e-4, rtol=0)


def test_adain_forgets_the_scale_and_the_mean_of_what_comes_in(h, vector):
    layer = ada_in(8, 10)
    again = layer(5 * h - 7, vector)[0]
    torch.testing.assert_close(layer(h, vector)[0], again, atol=1e-4, rtol=0)


def test_adagn_is_the_residual_block_s_scale_and_shift(h, vector):
    """`ResBlock(inject="scale_shift")` is ADM's block; its modulated features are ours."""
    block = ResBlock(8, 8, 10, inject="scale_shift", groups=2)
    layer = ada_gn(8, 10, groups=2)
    scale, shift = block.time(vector)[:, :, None, None].chunk(2, dim=1)
    with torch.no_grad():  # theirs reads scale first, ours shift
        layer.read.weight.copy_(block.time.weight.roll(8, 0))
        layer.read.bias.copy_(block.time.bias.roll(8, 0))
    torch.testing.assert_close(layer(h, vector)[0], block.norm2(h) * (1 + scale) + shift)


def test_adaln_zero_normalises_each_pixel_and_has_a_gate(h, vector):
    layer = ada_ln_zero(8, 10)
    nn.init.normal_(layer.read.weight)
    shift, scale, gate = numbers(layer, vector)
    tokens = h.flatten(2).transpose(1, 2)
    normed = F.layer_norm(tokens, (8,), eps=1e-6).transpose(1, 2).view_as(h)
    found, found_gate = layer(h, vector)
    torch.testing.assert_close(found, normed * (1 + scale) + shift)
    torch.testing.assert_close(found_gate, gate)


def test_pixel_norm_gives_each_pixel_mean_0_and_variance_1(h):
    normed = PixelNorm()(h)
    assert normed.mean(1).abs().max() < 1e-5
    torch.testing.assert_close(normed.var(1, unbiased=False), torch.ones(4, 5, 6))


@pytest.mark.parametrize("name", MODULATIONS)
def test_every_block_starts_as_the_identity(name, vector):
    x = torch.randn(4, 16, 5, 5)
    block = TimedBlock(16, 10, name)
    assert torch.equal(block(x, vector), x)


@pytest.mark.parametrize("name", MODULATIONS)
def test_every_block_can_be_steered(name, vector):
    """One step from the start, the vector changes what comes out."""
    torch.manual_seed(0)
    block, x = TimedBlock(16, 10, name), torch.randn(4, 16, 5, 5)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.1)
    assert (block(x, vector) - block(x, -vector)).abs().mean() > 1e-3


def test_a_shift_survives_the_normalisation_that_follows(vector):
    """Groups hold several channels: what differs within a group is not divided out."""
    block = TimedBlock(16, 10, "add")
    assert block.after.num_channels // block.after.num_groups >= 3


@pytest.mark.parametrize("name", MODULATIONS)
def test_a_timed_net_starts_at_zero_and_learns(name):
    torch.manual_seed(0)
    net = TimedNet(lambda t: sinusoidal(t, 32), 32, name)
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 500, 1000])
    assert torch.equal(net(x, t), torch.zeros_like(x))
    (net(x, t) - x).square().mean().backward()
    assert net.out.weight.grad is not None and net.out.weight.grad.abs().sum() > 0


def test_numbers_beside_the_picture_reach_the_first_convolution():
    net = TimedNet(lambda t: t[:, None] / 1000, 1, beside=True)
    assert net.stem.in_channels == 2
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    for block in net.blocks:  # leave only the way through the picture
        nn.init.zeros_(block.modulate.read.weight)
    x = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(net(x, torch.tensor([10])), net(x, torch.tensor([900])))
