"""Chapter 11: wrong answers are caught, each by its own diagnosis, and solutions pass."""

import math

import pytest

from course_lib.exercises.ch11 import check_bits, check_drift, check_step, check_variances


def drift(factor, keep=1):
    return lambda x, score, f, g, noise: keep * f * x - factor(g, noise) * score


def step(noise, drifting=lambda b, h: b * h):
    def move(x, b, g, h, randn_like):
        return x + drifting(b(x), h) + noise(g, h, lambda: randn_like(x))

    return move


def variances(signs, normals):
    def both(jacobian):
        half = (jacobian + jacobian.T) / 2
        square, diagonal = half.square().sum(), half.diag().square().sum()
        return signs(square, diagonal), normals(square, diagonal)

    return both


def unsymmetric(jacobian):
    square = jacobian.square().sum()
    return 2 * (square - jacobian.diag().square().sum()), 2 * square


def bits(p, d, w):
    return -p / d / math.log(2) - math.log2(w)


SOLUTIONS = [
    (check_drift, drift(lambda g, n: (1 + n**2) / 2 * g**2)),
    (check_step, step(lambda g, h, z: g * h**0.5 * z())),
    (check_variances, variances(lambda s, d: 2 * (s - d), lambda s, d: 2 * s)),
    (check_bits, bits),
]

# (check, wrong answer, a piece of the diagnosis that belongs to it and to no other)
WRONG = [
    (check_drift, drift(lambda g, n: (1 + n**2) / 2 * g), "multiplied by g."),
    (check_drift, drift(lambda g, n: -(1 + n**2) / 2 * g**2), "the sign of the score"),
    (check_drift, drift(lambda g, n: g**2 / 2), "the ODE's drift at every"),
    (check_drift, drift(lambda g, n: g**2), "strength 1 at every"),
    (check_drift, drift(lambda g, n: (1 + n) / 2 * g**2), "wrong elsewhere"),
    (check_drift, drift(lambda g, n: (1 + n**2) * g**2), "twice too much"),
    (check_drift, drift(lambda g, n: (1 + n**2) / 2 * g**2, -1), "sign of f x"),
    (check_drift, drift(lambda g, n: 0), "some multiple"),
    (check_step, step(lambda g, h, z: 0), "no noise at all"),
    (check_step, step(lambda g, h, z: g * z() * h**0.5 * z()), "the kurtosis is"),
    (check_step, step(lambda g, h, z: g * h * z()), "sqrt(h) is there twice"),
    (check_step, step(lambda g, h, z: g * z()), "sqrt(h) is missing"),
    (check_step, step(lambda g, h, z: g * h**0.5 * (z() + z())), "two draws"),
    (check_step, step(lambda g, h, z: g**2 * h**0.5 * z()), "g stands squared"),
    (check_step, step(lambda g, h, z: 0.3 * g * h**0.5 * z()), "the variance of a step is"),
    (
        check_step,
        step(lambda g, h, z: g * h**0.5 * z(), lambda b, h: b),
        "the mean is not",
    ),
    (check_variances, unsymmetric, "symmetric part"),
    (check_variances, variances(lambda s, d: 2 * s, lambda s, d: 2 * (s - d)), "swapped"),
    (check_variances, variances(lambda s, d: s - d, lambda s, d: s), "factor 2"),
    (check_variances, variances(lambda s, d: 2 * s, lambda s, d: 2 * s), "both are equal"),
    (check_variances, variances(lambda s, d: s + d, lambda s, d: 3 * s), "yours are"),
    (check_variances, lambda jacobian: jacobian.trace(), "two numbers"),
    (check_bits, lambda p, d, w: -p / d / math.log(2) + math.log2(w), "wrong sign"),
    (check_bits, lambda p, d, w: p / d / math.log(2) - math.log2(w), "minus the log-density"),
    (check_bits, lambda p, d, w: -p / d - math.log2(w), "nats"),
    (check_bits, lambda p, d, w: -p / d / math.log(2), "bin is missing"),
    (check_bits, lambda p, d, w: bits(p, d, w) * d, "bits of a picture"),
    (check_bits, lambda p, d, w: -p / d / math.log(2) + 7, "Use the width"),
    (check_bits, lambda p, d, w: 4.0, "uniform pixels"),
]


@pytest.mark.parametrize("check, answer", SOLUTIONS)
def test_solutions_pass(check, answer, capsys):
    assert check(answer) is True
    assert capsys.readouterr().out.startswith("Correct: ")


@pytest.mark.parametrize("check, answer, diagnosis", WRONG)
def test_wrong_answers_are_caught_by_their_own_diagnosis(check, answer, diagnosis, capsys):
    assert check(answer) is False
    said = capsys.readouterr().out
    assert diagnosis in said
    others = [d for c, _, d in WRONG if c is check and d != diagnosis]
    assert not any(other in said for other in others)
