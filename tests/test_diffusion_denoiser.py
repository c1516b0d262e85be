"""A network in the denoiser's socket: any prediction, any shape, known losses."""

import pytest
import torch
from torch import nn

from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.predictions import PREDICTS, target
from course_lib.diffusion.schedules import cosine_vp, edm, linear, rectified


class Says(nn.Module):
    """A network that answers with a given function."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x_t, t, **cond):
        return self.answer(x_t, t, **cond)


def zero_net():
    return Says(lambda x_t, t: torch.zeros_like(x_t))


def test_a_network_that_says_nothing_has_an_eps_loss_of_one():
    torch.manual_seed(0)
    x_0, t = torch.randn(64, 3, 8, 8), torch.randint(1, 1001, (64,))
    eps = torch.randn_like(x_0)
    loss = Denoiser(zero_net(), linear(), "eps").loss(x_0, t, eps)
    assert loss.shape == (64,)
    assert abs(loss.mean() - 1) < 0.05  # five standard deviations of a mean of 12,288 squares
    torch.testing.assert_close(loss, eps.square().mean((1, 2, 3)))


def test_the_loss_of_a_zero_network_is_what_each_target_weighs():
    # E|target|² of unit data: x_0 1, v alpha² + sigma² = 1, flow 1 + 1.
    torch.manual_seed(0)
    x_0, t = torch.randn(20_000, 2), torch.rand(20_000) * 0.9 + 0.05
    eps = torch.randn_like(x_0)
    for predicts, expected in (("x_0", 1.0), ("v", 1.0), ("flow", 2.0)):
        loss = Denoiser(zero_net(), cosine_vp, predicts).loss(x_0, t, eps)
        assert abs(loss.mean() - expected) < 0.04


@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("shape", [(8, 2), (8, 3, 8, 8), (8, 8, 8, 8)])
@pytest.mark.parametrize("schedule", [cosine_vp, rectified, edm])
def test_a_perfect_network_is_a_perfect_denoiser(predicts, shape, schedule):
    # (8, 3, 8, 8) with t of shape (8,): a public library goes wrong here without a word.
    generator = torch.Generator().manual_seed(0)
    x_0, eps = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.linspace(0.1, 0.9, 8, dtype=torch.float64)
    alpha, sigma = schedule(t, like=x_0)
    x_t = torch.stack([a * x + s * e for a, s, x, e in zip(alpha, sigma, x_0, eps, strict=True)])

    def knows(x, time):
        torch.testing.assert_close(x, x_t)  # loss and forward must corrupt example by example
        assert torch.equal(time, t)
        return target(predicts, x_0, eps, alpha, sigma)

    denoise = Denoiser(Says(knows), schedule, predicts)
    torch.testing.assert_close(denoise(x_t, t), x_0, atol=1e-9, rtol=1e-9)
    loss = denoise.loss(x_0, t, eps)
    assert loss.shape == (8,) and loss.max() < 1e-20


def test_one_number_per_example_and_each_its_own():
    net = Says(lambda x_t, t: torch.zeros_like(x_t))
    x_0 = torch.zeros(3, 1, 2, 2)
    eps = torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    loss = Denoiser(net, linear()).loss(x_0, torch.tensor([1, 2, 3]), eps)
    assert loss.tolist() == [0, 1, 4]


def test_conditions_reach_the_network():
    seen = []

    def listen(x_t, t, label):
        seen.append(label)
        return x_t

    x, t, label = torch.zeros(2, 2), torch.tensor([1, 2]), torch.tensor([4, 5])
    denoise = Denoiser(Says(listen), linear())
    denoise(x, t, label=label)
    denoise.loss(x, t, torch.zeros_like(x), label=label)
    assert all(torch.equal(label, s) for s in seen) and len(seen) == 2


def test_an_unknown_prediction_fails_at_once():
    with pytest.raises(ValueError, match="'noise'. Use one of: x_0, eps"):
        Denoiser(zero_net(), linear(), "noise")


def test_gradients_reach_the_network():
    net = nn.Linear(2, 2)
    denoise = Denoiser(Says(lambda x_t, t: net(x_t)), linear())
    x_0, t = torch.randn(4, 2), torch.tensor([1, 10, 100, 1000])
    denoise.loss(x_0, t, torch.randn(4, 2)).mean().backward()
    assert net.weight.grad.abs().sum() > 0


def test_clip_keeps_the_range_and_nothing_else():
    far = clip(lambda x_t, t: x_t)
    x = torch.tensor([[-3.0, -1.0, -0.2, 0.9, 1.0, 7.0]])
    kept = torch.tensor([[-1.0, -1.0, -0.2, 0.9, 1.0, 1.0]])
    assert torch.equal(far(x, torch.ones(1)), kept)
    assert clip(lambda x_t, t: x_t, 0.0, 2.0)(x, torch.ones(1)).max() == 2
    with pytest.raises(ValueError, match="low < high, got low=1.0, high=1.0"):
        clip(far, 1.0, 1.0)
