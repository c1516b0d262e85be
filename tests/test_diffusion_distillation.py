"""Progressive distillation: the target is exact, and a perfect student needs half the steps."""

import pytest
import torch

from course_lib.core.checks import check_close
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.distillation import Halving, one_for_two
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import cosine, spaced_times
from course_lib.nn.mlp import MLP

SCHEDULE = cosine(64)


def exact():
    angles = torch.arange(8, dtype=torch.float64) * torch.pi / 4
    means = torch.stack([angles.cos(), angles.sin()], dim=1)
    mixture = GaussianMixture(means, torch.full((8,), 0.1, dtype=torch.float64))
    return mixture, mixture.denoiser(SCHEDULE)


def test_one_step_with_the_target_ends_where_the_teachers_two_do():
    _, teacher = exact()
    x_t = torch.randn(50, 2, dtype=torch.float64)
    for start, stride in ((64, 16), (32, 16), (8, 1), (2, 1)):
        t, middle, s = (torch.full((50,), start - k * stride) for k in (0, 1, 2))
        target = one_for_two(teacher, SCHEDULE, x_t, t, middle, s)
        two = ddim_step(teacher, SCHEDULE, x_t, t, middle)
        two = ddim_step(teacher, SCHEDULE, two, middle, s)
        one = ddim_step(lambda x, t: target, SCHEDULE, x_t, t, s)  # noqa: B023
        check_close(one, two, f"from {start}", atol=1e-9)


def test_at_the_last_step_the_target_is_where_the_teacher_lands():
    _, teacher = exact()
    x_t = torch.randn(50, 2, dtype=torch.float64)
    t, middle, s = (torch.full((50,), k) for k in (16, 8, 0))
    two = sample(ddim_step, teacher, SCHEDULE, x_t, torch.tensor([16, 8, 0]))
    check_close(one_for_two(teacher, SCHEDULE, x_t, t, middle, s), two, "x_0", atol=1e-9)


def test_the_loss_is_zero_for_the_student_that_puts_the_target_out():
    torch.manual_seed(0)
    mixture, teacher = exact()
    x_0 = mixture.sample(64)

    class Perfect(torch.nn.Module):
        def forward(self, x_t, t):
            target = one_for_two(teacher, SCHEDULE, x_t, t, t - 8, t - 16)
            alpha, sigma = SCHEDULE(t, like=x_t)
            return (alpha * x_t - target) / sigma  # v

    loss = Halving(teacher, steps=4)
    assert float(loss(Denoiser(Perfect(), SCHEDULE, "v"), x_0)) < 1e-12
    untrained = Denoiser(MLP(2, 32, 2), SCHEDULE, "v")
    assert float(loss(untrained, x_0.float()).detach()) > 0.1


def test_the_loss_is_the_error_of_v():
    mixture, teacher = exact()
    x_0 = mixture.sample(4096)
    zero = Denoiser(torch.nn.Module(), SCHEDULE, "v")
    zero.net.forward = lambda x_t, t: torch.zeros_like(x_t)
    torch.manual_seed(0)
    found = Halving(teacher, steps=1)(zero, x_0)
    torch.manual_seed(0)
    t = 64 * torch.randint(1, 2, (len(x_0),))
    alpha, sigma = SCHEDULE(t, like=x_0)
    x_t = alpha * x_0 + sigma * torch.randn_like(x_0)
    v = (alpha * x_t - one_for_two(teacher, SCHEDULE, x_t, t, t - 32, t - 64)) / sigma
    check_close(found, v.square().mean(), "mean squared v", atol=1e-9)


def test_trained_rounds_halve_the_steps_without_moving_the_ends():
    torch.manual_seed(0)
    mixture, teacher = exact()
    x_0 = mixture.sample(20_000).float()
    student = Denoiser(MLP(2, 128, 3, t_scale=1000 / 64), SCHEDULE, "v")
    loss = Halving(lambda x, t: teacher(x.double(), t).to(x.dtype), steps=4)
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 600)
        optimizer.zero_grad()
        loss(student, x_0[torch.randint(len(x_0), (256,))]).backward()
        optimizer.step()
    noise = torch.randn(500, 2)

    def end(denoise, x, steps):
        return sample(ddim_step, denoise, SCHEDULE, x, spaced_times(SCHEDULE, steps))

    truth = end(teacher, noise.double(), 8)
    alone, taught = end(teacher, noise.double(), 4), end(student, noise, 4)
    assert (taught - truth).square().mean().sqrt() < (alone - truth).square().mean().sqrt() / 1.5


def test_steps_that_do_not_fit_are_refused():
    mixture, teacher = exact()
    student = Denoiser(MLP(2, 8, 1), SCHEDULE, "v")
    with pytest.raises(ValueError, match="10 even steps do not fit into T = 64"):
        Halving(teacher, steps=5)(student, mixture.sample(4))
