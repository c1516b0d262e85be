"""A decoder that is stopped after k bits: what it shows so far, and how far off it is."""

from collections.abc import Sequence

import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, stops, style


class BitBudget(LiveFigure):
    """A slider over the bits that have arrived; the guess, what it lacks and a dot follow.

    bits: bits per picture that have arrived at each stage, rising; the last stage is the whole
    file. errors: root mean squared error of the guess there, in grey levels of 255.
    originals: uint8 `[N, H, W]`; guesses: one such array for each stage.
    index: the stage shown first.
    Raises ValueError for counts or shapes that disagree and for bits that do not rise, TypeError
    for pictures that are not uint8.
    """

    _esm = module("bit_budget")
    _css = style("bit_budget")
    bits = traitlets.List().tag(sync=True)
    errors = traitlets.List().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [N, H, W]
    originals = traitlets.Bytes().tag(sync=True)
    guesses = traitlets.List(traitlets.Bytes()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        bits: Sequence[float],
        errors: Sequence[float],
        *,
        originals: ArrayLike,
        guesses: Sequence[ArrayLike],
        index: int = 0,
    ) -> None:
        if any(later <= sooner for sooner, later in zip(bits, bits[1:], strict=False)):
            raise ValueError("bits must rise from stage to stage")
        numbers = {"bits": bits, "errors": errors}
        super().__init__(**stops(index, originals, numbers, {"guesses": guesses}))
