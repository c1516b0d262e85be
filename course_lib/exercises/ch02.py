"""The exercises of chapter 2: the KL term, a draw with gradients, a lost half, and collapse."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import NotYet, equal, exercise, reject, require


@exercise("the KL term, in nats, one number for each example")
def check_kl_to_prior(kl_to_prior: Callable[..., Any]) -> None:
    """Exercise 1: KL(N(mean, exp(log_var)) || N(0, I)) of each example."""
    mean, log_var = torch.randn(2, 5, 3)
    answer = kl_to_prior(mean, log_var)
    require(
        isinstance(answer, Tensor), f"return a tensor, [batch]; yours is a {type(answer).__name__}."
    )
    each = 0.5 * (mean**2 + log_var.exp() - 1 - log_var)
    as_std = 0.5 * (mean**2 + (2 * log_var).exp() - 1 - 2 * log_var)
    reject(equal(answer, 2 * each.sum(1)), "the half is missing: it belongs to all four terms.")
    reject(equal(answer, -each.sum(1)), "the sign is turned: a divergence is never negative.")
    reject(equal(answer, each), "this is one number for each coordinate. Add them up.")
    reject(
        equal(answer, each.mean(1)),
        "you average over the coordinates, which is beta = 1 / latent in disguise. Add them up.",
    )
    reject(answer.ndim == 0, "this is one number for the whole batch. Keep one for each example.")
    reject(
        equal(answer, each.sum(0)) or equal(answer, each.mean(0)),
        "you go over the batch. Add up over the coordinates, and keep the examples apart.",
    )
    reject(
        equal(answer, as_std.sum(1)),
        "you read log_var as the logarithm of the standard deviation. It is that of the variance.",
    )
    reject(
        equal(answer, each.sum(1) + 1.5) or equal(answer, (each + 0.5 * log_var).sum(1)),
        "a term is missing: for mean 0 and log-variance 0 the divergence is 0, and it grows without"
        " bound as q narrows.",
    )
    reject(
        equal(answer, (each + 0.5 * (mean**2 + log_var.exp() - 1)).sum(1))
        or equal(answer, (each + 0.5 * (log_var.exp() - 1 - log_var)).sum(1))
        or equal(answer, (each - 0.5 * log_var).sum(1)),
        "the half is in front of some terms only: it belongs to all four.",
    )
    reject(
        equal(answer, each.sum(1) + 1.0),
        "the -1 belongs to each coordinate: put it inside the sum.",
    )
    reject(
        equal(answer, (each + log_var).sum(1)),
        "the logarithm has the wrong sign: the divergence grows as q narrows.",
    )
    reject(
        equal(answer, (each - 0.5 * mean**2).sum(1))
        or equal(answer, (each + 0.5 * (mean - mean**2)).sum(1)),
        "the mean enters by its square, whatever its sign.",
    )
    reject(
        equal(answer, 0.5 * ((1 + mean**2) / log_var.exp() - 1 + log_var).sum(1)),
        "that is KL(prior || q). Here q stands first: the average is taken under q.",
    )
    reject(
        equal(answer, 0.5 * (mean**2 + (2 * log_var).exp() - 1 - log_var).sum(1))
        or equal(answer, 0.5 * (mean**2 + (0.5 * log_var).exp() - 1 - log_var).sum(1))
        or equal(answer, 0.5 * (mean**2 + (0.5 * log_var).exp() - 1 - 0.5 * log_var).sum(1)),
        "the variance s² is exp(log_var) as it stands: neither its root nor its square.",
    )
    reject(
        bool(answer.isnan().any()),
        "a logarithm of what may be negative. log_var is a logarithm already: s² is exp(log_var).",
    )
    reject(equal(answer, each.sum(1) / math.log(2)), "that is in bits. Asked for are nats.")
    reject(
        answer.shape != each.sum(1).shape,
        f"its shape is {list(answer.shape)}; wanted is one number per example, [{len(each)}].",
    )
    require(equal(answer, each.sum(1)), "it does not equal the divergence of the two Gaussians.")


@exercise("a draw from q through which both gradients pass")
def check_sample_posterior(sample_posterior: Callable[..., Any]) -> None:
    """Exercise 2: the reparametrised draw, its values and its gradients."""
    mean = torch.randn(6, 3, requires_grad=True)
    log_var = torch.randn(6, 3, requires_grad=True)
    eps = torch.randn(6, 3)
    z = sample_posterior(mean, log_var, eps)
    right = mean + (0.5 * log_var).exp() * eps
    require(
        isinstance(z, Tensor),
        f"return a tensor; yours is a {type(z).__name__}, and no gradient passes through that.",
    )
    reject(
        z.shape != mean.shape,
        f"its shape is {list(z.shape)}; z has the shape of `mean`, {list(mean.shape)}.",
    )
    reject(
        equal(z, mean + log_var.exp() * eps),
        "you scale the noise by the variance. Its root is exp(log_var / 2).",
    )
    reject(
        equal(z, mean + log_var * eps),
        "you scale the noise by the logarithm itself, which may be negative. Use exp(log_var / 2).",
    )
    reject(
        equal(z, mean + eps),
        "the noise has always size 1: log_var is not used.",
    )
    reject(equal(z, mean), "there is no noise in it: this is the middle of q, not a draw.")
    reject(
        equal(z, mean + (-0.5 * log_var).exp() * eps),
        "your noise is small where q is wide: the root of exp(a) is exp(a / 2), without a minus.",
    )
    reject(
        equal(z, mean + (2 * log_var).exp() * eps),
        "the root of exp(a) is exp(a / 2), not exp(2 a).",
    )
    reject(
        equal(z, mean + 0.5 * log_var.exp() * eps),
        "the half belongs inside the exponential: the root of exp(a) is exp(a / 2).",
    )
    reject(equal(z, right - mean), "the noise is right, and the mean is missing.")
    reject(
        equal(z, mean + 0.5 * log_var * eps),
        "half of the logarithm is not yet a standard deviation: exp is missing.",
    )
    reject(
        equal(z, mean - (right - mean)),
        "the noise is taken away. (The law is the same, but not the draw: add it.)",
    )
    reject(
        not equal(z, sample_posterior(mean, log_var, eps)),
        "two calls with one eps differ: you draw noise of your own. Use the eps that is given.",
    )
    reject(
        not equal(z, right),
        "this is no draw made of the `eps` that was given, or not the right one. The same eps must"
        " give the same z.",
    )
    require(
        bool(z.requires_grad), "the values are right, but no gradient can pass: it is detached."
    )
    along_mean, along_log_var = torch.autograd.grad(
        z.sum(), (mean, log_var), allow_unused=True, retain_graph=False
    )
    require(along_mean is not None, "no gradient reaches `mean`.")
    require(
        along_log_var is not None,
        "no gradient reaches `log_var`: the encoder could never learn how sure to be.",
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
