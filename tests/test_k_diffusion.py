"""Whole walks equal those of k-diffusion (github.com/crowsonkb/k-diffusion), and the papers' own.

k-diffusion cannot be a test dependency: it imports torchvision, whose public wheel wants a CUDA
torch. So its `sampling.py` (commit 4601bf0) was run once on the walk below, its missing imports
replaced by empty modules, and where it ended stands here. So that these numbers are more than
trust, each is met by a second witness too: the same sampler written from the paper in the notation
of the noise level alone, with nothing of the course in it.

How the two count: their sigma is our noise level n, their t is minus log sigma, so our lambda, and
their s_churn is our churn times the number of steps.
"""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from course_lib.core.checks import check_close
from course_lib.diffusion.samplers import ddim_step, euler_step, heun_step, sample
from course_lib.diffusion.schedules import edm, karras_times
from course_lib.diffusion.solvers import DPMSolver2M, churn_step

LEVELS = karras_times(8, 0.02, 20.0)
START = 20 * torch.tensor([[-1.5], [-0.3], [0.4], [1.2]], dtype=torch.float64)

# Where k-diffusion ends, by the name of its function and its arguments.
THEIRS = {
    "sample_euler": [-0.621386074277, -0.223742142994, 0.28786242639, 0.576210098588],
    "sample_heun": [-0.53219755755, -0.284013221665, 0.342749340681, 0.510869739329],
    "sample_dpmpp_2m": [-0.633798633186, -0.296817702922, 0.370152814875, 0.607557162761],
    "sample_euler_ancestral, eta=1": [
        -0.361238150563, -0.422173059715, -0.211618442379, 0.304186006549,
    ],
    "sample_euler_ancestral, eta=0.5": [
        -0.473301341228, -0.326423930238, -0.178109224118, 0.360745824106,
    ],
    "sample_dpmpp_2m_sde, eta=1": [
        -0.586633218912, -0.505069832396, -0.177037766753, 0.560757409939,
    ],
    "sample_heun, s_churn=1.6, s_noise=1.003": [
        -0.416414652189, -0.349547995564, -0.172973171075, 0.377937540262,
    ],
}  # fmt: skip


def denoise(z: Tensor, n: Tensor) -> Tensor:
    """Any function will do; it must only be the same."""
    return torch.tanh(z / (1 + n[:, None] ** 2))


def noises() -> Callable[..., Tensor]:
    """Fresh noise that is the same for both: the k-th draw is sin(k), sin(k + 1), ..."""
    drawn = [0]

    def next_one(*_: Tensor) -> Tensor:
        drawn[0] += 1
        return torch.sin(drawn[0] + torch.arange(4, dtype=torch.float64))[:, None]

    return next_one


def ours(name: str) -> Callable[..., Tensor]:
    """The course's step of that name."""
    fresh = noises()
    return {
        "sample_euler": euler_step,
        "sample_heun": heun_step,
        "sample_dpmpp_2m": DPMSolver2M(),
        "sample_euler_ancestral, eta=1": partial(ddim_step, eta=1.0, randn_like=fresh),
        "sample_euler_ancestral, eta=0.5": partial(ddim_step, eta=0.5, randn_like=fresh),
        "sample_dpmpp_2m_sde, eta=1": DPMSolver2M(eta=1.0, randn_like=fresh),
        "sample_heun, s_churn=1.6, s_noise=1.003": partial(
            churn_step, churn=0.2, spread=1.003, randn_like=fresh
        ),
    }[name]


@pytest.mark.parametrize("name", THEIRS)
def test_a_whole_walk_ends_where_theirs_does(name: str) -> None:
    found = sample(ours(name), denoise, edm, START, LEVELS)
    check_close(found[:, 0], torch.tensor(THEIRS[name], dtype=torch.float64), name, atol=1e-10)


def test_2m_without_fresh_noise_is_not_touched_by_eta() -> None:
    found = sample(DPMSolver2M(eta=0.0, randn_like=noises()), denoise, edm, START, LEVELS)
    once = sample(DPMSolver2M(), denoise, edm, START, LEVELS)
    torch.testing.assert_close(found, once, atol=0, rtol=0)


def from_the_papers(name: str) -> list[float]:
    """The same walks for one number at a time, in floats."""
    name, *told = name.split(", ")
    options = {key: float(value) for key, value in (word.split("=") for word in told)}
    ends, levels = [], LEVELS.tolist()
    for i, start in enumerate(START[:, 0].tolist()):
        z, k, before, last = start, 0, 0.0, 0.0
        for n, m in zip(levels, levels[1:], strict=False):
            k += 1
            draw = math.sin(k + i)
            if "s_churn" in options:  # Karras et al. 2022, algorithm 2, lines 4 to 6
                raised = n * (1 + options["s_churn"] / (len(levels) - 1))
                z += math.sqrt(raised**2 - n**2) * options["s_noise"] * draw
                n = raised
            D = math.tanh(z / (1 + n**2))
            if m == 0:
                z = D
                continue
            if "dpmpp" in name:  # Lu et al. 2022b: the line through two answers, half a step on
                h = math.log(n / m)
                aim = D + h / (2 * last) * (D - before) if last else D
                before, last = D, h
                if name == "sample_dpmpp_2m":
                    z = m / n * z + (1 - m / n) * aim
                else:  # what is left of the old noise, and as much new as brings it back to m
                    left = (m / n) ** 2
                    z = left * z + (1 - left) * aim + m * math.sqrt(1 - left) * draw
                continue
            slope = (z - D) / n
            if "ancestral" in name:  # Song, Meng & Ermon 2020, eq. 16, for z
                up = options["eta"] * m / n * math.sqrt(n**2 - m**2)
                z += (math.sqrt(m**2 - up**2) - n) * slope + up * draw
                continue
            there = z + (m - n) * slope
            if name == "sample_heun":
                again = (there - math.tanh(there / (1 + m**2))) / m
                there = z + (m - n) * (slope + again) / 2
            z = there
        ends.append(z)
    return ends


@pytest.mark.parametrize("name", THEIRS)
def test_the_papers_formulas_end_there_too(name: str) -> None:
    assert from_the_papers(name) == pytest.approx(THEIRS[name], abs=1e-10)
