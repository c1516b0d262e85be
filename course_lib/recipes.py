"""The methods of the course on one page: each is a choice of schedule, prediction and time law."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Data, Images, Points, Time
from course_lib.diffusion import discrete
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.discrete import BitDenoiser
from course_lib.diffusion.likelihood import term_bits
from course_lib.diffusion.predictions import target, x_0_from
from course_lib.diffusion.reverse import ReverseGaussian
from course_lib.diffusion.schedules import DiscreteSchedule, edm, from_betas, linear, shaped
from course_lib.diffusion.training import (
    ImportanceTimes,
    log_uniform_levels,
    min_snr_weight,
    stratified_times,
    vlb_weight,
)
from course_lib.diffusion.variance import LearnedVariance, interpolated, reverse_bits
from course_lib.nn.ablations import without_attention
from course_lib.nn.classifier import NoisyClassifier
from course_lib.nn.mlp import MLP
from course_lib.nn.unet import UNet

LOWEST = 0.01  # noise that cannot be seen: one grey level of 255 is 0.008


def ncsn(net: nn.Module, high: float, low: float = LOWEST) -> Denoiser:
    """Song & Ermon 2019 with the scaling of 2020: one network for the scores of all noise levels.

    The network's output is minus sigma times the score, so eps (technique 3 of 2020).

    high, low   largest and smallest noise level; `high` about the largest distance between two
                examples (technique 1)
    """
    return Denoiser(KnowsLevel(net, low, high), replace(edm, t_max=high), predicts="eps")


class KnowsLevel(nn.Module):
    """A network made for pictures of size 1 and times 0..1,000, fed x_t and sigma instead.

    x_t is as large as sigma. Divided by sqrt(1 + sigma^2) it is what a variance-preserving network
    reads at alpha_bar = 1 / (1 + sigma^2). The level is told by its logarithm.
    """

    def __init__(self, net: nn.Module, low: float, high: float):
        super().__init__()
        self.net, self.low, self.high = net, low, high

    def forward(self, x_t: Data, sigma: Time) -> Data:
        level = 1000 * (sigma / self.low).log() / math.log(self.high / self.low)
        return self.net(x_t / shaped((1 + sigma.square()).sqrt(), x_t), level)


def ncsn_loss(model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
    """Their eq. 6 with lambda = sigma^2, of one batch, at levels spread evenly in log sigma."""
    net = model.net
    if not isinstance(net, KnowsLevel):
        raise TypeError(f"this loss is for models that `ncsn` makes, got {type(net).__name__}")
    t = log_uniform_levels(len(x_0), net.low, net.high, x_0.device)
    return model.loss(x_0, t, torch.randn_like(x_0)).mean()


def heartbeat_2015(T: int = 2000) -> BitDenoiser:
    """Binomial diffusion for sequences of 20 bits of which one in five is a one.

    The paper's three layers of 50 units with a readout for every step; here the time is an input,
    and the network guesses x_0, from which the chance of each flip follows.
    """
    net = MLP(20, width=64, depth=2, features=0, t_scale=1000 / T)
    return BitDenoiser(net, discrete.even(T, rate=0.2))


def heartbeat_2015_loss(model: BitDenoiser, x_0: Points) -> Float[Tensor, ""]:
    """What can be learned of -K, in bits per sequence (Sohl-Dickstein et al. 2015, eq. 14)."""
    T, n = model.schedule.T, len(x_0)
    u = (torch.arange(n, device=x_0.device) + torch.rand(n, device=x_0.device)) / n
    t = (u * (T - 1)).long().clamp(max=T - 2) + 2  # 2..T: the first step is fixed
    x_t = torch.bernoulli(discrete.marginal(model.schedule, x_0, t)).to(x_0.dtype)
    return discrete.step_bits(model, model.schedule, x_0, x_t, t).mean() * (T - 1)


def swiss_roll_2015() -> ReverseGaussian:
    """Forty steps for a roll about 0.01 thick: the paper's T, with a small MLP for its 16 bumps."""
    betas = torch.logspace(math.log10(2e-5), math.log10(0.6), 40, dtype=torch.float64)
    return ReverseGaussian(MLP(2, 128, 3, t_scale=25, out_dim=4), from_betas(betas))


def fashion_2015() -> ReverseGaussian:
    """For 28 × 28 garments: the reverse step of 2015 in 200 steps of DDPM's path.

    The paper learned the betas and used a convolutional network of several scales; a small U-Net
    stands here in its place.
    """
    net = UNet(out_channels=2, widths=(32, 64), blocks=2, patch=2)
    return ReverseGaussian(net, linear(200, 5e-4, 0.1))


def bound_2015_loss(model: ReverseGaussian, x_0: Data) -> Float[Tensor, ""]:
    """Minus the bound K of one batch, in nats per coordinate (Sohl-Dickstein et al. 2015, eq. 14).

    Without the term at t = T, which nothing learned can change.
    """
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    nats = model.nats(x_0, t, torch.randn_like(x_0)).mean()
    return nats * (model.schedule.T / x_0[0].numel())


def ddpm(net: nn.Module, schedule: DiscreteSchedule | None = None) -> Denoiser:
    """Ho et al. 2020: the linear schedule of 1,000 steps, and a network that predicts the noise."""
    return Denoiser(net, linear() if schedule is None else schedule, predicts="eps")


def ddpm_loss(model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
    """L_simple of one batch (Ho et al. 2020, eq. 14): every time and every error counts alike."""
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    return model.loss(x_0, t, torch.randn_like(x_0)).mean()


def drop_labels(
    label: Int[Tensor, " batch"], null: int, p_uncond: float = 0.1
) -> Int[Tensor, " batch"]:
    """Each label, or with probability `p_uncond` the null one (Ho & Salimans 2022, algorithm 1).

    Raises ValueError unless 0 <= p_uncond <= 1.
    """
    if not 0 <= p_uncond <= 1:
        raise ValueError(f"p_uncond is a probability, from 0 to 1, got {p_uncond}")
    dropped = torch.rand(label.shape, device=label.device) < p_uncond
    return torch.where(dropped, null, label)


def label_drop_loss(
    model: Denoiser, x_0: Data, label: Int[Tensor, " batch"], null: int = 10, p_uncond: float = 0.1
) -> Float[Tensor, ""]:
    """L_simple of a network that is told the label, or sometimes not: both models in one.

    null   the label that means "none": the number of classes
    """
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    given = drop_labels(label, null, p_uncond)
    return model.loss(x_0, t, torch.randn_like(x_0), label=given).mean()


def ddpm_vlb_loss(model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
    """L of one batch: each time counts as in the bound with variance beta (their eq. 12).

    Divided by the mean weight over all times, so that one learning rate serves this and L_simple.
    """
    schedule = model.schedule
    t = stratified_times(schedule, len(x_0), x_0.device)
    every = torch.arange(1, int(schedule.t_max) + 1, device=x_0.device)
    weight = vlb_weight(schedule, every, model.predicts, "large")
    losses = model.loss(x_0, t, torch.randn_like(x_0))
    return (weight[t - 1] / weight.mean()).to(losses.dtype).mul(losses).mean()


class ImportanceVLB(nn.Module):
    """L of one batch, at times drawn as often as they matter (Nichol & Dhariwal 2021, section 3.3).

    As `ddpm_vlb_loss` in its scale and its variance, beta. The term at t = 1 is the true one: the
    probability of the grey levels. A module, because it remembers the losses of each time.

    uniform   as in `ImportanceTimes`; with 1 this is L at times that are all equally likely
    """

    def __init__(self, T: int, levels: int, uniform: float = 0.001):
        super().__init__()
        self.times, self.levels = ImportanceTimes(T, uniform=uniform), levels

    def forward(self, model: Denoiser, x_0: Data) -> Float[Tensor, ""]:
        """The loss; notes what each time lost."""
        schedule = model.schedule
        t, weight = self.times.draw(len(x_0))
        eps = torch.randn_like(x_0)
        bits, _ = term_bits(model, schedule, x_0, t, eps, self.levels, "large")
        self.times.remember(t, bits.detach())
        every = torch.arange(1, len(self.times.seen) + 1, device=x_0.device)
        scale = math.log(2) / vlb_weight(schedule, every, model.predicts, "large").mean()
        return (weight * bits).mean() * scale


def noisy_labels_loss(
    model: NoisyClassifier, x_0: Images, label: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Cross-entropy at all of DDPM's times (Dhariwal & Nichol 2021, section 4.3)."""
    schedule = linear()
    t = stratified_times(schedule, len(x_0), x_0.device)
    alpha, sigma = schedule(t, like=x_0)
    return F.cross_entropy(model(alpha * x_0 + sigma * torch.randn_like(x_0), t), label)


def clean_labels_loss(
    model: NoisyClassifier, x_0: Images, label: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """The same on clean pictures only: a good classifier, and no guide (chapter 16)."""
    return F.cross_entropy(model(x_0, torch.zeros(len(x_0), device=x_0.device)), label)


def hybrid_loss(
    model: LearnedVariance,
    x_0: Data,
    levels: int = 256,
    weight: float = 0.001,
    stopped: bool = True,
) -> Float[Tensor, ""]:
    """L_simple for the guess, `weight` times L for the variance.

    Nichol & Dhariwal 2021, section 3.1. L is in bits per dimension and sees the guess as a
    constant, so that it teaches the variance alone; `stopped=False` shows what happens without
    that. Times are uniform.
    """
    schedule = model.schedule
    t, eps = stratified_times(schedule, len(x_0), x_0.device), torch.randn_like(x_0)
    alpha, sigma = schedule(t, like=x_0)
    x_t = alpha * x_0 + sigma * eps
    out, v = model.outputs(x_t, t)
    simple = (out - target(model.predicts, x_0, eps, alpha, sigma)).square().mean()
    guess = x_0_from(model.predicts, out.detach() if stopped else out, x_t, alpha, sigma)
    variance = interpolated(schedule, v, t, t - 1, (t + 1).clamp(max=schedule.T))
    bits = reverse_bits(lambda *_: (guess, variance), schedule, x_0, t, t - 1, eps, levels)
    return simple + weight * schedule.T * bits.mean()


def min_snr_loss(model: Denoiser, x_0: Data, gamma: float = 5.0) -> Float[Tensor, ""]:
    """The loss of one batch with the weights of Hang et al. 2023, for any prediction."""
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    weight = min_snr_weight(model.schedule, t, model.predicts, gamma)
    losses = model.loss(x_0, t, torch.randn_like(x_0))
    return (weight.to(losses.dtype) * losses).mean()


class MeanAsNoise(nn.Module):
    """A network that predicts the mean of x_{t-1}, read as one that predicts the noise.

    The first half of Table 2 (Ho et al. 2020) trains `net` this way; their eq. 11, solved for eps.
    """

    def __init__(self, net: nn.Module, schedule: DiscreteSchedule):
        super().__init__()
        self.net, self.schedule = net, schedule

    def forward(self, x_t: Images, t: Time) -> Images:
        _, sigma = self.schedule(t, like=x_t)
        beta = shaped(self.schedule.beta.to(t.device)[t], x_t)
        return (x_t - (1 - beta).sqrt() * self.net(x_t, t)) * sigma / beta


class Blind(nn.Module):
    """A network that is told time 0 whatever the time: what it knows of the noise, it sees in x_t.

    Around `net`, with the same parameters, for chapter 13's question whether the time is needed.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x_t: Images, t: Time) -> Images:
        return self.net(x_t, torch.zeros_like(t))


def digits_unet(num_classes: int | None = None, out_channels: int = 1) -> UNet:
    """For 8 × 8 digits: 8 × 8 and 4 × 4, small enough to train while you watch.

    Four groups, not 32: with one channel in a group, normalisation divides out how large x_t is,
    and a network that cannot tell errs by 1 / (2 · 64) on eps where eps is nearly all of x_t.
    """
    return UNet(
        out_channels=out_channels, widths=(16, 32), blocks=1, groups=4, num_classes=num_classes
    )


def fashion_unet(num_classes: int | None = None) -> UNet:
    """For 28 × 28 garments: reads patches of 2 × 2, works at 14 × 14 and 7 × 7."""
    return UNet(widths=(48, 96), blocks=2, patch=2, num_classes=num_classes)


def fashion_classifier() -> NoisyClassifier:
    """What garment is it? Works at 14 × 14 and 7 × 7, as `fashion_unet` does."""
    return NoisyClassifier(widths=(32, 64), patch=2)


def small_unet(
    num_classes: int | None = None,
    *,
    attention_at: Sequence[int] = (1,),
    heads: int = 1,
    inject: str = "add",
) -> UNet:
    """For garments of 14 × 14: works at 14, 7 and 4 pixels a side; small enough to take apart."""
    return UNet(
        widths=(12, 24, 24),
        blocks=1,
        groups=8,
        attention_at=attention_at,
        heads=heads,
        inject=inject,
        num_classes=num_classes,
    )


def flat_unet() -> UNet:
    """What `small_unet` costs, spent on one resolution: eleven blocks at 14 × 14, no attention."""
    return without_attention(UNet(widths=(12,), blocks=4, groups=8))
