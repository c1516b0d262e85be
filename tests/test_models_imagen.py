"""Imagen: states that are read or hidden, stages that see a noised small picture, the cascade."""

import pytest
import torch
from readers import awake

from course_lib.diffusion.guidance import classifier_free, clip, dynamic_threshold
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.models import imagen
from course_lib.models.captions import reader
from course_lib.models.cascade import shrink

GIVEN = 6
THERE = torch.tensor([[True] * 3 + [False], [True] * 4])


def states(n: int = 2):
    return torch.randn(n, 4, GIVEN, generator=torch.Generator().manual_seed(0))


def a_model(**kind):
    torch.manual_seed(0)
    return reader(awake(imagen.StatesUNet(GIVEN, widths=(8, 16), dim=16, **kind)))


def asked(model, given=None, there=THERE, **more):
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    given = states() if given is None else given
    return model(x, torch.tensor([100, 800]), states=given, there=there, **more)


@pytest.mark.parametrize("looks", [True, False])
def test_states_are_read_and_padding_is_not(looks):
    model = a_model(looks=looks)
    out = asked(model)
    changed = states()
    changed[0, 3] = torch.tensor([5.0, -3.0, 2.0, 9.0, -8.0, 1.0])  # a LayerNorm forgets a shift
    torch.testing.assert_close(asked(model, changed), out)
    changed[0, 2] = changed[0, 2].flip(0) * 2
    assert (asked(model, changed)[0] - out[0]).abs().max() > 1e-4
    # Only who looks at pieces hears their sizes apart: order alone neither, it is in the states.
    torch.testing.assert_close(asked(model, states().roll(1, 1), THERE.roll(1, 1)), out)


def test_the_mean_and_the_pieces_are_two_ways():
    model = a_model()
    out = asked(model)
    for name in ("pooled", "look"):
        quiet = a_model()
        for weight in getattr(quiet.net, name).parameters():
            weight.data.zero_()
        assert (asked(quiet) - out).abs().max() > 1e-4
        other = states().flip(2)
        assert (asked(quiet, other) - asked(quiet)).abs().max() > 1e-4


def test_a_layer_norm_forgets_how_large_states_are():
    model = a_model()
    torch.testing.assert_close(asked(model, 7 * states()), asked(model), atol=1e-3, rtol=1e-3)


def test_a_text_of_zeros_is_the_same_for_every_length_and_no_piece_is_fine_without_looking():
    model = a_model()
    none = asked(model, 0 * states())
    torch.testing.assert_close(asked(model, 0 * states(), THERE.flip(0)), none)
    pooled = a_model(looks=False)
    assert asked(pooled, there=THERE & False).isfinite().all()


def test_hiding_zeroes_whole_texts():
    many = states(2000)
    hidden = ~imagen.hide_states(many, 0.1).flatten(1).any(1)
    assert float(hidden.float().mean()) == pytest.approx(0.1, abs=0.03)
    assert torch.equal(imagen.hide_states(many, 0), many)
    with pytest.raises(ValueError, match="probability"):
        imagen.hide_states(many, 1.5)


def test_a_stage_needs_its_small_picture_and_a_base_takes_none():
    low = {"low_res": torch.zeros(2, 3, 4, 4), "aug_t": torch.zeros(2)}
    with pytest.raises(ValueError, match="needs low_res and aug_t"):
        asked(a_model(resolves=True))
    with pytest.raises(ValueError, match="needs low_res and aug_t"):
        asked(a_model(resolves=True), low_res=low["low_res"])
    with pytest.raises(ValueError, match="knows no low_res"):
        asked(a_model(), **low)
    stage = a_model(resolves=True)
    out = asked(stage, **low)
    assert (asked(stage, **low | {"low_res": low["low_res"] + 1}) - out).abs().max() > 1e-4
    assert (asked(stage, **low | {"aug_t": low["aug_t"] + 300}) - out).abs().max() > 1e-4


def test_losses_tell_what_they_hide_and_noise():
    seen = []

    def loss(x_0, t, eps, **told):
        seen.append(told)
        return x_0.new_zeros(len(x_0))

    base, stage = a_model(), a_model(resolves=True)
    base.loss = stage.loss = loss
    n = 600
    x, given, there = torch.rand(n, 3, 8, 8), states(n), torch.ones(n, 4, dtype=torch.bool)
    imagen.base_loss(base, x, given, there)
    imagen.stage_loss(stage, x, given, there, p_uncond=0.0)
    imagen.stage_loss(stage, x, given, there, up_to=0)
    hidden = ~seen[0]["states"].flatten(1).any(1)
    assert 0.05 < float(hidden.float().mean()) < 0.16 and set(seen[0]) == {"states", "there"}
    assert torch.equal(seen[1]["states"], given)
    levels = seen[1]["aug_t"]
    assert levels.min() >= 0 and levels.max() <= 500 and 200 < levels.float().mean() < 300
    low = seen[1]["low_res"]
    assert low.shape == (n, 3, 4, 4)
    off = (low - shrink(x)).flatten(1).std(1)
    assert off[levels > 400].mean() > 3 * off[levels < 50].mean()
    assert not seen[2]["aug_t"].any()
    torch.testing.assert_close(seen[2]["low_res"], shrink(x), atol=1e-4, rtol=0)


def test_a_stage_may_learn_from_crops_of_whole_small_pixels():
    stage, seen = a_model(resolves=True), []

    def look(_, given, told):
        seen.append((given[0], told["low_res"]))

    stage.net.register_forward_pre_hook(look, with_kwargs=True)
    x = torch.randn(2, 3, 16, 16)
    windows = shrink(x).unfold(2, 4, 1).unfold(3, 4, 1)  # every place that a crop can have
    places = set()
    for seed in range(20):
        torch.manual_seed(seed)
        imagen.stage_loss(stage, x, states(), THERE, up_to=0, crop=8)
        x_t, low_res = seen.pop()
        assert x_t.shape == (2, 3, 8, 8)
        same = (windows - low_res[:, :, None, None]).abs().amax((0, 1, 4, 5)) < 1e-3
        assert same.sum() == 1
        places.add(tuple(same.nonzero()[0].tolist()))
    assert len(places) > 10
    for crop in (7, 0, 18):
        with pytest.raises(ValueError, match=f"crop must be even, 2 to 16, got {crop}"):
            imagen.stage_loss(stage, x, states(), THERE, crop=crop)


@pytest.mark.parametrize("hold", [clip, dynamic_threshold])
def test_the_cascade_is_a_guided_walk_and_then_another_under_its_noised_end(hold):
    base, stage = a_model(), a_model(resolves=True)
    made = list(
        imagen.imagine(
            base,
            [stage],
            states(),
            THERE,
            side=8,
            scales=(3.0, 2.0),
            levels=(100,),
            steps=2,
            hold=hold,
            seed=5,
        )
    )
    assert [one.shape[-1] for one in made] == [8, 16]
    noise = torch.Generator().manual_seed(5)
    randn = lambda *shape: torch.randn(*shape, generator=noise)  # noqa: E731
    times = spaced_times(base.schedule, 2)
    told = {"states": states(), "there": THERE}
    null = {"states": 0 * states(), "there": THERE}
    small = sample(
        ddim_step,
        hold(classifier_free(base, told, null, 3.0)),
        base.schedule,
        randn(2, 3, 8, 8),
        times,
    )
    torch.testing.assert_close(made[0], small)
    level = torch.full((2,), 100)
    alpha, sigma = base.schedule(level, like=small)
    low = {"low_res": alpha * small + sigma * randn(2, 3, 8, 8), "aug_t": level}
    large = sample(
        ddim_step,
        hold(classifier_free(stage, told | low, null | low, 2.0)),
        base.schedule,
        randn(2, 3, 16, 16),
        times,
    )
    torch.testing.assert_close(made[1], large)


@pytest.mark.parametrize(("scales", "levels"), [((1.0,), (0,)), ((1.0, 2.0), ())])
def test_each_model_has_a_scale_and_each_stage_a_level(scales, levels):
    with pytest.raises(ValueError, match="as many levels and one scale more"):
        list(
            imagen.imagine(
                a_model(), [a_model(resolves=True)], states(), THERE, scales=scales, levels=levels
            )
        )
