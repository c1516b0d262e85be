"""A U-Net's list of parts, read off the module; and the same network with a part taken out."""

import copy

import pytest
import torch
from torch import nn

from course_lib.models.published import cifar10_unet
from course_lib.nn.ablations import without_attention, without_norm, without_skips
from course_lib.nn.anatomy import anatomy, feature_maps, multiply_adds
from course_lib.nn.attention import SelfAttention2d
from course_lib.nn.blocks import Downsample, ResBlock, Upsample
from course_lib.nn.unet import UNet
from course_lib.recipes import fashion_unet, flat_unet, small_unet


def awake(net):
    """The same network with every zero-initialised layer given random weights."""
    torch.manual_seed(1)
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


NETS = [
    (small_unet, 14),
    (fashion_unet, 28),
    (flat_unet, 14),
    (lambda: UNet(2, 3, widths=(8, 8), blocks=3, patch=2, attention_at=(0, 1), num_classes=4), 9),
]


@pytest.mark.parametrize(("make", "size"), NETS)
def test_the_parts_are_the_whole(make, size):
    net = make()
    parts = anatomy(net, size)
    outside = [net.time] + ([net.label] if net.label is not None else [])
    rest = sum(p.numel() for module in outside for p in module.parameters())
    assert sum(part.parameters for part in parts) + rest == sum(p.numel() for p in net.parameters())
    assert parts[0].takes == (net.in_channels, size, size)
    assert parts[-1].gives[1:] == (size, size)


@pytest.mark.parametrize(("make", "size"), NETS)
def test_what_one_part_gives_the_next_one_takes_with_its_skip(make, size):
    parts = anatomy(make(), size)
    left = {p.skip: p.gives for p in parts if p.skip is not None and not p.name.startswith("up")}
    read = [p for p in parts if p.name.startswith("up") and p.kind == "block"]
    assert [p.skip for p in read] == sorted(left, reverse=True)
    for before, part in zip(parts, parts[1:], strict=False):
        wanted = before.gives
        if part in read:
            skip = left[part.skip]
            assert skip[1:] == before.gives[1:]
            wanted = (before.gives[0] + skip[0], *before.gives[1:])
        assert part.takes == wanted


def test_a_part_s_operations_are_those_of_its_layers():
    parts = {part.name: part for part in anatomy(small_unet(), 14)}
    assert parts["stem"].flops == 2 * 9 * 1 * 12 * 14 * 14
    assert parts["down.1.shrink"].gives == (24, 4, 4)
    assert parts["down.1.shrink"].flops == 2 * 9 * 24 * 24 * 4 * 4
    assert parts["middle.1"].flops == 4 * 2 * 16 * 24 * 24 + 2 * 2 * 16 * 16 * 24
    assert parts["down.1.blocks.0"].attention and not parts["down.0.blocks.0"].attention
    assert parts["up.1.grow"].gives == (24, 14, 14)


def test_the_published_network_has_35_746_307_parameters():
    with torch.device("meta"):
        net = cifar10_unet()
    assert sum(p.numel() for p in net.parameters()) == 35_746_307


def test_reading_a_network_leaves_no_hook_behind():
    net = small_unet()
    anatomy(net, 14)
    feature_maps(net, torch.randn(2, 1, 14, 14), torch.tensor([1, 2]))
    for module in net.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks


def test_feature_maps_are_what_the_parts_give():
    net = awake(small_unet())
    x_t, t = torch.randn(3, 1, 14, 14), torch.tensor([1, 500, 1000])
    maps = feature_maps(net, x_t, t)
    parts = anatomy(net, 14)
    assert list(maps) == [part.name for part in parts]
    assert all(maps[part.name].shape == (3, *part.gives) for part in parts)
    assert torch.equal(maps["stem"], net.stem(x_t)) and torch.equal(maps["head"], net(x_t, t))


# ---- parts taken out ----------------------------------------------------------------------------


def test_without_skips_the_way_up_hears_nothing_of_them():
    net, read = awake(without_skips(small_unet())), []
    last = net.up[2]["blocks"][1][0]  # which would read what the first convolution left
    last.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    net(torch.randn(2, 1, 14, 14), torch.tensor([5, 6]))
    assert not read[0][:, -12:].any() and read[0][:, :-12].any()


def test_a_picture_reaches_the_end_of_a_network_without_skips_only_through_the_bottom():
    net = awake(without_skips(small_unet()))
    block = net.middle[2].register_forward_hook(lambda _, __, out: torch.zeros_like(out))
    t = torch.tensor([5])
    with torch.no_grad():
        one, other = (net(torch.randn(1, 1, 14, 14), t) for _ in range(2))
        assert torch.equal(one, other)
        block.remove()
        one, other = (net(torch.randn(1, 1, 14, 14), t) for _ in range(2))
        assert not torch.allclose(one, other)


def test_without_skips_weights_and_shapes_stay():
    whole, cut = awake(small_unet()), without_skips(small_unet())
    cut.load_state_dict(whole.state_dict())
    x_t, t = torch.randn(2, 1, 14, 14), torch.tensor([5, 6])
    assert cut(x_t, t).shape == whole(x_t, t).shape
    assert not torch.allclose(cut(x_t, t), whole(x_t, t))
    again = copy.deepcopy(cut)  # as the trainer's averages do
    assert torch.equal(again(x_t, t), cut(x_t, t))


@pytest.mark.parametrize("size", [14, 15, 9])
def test_skips_of_every_plan_can_be_cut(size):
    net = without_skips(UNet(widths=(8, 16, 12), blocks=2, attention_at=(1,), patch=2))
    assert net(torch.randn(1, 1, size, size), torch.tensor([3])).shape == (1, 1, size, size)


@pytest.mark.parametrize(
    ("without", "kind"), [(without_attention, SelfAttention2d), (without_norm, nn.GroupNorm)]
)
def test_a_part_that_is_taken_out_is_gone(without, kind):
    net = small_unet()
    assert any(isinstance(module, kind) for module in net.modules())
    assert without(net) is net
    assert not any(isinstance(module, kind) for module in net.modules())
    assert any(isinstance(module, ResBlock) for module in net.modules())
    assert net(torch.randn(2, 1, 14, 14), torch.tensor([5, 6])).shape == (2, 1, 14, 14)


def test_the_flat_network_never_changes_size_and_costs_what_the_other_does():
    flat = flat_unet()
    assert not any(isinstance(m, (Downsample, Upsample, SelfAttention2d)) for m in flat.modules())
    whole, same = (sum(p.flops for p in anatomy(n, 14)) for n in (small_unet(), flat))
    assert 0.9 < same / whole < 1.1


def reach(pixel, size, levels, blocks):
    """The interval of input pixels that one output pixel sees, walked back layer by layer."""
    sides = [size]
    for _ in range(levels - 1):
        sides.append(-(-sides[-1] // 2))
    a, b = pixel, pixel
    steps = [(0, "conv")]
    for level in range(levels):
        if level:
            steps += [(level - 1, "conv"), (level, "double")]
        steps += [(level, "conv")] * (2 * (blocks + 1))
    steps += [(levels - 1, "conv")] * 4
    for level in reversed(range(levels)):
        steps += [(level, "conv")] * (2 * blocks)
        if level:
            steps.append((level - 1, "halve"))
    for level, what in [*steps, (0, "conv")]:
        side = sides[level]
        if what == "double":
            a, b = a * side // sides[level - 1], b * side // sides[level - 1]
        elif what == "halve":
            a, b = 2 * a - 1, 2 * b + 1
        else:
            a, b = a - 1, b + 1
        a, b = max(a, 0), min(b, side - 1)
    return a, b


@pytest.mark.parametrize(
    ("levels", "blocks", "size"), [(1, 2, 40), (2, 1, 33), (2, 2, 50), (3, 1, 75)]
)
def test_the_receptive_field_is_what_the_gradient_says(levels, blocks, size):
    net = without_norm(without_attention(UNet(widths=(4,) * levels, blocks=blocks))).double()
    torch.manual_seed(0)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.2)
    for pixel in (0, 5, size // 2, size - 1):
        x = torch.randn(1, 1, size, size, dtype=torch.float64, requires_grad=True)
        net(x, torch.ones(1).double())[0, 0, pixel, size // 2].backward()
        rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
        assert (rows.min().item(), rows.max().item()) == reach(pixel, size, levels, blocks)


def test_multiply_adds_of_a_convolution_and_of_attention():
    conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert multiply_adds(conv, torch.zeros(2, 3, 16, 16)) == 2 * 16 * 16 * 3 * 8 * 9
    look, places = SelfAttention2d(8, heads=2), 5 * 5
    # four projections of 8 x 8 for each place; each place with each, twice
    assert multiply_adds(look, torch.zeros(1, 8, 5, 5)) == 4 * 8 * 8 * places + 2 * places**2 * 8
