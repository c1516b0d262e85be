"""Fashion-MNIST as committed: complete, balanced, unchanged, and loud when it is not."""

import gzip
import hashlib
import importlib.util
import json

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data.fashion_mnist import (
    CLASSES,
    SHEETS,
    from_sheet,
    load_fashion_mnist,
    to_sheet,
)
from course_lib.data.files import ROOT, DamagedData, checksums

TOOL = ROOT / "tools" / "build_data.py"


@pytest.mark.parametrize("split, count", [("train", 20_000), ("test", 6_000)])
def test_every_slice_of_ten_has_each_class_once(split, count):
    images, labels = load_fashion_mnist(split)
    assert images.shape == (count, 1, 28, 28) and images.dtype == torch.uint8
    assert torch.equal(labels.reshape(-1, 10), torch.arange(10).expand(count // 10, 10))


def test_the_first_pictures_look_like_their_labels():
    # A trouser leaves its lower middle black, a bag fills it: labels cannot be shifted or shuffled.
    images, labels = load_fashion_mnist("test")
    middle = images[:, 0, 20:, 13:15].float().mean((1, 2))
    trouser, bag = CLASSES.index("trouser"), CLASSES.index("bag")
    assert middle[labels == trouser].mean() < 60 < 120 < middle[labels == bag].mean()


def test_train_and_test_share_no_picture():
    rows = [
        {image.numpy().tobytes() for image in load_fashion_mnist(split)[0]}
        for split in ("train", "test")
    ]
    assert len(rows[0] & rows[1]) == 0


@pytest.mark.parametrize("split", ["train", "test"])
def test_files_are_the_ones_recorded(split):
    entry, path = checksums()[f"fashion_mnist/{split}.png"], SHEETS[split]
    assert path.stat().st_size == entry["bytes"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]


def test_sheet_round_trip():
    images = np.random.default_rng(0).integers(0, 256, (400, 28, 28), dtype=np.uint8)
    sheet = to_sheet(images)
    assert sheet.shape == (2 * 28, 200 * 28)
    assert np.array_equal(sheet[:28, 28:56], images[1])  # second beside first
    assert np.array_equal(from_sheet(sheet), images)


def test_another_png_encoder_is_fine(tmp_path):
    with Image.open(SHEETS["test"]) as image:
        image.save(tmp_path / "test.png", compress_level=1)
    again, _ = load_fashion_mnist("test", tmp_path / "test.png")
    assert torch.equal(again, load_fashion_mnist("test")[0])


def test_one_changed_pixel_is_named_with_both_checksums_and_the_repair(tmp_path):
    with Image.open(SHEETS["test"]) as image:
        pixels = np.array(image)
    pixels[100, 100] ^= 1
    Image.fromarray(pixels).save(tmp_path / "test.png", compress_level=1)
    with pytest.raises(DamagedData) as error:
        load_fashion_mnist("test", tmp_path / "test.png")
    for part in (
        str(tmp_path / "test.png"),
        checksums()["fashion_mnist/test.png"]["pixels_sha256"],
        hashlib.sha256(pixels.tobytes()).hexdigest(),
        "git checkout -- data/fashion_mnist/test.png",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("keep", [0, 8, 100_000])
def test_a_cut_file_is_named_with_both_checksums_and_the_repair(tmp_path, keep):
    cut = SHEETS["test"].read_bytes()[:keep]
    (tmp_path / "test.png").write_bytes(cut)
    with pytest.raises(DamagedData) as error:
        load_fashion_mnist("test", tmp_path / "test.png")
    for part in (
        str(tmp_path / "test.png"),
        checksums()["fashion_mnist/test.png"]["sha256"],
        hashlib.sha256(cut).hexdigest(),
        "git checkout -- data/fashion_mnist/test.png",
    ):
        assert part in str(error.value)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"git checkout -- data/fashion_mnist/train\.png"):
        load_fashion_mnist("train", tmp_path / "train.png")
    with pytest.raises(FileNotFoundError, match=r"python tools/build_data\.py --full"):
        load_fashion_mnist("train_full", tmp_path / "train_full.png")


def test_an_unknown_split_lists_the_known_ones():
    with pytest.raises(ValueError, match="'validation'. Use one of: train, test, train_full"):
        load_fashion_mnist("validation")


def test_without_a_clone_the_message_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="pip install -e"):
        checksums(tmp_path / "nowhere")


@pytest.fixture
def build_data():
    spec = importlib.util.spec_from_file_location("build_data", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_check_compares_pixels_with_sheet_and_record(build_data, monkeypatch, capsys):
    with Image.open(SHEETS["test"]) as image:
        sheet = np.array(image)
    assert build_data.check({"test": sheet}) == 0
    sheet[0, 0] ^= 1
    assert build_data.check({"test": sheet}) == 2  # differs from the file and from the record
    assert "DIFFER pixels of data/fashion_mnist/test.png" in capsys.readouterr().out


def test_the_builder_refuses_another_source(build_data, tmp_path):
    with pytest.raises(SystemExit, match="give --from the unpacked package"):
        build_data.build_sheet(tmp_path, "t10k", 1_000)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(10_008)))
    with pytest.raises(SystemExit, match="sha256 of t10k-labels-idx1-ubyte: expected 0402a96d"):
        build_data.build_sheet(tmp_path, "t10k", 1_000)


def test_the_builder_writes_back_what_is_recorded(build_data):
    with Image.open(SHEETS["test"]) as image:
        sheet = np.array(image)
    described = build_data.describe({"test": sheet}, {"test": SHEETS["test"].read_bytes()})
    assert described == json.loads((ROOT / "data" / "checksums.json").read_text())
