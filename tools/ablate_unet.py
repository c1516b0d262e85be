"""Train the U-Nets of chapter 12 with one part taken out, and measure each at several noise levels.

    python tools/ablate_unet.py           trains what is missing (some minutes for each of 21 runs)
    python tools/ablate_unet.py --ship    and puts three of the networks into data/weights

Every run is that of `course train NAME`, with its seed; it resumes where it stopped. The losses on
test garments go to data/unet_ablation.json, which the chapter reads.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for the other tools

from course_lib.core.tensors import atomic_write, to_unit  # noqa: E402
from course_lib.core.types import Images  # noqa: E402
from course_lib.data.fashion_mnist import load_fashion_mnist  # noqa: E402
from course_lib.data.files import checksums  # noqa: E402
from course_lib.diffusion.denoiser import Denoiser  # noqa: E402
from course_lib.trainings import CHECKPOINT, RUNS, TRAININGS, Training  # noqa: E402
from course_lib.weights import WEIGHTS, save_weights  # noqa: E402
from tools.ship_weights import Reference, averaged, origin  # noqa: E402

TABLE = ROOT / "data" / "unet_ablation.json"
SKIPS = ("unet_whole", "unet_no_skips", "unet_whole_x_0", "unet_no_skips_x_0")
OTHERS = ("unet_flat", "unet_no_norm", "unet_no_attention")
SHIPPED = ("unet_whole", "unet_no_skips", "unet_flat")  # the run with seed 0 of each
TIMES = (5, 20, 50, 100, 200, 300, 500, 700, 900)
PICTURES = 2000
Losses = dict[str, dict[str, list[float]]]  # by network, by seed, one for each of TIMES


def unseen_garments() -> Images:
    """The first 2,000 test garments, at 14 × 14."""
    return F.avg_pool2d(to_unit(load_fashion_mnist("test")[0][:PICTURES]), 2)


@torch.no_grad()
def losses_at(model: Denoiser, images: Images) -> list[float]:
    """The mean squared error in what the model predicts, at each of `TIMES`, on the same noise."""
    found = []
    for t in TIMES:
        eps = torch.randn(images.shape, generator=torch.Generator().manual_seed(t))
        parts = zip(images.split(500), eps.split(500), strict=True)
        loss = [model.loss(x_0, torch.full((len(x_0),), t), noise) for x_0, noise in parts]
        found.append(round(float(torch.cat(loss).mean()), 6))
    return found


def ship(name: str, run: Path, losses: list[float], hardware: str, folder: Path) -> None:
    """Put the averaged weights of a run into `folder`, with its losses in the manifest."""
    training = TRAININGS[name]
    assert isinstance(training, Training)
    model, record = averaged(training.model(), run / CHECKPOINT)
    digest = checksums()["fashion_mnist/train.png"]["pixels_sha256"]
    data = Reference("fashion_mnist train at 14 x 14", digest, torch.empty(0))
    about = origin(name, training, record, data, hardware)
    about["losses"] = dict(zip(map(str, TIMES), losses, strict=True))
    save_weights(name, model, about, folder=folder)


def order(seeds: int) -> Iterator[tuple[str, int]]:
    """All networks once; then what the skips are judged by with every seed; then the rest."""
    yield from ((name, 0) for name in SKIPS + OTHERS)
    yield from ((name, seed) for seed in range(1, seeds) for name in SKIPS)
    yield from ((name, seed) for seed in range(1, seeds) for name in OTHERS)


def measured(
    order: Iterable[tuple[str, int]], losses: Losses, runs: Path, table: Path
) -> Iterator[tuple[str, int, Path]]:
    """Train each network with its seed, enter what it loses in `losses`, and write the table anew.

    Yields the name, the seed and the folder of each run when it is done.
    """
    images = unseen_garments()
    for name, seed in order:
        run = runs / (name if seed == 0 else f"{name}-{seed}")
        model = TRAININGS[name](run, seed=seed)
        assert isinstance(model, Denoiser)
        losses[name][str(seed)] = losses_at(model, images)
        print(name, seed, losses[name][str(seed)], flush=True)
        whole = {"times": TIMES, "pictures": PICTURES, "losses": losses}
        atomic_write(table, (json.dumps(whole) + "\n").encode())
        yield name, seed, run


def main(arguments: list[str] | None = None) -> int:
    """Train, measure, write the table, and ship if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each network (3)")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the losses go")
    parser.add_argument("--ship", action="store_true", help="put three networks where others are")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where the weights go")
    parser.add_argument("--hardware", default="one CPU thread", help="what it was trained on")
    options = parser.parse_args(arguments)
    losses: Losses = {name: {} for name in SKIPS + OTHERS}
    for name, seed, run in measured(order(options.seeds), losses, options.runs, options.table):
        if options.ship and seed == 0 and name in SHIPPED:
            ship(name, run, losses[name]["0"], options.hardware, options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
