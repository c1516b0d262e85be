"""Measure a trained model and ship it: `python tools/ship_weights.py fashion_ddpm`.

Takes the averaged weights of a run (`course train NAME` leaves them in runs/train/NAME), samples
from them, compares the samples with the test set, and writes data/weights/NAME.safetensors.gz with
all of this in the manifest. A file that is already there is replaced only with --replace.
"""

import argparse
import hashlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from course_lib.core.tensors import pick_device, seeded_randn_like, to_pixels, to_unit
from course_lib.core.types import Images
from course_lib.data.digits import TOP, load_digits
from course_lib.data.emoji import Emoji, load_emoji, prompt
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.data.files import checksums
from course_lib.data.oracle import judge
from course_lib.data.scenes import caption, draw_scenes, relations, split, swapped
from course_lib.data.scenes import parse as parse_caption
from course_lib.diffusion import discrete
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.discrete import BitDenoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.langevin import consistent_step, langevin_step
from course_lib.diffusion.likelihood import bound_terms, prior_bits
from course_lib.diffusion.reverse import ReverseGaussian, bound_bits, walk_back
from course_lib.diffusion.samplers import ddim_step, ddpm_step, heun_step, sample
from course_lib.diffusion.schedules import (
    DiscreteSchedule,
    cosine,
    geometric_times,
    linear,
    spaced_times,
)
from course_lib.evaluation import evaluate, frechet_emoji, labels_found, prompt_recall
from course_lib.metrics import Measured, psnr
from course_lib.models.autoencoder import Autoencoder
from course_lib.models.captions import draw
from course_lib.models.clip import CLIP, recall_at, told_apart
from course_lib.models.glide import Inpainter, TimedTower
from course_lib.models.latent import LENGTH, imagine
from course_lib.models.style import StyleGenerator
from course_lib.models.vae import VAE, draw_pixels, iwae_bound, log_weights
from course_lib.nn.classifier import NoisyClassifier
from course_lib.nn.unet import Head
from course_lib.recipes import LOWEST
from course_lib.trainings import (
    CAPTION_LENGTH,
    CHECKPOINT,
    GROUPS,
    SMALL_WORLD,
    TRAININGS,
    Training,
    caption_tokenizer,
    latent_space,
    lpips,
    prompt_tokenizer,
)
from course_lib.weights import SUFFIX, WEIGHTS, save_weights

ROOT = Path(__file__).resolve().parent.parent
MODELS = {name: one for name, one in TRAININGS.items() if isinstance(one, Training)}
STEPS: dict[str, Callable[..., Tensor]] = {
    "ddpm": ddpm_step,
    "ddim": ddim_step,
    "heun": heun_step,
    "langevin": langevin_step,
    "consistent": consistent_step,
}
# Went on from these, with labels.
TAUGHT = {
    "digits_labels": "digits_ddpm",
    "garments_labels": "unet_whole",
    "garments_labels_short": "unet_whole",
    "fashion_labels": "fashion_ddpm",
}
MOVES = 10  # of plain Langevin dynamics at each level


@dataclass(frozen=True)
class Sampler:
    """How samples are drawn: which step, how many of them, x_0 clipped to [-1, 1] or not.

    For "langevin" and "consistent", `steps` are noise levels, and the last call denoises.
    """

    step: str = "ddpm"
    steps: int = 100
    clipped: bool = True
    seed: int = 0
    bf16: bool = False
    rate: float = 0.2

    @property
    def on_ladder(self) -> bool:
        """Whether it walks down a ladder of noise levels."""
        return self.step in ("langevin", "consistent")

    def __call__(self, model: nn.Module, shape: tuple[int, ...]) -> Images:
        """Pictures of this shape, drawn in parts of 500 to bound the memory."""
        device = next(model.parameters()).device
        randn_like = seeded_randn_like(self.seed)
        step = STEPS[self.step]
        if self.step == "ddpm":
            step = partial(ddpm_step, randn_like=randn_like)
        denoise = clip(model) if self.clipped else model
        noises = randn_like(torch.empty(shape))
        if self.on_ladder:
            step = partial(step, randn_like=randn_like, rate=self.rate)
            if self.step == "langevin":
                step = partial(step, moves=MOVES)
            times = geometric_times(self.steps, LOWEST, model.schedule.t_max)
            noises = model.schedule.t_max * noises
        else:
            times = spaced_times(model.schedule, self.steps)
        parts = []
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            for noise in noises.split(500):
                x_0 = sample(step, denoise, model.schedule, noise.to(device), times)
                parts.append(x_0.float().cpu())
        return torch.cat(parts)

    def __str__(self) -> str:
        clipped = "x_0 clipped" if self.clipped else "x_0 not clipped"
        precision = ", in bf16" if self.bf16 else ""
        how = f"{self.steps} steps evenly spaced"
        if self.on_ladder:
            moves = f"{MOVES} moves" if self.step == "langevin" else "one move"
            how = f"{self.steps} levels of {moves} at rate {self.rate}"
        return f"{self.step}, {how}, {clipped}, seed {self.seed}{precision}"


@dataclass(frozen=True)
class LearnedSteps:
    """How a model of 2015 is sampled: with the steps that it learned, all of them."""

    seed: int = 0
    bf16: bool = False

    def __call__(self, model: ReverseGaussian, shape: tuple[int, ...]) -> Images:
        """Pictures of this shape, drawn in parts of 500 to bound the memory."""
        device, randn_like = next(model.parameters()).device, seeded_randn_like(self.seed)
        parts = []
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            for noise in randn_like(torch.empty(shape)).split(500):
                *_, x_0 = walk_back(model, noise.to(device), randn_like)
                parts.append(x_0.float().cpu())
        return torch.cat(parts)

    def __str__(self) -> str:
        precision = ", in bf16" if self.bf16 else ""
        return f"the learned steps, all of them, seed {self.seed}{precision}"


@dataclass(frozen=True)
class Decoded:
    """How a VAE's pictures are made: z from the prior, then the middle of p(x | z) or a draw."""

    drawn: bool = False
    seed: int = 0

    def __call__(self, model: VAE, shape: tuple[int, ...]) -> Images:
        """Pictures of this shape."""
        generator = torch.Generator().manual_seed(self.seed)
        out = model.decoder(torch.randn(shape[0], model.latent, generator=generator))
        if not self.drawn:
            return out[:, : shape[1]]
        return draw_pixels(out, torch.rand(shape, generator=generator).clamp(1e-6, 1 - 1e-6))

    def __str__(self) -> str:
        what = "a draw from" if self.drawn else "the middle of"
        return f"{what} p(x | z), z from the prior, seed {self.seed}"


@dataclass(frozen=True)
class Styled:
    """How a style generator's pictures are made: one style everywhere, z from the prior."""

    seed: int = 0

    def __call__(self, model: StyleGenerator, shape: tuple[int, ...]) -> Images:
        """Pictures of this shape."""
        generator = torch.Generator().manual_seed(self.seed)
        z = torch.randn(shape[0], model.style, generator=generator)
        return torch.cat([model(part) for part in z.split(100)])

    def __str__(self) -> str:
        return f"one style everywhere, seed {self.seed}"


@dataclass(frozen=True)
class Reference:
    """The data of a model: its name and checksum, and what samples are compared with.

    against   which data set `evaluate` judges by; empty where there are no pictures
    most      how many samples are judged unless told otherwise
    """

    name: str
    sha256: str
    test: Tensor = field(repr=False)
    against: str = ""
    most: int = 0


def digits_reference() -> Reference:
    """The digits: as many samples as there are training pictures to set the floor."""
    train, test = load_digits("train")[0], load_digits("test")[0]
    digest = hashlib.sha256(train.numpy().tobytes()).hexdigest()
    return Reference("digits train", digest, to_unit(test, TOP), "digits", len(train))


def fashion_reference() -> Reference:
    """Fashion-MNIST: as many samples as there are test pictures."""
    test = to_unit(load_fashion_mnist("test")[0])
    digest = checksums()["fashion_mnist/train.png"]["pixels_sha256"]
    return Reference("fashion_mnist train", digest, test, "fashion", len(test))


def main(arguments: list[str] | None = None) -> int:
    """Ship one model. 2 if its weights are there already, or if it has not been trained."""
    options = parse(arguments)
    checkpoint = options.run / CHECKPOINT
    shipped = options.folder / (options.name + SUFFIX)
    if shipped.exists() and not options.replace:
        return fail(f"{shipped.name} is shipped already. To put a new one there, add --replace")
    if not checkpoint.exists():
        return fail(f"no {checkpoint}. Make it: course train {options.name}")
    training = MODELS[options.name]
    model, record = averaged(training.model(), checkpoint)
    model = model.get_submodule(training.part)
    if isinstance(model, NoisyClassifier):
        found: dict[str, Any] = {"accuracy": accuracy(model)}
        return ship_whole(options, training, model, record, fashion_reference(), found)
    if options.name.startswith(("cascade", "palette")) or isinstance(model, Head):
        # Alone a stage or a head draws nothing that could be compared: chapter 18 judges them and
        # the chain, `tools/measure_variance.py` the bits of a variance.
        return ship_whole(options, training, model, record, fashion_reference(), {})
    if options.name.startswith(("unclip", "imagen", "emoji_prior", "emoji_unclip")):
        # Parts of systems, judged as wholes: benchmarks/unclip.py and benchmarks/imagen.py.
        part = training.ships(model)
        return ship_whole(options, training, part, record, learnt_from(training), {})
    if options.name.startswith("world_clip"):
        named = {"named": world_named(model)}
        return ship_whole(options, training, model, record, learnt_from(training), named)
    if options.name == "emoji_latent":
        return ship_painter(options, training, model, record)
    if isinstance(model, Denoiser) and isinstance(model.net, Inpainter):
        # Judged by its edits: benchmarks/glide.py.
        return ship_whole(options, training, model, record, learnt_from(training), {})
    if options.name.startswith("scenes"):
        return ship_reader(options, training, model, record)
    if isinstance(model, CLIP):
        return ship_matcher(options, training, model, record)
    if isinstance(model, Autoencoder):
        return ship_autoencoder(options, training, model, record)
    if options.name in TAUGHT:
        # At which scale? Chapter 17 judges these at many: benchmarks/guidance.py.
        return ship_taught(options, training, model, record)
    if not options.name.startswith(("digits", "fashion")):
        return ship_bound(options, training, model, record)
    reference = digits_reference() if options.name.startswith("digits") else fashion_reference()
    model = model.to(pick_device(options.device))
    sampler: Sampler | Decoded | LearnedSteps | Styled = Sampler(
        options.sampler, options.steps, True, options.seed, options.bf16, options.rate
    )
    if isinstance(model, VAE):
        sampler = Decoded(seed=options.seed)
    if isinstance(model, StyleGenerator):
        sampler = Styled(options.seed)
    if isinstance(model, ReverseGaussian):
        sampler = LearnedSteps(options.seed, options.bf16)
    n = min(options.samples or reference.most, reference.most)
    measured = measure(model, sampler, reference, n)
    if isinstance(model, VAE):
        measured["bits_per_dim"] = likelihood(model, reference.test[:1000])
        drawn = measure(model, Decoded(True, options.seed), reference, n)["metrics"]
        measured["metrics"]["frechet_distance_drawn"] = drawn["frechet_distance"]
    if isinstance(model, ReverseGaussian):
        measured["bound_bits"] = bound(model, reference.test, 256)
    if isinstance(model, Denoiser) and isinstance(model.schedule, DiscreteSchedule):
        measured["bits_per_dim"] = whole_bound(model, reference)
    if options.unclipped:
        free = measure(model, replace(sampler, clipped=False), reference, n)
        measured["unclipped_metrics"] = free["metrics"]
        if "diverged" in free:
            measured["unclipped_diverged"] = free["diverged"]
    if options.plain_langevin:
        plain = replace(sampler, step="langevin", steps=sampler.steps // MOVES)
        measured["plain_langevin"] = measure(model, plain, reference, options.plain_langevin)
    measured["repeats"] = [
        again(options.name, folder, sampler, reference, n, options.unclipped)
        for folder in options.repeats
    ]
    measured["beside"] = {}
    for name, folder in options.beside:
        other, run = averaged(MODELS[name].model(), Path(folder) / CHECKPOINT)
        measured["beside"][name] = measure(other, sampler, reference, n) | {
            "bits_per_dim": whole_bound(other, reference),
            "steps": len(run["losses"]),
        }
    return ship_whole(options, training, model, record, reference, measured)


def ship_taught(
    options: argparse.Namespace, training: Training, model: nn.Module, record: dict[str, Any]
) -> int:
    """Ship a model that was taught labels, or the part of it that its start does not have."""
    data = digits_reference() if options.name.startswith("digits") else fashion_reference()
    if options.name.startswith("garments"):
        data = replace(data, name=f"{data.name} at 14 x 14")
    part, start = training.ships(model), TAUGHT[options.name]
    about = origin(options.name, training, record, data, options.hardware)
    made = f"{about['made']}, from {start} on"
    about |= {"from": start, "made": made if part is model else f"{made}, whose other layers stay"}
    print(save_weights(options.name, part, about, folder=options.folder).name, about["made"])
    return 0


def learnt_from(training: Training, name: str = "drawn scenes, small world") -> Reference:
    """The pictures that a model has learnt from."""
    pixels = training.data()
    return Reference(name, hashlib.sha256(pixels.numpy().tobytes()).hexdigest(), pixels)


def ship_reader(
    options: argparse.Namespace, training: Training, model: nn.Module, record: dict[str, Any]
) -> int:
    """Ship a model that reads captions: the oracle judges it on every caption of its world."""
    reference = learnt_from(training)
    model = model.to(pick_device(options.device))
    side = reference.test.shape[-1]
    found: dict[str, Any] = {"obeyed": obedience(model, side, options.seed), "repeats": []}
    if options.name != "scenes_first":  # the others go on from there
        about = (options.name, training, record, reference, options.hardware)
        first, made = MODELS["scenes_first"], origin(*about)["made"]
        before = f"{first.config.total_steps:,} steps of {first.batch}"
        found |= {"from": "scenes_first", "made": f"{made}, from scenes_first on ({before})"}
    for folder in options.repeats:
        other, run = averaged(MODELS[options.name].model(), folder / CHECKPOINT)
        again = {"seed": run["config"]["seed"]} | obedience(other, side, options.seed)
        found["repeats"].append(again)
    return ship_whole(options, training, model, record, reference, found)


def ship_painter(
    options: argparse.Namespace, training: Training, model: nn.Module, record: dict[str, Any]
) -> int:
    """Ship text to emoji: what a CLIP finds in its pictures of held-out pairs, and the distance."""
    latents = training.data()
    digest = hashlib.sha256(latents.numpy().tobytes()).hexdigest()
    reference = Reference("emoji train, latents of emoji_kl_4", digest, latents)
    found = {"prompted": prompted(model.to(pick_device(options.device)), options.seed)}
    return ship_whole(options, training, model, record, reference, found)


def prompted(
    model: nn.Module, seed: int = 0, scales: Sequence[float] = (1, 2, 3, 5), most: int = 400
) -> dict[str, Any]:
    """Recall and distance of pictures of held-out pairs of design and concept, by the scale.

    real       what the pairs' own pictures score; shuffled: those of scale 3 with others' prompts
    taught     what pictures of about as many training pairs score, at scale 2
    """
    pairs = _some(load_emoji("test_pair", groups=GROUPS), most)
    codes = [concept.code for concept in pairs.concepts]
    found: dict[str, Any] = {"n": len(pairs), "real": _judged(pairs.on(), codes)}
    for scale in scales:
        made = _drawn(model, pairs, scale, seed)
        found[f"{scale:g}"] = _judged(made, codes)
        if scale == 3:
            found["shuffled"] = _recalled(made.roll(len(made) // 2, 0), codes)
    return found | {"taught": taught(model, seed, len(pairs))}


def _judged(pictures: Images, codes: Sequence[str]) -> dict[str, float]:
    """Recall, and the distance from emoji of all kinds, whose floor some kinds cannot reach."""
    distance = frechet_emoji(pictures)
    return _recalled(pictures, codes) | {
        "frechet": round(distance.value, 4),
        "floor": round(distance.floor, 4),
    }


def taught(model: nn.Module, seed: int, most: int) -> dict[str, float]:
    """The recall of pictures of training pairs: no better than of held-out ones if it underfits."""
    pairs = _some(load_emoji("train", groups=GROUPS), most)
    return _recalled(_drawn(model, pairs, 2, seed), [concept.code for concept in pairs.concepts])


def _some(emoji: Emoji, most: int) -> Emoji:
    return emoji.pick(range(0, len(emoji), max(1, math.ceil(len(emoji) / most))))


def _drawn(model: nn.Module, pairs: Emoji, scale: float, seed: int) -> Images:
    told = [prompt(c.label, style) for c, style in zip(pairs.concepts, pairs.styles, strict=True)]
    parts = prompt_tokenizer().batch(told, LENGTH).split(50)
    return torch.cat(
        [
            imagine(model, latent_space(), part, scale=scale, seed=seed + n)
            for n, part in enumerate(parts)
        ]
    )


def _recalled(pictures: Images, codes: Sequence[str]) -> dict[str, float]:
    return {f"R@{k}": round(prompt_recall(pictures, codes, k).value, 4) for k in (1, 5)}


def obedience(
    model: nn.Module,
    side: int,
    seed: int = 0,
    scales: Sequence[int] = (1, 2, 4),
    noises: int = 3,
) -> dict[str, dict[str, Any]]:
    """The share of captions of the small world whose picture obeys, by the scale of guidance.

    train, held_out   claim by claim, averaged over `noises` seeds of noise, from `seed` on
    whole             of all captions, trained or not, those obeyed in every claim, by seed of noise
    """
    every = relations(**SMALL_WORLD)
    captions = [caption(scene) for scene in every]
    trained = torch.tensor([split(scene) == "train" for scene in every])
    device = next(model.parameters()).device
    tokens = caption_tokenizer().batch(captions, CAPTION_LENGTH).to(device)

    def share(verdicts: list[dict[str, bool]]) -> dict[str, float]:
        claims = verdicts[0] if verdicts else ()
        return {c: round(sum(v[c] for v in verdicts) / len(verdicts), 4) for c in claims}

    found: dict[str, dict[str, Any]] = {}
    for scale in scales:
        drawn = [draw(model, tokens, side, scale=scale, seed=seed + n).cpu() for n in range(noises)]
        told = [
            [judge(image, text) for image, text in zip(to_pixels(images), captions, strict=True)]
            for images in drawn
        ]
        found[str(scale)] = {
            "train": share([one[n] for one in told for n in trained.nonzero().flatten()]),
            "held_out": share([one[n] for one in told for n in (~trained).nonzero().flatten()]),
            "whole": [share(one)["all"] for one in told],
        }
    return found


def ship_matcher(
    options: argparse.Namespace, training: Training, model: nn.Module, record: dict[str, Any]
) -> int:
    """Ship a CLIP: what it finds among held-out pictures, and again for other seeds."""
    if isinstance(model, CLIP) and isinstance(model.image, TimedTower):
        named = {"named": names_by_noise(model)}
        return ship_whole(options, training, model, record, learnt_from(training), named)
    name, judge = "drawn scenes, pairs", bound_right
    if options.name.startswith("emoji"):
        name, judge = "emoji train, seven designs, 32 x 32", emoji_found
    others = [averaged(training.model(), run / CHECKPOINT)[0] for run in options.repeats]
    found = {"found": judge(model), "repeats": [judge(other) for other in others]}
    return ship_whole(options, training, model, record, learnt_from(training, name), found)


def ship_autoencoder(
    options: argparse.Namespace, training: Training, model: nn.Module, record: dict[str, Any]
) -> int:
    """Ship an autoencoder of emoji: how near are its copies of unseen ones? It draws nothing."""
    reference = learnt_from(training, "emoji train, seven designs, 64 x 64")
    return ship_whole(options, training, model, record, reference, {"copies": copied(model)})


@torch.no_grad()
def copied(model: Autoencoder) -> dict[str, float | int]:
    """PSNR and LPIPS of copies of all emoji whose concepts were held out, 64 x 64 on white."""
    x = load_emoji("test_concept").on()
    parts = x.split(64)
    made = [model.decode(model.encode(part)).clamp(-1, 1) for part in parts]
    apart = [lpips(a, b) for a, b in zip(made, parts, strict=True)]
    return {
        "psnr": round(psnr(torch.cat(made), x, peak=2.0), 3),
        "lpips": round(float(torch.cat(apart).mean()), 5),
        "n": len(x),
    }


@torch.no_grad()
def emoji_found(model: CLIP) -> dict[str, dict[str, float]]:
    """How often held-out emoji find their label among all: R@1, R@5, R@10."""
    found = {}
    for held_out in ("test_pair", "test_concept"):
        real = load_emoji(held_out)
        images, codes = real.on(size=32), [concept.code for concept in real.concepts]
        found[held_out] = {
            f"R@{k}": round(float(labels_found(model, images, codes, k).mean()), 4)
            for k in (1, 5, 10)
        }
    return found


@torch.no_grad()
def names_by_noise(model: CLIP, n: int = 1000) -> dict[str, float]:
    """How often the own caption of a new scene of the small world is the best of all 72, by t."""
    pictures, own = draw_scenes(n, "all", size=16, seed=7, tasks=("relation",), **SMALL_WORLD)
    captions, x_0 = [caption(scene) for scene in relations(**SMALL_WORLD)], to_unit(pictures)
    texts = model.embed_texts(caption_tokenizer().batch(captions, CAPTION_LENGTH))
    answer = torch.tensor([captions.index(text) for text in own])
    fresh, found = seeded_randn_like(0), {}
    for t in (0, 200, 400, 600, 800):
        now = torch.full((n,), t)
        alpha, sigma = cosine()(now, like=x_0)
        scores = model.embed_images(alpha * x_0 + sigma * fresh(x_0), now) @ texts.T
        found[str(t)] = round(float(recall_at(scores, 1, answer).mean()), 4)
    return found


@torch.no_grad()
def world_named(model: CLIP, n: int = 720) -> dict[str, float]:
    """How often a new scene of the small world at 32 x 32 finds its own caption of all 72.

    R@1          the own caption is the best of all; chance is 1 in 72
    its swap     it is told from the caption whose shapes have changed places; chance is one half
    other way    and from the one whose two things have
    """
    pictures, own = draw_scenes(n, "all", size=32, seed=7, tasks=("relation",), **SMALL_WORLD)
    captions, x = [caption(scene) for scene in relations(**SMALL_WORLD)], to_unit(pictures)
    told = (torch.zeros(n),) if isinstance(model.image, TimedTower) else ()
    images = model.embed_images(x, *told)
    texts = model.embed_texts(caption_tokenizer().batch(captions, CAPTION_LENGTH))
    at = [captions.index(text) for text in own]
    scenes = [parse_caption(text) for text in own]
    swaps = [captions.index(caption(swapped(one))) for one in scenes]
    turned = [
        captions.index(caption(replace(one, first=one.second, second=one.first))) for one in scenes
    ]
    return {
        "R@1": round(float(recall_at(images @ texts.T, 1, torch.tensor(at)).mean()), 4),
        "its swap": round(float(told_apart(images, texts[at], texts[swaps]).mean()), 4),
        "other way": round(float(told_apart(images, texts[at], texts[turned]).mean()), 4),
    }


@torch.no_grad()
def bound_right(model: CLIP, n: int = 1000) -> dict[str, dict[str, float]]:
    """How often the caption of a scene of two things beats its swap, and R@1 of n captions."""
    found = {}
    for part in ("train", "test_pair"):
        images, captions = draw_scenes(n, part, tasks=("pair",), seed=5)
        others = [caption(swapped(parse_caption(text))) for text in captions]
        u = model.embed_images(images / 127.5 - 1)
        v, w = (
            model.embed_texts(caption_tokenizer().batch(texts, CAPTION_LENGTH))
            for texts in (captions, others)
        )
        shares = {"told apart": told_apart(u, v, w), "R@1": recall_at(u @ v.T)}
        found[part] = {name: round(float(one.mean()), 4) for name, one in shares.items()}
    return found


def ship_whole(
    options: argparse.Namespace,
    training: Training,
    model: nn.Module,
    record: dict[str, Any],
    reference: Reference,
    measured: dict[str, Any],
) -> int:
    """Write weights and manifest: where the model comes from, and what was measured of it."""
    about = origin(options.name, training, record, reference, options.hardware) | measured
    path = save_weights(options.name, model, about, bits=options.bits, folder=options.folder)
    print(json.dumps(about, indent=2, ensure_ascii=False))
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


@torch.no_grad()
def accuracy(model: NoisyClassifier, n: int = 2000) -> dict[str, float]:
    """Share of unseen garments that are named rightly, by the time up to which they are noised."""
    pixels, labels = load_fashion_mnist("test")
    x_0, labels, randn_like = to_unit(pixels[:n]), labels[:n], seeded_randn_like(0)
    shares = {}
    for t in (0, 100, 200, 300, 500, 700, 1000):
        now = torch.full((n,), t)
        alpha, sigma = linear()(now, like=x_0)
        guess = model(alpha * x_0 + sigma * randn_like(x_0), now).argmax(1)
        shares[str(t)] = round(float((guess == labels).double().mean()), 4)
    return shares


def ship_bound(
    options: argparse.Namespace, training: Training, model: nn.Module, record: dict[str, Any]
) -> int:
    """Ship a model of bits or points, measured by the bound K on fresh data."""
    data = training.data()
    digest = hashlib.sha256(data.numpy().tobytes()).hexdigest()
    reference = Reference(f"{options.name} data", digest, data)
    found = {"bound_bits": bound(model, data, options.samples or 4000)}
    return ship_whole(options, training, model, record, reference, found)


def bound(model: nn.Module, data: Tensor, n: int) -> dict[str, float | int]:
    """K in bits per example, over n examples and every step, with its standard error."""
    rows = torch.randint(len(data), (n,), generator=torch.Generator().manual_seed(1))
    x_0 = data[rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if isinstance(model, BitDenoiser):
            bits = discrete.ends_bits(model.schedule, x_0)
            for t in range(2, model.schedule.T + 1):
                now = torch.full((n,), t)
                x_t = torch.bernoulli(discrete.marginal(model.schedule, x_0, now)).float()
                bits = bits - discrete.step_bits(model, model.schedule, x_0, x_t, now)
        else:
            bits = bound_bits(model, x_0)
    return {"value": float(bits.mean()), "error": float(bits.std() / n**0.5), "n": n}


def whole_bound(model: Denoiser, reference: Reference, draws: int = 16) -> dict[str, float | int]:
    """The bound of all steps on unseen pictures, with both variances, and its standard error."""
    levels = TOP + 1 if reference.name.startswith("digits") else 256
    entry: dict[str, float | int] = {"draws_per_step": draws}
    for variance in ("small", "large"):
        noise = seeded_randn_like(0)
        bits, _ = bound_terms(model, model.schedule, reference.test, levels, draws, variance, noise)
        total = bits.mean(1).sum() + prior_bits(model.schedule, reference.test).mean()
        entry[variance] = round(float(total), 4)
        entry[f"{variance}_error"] = round(float((bits.var(1) / draws).sum().sqrt()), 4)
    return entry


def averaged(model: nn.Module, checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model with the averaged weights of a checkpoint, and the record of the run."""
    with safe_open(checkpoint, framework="pt") as file:
        record = json.loads(file.metadata()["run"])
        prefix = "ema.module."
        names = [name for name in file.keys() if name.startswith(prefix)]
        model.load_state_dict({name.removeprefix(prefix): file.get_tensor(name) for name in names})
    return model.eval().requires_grad_(False), record


def likelihood(model: VAE, images: Images, k: int = 256, widen: float = 2.0) -> dict[str, float]:
    """What 8-bit pixels cost: the negative ELBO, and the bound with k draws for each picture.

    The draws are `widen` times as wide as the encoder asks, which tightens the bound on pictures
    that it has not seen.
    """
    per_bit, generator = images[0].numel() * math.log(2), torch.Generator().manual_seed(0)
    elbo = iwae = 0.0
    for part in images.split(100):
        eps = torch.randn(k, len(part), model.latent, generator=generator)
        elbo -= float(log_weights(model, part, eps[:16]).mean(0).sum())
        iwae -= float(iwae_bound(model, part, eps, widen).sum())
    bits = {"elbo": elbo / per_bit / len(images), "iwae": iwae / per_bit / len(images)}
    return {name: round(value, 4) for name, value in bits.items()} | {
        "k": k,
        "widen": widen,
        "n": len(images),
    }


def measure(
    model: nn.Module,
    sampler: Sampler | Decoded | LearnedSteps | Styled,
    reference: Reference,
    n: int,
) -> dict[str, Any]:
    """Judge n samples by the course's recipe, against the whole test set.

    No metrics if a sample holds a number that is not finite: the walk has diverged.
    """
    started = time.perf_counter()
    images = sampler(model, (n, *reference.test.shape[1:]))
    seconds = time.perf_counter() - started
    about: dict[str, Any] = {"sampler": str(sampler), "sampling_seconds": round(seconds, 1)}
    if lost := n - int(images.flatten(1).isfinite().all(1).sum()):
        # Infinite pixels have no distance to anything: say so in place of a number.
        return about | {"metrics": None, "diverged": f"{lost:,} of {n:,} samples"}
    found = evaluate(images, reference.against, pictures=len(reference.test))
    metrics: dict[str, Any] = {
        "frechet_distance": as_entry(found.frechet),
        "kernel_distance": as_entry(found.kernel),
        "precision": as_entry(found.precision),
        "recall": as_entry(found.recall),
        "copies": as_entry(found.copies),
        "class_shares": [round(share, 4) for share in found.class_shares],
    }
    return about | {"metrics": metrics}


def again(
    name: str, run: Path, sampler: Sampler, reference: Reference, n: int, unclipped: bool
) -> dict[str, float | int | None]:
    """Fréchet distances of another run of the same training, which differs in its seed alone."""
    model, record = averaged(MODELS[name].model(), run / CHECKPOINT)
    entry: dict[str, float | int | None] = {"seed": record["config"]["seed"]}
    for clipped in (True, False) if unclipped else (sampler.clipped,):
        scores = measure(model, replace(sampler, clipped=clipped), reference, n)["metrics"]
        value = scores["frechet_distance"]["value"] if scores else None
        entry["clipped" if clipped else "unclipped"] = value
    return entry


def origin(
    name: str,
    training: Training,
    record: dict[str, Any],
    reference: Reference,
    hardware: str,
) -> dict[str, Any]:
    """Where the weights come from: run, data, code and machine, the last one in words."""
    steps, seconds = len(record["losses"]), record["seconds"]
    return {
        "recipe": f"course_lib.trainings {name}",
        "revision": revision(),
        "data": reference.name,
        "data_sha256": reference.sha256,
        "steps": steps,
        "batch": training.batch,
        "images_seen": steps * training.batch,
        "config": record["config"],
        "last_loss": round(sum(record["losses"][-200:]) / len(record["losses"][-200:]), 5),
        "seconds": round(seconds, 1),
        "hardware": hardware,
        "made": f"{steps:,} steps of {training.batch} in {seconds / 60:.0f} minutes on {hardware}",
    }


def as_entry(score: Measured) -> dict[str, float | int]:
    """A metric as the manifest holds it."""
    return {"value": round(score.value, 4), "floor": round(score.floor, 4), "n": score.n}


def revision() -> str:
    """The commit the code stands at; "+" if files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "course_lib", "tools")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(MODELS), metavar="NAME", help="which training")
    parser.add_argument("--run", type=Path, help="folder of its run (default: runs/train/NAME)")
    parser.add_argument(
        "--sampler", choices=sorted(STEPS), default="ddpm", help="which step (ddpm)"
    )
    parser.add_argument("--steps", type=int, default=100, help="how many steps (100)")
    parser.add_argument("--rate", type=float, default=0.2, help="of moves on a ladder (0.2)")
    parser.add_argument(
        "--plain-langevin",
        type=int,
        metavar="N",
        help="measure N samples of plain Langevin dynamics too, with as many calls",
    )
    parser.add_argument("--unclipped", action="store_true", help="measure without clipping too")
    parser.add_argument(
        "--repeats", type=Path, nargs="*", default=[], help="runs with other seeds, to measure too"
    )
    parser.add_argument(
        "--beside",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "RUN"),
        help="another training and the folder of its run, to measure too but not to ship",
    )
    parser.add_argument("--samples", type=int, help="how many (default: as many as real ones)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--bf16", action="store_true", help="sample in bf16; for CPUs with AMX")
    parser.add_argument("--hardware", default="one CPU thread", help="what it was trained on")
    parser.add_argument("--bits", type=int, default=8, help="of each weight, 5 to 8 (8)")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where to put the weights")
    parser.add_argument("--replace", action="store_true", help="replace weights that are there")
    options = parser.parse_args(arguments)
    options.run = options.run or ROOT / "runs" / "train" / options.name
    return options


def fail(words: str) -> int:
    print(f"ship weights: {words}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
