"""The tool behind the standings: its rows are what is committed, and one can be measured anew."""

import pytest
import torch

from course_lib.data.samples import index, load_samples
from course_lib.evaluation import REAL, standings
from tools import measure_models
from tools.measure_models import ROWS, main


def test_the_rows_are_the_committed_standings():
    entered = {name for against in REAL for name in standings(against)}
    assert entered == set(ROWS)
    kept = {name for name in index() if not name.startswith("scenes")}
    assert kept == {row.weights for row in ROWS.values() if row.keep}
    for against in REAL:
        assert {one.n for one in standings(against).values()} == {measure_models.NUMBER[against]}


def test_the_list_names_every_row_and_an_unknown_one_is_refused(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": fashion_")[0].split(": digits_")[0] for line in lines] == list(ROWS)
    assert main(["BigGAN"]) == 2
    assert "no row 'BigGAN'" in capsys.readouterr().err


def test_a_row_is_drawn_judged_and_kept(tmp_path, monkeypatch):
    path = tmp_path / "board.json"
    monkeypatch.setitem(measure_models.NUMBER, "fashion", 100)
    enter, save = measure_models.enter, measure_models.save_samples
    monkeypatch.setattr(measure_models, "enter", lambda *a: enter(*a, path=path))
    monkeypatch.setattr(measure_models, "save_samples", lambda *a: save(*a, folder=tmp_path))
    row = ROWS["VAE, 2 latents"]
    monkeypatch.setitem(ROWS, "VAE, 2 latents", measure_models.Row(row.weights, row.sampler, 60))
    assert main(["VAE, 2 latents"]) == 0
    found = standings(path=path)["VAE, 2 latents"]
    assert found.n == 100 and found.recall.value < found.recall.floor - 0.2
    assert load_samples("fashion_vae", tmp_path).shape == (60, 1, 28, 28)
    assert "fashion_vae: the middle of p(x | z)" in index(tmp_path)["fashion_vae"]["how"]


def test_data_set_of_a_row_is_that_of_its_weights():
    assert {row.against for row in ROWS.values()} == set(REAL)
    with pytest.raises(KeyError):
        measure_models.keep("unknown", torch.zeros(1, 1, 8, 8), "")
