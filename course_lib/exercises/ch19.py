"""The exercises of chapter 19: three scales, a bill, half a step ahead, and a student's target."""

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("inputs and targets of variance 1, and the smallest errors")
def check_preconditioning(preconditioning: Callable[..., Any]) -> None:
    """Exercise 1: c_in, c_skip and c_out of one noise level, for data of any spread."""
    for n, spread in ((0.3, 0.5), (2.0, 1.5), (40.0, 0.7)):
        found = preconditioning(n, spread)
        require(
            isinstance(found, tuple | list) and len(found) == 3,
            "return three numbers: c_in, c_skip, c_out.",
        )
        c_in, c_skip, c_out = (float(c) for c in found)
        total = spread**2 + n**2
        reject(
            equal(c_in, 1 / total, 1e-6),
            "c_in divides by the variance of z. To make the variance 1, divide by its root.",
        )
        reject(
            equal(c_in, (1 + n**2) ** -0.5, 1e-6) or equal(c_skip, 1 / (1 + n**2), 1e-6),
            "this takes data of variance 1. Here its standard deviation is `spread`.",
        )
        reject(
            equal(c_in, (spread + n**2) ** -0.5, 1e-6) or equal(c_in, 1 / (spread + n), 1e-6),
            "variances add, and `spread` and n are standard deviations: square both.",
        )
        require(equal(c_in, total**-0.5, 1e-6), "c_in z does not have variance 1.")
        reject(
            equal(c_skip, n**2 / total, 1e-6),
            "c_skip is upside down: without noise z is the answer, so c_skip must tend to 1.",
        )
        reject(
            equal(c_skip, spread / total**0.5, 1e-6),
            "this c_skip is the root of the best one. Set the derivative of c_out squared to 0.",
        )
        variance = (1 - c_skip) ** 2 * spread**2 + c_skip**2 * n**2
        reject(
            equal(c_out, variance, 1e-6) and not equal(variance, variance**0.5, 1e-6),
            "c_out is a standard deviation: take the root of the variance of x_0 - c_skip z.",
        )
        require(
            equal(c_out, variance**0.5, 1e-6),
            "with this c_skip, (x_0 - c_skip z) / c_out does not have variance 1.",
        )
        require(
            equal(c_skip, spread**2 / total, 1e-6),
            "the target has variance 1, but another c_skip makes c_out smaller.",
        )


@exercise("a bill in evaluations")
def check_evaluations(evaluations: Callable[..., Any]) -> None:
    """Exercise 2: how often a walk that ends at noise level 0 asks the network."""
    right = {"ddim": lambda n: n, "heun": lambda n: 2 * n - 1, "2m": lambda n: n}
    for solver, bill in right.items():
        for steps in (1, 2, 10):
            found = evaluations(solver, steps)
            reject(
                solver == "heun" and steps > 1 and equal(found, steps),
                "Heun asks twice in a step: at its beginning, and where Euler would end.",
            )
            reject(
                solver == "heun" and equal(found, 2 * steps),
                "the last step ends at noise level 0, where Heun has nothing to ask.",
            )
            reject(
                solver == "2m" and steps > 1 and equal(found, 2 * steps - 1),
                "2M remembers the answer of the step before, and asks for one new one.",
            )
            reject(
                solver == "2m" and equal(found, steps + 1),
                "2M's first step has no memory. It does not buy one: it is DDIM's.",
            )
            require(
                equal(found, bill(steps)), f"{solver} with {steps} steps is billed at another sum."
            )


@exercise("x_0 half a step ahead")
def check_aim(aim: Callable[..., Any]) -> None:
    """Exercise 3: what 2M puts into DDIM's step, for steps of unequal length."""
    D, before = torch.randn(2, 5, dtype=torch.float64)
    for n_before, n, n_next in ((4.0, 2.0, 1.0), (5.0, 3.0, 0.4), (9.0, 1.0, 0.8)):
        last, h = math.log(n_before / n), math.log(n / n_next)
        found = aim(D, before, n_before, n, n_next)
        right = D + h / (2 * last) * (D - before)
        reject(equal(found, D), "this is DDIM: the answer of the step before is not used.")
        unequal = not equal(h, last, 1e-3)
        reject(
            unequal and equal(found, D + (D - before) / 2),
            "right if both steps are equally long. The line is followed for half of *this* step,"
            " measured in steps of the one before.",
        )
        reject(
            unequal and equal(found, D + last / (2 * h) * (D - before)),
            "the ratio is upside down: a long step before means a flat line.",
        )
        reject(
            equal(found, D + h / last * (D - before)),
            "this is a whole step ahead. The mean over the step lies half way.",
        )
        reject(
            equal(found, D - h / (2 * last) * (D - before)),
            "this goes back towards the older answer. The line goes on.",
        )
        straight = (n - n_next) / (2 * (n_before - n))
        reject(
            equal(found, D + straight * (D - before)),
            "lengths in n. The integral runs over lambda = -log n, and the line is drawn there.",
        )
        require(
            equal(found, right), "not the value of the line through the two answers, half way on."
        )


@exercise("one step that ends where two do")
def check_target(target: Callable[..., Any]) -> None:
    """Exercise 4: the x_0 whose DDIM step from z_t at n_t ends in the teacher's z_s at n_s."""
    z_t, z_s = torch.randn(2, 6, dtype=torch.float64)
    for n_t, n_s in ((4.0, 1.0), (0.9, 0.3), (2.0, 0.0)):
        r = n_s / n_t
        found = target(z_t, z_s, n_t, n_s)
        right = (z_s - r * z_t) / (1 - r)
        reject(
            n_s > 0 and equal(found, z_s),
            "this is where the teacher ends, and there is still noise of level n_s in it.",
        )
        reject(
            n_s > 0 and equal(found, z_s - r * z_t),
            "what x_0 is multiplied by in DDIM's step is missing.",
        )
        reject(
            n_s > 0 and equal(found, (z_t - r * z_s) / (1 - r)),
            "the states are swapped: the step begins in z_t.",
        )
        reject(
            n_s > 0 and equal(found, r * z_t + (1 - r) * z_s),
            "this takes a step with x_0 = z_s. Solve the step for its x_0 instead.",
        )
        require(bool(torch.isfinite(torch.as_tensor(found)).all()), "this divides by 0.")
        require(equal(found, right), "a DDIM step with this x_0 does not end in z_s.")
