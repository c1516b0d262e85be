"""What the width of the reverse steps costs: bits of short chains for digits, and distances.

`python tools/measure_variance.py` measures the trained `digits_hybrid` and writes
data/variance.json. For chains of several lengths and five kinds of variance around the same mean:
the bound on unseen digits in bits per pixel, with its standard error, every digit at every step;
and for the shortest chains the Fréchet distance of samples. With `--seed 3` it trains the model
again with that seed (`course train`, resumed where it stopped) and measures that one, with noise of
that seed; its entry is digits_hybrid-3. `--model fashion_hybrid` trains the second head of the
garment model, which is not shipped, and measures that: bits only.
"""

import argparse
import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.core.tensors import atomic_write, seeded_randn_like, to_unit
from course_lib.data.digits import TOP, load_digits
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.diffusion import variance
from course_lib.diffusion.likelihood import prior_bits
from course_lib.diffusion.samplers import sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.evaluation import evaluate
from course_lib.trainings import RUNS, TRAININGS, fashion_hybrid, trained
from course_lib.weights import WEIGHTS

OUT = WEIGHTS.parent / "variance.json"
COUNTS, SAMPLED = (25, 50, 100), (10,)


class Pictures(NamedTuple):
    """What a model is measured on: unseen pictures, some it has seen, how many grey levels."""

    test: Tensor
    train: Tensor
    levels: int


def pictures_of(name: str) -> Pictures:
    """All digits, or the first 300 test garments and 256 training ones: a garment step is dear."""
    if name.startswith("digits"):
        test, train = (to_unit(load_digits(split)[0], TOP) for split in ("test", "train"))
        return Pictures(test, train, TOP + 1)
    test, train = (to_unit(load_fashion_mnist(split)[0][:300]) for split in ("test", "train"))
    return Pictures(test, train[:256], 256)


def model_of(name: str, seed: int) -> variance.LearnedVariance:
    """The shipped model, which is the run with seed 0, or one trained with another seed."""
    if seed == 0 and name == "digits_hybrid":
        return trained(name)  # type: ignore[return-value]
    model = TRAININGS[name](RUNS / (f"{name}-{seed}" if seed else name), seed=seed)
    if name == "fashion_hybrid":  # what is trained is a head
        model = fashion_hybrid(model)
    return model.requires_grad_(False)  # type: ignore[return-value]


def errors_on(model: variance.LearnedVariance, images: Tensor, times: list[int]) -> Tensor:
    """The mean squared error of the guesses at each of the times, one draw for each picture."""
    found = torch.zeros(model.schedule.T + 1)
    randn_like = seeded_randn_like(1)
    for t in times:
        at = torch.full((len(images),), t)
        alpha, sigma = model.schedule(at, like=images)
        with torch.no_grad():
            guess = model(alpha * images + sigma * randn_like(images), at)
        found[t] = (guess - images).square().mean()
    return found


def kinds(
    model: variance.LearnedVariance, train: Tensor, times: Tensor
) -> dict[str, variance.Reverse]:
    """Five reverse steps that differ in their variance alone."""
    above = variance.above_in(times)
    errors = errors_on(model, train, times[:-1].tolist())
    return {
        "β̃": variance.fixed(model, model.schedule, above, "small"),
        "β": variance.fixed(model, model.schedule, above, "large"),
        "one u a step": variance.measured(model, model.schedule, errors),
        "v as it is": variance.learned(model, above),
        "v, re-aimed": variance.learned(model, above, reaimed=True),
    }


def bits_of(
    model: variance.LearnedVariance, pictures: Pictures, n: int, last: float, seed: int = 0
) -> dict[str, dict[str, float]]:
    """The bound of a chain of n steps with each kind of variance, and its standard error."""
    times = spaced_times(model.schedule, n)
    test, reverses = pictures.test, kinds(model, pictures.train, times)
    randn_like = seeded_randn_like(seed)
    total = {name: [last, 0.0] for name in reverses}
    for t, s in pairwise(times.tolist()):
        eps, now, then = randn_like(test), *(torch.full((len(test),), time) for time in (t, s))
        for name, reverse in reverses.items():
            with torch.no_grad():
                told = (reverse, model.schedule, test, now, then, eps, pictures.levels)
                bits = variance.reverse_bits(*told)
            total[name][0] += float(bits.mean())
            total[name][1] += float(bits.var()) / len(bits)
    return {k: {"value": round(m, 4), "error": round(v**0.5, 4)} for k, (m, v) in total.items()}


def remember(model: variance.LearnedVariance) -> variance.LearnedVariance:
    """The model, which answers the same question twice in a row from memory."""
    ask, last = model.both, [torch.empty(0), torch.empty(0), (torch.empty(0), torch.empty(0))]

    def both(x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        if not (torch.equal(x_t, last[0]) and torch.equal(t, last[1])):
            last[:] = [x_t, t, ask(x_t, t)]
        return last[2]

    model.both = both  # type: ignore[method-assign]
    return model


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="digits_hybrid")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="0 is the shipped model")
    options = parser.parse_args(arguments)
    seed, name, pictures = options.seed, options.model, pictures_of(options.model)
    record = json.loads(options.out.read_text()) if options.out.exists() else {}
    key = name if seed == 0 else f"{name}-{seed}"
    entry = record.setdefault(key, {"bits": {}, "distances": {}})
    entry["how"] = (
        f"bits per pixel on {len(pictures.test)} test pictures, each at every step, L_T included;"
        f" Fréchet distances of {options.samples} digits against all test digits, x_0 clipped."
        " `tools/measure_variance.py`"
    )
    model = remember(model_of(name, seed))
    last = float(prior_bits(model.schedule, pictures.test).mean())

    def keep() -> None:
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        atomic_write(options.out, text.encode())

    for n in SAMPLED if name.startswith("digits") else ():
        times = spaced_times(model.schedule, n)
        for kind, reverse in kinds(model, pictures.train, times).items():
            if kind in entry["distances"].setdefault(str(n), {}):
                continue
            randn_like = seeded_randn_like(seed)
            step = partial(variance.reverse_step, randn_like=randn_like)
            x_T = randn_like(torch.empty(options.samples, 1, 8, 8))
            made = sample(step, reverse, model.schedule, x_T, times)  # type: ignore[arg-type]
            found = evaluate(made, "digits").frechet
            entry["distances"][str(n)][kind] = {"value": round(found.value, 3)}
            entry["floor"] = round(found.floor, 3)
            print(n, kind, found, flush=True)
            keep()
    for n in COUNTS:
        if str(n) not in entry["bits"]:
            entry["bits"][str(n)] = bits_of(model, pictures, n, last, seed)
            print(n, entry["bits"][str(n)], flush=True)
            keep()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
