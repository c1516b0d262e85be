"""Images per second at equal quality: fewer, better steps against fifty of DDIM.

    python benchmarks/equal_quality.py                         the shipped Fashion-MNIST weights
    python benchmarks/equal_quality.py --images 500 --seeds 1  a quick look

Quality is the Fréchet distance of the course's own features to the test set, lower is better. Each
sampler draws the same number of images from the same noise, with several seeds. A sampler is equal
to DDIM-50 or better when its mean distance is no more than DDIM-50's plus one standard error of
their difference, taken over seeds. The fastest of those is the answer.

The unit of time is one evaluation of the network: everything else is a thousandth of it. Seconds
per evaluation are measured once, on this machine.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import torch
from pair import machine
from torch import Tensor

from course_lib.core.tensors import pick_device, seeded_randn_like
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddim_step, heun_step, sample
from course_lib.diffusion.schedules import DiscreteSchedule, spaced_times
from course_lib.diffusion.solvers import DPMSolver2M
from course_lib.features import features
from course_lib.metrics import frechet_distance
from course_lib.recipes import ddpm, fashion_unet
from course_lib.weights import WEIGHTS, load_weights

BASELINE = "DDIM 50"


def log_snr_times(schedule: DiscreteSchedule, steps: int) -> Tensor:
    """Integer times evenly spaced in log-SNR, then 0: at most `steps` + 1 (Lu et al. 2022)."""
    every = torch.arange(1, schedule.T + 1)
    levels = schedule.log_snr(every)  # falls as t rises
    wanted = torch.linspace(float(levels[-1]), float(levels[0]), steps, dtype=levels.dtype)
    nearest = (levels[None, :] - wanted[:, None]).abs().argmin(1) + 1
    return torch.cat([nearest.unique().flip(0), torch.zeros(1, dtype=torch.int64)])


def candidates(schedule: DiscreteSchedule) -> dict[str, tuple[Callable, Tensor]]:
    """What competes: a step and the times it visits."""
    table: dict[str, tuple[Callable, Tensor]] = {}
    for steps in (50, 25, 20, 15, 10):
        table[f"DDIM {steps}"] = (ddim_step, spaced_times(schedule, steps))
    for steps in (20, 15, 10):
        table[f"DDIM {steps}, log-SNR"] = (ddim_step, log_snr_times(schedule, steps))
    for steps in (13, 10, 8, 6, 5):
        table[f"Heun {steps}"] = (heun_step, spaced_times(schedule, steps))
    for steps in (10, 8, 6, 5):
        table[f"Heun {steps}, log-SNR"] = (heun_step, log_snr_times(schedule, steps))
    for steps in (15, 12, 10, 8):
        table[f"2M {steps}"] = (DPMSolver2M(), spaced_times(schedule, steps))
    for steps in (10, 8, 6):
        noisy = DPMSolver2M(0.5, seeded_randn_like(steps))
        table[f"2M {steps}, half the noise"] = (noisy, spaced_times(schedule, steps))
    return table


class Counting:
    """A denoiser that counts how often it is asked."""

    def __init__(self, denoise: Callable[[Tensor, Tensor], Tensor]):
        self.denoise, self.calls = denoise, 0

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return self.denoise(x_t, t)


def draw(
    denoise: Callable, schedule: DiscreteSchedule, step: Callable, times: Tensor, x_T: Tensor
) -> tuple[Tensor, int]:
    """Images on the CPU, and the evaluations that one image cost."""
    parts, calls = [], 0
    for noise in x_T.split(250):
        counting = Counting(denoise)
        parts.append(sample(step, counting, schedule, noise, times).cpu())
        calls = counting.calls
    return torch.cat(parts), calls


def seconds_per_evaluation(denoise: Callable, x_T: Tensor) -> float:
    """Of one image, at the batch size that `draw` uses; CPU seconds on a CPU."""
    x, t = x_T[:250], torch.full((len(x_T[:250]),), 500, device=x_T.device)
    clock = time.process_time if x.device.type == "cpu" else time.perf_counter
    with torch.no_grad():
        denoise(x, t)
        started = clock()
        for _ in range(5):
            float(denoise(x, t).sum())  # waits for a GPU
    return (clock() - started) / 5 / len(x)


def main() -> None:
    """Draw, measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="fashion_ddpm")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where the weights lie")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    device = pick_device(options.device)

    model: Denoiser = load_weights(options.weights, ddpm(fashion_unet()), options.folder)
    model = model.to(device)
    schedule, denoise = model.schedule, clip(model)
    test, _ = load_fashion_mnist("test")
    real = features(test)
    train, _ = load_fashion_mnist("train")
    picked = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    floor = frechet_distance(features(train[picked[: options.images]]), real)

    rows = []
    for name, (step, times) in candidates(schedule).items():
        distances = []
        for seed in range(options.seeds):
            noise = torch.zeros(options.images, 1, 28, 28)
            x_T = seeded_randn_like(seed)(noise).to(device)
            images, calls = draw(denoise, schedule, step, times, x_T)
            distances.append(frechet_distance(features(images), real))
        rows.append({"sampler": name, "evaluations": calls, "distances": distances})
        print(f"{name:20} {calls:3} evaluations  distance {mean(distances):7.2f}", flush=True)

    base = next(row for row in rows if row["sampler"] == BASELINE)
    cost = seconds_per_evaluation(denoise, x_T)
    equal = [row for row in rows if row is base or no_worse(row["distances"], base["distances"])]
    best = min(equal, key=lambda row: (row["evaluations"], mean(row["distances"])))
    print(
        f"\n{options.images} images, {options.seeds} seeds, real-vs-real floor {floor:.2f};"
        f" {1000 * cost:.2f} ms an evaluation of one image on {machine(device)}"
    )
    for row in (base, best):
        per_second = 1 / (row["evaluations"] * cost)
        print(
            f"{row['sampler']:20} distance {mean(row['distances']):6.2f} {per_second:8.1f} images/s"
        )
    ratio = base["evaluations"] / best["evaluations"]
    print(f"{best['sampler']} gives {ratio:.1f} times the images of {BASELINE} at equal distance")
    if options.json:
        about = {"weights": options.weights, "images": options.images, "floor": floor}
        about |= {"machine": machine(device), "seconds_per_evaluation": cost, "rows": rows}
        about |= {"best": best["sampler"], "ratio": ratio}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def no_worse(ours: list[float], theirs: list[float]) -> bool:
    """Is `ours` on average at most a standard error of the paired differences above `theirs`?"""
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    error = stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
    return mean(gaps) <= error


if __name__ == "__main__":
    main()
