"""The learned Gaussian step of 2015: its bound, its walk."""

import math

import pytest
import torch
from torch import nn

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion import exact, reverse, schedules
from course_lib.recipes import bound_2015_loss, swiss_roll_2015

SHORT = schedules.from_betas(torch.tensor([0.05, 0.2, 0.4, 0.7]))


class Silent(nn.Module):
    """A network that says 0: the reverse step is the forward one."""

    def forward(self, x_t, t):
        return torch.zeros_like(torch.cat([x_t, x_t], dim=1))


class Best(nn.Module):
    """What a network must say for data N(0, s²), where every step back is a known Gaussian."""

    def __init__(self, s: float):
        super().__init__()
        self.s = s

    def forward(self, x_t, t):
        bar, beta = SHORT.alpha_bar[t][:, None], SHORT.beta[t][:, None]
        before = SHORT.alpha_bar[t - 1][:, None]
        now, then = bar * self.s**2 + 1 - bar, before * self.s**2 + 1 - before
        mean = (1 - beta).sqrt() * then / now * x_t  # regression of x_{t-1} on x_t
        variance = then * beta / now
        shift = (mean - (1 - beta).sqrt() * x_t) / beta.sqrt()
        odds = torch.logit(variance) - torch.logit(beta)
        return torch.cat([shift, odds.expand_as(x_t)], dim=1).to(x_t.dtype)


def test_a_silent_network_scores_the_null_model():
    # Data N(0, I) runs the chain in equilibrium: the forward step is its own reverse, K = L_null.
    model = reverse.ReverseGaussian(Silent(), SHORT)
    x_0 = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    K = reverse.bound_bits(model, x_0, seeded_randn_like(1)).mean()
    assert abs(K + 2 * 0.5 * math.log2(2 * math.pi * math.e)) < 0.03
    assert abs(K + 4.094) < 0.03  # what their Table 1 subtracts for the swiss roll


@pytest.mark.parametrize("s", [0.3, 0.7, 1.0])
def test_the_bound_lies_below_the_likelihood_and_at_the_ceiling(s):
    """With perfect steps all that is lost is the first step and what is left at T."""
    model = reverse.ReverseGaussian(Best(s), SHORT)
    x_0 = s * torch.randn(
        40_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    K = float(reverse.bound_bits(model, x_0, seeded_randn_like(1)).mean())
    beta, bar = float(SHORT.beta[1]), float(SHORT.alpha_bar[-1])
    last = bar * s**2 + 1 - bar
    first = (1 - beta) * s**2 + beta  # the variance of x_1
    ceiling = -0.5 * math.log2(2 * math.pi * math.e * first)
    end = 0.5 * (last - 1 - math.log(last)) / math.log(2)
    edge = 0.5 * beta * (s**2 - 1) / math.log(2)  # 0 for data of variance 1, as the paper asks
    assert abs(K - (ceiling - end - edge)) < 0.03
    assert K < -0.5 * math.log2(2 * math.pi * math.e * s**2) + 0.03


def test_the_first_step_is_the_mirror_whatever_the_network_says():
    model = reverse.ReverseGaussian(Best(0.5), SHORT)
    x = torch.randn(6, 1)
    mean, variance = model(x, torch.ones(6, dtype=torch.long))
    torch.testing.assert_close(mean, 0.95**0.5 * x)
    torch.testing.assert_close(variance, torch.full((6, 1), 0.05))


def test_perfect_steps_give_back_the_data():
    model = reverse.ReverseGaussian(Best(0.3), SHORT)
    *_, x = reverse.walk_back(model, torch.randn(20_000, 1), seeded_randn_like(3))
    # x_0 is the mean of the last step: sqrt(1 - beta_1) x_1. And x_T was taken from N(0, 1).
    assert abs(float(x.var()) - 0.95 * (0.95 * 0.3**2 + 0.05)) < 0.02


def test_the_loss_is_minus_the_bound_per_coordinate():
    torch.manual_seed(0)
    model = reverse.ReverseGaussian(Best(0.5), SHORT)
    x_0 = 0.5 * torch.randn(40_000, 1)
    loss = float(bound_2015_loss(model, x_0))
    K = float(reverse.bound_bits(model, x_0).mean()) * math.log(2)
    assert abs(loss + K) < 0.06 + 0.5 * float(SHORT.alpha_bar[-1])


def test_the_roll_learns():
    torch.manual_seed(0)
    model, x_0 = swiss_roll_2015(), torch.randn(200, 2) * 0.1
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = bound_2015_loss(model, x_0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < sum(losses[:5]) - 1


def test_a_step_that_erases_everything_is_refused():
    with pytest.raises(ValueError, match="below 1"):
        reverse.ReverseGaussian(Silent(), schedules.from_betas(torch.tensor([0.1, 1.0])))


def test_the_best_means_make_the_exact_denoiser():
    s = 0.5
    told = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([s], dtype=torch.float64)
    x, t = torch.randn(30, 1, dtype=torch.float64), torch.randint(2, 5, (30,))
    right = exact.GaussianMixture(*told).denoiser(SHORT)(x, t)
    ours = reverse.mean_denoiser(reverse.ReverseGaussian(Best(s), SHORT))(x, t)
    assert torch.allclose(ours, right, atol=1e-9)
