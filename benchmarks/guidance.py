"""What guidance does to garments: distances, precision, recall and two judges, for every kind.

    python benchmarks/guidance.py                      every row; goes on where it stopped
    python benchmarks/guidance.py --only cfg --images 200 --out look.json

Chapter 17 reads the file. The rows of one kind draw equally many garments from the same noise with
the same steps of DDIM, the guided x_0 clipped to [-1, 1]. "cfg" rows
are by class, the classes in turn, at 14 x 14 pixels; real pictures are shrunk to that size, and all
are grown again for the features. "auto" rows are unconditional, at 28 x 28.

`network` is the accuracy of the shipped classifier, whose features the distances use too; `pixels`
that of five nearest neighbours among the training pictures, which has no network in it. Neither
took part in the drawing.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.core.tensors import atomic_write, to_unit
from course_lib.core.types import Denoise
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.data.files import checksums
from course_lib.diffusion import guidance
from course_lib.diffusion.denoiser import on_schedule
from course_lib.diffusion.reverse import mean_denoiser
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import linear, spaced_times
from course_lib.evaluation import evaluate
from course_lib.features import classify, features
from course_lib.metrics import (
    frechet_distance,
    kernel_distance,
    precision_recall,
    with_floor,
)
from course_lib.trainings import CHECKPOINT, TRAININGS, Training, trained
from course_lib.weights import save_weights

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for the tools

from tools.ship_weights import Reference, averaged, digits_reference, origin  # noqa: E402

NUMBERS = ROOT / "data" / "measured" / "guidance.json"
BATCH = 100
NULL = torch.tensor([10])
STEPS = 20


@dataclass(frozen=True)
class Row:
    """One way of guiding: its kind, its scale, and where it is on."""

    kind: str
    scale: float
    low: int = 0
    high: int = 1000
    phi: float = 0.0

    @property
    def name(self) -> str:
        """How the file calls it."""
        words = [self.kind, f"{self.scale:g}"]
        if (self.low, self.high) != (0, 1000):
            words.append(f"{self.low} < t <= {self.high}")
        if self.phi:
            words.append(f"phi {self.phi:g}")
        return ", ".join(words)


ROWS = [
    *[Row("auto", scale) for scale in (1, 2, 1.5, 3)],
    *[Row("cfg", scale) for scale in (1, 3, 8, 2)],
    Row("cfg", 3, 0, 600),
    Row("cfg", 3, 600, 1000),
    *[Row("cfg", scale) for scale in (1.5, 5)],
    Row("cfg", 5, phi=0.7),
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
    model = trained("garments_labels")

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
    side = 28 if row.kind == "auto" else 14
    noise = torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(seed))
    label, parts, shares = torch.arange(n) % 10, [], []
    for x, told in zip(noise.split(BATCH), label.split(BATCH), strict=True):
        watched = Watch(guide(row, told))
        denoise = guidance.clip(watched)
        parts.append(sample(ddim_step, denoise, schedule, x, spaced_times(schedule, STEPS)))
        shares += watched.shares
    return torch.cat(parts), sum(shares) / len(shares)


def shrunk(images: Tensor) -> Tensor:
    """At 14 x 14 pixels, what the labelled model was trained on."""
    return F.avg_pool2d(images, images.shape[-1] // 14)


def grown(images: Tensor) -> Tensor:
    """Back at 28 x 28, where the classifier looks."""
    return F.interpolate(images, scale_factor=2, mode="bilinear")


def neighbours(images: Tensor, k: int = 5) -> Tensor:
    """The class that most of the k nearest training pictures have."""
    train, labels = load_fashion_mnist("train")
    rows, votes = shrunk(to_unit(train)).flatten(1), []
    for part in images.flatten(1).split(200):
        nearest = torch.cdist(part, rows).topk(k, largest=False).indices
        votes.append(labels[nearest].mode(1).values)
    return torch.cat(votes)


def judged(images: Tensor, label: Tensor) -> dict[str, float]:
    """Shares of small pictures that each judge calls by their label."""
    network = classify(grown(images)).argmax(1)
    return {
        "network": float((network == label).double().mean()),
        "pixels": float((neighbours(images) == label).double().mean()),
    }


def compared(images: Tensor) -> dict[str, float]:
    """Distances, precision and recall of small pictures, and what as many real ones score."""
    n = len(images)
    test, train = (shrunk(to_unit(load_fashion_mnist(one)[0])) for one in ("test", "train"))
    made, real, held = (features(grown(one)) for one in (images, test, train[:n]))
    few = made, real[:n], held
    scores = {
        "FD": with_floor(frechet_distance, made, real, held),
        "KD": with_floor(kernel_distance, *few),
        "precision": with_floor(lambda a, b: precision_recall(a, b)[0], *few, name="p"),
        "recall": with_floor(lambda a, b: precision_recall(a, b)[1], *few, name="r"),
    }
    return {k: v.value for k, v in scores.items()} | {
        f"{k} floor": v.floor for k, v in scores.items()
    }


def ship(name: str, run: Path, hardware: str) -> None:
    """Put the averaged weights of a run among the shipped ones, with where they come from."""
    training = TRAININGS[name]
    assert isinstance(training, Training)
    model, record = averaged(training.model(), run / CHECKPOINT)
    if name.startswith("digits"):
        data = digits_reference()
    else:
        digest = checksums()["fashion_mnist/train.png"]["pixels_sha256"]
        none = torch.empty(0)
        data = Reference("fashion_mnist train at 14 x 14", "", digest, none, none)
    about = origin(name, training, record, data, hardware)
    start = "digits_ddpm" if name.startswith("digits") else "unet_whole"
    about |= {"from": start, "made": f"{about['made']}, from {start} on"}
    print(save_weights(name, model, about))


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="kinds to measure: auto or cfg")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=NUMBERS)
    parser.add_argument("--ship", nargs=3, metavar=("NAME", "RUN", "HARDWARE"), help="ship a run")
    options = parser.parse_args()
    if options.ship:
        ship(options.ship[0], Path(options.ship[1]), options.ship[2])
        return
    table = json.loads(options.out.read_text()) if options.out.exists() else {"rows": {}}
    if "test" not in table:
        test, label = load_fashion_mnist("test")
        table["test"] = judged(shrunk(to_unit(test[:2000])), label[:2000])
    label = torch.arange(options.images) % 10
    schedules: dict[str, Any] = {}
    for row in ROWS:
        key = row.name if options.seed == 0 else f"{row.name}, seed {options.seed}"
        if not row.kind.startswith(options.only) or key in table["rows"]:
            continue
        if row.kind not in schedules:
            guide = autoguided() if row.kind == "auto" else labelled()
            own = trained("fashion_2015").schedule if row.kind == "auto" else linear()
            schedules[row.kind] = guide, own
        started = time.process_time()
        images, outside = draw(row, *schedules[row.kind], options.images, options.seed)
        seconds = time.process_time() - started
        if row.kind == "auto":
            found = evaluate(images, pictures=10_000)
            entry = {score.name: score.value for score in found.scores}
            entry |= {f"{score.name} floor": score.floor for score in found.scores}
        else:
            entry = compared(images) | judged(images, label)
        entry |= {"outside": outside, "n": len(images), "steps": STEPS, "seconds": seconds}
        table["rows"][key] = {k: round(v, 4) for k, v in entry.items()}
        atomic_write(options.out, (json.dumps(table, indent=1) + "\n").encode())
        print(key, table["rows"][key], flush=True)


if __name__ == "__main__":
    main()
