"""Precomputed pictures under a slider: a chain of x_t, a picture at every noise level, an EMA."""

from collections.abc import Mapping, Sequence

import traitlets
from numpy.typing import ArrayLike

from course_lib.widgets.base import (
    LiveFigure,
    module,
    named,
    pictures,
    style,
    texts,
    valid_index,
)

TARGET_WIDTH = 224  # CSS pixels of a picture when no scale is given


class FrameScrubber(LiveFigure):
    """Scrub or play frames; several named sets move together, side by side.

    frames: uint8 `[N, H, W]` or `[N, H, W, 3]`, or a dict of such arrays with one N.
    labels: what the slider says at each frame, default the frame's number; name: what it moves.
    captions: one sentence per frame, shown under the pictures.
    scale: screen pixels per pixel, default what brings a picture to about 224 pixels.
    index: the frame shown first; alt: what the pictures show, for a reader who cannot see them.
    Raises TypeError for frames that are not uint8, ValueError for shapes or counts that disagree.
    """

    _esm = module("frame_scrubber")
    _css = style("frame_scrubber")
    frames = traitlets.List(traitlets.Bytes()).tag(sync=True)
    shapes = traitlets.List().tag(sync=True)  # [N, H, W, C] of each set
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scales = traitlets.List(traitlets.Int()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        frames: ArrayLike | Mapping[str, ArrayLike],
        labels: Sequence[object] | None = None,
        captions: Sequence[str] | None = None,
        *,
        name: str = "frame",
        scale: int | None = None,
        index: int = 0,
        alt: str = "pictures",
    ) -> None:
        sets = {
            key: pictures(array, f"frames[{key!r}]" if key else "frames")
            for key, array in named(frames, "frames").items()
        }
        counts = {key: len(array) for key, array in sets.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"every set needs the same number of frames, got {counts}")
        count = next(iter(counts.values()))
        if scale is not None and scale < 1:
            raise ValueError(f"scale is a whole number of screen pixels, 1 or more, got {scale}")
        super().__init__(
            frames=[array.tobytes() for array in sets.values()],
            shapes=[list(array.shape) for array in sets.values()],
            names=list(sets),
            scales=[scale or max(1, round(TARGET_WIDTH / a.shape[2])) for a in sets.values()],
            labels=texts(labels, count, "labels"),
            captions=[] if captions is None else texts(captions, count, "captions"),
            name=name,
            alt=alt,
            index=valid_index(index, count),
        )
