"""Drawing in latents: pixels are the case f = 1, holes of pictures become holes of latents."""

import pytest
import torch
from torch import nn

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.guidance import classifier_free, clip
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import from_log_snr, spaced_times
from course_lib.models import latent
from course_lib.models.autoencoder import Autoencoder, LatentSpace, Plain
from course_lib.models.captions import TokenUNet, empty, reader

TOKENS = torch.tensor([[1, 5, 7, 2] + [0] * 20, [1, 6, 2, 0] + [0] * 20])


def awake(net: nn.Module) -> nn.Module:
    """The same network without layers of zeros, which would say the same for every prompt."""
    torch.manual_seed(1)
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return net


def a_reader(channels: int):
    net = TokenUNet(9, latent.LENGTH, channels=channels, widths=(8, 16), dim=16)
    return reader(awake(net)).eval()


def a_space(f: int = 4) -> LatentSpace:
    torch.manual_seed(0)
    widths = {2: (8,), 4: (8, 8)}[f]
    return LatentSpace(awake(Autoencoder(widths, Plain(4))).eval(), 0.25)


def test_a_picture_is_a_guided_walk_in_latents_decoded():
    model, space = a_reader(4), a_space()
    made = latent.imagine(model, space, TOKENS, side=16, scale=2.0, steps=3, seed=5)
    noise = seeded_randn_like(5)(torch.empty(2, 4, 4, 4))
    told = classifier_free(model, {"tokens": TOKENS}, {"tokens": empty(TOKENS[:1])}, 2.0)
    with torch.no_grad():
        z = sample(ddim_step, told, model.schedule, noise, spaced_times(model.schedule, 3))
        expected = space.autoencoder.decode(z / 0.25).clamp(-1, 1)
    assert made.shape == (2, 3, 16, 16) and not made.requires_grad
    torch.testing.assert_close(made, expected)


def test_at_f_1_it_is_diffusion_of_pixels():
    model, space = a_reader(3), latent.pixel_space()
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    assert space.encode(x).equal(x) and space.decode(x).equal(x)
    made = latent.imagine(model, space, TOKENS, side=8, scale=3.0, steps=4, limit=0.5)
    null = {"tokens": empty(TOKENS[:1])}
    told = clip(classifier_free(model, {"tokens": TOKENS}, null, 3.0), -0.5, 0.5)
    noise = seeded_randn_like(0)(torch.empty(2, 3, 8, 8))
    with torch.no_grad():
        z = sample(ddim_step, told, model.schedule, noise, spaced_times(model.schedule, 4))
    torch.testing.assert_close(made, z.clamp(-1, 1))


def test_a_sides_latents_must_be_whole_and_times_too():
    model, space = a_reader(4), a_space()
    for side in (2, 18):
        with pytest.raises(ValueError, match="multiple of 4"):
            latent.imagine(model, space, TOKENS, side=side)
    model.schedule = from_log_snr(lambda t: 10 - 20 * t)
    with pytest.raises(ValueError, match="whole steps"):
        latent.imagine(model, space, TOKENS, side=16)


def test_one_pixel_opens_its_latent_and_the_reach_its_neighbours():
    hole = torch.zeros(1, 1, 24, 32, dtype=torch.bool)
    hole[..., 9, 17] = True  # row 2, column 4 of the latents at f = 4
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    for reach in range(3):
        found = latent.latent_hole(hole, 4, reach)
        near = ((rows - 2).abs() <= reach) & ((columns - 4).abs() <= reach)
        assert found.shape == (1, 1, 6, 8) and found.dtype == torch.bool
        assert found[0, 0].equal(near)
    assert latent.latent_hole(hole, 1).equal(hole)


@pytest.mark.parametrize(("side", "f", "reach"), [(18, 4, 0), (16, 4, -1)])
def test_a_hole_that_does_not_fit_is_refused(side, f, reach):
    with pytest.raises(ValueError, match=rf"f = {f}, reach = {reach}"):
        latent.latent_hole(torch.zeros(1, 1, side, side, dtype=torch.bool), f, reach)


def test_with_reach_nothing_of_the_hole_is_known():
    space = a_space()
    space.autoencoder.encoder = nn.Conv2d(3, 4, 12, stride=4, padding=4)  # sees one place beyond
    hole = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    hole[..., 12:20, 12:20] = True
    x = torch.rand(1, 3, 32, 32)
    other = torch.where(hole, torch.rand_like(x), x)
    moved = (space.encode(x) != space.encode(other)).any(1, keepdim=True)
    assert (moved & ~latent.latent_hole(hole, 4)).any()
    assert not (moved & ~latent.latent_hole(hole, 4, 1)).any()


def test_repainting_keeps_every_pixel_outside_and_all_where_nothing_is_open():
    model, space = a_reader(4), a_space()
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., 4:8, 8:16] = True
    made = latent.repaint(model, space, TOKENS, x, hole, steps=3)
    assert torch.where(hole, 0 * x, made).equal(torch.where(hole, 0 * x, x))
    assert ((made != x) & hole).any()
    assert latent.repaint(model, space, TOKENS, x, hole & False, steps=3).equal(x)
    whole = latent.repaint(model, space, TOKENS, x, hole | True, steps=3)
    torch.testing.assert_close(whole, latent.imagine(model, space, TOKENS, side=16, steps=3))


def test_repainting_hands_the_known_latents_on():
    model, space = a_reader(4), a_space()
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., :4] = True
    ends = []
    space.decode = lambda z: ends.append(z) or torch.zeros(2, 3, 16, 16)
    latent.repaint(model, space, TOKENS, x, hole, steps=3)
    latent.repaint(model, space, TOKENS, x, hole, steps=3, reach=1)
    known = space.encode(x)
    torch.testing.assert_close(ends[0][..., 1:], known[..., 1:], atol=1e-4, rtol=0)
    torch.testing.assert_close(ends[1][..., 2:], known[..., 2:], atol=1e-4, rtol=0)
    assert (ends[1][..., 1] - known[..., 1]).abs().max() > 1e-2


def test_repainting_wants_squares():
    with pytest.raises(ValueError, match="square"):
        latent.repaint(
            a_reader(4), a_space(), TOKENS, torch.zeros(2, 3, 16, 8), torch.ones(1, 1, 16, 8) > 0
        )
