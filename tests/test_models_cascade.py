"""A stage of a cascade: what lies beside x_t, what it is told, what the forward process leaves."""

import pytest
import torch

from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import cosine
from course_lib.models.cascade import StageLoss, SuperResolver, augment, enlarge, shrink, stage


def test_shrinking_keeps_means_and_enlarging_keeps_flat_pictures():
    x = torch.randn(3, 1, 16, 16)
    small = shrink(x)
    assert small.shape == (3, 1, 8, 8)
    torch.testing.assert_close(small.mean((2, 3)), x.mean((2, 3)))
    flat = torch.full((2, 1, 4, 4), 0.3)
    torch.testing.assert_close(shrink(enlarge(flat, 8)), flat)


def test_augmentation_is_the_forward_process():
    schedule, x = cosine(), torch.ones(20_000, 1, 1, 1)
    t = torch.full((20_000,), 300)
    noised, bar = augment(schedule, x, t), schedule.alpha_bar[300]
    assert float(noised.mean()) == pytest.approx(float(bar.sqrt()), abs=0.02)
    assert float(noised.var()) == pytest.approx(float(1 - bar), rel=0.05)
    torch.testing.assert_close(augment(schedule, x, 0 * t), x)


def test_a_stage_reads_the_small_picture_and_how_noisy_it_is():
    torch.manual_seed(0)
    net = SuperResolver(widths=(12, 24))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)  # the last layer starts at 0
    model, x, t = stage(net), torch.randn(2, 1, 16, 16), torch.tensor([100, 900])
    small, none = shrink(x), torch.zeros(2, dtype=torch.long)
    one = model(x, t, low_res=small, aug_t=none)
    assert one.shape == x.shape
    assert not torch.allclose(one, model(x, t, low_res=-small, aug_t=none))
    assert not torch.allclose(one, model(x, t, low_res=small, aug_t=none + 400))


def test_the_loss_of_a_stage_noises_up_to_its_limit_and_not_beyond():
    told = []

    class Telling(torch.nn.Module):
        def forward(self, x_t, t, low_res, aug_t):
            told.append((low_res, aug_t))
            return torch.zeros_like(x_t)

    x_0 = torch.rand(2_000, 1, 4, 4) * 2 - 1
    model = Denoiser(Telling(), cosine(), "v")
    StageLoss(500)(model, x_0)
    StageLoss(0)(model, x_0)
    (_, noisy), (clean, none) = told
    assert int(noisy.min()) < 10 and 490 < int(noisy.max()) <= 500
    assert int(none.max()) == 0
    torch.testing.assert_close(clean, shrink(x_0))
