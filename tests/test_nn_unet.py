"""The U-Net and its blocks: shapes at every size, quiet starts, times and labels that matter."""

import pytest
import torch
from torch import nn

from course_lib.nn.blocks import Downsample, ResBlock, Upsample, group_norm
from course_lib.nn.unet import UNet
from course_lib.recipes import digits_unet, fashion_unet


def small(**options):
    torch.manual_seed(0)
    return UNet(**({"widths": (8, 16), "blocks": 1} | options))


def awake(net):
    """The same network with every zero-initialised layer given random weights."""
    torch.manual_seed(1)
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


@pytest.mark.parametrize("size", [28, 14, 7, 4, 5, 1])
@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("pad", ["even", "right"])
def test_any_size_comes_back_as_it_went_in(size, patch, pad):
    if pad == "right" and size == 1:
        pytest.skip("padding on one side only leaves nothing of one pixel")
    net = awake(small(in_channels=2, out_channels=3, patch=patch, pad=pad, attention_at=(1,)))
    out = net(torch.randn(2, 2, size, size + 2), torch.tensor([1, 1000]))
    assert out.shape == (2, 3, size, size + 2) and torch.isfinite(out).all()


@pytest.mark.parametrize("widths", [(8,), (8, 8, 8, 8), (8, 24, 16), (6, 10)])
def test_any_depth_and_width(widths):
    net = awake(small(widths=widths, blocks=2, attention_at=(0, len(widths) - 1)))
    assert net(torch.randn(2, 1, 9, 9), torch.tensor([1, 5])).shape == (2, 1, 9, 9)


@pytest.mark.parametrize("patch", [1, 2])
def test_a_new_network_says_zero(patch):
    out = small(patch=patch)(torch.randn(2, 1, 8, 8), torch.tensor([1, 5]))
    assert torch.equal(out, torch.zeros_like(out))


def test_time_matters_after_a_few_steps():
    net = small()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, wanted = torch.randn(8, 1, 8, 8), torch.randn(8, 1, 8, 8)
    t = torch.arange(0, 800, 100)
    for _ in range(3):
        optimizer.zero_grad()
        (net(x, t) - wanted).square().mean().backward()
        optimizer.step()
    assert (net(x, t) - net(x, t + 50)).abs().max() > 1e-5
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().sum() > 0, f"{name} does not learn"


@pytest.mark.parametrize("inject", ["add", "scale_shift"])
@pytest.mark.parametrize("widths", [(8, 16), (32, 64), (48, 96)])
def test_time_reaches_the_output(inject, widths):
    # With 32 groups of one channel, the norm after the time would subtract it again.
    net = awake(small(inject=inject, widths=widths))
    x = torch.randn(1, 1, 8, 8)
    assert (net(x, torch.tensor([10])) - net(x, torch.tensor([500]))).abs().max() > 1e-3


@pytest.mark.parametrize("channels", [6, 8, 16, 32, 48, 64, 96, 128, 144, 256, 384])
def test_normalising_a_group_leaves_what_a_time_adds(channels):
    norm = group_norm(channels)
    assert channels // norm.num_groups >= 3
    if channels in (128, 256, 384):  # the widths of DDPM's own networks
        assert norm.num_groups == 32
    torch.manual_seed(0)
    x, time = torch.randn(1, channels, 4, 4), torch.randn(1, channels, 1, 1)
    left = (norm(x + time) - norm(x)).square().mean().sqrt()
    assert left > 0.4


def test_examples_do_not_mix():
    net = awake(small(attention_at=(1,)))
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 50, 900])
    together = net(x, t)
    for i in range(3):
        alone = net(x[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_labels_matter_and_the_last_one_means_none():
    net, x, t = awake(small(num_classes=10)), torch.randn(1, 1, 8, 8), torch.tensor([5])
    outs = [net(x, t, label=torch.tensor([label])) for label in range(11)]
    assert min((a - b).abs().max() for a, b in zip(outs, outs[1:], strict=False)) > 1e-4
    assert net.label.num_embeddings == 11


def test_the_readers_are_the_networks_own_and_all_that_time_and_label_pass_through():
    torch.manual_seed(0)
    net = UNet(widths=(8, 16), blocks=1, groups=4, num_classes=3)
    for block in net.modules():
        if isinstance(block, ResBlock):
            torch.nn.init.normal_(block.conv2.weight, std=0.1)  # no longer its shortcut
    torch.nn.init.normal_(net.head.out.weight, std=0.1)
    x = torch.randn(2, 1, 8, 8)

    def at(t, k):
        return net(x, torch.tensor([t, t]), torch.tensor([k, k]))

    assert not torch.allclose(at(5, 0), at(900, 2), atol=1e-3)
    for block in net.readers()[2:]:  # without what blocks read, nothing of it arrives
        torch.nn.init.zeros_(block.weight)
    torch.testing.assert_close(at(5, 0), at(900, 2))
    assert {id(p) for p in net.readers().parameters()} < {id(p) for p in net.parameters()}
    assert len(UNet(widths=(8, 16), blocks=1).readers()) == len(net.readers()) - 1  # no table


def test_wrong_input_is_named():
    t = torch.tensor([5])
    with pytest.raises(ValueError, match="takes 1 channels, x_t has 3"):
        small()(torch.zeros(1, 3, 8, 8), t)
    with pytest.raises(ValueError, match="needs label="):
        small(num_classes=10)(torch.zeros(1, 1, 8, 8), t)
    with pytest.raises(ValueError, match="without num_classes"):
        small()(torch.zeros(1, 1, 8, 8), t, label=torch.tensor([1]))
    with pytest.raises(ValueError, match="patch must be 1 or 2, got 4"):
        small(patch=4)
    with pytest.raises(ValueError, match=r"resolutions 0\.\.1, got \[0, 2\]"):
        UNet(widths=(16, 32), attention_at=(0, 2))
    with pytest.raises(ValueError, match="unknown inject 'multiply'. Use one of: add, scale_shift"):
        small(inject="multiply")
    with pytest.raises(ValueError, match="unknown pad 'left'. Use one of: even, right"):
        Downsample(8, "left")


@pytest.mark.parametrize("inject", ["add", "scale_shift"])
def test_a_new_block_is_its_shortcut(inject):
    torch.manual_seed(0)
    x, embedding = torch.randn(2, 8, 4, 4), torch.randn(2, 12)
    same = ResBlock(8, 8, 12, inject=inject)
    assert torch.equal(same(x, embedding), x)
    wider = ResBlock(8, 16, 12, inject=inject)
    assert torch.equal(wider(x, embedding), wider.shortcut(x))


def test_scale_and_shift_come_after_the_second_norm():
    torch.manual_seed(0)
    block = ResBlock(4, 4, 6, inject="scale_shift", groups=2)
    nn.init.normal_(block.conv2.weight)
    x, embedding = torch.randn(3, 4, 5, 5), torch.randn(3, 6)
    silu = nn.functional.silu
    scale, shift = block.time(silu(embedding))[:, :, None, None].split(4, 1)
    h = block.norm2(block.conv1(silu(block.norm1(x)))) * (1 + scale) + shift
    torch.testing.assert_close(block(x, embedding), x + block.conv2(silu(h)))


def test_dropout_is_for_training_only():
    torch.manual_seed(0)
    block = ResBlock(8, 8, 12, dropout=0.5)
    nn.init.normal_(block.conv2.weight)
    x, embedding = torch.randn(1, 8, 4, 4), torch.randn(1, 12)
    assert not torch.equal(block(x, embedding), block(x, embedding))
    block.eval()
    assert torch.equal(block(x, embedding), block(x, embedding))


@pytest.mark.parametrize("size", range(1, 10))
def test_downsampling_even_halves_upwards_and_right_halves_downwards(size):
    x = torch.zeros(1, 4, size, size)
    assert Downsample(4, "even")(x).shape[-1] == (size + 1) // 2
    if size > 1:
        assert Downsample(4, "right")(x).shape[-1] == size // 2
    assert Upsample(4)(torch.zeros(1, 4, 4, 4), torch.Size([size, size])).shape[-1] == size


def test_padding_right_looks_below_and_to_the_right():
    down = Downsample(1, "right")
    nn.init.zeros_(down.conv.bias)
    nn.init.zeros_(down.conv.weight)
    down.conv.weight.data[0, 0, 0, 0] = 1.0  # picks the top left corner of each window
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(down(x)[0, 0], x[0, 0, ::2, ::2])


def test_the_courses_networks_have_their_sizes():
    digits, fashion = digits_unet(), fashion_unet()
    t = torch.tensor([1])
    assert digits(torch.zeros(1, 1, 8, 8), t).shape == (1, 1, 8, 8)
    assert fashion(torch.zeros(1, 1, 28, 28), t).shape == (1, 1, 28, 28)
    parameters = sum(p.numel() for p in fashion.parameters())
    assert 1e6 < parameters < 2.5e6  # small enough to ship as half-precision weights


def test_words_reach_the_output_and_their_padding_does_not():
    torch.manual_seed(0)
    net = UNet(3, 3, widths=(16, 32), blocks=1, attention_at=(1,), groups=8, context_dim=6)
    for weight in net.parameters():
        if weight.ndim > 1 and not weight.any():
            nn.init.normal_(weight, std=0.1)
    x, t, context = torch.randn(2, 3, 8, 8), torch.tensor([3, 700]), torch.randn(2, 5, 6)
    there = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    out = net(x, t, context=context, context_mask=there)
    torch.testing.assert_close(out[:1], net(x[:1], t[:1], context=context[:1, :3]))
    assert (net(x, t, context=context) - out).abs().amax((1, 2, 3))[0] > 1e-4
    torch.testing.assert_close(net(x, t, context=context.flip(1)), net(x, t, context=context))
    with pytest.raises(ValueError, match="needs context="):
        net(x, t)
    with pytest.raises(ValueError, match="built without context_dim"):
        UNet(widths=(16, 32))(torch.zeros(1, 1, 8, 8), t[:1], context=context[:1])


def test_a_block_without_a_time():
    torch.manual_seed(0)
    block, x = ResBlock(8, 12, 0, inject="none", groups=2), torch.randn(2, 8, 4, 4)
    assert block(x).shape == (2, 12, 4, 4)
    assert not any("time" in name for name, _ in block.named_parameters())
    with pytest.raises(ValueError, match="inject='none'"):
        block(x, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="inject='add'"):
        ResBlock(8, 8, 5, groups=2)(x)


def test_growing_without_a_skip_doubles():
    grow, x = Upsample(3), torch.randn(1, 3, 4, 5)
    assert torch.equal(grow(x), grow(x, torch.Size((8, 10))))


def test_whole_transformers_need_words():
    with pytest.raises(ValueError, match="spatial=True needs context_dim"):
        small(spatial=True)
    net = small(spatial=True, context_dim=6, attention_at=(0,), groups=4)
    x, context = torch.randn(2, 1, 8, 8), torch.randn(2, 3, 6)
    assert net(x, torch.ones(2), context=context).shape == x.shape
    with pytest.raises(ValueError, match="needs context"):
        net(x, torch.ones(2))


def test_deeper_where_pictures_are_small():
    torch.manual_seed(0)
    net = UNet(3, 3, widths=(8, 16), blocks=(1, 3), groups=4)
    assert [len(level["blocks"]) for level in net.down] == [1, 3]
    assert [len(level["blocks"]) for level in net.up] == [4, 2]
    assert net(torch.randn(2, 3, 8, 8), torch.tensor([1, 9])).shape == (2, 3, 8, 8)
    with pytest.raises(ValueError, match="2 resolutions need as many blocks"):
        UNet(widths=(8, 16), blocks=(1, 2, 3))


def test_skips_are_scaled_before_they_are_read():
    torch.manual_seed(0)
    plain = UNet(1, 1, widths=(8, 16), blocks=1, groups=4)
    for weight in plain.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    scaled = UNet(1, 1, widths=(8, 16), blocks=1, groups=4, skip_scale=0.5)
    scaled.load_state_dict(plain.state_dict())
    skips = []
    for unet in (plain, scaled):
        for level in unet.up:
            for block, _ in level["blocks"]:
                block.register_forward_pre_hook(lambda m, given: skips.append(given[0]))
        unet(torch.ones(1, 1, 8, 8), torch.tensor([5]))
    first, half = skips[0], skips[len(skips) // 2]  # the deepest block, of each
    torch.testing.assert_close(half[:, :16], first[:, :16])
    torch.testing.assert_close(half[:, 16:], first[:, 16:] / 2)
