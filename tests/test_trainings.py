"""A chapter's models: shipped in the fast profile, trained on this machine in the others."""

from dataclasses import replace

import pytest
import torch

from course_lib import trainings
from course_lib.train import TrainConfig
from course_lib.weights import load_weights


def test_the_fast_profile_loads_what_is_shipped(capsys):
    model = trainings.trained("heartbeat_2015", "fast")
    shipped = load_weights("heartbeat_2015", trainings.TRAININGS["heartbeat_2015"].model())
    for ours, theirs in zip(model.parameters(), shipped.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert "heartbeat_2015: shipped weights" in capsys.readouterr().out


def test_other_profiles_train_and_keep_the_run(tmp_path, monkeypatch, capsys):
    short = replace(trainings.TRAININGS["digits_ddpm"], config=TrainConfig(total_steps=2), batch=4)
    monkeypatch.setitem(trainings.TRAININGS, "digits_ddpm", short)
    model = trainings.trained("digits_ddpm", "cpu", tmp_path)
    assert (tmp_path / "digits_ddpm" / trainings.CHECKPOINT).exists()
    again = trainings.trained("digits_ddpm", "cpu", tmp_path)  # nothing is left to train
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert "trained here" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["digits_ddmp", "digits_features"])  # the second ships itself
def test_a_name_that_is_no_model_is_refused(name):
    with pytest.raises(ValueError, match=f"unknown model '{name}'.*digits_ddpm"):
        trainings.trained(name)


def test_the_ablation_is_a_table_of_seeds_and_times(tmp_path):
    times, losses = trainings.unet_ablation()
    assert len(times) == 9 and bool((times.diff() > 0).all())
    for name, table in losses.items():
        assert isinstance(trainings.TRAININGS[name], trainings.Training)
        assert table.shape[1] == 9 and bool((table > 0).all())
    written = tmp_path / "table.json"
    written.write_text('{"times": [1, 2], "losses": {"a": {"0": [3, 4], "1": [5, 6]}, "b": {}}}')
    times, losses = trainings.unet_ablation(written)
    assert times.tolist() == [1, 2] and list(losses) == ["a"]
    assert losses["a"].tolist() == [[3, 4], [5, 6]]
