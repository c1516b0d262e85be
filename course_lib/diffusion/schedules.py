"""How much signal and how much noise there is at time t:  x_t = alpha(t) x_0 + sigma(t) eps.

t = 0 is data and larger is noisier, everywhere. A discrete schedule counts t = 1..T as the papers
do and stores T + 1 values with alpha_bar[0] = 1, so that no first or last step is a special case.
Built by hand in chapters 0 and 7.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from course_lib.core.types import Data, PerExample, Time


@dataclass(frozen=True)
class NoiseSchedule:
    """Two functions of time, alpha(t) and sigma(t), for times in [0, t_max]."""

    alpha: Callable[[Tensor], Tensor]
    sigma: Callable[[Tensor], Tensor]
    t_max: float = 1.0

    def __call__(self, t: Time, like: Data) -> tuple[Tensor, Tensor]:
        """alpha(t) and sigma(t) with shape [batch, 1, ..., 1], ready to multiply `like`.

        Raises ValueError unless t holds one time for each example of `like`.
        """
        return shaped(self.alpha(t), like), shaped(self.sigma(t), like)

    def snr(self, t: Time) -> PerExample:
        """Signal-to-noise ratio alpha² / sigma²: infinite at data, falling to about 0."""
        return (self.alpha(t) / self.sigma(t)).square()

    def log_snr(self, t: Time) -> PerExample:
        """log(alpha² / sigma²), the logarithm of `snr`.

        Kingma et al. 2021 write it as minus gamma; DPM-Solver's lambda is half of it.
        """
        return 2 * (self.alpha(t).log() - self.sigma(t).log())


@dataclass(frozen=True)
class DiscreteSchedule(NoiseSchedule):
    """A variance-preserving schedule given by T step noises; its times are integers 0..T.

    beta[t]       variance of the noise that step t adds; beta[0] = 0
    alpha_bar[t]  product of (1 - beta) up to t (Ho et al. 2020, above eq. 4); alpha_bar[0] = 1

    Both are float64 tensors of length T + 1. Beware: DDIM writes alpha_t for this alpha_bar_t.
    """

    beta: Float[Tensor, " times"] = field(kw_only=True)
    alpha_bar: Float[Tensor, " times"] = field(kw_only=True)

    @property
    def T(self) -> int:
        """The number of steps, so the noisiest time."""
        return len(self.beta) - 1


def from_betas(betas: Float[Tensor, " T"]) -> DiscreteSchedule:
    """The schedule of T given step noises, beta_1 ... beta_T.

    betas   in (0, 1); 1 is allowed for the last one only (zero terminal signal)

    Raises ValueError naming the first step that is out of range.
    """
    betas = betas.to(torch.float64)
    last = torch.arange(len(betas)) == len(betas) - 1
    wrong = ~((betas > 0) & ((betas < 1) | (betas == 1) & last))  # said so that NaN is wrong too
    if len(betas) == 0 or bool(wrong.any()):
        at = int(wrong.int().argmax()) if len(betas) else 0
        said = f"beta_{at + 1} = {betas[at]:g}" if len(betas) else "none at all"
        raise ValueError(f"betas must lie in (0, 1), got {said}")
    beta = torch.cat([torch.zeros(1, dtype=torch.float64), betas])
    alpha_bar = (1 - beta).cumprod(0)
    # 1 - alpha_bar is formed in float64: near t = 0 float32 would lose most of its digits.
    alpha, sigma = _Table(alpha_bar.sqrt()), _Table((1 - alpha_bar).sqrt())
    return DiscreteSchedule(alpha, sigma, float(len(betas)), beta=beta, alpha_bar=alpha_bar)


def from_alpha_bar(alpha_bar: Float[Tensor, " times"], max_beta: float = 0.999) -> DiscreteSchedule:
    """The schedule whose cumulative products are `alpha_bar` (T + 1 values, the first one 1).

    Step noises are capped at `max_beta`, so that the last ones do not destroy everything at once
    (Nichol & Dhariwal 2021, section 3.2).

    Raises ValueError if alpha_bar does not start at 1 and fall at every step, to 0 or above.
    """
    alpha_bar = alpha_bar.to(torch.float64)
    if len(alpha_bar) < 2 or alpha_bar[0] != 1 or not bool((alpha_bar.diff() < 0).all()):
        raise ValueError("alpha_bar must start at exactly 1 and fall at every step")
    if alpha_bar[-1] < 0:
        raise ValueError(f"alpha_bar is a share and ends at 0 or above, got {alpha_bar[-1]:g}")
    return from_betas((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta))


def linear(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> DiscreteSchedule:
    """DDPM's schedule: step noises rise linearly (Ho et al. 2020, section 4).

    The defaults belong to T = 1000. With fewer steps the same end points leave signal at t = T;
    scale both by 1000 / T to keep the path (chapter 7 shows what happens if you forget).
    """
    return from_betas(torch.linspace(first, last, T, dtype=torch.float64))


def cosine(T: int = 1000, offset: float = 0.008) -> DiscreteSchedule:
    """alpha_bar falls as a squared cosine, slowly at both ends (Nichol & Dhariwal 2021, eq. 17)."""
    u = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((u + offset) / (1 + offset) * math.pi / 2).square()
    return from_alpha_bar(f / f[0])


def scaled_linear(T: int = 1000, first: float = 0.00085, last: float = 0.012) -> DiscreteSchedule:
    """Latent diffusion's schedule: the *roots* of the step noises rise linearly.

    The defaults are those of Stable Diffusion v1 (its v1-inference.yaml, where the betas are called
    "linear"; `diffusers` calls them "scaled_linear").
    """
    return from_betas(torch.linspace(first**0.5, last**0.5, T, dtype=torch.float64).square())


def from_log_snr(log_snr: Callable[[Tensor], Tensor]) -> NoiseSchedule:
    """The variance-preserving schedule with this log(alpha² / sigma²), for times in [0, 1].

    log_snr   a function that falls with t; finite ends keep alpha and sigma above 0 everywhere.
              Kingma et al. 2021 call it minus gamma
    """
    # alpha² = sigmoid(log SNR), sigma² = sigmoid(-log SNR): both exact where the other is near 1.
    return NoiseSchedule(
        lambda t: torch.sigmoid(log_snr(t)).sqrt(), lambda t: torch.sigmoid(-log_snr(t)).sqrt()
    )


# Continuous schedules: times are floats.
# Variance preserving with angle t pi / 2: the cosine schedule without its offset.
cosine_vp = NoiseSchedule(
    lambda t: torch.cos(t * math.pi / 2).clamp(min=0),  # in float32 the last one is -4e-8
    lambda t: torch.sin(t * math.pi / 2),
)
# Liu et al. 2022; Lipman et al. 2022: a straight line from data to noise. Their time is 1 - t.
rectified = NoiseSchedule(lambda t: 1 - t, lambda t: t)
# The signal keeps its size and t is the noise level itself ("variance exploding"): the schedule of
# Song & Ermon 2019, under the name that Karras et al. 2022 gave it.
edm = NoiseSchedule(torch.ones_like, lambda t: t, t_max=80.0)


def spaced_times(schedule: DiscreteSchedule, steps: int, stop: int = 0) -> Int[Tensor, " times"]:
    """`steps` + 1 integer times from T down to `stop`, as evenly spaced as integers allow.

    With steps = T these are all of T, T-1, ..., 0. A walk that stops above 0 ends on a picture that
    is still noisy. Raises ValueError unless 1 <= steps <= T - stop and stop >= 0.
    """
    if not 1 <= steps <= schedule.T:
        raise ValueError(f"steps must be 1..{schedule.T} for this schedule, got {steps}")
    if not 0 <= stop <= schedule.T - steps:
        raise ValueError(f"{steps} steps from {schedule.T} cannot end at {stop}")
    return torch.linspace(schedule.T, stop, steps + 1, dtype=torch.float64).round().long()


def leading_times(schedule: DiscreteSchedule, steps: int) -> Int[Tensor, " times"]:
    """`steps` + 1 integer times as Stable Diffusion walks them: from below T down to 1, not to 0.

    For T = 1000 and 50 steps 982, 962, ..., 22, 2, and 1: every 20th of *their* times 0..999,
    moved by one ("leading" with steps_offset = 1 in `diffusers`), said in our times 1..T. The last
    step ends at their time 0, our 1, where a little noise is left (set_alpha_to_one = False).

    Raises ValueError unless 1 <= steps <= T / 2.
    """
    if not 1 <= steps <= schedule.T // 2:
        raise ValueError(f"steps must be 1..{schedule.T // 2} for this schedule, got {steps}")
    stride = schedule.T // steps
    times = torch.arange(steps - 1, -1, -1) * stride + 2
    return torch.cat([times, torch.ones(1, dtype=torch.long)])


def respaced(schedule: DiscreteSchedule, times: Int[Tensor, " times"]) -> DiscreteSchedule:
    """The schedule of a chain that visits only `times`, as a chain of its own with steps 1..S.

    Its beta_i is 1 - alpha_bar[t_i] / alpha_bar[t_{i-1}] (Nichol & Dhariwal 2021, section 4).
    Step i of it is the step to t_i of the old one; a network is still to be asked at t_i.

    times   decreasing to 0, as `spaced_times` gives them

    Raises ValueError unless they decrease strictly to 0 and lie in 0..T.
    """
    if len(times) < 2 or times[-1] != 0 or not bool((times.diff() < 0).all()):
        raise ValueError(f"times must decrease strictly to 0, got {times.tolist()[:8]}")
    if times[0] > schedule.T:
        raise ValueError(f"times of this schedule are 0..{schedule.T}, got {int(times[0])}")
    return from_alpha_bar(schedule.alpha_bar[times.flip(0)], max_beta=1.0)


def zero_terminal(schedule: DiscreteSchedule) -> DiscreteSchedule:
    """The same schedule, shifted and stretched so that no signal is left at t = T.

    sqrt(alpha_bar) loses its value at T everywhere and is scaled to keep its value at t = 1 (Lin et
    al. 2023, algorithm 1). At T the network sees noise alone: it has to predict "v" or "x_0".
    """
    root = schedule.alpha_bar.sqrt()
    first, last = root[1], root[-1]
    moved = ((root - last) * (first / (first - last))).square()
    moved[0], moved[-1] = 1, 0
    return from_alpha_bar(moved, max_beta=1.0)


def geometric_times(steps: int, low: float = 0.01, high: float = 50.0) -> Float[Tensor, " times"]:
    """Noise levels from `high` to `low` with one ratio between neighbours, then 0.

    The ladder of Song & Ermon 2019, section 4.1, where the levels count from the largest.
    Times of the `edm` schedule. Raises ValueError unless 0 < low < high and steps >= 2.
    """
    u = _rungs(steps, low, high)
    return torch.cat([high * (low / high) ** u, torch.zeros(1, dtype=torch.float64)])


def karras_times(
    steps: int, low: float = 0.002, high: float = 80.0, rho: float = 7.0
) -> Float[Tensor, " times"]:
    """Noise levels from `high` to `low`, denser near data, then 0 (Karras et al. 2022, eq. 5).

    Times of the `edm` schedule. Raises ValueError unless 0 < low < high and steps >= 2.
    """
    u = _rungs(steps, low, high)
    levels = (high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    return torch.cat([levels, torch.zeros(1, dtype=torch.float64)])


def time_at(schedule: NoiseSchedule, log_snr: PerExample) -> PerExample:
    """The time at which the schedule has this log signal-to-noise ratio, in float64.

    A discrete schedule's ratio is interpolated between its integer times 1..T, and a ratio beyond
    them gets the nearer end. A continuous one is searched by halving (0, t_max].
    """
    wanted = log_snr.detach().to(log_snr.dtype if log_snr.device.type == "mps" else torch.float64)
    if isinstance(schedule, DiscreteSchedule):
        times = torch.arange(1, schedule.T + 1, device=wanted.device)
        known = schedule.log_snr(times)
        wanted = wanted.clamp(known[-1], known[0])
        after = torch.searchsorted(-known, -wanted).clamp(1, schedule.T - 1)  # known ones fall
        left, right = known[after - 1], known[after]
        time = after + ((left - wanted) / (left - right)).clamp(0, 1)
        return torch.where(wanted <= known[-1], schedule.T, time)  # the last one may be infinite
    low, high = torch.zeros_like(wanted), torch.full_like(wanted, schedule.t_max)
    for _ in range(60):
        middle = (low + high) / 2
        noisier = schedule.log_snr(middle) > wanted  # the time sought is later
        low, high = torch.where(noisier, middle, low), torch.where(noisier, high, middle)
    return high


def _rungs(steps: int, low: float, high: float) -> Float[Tensor, " steps"]:
    """Numbers from 0 to 1 for the levels from `high` to `low`."""
    if not 0 < low < high or steps < 2:
        raise ValueError(
            f"need 0 < low < high and steps >= 2, got low={low}, high={high}, steps={steps}"
        )
    return torch.linspace(0, 1, steps, dtype=torch.float64)


def shaped(values: Shaped[Tensor, " times"], like: Data) -> Tensor:
    """One number per example in the precision of `like`, with shape [batch, 1, ..., 1].

    The only place where a time meets the shape of an image. Raises ValueError unless there are as
    many numbers, so as many times, as examples.
    """
    if values.shape != like.shape[:1]:
        raise ValueError(
            f"t must have shape ({len(like)},), one time per example; got {tuple(values.shape)}"
        )
    return values.to(like.dtype).view((-1,) + (1,) * (like.ndim - 1))


class _Table:
    """A function of integer times that looks its values up, with one copy per device."""

    def __init__(self, values: Float[Tensor, " times"]):
        self.values = {torch.device("cpu"): values}

    def __call__(self, t: Tensor) -> Tensor:
        if t.is_floating_point():
            raise TypeError(
                f"times of a discrete schedule are integers 0..T, got {t.dtype}. Use spaced_times"
            )
        if t.device.type == "cpu":  # asking a GPU would make it wait; it raises by itself above T
            self._check_range(t)
        if t.device not in self.values:
            values = self.values[torch.device("cpu")]
            # Apple's MPS has no float64.
            self.values[t.device] = (values.float() if t.device.type == "mps" else values).to(
                t.device
            )
        return self.values[t.device][t]

    def _check_range(self, t: Tensor) -> None:
        # -1 would silently mean the noisiest time: what a loop over 0..T-1 asks for at its end.
        last = len(self.values[torch.device("cpu")]) - 1
        low, high = (int(end) for end in t.aminmax()) if t.numel() else (0, 0)
        if low < 0 or high > last:
            raise ValueError(
                f"times of this schedule are 0..{last}, got {low if low < 0 else high}"
            )
