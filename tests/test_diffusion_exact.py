"""The denoisers whose answer is known, against autograd, integration, sampling and brute force."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from course_lib.diffusion.exact import Dataset, GaussianMixture, IndependentPixels
from course_lib.diffusion.schedules import cosine, cosine_vp, edm, linear, rectified


def float64(*values):
    return torch.tensor(values, dtype=torch.float64)


MEANS = float64([1.0, 0.5], [-1.0, 0.8], [0.2, -1.2])
COVARIANCES = float64(
    [[0.2, 0.1], [0.1, 0.3]], [[0.3, 0.0], [0.0, 0.1]], [[0.1, -0.05], [-0.05, 0.4]]
)
WEIGHTS = float64(5, 3, 2)


def mixture():
    return GaussianMixture(MEANS, COVARIANCES, WEIGHTS)


FACTORS = float64(
    [[0.9, 0.0, 0.0], [0.5, 0.6, 0.0], [-0.3, 0.2, 0.7]],
    [[0.5, 0.0, 0.0], [-0.4, 0.8, 0.0], [0.6, 0.1, 0.6]],
)


def solid():
    """In three dimensions: in the plane the matrix of axes may equal its own transpose."""
    return GaussianMixture(float64([1.0, 0.5, -0.2], [-1.0, 0.8, 0.4]), FACTORS @ FACTORS.mT)


def normal(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_density_is_torchs():
    theirs = MixtureSameFamily(Categorical(WEIGHTS), MultivariateNormal(MEANS, COVARIANCES))
    x = 2 * normal((200, 2))
    torch.testing.assert_close(mixture().log_prob(x), theirs.log_prob(x), atol=1e-10, rtol=1e-10)


def test_density_and_samples_in_three_dimensions():
    law, x = solid(), 2 * normal((200, 3))
    covariances = FACTORS @ FACTORS.mT
    assert (law.axes - law.axes.mT).abs().amax((1, 2)).min() > 0.1
    theirs = MixtureSameFamily(
        Categorical(float64(1, 1)), MultivariateNormal(law.means, covariances)
    )
    torch.testing.assert_close(law.log_prob(x), theirs.log_prob(x), atol=1e-10, rtol=1e-10)
    mean, samples = law.means.mean(0), law.sample(50_000)
    between = (law.means - mean).T @ (law.means - mean) / 2
    assert (samples.T.cov() - covariances.mean(0) - between).abs().max() < 0.03


def test_density_far_away_does_not_underflow():
    x = float64(200.0, -300.0)
    theirs = MixtureSameFamily(Categorical(WEIGHTS), MultivariateNormal(MEANS, COVARIANCES))
    torch.testing.assert_close(mixture().log_prob(x[None])[0], theirs.log_prob(x))


def test_score_is_the_gradient_of_log_density():
    for law in (mixture(), solid()):
        x = (2 * normal((200, law.dim))).requires_grad_()
        (gradient,) = torch.autograd.grad(law.log_prob(x).sum(), x)
        torch.testing.assert_close(law.score(x.detach()), gradient, atol=1e-10, rtol=1e-10)


def test_samples_have_the_moments_and_the_weights():
    law, x = mixture(), mixture().sample(100_000)
    share = WEIGHTS / WEIGHTS.sum()
    mean = share @ MEANS
    offset = MEANS - mean
    cov = torch.einsum("k,kij->ij", share, COVARIANCES) + torch.einsum(
        "k,ki,kj->ij", share, offset, offset
    )
    assert law.dim == 2 and x.shape == (100_000, 2) and x.dtype == torch.float64
    assert (x.mean(0) - mean).abs().max() < 0.015
    assert (x.T.cov() - cov).abs().max() < 0.02


def test_samples_of_one_component_follow_its_correlation():
    law = GaussianMixture(float64([0.0, 0.0]), float64([[1.0, 0.9], [0.9, 1.0]]))
    x = law.sample(50_000)
    assert abs(x.T.corrcoef()[0, 1] - 0.9) < 0.005


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    state, law = torch.get_rng_state(), mixture()
    assert torch.equal(law.sample(9, seed=3), law.sample(9, seed=3))
    assert not torch.equal(law.sample(9, seed=3), law.sample(9, seed=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_noised_is_the_law_of_noised_samples():
    alpha, sigma = 0.6, 0.5
    x_t = alpha * mixture().sample(100_000) + sigma * normal((100_000, 2))
    law = mixture().noised(alpha, sigma)
    direct = law.sample(100_000, seed=1)
    assert (x_t.mean(0) - direct.mean(0)).abs().max() < 0.015
    assert (x_t.T.cov() - direct.T.cov()).abs().max() < 0.015
    # Beyond two moments: the mean log density under the law is the same for both.
    assert abs(law.log_prob(x_t).mean() - law.log_prob(direct).mean()) < 0.015


def test_noise_twice_is_noise_once():
    once = mixture().noised(0.6 * 0.5, math.sqrt(0.25 * 0.5**2 + 0.3**2))
    twice = mixture().noised(0.6, 0.5).noised(0.5, 0.3)
    x = normal((20, 2))
    torch.testing.assert_close(once.log_prob(x), twice.log_prob(x), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("schedule", [cosine_vp, rectified, edm])
@given(t=st.floats(0.02, 0.98))
def test_tweedie(schedule, t):
    # E[x_0 | x_t] = (x_t + sigma² score_t(x_t)) / alpha
    time = torch.full((10,), t, dtype=torch.float64)
    alpha, sigma = float(schedule.alpha(time)[0]), float(schedule.sigma(time)[0])
    for law in (mixture(), solid()):
        x_t = 2 * normal((10, law.dim))
        score = law.noised(alpha, sigma).score(x_t)
        expected = (x_t + sigma**2 * score) / alpha
        denoised = law.denoiser(schedule)(x_t, time)
        torch.testing.assert_close(denoised, expected, atol=1e-8, rtol=1e-8)


def posterior_mean_by_integration(law, x_t, alpha, sigma, side):
    """Sum x_0 p(x_0) p(x_t | x_0) over a fine grid."""
    axis = torch.linspace(-5, 5, side, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * law.dim).view(-1, law.dim)
    distance = (x_t - alpha * grid).square().sum(1)
    weights = (law.log_prob(grid) - distance / (2 * sigma**2)).softmax(0)
    return weights @ grid


@pytest.mark.parametrize("alpha, sigma", [(0.9, 0.3), (0.5, 0.8), (1.0, 2.0)])
def test_posterior_mean_is_the_integral_in_one_and_two_dimensions(alpha, sigma):
    line = GaussianMixture(float64([-1.0], [0.5]), float64(0.3, 0.6), float64(1, 2))
    for law, side in ((line, 4001), (mixture(), 201)):
        for x_t in normal((3, law.dim), seed=1):
            a, s = float64(alpha), float64(sigma)
            ours = law.posterior_mean(x_t[None], a, s)[0]
            theirs = posterior_mean_by_integration(law, x_t, alpha, sigma, side)
            torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)


def test_limits_of_the_denoiser():
    law, x = mixture(), normal((5, 2))
    denoise = law.denoiser(edm)
    share = WEIGHTS / WEIGHTS.sum()
    no_noise = denoise(x, torch.zeros(5).double())
    torch.testing.assert_close(no_noise, x)  # x_t is the data itself
    all_noise = denoise(x, torch.full((5,), 1e6).double())
    expected = (share @ MEANS).expand(5, 2)
    torch.testing.assert_close(all_noise, expected, atol=1e-5, rtol=0)  # nothing is known


def test_one_noise_level_per_example():
    x, t = normal((6, 2)), torch.linspace(0.1, 0.9, 6).double()
    together = mixture().denoiser(cosine_vp)(x, t)
    for i in range(6):
        alone = mixture().denoiser(cosine_vp)(x[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_round_gaussians_and_equal_weights_are_the_defaults():
    stds = float64(0.2, 0.5, 1.0)
    full = stds.square()[:, None, None] * torch.eye(2, dtype=torch.float64)
    x = normal((10, 2))
    short, long = GaussianMixture(MEANS, stds), GaussianMixture(MEANS, full, float64(7, 7, 7))
    torch.testing.assert_close(short.log_prob(x), long.log_prob(x))


def test_a_mixture_of_points_is_a_data_set():
    points = normal((7, 2))
    law = GaussianMixture(points, torch.zeros(7, dtype=torch.float64))
    x, t = normal((20, 2), seed=1), torch.linspace(0.1, 1.0, 20).double()
    ours, theirs = law.denoiser(edm)(x, t), Dataset(points).denoiser(edm)(x, t)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(
    "means, covariances, weights, said",
    [
        (MEANS, COVARIANCES[:2], None, r"need covariances \[3, 2, 2\].*got \[2, 2, 2\]"),
        (MEANS, COVARIANCES, WEIGHTS[:2], r"weights \[3\].*\[2\]"),
        (MEANS, COVARIANCES, float64(1, 0, 1), r"weights must be positive, got \[1.0, 0.0, 1.0\]"),
        (MEANS[:1], float64([[1.0, 0.5], [0.0, 1.0]]), None, "must be symmetric"),
        (MEANS[:1], float64([[1.0, 2.0], [2.0, 1.0]]), None, "negative eigenvalue -1"),
    ],
)
def test_wrong_mixtures_are_named(means, covariances, weights, said):
    with pytest.raises(ValueError, match=said):
        unchecked = GaussianMixture.__init__.__wrapped__
        unchecked(object.__new__(GaussianMixture), means, covariances, weights)


@pytest.mark.parametrize("schedule, t", [(linear(), 300), (rectified, 0.4), (edm, 2.0)])
def test_data_set_denoiser_is_the_sum_over_all_examples(schedule, t):
    data, x_t = normal((30, 1, 4, 4)), normal((5, 1, 4, 4), seed=1)
    t = torch.full((5,), t) if isinstance(t, int) else torch.full((5,), t).double()
    alpha, sigma = schedule(t, like=x_t)
    ours = Dataset(data).denoiser(schedule)(x_t, t)
    for i in range(5):
        logs = [-float((x_t[i] - alpha[i] * x).square().sum() / (2 * sigma[i] ** 2)) for x in data]
        weights = [math.exp(log - max(logs)) for log in logs]
        mean = sum(w * x for w, x in zip(weights, data, strict=True)) / sum(weights)
        torch.testing.assert_close(ours[i], mean, atol=1e-10, rtol=1e-10)


def test_data_set_denoiser_returns_an_example_at_low_noise_and_the_mean_at_high():
    data = normal((30, 1, 4, 4)).float()
    denoise = Dataset(data).denoiser(edm)
    x = data[:5] + 0.01 * normal((5, 1, 4, 4), seed=1).float()
    torch.testing.assert_close(denoise(x, torch.full((5,), 0.01)), data[:5])
    mean = denoise(x, torch.full((5,), 1e5))
    torch.testing.assert_close(mean, data.mean(0, keepdim=True).expand(5, -1, -1, -1))


def test_data_set_denoiser_stays_within_the_data():
    data = normal((12, 3))
    x = 5 * normal((40, 3), seed=2)
    denoised = Dataset(data).denoiser(rectified)(x, torch.linspace(0.01, 1, 40).double())
    assert (denoised <= data.max(0).values + 1e-12).all()
    assert (denoised >= data.min(0).values - 1e-12).all()


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="at least one example"):
        Dataset(torch.zeros(0, 2))


@pytest.mark.parametrize("alpha, sigma", [(1.0, 0.3), (0.6, 0.8), (0.05, 1.0)])
def test_posterior_is_bayes_rule(alpha, sigma):
    law, x_t = mixture(), float64(0.4, -0.3)
    x_0 = normal((50, 2))
    posterior = law.posterior(x_t, alpha, sigma)
    likelihood = MultivariateNormal(x_t, sigma**2 * torch.eye(2).double()).log_prob(alpha * x_0)
    evidence = law.noised(alpha, sigma).log_prob(x_t[None])
    expected = law.log_prob(x_0) + likelihood - evidence
    torch.testing.assert_close(posterior.log_prob(x_0), expected, rtol=1e-9, atol=1e-9)
    mean = (posterior.weights[:, None] * posterior.means).sum(0)
    one = torch.ones(1).double()
    torch.testing.assert_close(mean[None], law.posterior_mean(x_t[None], alpha * one, sigma * one))


def test_posterior_of_a_far_point_still_has_positive_weights():
    posterior = mixture().posterior(float64(900.0, 900.0), 1.0, 0.01)
    assert torch.isfinite(posterior.means).all() and posterior.weights.sum() == pytest.approx(1)


@given(st.integers(1, 199), st.integers(1, 60), st.floats(0.05, 1.5), st.floats(-2, 2))
def test_reverse_kernel_of_a_gaussian_is_the_regression_of_x_s_on_x_t(s, apart, std, x_t):
    schedule = linear(260)
    t = s + apart
    law = GaussianMixture(float64([0.0]), float64(std))
    kernel = law.reverse_kernel(schedule, float64(x_t), torch.tensor(t), torch.tensor(s))
    v = schedule.alpha_bar * std**2 + 1 - schedule.alpha_bar
    keep = (schedule.alpha_bar[t] / schedule.alpha_bar[s]).sqrt()
    torch.testing.assert_close(kernel.means[0, 0], keep * v[s] / v[t] * x_t, rtol=1e-9, atol=1e-9)
    expected = (1 - keep**2) * v[s] / v[t]
    torch.testing.assert_close(kernel.variances[0, 0], expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("schedule", [cosine_vp, rectified, edm])
def test_mean_of_a_reverse_kernel_mixes_x_t_with_the_best_guess_of_x_0(schedule):
    # E[x_s | x_t] averages the mean of q(x_s | x_t, x_0) over x_0 (Ho et al. 2020, eq. 7).
    law, t, s = mixture(), torch.tensor(0.7).double(), torch.tensor(0.4).double()
    alpha_t, sigma_t, alpha_s, sigma_s = (
        c(time) for time in (t, s) for c in (schedule.alpha, schedule.sigma)
    )
    keep = alpha_t / alpha_s
    fresh = sigma_t**2 - keep**2 * sigma_s**2
    x = normal((20, 2), seed=3)
    guess = law.posterior_mean(x, alpha_t.expand(20), sigma_t.expand(20))
    kernels = [law.reverse_kernel(schedule, x_t, t, s) for x_t in x]
    means = torch.stack([(k.weights[:, None] * k.means).sum(0) for k in kernels])
    expected = (alpha_s * fresh * guess + keep * sigma_s**2 * x) / sigma_t**2
    torch.testing.assert_close(means, expected, rtol=1e-9, atol=1e-9)


def test_independent_pixels_are_the_product_of_mixtures_of_points():
    torch.manual_seed(0)
    tables = torch.rand(3, 5, dtype=torch.float64)
    tables = tables / tables.sum(1, keepdim=True)
    law, x = IndependentPixels(tables), torch.randn(7, 1, 1, 3, dtype=torch.float64)
    points = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    t = torch.full((7,), 0.4, dtype=torch.float64)
    ours = law.denoiser(rectified)(x, t)
    for pixel in range(3):
        one = GaussianMixture(points, torch.zeros(5, dtype=torch.float64), tables[pixel])
        torch.testing.assert_close(
            ours[:, 0, 0, pixel : pixel + 1], one.denoiser(rectified)(x[:, 0, 0, pixel:][:, :1], t)
        )


def test_independent_pixels_multiply_their_chances():
    tables = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    law = IndependentPixels(tables)
    x = torch.tensor([[-1.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(law.log_prob(x), torch.tensor([0.35, 0.05]).log())
    with pytest.raises(ValueError, match="add up to 1"):
        IndependentPixels(2 * tables)


def test_the_stage_of_a_mixture_is_the_mean_of_what_fits_both_pictures():
    schedule = cosine()
    means = torch.tensor([[1.0, -1, 0], [-1, 1, 0.5], [1, 1, -1]], dtype=torch.float64)
    spread = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0)).double() * 0.3
    covariances = spread @ spread.transpose(1, 2) + 0.05 * torch.eye(3).double()
    mixture = GaussianMixture(means, covariances, torch.tensor([1.0, 2, 1]).double())
    see = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    stage, many = mixture.low_res_denoiser(schedule, see), mixture.sample(400_000, 1)
    x_t, z = torch.randn(2, 3).double(), 0.5 * torch.randn(2, 2).double()
    t, s = torch.tensor([600, 800]), torch.tensor([400, 250])
    answers = stage(x_t, t, low_res=z, aug_t=s)
    for i in range(2):
        (a, b), (c, d) = ((schedule.alpha(u[i]), schedule.sigma(u[i])) for u in (t, s))
        away = ((x_t[i] - a * many) / b).square().sum(1)
        away += ((z[i] - c * many @ see.T) / d).square().sum(1)
        brute = (-away / 2).softmax(0) @ many
        torch.testing.assert_close(answers[i], brute, atol=0.02, rtol=0)


def test_a_stage_told_only_noise_is_the_plain_denoiser_and_one_told_all_repeats_it():
    schedule, none = cosine(), torch.zeros(4, dtype=torch.long)
    mixture = GaussianMixture(torch.tensor([[1.0, -1], [-1, 1]]).double(), torch.ones(2).double())
    x_t, t = torch.randn(4, 2).double(), torch.full((4,), 500)
    whole = mixture.low_res_denoiser(schedule, torch.eye(2).double())
    z = torch.randn(4, 2).double()
    torch.testing.assert_close(whole(x_t, t, low_res=z, aug_t=none), z, atol=1e-6, rtol=0)
    blind = mixture.low_res_denoiser(schedule, torch.tensor([[0.5, 0.5]]).double())
    told = blind(x_t, t, low_res=torch.randn(4, 1).double(), aug_t=none + 1000)
    plain = mixture.denoiser(schedule)(x_t, t)
    torch.testing.assert_close(told, plain, atol=2e-3, rtol=0)


@pytest.mark.parametrize("dim", [2, 16, 64])
def test_covariances_of_single_precision_are_taken_and_noised(dim):
    torch.manual_seed(0)
    for rank in (1, dim):
        a = torch.randn(20, dim, rank)
        law = GaussianMixture(torch.zeros(20, dim), a @ a.transpose(1, 2))
        law.noised(0.7, 0.7).posterior(torch.zeros(dim), 0.7, 0.7)
