"""Guide the garment model with two classifiers at several scales, and judge what comes out.

    python benchmarks/classifier_guidance.py     writes data/measured/classifier_guidance.json

One classifier was trained on noised pictures, the other on clean ones. The judge, the classifier
inside `fashion_features`, never guides. Every setting draws the same noises; rows that are in the
file already are kept, so a run that stopped goes on.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course_lib.core.tensors import atomic_write, to_pixels  # noqa: E402
from course_lib.diffusion.guidance import classifier_guided, clip, label_log_prob  # noqa: E402
from course_lib.diffusion.samplers import ddim_step, sample  # noqa: E402
from course_lib.diffusion.schedules import spaced_times  # noqa: E402
from course_lib.evaluation import evaluate  # noqa: E402
from course_lib.features import classify  # noqa: E402
from course_lib.trainings import trained  # noqa: E402

TABLE = ROOT / "data" / "measured" / "classifier_guidance.json"
GUIDES = {"noisy": "fashion_classifier", "clean": "fashion_classifier_clean"}
SCALES = (0.0, 1.0, 3.0, 10.0, 30.0)
STEPS = 20


def draw(name: str, scale: float, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n pictures, the wanted classes 0..9 in turn, by DDIM without noise; and those classes."""
    model, guide = trained("fashion_ddpm"), trained(GUIDES[name])
    x = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    label, parts = torch.arange(n) % 10, []
    for x_T, wanted in zip(x.split(50), label.split(50), strict=True):
        log_prob = label_log_prob(guide, wanted)
        guided = clip(classifier_guided(model, model.schedule, log_prob, scale))
        times = spaced_times(model.schedule, STEPS)
        parts.append(sample(ddim_step, guided, model.schedule, x_T, times))
    return torch.cat(parts), label


@torch.no_grad()
def judged(name: str, made: torch.Tensor, label: torch.Tensor) -> dict[str, float]:
    """What the guide and the judge say of the pictures, and the recipe's numbers."""
    guide, n = trained(GUIDES[name]), len(made)
    own = torch.cat([guide(x, torch.zeros(len(x)).long()) for x in made.split(100)])
    found = evaluate(made, pictures=2000)
    return {
        "judge": float((classify(to_pixels(made)).argmax(1) == label).double().mean()),
        "guide": float((own.argmax(1) == label).double().mean()),
        "guide_says": float(own.softmax(1).gather(1, label[:, None]).mean()),
        "frechet": found.frechet.value,
        "frechet_floor": found.frechet.floor,
        "precision": found.precision.value,
        "precision_floor": found.precision.floor,
        "recall": found.recall.value,
        "recall_floor": found.recall.floor,
        "n": n,
    }


def main(arguments: list[str] | None = None) -> int:
    """Draw, judge, and write the table after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="pictures of each setting (200)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of each setting (3)")
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args(arguments)
    rows = json.loads(options.table.read_text())["rows"] if options.table.exists() else []
    for seed in range(options.seeds):
        for scale in SCALES:
            for name in GUIDES if scale else ("noisy",):
                key = {"guide": name, "scale": scale, "seed": seed}
                if any(key == row["setting"] for row in rows):
                    continue
                made, label = draw(name, scale, options.n, seed)
                rows.append({"setting": key, "found": judged(name, made, label)})
                print(rows[-1], flush=True)
                table = {"steps": STEPS, "n": options.n, "rows": rows}
                atomic_write(options.table, (json.dumps(table, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
