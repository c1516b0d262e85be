"""The variational bound: closed forms, published sizes, and a bound that bounds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from course_lib.diffusion.exact import GaussianMixture, IndependentPixels
from course_lib.diffusion.likelihood import (
    bound_terms,
    continuous_bits,
    discretised_gaussian,
    gaussian_kl,
    nats_to_bits,
    pixel_bits,
    prior_bits,
    step_bits,
    term_bits,
)
from course_lib.diffusion.schedules import (
    cosine,
    cosine_vp,
    edm,
    from_alpha_bar,
    from_betas,
    from_log_snr,
    linear,
    rectified,
)
from course_lib.diffusion.training import vlb_weight


def float64(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3), st.floats(0.1, 3))
def test_gaussian_kl_is_torchs(mean_q, std_q, mean_p, std_p):
    mean_q, std_q, mean_p, std_p = (float64(v) for v in (mean_q, std_q, mean_p, std_p))
    theirs = kl_divergence(Normal(mean_q, std_q), Normal(mean_p, std_p))
    ours = gaussian_kl(mean_q, std_q**2, mean_p, std_p**2)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


def test_a_fair_coin_is_one_bit():
    assert math.isclose(nats_to_bits(float64(math.log(2))), 1)


def unit_data():
    """One example whose squares have mean 1 exactly: unit variance without sampling noise."""
    x = torch.linspace(-1, 1, 4096, dtype=torch.float64)
    return (x / x.square().mean().sqrt()).view(1, 1, 64, 64)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 256.0)])
def test_uniform_bytes_cost_eight_bits_in_any_units(low, high):
    log_density = torch.tensor([-784 * math.log(high - low)], dtype=torch.float64)
    bits = pixel_bits(log_density, 784, (high - low) / 256)
    assert float(bits) == pytest.approx(8, abs=1e-12)


def test_pixel_bits_bound_the_bits_of_the_discretised_density_from_above():
    law = torch.distributions.Normal(0.3, 0.9)
    levels = torch.arange(-6.0, 8.0, dtype=torch.float64)
    mass = law.cdf(levels + 1) - law.cdf(levels)  # of the bin [level, level + 1)
    u = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    density = law.log_prob(levels[:, None] + u).mean(1)  # the mean over the noise
    bits = pixel_bits(density, 1, 1.0)
    exact = nats_to_bits(-mass.log())
    assert bool((bits > exact).all())
    assert float((mass * (bits - exact)).sum()) < 0.1


@pytest.mark.parametrize(("dims", "width"), [(0, 1.0), (3, 0.0), (3, -1.0)])
def test_pixel_bits_need_dimensions_and_a_width(dims, width):
    with pytest.raises(ValueError, match="dims >= 1"):
        pixel_bits(torch.zeros(1), dims, width)


def test_prior_bits_of_ddpms_schedule_and_what_happens_with_fewer_steps():
    # Ho et al. 2020, section 4: L_T is about 1e-5 bits/dim for image-like data at T = 1000.
    # The same end points with T = 200 leave signal at t = T, and cost a tenth of a bit.
    image_like = 0.5 * unit_data()
    assert 0.5e-5 < prior_bits(linear(1000), image_like) < 2e-5
    assert math.isclose(prior_bits(linear(1000), unit_data()), 2.9e-5, rel_tol=0.02)
    assert math.isclose(prior_bits(linear(200), unit_data()), 0.10, rel_tol=0.06)
    scaled = linear(200, first=1e-4 * 5, last=0.02 * 5)
    assert prior_bits(scaled, unit_data()) < 1e-4


def test_prior_bits_is_the_divergence_of_x_T_from_noise():
    schedule, x_0 = linear(200), torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    alpha, variance = schedule.alpha_bar[-1].sqrt(), 1 - schedule.alpha_bar[-1]
    q, p = Normal(alpha * x_0.double(), variance.sqrt()), Normal(float64(0.0), float64(1.0))
    expected = kl_divergence(q, p).mean((1, 2, 3)) / math.log(2)
    torch.testing.assert_close(prior_bits(schedule, x_0.double()), expected)


@pytest.mark.parametrize("t", [2, 50, 100])
@pytest.mark.parametrize("variance", ["small", "large"])
def test_step_bits_is_the_divergence_of_the_true_step_from_the_models(t, variance):
    schedule, law = linear(100, 1e-3, 0.2), GaussianMixture(float64([0.4]), float64(0.8))
    denoise, x_0, eps = law.denoiser(schedule), float64(0.3), float64(-0.7)
    beta, bar, bar_s = schedule.beta[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
    x_t = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps
    tilde = beta * (1 - bar_s) / (1 - bar)

    def step(x, spread):  # Ho et al. 2020, eq. 6 and 7
        a, b = bar_s.sqrt() * beta / (1 - bar), (1 - beta).sqrt() * (1 - bar_s) / (1 - bar)
        return Normal(a * x + b * x_t, spread.sqrt())

    time = torch.tensor([t])
    true = step(x_0, tilde)
    model = step(denoise(x_t[None], time)[0], tilde if variance == "small" else beta)
    expected = kl_divergence(true, model) / math.log(2)
    ours = step_bits(denoise, schedule, x_0[None], time, eps[None], variance)
    torch.testing.assert_close(ours, expected)


def test_step_bits_averages_over_dimensions_and_keeps_examples_apart():
    schedule, t = linear(), torch.tensor([10, 20])
    x_0, eps = torch.zeros(2, 1, 2, 2).double(), torch.zeros(2, 1, 2, 2).double()
    off = float64(1.0, 2.0).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    bits = step_bits(lambda x, t: off, schedule, x_0, t, eps)
    expected = vlb_weight(schedule, t, "x_0") * float64(1.0, 4.0) / math.log(2)
    torch.testing.assert_close(bits, expected)


def bound(schedule, deviation, n=1_500):
    """-ELBO in nats per example for one-dimensional N(0, deviation²) data and its exact denoiser.

    L_T + the sum of L_{t-1} for t >= 2 + a Gaussian decoder with variance beta_1 at t = 1. Every
    expectation is estimated with the same n pairs, x_0 at quantiles so that only eps is random.
    """
    law = GaussianMixture(float64([0.0]), float64(deviation))
    denoise = law.denoiser(schedule)
    quantiles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    x_0 = (deviation * Normal(float64(0.0), float64(1.0)).icdf(quantiles))[:, None]
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0)).double()

    total = prior_bits(schedule, x_0)
    for t in range(2, schedule.T + 1):
        total = total + step_bits(denoise, schedule, x_0, torch.full((n,), t), noise)
    one = torch.ones(n, dtype=torch.int64)
    x_1 = schedule.alpha(one)[:, None] * x_0 + schedule.sigma(one)[:, None] * noise
    decoder = Normal(denoise(x_1, one), schedule.beta[1].sqrt())
    decoder_nats = -decoder.log_prob(x_0)[:, 0]
    exact = -law.log_prob(x_0)
    return float((total * math.log(2) + decoder_nats).mean()), float(exact.mean())


def test_the_bound_bounds_and_tightens_with_more_steps():
    # Gaussian data of unit variance, exact denoiser: -ELBO >= -log p, and the gap closes with T.
    gaps = []
    for T in (20, 40, 80):
        ours, exact = bound(linear(T, 0.1 / T, 20 / T - 1e-3), 1.0)
        assert math.isclose(exact, 0.5 * math.log(2 * math.pi * math.e), abs_tol=2e-3)
        gaps.append(ours - exact)
    assert 0 < gaps[2] < gaps[1] < gaps[0]


def test_the_bound_on_narrow_data():
    # beta-tilde is far from the true variance here, so few steps cost much; still it is a bound.
    few, exact = bound(cosine(30), 0.5)
    many, _ = bound(cosine(90), 0.5)
    assert exact < many < few


@pytest.mark.parametrize("t", [2, 50, 100])
def test_step_bits_with_the_large_variance_counts_the_wrong_variance_too(t):
    schedule, law = linear(100, 1e-3, 0.2), GaussianMixture(float64([0.4]), float64(0.8))
    denoise, x_0, eps = law.denoiser(schedule), float64(0.3), float64(-0.7)
    beta, bar, bar_s = schedule.beta[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
    x_t = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps

    def mean(x):  # Ho et al. 2020, eq. 7
        a, b = bar_s.sqrt() * beta / (1 - bar), (1 - beta).sqrt() * (1 - bar_s) / (1 - bar)
        return a * x + b * x_t

    q = Normal(mean(x_0), (beta * (1 - bar_s) / (1 - bar)).sqrt())
    p = Normal(mean(denoise(x_t[None], torch.tensor([t]))[0]), beta.sqrt())
    ours = step_bits(denoise, schedule, x_0[None], torch.tensor([t]), eps[None], "large")
    torch.testing.assert_close(ours, kl_divergence(q, p) / math.log(2))


@pytest.mark.parametrize("schedule", [cosine_vp, rectified, edm])
def test_the_continuous_bound_is_the_mutual_information_of_a_gaussian(schedule):
    # For data N(0, s²) the squared error is s² / (1 + s² SNR), and half its integral over the SNR
    # is (1/2) log(1 + s² SNR): every schedule must give the difference of that at its ends.
    std = 0.5
    t = torch.linspace(0.1, 0.9, 4001, dtype=torch.float64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    # Errors of size s²σ²/(α²s²+σ²) at each t, without sampling: x_0 so large that it shows exactly.
    error = std**2 * sigma**2 / (alpha**2 * std**2 + sigma**2)

    def wrong_by_its_mean_error(x_t, t):
        return error.sqrt()[:, None]

    zero = torch.zeros(len(t), 1, dtype=torch.float64)
    rate = continuous_bits(wrong_by_its_mean_error, schedule, zero, t, zero)
    information = 0.5 * torch.log2(1 + std**2 * schedule.snr(t[[0, -1]]))
    assert float(torch.trapezoid(rate, t)) == pytest.approx(
        float(information[0] - information[1]), rel=1e-5
    )


def test_finer_and_finer_steps_cost_what_the_continuous_bound_says():
    data = GaussianMixture(float64([-1.0], [1.0]), float64(0.2, 0.2))
    path = from_log_snr(lambda t: 6 - 12 * t)
    levels = path.alpha(torch.linspace(0, 1, 4001, dtype=torch.float64)).square()
    fine = from_alpha_bar(torch.cat([float64(1.0), levels]), max_beta=1.0)
    x_0 = data.sample(4001, seed=1)
    eps = torch.randn(4001, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    t = torch.arange(2, 4002)
    steps = step_bits(data.denoiser(fine), fine, x_0[1:], t, eps[1:]).sum()
    u = (t - 1) / 4000.0
    rate = continuous_bits(data.denoiser(path), path, x_0[1:], u.double(), eps[1:]).mean()
    assert float(steps) == pytest.approx(float(rate), rel=0.01)


# ---- The bound of whole models -------------------------------------------------------------------


def every_level(levels, nodes=61):
    """All pairs of a grey level and a quadrature node of eps, and the weights of the nodes."""
    eps, weight = np.polynomial.hermite_e.hermegauss(nodes)
    x_0 = torch.linspace(-1, 1, levels, dtype=torch.float64)
    pairs = torch.cartesian_prod(x_0, torch.tensor(eps))
    weight = torch.tensor(weight / weight.sum()).repeat(levels) / levels
    return pairs[:, :1], pairs[:, 1:], weight


@pytest.mark.parametrize("levels", [2, 17, 64])
def test_uniform_data_costs_exactly_log2_of_the_number_of_levels(levels):
    # With infinitely many steps and the exact denoiser, by quadrature: no draws, no error.
    path = from_log_snr(lambda t: 15 - 27 * t)
    law = IndependentPixels(torch.full((1, levels), 1 / levels, dtype=torch.float64))
    x_0, eps, weight = every_level(levels)
    times = torch.linspace(0, 1, 201, dtype=torch.float64)
    bits = [
        (weight * continuous_bits(law.denoiser(path), path, x_0, t.expand(len(x_0)), eps)).sum()
        for t in times
    ]
    assert float(torch.trapezoid(torch.stack(bits), times)) == pytest.approx(
        math.log2(levels), abs=2e-5
    )


def test_a_denoiser_that_knows_nothing_but_the_levels_charges_any_picture_their_logarithm():
    # The cross-entropy with a uniform law does not ask what the data is.
    path = from_log_snr(lambda t: 15 - 27 * t)
    law = IndependentPixels(torch.full((1, 17), 1 / 17, dtype=torch.float64))
    _, eps, weight = every_level(1)
    times = torch.linspace(0, 1, 201, dtype=torch.float64)
    for level in (-1.0, 0.25):
        x_0 = torch.full_like(eps, level)
        bits = [
            (weight * continuous_bits(law.denoiser(path), path, x_0, t.expand(len(eps)), eps)).sum()
            for t in times
        ]
        total = float(torch.trapezoid(torch.stack(bits), times))
        assert total == pytest.approx(math.log2(17), abs=2e-5)


@pytest.mark.parametrize("variance", ["small", "large"])
def test_terms_are_the_decoder_at_one_and_the_steps_above(variance):
    torch.manual_seed(0)
    schedule, t = linear(), torch.tensor([1, 2, 1, 700])
    x_0 = torch.randint(0, 17, (4, 1, 2, 3)).double() / 8 - 1
    eps = torch.randn_like(x_0)

    def denoise(x_t, t):
        return 0.9 * x_t + 0.01 * t.view(-1, 1, 1, 1) / 1000

    bits, error = term_bits(denoise, schedule, x_0, t, eps, 17, variance)
    steps = step_bits(denoise, schedule, x_0, t.clamp(min=2), eps, variance)
    torch.testing.assert_close(bits[[1, 3]], steps[[1, 3]])
    alpha, sigma = schedule(t, like=x_0)
    guess = denoise(alpha * x_0 + sigma * eps, t)
    decoder = -discretised_gaussian(x_0, guess, 0.01, 17) / 6 / math.log(2)
    torch.testing.assert_close(bits[[0, 2]], decoder[[0, 2]])
    torch.testing.assert_close(error, (guess - x_0).square().mean((1, 2, 3)))


@given(st.floats(0.01, 1), st.integers(-511, 511), st.sampled_from(["small", "large"]))
def test_one_step_bounds_a_gaussian_exactly(beta, level, variance):
    # For data from N(0, 1) the mean of x_0 given x_1 is alpha x_1 and its variance beta_1, so that
    # the only step is the exact reverse: L_0 + L_1 is -log2 of the density times a bin's width.
    chain = from_betas(float64(beta))
    node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(9))
    x_0 = torch.full((9, 1), level / 512, dtype=torch.float64)

    def denoise(x_1, t):
        return chain(t, like=x_1)[0] * x_1

    now = torch.ones(9, dtype=torch.long)
    bits, _ = term_bits(denoise, chain, x_0, now, node[:, None], 2**20 + 1, variance)
    total = (weight * bits).sum() / weight.sum() + prior_bits(chain, x_0[:1])[0]
    density = Normal(0, 1).log_prob(x_0[0, 0])
    torch.testing.assert_close(total, 19 - density / math.log(2), atol=1e-5, rtol=0)
    bounds, _ = bound_terms(denoise, chain, x_0, 17, draws=3, variance=variance)
    assert bounds.shape == (1, 3) and bool(torch.isfinite(bounds).all())


def test_the_gradient_of_a_chain_of_one_step_is_finite():
    scale = torch.tensor(0.5, requires_grad=True)
    x_0, now = torch.zeros(2, 1), torch.ones(2, dtype=torch.long)
    bits, _ = term_bits(
        lambda x, t: scale * x, from_betas(float64(0.5)), x_0, now, torch.ones(2, 1), 17
    )
    bits.sum().backward()
    assert torch.isfinite(scale.grad) and scale.grad != 0


def test_wild_guesses_at_other_times_leave_the_gradient_finite():
    scale = torch.tensor(1e6, requires_grad=True)
    x_0, t = torch.zeros(2, 1), torch.tensor([1, 900])

    def denoise(x_t, t):
        return torch.where((t == 1)[:, None], 0.5 * x_t, scale * x_t)

    bits, _ = term_bits(denoise, linear(), x_0, t, torch.ones(2, 1), 17, "large")
    bits.sum().backward()
    assert torch.isfinite(bits).all() and torch.isfinite(scale.grad)


def test_the_terms_of_a_known_law_add_up_to_a_little_more_than_its_bits():
    torch.manual_seed(0)
    tables = torch.rand(4, 17, dtype=torch.float64).pow(8)
    law = IndependentPixels(tables / tables.sum(1, keepdim=True))
    which = torch.multinomial(law.log_p.exp(), 2000, replacement=True).T
    images = law.levels[which].view(2000, 1, 2, 2)
    exact = nats_to_bits(-law.log_prob(images) / 4)
    # A chain whose first steps are fine enough for 17 levels: even in log SNR from 10 to -10.
    fine = from_alpha_bar(
        torch.cat([torch.ones(1), torch.sigmoid(torch.linspace(10, -10, 600))]).double(), 1.0
    )
    bits, error = bound_terms(law.denoiser(fine), fine, images, 17, draws=20)
    assert bits.shape == error.shape == (600, 20)
    total = bits.mean(1).sum() + prior_bits(fine, images).mean()
    noise = (bits.var(1) / 20).sum().sqrt()
    assert -3 * noise < total - exact.mean() < 0.08 + 3 * noise
    assert noise < 0.06
    # Row t - 1 belongs to time t: the guess gets worse as t grows.
    assert error[:50].mean() < 1e-3 < 0.01 < error[-50:].mean()


def test_every_picture_has_its_turn():
    seen = []

    def denoise(x_t, t):
        seen.append(x_t)
        return x_t

    short = from_alpha_bar(torch.linspace(1, 0.2, 11).double())
    pictures = 100.0 * torch.arange(4).view(4, 1)
    bound_terms(denoise, short, pictures, 17, draws=2, randn_like=torch.zeros_like)
    told = torch.cat(seen)[:, 0] / short.alpha(torch.arange(1, 11).repeat_interleave(2))
    assert (told / 100).round().long().bincount().tolist() == [5, 5, 5, 5]


def test_no_pictures_cost_nothing():
    none, t = torch.zeros(0, 1, 2, 2), torch.ones(0, dtype=torch.long)
    for found in term_bits(lambda x, t: x, linear(), none, t, none, 17):
        assert found.shape == (0,)
