"""What a caption can tell each of the two networks, whatever they have learnt."""

import pytest
import torch
from readers import ONE, SWAPPED, awake
from torch import nn

from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import cosine, edm
from course_lib.models import captions
from course_lib.models.captions import (
    BagUNet,
    OrderFirst,
    TokenUNet,
    caption_drop_loss,
    draw,
    empty,
    late_times,
    later_half,
    reader,
    with_places,
)
from course_lib.models.tokenizer import END, START
from course_lib.nn.blocks import ResBlock

X, T = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([400])


@pytest.mark.parametrize(
    ("build", "told_apart"),
    [
        (lambda: BagUNet(12, widths=(8, 16)), False),
        (lambda: TokenUNet(12, 9, widths=(8, 16), dim=16), True),
        (lambda: TokenUNet(12, 9, widths=(8, 16), dim=16, positions="sinusoidal"), True),
        (lambda: TokenUNet(12, 9, widths=(8, 16), dim=16, positions="none"), False),
        (lambda: TokenUNet(12, 9, widths=(8, 16), dim=16, positions="none", causal=True), True),
        (lambda: TokenUNet(12, 9, widths=(8, 16), dim=16, positions="none", depth=0), False),
    ],
)
def test_who_can_tell_a_caption_from_its_words_in_another_order(build, told_apart):
    torch.manual_seed(0)
    net = awake(build())
    apart = (net(X, T, tokens=ONE) - net(X, T, tokens=SWAPPED)).abs().max()
    assert (apart > 1e-4) if told_apart else (apart < 1e-5)
    other = ONE.clone()
    other[0, 1] = 10
    assert (net(X, T, tokens=ONE) - net(X, T, tokens=other)).abs().max() > 1e-4
    longer = nn.functional.pad(ONE[:, :7], (0, 1))
    torch.testing.assert_close(net(X, T, tokens=longer), net(X, T, tokens=ONE))


def test_the_gist_reaches_blocks_without_attention():
    torch.manual_seed(0)
    net = awake(TokenUNet(12, 9, widths=(8, 16), dim=16, pooled=True, inject="scale_shift"))
    assert {part.inject for part in net.modules() if isinstance(part, ResBlock)} == {"scale_shift"}
    told = {}

    def keep(_, given):
        told["vector"] = given[1]

    handle = net.unet.down[0]["blocks"][0][0].register_forward_pre_hook(keep)
    vectors = []
    for tokens in (ONE, SWAPPED, empty(ONE)):
        net(X, T, tokens=tokens)
        vectors.append(told["vector"] - net.unet.time(T))
    handle.remove()
    states = net.tower(ONE)[0, :7]
    torch.testing.assert_close(vectors[0][0], net.gist(states.mean(0)), atol=1e-5, rtol=1e-4)
    assert (vectors[0] - vectors[1]).abs().max() > 1e-5  # the order too, through the states
    assert (vectors[0] - vectors[2]).abs().max() > 1e-4
    longer = nn.functional.pad(ONE[:, :7], (0, 1))  # padding is no part of the mean
    torch.testing.assert_close(net(X, T, tokens=longer), net(X, T, tokens=ONE))


def test_pixels_are_told_where_they_are():
    x = torch.randn(2, 3, 4, 6)
    told = with_places(x)
    assert told.shape == (2, 5, 4, 6) and torch.equal(told[:, :3], x)
    assert torch.equal(told[1, 3, 2], torch.linspace(-1, 1, 6))  # to the right
    assert torch.equal(told[1, 4, :, 5], torch.linspace(-1, 1, 4))  # down


def test_where_pixels_look():
    torch.manual_seed(0)
    net = awake(TokenUNet(12, 9, widths=(8, 16), dim=16, heads=2))
    maps = net.looks(X, T, ONE)
    assert list(maps) == [
        "down.1.blocks.0.1",
        "middle.1",
        "up.0.blocks.0.1",
        "up.0.blocks.1.1",
    ]
    for found in maps.values():
        assert found.shape == (1, 2, 9, 8, 8) and not found[:, :, 7:].any()
        torch.testing.assert_close(found.sum(2), torch.ones(1, 2, 8, 8))
    assert not any(part._forward_hooks for part in net.modules())


def test_the_empty_caption():
    assert empty(ONE).tolist() == [[START, END, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("p", [0, 1])
def test_hidden_captions_tell_nothing(p):
    torch.manual_seed(0)
    model = reader(awake(BagUNet(12, widths=(8, 16))))
    x_0 = torch.randn(4, 3, 16, 16)
    losses = []
    for tokens in (ONE, ONE + 2 * (ONE == 5)):
        torch.manual_seed(3)
        losses.append(caption_drop_loss(model, x_0, tokens.expand(4, -1), p))
    assert (losses[0] == losses[1]) == bool(p)
    with pytest.raises(ValueError, match="probability"):
        caption_drop_loss(model, x_0, ONE.expand(4, -1), 1.5)


def test_late_times_come_more_often():
    torch.manual_seed(0)
    late = late_times(cosine(), 4000, torch.device("cpu"))
    assert 1 <= late.min() and late.max() <= 1000
    assert (late <= 500).double().mean() == pytest.approx(0.25, abs=0.01)  # the square of 1/2
    half = later_half(cosine(), 4000, torch.device("cpu"))
    assert 500 <= half.min() < 510 and 990 < half.max() <= 1000


def test_order_comes_first_and_then_all_times(monkeypatch):
    asked = []

    def note(*_, times):
        asked.append(times)
        return torch.zeros(())

    monkeypatch.setattr(captions, "caption_drop_loss", note)
    loss, model = OrderFirst(2), reader(BagUNet(12, widths=(8, 16)))
    for _ in range(3):
        loss(model, X, ONE)
    assert asked == [later_half, later_half, late_times]
    resumed = OrderFirst(2)
    resumed.load_state_dict(loss.state_dict())  # as a run does that is taken up again
    resumed(model, X, ONE)
    assert asked[-1] is late_times


def test_a_picture_is_drawn_for_each_caption():
    torch.manual_seed(0)
    model = reader(awake(TokenUNet(12, 9, widths=(8, 16), dim=16)))
    tokens = torch.cat([ONE, SWAPPED])
    both = draw(model, tokens, 16, steps=3)
    assert both.shape == (2, 3, 16, 16) and both.abs().max() <= 1.5
    torch.testing.assert_close(draw(model, tokens[:1], 16, steps=3), both[:1])
    assert (draw(model, tokens, 16, steps=3, seed=1) - both).abs().max() > 1e-3
    same = draw(model, tokens, 16, steps=3, scale=0)
    torch.testing.assert_close(same[:1], draw(model, empty(ONE), 16, steps=3, scale=0))
    with pytest.raises(ValueError, match="whole steps"):
        draw(Denoiser(model.net, edm, "v"), tokens, 16)
