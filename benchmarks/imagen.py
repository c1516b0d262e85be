"""Which features of a text draw best, what do thresholds do, and which of three systems obeys?

    python benchmarks/imagen.py                     every row and seed; goes on where it stopped
    python benchmarks/imagen.py --only systems --seeds 1 --out look.json
    python benchmarks/imagen.py --only cost_gpu --out gpu.json     on a machine with a GPU,
    python benchmarks/imagen.py --only cost_gpu --take gpu.json    and here, what it found

Chapter 27 reads the file. Rows, for the 72 captions of the small world unless said otherwise:

ceiling/SIDE           real scenes
features/KIND/SCALE    the base at 16 x 16 on MiniLM's states, on their mean alone ("pooled"), on
                       CLIP's text states, on a number for each caption ("one-hot")
threshold/HOLD/SCALE   the base at strong guidance: nothing, `clip`, or a dynamic threshold at some
                       percentile holds its estimates; how many numbers end at the edge
level/S                the stage, when the small picture is noised to S
systems/NAME/SCALE     three systems of a quarter of an hour: oracle, distance, CLIP score
drawbench/NAME         all 120 prompts of `drawbench`, by kind, by each system at guidance 2
cost/NAME              seconds and memory of a picture on one thread, and parameters
cost_gpu/NAME          seconds and memory on a GPU, if there is one, and which

And pictures for the captions by each system, two noises each, guidance 2, to data/samples.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gpu
import torch
from torch import Tensor
from world import (
    MEASURED,
    PARTS,
    STEPS,
    SYSTEMS,
    Book,
    by_kind,
    captions,
    claims,
    distance,
    imagen,
    model,
    move,
    score,
    stand_in,
)

from course_lib.core.tensors import to_pixels, to_unit
from course_lib.core.types import Denoise
from course_lib.data.drawbench import prompts
from course_lib.data.samples import SAMPLES, save_samples
from course_lib.data.scenes import draw_captions
from course_lib.diffusion.guidance import clip, dynamic_threshold
from course_lib.metrics import saturated
from course_lib.models.cascade import shrink
from course_lib.models.imagen import imagine
from course_lib.trainings import at_hand, caption_states

NUMBERS = MEASURED / "imagen.json"
FEATURES = {
    "frozen": ("imagen_16", "frozen"),
    "pooled": ("imagen_16_pooled", "frozen"),
    "clip": ("imagen_16_clip", "clip"),
    "one-hot": ("imagen_16_one_hot", "one-hot"),
}
SCALES = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 15.0)
HOLDS: dict[str, Callable[[Denoise], Denoise]] = {
    "none": lambda denoise: denoise,
    "static": clip,
    "dynamic 0.995": partial(dynamic_threshold, percentile=0.995),
    "dynamic 0.95": partial(dynamic_threshold, percentile=0.95),
    "dynamic 0.9": partial(dynamic_threshold, percentile=0.9),
}
LEVELS = (0, 50, 100, 200, 300)


def based(
    features: str,
    scale: float,
    seed: int,
    hold: Callable[[Denoise], Denoise] = clip,
) -> Tensor:
    """16 x 16 pictures of all captions by a base."""
    name, kind = FEATURES[features]
    states, there, _ = caption_states(kind)
    asked = states[:72], there[:72]
    (made,) = imagine(model(name), [], *asked, scales=(scale,), steps=STEPS, hold=hold, seed=seed)
    return made


def featured(features: str, scale: float, seed: int) -> dict[str, Any]:
    """What the oracle says of a base, by taught captions and new ones."""
    made = based(features, scale, seed)
    return {kind: found for kind, found in by_kind(made, captions()).items()}


def held(how: str, scale: float, seed: int) -> dict[str, Any]:
    """A base at a scale of guidance, its estimates held in some way."""
    outside: list[float] = []

    def watched(denoise: Denoise) -> Denoise:
        def watch(x_t: Tensor, t: Tensor) -> Tensor:
            x_0 = denoise(x_t, t)
            outside.append(float((x_0.abs() > 1).float().mean()))
            return x_0

        return HOLDS[how](watch)

    made = based("frozen", scale, seed, watched)
    lost = ~made.isfinite().flatten(1).all(1)
    made = torch.where(lost[:, None, None, None], torch.ones(()), made)  # a lost picture is white
    shown = made.clamp(-1, 1)
    up = torch.nn.functional.interpolate(shown, size=32, mode="bilinear", align_corners=False)
    return {
        "oracle": claims(shown, captions()),
        "saturated": round(float(saturated(shown).mean()), 4),
        "estimates outside": round(statistics.mean(outside), 4),
        "spread of pixels": round(float(shown.std((1, 2, 3)).mean()), 4),
        "lost": int(lost.sum()),
    } | distance(up)


def ceiling(side: int, seed: int) -> dict[str, float]:
    """What real scenes score, drawn at 32 x 32 and shrunk."""
    real = to_unit(draw_captions([one.text for one in captions()], seed=700 + seed))
    return claims(shrink(real, 32 // side) if side < 32 else real, captions())


def noised_to(level: int, seed: int) -> dict[str, Any]:
    """The cascade with its small picture noised to a level."""
    made = imagen([one.text for one in captions()], 2.0, seed, level=level)
    return {"oracle": claims(made, captions())} | distance(made)


def drawn(name: str, scale: float, seed: int) -> dict[str, Any]:
    """A system by every judge."""
    texts = [one.text for one in captions()]
    made = SYSTEMS[name](texts, scale=scale, seed=seed)
    found = by_kind(made, captions())
    return {
        "oracle": claims(made, captions()),
        "taught": found["taught"]["all"],
        "new": found["new"]["all"],
        "score": score(made, texts),
    } | distance(made)


def benched(name: str, seed: int) -> dict[str, float]:
    """All prompts of the small DrawBench: the share that is obeyed in everything, by kind."""
    asked = prompts()
    made = SYSTEMS[name]([one.text for one in asked], scale=2.0, seed=seed)
    return {kind: found["all"] for kind, found in by_kind(made, asked).items()}


def cost(name: str, rounds: int = 5) -> dict[str, float]:
    """CPU seconds of a picture, alone and among 16; parameters; memory of a thousand at once."""
    text = captions()[0].text
    draw = partial(SYSTEMS[name], scale=2.0)
    taken = {1: [], 16: []}
    for count, times in taken.items():
        for _ in range(rounds if count == 1 else 2):
            started = time.process_time()
            draw([text] * count)
            times.append((time.process_time() - started) / count)
    parameters = sum(p.numel() for part in PARTS[name] for p in at_hand(part).parameters())
    memory = subprocess.run(
        [sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True
    )
    return {
        "seconds, alone": round(min(taken[1]), 3),
        "seconds, of 16": round(min(taken[16]), 3),
        "trained parameters": parameters,
        "MB for 1,000": round(float(memory.stdout.split()[-1])),
    }


def cost_gpu(name: str, rounds: int = 5) -> dict[str, Any]:
    """Seconds of a picture on a GPU, alone and among others; memory of a thousand at once."""
    text, draw = captions()[0].text, SYSTEMS[name]
    for part in PARTS[name]:
        stand_in(part)
    move(name, gpu.CUDA)
    taken = {
        count: gpu.seconds(partial(draw, [text] * count, scale=2.0), rounds) / count
        for count in (1, 16, 256)
    }
    memory, _ = gpu.most_bytes(partial(draw, [text] * 1000, steps=1))
    move(name, torch.device("cpu"))
    return {
        "seconds, alone": round(taken[1], 4),
        "seconds, of 16": round(taken[16], 5),
        "seconds, of 256": round(taken[256], 6),
        "MB for 1,000": round(memory / 1e6),
        "on": gpu.which(),
    }


def peak() -> float:
    """The largest memory of this process so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1e6 if sys.platform == "darwin" else 1e3)


def remember(name: str) -> None:
    """Print by how many MB drawing 1,000 pictures raises the peak over drawing one."""
    text = captions()[0].text
    SYSTEMS[name]([text], steps=1)
    before = peak()
    SYSTEMS[name]([text] * 1000, steps=1)
    print(peak() - before)


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=NUMBERS)
    kinds = ("features", "threshold", "level", "systems", "drawbench", "cost", "cost_gpu")
    parser.add_argument("--only", choices=(*kinds, "samples"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="where the pictures go")
    parser.add_argument("--take", type=Path, help="a file of `cost_gpu` from elsewhere")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        remember(options.memory)
        return
    book = Book(options.out)

    def rows(kind: str, names: Any) -> Any:
        return names if options.only in (None, kind) else ()

    for seed in range(options.seeds):
        for name in rows("systems", SYSTEMS):
            for scale in (1.0, 2.0, 4.0):
                path = f"systems/{name}/{scale:g}/{seed}"
                book.enter(path, partial(drawn, name, scale, seed))
        for name in rows("drawbench", SYSTEMS):
            book.enter(f"drawbench/{name}/{seed}", partial(benched, name, seed))
        for name in rows("features", FEATURES):
            for scale in (1.0, 2.0, 4.0):
                path = f"features/{name}/{scale:g}/{seed}"
                book.enter(path, partial(featured, name, scale, seed))
        for level in rows("level", LEVELS):
            book.enter(f"level/{level}/{seed}", partial(noised_to, level, seed))
        for side in rows("features", (16, 32)):
            book.enter(f"ceiling/{side}/{seed}", partial(ceiling, side, seed))
        for how in rows("threshold", HOLDS):
            for scale in SCALES:
                book.enter(f"threshold/{how}/{scale:g}/{seed}", partial(held, how, scale, seed))
    for name in rows("cost", SYSTEMS):
        book.enter(f"cost/{name}", partial(cost, name))
    taken = json.loads(options.take.read_text())["cost_gpu"] if options.take else {}
    on_a_gpu = SYSTEMS if torch.cuda.is_available() else ()
    for name in rows("cost_gpu", taken or on_a_gpu):
        measure = partial(taken.get, name) if taken else partial(cost_gpu, name)
        book.enter(f"cost_gpu/{name}", measure)
    for name in rows("samples", SYSTEMS):
        made = SYSTEMS[name]([one.text for one in captions()[2::13]], scale=2.0)
        sheet = {"sd": "scenes_latent"}.get(name, f"scenes_{name}")
        how = f"{sheet}: {STEPS} steps of DDIM, guidance 2, six captions of the small world"
        save_samples(sheet, to_pixels(made), {"how": how}, options.samples)


if __name__ == "__main__":
    main()
