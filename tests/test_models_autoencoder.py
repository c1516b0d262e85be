"""Autoencoders for latents: bottlenecks, losses, sizes, as by hand and as `diffusers` has them."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import trainings
from course_lib.models.autoencoder import (
    CHANNELS,
    Autoencoder,
    AutoencoderLoss,
    Contest,
    Gaussian,
    LatentSpace,
    PatchCritic,
    Plain,
    Quantiser,
    Residual,
    adaptive_weight,
    close_ups,
    emoji_autoencoder,
    hinge_loss,
    perplexity,
    scale_factor,
    straight_through,
)

FIRST_STAGES = [(2, "kl"), (4, "kl"), (8, "kl"), (4, "vq"), (8, "vq"), (4, "plain")]


@pytest.fixture
def cut_outs() -> Tensor:
    cover = torch.randint(0, 256, (6, 1, 64, 64))
    return torch.cat([torch.randint(0, 256, (6, 3, 64, 64)) * cover // 255, cover], 1).byte()


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "kind"), FIRST_STAGES)
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (32, 64)])
def test_latents_are_f_times_smaller_and_pictures_come_back_whole(f, kind, size):
    model, x = emoji_autoencoder(f, kind), torch.rand(2, 3, *size) * 2 - 1
    z = model.encode(x)
    assert z.shape[2:] == (size[0] // f, size[1] // f) and model.f == f
    assert model.decode(z).shape == x.shape
    assert z[0].numel() <= x[0].numel() / 4


def test_how_much_smaller():
    pixels = 3 * 64 * 64
    for f, times in ((2, 4), (4, 12), (8, 12)):
        assert emoji_autoencoder(f).encode(torch.zeros(1, 3, 64, 64)).numel() * times == pixels
    assert emoji_autoencoder(8, "vq").encode(torch.zeros(1, 3, 64, 64)).numel() * 24 == pixels


def test_a_size_that_f_does_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"multiples of 4, got \[32, 30\]"):
        emoji_autoencoder(4).encode(torch.zeros(1, 3, 32, 30))
    with pytest.raises(ValueError, match="unknown f 3"):
        emoji_autoencoder(3)
    with pytest.raises(ValueError, match="unknown kind 'vae'"):
        emoji_autoencoder(4, "vae")


def test_far_pixels_do_not_change_the_middle_of_a_plain_reconstruction():
    # Convolutions only. Group norm sees the whole picture, so it is taken out for this.
    model = emoji_autoencoder(4)
    for module in model.modules():
        if isinstance(module, Residual):
            module.norms = nn.ModuleList([nn.Identity(), nn.Identity()])
    for part in (model.encoder, model.decoder):
        for place, layer in enumerate(part):
            if isinstance(layer, nn.GroupNorm):
                part[place] = nn.Identity()
    x = torch.rand(1, 3, 128, 128)
    other = x.clone()
    other[..., :4, :4] = -1
    apart = (model.decode(model.encode(x)) - model.decode(model.encode(other))).abs()
    assert float(apart[..., 96:, 96:].max()) == 0 and float(apart[..., :4, :4].max()) > 0


def test_a_residual_block_starts_as_its_shortcut():
    x = torch.randn(2, 16, 8, 8)
    block = Residual(16)
    assert torch.equal(block(x), x + block.convs[1].bias.view(1, -1, 1, 1))


# ---- the Gaussian bottleneck ----------------------------------------------------------------


def test_the_gaussian_is_diffusers_gaussian():
    autoencoders = pytest.importorskip("diffusers.models.autoencoders.vae")
    h = 3 * torch.randn(4, 8, 5, 6)
    h[0, 4] = 50  # a log-variance that is held at 20
    ours, theirs = Gaussian(4, 1.0, 12), autoencoders.DiagonalGaussianDistribution(h)
    mean, log_var = ours.moments(h)
    torch.testing.assert_close(mean, theirs.mean)
    torch.testing.assert_close(log_var, theirs.logvar)
    torch.testing.assert_close(ours.settled(h), theirs.mode())
    torch.manual_seed(1)
    z, price = ours(h)
    torch.manual_seed(1)
    torch.testing.assert_close(z, mean + theirs.std * torch.randn_like(mean))
    torch.testing.assert_close(price, theirs.kl().mean() / (12 * 5 * 6))


def test_the_price_of_the_gaussian_is_per_value_of_the_picture():
    # 1e-6 times the sum over a picture's latents, as beside an error summed over its pixels.
    model, x = emoji_autoencoder(4, weight=0.5), torch.randn(3, 3, 32, 32)
    mean, log_var = model.bottleneck.moments(model.read(x))
    nats = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).flatten(1).sum(1)
    torch.testing.assert_close(model(x)[1], 0.5 * nats.mean() / x[0].numel())


# ---- the quantiser --------------------------------------------------------------------------


def test_the_quantiser_is_diffusers_quantiser():
    uvit = pytest.importorskip("diffusers.models.autoencoders.vae")
    theirs = uvit.VectorQuantizer(16, 4, beta=0.25, legacy=False)
    ours = Quantiser(4, 16).eval()
    ours.codebook.data.copy_(theirs.embedding.weight.data.normal_())
    h = torch.randn(2, 4, 6, 5, requires_grad=True)
    z, price = ours(h)
    (z.square().sum() + price).backward()
    grads = h.grad.clone(), ours.codebook.grad.clone()
    h.grad = None
    z_theirs, price_theirs, (_, _, ids) = theirs(h)
    (z_theirs.square().sum() + price_theirs).backward()
    torch.testing.assert_close(z, z_theirs)
    assert ours.nearest(h).flatten().tolist() == ids.flatten().tolist()
    # With legacy=False, beta is on the term that moves the encoder, as in the paper.
    torch.testing.assert_close(price, price_theirs)
    torch.testing.assert_close(grads[0], h.grad)
    torch.testing.assert_close(grads[1], theirs.embedding.weight.grad)


def test_the_nearest_code_is_the_nearest():
    quantiser, h = Quantiser(3, 20), torch.randn(2, 3, 4, 5)
    quantiser.codebook.data.normal_()
    flat = h.movedim(1, -1).reshape(-1, 3)
    apart = (flat[:, None] - quantiser.codebook[None]).square().sum(-1)
    ids = quantiser.nearest(h)
    assert ids.flatten().tolist() == apart.argmin(1).tolist()
    z = quantiser.look_up(ids)
    assert z.shape == h.shape
    assert torch.equal(z[1, :, 2, 3], quantiser.codebook[ids[1, 2, 3]])
    assert torch.equal(quantiser.ready(h), z) and torch.equal(quantiser.settled(h), h)
    assert torch.equal(quantiser.ready(z), z)  # rounding twice is rounding once


def test_the_nearest_code_is_the_nearest_in_bf16_too():
    torch.manual_seed(0)
    quantiser, h = Quantiser(4, 512), torch.randn(2, 4, 16, 16)
    quantiser.codebook.data.normal_()
    with torch.autocast("cpu", torch.bfloat16):
        ids = quantiser.nearest(h)
    assert torch.equal(ids, quantiser.nearest(h))


def test_straight_through_rounds_forwards_and_not_backwards():
    h, rounded = torch.randn(5, requires_grad=True), torch.randn(5, requires_grad=True)
    z = straight_through(h, rounded)
    torch.testing.assert_close(z, rounded)
    (3 * z).sum().backward()
    assert torch.equal(h.grad, torch.full((5,), 3.0)) and rounded.grad is None


def test_each_of_the_two_squares_moves_its_own_side():
    quantiser, h = Quantiser(2, 4, commit=0.25).eval(), torch.randn(1, 2, 3, 3, requires_grad=True)
    quantiser.codebook.data.normal_()
    quantiser(h)[1].backward()
    gap = (h - quantiser.look_up(quantiser.nearest(h))).detach()
    torch.testing.assert_close(h.grad, 0.25 * 2 * gap / gap.numel())
    summed = torch.zeros(4, 2).index_add_(
        0, quantiser.nearest(h).flatten(), -gap.movedim(1, -1).reshape(-1, 2)
    )
    torch.testing.assert_close(quantiser.codebook.grad, 2 * summed / gap.numel())


def test_the_first_batch_fills_the_book_and_dead_codes_move():
    torch.manual_seed(0)
    quantiser, h = Quantiser(2, 32).train(), 3 * torch.randn(8, 2, 8, 8)
    quantiser(h)
    drawn = {tuple(row) for row in h.movedim(1, -1).reshape(-1, 2).tolist()}
    moved = [tuple(row) in drawn for row in quantiser.codebook.tolist()]
    assert sum(moved) >= 24  # all but the few that won the start
    quantiser.used[5], kept = 1e-6, quantiser.codebook[6].clone()
    quantiser.codebook.data[5] = 1e3  # nothing is near
    quantiser(h)
    assert tuple(quantiser.codebook[5].tolist()) in drawn
    assert float(quantiser.used[5]) == pytest.approx(1 / 32)
    assert torch.equal(quantiser.codebook[6], kept)


def test_without_restarts_and_outside_training_no_code_moves():
    for quantiser in (Quantiser(2, 32, restart=False).train(), Quantiser(2, 32).eval()):
        before = quantiser.codebook.detach().clone()
        quantiser(torch.randn(4, 2, 4, 4))
        assert torch.equal(quantiser.codebook, before)


@pytest.mark.parametrize("seed", range(3))
def test_restarts_keep_the_book_in_use(seed):
    used = {}
    for restart in (True, False):
        torch.manual_seed(seed)
        quantiser = Quantiser(2, 64, restart=restart).train()
        adam = torch.optim.Adam(quantiser.parameters(), lr=0.01)
        for _ in range(300):  # latents that the codes are not near to
            price = quantiser(5 + torch.randn(16, 2, 4, 4))[1]
            adam.zero_grad()
            price.backward()
            adam.step()
        used[restart] = float(perplexity(quantiser.nearest(5 + torch.randn(64, 2, 8, 8)), 64))
    assert used[True] > 0.7 * 64 and used[True] > 1.5 * used[False], used


def test_perplexity_counts_codes():
    assert float(perplexity(torch.zeros(50, dtype=torch.long), 8)) == pytest.approx(1)
    assert float(perplexity(torch.arange(40) % 8, 8)) == pytest.approx(8)
    halves = torch.tensor([0] * 2 + [1] * 1 + [2] * 1)
    assert float(perplexity(halves, 8)) == pytest.approx(2**1.5)


# ---- the scale ------------------------------------------------------------------------------


def test_scaled_latents_have_deviation_1_and_decode_to_the_same():
    model, x = emoji_autoencoder(4), torch.rand(32, 3, 32, 32) * 2 - 1
    z = model.encode(x)
    space = LatentSpace(model, scale_factor(z))
    assert float(space.encode(x).std()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(space.decode(space.encode(x)), model.decode(z))


def test_the_scale_is_one_number_about_the_mean():
    z = 5 * torch.randn(100, 4, 8, 8) + 3
    z[:, 0] *= 2
    assert float(scale_factor(z)) == pytest.approx(1 / float(z.std()), rel=1e-6)
    assert float(scale_factor(z + 100)) == pytest.approx(float(scale_factor(z)), rel=1e-3)
    assert float(scale_factor(2 * z)) == pytest.approx(float(scale_factor(z)) / 2, rel=1e-5)


# ---- losses ---------------------------------------------------------------------------------


def test_the_hinge_asks_for_a_margin_of_1():
    real, made = torch.tensor([0.5, 3.0]), torch.tensor([-0.5, -3.0])
    assert float(hinge_loss(real, made)) == pytest.approx(0.5 * (0.25 + 0.25))
    assert float(hinge_loss(torch.full((4,), 1.0), torch.full((4,), -1.0))) == 0
    assert float(hinge_loss(torch.zeros(4), torch.zeros(4))) == 1


def test_the_best_critic_of_the_hinge_scores_1_less_the_total_variation():
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.1, 0.3, 0.6])
    best = torch.sign(p - q)
    loss = 0.5 * ((p * (1 - best).relu()).sum() + (q * (1 + best).relu()).sum())
    assert float(loss) == pytest.approx(1 - 0.5 * float((p - q).abs().sum()))
    drawn = [torch.multinomial(one, 100_000, replacement=True) for one in (p, q)]
    assert float(hinge_loss(best[drawn[0]], best[drawn[1]])) == pytest.approx(float(loss), abs=0.01)


def test_the_adaptive_weight_makes_both_pull_alike():
    at = torch.randn(3, 4, requires_grad=True)
    first, second = (at * torch.randn(3, 4)).square().sum(), (7 * at).sin().sum()
    weight = adaptive_weight(first, second, at)
    pulls = [torch.autograd.grad(one, at, retain_graph=True)[0] for one in (first, second)]
    torch.testing.assert_close(weight * pulls[1].norm(), pulls[0].norm(), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        adaptive_weight(first, 100 * second, at), weight / 100, rtol=1e-4, atol=0
    )
    torch.testing.assert_close(
        adaptive_weight(5 * first, second, at), 5 * weight, rtol=1e-4, atol=0
    )
    assert not weight.requires_grad


def test_the_adaptive_weight_is_finite_where_nothing_pulls():
    at = torch.ones(2, requires_grad=True)
    assert float(adaptive_weight(at.sum(), 0 * at.sum(), at)) == 1e4


def test_each_number_of_the_critic_sees_15_pixels():
    critic = PatchCritic(8)
    critic.layers[3] = nn.Identity()  # the norm sees all
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    scores = critic(x)
    assert scores.shape == (1, 1, 16, 16)
    scores[0, 0, 8, 8].backward()
    seen = x.grad[0].abs().sum(0).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [15, 15]


def loss_and_gradients(loss, model, cut_outs):
    torch.manual_seed(0)
    model.zero_grad()
    value = loss(model, cut_outs)
    value.backward()
    return float(value.detach()), {name: p.grad for name, p in model.named_parameters()}


def test_each_player_learns_from_its_own_loss_alone(cut_outs):
    torch.manual_seed(3)
    model = Contest(emoji_autoencoder(4), 8)
    value, both = loss_and_gradients(AutoencoderLoss(critic=0.5), model, cut_outs)

    torch.manual_seed(0)
    x = close_ups(cut_outs)
    made, price = model.autoencoder(x)
    judge = hinge_loss(model.critic(x), model.critic(made.detach()))
    theirs = dict(model.critic.named_parameters())
    wanted = torch.autograd.grad(judge, [*theirs.values()])
    error, fool = F.l1_loss(made, x), -model.critic(made).mean()
    weight = adaptive_weight(error, fool, model.autoencoder.last)
    own = error + price + 0.5 * weight * fool
    assert value == pytest.approx((own + judge).item(), rel=1e-5)
    ours = [*model.autoencoder.named_parameters()]
    grads = torch.autograd.grad(own, [p for _, p in ours])
    for (name, _), grad in zip(ours, grads, strict=True):
        torch.testing.assert_close(both[f"autoencoder.{name}"], grad, rtol=1e-3, atol=1e-6)
    for name, grad in zip(theirs, wanted, strict=True):
        torch.testing.assert_close(both[f"critic.{name}"], grad, rtol=1e-3, atol=1e-6)


def test_the_critic_waits_for_its_start(cut_outs):
    torch.manual_seed(3)
    model, loss = Contest(emoji_autoencoder(4), 8), AutoencoderLoss(critic=0.5, start=1)
    _, first = loss_and_gradients(loss, model, cut_outs)
    assert all(grad is None for name, grad in first.items() if name.startswith("critic"))
    _, second = loss_and_gradients(loss, model, cut_outs)
    assert all(grad is not None for name, grad in second.items() if name.startswith("critic"))
    assert int(loss.steps) == 2


def test_the_error_is_pixels_and_eye(cut_outs):
    torch.manual_seed(3)
    model = Contest(emoji_autoencoder(4, "plain"), 8)
    torch.manual_seed(0)
    x = close_ups(cut_outs)
    made = model.autoencoder(x)[0]
    for loss, expected in (
        (AutoencoderLoss(), (made - x).abs().mean()),
        (AutoencoderLoss(pixels=F.mse_loss), (made - x).square().mean()),
        (
            AutoencoderLoss(trainings.lpips, eye=2.0),
            (made - x).abs().mean() + 2 * trainings.lpips(made, x).mean(),
        ),
    ):
        value, _ = loss_and_gradients(loss, model, cut_outs)
        assert value == pytest.approx(expected.item(), rel=1e-4)


# ---- what they are trained on ---------------------------------------------------------------


def test_close_ups_are_windows_and_wholes_on_plain_grounds():
    torch.manual_seed(0)
    empty = torch.zeros(200, 4, 64, 64, dtype=torch.uint8)
    grounds = close_ups(empty)
    assert grounds.shape == (200, 3, 32, 32) and float(grounds.abs().max()) <= 1
    assert float((grounds - grounds[..., :1, :1]).abs().max()) == 0  # plain
    white = (grounds == 1).flatten(1).all(1).double().mean()
    assert 0.35 < float(white) < 0.65
    rows = torch.arange(64).view(1, 1, 64, 1).expand(200, 4, 64, 64).clone()
    rows[:, 3] = 255
    seen = (close_ups(rows.byte())[:, 0, :, 0] + 1) * 127.5
    steps = seen.diff(dim=1)
    windows = (steps - 1).abs().amax(1) < 1e-3
    wholes = (steps - 2).abs().amax(1) < 1e-3
    assert bool((windows | wholes).all()) and 0.1 < float(wholes.double().mean()) < 0.4
    tops = seen[windows][:, 0].round()
    assert float(tops.min()) < 4 and float(tops.max()) > 28  # everywhere
    assert len(tops.unique()) > 20


def test_close_ups_are_mirrored_half_of_the_time():
    torch.manual_seed(0)
    columns = torch.arange(64).view(1, 1, 1, 64).expand(200, 4, 64, 64).clone()
    columns[:, 3] = 255
    rising = close_ups(columns.byte())[:, 0, 0].diff(dim=1).mean(1) > 0
    assert 0.35 < float(rising.double().mean()) < 0.65


def test_cover_mixes_picture_and_ground():
    half = torch.zeros(50, 4, 64, 64, dtype=torch.uint8)
    half[:, 0], half[:, 3] = 102, 102  # a red of 1, at a cover of 0.4
    torch.manual_seed(0)
    seen = (close_ups(half) + 1) / 2
    torch.manual_seed(0)
    ground = (close_ups(torch.zeros_like(half)) + 1) / 2
    expected = 0.6 * ground + 0.4 * torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)


def test_a_picture_that_does_not_hold_whole_squares_is_refused():
    with pytest.raises(ValueError, match="multiple of 32, got 48 x 48"):
        close_ups(torch.zeros(1, 4, 48, 48, dtype=torch.uint8))


# ---- what is shipped ------------------------------------------------------------------------


def test_two_rows_differ_by_their_loss_alone():
    ours, squared = (trainings.TRAININGS[f"emoji_{name}_8"] for name in ("vq", "mse"))
    assert ours.config == squared.config and ours.batch == squared.batch
    assert squared.loss.perceptual is None and squared.loss.pixels is F.mse_loss
    for row in (ours, squared):
        torch.manual_seed(0)
        model = row.model().get_submodule(row.part)
        assert model.f == 8 and isinstance(model.bottleneck, Quantiser)


def test_what_later_chapters_diffuse_in():
    model = trainings.TRAININGS["emoji_kl_4"].model().autoencoder
    assert model.f == 4 and isinstance(model.bottleneck, Gaussian)
    assert model.bottleneck.weight == 1e-6 and model.bottleneck.channels == 4


def test_plain_latents_are_free():
    h = torch.randn(2, 4, 3, 3)
    z, price = Plain(4)(h)
    assert torch.equal(z, h) and float(price) == 0
    assert CHANNELS[4] == 4 and math.isclose(Autoencoder((8,), Plain(2)).f, 2)
