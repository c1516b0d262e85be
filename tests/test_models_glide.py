"""CLIP guidance is classifier guidance, zero channels change nothing, known pixels stay."""

import pytest
import torch
from readers import ONE, SWAPPED, awake
from torch import Tensor, nn

from course_lib.core.checks import check_close
from course_lib.diffusion import exact
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import autoguide, classifier_guided
from course_lib.diffusion.schedules import cosine, edm
from course_lib.models import glide
from course_lib.models.captions import TokenUNet, empty, reader
from course_lib.models.clip import CLIP, clip_loss
from course_lib.models.glide import (
    Inpainter,
    TimedTower,
    caption_score,
    clean_clip_loss,
    fill,
    inpaint_loss,
    noised_clip_loss,
    timed_clip,
    widened,
)

BOTH = torch.cat([ONE, SWAPPED])


def small_reader() -> TokenUNet:
    torch.manual_seed(0)
    net = awake(TokenUNet(12, 9, widths=(8, 16), dim=16))
    assert isinstance(net, TokenUNet)
    return net


def images(n: int, side: int = 16) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(2))


# ---- a CLIP for noised pictures -------------------------------------------------------------


def test_the_tower_is_told_the_noise_and_the_place():
    torch.manual_seed(0)
    tower, x = TimedTower(dim=5, widths=(8, 16)), images(2)
    early, late = (tower(x, torch.full((2,), t)) for t in (0, 800))
    assert early.shape == (2, 5) and (early - late).abs().min(1).values.max() > 1e-4
    each = tower(x, torch.tensor([0, 800]))
    torch.testing.assert_close(each, torch.stack([early[0], late[1]]))
    flipped = tower(x.flip(3), torch.zeros(2))
    assert (flipped - early).abs().max() > 1e-4


def test_scores_are_scaled_cosines_of_each_picture_and_its_own_caption():
    torch.manual_seed(0)
    model, x, t = timed_clip(12, 9).eval(), images(2), torch.tensor([100, 900])
    with torch.no_grad():
        f, g = model.image(x, t), model.text(BOTH)
        score = caption_score(model, BOTH)(x, t)
        torch.testing.assert_close(model(x, BOTH, t).diagonal(), score)
    torch.testing.assert_close(score, nn.functional.cosine_similarity(f, g) / 0.07)
    with pytest.raises(ValueError, match="2 pictures but 1 captions"):
        caption_score(model, ONE)(x, t)


def test_the_score_has_a_gradient_in_the_picture_and_none_in_the_words():
    model, x = timed_clip(12, 9), images(2).requires_grad_()
    caption_score(model, BOTH)(x, torch.tensor([100, 900])).sum().backward()
    assert x.grad is not None and (x.grad.flatten(1).norm(dim=1) > 0).all()
    assert all(weight.grad is None for weight in model.text.parameters())


class Sees(nn.Module):
    """A tower that writes down what it is shown."""

    def __init__(self):
        super().__init__()
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.shown.append((x, t))
        return x.flatten(1)[:, :4]


def test_one_loss_noises_as_the_schedule_says_and_the_other_does_not():
    sees = Sees()
    model = CLIP(sees, nn.Sequential(nn.Embedding(9, 4), nn.Flatten()))
    texts, x_0 = torch.arange(3600)[:, None] % 9, torch.ones(3600, 3, 4, 4)
    with torch.no_grad():
        clean_clip_loss(model, x_0, texts)
        noised_clip_loss(model, x_0, texts)
    (clean, zero), (noised, t) = sees.shown
    assert torch.equal(clean, x_0) and not zero.any()
    assert t.min() < 5 and t.max() > 995 and len(t.unique()) > 800
    alpha, sigma = cosine()(t, like=x_0)
    left = (noised - alpha) / sigma.clamp(min=1e-9)
    assert float(left[t > 0].mean()) == pytest.approx(0, abs=0.02)
    assert float(left[t > 0].std()) == pytest.approx(1, abs=0.02)


def test_the_loss_is_clips_own():
    torch.manual_seed(0)
    model, x = timed_clip(12, 9), images(2)
    found = clean_clip_loss(model, x, BOTH)
    torch.testing.assert_close(found, clip_loss(model(x, BOTH, torch.zeros(2))))


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_a_perfect_clip_on_a_conditional_model_is_classifier_free_guidance(scale):
    """Nichol et al. 2021, section 2.4, whose mean is the conditional one: scale s is s + 1."""
    means = torch.tensor([[0.0, 1.1], [-1.0, -0.6], [1.0, -0.6]], dtype=torch.float64)
    spreads = torch.full((3,), 0.4, dtype=torch.float64)
    every, one = (
        exact.GaussianMixture(means, spreads),
        exact.GaussianMixture(means[:1], spreads[:1]),
    )
    schedule = cosine()

    def score(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = (level[:, 0] for level in schedule(t, like=x))
        return every.log_shares(x, alpha, sigma)[:, 0] + 7

    conditional, plain = one.denoiser(schedule), every.denoiser(schedule)
    x, t = 1.5 * torch.randn(50, 2).double(), torch.randint(1, 900, (50,))
    guided = classifier_guided(conditional, schedule, score, scale)
    check_close(guided(x, t), autoguide(conditional, plain, 1 + scale)(x, t), "both", atol=1e-8)


# ---- holes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_new_channels_are_not_looked_at_yet(bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=bias)
    wide, x = widened(conv, 4), torch.randn(2, 7, 8, 8)
    torch.testing.assert_close(wide(x), conv(x[:, :3]))
    assert wide.weight.shape == (5, 7, 3, 3) and not wide.weight[:, 3:].any()
    wide(x).square().sum().backward()
    assert wide.weight.grad is not None and wide.weight.grad[:, 3:].any()  # but they can learn
    with pytest.raises(ValueError, match="3 groups"):
        widened(nn.Conv2d(3, 3, 3, groups=3), 1)


def test_at_first_an_inpainter_is_the_reader_that_it_was():
    x, t = images(2), torch.tensor([300, 900])
    known, hole = torch.randn(2, 3, 16, 16), torch.rand(2, 1, 16, 16) < 0.5
    with torch.no_grad():
        before = small_reader()(x, t, BOTH)
        net = Inpainter(small_reader())
        assert torch.equal(net(x, t, BOTH, known, hole), before)
        net.reader.unet.stem.weight[:, 5:].normal_()  # some training later
        told = net(x, t, BOTH, known, hole)
        assert (told - before).abs().max() > 1e-3
        other = torch.where(hole, 5.0, known)
        torch.testing.assert_close(net(x, t, BOTH, other, hole), told)  # it cannot see in the hole
        assert (net(x, t, BOTH, known, ~hole) - told).abs().max() > 1e-3
        zero = torch.zeros_like(known)  # nor is a grey picture a hole
        assert (net(x, t, BOTH, zero, hole) - net(x, t, BOTH, zero, ~hole)).abs().max() > 1e-3


class Told(nn.Module):
    """A network that writes down what it is told."""

    def __init__(self):
        super().__init__()
        self.told: dict[str, Tensor] = {}

    def forward(self, x_t: Tensor, t: Tensor, **told: Tensor) -> Tensor:
        self.told = told
        return torch.zeros_like(x_t)


def test_holes_are_rectangles_and_captions_are_hidden_now_and_then():
    net, x_0 = Told(), images(2000, 8)
    torch.manual_seed(0)
    inpaint_loss(reader(net), x_0, ONE.expand(2000, -1))
    hidden = (net.told["tokens"] == empty(ONE)).all(1)
    assert float(hidden.double().mean()) == pytest.approx(0.2, abs=0.03)
    assert (net.told["tokens"][~hidden] == ONE).all()
    assert torch.equal(net.told["known"], x_0)
    rows = net.told["hole"].any(3)[:, 0].sum(1)
    assert rows.unique().tolist() == [2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(ValueError, match="probability"):
        inpaint_loss(reader(net), x_0, ONE.expand(2000, -1), -0.1)


@pytest.mark.parametrize("looks", [True, False])
def test_known_pixels_stay_to_the_bit_and_holes_follow_the_caption(looks):
    net = Inpainter(small_reader()) if looks else small_reader()
    model, known = reader(net), images(2).clamp(-1, 1)
    hole = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    hole[:, :, 4:9, 4:12] = True
    made = fill(model, BOTH, known, hole, steps=3)
    kept = (~hole).expand_as(made)
    assert torch.equal(made[kept], known[kept])
    assert made.isfinite().all() and (made - known)[hole.expand_as(made)].abs().max() > 0.01
    assert (fill(model, BOTH.flip(0), known, hole, steps=3) - made).abs().max() > 1e-4
    assert (fill(model, BOTH, known, hole, steps=3, seed=1) - made).abs().max() > 1e-3
    with pytest.raises(ValueError, match="whole steps"):
        fill(Denoiser(net, edm, "v"), BOTH, known, hole)


def test_without_extra_channels_the_known_part_is_what_the_forward_process_makes_of_it(monkeypatch):
    """Replacement: alpha known + sigma times one noise, at every step of the walk."""
    seen: list[tuple[Tensor, Tensor]] = []
    net, known = small_reader(), images(1).clamp(-1, 1)
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., :8] = True
    real = glide.keep_known

    def spy(denoise, known, hole):
        kept = real(denoise, known, hole)

        def told(x_t, t):
            seen.append((x_t, t))
            return kept(x_t, t)

        return told

    monkeypatch.setattr(glide, "keep_known", spy)
    fill(reader(net), ONE, known, hole, steps=4)
    assert len(seen) == 4
    noises = []
    for x_t, t in seen[1:]:
        alpha, sigma = cosine()(t, like=x_t)
        noises.append(((x_t - alpha * known) / sigma)[..., 8:])
    assert len(noises) == 3
    for noise in noises[1:]:
        torch.testing.assert_close(noise, noises[0], atol=1e-3, rtol=0)
