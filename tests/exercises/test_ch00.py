"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch00 import check_noisy, check_posterior_mean, check_step


def logits(x_t, examples, alpha, sigma):
    return -torch.cdist(x_t, alpha * examples).square() / (2 * sigma**2)


def not_normalised(x_t, examples, prior, alpha, sigma):
    return (prior * logits(x_t, examples, alpha, sigma).exp()) @ examples


def softmax_over_the_batch(x_t, examples, prior, alpha, sigma):
    return (logits(x_t, examples, alpha, sigma) + prior.log()).softmax(0) @ examples


def scaled(factor):
    def wrong(x_t, examples, prior, alpha, sigma):
        squares = torch.cdist(x_t, alpha * examples).square()
        return (prior.log() - squares / factor(sigma)).softmax(1) @ examples

    return wrong


def without_alpha(x_t, examples, prior, alpha, sigma):
    return (prior.log() + logits(x_t, examples, 1.0, sigma)).softmax(1) @ examples


def distance_not_squared(x_t, examples, prior, alpha, sigma):
    distance = torch.cdist(x_t, alpha * examples)
    return (prior.log() - distance / (2 * sigma**2)).softmax(1) @ examples


def nearest(x_t, examples, prior, alpha, sigma):
    return examples[(prior.log() + logits(x_t, examples, alpha, sigma)).argmax(1)]


def shrunk(x_t, examples, prior, alpha, sigma):
    return (prior.log() + logits(x_t, examples, alpha, sigma)).softmax(1) @ (alpha * examples)


def without_prior(x_t, examples, prior, alpha, sigma):
    return logits(x_t, examples, alpha, sigma).softmax(1) @ examples


def prior_without_log(x_t, examples, prior, alpha, sigma):
    return (prior + logits(x_t, examples, alpha, sigma)).softmax(1) @ examples


def prior_after_softmax(x_t, examples, prior, alpha, sigma):
    return (logits(x_t, examples, alpha, sigma).softmax(1) * prior) @ examples


def prior_times_logits(x_t, examples, prior, alpha, sigma):
    return (prior * logits(x_t, examples, alpha, sigma)).softmax(1) @ examples


def weights_alone(x_t, examples, prior, alpha, sigma):
    return (prior.log() + logits(x_t, examples, alpha, sigma)).softmax(1)


def sign(x_t, examples, prior, alpha, sigma):
    return (prior.log() - logits(x_t, examples, alpha, sigma)).softmax(1) @ examples


def x_t_stretched(x_t, examples, prior, alpha, sigma):
    return without_alpha(x_t / alpha, examples, prior, alpha, sigma)


def x_t_shrunk(x_t, examples, prior, alpha, sigma):
    return without_alpha(alpha * x_t, examples, prior, alpha, sigma)


def test_forms_that_readers_write_pass() -> None:
    assert check_noisy(lambda x_0, a, eps: a.sqrt() * x_0 + (1 - a).sqrt() * eps)
    assert check_noisy(lambda x_0, a, eps: torch.sqrt(a) * x_0 + math.sqrt(1 - a) * eps)
    assert check_step(lambda x_t, x_0, t, s: x_t.add_((t - s) / t * (x_0 - x_t)))


def away(x_t, x_0, t, s):
    return x_t + (t - s) / t * (x_t - x_0)


def log_prior_times(x_t, examples, prior, alpha, sigma):
    return (logits(x_t, examples, alpha, sigma) * prior.log()).softmax(1) @ examples


def log_prior_off(x_t, examples, prior, alpha, sigma):
    return (logits(x_t, examples, alpha, sigma) - prior.log()).softmax(1) @ examples


def cosine_step(x_t, x_0, t, s):
    alpha, sigma = (lambda t, f=f: f(t * math.pi / 2) for f in (math.cos, math.sin))
    return alpha(s) * x_0 + sigma(s) * (x_t - alpha(t) * x_0) / sigma(t)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_noisy, lambda x_0, a, eps: a * x_0 + (1 - a) * eps, "shares of the variance"),
    (check_noisy, lambda x_0, a, eps: a**0.5 * x_0 + (1 - a) * eps, "multiplied by 1 - alpha_bar"),
    (check_noisy, lambda x_0, a, eps: a * x_0 + (1 - a) ** 0.5 * eps, "multiplied by alpha_bar;"),
    (check_noisy, lambda x_0, a, eps: (1 - a) ** 0.5 * x_0 + a**0.5 * eps, "swapped"),
    (check_noisy, lambda x_0, a, eps: a**0.5 * x_0 + (1 - a**0.5) * eps, "squares of the factors"),
    (check_noisy, lambda x_0, a, eps: x_0 + eps, "x_t is not root(alpha_bar) x_0"),
    (check_noisy, lambda x_0, a, eps: a * x_0 + (1 - a**2) ** 0.5 * eps, "taken for alpha"),
    (check_posterior_mean, weights_alone, "these are the weights"),
    (check_posterior_mean, prior_times_logits, "There, add its logarithm"),
    (check_posterior_mean, sign, "the sign is wrong"),
    (check_posterior_mean, x_t_stretched, "makes its noise larger too"),
    (check_posterior_mean, x_t_shrunk, "you shrink x_t"),
    (check_posterior_mean, not_normalised, "must add up to 1"),
    (check_posterior_mean, softmax_over_the_batch, "runs over the batch"),
    (check_posterior_mean, scaled(lambda sigma: 1), "not divided by 2 sigma^2"),
    (check_posterior_mean, scaled(lambda sigma: 2), "divided by 2, but not by sigma^2"),
    (check_posterior_mean, scaled(lambda sigma: sigma**2), "by sigma^2, but not by 2"),
    (check_posterior_mean, scaled(lambda sigma: 2 * sigma), "divided by 2 sigma;"),
    (check_posterior_mean, without_alpha, "alpha is forgotten"),
    (check_posterior_mean, distance_not_squared, "not squared"),
    (check_posterior_mean, nearest, "most likely example"),
    (check_posterior_mean, shrunk, "alpha times the examples"),
    (check_posterior_mean, without_prior, "the prior changes nothing"),
    (check_posterior_mean, prior_without_log, "add its logarithm"),
    (check_posterior_mean, prior_after_softmax, "multiply first, then normalise"),
    (check_posterior_mean, lambda x_t, examples, *_: 0 * x_t, "not the weighted mean"),
    (check_step, lambda x_t, x_0, t, s: x_0, "at once"),
    (check_step, lambda x_t, x_0, t, s: x_t, "has not moved"),
    (check_step, away, "the sign is wrong"),
    (check_step, lambda x_t, x_0, t, s: x_t + (t - s) * (x_0 - x_t), "too short"),
    (check_step, lambda x_t, x_0, t, s: x_t + s / t * (x_0 - x_t), "that remains"),
    (
        check_step,
        lambda x_t, x_0, t, s: (1 - t) * x_0 + t * (x_t - (1 - s) * x_0) / s,
        "t and s are swapped",
    ),
    (
        check_step,
        lambda x_t, x_0, t, s: (1 - s) * x_0 + s * torch.randn_like(x_t),
        "draw new noise",
    ),
    (
        check_step,
        lambda x_t, x_0, t, s: (1 - s) * x_t + s * (x_t - (1 - t) * x_0) / t,
        "is the guess, x_0",
    ),
    (check_step, lambda x_t, x_0, t, s: (1 - s) * x_0 + s * (x_t - x_0) / t, "off whole"),
    (
        check_step,
        lambda x_t, x_0, t, s: (1 - s) * x_0 + s * (x_t - (1 - t) * x_0),
        "not divided by t",
    ),
    (check_step, lambda x_t, x_0, t, s: (1 - s) * x_0 + s * x_t, "Find eps first"),
    (
        check_step,
        lambda x_t, x_0, t, s: s * x_0 + (1 - s) * (x_t - (1 - t) * x_0) / t,
        "swapped",
    ),
    (check_step, lambda x_t, x_0, t, s: 0 * x_t, "that x_t and the guess imply"),
    (check_noisy, lambda x_0, a, eps: a**0.5 * x_0 - (1 - a) ** 0.5 * eps, "noise is added"),
    (check_noisy, lambda x_0, a, eps: x_0 + (1 - a) ** 0.5 * eps, "is not shrunk"),
    (check_noisy, lambda x_0, a, eps: a**0.5 * x_0 + 0.8 * torch.randn(4, 2), "draw new noise"),
    (check_posterior_mean, log_prior_times, "not multiplied"),
    (check_posterior_mean, log_prior_off, "a rare example must count less"),
    (check_step, cosine_step, "the chapter's own road"),
    (
        check_step,
        lambda x_t, x_0, t, s: s * x_0 + (1 - s) * (x_t - t * x_0) / (1 - t),
        "alpha and sigma are swapped",
    ),
    (check_step, lambda x_t, x_0, t, s: x_t + (t - s) / (1 - t) * (x_0 - x_t), "t long"),
    (
        check_step,
        lambda x_t, x_0, t, s: (
            (1 - s) ** 0.5 * x_0 + s**0.5 * (x_t - (1 - t) ** 0.5 * x_0) / t**0.5
        ),
        "no roots here",
    ),
    (check_noisy, lambda x_0, a, eps: 0.6 * x_0 + 0.8 * eps, "right once"),
]
