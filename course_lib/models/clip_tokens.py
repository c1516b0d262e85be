"""CLIP's tokens: the 49,408 pieces that Stable Diffusion reads, from the two files that name them.

As in `tokenizer`, words are bytes and pairs of them are merged. What is CLIP's own: all letters
become small, spaces are gone, and the last piece of a word ends in "</w>" in their place; a text
has 77 places, and what is left of them is filled with the sign that ends it (Radford et al. 2021,
section 2.4; openai/CLIP, simple_tokenizer.py).
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib.models.tokenizer import ALPHABET, kind, unbroken

START, END = "<|startoftext|>", "<|endoftext|>"
_RUN = re.compile("L+|N|O+")
_WHOLE = re.compile(re.escape(START) + "|" + re.escape(END) + "|'(?:[stmd]|re|ve|ll)")
# How the files write a byte: as itself if it has a face, else as one of 68 letters from 256 on.
_FACE = {
    byte[0]: chr(byte[0]) if place < 188 else chr(256 + place - 188)
    for place, byte in enumerate(ALPHABET)
}


def clip_words(text: str) -> list[str]:
    """The text in small letters, cut into runs of letters, single digits and runs of marks."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(sign.lower() for sign in text)  # sign by sign: a final sigma is one like others
    kinds, found, at = "".join(map(kind, text)), [], 0
    while at < len(text):
        match = _WHOLE.match(text, at) or _RUN.match(kinds, at)
        if match:
            found.append(text[at : match.end()])
        at = match.end() if match else at + 1
    return found


@dataclass(frozen=True)
class ClipTokenizer:
    """Text to numbers: `numbers` names the pieces, `merges` joins them, the earliest first."""

    numbers: dict[str, int]
    merges: tuple[tuple[str, str], ...]

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text, as the files write them; without the two signs around it."""
        return [piece for word in clip_words(text) for piece in self._cut(word)]

    def encode(self, text: str) -> list[int]:
        """Their numbers. A piece without one is read as END, as in `transformers`."""
        return [self.numbers.get(piece, self.numbers[END]) for piece in self.pieces(text)]

    def batch(self, texts: Sequence[str], length: int = 77) -> Int[Tensor, "batch length"]:
        """START, the first length - 2 numbers, END, and END in all places that are left.

        Raises ValueError for a length below 2.
        """
        if length < 2:
            raise ValueError(f"length must be 2 or more, for the two signs, got {length}")
        ids = torch.full((len(texts), length), self.numbers[END])
        for row, text in zip(ids, texts, strict=True):
            inside = [self.numbers[START], *self.encode(text)[: length - 2]]
            row[: len(inside)] = torch.tensor(inside)
        return ids

    def _cut(self, word: str) -> list[str]:
        if word in (START, END):
            return [word]
        parts = [_FACE[byte] for byte in unbroken(word).encode()]
        parts[-1] += "</w>"
        while possible := [pair for pair in pairwise(parts) if pair in self._ranks]:
            best = min(possible, key=self._ranks.__getitem__)
            at = 0
            while at < len(parts) - 1:
                if (parts[at], parts[at + 1]) == best:
                    parts[at : at + 2] = ["".join(best)]
                at += 1
        return parts


def read_clip_tokenizer(folder: str | Path) -> ClipTokenizer:
    """From vocab.json and merges.txt, as they lie in `tokenizer/` beside published weights.

    Raises ValueError for a file that is missing, and for a vocabulary without the two signs.
    """
    folder = Path(folder)
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).exists():
            raise ValueError(f"{folder / name} does not exist: it comes with the weights")
    numbers = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    if START not in numbers or END not in numbers:
        raise ValueError(f"{folder / 'vocab.json'} is not CLIP's: it has no {START} and {END}")
    rows = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    pairs = (tuple(row.split()) for row in rows if not row.startswith("#version"))
    return ClipTokenizer(numbers, tuple((p[0], p[1]) for p in pairs if len(p) == 2))
