"""Chapter 5: every solution passes, and the wrong answers that tests/test_exercises.py runs."""

import pytest
import torch

from course_lib.exercises.ch05 import (
    check_repaired_loss,
    check_ring,
    check_target,
    check_trace,
)


def parts(score, x):
    """|s|² / 2 and tr J for each example, differentiable."""
    x = x.clone().requires_grad_()
    s = score(x)
    rows = [
        torch.autograd.grad(s[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])
    ]
    return s.square().sum(1) / 2, sum(rows)


def v_jacobian(score, x, v):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((score(x) * v).sum(), x)[0]


def hutchinson(score, x, v):
    return (v_jacobian(score, x, v) * v).sum(1)


def of_parts(combine):
    return lambda score, x: combine(*parts(score, x))


def ring(loss, best=lambda w: 1 / w**2):
    return lambda k, w: (loss(k, w), best(w))


def right_loss(k, w):
    return k**2 * w**2 / 2 - k


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_trace, v_jacobian, "a vector for each example"),
    (check_trace, lambda s, x, v: v_jacobian(s, x, v).sum(1), "without weighing them"),
    (check_trace, lambda s, x, v: hutchinson(s, x, v).sum(), "examples are mixed"),
    (check_trace, lambda s, x, v: hutchinson(s, x, v).mean(), "examples are mixed"),
    (check_trace, lambda s, x, v: (v_jacobian(s, x, v) * x).sum(1), "not x"),
    (check_trace, lambda s, x, v: parts(s, x)[1], "backward pass per coordinate"),
    (check_trace, lambda s, x, v: (s(x) * v).sum(1), "still to be differentiated"),
    (check_trace, lambda s, x, v: v_jacobian(s, x, v) * v, "now add them up"),
    (check_trace, lambda s, x, v: (v_jacobian(s, x, v) * v).sum(0), "examples are mixed"),
    (check_trace, lambda s, x, v: v_jacobian(s, x, v) @ v.T, "examples are mixed"),
    (check_trace, lambda s, x, v: hutchinson(s, x, v)[:, None], "return [batch]"),
    (check_trace, lambda s, x, v: hutchinson(s, x, v) / 3, "A trace is a sum"),
    (check_trace, lambda s, x, v: -hutchinson(s, x, v), "the sign"),
    (check_trace, lambda s, x, v: (v_jacobian(s, x, 0 * v + 1) * v).sum(1), "weighs the rows"),
    (check_trace, lambda s, x, v: v_jacobian(s, x, 0 * v + 1).sum(1), "weighs the rows"),
    (check_trace, lambda s, x, v: hutchinson(s, x, v) + (s(x) * v).sum(1) ** 2 / 2, "the sliced"),
    (check_trace, lambda s, x, v: hutchinson(s, v, x), "it is not v · J v"),
    (check_trace, lambda s, x, v: 2 * hutchinson(s, x, v), "it is not v · J v"),
    (check_repaired_loss, of_parts(lambda q, t: q.sum() - t), "both mistakes"),
    (check_repaired_loss, of_parts(lambda q, t: q.sum() + t), "without dim"),
    (check_repaired_loss, of_parts(lambda q, t: q - t), "a valley"),
    (check_repaired_loss, of_parts(lambda q, t: 2 * q + t), "half of the score"),
    (check_repaired_loss, of_parts(lambda q, t: t - q), "must be a penalty"),
    (check_repaired_loss, of_parts(lambda q, t: (q + t).mean()), "average later"),
    (check_repaired_loss, of_parts(lambda q, t: q), "the divergence is missing"),
    (check_repaired_loss, of_parts(lambda q, t: 2 * q / 3 + t), "not their mean"),
    (check_repaired_loss, of_parts(lambda q, t: q + t / 2), "counts whole"),
    (check_repaired_loss, of_parts(lambda q, t: q.sqrt() + t), "it is not |s|²"),
    (check_repaired_loss, of_parts(lambda q, t: (q + t).tolist()), "no gradient"),
    (check_repaired_loss, of_parts(lambda q, t: q + t.detach()), "the divergence carries no"),
    (check_repaired_loss, of_parts(lambda q, t: q.detach() + t), "detach neither"),
    (check_repaired_loss, of_parts(lambda q, t: (q + t).detach()), "no gradient"),
    (check_ring, lambda k, w: right_loss(k, w), "two numbers"),
    (check_ring, ring(lambda k, w: k**2 * w**2 / 2 + k), "across is -k"),
    (check_ring, ring(lambda k, w: k**2 * w**2 / 2 - 2 * k), "two directions"),
    (check_ring, ring(lambda k, w: k**2 * w**2 - k), "with a half"),
    (check_ring, ring(lambda k, w: k * w**2 / 2 - k), "has k²"),
    (check_ring, ring(lambda k, w: k**2 * w / 2 - k), "is a variance"),
    (check_ring, ring(lambda k, w: -k), "and it costs"),
    (check_ring, lambda k, w: (1 / w**2, right_loss(k, w)), "comes first"),
    (check_ring, ring(lambda k, w: k**2 * w**2 / 2), "falls with slope -k"),
    (check_ring, ring(lambda k, w: k**2 * w**2 / 2 - 1), "falls with slope -k"),
    (check_ring, ring(lambda k, w: -right_loss(k, w)), "both signs"),
    (check_ring, ring(right_loss, lambda w: 2 / w**2), "a factor of 2"),
    (check_ring, ring(right_loss, lambda w: -0.5 / w**2), "the least loss"),
    (check_ring, ring(right_loss, lambda w: 1 / w), "units"),
    (check_ring, ring(right_loss, lambda w: w**2), "upside down"),
    (check_ring, ring(right_loss, lambda w: 0.0), "is not 0 there"),
    (check_target, lambda x, x_0, s: (x - x_0) / s**2, "turn the arrow round"),
    (check_target, lambda x, x_0, s: (x_0 - x) / s, "divides twice"),
    (check_target, lambda x, x_0, s: x_0 - x, "the way between"),
    (check_target, lambda x, x_0, s: -x / s**2, "noise around 0"),
    (check_target, lambda x, x_0, s: x_0, "a denoiser's target"),
    (check_target, lambda x, x_0, s: (x_0 - x) / s**3, "the wrong length"),
    (check_target, lambda x, x_0, s: (x_0 - x) / 0.3**2, "the function's own sigma"),
    (check_target, lambda x, x_0, s: (x_0 - x) / (2 * s**2), "brings a 2"),
    (check_target, lambda x, x_0, s: -((x - x_0) ** 2).sum(1) / (2 * s**2), "for each point"),
    (check_target, lambda x, x_0, s: ((x_0 - x) / s**2).mean(), "for each point"),
    (check_target, lambda x, x_0, s: -((x - x_0) ** 2) / (2 * s**2), "log N itself"),
    (check_target, lambda x, x_0, s: x, "it is not the gradient"),
    (check_trace, lambda s, x, v: hutchinson(s, x, torch.randn_like(v)), "a vector of your own"),
    (check_trace, lambda s, x, v: hutchinson(s, x, v) / len(x), "Differentiate the sum"),
    (
        check_trace,
        lambda s, x, v: hutchinson(s, x, torch.nn.functional.normalize(v, dim=1)),
        "by its length",
    ),
    (check_trace, lambda s, x, v: hutchinson(s, x, v.sign()), "the signs of v"),
    (check_repaired_loss, of_parts(lambda q, t: q.mean() / 3 + t), "as a sum does"),
    (
        check_repaired_loss,
        of_parts(lambda q, t: q.mean() + t),
        "as a sum does",
    ),
    (check_ring, ring(lambda k, w: k**2 * w**2 - 2 * k), "both directions"),
    (check_ring, ring(lambda k, w: -0.5 / w**2), "at the k that is given"),
    (
        check_target,
        lambda x, x_0, sigma: torch.nn.functional.normalize(x_0 - x, dim=1),
        "every arrow has length 1",
    ),
]


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (check_trace, hutchinson),
        (check_repaired_loss, of_parts(lambda q, t: q + t)),
        (check_ring, ring(right_loss)),
        (check_target, lambda x, x_0, s: (x_0 - x) / s**2),
    ],
)
def test_solution_passes(check, solution) -> None:
    assert check(solution)
