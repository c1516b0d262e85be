"""Every row of the prediction table: x_0 and eps come back, and the loss weights are right."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.diffusion.predictions import (
    PREDICTS,
    SIGMA_DATA,
    convert,
    eps_from,
    mix,
    target,
    x_0_from,
    x_0_weight,
)
from course_lib.diffusion.schedules import cosine_vp, linear, rectified

each_row = pytest.mark.parametrize("predicts", PREDICTS)

# (alpha, sigma) of every kind of path, away from the two ends where some rows are not defined.
angle = torch.linspace(0.01, 1.56, 40, dtype=torch.float64)
levels = torch.logspace(-2.7, 1.9, 40, dtype=torch.float64)
PATHS = {
    "variance preserving": (angle.cos(), angle.sin()),
    "DDPM": tuple(c(torch.arange(1, 1001)) for c in (linear().alpha, linear().sigma)),
    "rectified": tuple(c(angle / 1.6) for c in (rectified.alpha, rectified.sigma)),
    "EDM": (
        torch.ones(40, dtype=torch.float64),
        torch.logspace(-2.7, 1.9, 40, dtype=torch.float64),
    ),
}
each_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def corrupted(alpha, sigma, dim=3):
    generator = torch.Generator().manual_seed(0)
    shape = len(alpha), dim
    x_0, eps = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    alpha, sigma = alpha[:, None], sigma[:, None]
    return x_0, eps, alpha, sigma, alpha * x_0 + sigma * eps


@each_path
@each_row
def test_x_0_and_eps_come_back_from_every_prediction(predicts, path):
    x_0, eps, alpha, sigma, x_t = corrupted(*path)
    out = target(predicts, x_0, eps, alpha, sigma)
    found = x_0_from(predicts, out, x_t, alpha, sigma)
    torch.testing.assert_close(found, x_0, atol=1e-9, rtol=1e-9)
    back = eps_from(found, x_t, alpha, sigma)
    torch.testing.assert_close(back, eps, atol=1e-6, rtol=1e-6)  # divides by sigma >= 0.002


@each_path
@pytest.mark.parametrize("source", PREDICTS)
@pytest.mark.parametrize("wanted", PREDICTS)
def test_any_prediction_can_be_said_as_any_other(source, wanted, path):
    x_0, eps, alpha, sigma, x_t = corrupted(*path)
    said = target(source, x_0, eps, alpha, sigma)
    found = convert(said, x_t, alpha, sigma, source=source, wanted=wanted)
    expected = target(wanted, x_0, eps, alpha, sigma)
    assert ((found - expected).abs() <= 1e-6 * (1 + expected.abs())).all()


def test_targets_are_what_the_papers_say():
    x_0, eps, alpha, sigma, x_t = corrupted(*PATHS["variance preserving"])
    assert torch.equal(target("x_0", x_0, eps, alpha, sigma), x_0)
    assert torch.equal(target("eps", x_0, eps, alpha, sigma), eps)
    torch.testing.assert_close(target("score", x_0, eps, alpha, sigma), -eps / sigma)
    torch.testing.assert_close(target("v", x_0, eps, alpha, sigma), alpha * eps - sigma * x_0)
    torch.testing.assert_close(target("flow", x_0, eps, alpha, sigma), eps - x_0)


def test_v_is_the_speed_along_the_circle_and_flow_the_speed_along_the_line():
    # d x_t / dt, by autograd, against the two targets that are velocities.
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x_0, eps = (torch.randn(7, generator=generator, dtype=torch.float64) for _ in range(2))
    for schedule, predicts, turn in ((cosine_vp, "v", torch.pi / 2), (rectified, "flow", 1.0)):
        time = t.clone().requires_grad_()
        x_t = schedule.alpha(time) * x_0 + schedule.sigma(time) * eps
        (speed,) = torch.autograd.grad(x_t.sum(), time)
        expected = turn * target(predicts, x_0, eps, schedule.alpha(t), schedule.sigma(t))
        torch.testing.assert_close(speed, expected, atol=1e-12, rtol=1e-12)


@each_path
@each_row
def test_a_squared_loss_on_the_output_weighs_the_error_in_x_0(predicts, path):
    x_0, eps, alpha, sigma, x_t = corrupted(*path)
    out = target(predicts, x_0, eps, alpha, sigma)
    wrong = out + torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).double()
    error = x_0_from(predicts, wrong, x_t, alpha, sigma) - x_0
    torch.testing.assert_close(
        (wrong - out).square(),
        x_0_weight(predicts, alpha, sigma) * error.square(),
        atol=1e-6,
        rtol=1e-6,
    )


@each_path
def test_weights_are_the_columns_of_the_table(path):
    alpha, sigma = path
    snr = (alpha / sigma).square()
    expected = {
        "x_0": torch.ones_like(snr),
        "eps": snr,
        "score": snr / sigma**2,
        "flow": (1 + alpha / sigma).square(),
    }
    for predicts, weight in expected.items():
        torch.testing.assert_close(x_0_weight(predicts, alpha, sigma), weight, atol=0, rtol=1e-9)
    if torch.allclose(alpha**2 + sigma**2, torch.ones_like(alpha)):
        torch.testing.assert_close(x_0_weight("v", alpha, sigma), snr + 1, atol=0, rtol=1e-9)


@given(st.floats(0.002, 80))
def test_the_edm_row_is_karras_table_1(level):
    sigma = torch.tensor([level], dtype=torch.float64)
    alpha, data = torch.ones_like(sigma), SIGMA_DATA
    c_skip = data**2 / (sigma**2 + data**2)
    c_out = sigma * data / (sigma**2 + data**2).sqrt()
    x_t, out = torch.tensor([0.7], dtype=torch.float64), torch.tensor([-0.3], dtype=torch.float64)
    denoised = x_0_from("edm", out, x_t, alpha, sigma)
    torch.testing.assert_close(denoised, c_skip * x_t + c_out * out, atol=1e-11, rtol=1e-9)
    # Their lambda(sigma), the weight that makes the loss on F uniform.
    weight = (sigma**2 + data**2) / (sigma * data) ** 2
    torch.testing.assert_close(x_0_weight("edm", alpha, sigma), weight, atol=0, rtol=1e-9)


@given(st.floats(0.01, 1.56))
def test_the_edm_row_sees_only_the_ratio_of_noise_to_signal(a):
    # x_t / alpha has noise level sigma / alpha: scaling the path must not change the answer.
    turn = torch.tensor([a], dtype=torch.float64)
    alpha, sigma = turn.cos(), turn.sin()
    x_t, out = torch.tensor([0.7], dtype=torch.float64), torch.tensor([-0.3], dtype=torch.float64)
    ours = x_0_from("edm", out, x_t, alpha, sigma)
    theirs = x_0_from("edm", out, x_t / alpha, alpha / alpha, sigma / alpha)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("predicts", ["x_0", "v", "flow", "edm"])
@pytest.mark.parametrize("alpha, sigma", [(1.0, 0.0), (0.0, 1.0)])
def test_predictions_that_hold_at_both_ends(predicts, alpha, sigma):
    alpha, sigma = (torch.tensor([[c]], dtype=torch.float64) for c in (alpha, sigma))
    x_0, eps = torch.tensor([[0.3]]).double(), torch.tensor([[-1.2]]).double()
    out = target(predicts, x_0, eps, alpha, sigma)
    found = x_0_from(predicts, out, alpha * x_0 + sigma * eps, alpha, sigma)
    torch.testing.assert_close(found, x_0)


@given(st.sampled_from(PREDICTS), st.floats(0.1, 1), st.floats(-3, 3), st.floats(-3, 3))
def test_where_there_is_no_noise_x_t_says_x_0_whatever_the_network_does(predicts, alpha, x, out):
    alpha, x, out = (torch.tensor([[c]], dtype=torch.float64) for c in (alpha, x, out))
    out.requires_grad_()
    found = x_0_from(predicts, out, x, alpha, alpha * 0)
    if predicts == "score":  # its row divides by sigma
        assert torch.isnan(found)
        return
    torch.testing.assert_close(found, out if predicts == "x_0" else x / alpha)
    found.sum().backward()
    assert out.grad == (predicts == "x_0")


def test_eps_knows_nothing_of_x_0_where_no_signal_is_left():
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    assert not torch.isfinite(x_0_from("eps", one, one, zero, one)).any()


def test_one_network_output_says_less_where_its_row_breaks():
    # det vanishes there, so the weight does: the loss no longer sees the error in x_0.
    alpha, sigma = torch.tensor([1e-6]), torch.tensor([1.0])
    assert x_0_weight("eps", alpha, sigma) < 1e-11
    assert x_0_weight("v", alpha, sigma) > 0.99


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="'noise'. Use one of: x_0, eps, score, v, flow, edm"):
        mix("noise", torch.ones(1), torch.ones(1))
