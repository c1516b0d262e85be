"""Committed samples: what was drawn comes back, and damage is named."""

import pytest
import torch
from PIL import Image

from course_lib.data.files import DamagedData
from course_lib.data.samples import SAMPLES, index, load_samples, save_samples


def pixels(n, side, channels=1):
    random = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, channels, side, side), dtype=torch.uint8, generator=random)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("n", [1, 50, 73])
def test_what_is_saved_comes_back(tmp_path, n, channels):
    drawn = pixels(n, 8, channels)
    save_samples("one", drawn, {"how": "at random"}, folder=tmp_path)
    save_samples("two", pixels(3, 28), {"how": "too"}, folder=tmp_path)
    assert torch.equal(load_samples("one", tmp_path), drawn)
    assert index(tmp_path)["one"]["how"] == "at random" and list(index(tmp_path)) == ["one", "two"]


@pytest.mark.parametrize("name", sorted(index()))
def test_every_committed_sheet_is_whole(name):
    entry = index()[name]
    drawn = load_samples(name)
    channels = 3 if name.startswith("scenes") else 1
    assert drawn.shape == (entry["n"], channels, entry["side"], entry["side"])
    assert name in entry["how"]
    assert drawn.max() == (16 if name.startswith("digits") else 255)
    assert (SAMPLES / f"{name}.png").stat().st_size < 600_000


def test_damage_and_unknown_names_are_refused(tmp_path):
    save_samples("one", pixels(5, 8), {}, folder=tmp_path)
    with Image.open(tmp_path / "one.png") as image:
        image.point(lambda value: 255 - value).save(tmp_path / "one.png")
    with pytest.raises(DamagedData, match=r"git checkout -- data/samples/one\.png"):
        load_samples("one", tmp_path)
    with pytest.raises(ValueError, match=r"unknown samples 'two'\. Use one of: one"):
        load_samples("two", tmp_path)
