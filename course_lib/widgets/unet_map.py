"""A U-Net drawn from the module itself: click a part, see what it hands on at each noise level."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import Tensor

from course_lib.core.tensors import to_pixels
from course_lib.nn.anatomy import Part
from course_lib.widgets.base import LiveFigure, module, style, texts


class UNetMap(LiveFigure):
    """The anatomy as a picture; with maps, a slider over noise levels and a switch for the skips.

    parts: what `anatomy(unet, size)` lists.
    maps: what `feature_maps` gives for a batch of one x_t per level; cut: the same with skips cut.
    seen, seen_cut: pictures to show beside them, `[levels, 1, H, W]` in [-1, 1], by name.
    labels: the name of each level; channels: how many maps of a part travel, the liveliest ones.
    start: the part shown first, the first of the middle if not given.
    Raises ValueError for parts that maps do not have, or counts that disagree.
    """

    _esm = module("unet_map")
    _css = style("unet_map")
    parts = traitlets.List(traitlets.Dict()).tag(sync=True)
    channels = traitlets.List(traitlets.Int()).tag(sync=True)  # maps kept of each part; 0: none
    maps = traitlets.List(traitlets.Bytes()).tag(sync=True)  # [levels, channels, H, W] of each part
    cut = traitlets.List(traitlets.Bytes()).tag(sync=True)  # the same; empty where nothing changes
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shapes = traitlets.List().tag(sync=True)
    seen = traitlets.List(traitlets.Bytes()).tag(sync=True)
    seen_cut = traitlets.List(traitlets.Bytes()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    part = traitlets.Int().tag(sync=True)
    level = traitlets.Int().tag(sync=True)
    whole = traitlets.Bool(True).tag(sync=True)  # False: the skips are cut

    def __init__(
        self,
        parts: Sequence[Part],
        maps: Mapping[str, Tensor] | None = None,
        cut: Mapping[str, Tensor] | None = None,
        seen: Mapping[str, Tensor] | None = None,
        seen_cut: Mapping[str, Tensor] | None = None,
        labels: Sequence[object] | None = None,
        *,
        channels: int = 6,
        start: str | None = None,
    ) -> None:
        places = [part.name for part in parts]
        maps, cut = maps or {}, cut or {}
        for given in (maps, cut):
            if given and (missing := [name for name in places if name not in given]):
                raise ValueError(f"maps must have every part, {missing[0]!r} is missing")
        if start is not None and start not in places:
            raise ValueError(f"no part {start!r}; there are {', '.join(places)}")
        counts = {len(one) for group in (maps, cut) for one in group.values()}
        images = [
            {name: to_pixels(one[:, 0]).numpy() for name, one in (group or {}).items()}
            for group in (seen, seen_cut)
        ]
        counts |= {len(one) for group in images for one in group.values()}
        if len(counts) > 1:
            raise ValueError(f"every level needs one map of everything, got {sorted(counts)} maps")
        levels = counts.pop() if counts else 0
        packed = [_packed(name, maps, cut, channels) for name in places] if maps else []
        middle = next(i for i, part in enumerate(parts) if part.kind == "middle")
        super().__init__(
            parts=[
                {key: list(v) if isinstance(v, tuple) else v for key, v in vars(part).items()}
                for part in parts
            ],
            channels=[n for n, _, _ in packed],
            maps=[whole for _, whole, _ in packed],
            cut=[without for _, _, without in packed] if cut else [],
            names=list(images[0]),
            shapes=[list(one.shape) for one in images[0].values()],
            seen=[one.tobytes() for one in images[0].values()],
            seen_cut=[one.tobytes() for one in images[1].values()],
            labels=texts(labels, levels, "labels") if levels else [],
            part=middle if start is None else places.index(start),
            level=0,
        )


def _packed(
    name: str, maps: Mapping[str, Tensor], cut: Mapping[str, Tensor], channels: int
) -> tuple[int, bytes, bytes]:
    """How many maps of this part are kept, and their bytes with and without skips."""
    whole = maps[name].detach().float().cpu()
    lively = whole.var(dim=(2, 3)).mean(0).argsort(descending=True)[:channels].sort().values
    whole = whole[:, lively]
    size = (
        whole.abs().amax(dim=(0, 2, 3), keepdim=True).clamp(min=1e-12)
    )  # one scale for all levels
    if not cut:
        return len(lively), _bytes(whole / size).tobytes(), b""
    without = cut[name].detach().float().cpu()[:, lively]
    same = torch.equal(whole, without)
    changed = b"" if same else _bytes(without / size).tobytes()
    return len(lively), _bytes(whole / size).tobytes(), changed


def _bytes(maps: Tensor) -> NDArray[np.uint8]:
    """Numbers in [-1, 1] as bytes, 0 as middle grey."""
    return (128 + 127 * maps.clamp(-1, 1)).round().to(torch.uint8).contiguous().numpy()
