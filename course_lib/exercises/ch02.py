"""The exercises of chapter 2: a prior's width, a tilted draw, a lost half, and collapse."""

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import NotYet, equal, exercise, reject, require


@exercise("the prior as wide as the codes, their own spread included")
def check_best_width(best_width: Callable[..., Any]) -> None:
    """Exercise 1: the width c of a prior N(0, c^2 I) that makes the average KL smallest."""
    shift, size = torch.tensor([[0.5, -1.5, 0.0], [1.5, 0.6, 1.0]])
    mean, log_var = shift + size * torch.randn(40, 3), torch.randn(40, 3) - 1
    c = torch.as_tensor(best_width(mean, log_var))
    square, var = mean**2, log_var.exp()
    right = (square + var).mean().sqrt()
    reject(
        c.numel() == 3 and equal(c.flatten(), (square + var).mean(0).sqrt()),
        "this is a width for each coordinate. The friend has one for all.",
    )
    require(c.numel() == 1, f"c is one number; yours has the shape {list(c.shape)}.")
    c = c.reshape(())
    reject(equal(c, right**2), "that is c². The width is its root.")
    reject(equal(c, 1 / right), "that is 1 / c: what you would multiply the codes by.")
    known = {
        "only the means are in it. Each q spreads around its mean, so codes lie further out.": (
            square.mean()
        ),
        "only the spreads are in it. The means lie away from 0 too.": var.mean(),
        "you take the mean of the means away. But the prior stands at 0, and the KL pays for"
        " every mean that does not.": (square + var).mean() - mean.mean() ** 2,
        "you read log_var as the logarithm of the deviation. It is that of the variance.": (
            square + var**2
        ).mean(),
        "you add up over coordinates. Each of them pays log c as well: average over all.": (
            square + var
        )
        .sum(1)
        .mean(),
        "that is best for KL(prior || q). Here q stands first.": 1 / (1 / var).mean(),
    }
    for why, guess in known.items():
        reject(equal(c, guess.sqrt()), why)
    reject(
        equal(c, mean.std()) or equal(c, mean.std(correction=0)),
        "that is the deviation of the"
        " means alone. Write the KL down, with m, s and c, before you look for its minimum.",
    )
    roots = ((square + var).sqrt(), (square + var).mean(1).sqrt(), (square + var).mean(0).sqrt())
    reject(
        any(equal(c, root.mean()) for root in roots),
        "you average roots. The average KL has squares in it: average them, then take one root.",
    )
    reject(equal(c, torch.ones(())), "1 is the chapter's prior. These codes would rather another.")

    def cost(width: Tensor) -> float:
        return float((width.log() + (square + var) / (2 * width**2)).sum(1).mean())

    require(
        equal(c, right, 1e-3),
        f"at your width, {float(c):.3f}, the average KL is {cost(c) - cost(right):.3f} nats larger"
        " than it need be.",
    )


@exercise("a draw with correlations through which both gradients pass")
def check_tilted_draw(tilted_draw: Callable[..., Any]) -> None:
    """Exercise 2: the reparametrised draw from a Gaussian with a full covariance."""
    mean = torch.randn(3, requires_grad=True)
    half = torch.tensor([[1.0, 0.0, 0.0], [-0.8, 0.5, 0.0], [0.3, 0.9, 0.4]])
    cov = (half @ half.T).requires_grad_()
    eps = torch.randn(6, 3)
    z = tilted_draw(mean, cov, eps)
    require(
        isinstance(z, Tensor),
        f"return a tensor; yours is a {type(z).__name__}, and no gradient passes through that.",
    )
    reject(
        z.shape != eps.shape,
        f"its shape is {list(z.shape)}; a row of noise makes a row of z, {list(eps.shape)}.",
    )
    reject(
        bool(z.isnan().any()),
        "there is nan in it. A covariance may be negative, so roots of its single entries will not"
        " do: you need a matrix A with A Aᵀ = cov.",
    )
    reject(
        not equal(z, tilted_draw(mean, cov, eps)),
        "two calls with one eps differ: you draw noise of your own. Use the eps that is given.",
    )
    reject(equal(z, mean + 0 * eps), "there is no noise in it: this is the middle, not a draw.")
    reject(
        equal(z, mean + cov.diagonal().sqrt() * eps),
        "each size is right, and the coordinates are independent: the rest of cov is not used.",
    )
    reject(
        equal(z, mean + eps @ cov),
        "you scale by the covariance. It is a square: find A with A Aᵀ = cov, and multiply by A.",
    )
    still = tilted_draw(mean, cov, torch.zeros(6, 3))
    reject(equal(still, torch.zeros(6, 3)), "the mean is missing: zero noise must give the mean.")
    require(equal(still, mean.expand(6, 3)), "zero noise must give the mean.")
    a = tilted_draw(mean, cov, torch.eye(3)) - mean  # its rows are what each noise does
    require(equal(z, mean + eps @ a), "z must be linear in eps: the mean and a matrix times eps.")
    reject(
        equal(a @ a.T, cov) and not equal(a.T @ a, cov),
        "your A has A Aᵀ = cov, and stands on the wrong side: eps holds its draws in *rows*, and"
        " (A e)ᵀ = eᵀ Aᵀ.",
    )
    require(
        equal(a.T @ a, cov),
        "the covariance of your draws is not cov. z = m + A e has the covariance A Aᵀ.",
    )
    require(
        bool(z.requires_grad), "the values are right, but no gradient can pass: it is detached."
    )
    along_mean, along_cov = torch.autograd.grad(z.sum(), (mean, cov), allow_unused=True)
    require(along_mean is not None, "no gradient reaches `mean`.")
    require(
        along_cov is not None,
        "no gradient reaches `cov`: the encoder could never learn how sure to be.",
    )


@exercise("one half, one wrong beta, and no symptom that crashes")
def check_forgot_the_half(the_odd_one: Callable[..., Any]) -> None:
    """Exercise 3: which of four losses has another beta, and which."""
    answer = the_odd_one()
    require(
        isinstance(answer, (tuple, list)) and len(answer) == 2,
        'give a pair: the letter in quotes, and the number beta, as in ("A", 1.0).',
    )
    letter = str(answer[0]).strip().upper()
    try:
        beta = float(answer[1])
    except (TypeError, ValueError):
        raise NotYet(f"the letter first, then beta as a number: {answer[1]!r} is none.") from None
    reject(letter == "A", "A is the loss of the chapter, beta = 1. Compare the others with it.")
    reject(letter == "B", "B is A times two, term by term. Both halves are gone, so none is lost.")
    reject(letter == "D", "D is A: the minus sign before the bracket turns each of its signs.")
    require(letter == "C", "the letter is one of A, B, C and D.")
    reject(
        abs(beta - 2) < 1e-6,
        "the letter is right. But scaled so that the square has its half, the KL counts less than"
        " before, not more.",
    )
    reject(
        abs(beta - 0.25) < 1e-6,
        "the letter is right. The KL's own half is part of the KL; do not count it twice.",
    )
    require(
        abs(beta - 0.5) < 1e-6, "the letter is right, beta is not: divide C by two and compare."
    )


@exercise("what collapses can be known before training")
def check_active_units(active_units: Callable[..., Any]) -> None:
    """Exercise 4: how many latent coordinates a linear VAE uses at its optimum."""
    values = torch.tensor([0.3, 5.0, 0.9, 2.5, 1.2, 0.05])

    def answers(*rest: float) -> int:
        count = torch.as_tensor(active_units(values, *rest))
        require(
            count.numel() == 1,
            f"return how many, one number; yours has the shape {list(count.shape)}.",
        )
        require(float(count).is_integer(), f"a count is a whole number, not {float(count):g}.")
        return int(count)

    reject(
        answers(1.0, 1.0, 2) > 2,
        "a model with 2 coordinates cannot use more than 2, whatever the data offers.",
    )
    reject(
        answers(0.5, 1.0, 6) == 1,
        "you count the directions that stay dark. Asked for are those that are used.",
    )
    reject(
        answers(0.5, 1.0, 6) == 4,
        "you compare variances with sigma. A variance compares with sigma squared.",
    )
    reject(
        answers(1.0, 1.0, 6) == 3 and answers(0.5, 1.0, 6) == 3 and answers(1.0, 0.5, 6) == 4,
        "sigma does not matter in your answer. It does: less noise, more directions above it.",
    )
    reject(
        answers(1.0, 1.0, 6) == 3 and answers(1.0, 0.5, 6) == 3,
        "beta does not matter in your answer. It does: it multiplies sigma squared.",
    )
    reject(
        answers(1.0, 0.5, 6) == 2,
        "you divide by beta. A small beta makes coordinates cheap, so more of them are used.",
    )
    reject(
        answers(1.0, 1.0, 6) == 6,
        "not all coordinates are used: a direction with less variance than the noise stays dark.",
    )
    reject(
        answers(1.0, 1.0, 3) == 1,
        "you look at the first `latent` eigenvalues as they come. They may come in any order: count"
        " all that are large enough, and no more than `latent`.",
    )
    reject(
        answers(1.0, 0.5, 6) == 5 and answers(1.0, 2.0, 6) == 1 and answers(1.5, 1.0, 6) == 2,
        "you square beta. It stands beside sigma², so it multiplies the variance as it is.",
    )
    reject(
        answers(1.0, 0.5, 6) == 5 and answers(1.0, 1.0, 6) == 3 and answers(1.5, 1.0, 6) == 0,
        "you take the root of the eigenvalues. They are variances, and so is sigma².",
    )
    for sigma, beta, latent in product((0.4, 0.7, 1.0, 1.5), (0.25, 0.5, 1.0, 2.0, 4.0), (6, 3)):
        right = min(latent, int((values > beta * sigma**2).sum()))
        ours = answers(sigma, beta, latent)
        require(
            ours == right,
            f"for sigma = {sigma}, beta = {beta}, latent = {latent} it is {right}, not {ours}.",
        )
