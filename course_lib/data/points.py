"""Clouds of points in the plane: the smallest data on which every idea of the course can be seen.

Each cloud is a function of (n, seed), centred, and scaled so that its two coordinates have
variance 1 on average, which is what the schedules of `course_lib.diffusion` expect.
"""

from math import pi, sqrt

import torch

from course_lib.core.types import Points
from course_lib.diffusion.exact import GaussianMixture


def eight_gaussians(n: int, seed: int = 0) -> Points:
    """Eight round clumps on a circle; `eight_gaussians_mixture` is their exact law."""
    _check(n)
    return eight_gaussians_mixture().sample(n, seed)


def eight_gaussians_mixture() -> GaussianMixture:
    """The law of `eight_gaussians`, with its density, its score and its perfect denoiser.

    Clumps of standard deviation r/10 on a circle of radius r: variance r^2/2 + r^2/100 = 1.
    """
    radius = 1 / sqrt(1 / 2 + 1 / 100)
    angle = torch.arange(8) * (pi / 4)
    means = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return GaussianMixture(means, torch.full((8,), radius / 10))


def swiss_roll(n: int, seed: int = 0, noise: float = 0.05) -> Points:
    """A spiral of one and a half turns, denser towards its middle (after Sohl-Dickstein 2015)."""
    random = _generator(n, seed)
    angle = 1.5 * pi * (1 + 2 * torch.rand(n, generator=random))
    roll = angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    # Mean and spread of angle * (cos, sin) for an angle that is uniform in [1.5 pi, 4.5 pi].
    roll = roll - torch.tensor([2.0, 2 / (3 * pi)])
    spread = (9.75 * pi**2 - 4 - (2 / (3 * pi)) ** 2) / 2
    return _blur(roll / sqrt(spread), noise, random)


def two_moons(n: int, seed: int = 0, noise: float = 0.08) -> Points:
    """Two half circles that interlock."""
    random = _generator(n, seed)
    angle = pi * torch.rand(n, generator=random)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    is_upper = torch.rand(n, 1, generator=random) < 0.5
    moons = torch.where(is_upper, upper, lower) - torch.tensor([0.5, 0.25])
    spread = (0.75 + 0.5 - 4 / pi**2 + (2 / pi - 0.25) ** 2) / 2
    return _blur(moons / sqrt(spread), noise, random)


def checkerboard(n: int, seed: int = 0) -> Points:
    """The dark squares of a 4x4 board, each filled evenly: sharp edges and an exact density."""
    random = _generator(n, seed)
    row = torch.randint(4, (n,), generator=random)
    column = 2 * torch.randint(2, (n,), generator=random) + row % 2
    corner = torch.stack([column, row], dim=1) - 2.0
    return (corner + torch.rand(n, 2, generator=random)) * sqrt(3) / 2  # 4^2 / 12 = 4/3


def pinwheel(n: int, seed: int = 0, arms: int = 5) -> Points:
    """Arms that start apart in the middle and bend as they run outwards."""
    random = _generator(n, seed)
    along = 1 + 0.3 * torch.randn(n, generator=random)
    across = 0.05 * torch.randn(n, generator=random)
    arm = torch.randint(arms, (n,), generator=random)
    angle = 2 * pi * arm / arms + 0.25 * along.exp()
    x = along * angle.cos() - across * angle.sin()
    y = along * angle.sin() + across * angle.cos()
    return torch.stack([x, y], dim=1) / sqrt((1 + 0.3**2 + 0.05**2) / 2)


def two_spirals(n: int, seed: int = 0, noise: float = 0.04) -> Points:
    """Two arms of one turn and a half, wound into each other: the way out is long."""
    random = _generator(n, seed)
    angle = 3 * pi * torch.rand(n, generator=random).sqrt()  # the root spreads the points evenly
    side = 2 * torch.randint(2, (n,), generator=random) - 1
    radius = side * angle
    spirals = radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return _blur(spirals / sqrt((3 * pi) ** 2 / 4), noise, random)


def dinosaur(n: int, seed: int = 0, noise: float = 0.02) -> Points:
    """The outline of a long-necked dinosaur: one thin closed line with an eye."""
    random = _generator(n, seed)
    outline = torch.tensor(_DINOSAUR)
    edges = outline.roll(-1, 0) - outline
    edge = torch.multinomial(edges.norm(dim=1), n, replacement=True, generator=random)
    points = outline[edge] + torch.rand(n, 1, generator=random) * edges[edge]
    is_eye = torch.rand(n, 1, generator=random) < 0.02
    points = torch.where(is_eye, torch.tensor(_EYE), points)
    return _blur((points - torch.tensor([5.73, 3.47])) / 2.555, noise, random)


_EYE = (8.75, 7.55)
_DINOSAUR = (
    (0.2, 1.6), (1.4, 2.0), (2.3, 2.6), (3.0, 3.6), (3.9, 4.3), (5.0, 4.5), (6.0, 4.3),
    (6.7, 4.5), (7.2, 5.3), (7.6, 6.5), (7.9, 7.5), (8.3, 8.0), (8.9, 8.1), (9.5, 7.8),
    (10.1, 7.4), (10.2, 7.0), (9.6, 6.9), (8.9, 6.9), (8.6, 6.4), (8.4, 5.2), (8.0, 4.0),
    (7.5, 3.1), (7.1, 2.5), (7.2, 1.0), (7.3, 0.1), (6.3, 0.1), (6.2, 1.2), (6.0, 2.0),
    (5.0, 1.8), (4.2, 1.9), (4.1, 1.0), (4.2, 0.1), (3.2, 0.1), (3.1, 1.2), (2.8, 1.8),
    (1.8, 1.5),
)  # fmt: skip


def _blur(points: Points, noise: float, random: torch.Generator) -> Points:
    """Add Gaussian noise of standard deviation `noise`, and keep the variance where it was."""
    return (points + noise * torch.randn(points.shape, generator=random)) / sqrt(1 + noise**2)


def _generator(n: int, seed: int) -> torch.Generator:
    _check(n)
    return torch.Generator().manual_seed(seed)


def _check(n: int) -> None:
    if n < 1:
        raise ValueError(f"n must be 1 or more, got {n}")
