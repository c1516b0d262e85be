"""Schedules and steps equal those of `diffusers`, over all steps.

How the two count:
- Their time index i runs 0..999, ours t = i + 1 runs 1..1000; their "final" alpha is our t = 0.
- Their step returns the next sample from the network's output; ours asks a denoiser for x_0.
- With clip_sample, their DDIM keeps the network's own noise unless use_clipped_model_output is
  set. Ours always takes the noise that belongs to the clipped x_0, as the paper's eq. 12 needs.
- Their Euler and Heun live on z = x / alpha with sigma = sigma_t / alpha_t: our `edm` path. On a
  variance-preserving path our steps take x itself.
- Their tables are float32. The steps are compared on float64 copies, so that it is the formulas
  that are compared and not the rounding; the float32 tables are compared by themselves.
"""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)

from course_lib.diffusion.guidance import clip
from course_lib.diffusion.predictions import x_0_from
from course_lib.diffusion.samplers import ddim_step, ddpm_step, euler_step, heun_step
from course_lib.diffusion.schedules import (
    cosine,
    edm,
    karras_times,
    linear,
    spaced_times,
)
from course_lib.diffusion.solvers import DPMSolver2M

OURS = {"linear": linear(), "squaredcos_cap_v2": cosine()}
each_schedule = pytest.mark.parametrize("name", OURS)
PREDICTIONS = {"epsilon": "eps", "sample": "x_0", "v_prediction": "v"}
BETAS = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}


def in_float64(scheduler, ours):
    """The same scheduler on float64 tables."""
    scheduler.betas = ours.beta[1:].clone()
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = scheduler.alphas.cumprod(0)
    scheduler.one = scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return scheduler


def normal(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def denoiser(predicts, out, schedule):
    """Our denoiser around a network that answered `out`."""

    def denoise(x_t, t):
        alpha, sigma = schedule(t, like=x_t)
        return x_0_from(predicts, out, x_t, alpha, sigma)

    return denoise


def assert_equal(ours, theirs, tolerance=1e-6):
    # Relative to entries above 1 in size: the first cosine steps divide by 5e-5.
    assert ((ours - theirs).abs() <= tolerance * (1 + theirs.abs())).all()


@each_schedule
def test_tables(name):
    theirs = DDPMScheduler(beta_schedule=name, **BETAS)
    assert_equal(OURS[name].beta[1:], theirs.betas.double())
    assert_equal(OURS[name].alpha_bar[1:], theirs.alphas_cumprod.double())


@each_schedule
@pytest.mark.parametrize(
    "prediction, variance, clip_sample",
    [
        ("epsilon", "fixed_small", False),
        ("epsilon", "fixed_large", True),
        ("sample", "fixed_small", True),
        ("v_prediction", "fixed_large", False),
    ],
)
def test_ddpm_steps(name, prediction, variance, clip_sample):
    ours = OURS[name]
    options = {"variance_type": variance, "prediction_type": prediction, "clip_sample": clip_sample}
    theirs = in_float64(DDPMScheduler(beta_schedule=name, **BETAS, **options), ours)
    x, out = normal((1000, 2), 0), normal((1000, 2), 1)
    generator, again = (torch.Generator().manual_seed(2) for _ in range(2))
    noise = torch.cat([torch.randn(1, 2, generator=generator, dtype=x.dtype) for _ in range(1000)])
    torch.randn(1, 2, generator=again, dtype=x.dtype)  # they draw nothing at the last step, i = 0
    stepped = torch.cat(
        [theirs.step(out[i : i + 1], i, x[i : i + 1], generator=again)[0] for i in range(1000)]
    )
    t = torch.arange(1, 1001)
    denoise = denoiser(PREDICTIONS[prediction], out, ours)
    found = ddpm_step(
        clip(denoise) if clip_sample else denoise,
        ours,
        x,
        t,
        t - 1,
        variance=variance.removeprefix("fixed_"),
        randn_like=lambda _: noise,
    )
    assert_equal(found, stepped)


@each_schedule
@pytest.mark.parametrize(
    "eta, clip_sample, steps",
    [(0.0, False, 1000), (1.0, True, 1000), (0.0, True, 50), (0.5, False, 50), (0.5, True, 7)],
)
def test_ddim_steps(name, eta, clip_sample, steps):
    ours = OURS[name]
    theirs = DDIMScheduler(
        beta_schedule=name, **BETAS, clip_sample=clip_sample, timestep_spacing="trailing"
    )
    theirs = in_float64(theirs, ours)
    theirs.set_timesteps(steps)
    index = theirs.timesteps
    stride = 1000 // steps
    x, out, noise = (normal((steps, 2), seed) for seed in range(3))
    stepped = torch.cat(
        [
            theirs.step(
                out[k : k + 1],
                int(i),
                x[k : k + 1],
                eta=eta,
                use_clipped_model_output=True,
                variance_noise=noise[k : k + 1] if eta else None,
            )[0]
            for k, i in enumerate(index)
        ]
    )
    t = index + 1
    s = (t - stride).clamp(min=0)
    denoise = denoiser("eps", out, ours)
    found = ddim_step(
        clip(denoise) if clip_sample else denoise,
        ours,
        x,
        t,
        s,
        eta=eta,
        randn_like=lambda _: noise,
    )
    assert_equal(found, stepped)
    if 1000 % steps == 0:  # their trailing times are then our evenly spaced ones
        assert torch.equal(spaced_times(ours, steps)[:-1], t)


@pytest.mark.parametrize(
    "name, ours", [("linear", linear(100, 1e-3, 0.2)), ("squaredcos_cap_v2", cosine(100))]
)
def test_a_whole_ddpm_walk(name, ours):
    theirs = DDPMScheduler(100, beta_start=1e-3, beta_end=0.2, beta_schedule=name, clip_sample=True)
    assert_equal(ours.beta[1:], theirs.betas.double())
    theirs = in_float64(theirs, ours)
    a = b = normal((4, 2), 5)
    noise = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)

    def net(x, t):  # any function will do; it must only be the same
        return torch.tanh(x + t / 100)

    for t in range(100, 0, -1):
        time = torch.full((4,), t)
        a = theirs.step(net(a, t), t - 1, a, generator=noise[0])[0]
        b = ddpm_step(
            clip(denoiser("eps", net(b, t), ours)),
            ours,
            b,
            time,
            time - 1,
            randn_like=lambda x: torch.randn(x.shape, generator=noise[1], dtype=x.dtype),
        )
    assert_equal(b, a)


def net_on_z(z, sigma):
    """A denoiser of z = x_0 + sigma eps, for data of about unit size."""
    return torch.tanh(z / (1 + sigma**2))


@each_schedule
@pytest.mark.parametrize("karras", [False, True])
def test_euler_and_heun_steps(name, karras):
    # On every step of 40: as steps of `edm` from z, and as steps of the discrete schedule from x.
    for theirs, step in (
        (EulerDiscreteScheduler, euler_step),
        (HeunDiscreteScheduler, heun_step),
    ):
        scheduler = theirs(
            beta_schedule=name, **BETAS, use_karras_sigmas=karras, prediction_type="sample"
        )
        scheduler.set_timesteps(40)
        scheduler.sigmas = scheduler.sigmas.double()
        levels = scheduler.sigmas.unique_consecutive()
        if karras:
            low, high = float(levels[-2]), float(levels[0])
            assert_equal(karras_times(40, low, high), levels)
        z = levels[0] * normal((5, 2), 3)
        assert len(levels) == 41
        calls = iter(scheduler.timesteps)
        for sigma, next_sigma in zip(levels, levels[1:], strict=False):
            now, then = sigma.expand(5), next_sigma.expand(5)
            found = step(lambda x, t: net_on_z(x, t[:, None]), edm, z, now, then)
            twice = step is heun_step and next_sigma > 0
            expected, level = z, sigma
            for _ in range(1 + twice):
                time = next(calls)
                scheduler.is_scale_input_called = True
                expected = scheduler.step(net_on_z(expected, level), time, expected)[0]
                level = next_sigma
            assert_equal(found, expected)
            z = expected


@each_schedule
@pytest.mark.parametrize("step", [euler_step, heun_step])
def test_steps_on_x_are_steps_on_z(name, step):
    # So the comparison above holds for the variance-preserving schedules at all 1,000 steps too.
    ours, t = OURS[name], torch.arange(1, 1001)
    alpha, sigma = ours.alpha(t)[:, None], ours.sigma(t)[:, None]
    alpha_s, sigma_s = ours.alpha(t - 1)[:, None], ours.sigma(t - 1)[:, None]
    z = normal((1000, 2), 4) * (1 + sigma / alpha)

    def on_x(x, time):
        a, s = ours(time, like=x)
        return net_on_z(x / a, s / a)

    found = step(on_x, ours, alpha * z, t, t - 1)
    levels, next_levels = (sigma / alpha)[:, 0], (sigma_s / alpha_s)[:, 0]
    last = slice(1, None) if step is heun_step else slice(None)  # heun's last step is Euler's
    on_z = step(lambda x, n: net_on_z(x, n[:, None]), edm, z, levels, next_levels)
    assert_equal(found[last], (alpha_s * on_z)[last])


def test_edm_preconditioning_and_levels():
    theirs = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
    theirs.set_timesteps(18)
    assert np.allclose(karras_times(18), theirs.sigmas.double(), atol=1e-5, rtol=1e-6)
    levels = karras_times(18)[:-1, None]
    x, out = normal((18, 2), 0), normal((18, 2), 1)
    expected = theirs.precondition_outputs(x, out, levels)
    assert_equal(x_0_from("edm", out, x, torch.ones_like(levels), levels), expected)


@each_schedule
@pytest.mark.parametrize("steps, eta", [(5, 0), (20, 0), (100, 0), (5, 1), (20, 1)])
def test_a_whole_walk_of_dpm_solver_2m(name, steps, eta):
    ours = OURS[name]
    theirs = DPMSolverMultistepScheduler(
        beta_schedule=name,
        **BETAS,
        algorithm_type="sde-dpmsolver++" if eta else "dpmsolver++",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        lower_order_final=False,  # the last step is of first order all the same: it goes to 0
    )
    theirs.set_timesteps(steps)
    # Their levels are float32, and our times are their indices plus one.
    levels = (ours.sigma(theirs.timesteps + 1) / ours.alpha(theirs.timesteps + 1)).double()
    theirs.sigmas = torch.cat([levels, torch.zeros(1, dtype=torch.float64)])
    a = b = normal((4, 2), 5)
    noise = normal((steps, 4, 2), 6)

    def net(x, t):  # any function will do; it must only be the same
        return torch.tanh(x + t / 1000)

    left = iter(noise)
    solver = DPMSolver2M(eta, randn_like=lambda x: next(left))
    times = torch.cat([theirs.timesteps + 1, torch.tensor([0])])
    for i, (t, s) in enumerate(zip(times, times[1:], strict=False)):
        told = {"variance_noise": noise[i]} if eta else {}
        a = theirs.step(net(a, t), theirs.timesteps[i], a, **told)[0]
        denoise = denoiser("eps", net(b, t), ours)
        b = solver(denoise, ours, b, t.expand(4), s.expand(4))
    assert_equal(b, a)
