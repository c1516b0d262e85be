"""Draw 64 fixed prompts by three systems, side by side: `docs/systems.png` and `docs/systems.md`.

    python tools/draw_systems.py

The systems are those of `benchmarks/world.py`: latents, unCLIP, Imagen, each trained for the same
time on the small world. Each prompt has a strip of three pictures in this order, framed where the
oracle finds all of the prompt obeyed. Needs their trained models, shipped or in runs/train.
"""

import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from course_lib.core.tensors import to_pixels
from course_lib.data.drawbench import KINDS, Prompt, prompts
from course_lib.data.files import ROOT
from course_lib.data.oracle import judge

ACROSS, SCALE = 4, 2.0
COUNTS = {"taught": 20, "new": 12, "other words": 16, "misspelt": 8, "other way round": 8}
SHORT = {"sd": "latents", "unclip": "unCLIP", "imagen": "Imagen"}
NAMES = {"sd": "latents (Stable Diffusion's kind)", "unclip": "unCLIP", "imagen": "Imagen"}


def chosen() -> list[Prompt]:
    """The 64 prompts, kind after kind, spread evenly over all of their kind."""
    every = prompts()
    found = []
    for kind in KINDS:
        own = [one for one in every if one.kind == kind]
        places = np.linspace(0, len(own) - 1, COUNTS[kind]).round().astype(int)
        found += [own[place] for place in places]
    return found


def strips(drawn: dict[str, Tensor], right: dict[str, Sequence[bool]]) -> np.ndarray:
    """A sheet of strips, ACROSS in a row: a picture of each system, framed in white if right."""
    rows = []
    for name, pictures in drawn.items():
        pixels = to_pixels(pictures).permute(0, 2, 3, 1).numpy().repeat(2, 1).repeat(2, 2)
        frame = np.pad(pixels, ((0, 0), (3, 3), (3, 3), (0, 0)), constant_values=90)
        for n, yes in enumerate(right[name]):
            if yes:
                frame[n, :3] = frame[n, -3:] = frame[n, :, :3] = frame[n, :, -3:] = 255
        rows.append(frame)
    each = np.concatenate(rows, 2)  # [prompts, high, three pictures wide, 3]
    each = np.pad(each, ((0, 0), (0, 6), (0, 12), (0, 0)), constant_values=90)
    grid = each.reshape(-1, ACROSS, *each.shape[1:]).swapaxes(1, 2)
    return grid.reshape(-1, ACROSS * each.shape[2], 3).astype(np.float32)


def listed(asked: Sequence[Prompt], right: dict[str, Sequence[bool]]) -> str:
    """The prompts as a table, numbered as they stand on the sheet, and who obeys them."""
    lines = [
        "# Three systems, 64 prompts",
        "",
        "What the three systems of [chapter 27](../notebooks/27_imagen.ipynb) draw for 64 prompts"
        f" of the small world: a strip for each prompt, {ACROSS} strips in a row, in each from left"
        f" to right {', '.join(NAMES.values())}. Guidance {SCALE:g}, the first picture of each. A"
        " white frame says that the oracle finds all of the prompt obeyed. Made by"
        " `python tools/draw_systems.py`.",
        "",
        "![Sixty-four strips of three pictures, four strips a row](systems.png)",
        "",
        "| kind | prompts | " + " | ".join(NAMES[name] for name in right) + " |",
        "|---" * (2 + len(right)) + "|",
    ]
    for kind in KINDS:
        own = [n for n, one in enumerate(asked) if one.kind == kind]
        sums = [str(sum(bool(right[name][n]) for n in own)) for name in right]
        lines.append(f"| {kind} | {len(own)} | " + " | ".join(sums) + " |")
    lines += ["", "| | kind | prompt | obeyed by |", "|---|---|---|---|"]
    for n, one in enumerate(asked):
        who = ", ".join(SHORT[name] for name in right if right[name][n]) or "nobody"
        lines.append(f"| {n + 1} | {one.kind} | {one.text} | {who} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw, judge and write."""
    sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tools")]
    from draw_data import write
    from world import SYSTEMS

    asked = chosen()
    texts = [one.text for one in asked]
    drawn = {name: draw(texts, scale=SCALE, seed=0) for name, draw in SYSTEMS.items()}
    right = {
        name: [
            judge(picture, one.scene)["all"]
            for picture, one in zip(to_pixels(made), asked, strict=True)
        ]
        for name, made in drawn.items()
    }
    write("systems.png", strips(drawn, right))
    (ROOT / "docs" / "systems.md").write_text(listed(asked, right), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
