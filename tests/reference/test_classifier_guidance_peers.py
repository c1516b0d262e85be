"""Guidance by a classifier is that of others: `diffusers`' schedulers, same networks, and `scipy`.

Ours guides x_0. Theirs is fed the guided eps of Dhariwal & Nichol 2021, eq. 14, with the gradient
taken here by a path of its own; `scipy` knows the Gaussian classes and nothing of autograd.
"""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.guidance import classifier_guided, label_log_prob, slope
from course_lib.diffusion.samplers import ddim_step, ddpm_step, sample
from course_lib.diffusion.schedules import linear
from course_lib.trainings import trained

diffusers = pytest.importorskip("diffusers")
SCALE, WANTED = 3.0, torch.tensor([1, 8, 7])


@pytest.fixture(scope="module")
def networks():
    return trained("fashion_ddpm"), trained("fashion_classifier")


def gradient(guide, x, t):
    """Of minus the cross-entropy with each row's wanted class, row by row."""
    rows = []
    for row, time, label in zip(x, t, WANTED, strict=True):
        leaf = row[None].clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(guide(leaf, time[None]), label[None])
        loss.backward()
        rows.append(-leaf.grad[0])
    return torch.stack(rows)


def guided_eps(networks, schedule, x, t):
    model, guide = networks
    with torch.no_grad():
        eps = model.net(x, t)
    _, sigma = schedule(t, like=x)
    return eps - SCALE * sigma * gradient(guide, x, t)


def test_a_guided_ddim_walk_is_that_of_diffusers(networks):
    model, guide = networks
    schedule, steps = model.schedule, 8
    theirs = diffusers.DDIMScheduler(1000, clip_sample=False, set_alpha_to_one=True)
    theirs.set_timesteps(steps)
    x = start = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for time in theirs.timesteps:  # theirs count from 0: 875, ..., 0
        t = torch.full((3,), int(time) + 1)
        x = theirs.step(guided_eps(networks, schedule, x, t), time, x).prev_sample
    ours = classifier_guided(model, schedule, label_log_prob(guide, WANTED), SCALE)
    times = torch.cat([theirs.timesteps + 1, torch.zeros(1, dtype=torch.long)])
    walked = sample(ddim_step, ours, schedule, start, times)
    assert torch.allclose(walked, x, atol=2e-3)
    unguided = sample(ddim_step, model, schedule, start, times)
    assert not torch.allclose(walked, unguided, atol=0.1)


def test_a_guided_ancestral_step_is_that_of_diffusers_and_the_mean_shift(networks):
    model, guide = networks
    schedule, time = model.schedule, 400
    theirs = diffusers.DDPMScheduler(1000, clip_sample=False)
    x, t = torch.randn(3, 1, 28, 28), torch.full((3,), time)
    still = {"randn_like": torch.zeros_like}
    ours = classifier_guided(model, schedule, label_log_prob(guide, WANTED), SCALE)
    mean = ddpm_step(ours, schedule, x, t, t - 1, **still)
    # Their formulas 6 and 7 of Ho et al. 2020, on the guided eps; the noise is taken off again.
    generator = torch.Generator().manual_seed(0)
    step = theirs.step(guided_eps(networks, schedule, x, t), time - 1, x, generator).prev_sample
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    spread = theirs._get_variance(time - 1) ** 0.5
    assert torch.allclose(mean, step - spread * noise, atol=1e-5)
    # And algorithm 1, with Sigma = beta / sqrt(1 - beta) and the gradient at x_t.
    beta = float(schedule.beta[time])
    plain = ddpm_step(model, schedule, x, t, t - 1, **still)
    shifted = plain + SCALE * beta / (1 - beta) ** 0.5 * gradient(guide, x, t)
    assert torch.allclose(mean, shifted, atol=1e-5)


def test_the_slope_of_gaussian_classes_is_scipys_by_differences():
    schedule, t, h = linear(), 350, 1e-5
    means = np.array([[0.0, 1.2], [-1.0, -0.5], [1.0, -0.6]])
    spreads, shares = np.array([0.3, 0.5, 0.4]), np.array([0.2, 0.5, 0.3])
    law = GaussianMixture(*(torch.from_numpy(one) for one in (means, spreads, shares)))
    alpha, sigma = float(schedule.alpha_bar[t] ** 0.5), float((1 - schedule.alpha_bar[t]) ** 0.5)

    def logits(x, time):
        levels = (c[:, 0] for c in schedule(time, like=x))
        return law.log_shares(x, *levels)

    def log_p(x, k):
        """log p(class k | x_t), from the densities of the noised classes."""
        variances = alpha**2 * spreads**2 + sigma**2
        logs = [
            np.log(share) + multivariate_normal.logpdf(x, alpha * mean, v * np.eye(2))
            for share, mean, v in zip(shares, means, variances, strict=True)
        ]
        return logs[k] - logsumexp(logs)

    points = np.random.default_rng(0).normal(size=(5, 2))
    for k in range(3):
        label = torch.full((5,), k)
        ours = slope(label_log_prob(logits, label), torch.from_numpy(points), torch.full((5,), t))
        by_differences = [
            [(log_p(x + h * e, k) - log_p(x - h * e, k)) / (2 * h) for e in np.eye(2)]
            for x in points
        ]
        assert np.allclose(ours, by_differences, atol=1e-6)
