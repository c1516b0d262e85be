"""What a network may predict: some mix a x_0 + b eps. The choice of (a, b) sets papers apart.

Two equations, x_t = alpha x_0 + sigma eps and out = a x_0 + b eps, give the two unknowns. With
det = a sigma - b alpha the solution is x_0 = (sigma out - b x_t) / det.
Derived and checked in chapter 7.
"""

from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.types import Data

# The standard deviation of data that the "edm" row assumes (Karras et al. 2022, table 1).
SIGMA_DATA = 0.5


def _edm(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    # Karras et al. 2022, table 1: out = (x_0 - c_skip x_t) / c_out, in the coordinates of `alpha`
    # and `sigma`. c_out and what it divides both hold a sigma, cancelled here: it may be 0.
    total = (alpha**2 * SIGMA_DATA**2 + sigma**2).sqrt()
    return sigma / (SIGMA_DATA * total), -alpha * SIGMA_DATA / total


_MIXES = {
    "x_0": lambda alpha, sigma: (alpha * 0 + 1, sigma * 0),
    "eps": lambda alpha, sigma: (alpha * 0, sigma * 0 + 1),  # Ho et al. 2020, eq. 14
    "score": lambda alpha, sigma: (alpha * 0, -1 / sigma),  # Vincent 2011; Song & Ermon 2019, eq. 2
    "v": lambda alpha, sigma: (-sigma, alpha),  # Salimans & Ho 2022, section 4
    "flow": lambda alpha, sigma: (alpha * 0 - 1, sigma * 0 + 1),  # dx_t/dt of `rectified`
    "edm": _edm,
}
PREDICTS = tuple(_MIXES)


def mix(predicts: str, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """The pair (a, b) for which the network's output is a x_0 + b eps.

    Raises ValueError listing the valid names.
    """
    one_of(predicts, PREDICTS, "prediction")
    return _MIXES[predicts](alpha, sigma)


def target(predicts: str, x_0: Data, eps: Data, alpha: Tensor, sigma: Tensor) -> Data:
    """What a perfect network would put out if it could see x_0 and eps."""
    a, b = mix(predicts, alpha, sigma)
    return a * x_0 + b * eps


def x_0_from(predicts: str, out: Data, x_t: Data, alpha: Tensor, sigma: Tensor) -> Data:
    """The clean data that the output `out` at x_t stands for.

    At sigma = 0 that is x_t / alpha, except for "x_0", where it is what the network says, and
    "score", whose row has no values there (NaN).
    """
    a, b = mix(predicts, alpha, sigma)
    if predicts == "x_0":  # sigma / sigma, which is 1 at sigma = 0 too
        return a * out
    return (sigma * out - b * x_t) / (a * sigma - b * alpha)


def eps_from(x_0: Data, x_t: Data, alpha: Tensor, sigma: Tensor) -> Data:
    """The noise that leads from x_0 to x_t. Not defined at t = 0, where there is none."""
    return (x_t - alpha * x_0) / sigma


def convert(
    out: Data, x_t: Data, alpha: Tensor, sigma: Tensor, *, source: str, wanted: str
) -> Data:
    """Say in terms of `wanted` what the network said in terms of `source`."""
    x_0 = x_0_from(source, out, x_t, alpha, sigma)
    return target(wanted, x_0, eps_from(x_0, x_t, alpha, sigma), alpha, sigma)


def x_0_weight(predicts: str, alpha: Tensor, sigma: Tensor) -> Tensor:
    """How much a squared loss on the output counts the squared error in x_0: (det / sigma)²."""
    a, b = mix(predicts, alpha, sigma)
    if predicts == "x_0":  # as above
        return a.square()
    return ((a * sigma - b * alpha) / sigma).square()
