"""The exercises of chapter 0: the noising line, the best guess, a step on the straight road."""

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, factors, reject, require


@exercise("signal and noise share the variance as alpha_bar says")
def check_noisy(noisy: Callable[..., Any]) -> None:
    """Exercise 1: x_t from x_0 and eps, given alpha_bar (Ho et al. 2020, eq. 4)."""
    x_0, eps = torch.randn(2, 4, 2)
    x_t = noisy(x_0, torch.tensor(0.36), eps)
    reject(
        equal(x_t, 0.36 * x_0 + 0.64 * eps),
        "these are shares of the variance. What multiplies a point is the root of its share.",
    )
    reject(
        equal(x_t, 0.6 * x_0 + 0.64 * eps),
        "the noise is multiplied by 1 - alpha_bar; the root of that is missing.",
    )
    reject(
        equal(x_t, 0.36 * x_0 + 0.8 * eps),
        "the signal is multiplied by alpha_bar; the root of it is missing.",
    )
    reject(
        equal(x_t, 0.8 * x_0 + 0.6 * eps) or equal(x_t, 0.64 * x_0 + 0.36 * eps),
        "signal and noise are swapped: with alpha_bar near 1 the point must be nearly clean.",
    )
    reject(
        equal(x_t, 0.6 * x_0 + 0.4 * eps),
        "the two factors add up to 1, but it is variances that must: squares of the factors.",
    )
    reject(
        equal(x_t, 0.36 * x_0 + (1 - 0.36**2) ** 0.5 * eps),
        "alpha_bar is taken for alpha. It is a share of the variance: the square of alpha.",
    )
    reject(equal(x_t, 0.6 * x_0 - 0.8 * eps), "noise is added: a plus before eps.")
    reject(
        equal(x_t, x_0 + 0.8 * eps),
        "the signal is not shrunk, so unit variance does not stay: root(alpha_bar) multiplies x_0.",
    )
    reject(
        not equal(x_t, noisy(x_0, torch.tensor(0.36), eps)),
        "each call gives another result, so you draw new noise. Use the eps that is given.",
    )
    require(
        equal(x_t, 0.6 * x_0 + 0.8 * eps),
        "x_t is not root(alpha_bar) x_0 + root(1 - alpha_bar) eps. (Here alpha_bar is 0.36.)"
        + factors(x_t, 0.6 * x_0 + 0.8 * eps, {"x_0": x_0, "eps": eps}),
    )
    clean = noisy(x_0, torch.tensor(1.0), eps)
    require(equal(clean, x_0), "right once. With alpha_bar = 1 all is signal: x_t must be x_0.")


@exercise("the mean of the examples, weighted by prior and likelihood")
def check_posterior_mean(posterior_mean: Callable[..., Any]) -> None:
    """Exercise 2: E[x_0 | x_t] for a finite number of examples, not all equally likely."""
    x_t, examples, alpha, sigma = torch.randn(6, 2), torch.randn(5, 2), 0.6, 0.8
    prior = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])
    even = torch.full((5,), 0.2)
    logits = -_squares(x_t, alpha * examples) / (2 * sigma**2)

    # With equal priors first: what goes wrong here has nothing to do with them.
    guess = posterior_mean(x_t, examples, even, alpha, sigma)
    reject(
        equal(guess, logits.softmax(1)),
        "these are the weights, and they are right. Now take the mean of the examples with them.",
    )
    reject(
        equal(guess, (logits * 0.2).softmax(1) @ examples),
        "the prior multiplies what stands inside the softmax. There, add its logarithm.",
    )
    reject(
        equal(guess, (logits * even.log()).softmax(1) @ examples),
        "the logarithm of the prior is added inside the softmax, not multiplied.",
    )
    reject(
        equal(guess, (-logits).softmax(1) @ examples),
        "the sign is wrong: the nearest example must get the largest weight.",
    )
    reject(
        equal(guess, logits.exp() @ examples) or equal(guess, (logits.exp() * 0.2) @ examples),
        "the weights of a guess must add up to 1. Divide by their sum: a softmax does.",
    )
    reject(
        equal(guess, 0.2 * logits.softmax(1) @ examples),
        "after the prior the weights no longer add up to 1: multiply first, then normalise.",
    )
    reject(
        equal(guess, logits.softmax(0) @ examples),
        "the softmax runs over the batch; for each x_t it must run over the examples (dim 1).",
    )
    for factor, why in {
        2 * sigma**2: "the squared distance is not divided by 2 sigma^2.",
        sigma**2: "the squared distance is divided by 2, but not by sigma^2.",
        2.0: "the squared distance is divided by sigma^2, but not by 2.",
        sigma: "the squared distance is divided by 2 sigma; the variance is sigma^2.",
    }.items():
        reject(equal(guess, (logits * factor).softmax(1) @ examples), why)
    reject(
        equal(guess, _guess(_squares(x_t / alpha, examples), sigma) @ examples),
        "dividing x_t by alpha makes its noise larger too: sigma / alpha. Shrink the examples.",
    )
    reject(
        equal(guess, _guess(_squares(alpha * x_t, examples), sigma) @ examples),
        "you shrink x_t by alpha. It is there already; it is the examples that alpha shrinks.",
    )
    reject(
        equal(guess, _guess(_squares(x_t, examples), sigma) @ examples),
        "alpha is forgotten: the noisy copies of an example lie around alpha times the example.",
    )
    reject(
        equal(guess, _guess(torch.cdist(x_t, alpha * examples), sigma) @ examples),
        "the distance is not squared.",
    )
    reject(
        equal(guess, examples[logits.argmax(1)]),
        "that is the most likely example. Asked for is the mean of all, by their weights.",
    )
    reject(
        equal(guess, alpha * logits.softmax(1) @ examples),
        "the weights are right, but they weigh alpha times the examples: the guess is of x_0.",
    )
    require(
        equal(guess, logits.softmax(1) @ examples),
        "even with equal priors this is not the weighted mean of the examples.",
    )

    guess = posterior_mean(x_t, examples, prior, alpha, sigma)
    reject(
        equal(guess, logits.softmax(1) @ examples),
        "right when all examples are equally likely, but the prior changes nothing.",
    )
    reject(
        equal(guess, (logits + prior).softmax(1) @ examples),
        "the prior is added inside the softmax. To multiply by a number there, add its logarithm.",
    )
    reject(
        equal(guess, (logits - prior.log()).softmax(1) @ examples),
        "the sign of the logarithm is wrong: a rare example must count less.",
    )
    require(
        equal(guess, (logits + prior.log()).softmax(1) @ examples),
        "with unequal priors this is not the posterior mean.",
    )


@exercise("a step goes the share (t - s) / t of the way from x_t to the guess")
def check_step(straight_step: Callable[..., Any]) -> None:
    """Exercise 3: x_s on the path x_t = (1 - t) x_0 + t eps (Liu et al. 2023)."""
    x_t, x_0 = torch.randn(2, 4, 2)
    t, s = 0.8, 0.3
    eps = (x_t - (1 - t) * x_0) / t
    x_s = straight_step(x_t, x_0, t, s)
    reject(equal(x_s, x_0), "that jumps to the guess at once; s says how much noise must stay.")
    reject(equal(x_s, x_t), "the point has not moved.")
    reject(
        equal(x_s, x_t + (t - s) / t * (x_t - x_0)) or equal(x_s, x_t + (t - s) * (eps - x_0)),
        "the sign is wrong: this moves away from the guess, towards more noise.",
    )
    reject(
        equal(x_s, x_t + (t - s) * (x_0 - x_t)),
        "the step is too short: with s = 0 it must reach the guess. What part of the whole way t"
        " is t - s?",
    )
    reject(
        equal(x_s, x_t + s / t * (x_0 - x_t)),
        "s / t is the part of the way that remains after the step, not the part that it goes.",
    )
    reject(
        equal(x_s, (1 - t) * x_0 + t * (x_t - (1 - s) * x_0) / s),
        "t and s are swapped: x_t belongs to time t, the result to the smaller time s.",
    )
    reject(
        not equal(x_s, straight_step(x_t, x_0, t, s)),
        "each call gives another result, so you draw new noise. Use the noise that is in x_t.",
    )
    reject(
        equal(x_s, (1 - s) * x_t + s * eps),
        "x_t is mixed with noise again. What keeps its share of 1 - s is the guess, x_0.",
    )
    reject(
        equal(x_s, (1 - s) * x_0 + s * (x_t - x_0) / t),
        "in eps the guess is taken off whole; in x_t it is there only (1 - t) times.",
    )
    reject(
        equal(x_s, (1 - s) * x_0 + s * (x_t - (1 - t) * x_0)),
        "eps is not divided by t, so it does not have unit variance.",
    )
    reject(
        equal(x_s, (1 - s) * x_0 + s * x_t),
        "x_t is taken for the noise, but it still has signal in it. Find eps first.",
    )
    reject(
        equal(x_s, s * x_0 + (1 - s) * eps),
        "signal and noise are swapped: at s = 0 the result must be the guess.",
    )
    turn = math.pi / 2
    round_eps = (x_t - math.cos(t * turn) * x_0) / math.sin(t * turn)
    reject(
        equal(x_s, math.cos(s * turn) * x_0 + math.sin(s * turn) * round_eps),
        "that is the chapter's own road, cosine and sine. Here alpha is 1 - t and sigma is t.",
    )
    reject(
        equal(x_s, s * x_0 + (1 - s) * (x_t - t * x_0) / (1 - t)),
        "alpha and sigma are swapped: on this road x_0 is multiplied by 1 - t, the noise by t.",
    )
    reject(
        equal(x_s, x_t + (t - s) / (1 - t) * (x_0 - x_t)),
        "what is left of the way is t long, not 1 - t: t = 0 is the data.",
    )
    reject(
        equal(x_s, (1 - s) ** 0.5 * x_0 + s**0.5 * (x_t - (1 - t) ** 0.5 * x_0) / t**0.5),
        "no roots here: 1 - t and t are the factors themselves, not shares of a variance.",
    )
    require(
        equal(x_s, (1 - s) * x_0 + s * eps),
        "x_s is not (1 - s) x_0 + s eps with the eps that x_t and the guess imply. (Here t is 0.8"
        " and s is 0.3.)" + factors(x_s, (1 - s) * x_0 + s * eps, {"x_0": x_0, "x_t": x_t}),
    )


def _squares(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.cdist(a, b).square()


def _guess(distance: torch.Tensor, sigma: float) -> torch.Tensor:
    return (-distance / (2 * sigma**2)).softmax(1)
