"""Chapter 15's trained effects, with five seeds each: what a claim of the chapter rests on.

    python tools/repeat_improved.py          trains what is missing (minutes for each seed)

Writes data/measured/improved.json after every piece; what is there is not measured again. Runs are
those of `course train NAME` with their seed.

exposed    brightness of 300 samples by the networks trained on a chain that leaves signal at its
           end, and on one that does not
gradient   noise of the gradient of L with uniform and with importance-sampled times, for the
           shipped `digits_hybrid`: the variance of a batch's gradient over its mean squared
min_snr    `digits_ddpm` and the same run with Min-SNR's weights, at several points of training:
           Fréchet distance of 600 digits by 50 DDIM steps, and the squared error of eps at times
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for the other tools

from course_lib.core.tensors import atomic_write, seeded_randn_like, to_unit  # noqa: E402
from course_lib.data.digits import TOP, load_digits  # noqa: E402
from course_lib.diffusion import variance  # noqa: E402
from course_lib.diffusion.denoiser import Denoiser  # noqa: E402
from course_lib.diffusion.guidance import clip  # noqa: E402
from course_lib.diffusion.samplers import ddim_step, sample  # noqa: E402
from course_lib.diffusion.schedules import spaced_times  # noqa: E402
from course_lib.diffusion.training import ImportanceTimes  # noqa: E402
from course_lib.evaluation import evaluate  # noqa: E402
from course_lib.trainings import RUNS, TRAININGS, digits, exposed_digits  # noqa: E402
from tools.measure_variance import model_of  # noqa: E402

OUT = ROOT / "data" / "measured" / "improved.json"
ENDS = {"leaves signal": "digits_exposed", "zero at the end": "digits_exposed_zero"}
LOSSES = {"L_simple": "digits_ddpm", "Min-SNR": "digits_min_snr"}
POINTS, TIMES = (250, 500, 1000, 1500), (20, 100, 300, 600, 900)
Found = dict[str, Any]


def brightness(images: Tensor) -> dict[str, float]:
    """Mean and spread of the pictures' brightness, black 0 to white 1; share of nearly black."""
    level = (images.mean((1, 2, 3)) + 1) / 2
    dark = (images.amax((1, 2, 3)) < -0.6).double().mean()
    values = {"mean": level.mean(), "spread": level.std(), "dark": dark}
    return {name: round(float(value), 4) for name, value in values.items()}


def exposed(seed: int, samples: int = 300) -> Found:
    """Train both networks with this seed, draw from both, and look at how bright it is."""
    data = exposed_digits()
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    found = {"data": brightness(data[order[:samples]])}
    for end, name in ENDS.items():
        model = TRAININGS[name](RUNS / run_of(name, seed), seed=seed)
        assert isinstance(model, Denoiser)
        x_T = seeded_randn_like(seed + 1)(torch.empty(samples, 1, 8, 8))
        times = spaced_times(model.schedule, 25)  # type: ignore[arg-type]
        made = sample(ddim_step, clip(model), model.schedule, x_T, times)
        found[end] = brightness(made)
    return found


def gradient(seed: int, batches: int = 15) -> Found:
    """How noisy the gradient of L is, with both ways of drawing times, for the network at rest."""
    model, images = model_of("digits_hybrid", 0), digits()
    schedule, levels = model.schedule, TOP + 1
    fine = variance.learned(model, lambda t: (t + 1).clamp(max=schedule.T))
    down, every = torch.arange(schedule.T, -1, -1), torch.arange(1, schedule.T + 1)
    told = (fine, schedule, images, down, levels, 10, seeded_randn_like(seed + 3))
    past, found = variance.chain_bits(*told), {}
    model.requires_grad_(True)
    for name, uniform in (("uniform t", 1.0), ("importance-sampled t", 0.001)):
        memory, rows = ImportanceTimes(schedule.T, uniform=uniform), []
        for column in past.T:
            memory.remember(every, column)
        torch.manual_seed(seed)
        for _ in range(batches):
            x_0 = images[torch.randint(len(images), (64,))]
            t, weight = memory.draw(64)
            eps = torch.randn_like(x_0)
            bits = variance.reverse_bits(fine, schedule, x_0, t, t - 1, eps, levels)
            parts = torch.autograd.grad((weight * bits).mean(), list(model.parameters()))
            rows.append(torch.cat([part.flatten() for part in parts]))
        found[name] = torch.stack(rows)
    model.requires_grad_(False)
    mean = torch.cat(list(found.values())).mean(0)
    noise = {k: (g - mean).square().sum(1).mean() / mean.square().sum() for k, g in found.items()}
    return {name: round(float(value), 3) for name, value in noise.items()}


def min_snr(seed: int, samples: int = 600) -> Found:
    """Train with and without Min-SNR's weights, and stop at each of `POINTS` to look."""
    test = to_unit(load_digits("test")[0], TOP)
    noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(0))
    found: Found = {}
    for loss, name in LOSSES.items():
        rows, folder = found.setdefault(loss, {}), RUNS / run_of(name, seed)
        shutil.rmtree(folder, ignore_errors=True)  # a run goes on, never back to an earlier point
        for steps in POINTS:
            model = TRAININGS[name](folder, seed=seed, steps=steps)
            assert isinstance(model, Denoiser)
            model.requires_grad_(False)
            x_T = seeded_randn_like(seed)(torch.empty(samples, 1, 8, 8))
            times = spaced_times(model.schedule, 50)  # type: ignore[arg-type]
            made = sample(ddim_step, clip(model), model.schedule, x_T, times)
            score = evaluate(made, "digits").frechet
            errors = [model.loss(test, torch.full((len(test),), t), noise).mean() for t in TIMES]
            rows[str(steps)] = {
                "frechet": round(score.value, 4),
                "floor": round(score.floor, 4),
                "errors": [round(float(error), 5) for error in errors],
            }
            print(seed, loss, steps, rows[str(steps)], flush=True)
    return found


def run_of(name: str, seed: int) -> str:
    """The folder of a run among others of other seeds, measured by this tool."""
    return f"{name}-repeat-{seed}"


PIECES = {"exposed": exposed, "gradient": gradient, "min_snr": min_snr}


def main(arguments: list[str] | None = None) -> int:
    """Train and measure what is missing in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pieces", nargs="*", choices=[*PIECES, []], default=list(PIECES))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    record = json.loads(options.out.read_text()) if options.out.exists() else {}
    record["how"] = "tools/repeat_improved.py says what each number is"
    record["times"], record["points"] = TIMES, POINTS
    for piece in options.pieces:
        for seed in options.seeds:
            if str(seed) in record.setdefault(piece, {}):
                continue
            record[piece][str(seed)] = PIECES[piece](seed)
            print(piece, seed, record[piece][str(seed)], flush=True)
            atomic_write(options.out, (json.dumps(record, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
