"""Write MiniLM's states of the prompts of `drawbench` to `data/scenes/minilm.safetensors`.

    python tools/embed_captions.py

Needs the package with MiniLM (`course_lib.models.minilm` says which). Says how much of the states'
variance the 64 directions keep, by the kind of prompt.
"""

import hashlib
import json

import torch
from safetensors.torch import save

from course_lib.core.eight_bits import quantise
from course_lib.core.tensors import atomic_write
from course_lib.data.drawbench import KINDS, prompts
from course_lib.data.files import ROOT
from course_lib.data.frozen import LENGTH, NAME, WIDTH
from course_lib.models.minilm import load_minilm

CHECKSUMS = ROOT / "data" / "checksums.json"


def main() -> None:
    """Read all prompts, find the directions by those that are taught, write and tell."""
    every = prompts()
    states, there = load_minilm().encode([one.text for one in every], LENGTH)
    taught = torch.tensor([one.kind == "taught" for one in every])
    seen = states[taught][there[taught]]
    mean = seen.mean(0)
    axes = torch.linalg.svd(seen - mean, full_matrices=False).Vh[:WIDTH]
    size = ((seen - mean) @ axes.T).square().mean().sqrt()
    whole, scale = quantise((states[there] - mean) @ axes.T / size)
    axes_whole, axes_scale = quantise(axes)
    content = save(
        {
            "states": whole,
            "scale": scale,
            "pieces": there.sum(1).to(torch.int16),
            "mean": mean.half(),
            "axes": axes_whole,
            "axes_scale": axes_scale,
            "size": size,
        }
    )
    atomic_write(ROOT / "data" / NAME, content)
    record = json.loads(CHECKSUMS.read_text())
    record[NAME] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(dict(sorted(record.items())), indent=2) + "\n"
    atomic_write(CHECKSUMS, text.encode())
    print(f"wrote data/{NAME} ({len(content) / 1e6:.2f} MB, {len(every)} texts)")
    for kind in KINDS:
        chosen = torch.tensor([one.kind == kind for one in every])
        off = states[chosen][there[chosen]] - mean
        kept = (off @ axes.T).square().sum() / off.square().sum()
        print(f"  {kind}: {float(kept):.1%} of the variance kept")


if __name__ == "__main__":
    main()
