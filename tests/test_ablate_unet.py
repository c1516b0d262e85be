"""The tool behind chapter 12's table: it measures what is shipped, and writes it down."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course_lib import trainings  # noqa: E402
from course_lib.train import TrainConfig  # noqa: E402
from course_lib.weights import load_weights, manifest  # noqa: E402
from tools import ablate_unet  # noqa: E402


def test_every_run_comes_once_and_the_skips_first():
    runs = list(ablate_unet.order(3))
    assert len(runs) == len(set(runs)) == 3 * len(ablate_unet.SKIPS + ablate_unet.OTHERS)
    assert runs.index(("unet_no_skips_x_0", 2)) < runs.index(("unet_flat", 1))


def test_the_loss_at_a_time_is_the_models_own():
    model = trainings.TRAININGS["unet_whole"].model()
    images = torch.rand(4, 1, 14, 14) * 2 - 1
    # A new network says 0, so its error in the noise is the noise itself.
    for t, loss in zip(ablate_unet.TIMES, ablate_unet.losses_at(model, images), strict=True):
        eps = torch.randn(images.shape, generator=torch.Generator().manual_seed(t))
        assert loss == pytest.approx(eps.square().mean().item(), abs=1e-6)


def test_it_trains_measures_writes_and_ships(tmp_path, monkeypatch, capsys):
    short = TrainConfig(total_steps=2, precision="fp32")
    for name in ("unet_whole", "unet_flat"):
        training = replace(trainings.TRAININGS[name], config=short, batch=4)
        monkeypatch.setitem(trainings.TRAININGS, name, training)
    monkeypatch.setattr(ablate_unet, "SKIPS", ("unet_whole",))
    monkeypatch.setattr(ablate_unet, "OTHERS", ("unet_flat",))
    monkeypatch.setattr(ablate_unet, "PICTURES", 8)
    table = tmp_path / "table.json"
    where = ["--runs", str(tmp_path), "--table", str(table), "--folder", str(tmp_path)]
    assert ablate_unet.main(["--seeds", "1", "--ship", *where]) == 0
    losses = json.loads(table.read_text())["losses"]
    assert set(losses) == {"unet_whole", "unet_flat"}
    entry = manifest(tmp_path)["unet_flat"]
    assert entry["steps"] == 2 and list(entry["losses"].values()) == losses["unet_flat"]["0"]
    load_weights("unet_whole", trainings.TRAININGS["unet_whole"].model(), tmp_path)
