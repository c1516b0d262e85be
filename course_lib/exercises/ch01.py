"""The exercises of chapter 1: a divergence, a posterior, a denoiser, bits, a young average."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.likelihood import gaussian_kl, pixel_bits
from course_lib.exercises.checking import equal, exercise, reject, require, two


@exercise("the KL divergence of two Gaussians, summed over their coordinates")
def check_divergence(divergence: Callable[..., Any]) -> None:
    """Exercise 1: KL(q || p) in nats from means and standard deviations, [batch, dim]."""
    mean_q, mean_p = torch.randn(2, 6, 3)
    std_q, std_p = 0.5 + torch.rand(2, 6, 3)
    var_q, var_p = std_q.square(), std_p.square()
    ours = divergence(mean_q, std_q, mean_p, std_p)
    require(
        isinstance(ours, Tensor), f"return a tensor, [batch]; yours is a {type(ours).__name__}."
    )
    each = gaussian_kl(mean_q, var_q, mean_p, var_p)
    right = each.sum(1)
    reject(equal(ours, each), "these are the coordinates' own divergences. Add them up: [batch].")
    reject(equal(ours, each.mean(1)), "that is the mean over coordinates. Divergences add.")
    reject(ours.ndim == 0, "one number for the whole batch; wanted is one per example.")
    reject(equal(ours, each.sum(0)), "you add up over the batch. Add up over the coordinates.")
    reject(equal(ours, -right), "the sign is turned: a divergence is never negative.")
    reject(equal(ours, 2 * right), "it is twice too large: the half before the bracket is missing.")
    reject(equal(ours, right / math.log(2)), "that is in bits. Asked for are nats: natural log.")
    reject(
        equal(ours, gaussian_kl(mean_p, var_p, mean_q, var_q).sum(1)),
        "that is KL(p || q). Here q stands first: the average is taken under q.",
    )
    reject(
        equal(ours, gaussian_kl(mean_q, std_q, mean_p, std_p).sum(1)),
        "the formula speaks of variances, and you were given standard deviations: square them.",
    )
    reject(
        equal(ours, right + 1.5) or equal(ours, right + 1.0),
        "a -1 is missing (one per coordinate): for q = p the divergence must be 0.",
    )
    reject(
        equal(ours, right - (var_p / var_q).log().sum(1)),
        "the logarithm is upside down: log of v_p / v_q.",
    )
    reject(
        equal(ours, right - 0.5 * (var_p / var_q).log().sum(1)),
        "the logarithm of the variances' ratio is missing.",
    )
    reject(
        equal(ours, right - 0.5 * (var_q / var_p).sum(1)),
        "q's own variance is missing: under q, (x - m_p)² averages to v_q + (m_q - m_p)².",
    )
    square = 0.5 * ((mean_q - mean_p).square() / var_p).sum(1)
    reject(
        equal(ours, right - square),
        "the distance of the means is missing: under q, (x - m_p)² averages to v_q + (m_q - m_p)².",
    )
    reject(
        equal(ours, right - 0.25 * (var_p / var_q).log().sum(1)),
        "the logarithm has the ratio of the standard deviations: wanted is that of the variances.",
    )
    reject(
        equal(ours, (each + 0.5 * (var_p / var_q).log() - 0.5).sum(1)),
        "the half is in front of the last term only: it belongs to the whole bracket.",
    )
    reject(
        equal(ours, right - square + 0.5 * ((mean_q - mean_p).abs() / var_p).sum(1)),
        "the distance of the means enters by its square.",
    )
    apart = (mean_q - mean_p).square()
    reject(
        equal(ours, 0.5 * ((var_p / var_q).log() + apart / var_q).sum(1)),
        "p's variance, v_p, stands below the line, not q's.",
    )
    reject(
        equal(ours, gaussian_kl(mean_q, var_q, 0 * mean_p, torch.ones_like(var_p)).sum(1)),
        "that is the divergence from N(0, I). This p has a mean and a width of its own.",
    )
    reject(
        ours.shape != right.shape,
        f"its shape is {list(ours.shape)}; wanted is one number per example, [{len(right)}].",
    )
    require(equal(ours, right), "it does not agree with the integral of q (log q - log p).")
    same = divergence(mean_q, std_q, mean_q, std_q)
    require(equal(same, torch.zeros(6)), "for q = p it must be 0.")


@exercise("three precisions add, and the mean is weighted by them")
def check_posterior(posterior: Callable[..., Any]) -> None:
    """Exercise 2: the Gaussian posterior of x after two noisy measurements."""
    m, v, y_1, s_1, y_2, s_2 = (torch.tensor(n) for n in (0.5, 2.0, 1.4, 0.6, -0.3, 0.9))
    ours = posterior(m, v, y_1, s_1, y_2, s_2)
    mean, variance = two(ours, "return two things: the mean and the variance.")
    require(
        mean is not None and variance is not None, "one of the two is None: return both numbers."
    )
    right_mean, right_variance = _weighted([m, y_1, y_2], [v, s_1**2, s_2**2])
    reject(
        equal(mean, right_variance) and equal(variance, right_mean),
        "the two are swapped: the mean first, then the variance.",
    )
    reject(
        equal(variance, 1 / right_variance),
        "that is the precision. The variance is one over the sum of the precisions.",
    )
    reject(
        equal(variance, right_variance.sqrt()),
        "that is a standard deviation; asked for is the variance.",
    )
    reject(
        equal(variance, v + s_1**2 + s_2**2),
        "variances add when variables are added. Here densities are multiplied: precisions add.",
    )
    for seen, which in (((m, y_1), "second"), ((m, y_2), "first")):
        spread = s_1**2 if which == "second" else s_2**2
        reject(
            equal(mean, _weighted(list(seen), [v, spread])[0]),
            f"the {which} measurement is not used.",
        )
    reject(
        equal(mean, _weighted([y_1, y_2], [s_1**2, s_2**2])[0]),
        "the measurements are combined and the prior is left out: three bells are multiplied.",
    )
    reject(
        equal(mean, _weighted([m, y_1, y_2], [v, s_1, s_2])[0]),
        "a precision is one over a variance: square sigma_1 and sigma_2.",
    )
    reject(
        equal(mean, (m * v + y_1 * s_1**2 + y_2 * s_2**2) / (v + s_1**2 + s_2**2)),
        "you weigh by variances, so the noisiest counts most. Weigh by precisions.",
    )
    reject(equal(mean, (m + y_1 + y_2) / 3), "the plain average: weigh by precisions.")
    reject(
        equal(mean, right_mean / right_variance),
        "that is the sum of precision times value. Divide it by the sum of the precisions.",
    )
    reject(
        equal(variance, _weighted([m, y_1, y_2], [v**2, s_1**2, s_2**2])[1]),
        "`variance` is a variance already: do not square it. Only the sigmas are roots.",
    )
    for noise in (s_1**2 + s_2**2, (s_1**2 + s_2**2) / 2, (s_1**2 + s_2**2) / 4):
        reject(
            equal(variance, _weighted([m, m], [v, noise])[1]),
            "you make one measurement of the two first. Their plain mean is not the best one: the"
            " less noisy must count more. Multiply all three bells.",
        )
    gains = v / (v + s_1**2), v / (v + s_2**2)
    reject(
        equal(mean, m + gains[0] * (y_1 - m) + gains[1] * (y_2 - m)),
        "both measurements pull at the old mean. Where the first has been used, mean and variance"
        " are new, and the second meets those.",
    )
    require(equal(variance, right_variance), "the variance is not 1 over the sum of precisions.")
    require(equal(mean, right_mean), "the mean is not the average weighted by precision.")
    again = posterior(y_2, s_1, m, s_2, y_1, v)  # other numbers: nothing may come from outside
    mean, variance = _weighted([y_2, m, y_1], [s_1, s_2**2, v**2])
    require(
        equal(again[0], mean) and equal(again[1], variance),
        "right once, and wrong for other numbers: use the arguments and nothing else.",
    )


def _weighted(values: list[Tensor], variances: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The mean weighted by precision, and the variance that goes with it."""
    precisions = torch.stack([1 / variance for variance in variances])
    return (precisions * torch.stack(values)).sum() / precisions.sum(), 1 / precisions.sum()


@exercise("a denoiser from nothing but the density of what is measured")
def check_denoiser(denoiser: Callable[..., Any]) -> None:
    """Exercise 3: Tweedie's formula, its score from autograd."""
    means = torch.tensor([[-1.4, -0.8], [1.5, -0.6], [0.0, 1.5]]).double()
    law = GaussianMixture(means, torch.tensor([0.3, 0.2, 0.45]).double())
    alpha, sigma, y = 0.8, 0.6, torch.randn(8, 2).double()
    measured = law.noised(alpha, sigma)
    ours = denoiser(y, measured.log_prob, alpha, sigma)
    require(
        isinstance(ours, Tensor),
        f"return a tensor of the shape of y; yours is a {type(ours).__name__}.",
    )
    score, one = measured.score(y), torch.ones(8).double()
    right = law.posterior_mean(y, alpha * one, sigma * one)
    reject(
        equal(ours, score),
        "that is the score. Tweedie's formula makes a denoiser of it: y is still missing.",
    )
    reject(equal(ours, y + sigma**2 * score), "that is alpha times the answer: divide by alpha.")
    reject(equal(ours, (y + sigma * score) / alpha), "the score is multiplied by sigma squared.")
    reject(
        equal(ours, (y - sigma**2 * score) / alpha),
        "a sign: the score points to where y is more likely, and the denoiser goes there.",
    )
    reject(equal(ours, y / alpha), "that only undoes the shrinking; the score is not used.")
    reject(
        equal(ours, y / alpha + sigma**2 * score),
        "both terms are divided by alpha, the score's too.",
    )
    reject(
        equal(ours, (y + sigma**2 * score / len(y)) / alpha),
        "the score is too small by the size of the batch: sum the log densities, no mean.",
    )
    reject(
        equal(ours, (y + score / sigma**2) / alpha),
        "the score is multiplied by sigma squared, not divided.",
    )
    reject(
        ours.shape != y.shape,
        f"its shape is {list(ours.shape)}; wanted is a guess for each row of y, {list(y.shape)}.",
    )
    reject(
        equal(ours, alpha * (y + sigma**2 * score)),
        "alpha shrank x on the way to y: going back divides by it.",
    )
    reject(equal(ours, (y + score) / alpha), "the score is multiplied by sigma squared.")
    slope = score * measured.log_prob(y).exp()[:, None]
    reject(
        equal(ours, (y + sigma**2 * slope) / alpha),
        "that is the gradient of p. `log_density` is a logarithm already: take its gradient as it"
        " is.",
    )
    require(equal(ours, right), "it is not E[x | y] = (y + sigma² score) / alpha.")
    reject(
        ours.requires_grad,
        "the numbers are right, but they carry their gradient history: detach the result.",
    )


@exercise("uniform bytes cost 8 bits in any units, and other images what they should")
def check_bits(bits: Callable[..., Any]) -> None:
    """Exercise 4: from log densities in nats to bits per dimension of whole-number pixels."""
    dims, levels, low, high = 48, 32, -1.0, 3.0
    log_density = -40 + 10 * torch.randn(5).double()
    ours = bits(log_density, dims, levels, low, high)
    require(
        isinstance(ours, Tensor), f"return a tensor, [batch]; yours is a {type(ours).__name__}."
    )
    reject(ours.ndim == 0, "one number for the whole batch; wanted is one per image.")
    width = (high - low) / levels
    right = pixel_bits(log_density, dims, width)
    reject(equal(ours, -right), "the sign is turned: unlikely images cost more bits.")
    reject(equal(ours, right * math.log(2)), "these are nats per dimension: divide by log 2.")
    reject(equal(ours, right * dims), "that is for a whole image: divide by dims.")
    reject(
        equal(ours, right + math.log2(width)),
        "the offset is missing: the density is per unit of x, and a level is (high - low) / levels"
        " of it.",
    )
    reject(
        equal(ours, right + 2 * math.log2(width)),
        "the offset has the wrong sign: a wider level holds more probability and costs less.",
    )
    reject(
        equal(ours, right + math.log2(width) + math.log2(levels)),
        "your offset is right for [0, 1] only. How wide is a level on [low, high]?",
    )
    reject(
        equal(ours, right + math.log2(width) - math.log(width)),
        "the offset is in nats and the rest in bits: take its log to base 2.",
    )
    reject(
        equal(ours, pixel_bits(log_density, dims, (high - low) / (levels - 1))),
        "the levels fill [low, high], each with its own bin: there are `levels` bins.",
    )
    reject(
        equal(ours, -log_density / (dims * math.log(2)) - math.log2(width) / dims),
        "each of the dims numbers was scaled: the offset per dimension is not divided again.",
    )
    without = right + math.log2(width)
    reject(
        equal(ours, without + 7) or equal(ours, without + 8),
        "your offset is that of 256 levels. Compute it from levels, low and high.",
    )
    reject(
        equal(ours, without - math.log2(high - low)),
        "your offset takes the whole range for one level. How wide is one of `levels` levels?",
    )
    reject(
        equal(ours, dims * without - math.log2(width)),
        "the log density is that of a whole image: divide it by dims.",
    )
    reject(
        ours.shape != right.shape,
        f"its shape is {list(ours.shape)}; wanted is one number per image, [{len(right)}].",
    )
    reject(
        equal(ours, -log_density / dims - math.log2(width)),
        "the log density is in nats and the offset in bits: divide the first by log 2.",
    )
    reject(
        equal(ours, log_density / (dims * math.log(2)) - math.log2(width)),
        "the log density has the wrong sign: likely images cost little.",
    )
    reject(
        equal(ours, right * math.log(2) ** 2),
        "from nats to bits you divide by log 2; you multiply.",
    )
    require(equal(ours, right), "uniform bytes should cost 8; yours do not agree with that rule.")
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 256.0)):
        uniform = torch.full((2,), -12 * math.log(high - low)).double()
        eight = bits(uniform, 12, 256, low, high)
        require(
            equal(eight, torch.full((2,), 8.0)),
            f"uniform bytes on [{low:g}, {high:g}] must cost 8 bits.",
        )


@exercise("the corrected average of a constant is that constant")
def check_corrected_average(corrected_average: Callable[..., Any]) -> None:
    """Exercise 5: an average started at 0, divided by the weights given out (Kingma & Ba 2014)."""
    decay, values = 0.9, 2 + torch.randn(12).double()
    ours = corrected_average(values, decay)
    n = len(values)
    ages = torch.arange(n - 1, -1, -1).double()
    plain = ((1 - decay) * decay**ages * values).sum()
    right = plain / (1 - decay**n)
    reject(
        equal(ours, plain),
        "this is the average without its correction: divide by the weights given out so far.",
    )
    reject(
        equal(ours, plain / (1 - decay)),
        "after n values the weights add up to 1 - decay to the power n, not to 1 - decay.",
    )
    reject(
        equal(ours, plain / (1 - decay ** (n - 1))) or equal(ours, plain / (1 - decay ** (n + 1))),
        "n is off by one: after the first value the weights add up to 1 - decay.",
    )
    swapped = (decay * (1 - decay) ** ages * values).sum()
    reject(
        equal(ours, swapped) or equal(ours, swapped / (1 - (1 - decay) ** n)),
        "decay and 1 - decay are swapped: the average keeps `decay` of what it was.",
    )
    reject(equal(ours, values.mean()), "the plain mean: recent values must count more.")
    reject(
        equal(ours, decay**n * values[0] + plain),
        "this one starts at the first value. Start at 0, then correct.",
    )
    reject(
        equal(
            ours, decay ** (n - 1) * values[0] + plain - (1 - decay) * decay ** (n - 1) * values[0]
        ),
        "this one starts at the first value. Start at 0, then correct.",
    )
    reject(
        equal(ours, right / (1 - decay)),
        "a new value enters with weight 1 - decay; yours enters in full.",
    )
    reject(
        equal(ours, ((1 - decay) * decay ** ages.flip(0) * values).sum() / (1 - decay**n)),
        "the order is turned: the newest value must count most.",
    )
    reject(
        getattr(ours, "shape", ()) != (),
        "return one number: the average after the last value, not after each.",
    )
    reject(
        equal(ours, swapped / (1 - decay**n)),
        "decay and 1 - decay are swapped: the average keeps `decay` of what it was.",
    )
    reject(
        equal(ours, plain / decay**n),
        "decay to the power n is the weight of the start, 0. The values have the rest of 1.",
    )
    again = torch.zeros(())
    for k, value in enumerate(values, start=1):
        again = (decay * again + (1 - decay) * value) / (1 - decay**k)
    reject(
        equal(ours, again),
        "each step corrects what was corrected before. Keep the plain average going, and divide"
        " only what you return.",
    )
    require(equal(ours, right), "it is not the weighted mean of the values so far.")
    for n in (1, 2, 50):
        constant = corrected_average(torch.full((n,), 3.0).double(), 0.99)
        require(equal(constant, 3.0), f"for {n} times the value 3 it must be 3.")
