"""Chapter 15's parts outside of `diffusion/variance.py`: chains, weights, loss, data."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.predictions import x_0_weight
from course_lib.diffusion.samplers import ddpm_step, sample
from course_lib.diffusion.schedules import (
    cosine,
    cosine_vp,
    linear,
    respaced,
    spaced_times,
    zero_terminal,
)
from course_lib.diffusion.training import min_snr_weight, stratified_times
from course_lib.diffusion.variance import LearnedVariance, learned, reverse_bits
from course_lib.recipes import ddpm_loss, digits_unet, hybrid_loss, min_snr_loss
from course_lib.trainings import (
    TRAININGS,
    Training,
    digits,
    exposed_digits,
    fashion_hybrid,
    garments,
    trained,
)

# ---- chains -------------------------------------------------------------------------------------


@given(steps=st.integers(2, 60))
@settings(max_examples=5, deadline=None)
def test_a_respaced_chain_walks_as_strides_do(steps):
    schedule = cosine()
    law = GaussianMixture(torch.tensor([[-1.0], [1.0]]).double(), torch.full((2,), 0.2).double())
    times, denoise = spaced_times(schedule, steps), law.denoiser(schedule)
    few, clock = respaced(schedule, times), times.flip(0)
    assert steps == few.T and torch.allclose(few.alpha_bar, schedule.alpha_bar[clock], rtol=1e-12)
    x, a, b = torch.randn(6, 1).double(), seeded_randn_like(0), seeded_randn_like(0)
    strides = sample(lambda *told: ddpm_step(*told, randn_like=a), denoise, schedule, x, times)
    own = sample(
        lambda *told: ddpm_step(*told, randn_like=b),
        lambda x, i: denoise(x, clock[i]),
        few,
        x,
        torch.arange(steps, -1, -1),
    )
    assert torch.allclose(strides, own, atol=1e-8)


def test_all_times_respaced_are_the_schedule_itself():
    schedule = linear(50, 2e-3, 0.3)
    assert torch.allclose(respaced(schedule, torch.arange(50, -1, -1)).beta, schedule.beta)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([1000, 500, 10], "decrease strictly to 0"),
        ([0, 500, 1000], "decrease strictly to 0"),
        ([0], "decrease strictly to 0"),
        ([1001, 5, 0], r"0\.\.1000, got 1001"),
    ],
)
def test_times_that_are_no_chain_are_refused(times, words):
    with pytest.raises(ValueError, match=words):
        respaced(linear(), torch.tensor(times))


@pytest.mark.parametrize("schedule", [linear(), linear(200), cosine(30)])
def test_no_signal_is_left_at_the_end_of_a_mended_chain(schedule):
    mended = zero_terminal(schedule)
    assert mended.alpha_bar[-1] == 0 and mended.beta[-1] == 1 and mended.T == schedule.T
    assert torch.allclose(mended.alpha_bar[1], schedule.alpha_bar[1])
    root, old = mended.alpha_bar[1:].sqrt(), schedule.alpha_bar[1:].sqrt()
    steps, before = root.diff(), old.diff()
    assert torch.allclose(steps / steps[0], before / before[0])  # one stretch for all
    assert torch.allclose(zero_terminal(mended).alpha_bar, mended.alpha_bar)


# ---- weights and losses -------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [linear(), cosine_vp])
@pytest.mark.parametrize("predicts", ["x_0", "eps", "v", "score", "flow", "edm"])
def test_the_x_0_error_counts_at_most_gamma(schedule, predicts):
    t = torch.tensor([2, 90, 700]) if schedule.t_max > 1 else torch.tensor([0.01, 0.4, 0.9])
    weight = min_snr_weight(schedule, t, predicts, gamma=3.0)
    counted = weight * x_0_weight(predicts, schedule.alpha(t), schedule.sigma(t))
    assert torch.allclose(counted, schedule.snr(t).clamp(max=3.0))
    with pytest.raises(ValueError, match="gamma must be above 0"):
        min_snr_weight(schedule, t, predicts, 0.0)


class Fixed(torch.nn.Module):
    """Says 0, scaled by a parameter, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(()))

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 0 * x_t * self.w


def test_min_snr_with_a_huge_gamma_is_the_plain_loss_on_noise():
    model, x_0 = Denoiser(Fixed(), linear()), torch.randn(32, 1, 4, 4)
    torch.manual_seed(0)
    capped = min_snr_loss(model, x_0, gamma=1e9)
    torch.manual_seed(0)
    assert torch.allclose(capped, ddpm_loss(model, x_0))
    torch.manual_seed(0)
    assert min_snr_loss(model, x_0) < capped


def small_model() -> LearnedVariance:
    torch.manual_seed(3)
    net = digits_unet(out_channels=2)
    torch.nn.init.normal_(net.head.out.weight, std=0.1)
    return LearnedVariance(net, linear())


def rows_of_mean_and_variance(stopped: bool, weight: float) -> torch.Tensor:
    model = small_model()
    torch.manual_seed(0)
    loss = hybrid_loss(model, digits()[:16], levels=17, weight=weight, stopped=stopped)
    return torch.autograd.grad(loss, model.net.head.out.weight)[0]


def test_the_bound_teaches_the_variance_and_leaves_the_mean_alone():
    simple, hybrid, free = (
        rows_of_mean_and_variance(*told) for told in ((True, 0.0), (True, 1.0), (False, 1.0))
    )
    assert torch.equal(hybrid[0], simple[0]) and not torch.equal(free[0], simple[0])
    assert simple[1].abs().max() == 0 and hybrid[1].abs().max() > 0


def test_the_hybrid_loss_is_its_two_parts():
    model, x_0 = small_model(), digits()[:16]
    values = []
    for weight in (0.0, 0.001, 0.002):
        torch.manual_seed(0)
        values.append(hybrid_loss(model, x_0, levels=17, weight=weight))
    assert torch.allclose(values[2] - values[1], values[1] - values[0], rtol=1e-3)
    torch.manual_seed(0)
    simple = ddpm_loss(Denoiser(First(model.net), linear()), x_0)
    assert torch.allclose(values[0], simple, rtol=1e-5)
    # The second part is a bound of all T steps, from one of them for each picture.
    torch.manual_seed(0)
    t, eps = stratified_times(linear(), len(x_0)), torch.randn_like(x_0)
    own = learned(model, lambda now: (now + 1).clamp(max=1000))
    bits = 1000 * reverse_bits(own, linear(), x_0, t, t - 1, eps, 17).mean()
    assert torch.allclose(values[1] - values[0], 0.001 * bits, rtol=1e-3)


class First(torch.nn.Module):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.net(x_t, t)[:, :1]


# ---- what is trained ----------------------------------------------------------------------------


def test_exposed_digits_run_from_black_to_as_they_are():
    pictures = exposed_digits(copies=2)
    plain = digits()
    assert pictures.shape == (2 * len(plain), 1, 8, 8) and pictures.min() == -1
    light = (pictures[: len(plain)] + 1).amax((1, 2, 3)) / (plain + 1).amax((1, 2, 3))
    assert 0 <= light.min() < 0.01 and 0.99 < light.max() <= 1 and 0.45 < light.mean() < 0.55
    assert torch.equal(pictures, exposed_digits(copies=2))


def test_a_run_starts_from_shipped_weights_half_way():
    training = TRAININGS["digits_hybrid"]
    assert isinstance(training, Training)
    model, x_0 = training.model(), training.data()[:2]
    guess, v = model.both(x_0, torch.tensor([10, 800]))
    assert bool((v == 0.5).all()) and guess.shape == x_0.shape


def test_a_second_head_leaves_the_guess_of_the_first_alone():
    training = TRAININGS["fashion_hybrid"]
    assert isinstance(training, Training)
    model, old = training.model(), trained("fashion_ddpm")
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learns and all(name.startswith("net.head.second.") for name in learns)
    x_0, t = garments()[:2], torch.tensor([10, 800])
    guess, v = model.both(x_0, t)
    assert torch.equal(guess, old(x_0, t)) and bool((v == 0.5).all())
    torch.manual_seed(0)
    training.loss(model, x_0).backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.5 * (0 if p.grad is None else p.grad)
    guess, v = model.both(x_0, t)
    assert torch.equal(guess, old(x_0, t)) and not bool((v == 0.5).all())
    again = fashion_hybrid(model.net.head.second)
    assert torch.equal(again.both(x_0, t)[1], v)
