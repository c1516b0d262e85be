"""A network in the denoiser's socket: any prediction, any shape, known losses."""

import pytest
import torch
from torch import nn

from course_lib.diffusion import sde
from course_lib.diffusion.denoiser import Denoiser, on_schedule
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.predictions import PREDICTS, target
from course_lib.diffusion.schedules import cosine_vp, edm, linear, rectified, zero_terminal


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


LAW = GaussianMixture(torch.tensor([[1.0, 0.5], [-1.0, 0.0]]), torch.tensor([0.3, 0.2]))


@pytest.mark.parametrize("own", [linear(), cosine_vp, edm], ids=["linear", "cosine_vp", "edm"])
@pytest.mark.parametrize("wanted", [sde.vp(), sde.ve(), sde.sub_vp()], ids=["vp", "ve", "sub-VP"])
def test_a_perfect_network_is_perfect_on_every_schedule(own, wanted):
    """It knows its own times; between a table's integers it is asked at the ratio in between."""

    def eps(x_t, t):
        level = torch.as_tensor(t).double()
        if own is not cosine_vp and own is not edm:
            below = level.floor().long().clamp(max=own.T - 1)
            known = own.log_snr(below), own.log_snr(below + 1)
            ratio = known[0] + (level - below) * (known[1] - known[0])
            alpha, sigma = torch.sigmoid(ratio).sqrt(), torch.sigmoid(-ratio).sqrt()
        else:
            alpha, sigma = own.alpha(level), own.sigma(level)
        alpha, sigma = alpha.to(x_t.dtype), sigma.to(x_t.dtype)
        x_0 = LAW.posterior_mean(x_t, alpha, sigma)
        return (x_t - alpha[:, None] * x_0) / sigma[:, None]

    t = torch.tensor([0.4, 0.55, 0.7])
    x = 1.5 * torch.randn(3, 2)
    moved = on_schedule(Denoiser(Says(eps), own, "eps"), wanted)
    torch.testing.assert_close(moved(x, t), LAW.denoiser(wanted)(x, t), rtol=1e-3, atol=1e-3)


def test_on_its_own_schedule_a_model_says_what_it_says():
    net = Says(lambda x_t, t: torch.tanh(x_t) * t[:, None])
    model = Denoiser(net, cosine_vp, "v")
    x, t = torch.randn(5, 2), torch.rand(5) * 0.8 + 0.1
    torch.testing.assert_close(on_schedule(model, cosine_vp)(x, t), model(x, t))


def test_a_model_serves_whole_times_of_another_table():
    def eps(x_t, t):  # of data N(0, 1), where it is sigma x_t; the time may lie between two entries
        low, high = (linear().alpha_bar[one.long()] for one in (t.floor(), t.ceil()))
        level = torch.lerp(low, high, t.frac().to(low.dtype))
        return (1 - level).sqrt()[:, None] * x_t

    t = torch.tensor([1, 40, 180, 200])
    x = torch.randn(4, 2, dtype=torch.float64)
    short = linear(200, 5e-4, 0.1)
    moved = on_schedule(Denoiser(Says(eps), linear(), "eps"), short)(x, t)
    alpha, _ = short(t, like=x)
    torch.testing.assert_close(moved, alpha * x, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("own", "predicts", "answer"),
    [(linear(), "eps", lambda x_t, t: x_t), (cosine_vp, "x_0", lambda x_t, t: 0 * x_t)],
    ids=["linear", "cosine_vp"],
)
def test_where_all_signal_is_gone_another_schedule_gets_a_finite_answer(own, predicts, answer):
    # Of data of variance 1 the mean of x_0 is then alpha x_t: next to nothing.
    model = Denoiser(Says(answer), own, predicts)
    found = on_schedule(model, rectified)(torch.randn(64, 1), torch.ones(64))
    assert found.isfinite().all() and found.abs().max() < 0.05


def test_an_output_that_would_only_broadcast_is_refused():
    model = Denoiser(Says(lambda x_t, t: x_t[:, :1]), linear())
    x, t = torch.ones(4, 3, 2, 2), torch.full((4,), 5)
    for ask in (lambda: model(x, t), lambda: model.loss(x, t, x)):
        with pytest.raises(ValueError, match=r"of x_t, \[4, 3, 2, 2\]; got \[4, 1, 2, 2\]"):
            ask()


def test_a_schedule_without_signal_at_its_end_is_asked_at_its_end():
    asked = []
    own = zero_terminal(linear())
    model = Denoiser(Says(lambda x_t, t: (asked.append(t), x_t)[1]), own, "v")
    x = torch.ones(2, 1)
    torch.testing.assert_close(on_schedule(model, rectified)(x, torch.ones(2)), -x)  # alpha x - v
    assert asked[0].tolist() == [1000, 1000]
