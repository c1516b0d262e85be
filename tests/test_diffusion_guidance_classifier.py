"""Guidance by a classifier: exact for Gaussian classes, and the same in every form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.core.checks import check_close
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.forward import between
from course_lib.diffusion.guidance import classifier_guided, label_log_prob, slope
from course_lib.diffusion.samplers import ddim_step, ddpm_step, sample
from course_lib.diffusion.schedules import cosine_vp, linear, spaced_times

SCHEDULE = linear()
MEANS = torch.tensor([[0.0, 1.2], [-1.0, -0.5], [1.0, -0.6]], dtype=torch.float64)
SPREADS = torch.tensor([0.3, 0.5, 0.4], dtype=torch.float64)
SHARES = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
LAW = GaussianMixture(MEANS, SPREADS, SHARES)
PLAIN = LAW.denoiser(SCHEDULE)


def classifier(x, t):
    alpha, sigma = SCHEDULE(t, like=x)
    return LAW.log_shares(x, alpha[:, 0], sigma[:, 0])


def of_class(k):
    return GaussianMixture(MEANS[k : k + 1], SPREADS[k : k + 1]).denoiser(SCHEDULE)


def guided(k, scale, n):
    log_prob = label_log_prob(classifier, torch.full((n,), k))
    return classifier_guided(PLAIN, SCHEDULE, log_prob, scale)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 1000), st.integers(0, 2), st.floats(0, 8), st.integers(0, 10**6))
def test_with_a_perfect_classifier_guidance_is_a_line_to_the_class(time, k, scale, seed):
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(seed)).double()
    t = torch.full((4,), time)
    line = (1 - scale) * PLAIN(x, t) + scale * of_class(k)(x, t)
    check_close(guided(k, scale, 4)(x, t), line, atol=1e-6)


def test_the_guided_step_has_the_analytic_mean_at_any_size():
    x = torch.randn(30, 2, dtype=torch.float64)
    t = torch.randint(2, 1001, (30,))
    for k in range(3):
        one = GaussianMixture(MEANS[k : k + 1], SPREADS[k : k + 1])
        for s in (t - 1, t // 2):
            still = {"randn_like": torch.zeros_like}
            ours = ddpm_step(guided(k, 1.0, 30), SCHEDULE, x, t, s, **still)
            exact = [
                one.reverse_kernel(SCHEDULE, x[i], t[i], s[i]).means[0] if s[i] > 0 else ours[i]
                for i in range(30)
            ]
            check_close(ours, torch.stack(exact), f"class {k}", atol=1e-8)


def test_mean_shift_eps_and_x_0_are_one():
    x, scale = torch.randn(20, 2, dtype=torch.float64), 2.5
    t = torch.randint(20, 1001, (20,))
    s = t // 3
    g = slope(label_log_prob(classifier, torch.ones(20).long()), x, t)
    still = {"randn_like": torch.zeros_like}
    shifted = ddpm_step(PLAIN, SCHEDULE, x, t, s, **still)
    kept = (SCHEDULE.alpha(t) / SCHEDULE.alpha(s))[:, None]
    shifted = shifted + scale * between(SCHEDULE, t, s).beta[:, None] / kept * g
    check_close(ddpm_step(guided(1, scale, 20), SCHEDULE, x, t, s, **still), shifted, atol=1e-9)
    alpha, sigma = SCHEDULE(t, like=x)
    eps = (x - alpha * PLAIN(x, t)) / sigma - scale * sigma * g
    check_close(guided(1, scale, 20)(x, t), (x - sigma * eps) / alpha, atol=1e-9)


def test_a_walk_at_scale_1_is_the_class_s_own():
    x, times = torch.randn(40, 2, dtype=torch.float64), spaced_times(SCHEDULE, 25)
    ours = sample(ddim_step, guided(2, 1.0, 40), SCHEDULE, x, times)  # inside torch.no_grad
    check_close(ours, sample(ddim_step, of_class(2), SCHEDULE, x, times), atol=1e-8)


def test_scale_0_is_the_denoiser_and_asks_no_classifier():
    def never(x, t):
        raise AssertionError("asked")

    assert classifier_guided(PLAIN, SCHEDULE, never, 0.0) is PLAIN


def test_a_constant_in_the_logits_changes_nothing():
    x, t, label = torch.randn(5, 2).double(), torch.full((5,), 300), torch.arange(5) % 3

    def moved(y, time):
        return classifier(y, time) + 5 + y.sum(1, keepdim=True)

    pair = [slope(label_log_prob(one, label), x, t) for one in (classifier, moved)]
    check_close(*pair, atol=1e-9)


def test_each_example_has_its_own_label_and_its_own_slope():
    x, t = torch.randn(3, 2).double(), torch.tensor([10, 500, 900])
    together = slope(label_log_prob(classifier, torch.tensor([2, 0, 1])), x, t)
    for i, k in enumerate((2, 0, 1)):
        alone = label_log_prob(classifier, torch.tensor([k]))
        check_close(together[i : i + 1], slope(alone, x[i : i + 1], t[i : i + 1]), atol=1e-12)
    assert not together.requires_grad


def test_a_classifier_without_its_column_picked_is_refused():
    with pytest.raises(ValueError, match="one number for each of 4 examples, got \\[4, 3\\]"):
        slope(classifier, torch.randn(4, 2).double(), torch.full((4,), 7))


def test_log_shares_are_bayes_rule():
    x, one = torch.randn(6, 2).double(), torch.ones(6).double()
    alpha, sigma = 0.8 * one, 0.5 * one
    parts = [
        GaussianMixture(MEANS[k : k + 1], SPREADS[k : k + 1]).noised(0.8, 0.5).log_prob(x)
        + SHARES[k].log()
        for k in range(3)
    ]
    joint = torch.stack(parts, 1)
    check_close(LAW.log_shares(x, alpha, sigma), joint - joint.logsumexp(1, keepdim=True))


def test_without_signal_no_gradient_reaches_x_0():
    guided = classifier_guided(lambda x, t: x, cosine_vp, lambda x, t: (0 * x).sum(1))
    with pytest.raises(ValueError, match="divides by alpha, which is 0 at t = 1"):
        guided(torch.ones(2, 2), torch.ones(2))
