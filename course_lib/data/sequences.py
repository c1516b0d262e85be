"""Binary sequences small enough to know everything about: the heartbeat of 2015."""

import torch

from course_lib.core.types import Points

LENGTH = 20  # bits
PERIOD = 5  # a one in every fifth place


def heartbeats() -> Points:
    """All five heartbeats: a one in every fifth of twenty places, the first one in place 0 to 4.

    Sohl-Dickstein et al. 2015, section 3.1.2. Each is equally likely, so the best log-likelihood
    that any model can reach is log2(1/5) = -2.322 bits per sequence.
    """
    place, phase = torch.arange(LENGTH), torch.arange(PERIOD)
    return (place % PERIOD == phase[:, None]).float()


def heartbeat(n: int, seed: int = 0) -> Points:
    """n heartbeats, each of the five equally likely. Raises ValueError unless n >= 1."""
    if n < 1:
        raise ValueError(f"n must be 1 or more, got {n}")
    generator = torch.Generator().manual_seed(seed)
    return heartbeats()[torch.randint(PERIOD, (n,), generator=generator)]
