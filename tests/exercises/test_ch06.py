"""Chapter 6: wrong answers are caught, each by its own diagnosis, and solutions pass."""

import math

import pytest
import torch

from course_lib.exercises.ch06 import (
    check_annealed,
    check_ladder_ratio,
    check_moves_for,
    check_noise_scale,
)


def walk(step, shake, order=1, repeats=True, last=None):
    def annealed(score, x, sigmas, moves, rate, randn_like):
        for sigma in sigmas[:last][::order]:
            for _ in range(moves if repeats else 1):
                delta = step(rate, sigma)
                x = x + delta * score(x, sigma) + shake(rate, sigma) * randn_like(x)
        return x

    return annealed


def delta(rate, sigma):
    return rate * sigma**2


def root(rate, sigma):
    return (2 * delta(rate, sigma)) ** 0.5


def ratio_for(overlap=0.5, width=3.0, away=lambda dim: (2 * dim) ** 0.5):
    phi = torch.distributions.Normal(0.0, 1.0).cdf

    def ladder_ratio(dim):
        low, high = 1.0, 50.0
        for _ in range(80):
            middle = (low + high) / 2
            shift = torch.tensor(away(dim) * (middle - 1), dtype=torch.float64)
            found = phi(shift + width * middle) - phi(shift - width * middle)
            low, high = (middle, high) if found > overlap else (low, middle)
        return low

    return ladder_ratio


def move(drift, noise):
    def repaired(score, x, step, randn_like):
        return x + drift * step * score(x) + noise(step) * randn_like(x)

    return repaired


def moves_for(extra=1, last=1, steps=math.ceil, cut=math.floor):
    def moves(calls, high, low, ratio):
        return cut((calls - last) / (steps(math.log(high / low, ratio)) + extra))

    return moves


def one_by_one(calls, high, low, ratio):
    levels = 1
    while high > low:
        high, levels = high / ratio, levels + 1
    return torch.tensor((calls - 1) // levels)


SOLUTIONS = [
    (check_annealed, walk(delta, root)),
    (check_annealed, walk(delta, lambda rate, sigma: torch.sqrt(2 * delta(rate, sigma)))),
    (check_ladder_ratio, ratio_for()),
    (check_moves_for, moves_for()),
    (check_moves_for, one_by_one),
    (check_noise_scale, move(0.5, lambda e: e**0.5)),
    (check_noise_scale, move(1.0, lambda e: (2 * e) ** 0.5)),
]


# (check, wrong answer, a piece of the diagnosis that belongs to it and to no other)
def own_noise(score, x, sigmas, moves, rate, randn_like):
    return walk(delta, root)(score, x, sigmas, moves, rate, torch.randn_like)


def denoised(score, x, sigmas, *rest):
    x = walk(delta, root)(score, x, sigmas, *rest)
    return x + sigmas[-1] ** 2 * score(x, sigmas[-1])


def level_by_level(score, x, sigmas, moves, rate, randn_like):
    for _ in range(moves):
        x = walk(delta, root)(score, x, sigmas, 1, rate, randn_like)
    return x


def once_a_level(noise):
    """The noise of a level, or its score, taken once for all moves."""

    def annealed(score, x, sigmas, moves, rate, randn_like):
        for sigma in sigmas:
            kick, slope = randn_like(x) if noise else None, score(x, sigma)
            for _ in range(moves):
                step = delta(rate, sigma) * (score(x, sigma) if noise else slope)
                x = x + step + root(rate, sigma) * (kick if noise else randn_like(x))
        return x

    return annealed


WRONG = [
    (check_annealed, walk(delta, lambda r, s: delta(r, s) ** 0.5), "half of what it needs"),
    (check_annealed, walk(lambda r, s: r, lambda r, s: (2 * r) ** 0.5), "the same step"),
    (
        check_annealed,
        walk(lambda r, s: r * s, lambda r, s: (2 * r * s) ** 0.5),
        "the step is rate * sigma.",
    ),
    (check_annealed, walk(delta, lambda r, s: (2 * r) ** 0.5), "the noise does not know sigma"),
    (check_annealed, walk(delta, lambda r, s: 0.0), "there is no noise"),
    (check_annealed, walk(delta, root, order=-1), "from small to large"),
    (check_annealed, walk(delta, root, repeats=False), "one move at each level"),
    (check_annealed, walk(delta, lambda r, s: delta(r, s)), "Draw fresh noise"),
    (check_annealed, walk(lambda r, s: -delta(r, s), root), "goes downhill"),
    (check_annealed, walk(delta, lambda r, s: 2 * delta(r, s)), "Multiply z by its root"),
    (
        check_annealed,
        walk(lambda r, s: delta(r, s) / 2, lambda r, s: delta(r, s) ** 0.5),
        "half the step",
    ),
    (check_annealed, walk(delta, root, last=1), "inside a loop"),
    (check_ladder_ratio, lambda dim: 1 / ratio_for()(dim), "it is above 1"),
    (check_ladder_ratio, ratio_for(away=lambda dim: dim**0.5), "sigma / sqrt(2) thick"),
    (check_ladder_ratio, ratio_for(width=1.0), "not one"),
    (check_ladder_ratio, ratio_for(overlap=0.95), "one half"),
    (check_ladder_ratio, lambda dim: 1.5, "the overlaps are"),
    (check_ladder_ratio, lambda dim: 1 + 3 / (2 * dim) ** 0.5, "nearly: the reach"),
    (check_ladder_ratio, lambda dim: float("nan"), "got nan"),
    (check_moves_for, moves_for(extra=0), "as posts and fences"),
    (check_moves_for, moves_for(steps=math.floor), "as posts and fences"),
    (check_moves_for, moves_for(last=0), "nothing is left for"),
    (check_moves_for, moves_for(cut=round), "exceeds the budget"),
    (check_moves_for, lambda *case: max(1, moves_for()(*case)), "say so: 0"),
    (check_moves_for, moves_for(cut=float), "a part of a move"),
    (
        check_moves_for,
        lambda c, high, low, r: (c - 1) // (math.ceil(high / low / r) + 1),
        "a ratio apart",
    ),
    (check_moves_for, lambda c, high, low, r: 5, "with your 5 moves"),
    (check_noise_scale, move(0.5, lambda e: e), "still `step * z`"),
    (check_noise_scale, move(1.0, lambda e: e**0.5), "half the temperature"),
    (check_noise_scale, move(0.5, lambda e: (2 * e) ** 0.5), "twice the temperature"),
    (check_noise_scale, move(0.5, lambda e: 0.0), "the noise is gone"),
    (check_noise_scale, move(0.5, lambda e: e**2), "and steps 0.2 and 0.8"),
    (check_noise_scale, move(2.0, lambda e: 2 * e**0.5), "neither x + step"),
    (check_noise_scale, move(0.0, lambda e: e**0.5), "nothing pulls"),
    (check_noise_scale, move(-0.5, lambda e: e**0.5), "flees"),
    (check_noise_scale, move(0.5, lambda e: 1.0), "size 1 at any step"),
    (check_noise_scale, lambda score, x, step, randn_like: float(x.mean()), "shape of x"),
    (
        check_noise_scale,
        lambda score, x, step, randn_like: x + 0.1 * score(x) + 0.2**0.5 * randn_like(x),
        "does not depend on `step`",
    ),
    (
        check_noise_scale,
        lambda score, x, step, randn_like: x + step / 2 * score(x) + step**0.5 * randn_like(x)[:1],
        "the same noise",
    ),
    (check_annealed, own_noise, "draw it with `randn_like`"),
    (
        check_annealed,
        lambda score, *rest: walk(delta, root)(lambda x, s: score(x, s) / 2, *rest),
        "the convention of 2019, noise",
    ),
    (check_annealed, walk(delta, lambda r, s: (2 * r) ** 0.5 * s**2), "of 2 * rate alone"),
    (
        check_annealed,
        lambda score, *rest: walk(delta, root)(lambda x, s: (score(x, s) - x) / s**2, *rest),
        "for a denoiser",
    ),
    (check_annealed, denoised, "and then denoised"),
    (check_annealed, lambda *a: torch.stack([walk(delta, root)(*a)] * 4), "the shape of x"),
    (check_annealed, level_by_level, "the wrong way round"),
    (check_annealed, once_a_level(noise=True), "drawn once"),
    (check_annealed, once_a_level(noise=False), "asked once"),
    (
        check_noise_scale,
        lambda s, x, e, r: x + 0.5 * e * s(x) + e**0.5 * torch.randn_like(x),
        "from elsewhere",
    ),
    (
        check_noise_scale,
        lambda s, x, e, r: x + e**0.5 * (0.5 * s(x) + r(x)),
        "for the noise alone",
    ),
    (check_noise_scale, move(1.0, lambda e: 2 * e), "still `step * z`"),
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
