"""What guidance does to garments: distances, precision, recall and two judges, for every kind.

    python benchmarks/guidance.py                      every row and seed; goes on where it stopped
    python benchmarks/guidance.py --only cfg --images 200 --out look.json

Chapter 17 reads the file: for each row the scores of each seed. All rows draw equally many garments
with the same steps of DDIM, the guided x_0 clipped to [-1, 1]; rows with one seed begin from the
same noise. "cfg" and "self" rows are by class, the classes in turn, at 14 x 14 pixels; real
pictures are shrunk to that size, and all are grown again for the features. "self" is the labelled
model away from the one trained for a sixteenth of its steps, with the same label. "large" rows
are by class at 28 x 28.

`network` is the accuracy of the shipped classifier, whose features the distances use too; `pixels`
that of five nearest neighbours among the training pictures, which has no network in it. Neither
took part in the drawing. `variety` is the spread of a pixel among the pictures of one label.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.core.tensors import atomic_write, to_unit
from course_lib.core.types import Denoise
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.diffusion import guidance
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import linear, spaced_times
from course_lib.evaluation import unseen
from course_lib.features import classify, features
from course_lib.metrics import (
    frechet_distance,
    kernel_distance,
    precision_recall,
    with_floor,
)
from course_lib.trainings import trained

ROOT = Path(__file__).resolve().parent.parent
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


MIDDLE, PAPERS = (200, 600), (80, 350)  # the second: noise levels from about 0.28 to 1.6
ROWS = [
    *[Row("cfg", scale) for scale in (1, 1.5, 2, 3, 5, 8)],
    *[Row("self", scale) for scale in (0, 1.5, 2, 3)],
    *[Row("cfg", 3, *part) for part in ((600, 1000), (0, 600), (0, 200), MIDDLE)],
    *[Row("cfg", scale, *MIDDLE) for scale in (2, 5)],
    *[Row("cfg", scale, *PAPERS) for scale in (2, 3)],
    *[Row("cfg", scale, 0, 200) for scale in (2, 5)],
    Row("cfg", 8, phi=0.7),
]


Guide = Callable[[Row, Tensor], Denoise]


class Watch:
    """A denoiser that counts how many pixels of its estimates lie far outside of the data."""

    def __init__(self, denoise: Denoise):
        self.denoise, self.shares = denoise, []

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = self.denoise(x_t, t)
        self.shares.append(float((x_0.abs() > 1.1).double().mean()))
        return x_0


def by_itself() -> Guide:
    """The model that knows labels, away from its own beginning, which is told the same label."""
    good, bad = trained("garments_labels"), trained("garments_labels_short")

    def guided(row: Row, label: Tensor) -> Denoise:
        told = {"label": label}
        both = (guidance.given(one, told) for one in (good, bad))
        return guidance.autoguide(*both, row.scale)

    return guided


def labelled(name: str) -> Guide:
    """A model that knows labels, guided without a classifier."""
    model = trained(name)

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


KINDS: dict[str, Callable[[], Guide]] = {
    "cfg": lambda: labelled("garments_labels"),
    "self": by_itself,
    "large": lambda: labelled("fashion_labels"),
}
SMALL = ("cfg", "self")  # at 14 x 14


def draw(row: Row, guide: Guide, n: int, seed: int) -> tuple[Tensor, float]:
    """n garments, and the share of estimated pixels beyond 1.1 on the way."""
    side = 14 if row.kind in SMALL else 28
    schedule = linear()
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
    """At 28 x 28, where the classifier looks."""
    return images if images.shape[-1] == 28 else F.interpolate(images, (28, 28), mode="bilinear")


def neighbours(images: Tensor, k: int = 5) -> Tensor:
    """The class that most of the k nearest training pictures have, at 14 x 14."""
    train, labels = load_fashion_mnist("train")
    rows, votes = shrunk(to_unit(train)).flatten(1), []
    for part in shrunk(images).flatten(1).split(200):
        nearest = torch.cdist(part, rows).topk(k, largest=False).indices
        votes.append(labels[nearest].mode(1).values)
    return torch.cat(votes)


def judged(images: Tensor, label: Tensor) -> dict[str, float]:
    """Shares of pictures that each judge calls by their label."""
    network = classify(grown(images)).argmax(1)
    return {
        "network": float((network == label).double().mean()),
        "pixels": float((neighbours(images) == label).double().mean()),
    }


@cache
def real(split: str, small: bool, n: int) -> Tensor:
    """Features of the first n real pictures in an order of chance, shrunk first if `small`."""
    pictures = to_unit(load_fashion_mnist(split)[0])
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))[:n]
    return features(grown(shrunk(pictures[order])) if small else pictures[order])


def compared(images: Tensor) -> dict[str, float]:
    """Distances, precision and recall, and what as many real pictures score."""
    n, small = len(images), images.shape[-1] == 14
    made, held = features(grown(images)), real("train", small, n)
    everything = real("test", small, unseen("fashion"))
    few = made, everything[:n], held
    scores = {
        "FD": with_floor(frechet_distance, made, everything, held),
        "KD": with_floor(kernel_distance, *few),
        "precision": with_floor(lambda a, b: precision_recall(a, b)[0], *few, name="p"),
        "recall": with_floor(lambda a, b: precision_recall(a, b)[1], *few, name="r"),
    }
    return {k: v.value for k, v in scores.items()} | {
        f"{k} floor": v.floor for k, v in scores.items()
    }


def measured(row: Row, guide: Guide, n: int, seed: int) -> dict[str, float]:
    """All scores of n garments of one seed."""
    started = time.process_time()
    images, outside = draw(row, guide, n, seed)
    seconds, label = time.process_time() - started, torch.arange(n) % 10
    variety = torch.stack([images[label == k].std(0).mean() for k in range(10)]).mean()
    found = {"outside": outside, "variety": float(variety), "seconds": seconds}
    return found | compared(images) | judged(images, label)


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=KINDS, help="kinds")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=NUMBERS)
    options = parser.parse_args()
    n = options.images
    table = json.loads(options.out.read_text()) if options.out.exists() else {"rows": {}}
    table |= {"n": n, "steps": STEPS}
    table["test pictures"] = unseen("fashion", table.get("test pictures"))
    if "test" not in table:
        test, label = load_fashion_mnist("test")
        table["test"] = judged(shrunk(to_unit(test[:2000])), label[:2000])
    guides: dict[str, Guide] = {}
    for seed in options.seeds:
        for row in (row for row in ROWS if row.kind in options.only):
            seeds = table["rows"].setdefault(row.name, {})
            if str(seed) in seeds:
                continue
            if row.kind not in guides:
                guides[row.kind] = KINDS[row.kind]()
            found = measured(row, guides[row.kind], n, seed)
            seeds[str(seed)] = {k: round(v, 4) for k, v in found.items()}
            atomic_write(options.out, (json.dumps(table, indent=1) + "\n").encode())
            print(row.name, seed, seeds[str(seed)], flush=True)


if __name__ == "__main__":
    main()
