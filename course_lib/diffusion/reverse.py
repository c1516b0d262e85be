"""The reverse step of 2015: a mean and a variance for every coordinate, both learned.

No prediction of noise, no fixed variance: the network is asked for the Gaussian itself, and is
trained on the bound K. Built by hand in chapter 4.
"""

import math
from collections.abc import Iterator

import torch
from torch import nn

from course_lib.core.types import Data, Denoise, PerExample, RandnLike, Time
from course_lib.diffusion.forward import posterior
from course_lib.diffusion.likelihood import gaussian_kl, nats_to_bits, prior_bits
from course_lib.diffusion.schedules import DiscreteSchedule, shaped


class ReverseGaussian(nn.Module):
    """p(x_{t-1} | x_t) as a change of the forward step (Sohl-Dickstein et al. 2015, eq. 64).

    net        net(x_t, t) -> twice the channels of x_t: how far the mean moves, in units of the
               step's own noise, and how the log-odds of the variance change
    schedule   every beta below 1

    A network that says 0 runs the forward process in both directions. The step t = 1 is not
    learned: it is that mirror always, which is what gives the paper its entropy H_q(X_1 | X_0).
    Raises ValueError if the schedule has a step that erases everything.
    """

    def __init__(self, net: nn.Module, schedule: DiscreteSchedule):
        super().__init__()
        if float(schedule.beta.max()) >= 1:
            raise ValueError("every beta must be below 1: a step that erases all has no mirror")
        self.net, self.schedule = net, schedule

    def forward(self, x_t: Data, t: Time) -> tuple[Data, Data]:
        """Mean and variance of x_{t-1}, for times 1..T."""
        beta = shaped(self.schedule.beta.to(t.device)[t], x_t)
        out = self.net(x_t, t).to(x_t.dtype) * shaped(t > 1, x_t)
        shift, log_odds = out.chunk(2, dim=1)
        mean = (1 - beta).sqrt() * x_t + beta.sqrt() * shift
        return mean, torch.sigmoid(torch.logit(beta) + log_odds)

    def nats(self, x_0: Data, t: Time, eps: Data) -> PerExample:
        """What the step at t costs in the bound -K, summed over coordinates (their eq. 14).

        For t >= 2 the divergence from q(x_{t-1} | x_t, x_0). At t = 1 that is a point, and the cost
        is minus the logarithm of the density that the last step gives x_0.
        """
        alpha, sigma = self.schedule(t, like=x_0)
        x_t = alpha * x_0 + sigma * eps
        mean, variance = self(x_t, t)
        mean_q, variance_q = posterior(self.schedule, x_0, x_t, t, t - 1)
        last = (t == 1).view(sigma.shape)
        # Where the posterior is a point, any positive number keeps the unused branch finite.
        kl = gaussian_kl(mean_q, torch.where(last, 1, variance_q), mean, variance)
        density = 0.5 * ((x_0 - mean).square() / variance + (2 * math.pi * variance).log())
        return torch.where(last, density, kl).flatten(1).sum(1)


def bound_bits(
    model: ReverseGaussian, x_0: Data, randn_like: RandnLike = torch.randn_like
) -> PerExample:
    """The bound K on log2 p(x_0), in bits per example, from one draw at every step (their eq. 14).

    Unbiased. It holds whatever the variance of the data is: the ends are what the paper's entropies
    stand for where that is 1. Takes T evaluations of the network.
    """
    nats = prior_bits(model.schedule, x_0) * (math.log(2) * x_0.shape[1:].numel())
    for t in range(1, model.schedule.T + 1):
        with torch.no_grad():
            now = torch.full((len(x_0),), t, device=x_0.device)
            nats = nats + model.nats(x_0, now, randn_like(x_0))
    return nats_to_bits(-nats)


def walk_back(
    model: ReverseGaussian, x_T: Data, randn_like: RandnLike = torch.randn_like
) -> Iterator[Data]:
    """Yield x_T, x_{T-1}, ..., x_0, each drawn from the learned step.

    The last step, which is not learned, gives its mean: its noise would stay in the picture.
    """
    x = x_T
    yield x
    for t in range(model.schedule.T, 0, -1):
        with torch.no_grad():
            mean, variance = model(x, torch.full((len(x),), t, device=x.device))
        x = mean + variance.sqrt() * randn_like(x) if t > 1 else mean
        yield x


def mean_denoiser(model: ReverseGaussian) -> Denoise:
    """The model's reverse steps, read as a denoiser on its own schedule.

    The true mean of x_{t-1} given x_t is (x_t + beta score) / sqrt(1 - beta), so that a mean tells
    a score, and the score E[x_0 | x_t] = (x_t + sigma^2 score) / alpha (chapter 5). At t = 1,
    which is not learned, the mirror's answer is alpha x_t: nearly right, for so little noise.
    """
    schedule = model.schedule

    def denoise(x_t: Data, t: Time) -> Data:
        alpha, sigma = schedule(t, like=x_t)
        beta = shaped(schedule.beta.to(t.device)[t], x_t)
        mean, _ = model(x_t, t)
        score = ((1 - beta).sqrt() * mean - x_t) / beta
        return (x_t + sigma**2 * score) / alpha

    return denoise
