"""The exercises of a chapter: the example that `make chapter` copies."""

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("signal and noise share the variance as alpha_bar says")
def check_noisy(noisy: Callable[..., Any]) -> None:
    """Exercise 1: x_t from x_0 and eps, given alpha_bar (Ho et al. 2020, eq. 4)."""
    x_0, eps = torch.randn(2, 4, 2)
    x_t = noisy(x_0, 0.36, eps)
    reject(
        equal(x_t, 0.36 * x_0 + 0.64 * eps),
        "alpha_bar is a share of the variance. Multiply by its root, a standard deviation.",
    )
    reject(
        equal(x_t, 0.8 * x_0 + 0.6 * eps),
        "signal and noise are swapped: alpha_bar near 1 should leave the picture nearly clean.",
    )
    require(equal(x_t, 0.6 * x_0 + 0.8 * eps), "x_t is not sqrt(alpha_bar) x_0 + ... eps.")
