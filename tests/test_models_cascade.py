"""A stage of a cascade: what lies beside x_t, what it is told, what the forward process leaves."""

import pytest
import torch

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import cosine, spaced_times
from course_lib.models.cascade import (
    StageLoss,
    SuperResolver,
    augment,
    chain,
    enlarge,
    grow,
    regress,
    sees,
    shrink,
    stage,
)


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
    assert model(x[:, :, :8], t, low_res=small[:, :, :4], aug_t=none).shape == (2, 1, 8, 16)


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


class Sees(torch.nn.Module):
    """A stage that answers with the stretched small picture, and remembers what it was told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def forward(self, x_t, t, low_res, aug_t):
        self.told.append((low_res, aug_t))
        return enlarge(low_res, x_t.shape[-1])


class Plain(torch.nn.Module):
    def forward(self, x_t, t):
        return 0 * x_t


def seeing():
    net = Sees()
    return net, Denoiser(net, cosine(), "x_0")


def test_times_end_where_they_are_told_to():
    schedule = cosine()
    early = spaced_times(schedule, 7, 300)
    assert early[0] == 1000 and early[-1] == 300 and len(early) == 8
    with pytest.raises(ValueError, match="20 steps from 1000 cannot end at 990"):
        spaced_times(schedule, 20, 990)


def test_a_stage_bound_to_its_small_picture_is_clipped_and_told_the_level():
    net, model = seeing()
    low = torch.full((2, 1, 4, 4), 3.0)
    answer = sees(model, low, 200)(torch.randn(2, 1, 8, 8), torch.tensor([500, 500]))
    assert float(answer.max()) == 1
    assert net.told[0][1].tolist() == [200, 200]
    sees(model, low, torch.tensor([7, 8]))(torch.randn(2, 1, 8, 8), torch.tensor([500, 500]))
    assert net.told[1][1].tolist() == [7, 8]


def test_growing_is_a_walk_and_regressing_is_its_first_answer():
    torch.manual_seed(0)
    net = SuperResolver(widths=(8, 16))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    model, low = stage(net), torch.randn(3, 1, 4, 4)
    noise = seeded_randn_like(5)(torch.empty(3, 1, 8, 8))
    times = spaced_times(model.schedule, 6)
    walked = sample(ddim_step, sees(model, low, 40), model.schedule, noise, times)
    drawn = grow(model, low, 8, 40, steps=6, randn_like=seeded_randn_like(5))
    torch.testing.assert_close(drawn, walked)
    first = sees(model, low, 40)(noise, torch.full((3,), 1000)).detach()
    one = regress(model, low, 8, 40, noises=1, randn_like=seeded_randn_like(5))
    torch.testing.assert_close(one, first)
    two = regress(model, low, 8, 40, noises=2, randn_like=seeded_randn_like(5))
    assert not torch.allclose(two, one)


@pytest.mark.parametrize("truncated", [False, True])
def test_a_chain_noises_its_small_pictures_once_and_tells_the_level(truncated):
    (one, first), (two, second) = seeing(), seeing()
    base = Denoiser(Plain(), cosine(), "x_0")
    sizes = list(
        chain(base, [first, second], 500, side=2, levels=(400, 100), truncated=truncated, steps=4)
    )
    assert [x.shape[-1] for x in sizes] == [2, 4, 8]
    bar = cosine().alpha_bar
    for net, s in ((one, 400), (two, 100)):
        low, told = net.told[0]
        assert told.unique().tolist() == [s]
        assert len(low) == 500
    # Either way the first small pictures are all 0, as noisy as at 400.
    first_seen, second_seen = one.told[0][0], two.told[0][0]
    assert float(first_seen.var()) == pytest.approx(float(1 - bar[400]), rel=0.1)
    if truncated:
        assert torch.equal(first_seen, sizes[0]) and torch.equal(second_seen, sizes[1])
    else:
        assert float(sizes[0].std()) < 1e-5  # finished: the denoiser's own answer
        expected = bar[100] * sizes[1].double().var() + 1 - bar[100]
        assert float(second_seen.var()) == pytest.approx(float(expected), rel=0.1)


def test_a_chain_needs_a_level_for_each_stage():
    base, (_, first) = Denoiser(Plain(), cosine(), "x_0"), seeing()
    with pytest.raises(ValueError, match=r"1 stages need as many levels, got \[\]"):
        list(chain(base, [first], 2, levels=[]))


def test_a_stage_that_is_stopped_leaves_a_picture_as_noisy_as_the_next_one_wants_it():
    class Empty(Plain):
        def forward(self, x_t, t, low_res=None, aug_t=None):
            return 0 * x_t

    nothing = Denoiser(Empty(), cosine(), "x_0")
    told = {"levels": (300, 200), "truncated": True, "steps": 5}
    small, middle, large = chain(nothing, [nothing, nothing], 64, **told)
    _, sigma = cosine()(torch.tensor([300, 200]), like=torch.zeros(2))
    assert small.std() == pytest.approx(float(sigma[0]), rel=0.05)
    assert middle.std() == pytest.approx(float(sigma[1]), rel=0.05)
    assert not large.any()
