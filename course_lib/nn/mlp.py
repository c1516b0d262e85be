"""The network of every two-dimensional experiment: a residual MLP on Fourier features."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Points, Time
from course_lib.nn.embeddings import FourierFeatures, sinusoidal


class MLP(nn.Module):
    """Points and a time in, points out: net(x_t, t).

    Reads x_t itself and random Fourier features of it (an MLP on raw coordinates draws blobs where
    the data has edges), and sinusoids of the time.

    t_scale   what a time is multiplied by before the sinusoids, which expect 0..1,000:
              1 for a discrete schedule of about 1,000 steps, 1,000 for times in [0, 1]
    features  how many frequencies; 0 reads x_t alone, which is enough for bits
    out_dim   numbers put out for each point; as many as it has coordinates if not given
    """

    def __init__(
        self,
        dim: int = 2,
        width: int = 128,
        depth: int = 3,
        *,
        features: int = 32,
        feature_scale: float = 0.5,
        t_scale: float = 1.0,
        out_dim: int | None = None,
    ):
        super().__init__()
        self.t_scale, self.time_dim = t_scale, 64
        self.features = FourierFeatures(dim, features, feature_scale)
        self.first = nn.Linear(dim + 2 * features + self.time_dim, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, out_dim or dim)

    def forward(self, x_t: Points, t: Time) -> Float[Tensor, "batch out_dim"]:
        time = sinusoidal(t * self.t_scale, self.time_dim).to(x_t.dtype)
        h = self.first(torch.cat([x_t, self.features(x_t), time], dim=1))
        for layer in self.hidden:
            h = h + layer(F.silu(h))
        return self.last(F.silu(h))
