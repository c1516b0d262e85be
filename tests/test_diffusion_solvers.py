"""Second-order solvers: their order, their exact cases, and noise that leaves the law alone."""

import math
from functools import cache

import pytest
import torch

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.samplers import ddim_step, heun_step, sample, walk
from course_lib.diffusion.schedules import (
    cosine_vp,
    edm,
    karras_times,
    leading_times,
    linear,
    scaled_linear,
    spaced_times,
    zero_terminal,
)
from course_lib.diffusion.solvers import (
    ADAMS,
    PLMS,
    DPMSolver2M,
    churn_step,
    exponential_step,
    midpoint_step,
)


def float64(*values):
    return torch.tensor(values, dtype=torch.float64)


def mixture():
    means = float64([-1.2, 0.4], [0.9, -0.8], [0.3, 1.1])
    return GaussianMixture(means, float64(0.4, 0.5, 0.3), float64(0.3, 0.5, 0.2))


PATHS = {
    "edm": (edm, lambda n: karras_times(n + 1, low=0.02, high=20.0)[:-1]),
    "vp": (cosine_vp, lambda n: torch.linspace(0.97, 0.02, n + 1, dtype=torch.float64)),
}


def end(path, step, steps):
    schedule, grid = PATHS[path]
    times = grid(steps)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 2, generator=generator, dtype=torch.float64) * schedule.sigma(times[:1])
    return sample(step, mixture().denoiser(schedule), schedule, x, times)


@cache
def reference(path):
    return end(path, heun_step, 1200)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("make", [DPMSolver2M, lambda: midpoint_step])
def test_second_order(make, path):
    truth, counts = reference(path), (48, 96, 192)
    errors = [(end(path, make(), n) - truth).square().mean().sqrt() for n in counts]
    slopes = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(abs(slope - 2) < 0.2 for slope in slopes), slopes


@pytest.mark.parametrize("path", PATHS)
def test_the_exponential_step_with_the_denoisers_answer_is_ddim(path):
    schedule, grid = PATHS[path]
    t, s = (time.expand(7) for time in grid(10)[[3, 4]])
    x, denoise = torch.randn(7, 2, dtype=torch.float64), mixture().denoiser(schedule)
    found = exponential_step(schedule, x, denoise(x, t), t, s)
    torch.testing.assert_close(found, ddim_step(denoise, schedule, x, t, s), atol=1e-12, rtol=0)


def test_an_x_0_that_moves_on_a_line_in_lambda_is_followed_to_second_order():
    # x_0(lambda) = a + b lambda has the integral in closed form; one midpoint step is off by O(h³).
    a, b = 0.3, 0.7
    schedule = edm

    def denoise(x, t):
        return (a - b * t.log())[:, None].expand_as(x)

    def exactly(x, t, s):
        # sigma_s times the integral of e^l (a + b l) dl, whose antiderivative is e^l (a + b l - b)
        high, low = -s.log(), -t.log()
        inside = high.exp() * (a + b * high - b) - low.exp() * (a + b * low - b)
        return (s / t)[:, None] * x + (s * inside)[:, None]

    x, errors = torch.ones(1, 1, dtype=torch.float64), []
    for h in (0.4, 0.2, 0.1):
        t = float64(2.0)
        s = t * math.exp(-h)
        errors.append(float((midpoint_step(denoise, schedule, x, t, s) - exactly(x, t, s)).abs()))
    assert errors[0] / errors[1] > 6 and errors[1] / errors[2] > 6


def test_2m_begins_afresh_with_every_walk():
    schedule, law = linear(), mixture()
    times, x = spaced_times(schedule, 10), torch.randn(5, 2, dtype=torch.float64)
    solver = DPMSolver2M()
    once, again = (sample(solver, law.denoiser(schedule), schedule, x, times) for _ in range(2))
    torch.testing.assert_close(once, again, atol=0, rtol=0)
    other = sample(solver, law.denoiser(schedule), schedule, x[:3], times)  # of another length
    torch.testing.assert_close(other, once[:3], atol=1e-12, rtol=0)


def test_2m_ends_with_the_denoisers_own_answer():
    schedule, law = linear(), mixture()
    x = torch.randn(5, 2, dtype=torch.float64)
    *_, before, last = walk(
        DPMSolver2M(), law.denoiser(schedule), schedule, x, spaced_times(schedule, 8)
    )
    t = spaced_times(schedule, 8)[-2].expand(5)
    torch.testing.assert_close(last, law.denoiser(schedule)(before, t))


def test_2m_asks_once_a_step():
    schedule, law, asked = linear(), mixture(), []

    def denoise(x, t):
        asked.append(t)
        return law.denoiser(schedule)(x, t)

    x = torch.randn(5, 2, dtype=torch.float64)
    sample(DPMSolver2M(), denoise, schedule, x, spaced_times(schedule, 12))
    assert len(asked) == 12


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_fresh_noise_in_2m_leaves_the_law_of_gaussian_data_alone(path, eta):
    schedule, grid = PATHS[path]
    law, times = GaussianMixture(float64([0.0]), float64(0.7)), grid(100)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    deviation = (alpha**2 * 0.49 + sigma**2).sqrt()
    noise = seeded_randn_like(0)
    x = deviation[0] * noise(torch.zeros(10_000, 1, dtype=torch.float64))
    found = sample(DPMSolver2M(eta, noise), law.denoiser(schedule), schedule, x, times)
    assert abs(float(found.std() / deviation[-1]) - 1) < 0.03
    assert abs(float((found * x).mean() / (found.std() * x.std()))) < 0.99  # it did stray


def test_2m_with_fresh_noise_begins_with_ddims_step_and_ends_without_noise():
    schedule, law = linear(), mixture()
    x, times = torch.randn(5, 2, dtype=torch.float64), spaced_times(schedule, 6)
    solver = DPMSolver2M(0.4, seeded_randn_like(2))
    states = list(walk(solver, law.denoiser(schedule), schedule, x, times))
    t, s = times[0].expand(5), times[1].expand(5)
    told = {"eta": 0.4, "randn_like": seeded_randn_like(2)}
    first = ddim_step(law.denoiser(schedule), schedule, x, t, s, **told)
    torch.testing.assert_close(states[1], first)
    last = law.denoiser(schedule)(states[-2], times[-2].expand(5))
    torch.testing.assert_close(states[-1], last)


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_2m_takes_a_share_of_noise_between_none_and_all(eta):
    with pytest.raises(ValueError, match="eta must lie between 0"):
        DPMSolver2M(eta)


@pytest.mark.parametrize("path", PATHS)
def test_churn_leaves_the_law_of_gaussian_data_alone(path):
    # Noise that is put back and taken out again: the marginal variance must be what it was.
    schedule, grid = PATHS[path]
    law, times = GaussianMixture(float64([0.0]), float64(0.7)), grid(200)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    deviation = (alpha**2 * 0.49 + sigma**2).sqrt()
    noise = seeded_randn_like(0)
    x = deviation[0] * noise(torch.zeros(10_000, 1, dtype=torch.float64))

    def step(*arguments):
        return churn_step(*arguments, churn=0.2, randn_like=noise)

    found = sample(step, law.denoiser(schedule), schedule, x, times)
    assert abs(float(found.std() / deviation[-1]) - 1) < 0.03


def test_churn_stops_at_the_last_level_and_leaves_alone_what_is_above_it():
    # The denoiser has no time for more noise, so none may be put on top.
    law, noise = GaussianMixture(float64([0.0]), float64(1.0)), seeded_randn_like(0)
    for level in (80.0, 157.0):
        x = (1 + level**2) ** 0.5 * noise(torch.zeros(10_000, 1, dtype=torch.float64))
        t, s = float64(*[level] * len(x)), float64(*[60.0] * len(x))
        found = churn_step(law.denoiser(edm), edm, x, t, s, churn=0.4, randn_like=noise)
        torch.testing.assert_close(found, heun_step(law.denoiser(edm), edm, x, t, s))


def test_churn_of_zero_is_heun_and_a_negative_one_is_refused():
    schedule, law = cosine_vp, mixture()
    x, t, s = torch.randn(4, 2, dtype=torch.float64), float64(*[0.6] * 4), float64(*[0.5] * 4)
    denoise = law.denoiser(schedule)
    found = churn_step(denoise, schedule, x, t, s)
    torch.testing.assert_close(found, heun_step(denoise, schedule, x, t, s))
    with pytest.raises(ValueError, match="churn must be 0 or more, got -0.1"):
        churn_step(denoise, schedule, x, t, s, churn=-0.1)


def test_the_midpoint_needs_times_in_between():
    schedule, law = linear(), mixture()
    x, t = torch.randn(4, 2, dtype=torch.float64), torch.full((4,), 500)
    with pytest.raises((TypeError, ValueError)):
        midpoint_step(lambda x, t: law.denoiser(schedule)(x, t), schedule, x, t * 1.0, t * 0.5)


# ---- PLMS -------------------------------------------------------------------------------------


def test_adams_weights_hold_lines_and_curves():
    """k weights give the mean over the next step of any polynomial below degree k, exactly."""
    for k, weights in enumerate(ADAMS, 1):
        assert len(weights) == k
        for power in range(k):
            mean = 1 / (power + 1)  # of u^power over [0, 1]; known at u = 0, -1, -2, ...
            known = [float((-n) ** power) for n in range(k)]
            assert sum(w * u for w, u in zip(weights, known, strict=True)) == pytest.approx(mean)


def test_plms_asks_twice_once_and_beats_ddim():
    schedule = scaled_linear()
    mix, asked = mixture().denoiser(schedule), []

    def denoise(x, t):
        asked.append(int(t[0]))
        return mix(x, t)

    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    times = leading_times(schedule, 25)
    truth = sample(heun_step, mix, schedule, x, torch.arange(int(times[0]), 0, -1))
    errors = {}
    for name, step in (("plms", PLMS()), ("ddim", ddim_step)):
        asked.clear()
        end = sample(step, denoise, schedule, x, times)
        errors[name] = (end - truth).square().mean().sqrt()
        counted = [*times[:1], *times[1:2]] * (name == "plms")
        rest = times[1:-1] if name == "plms" else times[:-1]
        assert asked == [int(t) for t in [*counted, *rest]]
    assert 3 * errors["plms"] < errors["ddim"]


def test_plms_with_one_noise_is_ddim_and_starts_afresh():
    schedule = scaled_linear()
    eps = torch.randn(3, 2, dtype=torch.float64)

    def denoise(x, t):
        alpha, sigma = schedule(t, like=x)
        return (x - sigma * eps) / alpha

    x, step = torch.randn(3, 2, dtype=torch.float64), PLMS()
    for times in ([900, 500, 100, 20, 1], [700, 300]):
        times = torch.tensor(times)
        expected = sample(ddim_step, denoise, schedule, x, times)
        torch.testing.assert_close(sample(step, denoise, schedule, x, times), expected)
    assert len(step._known) == 1
    zero = sample(PLMS(), denoise, schedule, x, torch.tensor([700, 0]))  # no noise to ask for at 0
    assert bool(torch.isfinite(zero).all())


def test_plms_says_where_no_signal_is_left():
    schedule = zero_terminal(linear())
    x, t, s = torch.randn(4, 2), torch.full((4,), 1000), torch.full((4,), 900)
    with pytest.raises(ValueError, match="divides by alpha, which is 0 at t = 1000"):
        PLMS()(lambda x, t: 0 * x, schedule, x, t, s)
