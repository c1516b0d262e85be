"""Diffusion of bits: a step keeps a bit or draws it afresh (Sohl-Dickstein et al. 2015).

Bits are floats 0.0 and 1.0. The mean of a bit is the chance that it is one, so a denoiser has the
contract it has everywhere: denoise(x_t, t) -> the mean of x_0 given x_t.
Chances are float64: one step in 2,000 flips one bit in ten thousand, and 1 - p must keep its
digits. Built by hand in chapter 4.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.core.types import Data, Denoise, PerExample, Points, Time


@dataclass(frozen=True)
class BinomialSchedule:
    """How often a bit is drawn afresh, and what then.

    beta[t]   chance that step t redraws a bit; beta[0] = 0
    keep[t]   chance that a bit was never redrawn up to t, the product of 1 - beta; keep[0] = 1
    rate      chance that a redrawn bit is one: 1/2 in the paper's table App.1, the mean activity
              of the data in its heartbeat experiment

    Both tables are float64 tensors of length T + 1.
    """

    beta: Float[Tensor, " times"]
    keep: Float[Tensor, " times"]
    rate: float = 0.5

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.beta) - 1


def from_betas(betas: Float[Tensor, " T"], rate: float = 0.5) -> BinomialSchedule:
    """The schedule of T given chances beta_1 ... beta_T, each in (0, 1].

    Raises ValueError naming the first that is out of range, or a rate that is not in (0, 1).
    """
    betas = betas.to(torch.float64)
    wrong = ~((betas > 0) & (betas <= 1))
    if len(betas) == 0 or bool(wrong.any()):
        at = int(wrong.int().argmax()) if len(betas) else 0
        said = f"beta_{at + 1} = {betas[at]:g}" if len(betas) else "none at all"
        raise ValueError(f"betas must lie in (0, 1], got {said}")
    if not 0 < rate < 1:
        raise ValueError(f"rate is the chance of a one and lies in (0, 1), got {rate:g}")
    beta = torch.cat([torch.zeros(1, dtype=torch.float64), betas])
    return BinomialSchedule(beta, (1 - beta).cumprod(0), rate)


def even(T: int, rate: float = 0.5) -> BinomialSchedule:
    """beta_t = 1 / (T - t + 1): each step erases 1 / T of the signal (their section 2.4.1).

    So keep_t = 1 - t / T, and nothing is left at T. Raises ValueError unless T >= 1.
    """
    if T < 1:
        raise ValueError(f"T must be 1 or more, got {T}")
    return from_betas(1 / torch.arange(T, 0, -1, dtype=torch.float64), rate)


def marginal(schedule: BinomialSchedule, x_0: Data, t: Time) -> Data:
    """The chance of a one in x_t, given x_0: q(x_t = 1 | x_0)."""
    keep = _like(schedule.keep, t, x_0)
    return keep * x_0.double() + (1 - keep) * schedule.rate


def posterior(schedule: BinomialSchedule, x_t: Data, x_0: Data, t: Time) -> Data:
    """The chance of a one in x_{t-1}, given x_t and x_0, by Bayes' rule for two hypotheses.

    For bits x_0. A chance in place of x_0 would be another question: see `reverse`.
    """
    before, beta = marginal(schedule, x_0, t - 1), _like(schedule.beta, t, x_t)
    one, rate = x_t > 0.5, schedule.rate
    from_one = torch.where(one, 1 - beta * (1 - rate), beta * (1 - rate)) * before
    from_zero = torch.where(one, beta * rate, 1 - beta * rate) * (1 - before)
    return from_one / (from_one + from_zero)


def reverse(denoise: Denoise, schedule: BinomialSchedule, x_t: Data, t: Time) -> Data:
    """The chance of a one in x_{t-1} that a denoiser stands for: the posterior, averaged over x_0.

    With the exact denoiser this is q(x_{t-1} = 1 | x_t), bit by bit.
    """
    chance = denoise(x_t, t).double()
    if_one = posterior(schedule, x_t, torch.ones_like(x_t), t)
    if_zero = posterior(schedule, x_t, torch.zeros_like(x_t), t)
    return chance * if_one + (1 - chance) * if_zero


def entropy_bits(p: Tensor) -> Tensor:
    """The entropy of a bit that is one with chance p, in bits."""
    p = p.double()
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


def kl_bits(q: Tensor, p: Tensor) -> Tensor:
    """KL(q || p) of single bits, in bits; infinite where p excludes what q allows."""
    q, p = q.double(), p.double()
    nats = torch.xlogy(q, q) - torch.xlogy(q, p)
    nats = nats + torch.xlogy(1 - q, 1 - q) - torch.xlogy(1 - q, 1 - p)
    return nats.clamp(min=0) / math.log(2)


def step_bits(
    denoise: Denoise, schedule: BinomialSchedule, x_0: Data, x_t: Data, t: Time
) -> PerExample:
    """KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), summed over the bits of an example, in bits.

    At t = 1 the posterior is x_0 itself, so that this is minus log2 p(x_0 | x_1).
    """
    q = posterior(schedule, x_t, x_0, t)
    return kl_bits(q, reverse(denoise, schedule, x_t, t)).flatten(1).sum(1)


def ends_bits(schedule: BinomialSchedule, x_0: Data) -> PerExample:
    """H_q(X_T|X_0) - H_q(X_1|X_0) - H_p(X_T): what K holds beside its steps (their eq. 14).

    The middle term is a last step that mirrors the first one instead of being learned. Exact, on
    average over the data, where the mean activity of the data is the schedule's rate.
    """
    first, last = (torch.full((len(x_0),), t, device=x_0.device) for t in (1, schedule.T))
    entropy = entropy_bits(marginal(schedule, x_0, last))
    entropy = entropy - entropy_bits(marginal(schedule, x_0, first))
    null = entropy_bits(torch.tensor(schedule.rate))
    return (entropy - null).flatten(1).sum(1)


def walk_back(
    denoise: Denoise,
    schedule: BinomialSchedule,
    x_T: Data,
    generator: torch.Generator | None = None,
) -> Iterator[Data]:
    """Yield x_T, x_{T-1}, ..., x_0, each bit drawn from the reverse step."""
    x = x_T
    yield x
    for t in range(schedule.T, 0, -1):
        with torch.no_grad():
            chance = reverse(denoise, schedule, x, torch.full((len(x),), t, device=x.device))
        x = torch.bernoulli(chance, generator=generator).to(x_T.dtype)
        yield x


def exact_denoiser(sequences: Points, schedule: BinomialSchedule) -> Denoise:
    """The perfect denoiser of data that is each of these sequences equally often."""
    sequences = sequences.double()

    def denoise(x_t: Points, t: Time) -> Points:
        every = sequences.repeat(len(t), 1)
        chance = marginal(schedule, every, t.repeat_interleave(len(sequences)))
        chance = chance.view(len(t), *sequences.shape)
        agree = torch.where(x_t[:, None] > 0.5, chance, 1 - chance)  # [batch, sequences, bits]
        # The weights add up to 1 but for the last digit, and no chance is above 1.
        return (agree.log().sum(2).softmax(1) @ sequences).clamp(max=1)

    return denoise


class BitDenoiser(nn.Module):
    """A network seen as the chance that each bit of x_0 is one.

    net   net(x_t, t) -> log-odds; it is shown bits as -1 and 1
    """

    def __init__(self, net: nn.Module, schedule: BinomialSchedule):
        super().__init__()
        self.net, self.schedule = net, schedule

    def forward(self, x_t: Data, t: Time) -> Data:
        return torch.sigmoid(self.net(2 * x_t - 1, t))


def _like(table: Tensor, t: Time, x: Data) -> Tensor:
    """The table's entries at t, shaped to multiply x."""
    if t.device.type == "cpu" and bool((t < 0).any()):  # -1 would silently mean the last one
        raise ValueError(
            f"times of this schedule are 0..{len(table) - 1}, got {int(t.min())}. A step leads from"
            " 1 or above to the time before"
        )
    return table.to(t.device)[t].view((-1,) + (1,) * (x.ndim - 1))
