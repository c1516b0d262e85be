"""The Gaussians between two times: Bayes' rule, semigroup, and their digits for small steps."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.diffusion import schedules
from course_lib.diffusion.forward import between, posterior
from course_lib.diffusion.samplers import ddim_step, ddpm_step

SHORT = schedules.from_betas(torch.tensor([0.05, 0.2, 0.4, 0.7]))
CONTINUOUS = {"vp": schedules.cosine_vp, "rectified": schedules.rectified, "edm": schedules.edm}
betas = st.lists(st.floats(1e-6, 0.9), min_size=2, max_size=6)


def float64(*values):
    return torch.tensor(values, dtype=torch.float64)


def bayes(keep, beta, alpha_s, sigma_s, x_0, x_t):
    """q(x_s | x_0) times q(x_t | x_s), by precisions: the rule for two Gaussian facts about x_s."""
    precision = 1 / sigma_s**2 + keep**2 / beta
    return (alpha_s * x_0 / sigma_s**2 + keep * x_t / beta) / precision, 1 / precision


@pytest.mark.parametrize("t", [2, 3, 4])
def test_the_posterior_is_bayes_on_a_grid(t):
    x = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    start, now, time = float64(1.3)[None], float64(-0.4)[None], torch.tensor([t])
    beta, bar = SHORT.beta[t], SHORT.alpha_bar[t - 1]
    log = -((now[0] - (1 - beta).sqrt() * x) ** 2) / (2 * beta)
    weight = (log - (x - bar.sqrt() * start[0]) ** 2 / (2 * (1 - bar))).softmax(0)
    mean, variance = posterior(SHORT, start, now, time, time - 1)
    assert abs(mean - (weight * x).sum()) < 1e-8
    assert abs(variance - (weight * (x - mean[0]) ** 2).sum()) < 1e-8


@given(betas, st.floats(-3, 3), st.floats(-3, 3), st.data())
def test_the_posterior_is_bayes_for_any_pair_of_any_discrete_schedule(noises, x_0, x_t, data):
    schedule = schedules.from_betas(float64(*noises))
    t = data.draw(st.integers(2, schedule.T))
    s = data.draw(st.integers(1, t - 1))
    keep = (1 - schedule.beta[s + 1 : t + 1]).prod().sqrt()  # the steps between, one by one
    beta = -torch.expm1((-schedule.beta[s + 1 : t + 1]).log1p().sum())
    sigma_s = (-torch.expm1((-schedule.beta[1 : s + 1]).log1p().sum())).sqrt()
    expected = bayes(keep, beta, schedule.alpha_bar[s].sqrt(), sigma_s, x_0, x_t)
    ours = posterior(
        schedule, float64(x_0)[None], float64(x_t)[None], torch.tensor([t]), torch.tensor([s])
    )
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one.squeeze(), other, rtol=1e-7, atol=1e-7)


@given(st.sampled_from(sorted(CONTINUOUS)), st.floats(0.1, 0.9), st.floats(0.05, 0.95))
def test_the_posterior_is_bayes_on_continuous_schedules(name, t, share):
    schedule, x_0, x_t = CONTINUOUS[name], float64(0.7)[None], float64(-1.1)[None]
    t, s = float64(t), float64(t * share)
    keep, beta = between(schedule, t, s)[:2]
    expected = bayes(keep, beta, schedule.alpha(s), schedule.sigma(s), x_0, x_t)
    for one, other in zip(posterior(schedule, x_0, x_t, t, s), expected, strict=True):
        torch.testing.assert_close(one.squeeze(), other.squeeze(), rtol=1e-9, atol=1e-9)
    # And the way there: noise up to s, then on to t, is noise up to t.
    torch.testing.assert_close(keep * schedule.alpha(s), schedule.alpha(t))
    torch.testing.assert_close(keep**2 * schedule.sigma(s) ** 2 + beta, schedule.sigma(t) ** 2)


def test_a_neighbours_beta_is_the_tables():
    schedule = schedules.linear()
    t = torch.arange(1, 1001)
    torch.testing.assert_close(
        between(schedule, t, t - 1).beta, schedule.beta[1:], rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("last", [1, 300])
def test_at_the_data_the_posterior_is_a_point(last):
    x_0, x_t = torch.randn(2, 3, 4)
    t = torch.full((3,), last)
    mean, variance = posterior(schedules.linear(), x_0, x_t, t, t * 0)
    assert torch.equal(mean, x_0) and not variance.any() and variance.shape == (3, 1)


def test_a_tiny_step_keeps_its_digits_in_float32():
    # After steps of 0.3 one of 1e-6: as a float32 difference it is wrong by several per cent.
    schedule = schedules.from_betas(float64(0.3, 0.3, 1e-6, 1e-6))
    t, s = torch.tensor([3, 4]), torch.tensor([2, 3])
    narrow, wide = schedule(t, like=torch.ones(2, 1)), schedule(s, like=torch.ones(2, 1))
    lost = narrow[1] ** 2 - (narrow[0] / wide[0]) ** 2 * wide[1] ** 2
    assert ((lost.flatten() / 1e-6 - 1).abs() > 1e-2).any()
    before, now = 1 - schedule.alpha_bar[s], 1 - schedule.alpha_bar[t]
    tilde = (1e-6 * before / now)[:, None]
    _, variance = posterior(schedule, torch.zeros(2, 1), torch.zeros(2, 1), t, s)
    assert variance.dtype == torch.float32
    torch.testing.assert_close(variance.double(), tilde, rtol=1e-6, atol=0)
    # The same noise reaches the samplers: what they add at x_t = x_0 = 0 is its root.
    zeros, roots = torch.zeros(2, 1), {"small": tilde.sqrt(), "large": torch.full((2, 1), 1e-3)}
    for kind, root in roots.items():
        drawn = ddpm_step(
            lambda x, t: x * 0, schedule, zeros, t, s, variance=kind, randn_like=torch.ones_like
        )
        torch.testing.assert_close(drawn, root.float(), rtol=1e-6, atol=0)
    drawn = ddim_step(
        lambda x, t: x * 0, schedule, zeros, t, s, eta=1.0, randn_like=torch.ones_like
    )
    torch.testing.assert_close(drawn, roots["small"].float(), rtol=1e-6, atol=0)


def test_float32_times_of_a_continuous_schedule_keep_their_digits_too():
    t, s = torch.tensor([0.5]), torch.tensor([0.4999])
    angles = [float(each) * math.pi / 2 for each in (t, s)]
    keep = math.cos(angles[0]) / math.cos(angles[1])
    beta = math.sin(angles[0]) ** 2 - keep**2 * math.sin(angles[1]) ** 2
    assert float(between(schedules.cosine_vp, t, s).beta) == pytest.approx(beta, rel=1e-9)
