"""What the benchmarks of chapters 26 and 27 share: prompts of the small world, systems, judges.

Not to be run by itself. A system draws 32 x 32 pictures for captions; all of them were trained for
a quarter of an hour of one core each on the scenes of `trainings.world_32`:

sd       chapter 24's diffusion of latents, f = 2, with the text transformer that it learnt itself
unclip   a prior of CLIP's vectors, a decoder at 16 x 16, a stage that knows no text
imagen   a base at 16 x 16 on MiniLM's states, and a stage that reads them too

What they were given ready-made is not in that time: sd the autoencoder of emoji, unclip a CLIP of
the same scenes, imagen MiniLM.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib.core.tensors import atomic_write, seeded_randn_like, to_pixels, to_unit
from course_lib.data.drawbench import Prompt, prompts
from course_lib.data.frozen import frozen_states
from course_lib.data.oracle import obeyed
from course_lib.data.scenes import SMALL_WORLD, draw_scenes
from course_lib.diffusion.denoiser import Denoiser
from course_lib.metrics import frechet_distance
from course_lib.models.captions import empty
from course_lib.models.cascade import augment, grow
from course_lib.models.clip import CLIP, ImageTower, clip_score
from course_lib.models.imagen import imagine as draw_states
from course_lib.models.latent import imagine as draw_latents
from course_lib.models.unclip import decode, draw_vectors
from course_lib.trainings import (
    CAPTION_LENGTH,
    TRAININGS,
    Training,
    at_hand,
    caption_tokenizer,
    clip_of,
    clip_texts,
    scene_space,
)
from course_lib.weights import manifest

STEPS = 16
ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "data" / "measured"
Claims = dict[str, float]


# ---- prompts --------------------------------------------------------------------------------


@cache
def captions() -> tuple[Prompt, ...]:
    """The 72 captions of the small world, those that are held out among them."""
    return tuple(prompts()[:72])


def ids(texts: Sequence[str]) -> Tensor:
    """Texts in pieces."""
    return caption_tokenizer().batch(texts, CAPTION_LENGTH)


_STAND_INS: dict[str, Denoiser] = {}


def model(name: str) -> Denoiser:
    """A trained denoiser, or what stands in for it."""
    found = _STAND_INS[name] if name in _STAND_INS else at_hand(name)
    assert isinstance(found, Denoiser)
    return found


def stand_in(name: str) -> None:
    """From now on random weights, if this model is not shipped: it costs the same untrained."""
    if name not in manifest():
        training = TRAININGS[name]
        assert isinstance(training, Training)
        made = training.model().eval().requires_grad_(False)
        assert isinstance(made, Denoiser)
        _STAND_INS[name] = made


# ---- the three systems ------------------------------------------------------------------------


def place(name: str) -> torch.device:
    """Where a trained model lies: what a system is told goes there, and it draws there."""
    return next(model(name).parameters()).device


def move(name: str, device: torch.device) -> None:
    """Take a system to a device, with the ready-made model that it leans on."""
    leans_on = {"sd": lambda: [scene_space(2)], "unclip": lambda: [clip_of()]}
    for part in [*map(model, PARTS[name]), *leans_on.get(name, list)()]:
        part.to(device)


def sd(texts: Sequence[str], scale: float = 2.0, seed: int = 0, steps: int = STEPS) -> Tensor:
    """By latents of f = 2."""
    return draw_latents(
        model("scenes_latent"),
        scene_space(2),
        ids(texts).to(place("scenes_latent")),
        side=32,
        scale=scale,
        steps=steps,
        seed=seed,
    )


def vectors_for(
    texts: Sequence[str], seed: int = 0, candidates: int = 2, scale: float = 1.0, steps: int = STEPS
) -> Tensor:
    """Image vectors by the diffusion prior."""
    told = clip_texts(ids(texts).to(place("unclip_prior")))
    return draw_vectors(
        model("unclip_prior"), *told, candidates=candidates, scale=scale, steps=steps, seed=seed
    )


def pictures_of(
    vectors: Tensor,
    texts: Sequence[str] | None = None,
    scale: float = 2.0,
    seed: int = 0,
    level: int = 100,
    steps: int = STEPS,
    decoder: str = "unclip_decoder",
) -> Tensor:
    """32 x 32 pictures of vectors, with captions or without, by unCLIP's decoder and stage."""
    tokens = empty(ids(["a"] * len(vectors))) if texts is None else ids(texts)
    tokens, like = tokens.to(vectors.device), vectors.new_empty(len(vectors), 3, 16, 16)
    small = decode(
        model(decoder), vectors, tokens, like, scale=scale, steps=steps, seed=10_000 + seed
    )
    randn_like, up = seeded_randn_like(20_000 + seed), model("unclip_up")
    now = torch.full((len(small),), level, device=small.device)
    low_res = augment(up.schedule, small, now, randn_like)
    return grow(up, low_res, 32, level, steps=steps, randn_like=randn_like)


def unclip(
    texts: Sequence[str],
    scale: float = 2.0,
    seed: int = 0,
    steps: int = STEPS,
    with_text: bool = True,
) -> Tensor:
    """By a prior and a decoder; the decoder may read the caption too, as in the paper."""
    vectors = vectors_for(texts, seed, steps=steps)
    return pictures_of(vectors, texts if with_text else None, scale, seed, steps=steps)


def imagen(
    texts: Sequence[str],
    scale: float = 2.0,
    seed: int = 0,
    steps: int = STEPS,
    level: int = 100,
) -> Tensor:
    """By a base and a stage on frozen states."""
    states, there = (told.to(place("imagen_16")) for told in frozen_states(texts))
    *_, made = draw_states(
        model("imagen_16"),
        [model("imagen_32")],
        states,
        there,
        scales=(scale, 1.0),
        levels=(level,),
        steps=steps,
        seed=seed,
    )
    return made


SYSTEMS: dict[str, Callable[..., Tensor]] = {"sd": sd, "unclip": unclip, "imagen": imagen}
PARTS = {
    "sd": ("scenes_latent",),
    "unclip": ("unclip_prior", "unclip_decoder", "unclip_up"),
    "imagen": ("imagen_16", "imagen_32"),
}


# ---- judges -----------------------------------------------------------------------------------


def claims(made: Tensor, asked: Sequence[Prompt]) -> Claims:
    """By the oracle: the share of pictures that make each claim of their scenes true."""
    found = obeyed(to_pixels(made), [one.scene for one in asked])
    return {claim: round(share, 4) for claim, share in found.items()}


def by_kind(made: Tensor, asked: Sequence[Prompt]) -> dict[str, Claims]:
    """`claims` of each kind of prompt."""
    found = {}
    for kind in dict.fromkeys(one.kind for one in asked):
        rows = [n for n, one in enumerate(asked) if one.kind == kind]
        found[kind] = claims(made[rows], [asked[n] for n in rows])
    return found


@cache
def _eye() -> ImageTower:
    clip = at_hand("scene_clip_tokens")
    assert isinstance(clip, CLIP) and isinstance(clip.image, ImageTower)
    return clip.image


@torch.no_grad()
def seen(made: Tensor) -> Tensor:
    """What chapter 21's CLIP of scenes sees at its third level: 48 numbers for each picture."""
    return torch.cat([_eye().seen(part, levels=3) for part in made.split(200)])


@cache
def _real(n: int, seed: int) -> Tensor:
    pictures, _ = draw_scenes(n, "all", size=32, seed=seed, tasks=("relation",), **SMALL_WORLD)
    return seen(to_unit(pictures))


def distance(made: Tensor) -> dict[str, float]:
    """The Frechet distance from 1,000 other scenes, with the floor: the mean of five real sets."""
    test, n = _real(1000, 11), len(made)
    floors = [frechet_distance(_real(n, 30 + k), test) for k in range(5)]
    value = frechet_distance(seen(made), test)
    return {"FD": round(value, 4), "floor": round(statistics.mean(floors), 4)}


@torch.no_grad()
def score(made: Tensor, texts: Sequence[str]) -> float:
    """The CLIP score by a CLIP that no system has met; of captions in the data's own words."""
    judge, now = at_hand("world_clip_judge"), torch.zeros(len(made))
    assert isinstance(judge, CLIP)
    images = judge.embed_images(made, now)
    return round(float(clip_score(images, judge.embed_texts(ids(texts))).mean()), 4)


# ---- the book-keeping -------------------------------------------------------------------------


class Book:
    """Numbers in a file, by path; what is there is not measured again."""

    def __init__(self, path: Path):
        self.path = path
        self.found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def enter(self, path: str, measure: Callable[[], Any]) -> None:
        """Put what `measure` finds under a path such as "vector/text/0"."""
        *folders, name = path.split("/")
        at = self.found
        for folder in folders:
            at = at.setdefault(folder, {})
        if name in at:
            return
        started = time.perf_counter()
        at[name] = measure()
        atomic_write(self.path, (json.dumps(self.found, indent=1) + "\n").encode())
        print(f"{path}: {at[name]} ({time.perf_counter() - started:.0f} s)", flush=True)
