"""A system that draws: what it asks its parts, and what it leaves alone."""

import pytest
import torch
from torch import nn

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import cosine_vp, leading_times, scaled_linear, spaced_times
from course_lib.models.autoencoder import LatentSpace, Pixels
from course_lib.models.text_to_image import (
    TextToImage,
    draw,
    draw_over,
    emoji_system,
    fill_in,
    first_step,
    guided,
    shown,
)
from course_lib.models.tokenizer import Tokenizer

WORDS = {"": 0.0, "bright": 0.9, "dark": -0.9}
HOLE = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
HOLE[..., 1:3, 2:] = True


class Says(nn.Module):
    """Answers with the word's number everywhere, and notes what it was given."""

    def __init__(self):
        super().__init__()
        self.given = []

    def forward(self, x_t, t, *, word, beside=None):
        self.given.append((x_t, t, word, beside))
        return word[:, None, None, None].expand_as(x_t) + 0.1 * x_t


def system(times=spaced_times, scale=0.5, **more):
    net = Says()

    def read(prompts):
        return {"word": torch.tensor([WORDS[prompt] for prompt in prompts])}

    model = Denoiser(net, scaled_linear(), "x_0")
    space = LatentSpace(Pixels(), scale)
    made = TextToImage("words", read, model, space, times, scale=2.0, **more)
    return made, net


def test_a_picture_is_a_guided_walk_and_a_decoding():
    made, net = system(leading_times)
    found = draw(made, ["bright", "dark"], height=4, width=4, steps=3, seed=5, scale=1.0)
    noise = seeded_randn_like(5)(torch.empty(2, 3, 4, 4))
    word = torch.tensor([0.9, -0.9])

    def alone(x_t, t):
        return word[:, None, None, None] + 0.1 * x_t

    schedule = made.schedule
    z = sample(ddim_step, alone, schedule, noise, leading_times(schedule, 3))
    torch.testing.assert_close(found, (z / 0.5).clamp(-1, 1))
    assert [int(t[0]) for _, t, *_ in net.given] == [668, 335, 2]


def test_guidance_goes_from_the_negative_prompt_through_the_prompt():
    made, _ = system()
    x_t, t = torch.randn(1, 3, 4, 4), torch.tensor([500])
    for negative, scale, word in (("", None, 1.8), ("dark", 3.0, 4.5), ("dark", 1.0, 0.9)):
        found = guided(made, ["bright"], negative, scale)(x_t, t)
        torch.testing.assert_close(found, word + 0.1 * x_t)


def test_a_walk_from_a_picture_takes_the_last_steps():
    assert [first_step(s, 10) for s in (0.0, 0.05, 0.36, 0.8, 1.0)] == [10, 10, 7, 2, 0]
    with pytest.raises(ValueError, match="strength must be 0"):
        first_step(-0.1, 10)
    made, net = system()
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    draw_over(made, x, ["bright", "dark"], strength=0.5, steps=4, seed=3)
    z_t, t = net.given[0][:2]
    assert [int(t[0]) for _, t, *_ in net.given] == [500, 250]
    alpha, sigma = made.schedule(t[:2], like=x)
    noise = seeded_randn_like(3)(x)
    torch.testing.assert_close(z_t[:2], alpha * 0.5 * x + sigma * noise)
    assert torch.equal(draw_over(made, x, ["bright", "dark"], strength=0.0), x)


def test_what_is_around_a_hole_is_told_and_comes_back():
    made, net = system()
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    found = fill_in(made, x, HOLE, ["bright", "dark"], steps=4, seed=3)
    outside = ~HOLE.expand_as(x)
    assert torch.equal(found[outside], x[outside])
    assert not torch.equal(found, x)
    noise, inside = seeded_randn_like(3)(x), HOLE.expand_as(x)
    first = net.given[0][0][:2]
    assert torch.equal(first[inside], noise[inside])
    # Around the hole every state is the noised picture, with the noise of the start.
    for z_t, t, *_ in net.given:
        alpha, sigma = made.schedule(t[:2], like=x)
        expected = alpha * 0.5 * x + sigma * noise
        torch.testing.assert_close(z_t[:2][outside], expected[outside], atol=1e-5, rtol=0)


def test_a_network_that_sees_the_hole_gets_it_and_a_grey_picture():
    made, net = system(beside=True)
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    fill_in(made, x, HOLE, ["bright", "dark"], steps=2, seed=3)
    z_t, _, word, beside = net.given[0]
    assert len(z_t) == len(beside) == len(word) == 4  # both sides of guidance
    assert word.tolist() == pytest.approx([0.9, -0.9, 0.0, 0.0])
    torch.testing.assert_close(beside[:2, :1], HOLE.float().expand(2, -1, -1, -1))
    torch.testing.assert_close(beside[2:, 1:], 0.5 * torch.where(HOLE, 0.0, x))
    assert torch.equal(z_t[:2], seeded_randn_like(3)(x))


def test_sizes_and_schedules_that_do_not_fit_are_refused():
    made, _ = system()
    with pytest.raises(ValueError, match="multiples of 1, got 0 x 4"):
        draw(made, ["dark"], height=0, width=4)
    other = TextToImage("x", made.read, Denoiser(Says(), cosine_vp, "x_0"), made.space)
    with pytest.raises(ValueError, match="DiscreteSchedule"):
        draw(other, ["dark"], height=4, width=4)


def test_a_walk_can_be_watched():
    seen = []
    told = shown(lambda x_t, t: x_t / 2, lambda x_t, t, x_0: seen.append((x_t, t, x_0)))
    x, t = torch.ones(1, 2), torch.tensor([3])
    assert torch.equal(told(x, t), x / 2)
    assert torch.equal(seen[0][2], x / 2) and len(seen) == 1


def test_the_courses_own_system_reads_rows_of_its_tokenizer():
    model = Denoiser(nn.Linear(1, 1), scaled_linear(), "v")
    tokenizer = Tokenizer(())
    made = emoji_system(model, LatentSpace(Pixels(), 1.0), tokenizer)
    assert torch.equal(made.read(["a", "b"])["tokens"], tokenizer.batch(["a", "b"], 24))
    assert made.scale == 3.0 and "emoji" in made.name and made.times is spaced_times
