"""The exercises of chapter 19: wrong spreads, a bill, half a step ahead, and a student's target."""

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.checking import equal, exercise, reject, require, two


@exercise("a wrong spread, and at which end of the levels each number tells")
def check_sizes(sizes: Callable[..., Any]) -> None:
    """Exercise 1: the variances of input and target, if EDM was told the wrong spread."""
    for n, told, true in ((0.7, 0.5, 1.5), (2.0, 1.5, 0.4), (1.1, 0.6, 0.6)):
        pair = two(
            sizes(n, told, true),
            "return two numbers: the variance of the input, and that of the target.",
        )
        found_in, found_out = (float(value) for value in pair)
        total = told**2 + n**2
        c_skip, c_out = told**2 / total, told * n / total**0.5
        left, noise = (1 - c_skip) * true, c_skip * n
        right_in, right_out = (true**2 + n**2) / total, (left**2 + noise**2) / c_out**2
        own = true**2 + n**2
        if told != true:
            reject(
                equal(found_in, right_out) and equal(found_out, right_in),
                "the two numbers are swapped: first the input, then the target.",
            )
            reject(
                equal(found_in, total / own) or equal(found_in, (total / own) ** 0.5),
                "the input's variance is upside down, or `told` and `true` are swapped: the factor"
                " c_in knows `told`, the data has `true`.",
            )
            reject(
                equal(found_in, 1.0),
                "the input's variance is 1 only if the data is as wide as c_in was told.",
            )
            reject(
                equal(found_in, right_in**0.5),
                "the input's is a deviation: variances are asked, and c_in enters by its square.",
            )
        require(
            equal(found_in, right_in),
            f"at n = {n} the input c_in z has the variance {right_in:.4f}, not {found_in:.4f}.",
        )
        if told != true:
            reject(
                equal(found_out, 1.0),
                "the target's variance is 1 only if the data is as wide as the factors were told.",
            )
            best, best_out = true**2 / own, true * n / own**0.5
            reject(
                equal(found_out, ((1 - best) ** 2 * told**2 + best**2 * n**2) / best_out**2),
                "for the target `told` and `true` are swapped: the factors know `told`, x_0 has the"
                " deviation `true`.",
            )
            reject(
                equal(found_out, best_out**2 / c_out**2),
                "for the target you take the best c_skip for this data. Here it was made for"
                " `told`, like c_out.",
            )
            reject(
                equal(found_out, true**2 / told**2),
                "that is the target where z is nearly all noise. At other levels c_skip z takes a"
                " part of x_0 away.",
            )
            reject(
                equal(found_out, right_out**0.5),
                "the target's is a deviation: variances are asked.",
            )
        reject(
            equal(found_out, right_out * c_out**2),
            "that is the variance of x_0 - c_skip z. The target is divided by c_out.",
        )
        reject(
            equal(found_out, (left + noise) ** 2 / c_out**2),
            "x_0 and eps are independent: add the squares of their two parts.",
        )
        reject(
            not equal(found_out, right_out)
            and any(
                equal(found_out, (true**2 + sign * c_skip**2 * own) / c_out**2) for sign in (1, -1)
            ),
            "x_0 and z are not independent: z contains x_0. Collect first what stands before x_0"
            " and before eps.",
        )
        reject(
            equal(found_out, left**2 / c_out**2) or equal(found_out, noise**2 / c_out**2),
            "x_0 - c_skip z has two parts, what is left of x_0 and the noise. This is one of them.",
        )
        require(
            equal(found_out, right_out),
            f"at n = {n} the target has the variance {right_out:.4f}, not {found_out:.4f}.",
        )


@exercise("a bill in evaluations")
def check_evaluations(evaluations: Callable[..., Any]) -> None:
    """Exercise 2: how often a walk that ends at noise level 0 asks the network."""
    right = {"ddim": lambda n: n, "heun": lambda n: 2 * n - 1, "2m": lambda n: n}
    for solver, bill in right.items():
        for steps in (10, 2, 1):
            found = evaluations(solver, steps)
            reject(
                solver == "ddim" and any(equal(found, 2 * steps - k) for k in (0, 1)) and steps > 1,
                "DDIM asks once in a step, whatever Heun does.",
            )
            reject(
                solver == "ddim" and equal(found, steps + 1),
                "the walk ends at noise level 0: nobody is asked there any more.",
            )
            reject(
                solver != "heun" and equal(found, steps - 1),
                "each step asks, the first and the last one too.",
            )
            reject(
                solver == "heun" and steps > 1 and equal(found, 2 * steps - 2),
                "all steps but the last ask twice, and the last one asks once.",
            )
            reject(
                solver == "heun" and steps > 1 and equal(found, steps),
                "Heun asks twice in a step: at its beginning, and where Euler would end.",
            )
            reject(
                solver == "heun" and equal(found, 2 * steps),
                "the last step ends at noise level 0, where Heun has nothing to ask.",
            )
            reject(
                solver == "2m" and steps > 1 and any(equal(found, 2 * steps - k) for k in (0, 1)),
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
    for n_before, n, n_next in ((7.0, 2.0, 1.3), (5.0, 3.0, 0.4), (9.0, 1.6, 0.2)):
        last, h = math.log(n_before / n), math.log(n / n_next)
        found = aim(D, before, n_before, n, n_next)
        right = D + h / (2 * last) * (D - before)
        reject(equal(found, D), "this is DDIM: the answer of the step before is not used.")
        whole = n_next / n * D + (1 - n_next / n) * right
        reject(
            equal(found, whole) or equal(found, right - D),
            "only what stands in the place of D is asked for: D and what the line adds to it.",
        )
        reject(
            equal(found, (D + before) / 2),
            "the mean of both answers lies in the past, half a step ago. The line goes on.",
        )
        reject(
            any(equal(found, before + k * (D - before)) for k in (h / (2 * last), h / last)),
            "the line is followed from the older answer. The step begins where D was said.",
        )
        reject(
            equal(found, D + h / 2 * (D - before)),
            "a difference is no slope: divide by the length of the step before, in lambda.",
        )
        reject(
            equal(found, D + (D - before) / (2 * last)),
            "this is D and half a slope. Half a step is h / 2 long: multiply by h.",
        )
        decay = math.exp(-h)
        reject(
            equal(found, D + (h - 1 + decay) / (1 - decay) / last * (D - before)),
            "this follows the line exactly. 2M takes h / 2 for it, right to the same order.",
        )
        ratios = ((n / n_next) / (n_before / n), (n_next / n) / (n / n_before))
        reject(
            any(equal(found, D + k / 2 * (D - before)) for k in ratios),
            "a ratio of levels is no length. Lengths in lambda are the logarithms of these ratios.",
        )
        reject(
            equal(found, D + (D - before) / 2),
            "right if both steps are equally long. The line is followed for half of *this* step,"
            " measured in steps of the one before.",
        )
        reject(
            equal(found, D + last / (2 * h) * (D - before)),
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
        both = math.log(n_before / n_next)
        reject(
            any(equal(found, D + h / k * (D - before)) for k in (both, 2 * both)),
            "the slope is a difference over *its* distance in lambda: from n_before to n, not to"
            " n_next.",
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
    for n_t, n_s in ((4.0, 1.5), (0.9, 0.3), (2.0, 0.0)):
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
            "the states are swapped, or the ratio is upside down: the step begins in z_t, and what"
            " it keeps of it is n_s / n_t.",
        )
        reject(
            n_s > 0 and equal(found, r * z_t + (1 - r) * z_s),
            "this takes a step with x_0 = z_s. Solve the step for its x_0 instead.",
        )
        reject(
            n_s > 0 and equal(found, (z_s - r * z_t) * (1 - r)),
            "x_0 is multiplied by 1 - n_s / n_t in the step. To undo that, divide.",
        )
        reject(
            n_s > 0 and equal(found, (z_s + r * z_t) / (1 - r)),
            "what the step keeps of z_t is taken away from z_s, not added.",
        )
        reject(
            n_s > 0 and equal(found, (r * z_t - z_s) / (1 - r)),
            "the sign: z_s is the step's x_0 and a rest of z_t. Take the rest away.",
        )
        reject(
            n_s > 0 and equal(found, (z_s - z_t) / (1 - r)),
            "the step does not keep z_t whole, but n_s / n_t of it.",
        )
        reject(
            n_s > 0 and any(equal(found, (z_s - r * z_t) / k) for k in (n_t - n_s, 1 - n_s, r)),
            "x_0 is multiplied by another number in the step: 1 - n_s / n_t.",
        )
        reject(
            n_s > 0 and equal(found, (z_t - z_s) / (n_t - n_s)),
            "this is the direction of the step, its noise. The x_0 it points at is asked for.",
        )
        reject(
            n_s > 0 and equal(found, (z_s - r**2 * z_t) / (1 - r**2)),
            "levels are standard deviations here, and the step has their ratio, not its square.",
        )
        require(bool(torch.isfinite(torch.as_tensor(found)).all()), "this divides by 0.")
        require(equal(found, right), "a DDIM step with this x_0 does not end in z_s.")
