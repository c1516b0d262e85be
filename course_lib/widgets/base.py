"""What the widgets share: how they name themselves, their module and style, checks of arrays."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from numpy.typing import ArrayLike, NDArray

HERE = Path(__file__).parent


class LiveFigure(anywidget.AnyWidget):
    """A widget that, where it cannot be drawn, says in words what stands there."""

    def __repr__(self) -> str:
        # Kept in the saved notebook: the same on every run, which an object's address is not.
        return f"An interactive figure ({type(self).__name__}): run this cell to bring it to life."


# They draw nothing, and are joined to those that do.
SHARED = ("kit", "network", "progress", "tokenizer")


def module(name: str, folder: Path = HERE) -> str:
    """Source of the widget `name` as one self-contained ES module: what it shares, then `name.js`.

    anywidget loads a module from a blob, from where no neighbour can be imported, so imports of
    what is `SHARED` are resolved here, without its comments: each saved widget carries a copy. The
    same text goes to the website.
    """
    own = (folder / f"{name}.js").read_text(encoding="utf-8")
    taken = r'^import \{[^}]*\} from "\./(\w+)\.js";\n'
    parts = [
        re.sub(
            r"^ *(?://.*)?\n|^export ",
            "",
            (HERE / f"{shared}.js").read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
        for shared in re.findall(taken, own, flags=re.MULTILINE)
    ]
    return "\n".join([*parts, re.sub(taken, "", own, flags=re.MULTILINE)])


def style(name: str) -> str:
    """Style of the widget `name`: `kit.css`, then `name.css` where there is one."""
    own = HERE / f"{name}.css"
    parts = [HERE / "kit.css", own] if own.exists() else [HERE / "kit.css"]
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


def named(value: ArrayLike | Mapping[str, ArrayLike], what: str) -> dict[str, NDArray]:
    """`value` as a dict of NumPy arrays; a lone array gets the empty name.

    Raises ValueError when there is none.
    """
    items = value.items() if isinstance(value, Mapping) else [("", value)]
    arrays = {str(name): np.asarray(array) for name, array in items}
    if not arrays:
        raise ValueError(f"{what} is empty: give at least one array")
    return arrays


def pictures(array: NDArray, what: str) -> NDArray[np.uint8]:
    """Pictures `[N, H, W]` (grey) or `[N, H, W, 3]` (colour) as contiguous uint8 `[N, H, W, C]`.

    Raises TypeError unless the values are uint8, ValueError for another shape.
    """
    if array.dtype != np.uint8:
        raise TypeError(
            f"{what} must hold uint8 values 0..255, got {array.dtype}; "
            "course_lib.core.tensors.to_pixels turns [-1, 1] into them"
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            f"{what} must have shape [N, H, W] or [N, H, W, 3], got {list(array.shape)}"
        )
    return np.ascontiguousarray(array)


def valid_index(index: int, count: int) -> int:
    """`index` itself. Raises ValueError unless it is that of one of `count` things."""
    if not 0 <= index < count:
        raise ValueError(f"index must lie in 0..{count - 1}, got {index}")
    return index


def stops(
    index: int,
    originals: ArrayLike,
    numbers: Mapping[str, Sequence[float]],
    pictured: Mapping[str, Sequence[ArrayLike]],
) -> dict[str, Any]:
    """The traits of a figure whose slider shows the same pictures at every stop.

    index       the stop shown first
    originals   the pictures themselves, uint8 `[N, H, W]`
    numbers     trait -> one number for each stop
    pictured    trait -> for each stop, what became of the originals there

    Raises ValueError for counts or shapes that disagree and for an index without a stop, TypeError
    for pictures that are not uint8.
    """
    counts = {name: len(values) for name, values in [*numbers.items(), *pictured.items()]}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        raise ValueError(f"give one of each for every stop of the slider, got {counts}")
    first = pictures(np.asarray(originals), "originals")
    traits: dict[str, Any] = {"shape": list(first.shape[:3]), "originals": first.tobytes()}
    traits["index"] = valid_index(index, min(counts.values()))
    for name, values in numbers.items():
        traits[name] = [float(value) for value in values]
    for name, sets in pictured.items():
        arrays = [pictures(np.asarray(array), name) for array in sets]
        if any(array.shape != first.shape for array in arrays):
            raise ValueError(f"{name} must have the shape of originals, {list(first.shape)}")
        traits[name] = [array.tobytes() for array in arrays]
    return traits


def texts(value: Sequence[object] | None, count: int, what: str) -> list[str]:
    """`value` as `count` strings; None gives "0", "1", …  Raises ValueError for another length."""
    if value is None:
        return [str(i) for i in range(count)]
    if len(value) != count:
        raise ValueError(f"{what} must name each of the {count} frames, got {len(value)}")
    return [str(item) for item in value]
