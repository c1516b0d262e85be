"""Four ways to fit a score to data: explicit, implicit, sliced and denoising score matching.

A score is a function of points, score(x) -> the gradient of log p at x; a network with a time is
one after `lambda x: net(x, t)`. Every loss sums over coordinates, keeps the papers' factor 1/2,
gives one number per example, and can be differentiated for the parameters of the score.
Built by hand in chapter 5.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.core.types import Data, PerExample

Score = Callable[[Tensor], Tensor]  # points -> the gradient of log p there, of the same shape
Projections = Float[Tensor, "projections batch *dims"]


def divergence(field: Score, x: Data) -> tuple[Data, PerExample]:
    """The field at x, and the trace of its Jacobian there: one backward pass per coordinate.

    Raises ValueError if the field's values are not shaped like x.
    """
    x, out = _evaluate(field, x)
    axes = torch.eye(x.shape[1:].numel(), dtype=x.dtype, device=x.device).view(-1, 1, *x.shape[1:])
    return out, torch.stack([_quadratic(out, x, axis.expand_as(x)) for axis in axes]).sum(0)


def hutchinson_divergence(field: Score, x: Data, v: Projections) -> tuple[Data, PerExample]:
    """The field at x, and an unbiased estimate of its divergence: the mean of v · J v over v.

    v   random vectors whose coordinates are independent, with mean 0 and variance 1, for instance
        torch.randn(projections, *x.shape). Random signs give the least variance (Hutchinson 1989)

    One backward pass per projection, however many coordinates there are.
    Raises ValueError unless v is one or more tensors shaped like x.
    """
    if v.shape[1:] != x.shape or len(v) == 0:
        raise ValueError(
            f"v must be [projections, *x.shape] with x.shape {list(x.shape)}, got {list(v.shape)}."
            " Use torch.randn(projections, *x.shape)"
        )
    x, out = _evaluate(field, x)
    return out, torch.stack([_quadratic(out, x, w.to(x.dtype)) for w in v]).mean(0)


def explicit_loss(score: Score, x: Data, exact: Data) -> PerExample:
    """|score - exact|² / 2: the Fisher divergence, if someone knows the exact score at x."""
    return _half_square(score(x) - exact)


def implicit_loss(score: Score, x: Data) -> PerExample:
    """|score|² / 2 + tr of its Jacobian (Hyvärinen 2005, theorem 1).

    On average over data this is `explicit_loss` minus a constant, provided that the density times
    the score vanishes at infinity. On data without a density it has no minimum.
    """
    out, trace = divergence(score, x)
    return _half_square(out) + trace


def sliced_loss(
    score: Score, x: Data, v: Projections, *, variance_reduced: bool = True
) -> PerExample:
    """v · J v + (v · score)² / 2, averaged over projections v (Song, Garg, Shi & Ermon 2019).

    variance_reduced   replace the second term by its known mean |score|² / 2; the random v must
                       then have variance 1 per coordinate. Without it any scale of v will do

    Raises ValueError unless v is one or more tensors shaped like x.
    """
    out, curved = hutchinson_divergence(score, x, v)
    if variance_reduced:
        return _half_square(out) + curved
    return curved + (out * v).flatten(2).sum(2).square().mean(0) / 2


def denoising_loss(score: Score, x_0: Data, sigma: float | Tensor, eps: Data) -> PerExample:
    """|score(x_0 + sigma eps) + eps / sigma|² / 2 (Vincent 2011; Song & Ermon 2019, eq. 5).

    Its optimum is the score of the noised data. This is `Denoiser(..., predicts="score").loss` at
    alpha = 1, times half the number of coordinates.

    sigma   standard deviation of the noise, above 0: a number, or a tensor that fits x_0

    Raises ValueError unless sigma is positive.
    """
    sigma = torch.as_tensor(sigma, dtype=x_0.dtype, device=x_0.device)
    if not bool((sigma > 0).all()):
        raise ValueError(f"sigma must be positive, got {float(sigma.min()):g}")
    return _half_square(score(x_0 + sigma * eps) + eps / sigma)


def _evaluate(field: Score, x: Data) -> tuple[Data, Data]:
    """A copy of x that gradients can reach, and the field there."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        out = field(x)
    if out.shape != x.shape:
        raise ValueError(
            f"the field must give a vector for each point, {list(x.shape)}; got {list(out.shape)}"
        )
    return x, out


def _quadratic(out: Data, x: Data, v: Data) -> PerExample:
    """v · J v with the Jacobian J of out at x, 0 if x is not in out.

    Differentiable, unless it is asked for under `torch.no_grad()`.
    """
    if not out.requires_grad:
        return x.new_zeros(len(x))
    # Examples do not interact, so one backward pass gives each of them its own v J.
    (pulled,) = torch.autograd.grad(
        out,
        x,
        v,
        retain_graph=True,
        create_graph=torch.is_grad_enabled(),
        materialize_grads=True,
    )
    return (pulled * v).flatten(1).sum(1)


def _half_square(x: Data) -> PerExample:
    return x.flatten(1).square().sum(1) / 2
