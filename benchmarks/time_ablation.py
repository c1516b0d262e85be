"""How should a network be told the time? Ten answers, three seeds, one small budget.

    python benchmarks/time_ablation.py            # writes data/time_ablation.json; resumes
    python benchmarks/time_ablation.py --steps 50 --seeds 0 --out /tmp/try.json

Each row trains chapter 13's `TimedNet` on 8 x 8 digits with DDPM's loss, and is measured on the
test digits at fixed times with fixed noise. Finished rows are kept, so an interrupted run goes on.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from course_lib.core.tensors import atomic_write, seed_everything, to_unit
from course_lib.data.batches import random_batches
from course_lib.data.digits import TOP, load_digits
from course_lib.diffusion.denoiser import Denoiser
from course_lib.nn.embeddings import FourierFeatures, sinusoidal
from course_lib.nn.modulation import TimedNet
from course_lib.recipes import ddpm, ddpm_loss
from course_lib.train import TrainConfig, Trainer
from course_lib.weights import WEIGHTS

OUT = WEIGHTS.parent / "time_ablation.json"
TIMES = [1, 2, 5, 10, 20, *range(40, 1001, 40)]
T = 1000


def nothing(t: Tensor) -> Tensor:
    return torch.zeros(len(t), 1)


def number(t: Tensor) -> Tensor:
    return t[:, None] / T


def waves(t: Tensor) -> Tensor:
    return sinusoidal(t, 32)


def waves_of_fraction(t: Tensor) -> Tensor:
    return sinusoidal(t / T, 32)


def fourier(scale: float) -> Callable[[Tensor], Tensor]:
    features = FourierFeatures(1, 16, scale)
    return lambda t: features(t[:, None] / T)


ROWS: dict[str, Callable[[], TimedNet]] = {
    "blind": lambda: TimedNet(nothing, 1),
    "channel": lambda: TimedNet(number, 1, beside=True),
    "number": lambda: TimedNet(number, 1),
    "sinusoid of t / T": lambda: TimedNet(waves_of_fraction, 32),
    "sinusoid": lambda: TimedNet(waves, 32),
    "Fourier": lambda: TimedNet(fourier(4.0), 32),
    "FiLM": lambda: TimedNet(waves, 32, "film"),
    "AdaGN": lambda: TimedNet(waves, 32, "ada_gn"),
    "AdaIN": lambda: TimedNet(waves, 32, "ada_in"),
    "adaLN-zero": lambda: TimedNet(waves, 32, "ada_ln_zero"),
}


def train(row: str, seed: int, steps: int, precision: str) -> Denoiser:
    """The averaged model of one row."""
    seed_everything(seed)
    model = ddpm(ROWS[row]())
    config = TrainConfig(
        lr=2e-3,
        total_steps=steps,
        final_steps=steps // 2,
        ema_decay=0.99,
        seed=seed,
        precision=precision,
    )
    pictures = to_unit(load_digits("train")[0], TOP)
    return Trainer(model, ddpm_loss, random_batches(pictures, size=64), config).fit()


@torch.no_grad()
def losses(model: Denoiser, draws: int = 2) -> list[float]:
    """The mean squared error in eps at each of TIMES, on the test digits."""
    x_0 = to_unit(load_digits("test")[0], TOP).repeat(draws, 1, 1, 1)
    found = []
    for t in TIMES:
        eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(t))
        parts = zip(x_0.split(64), eps.split(64), strict=True)  # small parts stay in the cache
        each = [model.loss(x, torch.full((len(x),), t), e) for x, e in parts]
        found.append(float(torch.cat(each).mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--precision", default="fp32", help="bf16 where the CPU has AMX")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    about = {"steps": options.steps, "batch": 64, "precision": options.precision, "times": TIMES}
    kept = json.loads(options.out.read_text()) if options.out.exists() else about | {"losses": {}}
    if {key: kept[key] for key in about} != about:
        raise SystemExit(f"{options.out} holds another run ({kept['steps']} steps). Move it away")
    for seed in options.seeds:
        for row in ROWS:
            if str(seed) in kept["losses"].setdefault(row, {}):
                continue
            started = time.perf_counter()
            found = losses(train(row, seed, options.steps, options.precision))
            kept["losses"][row][str(seed)] = [round(value, 6) for value in found]
            atomic_write(options.out, (json.dumps(kept, indent=1) + "\n").encode())
            seconds = time.perf_counter() - started
            print(f"{row} {seed}: mean {sum(found[5:]) / 25:.5f}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
