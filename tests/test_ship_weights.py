"""A model is measured and shipped whole, with where it comes from, and never over another."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import ship_weights  # noqa: E402

from course_lib import trainings  # noqa: E402
from course_lib.data.emoji import load_emoji  # noqa: E402
from course_lib.diffusion.schedules import linear  # noqa: E402
from course_lib.trainings import TRAININGS, trained  # noqa: E402
from course_lib.weights import load_weights, manifest  # noqa: E402


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training digits: a run too short to be good, and enough to be shipped."""
    folder = tmp_path_factory.mktemp("run")
    TRAININGS["digits_ddpm"](folder, "cpu", "fp32", steps=2)
    return folder


def ship(run: Path, to: Path, *more: str) -> int:
    arguments = ["digits_ddpm", "--run", str(run), "--folder", str(to), "--steps", "2"]
    return ship_weights.main([*arguments, "--samples", "60", "--device", "cpu", *more])


def test_ships_the_average_with_its_origin_and_metrics(run: Path, tmp_path: Path) -> None:
    assert ship(run, tmp_path, "--hardware", "a slow core") == 0
    entry = manifest(tmp_path)["digits_ddpm"]
    assert entry["steps"] == 2 and entry["images_seen"] == 2 * entry["batch"] == 128
    assert entry["hardware"] == "a slow core" and "a slow core" in entry["made"]
    assert len(entry["data_sha256"]) == 64 and entry["revision"]
    distance = entry["metrics"]["frechet_distance"]
    assert distance["n"] == 60
    assert distance["value"] > 3 * distance["floor"] > 0  # two steps teach nothing
    assert sum(entry["metrics"]["class_shares"]) == pytest.approx(1, abs=0.001)
    assert str(tmp_path) not in json.dumps(entry)  # no paths of this machine

    shipped = load_weights("digits_ddpm", TRAININGS["digits_ddpm"].model(), tmp_path)
    trained, _ = ship_weights.averaged(
        TRAININGS["digits_ddpm"].model(), run / ship_weights.CHECKPOINT
    )
    for name, value in trained.state_dict().items():
        coarse = (
            float(value.abs().max()) / 250 + 4e-6
        )  # half of one of 127 steps; a scale's own 16 bits
        torch.testing.assert_close(shipped.state_dict()[name], value, atol=coarse, rtol=1e-3)


def test_replaces_only_when_asked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "digits_ddpm.safetensors.gz"
    path.write_bytes(b"the reader's own")
    assert ship(run, tmp_path) == 2
    assert path.read_bytes() == b"the reader's own"
    assert "--replace" in capsys.readouterr().err
    assert ship(run, tmp_path, "--replace") == 0
    assert path.read_bytes() != b"the reader's own"


def test_says_how_to_make_a_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ship(tmp_path / "nowhere", tmp_path) == 2
    assert "course train digits_ddpm" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_repeats_and_unclipped_samples_are_measured_the_same_way(run: Path, tmp_path: Path) -> None:
    assert ship(run, tmp_path, "--unclipped", "--repeats", str(run)) == 0
    entry = manifest(tmp_path)["digits_ddpm"]
    [repeat] = entry["repeats"]
    assert repeat["seed"] == 0
    assert repeat["clipped"] == entry["metrics"]["frechet_distance"]["value"]
    assert repeat["unclipped"] == entry["unclipped_metrics"]["frechet_distance"]["value"]
    assert repeat["unclipped"] != repeat["clipped"]


def test_a_model_of_bits_is_measured_by_its_bound(tmp_path: Path) -> None:
    run = tmp_path / "run"
    TRAININGS["heartbeat_2015"](run, "cpu", "fp32", steps=2)
    arguments = ["heartbeat_2015", "--run", str(run), "--folder", str(tmp_path)]
    assert ship_weights.main([*arguments, "--samples", "10"]) == 0
    entry = manifest(tmp_path)["heartbeat_2015"]
    assert entry["bound_bits"]["n"] == 10 and len(entry["data_sha256"]) == 64
    assert -200 < entry["bound_bits"]["value"] < -2.322  # no model is better than the data's law
    assert load_weights("heartbeat_2015", TRAININGS["heartbeat_2015"].model(), tmp_path)


def test_a_model_that_was_taught_labels_names_its_start_and_ships_what_is_new(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    whole = replace(TRAININGS["fashion_labels"], batch=2)(run, "cpu", "fp32", steps=1)
    arguments = ["fashion_labels", "--run", str(run), "--folder", str(tmp_path)]
    assert ship_weights.main(arguments) == 0
    entry = manifest(tmp_path)["fashion_labels"]
    assert entry["from"] == "fashion_ddpm" and "whose other layers stay" in entry["made"]
    assert entry["parameters"] < sum(p.numel() for p in whole.parameters()) / 5
    part = TRAININGS["fashion_labels"].ships(TRAININGS["fashion_labels"].model())
    assert load_weights("fashion_labels", part, tmp_path)


def test_a_learned_step_is_sampled_with_itself() -> None:
    model = TRAININGS["fashion_2015"].model()
    model.schedule = linear(3, 1e-3, 0.5)
    sampler = ship_weights.LearnedSteps(seed=2)
    first = sampler(model, (2, 1, 28, 28))
    torch.testing.assert_close(first, sampler(model, (2, 1, 28, 28)), atol=0, rtol=0)
    assert first.shape == (2, 1, 28, 28) and "seed 2" in str(sampler)


def test_a_walk_that_diverges_is_named_and_not_measured() -> None:
    model = TRAININGS["digits_ddpm"].model()
    torch.nn.init.constant_(model.net.head.out.bias, float("inf"))
    free = ship_weights.Sampler(steps=2, clipped=False)
    entry = ship_weights.measure(model, free, ship_weights.digits_reference(), 40)
    assert entry["metrics"] is None
    assert entry["diverged"] == "40 of 40 samples"


def test_samples_depend_on_the_seed_alone() -> None:
    model = TRAININGS["digits_ddpm"].model()
    torch.nn.init.normal_(model.net.head.out.weight, std=0.1)
    shape = (3, 1, 8, 8)
    draw = ship_weights.Sampler(steps=3, seed=5)
    torch.testing.assert_close(draw(model, shape), draw(model, shape), atol=0, rtol=0)
    assert not torch.equal(draw(model, shape), ship_weights.Sampler(steps=3, seed=6)(model, shape))
    assert float(draw(model, shape).abs().max()) <= 1


def test_a_model_that_reads_captions_is_judged_by_the_oracle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ship_weights.MODELS["scenes_bag"]
    some = torch.zeros(8, 3, 16, 16), torch.ones(8, 24).long()
    monkeypatch.setattr(trainings, "small_scenes", lambda related: some)
    config = replace(row.config, total_steps=2, final_steps=0)
    short = replace(row, config=config, batch=4, start=lambda model: None)
    short(tmp_path / "run", device="cpu")
    few = ship_weights.SMALL_WORLD | {"colours": ("red", "blue"), "shapes": ("circle", "cross")}
    monkeypatch.setattr(ship_weights, "SMALL_WORLD", few)
    monkeypatch.setattr(ship_weights, "draw", partial(ship_weights.draw, steps=2))
    words = [
        "scenes_bag",
        "--run",
        str(tmp_path / "run"),
        "--folder",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    assert ship_weights.main([*words, "--repeats", str(tmp_path / "run")]) == 0
    about = manifest(tmp_path)["scenes_bag"]
    assert about["obeyed"]["1"]["train"].keys() >= {"binding", "relation", "all"}
    assert len(about["obeyed"]["4"]["whole"]) == 3
    assert about["repeats"] == [{"seed": 0} | about["obeyed"]]


def test_a_clip_is_judged_by_what_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ship_weights.MODELS["scene_clip_bag"]
    small = replace(
        row, data=lambda: torch.zeros(1, 3, 32, 32).byte(), labels=lambda: torch.ones(1, 24).long()
    )
    short = replace(small, config=replace(row.config, total_steps=1, final_steps=0), batch=1)
    short(tmp_path / "run", device="cpu")
    monkeypatch.setitem(ship_weights.MODELS, "scene_clip_bag", small)
    judge = ship_weights.bound_right
    monkeypatch.setattr(ship_weights, "bound_right", lambda model: judge(model, 20))
    words = ["scene_clip_bag", "--run", str(tmp_path / "run"), "--folder", str(tmp_path)]
    assert ship_weights.main([*words, "--repeats", str(tmp_path / "run")]) == 0
    about = manifest(tmp_path)["scene_clip_bag"]
    assert about["found"]["train"]["told apart"] == 0.5  # a bag, whatever it has learned
    assert about["repeats"] == [about["found"]]


def test_emoji_are_found_among_all_labels() -> None:
    found = ship_weights.emoji_found(trained("emoji_clip"))
    assert found["test_pair"]["R@1"] > 0.15 and found["test_concept"]["R@5"] > 10 * 5 / 1555


def test_an_autoencoder_is_judged_by_its_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ship_weights.MODELS["emoji_vq_8"]
    small = replace(row, data=lambda: torch.zeros(2, 4, 64, 64).byte(), batch=2)
    short = replace(small, config=replace(row.config, total_steps=1, final_steps=0))
    short(tmp_path / "run", device="cpu")
    monkeypatch.setitem(ship_weights.MODELS, "emoji_vq_8", small)
    unseen = load_emoji("test_concept").pick(range(3))
    monkeypatch.setattr(ship_weights, "load_emoji", lambda split: unseen)
    words = ["emoji_vq_8", "--run", str(tmp_path / "run"), "--folder", str(tmp_path)]
    assert ship_weights.main(words) == 0
    copies = manifest(tmp_path)["emoji_vq_8"]["copies"]
    assert copies["n"] == 3 and 0 < copies["psnr"] < 30 and copies["lpips"] > 0

    class Lighter(torch.nn.Module):
        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return x

        def decode(self, z: torch.Tensor) -> torch.Tensor:
            return z + 0.02 * torch.where(z > 0, -1, 1)

    assert ship_weights.copied(Lighter())["psnr"] == pytest.approx(40, abs=0.01)


def test_drawn_emoji_are_judged_by_their_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ship_weights,
        "imagine",
        lambda model, space, tokens, **_: torch.zeros(len(tokens), 3, 64, 64),
    )
    monkeypatch.setattr(
        ship_weights, "frechet_emoji", lambda made: ship_weights.Measured(1.0, 0.5, len(made))
    )
    found = ship_weights.prompted(torch.nn.Identity(), scales=(1, 3), most=20)
    assert 10 <= found["n"] <= 20 and found.keys() == {"n", "real", "1", "3", "shuffled", "taught"}
    assert found["1"]["frechet"] == 1.0 and found["1"]["R@5"] < found["real"]["R@5"]


@pytest.mark.parametrize("name", ["world_clip_bag", "unclip_up"])
def test_parts_of_systems_are_shipped_and_judged_elsewhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ship_weights.MODELS[name]
    labels = None if row.labels is None else lambda: torch.ones(2, 24).long()
    small = replace(row, data=lambda: torch.zeros(2, 3, 32, 32), labels=labels, batch=1)
    short = replace(small, config=replace(row.config, total_steps=1, final_steps=0))
    short(tmp_path / "run", device="cpu")
    monkeypatch.setitem(ship_weights.MODELS, name, small)
    judge = ship_weights.world_named
    monkeypatch.setattr(ship_weights, "world_named", lambda model: judge(model, 20))
    words = [name, "--run", str(tmp_path / "run"), "--folder", str(tmp_path)]
    assert ship_weights.main(words) == 0
    about = manifest(tmp_path)[name]
    assert about["steps"] == 1
    if name == "world_clip_bag":  # whatever it has learned
        assert about["named"]["its swap"] == about["named"]["other way"] == 0.5
