"""Continuous time: the coefficients are the papers', and every way back has the right law."""

import math

import pytest
import torch

from course_lib.core.tensors import seeded_randn_like
from course_lib.data import points
from course_lib.diffusion import sde
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.schedules import cosine_vp, linear, rectified
from course_lib.metrics import sliced_wasserstein

SCHEDULES = {"vp": sde.vp(), "ve": sde.ve(), "sub-VP": sde.sub_vp()}
TIMES = torch.linspace(0.01, 1, 25, dtype=torch.float64)
# One clump: every law on the way is a Gaussian, and every move linear.
CLUMP = GaussianMixture(
    torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
)


def times(value: float, n: int) -> torch.Tensor:
    return torch.full((n,), value, dtype=torch.float64)


def walk(step, schedule, x, steps, low=1e-3):
    ladder = torch.linspace(1, low, steps + 1, dtype=torch.float64)
    for t, s in zip(ladder[:-1], ladder[1:], strict=True):
        x = step(x, t.expand(len(x)), s.expand(len(x)))
    return x


# ---- the three schedules ------------------------------------------------------------------------


def test_vp_has_the_drift_and_diffusion_of_the_paper():
    f, g2 = sde.coefficients(sde.vp(0.1, 20), TIMES)
    beta = 0.1 + 19.9 * TIMES
    torch.testing.assert_close(f, -beta / 2)
    torch.testing.assert_close(g2, beta)


def test_ve_has_the_drift_and_diffusion_of_the_paper():
    f, g2 = sde.coefficients(sde.ve(0.01, 50), TIMES)
    sigma = 0.01 * 5000**TIMES
    torch.testing.assert_close(f, torch.zeros(25).double())
    torch.testing.assert_close(g2, 2 * sigma**2 * math.log(5000))


def test_sub_vp_has_the_drift_and_diffusion_of_the_paper():
    f, g2 = sde.coefficients(sde.sub_vp(0.1, 20), TIMES)
    beta, integral = 0.1 + 19.9 * TIMES, 0.1 * TIMES + 19.9 * TIMES**2 / 2
    torch.testing.assert_close(f, -beta / 2)
    torch.testing.assert_close(g2, beta * (1 - torch.exp(-2 * integral)))


def test_the_variance_of_sub_vp_lies_below_that_of_vp():
    inside = TIMES[:-1]
    assert (sde.sub_vp().sigma(inside) < sde.vp().sigma(inside)).all()
    torch.testing.assert_close(sde.sub_vp().sigma(inside), sde.vp().sigma(inside) ** 2)


def test_vp_is_ddpm_s_schedule_in_the_limit():
    discrete, every = linear(1000), torch.arange(0, 1001, 50)
    ours = sde.vp().alpha(every / 1000).double()
    torch.testing.assert_close(ours, discrete.alpha(every), atol=3e-3, rtol=0)


@pytest.mark.parametrize("schedule", [*SCHEDULES.values(), cosine_vp, rectified])
def test_coefficients_rebuild_the_schedule(schedule):
    """d alpha = f alpha dt and d sigma² = (2 f sigma² + g²) dt, by small differences."""
    t, h = TIMES[:-1], 1e-5
    f, g2 = sde.coefficients(schedule, t)
    alpha = (schedule.alpha(t + h) - schedule.alpha(t - h)) / (2 * h)
    variance = (schedule.sigma(t + h) ** 2 - schedule.sigma(t - h) ** 2) / (2 * h)
    torch.testing.assert_close(alpha, f * schedule.alpha(t), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(variance, 2 * f * schedule.sigma(t) ** 2 + g2, rtol=1e-5, atol=1e-8)


def test_coefficients_are_the_same_in_inference_mode():
    wanted = sde.coefficients(sde.vp(), TIMES)
    with torch.inference_mode():
        found = sde.coefficients(sde.vp(), TIMES.clone())
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.equal(ours, theirs)


def test_integer_times_are_refused():
    with pytest.raises(TypeError, match="int64"):
        sde.coefficients(linear(), torch.tensor([3]))


@pytest.mark.parametrize("make", [sde.vp, sde.ve, sde.sub_vp])
@pytest.mark.parametrize("ends", [(0, 1), (2, 1), (-1, 3)])
def test_ends_that_make_no_schedule_are_refused(make, ends):
    with pytest.raises(ValueError, match="smaller first"):
        make(*ends)


# ---- the way back -------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_score_is_that_of_the_noised_law(schedule):
    law = points.eight_gaussians_mixture()
    x, t = 2 * torch.randn(50, 2), torch.full((50,), 0.4)
    noised = law.noised(schedule.alpha(t[:1]), schedule.sigma(t[:1]))
    ours = sde.score_from(law.denoiser(schedule), schedule, x, t)
    torch.testing.assert_close(ours, noised.score(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_one_short_step_keeps_the_law_whatever_the_noise(schedule, noise):
    """Mean and variance after a step of width h differ from the exact ones by order h²."""
    t = 0.5
    first = times(t, 1)
    mean, variance = 0.7 * schedule.alpha(first), 0.25 * schedule.alpha(first) ** 2
    variance = variance + schedule.sigma(first) ** 2
    errors = []
    for h in (1e-3, 5e-4):
        s = times(t - h, 2)
        # A step is affine in x and in its random part: two points and one draw say all.
        x = torch.tensor([[0.0], [1.0]]).double() + mean
        move = [
            sde.euler_maruyama_step(
                CLUMP.denoiser(schedule), schedule, x, times(t, 2), s, noise=noise, randn_like=z
            )
            for z in (torch.zeros_like, torch.ones_like)
        ]
        slope, fresh = move[0][1] - move[0][0], move[1][0] - move[0][0]
        got = move[0][0], slope**2 * variance + fresh**2
        alpha, sigma = schedule.alpha(s[:1]), schedule.sigma(s[:1])
        wanted = 0.7 * alpha, 0.25 * alpha**2 + sigma**2
        errors.append([float((a - b).abs()) for a, b in zip(got, wanted, strict=True)])
    for coarse, fine in zip(*errors, strict=True):
        assert coarse < 1e-3 * float(variance.sqrt() + variance)
        assert coarse < 1e-12 or coarse / fine == pytest.approx(4, rel=0.05)


def test_the_last_step_adds_nothing_random():
    schedule, x = sde.vp(), torch.randn(5, 1).double()
    t, s = times(0.01, 5), times(0.0, 5)
    for step in (sde.euler_maruyama_step, sde.predictor_corrector_step):
        a, b = (
            step(CLUMP.denoiser(schedule), schedule, x, t, s, randn_like=seeded_randn_like(seed))
            for seed in (0, 1)
        )
        assert torch.equal(a, b)
        # Nearly the denoiser's answer: x + g² score dt with g² dt about sigma².
        torch.testing.assert_close(
            a, CLUMP.denoiser(schedule)(x, t), atol=0.05 * float(x.abs().max()), rtol=0
        )


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
def test_all_ways_back_end_in_the_same_law(noise):
    schedule, law = sde.vp(), points.eight_gaussians_mixture()
    denoise, random = law.denoiser(schedule), seeded_randn_like(0)

    def step(x, t, s):
        return sde.euler_maruyama_step(
            denoise, schedule, x, t.to(x.dtype), s.to(x.dtype), noise=noise, randn_like=random
        )

    made = walk(step, schedule, random(torch.empty(1000, 2)), 120)
    real_a, real_b = law.sample(1000, seed=1), law.sample(1000, seed=2)
    floor = sliced_wasserstein(real_a, real_b)
    assert sliced_wasserstein(made, real_a) < 2 * floor + 0.02


def test_the_corrector_mends_what_few_steps_spoil():
    """Twelve steps leave the clump too wide or too narrow; Langevin moves bring it back."""
    schedule, random = sde.vp(), seeded_randn_like(0)
    start = random(torch.empty(20_000, 1, dtype=torch.float64))

    def spread(moves):
        def step(x, t, s):
            return sde.predictor_corrector_step(
                CLUMP.denoiser(schedule), schedule, x, t, s, moves=moves, randn_like=random
            )

        end = walk(step, schedule, start, 12, low=0.02)
        alpha, sigma = schedule.alpha(times(0.02, 1)), schedule.sigma(times(0.02, 1))
        return float((end.std() / (0.25 * alpha**2 + sigma**2).sqrt() - 1).abs())

    assert spread(30) < spread(0) / 1.5


def test_no_moves_is_the_predictor_alone():
    schedule, x = sde.ve(), torch.randn(6, 1).double()
    arguments = CLUMP.denoiser(schedule), schedule, x, times(0.5, 6), times(0.4, 6)
    a = sde.predictor_corrector_step(*arguments, moves=0, randn_like=seeded_randn_like(3))
    b = sde.euler_maruyama_step(*arguments, randn_like=seeded_randn_like(3))
    assert torch.equal(a, b)


@pytest.mark.parametrize("schedule", [cosine_vp, rectified])
def test_a_start_without_signal_is_refused(schedule):
    law = GaussianMixture(torch.zeros(1, 2), torch.ones(1))
    x, one = torch.ones(3, 2), torch.ones(3)
    for step in (sde.euler_maruyama_step, sde.predictor_corrector_step):
        with pytest.raises(ValueError, match="divides by alpha, which is 0 at t = 1"):
            step(law.denoiser(schedule), schedule, x, one, 0.9 * one)
