"""How good a model's pictures are: the one recipe behind every scoreboard of the course.

`evaluate(samples, against="fashion")` compares n samples with n test pictures, and then n training
pictures, drawn at random, in the same way: what these score is the floor. A distance says nothing
without its floor, and nothing beside one of another n. Built by hand in chapter 9.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.tensors import atomic_write, to_pixels, to_unit
from course_lib.core.types import Images
from course_lib.data import digits, fashion_mnist
from course_lib.data.emoji import concepts, label_embeddings, load_emoji
from course_lib.data.files import ROOT
from course_lib.features import AnyImages, Features, feature_net, features
from course_lib.metrics import (
    Measured,
    frechet_distance,
    kernel_distance,
    precision_recall,
    with_floor,
)
from course_lib.models.clip import CLIP, ImageTower, emoji_clip, recall_at
from course_lib.tables import Table, table
from course_lib.weights import load_weights

Pixels = UInt8[Tensor, "n 1 side side"]

STANDINGS = ROOT / "data" / "scoreboard.json"
RARE = 0.01  # share of unseen pictures that lie as oddly near to one training picture as a copy
ALARM = 0.05  # more of them among the samples are no accident


@dataclass(frozen=True)
class RealPictures:
    """What samples are compared with, and the network whose features they are compared in."""

    load: Callable[[str], tuple[Tensor, Tensor]]
    net: str
    top: int  # the highest grey level


REAL = {
    "fashion": RealPictures(fashion_mnist.load_fashion_mnist, "fashion_features", 255),
    "digits": RealPictures(digits.load_digits, "digits_features", digits.TOP),
}


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: each number beside what equally many real pictures score.

    frechet, kernel     distances between features: the smaller the better, the floor is perfect
    precision, recall   share of samples that look real; share of real pictures they come near to
    copies              share of samples that are oddly near to one training picture
    class_shares        how often the classifier sees each class among the samples
    against, pictures   the data set, and how many of its test pictures were used
    """

    frechet: Measured
    kernel: Measured
    precision: Measured
    recall: Measured
    copies: Measured
    class_shares: tuple[float, ...]
    against: str
    pictures: int

    @property
    def n(self) -> int:
        """How many samples were judged."""
        return self.frechet.n

    @property
    def scores(self) -> tuple[Measured, ...]:
        """The five numbers, in the order of a scoreboard's columns."""
        return self.frechet, self.kernel, self.precision, self.recall, self.copies

    @property
    def cheats(self) -> bool:
        """Whether so many samples repeat training pictures that the distances say little."""
        return self.copies.value > ALARM

    def __str__(self) -> str:
        lines = [f"{self.n:,} samples against {self.pictures:,} test pictures of {self.against}"]
        for score in self.scores:
            lines.append(f"  {score.name:<10}{score.value:8.3f}   real {score.floor:8.3f}")
        if self.cheats:
            lines.append("  Copies of training pictures: the other numbers say little")
        return "\n".join(lines)


def evaluate(
    samples: AnyImages, against: str = "fashion", *, pictures: int | None = None
) -> Evaluation:
    """Judge samples by the course's one recipe: two distances, precision and recall, copies.

    samples    as the model makes them, in [-1, 1], or uint8 pixels; they are rounded to the grey
               levels of the data, as when a picture is saved
    against    "fashion" or "digits"
    pictures   how many test pictures to compare with; as many as samples, or all there are

    Classes are not matched: the floor's pictures have random ones, as samples do. The kernel
    distance, precision and recall use equally many of all, the first of the larger sets.

    Raises ValueError for samples of another shape or with numbers that are not finite, for fewer
    than the features need, and for more than there are training pictures to set the floor.
    """
    one_of(against, REAL, "data set")
    made = as_pixels(samples, against)
    n, net = len(made), REAL[against].net
    m = min(n if pictures is None else pictures, len(_real(against, "test")))
    seen, real, test = features(made, net), _seen(against, "train", n), _seen(against, "test", m)
    few = [rows[: min(n, m)] for rows in (seen, test, real)]
    return Evaluation(
        with_floor(frechet_distance, seen, test, real),
        with_floor(kernel_distance, *few),
        with_floor(lambda a, b: precision_recall(a, b)[0], *few, name="precision"),
        with_floor(lambda a, b: precision_recall(a, b)[1], *few, name="recall"),
        Measured(float(find_copies(made, against).double().mean()), RARE, n, "copies"),
        _class_shares(seen, net),
        against,
        m,
    )


def scoreboard(evaluations: Mapping[str, Evaluation], caption: str = "") -> Table:
    """One table of several models, under the row that equally many real pictures score.

    Raises ValueError if they differ in n or in what they were compared with: such rows mislead.
    """
    kinds = {(one.against, one.n, one.pictures) for one in evaluations.values()}
    if len(kinds) != 1:
        found = "; ".join(f"{n:,} samples, {m:,} {name}" for name, n, m in sorted(kinds))
        raise ValueError(f"a scoreboard compares equal numbers with one data set, got {found}")
    first = next(iter(evaluations.values()))
    rows = {f"real, {first.n:,}": [score.floor for score in first.scores]}
    for name, one in evaluations.items():
        rows[name] = [score.value for score in one.scores]
    columns = [score.name for score in first.scores]
    forms = ["{:#.3g}", "{:#.2g}", "{:.1%}", "{:.1%}", "{:.1%}"]  # with #, 1.00 is not cut to 1
    return table(rows, columns, head="samples", form=forms, caption=caption)


def standings(against: str = "fashion", path: Path = STANDINGS) -> dict[str, Evaluation]:
    """Every model judged so far by this recipe, with equally many samples; the nearest first.

    `tools/measure_models.py` draws the samples, judges them and writes the file.
    """
    one_of(against, REAL, "data set")
    entries = json.loads(path.read_text()) if path.exists() else {}
    found = {name: _restored(entry["found"]) for name, entry in entries.items()}
    best_first = sorted(found.items(), key=lambda item: item[1].frechet.value)
    return {name: one for name, one in best_first if one.against == against}


def enter(name: str, evaluation: Evaluation, how: str, path: Path = STANDINGS) -> None:
    """Put an evaluation among the `standings`, with a word on how the samples were drawn."""
    entries = json.loads(path.read_text()) if path.exists() else {}
    entries[name] = {"how": how, "found": asdict(evaluation)}
    atomic_write(path, (json.dumps(dict(sorted(entries.items())), indent=2) + "\n").encode())


def frechet_at_size(samples: Images, pictures: int = 5_000) -> Measured:
    """The distance of garments of 8, 16 or 32 pixels a side, as a cascade makes them; with floor.

    Real ones get a frame of two black pixels and are shrunk alike; then all are stretched to 32 and
    cut to the 28 that the features know. So numbers of one size compare, those of two do not.

    pictures   how many test pictures to compare with, the first ones: the later ones are left for
               whoever needs small pictures that are real and not among these

    Raises ValueError for another size.
    """
    side = samples.shape[-1]
    if samples.shape[1:] != (1, side, side) or side not in (8, 16, 32):
        raise ValueError(f"samples must be [n, 1, side, side] of 8, 16 or 32; got {samples.shape}")
    rows = features(_stretched(samples))
    test, train = _framed("test", side, pictures), _framed("train", side, len(samples))
    return with_floor(frechet_distance, rows, test, train)


@cache
def _framed(split: str, side: int, n: int) -> Features:
    framed = F.pad(to_unit(_real("fashion", split)[:n]), (2, 2, 2, 2), value=-1.0)
    return features(_stretched(F.avg_pool2d(framed, 32 // side)))


def _stretched(images: Images) -> Float[Tensor, "batch channels 28 28"]:
    grown = F.interpolate(images, size=(32, 32), mode="bilinear", align_corners=False)
    return grown[:, :, 2:-2, 2:-2]


def frechet_emoji(samples: Images) -> Measured:
    """The distance of emoji, on white, of 32 or 64 pixels a side, from held-out ones; with floor.

    Of what `emoji_clip` sees at the third of its four levels: there, and not higher up, blur and
    noise are told as well as missing designs and missing concepts (chapter 21 compares). The floor
    is the mean of up to five sets of equally many training pictures, since one set is off by a
    tenth; so samples that repeat training pictures reach it too.

    samples   [n, 3, side, side] in [-1, 1]. Below 97 no covariance is defined; with 400 or more a
              picture of one design only is told from the real ones

    Raises ValueError for another shape, for numbers that are not finite, for too few samples, and
    for more than there are training pictures to set the floor.
    """
    small, most = _at_32(samples), len(load_emoji("train"))
    if len(small) > most:
        raise ValueError(
            f"{len(small):,} samples, but there are {most:,} training pictures to set the floor: "
            "give no more than those"
        )
    rows = _emoji_features(small)
    test, sets = _emoji_test(), min(5, most // len(rows))
    real = [frechet_distance(one, test) for one in _emoji_train(sets * len(rows)).chunk(sets)]
    return Measured(frechet_distance(rows, test), sum(real) / sets, len(rows))


def prompt_recall(samples: Images, codes: Sequence[str], k: int = 1) -> Measured:
    """The share of emoji that find their own label among the k nearest of all 1,555.

    samples   as in `frechet_emoji`, one or more
    codes     the concept that each was asked to show (`Concept.code`)

    Its `floor` is a ceiling: what held-out pairs of design and concept, drawn by people, score.
    A score that a model was trained or guided by says nothing of it (chapter 21).

    Raises ValueError for a code that no concept has, and unless there is one for each sample.
    """
    for code in codes:
        one_of(code, concepts(), "code of an emoji")
    if len(codes) != len(samples):
        raise ValueError(f"{len(samples)} samples but {len(codes)} codes: give one for each")
    share = float(labels_found(_emoji_clip(), _at_32(samples), codes, k).mean())
    return Measured(share, _pairs_found(k), len(samples), f"R@{k}")


@cache
def _emoji_clip() -> CLIP:
    return load_weights("emoji_clip", emoji_clip())


def _at_32(samples: Images) -> Float[Tensor, "n 3 32 32"]:
    side = samples.shape[-1]
    if samples.shape[1:] != (3, side, side) or side not in (32, 64) or len(samples) == 0:
        raise ValueError(
            f"emoji are [n, 3, side, side] of side 32 or 64, got {list(samples.shape)}"
        )
    if not samples.isfinite().all():
        raise ValueError("the samples hold numbers that are not finite: the walk has diverged")
    return F.avg_pool2d(samples.detach().cpu().float().clamp(-1, 1), side // 32)


@torch.inference_mode()
def _emoji_features(images: Images) -> Float[Tensor, "n 96"]:
    tower = _emoji_clip().image
    assert isinstance(tower, ImageTower)
    return torch.cat([tower.seen(part, levels=3) for part in images.split(100)])


@cache
def _emoji_test() -> Float[Tensor, "n 96"]:
    parts = [load_emoji(split).on(size=32) for split in ("test_pair", "test_concept")]
    return _emoji_features(torch.cat(parts))


@cache
def _emoji_train(n: int) -> Float[Tensor, "n 96"]:
    train = load_emoji("train")
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:n].tolist()
    return _emoji_features(train.pick(chosen).on(size=32))


@torch.inference_mode()
def labels_found(
    model: CLIP, images: Images, codes: Sequence[str], k: int = 1
) -> Float[Tensor, " n"]:
    """1 for each emoji, 32 x 32, whose own label is among the k nearest of all by this CLIP."""
    labels = label_embeddings()
    texts = model.embed_texts(torch.stack(list(labels.values())))
    seen = torch.cat([model.embed_images(part) for part in images.split(100)])
    order = {code: n for n, code in enumerate(labels)}
    return recall_at(seen @ texts.T, k, torch.tensor([order[code] for code in codes]))


@cache
def _pairs_found(k: int) -> float:
    real = load_emoji("test_pair")
    codes = [concept.code for concept in real.concepts]
    return float(labels_found(_emoji_clip(), real.on(size=32), codes, k).mean())


def find_copies(images: AnyImages, against: str = "fashion") -> Tensor:
    """True for each picture that is oddly near to one training picture and to no second one.

    Compared is the ratio of the distances to the two nearest training pictures, at about 14 x 14
    pixels, which forgives noise and blur. Odd is a ratio that 1 % of the test pictures stay below.
    A training picture that is there twice has two nearest, and is missed.
    """
    return _nearness(as_pixels(images, against), against) < _odd(against)


def as_pixels(samples: AnyImages, against: str = "fashion") -> Pixels:
    """Samples in the grey levels of the data set, checked: its shape, and finite numbers only."""
    one_of(against, REAL, "data set")
    shape = _real(against, "test").shape[1:]
    if samples.ndim != 4 or samples.shape[1:] != shape or len(samples) == 0:
        raise ValueError(
            f"samples of {against} are [n, {', '.join(map(str, shape))}], got {list(samples.shape)}"
        )
    if samples.dtype == torch.uint8:
        return samples.cpu()
    lost = len(samples) - int(samples.flatten(1).isfinite().all(1).sum())
    if lost:
        raise ValueError(
            f"{lost:,} of {len(samples):,} samples hold numbers that are not finite: the walk has "
            "diverged, and no distance is defined. Clip the denoiser or take more steps"
        )
    return to_pixels(samples.detach().cpu(), REAL[against].top)


def _restored(fields: dict[str, Any]) -> Evaluation:
    """An evaluation as `asdict` took it apart and JSON kept it."""
    scores = {k: Measured(**v) for k, v in fields.items() if isinstance(v, dict)}
    return Evaluation(**fields | scores | {"class_shares": tuple(fields["class_shares"])})


@cache
def _real(against: str, split: str) -> Pixels:
    """Real pictures: the test set in its order, the training set shuffled, always alike."""
    pixels = REAL[against].load(split)[0]
    if split == "test":
        return pixels
    return pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))]


def unseen(against: str, before: int | None = None) -> int:
    """How many test pictures there are to compare with.

    before   with how many earlier numbers of the same table were compared

    Raises ValueError if that was another number: such numbers do not belong into one table.
    """
    one_of(against, REAL, "data set")
    count = len(_real(against, "test"))
    if before not in (None, count):
        raise ValueError(
            f"these numbers of {against} were compared with {before:,} test pictures, here are "
            f"{count:,}: keep the new ones in a file of their own"
        )
    return count


@cache
def _seen(against: str, split: str, n: int) -> Features:
    pixels = _real(against, split)
    if n > len(pixels):
        raise ValueError(
            f"{n:,} samples, but {against} has {len(pixels):,} {split} pictures to set the floor: "
            "evaluate no more than those"
        )
    return features(pixels[:n], REAL[against].net)


def _class_shares(seen: Features, name: str) -> tuple[float, ...]:
    net = feature_net(name)
    with torch.inference_mode():
        guesses = net.head(seen * net.std + net.mean).argmax(1)
    return tuple((guesses.bincount(minlength=10).double() / len(seen)).tolist())


def _nearness(pixels: Pixels, against: str) -> Float[Tensor, " n"]:
    """Distance to the nearest training picture over that to the second: 0 for a copy, at most 1."""
    rows, train = _small(pixels, against), _small(_real(against, "train"), against)
    ratios = []
    for part in rows.split(200):
        nearest = torch.cdist(part, train).topk(2, largest=False).values
        ratios.append(nearest[:, 0] / nearest[:, 1].clamp(min=1e-6))
    return torch.cat(ratios)


def _small(pixels: Pixels, against: str) -> Float[Tensor, "n numbers"]:
    unit = to_unit(pixels, REAL[against].top)
    return F.avg_pool2d(unit, max(1, unit.shape[-1] // 14)).flatten(1)


@cache
def _odd(against: str) -> float:
    return float(_nearness(_real(against, "test")[:2_000], against).quantile(RARE))
