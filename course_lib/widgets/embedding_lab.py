"""How alike two times look to a network, by the frequencies it is told them in."""

import traitlets

from course_lib.nn.embeddings import FourierFeatures
from course_lib.widgets.base import LiveFigure, module, style

KINDS = ("sinusoids", "Fourier features")
UNITS = ("0 to 1,000", "0 to 1")


class EmbeddingLab(LiveFigure):
    """Change the frequencies; see the similarity of all pairs of times, and of all with one.

    kind: "sinusoids" (`base`: the longest wavelength over the shortest) or "Fourier features"
    (`scale`: the spread of their random frequencies, in waves over one unit of time).
    dim: length of the vector, even; unit: what the thousand steps are told as, "0 to 1,000" or
    "0 to 1"; time: the step that the others are compared with, 0..1000.
    Raises ValueError outside these.
    """

    _esm = module("embedding_lab")
    _css = style("embedding_lab")
    kind = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    base = traitlets.Float().tag(sync=True)
    scale = traitlets.Float().tag(sync=True)
    time = traitlets.Int().tag(sync=True)
    half = traitlets.Int().tag(sync=True)
    normals = traitlets.List().tag(sync=True)  # random frequencies of scale 1

    def __init__(
        self,
        kind: str = "sinusoids",
        *,
        dim: int = 32,
        unit: str = "0 to 1,000",
        base: float = 10_000.0,
        scale: float = 4.0,
        time: int = 500,
    ) -> None:
        for name, value, valid in (("kind", kind, KINDS), ("unit", unit, UNITS)):
            if value not in valid:
                raise ValueError(f"{name} must be one of {', '.join(valid)}; got {value!r}")
        if dim % 2 or not 4 <= dim <= 256:
            raise ValueError(f"dim must be even and lie in 4..256, got {dim}")
        if not 1 < base <= 1e6 or not 0.01 <= scale <= 1000 or not 0 <= time <= 1000:
            raise ValueError(
                "need 1 < base <= 1e6, 0.01 <= scale <= 1000 and 0 <= time <= 1000,"
                f" got {base:g}, {scale:g} and {time}"
            )
        random = FourierFeatures(1, dim // 2).frequencies[0]
        super().__init__(
            kind=kind,
            unit=unit,
            base=float(base),
            scale=float(scale),
            time=time,
            half=dim // 2,
            normals=random.tolist(),
        )
