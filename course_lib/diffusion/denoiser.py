"""The socket that everything plugs into: denoise(x_t, t) -> the mean of x_0 given x_t."""

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from course_lib.core.types import Data, Denoise, PerExample, Time
from course_lib.diffusion.predictions import mix, target, x_0_from
from course_lib.diffusion.schedules import DiscreteSchedule, NoiseSchedule, shaped, time_at


class Denoiser(nn.Module):
    """A network seen as the mean of x_0 given x_t, whatever it was trained to predict.

    net        net(x_t, t, **cond) -> a tensor shaped like x_t
    predicts   "x_0", "eps", "score", "v", "flow" or "edm" (predictions.py)
    """

    def __init__(self, net: nn.Module, schedule: NoiseSchedule, predicts: str = "eps"):
        super().__init__()
        one = Tensor([0.5])
        mix(predicts, one, one)  # an unknown name fails here, not at the first batch
        self.net, self.schedule, self.predicts = net, schedule, predicts

    def forward(self, x_t: Data, t: Time, **cond: Shaped[Tensor, "..."]) -> Data:
        """The network's estimate of x_0."""
        alpha, sigma = self.schedule(t, like=x_t)
        return x_0_from(self.predicts, self._ask(x_t, t, cond), x_t, alpha, sigma)

    def loss(self, x_0: Data, t: Time, eps: Data, **cond: Shaped[Tensor, "..."]) -> PerExample:
        """Mean squared error of what the network predicts, one number per example.

        For "eps" this is L_simple (Ho et al. 2020, eq. 14).
        """
        alpha, sigma = self.schedule(t, like=x_0)
        out = self._ask(alpha * x_0 + sigma * eps, t, cond)
        wanted = target(self.predicts, x_0, eps, alpha, sigma)
        return (out - wanted).square().flatten(1).mean(1)

    def _ask(self, x_t: Tensor, t: Tensor, cond: dict[str, Tensor]) -> Tensor:
        """The network's output. A wrong shape would often broadcast, and train to nonsense."""
        out = self.net(x_t, t, **cond)
        if out.shape != x_t.shape:
            raise ValueError(
                f"the network must put out the shape of x_t, {list(x_t.shape)}; got"
                f" {list(out.shape)}"
            )
        return out


def on_schedule(model: Denoiser, schedule: NoiseSchedule) -> Denoise:
    """The same network as a denoiser on another schedule, at times in between its own too.

    What a denoiser knows depends on the signal-to-noise ratio alone: x_t / alpha is x_0 plus noise
    of that ratio on any schedule. So x_t is rescaled and the network asked at the time where it
    met this ratio in training. Where there is more noise than it ever met, x_t is shrunk until the
    noise has the size of its last level.
    """
    own = model.schedule
    last = torch.tensor([own.T if isinstance(own, DiscreteSchedule) else own.t_max])
    lowest = float(own.log_snr(last))

    def denoise(x_t: Data, t: Time) -> Data:
        whole = isinstance(schedule, DiscreteSchedule) or t.device.type == "mps"
        now, noise = schedule(t, like=x_t)
        met = schedule.log_snr(t if whole else t.double())
        level = met.clamp(min=lowest)
        time = time_at(own, level)
        if isinstance(own, DiscreteSchedule):  # its tables know no times in between
            alpha, sigma = (shaped(torch.sigmoid(c * level).sqrt(), x_t) for c in (1, -1))
        else:
            alpha, sigma = own(time, like=x_t)
        past = (shaped(met, x_t) < shaped(level, x_t)) | (now == 0)
        y = torch.where(past, sigma / noise, alpha / now) * x_t
        return x_0_from(model.predicts, model.net(y, time.to(x_t.dtype)), y, alpha, sigma)

    return denoise
