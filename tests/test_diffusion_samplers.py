"""Steps against each other, against closed forms of Gaussian data, and their measured order."""

import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.exact import Dataset, GaussianMixture
from course_lib.diffusion.samplers import (
    ddim_step,
    ddpm_step,
    euler_step,
    heun_step,
    sample,
    walk,
)
from course_lib.diffusion.schedules import (
    cosine,
    cosine_vp,
    edm,
    karras_times,
    linear,
    rectified,
    spaced_times,
)

STEPS = {"ddpm": ddpm_step, "ddim": ddim_step, "euler": euler_step, "heun": heun_step}
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
DISCRETE = {"linear": linear(), "cosine": cosine()}
each_discrete = pytest.mark.parametrize("schedule", DISCRETE.values(), ids=DISCRETE)


def float64(*values):
    return torch.tensor(values, dtype=torch.float64)


def mixture():
    """Three Gaussians in the plane, of different shapes and weights."""
    means = float64([1.0, 0.5], [-1.0, 0.8], [0.2, -1.2])
    covariances = float64(
        [[0.2, 0.1], [0.1, 0.3]], [[0.3, 0.0], [0.0, 0.1]], [[0.1, 0.0], [0.0, 0.4]]
    )
    return GaussianMixture(means, covariances, float64(0.5, 0.3, 0.2))


def normal(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


# One step


@each_discrete
def test_ddim_with_eta_one_is_ddpm_at_every_step(schedule):
    t = torch.arange(1, schedule.T + 1)
    x, denoise = normal((schedule.T, 2)), mixture().denoiser(schedule)
    for s in (t - 1, t // 2):  # neighbours, and far jumps
        ours = ddim_step(denoise, schedule, x, t, s, eta=1.0, randn_like=seeded_randn_like(1))
        theirs = ddpm_step(denoise, schedule, x, t, s, randn_like=seeded_randn_like(1))
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@each_discrete
def test_ddim_with_eta_zero_is_euler_at_every_step(schedule):
    t = torch.arange(1, schedule.T + 1)
    x, denoise = normal((schedule.T, 2)), mixture().denoiser(schedule)
    for s in (t - 1, t // 2):
        ours = ddim_step(denoise, schedule, x, t, s)
        theirs = euler_step(denoise, schedule, x, t, s)
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@each_discrete
def test_ddpm_step_is_the_papers_posterior(schedule):
    # Ho et al. 2020, eq. 7, in its own symbols.
    t = torch.arange(1, schedule.T + 1)
    x, x_0 = normal((schedule.T, 3)), normal((schedule.T, 3), seed=1)
    beta, bar, bar_s = schedule.beta[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
    on_x_0 = bar_s.sqrt() * beta / (1 - bar)
    on_x_t = (1 - beta).sqrt() * (1 - bar_s) / (1 - bar)
    mean = on_x_0[:, None] * x_0 + on_x_t[:, None] * x
    tilde = beta * (1 - bar_s) / (1 - bar)
    for variance, spread in (("small", tilde), ("large", beta)):
        spread = torch.where(t > 1, spread, 0.0)  # nothing is added at the last step
        for noise in (torch.zeros_like, torch.ones_like):
            ours = ddpm_step(
                lambda *_: x_0, schedule, x, t, t - 1, variance=variance, randn_like=noise
            )
            theirs = mean + spread.sqrt()[:, None] * noise(x)
            torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@given(st.floats(0.05, 1.0), st.floats(0.0, 1.0), st.integers(2, 1000), st.data())
def test_ddim_keeps_the_marginal_whatever_eta(eta, x_0, t, data):
    # Song, Meng & Ermon 2020, lemma 1: from x_t of one x_0, x_s has mean alpha_s x_0, var sigma_s².
    schedule, s = linear(), data.draw(st.integers(0, t - 1))
    t, s = torch.tensor([t]), torch.tensor([s])
    clean = float64([x_0])

    def step(eps, fresh):
        x_t = schedule.alpha(t) * clean + schedule.sigma(t) * eps
        return ddim_step(
            lambda *_: clean, schedule, x_t, t, s, eta=eta, randn_like=lambda x: x * 0 + fresh
        )

    mean = step(0.0, 0.0)
    variance = (step(1.0, 0.0) - mean) ** 2 + (step(0.0, 1.0) - mean) ** 2
    assert math.isclose(mean, schedule.alpha(s) * x_0, abs_tol=1e-12)
    assert math.isclose(variance, schedule.sigma(s) ** 2, abs_tol=1e-12)


@each_step
@pytest.mark.parametrize("schedule", [linear(), cosine()])
def test_the_last_step_is_the_denoisers_answer(step, schedule):
    t = torch.tensor([1, 40, 990])
    x, denoise = normal((3, 2)), mixture().denoiser(schedule)
    ours = step(denoise, schedule, x, t, torch.zeros_like(t))
    torch.testing.assert_close(ours, denoise(x, t), atol=1e-10, rtol=1e-10)


@each_step
def test_a_step_leaves_its_input_alone(step):
    x = normal((5, 2))
    before = x.clone()
    step(mixture().denoiser(linear()), linear(), x, torch.full((5,), 9), torch.full((5,), 8))
    assert torch.equal(x, before)


@each_step
def test_a_batch_is_one_example_at_a_time(step):
    # (8, 8, 8, 8) with 8 times: every wrong broadcast has the right shape.
    x, schedule = normal((8, 8, 8, 8)), linear()
    t, s = torch.arange(100, 900, 100), torch.arange(50, 850, 100)
    options = {"randn_like": torch.ones_like} if step in (ddpm_step, ddim_step) else {}

    def denoise(x_t, t):
        alpha, sigma = schedule(t, like=x_t)
        return (alpha * x_t + 0.1 * sigma).tanh()

    together = step(denoise, schedule, x, t, s, **options)
    for i in range(8):
        alone = step(denoise, schedule, x[i : i + 1], t[i : i + 1], s[i : i + 1], **options)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("step", [ddim_step, euler_step, heun_step])
@pytest.mark.parametrize("schedule", [cosine_vp, rectified, edm])
def test_with_a_single_example_one_step_is_exact(step, schedule):
    # Then eps is the same along the whole path, and every path to it is straight in (z, n).
    point, eps = normal((1, 4)), normal((6, 4), seed=1)
    t, s = torch.linspace(0.2, 0.9, 6).double(), torch.linspace(0.1, 0.05, 6).double()
    denoise = Dataset(point).denoiser(schedule)
    (a_t, s_t), (a_s, s_s) = schedule(t, like=eps), schedule(s, like=eps)
    x_s = step(denoise, schedule, a_t * point + s_t * eps, t, s)
    torch.testing.assert_close(x_s, a_s * point + s_s * eps, atol=1e-12, rtol=1e-12)


def test_heun_takes_the_mean_of_the_slopes_at_both_ends():
    # By hand on the EDM path, where alpha = 1: Karras et al. 2022, algorithm 1.
    law = mixture()
    denoise, x = law.denoiser(edm), normal((4, 2))
    t, s = torch.full((4,), 2.0).double(), torch.full((4,), 1.2).double()
    d = (x - denoise(x, t)) / 2.0
    guess = x + (1.2 - 2.0) * d
    d_s = (guess - denoise(guess, s)) / 1.2
    expected = x + (1.2 - 2.0) * (d + d_s) / 2
    torch.testing.assert_close(heun_step(denoise, edm, x, t, s), expected)


def test_heun_with_data_reached_in_part_of_the_batch():
    denoise, x = mixture().denoiser(edm), normal((2, 2))
    t, s = float64(2.0, 2.0), float64(0.0, 1.0)
    both = heun_step(denoise, edm, x, t, s)
    for i in range(2):
        alone = heun_step(denoise, edm, x[i : i + 1], t[i : i + 1], s[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone)


@pytest.mark.parametrize("step", [euler_step, heun_step])
@pytest.mark.parametrize("schedule", [rectified, cosine_vp])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_that_divide_by_alpha_refuse_to_start_without_signal(step, schedule, dtype):
    x, one = torch.zeros(2, 2, dtype=dtype), torch.ones(2, dtype=dtype)
    with pytest.raises(ValueError, match="divides by alpha.*t = 1.*ddim_step"):
        step(lambda x, t: x, schedule, x, one, 0.9 * one)
    # ... which DDIM can do.
    assert torch.isfinite(ddim_step(lambda x, t: 0 * x, schedule, x, one, 0.9 * one)).all()


def test_an_unknown_variance_is_refused():
    x, t = torch.zeros(1, 2), torch.tensor([5])
    with pytest.raises(ValueError, match="'medium'. Use one of: small, large"):
        ddpm_step(lambda x, t: x, linear(), x, t, t - 1, variance="medium")


# Whole walks


GRIDS = {
    # Both stop short of 0: the last step to 0 is a first-order one for every solver.
    "edm": (edm, lambda n: karras_times(n + 1, low=0.05, high=10.0)[:-1]),
    "cosine_vp": (cosine_vp, lambda n: torch.linspace(0.95, 0.05, n + 1, dtype=torch.float64)),
}


@cache
def flow(path, step, steps):
    """Where 20 points of noise end on the exact mixture, in float64."""
    schedule, grid = GRIDS[path]
    x = schedule.sigma(grid(2)[:1]) * normal((20, 2))
    return sample(step, mixture().denoiser(schedule), schedule, x, grid(steps))


def order(step, path, steps=(32, 64, 128, 256)):
    """Minus the slope of log error against log steps."""
    truth = flow(path, heun_step, 1200)
    errors = [(flow(path, step, n) - truth).square().mean().sqrt() for n in steps]
    a, b = float64(*steps).log(), torch.stack(errors).log()
    return float(-((a - a.mean()) * (b - b.mean())).sum() / (a - a.mean()).square().sum())


@pytest.mark.parametrize("path", GRIDS)
@pytest.mark.parametrize("step, expected", [(euler_step, 1), (ddim_step, 1), (heun_step, 2)])
def test_order_of_each_solver(step, expected, path):
    assert abs(order(step, path) - expected) < 0.1


@pytest.mark.parametrize("step", [ddim_step, euler_step, heun_step])
def test_gaussian_data_ends_where_the_flow_ends(step):
    # For N(0, c²) the flow only rescales: x_s / x_t is the ratio of the two standard deviations.
    c, x, steps = 0.7, normal((50, 1)), 400
    law = GaussianMixture(float64([0.0]), float64(c))
    for schedule, times in (
        (linear(), spaced_times(linear(), steps)),
        (edm, karras_times(steps, high=10.0)),
    ):
        alpha, sigma = schedule.alpha(times[:1]), schedule.sigma(times[:1])
        deviation = (alpha**2 * c**2 + sigma**2).sqrt()
        ends = sample(step, law.denoiser(schedule), schedule, deviation * x, times)
        # Heun's last step, from sigma = 0.01 or 0.002 to 0, is Euler's, hence its floor here.
        torch.testing.assert_close(ends, c * x, atol=0, rtol=1e-3 if step is heun_step else 0.02)


def ancestral(schedule, law, variance):
    """On one-dimensional Gaussian data a step is x_s = m x_t + k z; m and k² of every t = 1..T."""
    t = torch.arange(1, schedule.T + 1)

    def step(x, z):
        x_t = torch.full((schedule.T, 1), x, dtype=torch.float64)
        denoise, noise = law.denoiser(schedule), lambda x: torch.full_like(x, z)
        return ddpm_step(
            denoise, schedule, x_t, t, t - 1, variance=variance, randn_like=noise
        ).flatten()

    return step(1.0, 0.0), step(0.0, 1.0).square()


@each_discrete
@pytest.mark.parametrize("variance, c", [("large", 1.0), ("small", 0.0)])
def test_each_variance_is_exact_for_its_extreme_of_the_data(schedule, variance, c):
    # Ho et al. 2020, section 3.2: beta is right for data N(0, I), beta-tilde for a single point.
    law = GaussianMixture(float64([0.0]), float64(c))
    m, k2 = ancestral(schedule, law, variance)
    marginal = schedule.alpha_bar * c**2 + 1 - schedule.alpha_bar
    var = marginal[-1]
    for t in range(schedule.T, 1, -1):
        var = m[t - 1] ** 2 * var + k2[t - 1]
        assert math.isclose(var, marginal[t - 1], rel_tol=1e-8)


@each_discrete
def test_between_the_extremes_the_missing_variance_is_that_of_x_0(schedule):
    # Law of total variance, at every t: beta-tilde + (weight of x_0)² Var[x_0 | x_t] is the truth.
    c, t = 0.6, torch.arange(1, schedule.T + 1)
    law = GaussianMixture(float64([0.0]), float64(c))
    beta, bar, bar_s = schedule.beta[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
    m, small = ancestral(schedule, law, "small")
    _, large = ancestral(schedule, law, "large")
    marginal = schedule.alpha_bar * c**2 + 1 - schedule.alpha_bar
    weight = bar_s.sqrt() * beta / (1 - bar)
    true = small + weight**2 * c**2 * (1 - bar) / marginal[t]
    assert (small < true).all() and (true[1:] < large[1:]).all()
    torch.testing.assert_close(m**2 * marginal[t] + true, marginal[t - 1], atol=0, rtol=1e-9)


def test_ancestral_samples_of_the_mixture_have_its_moments():
    # In 100 steps the small variance spreads too little; the large one is right for Var[x_0] = 1.
    law, schedule = mixture(), linear(100, 1e-3, 0.2)
    mean = law.weights @ law.means
    spread = (law.axes * law.variances[:, None]) @ law.axes.mT
    spread = torch.einsum("k,kij->ij", law.weights, spread)
    spread += torch.einsum("k,ki,kj->ij", law.weights, law.means - mean, law.means - mean)
    for variance, low, high in (("small", -0.12, 0.0), ("large", -0.06, 0.06)):
        noise = seeded_randn_like(5)

        def step(*args, variance=variance, noise=noise):
            return ddpm_step(*args, variance=variance, randn_like=noise)

        times = spaced_times(schedule, 100)
        x = sample(step, law.denoiser(schedule), schedule, normal((5_000, 2)), times)
        assert (x.mean(0) - mean).abs().max() < 0.06
        gap = (x.T.cov() - spread).diag()
        assert (low < gap).all() and (gap < high).all()


# walk and sample


def test_walk_shows_each_state_and_sample_the_last():
    denoise, times = mixture().denoiser(cosine_vp), torch.linspace(0.9, 0, 6, dtype=torch.float64)
    x = normal((3, 2))
    states = list(walk(ddim_step, denoise, cosine_vp, x, times))
    assert len(states) == 6 and states[0] is x
    for before, after, (t, s) in zip(states, states[1:], pairwise(times), strict=False):
        expected = ddim_step(denoise, cosine_vp, before, t.expand(3), s.expand(3))
        assert torch.equal(after, expected)
    assert torch.equal(states[-1], sample(ddim_step, denoise, cosine_vp, x, times))


def test_a_caller_may_stop_the_walk():
    calls = []
    denoise = mixture().denoiser(linear())

    def counted(x, t):
        calls.append(int(t[0]))
        return denoise(x, t)

    times = torch.tensor([1000, 500, 100, 0])
    for x in walk(ddim_step, counted, linear(), normal((1, 2)), times):
        assert torch.isfinite(x).all()
        if len(calls) == 2:
            break
    assert calls == [1000, 500]


def test_evaluations_per_step():
    calls = []

    def denoise(x, t):
        calls.append(float(t[0]))
        return 0 * x

    times = float64(3.0, 2.0, 1.0, 0.0)
    sample(euler_step, denoise, edm, normal((1, 2)), times)
    assert calls == [3, 2, 1]
    calls.clear()
    sample(heun_step, denoise, edm, normal((1, 2)), times)
    assert calls == [3, 2, 2, 1, 1]  # no second slope at 0


def test_nothing_is_recorded_for_gradients():
    x = torch.zeros(2, 2, requires_grad=True)
    out = sample(ddim_step, lambda x, t: x, cosine_vp, x, torch.tensor([0.5, 0.0]))
    assert not out.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_is_given_times_in_its_own_precision(dtype):
    layer = torch.nn.Linear(1, 2).to(dtype)

    def denoise(x, t):
        return layer(t[:, None])  # would fail on another dtype

    x = torch.zeros(3, 2, dtype=dtype)
    out = sample(ddim_step, denoise, edm, x, karras_times(4))
    assert out.dtype == dtype


@pytest.mark.parametrize(
    "times", [[1.0], [0.0, 1.0], [1.0, 0.5, 0.5, 0.0], [0.5, 0.0, -0.1], [float("nan"), 0.0]]
)
def test_times_must_decrease_to_zero_or_above(times):
    with pytest.raises(ValueError, match="times must decrease strictly to 0 or above, got"):
        sample(ddim_step, lambda x, t: x, cosine_vp, torch.zeros(1, 2), torch.tensor(times))


@pytest.mark.parametrize("eta", [-0.1, 1.1])
def test_ddim_takes_no_eta_beyond_the_ancestral_step(eta):
    x, t, s = torch.randn(4, 2), torch.full((4,), 500), torch.full((4,), 400)
    with pytest.raises(ValueError, match=f"eta must lie between 0 .* got {eta}"):
        ddim_step(lambda x, t: x, linear(), x, t, s, eta=eta)
