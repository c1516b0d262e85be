"""The small StyleGAN: styles enter where they should, and each player learns for itself."""

import pytest
import torch

from course_lib.models.style import (
    Critic,
    StyleGAN,
    StyleGenerator,
    mix,
    random_styles,
    style_gan_loss,
)


@pytest.fixture
def generator() -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(widths=(8, 6, 4), style=5).requires_grad_(False)


def test_a_picture_has_28_pixels_a_side_and_stays_in_range(generator):
    x = generator(torch.randn(3, 5))
    assert x.shape == (3, 1, 28, 28) and x.abs().max() <= 1


def test_only_the_direction_of_z_counts(generator):
    z = torch.randn(3, 5)
    torch.testing.assert_close(generator(z), generator(4 * z))


def test_one_style_everywhere_is_the_picture_of_z(generator):
    z = torch.randn(3, 5)
    assert torch.equal(generator(z), generator.synthesis(generator.everywhere(z)))


@pytest.mark.parametrize("layer", range(6))
def test_every_layer_s_style_changes_the_picture(generator, layer):
    styles = generator.everywhere(torch.randn(2, 5)).clone()
    other = styles.clone()
    other[:, layer] += 1
    assert not torch.equal(generator.synthesis(styles), generator.synthesis(other))


def test_another_number_of_styles_is_refused(generator):
    with pytest.raises(ValueError, match="need 6 styles a picture, got 4"):
        generator.synthesis(torch.randn(2, 4, 5))


def test_mixing_switches_at_the_crossover(generator):
    a, b = torch.randn(2, 2, 6, 5)
    mixed = mix(a, b, 2)
    assert torch.equal(mixed[:, :2], a[:, :2]) and torch.equal(mixed[:, 2:], b[:, 2:])
    assert torch.equal(mix(a, b, 6), a) and torch.equal(mix(a, b, 0), b)


@pytest.mark.parametrize(("mixing", "least", "most"), [(0.0, 0, 0), (1.0, 200, 200)])
def test_random_styles_mix_as_often_as_told(generator, mixing, least, most):
    styles = random_styles(generator, 200, mixing)
    mixed = (styles != styles[:, :1]).flatten(1).any(1).sum()
    assert least <= mixed <= most


def test_the_critic_sees_how_varied_a_batch_is():
    critic = Critic()
    x = torch.rand(4, 1, 28, 28)
    assert not torch.allclose(critic(x)[0], critic(x[:1].expand(4, -1, -1, -1))[0])


def test_each_player_s_gradient_comes_from_its_own_loss():
    """The generator's is minus what makes the critic's answer to its pictures rise, and the
    critic's does not hold the part of the generator's loss."""
    torch.manual_seed(0)
    model, x = StyleGAN(), torch.rand(8, 1, 28, 28) * 2 - 1
    torch.manual_seed(1)
    style_gan_loss(model, x.clone()).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}

    model.zero_grad()
    torch.manual_seed(1)
    made = model.generator.synthesis(random_styles(model.generator, 8, 0.9))
    torch.nn.functional.softplus(-model.critic(made)).mean().backward()
    for name, p in model.generator.named_parameters():
        torch.testing.assert_close(found[f"generator.{name}"], p.grad, atol=1e-6, rtol=1e-4)

    model.zero_grad()
    some = x[:2].clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(model.critic(some).sum(), some, create_graph=True)
    loss = 0.5 * slope.square().flatten(1).sum(1).mean()
    loss = loss + torch.nn.functional.softplus(model.critic(made.detach())).mean()
    loss = loss + torch.nn.functional.softplus(-model.critic(x)).mean()
    loss.backward()
    for name, p in model.critic.named_parameters():
        torch.testing.assert_close(found[f"critic.{name}"], p.grad, atol=1e-5, rtol=1e-4)
