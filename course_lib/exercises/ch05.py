"""The exercises of chapter 5: a trace, a sign, a circle, and the target of denoising."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion.score_matching import divergence
from course_lib.exercises.checking import equal, exercise, reject, require

MATRIX = torch.tensor([[-1.0, 0.5, 0.2], [0.1, -2.0, -0.6], [0.3, 0.4, 0.7]])


def _score(x: Tensor) -> Tensor:
    """A field whose Jacobian is not symmetric and differs from point to point."""
    return x @ MATRIX.T + 0.3 * x.square().roll(1, dims=1)


def _jacobian(x: Tensor) -> Tensor:
    """d s_i / d x_j: [batch, i, j]."""
    return MATRIX + 0.6 * torch.diag_embed(x).roll(1, dims=1)


@exercise("one vector, one backward pass, and the right trace on average")
def check_trace(trace: Callable[..., Any]) -> None:
    """Exercise 1: v · J v for each example (Hutchinson's estimator)."""
    x, v = torch.randn(2, 5, 3)
    jacobian = _jacobian(x)
    once = torch.einsum("bi,bij->bj", v, jacobian)
    right = (once * v).sum(1)
    ours = trace(_score, x.clone(), v.clone())
    reject(
        equal(ours, once),
        "that is v · J, a vector for each example. Multiply by v once more, and add up.",
    )
    reject(
        equal(ours, once * v),
        "the products of v · J and v are there; now add them up over the coordinates (dim=1).",
    )
    reject(
        equal(ours, once.sum(1)),
        "you added up the coordinates of v · J without weighing them by v: on average that is 0.",
    )
    reject(
        equal(ours, right.sum())
        or equal(ours, right.mean())
        or equal(ours, (once * v).sum(0))
        or equal(ours, once @ v.T),
        "examples are mixed. Sum over coordinates (dim=1), and keep one number per example.",
    )
    reject(equal(ours, right[:, None]), "the shape is [batch, 1]; return [batch].")
    reject(equal(ours, right / 3), "that is the mean over coordinates. A trace is a sum.")
    reject(equal(ours, -right), "the sign: Hutchinson's estimate is + v · J v.")
    reject(
        equal(ours, (jacobian.sum(1) * v).sum(1)) or equal(ours, jacobian.sum((1, 2))),
        "that is the gradient of the sum of s. Differentiate v · s, so that v weighs the rows.",
    )
    reject(
        equal(ours, right + (_score(x) * v).sum(1).square() / 2)
        or equal(ours, right + _score(x).square().sum(1) / 2),
        "that is the sliced loss. Here only its trace is asked for.",
    )
    reject(
        equal(ours, (once * x).sum(1)),
        "the second factor is v, not x: the estimator is v · J v.",
    )
    reject(
        equal(ours, divergence(_score, x)[1]),
        "that is the exact trace, which takes a backward pass per coordinate. Use v.",
    )
    reject(
        equal(ours, (_score(x) * v).sum(1)),
        "that is v · s, still to be differentiated: its gradient for x is v · J.",
    )
    reject(
        not equal(ours, trace(_score, x.clone(), v.clone())),
        "two calls with one v differ: you draw a vector of your own. Use the v that is given.",
    )
    reject(
        equal(ours, right / len(x)),
        "the mean over the batch divides each gradient by its size. Differentiate the sum.",
    )
    unit = torch.nn.functional.normalize(v, dim=1)
    reject(
        equal(ours, torch.einsum("bi,bij,bj->b", unit, jacobian, unit)),
        "you divide v by its length. Then E[v vᵀ] is I / d, and the trace d times too small: take v"
        " as it is.",
    )
    signs = v.sign()
    reject(
        equal(ours, torch.einsum("bi,bij,bj->b", signs, jacobian, signs)),
        "you take the signs of v. Whoever calls chooses v, signs or not: take it as it is.",
    )
    require(equal(ours, right), "it is not v · J v, one number for each example.")


@exercise("the field converges at the data, and no example sees another")
def check_repaired_loss(loss: Callable[..., Any]) -> None:
    """Exercise 2: |s|² / 2 + tr J for each example (Hyvärinen 2005)."""
    x, strength = torch.randn(6, 3), torch.ones((), requires_grad=True)
    square, trace = _score(x).square().sum(1) / 2, divergence(_score, x)[1].detach()
    ours = loss(lambda x: strength * _score(x), x.clone())
    summed = square.sum()
    reject(
        equal(ours, summed - trace),
        "both mistakes are still there. First the sign: should the divergence at the data be"
        " positive or negative for a summit?",
    )
    reject(
        equal(ours, summed + trace),
        "the sign is right. But square().sum() without dim adds all examples together.",
    )
    reject(
        equal(ours, square - trace),
        "examples are apart now. But this loss is small where the field spreads out: a valley of"
        " the density. One sign is wrong.",
    )
    reject(equal(ours, 2 * square + trace), "the half is lost: this learns half of the score.")
    reject(
        equal(ours, -square - trace) or equal(ours, trace - square),
        "the first term must be a penalty: long arrows at the data cost |s|² / 2, with a plus.",
    )
    reject(
        equal(ours, (square + trace).mean()),
        "the value is right on average; return one number per example, and average later.",
    )
    reject(
        equal(ours, square / 1.5 + trace) or equal(ours, square / 3 + trace),
        "|s|² is a sum over coordinates, not their mean.",
    )
    reject(equal(ours, square), "the divergence is missing: without it the best field is 0.")
    reject(
        equal(ours, square + trace / 2),
        "the half belongs to |s|² alone. The divergence counts whole.",
    )
    reject(
        equal(ours, square.mean() + trace) or equal(ours, square.mean() / 3 + trace),
        "a mean mixes the examples as a sum does: each has a |s|² of its own. Sum over dim=1.",
    )
    require(equal(ours, square + trace), "it is not |s|² / 2 + tr J for each example.")
    require(
        torch.is_tensor(ours) and ours.requires_grad,
        "the numbers are right but carry no gradient: keep create_graph, and do not detach.",
    )
    (slope,) = torch.autograd.grad(ours.sum(), strength, allow_unused=True, materialize_grads=True)
    reject(
        equal(slope, 2 * square.sum(), atol=1e-3),
        "the numbers are right, but the divergence carries no gradient to the parameters: keep"
        " create_graph, and do not detach.",
    )
    require(
        equal(slope, (2 * square + trace).sum(), atol=1e-3),
        "the numbers are right, but not their gradient for the parameters: detach neither part.",
    )


@exercise("the loss is least at k = 1 / thickness², and falls without end as the ring gets thin")
def check_ring(ring_answer: Callable[..., Any]) -> None:
    """Exercise 3: k² thickness² / 2 - k, and its minimum."""
    for k, thickness in ((3.0, 0.2), (10.0, 0.1), (50.0, 0.5)):
        answer = ring_answer(k, thickness)
        require(
            isinstance(answer, tuple | list) and len(answer) == 2,
            "return two numbers: the loss, and the best k.",
        )
        loss, best = answer
        square = k**2 * thickness**2
        reject(equal(loss, 1 / thickness**2), "the loss comes first, then the best k.")
        reject(
            equal(loss, square / 2) or equal(loss, square / 2 - 1),
            "the trace: across the circle the field -k u falls with slope -k.",
        )
        reject(
            equal(loss, k - square / 2),
            "both signs are turned: the square is a penalty, and the trace is -k.",
        )
        reject(
            equal(loss, square / 2 + k),
            "the field points back to the circle, so its derivative across is -k.",
        )
        reject(
            equal(loss, square / 2 - 2 * k),
            "the trace has two directions, but along the circle the field does not change.",
        )
        reject(equal(loss, square - k), "the square comes with a half: (1/2) E |s|².")
        reject(
            equal(loss, k * thickness**2 / 2 - k),
            "the field is -k u, so its square has k²: the mean is k² thickness².",
        )
        reject(
            equal(loss, k**2 * thickness / 2 - k),
            "the mean of u² is a variance, thickness².",
        )
        reject(
            equal(loss, square - 2 * k),
            "you count both directions. Along the circle nothing happens: one direction, across.",
        )
        reject(
            equal(loss, -k),
            "on the bare circle the loss is -k. Here there is noise across it, and it costs.",
        )
        reject(
            equal(loss, -0.5 / thickness**2),
            "that is the least loss. Asked for is the loss at the k that is given.",
        )
        require(equal(loss, square / 2 - k), "the loss is not (1/2) E |s|² plus the trace.")
        reject(
            equal(best, 1 / thickness),
            "set the derivative k thickness² - 1 to 0. A score has units of 1 / length, and k,"
            " its slope, of 1 / length².",
        )
        reject(
            equal(best, 2 / thickness**2) or equal(best, 0.5 / thickness**2),
            "a factor of 2: the derivative of k² thickness² / 2 is k thickness².",
        )
        reject(
            equal(best, -0.5 / thickness**2),
            "that is the least loss. Return the k at which it is reached.",
        )
        reject(equal(best, thickness**2), "upside down: the thinner the ring, the harder the pull.")
        require(equal(best, 1 / thickness**2), "the derivative k thickness² - 1 is not 0 there.")


@exercise("back to where the point came from, over sigma squared")
def check_target(dsm_target: Callable[..., Any]) -> None:
    """Exercise 4: the gradient of log N(x̃; x, sigma² I), which is -eps / sigma."""
    x_0, eps = torch.randn(2, 8, 2)
    sigma = 0.4
    ours = dsm_target(x_0 + sigma * eps, x_0, sigma)
    reject(
        equal(ours, eps / sigma),
        "it points away from the clean point. A summit lies there: turn the arrow round.",
    )
    reject(
        equal(ours, -eps) or equal(ours, eps),
        "divided by sigma once, the difference is the noise itself. The score divides twice.",
    )
    reject(
        equal(ours, -sigma * eps) or equal(ours, sigma * eps),
        "that is the way between the points. A Gaussian's slope is that way over its variance.",
    )
    reject(
        equal(ours, -(x_0 + sigma * eps) / sigma**2),
        "that is the score of noise around 0. This noise lies around x_0.",
    )
    reject(
        equal(ours, x_0),
        "that is a denoiser's target. Tweedie turns it into a score: (x_0 - x_noisy) / sigma².",
    )
    require(
        torch.as_tensor(ours).shape == x_0.shape,
        "the target is an arrow for each point, shaped like x_0: keep the coordinates apart.",
    )
    reject(
        equal(ours, -eps / (2 * sigma)),
        "half as long as it should be: the derivative of the square brings a 2.",
    )
    reject(
        equal(ours, -eps.square() / 2),
        "that is log N itself, coordinate by coordinate. The target is its gradient.",
    )
    along = -torch.as_tensor(ours) / eps
    reject(
        not equal(ours, -eps / sigma)
        and bool((along > 0).all())
        and equal(along, along[0, 0].expand_as(eps)),
        "it points the right way but has the wrong length. Is it the function's own sigma, squared,"
        " below the line?",
    )
    reject(
        equal(ours, -torch.nn.functional.normalize(eps, dim=1)),
        "every arrow has length 1. A score is longer where the point is further away.",
    )
    require(equal(ours, -eps / sigma), "it is not the gradient of log N(x_noisy; x_0, sigma²).")
