"""Draw 64 fixed prompts with the text-to-emoji model: `docs/prompts.png` and `docs/prompts.md`.

python tools/draw_prompts.py

Whoever looks at the sheet says what the pictures show: `--follow 1,2 --near 7,9` writes it into the
list that is kept beside the sheet. Drawing anew forgets it: it was said of other pictures.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from course_lib import trainings
from course_lib.core.tensors import atomic_write, to_pixels
from course_lib.data.emoji import load_emoji, prompt
from course_lib.data.files import ROOT
from course_lib.models.latent import LENGTH, imagine

ACROSS, SCALE, STEPS = 8, 3.0, 25
# Two words that a concept of the data has, put together as no emoji has them; and plain speech.
INVENTED = (
    "red cat face",
    "blue banana",
    "green pig face",
    "purple apple",
    "a dog with sunglasses",
    "a frog and a banana",
    "ghost with heart-eyes",
    "a strawberry with a smiling face",
)


def prompts() -> list[tuple[str, str]]:
    """Eight rows of eight: what is asked of the model, and the prompt.

    Four rows are pairs of design and concept that no training had, one is concepts that no design
    of the training has, one names a trained concept and no design, one a ground, one is invented.
    """
    pairs = load_emoji("test_pair", groups=trainings.GROUPS)
    kinds = [
        ("held-out pair", prompt(pairs.concepts[n].label, pairs.styles[n]))
        for n in _spread(len(pairs), 32)
    ]
    new, taught = _labels("test_concept"), _labels("train")
    kinds += [("held-out concept", prompt(new[n])) for n in _spread(len(new), 8)]
    grounds = ("blue", "black", "yellow", "pink", "green", "orange", "purple", "gray")
    some = [taught[n] for n in _spread(len(taught), 16)]
    kinds += [("no design", prompt(label)) for label in some[::2]]
    kinds += [
        ("named ground", prompt(label, "", ground))
        for label, ground in zip(some[1::2], grounds, strict=True)
    ]
    return kinds + [("invented", text) for text in INVENTED]


def _labels(split: str) -> list[str]:
    """The labels of the kinds that the model draws, each once."""
    concepts = load_emoji(split, groups=trainings.GROUPS).concepts
    return list(dict.fromkeys(concept.label for concept in concepts))


def _spread(count: int, n: int) -> list[int]:
    return [int(place) for place in np.linspace(0, count - 1, n).round()]


def listed(
    kinds: Sequence[tuple[str, str]], follow: Sequence[int] = (), near: Sequence[int] = ()
) -> str:
    """The prompts as a table, numbered from 1 as they stand on the sheet, row by row.

    follow   the numbers of those whose picture shows what was asked
    near     of those that show its kind, as a fruit of another colour
    """
    lines = [
        "# Sixty-four prompts",
        "",
        f"What [chapter 24](../notebooks/24_latent_diffusion.ipynb)'s text-to-emoji model draws for"
        f" {len(kinds)} prompts, fixed before a picture of it was seen: eight a row, numbered row"
        f" by row, guidance {SCALE:g}, {STEPS} steps, the first picture of each. Made by"
        " `python tools/draw_prompts.py`.",
        "",
        "![Sixty-four emoji, eight a row, drawn for the prompts of the table below](prompts.png)",
    ]
    if follow or near:
        lines += [
            "",
            f"By eye, with the prompt in hand: {len(follow)} of {len(kinds)} show what was asked,"
            f" {len(near)} more its kind (a face with another look, a fruit of another colour).",
        ]
    lines += ["", "| | kind | prompt | by eye |", "|---|---|---|---|"]
    for n, (kind, text) in enumerate(kinds, 1):
        shows = "as asked" if n in follow else "its kind" if n in near else ""
        lines.append(f"| {n} | {kind} | {text} | {shows} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    # The sheet is written as the other contact sheets are.
    from draw_data import write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--follow", help="numbers of those that show what was asked, as 1,2,5")
    parser.add_argument("--near", help="numbers of those that show its kind")
    options = parser.parse_args()
    kinds = prompts()
    follow, near = (
        [int(n) for n in given.split(",")] if given else []
        for given in (options.follow, options.near)
    )
    if strange := set(follow + near) - set(range(1, len(kinds) + 1)):
        parser.error(f"prompts are numbered 1 to {len(kinds)}, got {sorted(strange)}")
    if not follow and not near:
        model, space = trainings.trained("emoji_latent"), trainings.latent_space()
        tokens = trainings.prompt_tokenizer().batch([text for _, text in kinds], LENGTH)
        made = torch.cat(
            [imagine(model, space, part, scale=SCALE, steps=STEPS) for part in tokens.split(16)]
        )
        grid = to_pixels(made).permute(0, 2, 3, 1).numpy()
        side = grid.shape[1]
        sheet = grid.reshape(-1, ACROSS, side, side, 3).swapaxes(1, 2)
        write("prompts.png", sheet.reshape(-1, ACROSS * side, 3))
    atomic_write(ROOT / "docs" / "prompts.md", listed(kinds, follow, near).encode())


if __name__ == "__main__":
    main()
