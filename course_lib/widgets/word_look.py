"""Which pixels look at which word: by layer, and from noise to picture."""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import LiveFigure, module, pictures, style, texts, valid_index


class WordLook(LiveFigure):
    """Point at a word of the caption: the pixels that look at it light up.

    noised, guessed: uint8 `[times, H, W, 3]`, x_t and the estimate of x_0 at each stop.
    maps: `[times, layers, words, h, w]`, from 0 to 1, how much each pixel looks at each word;
        over all words they add up to 1 or less (what is missing goes to words that are not shown).
    words: the caption, piece by piece; layers: names; times: the t of each stop.
    word, layer, time: indices of what is shown first.
    Raises TypeError for pictures that are not uint8, ValueError for counts that disagree, for maps
    that are no shares, and for an index that points nowhere.
    """

    _esm = module("word_look")
    _css = style("word_look")
    noised = traitlets.Bytes().tag(sync=True)
    guessed = traitlets.Bytes().tag(sync=True)
    maps = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List().tag(sync=True)  # [times, layers, words, h, w, H, W]
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    times = traitlets.List(traitlets.Int()).tag(sync=True)
    word = traitlets.Int().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    time = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        noised: ArrayLike,
        guessed: ArrayLike,
        maps: ArrayLike,
        words: Sequence[str],
        layers: Sequence[str],
        times: Sequence[int],
        *,
        word: int = 0,
        layer: int = 0,
        time: int = 0,
    ) -> None:
        noise, guess, shares = np.asarray(noised), np.asarray(guessed), np.asarray(maps, float)
        if shares.ndim != 5 or noise.ndim != 4 or noise.shape != guess.shape:
            raise ValueError(
                "noised and guessed must be [times, H, W, 3] and maps [times, layers, words, h, w],"
                f" got {list(noise.shape)}, {list(guess.shape)} and {list(shares.shape)}"
            )
        if not len(noise) == len(shares) == len(times):
            raise ValueError(
                f"{len(times)} times, but {len(noise)} pictures and maps at {len(shares)}"
            )
        if not ((shares >= 0).all() and (shares.sum(2) <= 1 + 1e-3).all()):
            raise ValueError("maps must be shares: 0 or more, over the words 1 at most")
        super().__init__(
            noised=pictures(noise, "noised").tobytes(),
            guessed=pictures(guess, "guessed").tobytes(),
            maps=np.round(255 * shares).clip(0, 255).astype(np.uint8).tobytes(),
            shape=[*shares.shape, *noise.shape[1:3]],
            words=texts(words, shares.shape[2], "words"),
            layers=texts(layers, shares.shape[1], "layers"),
            times=[int(t) for t in times],
            word=valid_index(word, shares.shape[2]),
            layer=valid_index(layer, shares.shape[1]),
            time=valid_index(time, len(times)),
        )
