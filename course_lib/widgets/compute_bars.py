"""Where the compute of latent diffusion goes: U-Net and autoencoder, by f."""

from collections.abc import Mapping, Sequence

import traitlets

from course_lib.widgets.base import LiveFigure, module, style, valid_index


class ComputeBars(LiveFigure):
    """A bar for each f: how many multiply-adds the U-Net and the autoencoder need.

    rows: f as text -> what is worked on ("16 × 16 × 4"), and millions of multiply-adds of one
        evaluation of the U-Net, of the encoder and of the decoder, each for one picture.
    stops: numbers of steps that the slider offers, rising; index: the one shown first.
    guided: whether each step asks twice.
    Raises ValueError for no rows, costs below 0, a U-Net that costs nothing, and stops that do not
    rise from 1 or more.
    """

    _esm = module("compute_bars")
    _css = style("compute_bars")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sizes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    unet = traitlets.List(traitlets.Float()).tag(sync=True)
    encode = traitlets.List(traitlets.Float()).tag(sync=True)
    decode = traitlets.List(traitlets.Float()).tag(sync=True)
    stops = traitlets.List(traitlets.Int()).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    guided = traitlets.Bool().tag(sync=True)
    training = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        rows: Mapping[str, tuple[str, float, float, float]],
        stops: Sequence[int] = (1, 2, 5, 10, 25, 50, 100, 250),
        *,
        index: int = 4,
        guided: bool = True,
    ) -> None:
        if not rows:
            raise ValueError("give one row or more")
        sizes, unet, encode, decode = zip(*rows.values(), strict=True)
        if min(unet) <= 0 or min(*encode, *decode) < 0:
            raise ValueError("costs must be 0 or more, and the U-Net's above 0")
        if stops[0] < 1 or any(b <= a for a, b in zip(stops, stops[1:], strict=False)):
            raise ValueError(f"stops must rise, from 1 or more; got {list(stops)}")
        super().__init__(
            names=list(rows),
            sizes=list(sizes),
            unet=[float(value) for value in unet],
            encode=[float(value) for value in encode],
            decode=[float(value) for value in decode],
            stops=list(stops),
            index=valid_index(index, len(stops)),
            guided=guided,
        )
