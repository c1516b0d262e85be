"""Schedules: closed forms, variance preserved, noise that only grows, and errors that say why."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from course_lib.diffusion.schedules import (
    NoiseSchedule,
    cosine,
    cosine_vp,
    edm,
    from_alpha_bar,
    from_betas,
    from_log_snr,
    geometric_times,
    karras_times,
    leading_times,
    linear,
    rectified,
    scaled_linear,
    spaced_times,
    time_at,
    zero_terminal,
)

DISCRETE = {
    "linear": linear(),
    "linear, 50 steps": linear(50, 2e-3, 0.4),
    "cosine": cosine(),
    "cosine, 50 steps": cosine(50),
    "constant": from_betas(torch.full((40,), 0.1)),
}
CONTINUOUS = {"cosine_vp": cosine_vp, "rectified": rectified, "edm": edm}
each_discrete = pytest.mark.parametrize("schedule", DISCRETE.values(), ids=DISCRETE)
each_continuous = pytest.mark.parametrize("schedule", CONTINUOUS.values(), ids=CONTINUOUS)


@each_discrete
def test_tables_have_one_entry_more_than_there_are_steps(schedule):
    assert len(schedule.beta) == len(schedule.alpha_bar) == schedule.T + 1 == schedule.t_max + 1
    assert schedule.beta[0] == 0 and schedule.alpha_bar[0] == 1
    assert schedule.beta.dtype == schedule.alpha_bar.dtype == torch.float64


@each_discrete
def test_alpha_bar_is_the_product_of_what_each_step_keeps(schedule):
    product = 1.0
    for beta, alpha_bar in zip(schedule.beta.tolist(), schedule.alpha_bar.tolist(), strict=True):
        product *= 1 - beta
        assert math.isclose(product, alpha_bar, rel_tol=1e-12, abs_tol=1e-18)


@each_discrete
def test_variance_is_preserved(schedule):
    t = torch.arange(schedule.T + 1)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(alpha), atol=1e-15, rtol=0)
    torch.testing.assert_close(alpha**2, schedule.alpha_bar, atol=1e-15, rtol=0)
    assert alpha[0] == 1 and sigma[0] == 0


@each_discrete
def test_steps_of_noise_add_up_to_the_direct_jump(schedule):
    # Var[x_t], if each step multiplies by sqrt(1 - beta) and adds beta, to data of variance 0.25.
    data, variance = 0.25, 0.25
    alpha, sigma = (c(torch.arange(schedule.T + 1)) for c in (schedule.alpha, schedule.sigma))
    for t in range(1, schedule.T + 1):
        variance = float((1 - schedule.beta[t]) * variance + schedule.beta[t])
        assert math.isclose(variance, float(alpha[t] ** 2 * data + sigma[t] ** 2), rel_tol=1e-12)


@each_discrete
def test_the_signal_to_noise_ratio_falls_at_every_step(schedule):
    t = torch.arange(schedule.T + 1)
    snr, log_snr = schedule.snr(t), schedule.log_snr(t)
    assert torch.isinf(snr[0]) and (snr.diff() < 0).all()
    torch.testing.assert_close(log_snr[1:], snr[1:].log(), atol=1e-9, rtol=1e-9)
    ratio = schedule.alpha_bar[1:] / (1 - schedule.alpha_bar[1:])
    torch.testing.assert_close(snr[1:], ratio, atol=0, rtol=1e-9)


@each_continuous
def test_continuous_schedules_run_from_data_to_noise(schedule):
    t = torch.linspace(0, schedule.t_max, 201, dtype=torch.float64)
    assert schedule.alpha(t)[0] == 1 and schedule.sigma(t)[0] == 0
    inner = t[1:-1]
    assert (schedule.log_snr(inner).diff() < 0).all()


@given(st.floats(0, 1))
def test_continuous_closed_forms(t):
    time = torch.tensor([t], dtype=torch.float64)
    assert math.isclose(float(cosine_vp.alpha(time) ** 2 + cosine_vp.sigma(time) ** 2), 1)
    assert math.isclose(float(cosine_vp.alpha(time)), math.cos(t * math.pi / 2))
    assert float(rectified.alpha(time) + rectified.sigma(time)) == 1
    assert float(rectified.sigma(time)) == t
    assert float(edm.alpha(time)) == 1 and float(edm.sigma(time)) == t


def test_ddpm_schedule_is_the_papers():
    schedule = linear()
    assert schedule.T == 1000
    assert math.isclose(schedule.beta[1], 1e-4) and math.isclose(schedule.beta[1000], 0.02)
    for t in (2, 500, 999):
        assert math.isclose(schedule.beta[t], 1e-4 + (0.02 - 1e-4) * (t - 1) / 999)
    # Little signal is left at the end: Ho et al. 2020, section 4, aim at a negligible L_T.
    assert math.isclose(schedule.alpha_bar[1000], 4.0358e-5, rel_tol=1e-4)


def test_cosine_schedule_is_the_papers():
    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    schedule = cosine()
    for t in (1, 2, 10, 500, 900, 990):
        assert math.isclose(schedule.alpha_bar[t], f(t) / f(0), rel_tol=1e-9)
    assert schedule.beta.max() == 0.999 == schedule.beta[1000]  # capped, else it would be 1
    assert (schedule.beta[1:] == 0.999).sum() == 1


def test_alpha_bar_and_betas_say_the_same():
    schedule = linear(100, 1e-3, 0.2)
    again = from_alpha_bar(schedule.alpha_bar)
    torch.testing.assert_close(again.beta, schedule.beta, atol=1e-14, rtol=1e-12)


def test_the_last_beta_may_be_one():
    schedule = from_betas(torch.tensor([0.5, 1.0]))
    assert schedule.alpha_bar.tolist() == [1.0, 0.5, 0.0]
    assert schedule.snr(torch.tensor([2])) == 0


@pytest.mark.parametrize(
    "betas, said",
    [
        ([], "none at all"),
        ([0.1, 0.0, 0.1], "beta_2 = 0"),
        ([0.1, 0.2, -0.1], "beta_3 = -0.1"),
        ([1.5], "beta_1 = 1.5"),
        ([0.1, 1.0, 0.2], "beta_2 = 1"),
        ([0.1, float("nan")], "beta_2 = nan"),
    ],
)
def test_a_wrong_beta_is_named(betas, said):
    with pytest.raises(ValueError, match=f"got {said}"):
        from_betas(torch.tensor(betas))


@pytest.mark.parametrize("values", [[1.0], [0.9, 0.5], [1.0, 0.5, 0.5], [1.0, float("nan")]])
def test_alpha_bar_must_start_at_one_and_fall(values):
    with pytest.raises(ValueError, match="start at exactly 1 and fall at every step"):
        from_alpha_bar(torch.tensor(values))


@pytest.mark.parametrize("shape", [(8, 2), (8, 3, 8, 8), (8, 8), (1, 1, 28, 28)])
def test_a_time_meets_the_shape_of_an_image_in_one_place(shape):
    # (8, 3, 8, 8) with 8 times is the case in which broadcasting by hand goes wrong silently.
    t = torch.arange(1, shape[0] + 1)
    schedule, x = linear(), torch.zeros(shape)
    for coefficient, table in zip(
        schedule(t, like=x), (schedule.alpha, schedule.sigma), strict=True
    ):
        assert coefficient.shape == (shape[0],) + (1,) * (len(shape) - 1)
        assert coefficient.dtype == x.dtype
        assert torch.equal(coefficient.flatten(), table(t).float())


@pytest.mark.parametrize("times", [1, 3, 8])
def test_each_example_needs_its_own_time(times):
    t, x = torch.ones(times), torch.zeros(4, 3, 8, 8)
    with pytest.raises(TypeCheckError):  # what the tests see
        rectified(t, like=x)
    unchecked = NoiseSchedule.__call__.__wrapped__  # what a reader sees, without type checks
    with pytest.raises(ValueError, match=rf"t must have shape \(4,\).*got \({times},\)"):
        unchecked(rectified, t, like=x)


def test_discrete_times_are_whole_numbers_within_the_table():
    schedule = linear()
    with pytest.raises(TypeError, match=r"integers 0\.\.T.*spaced_times"):
        schedule.alpha(torch.tensor([0.5]))
    with pytest.raises(ValueError, match=r"times of this schedule are 0\.\.1000, got -1"):
        schedule.alpha(torch.tensor([3, -1]))
    with pytest.raises(ValueError, match=r"times of this schedule are 0\.\.1000, got 1001"):
        schedule.sigma(torch.tensor([1001]))


@given(st.integers(1, 300), st.data())
def test_spaced_times(T, data):
    steps = data.draw(st.integers(1, T))
    times = spaced_times(from_betas(torch.full((T,), 0.1)), steps)
    assert times.dtype == torch.int64 and len(times) == steps + 1
    assert times[0] == T and times[-1] == 0 and (times.diff() < 0).all()
    # As even as integers allow: no gap differs from T / steps by a whole step or more.
    assert ((-times.diff() - T / steps).abs() < 1).all()


def test_all_steps_are_all_times():
    assert torch.equal(spaced_times(linear(), 1000), torch.arange(1000, -1, -1))


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_spaced_times_refuses(steps):
    with pytest.raises(ValueError, match=rf"1\.\.1000 for this schedule, got {steps}"):
        spaced_times(linear(), steps)


@given(steps=st.integers(2, 300), low=st.floats(1e-3, 1.0), high=st.floats(1.5, 100.0))
def test_geometric_times_have_one_ratio_and_end_in_data(steps, low, high):
    times = geometric_times(steps, low, high)
    assert len(times) == steps + 1 and times[-1] == 0
    assert math.isclose(times[0], high) and math.isclose(times[-2], low)
    ratio = (high / low) ** (1 / (steps - 1))
    torch.testing.assert_close(times[:-2] / times[1:-1], torch.full((steps - 1,), ratio).double())


def test_karras_times_are_the_papers():
    times = karras_times(18)  # Karras et al. 2022, eq. 5 with their 18 steps
    assert len(times) == 19 and times[-1] == 0
    assert math.isclose(times[0], 80) and math.isclose(times[17], 0.002)
    for i in range(18):
        root = 80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))
        assert math.isclose(times[i], root**7, rel_tol=1e-9)


@pytest.mark.parametrize(
    "wrong", [{"steps": 1}, {"steps": 5, "low": 0.0}, {"steps": 5, "low": 2.0, "high": 1.0}]
)
@pytest.mark.parametrize("ladder", [karras_times, geometric_times])
def test_ladders_that_do_not_fall_are_refused(ladder, wrong):
    with pytest.raises(ValueError, match="need 0 < low < high and steps >= 2"):
        ladder(**wrong)


@given(st.floats(-30, 30), st.floats(0.1, 30))
def test_a_schedule_from_its_log_snr_has_it_and_preserves_variance(low, span):
    schedule = from_log_snr(lambda t: low + span * (1 - t) ** 3)
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    expected = low + span * (1 - t) ** 3
    torch.testing.assert_close(schedule.log_snr(t), expected, rtol=1e-9, atol=1e-9)
    total = schedule.alpha(t).square() + schedule.sigma(t).square()
    torch.testing.assert_close(total, torch.ones_like(t), rtol=0, atol=1e-12)


@given(st.sampled_from(sorted(CONTINUOUS)), st.floats(0.01, 0.99))
def test_time_at_finds_the_time_of_a_ratio(name, share):
    schedule = CONTINUOUS[name]
    t = torch.tensor([share * schedule.t_max], dtype=torch.float64)
    torch.testing.assert_close(time_at(schedule, schedule.log_snr(t)), t, rtol=1e-9, atol=1e-12)


@each_discrete
def test_time_at_meets_a_table_at_its_integers_and_lies_between_them(schedule):
    every = torch.arange(1, schedule.T + 1)
    known = schedule.log_snr(every)
    torch.testing.assert_close(time_at(schedule, known), every.double(), rtol=0, atol=1e-6)
    middle = time_at(schedule, (known[1:] + known[:-1]) / 2)
    torch.testing.assert_close(middle, every[:-1] + 0.5, rtol=0, atol=1e-6, check_dtype=False)
    beyond = time_at(schedule, torch.tensor([50.0, -50.0]))
    assert beyond.tolist() == [1, schedule.T]


def test_latent_diffusions_schedule_rises_evenly_in_its_roots():
    schedule = scaled_linear()
    roots = schedule.beta[1:].sqrt()
    torch.testing.assert_close(roots.diff().max(), roots.diff().min(), atol=1e-12, rtol=0)
    assert float(schedule.beta[1]) == pytest.approx(0.00085)
    assert float(schedule.beta[1000]) == pytest.approx(0.012)
    assert float(schedule.alpha_bar[1000]) == pytest.approx(0.00466, abs=1e-5)


def test_leading_times_are_theirs_moved_by_one_and_end_at_one():
    schedule = scaled_linear()
    assert leading_times(schedule, 50).tolist()[:2] == [982, 962]
    assert leading_times(schedule, 50).tolist()[-3:] == [22, 2, 1]
    assert leading_times(schedule, 1).tolist() == [2, 1]
    assert len(leading_times(schedule, 7)) == 8
    for steps in (0, 501):
        with pytest.raises(ValueError, match=r"steps must be 1\.\.500"):
            leading_times(schedule, steps)


@given(st.floats(-30, 30))
def test_a_ratio_beyond_the_times_gets_the_nearer_end(ratio):
    one = from_betas(torch.tensor([0.3]))  # a chain whose only time is both
    assert time_at(one, torch.tensor([ratio, float("inf"), -float("inf")])).tolist() == [1] * 3
    own = one.log_snr(torch.tensor([1]))
    assert time_at(one, own).tolist() == [1]
    last = torch.tensor([-float("inf"), float("inf")])
    for schedule in (linear(), cosine(7), zero_terminal(linear()), zero_terminal(cosine(2))):
        assert time_at(schedule, last).tolist() == [schedule.T, 1]


def test_a_share_below_0_is_refused():
    with pytest.raises(ValueError, match="ends at 0 or above, got -0.1"):
        from_alpha_bar(torch.tensor([1, 0.5, -0.1]))
