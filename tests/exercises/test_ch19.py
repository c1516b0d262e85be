"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

from course_lib.exercises.ch19 import (
    check_aim,
    check_evaluations,
    check_preconditioning,
    check_target,
)


def preconditioning(n, spread):
    total = spread**2 + n**2
    return total**-0.5, spread**2 / total, spread * n * total**-0.5


def evaluations(solver, steps):
    return 2 * steps - 1 if solver == "heun" else steps


def aim(D, before, n_before, n, n_next, factor=0.5):
    return D + factor * math.log(n / n_next) / math.log(n_before / n) * (D - before)


def target(z_t, z_s, n_t, n_s):
    r = n_s / n_t
    return (z_s - r * z_t) / (1 - r)


def test_right_answers_pass() -> None:
    assert check_preconditioning(preconditioning)
    assert check_evaluations(evaluations)
    assert check_aim(aim)
    assert check_target(target)


def other_in(change):
    return lambda n, s: (change(n, s), *preconditioning(n, s)[1:])


def other_skip(change):
    def answer(n, s):
        skip = change(n, s)
        out = ((1 - skip) ** 2 * s**2 + skip**2 * n**2) ** 0.5
        return preconditioning(n, s)[0], skip, out

    return answer


def with_answer(solver, bill):
    return lambda name, steps: bill(steps) if name == solver else evaluations(name, steps)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_preconditioning, other_in(lambda n, s: 1 / (s**2 + n**2)), "divide by its root"),
    (check_preconditioning, other_in(lambda n, s: (1 + n**2) ** -0.5), "data of variance 1"),
    (check_preconditioning, other_in(lambda n, s: 1 / (s + n)), "variances add"),
    (check_preconditioning, other_in(lambda n, s: 1 / n), "c_in z does not have"),
    (check_preconditioning, other_skip(lambda n, s: n**2 / (s**2 + n**2)), "upside down"),
    (check_preconditioning, other_skip(lambda n, s: s / (s**2 + n**2) ** 0.5), "derivative"),
    (check_preconditioning, other_skip(lambda n, s: 0.0), "another c_skip"),
    (check_preconditioning, other_skip(lambda n, s: 1.0), "another c_skip"),
    (
        check_preconditioning,
        lambda n, s: (*preconditioning(n, s)[:2], preconditioning(n, s)[2] ** 2),
        "standard deviation: take the root",
    ),
    (
        check_preconditioning,
        lambda n, s: (*preconditioning(n, s)[:2], n),
        "does not have variance 1",
    ),
    (check_preconditioning, lambda n, s: preconditioning(n, s)[:2], "three numbers"),
    (check_evaluations, with_answer("heun", lambda k: k), "asks twice"),
    (check_evaluations, with_answer("heun", lambda k: 2 * k), "nothing to ask"),
    (check_evaluations, with_answer("2m", lambda k: 2 * k - 1), "asks for one new one"),
    (check_evaluations, with_answer("2m", lambda k: k + 1), "does not buy one"),
    (check_evaluations, with_answer("ddim", lambda k: k + 1), "another sum"),
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
]
