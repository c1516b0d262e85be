"""A real lossless coder, small enough to read: symbols on a stack, each as long as -log2 p.

Asymmetric numeral systems (Duda 2009) with one whole number of Python's as the state: no streams,
no carries, no speed. What is pushed last is popped first, which is what bits-back coding needs
(Townsend et al. 2019). Built by hand in chapter 10.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

TOTAL = 2**40  # probabilities are whole multiples of 1 / TOTAL


@dataclass(frozen=True)
class Law:
    """The chances of the symbols 0 ... count - 1.

    below   k -> the chance of all symbols before k; 0 at k = 0, 1 at k = count, never falling
    """

    count: int
    below: Callable[[int], float]

    def start(self, k: int) -> int:
        """`below` in units of 1 / TOTAL, rounded so that no symbol is left without a unit."""
        return int(self.below(k) * (TOTAL - self.count)) + k


def gaussian_law(mean: float, std: float, low: float, width: float, count: int) -> Law:
    """A Gaussian cut into `count` bins of one width from `low` on; the end bins reach to infinity.

    With low = -1 - width / 2 and width = 2 / (levels - 1) it is the decoder of DDPM for one pixel.
    """
    law = NormalDist(mean, std)

    def below(k: int) -> float:
        return 0.0 if k == 0 else 1.0 if k == count else law.cdf(low + k * width)

    return Law(count, below)


class Stack:
    """All symbols pushed so far as one number; a symbol of chance p makes it 1 / p times larger."""

    def __init__(self, number: int = 1):
        self.number = number

    @property
    def bits(self) -> int:
        """How long the number is now."""
        return self.number.bit_length()

    def push(self, laws: Sequence[Law], symbols: Sequence[int]) -> None:
        """Put the symbols on the stack, each with its law."""
        for law, k in zip(laws, symbols, strict=True):
            start = law.start(k)
            high, low = divmod(self.number, law.start(k + 1) - start)
            self.number = high * TOTAL + start + low

    def pop(self, laws: Sequence[Law]) -> list[int]:
        """Take off what `push` put on with the same laws.

        From a stack of random bits this draws the symbols from their laws: the bits that it eats
        come back when the symbols are pushed again.
        """
        symbols = []
        for law in reversed(laws):
            high, slot = divmod(self.number, TOTAL)
            k, end = 0, law.count  # the last symbol that starts at or before the slot
            while end - k > 1:
                middle = (k + end) // 2
                k, end = (middle, end) if law.start(middle) <= slot else (k, middle)
            start = law.start(k)
            self.number = high * (law.start(k + 1) - start) + slot - start
            symbols.append(k)
        return symbols[::-1]
