"""The width of reverse steps: its ruler, its best place, and what it costs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.exact import GaussianMixture, IndependentPixels
from course_lib.diffusion.forward import between
from course_lib.diffusion.likelihood import gaussian_kl, term_bits
from course_lib.diffusion.samplers import ddpm_step, sample
from course_lib.diffusion.schedules import cosine, linear, respaced, spaced_times
from course_lib.diffusion.variance import (
    LEAST,
    LearnedVariance,
    above_in,
    chain_bits,
    error_from,
    fixed,
    fraction,
    from_error,
    interpolated,
    learned,
    measured,
    reverse_bits,
    reverse_step,
)

LINEAR = linear()


class Says(torch.nn.Module):
    """A network that predicts no noise, and the fraction `v` everywhere."""

    def __init__(self, v: float):
        super().__init__()
        self.v = v

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.cat([0 * x_t, torch.full_like(x_t, 2 * self.v - 1)], dim=1)


class Nothing(torch.nn.Module):
    """A network that predicts no noise."""

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 0 * x_t


def one(t: int) -> torch.Tensor:
    return torch.tensor([t])


@given(t=st.integers(3, 1000), share=st.floats(0, 1), v=st.floats(-0.3, 1.3))
@settings(max_examples=40, deadline=None)
def test_the_ruler_runs_from_beta_tilde_to_beta(t, share, v):
    s, above = max(1, t // 2), one(min(1000, t + 1))
    step = between(LINEAR, one(t), one(s))
    at = torch.tensor([[0.0, v, 1.0]], dtype=torch.float64)
    w = interpolated(LINEAR, at, one(t), one(s), above)
    assert torch.allclose(w[0, 0], step.variance[0]) and torch.allclose(w[0, 2], step.beta[0])
    assert torch.allclose(fraction(LINEAR, w, one(t), one(s), above), at, atol=1e-9)
    u = torch.tensor([[share]], dtype=torch.float64)
    best = from_error(LINEAR, u * (1 - LINEAR.alpha_bar[t]), one(t), one(s))
    assert torch.allclose(best, (1 - u) * step.variance + u * step.beta, rtol=1e-10)
    back = error_from(LINEAR, best, one(t), one(s))
    assert torch.allclose(back, u * (1 - LINEAR.alpha_bar[t]), atol=1e-6)


def test_the_best_variance_of_a_gaussian_is_that_of_its_reverse_kernel():
    law = GaussianMixture(torch.zeros(1, 1).double(), torch.tensor([0.6]).double())
    t, s = one(600), one(350)
    kernel = law.reverse_kernel(LINEAR, torch.tensor([0.7]).double(), t, s)
    bar, left = LINEAR.alpha_bar[600], 0.36
    error = left * (1 - bar) / (bar * left + 1 - bar)
    w = from_error(LINEAR, error.reshape(1, 1), t, s)
    assert torch.allclose(w.flatten(), kernel.variances.flatten(), rtol=1e-9)


def test_at_the_last_step_beta_tilde_is_lent_by_the_step_before():
    v = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    w = interpolated(LINEAR, v, one(1), one(0), one(2))
    assert torch.allclose(w[0, 0], between(LINEAR, one(2), one(1)).variance[0])
    assert torch.allclose(w[0, 1], LINEAR.beta[1])


def test_above_is_the_time_a_chain_came_from():
    above = above_in(torch.tensor([1000, 400, 30, 0]))
    assert above(torch.tensor([30, 1000, 400])).tolist() == [400, 1000, 1000]
    with pytest.raises(ValueError, match="two steps or more"):
        above_in(torch.tensor([1000, 0]))


def test_a_learned_variance_is_a_denoiser_too():
    model, x = LearnedVariance(Says(0.3), LINEAR), torch.randn(4, 1, 3, 3)
    t = torch.tensor([1, 5, 500, 1000])
    plain = Denoiser(Nothing(), LINEAR)(x, t)
    guess, v = model.both(x, t)
    assert torch.equal(model(x, t), plain) and torch.equal(guess, plain)
    assert torch.allclose(v, torch.tensor(0.3))
    with pytest.raises(ValueError, match="unknown prediction"):
        LearnedVariance(Says(0.3), LINEAR, "noise")


def test_a_network_with_one_answer_is_refused():
    model = LearnedVariance(torch.nn.Identity(), LINEAR)
    with pytest.raises(ValueError, match="twice the 1 channels"):
        LearnedVariance(Short(), LINEAR)(torch.randn(2, 1, 3, 3), torch.tensor([5, 6]))
    assert model.predicts == "eps"


class Short(torch.nn.Module):
    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.cat([x_t, x_t, x_t, x_t], dim=1)


@pytest.mark.parametrize("kind", ["small", "large"])
def test_fixed_variances_walk_as_ddpm_does(kind):
    times, x = spaced_times(LINEAR, 12), torch.randn(5, 1, 4, 4).double()
    model = LearnedVariance(Says(0.5), LINEAR)
    reverse = fixed(model, LINEAR, above_in(times), kind)
    noise, again = seeded_randn_like(2), seeded_randn_like(2)

    def ours(*told):
        return reverse_step(*told, clipped=False, randn_like=noise)

    def theirs(*told):
        return ddpm_step(*told, variance=kind, randn_like=again)

    a, b = sample(ours, reverse, LINEAR, x, times), sample(theirs, model, LINEAR, x, times)
    assert torch.allclose(a, b, atol=1e-9)
    with pytest.raises(ValueError, match="variance"):
        fixed(model, LINEAR, above_in(times), "medium")


def test_the_last_step_adds_nothing_and_clips():
    reverse = lambda x, t, s: (3 * torch.ones_like(x), torch.ones_like(x))  # noqa: E731
    x = torch.zeros(2, 1, 2, 2)
    assert torch.equal(
        reverse_step(reverse, LINEAR, x, one(9).expand(2), 0 * one(1).expand(2)), x + 1
    )


def test_v_half_way_is_the_geometric_mean():
    times = spaced_times(LINEAR, 10)
    reverse, x = (
        learned(LearnedVariance(Says(0.5), LINEAR), above_in(times)),
        torch.zeros(1, 1, 2, 2),
    )
    _, w = reverse(x, one(500), one(400))
    step = between(LINEAR, one(500), one(400))
    assert torch.allclose(w, (step.variance * step.beta).sqrt().float())


def test_reaiming_is_the_same_on_the_chain_of_the_training_and_more_on_a_longer_step():
    times = torch.arange(1000, -1, -1)
    model, x = LearnedVariance(Says(0.4), LINEAR), torch.zeros(1, 1, 2, 2)
    plain, aimed = (learned(model, above_in(times), reaimed=r) for r in (False, True))
    assert torch.allclose(plain(x, one(300), one(299))[1], aimed(x, one(300), one(299))[1])
    short = torch.tensor([1000, 300, 100, 0])
    plain, aimed = (learned(model, above_in(short), reaimed=r) for r in (False, True))
    step = between(LINEAR, one(300), one(100))
    k = LINEAR.alpha_bar[299].sub(1) / LINEAR.alpha_bar[300].sub(1)
    u = ((1 / k) ** 0.4 - 1) / (1 / k - 1)
    wanted = (1 - u) * step.variance + u * step.beta
    found = aimed(x, one(300), one(100))[1]
    assert torch.allclose(found, wanted.float().expand_as(found), rtol=1e-3)
    assert bool((found > plain(x, one(300), one(100))[1]).all())


def test_a_claim_of_certainty_keeps_a_width_at_the_last_step():
    model = LearnedVariance(Says(-0.2), LINEAR)
    reverse = learned(model, above_in(torch.tensor([1000, 300, 0])), reaimed=True)
    _, w = reverse(torch.zeros(1, 1, 2, 2), one(300), one(0))
    assert torch.allclose(w, torch.tensor(LEAST * float(1 - LINEAR.alpha_bar[300])))


def pixels() -> tuple[IndependentPixels, torch.Tensor]:
    law = IndependentPixels(torch.tensor([[0.2, 0.5, 0.3]]).double().expand(4, -1))
    return law, torch.randint(
        -1, 2, (40, 1, 2, 2), generator=torch.Generator().manual_seed(0)
    ).double()


@pytest.mark.parametrize("kind", ["small", "large"])
def test_bits_of_single_steps_are_those_of_the_bound(kind):
    law, images = pixels()
    denoise, eps = law.denoiser(LINEAR), torch.randn_like(images)
    t = torch.arange(2, 42) * 20
    reverse = fixed(denoise, LINEAR, lambda t: t + 1, kind)
    ours = reverse_bits(reverse, LINEAR, images, t, t - 1, eps, 3)
    theirs, _ = term_bits(denoise, LINEAR, images, t, eps, 3, kind)
    assert torch.allclose(ours, theirs, atol=1e-9)


def test_bits_of_any_variance_are_a_divergence():
    _, images = pixels()
    guess, w = torch.zeros_like(images), torch.full_like(images, 0.07)
    t, s = one(500).expand(40), one(450).expand(40)
    step = between(LINEAR, t[:1], s[:1])
    ours = reverse_bits(lambda *_: (guess, w), LINEAR, images, t, s, images, 3)
    kl = gaussian_kl(step.on_x_0 * images, step.variance, 0 * images, w).mean((1, 2, 3))
    assert torch.allclose(ours, kl / math.log(2))


def test_a_chain_that_skips_costs_what_the_respaced_one_costs():
    law, images = pixels()
    times = spaced_times(LINEAR, 8)
    few, clock = respaced(LINEAR, times), times.flip(0)
    one_way = fixed(law.denoiser(LINEAR), LINEAR, above_in(times), "large")
    known = law.denoiser(LINEAR)
    other = fixed(lambda x, i: known(x, clock[i]), few, above_in(torch.arange(8, -1, -1)), "large")
    a = chain_bits(one_way, LINEAR, images, times, 3, 20, seeded_randn_like(0))
    b = chain_bits(other, few, images, torch.arange(8, -1, -1), 3, 20, seeded_randn_like(0))
    assert a.shape == (8, 20) and torch.allclose(a, b, atol=1e-9)


def test_the_measured_variance_beats_both_fixed_ones():
    law, images = pixels()
    images, times = images.repeat(25, 1, 1, 1), spaced_times(cosine(), 10)
    schedule = cosine()
    denoise, errors = law.denoiser(schedule), torch.zeros(1001).double()
    for t in times[:-1].tolist():
        at = torch.full((len(images),), t)
        alpha, sigma = schedule(at, like=images)
        x = alpha * images + sigma * seeded_randn_like(t)(images)
        errors[t] = (denoise(x, at) - images).square().mean()
    above, total = above_in(times), {}
    rules = {
        "measured": measured(denoise, schedule, errors),
        "small": fixed(denoise, schedule, above, "small"),
        "large": fixed(denoise, schedule, above, "large"),
    }
    for name, rule in rules.items():
        bits = chain_bits(rule, schedule, images, times, 3, 1000, seeded_randn_like(1))
        total[name] = float(bits[1:].mean(1).sum())  # the decoder of levels is another matter
    assert total["measured"] < min(total["small"], total["large"])


@pytest.mark.parametrize("s", [0, 1])
def test_no_pictures_cost_nothing(s):
    reverse = fixed(lambda x, t: x, linear(), lambda t: t + 1, "small")
    none, t = torch.zeros(0, 1, 2, 2), torch.ones(0, dtype=torch.long)
    assert reverse_bits(reverse, linear(), none, t + 1, t + s - 1, none, 17).shape == (0,)
