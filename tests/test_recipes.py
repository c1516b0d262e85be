"""Recipes: what the wrappers hand to a network, and that perfect networks make perfect losses."""

import pytest
import torch
from torch import nn

from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.schedules import edm, linear
from course_lib.nn.ablations import with_rescaled_blocks
from course_lib.recipes import (
    Blind,
    ImportanceVLB,
    ddpm,
    ddpm_vlb_loss,
    digits_unet,
    drop_labels,
    label_drop_loss,
    ncsn,
    ncsn_loss,
    small_unet,
)
from course_lib.trainings import TRAININGS


class Recorder(nn.Module):
    """A network that remembers what it was given and answers nothing."""

    def forward(self, x_t, t):
        self.x_t, self.t = x_t, t
        return 0 * x_t


def test_an_ncsn_reads_pictures_of_size_one_and_levels_from_0_to_1000():
    net, sigma = Recorder(), torch.tensor([0.01, 0.1, 1.0, 10.0])
    model = ncsn(net, high=10.0, low=0.01)
    x_0, eps = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    model.loss(x_0, sigma, eps)
    # The picture that a DDPM's network reads at alpha_bar = 1 / (1 + sigma^2).
    bar = (1 / (1 + sigma**2)).view(-1, 1, 1, 1)
    torch.testing.assert_close(net.x_t, bar.sqrt() * x_0 + (1 - bar).sqrt() * eps)
    torch.testing.assert_close(net.t, torch.tensor([0.0, 1000 / 3, 2000 / 3, 1000.0]))


def test_the_output_is_minus_sigma_times_the_score():
    law = GaussianMixture(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([0.3, 0.4]))

    class Perfect(nn.Module):
        """Knows the score of the law under noise sigma, given the scaled input and the level."""

        def forward(self, x_t, t):
            sigma = 0.01 * (10 / 0.01) ** (float(t[0]) / 1000)
            return -sigma * law.noised(1.0, sigma).score(x_t * (1 + sigma**2) ** 0.5)

    model, sigma = ncsn(Perfect(), high=10.0, low=0.01), torch.full((50,), 0.7)
    x = 2 * torch.randn(50, 2)
    torch.testing.assert_close(model(x, sigma), law.denoiser(edm)(x, sigma), atol=1e-4, rtol=1e-4)


def test_the_loss_of_a_network_that_says_nothing_is_one():
    torch.manual_seed(0)
    loss = ncsn_loss(ncsn(Recorder(), high=10.0), torch.randn(500, 20))
    assert abs(loss - 1) < 0.05  # E eps^2: every level has a target of size 1


def test_levels_stay_on_the_ladder():
    net = Recorder()
    torch.manual_seed(0)
    ncsn_loss(ncsn(net, high=44.0), torch.randn(1000, 2))
    assert net.t.min() >= -1e-3 and net.t.max() <= 1000 + 1e-3
    assert net.t.max() - net.t.min() > 990


def test_another_model_s_loss_is_refused():
    with pytest.raises(TypeError, match="models that `ncsn` makes, got Recorder"):
        ncsn_loss(ddpm(Recorder(), linear()), torch.randn(2, 2))


def test_it_takes_the_courses_networks():
    x = torch.randn(3, 1, 8, 8)
    assert ncsn(digits_unet(), 10.0)(x, torch.tensor([0.01, 1.0, 10.0])).shape == x.shape


def test_a_blind_network_is_told_nothing():
    """The same answer at every time, and the parameters of the network inside."""
    torch.manual_seed(0)
    net = digits_unet()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    blind, x = Blind(net), torch.randn(2, 1, 8, 8)
    early, late = (blind(x, torch.full((2,), t)) for t in (1, 900))
    assert torch.equal(early, late) and torch.equal(early, net(x, torch.zeros(2).long()))
    assert not torch.allclose(net(x, torch.full((2,), 900)), early)


def test_the_bound_with_uniform_draws_is_the_bound_of_chapter_08_and_the_true_last_step():
    torch.manual_seed(0)
    model, loss = ddpm(Recorder()), ImportanceVLB(1000, 17)
    x_0 = torch.randint(0, 17, (500, 1, 4, 4)) / 8 - 1
    ours, theirs = loss(model, x_0), ddpm_vlb_loss(model, x_0)
    assert abs(ours - theirs) < 0.1 * theirs  # both draw all times alike
    assert int(loss.times.seen.sum()) == 500 and loss.times.losses.max() > 0
    assert "times.losses" in loss.state_dict()  # a run that stops can go on


def test_importance_moves_the_draws_to_where_the_bound_is():
    torch.manual_seed(0)
    model, loss = ddpm(Recorder()), ImportanceVLB(1000, 17)
    x_0 = torch.randint(0, 17, (2000, 1, 2, 2)) / 8 - 1
    for _ in range(12):
        loss(model, x_0)
    t, weight = loss.times.draw(1000)
    assert (t <= 100).float().mean() > 0.3 and weight[t <= 100].mean() < 1


@pytest.mark.parametrize("p_uncond", [0.0, 0.1, 1.0])
def test_labels_are_dropped_as_often_as_asked(p_uncond):
    label = torch.arange(20_000) % 10
    given = drop_labels(label, 10, p_uncond)
    dropped = given == 10
    assert float(dropped.double().mean()) == pytest.approx(p_uncond, abs=0.01)
    assert torch.equal(given[~dropped], label[~dropped])


def test_a_chance_beyond_1_is_refused():
    with pytest.raises(ValueError, match="got 1.5"):
        drop_labels(torch.tensor([1]), 10, 1.5)


def test_the_loss_tells_the_null_label_now_and_then():
    class Telling(nn.Module):
        def forward(self, x_t, t, label):  # it notes what it is told
            told.append(label)
            return torch.full_like(x_t, 3.0)

    told = []
    model = Denoiser(Telling(), linear(), "eps")
    label_drop_loss(model, torch.zeros(4_000, 1, 1, 1), torch.full((4_000,), 7), p_uncond=0.25)
    assert set(told[0].tolist()) == {7, 10}
    assert float((told[0] == 10).double().mean()) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("what", ["adagn", "attention", "heads", "rescale"])
def test_each_of_adm_s_changes_gives_another_network_of_the_same_shape(what):
    torch.manual_seed(0)
    x, t = torch.randn(2, 1, 14, 14), torch.tensor([3, 700])
    net = TRAININGS[f"adm_{what}"].model().net
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)  # much of it starts at 0
    assert net(x, t).shape == x.shape
    plain = small_unet()
    if what in ("heads", "rescale"):
        plain.load_state_dict(net.state_dict())
        assert not torch.allclose(net(x, t), plain(x, t))
    else:
        assert sum(p.numel() for p in net.parameters()) > sum(p.numel() for p in plain.parameters())


def test_a_rescaled_block_halves_the_variance():
    net = with_rescaled_blocks(small_unet())
    block = net.middle[0]
    x, embedding = torch.randn(3, 24, 4, 4), torch.randn(3, net.embedding_dim)
    torch.testing.assert_close(block(x, embedding), x / 2**0.5)  # it starts as its shortcut
