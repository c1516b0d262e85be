"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch23 import (
    check_adaptive,
    check_missing,
    check_straight,
    check_unscaled,
)


def grads(first, second, at):
    return [torch.autograd.grad(one, at.weight, retain_graph=True)[0] for one in (first, second)]


def straight(h, rounded):
    return h + (rounded - h).detach()


def adaptive(first, second, at):
    a, b = grads(first, second, at)
    return (a.norm() / (b.norm() + 1e-6)).detach()


def unscaled(bar, c):
    return bar / (bar + c**2 * (1 - bar))


def missing(c):
    own = c.diagonal()
    sizes = 0.5 * (own - 1 - own.log()).sum()
    return 0.5 * (own.log().sum() - torch.logdet(c)), sizes


def swapped(c):
    between, sizes = missing(c)
    return sizes, between


def ratio(measure, add=1e-6):
    def answer(first, second, at):
        a, b = grads(first, second, at)
        return measure(a) / (measure(b) + add)

    return answer


def with_gradient(first, second, at):
    a, b = (torch.autograd.grad(one, at.weight, create_graph=True)[0] for one in (first, second))
    return a.norm() / (b.norm() + 1e-6)


def leaves_gradients(first, second, at):
    pulls = []
    for one in (first, second):
        before = torch.zeros_like(at.weight) if at.weight.grad is None else at.weight.grad.clone()
        one.backward(retain_graph=True)
        pulls.append((at.weight.grad - before).norm())
    return pulls[0] / (pulls[1] + 1e-6)


def adds_up(first, second, at):
    first.backward(retain_graph=True)
    pull = at.weight.grad.norm()
    second.backward(retain_graph=True)
    return pull / (at.weight.grad.norm() + 1e-6)


def frees_the_graph(first, second, at):
    (b,) = torch.autograd.grad(second, at.weight, retain_graph=True)
    (a,) = torch.autograd.grad(first, at.weight)
    return a.norm() / (b.norm() + 1e-6)


def test_right_answers_pass() -> None:
    assert check_straight(straight)
    assert check_straight(lambda h, rounded: rounded.detach() + h - h.detach())
    assert check_adaptive(adaptive)
    assert check_unscaled(unscaled)
    assert check_unscaled(lambda bar, c: float(unscaled(bar, c)))
    assert check_unscaled(lambda bar, c: 1 / (1 + c**2 * (1 / bar - 1)))
    assert check_missing(missing)
    assert check_missing(lambda c: torch.stack(missing(c)))


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_straight, lambda h, r: h, "nothing is rounded"),
    (check_straight, lambda h, r: r, "none to the encoder"),
    (check_straight, lambda h, r: r.detach(), "no gradient passes"),
    (check_straight, lambda h, r: h + (r - h), "none to the encoder"),
    (check_straight, lambda h, r: r + h - h.detach(), "their own square alone"),
    (check_straight, lambda h, r: r.detach() + 2 * (h - h.detach()), "unchanged"),
    (check_straight, lambda h, r: h + r, "rounded latents, to the digit"),
    (check_straight, lambda h, r: r.sum(), "the shape of h"),
    (check_adaptive, lambda a, b, at: 1 / adaptive(a, b, at), "upside down"),
    (check_adaptive, lambda a, b, at: (a / b).detach(), "compares the losses"),
    (check_adaptive, ratio(lambda g: g.square().sum()), "squares of the lengths"),
    (check_adaptive, ratio(lambda g: g.sum()), "cancel"),
    (check_adaptive, ratio(lambda g: g.abs().max()), "not the ratio"),
    (check_adaptive, lambda a, b, at: grads(a, b, at)[0].norm(), "divide by the critic"),
    (check_adaptive, lambda a, b, at: grads(a, b, at)[0], "one number"),
    (check_adaptive, with_gradient, "Detach"),
    (check_adaptive, ratio(lambda g: g.norm(), 0), "divide by 0"),
    (check_unscaled, lambda bar, c: bar, "changes nothing"),
    (check_unscaled, lambda bar, c: unscaled(bar, 1 / c), "the wrong way: large latents"),
    (check_unscaled, lambda bar, c: unscaled(bar, c**0.5), "by its square"),
    (check_unscaled, lambda bar, c: bar / c**2, "you divide alpha_bar alone"),
    (check_unscaled, lambda bar, c: bar / (1 - bar) / c**2, "Solve for alpha_bar itself"),
    (
        check_unscaled,
        lambda bar, c: bar**0.5 / (bar**0.5 + c * (1 - bar) ** 0.5),
        "their *squares* add up",
    ),
    (check_unscaled, lambda bar, c: 1 / (1 + c**2 * (1 - bar) / bar) * (bar / bar), "it is nan"),
    (check_unscaled, lambda bar, c: unscaled(bar, c) + 0.1, "it is 0.0588, not"),
    (check_unscaled, lambda bar, c: torch.stack([bar, bar]), "one alpha_bar out"),
    (check_missing, swapped, "other order"),
    (check_missing, lambda c: [2 * part for part in missing(c)], "1/2"),
    (check_missing, lambda c: (-missing(c)[0], missing(c)[1]), "never negative"),
    (check_missing, lambda c: (sum(missing(c)), missing(c)[1]), "the whole KL"),
    (check_missing, lambda c: (-0.5 * torch.logdet(c), missing(c)[1]), "correlations"),
    (check_missing, lambda c: (missing(c)[0], 0.5 * (c.diagonal() - 1).sum()), "logarithm"),
    (check_missing, lambda c: (0.0, missing(c)[1]), "product of its margins"),
    (check_missing, lambda c: (missing(c)[0], 0.0), "each margin"),
    (check_missing, lambda c: sum(missing(c)), "two numbers"),
    (check_adaptive, ratio(lambda g: g.abs().mean()), "means of absolute values"),
    (check_adaptive, leaves_gradients, "leaves `.grad` alone"),
    (check_missing, lambda c: [part / math.log(2) for part in missing(c)], "bits"),
    (check_missing, lambda c: [part / len(c) for part in missing(c)], "per latent"),
    (
        check_missing,
        lambda c: (missing(c)[0], 0.5 * (c.diagonal() - c.diagonal().log()).sum()),
        "the -1 is missing",
    ),
    (check_adaptive, frees_the_graph, "the graph is gone"),
    (check_adaptive, adds_up, "has the first one in it"),
    (check_missing, lambda c: (missing(c)[0], sum(missing(c))), "that variances alone"),
    (
        check_missing,
        lambda c: (missing(c)[0], 0.5 * (c.diagonal() - 1 + c.diagonal().log()).sum()),
        "too narrow costs too",
    ),
    (
        check_missing,
        lambda c: (missing(c)[0], 0.5 * (1 / c.diagonal() - 1 + c.diagonal().log()).sum()),
        "the other way round",
    ),
    (check_missing, lambda c: (missing(c)[0], missing(c.abs().sqrt())[1]), "not deviations"),
]
