"""unCLIP: a prior that reads in order, the better of two draws, buckets, and a decoder's vector."""

import math

import pytest
import torch
from readers import awake
from torch.nn import functional as F

from course_lib.diffusion.guidance import classifier_free, given
from course_lib.diffusion.latents import ddim_invert
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.models import unclip
from course_lib.models.captions import TokenUNet, empty, reader

DIM, GIVEN, LENGTH = 6, 5, 4
THERE = torch.tensor([[True] * 3 + [False], [True] * 4])


def texts(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    vector = F.normalize(torch.randn(2, DIM, generator=generator), dim=1)
    return vector, torch.randn(2, LENGTH, GIVEN, generator=generator), THERE


def a_prior(**size):
    return awake(unclip.PriorTransformer(DIM, GIVEN, LENGTH, width=8, heads=2, **size))


def a_number_prior(dots: int = 4):
    torch.manual_seed(0)
    buckets = unclip.Buckets(DIM, 3, 5)
    net = unclip.NumberPrior(buckets, GIVEN, LENGTH, dots=dots, width=8, heads=2)
    vectors = F.normalize(torch.randn(200, DIM), dim=1)
    return awake(net).fit(vectors, vectors.roll(1, 0)), vectors


def tokens():
    return torch.tensor([[1, 5, 7, 2], [1, 6, 2, 0]])


def a_decoder():
    torch.manual_seed(0)
    net = TokenUNet(9, 4, widths=(8, 16), dim=16)
    return reader(awake(unclip.VectorReader(net, DIM)))


# ---- hiding -----------------------------------------------------------------------------------


def test_a_hidden_text_is_hidden_whole():
    vector, states, there = (torch.cat([one] * 200) for one in texts())
    v, s, h = unclip.hide_text(vector, states, there, 0.3)
    hidden = ~v.any(1)
    assert 0.2 < float(hidden.float().mean()) < 0.4
    assert torch.equal(hidden, ~s.flatten(1).any(1)) and torch.equal(hidden, ~h.any(1))
    assert torch.equal(v[~hidden], vector[~hidden]) and torch.equal(h[~hidden], there[~hidden])
    for p, share in ((0, 0), (1, 1)):
        assert (
            float((~unclip.hide_text(vector, states, there, p)[2].any(1)).float().mean()) == share
        )


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_chance_is_a_chance(p):
    with pytest.raises(ValueError, match="probability"):
        unclip.hide_text(*texts(), p)


# ---- the prior by diffusion -------------------------------------------------------------------


def test_the_prior_reads_all_it_is_told_and_no_padding():
    net, (vector, states, there) = a_prior(), texts()
    z, t = torch.randn(2, DIM), torch.tensor([100, 700])
    out = net(z, t, vector, states, there)
    assert out.shape == (2, DIM) and out.isfinite().all()
    changed = states.clone()
    changed[0, 3] += 5  # padding of the first text
    torch.testing.assert_close(net(z, t, vector, changed, there), out)
    for other in (
        net(z + 0.1, t, vector, states, there),
        net(z, t + 100, vector, states, there),
        net(z, t, -vector, states, there),
        net(z, t, vector, states.flip(1), there),
    ):
        assert (other - out).abs().amax(1).min() > 1e-4


def test_the_last_token_gives_the_answer():
    net, told = a_prior(), texts()
    z, t = torch.randn(2, DIM), torch.tensor([100, 700])
    before = net(z, t, *told)
    net.query.data = torch.randn(8)  # nobody but the last token sees it
    assert (net(z, t, *told) - before).abs().amax(1).min() > 1e-4


def test_a_text_without_a_piece_is_read_too():
    net, (vector, states, there) = a_prior(), texts()
    z, t = torch.randn(2, DIM), torch.tensor([100, 700])
    none = net(z, t, 0 * vector, 0 * states, there & False)
    assert none.isfinite().all()
    # No piece, said by the mask or by the length, is the same.
    short = net(z, t, 0 * vector, states[:, :0], there[:, :0])
    torch.testing.assert_close(short, none)


def test_nobody_sees_what_stands_behind():
    reading = awake(unclip.Reading(8, 2, 2))
    row = torch.randn(1, 6, 8)
    there = torch.ones(1, 2, dtype=torch.bool)
    later = row.clone()
    later[:, 4] = later[:, 4].flip(-1)
    before, after = reading(row, there), reading(later, there)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert (after[:, 4:] - before[:, 4:]).abs().amax((0, 2)).min() > 1e-4


def test_texts_that_are_too_long_are_refused():
    vector, states, there = texts()
    long = torch.cat([states, states], 1), torch.cat([there, there], 1)
    with pytest.raises(ValueError, match="4 pieces at most, got 8"):
        a_prior()(vector, torch.tensor([1, 2]), vector, *long)
    net, _ = a_number_prior()
    with pytest.raises(ValueError, match="4 pieces at most, got 8"):
        net(torch.zeros(2, 0, dtype=torch.long), torch.ones(2).long(), vector, *long)


def test_the_prior_learns_vectors_of_the_size_of_noise():
    model, seen = unclip.diffusion_prior(a_prior()), []
    assert model.predicts == "x_0"
    model.loss = lambda z_0, t, eps, **told: seen.append((z_0, told)) or z_0.new_zeros(len(z_0))
    vector, states, there = texts()
    unclip.prior_loss(model, vector, vector, states, there, p_uncond=0)
    z_0, told = seen[0]
    torch.testing.assert_close(z_0, math.sqrt(DIM) * vector)
    assert torch.equal(told["text_vector"], vector) and torch.equal(told["states"], states)


def test_a_draw_is_guided_ddim_and_the_best_of_two_is_kept():
    model, (vector, states, there) = unclip.diffusion_prior(a_prior()), texts()
    told = {"text_vector": vector, "states": states, "there": there}
    null = {name: torch.zeros_like(value) for name, value in told.items()}
    noise = torch.Generator().manual_seed(3)
    each = []
    for _ in range(2):
        z_T = torch.randn(2, DIM, generator=noise)
        z = sample(
            ddim_step,
            classifier_free(model, told, null, 2.0),
            model.schedule,
            z_T,
            spaced_times(model.schedule, 4),
        )
        each.append(F.normalize(z, dim=1))
    drawn = unclip.draw_vectors(model, vector, states, there, scale=2.0, steps=4, seed=3)
    products = torch.stack([(one * vector).sum(1) for one in each])
    torch.testing.assert_close((drawn * vector).sum(1), products.max(0).values)
    assert all(any(torch.allclose(v, one[n]) for one in each) for n, v in enumerate(drawn))
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(2))


def test_the_nearest_is_chosen_for_each_text():
    text = torch.eye(3)
    drawn = torch.stack([text.roll(1, 0), text, -text])
    drawn[1, 2], drawn[2, 2] = -text[2], 0.5 * text[2]
    assert torch.equal(unclip.nearest(drawn, text), torch.stack([text[0], text[1], text[2] / 2]))
    with pytest.raises(ValueError, match="one candidate"):
        unclip.nearest(drawn[:0], text)


# ---- buckets ----------------------------------------------------------------------------------


def test_buckets_keep_the_axes_of_most_variance_in_order():
    torch.manual_seed(0)
    spread = torch.tensor([0.1, 3.0, 0.5, 1.0])
    vectors = torch.randn(4000, 4) * spread + 2
    buckets = unclip.Buckets(4, 3, 64).fit(vectors)
    assert buckets.axes.abs().argmax(1).tolist() == [1, 3, 2]
    again = buckets.decode(buckets.encode(vectors))
    rest = vectors - vectors.mean(0)
    rest = rest - rest @ buckets.axes.T @ buckets.axes
    rounding = (again - vectors).square().sum(1).mean() - rest.square().sum(1).mean()
    # A number that is anywhere in a bucket alike is off by width² / 12.
    assert float(rounding) == pytest.approx(float(buckets.width.square().sum() / 12), rel=0.1)


def test_codes_of_middles_are_themselves_and_the_ends_hold():
    buckets = unclip.Buckets(5, 2, 7).fit(torch.randn(50, 5))
    codes = torch.stack([torch.arange(7), torch.arange(7).flip(0)], 1)
    assert torch.equal(buckets.encode(buckets.decode(codes)), codes)
    far = buckets.mean + 100 * buckets.axes[:1]
    assert buckets.encode(far)[0, 0] == 6 and buckets.encode(2 * buckets.mean - far)[0, 0] == 0


@pytest.mark.parametrize(("kept", "count"), [(0, 4), (6, 4), (2, 1)])
def test_buckets_that_cannot_be_are_refused(kept, count):
    with pytest.raises(ValueError, match=f"got {kept}, {count}"):
        unclip.Buckets(5, kept, count)


# ---- the prior by numbers ---------------------------------------------------------------------


def test_a_code_is_guessed_from_those_before_it_alone():
    net, _ = a_number_prior()
    vector, states, there = texts()
    codes, dots = torch.tensor([[0, 1, 2], [3, 4, 0]]), torch.tensor([1, 4])
    logits = net(codes, dots, vector, states, there)
    assert logits.shape == (2, 4, 5)
    other = codes.clone()
    other[:, 1] = 0
    again = net(other, dots, vector, states, there)
    torch.testing.assert_close(again[:, :2], logits[:, :2])
    assert (again[:, 2:] - logits[:, 2:]).abs().amax((0, 2)).min() > 1e-4
    assert (net(codes, dots * 0, vector, states, there) - logits).abs().min(2).values.max() > 1e-5
    # Codes that are not said yet change nothing: the walk may build the row up.
    torch.testing.assert_close(net(codes[:, :1], dots, vector, states, there), logits[:, :2])


def test_dot_products_fall_into_buckets_of_equal_count():
    net, vectors = a_number_prior(dots=4)
    found = net.bucket_of((vectors * vectors.roll(1, 0)).sum(1))
    assert found.bincount(minlength=5).tolist() == [0, 50, 50, 50, 50]
    assert net.bucket_of(torch.tensor([-1.0, 1.0])).tolist() == [1, 4]
    never, _ = a_number_prior(dots=0)
    assert never.bucket_of(torch.tensor([-1.0, 1.0])).tolist() == [0, 0]


def test_the_loss_is_the_surprise_at_each_code():
    net, vectors = a_number_prior()
    vector, states, there = texts()
    loss = unclip.number_loss(net, vectors[:2], vector, states, there, p_uncond=0.0)
    codes = net.buckets.encode(vectors[:2])
    dots = net.bucket_of((vectors[:2] * vector).sum(1))
    chances = net(codes, dots, vector, states, there)[:, :3].log_softmax(2)
    torch.testing.assert_close(loss, -chances.gather(2, codes[..., None]).mean())
    hidden = unclip.number_loss(net, vectors[:2], vector, states, there, p_uncond=1)
    nothing = net(codes, 0 * dots, 0 * vector, 0 * states, there & False)[:, :3].log_softmax(2)
    torch.testing.assert_close(hidden, -nothing.gather(2, codes[..., None]).mean())


def test_a_dot_product_is_hidden_with_its_text_and_alone():
    net, vectors = a_number_prior()
    many = [one[:1].expand(2000, *one.shape[1:]) for one in texts()]
    seen = []
    net.dot.register_forward_hook(lambda m, given, out: seen.append(given[0]))
    net.text.register_forward_hook(lambda m, given, out: seen.append(given[0]))
    unclip.number_loss(net, vectors[:1].expand(2000, -1), *many, p_uncond=0.2)
    text, dots = seen
    no_text = ~text.any(1)
    assert not dots[no_text].any()
    assert float((dots[~no_text] == 0).float().mean()) == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("dots", [0, 4])
def test_codes_are_drawn_by_their_chances(dots):
    net, _ = a_number_prior(dots)
    vector, states, there = (one[:1].expand(4000, *one.shape[1:]) for one in texts())
    told = []
    watch = net.dot.register_forward_hook(lambda m, given, out: told.append(given[0]))
    drawn = unclip.say_vectors(net, vector, states, there, seed=1)
    watch.remove()
    assert set(told[0].tolist()) == ({3, 4} if dots else {0})
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(4000))
    first = net(torch.zeros(4000, 0).long(), told[0], vector, states, there)[:, 0].softmax(1)
    middle = net.buckets.decode(torch.zeros(4000, 3).long())
    assert torch.equal(unclip.say_vectors(net, vector, states, there, seed=1), drawn)
    # Directions say which first code each draw had: the codes are few, so all rows can be listed.
    every = torch.cartesian_prod(*[torch.arange(5)] * 3)
    row = torch.cdist(drawn, F.normalize(net.buckets.decode(every), dim=1)).argmin(1)
    share = every[row][:, 0].bincount(minlength=5) / 4000
    assert (share - first.mean(0)).abs().max() < 0.03 and middle.shape == (4000, DIM)


def test_logits_are_guided_by_two_parts_of_text_less_one_without(monkeypatch):
    net, _ = a_number_prior(dots=0)
    vector, states, there = texts()
    seen, draw = [], torch.multinomial

    def watched(chances, n, generator):
        seen.append(chances)
        return draw(chances, n, generator=generator)

    monkeypatch.setattr(torch, "multinomial", watched)
    unclip.say_vectors(net, vector, states, there, scale=2.0)
    first, none = torch.zeros(2, 0).long(), torch.zeros(2).long()
    told = net(first, none, vector, states, there)[:, 0]
    blind = net(first, none, 0 * vector, 0 * states, there & False)[:, 0]
    torch.testing.assert_close(seen[0], (2 * told - blind).softmax(1))


def test_a_prior_need_not_be_told_a_dot_product():
    net, _ = a_number_prior()
    seen = []
    net.dot.register_forward_hook(lambda m, given, out: seen.append(given[0]))
    unclip.say_vectors(net, *texts(), told=False)
    assert len(seen) == 3 and not torch.cat(seen).any()


def test_guided_logits_go_beyond_the_text():
    net, _ = a_number_prior()
    vector, states, there = texts()
    calm = unclip.say_vectors(net, vector, states, there, seed=2)
    assert torch.equal(unclip.say_vectors(net, vector, states, there, scale=1.0, seed=2), calm)
    strong = unclip.say_vectors(net, vector, states, there, scale=30.0, seed=2)
    assert strong.isfinite().all() and not torch.equal(strong, calm)


# ---- the decoder ------------------------------------------------------------------------------


def test_the_decoder_hears_caption_and_vector():
    model = a_decoder()
    x, t, v = torch.randn(2, 3, 8, 8), torch.tensor([100, 800]), texts()[0]
    out = model(x, t, tokens=tokens(), image_vector=v)
    assert out.shape == x.shape
    for other in (
        model(x, t, tokens=empty(tokens()), image_vector=v),
        model(x, t, tokens=tokens(), image_vector=-v),
    ):
        assert (other - out).flatten(1).abs().amax(1).min() > 1e-4


def test_each_of_the_two_ways_of_a_vector_is_open():
    for way in ("add", "tokens"):
        model = a_decoder()
        for name, weight in model.net.named_parameters():
            if name.startswith(way):
                weight.data.zero_()
        x, t, v = torch.randn(2, 3, 8, 8), torch.tensor([100, 800]), texts()[0]
        a, b = (model(x, t, tokens=tokens(), image_vector=one) for one in (v, -v))
        assert (a - b).abs().max() > 1e-4


def test_what_is_added_to_a_trained_reader_can_be_shipped_alone():
    old, new = a_decoder(), a_decoder()
    for part in old.net.added().parameters():
        torch.nn.init.normal_(part, std=0.3)
    new.net.added().load_state_dict(old.net.added().state_dict())
    x, t, v = torch.randn(2, 3, 8, 8), torch.tensor([100, 800]), texts()[0]
    a, b = (model(x, t, tokens=tokens(), image_vector=v) for model in (old, new))
    torch.testing.assert_close(a, b)
    share = sum(p.numel() for p in old.net.added().parameters())
    assert share < 0.6 * sum(p.numel() for p in old.net.parameters())


def test_captions_and_vectors_are_hidden_apart():
    model, seen = a_decoder(), []
    model.loss = lambda x_0, t, eps, **told: seen.append(told) or x_0.new_zeros(len(x_0))
    n = 2000
    ids, v = tokens()[:1].expand(n, -1), texts()[0][:1].expand(n, -1)
    unclip.decoder_loss(model, torch.zeros(n, 3, 4, 4), ids, v)
    no_text = (seen[0]["tokens"] == empty(ids)).all(1)
    no_vector = ~seen[0]["image_vector"].any(1)
    assert float(no_text.float().mean()) == pytest.approx(0.5, abs=0.05)
    assert float(no_vector.float().mean()) == pytest.approx(0.1, abs=0.03)
    assert float((no_text & no_vector).float().mean()) == pytest.approx(0.05, abs=0.02)


def test_a_picture_is_guided_ddim_under_its_vector():
    model, v = a_decoder(), texts()[0]
    like = torch.empty(2, 3, 8, 8)
    made = unclip.decode(model, v, tokens(), like, scale=2.0, steps=3, seed=4, limit=None)
    told = {"tokens": tokens(), "image_vector": v}
    null = {"tokens": empty(tokens()), "image_vector": 0 * v}
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    expected = sample(
        ddim_step,
        classifier_free(model, told, null, 2.0),
        model.schedule,
        noise,
        spaced_times(model.schedule, 3),
    )
    torch.testing.assert_close(made, expected)
    held = unclip.decode(model, v, tokens(), like, scale=9.0, steps=3, limit=0.5)
    assert held.abs().max() <= 0.5


# ---- with vectors of pictures -----------------------------------------------------------------


def test_noise_and_vector_give_the_picture_back_and_eta_varies_it():
    torch.manual_seed(0)
    model = reader(unclip.VectorReader(TokenUNet(9, 4, widths=(8, 16), dim=16), DIM))
    for weight in model.net.parameters():  # a small slope, so that steps can be undone
        torch.nn.init.normal_(weight, std=0.02)
    model.eval()
    x, v = torch.rand(2, 3, 8, 8) * 2 - 1, texts()[0]
    x_T = unclip.noise_of(model, x, v, tokens(), steps=20, repeats=4)
    told = given(model, {"tokens": tokens(), "image_vector": v})
    with torch.no_grad():
        times = spaced_times(model.schedule, 20).flip(0)
        whole = ddim_invert(told, model.schedule, x, times, repeats=4)
    torch.testing.assert_close(x_T, whole)
    same = unclip.redraw(model, x_T, v, tokens(), steps=20)
    torch.testing.assert_close(same, x, atol=2e-2, rtol=0)
    one, two = (unclip.redraw(model, x_T, v, tokens(), eta=1.0, steps=20, seed=s) for s in (0, 1))
    assert (one - x).abs().mean() > 0.1 and (one - two).abs().mean() > 0.1
    again = unclip.redraw(model, x_T, v, tokens(), eta=1.0, steps=20, seed=0)
    torch.testing.assert_close(one, again)


def test_a_text_diff_turns_towards_the_new_text():
    image, before, after = (texts(seed)[0] for seed in (0, 1, 2))
    way = F.normalize(after - before, dim=1)
    angle = (image * way).sum(1).arccos()
    for weight in (0.0, 0.25, 0.5):
        turned = unclip.text_diff(image, before, after, weight)
        torch.testing.assert_close(turned.norm(dim=1), torch.ones(2))
        torch.testing.assert_close((turned * way).sum(1).arccos(), (1 - weight) * angle)
    with pytest.raises(ValueError, match="same vector"):
        unclip.text_diff(image, before, before.clone(), 0.3)
