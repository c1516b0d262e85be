"""The exercises of chapter 6: the annealed loop, the ladder's rule, a budget, a noise scale."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require

LEVELS = [4.0, 2.0, 1.0, 0.5]


def _walk(
    x: Tensor, levels: list[float], moves: int, pull: Callable, shake: Callable, noise: Callable
) -> Tensor:
    """Annealed Langevin with any two coefficients, on the score of a point at the origin."""
    for sigma in levels:
        for _ in range(moves):
            x = x - pull(sigma) * x / sigma**2 + shake(sigma) * noise(x)
    return x


@exercise("the annealed walk: steps of rate sigma², noise of variance twice the step")
def check_annealed(annealed: Callable[..., Any]) -> None:
    """Exercise 1: algorithm 1 of Song & Ermon 2019, with the step rate sigma²."""
    start, moves, rate = torch.randn(32, 2, dtype=torch.float64), 3, 0.1

    def noise() -> Callable[[Tensor], Tensor]:
        generator = torch.Generator().manual_seed(1)
        return lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype)

    def score(x: Tensor, sigma: Any) -> Tensor:
        return -x / float(sigma) ** 2

    ours = annealed(
        score, start.clone(), list(torch.tensor(LEVELS, dtype=torch.float64)), moves, rate, noise()
    )

    def is_walk(
        pull: Callable, shake: Callable, levels: list[float] = LEVELS, m: int = moves
    ) -> bool:
        return equal(ours, _walk(start, levels, m, pull, shake, noise()))

    def step(sigma: float) -> float:
        return rate * sigma**2

    def right(sigma: float) -> float:
        return (2 * step(sigma)) ** 0.5

    reject(
        is_walk(step, lambda s: step(s) ** 0.5),
        "the noise has variance `step`, half of what it needs: sqrt(2 * step). (With sqrt(step) the"
        " drift must be step / 2: the convention of 2019.)",
    )
    reject(
        is_walk(lambda s: rate, lambda s: (2 * rate) ** 0.5),
        "every level has the same step. It must be rate * sigma**2.",
    )
    reject(
        is_walk(lambda s: rate * s, lambda s: (2 * rate * s) ** 0.5),
        "the step is rate * sigma. A variance scales with a variance: rate * sigma**2.",
    )
    reject(
        is_walk(step, lambda s: (2 * rate) ** 0.5),
        "the noise does not know sigma: it is sqrt(2 * step) with step = rate * sigma**2.",
    )
    reject(is_walk(step, lambda s: 0.0), "there is no noise: this only climbs to the next summit.")
    reject(
        is_walk(step, right, LEVELS[::-1]),
        "the levels are walked from small to large. They fall: take them in the order given.",
    )
    reject(
        is_walk(step, right, LEVELS, 1),
        "there is one move at each level. Take `moves` of them.",
    )
    reject(
        is_walk(lambda s: -step(s), right),
        "the walk goes downhill: add step * score, which points to where the data is.",
    )
    reject(
        is_walk(step, lambda s: 2 * step(s)),
        "2 * step is the variance of the noise. Multiply z by its root.",
    )
    reject(
        is_walk(lambda s: step(s) / 2, lambda s: step(s) ** 0.5),
        "this is a right walk with half the step. Here the drift is step * score, and the noise"
        " sqrt(2 * step) * z.",
    )
    reject(
        is_walk(step, right, LEVELS[:1]) or is_walk(step, right, LEVELS[:1], 1),
        "the walk ends early: is the `return` inside a loop?",
    )
    again = annealed(
        score, start.clone(), list(torch.tensor(LEVELS, dtype=torch.float64)), moves, rate, noise()
    )
    reject(
        not equal(ours, again),
        "two calls with the same noise differ: draw it with `randn_like`, the argument.",
    )
    reject(
        is_walk(lambda s: step(s) / 2, right),
        "a drift of step / 2 is the convention of 2019, noise of 2 * step that of 2020: both from"
        " one. Here the drift is step * score.",
    )
    reject(
        is_walk(step, lambda s: (2 * rate) ** 0.5 * s**2),
        "the root is taken of 2 * rate alone. It goes over the whole step: sqrt(2 * rate) * sigma.",
    )
    x, z = start, noise()
    for sigma in LEVELS:
        for _ in range(moves):
            x = x + rate * (score(x, sigma) - x) + right(sigma) * z(x)
    reject(
        equal(ours, x),
        "you take the score for a denoiser. It is a slope: add step * score, without - x.",
    )
    x = _walk(start, LEVELS, moves, step, right, noise())
    reject(
        equal(ours, x + LEVELS[-1] ** 2 * score(x, LEVELS[-1])),
        "the walk is right, and then denoised. Here the walkers are wanted as they stand.",
    )
    reject(
        getattr(ours, "shape", None) != start.shape,
        "return the walkers at the end of the walk, of the shape of x.",
    )
    x, z = start, noise()
    for _ in range(moves):
        x = _walk(x, LEVELS, 1, step, right, z)
    reject(equal(ours, x), "the loops are the wrong way round: all moves at one level, then down.")
    x, z = start, noise()
    for sigma in LEVELS:
        kick = right(sigma) * z(x)
        for _ in range(moves):
            x = x + step(sigma) * score(x, sigma) + kick
    reject(equal(ours, x), "the noise of a level is drawn once. Each move needs its own.")
    x, z = start, noise()
    for sigma in LEVELS:
        slope = step(sigma) * score(x, sigma)
        for _ in range(moves):
            x = x + slope + right(sigma) * z(x)
    reject(
        equal(ours, x),
        "the score of a level is asked once. The walkers move: ask it at every move.",
    )
    require(
        is_walk(step, right),
        "it is not x + step * score + sqrt(2 * step) * z, `moves` times at each level. Draw fresh"
        " noise, randn_like(x), for each move.",
    )


@exercise("neighbouring shells overlap by half")
def check_ladder_ratio(ladder_ratio: Callable[..., Any]) -> None:
    """Exercise 2: technique 2 of Song & Ermon 2020, the ratio of neighbouring levels."""
    phi = torch.distributions.Normal(0.0, 1.0).cdf
    ours = {dim: float(ladder_ratio(dim)) for dim in (64, 784, 3072)}
    require(
        all(0 < abs(ratio) < float("inf") for ratio in ours.values()),
        f"the ratio is a number above 1, got {', '.join(f'{r:g}' for r in ours.values())}.",
    )
    reject(
        all(ratio < 1 for ratio in ours.values()),
        "the ratio is larger level over smaller level: it is above 1.",
    )

    def overlap(ratio: float, away: float, width: float) -> float:
        shift = torch.tensor(away * (ratio - 1))
        return float(phi(shift + width * ratio) - phi(shift - width * ratio))

    def solves(away: Callable[[int], float], width: float = 3.0, share: float = 0.5) -> bool:
        return all(abs(overlap(r, away(d), width) - share) < 0.01 for d, r in ours.items())

    reject(
        all(abs(ratio - 1 - 3 / (2 * dim) ** 0.5) < 1e-6 for dim, ratio in ours.items()),
        "nearly: the reach is 3 ratio, not 3, since the larger shell is thicker. Solve"
        " sqrt(2 dim) (ratio - 1) = 3 ratio as it stands.",
    )
    reject(
        solves(lambda d: d**0.5),
        "you counted the distance in shells of width sigma. A shell in many dimensions is"
        " sigma / sqrt(2) thick, so the distance is sqrt(2 dim) (ratio - 1).",
    )
    reject(
        solves(lambda d: (2 * d) ** 0.5, 1.0),
        "the interval reaches three standard deviations to both sides, not one.",
    )
    reject(
        solves(lambda d: (2 * d) ** 0.5, 3.0, 0.95),
        "the overlap asked for is one half.",
    )
    require(
        solves(lambda d: (2 * d) ** 0.5),
        f"with your ratios the overlaps are "
        f"{', '.join(f'{overlap(r, (2 * d) ** 0.5, 3.0):.2f}' for d, r in ours.items())}"
        " for 64, 784 and 3,072 dimensions; 0.50 is wanted for each.",
    )


@exercise("what a budget of calls leaves for each level")
def check_moves_for(moves_for: Callable[..., Any]) -> None:
    """Exercise 3: the moves for each level of a ladder, from a budget of calls."""
    cases = (
        (1161, 50.0, 0.01, 1.04),
        (101, 44.0, 0.01, 1.082),
        (31, 10.0, 0.5, 2.0),
        (240, 10.0, 0.5, 2.0),
        (1001, 1.0, 0.01, 1.7),
        (24, 10.0, 0.01, 1.361),
    )
    ours = [float(moves_for(*case)) for case in cases]

    def moves(
        extra: int = 1, last: int = 1, steps: Callable = math.ceil, cut: Callable = math.floor
    ) -> list[float]:
        return [
            cut((calls - last) / (steps(math.log(high / low) / math.log(ratio)) + extra))
            for calls, high, low, ratio in cases
        ]

    reject(
        ours == moves(extra=0),
        "one level is missing. k ratios join k + 1 levels, as posts and fences do; and k is rounded"
        " up, or a ratio would be larger than allowed.",
    )
    reject(ours == moves(last=0), "nothing is left for the last denoising step. It is a call too.")
    reject(
        ours in (moves(cut=round), moves(cut=math.ceil)),
        "you round up, and the bill exceeds the budget: a move too many at every level.",
    )
    reject(
        ours == [max(1.0, m) for m in moves()],
        "a level without a move is not walked. If the budget is too small, say so: 0.",
    )
    reject(
        any(not m.is_integer() for m in ours),
        "moves are whole: a part of a move buys nothing.",
    )
    reject(
        ours
        == [
            (calls - 1) // (math.ceil(high / low / ratio) + 1) for calls, high, low, ratio in cases
        ],
        "levels are a ratio apart: k of them lead from high to low if high / low = ratio**k.",
    )
    for (calls, high, low, ratio), mine, right in zip(cases, ours, moves(), strict=True):
        levels = math.ceil(math.log(high / low) / math.log(ratio)) + 1
        require(
            mine == right,
            f"from {high:g} to {low:g} at ratio {ratio:g} you need {levels} levels; with your"
            f" {mine:g} moves at each the bill is {levels * mine + 1:g} calls, and {calls} are"
            f" allowed. It should be {right}.",
        )


@exercise("the walk rests where it should, at the right temperature")
def check_noise_scale(repaired: Callable[..., Any]) -> None:
    """Exercise 4: a Langevin move whose noise was scaled by the step, not by its root."""
    variance, moves = 4.0, 200

    def score(x: Tensor) -> Tensor:
        return -x / variance

    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    still = {step: repaired(score, x, step, torch.zeros_like) for step in (0.2, 0.8)}
    require(
        all(torch.is_tensor(y) and y.shape == x.shape for y in still.values()),
        "the move returns a tensor of the shape of x: every walker's new place.",
    )
    reject(
        not equal(repaired(score, x, 0.2, torch.zeros_like), still[0.2]),
        "the noise comes from elsewhere. Draw it with `randn_like`, the argument.",
    )
    pull = {step: float(((y - x) / score(x)).mean()) for step, y in still.items()}
    reject(all(abs(p) < 1e-9 for p in pull.values()), "the drift is missing: nothing pulls uphill.")
    reject(min(pull.values()) < 0, "the drift has the wrong sign: the walk flees from the data.")
    reject(
        abs(pull[0.8] - pull[0.2]) < 1e-9,
        "the move does not depend on `step`, its argument: half the step must pull half as far.",
    )
    reject(
        abs(pull[0.8] / pull[0.2] - 2) < 1e-6,
        "the root is for the noise alone: drifts add up as they are, so theirs is the step itself.",
    )
    together = repaired(score, torch.zeros_like(x), 0.2, torch.randn_like)
    reject(
        float(together.std()) < 1e-9 < float(together.abs().max()),
        "all walkers get the same noise. Draw one number for each: randn_like(x).",
    )

    def spread(step: float) -> float:
        x = 2 * torch.randn(4000, dtype=torch.float64)
        for _ in range(moves):
            x = repaired(score, x, step, torch.randn_like)
        return float(x.var())

    def rest(step: float, drift: float, noise: float) -> float:
        """Where x (1 - drift step / variance) + noise z comes to rest, as a variance."""
        keep = 1 - drift * step / variance
        return noise**2 / (1 - keep**2)

    found = {step: spread(step) for step in (0.2, 0.8)}

    def rests(drift: float, noise: Callable[[float], float]) -> bool:
        return all(abs(v / rest(step, drift, noise(step)) - 1) < 0.12 for step, v in found.items())

    reject(
        rests(0.5, lambda e: e) or rests(1.0, lambda e: 2 * e) or rests(1.0, lambda e: e),
        "the noise is still `step * z`. Its variance must be proportional to the step, so its size"
        " to the root.",
    )
    reject(
        rests(1.0, lambda e: e**0.5) or rests(0.5, lambda e: (e / 2) ** 0.5),
        f"the walk rests at a variance near {found[0.2]:.1f}, about half of the {variance:g} it"
        " should have: half the temperature. A drift of `step` needs noise sqrt(2 * step).",
    )
    reject(
        rests(0.5, lambda e: (2 * e) ** 0.5),
        f"the walk rests at a variance near {found[0.2]:.1f}, twice the {variance:g} it should"
        " have: twice the temperature. A drift of `step / 2` needs noise sqrt(step).",
    )
    reject(all(v < 0.5 for v in found.values()), "the noise is gone: all walkers end at the top.")
    reject(
        rests(0.5, lambda e: 1.0) or rests(1.0, lambda e: 1.0),
        "the noise has size 1 at any step: its variance must be proportional to the step.",
    )
    require(
        any(all(equal(p, share * step) for step, p in pull.items()) for share in (0.5, 1.0)),
        "without its noise the move is neither x + step * score(x) nor x + step / 2 * score(x).",
    )
    require(
        rests(0.5, lambda e: e**0.5) or rests(1.0, lambda e: (2 * e) ** 0.5),
        f"for a Gaussian of variance {variance:g} and steps 0.2 and 0.8 the walk rests at"
        f" {found[0.2]:.2f} and {found[0.8]:.2f}.",
    )
