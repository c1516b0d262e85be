"""Damages take what they say, the loss counts in holes alone, and known pixels stay known."""

import pytest
import torch

from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import cosine
from course_lib.models import palette
from course_lib.models.palette import (
    PaletteLoss,
    Restorer,
    inpaint,
    keep_known,
    masked_loss,
    posterise,
    restorer,
    uncrop,
    without,
)

PICTURES = torch.zeros(2000, 1, 14, 14)


def test_holes_are_rectangles_of_the_sizes_asked_for():
    hole = inpaint(PICTURES, 5, 10)
    rows, columns = hole.any(3)[:, 0].sum(1), hole.any(2)[:, 0].sum(1)
    assert rows.unique().tolist() == columns.unique().tolist() == [5, 6, 7, 8, 9, 10]
    assert torch.equal(hole.flatten(1).sum(1), rows * columns)  # whole rectangles
    assert hole[:, 0, 0].any() and hole[:, 0, -1].any() and hole[:, 0, :, -1].any()
    with pytest.raises(ValueError, match="got 0 and 4"):
        inpaint(PICTURES, 0, 4)


def test_uncropping_loses_half_of_the_picture_in_five_ways():
    hole = uncrop(PICTURES)
    kinds = torch.unique(hole.flatten(1).long(), dim=0)
    assert len(kinds) == 5
    assert sorted(kinds.sum(1).tolist()) == [96, 98, 98, 98, 98]


def test_posterising_rounds_to_evenly_spaced_greys():
    x = torch.tensor([-1.0, -0.6, -0.4, 0.1, 0.6, 1.0]).view(1, 1, 1, 6)
    assert posterise(x).flatten().tolist() == [-1, -1, 0, 0, 1, 1]
    assert posterise(x, 2).flatten().tolist() == [-1, -1, -1, 1, 1, 1]
    with pytest.raises(ValueError, match="2 grey levels or more, got 1"):
        posterise(x, 1)


def test_a_hole_is_filled_with_noise_and_the_rest_stays():
    hole = inpaint(PICTURES)
    known = without(PICTURES + 0.5, hole)
    assert float(known[~hole].std()) == 0
    assert float(known[hole].std()) == pytest.approx(1, abs=0.02)


class Wrong(torch.nn.Module):
    """Right in v by 1 in the holes, far off outside."""

    def __init__(self, hole):
        super().__init__()
        self.hole, self.told = hole, []

    def forward(self, x_t, t, known):
        self.told.append(known)
        return torch.where(self.hole, 0.0, 1e3)


def test_the_loss_counts_in_holes_and_each_picture_alike():
    x_0 = torch.zeros(4000, 1, 4, 4)
    hole = torch.zeros(4000, 1, 4, 4, dtype=torch.bool)
    hole[:2000, :, :1, :1], hole[2000:] = True, True  # one pixel, or all
    model = Denoiser(Wrong(hole), cosine(), "v")
    torch.manual_seed(0)
    loss = masked_loss(model, x_0, x_0, hole)
    # v is alpha eps here, whose square has the mean of alpha_bar over all times
    assert float(loss) == pytest.approx(float(cosine().alpha_bar[1:].mean()), abs=0.04)


def test_a_batch_gets_all_three_tasks_and_posterised_pictures_count_whole():
    x_0 = torch.rand(900, 1, 14, 14) * 1.8 - 0.9
    net = Wrong(torch.ones(900, 1, 14, 14, dtype=torch.bool))
    PaletteLoss()(Denoiser(net, cosine(), "v"), x_0)
    (known,) = net.told
    kept = (known == x_0).flatten(1).double().mean(1)
    rounded = (known == posterise(x_0)).flatten(1).all(1)
    assert 250 < int(rounded.sum()) < 350
    halves = ((kept[~rounded] > 0.48) & (kept[~rounded] < 0.53)).double().mean()
    assert 0.45 < float(halves) < 0.65  # uncropped ones, and a few holes of that size


def test_posterised_pictures_count_whole(monkeypatch):
    told = {}

    def spy(model, x_0, known, hole):
        told.update(known=known, hole=hole.expand_as(x_0))
        return x_0.sum()

    monkeypatch.setattr(palette, "masked_loss", spy)
    x_0 = torch.rand(300, 1, 14, 14) * 1.8 - 0.9
    PaletteLoss()(Denoiser(Wrong(x_0 > 2), cosine(), "v"), x_0)
    rounded = (told["known"] == posterise(x_0)).flatten(1).all(1)
    assert rounded.any() and told["hole"][rounded].all()
    assert not told["hole"][~rounded].flatten(1).all(1).any()


def test_known_pixels_are_not_the_network_s_business():
    hole = inpaint(PICTURES[:3])
    known = torch.rand(3, 1, 14, 14)
    x = keep_known(lambda x_t, t: torch.full_like(x_t, 7.0), known, hole)(known, torch.zeros(3))
    assert torch.equal(x[~hole], known[~hole]) and bool((x[hole] == 7).all())


def test_the_network_reads_the_damaged_picture():
    torch.manual_seed(0)
    net = Restorer(widths=(8, 16))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    model, x, t = restorer(net), torch.randn(2, 1, 14, 14), torch.tensor([100, 900])
    assert model.predicts == "v"
    assert not torch.allclose(model(x, t, known=x), model(x, t, known=-x))
