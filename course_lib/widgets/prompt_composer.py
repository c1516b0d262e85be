"""Put a prompt together, turn two dials of guidance, and read three verdicts on the picture."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.widgets.base import LiveFigure, module, pictures, style, valid_index

COLOURS = 256  # so a pixel is one byte


class PromptComposer(LiveFigure):
    """A picture for each prompt, scale of CLIP guidance and scale of classifier-free guidance.

    prompts: (first thing, relation, second thing) of each; every thing must occur as first and as
    second, with every relation, but not with itself.
    by_clip, by_itself: the stops of the two dials.
    images: uint8 `[prompts, by_clip, by_itself, H, W, 3]`, kept in 256 colours.
    scores: name -> `[prompts, by_clip, by_itself]`, e.g. CLIP scores by the guide and by a judge.
    claims: name -> booleans of the same shape, the oracle's answers.
    prompt, clip, itself: the indices shown first.
    Raises ValueError for counts that disagree, for a prompt that is missing, and for an index
    without its picture; TypeError for pictures that are not uint8.
    """

    _esm = module("prompt_composer")
    _css = style("prompt_composer")
    pixels = traitlets.Bytes().tag(sync=True)  # an index of a colour for each pixel
    shape = traitlets.List().tag(sync=True)  # [prompts, by_clip, by_itself, H, W]
    palette = traitlets.Bytes().tag(sync=True)  # red, green, blue of each colour
    prompts = traitlets.List().tag(sync=True)
    by_clip = traitlets.List(traitlets.Float()).tag(sync=True)
    by_itself = traitlets.List(traitlets.Float()).tag(sync=True)
    scores = traitlets.Dict().tag(sync=True)  # name -> one number for each picture, flat
    claims = traitlets.List(traitlets.Unicode()).tag(sync=True)
    verdicts = traitlets.List(traitlets.Int()).tag(sync=True)  # bit k: the k-th claim is true
    prompt = traitlets.Int().tag(sync=True)
    clip = traitlets.Int().tag(sync=True)
    itself = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        prompts: Sequence[tuple[str, str, str]],
        by_clip: Sequence[float],
        by_itself: Sequence[float],
        images: ArrayLike,
        scores: Mapping[str, ArrayLike],
        claims: Mapping[str, ArrayLike],
        *,
        prompt: int = 0,
        clip: int = 0,
        itself: int = 0,
    ) -> None:
        told = [tuple(str(part) for part in one) for one in prompts]
        things, relations = {one[0] for one in told}, {one[1] for one in told}
        asked = {(a, how, b) for a in things for how in relations for b in things if a != b}
        if set(told) != asked or len(told) != len(asked):
            raise ValueError(
                f"{len(things)} things and {len(relations)} relations make {len(asked)} prompts,"
                f" each once; got {len(told)}, without {sorted(asked - set(told))[:2]}"
            )
        counts = [len(told), len(by_clip), len(by_itself)]
        shown = np.asarray(images)
        if list(shown.shape[:3]) != counts or shown.ndim != 6:
            raise ValueError(f"images must be {counts} of [H, W, 3], got {list(shown.shape)}")
        flat = pictures(shown.reshape(-1, *shown.shape[3:]), "images")
        for name, values in [*scores.items(), *claims.items()]:
            if list(np.shape(values)) != counts:
                raise ValueError(f"{name!r} must be {counts} values, got {list(np.shape(values))}")
        bits = [np.asarray(one, bool).astype(int) << k for k, one in enumerate(claims.values())]
        indices, palette = in_few_colours(flat)
        super().__init__(
            pixels=indices.tobytes(),
            palette=palette.tobytes(),
            shape=[*counts, *shown.shape[3:5]],
            prompts=[list(one) for one in told],
            by_clip=[float(one) for one in by_clip],
            by_itself=[float(one) for one in by_itself],
            scores={
                str(name): np.round(np.asarray(one, float).ravel(), 2).tolist()
                for name, one in scores.items()
            },
            claims=[str(name) for name in claims],
            verdicts=np.sum(bits, 0).ravel().tolist() if bits else [0] * len(flat),
            prompt=valid_index(prompt, counts[0]),
            clip=valid_index(clip, counts[1]),
            itself=valid_index(itself, counts[2]),
        )


def in_few_colours(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`[n, H, W, 3]` as one index for each pixel, and the colours `[256, 3]`, chosen to fit.

    Raises ValueError for pictures that have no three colours.
    """
    if images.shape[-1] != 3:
        raise ValueError(f"need pictures [n, H, W, 3], got {list(images.shape)}")
    tall = Image.fromarray(images.reshape(-1, images.shape[2], 3))
    few = tall.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.zeros((COLOURS, 3), np.uint8)
    used = np.array(few.getpalette(), np.uint8).reshape(-1, 3)
    palette[: len(used)] = used
    return np.asarray(few, np.uint8).reshape(images.shape[:3]), palette
