"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch19 import (
    check_aim,
    check_evaluations,
    check_sizes,
    check_target,
)


def skip(n, spread):
    return spread**2 / (spread**2 + n**2)


def scale(n, spread):
    """c_out squared."""
    return n**2 * skip(n, spread)


def joint(n, told):
    return told**2 * (told**2 + n**2)


def sizes(n, told, true):
    return (true**2 + n**2) / (told**2 + n**2), (n**2 * true**2 + told**4) / joint(n, told)


def by_regression(n, told, true):
    c = skip(n, told)
    target = true**2 - 2 * c * true**2 + c**2 * (true**2 + n**2)
    return [sizes(n, told, true)[0], target / scale(n, told)]


def evaluations(solver, steps):
    return 2 * steps - 1 if solver == "heun" else steps


def aim(D, before, n_before, n, n_next, factor=0.5):
    return D + factor * math.log(n / n_next) / math.log(n_before / n) * (D - before)


def target(z_t, z_s, n_t, n_s):
    r = n_s / n_t
    return (z_s - r * z_t) / (1 - r)


def test_right_answers_pass() -> None:
    assert check_sizes(sizes)
    assert check_sizes(lambda *told: torch.tensor(sizes(*told)))
    assert check_sizes(by_regression)
    assert check_evaluations(lambda solver, steps: float(evaluations(solver, steps)))
    assert check_target(lambda z, e, n, m: e - m * (z - e) / (n - m))
    assert check_target(lambda z, e, n, m: (n * e - m * z) / (n - m))
    assert check_evaluations(evaluations)
    assert check_aim(aim)
    assert check_target(target)


def other(first=None, out=None):
    return lambda *told: tuple(
        change(*told) if change else right
        for change, right in zip((first, out), sizes(*told), strict=True)
    )


def with_line(change):
    """An answer from the lengths of the two steps in lambda."""

    def answer(D, before, n_before, n, n_next):
        return change(D, before, math.log(n_before / n), math.log(n / n_next))

    return answer


def with_answer(solver, bill):
    return lambda name, steps: bill(steps) if name == solver else evaluations(name, steps)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_sizes, lambda n, a, t: sizes(n, a, t)[0], "two numbers"),
    (check_sizes, lambda n, a, t: sizes(n, a, t)[::-1], "are swapped: first"),
    (check_sizes, lambda n, a, t: sizes(n, t, a), "the data has `true`"),
    (check_sizes, lambda n, a, t: sizes(n, a, a), "as wide as c_in was told"),
    (check_sizes, lambda n, a, t: sizes(n, t, t), "as wide as c_in was told"),
    (check_sizes, other(lambda n, a, t: sizes(n, a, t)[0] ** 0.5), "the input's is a deviation"),
    (check_sizes, other(lambda n, a, t: (t + n) ** 2 / (a**2 + n**2)), "the input c_in z has"),
    (check_sizes, other(out=lambda n, a, t: 1.0), "as the factors were told"),
    (check_sizes, other(out=lambda n, a, t: sizes(n, t, a)[1]), "for the target `told`"),
    (check_sizes, other(out=lambda n, a, t: scale(n, t) / scale(n, a)), "the best c_skip"),
    (check_sizes, other(out=lambda n, a, t: t**2 / a**2), "nearly all noise"),
    (check_sizes, other(out=lambda n, a, t: sizes(n, a, t)[1] ** 0.5), "the target's is a"),
    (check_sizes, other(out=lambda n, a, t: sizes(n, a, t)[1] * scale(n, a)), "divided by c_out."),
    (check_sizes, other(out=lambda n, a, t: (n * t + a**2) ** 2 / joint(n, a)), "add the squares"),
    (
        check_sizes,
        other(out=lambda n, a, t: (t**2 + skip(n, a) ** 2 * (t**2 + n**2)) / scale(n, a)),
        "z contains x_0",
    ),
    (check_sizes, other(out=lambda n, a, t: n**2 * t**2 / joint(n, a)), "one of them"),
    (check_sizes, other(out=lambda n, a, t: 2 * sizes(n, a, t)[1]), "the target has the"),
    (check_evaluations, with_answer("heun", lambda k: k), "asks twice"),
    (check_evaluations, with_answer("heun", lambda k: 2 * k), "nothing to ask"),
    (check_evaluations, with_answer("2m", lambda k: 2 * k - 1), "asks for one new one"),
    (check_evaluations, with_answer("2m", lambda k: k + 1), "does not buy one"),
    (check_evaluations, with_answer("ddim", lambda k: 3 * k), "another sum"),
    (check_aim, lambda D, b, *n: D, "this is DDIM"),
    (check_aim, lambda D, b, *n: D + (D - b) / 2, "equally long"),
    (
        check_aim,
        lambda D, b, r, n, m: D + math.log(r / n) / math.log(n / m) / 2 * (D - b),
        "upside down",
    ),
    (check_aim, lambda D, b, *n: aim(D, b, *n, factor=1.0), "whole step"),
    (check_aim, lambda D, b, *n: aim(D, b, *n, factor=-0.5), "goes back"),
    (check_aim, lambda D, b, r, n, m: D + (n - m) / (r - n) / 2 * (D - b), "lengths in n"),
    (check_aim, lambda D, b, *n: aim(D, b, *n, factor=0.3), "half way on"),
    (check_target, lambda z, e, n, m: e, "still noise"),
    (check_target, lambda z, e, n, m: e - m / n * z, "multiplied by"),
    (check_target, lambda z, e, n, m: target(e, z, n, m), "swapped"),
    (check_target, lambda z, e, n, m: m / n * z + (1 - m / n) * e, "Solve the step"),
    (check_target, lambda z, e, n, m: (e - m / n * z) / (1 + m / n), "does not end in z_s"),
    (check_evaluations, lambda solver, steps: 2 * steps - 1, "DDIM asks once"),
    (check_evaluations, lambda solver, steps: 2 * steps, "DDIM asks once"),
    (check_evaluations, lambda solver, steps: steps, "asks twice"),
    (check_evaluations, with_answer("ddim", lambda k: k - 1), "the first and the last"),
    (check_evaluations, with_answer("ddim", lambda k: k + 1), "nobody is asked"),
    (check_evaluations, with_answer("2m", lambda k: k - 1), "the first and the last"),
    (check_evaluations, with_answer("2m", lambda k: 2 * k), "asks for one new one"),
    (check_evaluations, with_answer("heun", lambda k: 2 * k - 2), "the last one asks once"),
    (check_evaluations, with_answer("heun", lambda k: max(1, 2 * k - 2)), "the last one asks once"),
    (check_evaluations, with_answer("heun", lambda k: 1.5 * k), "another sum"),
    (
        check_evaluations,
        with_answer("heun", lambda k: max(2, 2 * k - 1)),
        "nothing to ask",
    ),
    (check_evaluations, lambda solver, steps: 10 if solver == "ddim" else 0, "another sum"),
    (
        check_aim,
        lambda D, b, r, n, m: m / n * D + (1 - m / n) * aim(D, b, r, n, m),
        "the place of D",
    ),
    (check_aim, with_line(lambda D, b, last, h: h / (2 * last) * (D - b)), "the place of D"),
    (check_aim, with_line(lambda D, b, last, h: (D + b) / 2), "lies in the past"),
    (check_aim, with_line(lambda D, b, last, h: b + h / (2 * last) * (D - b)), "older answer"),
    (check_aim, with_line(lambda D, b, last, h: b + h / last * (D - b)), "older answer"),
    (check_aim, with_line(lambda D, b, last, h: D + h / 2 * (D - b)), "no slope"),
    (check_aim, with_line(lambda D, b, last, h: D + (D - b) / (2 * last)), "multiply by h"),
    (
        check_aim,
        with_line(lambda D, b, k, h: D + (h / (1 - math.exp(-h)) - 1) / k * (D - b)),
        "the same order",
    ),
    (check_aim, lambda D, b, r, n, m: D + n / m / (r / n) / 2 * (D - b), "no length"),
    (check_aim, lambda D, b, r, n, m: D + m / n / (n / r) / 2 * (D - b), "no length"),
    (check_aim, with_line(lambda D, b, last, h: D + h / (4 * last) * (D - b)), "half way on"),
    (check_aim, with_line(lambda D, b, last, h: 2 * D - b), "half way on"),
    (check_aim, lambda D, b, *n: b, "half way on"),
    (check_aim, lambda D, b, r, n, m: aim(b, D, r, n, m), "half way on"),
    (check_target, lambda z, e, n, m: (e - m / n * z) * (1 - m / n), "To undo that"),
    (check_target, lambda z, e, n, m: (e + m / n * z) / (1 - m / n), "not added"),
    (check_target, lambda z, e, n, m: (m / n * z - e) / (1 - m / n), "the sign"),
    (check_target, lambda z, e, n, m: (e - z) / (1 - m / n), "keep z_t whole"),
    (check_target, lambda z, e, n, m: (e - m / n * z) / (n - m), "another number"),
    (check_target, lambda z, e, n, m: (e - m / n * z) / (1 - m), "another number"),
    (check_target, lambda z, e, n, m: (z - e) / (n - m), "direction of the step"),
    (
        check_target,
        lambda z, e, n, m: (e - m**2 / n**2 * z) / (1 - m**2 / n**2),
        "not its square",
    ),
    (check_target, lambda z, e, n, m: (e - n / m * z) / (1 - n / m), "ratio is upside down"),
    (check_target, lambda z, e, n, m: z, "does not end in z_s"),
    (check_target, lambda z, e, n, m: (z + e) / 2, "does not end in z_s"),
    (check_target, lambda z, e, n, m: z - m * (z - e) / (n - m), "does not end in z_s"),
    (check_target, lambda z, e, n, m: target(z, e, n, m or float("nan")), "divides by 0"),
    (
        check_aim,
        lambda D, b, n_b, n, m: D + math.log(n / m) / (2 * math.log(n_b / m)) * (D - b),
        "*its* distance",
    ),
]
