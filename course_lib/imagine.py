"""Pictures for whatever you type: what `course imagine` and the widget of chapter 27 call.

The painter is the course's text-to-emoji system (chapters 23 to 25), with its shipped weights. A
picture knows how it was made: `save_png` writes its settings into the file, `settings_in` reads
them back.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from course_lib.core.noise import shared_randn_like
from course_lib.core.tensors import atomic_write, to_pixels
from course_lib.core.types import Data
from course_lib.data.emoji import COLOURS, STYLES, load_emoji, prompt, with_article
from course_lib.diffusion.samplers import ddim_step
from course_lib.models.latent import LENGTH
from course_lib.models.text_to_image import TextToImage, draw, emoji_system
from course_lib.models.tokenizer import remarks
from course_lib.trainings import GROUPS, latent_space, prompt_tokenizer, trained

if TYPE_CHECKING:
    from course_lib.widgets.prompt_box import PromptBox

SIDE = 64  # pixels
ACROSS = 4  # pictures in a row of a sheet
MOST_STEPS, MOST_GUIDANCE, MOST_ENLARGED = 1000, 20.0, 32
KEY = "course imagine"  # of the text chunk in a PNG

Picture = UInt8[Tensor, "3 height width"]
Progress = Callable[[int, int], None]  # steps done, steps in all


@dataclass(frozen=True)
class Settings:
    """All that a picture depends on, beside the weights.

    prompt           any text; `notes` says what of it is not read
    negative         what guidance leads away from: "" is no prompt at all
    guidance_scale   1 follows the prompt as the data does, more insists
    steps            of DDIM
    seed             of the noise

    Raises ValueError for a guidance scale outside of 0..20, steps outside of 1..1000, and a seed
    below 0.
    """

    prompt: str
    negative: str = ""
    guidance_scale: float = 3.0
    steps: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.guidance_scale <= MOST_GUIDANCE:
            raise ValueError(
                f"guidance must be 0 to {MOST_GUIDANCE:g}, got {self.guidance_scale}; 3 is usual"
            )
        if not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(f"steps must be 1 to {MOST_STEPS}, got {self.steps}; 25 are enough")
        if self.seed < 0:
            raise ValueError(f"a seed is 0 or more, got {self.seed}")


@cache
def painter() -> TextToImage:
    """The system that draws, with shipped weights. It is loaded once."""
    return emoji_system(trained("emoji_latent"), latent_space(), prompt_tokenizer())


@cache
def known_pieces() -> frozenset[int]:
    """The pieces of all that the painter was told of: labels, other words, designs, grounds."""
    shown = set(load_emoji("train", groups=GROUPS).concepts)
    words = [word for concept in shown for word in (concept.label, *concept.tags)]
    told = words + [with_article(word) for word in words]
    told += [prompt("", style, ground) for style in STYLES for ground in COLOURS]
    return frozenset(piece for text in set(told) for piece in prompt_tokenizer().encode(text))


def notes(settings: Settings) -> list[str]:
    """What the painter will not read of the prompts, or has never met, in words."""
    told = remarks(prompt_tokenizer(), settings.prompt, LENGTH, known_pieces())
    if settings.negative:
        more = remarks(prompt_tokenizer(), settings.negative, LENGTH, known_pieces())
        told += [f"of the negative prompt: {one}" for one in more]
    return told


def imagine(
    settings: Settings, count: int = 1, progress: Progress | None = None
) -> UInt8[Tensor, "count 3 side side"]:
    """Draw `count` pictures, of the seeds from `settings.seed` on.

    Each is drawn by itself, so it is the same alone and among others, and from the noise that the
    website's page draws from that seed: the same settings are the same picture there.

    Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}")
    system, done = painter(), 0
    told = (lambda done, of: None) if progress is None else progress

    def step(*given: Any) -> Data:
        nonlocal done
        z = ddim_step(*given)
        done += 1
        told(done, count * settings.steps)
        return z

    pictures = [
        draw(
            system,
            [settings.prompt],
            height=SIDE,
            width=SIDE,
            negative=settings.negative,
            scale=settings.guidance_scale,
            steps=settings.steps,
            randn_like=shared_randn_like(settings.seed + n),
            step=step,
        )
        for n in range(count)
    ]
    return to_pixels(torch.cat(pictures))


def box(settings: Settings, count: int = 4) -> "PromptBox":
    """A widget in which a prompt is typed and drawn; `count` pictures, of seeds in a row.

    Raises ValueError for a count outside of 1..8.
    """
    from course_lib.widgets.prompt_box import PromptBox  # the command needs no widget

    return PromptBox(settings, imagine, notes, count)


def sheet(pictures: UInt8[Tensor, "n 3 side side"], enlarge: int = 1) -> Picture:
    """Pictures in rows of four, each pixel `enlarge` times as wide and high; free places are white.

    Raises ValueError for no pictures, or for enlarge outside of 1..32.
    """
    if not len(pictures) or not 1 <= enlarge <= MOST_ENLARGED:
        raise ValueError(f"got {len(pictures)} pictures to be enlarged by {enlarge} (1 to 32)")
    across = min(ACROSS, len(pictures))
    free = -len(pictures) % across
    white = torch.full((free, *pictures.shape[1:]), 255, dtype=torch.uint8)
    rows = torch.cat([pictures, white]).unflatten(0, (-1, across))
    whole = rows.permute(2, 0, 3, 1, 4).flatten(1, 2).flatten(2, 3)
    return whole.repeat_interleave(enlarge, 1).repeat_interleave(enlarge, 2)


def save_png(path: str | Path, picture: Picture, settings: Settings, count: int = 1) -> None:
    """Write a picture or a sheet, with the settings in it; whole or not at all.

    Raises FileExistsError rather than overwrite.
    """
    path = Path(path)
    about = PngInfo()
    record = asdict(settings) | {"count": count, "model": painter().name}
    about.add_itxt(KEY, json.dumps(record, ensure_ascii=False))
    packed = io.BytesIO()
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    Image.fromarray(pixels).save(packed, "PNG", optimize=True, pnginfo=about)
    try:
        atomic_write(path, packed.getvalue(), new=True)
    except FileExistsError as error:
        raise FileExistsError(f"{path} is there already, and is left as it is") from error


def settings_in(path: str | Path) -> tuple[Settings, int]:
    """The settings that a PNG of `save_png` was made with, and how many pictures it shows.

    Raises ValueError for a file without them, and FileNotFoundError where there is none.
    """
    try:
        with Image.open(path) as image:
            record = json.loads(getattr(image, "text", {})[KEY])
        count = record.pop("count")
        record.pop("model")
        return Settings(**record), count
    except FileNotFoundError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not say how it was drawn ({error})") from error
