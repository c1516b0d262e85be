"""The plane of a two-number latent: drag a point, and the decoder draws in the page."""

from collections.abc import Sequence
from math import isqrt

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from torch import nn

from course_lib.widgets.base import LiveFigure, module, style

PLAIN = (nn.Linear, nn.SiLU, nn.Flatten, nn.Unflatten)  # what the page can run


class LatentMap(LiveFigure):
    """Drag a point z through the plane; see the middle of p(x | z), and one draw from it.

    decoder: linear layers with SiLU between them, from 2 numbers to a mean and a log-scale for each
    pixel of a square grey picture; its weights travel with the page, rounded to 255 steps a row.
    points: `[N, 2]`, where pictures are encoded; kinds: the class of each; classes: their names.
    start: z at first; extent: half the side of the plane.
    Raises ValueError for another kind of decoder, or shapes that disagree.
    """

    _esm = module("latent_map")
    _css = style("latent_map")
    widths = traitlets.List().tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)  # int8, layer by layer, row by row
    numbers = traitlets.Bytes().tag(sync=True)  # float32: each layer's row scales, then its biases
    points = traitlets.Bytes().tag(sync=True)  # float32 [N, 2]
    kinds = traitlets.Bytes().tag(sync=True)  # uint8 [N]
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    z = traitlets.List().tag(sync=True)
    extent = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        decoder: nn.Module,
        points: ArrayLike,
        kinds: ArrayLike,
        classes: Sequence[str],
        *,
        start: tuple[float, float] = (0.0, 0.0),
        extent: float = 4.0,
    ) -> None:
        layers = linear_layers(decoder)
        widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
        if widths[0] != 2 or widths[-1] != 2 * isqrt(widths[-1] // 2) ** 2:
            raise ValueError(
                "the decoder must lead from 2 numbers to two for each pixel of a square picture,"
                f" this one leads from {widths[0]} to {widths[-1]}"
            )
        where, which = np.asarray(points, dtype=np.float32), np.asarray(kinds)
        if where.ndim != 2 or where.shape[1] != 2 or which.shape != where.shape[:1]:
            raise ValueError(
                f"points must be [N, 2] and kinds [N], got {list(where.shape)}"
                f" and {list(which.shape)}"
            )
        if len(which) and not 0 <= which.min() <= which.max() < len(classes):
            raise ValueError(f"kinds must lie in 0..{len(classes) - 1}, one for each name")
        packed = [rounded(layer) for layer in layers]
        super().__init__(
            widths=widths,
            weights=b"".join(weights.tobytes() for weights, _ in packed),
            numbers=b"".join(numbers.tobytes() for _, numbers in packed),
            points=where.tobytes(),
            kinds=which.astype(np.uint8).tobytes(),
            classes=list(classes),
            z=[float(v) for v in start],
            extent=float(extent),
        )


def linear_layers(decoder: nn.Module) -> list[nn.Linear]:
    """The layers of a plain network.

    Raises ValueError if it holds anything but Linear, SiLU, Flatten and Unflatten.
    """
    parts = [part for part in decoder.modules() if not list(part.children())]
    odd = [part for part in parts if not isinstance(part, PLAIN)]
    layers = [part for part in parts if isinstance(part, nn.Linear)]
    if odd or not layers:
        name = type(odd[0]).__name__ if odd else "no linear layer"
        raise ValueError(f"the page can run Linear and SiLU only; this decoder has {name}")
    return layers


def rounded(layer: nn.Linear) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as whole numbers -127..127 times one scale a row, and the scales with the biases."""
    weight = layer.weight.detach().double().cpu()
    scale = weight.abs().amax(1).clamp(min=1e-12) / 127
    whole = (weight / scale[:, None]).round().to(torch.int8).numpy()
    bias = layer.bias.detach().double().cpu()
    return whole, torch.cat([scale, bias]).numpy().astype(np.float32)
