"""Train the small U-Net with one change of ADM's at a time, and measure it at several noise levels.

    python tools/ablate_adm.py            trains what is missing: minutes for each of 12 runs

Every run is that of `course train NAME`, with its seed; it resumes where it stopped. The losses on
test garments go to data/adm_ablation.json, which chapter 16 reads; the network without a change is
chapter 12's, and its losses are copied from there.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for the other tools

from course_lib.core.tensors import atomic_write  # noqa: E402
from course_lib.diffusion.denoiser import Denoiser  # noqa: E402
from course_lib.trainings import RUNS, TRAININGS  # noqa: E402
from tools.ablate_unet import PICTURES, TIMES, losses_at, unseen_garments  # noqa: E402
from tools.ablate_unet import TABLE as BEFORE  # noqa: E402

TABLE = ROOT / "data" / "adm_ablation.json"
CHANGES = ("adm_adagn", "adm_heads", "adm_rescale", "adm_attention")  # the dearest last


def main(arguments: list[str] | None = None) -> int:
    """Train, measure, write the table after every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each network (3)")
    parser.add_argument("--attention", type=int, default=3, help="and of the dearest one (3)")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the losses go")
    options = parser.parse_args(arguments)
    images = unseen_garments()
    losses = {name: {} for name in CHANGES}
    losses |= {"unet_whole": json.loads(BEFORE.read_text())["losses"]["unet_whole"]}
    for seed in range(options.seeds):
        for name in CHANGES if seed < options.attention else CHANGES[:-1]:
            run = options.runs / (name if seed == 0 else f"{name}-{seed}")
            model = TRAININGS[name](run, seed=seed)
            assert isinstance(model, Denoiser)
            losses[name][str(seed)] = losses_at(model, images)
            print(name, seed, losses[name][str(seed)], flush=True)
            table = {"times": TIMES, "pictures": PICTURES, "losses": losses}
            atomic_write(options.table, (json.dumps(table) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
