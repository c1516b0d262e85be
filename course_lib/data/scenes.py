"""Drawn scenes with captions: up to four shapes whose colours, places and relations are known.

    "an orange heart left of a cyan ring on a black background"

A caption says all that was asked for, and `parse` reads it back: text, scene and text again are
equal. So whether a picture follows its caption has a true answer (`course_lib.data.oracle`). A
relation holds with a margin, as in CLEVR (Johnson et al. 2016, section 3), so nothing is
ambiguous; some combinations never appear in training, after CLEVR's CoGenT (section 4.7).

Nothing is committed: a thousand scenes of 32 x 32 are drawn in half a second.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from course_lib.core.checks import one_of

Array = Float[np.ndarray, "..."]
T = TypeVar("T")

SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
COLOURS = {
    "red": (214, 39, 40),
    "orange": (255, 136, 20),
    "yellow": (250, 214, 30),
    "green": (40, 160, 60),
    "cyan": (60, 205, 215),
    "blue": (40, 80, 210),
    "purple": (135, 60, 180),
    "pink": (245, 130, 190),
}
BACKGROUNDS = {"white": (250, 250, 250), "gray": (128, 128, 128), "black": (18, 18, 18)}
SIZES = ("small", "large")
PLACES = (
    "in the top left",
    "in the top",
    "in the top right",
    "in the left",
    "in the center",
    "in the right",
    "in the bottom left",
    "in the bottom",
    "in the bottom right",
)  # 3 * row + column of a grid of thirds
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
NUMBERS = {"two": 2, "three": 3, "four": 4}
TASKS = ("single", "count", "pair", "relation")
SPLITS = ("train", "test_pair", "test_count", "test_relation")
# Chapter 20's small world: two things, one beside or above the other.
SMALL_WORLD = {
    "colours": ("red", "yellow", "blue"),
    "shapes": ("circle", "square", "cross"),
    "backgrounds": ("black",),
    "related": ("left of", "above"),
}


@dataclass(frozen=True)
class Thing:
    """A colour and a shape."""

    colour: str
    shape: str


@dataclass(frozen=True)
class Single:
    """One thing, small or large, in one of nine places."""

    thing: Thing
    size: str
    place: str
    background: str


@dataclass(frozen=True)
class Count:
    """Two to four of the same thing, anywhere."""

    thing: Thing
    number: int
    background: str


@dataclass(frozen=True)
class Pair:
    """Two things of different colours and shapes; `relation` is one of `RELATIONS`, or "and"."""

    first: Thing
    second: Thing
    relation: str
    background: str


Scene = Single | Count | Pair


@dataclass(frozen=True)
class Placed:
    """A thing on the canvas, whose side is 1: its centre from the top left, and its radius."""

    thing: Thing
    x: float
    y: float
    radius: float


# ---- captions -----------------------------------------------------------------------------


def caption(scene: Scene) -> str:
    """The scene in words; `parse` undoes it."""
    match scene:
        case Single(thing, size, place, _):
            words = f"a {size} {thing.colour} {thing.shape} {place}"
        case Count(thing, number, _):
            many = "es" if thing.shape == "cross" else "s"
            word = next(word for word, n in NUMBERS.items() if n == number)
            words = f"{word} {thing.colour} {thing.shape}{many}"
        case Pair(first, second, relation, _):
            words = f"{_one(first)} {relation} {_one(second)}"
    return f"{words} on a {scene.background} background"


def _one(thing: Thing) -> str:
    return f"{'an' if thing.colour == 'orange' else 'a'} {thing.colour} {thing.shape}"


@cache
def _grammar() -> dict[str, re.Pattern[str]]:
    colour, shape, place = "|".join(COLOURS), "|".join(SHAPES), "|".join(PLACES)
    end = f" on a ({'|'.join(BACKGROUNDS)}) background"
    thing = f"an? ({colour}) ({shape})"
    return {
        "single": re.compile(f"an? (small|large) ({colour}) ({shape}) ({place}){end}"),
        "count": re.compile(f"({'|'.join(NUMBERS)}) ({colour}) ({shape})(?:e?s){end}"),
        "pair": re.compile(f"{thing} ({'|'.join(RELATIONS)}|and) {thing}{end}"),
    }


def parse(text: str) -> Scene:
    """The scene that a caption asks for.

    Raises ValueError for a text outside the grammar, with an example of each of its sentences.
    """
    clean = " ".join(text.lower().replace(".", "").split())
    for kind, pattern in _grammar().items():
        if not (found := pattern.fullmatch(clean)):
            continue
        words = found.groups()
        if kind == "single":
            size, colour, shape, place, background = words
            return Single(Thing(colour, shape), size, place, background)
        if kind == "count":
            number, colour, shape, background = words
            return Count(Thing(colour, shape), NUMBERS[number], background)
        a, b, relation, c, d, background = words
        return Pair(Thing(a, b), Thing(c, d), relation, background)
    raise ValueError(
        f"not a caption of the drawn scenes: {text!r}. Captions read like\n"
        "  a small red circle in the top left on a white background\n"
        "  three blue stars on a black background\n"
        "  a green ring and a pink heart on a gray background\n"
        "  a green ring left of a pink heart on a gray background"
    )


# ---- which scenes there are, and which are held out ---------------------------------------


def things(scene: Scene) -> list[Thing]:
    """All that must be seen, one entry for each."""
    match scene:
        case Single(thing):
            return [thing]
        case Count(thing, number):
            return [thing] * number
        case Pair(first, second):
            return [first, second]


def split(scene: Scene) -> str:
    """train, or why the scene is held out; each colour, shape, number and relation is in train.

    test_pair      one of 8 colours with one of 8 shapes: 8 of the 64 pairs
    test_count     a number with a shape: 3 of the 24
    test_relation  a shape, a relation and a shape: one in 11
    """
    colours, relations = list(COLOURS), list(RELATIONS)
    for thing in things(scene):
        if (colours.index(thing.colour) - SHAPES.index(thing.shape)) % 8 == 3:
            return "test_pair"
    if isinstance(scene, Count) and (SHAPES.index(scene.thing.shape) + scene.number) % 8 == 6:
        return "test_count"
    if isinstance(scene, Pair) and scene.relation != "and":
        first, second = SHAPES.index(scene.first.shape), SHAPES.index(scene.second.shape)
        if (3 * first + 5 * second + 2 * relations.index(scene.relation)) % 11 == 0:
            return "test_relation"
    return "train"


def swapped(pair: Pair) -> Pair:
    """The same words, but the shapes have changed places: who is red, who is blue?

    Shapes, and not colours: "an red circle" could be found out by its grammar.
    """
    first = Thing(pair.first.colour, pair.second.shape)
    second = Thing(pair.second.colour, pair.first.shape)
    return Pair(first, second, pair.relation, pair.background)


def random_scene(
    rng: np.random.Generator,
    tasks: Sequence[str] = TASKS,
    colours: Sequence[str] = tuple(COLOURS),
    shapes: Sequence[str] = SHAPES,
    backgrounds: Sequence[str] = tuple(BACKGROUNDS),
    related: Sequence[str] = tuple(RELATIONS),
) -> Scene:
    """A scene of a random task, all of whose parts are drawn evenly."""
    task, background = _any(tasks, rng), _any(backgrounds, rng)
    first = _any_thing(rng, colours, shapes)
    if task == "single":
        return Single(first, _any(SIZES, rng), _any(PLACES, rng), background)
    if task == "count":
        return Count(first, _any(list(NUMBERS.values()), rng), background)
    second = _any_thing(rng, colours, shapes)
    while second.colour == first.colour or second.shape == first.shape:
        second = _any_thing(rng, colours, shapes)  # else swapped colours could not be told apart
    relation = _any(related, rng) if task == "relation" else "and"
    return Pair(first, second, relation, background)


def _any(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def _any_thing(rng: np.random.Generator, colours: Sequence[str], shapes: Sequence[str]) -> Thing:
    return Thing(_any(colours, rng), _any(shapes, rng))


# ---- where things stand -------------------------------------------------------------------


def holds(relation: str, dx: float, dy: float, margin: float, ratio: float) -> bool:
    """Whether a first thing, at (dx, dy) from a second one, is clearly on that side of it.

    It lies further that way than `margin`, and `ratio` times further that way than sideways.
    """
    right, down = RELATIONS[relation]
    along, across = dx * right + dy * down, abs(dx * down) + abs(dy * right)
    return along > margin and along > ratio * across


def layout(scene: Scene, rng: np.random.Generator) -> list[Placed]:
    """A random place and size for each thing: apart, inside the canvas, and as the caption says."""
    if isinstance(scene, Single):
        low, high = (0.085, 0.105) if scene.size == "small" else (0.145, 0.165)
        row, column = divmod(PLACES.index(scene.place), 3)
        x, y = ((k + 0.5) / 3 + rng.uniform(-0.03, 0.03) + 0.05 * (1 - k) for k in (column, row))
        return [Placed(scene.thing, x, y, rng.uniform(low, high))]
    wanted = things(scene)
    low, high = (0.11, 0.165) if len(wanted) == 2 else (0.10, 0.125)
    while True:
        placed = []
        for thing in wanted:
            radius = rng.uniform(low, high)
            x, y = rng.uniform(1.12 * radius, 1 - 1.12 * radius, 2).tolist()
            placed.append(Placed(thing, x, y, radius))
        if _apart(placed) and _related(scene, placed):
            return placed


def _apart(placed: list[Placed]) -> bool:
    return all(
        np.hypot(a.x - b.x, a.y - b.y) > 1.12 * (a.radius + b.radius) + 0.05
        for n, a in enumerate(placed)
        for b in placed[:n]
    )


def _related(scene: Scene, placed: list[Placed]) -> bool:
    if not isinstance(scene, Pair) or scene.relation == "and":
        return True
    first, second = placed
    return holds(scene.relation, first.x - second.x, first.y - second.y, 0.28, 1.3)


# ---- pixels -------------------------------------------------------------------------------

REACH, ENTRIES = 1.7, 681  # a shape of radius 1 is tabled on [-REACH, REACH] squared


@cache
def distances(shape: str) -> Float[np.ndarray, "681 681"]:
    """Signed distance to the outline of a shape of radius 1, below 0 inside; a table."""
    line = np.linspace(-REACH, REACH, ENTRIES)
    x, y = np.meshgrid(line, line)
    if shape == "circle":
        return np.hypot(x, y) - 0.9
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.72) - 0.24
    return _polygon(x, y, _corners(shape))


def _corners(shape: str) -> Float[np.ndarray, "n 2"]:
    if shape == "square":
        return 0.8 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    if shape == "triangle":
        return np.array([(0, -0.95), (0.95, 0.75), (-0.95, 0.75)])
    if shape == "diamond":
        return np.array([(0, -1.05), (0.72, 0), (0, 1.05), (-0.72, 0)])
    if shape == "cross":
        arm = [(0.33, -1), (0.33, -0.33), (1, -0.33)]  # the rest is this corner, turned
        turns = [np.array([(c, s), (-s, c)]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
        return np.concatenate([np.array(arm) @ turn for turn in turns])
    if shape == "star":
        angle = np.deg2rad(36 * np.arange(10) - 90)
        radius = np.where(np.arange(10) % 2, 0.46, 1.05)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)  # a heart
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) - 2
    return np.stack([16 * np.sin(t) ** 3, down], 1) / 16.2


def _polygon(x: Array, y: Array, corners: Float[np.ndarray, "n 2"]) -> Array:
    """Signed distance to a closed polygon: nearest point of all sides, and a count of crossings."""
    nearest, sign = np.full(x.shape, np.inf), np.ones(x.shape)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
        t = np.clip((wx * ex + wy * ey) / (ex**2 + ey**2), 0, 1)
        nearest = np.minimum(nearest, (wx - t * ex) ** 2 + (wy - t * ey) ** 2)
        crossing = np.stack([y >= ay, y < by, ex * wy > ey * wx])
        sign = np.where(crossing.all(0) | ~crossing.any(0), -sign, sign)
    return sign * np.sqrt(nearest)


def coverage(
    shape: str, x: float, y: float, radius: float, rows: range, columns: range
) -> Float[np.ndarray, "rows columns"]:
    """How much of each pixel of a window a shape covers, 0 to 1; lengths in pixels."""

    def entry(pixels: range, centre: float) -> np.ndarray:
        at = (np.asarray(pixels) + 0.5 - centre) / radius
        return np.clip((at + REACH) * (ENTRIES - 1) / (2 * REACH) + 0.5, 0, ENTRIES - 1).astype(int)

    apart = distances(shape)[np.ix_(entry(rows, y), entry(columns, x))]
    return np.clip(0.5 - radius * apart, 0, 1)


def render(
    placed: Sequence[Placed], background: str, size: int = 64
) -> UInt8[np.ndarray, "size size 3"]:
    """The picture, with smooth edges one pixel wide."""
    image = np.empty((size, size, 3))
    image[:] = BACKGROUNDS[background]
    for one in placed:
        x, y, radius = one.x * size, one.y * size, one.radius * size
        reach = 1.2 * radius + 1
        rows, columns = (
            range(max(0, int(centre - reach)), min(size, int(centre + reach) + 1))
            for centre in (y, x)
        )
        cover = coverage(one.thing.shape, x, y, radius, rows, columns)[..., None]
        window = image[rows.start : rows.stop, columns.start : columns.stop]
        window += (np.array(COLOURS[one.thing.colour]) - window) * cover
    return np.round(image).astype(np.uint8)


def relations(
    colours: Sequence[str] = tuple(COLOURS),
    shapes: Sequence[str] = SHAPES,
    backgrounds: Sequence[str] = tuple(BACKGROUNDS),
    related: Sequence[str] = tuple(RELATIONS),
) -> list[Pair]:
    """Every scene of two things, one beside or above the other, held out or not."""
    every = [Thing(colour, shape) for colour in colours for shape in shapes]
    return [
        Pair(first, second, relation, background)
        for background in backgrounds
        for first in every
        for second in every
        for relation in related
        if first.colour != second.colour and first.shape != second.shape
    ]


# ---- a data set ---------------------------------------------------------------------------


def draw_scene(scene: Scene | str, size: int = 32, seed: int = 0) -> UInt8[Tensor, "3 size size"]:
    """One picture of a scene, or of what a caption asks for; another seed, another layout."""
    text = scene if isinstance(scene, str) else caption(scene)
    return draw_captions([text], size=size, seed=seed)[0]


def draw_scenes(
    count: int,
    part: str = "train",
    *,
    size: int = 32,
    seed: int = 0,
    tasks: Sequence[str] = TASKS,
    colours: Sequence[str] = tuple(COLOURS),
    shapes: Sequence[str] = SHAPES,
    backgrounds: Sequence[str] = tuple(BACKGROUNDS),
    related: Sequence[str] = tuple(RELATIONS),
) -> tuple[UInt8[Tensor, "count 3 size size"], list[str]]:
    """Pictures and their captions. The n-th depends on the seed and n, not on `count`.

    part   train, or one of the three kinds that are held out (`split`), or "all"
    size   side in pixels; at 16 shapes are hard to tell apart
    tasks  of `TASKS`
    colours, shapes, backgrounds   fewer of them are a smaller world, for a small model; two colours
                                   and two shapes at least if a task has two things
    related   which of `RELATIONS` there are

    Raises ValueError for an unknown part, task, colour, shape, background or relation, a size below
    16, a part that the tasks or the world lack, a world too small for its tasks.
    """
    one_of(part, (*SPLITS, "all"), "part of the drawn scenes")
    for task in tasks:
        one_of(task, TASKS, "task")
    asked = {"colour": (colours, COLOURS), "shape": (shapes, SHAPES)}
    asked |= {"background": (backgrounds, BACKGROUNDS), "relation": (related, RELATIONS)}
    for what, (some, known) in asked.items():
        for one in some:
            one_of(one, known, what)
    least = 2 if {"pair", "relation"} & set(tasks) else 1
    if min(len(set(colours)), len(set(shapes))) < least or not backgrounds or not related:
        raise ValueError(
            f"these tasks need {least} or more colours and shapes, and a background, got "
            f"{list(colours)}, {list(shapes)} and {list(backgrounds)}"
        )
    if size < 16:
        raise ValueError(f"size must be 16 or more for shapes to be told apart, got {size}")
    needs = {"test_count": "count", "test_relation": "relation"}.get(part)
    if not tasks:
        raise ValueError(f"tasks must be one or more of {', '.join(TASKS)}; got none")
    if needs and needs not in tasks:
        raise ValueError(f"{part} holds scenes of the task {needs!r}, but tasks is {list(tasks)}")
    images, captions = np.empty((count, size, size, 3), np.uint8), []
    for n in range(count):
        rng = np.random.default_rng([seed, n])
        for _ in range(10_000):
            scene = random_scene(rng, tasks, colours, shapes, backgrounds, related)
            if part in ("all", split(scene)):
                break
        else:
            raise ValueError(f"no scene of {part} was found in {list(colours)}, {list(shapes)}")
        images[n] = render(layout(scene, rng), scene.background, size)
        captions.append(caption(scene))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), captions


def draw_captions(
    captions: Sequence[str], *, size: int = 32, seed: int = 0
) -> UInt8[Tensor, "n 3 size size"]:
    """A picture for each caption, laid out at random: what you ask for, you get.

    Raises ValueError for a caption outside the grammar, as `parse` does.
    """
    rng = np.random.default_rng(seed)
    asked = [parse(text) for text in captions]
    drawn = [render(layout(scene, rng), scene.background, size) for scene in asked]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).contiguous()


def draw_with_hole(
    scene: Pair | str, size: int = 32, seed: int = 0
) -> tuple[UInt8[Tensor, "3 size size"], Bool[Tensor, "1 size size"]]:
    """`draw_scene` of two things, and a square around the second: True where it is to be erased.

    Any shape of any radius that the grammar knows has room in the square.
    Raises ValueError for a scene that is not of two things.
    """
    asked = parse(scene) if isinstance(scene, str) else scene
    if not isinstance(asked, Pair):
        raise ValueError(f"a hole needs a scene of two things, got {caption(asked)!r}")
    placed = layout(asked, np.random.default_rng(seed))
    reach = 1.15 * 0.165 * size + 0.5  # the largest radius, and a rim
    pixels = np.arange(size) + 0.5
    near = [np.abs(pixels - at * size) < reach for at in (placed[1].y, placed[1].x)]
    picture = render(placed, asked.background, size)
    hole = torch.from_numpy(near[0][:, None] & near[1])[None]
    return torch.from_numpy(picture).permute(2, 0, 1).contiguous(), hole
