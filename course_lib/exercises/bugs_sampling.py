"""The checks of "Spot the bug", second page: sampling and guidance.

Each check knows the version of a public report, which it names by its symptom, and the usual
half-mends. Stories and reports stand on the page. Data are Gaussian wherever a sampler runs, so
that the right answer is known.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion.schedules import linear
from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("a walk that begins where noise begins")
def check_walk_times(walk_times: Callable[..., Any]) -> None:
    """Bug 10: the times of a short walk."""
    for T, steps in ((1000, 50), (1000, 5), (1000, 30), (400, 8)):
        found = torch.as_tensor(walk_times(T, steps)).double()
        require(found.shape == (steps,), f"{steps} times are asked, got {list(found.shape)}.")
        require(equal(found, found.round()), "the times are whole numbers: places in tables.")
        first, last = int(found[0]), int(found[-1])
        falls = -found.diff()
        reject(bool((falls < 0).any()), "from the noisiest time downwards: they must fall.")
        reject(bool((falls == 0).any()), "a time occurs twice.")
        reject(
            first != T and last == 1,
            f"as above: with {steps} steps the walk begins at time {first} with a picture of pure"
            f" noise. The network knows x at that time as one that still holds something.",
        )
        reject(
            last <= 0,
            "at time 0 there is nothing to do: the last of these times is where the network is"
            " asked for the last time, above 0.",
        )
        require(first == T, f"the first time is {first}, noise is at {T}.")
        require(last <= T / steps + 1, f"the last jump, from {last} to 0, is longer than the rest.")
        require(float(falls.max() - falls.min()) <= 1, "the times are not evenly spread.")


@exercise("x_0 from v")
def check_x_0_from_v(x_0_from_v: Callable[..., Any]) -> None:
    """Bug 11: the picture that a v-prediction stands for."""
    x_0, eps = torch.randn(2, 6)
    for alpha, sigma in ((0.8, 0.6), (0.28, 0.96)):
        x_t, v = alpha * x_0 + sigma * eps, alpha * eps - sigma * x_0
        found = x_0_from_v(v, x_t, alpha, sigma)
        reject(
            equal(found, alpha * x_t + sigma * v),
            "as above: the sign. With little noise it looks right, with much the picture comes out"
            " as its negative, mixed with the noise.",
        )
        reject(equal(found, eps), "this is the noise. The picture is the other mix.")
        reject(
            equal(found, (x_t - sigma * v) / alpha),
            "v is taken for eps: this is how noise predictions are turned into a picture.",
        )
        reject(equal(found, -x_0), "the sign of the whole.")
        reject(
            equal(found, sigma * x_t - alpha * v),
            "the factors are swapped: x_t, which holds alpha x_0, is multiplied by alpha.",
        )
        reject(
            equal(found, (alpha * x_t + sigma * v) / (alpha**2 - sigma**2)),
            "dividing gives x_0 its factor back and leaves noise in it. Mend the sign.",
        )
        require(equal(found, x_0), "x_t and v made from one picture do not give it back.")


@exercise("the noise follows from what the network said")
def check_ddim(ddim: Callable[..., Any]) -> None:
    """Bug 12: a step of DDIM for a network that predicts x_0 or eps."""
    x_0, eps = torch.randn(2, 6)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (0.6, 0.8), (0.8, 0.6)
    x_t, right = alpha_t * x_0 + sigma_t * eps, alpha_s * x_0 + sigma_s * eps
    levels = (alpha_t, sigma_t, alpha_s, sigma_s)
    found = ddim(eps, x_t, *levels, "eps")
    require(equal(found, right), "for a network that predicts eps the step is not DDIM's.")
    found = ddim(x_0, x_t, *levels, "x_0")
    reject(
        equal(found, (alpha_s + sigma_s) * x_0),
        "as above: for this network `out` is the picture, and the step adds it as if it were the"
        " noise too. Nothing of x_t is left in the answer.",
    )
    reject(
        equal(found, alpha_s * x_0 + sigma_s * (x_t - x_0) / sigma_t),
        "x_t holds alpha_t x_0, not x_0: take that off.",
    )
    reject(
        equal(found, alpha_s * x_0 + sigma_s * (x_t - alpha_t * x_0)),
        "what is left of x_t is sigma_t eps: divide by sigma_t.",
    )
    reject(
        equal(found, alpha_s * x_0 + x_t - alpha_t * x_0)
        or equal(found, alpha_s * x_0 + sigma_s * (x_t - alpha_s * x_0) / sigma_t),
        "the noise is in x_t, at time t: (x_t - alpha_t x_0) / sigma_t.",
    )
    reject(equal(found, alpha_s * x_0), "the noise is left out: that ends the walk at once.")
    again = ddim(x_0, x_t, *levels, "x_0")
    reject(not equal(found, again), "fresh noise: this step is deterministic.")
    require(equal(found, right), "for a network that predicts x_0 the step is not DDIM's.")


@exercise("second order: twice the steps, a quarter of the error")
def check_heun(heun: Callable[..., Any]) -> None:
    """Bug 13: Heun's step, on Gaussian data where the path is known."""

    def denoise(x: Tensor, n: Tensor | float) -> Tensor:
        return x * 0.25 / (0.25 + n**2)

    x, n_t, n_s = torch.tensor([1.0, -2.0], dtype=torch.float64), 2.0, 0.8
    slope_t = (x - denoise(x, n_t)) / n_t
    y = x + (n_s - n_t) * slope_t

    def with_second(slope: Tensor) -> Tensor:
        return x + (n_s - n_t) * (slope_t + slope) / 2

    found = heun(denoise, x, n_t, n_s)
    reject(
        equal(found, with_second((y - denoise(y, n_t)) / n_t)),
        "as above: the second slope is that of the new point at the *old* noise level. Twice the"
        " steps then only halve the error.",
    )
    reject(
        equal(found, with_second((y - denoise(y, n_s)) / n_t)),
        "half of it: the denoiser is asked at n_s, the slope is still divided by n_t.",
    )
    reject(
        equal(found, with_second((y - denoise(y, n_t)) / n_s)),
        "half of it: the slope is divided by n_s, the denoiser is still asked at n_t.",
    )
    reject(
        equal(found, with_second((x - denoise(x, n_s)) / n_s)),
        "the second slope belongs to the new point: y, not x.",
    )
    second = (y - denoise(y, n_s)) / n_s
    reject(
        equal(found, x + (n_s - n_t) * (slope_t + second)),
        "the sum of both slopes: the step is twice as long. Their mean.",
    )
    reject(
        equal(found, x + (n_s - n_t) * second),
        "the second slope alone is of first order too. The mean of both is not.",
    )
    reject(
        equal(found, y + (n_s - n_t) * (slope_t + second) / 2),
        "the step goes on from y. It is taken anew from x, with the better slope.",
    )
    reject(
        equal(found, with_second((x - denoise(y, n_s)) / n_s))
        or equal(found, with_second((y - denoise(x, n_s)) / n_s)),
        "the second slope mixes x and y: all of it belongs to y, at n_s.",
    )
    reject(equal(found, y), "this is Euler's step: the second slope is not used.")
    require(equal(found, with_second(second)), "it is not the mean of both slopes.")


@exercise("from noise to data")
def check_flow(flow: Callable[..., Any]) -> None:
    """Bug 14: sampling with a flow, in the convention t = 0 is data."""

    def velocity(x: Tensor, t: float) -> Tensor:
        alpha, total = 1 - t, (1 - t) ** 2 * 0.25 + t**2
        x_0 = 3 + alpha * 0.25 / total * (x - alpha * 3)
        eps = t / total * (x - alpha * 3)
        return eps - x_0

    def euler(times: list[float], by: float) -> Tensor:
        x = noise
        for t in times:
            x = x + by * velocity(x, t)
        return x

    noise, n = torch.linspace(-2, 2, 9), 200
    up, down = [i / n for i in range(n)], [1 - i / n for i in range(n)]
    found = torch.as_tensor(flow(velocity, noise, n))
    require(found.shape == noise.shape, "one sample for each noise.")
    reject(
        equal(found, euler(up, 1 / n), 1e-3),
        "as above: it walks t from 0 to 1 along the velocity. In this convention that leads from"
        " data to noise.",
    )
    reject(
        equal(found, euler(up, -1 / n), 1e-3),
        "half of it: the sign is turned, the times still run from 0 to 1. The network is asked"
        " about clean data while it sees noise.",
    )
    reject(
        equal(found, euler(down, 1 / n), 1e-3),
        "half of it: the times fall now, and each step still follows the velocity, which points to"
        " noise.",
    )
    short = torch.linspace(1, 0, n).tolist()
    reject(
        equal(found, euler(short, -1 / (n - 1)), 1e-3),
        "n points make n - 1 gaps: with a step at each point, the last one included, it walks past"
        " the data.",
    )
    require(
        equal(found, 3 + 0.5 * noise, 0.05),
        "the samples are not those of data with mean 3 and spread 0.5.",
    )


@exercise("one draw of noise a step")
def check_em_step(em_step: Callable[..., Any]) -> None:
    """Bug 15: a step of Euler-Maruyama, dX = drift(X) dt + sigma dW."""
    x, h, sigma = torch.randn(6), 0.01, 0.7
    drawn = []

    def randn_like(like: Tensor) -> Tensor:
        drawn.append(torch.randn_like(like))
        return drawn[-1]

    def drift(x: Tensor) -> Tensor:
        return -x

    found = em_step(x, h, drift, sigma, randn_like)
    require(len(drawn) > 0, "no noise is drawn: use `randn_like`.")
    moved = torch.as_tensor(found) - x + h * x
    reject(
        len(drawn) == 2 and equal(moved, h**0.5 * sigma * drawn[0] * drawn[1], 1e-5),
        "as above: two draws, multiplied. Their product has the right variance and is no Gaussian:"
        " most steps are too small, a few far too large.",
    )
    reject(len(drawn) > 1, f"{len(drawn)} draws of noise in one step: one is enough.")
    for drift_of, why in (
        (0 * x, "the drift is left out."),
        (-x, "the drift is a speed: times h it is a way."),
        (h * x, "the drift has the wrong sign."),
    ):
        whole = x + drift_of + h**0.5 * sigma * drawn[0]
        reject(equal(found, whole, 1e-5), why)
    reject(
        equal(moved, h**0.5 * sigma * drawn[0] ** 2, 1e-5)
        or equal(moved, h**0.5 * sigma * drawn[0].abs(), 1e-5),
        "noise must point to both sides: this has only one sign.",
    )
    reject(equal(moved, sigma * drawn[0], 1e-5), "the root of the time step is missing.")
    reject(equal(moved, h * sigma * drawn[0], 1e-5), "noise grows with the root of the time step.")
    reject(
        equal(moved, h**0.5 * sigma**2 * drawn[0], 1e-5),
        "sigma is a spread already: do not square it.",
    )
    reject(equal(moved, h**0.5 * drawn[0], 1e-5), "sigma changes nothing.")
    require(equal(moved, h**0.5 * sigma * drawn[0], 1e-5), "it is not sqrt(h) sigma noise.")


@exercise("noise that repeats from run to run, not from step to step")
def check_draw(draw: Callable[..., Any]) -> None:
    """Bug 16: a seed for the first noise and for that of the steps."""

    def run(seed: int) -> tuple[Tensor, list[Tensor]]:
        seen: list[Tensor] = []

        def step(x: Tensor, i: int, noise: Tensor) -> Tensor:
            seen.append(x.clone())
            seen.append(noise.clone())
            return 0.5 * x + noise

        draw(step, (64,), 4, seed)
        require(len(seen) == 8, "four steps are asked: step(x, i, noise) is to be called for each.")
        return seen[0], seen[1::2]

    start, noises = run(7)
    reject(
        equal(start, noises[0]),
        "as above: both generators begin with one seed, so the first step adds the very noise that"
        " x already is.",
    )
    reject(
        any(equal(noises[0], other) for other in noises[1:]),
        "every step adds the same noise: seed once, before the loop.",
    )
    again, noises_again = run(7)
    require(
        equal(start, again) and equal(torch.stack(noises), torch.stack(noises_again)),
        "the same seed gives another picture: take all noise from the generator of the seed.",
    )
    for seed in (0, 1):
        begun, steps = run(seed)
        reject(
            equal(begun, steps[0]),
            f"a second generator with a seed of its own, and for seed {seed} it is the first one's:"
            " as above again.",
        )
    other, _ = run(8)
    require(not equal(start, other), "another seed gives the same start.")
    reject(
        equal(other, noises[0]) or equal(other, noises[1]),
        "a second seed, one higher: this step's noise is where the *next* seed's picture begins."
        " One generator for everything has no such neighbours.",
    )


@exercise("w = 0 is the model as it is")
def check_guided(guided: Callable[..., Any]) -> None:
    """Bug 17: the paper's w, where 0 is no guidance."""
    c, u = torch.randn(2, 5)
    for w in (0.3, 3.0):
        found = guided(c, u, w)
        reject(
            equal(found, u + w * (c - u)),
            "as above: this is the other convention, in which 1 is no guidance. The paper's w = 0"
            " then throws the condition away.",
        )
        reject(
            equal(found, c + w * (u - c)),
            "the wrong way: from the answer with the condition towards the one without.",
        )
        reject(
            equal(found, (1 + w) * c + w * u),
            "the weights add up to 1 + 2w. They must add up to 1: (1 + w) and -w.",
        )
        reject(
            equal(found, c + (1 + w) * (c - u)),
            "1 is counted twice: from u it is 1 + w times the arrow, from c it is w times.",
        )
        reject(
            equal(found, u + (w - 1) * (c - u)),
            "this is the way back, from the other count to the paper's: s = 1 + w.",
        )
        reject(equal(found, (1 + w) * c - u), "the weights must add up to 1: u has -w, not -1.")
        require(equal(found, (1 + w) * c - w * u), "it is not (1 + w) c - w u.")
    require(equal(guided(c, u, 0.0), c), "w = 0 must return c.")


@exercise("towards lower energy")
def check_lower(lower: Callable[..., Any]) -> None:
    """Bug 18: noise that leads to lower energy."""
    x, eps, sigma, strength = torch.tensor([0.0, 1.0, 5.0]), torch.randn(3), 0.6, 0.5

    def energy(x: Tensor) -> Tensor:
        return (x - 2).square() / 2

    away = x - 2  # the energy's gradient
    found = torch.as_tensor(lower(eps, energy, x, sigma, strength)).detach()
    change = found - eps
    reject(
        equal(change, -sigma * strength * away),
        "as above: eps points away from data, and a smaller eps up the energy leads the picture up"
        " the energy too. One minus for the energy and one of the formula make a plus.",
    )
    reject(equal(change, 0 * x), "the energy changes nothing.")
    reject(equal(change, strength * away), "eps is minus sigma times the score: sigma is missing.")
    reject(
        equal(change, sigma**2 * strength * away), "sigma once: eps is minus sigma times the score."
    )
    reject(equal(change, sigma * away), "`strength` changes nothing.")
    reject(
        equal(change, sigma * strength * away / 3),
        "the mean over the batch makes each picture's gradient smaller: sum.",
    )
    reject(
        equal(found, -eps + sigma * strength * away)
        or equal(found, -eps - sigma * strength * away),
        "the network's own noise has changed its sign.",
    )
    require(
        equal(change, sigma * strength * away),
        "eps does not change by sigma times strength times the energy's gradient, up or down.",
    )


@exercise("the network is told the time")
def check_invert(invert: Callable[..., Any]) -> None:
    """Bug 19: DDIM's way from a picture up to its noise."""
    bar = linear().alpha_bar
    alpha, sigma = bar.sqrt(), (1 - bar).sqrt()
    times = torch.arange(0, 1001, 20)
    asked: list[int] = []

    def eps_of(x: Tensor, t: Any) -> Tensor:
        asked.append(int(t))
        return sigma[int(t)] * x / (bar[int(t)] * 0.25 + 1 - bar[int(t)])

    x = torch.tensor([0.5, -1.0], dtype=torch.float64)
    found = torch.as_tensor(invert(eps_of, x, alpha, sigma, times))
    require(found.shape == x.shape, "one noise for each picture.")
    require(len(asked) == 50, f"the network is asked {len(asked)} times where there are 50 steps.")
    reject(
        max(asked) < 60,
        f"as above: it is asked at t = {asked[0]}, {asked[1]}, ..., {asked[-1]}. These are places"
        " in the list of times. The times go up to 1000.",
    )
    reject(asked[0] > asked[-1], "this walks down: from a picture the times rise.")
    require(
        asked == times[1:].tolist() or asked == times[:-1].tolist(),
        "the network is asked at other times than those of the walk.",
    )

    def walked(of: Callable[[Any, Any], Any], to: Callable[[Any, Any], Any]) -> Tensor:
        # With the levels `of` taken out and those of `to` put back, the network as it was asked
        z = x
        for s, t, told in zip(times, times[1:], tuple(asked[:50]), strict=False):
            eps = eps_of(z, told)
            z = alpha[to(s, t)] * (z - sigma[of(s, t)] * eps) / alpha[of(s, t)]
            z = z + sigma[to(s, t)] * eps
        return z

    reject(
        equal(found, walked(lambda s, t: t, lambda s, t: s)),
        "this walks down: x is at s, the earlier time, and goes to t.",
    )
    reject(
        equal(found, walked(lambda s, t: t, lambda s, t: t)),
        "nothing moves: taken out and put back at one level. x is at s.",
    )
    require(equal(found, 2 * x, 0.15), "the way up does not end at the noise of the picture.")


@exercise("one noise level all over the picture")
def check_paste(paste: Callable[..., Any]) -> None:
    """Bug 20: keeping the known part of a picture while a hole is filled."""
    bar = linear().alpha_bar
    alpha, sigma = bar.sqrt().float(), (1 - bar).sqrt().float()
    x_s, known, eps = torch.randn(3, 2, 1, 4, 4)
    hole = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    hole[..., 1:3, 1:] = True
    for t, s in ((600, 500), (100, 0)):
        at_t, at_s = (alpha[i] * known + sigma[i] * eps for i in (t, s))
        found = paste(x_s, known, hole, alpha, sigma, t, s, eps)
        reject(
            equal(found, torch.where(hole, x_s, at_t)),
            f"as above: the hole is at time {s}, the known part at {t}. Two noise levels in one"
            " picture, and at the end noise is left around the hole.",
        )
        reject(
            equal(found, torch.where(hole, at_s, x_s))
            or equal(found, torch.where(hole, at_t, x_s)),
            "inside out: `hole` is True where the picture is unknown.",
        )
        reject(
            s > 0 and equal(found, torch.where(hole, x_s, known)),
            "the known part is pasted without noise: the network never saw such a picture.",
        )
        reject(
            s > 0 and equal(found, torch.where(hole, x_s, alpha[s] * known)),
            "its noise is missing: alpha_s known + sigma_s eps.",
        )
        reject(
            equal(found, torch.where(hole, x_s, alpha[s] * known + sigma[t] * eps))
            or equal(found, torch.where(hole, x_s, alpha[t] * known + sigma[s] * eps)),
            "half of it: one of the two factors is still that of t.",
        )
        reject(
            s > 0 and equal(found, torch.where(hole, x_s, known + sigma[s] * eps)),
            "the known picture must shrink as well: alpha_s known + sigma_s eps.",
        )
        reject(
            s > 0 and equal(found, torch.where(hole, alpha[s] * x_s + sigma[s] * eps, at_s)),
            "x_s is at time s already. Only the known part is noised.",
        )
        require(equal(found, torch.where(hole, x_s, at_s)), "the known part is not at time s.")


@exercise("as much noise as the walk will remove")
def check_begin(begin: Callable[..., Any]) -> None:
    """Bug 21: image to image, with the last `strength` of a walk."""
    bar = linear().alpha_bar
    alpha, sigma = bar.sqrt().float(), (1 - bar).sqrt().float()
    times = torch.arange(1000, -1, -100)
    x_0, eps = torch.randn(2, 8)
    for strength, steps in ((0.3, 3), (0.8, 8)):
        answer = begin(x_0, strength, times, alpha, sigma, eps)
        require(
            isinstance(answer, (tuple, list)) and len(answer) == 2,
            "return the noisy picture and the times that are left.",
        )
        x, left = answer[0], torch.as_tensor(answer[1])
        wanted = times[-steps - 1 :]
        reject(
            equal(left, times[steps:]) and steps != 5,
            "turned round: strength 1 is the whole walk, 0 none of it.",
        )
        reject(
            equal(left, times[-steps - 2 :]),
            "one step too many: n steps have n + 1 times, and the list has both ends.",
        )
        reject(equal(left, times[-steps:]), "one step too few: n steps have n + 1 times.")
        reject(equal(left, times[: steps + 1]), "the first steps. It is the *last* ones.")
        require(
            equal(left, wanted), f"at strength {strength} the last {steps} of 10 steps are left."
        )

        def at(t: int) -> Tensor:
            return alpha[t] * x_0 + sigma[t] * eps

        first = int(wanted[0])
        reject(
            equal(x, at(first + 100)),
            f"as above: the picture has the noise of t = {first + 100}, the walk begins at"
            f" {first}. What is between them is never removed.",
        )
        reject(
            equal(x, at(first - 100)), "one step too little: the walk removes more than is there."
        )
        reject(equal(x, x_0), "the picture has no noise at all.")
        reject(
            equal(x, x_0 + sigma[first] * eps),
            "the picture must shrink as well: alpha_t x_0 + sigma_t eps.",
        )
        require(equal(x, at(first)), f"the picture is not at time {first}, where the walk begins.")
