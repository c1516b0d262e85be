"""LPIPS: how different two pictures look, by what a network sees in them.

AlexNet's first five layers describe both; where their channels disagree, weighted by how much
people care about each, is the distance (Zhang et al. 2018, section 3 and eq. 1). The weights are
the authors' version 0.1: an ImageNet AlexNet and five linear heads fitted to people's judgements.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Colour = Float[Tensor, "batch 3 height width"]
CHANNELS = (64, 192, 384, 256, 256)
SMALLEST = 32  # pixels a side: below, the last layers have nothing left to look at


class LPIPS(nn.Module):
    """Distance of pictures in [-1, 1], [batch]; 0 for equal ones, about 0.5 for unrelated ones."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            ]
        )
        self.heads = nn.ParameterList([torch.zeros(channels) for channels in CHANNELS])
        # ImageNet's mean and deviation, for pictures in [-1, 1].
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)

    def features(self, x: Colour) -> list[Float[Tensor, "batch channels rows columns"]]:
        """What each layer sees, each pixel's channels scaled to length 1."""
        x, seen = (x - self.shift) / self.scale, []
        for number, layer in enumerate(self.layers):
            x = F.relu(layer(F.max_pool2d(x, 3, 2) if number in (1, 2) else x))
            seen.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return seen

    def forward(self, first: Colour, second: Tensor) -> Float[Tensor, " batch"]:
        """Raises ValueError for pictures of unequal shapes, or smaller than 32 pixels."""
        if first.shape != second.shape:
            raise ValueError(
                f"pictures to compare must have equal shapes, "
                f"got {list(first.shape)} and {list(second.shape)}"
            )
        if min(first.shape[2:]) < SMALLEST:
            raise ValueError(
                f"LPIPS needs {SMALLEST} pixels a side, got {list(first.shape[2:])}; "
                "enlarge both pictures alike"
            )
        distance = torch.zeros(len(first), dtype=first.dtype, device=first.device)
        pairs = zip(self.features(first), self.features(second), self.heads, strict=True)
        for one, other, head in pairs:
            apart = (one - other).square() * head.view(1, -1, 1, 1)
            distance = distance + apart.sum(1).mean((1, 2))
        return distance
