"""Byte-level byte-pair encoding: any text becomes numbers, and comes back whole.

A text is cut into words, a word into its UTF-8 bytes, and the pair of neighbours that is commonest
in some captions becomes a new piece, again and again (Sennrich et al. 2015, section 3.2, which
begins from letters; Radford et al. 2019, section 2.2, which begins from bytes). There are 256
bytes, so no text has an unknown sign. Built by hand in chapter 20.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

Pair = tuple[int, int]

PAD, START, END = 0, 1, 2  # numbers that stand for no text
SPECIAL = 3
# The 256 bytes, those that Latin-1 prints with a face first: GPT-2's order, and its successors'.
_FACES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
ALPHABET = [bytes([b]) for b in [*_FACES, *(b for b in range(256) if b not in _FACES)]]
_ID = {byte: SPECIAL + place for place, byte in enumerate(ALPHABET)}


# ---- words --------------------------------------------------------------------------------

_SHORT = re.compile("'(?:[sdmt]|ll|ve|re)")
_RUN = re.compile("_?L+|_?N+|_?O+|[_S]+(?![LNO])|[_S]+")


def words(text: str) -> list[str]:
    """The text cut where no piece may reach across; joined, the words are the text again.

    A word is a run of letters, of digits or of other marks, with one space before it if there is
    one; English endings such as 's stand alone. GPT-2's rule.
    """
    kinds, found, at = "".join(map(kind, text)), [], 0
    while at < len(text):
        match = _SHORT.match(text, at) or _RUN.match(kinds, at)
        assert match is not None
        found.append(text[at : match.end()])
        at = match.end()
    return found


def kind(sign: str) -> str:
    """_ for a space, S for what else is empty, L for a letter, N for a number, O for the rest."""
    if sign == " ":
        return "_"
    if sign.isspace() and not "\x1c" <= sign <= "\x1f":
        return "S"
    kind = unicodedata.category(sign)[0]
    return kind if kind in "LN" else "O"


# ---- pieces -------------------------------------------------------------------------------


def merge(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """Each place where `pair` stands becomes `new`, from left to right."""
    merged: list[int] = []
    at = 0
    while at < len(ids):
        found = tuple(ids[at : at + 2]) == pair
        merged.append(new if found else ids[at])
        at += 2 if found else 1  # what has gone into a piece is gone
    return merged


def learn_merges(texts: Iterable[str], count: int, least: int = 2) -> list[Pair]:
    """The pairs to be joined, in order: each is the commonest of its time in the texts.

    count   of merges at most; ValueError if it is below 0
    least   how often a pair must stand there to become a piece. Of equals, the one with the
            smaller numbers goes first, so the same texts always give the same pieces
    """
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    often = Counter(word for text in texts for word in words(text))
    cut = {word: _bytes(word) for word in often}
    pairs: Counter[Pair] = Counter()
    for word, ids in cut.items():
        for pair in pairwise(ids):
            pairs[pair] += often[word]
    known = dict(_ID)  # a piece's bytes: its number
    names = {number: piece for piece, number in known.items()}
    merges: list[Pair] = []
    while len(merges) < count and pairs:
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < least:
            break
        piece = names[best[0]] + names[best[1]]
        new = known.setdefault(piece, SPECIAL + len(known))
        names[new] = piece
        merges.append(best)
        for word, ids in cut.items():
            if best in pairwise(ids):
                pairs.subtract({p: often[word] * n for p, n in Counter(pairwise(ids)).items()})
                cut[word] = merge(ids, best, new)
                for pair in pairwise(cut[word]):
                    pairs[pair] += often[word]
        pairs = +pairs  # without those that have become 0
    return merges


def unbroken(word: str) -> str:
    """The word; a lone half of a surrogate pair, which is no text, becomes U+FFFD."""
    return word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _bytes(word: str) -> list[int]:
    return [_ID[bytes([b])] for b in unbroken(word).encode()]


@dataclass(frozen=True)
class Tokenizer:
    """Text to numbers and back, by the merges that `learn_merges` found."""

    merges: tuple[Pair, ...]

    @cached_property
    def pieces(self) -> list[bytes]:
        """What each number stands for: nothing for the three special ones."""
        pieces = [b"", b"", b"", *ALPHABET]
        for a, b in self.merges:
            if (piece := pieces[a] + pieces[b]) not in pieces[SPECIAL:]:
                pieces.append(piece)
        return pieces

    @cached_property
    def _ranks(self) -> dict[Pair, tuple[int, int]]:
        """pair: when it is merged, and into which number."""
        number = {piece: n for n, piece in enumerate(self.pieces) if piece}
        joined = ((a, b, self.pieces[a] + self.pieces[b]) for a, b in self.merges)
        return {(a, b): (rank, number[piece]) for rank, (a, b, piece) in enumerate(joined)}

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """The pieces' numbers: in each word the earliest merge that is possible, again and again.

        An empty text has none.
        """
        found = []
        for word in words(text):
            ids = _bytes(word)
            while possible := [pair for pair in pairwise(ids) if pair in self._ranks]:
                pair = min(possible, key=self._ranks.__getitem__)
                ids = merge(ids, pair, self._ranks[pair][1])
            found += ids
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """The text; special numbers are nothing, and half a letter becomes U+FFFD.

        Raises ValueError for a number that is no piece.
        """
        for one in ids:
            if not 0 <= one < len(self):
                raise ValueError(f"no piece has the number {one}; there are {len(self)}")
        return b"".join(self.pieces[one] for one in ids).decode(errors="replace")

    def show(self, text: str) -> list[str]:
        """The pieces of a text as texts, to look at."""
        return [self.decode([one]) for one in self.encode(text)]

    def batch(self, texts: Sequence[str], length: int) -> Int[Tensor, "batch length"]:
        """Texts of one length: START, the pieces, END, then PAD. What does not fit is left out.

        length   START and END included; ValueError below 2
        """
        if length < 2:
            raise ValueError(f"length must be 2 or more, for START and END, got {length}")
        ids = torch.full((len(texts), length), PAD)
        for row, text in zip(ids, texts, strict=True):
            inside = [START, *self.encode(text)[: length - 2], END]
            row[: len(inside)] = torch.tensor(inside)
        return ids


def remarks(
    tokenizer: Tokenizer, text: str, length: int, seen: Iterable[int] | None = None
) -> list[str]:
    """What a model will not have read of a prompt, in words; nothing to say is an empty list.

    length   as in `Tokenizer.batch`
    seen     the pieces that occurred in training: a model has learnt nothing about others. That
             a comma was not among them is not worth a word
    """
    if not text.strip():
        return ["the prompt is empty: the model draws as without one"]
    said, ids = [], tokenizer.encode(text)
    known = None if seen is None else set(seen)
    if known is not None:
        read = tokenizer.decode(ids[: length - 2]).rstrip("\ufffd")  # of a letter cut in two
        bare = [(" " * word.startswith(" "), _bare(word)) for word in words(read)]
        met = [known.issuperset(tokenizer.encode(space + word)) for space, word in bare]
        new = [word for (_, word), old in zip(bare, met, strict=True) if word and not old]
        if new:
            said.append(f"never met in training: {', '.join(dict.fromkeys(new))}")
    if lost := ids[length - 2 :]:
        said.append(
            f"too long by {len(lost)} of {len(ids)} pieces, left out: "
            f"'{tokenizer.decode(lost).strip()}'"
        )
    return said


def _bare(word: str) -> str:
    """A word without what is empty or punctuation at its ends; of a comma, nothing is left."""
    says = [not sign.isspace() and unicodedata.category(sign)[0] != "P" for sign in word]
    return word[says.index(True) : len(says) - says[::-1].index(True)] if any(says) else ""
