"""Small classifiers whose last hidden layer is the course's yardstick for pictures.

Pixels are a poor place to compare pictures: shift a shoe by one pixel and every number changes. So
both real and made pictures go through a classifier, and `course_lib.metrics` compares what it saw.
The numbers mean something only against each other: this is not Inception, and not FID.
"""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from course_lib.core.checks import one_of
from course_lib.core.tensors import pick_device, to_unit
from course_lib.core.types import Images
from course_lib.data.batches import random_batches
from course_lib.data.digits import TOP, load_digits
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.metrics import frechet_distance
from course_lib.train import TrainConfig, Trainer
from course_lib.weights import load_weights, save_weights

Features = Float[Tensor, "n numbers"]
Logits = Float[Tensor, "n classes"]
AnyImages = UInt8[Tensor, "n 1 side side"] | Float[Tensor, "n 1 side side"]


class FeatureNet(nn.Module):
    """A classifier of grey pictures in [-1, 1]; `features` gives what its last layer reads.

    widths    channels at full, half and quarter size
    numbers   length of the feature vector, which is standardised over the training pictures

    Four pooled quarters, not one mean, reach the features: they know where a thing is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, widths: tuple[int, int, int], numbers: int, classes: int = 10):
        super().__init__()
        first, middle, last = widths
        self.body = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1),
            *_block(first, middle, stride=2),
            *_block(middle, middle),
            *_block(middle, last, stride=2),
            *_block(last, last),
            nn.GroupNorm(8, last),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(4 * last, numbers),
        )
        self.head = nn.Sequential(nn.SiLU(), nn.Dropout(0.2), nn.Linear(numbers, classes))
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("std", torch.ones(numbers))

    def forward(self, x: Images) -> Logits:
        """The logarithms of the class probabilities, up to a constant."""
        return self.head(self.body(x))

    def features(self, x: Images) -> Features:
        """Numbers of mean 0 and variance 1 over the real training pictures."""
        return (self.body(x) - self.mean) / self.std


def _block(channels: int, out: int, stride: int = 1) -> Iterator[nn.Module]:
    yield from (nn.GroupNorm(8, channels), nn.SiLU())
    yield nn.Conv2d(channels, out, 3, stride, padding=1)


def fashion_net() -> FeatureNet:
    """The network of `fashion_features`: 64 numbers for a 28x28 picture."""
    return FeatureNet((32, 64, 128), numbers=64)


def digits_net() -> FeatureNet:
    """The network of `digits_features`: 32 numbers for an 8x8 picture."""
    return FeatureNet((16, 32, 64), numbers=32)


@dataclass(frozen=True)
class Judge:
    """How a feature network is made and trained.

    top      the highest grey level of its data
    reach    how many pixels its training pictures are shifted, at most
    steps    of training; the second half with a falling rate
    """

    net: Callable[[], FeatureNet]
    load: Callable[[str], tuple[Tensor, Tensor]]
    top: int
    reach: int
    steps: int


JUDGES = {
    "fashion_features": Judge(fashion_net, load_fashion_mnist, top=255, reach=2, steps=4_000),
    "digits_features": Judge(digits_net, load_digits, top=TOP, reach=1, steps=1_500),
}


@cache
def feature_net(name: str) -> FeatureNet:
    """The shipped network called `name`, ready to judge, on the CPU."""
    one_of(name, JUDGES, "feature network")
    net = load_weights(name, JUDGES[name].net())
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def features(images: AnyImages, name: str = "fashion_features") -> Features:
    """What the shipped network `name` sees in each picture: one row of numbers.

    images   uint8 of the network's own data set, or floats in [-1, 1] as the models make them
    """
    net = feature_net(name)
    with torch.inference_mode():
        rows = [net.features(x) for x in _chunks(images, name)]
    return torch.cat(rows)


def classify(images: AnyImages, name: str = "fashion_features") -> Logits:
    """Logits of the shipped network `name`: an independent judge of conditional samples."""
    net = feature_net(name)
    with torch.inference_mode():
        rows = [net(x) for x in _chunks(images, name)]
    return torch.cat(rows)


def _chunks(images: AnyImages, name: str) -> Iterator[Images]:
    top = JUDGES[name].top
    # Small pieces stay in cache; with channels last this is twice as fast as 500 at a time.
    for part in images.cpu().split(100):
        x = to_unit(part, top) if part.dtype == torch.uint8 else part.float().clamp(-1, 1)
        yield x.contiguous(memory_format=torch.channels_last)


def train_features(
    name: str,
    folder: Path,
    device: str = "auto",
    precision: str = "auto",
    steps: int | None = None,
    compiled: bool = False,
) -> FeatureNet:
    """Train the network `name` into `folder`, resuming what is there; return it."""
    one_of(name, JUDGES, "feature network")
    judge = JUDGES[name]
    config = TrainConfig(
        lr=2e-3,
        total_steps=judge.steps,
        final_steps=judge.steps // 2,
        ema_decay=0.998,
        precision=precision,
    )
    where = pick_device(device)
    (train, labels), (test, truth) = (
        (to_unit(x, judge.top), y) for x, y in (judge.load("train"), judge.load("test"))
    )
    torch.manual_seed(config.seed)
    model = judge.net().to(where)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(net: nn.Module, x: Images, labels: Int64[Tensor, " n"]) -> Tensor:
        moved = _shift(x, judge.reach).contiguous(memory_format=torch.channels_last)
        return F.cross_entropy(net(moved), labels, label_smoothing=0.05)

    get_batch = random_batches(train.to(where), labels.to(where), size=128)
    trainer = Trainer(model, loss, get_batch, config, compiled=compiled)
    trainer.fit(steps, checkpoint=folder / "checkpoint.safetensors")
    net = judge.net()
    net.load_state_dict(trainer.ema.module.state_dict())
    net = net.eval().requires_grad_(False)
    _standardise(net, train)
    accuracy = _accuracy(net, test, truth)
    about = {
        "data": f"{judge.load.__name__}('train'), {len(train):,} pictures",
        "recipe": f"course_lib.features {name}",
        "steps": trainer.steps,
        "seconds": round(trainer.seconds, 1),
        "made": f"{trainer.steps:,} steps in {trainer.seconds / 60:.1f} minutes on {where.type}"
        f" ({platform.machine()}), {accuracy:.1%} of the test pictures right",
        "test_accuracy": round(accuracy, 4),
        "floors": floors(net, train, test),
    }
    save_weights(name, net, about, bits=16, folder=folder)  # a ruler keeps fine marks
    return net


@torch.no_grad()
def floors(net: FeatureNet, train: Tensor, test: Tensor) -> dict[str, dict[str, float]]:
    """Fréchet distance of n test from n training pictures: what a perfect model would score.

    "in order" takes them as the loader gives them, "random" as they come from an unconditional
    model: the shares of the classes vary, and that alone adds to the distance.
    """
    pair = [torch.cat([net.features(part) for part in x.split(500)]) for x in (train, test)]
    generator = torch.Generator().manual_seed(0)
    mixed = [rows[torch.randperm(len(rows), generator=generator)] for rows in pair]
    sizes = [n for n in (400, 1_000, 2_000, 5_000, 10_000) if n <= len(test)]
    return {
        order: {str(n): round(frechet_distance(a[:n], b[:n]), 4) for n in sizes}
        for order, (a, b) in (("in order", pair), ("random", mixed))
    }


def _shift(x: Images, reach: int) -> Images:
    """Move each picture by up to `reach` pixels up, down, left or right; black comes in."""
    n, _, height, width = x.shape
    dy, dx = torch.randint(2 * reach + 1, (2, n, 1), device=x.device)
    rows = (torch.arange(height, device=x.device) + dy)[:, :, None]
    columns = (torch.arange(width, device=x.device) + dx)[:, None, :]
    example = torch.arange(n, device=x.device)[:, None, None]
    return F.pad(x, [reach] * 4, value=-1.0)[example, 0, rows, columns].unsqueeze(1)


@torch.no_grad()
def _standardise(net: FeatureNet, x: Images) -> None:
    seen = torch.cat([net.body(part) for part in x.split(500)])
    net.mean.copy_(seen.mean(0))
    net.std.copy_(seen.std(0))


@torch.no_grad()
def _accuracy(net: FeatureNet, x: Images, labels: Int64[Tensor, " n"]) -> float:
    guesses = torch.cat([net(part).argmax(1) for part in x.split(500)])
    return float((guesses == labels).double().mean())
