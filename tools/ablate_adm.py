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

from course_lib.trainings import RUNS  # noqa: E402
from tools.ablate_unet import TABLE as BEFORE  # noqa: E402
from tools.ablate_unet import Losses, measured  # noqa: E402

TABLE = ROOT / "data" / "adm_ablation.json"
CHANGES = ("adm_adagn", "adm_heads", "adm_rescale", "adm_attention")  # the dearest last


def main(arguments: list[str] | None = None) -> int:
    """Train, measure, write the table after every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each network (3)")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the losses go")
    options = parser.parse_args(arguments)
    losses: Losses = {name: {} for name in CHANGES}
    losses |= {"unet_whole": json.loads(BEFORE.read_text())["losses"]["unet_whole"]}
    order = [(name, seed) for seed in range(options.seeds) for name in CHANGES]
    for _ in measured(order, losses, options.runs, options.table):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
