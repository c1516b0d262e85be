"""Views of emoji and what a text-to-image model is told of them.

A drawing of which there is one copy is learnt by heart. So a model is shown *views*: mirrored, on
many grounds, now and then in another colour, and each is described as people would: with or without
the design, an article, the ground; sometimes by another word for the thing. Chapter 24's data.
"""

import math
from colorsys import rgb_to_hsv
from random import Random

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from course_lib.data.emoji import COLOURS, Emoji, colour_shares, prompt, with_article

HUES = ("red", "orange", "yellow", "green", "blue", "purple", "pink")

# Recoloured views that no model is shown, so that one can ask for them: `tools/draw_prompts.py`.
UNSEEN = {"cat face": "red", "banana": "blue", "pig face": "green"}


def view(emoji: Emoji, rng: Random) -> tuple[UInt8[Tensor, "n 3 64 64"], list[str]]:
    """One view of each emoji and its prompt.

    One view in two is mirrored, three in four stand on a ground that is named and has none of the
    picture's colours, the rest on white. Of those with one clear colour, three in ten have another,
    which is named. Of the prompts one in five leaves out the design, one in ten has another word
    for the thing, one in twenty the design alone; a third of the labels have an article.
    """
    pictures, told = [], []
    for n, concept in enumerate(emoji.concepts):
        picture, colours, label = emoji.images[n], emoji.colours[n], concept.label
        if rng.random() < 0.1 and concept.tags:
            label = rng.choice(concept.tags)
        elif rng.random() < 0.3:
            picture, colours, label = recoloured(picture, colours, label, rng)
        free = [name for name in COLOURS if name not in colours and name != "white"]
        ground = rng.choice(free) if rng.random() < 0.75 else ""
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if rng.random() < 1 / 3:
            label = with_article(label)
        kind = rng.random()
        if kind < 0.05:
            label = ""
        told.append(prompt(label, "" if kind > 0.8 else emoji.styles[n], ground))
        cover = picture[..., 3:].astype(np.float32) / 255
        under = np.array(COLOURS[ground] if ground else (255, 255, 255), np.float32)
        pictures.append((picture[..., :3] * cover + under * (1 - cover)).round().astype(np.uint8))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), told


def recoloured(
    picture: UInt8[np.ndarray, "height width 4"],
    colours: tuple[str, ...],
    label: str,
    rng: Random,
) -> tuple[UInt8[np.ndarray, "height width 4"], tuple[str, ...], str]:
    """The picture in another colour that is put before its label: "blue croissant".

    Comes back unchanged if its label names a colour, if its first colour is none of `HUES`, or if
    the other colour does not cover most of the result.

    colours   the picture's, largest first, as in `Emoji`
    """
    if not colours or colours[0] not in HUES or any(name in label.split() for name in COLOURS):
        return picture, colours, label
    wanted = rng.choice([name for name in HUES if name not in colours])
    if UNSEEN.get(label) == wanted:
        return picture, colours, label
    other = turned(picture, _hue(wanted) - _hue(colours[0]))
    found = dict(zip(COLOURS, colour_shares(other[::4, ::4]), strict=True))
    if found[wanted] < 0.5:
        return picture, colours, label
    has = tuple(name for name, share in found.items() if share > 0.2)
    return other, has, f"{wanted} {label}"


def turned(
    picture: UInt8[np.ndarray, "height width 4"], angle: float
) -> UInt8[np.ndarray, "height width 4"]:
    """All colours turned by an angle about the axis of greys, which stay what they are."""
    cosine, sine = math.cos(angle), math.sin(angle) / math.sqrt(3)
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = cosine * np.eye(3) + (1 - cosine) / 3 + sine * across
    out = picture.copy()
    out[..., :3] = (picture[..., :3] @ turn.T).round().clip(0, 255)
    return out


def _hue(name: str) -> float:
    red, green, blue = COLOURS[name]
    return 2 * math.pi * rgb_to_hsv(red / 255, green / 255, blue / 255)[0]
