"""The VAE against closed forms: likelihoods that add up to one, bounds that hold, gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from course_lib.diffusion.likelihood import discretised_gaussian
from course_lib.models import vae

F64 = {"dtype": torch.float64}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **F64)


# ---- decoders -----------------------------------------------------------------------------------


def test_gaussian_is_scipy_s():
    x, mean = random(3, 1, 4, 4), random(3, 1, 4, 4, seed=1)
    theirs = stats.norm(mean.numpy(), 0.3).logpdf(x.numpy()).reshape(3, -1).sum(1)
    torch.testing.assert_close(vae.gaussian(x, mean, 0.3), torch.from_numpy(theirs))


def test_bernoulli_is_torch_s_and_refuses_greys():
    x, logits = (random(5, 7) > 0).double(), random(5, 7, seed=1)
    theirs = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(1)
    torch.testing.assert_close(vae.bernoulli(x, logits), theirs)
    with pytest.raises(ValueError, match=r"0 or 1, got values in \[0, 0\.5\]"):
        vae.bernoulli(x * 0.5, logits)


DISCRETISED = {
    "gaussian": (discretised_gaussian, stats.norm),
    "logistic": (vae.discretised_logistic, stats.logistic),
}


@pytest.mark.parametrize("name", DISCRETISED)
@given(mean=st.floats(-1.5, 1.5), log_scale=st.floats(-6, 1), levels=st.sampled_from([2, 17, 256]))
@settings(max_examples=20, deadline=None)
def test_the_levels_share_the_whole_probability(name, mean, log_scale, levels):
    law, _ = DISCRETISED[name]
    x = torch.linspace(-1, 1, levels, **F64)[:, None]
    total = law(x, torch.full_like(x, mean), math.exp(log_scale), levels).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", DISCRETISED)
def test_a_level_s_probability_is_a_difference_of_scipy_s_distribution_function(name):
    law, theirs = DISCRETISED[name]
    x = torch.linspace(-1, 1, 17, **F64)[:, None]
    for mean, scale in ((0.1, 0.2), (-0.9, 0.05), (0.7, 1.5)):
        ours = law(x, torch.full_like(x, mean), scale, 17).exp()
        edges = torch.cat([x[:, 0] - 1 / 16, torch.tensor([1 + 1 / 16], **F64)]).numpy()
        edges[0], edges[-1] = -math.inf, math.inf
        mass = torch.from_numpy(theirs(mean, scale).cdf(edges)).diff()
        torch.testing.assert_close(ours, mass, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("name", DISCRETISED)
def test_a_hopeless_pixel_has_a_finite_price_and_a_gradient(name):
    law, _ = DISCRETISED[name]
    x = torch.tensor([[-1.0], [0.0], [1.0]])
    mean = torch.tensor([[5.0], [-3.0], [-5.0]], requires_grad=True)
    price = law(x.expand(3, 1), mean, 0.02)
    assert torch.isfinite(price).all() and (price < -50).all()
    (gradient,) = torch.autograd.grad(price.sum(), mean)
    assert torch.isfinite(gradient).all()
    assert (gradient.sign() == torch.tensor([[-1.0], [1.0], [1.0]])).all()


@given(scale=st.floats(-30, 30), mean=st.floats(-30, 30))
@settings(max_examples=20, deadline=None)
def test_whatever_a_decoder_says_the_loss_and_its_gradient_are_finite(scale, mean):
    x = torch.linspace(-1, 1, 4).view(1, 1, 2, 2)
    out = torch.tensor([mean, scale]).view(1, 2, 1, 1).repeat(1, 1, 2, 2).requires_grad_()
    loss = vae.logistic_pixels(x, out)
    (gradient,) = torch.autograd.grad(loss.sum(), out)
    assert torch.isfinite(loss).all() and torch.isfinite(gradient).all()


def test_drawn_pixels_follow_the_law_they_are_drawn_from():
    n, levels = 60_000, 5
    out = torch.tensor([0.3, -1.2]).view(1, 2, 1, 1).repeat(n, 1, 1, 1)
    uniform = torch.rand(n, 1, 1, 1, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1)
    drawn = vae.draw_pixels(out, uniform.clamp(max=1 - 1e-6), levels)
    shares = ((drawn.flatten() + 1) * 2).round().long().bincount(minlength=levels) / n
    x = torch.linspace(-1, 1, levels).view(-1, 1, 1, 1)
    exact = vae.logistic_pixels(x, out[:levels], levels).exp()
    torch.testing.assert_close(shares, exact, atol=8e-3, rtol=0)


# ---- the bounds, where the answer is known ------------------------------------------------------


class Linear(nn.Module):
    """x = W z + mu + sigma eps, with any encoder."""

    def __init__(self, seed: int, dim: int = 4, latent: int = 2, sigma: float = 0.5):
        super().__init__()
        self.W, self.mu, self.sigma = random(dim, latent, seed=seed), random(dim, seed=9), sigma
        self.encode = nn.Linear(dim, 2 * latent).double()

    def as_vae(self, exact: bool) -> vae.VAE:
        encoder = self.exact_encoder if exact else self.encode
        return vae.VAE(
            Called(encoder),
            Called(lambda z: self.mu + z @ self.W.T),
            lambda x, mean: vae.gaussian(x, mean, self.sigma),
            latent=self.W.shape[1],
        )

    @property
    def marginal(self) -> MultivariateNormal:
        return MultivariateNormal(
            self.mu, self.W @ self.W.T + self.sigma**2 * torch.eye(len(self.mu), **F64)
        )

    def exact_encoder(self, x: torch.Tensor) -> torch.Tensor:
        """The true posterior; it has independent coordinates only if W's columns are orthogonal."""
        M = torch.eye(self.W.shape[1], **F64) + self.W.T @ self.W / self.sigma**2
        mean = torch.linalg.solve(M, self.W.T @ (x - self.mu).T).T / self.sigma**2
        return torch.cat([mean, M.inverse().diagonal().log().expand_as(mean)], dim=1)


class Called(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_with_the_true_posterior_every_weight_is_the_likelihood():
    model = Linear(seed=1)
    model.W = torch.linalg.qr(model.W).Q * torch.tensor([2.0, 0.7], **F64)  # orthogonal columns
    x = model.marginal.sample((6,))
    weights = vae.log_weights(model.as_vae(exact=True), x, random(5, 6, 2))
    torch.testing.assert_close(weights, model.marginal.log_prob(x).expand(5, 6))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_elbo_never_passes_the_likelihood(seed):
    torch.manual_seed(seed)
    model = Linear(seed)
    x = model.marginal.sample((1,))
    q = model.as_vae(exact=False)
    mean, log_var = q.posterior(x)
    # E_q log p(x | z) in closed form, so that no dice are involved.
    far = (x - model.mu - mean @ model.W.T).square().sum()
    far = far + (model.W.square() @ log_var.exp()[0]).sum()
    explained = -far / (2 * 0.25) - 4 / 2 * math.log(2 * math.pi * 0.25)
    elbo = explained - vae.kl_to_prior(mean, log_var).sum()
    assert elbo <= model.marginal.log_prob(x)[0] + 1e-9


def test_the_terms_estimate_the_closed_form_elbo():
    torch.manual_seed(0)
    model = Linear(3)
    x = model.marginal.sample((1,)).expand(100_000, -1)
    with torch.no_grad():
        explained, kl = model.as_vae(exact=False).terms(x, torch.randn(100_000, 2, **F64))
        weights = vae.log_weights(model.as_vae(exact=False), x, torch.randn(1, 100_000, 2, **F64))
    total = explained - kl.sum(1)
    error = (total.var() / len(total)).sqrt() + (weights.var() / len(total)).sqrt()
    assert abs(total.mean() - weights.mean()) < 5 * error


@given(seed=st.integers(0, 10_000), k=st.sampled_from([2, 4, 8]))
@settings(max_examples=10, deadline=None)
def test_more_draws_never_loosen_the_bound(seed, k):
    torch.manual_seed(seed)
    model = Linear(seed)
    x, eps = model.marginal.sample((3,)), torch.randn(8, 3, 2, **F64)
    q = model.as_vae(exact=False)

    def bound(k):
        return torch.stack([vae.iwae_bound(q, x, group) for group in eps.split(k)]).mean(0)

    assert (bound(k) >= bound(k // 2) - 1e-9).all()


@pytest.mark.parametrize("widen", [0.7, 1.0, 2.5])
def test_however_wide_the_draws_the_weights_have_the_likelihood_as_their_mean(widen):
    model = Linear(seed=1)
    x = model.marginal.sample((1,))
    with torch.no_grad():
        bound = vae.iwae_bound(model.as_vae(exact=True), x, random(3_000, 1, 2, seed=2), widen)
    torch.testing.assert_close(bound, model.marginal.log_prob(x), atol=0.1, rtol=0)


def test_many_draws_reach_the_likelihood():
    model = Linear(seed=1)
    x = model.marginal.sample((4,))
    with torch.no_grad():
        bound = vae.iwae_bound(model.as_vae(exact=True), x, random(500, 4, 2, seed=2))
    torch.testing.assert_close(bound, model.marginal.log_prob(x), atol=0.05, rtol=0)


def test_the_bound_equals_an_integral_over_a_latent_of_one_number():
    model = Linear(seed=5, dim=3, latent=1)
    x = model.marginal.sample((1,))
    numbers = [float(v) for v in x[0]]

    def joint(z):
        mean = model.mu + z * model.W[:, 0]
        fit = stats.norm(mean.numpy(), model.sigma).logpdf(numbers).sum()
        return math.exp(fit + stats.norm.logpdf(z))

    integral = math.log(integrate.quad(joint, -12, 12, points=[0])[0])
    weights = vae.log_weights(model.as_vae(exact=True), x, random(3, 1, 1))
    assert weights.flatten().tolist() == pytest.approx([integral] * 3, abs=1e-6)


# ---- the rest -----------------------------------------------------------------------------------


def test_the_kl_is_torch_s():
    mean, log_var = random(4, 3), random(4, 3, seed=1)
    q, p = Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros(4, 3, **F64), 1.0)
    torch.testing.assert_close(vae.kl_to_prior(mean, log_var), kl_divergence(q, p))


def test_a_draw_has_q_s_moments_and_passes_gradients():
    mean, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.4, -1.0]])
    mean.requires_grad_(), log_var.requires_grad_()
    eps = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0))
    z = vae.reparametrise(mean.expand(100_000, 2), log_var.expand(100_000, 2), eps)
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(0), log_var[0].exp(), atol=0.03, rtol=0)
    z.square().mean(0).sum().backward()
    # E z² = mean² + exp(log_var)
    torch.testing.assert_close(mean.grad, 2 * mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(log_var.grad, log_var.detach().exp(), atol=0.03, rtol=0)


def test_the_shipped_shape_learns_one_batch():
    torch.manual_seed(0)
    model = vae.fashion_vae(latent=3, width=16)
    x = torch.rand(8, 1, 28, 28) * 2 - 1
    assert model.decoder(torch.zeros(8, 3)).shape == (8, 2, 28, 28)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    before = vae.vae_loss(model, x).item()
    for _ in range(60):
        optimiser.zero_grad()
        vae.vae_loss(model, x).backward()
        optimiser.step()
    assert vae.vae_loss(model, x).item() < 0.9 * before


def test_beta_weighs_the_kl_alone():
    model = vae.fashion_vae(latent=2, width=8)
    x, eps = torch.zeros(4, 1, 28, 28), torch.randn(4, 2)
    explained, kl = model.terms(x, eps)
    expected = 3 * kl.sum(1).mean() - explained.mean()
    torch.testing.assert_close(model.loss(x, eps, beta=3), expected)


@pytest.mark.parametrize("name", DISCRETISED)
def test_a_picture_s_log_probability_is_the_sum_over_its_pixels(name):
    law, _ = DISCRETISED[name]
    x, mean = torch.linspace(-1, 1, 6, **F64).view(1, 1, 2, 3), random(1, 1, 2, 3)
    apart = law(x.view(6, 1), mean.view(6, 1), 0.3, 6)
    torch.testing.assert_close(law(x, mean, 0.3, 6), apart.sum()[None])


@pytest.mark.parametrize(("said", "taken"), [(-30.0, 0), (5.0, 1)])
def test_a_decoder_s_scales_stay_within_their_limits(said, taken):
    x, mean = torch.linspace(-1, 1, 256, **F64).view(-1, 1, 1, 1), random(256, 1, 1, 1)
    out = torch.cat([mean, torch.full_like(mean, said)], dim=1)
    scale = math.exp(vae.LOG_SCALES[taken])
    expected = vae.discretised_logistic(x, mean, scale)
    torch.testing.assert_close(vae.logistic_pixels(x, out), expected)
    uniform = torch.full_like(mean, 0.6)
    drawn = (mean + scale * math.log(0.6 / 0.4)).clamp(-1, 1)
    assert ((vae.draw_pixels(out, uniform) - drawn).abs() <= 1 / 255 + 1e-9).all()


def test_widen_multiplies_the_standard_deviations_of_the_draws():
    model, seen = Linear(seed=1), []
    q = model.as_vae(exact=True)
    q.decoder = Called(lambda z: seen.append(z) or model.mu + z @ model.W.T)
    x, eps = model.marginal.sample((6,)), random(2, 6, 2)
    vae.log_weights(q, x, eps, widen=3.0)
    mean, log_var = q.posterior(x)
    for z, e in zip(seen, eps, strict=True):
        torch.testing.assert_close(z, mean + 3 * (0.5 * log_var).exp() * e)
