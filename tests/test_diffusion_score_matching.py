"""The score matching losses against closed forms, and their optima on a Gaussian and a mixture."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.data.points import eight_gaussians_mixture
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.schedules import edm
from course_lib.diffusion.score_matching import (
    denoising_loss,
    divergence,
    explicit_loss,
    hutchinson_divergence,
    implicit_loss,
    sliced_loss,
)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def signs(*shape, seed=0):
    return draw(*shape, seed=seed).sign()


MATRIX = draw(4, 4, seed=1)


def linear(x):
    return x @ MATRIX.T


def bent(x):
    return torch.stack([x[:, 0].square() * x[:, 1], (3 * x[:, 1]).sin() + x[:, 0]], dim=1)


def same(ours, theirs, atol=1e-10):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


# ---- divergences --------------------------------------------------------------------------------


def test_divergence_of_a_linear_field_is_the_trace():
    out, trace = divergence(linear, draw(5, 4))
    same(out, draw(5, 4) @ MATRIX.T)
    same(trace, MATRIX.trace().expand(5))


def test_divergence_of_a_bent_field_is_the_one_found_on_paper():
    x = draw(50, 2)
    same(divergence(bent, x)[1], 2 * x[:, 0] * x[:, 1] + 3 * (3 * x[:, 1]).cos())


def test_divergence_of_images_counts_every_pixel():
    x = draw(3, 1, 2, 2)
    same(divergence(lambda x: x**3, x)[1], 3 * x.square().flatten(1).sum(1))


def test_a_field_that_does_not_depend_on_x_has_divergence_0():
    out, trace = divergence(torch.ones_like, draw(3, 2))
    assert torch.equal(trace, torch.zeros(3, dtype=torch.float64)) and bool((out == 1).all())


def test_one_projection_gives_the_quadratic_form():
    v = draw(1, 5, 4, seed=2)
    expected = torch.einsum("bi,ij,bj->b", v[0], MATRIX, v[0])
    same(hutchinson_divergence(linear, draw(5, 4), v)[1], expected)


@pytest.mark.parametrize("random", [draw, signs])
def test_hutchinson_has_the_right_mean_and_variance(random):
    x, v = draw(1, 4).expand(40_000, 4), random(1, 40_000, 4, seed=3)
    estimates = hutchinson_divergence(linear, x, v)[1]
    symmetric = (MATRIX + MATRIX.T) / 2
    variance = 2 * symmetric.square().sum()
    if random is signs:  # the diagonal is met exactly: v_i² = 1
        variance = variance - 2 * symmetric.diagonal().square().sum()
    assert abs(estimates.mean() - MATRIX.trace()) < 5 * (variance / 40_000).sqrt()
    assert float(estimates.var() / variance) == pytest.approx(1, rel=0.05)


@given(st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_signs_find_a_diagonal_trace_without_error(seed):
    x = draw(3, 4)
    estimate = hutchinson_divergence(torch.sin, x, signs(1, 3, 4, seed=seed))[1]
    same(estimate, x.cos().sum(1))


# ---- losses -------------------------------------------------------------------------------------


def test_losses_of_a_linear_score_in_closed_form():
    x, v, eps = draw(6, 4), draw(3, 6, 4, seed=4), draw(6, 4, seed=5)
    half_square = linear(x).square().sum(1) / 2
    curved = torch.einsum("pbi,ij,pbj->pb", v, MATRIX, v).mean(0)
    along = torch.einsum("pbi,bi->pb", v, linear(x)).square().mean(0) / 2
    same(implicit_loss(linear, x), half_square + MATRIX.trace())
    same(sliced_loss(linear, x, v), half_square + curved)
    same(sliced_loss(linear, x, v, variance_reduced=False), along + curved)
    same(explicit_loss(linear, x, eps), (linear(x) - eps).square().sum(1) / 2)
    noisy = linear(x + 0.3 * eps) + eps / 0.3
    same(denoising_loss(linear, x, 0.3, eps), noisy.square().sum(1) / 2)


@pytest.mark.parametrize("variance_reduced", [True, False])
def test_an_orthonormal_frame_of_projections_is_the_implicit_loss(variance_reduced):
    x = draw(7, 4)
    frame = torch.linalg.qr(draw(4, 4, seed=6)).Q * 2.0  # 4 vectors v with mean of v vᵀ = 1
    v = frame[:, None, :].expand(4, 7, 4)
    sliced = sliced_loss(linear, x, v, variance_reduced=variance_reduced)
    same(sliced, implicit_loss(linear, x))


def test_all_losses_have_their_minimum_at_the_gaussian_s_score():
    spread = MATRIX @ MATRIX.T / 4 + torch.eye(4, dtype=torch.float64)
    x = draw(2_000, 4, seed=7)
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov(correction=0))).T
    x = x @ torch.linalg.cholesky(spread).T  # a sample whose covariance is exactly `spread`
    minus = -torch.linalg.inv(spread).requires_grad_()
    frame = 2 * torch.eye(4, dtype=torch.float64)[:, None, :].expand(4, len(x), 4)
    for loss in (
        implicit_loss(lambda x: x @ minus.T, x),
        sliced_loss(lambda x: x @ minus.T, x, frame),
        sliced_loss(lambda x: x @ minus.T, x, frame, variance_reduced=False),
    ):
        (gradient,) = torch.autograd.grad(loss.mean(), minus, retain_graph=True)
        same(gradient, torch.zeros_like(gradient), atol=1e-9)


def test_denoising_has_its_minimum_at_the_noised_gaussian_s_score():
    # In expectation over eps: E[s x̃ᵀ] + E[eps x̃ᵀ] / sigma = A (S + sigma² I) + I.
    spread, sigma = torch.diag(torch.tensor([0.5, 2.0], dtype=torch.float64)), 0.7
    x_0, eps = draw(400_000, 2, seed=8) * spread.diagonal().sqrt(), draw(400_000, 2, seed=9)
    matrix = -torch.linalg.inv(spread + sigma**2 * torch.eye(2)).requires_grad_()
    loss = denoising_loss(lambda x: x @ matrix.T, x_0, sigma, eps).mean()
    (gradient,) = torch.autograd.grad(loss, matrix)
    assert gradient.abs().max() < 0.02


def test_implicit_is_explicit_up_to_a_constant_on_a_mixture():
    law = GaussianMixture(
        torch.tensor([[-1.0, 0.2], [1.0, -0.3]], dtype=torch.float64),
        torch.tensor([0.6, 0.9], dtype=torch.float64),
    )
    x = law.sample(200_000, seed=1)
    exact = law.score(x)
    constant = exact.square().sum(1).mean() / 2
    for field in (lambda x: -x, bent, torch.sin):
        gap = explicit_loss(field, x, exact) - implicit_loss(field, x)
        error = 5 * gap.std() / len(x) ** 0.5
        assert abs(gap.mean() - constant) < error


def test_denoising_loss_is_the_course_s_denoiser_with_a_score():
    class Net(torch.nn.Module):
        def forward(self, x, t):
            return bent(x) * t[:, None]

    x_0, eps, sigma = draw(9, 2), draw(9, 2, seed=1), draw(9, seed=2).abs() + 0.1
    theirs = Denoiser(Net(), edm, predicts="score").loss(x_0, sigma, eps)
    ours = denoising_loss(lambda x: bent(x) * sigma[:, None], x_0, sigma[:, None], eps)
    same(ours, x_0.shape[1] / 2 * theirs)


def test_the_exact_noised_score_beats_its_neighbours():
    law = eight_gaussians_mixture()
    x_0, eps = law.sample(50_000, seed=3), draw(50_000, 2).float()
    noised = law.noised(1.0, 0.4)
    best = denoising_loss(noised.score, x_0, 0.4, eps)
    for other in (law.noised(1.0, 0.3).score, law.noised(1.0, 0.5).score, lambda x: -x):
        worse = denoising_loss(other, x_0, 0.4, eps) - best
        assert worse.mean() > 3 * worse.std() / len(worse) ** 0.5


def test_losses_can_be_trained_and_leave_x_alone():
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.SiLU(), torch.nn.Linear(8, 2))
    x, v = torch.randn(4, 2), torch.randn(2, 4, 2)
    with torch.no_grad():  # a loss is also measured where nothing is learned, and is the same there
        measured = implicit_loss(net, x)
    torch.testing.assert_close(measured, implicit_loss(net, x).detach())
    for loss in (implicit_loss(net, x), sliced_loss(net, x, v), denoising_loss(net, x, 0.5, v[0])):
        net.zero_grad()
        loss.mean().backward()
        assert all(p.grad is not None for p in list(net.parameters())[:-1])
        assert x.grad is None and not x.requires_grad


# ---- what is refused ----------------------------------------------------------------------------


def test_wrong_arguments_are_named():
    x = draw(3, 2)
    with pytest.raises(ValueError, match=r"x.shape \[3, 2\], got \[0, 3, 2\]"):
        hutchinson_divergence(torch.sin, x, draw(0, 3, 2))
    with pytest.raises(ValueError, match=r"got \[3\]"):
        divergence(lambda x: x.sum(1), x)
    for sigma in (0.0, -1.0):
        with pytest.raises(ValueError, match="positive, got"):
            denoising_loss(torch.sin, x, sigma, x)


def test_no_points_have_no_divergence():
    assert divergence(torch.sin, torch.zeros(0, 3))[1].shape == (0,)
