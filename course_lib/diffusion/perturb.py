"""Multiply a model by a function r(x), step by step (Sohl-Dickstein et al. 2015, section 2.5).

To draw from p(x_0) r(x_0) / Z, every step of the reverse walk is multiplied by r and normalised.
This is where guidance comes from: with r(x_t) = p(label | x_t) it is chapter 16's. Derived in
chapter 4, with the condition under which it is exact.
"""

import torch
from torch import Tensor

from course_lib.core.types import Data


def tilted_gaussian(mean: Data, variance: Tensor, slope: Data) -> Data:
    """The mean of N(mean, variance) times r: it moves by the variance times the slope.

    slope   the gradient of log r at `mean`

    The variance stays. Exact where log r is linear; the smaller the step, the more nearly it is
    (their appendix C).
    """
    return mean + variance * slope


def times_gaussian(
    mean: Data, variance: Tensor, centre: Data, spread: float | Tensor
) -> tuple[Data, Tensor]:
    """Mean and variance of N(mean, variance) times N(centre, spread), normalised: exact.

    spread   the variance of the second factor; 0 is a delta at its centre (a known value), and
             infinity leaves the first as it was
    """
    spread = torch.as_tensor(spread, dtype=mean.dtype, device=mean.device)
    pull = torch.where(spread == 0, 1, variance / (variance + spread))  # also if variance is 0
    return (1 - pull) * mean + pull * centre, variance * (1 - pull)  # exact at pull 0 and 1


def tilted_bernoulli(chance: Data, if_one: Data | float, if_zero: Data | float) -> Data:
    """The chance of a one after multiplying by r, whose values are `if_one` and `if_zero`: exact.

    (1, 0) and (0, 1) fix a known bit; equal values change nothing. Raises ValueError where both are
    0, or r is negative, or r allows only what has no chance: no bit would be allowed.
    """
    one, zero = (torch.as_tensor(r, dtype=chance.dtype) for r in (if_one, if_zero))
    if bool(((one < 0) | (zero < 0) | (one + zero == 0)).any()):
        raise ValueError("r must not be negative, and must allow a zero or a one at every bit")
    total = chance * one + (1 - chance) * zero
    if bool((total == 0).any()):
        raise ValueError("r allows only a value whose chance is 0: see where `chance` is 0 or 1")
    return chance * one / total
