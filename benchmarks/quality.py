"""Quality against work: the Fréchet distance of every sampler, for its evaluations and its seconds.

    python benchmarks/quality.py                       both data sets; goes on where it stopped
    python benchmarks/quality.py --data digits --images 200 --out look.json
    python benchmarks/quality.py --fast                the solvers of chapter 19, in fp32
    python benchmarks/quality.py --fast --seeds 5 --only "course_lib 0 50" "course_lib 2m"
    python benchmarks/quality.py --draw                only the figure, from numbers that are there

Ours and those of `diffusers` walk with the same weights, from the same noise, with x_0 clipped. On
digits `diffusers` runs its own network, filled through the key map. The garments' network reads
patches, which its networks cannot; there its schedulers drive ours.

Each cell is one sampler with one seed: its distance in the course's features, what equally many
real pictures score, and seconds of one thread for one image, the least of its batches, because
other programs only add to them; they compare within one file, which one precision and one kind of
machine filled. Chapter 14 reads the first file, whose table 1 it shows; chapter 19 reads both.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    UNet2DModel,
)
from pair import machine
from torch import Tensor, nn

from course_lib.core.tensors import atomic_write, seeded_randn_like
from course_lib.core.types import RandnLike
from course_lib.diffusion.denoiser import Denoiser, on_schedule
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddim_step, ddpm_step, heun_step, sample
from course_lib.diffusion.schedules import edm, spaced_times
from course_lib.diffusion.solvers import DPMSolver2M, churn_step, midpoint_step
from course_lib.evaluation import evaluate, unseen
from course_lib.models.published import diffusers_name
from course_lib.trainings import trained

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = ROOT / "data" / "measured" / "samplers.json"
FAST = ROOT / "data" / "measured" / "fast_samplers.json"
FIGURE = ROOT / "benchmarks" / "quality.svg"
SHAPES = {"digits": (1, 8, 8), "fashion": (1, 28, 28)}
BATCH = 125  # fits a cache
CHURN = 2**0.5 - 1  # the most that EDM's algorithm 2 allows

ETAS = ("0", "0.2", "0.5", "1", "hat")
STEPS = (10, 20, 50, 100)


@dataclass(frozen=True)
class Sampler:
    """One way down: who walks, how, over which times, in how many steps."""

    name: str
    steps: int
    side: str = "course_lib"
    times: str = "even"

    @property
    def key(self) -> dict[str, Any]:
        """What a cell is called in the file."""
        return {"side": self.side, "sampler": self.name, "times": self.times, "steps": self.steps}


def contestants() -> Iterator[Sampler]:
    """First table 1 of Song, Meng & Ermon, then what competes with it."""
    for steps in STEPS:
        yield from (Sampler(eta, steps) for eta in ETAS)
    for steps in (10, 20):
        yield from (Sampler(eta, steps, times="authors") for eta in ETAS)
    yield from (Sampler("heun", steps) for steps in (5, 10, 20))
    for steps in (10, 20, 50):
        yield from (Sampler(name, steps, "diffusers") for name in ("0", "1"))
    for steps in (5, 10, 20):
        yield from (Sampler(name, steps, "diffusers") for name in ("heun", "dpm++"))


def fast_contestants() -> Iterator[Sampler]:
    """The solvers of chapter 19, few steps each, and what they compete with.

    "2m 0.5" is 2M with half of DDIM's fresh noise.
    """
    yield from (Sampler("0", steps) for steps in (5, 10, 20, 50))
    yield from (Sampler("heun", steps) for steps in (3, 5, 10))
    yield from (Sampler("2m", steps) for steps in (5, 8, 10, 15, 20))
    yield from (Sampler("2m 0.5", steps) for steps in (5, 6, 8, 10, 15, 20))
    yield from (Sampler("2m 1", steps) for steps in (10, 20))
    yield from (Sampler(name, steps) for name in ("2s", "churn") for steps in (5, 10))
    for steps in (10, 20):
        yield from (Sampler(name, steps, "diffusers") for name in ("dpm++", "dpm++ sde"))


def authors_times(steps: int) -> Tensor:
    """Every (1000 / steps)-th time down to 1, then 0: "uniform" in the code of the DDIM paper."""
    return torch.cat([torch.arange(0, 1000, 1000 // steps).flip(0) + 1, torch.tensor([0])])


class Counting(nn.Module):
    """A network that counts how often it is asked."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The network's answer."""
        self.calls += 1
        return self.net(x_t, t).float()


def walk_ours(sampler: Sampler, net: nn.Module, model: Denoiser, x_T: Tensor, seed: int) -> Tensor:
    """Images by the course's steps."""
    fresh = seeded_randn_like(seed)
    if sampler.name in ("2s", "churn"):
        return walk_in_between(sampler, net, model, x_T, fresh)
    if sampler.name == "heun":
        step: Callable[..., Tensor] = heun_step
    elif sampler.name.startswith("2m"):
        _, _, eta = sampler.name.partition(" ")
        step = DPMSolver2M(float(eta or 0), fresh)
    elif sampler.name == "hat":
        step = partial(ddpm_step, variance="large", randn_like=fresh)
    else:
        step = partial(ddim_step, eta=float(sampler.name), randn_like=fresh)
    even = sampler.times == "even"
    times = spaced_times(model.schedule, sampler.steps) if even else authors_times(sampler.steps)
    return sample(step, clip(Denoiser(net, model.schedule)), model.schedule, x_T, times)


def walk_in_between(
    sampler: Sampler, net: nn.Module, model: Denoiser, x_T: Tensor, fresh: RandnLike
) -> Tensor:
    """Steps that ask between the schedule's times walk on the noise levels of those same times."""
    levels = model.schedule.snr(spaced_times(model.schedule, sampler.steps)).rsqrt()
    ve = replace(edm, t_max=float(levels[0]))  # DDPM's chain starts above EDM's last level
    denoise = clip(on_schedule(Denoiser(net, model.schedule), ve))
    churn = partial(churn_step, churn=CHURN, randn_like=fresh)
    step = midpoint_step if sampler.name == "2s" else churn
    alpha, _ = model.schedule(torch.full((len(x_T),), model.schedule.T), like=x_T)
    return sample(step, denoise, ve, x_T / alpha, levels)


def scheduler_of(name: str) -> tuple[Any, dict[str, Any]]:
    """A scheduler of `diffusers` on our times, x_0 clipped, and what its step is told besides."""
    common: dict[str, Any] = {
        "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear",
        "timestep_spacing": "trailing",
    }  # fmt: skip
    if name == "0":
        return DDIMScheduler(**common), {"use_clipped_model_output": True}
    if name == "1":
        return DDPMScheduler(**common), {}
    if name == "heun":
        return HeunDiscreteScheduler(clip_sample=True, **common), {}
    # Its threshold at quantile 1, at most 1, is the clip.
    clipped = {"thresholding": True, "dynamic_thresholding_ratio": 1.0}
    kind = "sde-dpmsolver++" if name == "dpm++ sde" else "dpmsolver++"
    return DPMSolverMultistepScheduler(algorithm_type=kind, **clipped, **common), {}


def walk_theirs(sampler: Sampler, net: nn.Module, x_T: Tensor, seed: int) -> Tensor:
    """Images by a scheduler of `diffusers`."""
    scheduler, told = scheduler_of(sampler.name)
    scheduler.set_timesteps(sampler.steps)
    if sampler.name in ("1", "dpm++ sde"):
        told["generator"] = torch.Generator().manual_seed(seed)
    x = x_T * scheduler.init_noise_sigma
    for i in scheduler.timesteps:
        out = net(scheduler.scale_model_input(x, i), (i + 1).expand(len(x)))
        x = scheduler.step(out, i, x, **told).prev_sample
    return x


def their_network(net: nn.Module) -> nn.Module:
    """The digits' U-Net as `diffusers` has it, with the same weights; t counted as ours is."""
    theirs = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(16, 32),
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
        layers_per_block=1, attention_head_dim=None, downsample_padding=1,
        flip_sin_to_cos=False, freq_shift=0, norm_eps=1e-5, norm_num_groups=4,
    )  # fmt: skip
    theirs.load_state_dict({diffusers_name(k): v for k, v in net.state_dict().items()})
    return _Sample(theirs).eval()


class _Sample(nn.Module):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.net(x_t, t).sample


def measure(
    sampler: Sampler, data: str, model: Denoiser, images: int, seed: int, bf16: bool
) -> dict[str, Any]:
    """One cell."""
    x_T = seeded_randn_like(seed)(torch.zeros(images, *SHAPES[data]))
    theirs = sampler.side == "diffusers"
    net = their_network(model.net) if theirs and data == "digits" else model.net
    made, seconds, calls = [], [], 0
    for k, noise in enumerate(x_T.split(BATCH)):
        counting, started = Counting(net), time.process_time()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            fresh = 1_000 * (seed + 1) + k
            if theirs:
                made.append(walk_theirs(sampler, counting, noise, fresh))
            else:
                made.append(walk_ours(sampler, counting, model, noise, fresh))
        seconds.append((time.process_time() - started) / len(noise))
        calls = counting.calls
    judged = evaluate(torch.cat(made), data, pictures=unseen(data)).frechet
    return {
        "data": data, **sampler.key, "seed": seed, "images": images, "evaluations": calls,
        "frechet": round(judged.value, 4), "floor": round(judged.floor, 4),
        "seconds": float(f"{min(seconds):.4g}"),
    }  # fmt: skip


def write(path: Path, about: dict[str, Any], cells: list[dict[str, Any]]) -> None:
    """One cell a line, so that a change can be read."""
    lines = ",\n".join("  " + json.dumps(cell) for cell in cells)
    text = f'{{"about": {json.dumps(about)},\n"cells": [\n{lines}\n]}}\n'
    atomic_write(path, text.encode())


def draw(old: list[dict[str, Any]], fast: list[dict[str, Any]], path: Path) -> None:
    """Distance over evaluations and over seconds, one row a data set.

    Over evaluations the cells of both files; over seconds those of the second one alone, because
    seconds compare within one file only.
    """
    import matplotlib
    from matplotlib.ticker import LogLocator, NullLocator

    from course_lib.picture import COLOURS, STYLE, new_figure

    kinds = {
        ("course_lib", "0"): ("DDIM", "model", "-", "o"),
        ("course_lib", "1"): ("ancestral", "data", "-", "o"),
        ("course_lib", "heun"): ("Heun", "exact", "-", "o"),
        ("course_lib", "2m"): ("2M", "accent", "-", "o"),
        ("course_lib", "2m 0.5"): ("2M, half the noise", "accent", "--", "s"),
        ("course_lib", "2m 1"): ("2M, all of it", "accent", "-.", "^"),
        ("course_lib", "2s"): ("2S", "exact", "--", "s"),
        ("course_lib", "churn"): ("Heun with churn", "exact", "-.", "^"),
        ("diffusers", "0"): ("DDIM, diffusers", "model", ":", "x"),
        ("diffusers", "1"): ("ancestral, diffusers", "data", ":", "x"),
        ("diffusers", "heun"): ("Heun, diffusers", "exact", ":", "x"),
        ("diffusers", "dpm++"): ("2M, diffusers", "accent", ":", "x"),
        ("diffusers", "dpm++ sde"): ("2M, all the noise, diffusers", "accent", ":", "+"),
    }
    names = {"fashion": "garments, 28 × 28", "digits": "digits, 8 × 8"}
    shown = [data for data in names if any(cell["data"] == data for cell in old + fast)]
    # Words stay words, and the file is the same on every run.
    plain = {"svg.fonttype": "none", "svg.hashsalt": "quality"}
    with matplotlib.rc_context(STYLE | plain):
        figure = new_figure((9.5, 3.6 * len(shown) + 0.5), "")
        panels = figure.subplots(len(shown), 2, squeeze=False)
        for row, data in zip(panels, shown, strict=True):
            floor = min(cell["floor"] for cell in old + fast if cell["data"] == data)
            for axes, x, cells in zip(
                row, ("evaluations", "seconds"), (old + fast, fast), strict=True
            ):
                for (side, name), (label, colour, line, mark) in kinds.items():
                    points = averaged(cells, data, side, name)
                    axes.plot(
                        [p[x] for p in points], [p["frechet"] for p in points], linestyle=line,
                        marker=mark, color=COLOURS[colour], label=label, markersize=5,
                    )  # fmt: skip
                axes.axhline(floor, color=COLOURS["noise"], linestyle="--", linewidth=1)
                axes.set(xscale="log", yscale="log", title=names[data])
                axes.set_xlabel(f"{x} for one image")
                axes.set_ylabel("Fréchet distance")
                for axis in (axes.xaxis, axes.yaxis):
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    axis.set_major_formatter("{x:g}")
                    axis.set_minor_locator(NullLocator())
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=10)
        figure.savefig(path, metadata={"Date": None})


def averaged(
    cells: list[dict[str, Any]], data: str, side: str, name: str, times: str = "even"
) -> list[dict[str, Any]]:
    """Means over the seeds that every contestant has, one for each number of steps, in order."""
    wanted = {"data": data, "side": side, "sampler": name, "times": times}
    shared = seeds_of_all(cells, data)
    mine = [c for c in cells if wanted.items() <= c.items() and c["seed"] in shared]
    mine = list({(c["steps"], c["seed"]): c for c in mine}.values())  # of two, the later one
    found = []
    for steps in sorted({cell["steps"] for cell in mine}):
        group = [cell for cell in mine if cell["steps"] == steps]
        mean = {k: sum(c[k] for c in group) / len(group) for k in ("frechet", "evaluations")}
        found.append(mean | {"steps": steps, "seconds": min(c["seconds"] for c in group)})
    return found


def seeds_of_all(cells: list[dict[str, Any]], data: str) -> set[int]:
    """The seeds for which no contestant's cell is missing: only these compare all of them."""
    having: dict[tuple[Any, ...], set[int]] = {}
    for cell in cells:
        if cell["data"] == data:
            key = tuple(cell[k] for k in ("side", "sampler", "times", "steps"))
            having.setdefault(key, set()).add(cell["seed"])
    return set.intersection(*having.values()) if having else set()


def main() -> None:
    """Fill the cells that are missing, write each, draw the figure, print the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--fp32", action="store_true", help="not bf16 for the garments' network")
    parser.add_argument("--out", type=Path, help="the file of numbers")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--fast", action="store_true", help="chapter 19's solvers, in fp32")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORDS", help='as in "course_lib 2m 0.5 10"'
    )
    options = parser.parse_args()
    options.out = options.out or (FAST if options.fast else NUMBERS)
    options.fp32 |= options.fast
    kept = json.loads(options.out.read_text()) if options.out.exists() else {"cells": []}
    cells = kept["cells"]
    precision = "fp32" if options.fp32 else "bf16"
    about: dict[str, Any] = {
        "machine": machine(torch.device("cpu")),
        "garments in": precision,
    }

    wanted = [] if options.data == "both" else [options.data]
    todo = [] if options.draw else (wanted or list(SHAPES))
    compared = kept.get("about", {}).get("test pictures", {})
    about["test pictures"] = compared | {data: unseen(data, compared.get(data)) for data in todo}
    models = {data: trained(f"{data}_ddpm") for data in todo}
    for seed in range(options.seeds):
        for data, model in models.items():
            for sampler in fast_contestants() if options.fast else contestants():
                key = {"data": data, **sampler.key, "seed": seed, "images": options.images}
                words = f"{sampler.side} {sampler.name} {sampler.steps} {sampler.times}"
                if not any(words.startswith(only) for only in options.only):
                    continue
                if any(key.items() <= cell.items() for cell in cells):
                    continue
                bf16 = data == "fashion" and not options.fp32
                cells.append(measure(sampler, data, model, options.images, seed, bf16))
                write(options.out, about, cells)
                print(cells[-1], flush=True)
    others = NUMBERS if options.fast else FAST
    more = json.loads(others.read_text())["cells"] if others.exists() else []
    draw(*((more, cells) if options.fast else (cells, more)), options.figure)


if __name__ == "__main__":
    main()
