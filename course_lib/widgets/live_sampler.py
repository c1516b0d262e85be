"""A trained denoiser draws from noise, in the kernel or in the browser of who reads the page."""

import time
from collections.abc import Iterator
from typing import Any

import torch
import traitlets
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.noise import shared_randn_like
from course_lib.core.tensors import to_pixels
from course_lib.core.types import Data, Denoise, RandnLike
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import Step, ddim_step, ddpm_step, walk
from course_lib.diffusion.schedules import DiscreteSchedule, spaced_times
from course_lib.diffusion.solvers import DPMSolver2M
from course_lib.widgets.base import LiveFigure, module, style

SAMPLERS = ("DDPM", "DDIM", "2M")
MOST = 100  # steps


class LiveSampler(LiveFigure):
    """Noise becomes a picture by DDPM, DDIM or 2M, with sliders for steps, eta and seed.

    Where a kernel runs, it draws, with PyTorch and the steps of `course_lib`. On the website there
    is none: there the reader's browser runs the same network (tools/networks.py makes an ONNX file
    of it), loaded when asked for. A seed is the same noise in both. Until then, and where neither
    can be had, the page shows a recorded walk for each sampler.

    model     a denoiser of pictures in [-1, 1], on a schedule of whole steps
    network   its name among the site's networks
    shape     height and width of its pictures, which are grey
    sampler, steps, eta, seed   what is recorded, and where the controls stand at first
    limit     each guess of x_0 is kept within ± limit

    Raises ValueError for a schedule without whole steps, an unknown sampler, steps outside 1..100,
    eta outside 0..1 and a seed outside 0..999.
    """

    _esm = module("live_sampler")
    _css = style("live_sampler")
    network = traitlets.Unicode().tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    predicts = traitlets.Unicode().tag(sync=True)
    limit = traitlets.Float().tag(sync=True)
    betas = traitlets.Bytes().tag(sync=True)  # float32, one for each of the T steps
    sampler = traitlets.Unicode().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    eta = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    times = traitlets.List(traitlets.Int()).tag(sync=True)  # of the recorded walks
    recordings = traitlets.List(traitlets.Bytes()).tag(sync=True)  # states, then guesses: uint8

    def __init__(
        self,
        model: Denoiser,
        network: str,
        shape: tuple[int, int] = (28, 28),
        *,
        sampler: str = "DDIM",
        steps: int = 8,
        eta: float = 0.0,
        seed: int = 0,
        limit: float = 1.0,
    ) -> None:
        schedule = model.schedule
        if not isinstance(schedule, DiscreteSchedule):
            raise ValueError("drawing in whole steps needs a DiscreteSchedule")
        one_of(sampler, SAMPLERS, "sampler")
        self._denoise, self._schedule, self._size = clip(model, -limit, limit), schedule, shape
        walks = [[*self.walk(name, steps, eta, seed)] for name in SAMPLERS]
        super().__init__(
            network=network,
            shape=list(shape),
            predicts=model.predicts,
            limit=limit,
            betas=schedule.beta[1:].float().numpy().tobytes(),
            sampler=sampler,
            steps=steps,
            eta=eta,
            seed=seed,
            times=[t for t, _, _ in walks[0]],
            recordings=[_recording(states) for states in walks],
        )
        self.on_msg(self._asked)

    def walk(
        self, sampler: str, steps: int, eta: float, seed: int
    ) -> Iterator[tuple[int, Data, Data]]:
        """Yield the time, the state and the guess of x_0 made there; at time 0, the result twice.

        Raises ValueError as the class does.
        """
        one_of(sampler, SAMPLERS, "sampler")
        if not 1 <= steps <= MOST or not 0 <= eta <= 1 or not 0 <= seed <= 999:
            raise ValueError(
                f"need steps 1..{MOST}, eta 0..1 and seed 0..999, got {steps}, {eta} and {seed}"
            )
        randn_like, guesses = shared_randn_like(seed), []

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            guesses.append(self._denoise(x_t, t))
            return guesses[-1]

        times = spaced_times(self._schedule, steps)
        step = _step(sampler, eta, randn_like)
        x = randn_like(torch.empty(1, 1, *self._size))
        before = x
        for n, state in enumerate(walk(step, denoise, self._schedule, x, times)):
            if n:
                yield int(times[n - 1]), before, guesses[-1]
            before = state
        yield 0, before, before

    def _asked(self, _: Any, content: Any, __: Any) -> None:
        """Draw what the page asks for; each state goes out as soon as it is there."""
        if not isinstance(content, dict) or content.get("type") != "draw":
            return
        wish = {key: content[key] for key in ("sampler", "steps", "eta", "seed")}
        start = time.perf_counter()
        for t, state, guess in self.walk(**wish):
            ms = 1000 * (time.perf_counter() - start) / wish["steps"]
            told = {"asked": content["asked"], "t": t, "ms": ms, **wish}
            self.send(told, [part.numpy().tobytes() for part in (state, guess)])


def _step(sampler: str, eta: float, randn_like: RandnLike) -> Step:
    """One of `SAMPLERS`, as a step for one walk."""
    if sampler == "2M":
        return DPMSolver2M()

    def step(denoise: Denoise, schedule: Any, x_t: Data, t: Tensor, s: Tensor) -> Data:
        if sampler == "DDPM":
            return ddpm_step(denoise, schedule, x_t, t, s, randn_like=randn_like)
        return ddim_step(denoise, schedule, x_t, t, s, eta=eta, randn_like=randn_like)

    return step


def _recording(states: list[tuple[int, Data, Data]]) -> bytes:
    """All states, then all guesses but the last, which is the result again."""
    seen = [state for _, state, _ in states] + [guess for _, _, guess in states[:-1]]
    return to_pixels(torch.cat(seen)).numpy().tobytes()
