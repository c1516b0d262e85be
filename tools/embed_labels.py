"""Write MiniLM's vectors of the emoji's labels to `data/emoji/labels.safetensors`.

    python tools/embed_labels.py

Needs the package with MiniLM (`course_lib.models.minilm` says which). To be run after the emoji
were built anew; the file has one row for each line of `data/emoji/concepts.jsonl.gz`.
"""

import hashlib
import json

from safetensors.torch import save

from course_lib.core.eight_bits import quantise
from course_lib.core.tensors import atomic_write
from course_lib.data.emoji import concepts
from course_lib.data.files import ROOT
from course_lib.models.minilm import load_minilm

CHECKSUMS = ROOT / "data" / "checksums.json"


def main() -> None:
    labels = [concept.label for concept in concepts().values()]
    whole, scale = quantise(load_minilm().embed(labels))
    content = save({"labels": whole, "scale": scale})
    name = "emoji/labels.safetensors"
    atomic_write(ROOT / "data" / name, content)
    record = json.loads(CHECKSUMS.read_text())
    record[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(dict(sorted(record.items())), indent=2) + "\n"
    atomic_write(CHECKSUMS, text.encode())
    print(f"wrote data/{name} ({len(content) / 1e6:.2f} MB, {len(labels)} labels)")


if __name__ == "__main__":
    main()
