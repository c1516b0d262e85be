"""The feature networks: good judges, standardised, and worse pictures are further away."""

import pytest
import torch
import torch.nn.functional as F

from course_lib import features as module
from course_lib.core.tensors import to_unit
from course_lib.data.digits import TOP, load_digits
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.features import classify, feature_net, features
from course_lib.metrics import frechet_distance
from course_lib.weights import WEIGHTS, manifest

N = 600


@pytest.fixture(scope="module")
def reference():
    return features(load_fashion_mnist("train")[0][:N])


@pytest.fixture(scope="module")
def test_pictures():
    return to_unit(load_fashion_mnist("test")[0][:N])


def test_fashion_judge_is_right_nine_times_in_ten():
    images, labels = load_fashion_mnist("test")
    right = (classify(images[:2_000]).argmax(1) == labels[:2_000]).float().mean()
    assert right > 0.9


def test_digits_judge_is_nearly_always_right():
    images, labels = load_digits("test")
    assert (classify(images, "digits_features").argmax(1) == labels).float().mean() > 0.98


def test_features_are_standardised_over_the_training_pictures(reference):
    assert reference.shape == (N, 64) and reference.dtype == torch.float32
    assert reference.mean(0).abs().max() < 0.15
    assert (reference.std(0) - 1).abs().max() < 0.15
    digits = features(load_digits("train")[0], "digits_features")
    assert digits.shape == (1352, 32)
    assert digits.mean(0).abs().max() < 0.01 and (digits.std(0) - 1).abs().max() < 0.01


def test_pixels_and_their_unit_floats_are_the_same_picture():
    images, _ = load_fashion_mnist("test")
    torch.testing.assert_close(features(images[:20]), features(to_unit(images[:20])))
    digits, _ = load_digits("test")
    torch.testing.assert_close(
        features(digits[:20], "digits_features"),
        features(to_unit(digits[:20], TOP), "digits_features"),
    )


def test_worse_pictures_are_further_from_real_ones(reference, test_pictures):
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(test_pictures.shape, generator=random)

    def blurred(sigma):
        line = torch.exp(-(torch.arange(-4, 5) ** 2) / (2 * sigma**2))
        kernel = line[:, None] * line / line.sum() ** 2
        return F.conv2d(F.pad(test_pictures, [4] * 4, value=-1.0), kernel[None, None])

    def distance(pictures):
        return frechet_distance(features(pictures), reference)

    floor = distance(test_pictures)
    noisy = [distance(test_pictures + level * noise) for level in (0.1, 0.2, 0.4)]
    blurry = [distance(blurred(sigma)) for sigma in (0.7, 1.0, 1.5)]
    nonsense = distance(noise)
    assert floor < 0.4
    assert 2 * floor < noisy[0] and 2 * floor < blurry[0]
    assert noisy == sorted(noisy) and blurry == sorted(blurry)
    assert nonsense > 4 * max(noisy + blurry)


def test_lost_classes_are_noticed(reference):
    images, labels = load_fashion_mnist("test")
    distances = [
        frechet_distance(features(images[labels < classes][:N]), reference)
        for classes in (10, 9, 5, 1)
    ]
    assert distances == sorted(distances)
    assert distances[1] > 5 * distances[0]  # one class of ten is missing


def test_the_manifest_records_where_they_come_from_and_their_floors():
    for name in ("fashion_features", "digits_features"):
        entry = manifest()[name]
        assert name in entry["recipe"] and entry["steps"] == module.JUDGES[name].steps
        assert (WEIGHTS / f"{name}.safetensors.gz").stat().st_size < 1.5e6
        for n, floor in entry["floors"]["in order"].items():
            assert 0 < floor < entry["floors"]["random"][n]


def test_the_recorded_floor_is_what_is_measured():
    train, test = load_digits("train")[0][:400], load_digits("test")[0][:400]
    again = frechet_distance(*(features(x, "digits_features") for x in (train, test)))
    recorded = manifest()["digits_features"]["floors"]["in order"]["400"]
    assert again == pytest.approx(recorded, rel=0.02)


def test_an_unknown_network_lists_the_known_ones():
    with pytest.raises(ValueError, match="fashion_features, digits_features"):
        feature_net("inception")


def test_training_resumes_to_the_bit_and_leaves_the_shipped_weights_alone(tmp_path):
    shipped = (WEIGHTS / "manifest.json").read_bytes()
    through = module.train_features("digits_features", tmp_path / "through", "cpu", "fp32", steps=6)
    module.train_features("digits_features", tmp_path / "stopped", "cpu", "fp32", steps=4)
    resumed = module.train_features("digits_features", tmp_path / "stopped", "cpu", "fp32", steps=6)
    for key, value in through.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=0, atol=0)
    entry = manifest(tmp_path / "stopped")["digits_features"]
    assert entry["steps"] == 6 and 0 <= entry["test_accuracy"] <= 1
    assert (WEIGHTS / "manifest.json").read_bytes() == shipped


def test_shift_moves_whole_pictures_by_whole_pixels():
    torch.manual_seed(0)
    x = -torch.ones(200, 1, 9, 9)
    x[:, 0, 4, 4] = 1  # one white dot in the middle
    moved = module._shift(x, reach=2)
    assert (moved == 1).flatten(1).sum(1).eq(1).all()
    places = {tuple(place) for place in (moved[:, 0] == 1).nonzero()[:, 1:].tolist()}
    assert places == {(row, column) for row in range(2, 7) for column in range(2, 7)}


def test_an_error_leaves_no_inference_mode_behind(monkeypatch):
    monkeypatch.setattr(module, "feature_net", lambda name: torch.nn.Linear(3, 1))
    with pytest.raises(RuntimeError) as kept:  # noqa: F841  IPython keeps the traceback, too
        classify(torch.zeros(4, 1, 28, 28))
    assert not torch.is_inference_mode_enabled()
