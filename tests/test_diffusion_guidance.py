"""Guidance: endpoints, conventions, and the three Gaussians whose answers are known."""

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from course_lib.diffusion import exact, guidance, samplers, schedules
from course_lib.diffusion.predictions import eps_from

D = torch.float64
CLASSES = torch.tensor([[1.5], [-1.5]], dtype=D)


def mixture(*which: int) -> exact.GaussianMixture:
    means = CLASSES[list(which)]
    return exact.GaussianMixture(means, torch.full((len(means),), 0.5, dtype=D))


def labelled(x_t, t, *, label):
    """An exact denoiser of two classes; label 2 means none."""
    edm = schedules.edm
    answers = [mixture(*one).denoiser(edm)(x_t, t) for one in ((0,), (1,), (0, 1))]
    return torch.stack(answers)[label, torch.arange(len(x_t))]


ZERO, NULL = {"label": torch.tensor([0])}, {"label": torch.tensor([2])}


def noisy(n=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(n, 1, generator=generator, dtype=D)
    return x, 0.1 + torch.rand(n, generator=generator, dtype=D)


@for_all(scale=st.floats(-3, 10))
@settings(max_examples=30, deadline=None)
def test_guidance_is_a_line_through_both_answers(scale):
    x, t = noisy()
    guided = guidance.classifier_free(labelled, ZERO, NULL, scale)(x, t)
    c, u = (guidance.given(labelled, told)(x, t) for told in (ZERO, NULL))
    assert torch.allclose(guided, (1 - scale) * u + scale * c, atol=1e-12)


@pytest.mark.parametrize("scale", [-1.0, 0.0, 0.5, 1.0, 4.0])
def test_one_batch_of_two_and_two_batches_agree(scale):
    x, t = noisy()
    labels = {"label": torch.tensor([0, 1, 0, 1, 1, 0, 0])}
    a, b = (
        guidance.classifier_free(labelled, labels, NULL, scale, together=one)(x, t)
        for one in (True, False)
    )
    assert torch.allclose(a, b, atol=1e-12)


def test_scales_0_and_1_ask_once():
    asked = []

    def counted(x_t, t, *, label):
        asked.append(len(x_t))
        return labelled(x_t, t, label=label)

    x, t = noisy()
    for scale in (0.0, 1.0, 2.0):
        guidance.classifier_free(counted, ZERO, NULL, scale)(x, t)
    assert asked == [7, 7, 14]


def test_a_negative_prompt_is_another_null():
    x, t = noisy()
    one = {"label": torch.tensor([1])}
    away = guidance.classifier_free(labelled, ZERO, one, 3.0)(x, t)
    c, n = (guidance.given(labelled, told)(x, t) for told in (ZERO, one))
    assert torch.allclose(away, n + 3 * (c - n))


def test_conditions_of_different_names_are_refused():
    with pytest.raises(ValueError, match="'label'.*'text'"):
        guidance.classifier_free(labelled, ZERO, {"text": torch.tensor([0])}, 2.0)


@for_all(w=st.floats(-5, 20), convention=st.sampled_from(sorted(guidance.CONVENTIONS)))
def test_conventions_come_back(w, convention):
    scale = guidance.scale_from_w(w, convention)
    assert guidance.w_from_scale(scale, convention) == pytest.approx(w, abs=1e-9)


@for_all(w=st.floats(-2, 8))
def test_conventions_say_the_same_as_their_formulas(w):
    c, u = torch.randn(2, 5, dtype=D)
    formulas = {
        "ho": (1 + w) * c - w * u,
        "imagen": w * c + (1 - w) * u,
        "lerp": torch.lerp(c, u, w),
    }
    for convention, theirs in formulas.items():
        scale = guidance.scale_from_w(w, convention)
        assert torch.allclose(u + scale * (c - u), theirs, atol=1e-9)


def test_an_unknown_convention_is_refused():
    for convert in (guidance.scale_from_w, guidance.w_from_scale):
        with pytest.raises(ValueError, match="'glide'.*ho, imagen, lerp"):
            convert(1.0, "glide")


def test_the_interval_is_open_below_and_closed_above():
    x = torch.zeros(4, 1, dtype=D)
    yes, no = (lambda x_t, t, v=v: x_t + v for v in (1.0, 0.0))
    t = torch.tensor([1, 2, 3, 4])
    on = guidance.interval(yes, no, 1, 3)(x, t)
    assert on[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_the_interval_asks_nobody_in_vain():
    asked = []

    def plain(x_t, t):
        asked.append("plain")
        return x_t

    def guided(x_t, t):
        asked.append("guided")
        return x_t

    sometimes = guidance.interval(guided, plain, 1, 3)
    for t in (2, 4):
        sometimes(torch.zeros(3, 1), torch.full((3,), t))
    assert asked == ["guided", "plain"]
    with pytest.raises(ValueError, match="low < high"):
        guidance.interval(guided, plain, 3, 3)


@pytest.mark.parametrize("phi", [0.0, 0.3, 1.0])
def test_rescaling_mixes_the_two_spreads(phi):
    schedule = schedules.linear()
    x, t = torch.randn(5, 1, 6, 6, dtype=D), torch.tensor([10, 200, 500, 800, 999])
    plain, guided = (lambda x_t, t, v=v: v * x_t.tanh() for v in (0.5, -3.0))
    rescaled = guidance.rescale(guided, plain, schedule, phi)(x, t)
    alpha, sigma = schedule(t, like=x)
    before, calm, after = (
        eps_from(one, x, alpha, sigma).flatten(1).std(1)
        for one in (guided(x, t), plain(x, t), rescaled)
    )
    assert torch.allclose(after, phi * calm + (1 - phi) * before, rtol=1e-8)


def test_a_share_beyond_1_is_refused():
    with pytest.raises(ValueError, match="share"):
        guidance.rescale(lambda x, t: x, lambda x, t: x, schedules.linear(), 1.5)


@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
def test_for_two_gaussians_the_walk_ends_at_the_geometric_mean(scale):
    # Chapter 17: v_c^s v^(1 - s), where the tilted law has the harmonic one.
    edm, centre = schedules.edm, torch.zeros(1, 1, dtype=D)
    v_c, v = torch.tensor(1.0, dtype=D), torch.tensor(2.0, dtype=D)
    narrow, wide = (
        exact.GaussianMixture(centre, one.sqrt()[None]).denoiser(edm) for one in (v_c, v)
    )
    guided = guidance.autoguide(narrow, wide, scale)
    x = torch.tensor([[80.0]], dtype=D)
    times = schedules.karras_times(200, low=0.002, high=80.0)
    end = samplers.sample(samplers.heun_step, guided, edm, x, times)
    start = (v_c + 6400) ** scale * (v + 6400) ** (1 - scale)
    expected = (v_c**scale * v ** (1 - scale) / start).sqrt() * 80
    assert float(end) == pytest.approx(float(expected), rel=2e-3)


# ---- thresholds: what keeps a guided estimate in its range --------------------------------------


def says(x_0):
    return lambda x_t, t: x_0


@for_all(
    size=st.floats(0.1, 40), share=st.sampled_from([0.5, 0.9, 0.995, 1.0]), seed=st.integers(0, 99)
)
@settings(max_examples=40, deadline=None)
def test_a_dynamic_threshold_leaves_few_numbers_at_the_ends(size, share, seed):
    x_0 = size * torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=D)
    held = guidance.dynamic_threshold(says(x_0), share)(x_0, torch.zeros(3))
    clipped = x_0.clamp(-1, 1)
    large = x_0.flatten(1).abs().quantile(share, dim=1)
    assert held.abs().max() <= 1
    for n in range(3):
        if large[n] <= 1:
            assert torch.equal(held[n], clipped[n])
        else:
            # but for one number, since a quantile may lie between two
            assert (held[n].abs() >= 1 - 1e-12).sum() <= (1 - share) * 192 + 1
            inside = x_0[n].abs() < large[n]
            assert torch.allclose(held[n][inside], x_0[n][inside] / large[n])


def test_what_is_large_already_may_be_larger_without_a_difference():
    x_0 = 5 * torch.randn(2, 3, 8, 8, dtype=D)
    once, thrice = (
        guidance.dynamic_threshold(says(a * x_0))(x_0, torch.zeros(2)) for a in (1.0, 3.0)
    )
    assert torch.allclose(once, thrice)


def test_thresholds_are_those_of_diffusers():
    from diffusers import DDIMScheduler

    peer = DDIMScheduler(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1e6)
    for size in (0.3, 2.0, 9.0):
        x_0 = size * torch.randn(4, 3, 8, 8)
        ours = guidance.dynamic_threshold(says(x_0), 0.9)(x_0, torch.zeros(4))
        assert torch.allclose(ours, peer._threshold_sample(x_0), atol=1e-6)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_percentile_is_a_share(share):
    with pytest.raises(ValueError, match="share"):
        guidance.dynamic_threshold(says(torch.zeros(1)), share)


def test_rescaling_is_finite_where_no_signal_is_left():
    schedule = schedules.zero_terminal(schedules.linear())
    x, t = torch.randn(4, 2), torch.full((4,), 1000)
    told = guidance.rescale(lambda x, t: 0 * x + 2, lambda x, t: 0 * x, schedule)(x, t)
    torch.testing.assert_close(told, torch.full((4, 2), 2.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_dynamic_threshold_takes_half_precision(dtype):
    x = torch.linspace(-3, 3, 64).view(2, 32)
    held = guidance.dynamic_threshold(lambda x, t: x)
    found = held(x.to(dtype), torch.ones(2))
    torch.testing.assert_close(found, held(x, torch.ones(2)), atol=0.02, rtol=0)


def test_a_condition_with_other_rows_is_named():
    def denoise(x_t, t, label):
        return x_t + label[:, None]

    x, t, label = torch.zeros(4, 2), torch.ones(4), torch.zeros(3)
    for guided in (
        guidance.given(denoise, {"label": label}),
        guidance.classifier_free(denoise, {"label": label}, {"label": label}, 2.0),
    ):
        with pytest.raises(ValueError, match="'label' has 3 rows for 4 examples"):
            guided(x, t)
