"""Chapter 11: wrong answers are caught, each by its own diagnosis, and solutions pass."""

import math

import pytest
import torch

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


def trace_of_squares(jacobian):
    square = (jacobian * jacobian.T).sum()
    return 2 * (square - jacobian.diag().square().sum()), 2 * square


def noise_first(x, b, g, h, randn_like):
    x = x + g * h**0.5 * randn_like(x)
    return x + b(x) * h


def once(g, h, z):
    return g * h**0.5 * z()


def bits(p, d, w):
    return -p / d / math.log(2) - math.log2(w)


RIGHT_DRIFT = drift(lambda g, n: (1 + n**2) / 2 * g**2)
RIGHT_VARIANCES = variances(lambda s, d: 2 * (s - d), lambda s, d: 2 * s)
SOLUTIONS = [
    (check_drift, RIGHT_DRIFT),
    (check_step, step(once)),
    (
        check_variances,
        lambda j: torch.stack(variances(lambda s, d: 2 * (s - d), lambda s, d: 2 * s)(j)),
    ),
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
    (check_drift, drift(lambda g, n: n**2 * g**2), "no score is left"),
    (check_drift, drift(lambda g, n: (1 + n**2 / 2) * g**2), "There the ODE's has"),
    (check_drift, drift(lambda g, n: g**2 if n else g**2 / 2), "treated like 1"),
    (check_drift, drift(lambda g, n: (1 + min(n, 1) ** 2) / 2 * g**2), "up to strength 1"),
    (check_drift, drift(lambda g, n: (1 + n) ** 2 / 2 * g**2), "of 1 + noise"),
    (check_drift, drift(lambda g, n: -(1 + n**2) / 2 * g**2, -1), "all signs"),
    (check_drift, drift(lambda g, n: (1 + n**2) / 2 * g**2, 0), "f x is missing"),
    (check_drift, lambda x, s, f, g, n: f - (1 + n**2) / 2 * g**2 * s, "stands alone"),
    (check_drift, lambda x, s, f, g, n: f * x + n * g * torch.randn_like(x), "two calls differ"),
    (check_drift, lambda x, s, f, g, n: (f * x).mean(0), "of the shape of x, for"),
    (check_drift, lambda x, s, f, g, n: RIGHT_DRIFT(x, s, f, g, n).detach(), "no gradient"),
    (check_drift, lambda x, s, f, g, n: RIGHT_DRIFT(x, s, f, g, n).float(), "x of torch.float64"),
    (check_drift, drift(lambda g, n: 0), "some multiple"),
    (check_step, step(lambda g, h, z: 0), "no noise at all"),
    (check_step, step(lambda g, h, z: g * z() * h**0.5 * z()), "the kurtosis is"),
    (check_step, step(lambda g, h, z: g * h * z()), "sqrt(h) is there twice"),
    (check_step, step(lambda g, h, z: g * z()), "sqrt(h) is missing"),
    (check_step, step(lambda g, h, z: g * h**0.5 * (z() + z())), "two draws"),
    (check_step, step(lambda g, h, z: g**2 * h**0.5 * z()), "g stands squared"),
    (check_step, step(lambda g, h, z: 0.3 * g * h**0.5 * z()), "the variance of a step is"),
    (check_step, step(lambda g, h, z: g * h**0.5 * z()[:1]), "move alike"),
    (check_step, step(lambda g, h, z: g * h**0.5 * torch.randn(200_000)), "comes from elsewhere"),
    (check_step, step(lambda g, h, z: g * h**0.5 * z() ** 2), "multiplied by itself"),
    (check_step, step(lambda g, h, z: (g * h) ** 0.5 * z()), "stands under the root"),
    (check_step, step(lambda g, h, z: 1.5 * h**0.5 * z()), "does not depend on g"),
    (check_step, step(lambda g, h, z: g * (h / 2) ** 0.5 * (z() + z())), "drawn 2 times"),
    (check_step, noise_first, "after the noise"),
    (check_step, step(once, lambda b, h: b), "by its root"),
    (check_step, step(once, lambda b, h: -b * h), "the drift has the wrong sign"),
    (check_step, step(once, lambda b, h: 0), "the drift is missing"),
    (check_step, step(once, lambda b, h: 2 * b * h), "taken twice"),
    (check_step, step(once, lambda b, h: b * h / 2), "with b asked once"),
    (check_step, lambda x, b, g, h, r: step(once)(x, lambda x: -x, g, h, r), "for every b"),
    (check_step, lambda x, b, g, h, r: step(once)(x, b, g, h, r) - x, "x is missing"),
    (check_step, lambda x, b, g, h, r: step(once)(x, b, g, h, r).float(), "the step turns x of"),
    (check_step, lambda x, b, g, h, r: (x, r(x)), "one tensor: x at its end"),
    (check_variances, unsymmetric, "rotation costs nothing"),
    (check_variances, variances(lambda s, d: 2 * s, lambda s, d: 2 * (s - d)), "swapped"),
    (check_variances, variances(lambda s, d: s - d, lambda s, d: s), "factor 2"),
    (check_variances, variances(lambda s, d: 2 * s, lambda s, d: 2 * s), "both are equal"),
    (check_variances, variances(lambda s, d: s + d, lambda s, d: 3 * s), "yours are"),
    (check_variances, lambda j: unsymmetric(j + j.T), "half of it is"),
    (check_variances, trace_of_squares, "the trace of J J"),
    (check_variances, variances(lambda s, d: 4 * (s - d), lambda s, d: 2 * s), "counted twice"),
    (check_variances, variances(lambda s, d: 2 * (s - d), lambda s, d: 2 * s - d), "2 S_ii²"),
    (
        check_variances,
        variances(lambda s, d: (2 * (s - d)) ** 0.5, lambda s, d: (2 * s) ** 0.5),
        "these are roots",
    ),
    (check_variances, variances(lambda s, d: (s - d) / 8, lambda s, d: s / 8), "are averaged"),
    (
        check_variances,
        variances(lambda s, d: 2.06 * (s - d), lambda s, d: 1.95 * s),
        "needs no draws",
    ),
    (check_variances, lambda jacobian: jacobian.trace(), "two numbers"),
    (check_bits, lambda p, d, w: -p / d / math.log(2) + math.log2(w), "wrong sign"),
    (check_bits, lambda p, d, w: p / d / math.log(2) - math.log2(w), "minus the log-density"),
    (check_bits, lambda p, d, w: -p / d - math.log2(w), "log p is in nats: divide"),
    (check_bits, lambda p, d, w: -p / d / math.log(2), "bin is missing"),
    (check_bits, lambda p, d, w: bits(p, d, w) * d, "bits of a picture"),
    (check_bits, lambda p, d, w: -p / d / math.log(2) + 7, "Use the width"),
    (check_bits, lambda p, d, w: -bits(p, d, w), "both signs"),
    (check_bits, lambda p, d, w: bits(p, d, w) * math.log(2), "nats throughout"),
    (check_bits, lambda p, d, w: -p / d / math.log(2) - math.log(w), "take its log2"),
    (check_bits, lambda p, d, w: -p / d * math.log(2) - math.log2(w), "not multiplied"),
    (check_bits, lambda p, d, w: -p / math.log(2) - math.log2(w), "that of a whole picture"),
    (check_bits, lambda p, d, w: (-p / math.log(2) - math.log2(w)) / d, "its own bin"),
    (check_bits, lambda p, d, w: bits(p, 64, w), "`dims` changes nothing"),
    (check_bits, lambda p, d, w: bits(p, d, 2 / 16), "`bin_width` changes nothing"),
    (check_bits, lambda p, d, w: max(0.0, bits(p, d, w)), "may be negative"),
    (check_bits, lambda p, d, w: (bits(p, d, w) + torch.zeros(1)).mean(), "one answer for each"),
    (check_bits, lambda p, d, w: -p / d / 0.693 - math.log2(w), "uniform pixels"),
    (check_drift, drift(lambda g, n: n**2 / 2 * g**2), "no score is left"),
    (check_drift, drift(lambda g, n: (0.5 + n**2) * g**2), "belongs to noise² as well"),
    (check_drift, drift(lambda g, n: (1 - n**2) / 2 * g**2), "smears more"),
    (check_step, step(lambda g, h, z: (2 * h) ** 0.5 * g * z()), "without a 2"),
    (check_variances, variances(lambda s, d: 2 * s - d, lambda s, d: 2 * s), "leaves as it came"),
    (
        check_variances,
        variances(lambda s, d: 2 * s, lambda s, d: 2 * (s + d)),
        "holds the diagonal already",
    ),
    (
        check_variances,
        lambda j: (RIGHT_VARIANCES(j)[1] - 2 * j.trace() ** 2, RIGHT_VARIANCES(j)[1]),
        "square of the trace",
    ),
    (check_variances, variances(lambda s, d: 0.0 * s, lambda s, d: 2 * s), "change their sign"),
    (check_bits, lambda p, d, w: bits(p, d, w) * math.log(2) ** 2, "both terms are multiplied"),
    (check_bits, lambda p, d, w: -p / d / math.log(2) - 1 / w, "its logarithm is added"),
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
