"""What a cascade's stages make of real and of generated small pictures, at every level s.

    python benchmarks/cascade.py                    every row; goes on where it stopped
    python benchmarks/cascade.py --only sweep_16 --images 200 --out look.json

Chapter 18 reads the file. Rows of one seed share their small pictures and their noises: n pictures
of 8 or 16 pixels, real (test pictures that the distance is not measured against) or drawn by the
chain. `floor` is the distance of equally many real pictures.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.core.tensors import atomic_write, seeded_randn_like, to_unit
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.data.files import ROOT
from course_lib.diffusion.solvers import DPMSolver2M
from course_lib.evaluation import evaluate, frechet_at_size, unseen
from course_lib.models.cascade import augment, chain, enlarge, grow, regress, shrink
from course_lib.trainings import trained as load

NUMBERS = ROOT / "data" / "cascade.json"
trained = cache(load)
STEPS = 12  # of DPM-Solver++(2M), the best of chapter 19 for so few
HALF = 5_000  # test pictures to compare with; the small ones are of the other half
CARELESS = 4  # steps
LEVELS = (0, 50, 100, 200, 300, 500)
Row = dict[str, float]
Job = Callable[[], Row]


def held(n: int, seed: int) -> Tensor:
    """n test pictures at 32 x 32 from the other half, in random order."""
    rows = HALF + torch.randperm(HALF, generator=torch.Generator().manual_seed(seed))[:n]
    return F.pad(to_unit(load_fashion_mnist("test")[0])[rows], (2, 2, 2, 2), value=-1.0)


def noised(low_res: Tensor, s: int, seed: int) -> Tensor:
    """The small pictures at level s."""
    schedule = trained("cascade_8").schedule
    return augment(schedule, low_res, torch.full((len(low_res),), s), seeded_randn_like(seed + 100))


def distance(images: Tensor) -> Row:
    """Distance and floor."""
    found = frechet_at_size(images, HALF)
    return {"FD": found.value, "floor": found.floor}


def psnr(images: Tensor, real: Tensor) -> float:
    """Peak signal to noise ratio in dB of pictures in [-1, 1], whose peak is 2."""
    return float(10 * torch.log10(4 / (images.clamp(-1, 1) - real).square().mean()))


def base(n: int, seed: int) -> Tensor:
    """Finished small pictures."""
    told = {"steps": STEPS, "step": DPMSolver2M(), "randn_like": seeded_randn_like(seed)}
    (x,) = chain(trained("cascade_8"), [], n, levels=[], **told)
    return x


def draw(name: str, low_res: Tensor, side: int, s: int, seed: int) -> Tensor:
    """Large pictures for small ones at level s."""
    randn_like = seeded_randn_like(seed)
    step = DPMSolver2M()
    return grow(trained(name), low_res, side, s, steps=STEPS, step=step, randn_like=randn_like)


def stages(n: int, seed: int) -> Iterator[tuple[str, Job]]:
    """Each stage from real small pictures: stretched alone, the mean, a draw, and two averaged."""
    real = held(n, seed)
    yield "8 alone", lambda: distance(base(n, seed))
    for name, large in (("cascade_16", shrink(real)), ("cascade_32", real)):
        small, side = shrink(large), large.shape[-1]
        one = cache(partial(draw, name, small, side, 0, seed))
        kinds: dict[str, Callable[[], Tensor]] = {
            "stretched": partial(enlarge, small, side),
            "mean": partial(
                regress, trained(name), small, side, randn_like=seeded_randn_like(seed)
            ),
            "drawn": one,
            "mean of 2": lambda one=one, name=name, small=small, side=side: (
                (one() + draw(name, small, side, 0, seed + 3)) / 2
            ),
        }
        for kind, make in kinds.items():
            yield f"{name} {kind}", partial(compared, make, small, large)


def compared(make: Callable[[], Tensor], small: Tensor, large: Tensor) -> Row:
    """Distance, PSNR, and how far the picture, made small again, is from what it was made of."""
    images = make()
    back = float((shrink(images) - small).square().mean().sqrt())
    return distance(images) | {"psnr": psnr(images, large), "back": back}


def sweep(name: str, n: int, seed: int) -> Iterator[tuple[str, Job]]:
    """Distance over the level s, from real and from drawn small pictures."""
    real = held(n, seed)
    large = shrink(real) if "16" in name else real
    side, small = large.shape[-1], shrink(large)
    low = {"real": lambda: small, "drawn": cache(partial(base, n, seed))}
    if side == 32:
        low["drawn"] = cache(
            lambda: draw("cascade_16", noised(base(n, seed), 100, seed), 16, 100, seed + 1)
        )

    def at(kind: str, s: int, told: int) -> Row:
        return distance(draw(name, noised(low[kind](), s, seed), side, told, seed + 2))

    # The stage that knows clean pictures only is lost at every other level: one seed shows it.
    levels = LEVELS if name == "cascade_16" or seed == 0 else (0, 100)
    for s in levels:
        for kind in low:
            yield f"{name} {kind} s={s}", partial(at, kind, s, s)
    if name == "cascade_16":
        for s in (100, 200):  # noise put on, and not told
            yield f"{name} drawn s={s}, told 0", partial(at, "drawn", s, 0)


def poor(n: int, seed: int) -> Iterator[tuple[str, Job]]:
    """The same from small pictures that were drawn carelessly, in few steps of DDIM."""

    @cache
    def low() -> Tensor:
        told = {"steps": CARELESS, "randn_like": seeded_randn_like(seed)}
        (x,) = chain(trained("cascade_8"), [], n, levels=[], **told)
        return x

    def at(name: str, s: int) -> Row:
        return distance(draw(name, noised(low(), s, seed), 16, s, seed + 2))

    yield "8 careless", lambda: distance(low())
    yield "cascade_16_clean careless s=0", partial(at, "cascade_16_clean", 0)
    for s in LEVELS:
        yield f"cascade_16 careless s={s}", partial(at, "cascade_16", s)


def truncated(n: int, seed: int) -> Iterator[tuple[str, Job]]:
    """The whole chain, small pictures finished and noised again, or stopped at s."""

    def run(first: str, s: int, stopped: bool) -> Row:
        stages = [trained(first), trained("cascade_32")]
        randn_like, levels = seeded_randn_like(seed), (s, s)
        *_, x = chain(
            trained("cascade_8"),
            stages,
            n,
            levels=levels,
            truncated=stopped,
            steps=STEPS,
            step=DPMSolver2M(),
            randn_like=randn_like,
        )
        row = distance(x)
        if seed == 0:
            found = evaluate(x[:, :, 2:-2, 2:-2], pictures=unseen("fashion"))
            row |= {f"judged {score.name}": score.value for score in found.scores}
            row |= {f"judged {score.name} floor": score.floor for score in found.scores}
        return row

    for s in (0, 100, 300):
        yield f"chain finished s={s}", partial(run, "cascade_16", s, False)
        if s:
            yield f"chain stopped s={s}", partial(run, "cascade_16", s, True)
    yield "chain clean", partial(run, "cascade_16_clean", 0, False)


KINDS = {
    "poor": poor,
    "sweep_16": partial(sweep, "cascade_16"),
    "sweep_clean": partial(sweep, "cascade_16_clean"),
    "truncated": truncated,
    "stages": stages,
    "sweep_32": partial(sweep, "cascade_32"),
}


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=NUMBERS)
    options = parser.parse_args()
    table: dict[str, Any] = {"n": options.images, "steps": STEPS, "rows": {}}
    table |= json.loads(options.out.read_text()) if options.out.exists() else {}
    table["test pictures"] = unseen("fashion", table.get("test pictures"))
    for seed in options.seeds:
        for kind in options.only:
            for key, job in KINDS[kind](options.images, seed):
                rows = table["rows"].setdefault(key, {})
                if str(seed) not in rows:
                    rows[str(seed)] = {k: round(v, 4) for k, v in job().items()}
                    print(seed, key, rows[str(seed)], flush=True)
                    atomic_write(options.out, (json.dumps(table, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
