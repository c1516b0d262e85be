"""What guidance does to garments: distances, precision, recall and two judges, for every kind.

    python benchmarks/guidance.py                      every row; goes on where it stopped
    python benchmarks/guidance.py --only cfg --images 200 --out look.json

Chapter 17 reads the file. Every row draws equally many garments from the same noise with the same
steps of DDIM, classes in turn, the guided x_0 clipped to [-1, 1] unless the row says otherwise.
`network` is the accuracy of the shipped classifier, whose features the distances use too; `pixels`
that of five nearest neighbours among the training pictures, which has no network in it. Neither
took part in the drawing.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.core.tensors import atomic_write, to_pixels, to_unit
from course_lib.core.types import Denoise
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.diffusion import guidance
from course_lib.diffusion.denoiser import on_schedule
from course_lib.diffusion.reverse import mean_denoiser
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.evaluation import evaluate
from course_lib.features import classify
from course_lib.trainings import trained

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = ROOT / "data" / "measured" / "guidance.json"
BATCH = 100
NULL = torch.tensor([10])
STEPS = 15


@dataclass(frozen=True)
class Row:
    """One way of guiding: its kind, its scale, and where it is on."""

    kind: str
    scale: float
    low: int = 0
    high: int = 1000
    phi: float = 0.0
    clipped: bool = True

    @property
    def name(self) -> str:
        """How the file calls it."""
        words = [self.kind, f"{self.scale:g}"]
        if (self.low, self.high) != (0, 1000):
            words.append(f"{self.low} < t <= {self.high}")
        if self.phi:
            words.append(f"phi {self.phi:g}")
        if not self.clipped:
            words.append("not clipped")
        return ", ".join(words)


ROWS = [
    *[Row("auto", scale) for scale in (1, 2, 1.5, 3)],
    *[Row("cfg", scale) for scale in (1, 3, 2, 8, 1.5, 5)],
    Row("cfg", 3, 0, 600),
    Row("cfg", 3, 600, 1000),
    Row("cfg", 5, clipped=False),
    Row("cfg", 5, phi=0.7, clipped=False),
    Row("cfg", 5, 0, 600),
]


class Watch:
    """A denoiser that counts how many pixels of its estimates lie far outside of the data."""

    def __init__(self, denoise: Denoise):
        self.denoise, self.shares = denoise, []

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = self.denoise(x_t, t)
        self.shares.append(float((x_0.abs() > 1.1).double().mean()))
        return x_0


def autoguided() -> Callable[[Row, Tensor], Denoise]:
    """The unconditional model away from a smaller one, trained for less, on the latter's path."""
    bad = trained("fashion_2015")
    good = on_schedule(trained("fashion_ddpm"), bad.schedule)
    bad = mean_denoiser(bad)
    return lambda row, _: guidance.autoguide(good, bad, row.scale)


def labelled() -> Callable[[Row, Tensor], Denoise]:
    """The model that knows labels, guided without a classifier."""
    model = trained("fashion_labels")

    def guided(row: Row, label: Tensor) -> Denoise:
        told = {"label": label}, {"label": NULL}
        plain = guidance.given(model, told[0])
        denoise = guidance.classifier_free(model, *told, row.scale)
        if row.phi:
            denoise = guidance.rescale(denoise, plain, model.schedule, row.phi)
        if (row.low, row.high) != (0, 1000):
            denoise = guidance.interval(denoise, plain, row.low, row.high)
        return denoise

    return guided


def draw(row: Row, guide: Callable[[Row, Tensor], Denoise], schedule: Any, n: int, seed: int):
    """n garments, and the share of estimated pixels beyond 1.1 on the way."""
    noise = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    label, parts, shares = torch.arange(n) % 10, [], []
    for x, told in zip(noise.split(BATCH), label.split(BATCH), strict=True):
        watched = Watch(guide(row, told))
        denoise = guidance.clip(watched) if row.clipped else watched
        parts.append(sample(ddim_step, denoise, schedule, x, spaced_times(schedule, STEPS)))
        shares += watched.shares
    return torch.cat(parts), sum(shares) / len(shares)


def neighbours(images: Tensor, k: int = 5) -> Tensor:
    """The class that most of the k nearest training pictures have, at 14 x 14 pixels."""
    train, labels = load_fashion_mnist("train")
    rows = F.avg_pool2d(to_unit(train), 2).flatten(1)
    votes = []
    for part in F.avg_pool2d(to_unit(images), 2).flatten(1).split(200):
        nearest = torch.cdist(part, rows).topk(k, largest=False).indices
        votes.append(labels[nearest].mode(1).values)
    return torch.cat(votes)


def judged(images: Tensor, label: Tensor | None) -> dict[str, float]:
    """Shares of pictures that each judge calls by their label."""
    if label is None:
        return {}
    network = classify(images).argmax(1)
    return {
        "network": float((network == label).double().mean()),
        "pixels": float((neighbours(images) == label).double().mean()),
    }


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="kinds to measure: auto or cfg")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=NUMBERS)
    options = parser.parse_args()
    table = json.loads(options.out.read_text()) if options.out.exists() else {"rows": {}}
    if "test" not in table:
        test, label = load_fashion_mnist("test")
        table["test"] = judged(test[:2000], label[:2000])
    label = torch.arange(options.images) % 10
    schedules: dict[str, Any] = {}
    for row in ROWS:
        key = row.name if options.seed == 0 else f"{row.name}, seed {options.seed}"
        if not row.kind.startswith(options.only) or key in table["rows"]:
            continue
        if row.kind not in schedules:
            guide = autoguided() if row.kind == "auto" else labelled()
            own = trained("fashion_2015" if row.kind == "auto" else "fashion_ddpm").schedule
            schedules[row.kind] = guide, own
        started = time.process_time()
        images, outside = draw(row, *schedules[row.kind], options.images, options.seed)
        seconds = time.process_time() - started
        pixels = to_pixels(images)
        found = evaluate(pixels, pictures=10_000)
        entry = {score.name: score.value for score in found.scores}
        entry |= {f"{score.name} floor": score.floor for score in found.scores}
        entry |= judged(pixels, label if row.kind == "cfg" else None)
        entry |= {"outside": outside, "n": len(images), "steps": STEPS, "seconds": seconds}
        table["rows"][key] = {k: round(v, 4) for k, v in entry.items()}
        atomic_write(options.out, (json.dumps(table, indent=1) + "\n").encode())
        print(key, table["rows"][key], flush=True)


if __name__ == "__main__":
    main()
