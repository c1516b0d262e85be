"""What does unCLIP's prior buy, what does a CLIP vector hold, and what does it leave out?

    python benchmarks/unclip.py                     every row and seed; goes on where it stopped
    python benchmarks/unclip.py --only vector --seeds 1 --out look.json

Chapter 26 reads the file. Rows, each measured for all 72 captions of the small world at 32 x 32 and
some seeds of noise:

vector/FROM       the decoder is given vectors: "image", of a real picture of the caption; "prior",
                  the better of two draws; "one draw"; "mean", the prior's first guess, which is
                  the mean; "numbers", said code by code; "numbers, not told" a dot product; "text",
                  the caption's own vector as if it were a picture's; "none", a vector of zeros and
                  the caption alone. "+ caption": the decoder reads the caption too
guided/PRIOR/DECODER   the same for "prior" at scales of both
binding/CLIP      pictures from vectors of real scenes, by a CLIP that reads a sequence or a bag
edit/WEIGHT       a text diff: the picture of a scene is to become one with the shapes swapped
vary/ETA          variations: how far the vector and the pixels are from the original's
emoji/FROM        200 held-out pairs of design and concept by `emoji_unclip`: told the prompt alone
                  ("none"), a vector and no prompt, or both ("+ caption"). R@1 and R@5 among all
                  labels by a CLIP that is not the one the vectors are of, and by the one that is
"""

import argparse
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from world import MEASURED, STEPS, Book, captions, claims, distance, ids, model, pictures_of, score

from course_lib.core.tensors import seeded_randn_like, to_unit
from course_lib.data.drawbench import Prompt
from course_lib.data.emoji import Emoji, label_embeddings, load_emoji, prompt
from course_lib.data.scenes import caption, draw_captions, swapped
from course_lib.evaluation import frechet_emoji, labels_found
from course_lib.models.captions import empty
from course_lib.models.cascade import shrink
from course_lib.models.clip import ImageTower
from course_lib.models.latent import LENGTH
from course_lib.models.unclip import (
    NumberPrior,
    decode,
    draw_vectors,
    noise_of,
    redraw,
    say_vectors,
    text_diff,
)
from course_lib.trainings import (
    GROUPS,
    at_hand,
    clip_of,
    clip_texts,
    latent_space,
    prompt_tokenizer,
)

NUMBERS = MEASURED / "unclip.json"
SOURCES = ("image", "prior", "one draw", "mean", "numbers", "numbers, not told", "text", "none")
EMOJI = ("image", "prior", "text")
KINDS = ("vector", "guided", "binding", "edit", "vary", "emoji")
ETAS, WEIGHTS = (0.0, 0.5, 1.0), (0.0, 0.25, 0.5, 0.75)


def real(seed: int) -> Tensor:
    """A picture of each caption that no model has seen."""
    return to_unit(draw_captions([one.text for one in captions()], seed=500 + seed))


@torch.no_grad()
def vectors_from(source: str, seed: int, scale: float = 1.0) -> Tensor:
    """A vector for each caption."""
    told = clip_texts(ids([one.text for one in captions()]))
    prior = model("unclip_prior")
    if source == "image":
        return clip_of().embed_images(real(seed))
    if source == "text":
        return told[0]
    if source == "none":
        return torch.zeros_like(told[0])
    if source == "mean":  # at t = T the input says nothing, and the answer is the mean
        now = torch.full((len(told[0]),), prior.schedule.T)
        names = dict(zip(("text_vector", "states", "there"), told, strict=True))
        noise = seeded_randn_like(seed)
        guesses = [prior(noise(told[0]), now, **names) for _ in range(8)]
        return torch.nn.functional.normalize(torch.stack(guesses).mean(0), dim=1)
    if source.startswith("numbers"):
        net = at_hand("unclip_numbers")
        assert isinstance(net, NumberPrior)
        return say_vectors(net, *told, scale=scale, told="not" not in source, seed=seed)
    count = 2 if source == "prior" else 1
    return draw_vectors(prior, *told, candidates=count, scale=scale, steps=STEPS, seed=seed)


@torch.no_grad()
def judged(
    vectors: Tensor, seed: int, texts: list[str] | None, scale: float, decoder: str
) -> dict[str, Any]:
    """Pictures of vectors, by every judge."""
    made = pictures_of(vectors, texts, scale, seed, decoder=decoder)
    asked = captions()
    train = [n for n, one in enumerate(asked) if one.kind == "taught"]
    new = [n for n, one in enumerate(asked) if one.kind == "new"]
    said = clip_texts(ids([one.text for one in asked]))[0]
    # Among all 72 captions, does the given vector find its own?
    right = (vectors @ said.T).argmax(1) == torch.arange(len(asked))
    return {
        "oracle": claims(made, asked),
        "taught": claims(made[train], [asked[n] for n in train])["all"],
        "new": claims(made[new], [asked[n] for n in new])["all"],
        "score": score(made, [one.text for one in asked]),
        "vector · text": round(float((vectors * said).sum(1).mean()), 4),
        "vector names its caption": round(float(right.float().mean()), 4),
        "vector · picture's": round(
            float((vectors * clip_of().embed_images(made)).sum(1).mean()), 4
        ),
    } | distance(made)


@torch.no_grad()
def bound(clip: str, seed: int) -> dict[str, float]:
    """Which claims live through a CLIP's vector? Real scenes to vectors to pictures."""
    tower = clip_of(clip)
    assert isinstance(tower.image, ImageTower)
    decoder = "unclip_decoder" + clip.removeprefix("world_clip")
    made = pictures_of(tower.embed_images(real(seed)), None, 2.0, seed, decoder=decoder)
    return claims(made, captions())


@torch.no_grad()
def edited(weight: float, seed: int) -> dict[str, Any]:
    """From a picture of each caption to one with the shapes swapped, by a text diff."""
    pairs = [(one, swapped(one.scene)) for one in captions()]
    x = real(seed)
    before, after = (
        clip_texts(ids([caption(scene) for scene in scenes]))[0]
        for scenes in zip(*((one.scene, other) for one, other in pairs), strict=True)
    )
    v = clip_of().embed_images(x)
    small, tokens, decoder = shrink(x), empty(ids(["a"] * len(x))), model("unclip_decoder")
    x_T = noise_of(decoder, small, v, tokens)
    turned = text_diff(v, before, after, weight) if weight else v
    made = redraw(decoder, x_T, turned, tokens, scale=2.0 if weight else 1.0)
    kept = [Prompt(caption(one.scene), one.scene, "") for one, _ in pairs]
    new = [Prompt(caption(other), other, "") for _, other in pairs]
    return {
        "as it was": claims(made.clamp(-1, 1), kept)["all"],
        "as asked": claims(made.clamp(-1, 1), new)["all"],
        "moved": round(float((made - small).square().mean().sqrt()), 4),
    }


@torch.no_grad()
def varied(eta: float, seed: int) -> dict[str, float]:
    """Pictures, their vectors and their noise: what stays and what moves with eta?"""
    x = real(seed)
    v, small = clip_of().embed_images(x), shrink(x)
    tokens, decoder = empty(ids(["a"] * len(x))), model("unclip_decoder")
    x_T = noise_of(decoder, small, v, tokens)
    made = redraw(decoder, x_T, v, tokens, eta=eta, seed=seed).clamp(-1, 1)
    others = small.roll(len(small) // 2, 0)
    up = torch.nn.functional.interpolate(made, size=32, mode="bilinear", align_corners=False)
    again = clip_of().embed_images(up)
    return {
        "vector · original's": round(float((again * v).sum(1).mean()), 4),
        "vector · another's": round(float((again * v.roll(len(v) // 2, 0)).sum(1).mean()), 4),
        "pixels from the original": round(float((made - small).square().mean().sqrt()), 4),
        "pixels from another": round(float((made - others).square().mean().sqrt()), 4),
        "oracle": claims(made, captions())["all"],
    }


@cache
def pairs() -> Emoji:
    """200 held-out pairs."""
    every = load_emoji("test_pair", groups=GROUPS)
    return every.pick([int(n) for n in torch.linspace(0, len(every) - 1, 200)])


@torch.no_grad()
def emoji_from(source: str, seed: int) -> Tensor:
    """A vector of `emoji_clip` for each of `pairs`."""
    clip, emoji = clip_of("emoji_clip"), pairs()
    if source == "image":
        return clip.embed_images(emoji.on(size=32))
    labels = label_embeddings()
    text = clip.embed_texts(torch.stack([labels[one.code] for one in emoji.concepts]))
    if source == "text":
        return text
    if source == "none":
        return torch.zeros_like(text)
    painter = at_hand("emoji_latent").get_submodule("net")
    tokens = emoji_prompts()
    told = text, painter.tower(tokens), painter.tower.mask(tokens)
    return draw_vectors(model("emoji_prior"), *told, seed=seed)


def emoji_prompts() -> Tensor:
    """The prompts of `pairs` in pieces."""
    emoji = pairs()
    told = zip(emoji.concepts, emoji.styles, strict=True)
    return prompt_tokenizer().batch([prompt(c.label, style) for c, style in told], LENGTH)


@torch.no_grad()
def painted(source: str, with_text: bool, seed: int) -> dict[str, Any]:
    """Emoji of vectors, of prompts, or of both."""
    vectors, tokens, space = emoji_from(source, seed), emoji_prompts(), latent_space()
    tokens = tokens if with_text else empty(tokens)
    made = []
    for n, (v, ids_) in enumerate(zip(vectors.split(50), tokens.split(50), strict=True)):
        like = torch.empty(len(v), 4, 16, 16)
        told = {"scale": 3.0, "steps": 20, "seed": 100 * seed + n, "limit": None}
        z = decode(model("emoji_unclip"), v, ids_, like, **told)
        made.append(space.decode(z).clamp(-1, 1))
    pictures = torch.cat(made)
    small = torch.nn.functional.avg_pool2d(pictures, 2)
    codes = [one.code for one in pairs().concepts]
    found = {}
    for name in ("emoji_clip_judge", "emoji_clip"):
        for k in (1, 5):
            share = labels_found(clip_of(name), small, codes, k).mean()
            found[f"R@{k}, {name}"] = round(float(share), 4)
    far = frechet_emoji(pictures)
    return found | {"FD": round(far.value, 4), "floor": round(far.floor, 4)}


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=NUMBERS)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    book, texts = Book(options.out), [one.text for one in captions()]

    def wanted(kind: str) -> bool:
        return options.only in (None, kind)

    for seed in range(options.seeds):
        for source in SOURCES if wanted("vector") else ():
            for told in (None, texts) if source != "none" else (texts,):
                name = source + (" + caption" if told and source != "none" else "")
                book.enter(
                    f"vector/{name}/{seed}",
                    lambda source=source, told=told, seed=seed: judged(
                        vectors_from(source, seed), seed, told, 2.0, "unclip_decoder"
                    ),
                )
        for prior in (1.0, 2.0, 4.0) if wanted("guided") else ():
            for decoder in (1.0, 2.0, 4.0, 8.0):
                book.enter(
                    f"guided/{prior:g}/{decoder:g}/{seed}",
                    lambda prior=prior, decoder=decoder, seed=seed: judged(
                        vectors_from("prior", seed, prior), seed, None, decoder, "unclip_decoder"
                    ),
                )
        for clip in ("world_clip", "world_clip_bag") if wanted("binding") else ():
            book.enter(f"binding/{clip}/{seed}", lambda clip=clip, seed=seed: bound(clip, seed))
        for weight in WEIGHTS if wanted("edit") else ():
            book.enter(
                f"edit/{weight:g}/{seed}", lambda weight=weight, seed=seed: edited(weight, seed)
            )
        for eta in ETAS if wanted("vary") else ():
            book.enter(f"vary/{eta:g}/{seed}", lambda eta=eta, seed=seed: varied(eta, seed))
        ways = [("none", True), *((one, told) for one in EMOJI for told in (False, True))]
        for source, told in ways if wanted("emoji") else ():
            name = source + (" + caption" if told and source != "none" else "")
            book.enter(
                f"emoji/{name}/{seed}",
                lambda source=source, told=told, seed=seed: painted(source, told, seed),
            )


if __name__ == "__main__":
    main()
