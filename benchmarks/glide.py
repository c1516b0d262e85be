"""Who insists better: CLIP guidance, classifier-free guidance, or neither; and edits by caption.

    python benchmarks/glide.py                       every row and seed; goes on where it stopped
    python benchmarks/glide.py --only edit --out look.json

Chapter 22 reads the file. A row of "steer" draws all 72 captions of the small world, with 16 steps
of DDIM and x_0 clipped to [-1, 1]; rows with one seed begin from the same noise. Its name says how
much the CLIP pushes and at which scale the model guides itself, where 0 is without the caption and
1 is with it. "raw" pushes by the CLIP's score, "among" by its logarithm of a softmax over all 72
captions, "clean" by the raw score of the CLIP that never saw noise. Measured are the oracle's
claims, `guide` and `judge`: the CLIP scores of the finished pictures by the CLIP that steers (the
noised one) and by the other one, which is clean, has another seed and has seen other scenes.

A row of "edit" draws a scene of each caption, erases its second thing, and asks for the one thing
that differs from both in colour and shape. `oracle` judges the new caption, `kept` says how far a
known pixel has moved at most.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.tensors import atomic_write, to_pixels, to_unit
from course_lib.data.oracle import obeyed
from course_lib.data.scenes import Pair, Thing, caption, draw_with_hole, relations
from course_lib.diffusion import guidance
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.models.captions import empty
from course_lib.models.glide import caption_score, fill
from course_lib.trainings import CAPTION_LENGTH, SMALL_WORLD, caption_tokenizer, trained

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = ROOT / "data" / "measured" / "glide.json"
STEPS, SIDE = 16, 16


@dataclass(frozen=True)
class Steer:
    """One way to insist: how much the CLIP pushes, how, and the model's own scale."""

    by_clip: float
    itself: float
    how: str = "raw"

    @property
    def name(self) -> str:
        """How the file calls it."""
        pushed = f"{self.how} {self.by_clip:g}, " if self.by_clip else ""
        return f"{pushed}itself {self.itself:g}"


STEERS = [
    *[Steer(0, itself) for itself in (0, 1, 2, 4, 8)],
    *[Steer(by_clip, 0) for by_clip in (1, 2, 4, 8, 16)],
    *[Steer(by_clip, 1) for by_clip in (1, 2, 4, 8, 16)],
    *[Steer(by_clip, 0, "among") for by_clip in (1, 4, 16)],
    *[Steer(by_clip, 1, "among") for by_clip in (1, 4, 16)],
    *[Steer(by_clip, 0, "clean") for by_clip in (1, 4)],
    *[Steer(by_clip, 1, "clean") for by_clip in (1, 4)],
]
EDITS = ("replaced", "shown")  # known pixels overwritten only, or shown to the network


def ids(captions: list[str]) -> Tensor:
    """Captions in pieces."""
    return caption_tokenizer().batch(captions, CAPTION_LENGTH)


def steered(row: Steer, scenes: list[Pair], seed: int) -> dict[str, Any]:
    """One picture for each caption, judged."""
    reader, guide, judge = (
        trained(name) for name in ("scenes_tokens", "scene_clip_noised", "scene_clip_judge")
    )
    captions = [caption(scene) for scene in scenes]
    tokens = ids(captions)
    told, null = {"tokens": tokens}, {"tokens": empty(tokens[:1])}
    denoise = guidance.classifier_free(reader, told, null, row.itself)
    score = caption_score(judge if row.how == "clean" else guide, tokens)
    if row.how == "among":
        score = guidance.label_log_prob(lambda x, t: guide(x, tokens, t), torch.arange(len(tokens)))
    denoise = guidance.clip(
        guidance.classifier_guided(denoise, reader.schedule, score, row.by_clip)
    )
    noise = torch.Generator().manual_seed(seed)
    x_T = torch.randn(len(tokens), 3, SIDE, SIDE, generator=noise)
    with torch.no_grad():
        x = sample(ddim_step, denoise, reader.schedule, x_T, spaced_times(reader.schedule, STEPS))
        now = torch.zeros(len(x))
        scores = {
            name: round(float(caption_score(model, tokens)(x, now).mean()), 3)
            for name, model in (("guide", guide), ("judge", judge))
        }
    return scores | {"oracle": shares(x, captions)}


def shares(x: Tensor, captions: list[str]) -> dict[str, float]:
    """How many of the pictures make each claim true."""
    return {claim: round(share, 4) for claim, share in obeyed(to_pixels(x), captions).items()}


def another(scene: Pair) -> Pair:
    """The same scene with the one thing in the second place that differs from both in all."""
    names = zip(("colours", "shapes"), ("colour", "shape"), strict=True)
    left = []
    for every, part in names:
        used = {getattr(scene.first, part), getattr(scene.second, part)}
        left.append(next(one for one in SMALL_WORLD[every] if one not in used))
    return Pair(scene.first, Thing(*left), scene.relation, scene.background)


def edited(how: str, scenes: list[Pair], seed: int) -> dict[str, Any]:
    """The second thing of each scene becomes another; is the new caption true?"""
    one_of(how, EDITS, "way to edit")
    model = trained("scenes_inpaint" if how == "shown" else "scenes_tokens")
    wanted = [caption(another(scene)) for scene in scenes]
    drawn = [draw_with_hole(scene, SIDE, seed=100 * seed + n) for n, scene in enumerate(scenes)]
    known, hole = to_unit(torch.stack([x for x, _ in drawn])), torch.stack([h for _, h in drawn])
    x = fill(model, ids(wanted), known, hole, scale=2.0, steps=STEPS, seed=seed)
    kept = float(((x - known) * ~hole).abs().max())
    return {"oracle": shares(x, wanted), "kept": kept}


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=NUMBERS)
    parser.add_argument("--only", choices=("steer", "edit"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    scenes = relations(**SMALL_WORLD)
    jobs = [("steer", row.name, row) for row in STEERS] + [("edit", how, how) for how in EDITS]
    for kind, name, row in jobs:
        if options.only not in (None, kind):
            continue
        seeds = found.setdefault(kind, {}).setdefault(name, {})
        for seed in range(options.seeds):
            if str(seed) in seeds:
                continue
            seeds[str(seed)] = (
                steered(row, scenes, seed) if isinstance(row, Steer) else edited(row, scenes, seed)
            )
            atomic_write(options.out, (json.dumps(found, indent=1) + "\n").encode())
            print(name, seed, seeds[str(seed)], flush=True)


if __name__ == "__main__":
    main()
