"""The exercises of chapter 14: sigma(eta), the way up, the excess of sigma-hat, and slerp."""

from collections.abc import Callable
from typing import Any

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("the noise of a step, from none at all to the ancestral one")
def check_sigma_of(sigma_of: Callable[..., Any]) -> None:
    """Exercise 1: the spread of the fresh noise, for any pair of times and any eta."""
    bar = linear().alpha_bar
    for t, s in ((700, 300), (2, 1), (500, 499)):
        now, then = bar[t], bar[s]
        right = ((1 - then) / (1 - now) * (1 - now / then)).sqrt()
        for eta in (1.0, 0.5):
            found = sigma_of(bar, t, s, eta)
            reject(
                equal(found, right**2 * eta, 1e-9) or equal(found, right**2 * eta**2, 1e-9),
                "this is a variance. The step multiplies noise by its root.",
            )
            reject(
                eta < 1 and equal(found, eta**0.5 * right, 1e-9),
                "eta stands outside of the root: half of eta is half of the spread.",
            )
            reject(
                eta < 1 and equal(found, right, 1e-9),
                "eta changes nothing.",
            )
            reject(
                equal(found, eta * (1 - now / then).sqrt(), 1e-9),
                "this is sigma-hat, the larger one: it lacks the factor that makes beta-tilde.",
            )
            reject(
                equal(found, eta * ((1 - now) / (1 - then) * (1 - now / then)).sqrt(), 1e-9),
                "the fraction of noise levels is upside down: at s = 0 there must be no noise.",
            )
            reject(
                equal(found, eta * ((1 - then) / (1 - now) * (1 - now)).sqrt(), 1e-9),
                "1 - alpha_bar_t is all the noise up to t. The step from s to t adds"
                " 1 - alpha_bar_t / alpha_bar_s.",
            )
            require(equal(found, eta * right, 1e-9), "the value is not the one of equation 16.")
    require(equal(sigma_of(bar, 50, 0, 1.0), 0.0, 1e-9), "at s = 0 nothing may be added.")


@exercise("the way up undoes the way down")
def check_step_up(step_up: Callable[..., Any]) -> None:
    """Exercise 2: one step of inversion, with the indices where they belong."""
    bar = linear().alpha_bar
    x_s, eps = torch.randn(2, 6, dtype=torch.float64)
    s, t = 200, 260
    down = bar[s].sqrt() * (x_s - (1 - bar[t]).sqrt() * eps) / bar[t].sqrt()
    down = down + (1 - bar[s]).sqrt() * eps  # what the downward step makes of the same numbers
    n_s, n_t = ((1 - bar[i]).sqrt() / bar[i].sqrt() for i in (s, t))
    right = bar[t].sqrt() * (x_s / bar[s].sqrt() + (n_t - n_s) * eps)
    found = step_up(x_s, eps, bar, s, t)
    reject(equal(found, down), "this walks down: s is now the time you have, t the one you want.")
    reject(
        equal(found, bar[t].sqrt() * x_s + (1 - bar[t]).sqrt() * eps),
        "this adds noise to x_s as if it were x_0. First find the x_0 in x_s.",
    )
    reject(
        equal(found, x_s / bar[s].sqrt() + (n_t - n_s) * eps),
        "this is x / sqrt(alpha_bar), the coordinate in which the step is straight. Come back.",
    )
    reject(
        equal(found, bar[t].sqrt() * (x_s / bar[s].sqrt() - (n_t - n_s) * eps)),
        "the noise has the wrong sign: on the way up it grows.",
    )
    reject(
        equal(found, bar[t] * (x_s - (1 - bar[s]) * eps) / bar[s] + (1 - bar[t]) * eps),
        "the roots are missing: alpha_bar is a variance, x_0 and eps take its root.",
    )
    require(
        equal(found, right), "x_t is not alpha_t x_0 + sigma_t eps with the x_0 and eps of x_s."
    )


@exercise("what sigma-hat leaves behind")
def check_excess(excess: Callable[..., Any]) -> None:
    """Exercise 3: the variance that a step with sigma-hat adds beyond the exact one."""
    bar = linear().alpha_bar
    for t, s, variance in ((700, 300, 0.2), (300, 100, 0.0), (50, 20, 1.0)):
        now, then = bar[t], bar[s]
        beta = 1 - now / then
        marginal = now * variance + 1 - now
        right = then * beta**2 * (1 - variance) / marginal
        found = excess(bar, t, s, variance)
        reject(
            equal(found, then * beta**2 / (1 - now), 1e-9) and not equal(found, right, 1e-9),
            "this is beta minus beta-tilde: it leaves out the variance that x_0 still has once x_t"
            " is known.",
        )
        reject(
            equal(found, -then * beta**2 * variance / ((1 - now) * marginal), 1e-9)
            and not equal(found, right, 1e-9),
            "this is the excess of beta-tilde, which is a lack. Sigma-hat squared is beta.",
        )
        reject(
            equal(found, -right, 1e-9) and variance < 1,
            "the sign: it adds too much, not too little.",
        )
        require(
            equal(found, right, 1e-9),
            f"at t = {t}, s = {s}, data variance {variance} it is not the difference of the two.",
        )


@exercise("as long as the noises it joins")
def check_slerp(slerp: Callable[..., Any]) -> None:
    """Exercise 4: the great circle between two noises."""
    a, b = torch.randn(2, 400, dtype=torch.float64)
    a, b = a / a.norm() * 20, b / b.norm() * 20
    angle = torch.arccos(a @ b / (a.norm() * b.norm()))
    for w in (0.3, 0.5):
        right = (((1 - w) * angle).sin() * a + (w * angle).sin() * b) / angle.sin()
        found = slerp(a, b, w)
        reject(
            equal(found, (1 - w) * a + w * b),
            "this is the straight line: in the middle it is about 0.7 times as long as its ends.",
        )
        reject(
            w != 0.5
            and equal(found, ((w * angle).sin() * a + ((1 - w) * angle).sin() * b) / angle.sin()),
            "the ends are swapped: weight 0 is a.",
        )
        reject(
            equal(found, ((1 - w) * angle).sin() * a + (w * angle).sin() * b),
            "divide by the sine of the whole angle.",
        )
        line = (1 - w) * a + w * b
        reject(
            w != 0.5 and equal(found, line / line.norm() * 20),
            "this is a straight line put back to the right length. The length is right, the pace is"
            " not: slerp turns by equal angles.",
        )
        require(found.shape == a.shape, "slerp returns a vector like a and b.")
        require(equal(found.norm(), torch.tensor(20.0)), "the result is not as long as a and b.")
        require(equal(found, right), "it is on the sphere, but not at that angle.")
