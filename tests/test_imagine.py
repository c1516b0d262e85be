"""`course imagine`: what is drawn, what is said of it, what is refused, what is kept."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import cli, imagine, trainings
from course_lib.core.noise import shared_randn_like
from course_lib.core.tensors import to_pixels
from course_lib.imagine import Settings, notes, save_png, settings_in, sheet
from course_lib.models.latent import latent_reader, pixel_space
from course_lib.models.text_to_image import TextToImage, draw, emoji_system


@pytest.fixture
def painter(monkeypatch) -> TextToImage:
    """A small painter of pixels that has learnt nothing, but listens."""
    torch.manual_seed(0)
    pieces = trainings.prompt_tokenizer()
    model = latent_reader(len(pieces), 3, widths=(8, 16)).eval()
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.3)
    made = emoji_system(model, pixel_space(), pieces)
    monkeypatch.setattr(imagine, "painter", lambda: made)
    monkeypatch.setattr(imagine, "SIDE", 8)
    return made


WISH = Settings("red apple", negative="cat", guidance_scale=2.0, steps=2, seed=7)


def test_pictures_are_those_of_draw_one_seed_each(painter):
    pictures = imagine.imagine(WISH, 2)
    for n in range(2):
        alone = draw(
            painter,
            ["red apple"],
            height=8,
            width=8,
            negative="cat",
            scale=2.0,
            steps=2,
            randn_like=shared_randn_like(7 + n),
        )
        assert torch.equal(pictures[n], to_pixels(alone)[0])
    again = imagine.imagine(Settings(**(asdict(WISH) | {"seed": 8})))
    assert torch.equal(again[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[1])


@pytest.mark.parametrize(
    "other",
    [{"prompt": "dog"}, {"negative": ""}, {"guidance_scale": 1.0}, {"steps": 3}, {"seed": 8}],
)
def test_every_setting_matters(painter, other):
    changed = imagine.imagine(Settings(**(asdict(WISH) | other)))
    assert not torch.equal(changed, imagine.imagine(WISH))


def test_progress_counts_all_steps(painter):
    told = []
    imagine.imagine(WISH, 3, lambda done, of: told.append((done, of)))
    assert told == [(n, 6) for n in range(1, 7)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"guidance_scale": 21.0}, "guidance must be 0 to 20, got 21.0"),
        ({"guidance_scale": float("nan")}, "got nan"),
        ({"steps": 0}, "steps must be 1 to 1000, got 0"),
        ({"steps": 1001}, "got 1001"),
        ({"seed": -1}, "a seed is 0 or more, got -1"),
    ],
)
def test_settings_out_of_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        Settings(**({"prompt": "cat"} | wrong))


def test_notes():
    assert notes(Settings("noto style: red apple on a blue background")) == []
    assert notes(Settings("noto style: a red apple on a blue background")) == []
    assert notes(Settings("an elephant")) == []
    assert "empty" in notes(Settings(" "))[0]
    (said,) = notes(Settings("red apple", negative="кошка"))
    assert said.startswith("of the negative prompt: never met") and "кошка" in said
    assert "too long" in notes(Settings("red apple " * 20))[0]


def test_the_box_draws_what_the_function_draws(painter):
    widget = imagine.box(WISH, 2)
    assert widget.pictures[1] == imagine.imagine(WISH, 2)[1].movedim(0, 2).numpy().tobytes()
    assert widget.said == notes(WISH)


def test_a_sheet_has_rows_of_four_and_white_at_the_end():
    pictures = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 2, 2)
    whole = sheet(pictures, 3)
    assert whole.shape == (3, 12, 24)
    assert whole[0, ::6, ::6].tolist() == [[0, 1, 2, 3], [4, 255, 255, 255]]
    assert sheet(pictures[:2]).shape == (3, 2, 4)
    for few, enlarge in ((pictures[:0], 1), (pictures, 0), (pictures, 33)):
        with pytest.raises(ValueError, match="enlarged"):
            sheet(few, enlarge)
    with pytest.raises(ValueError, match="count must be 1"):
        imagine.imagine(WISH, 0)


def test_a_picture_knows_how_it_was_made(painter, tmp_path):
    wish = Settings("rote Äpfel, 🍎", steps=2)
    path, picture = tmp_path / "new" / "a.png", sheet(imagine.imagine(wish, 2))
    save_png(path, picture, wish, 2)
    assert settings_in(path) == (wish, 2)
    with Image.open(path) as image:
        assert json.loads(image.text["course imagine"])["model"] == painter.name
        pixels = torch.from_numpy(np.array(image))
    assert torch.equal(pixels.movedim(2, 0), picture)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="left as it is"):
        save_png(path, picture, wish)
    assert path.read_bytes() == before


def test_other_files_do_not_say(tmp_path):
    plain, text = tmp_path / "plain.png", tmp_path / "a.txt"
    Image.new("RGB", (2, 2)).save(plain)
    text.write_text("no picture")
    for path in (plain, text):
        with pytest.raises(ValueError, match="does not say how it was drawn"):
            settings_in(path)
    with pytest.raises(FileNotFoundError):
        settings_in(tmp_path / "nothing.png")


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(cli, "RUNS", tmp_path)
    return tmp_path / "imagine"


def test_the_command_writes_a_new_file_each_time(painter, runs, capsys):
    asked = ["imagine", "red кошка apple", "--steps", "2", "--seed", "3"]
    assert cli.main(asked) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(runs / "001.png") and "кошка" in said.err
    assert settings_in(runs / "001.png") == (Settings("red кошка apple", steps=2, seed=3), 1)
    first = (runs / "001.png").read_bytes()
    assert cli.main([*asked, "--count", "5", "--enlarge", "2"]) == 0
    assert (runs / "001.png").read_bytes() == first
    with Image.open(runs / "002.png") as image:
        assert image.size == (64, 32)


def test_again_from_a_picture_with_a_change(painter, runs):
    cli.main(["imagine", "cat", "--steps", "2", "--count", "2", "--negative", "dog"])
    cli.main(["imagine", "--like", str(runs / "001.png")])
    assert (runs / "001.png").read_bytes() == (runs / "002.png").read_bytes()
    cli.main(["imagine", "--like", str(runs / "001.png"), "--guidance", "1", "--count", "1"])
    wish, count = settings_in(runs / "003.png")
    assert wish == Settings("cat", "dog", 1.0, 2) and count == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "what shall it be"),
        (["cat", "--guidance", "30"], "got 30.0"),
        (["cat", "--steps", "2000"], "got 2000"),
        (["cat", "--seed", "-4"], "got -4"),
        (["cat", "--like", "nothing.png"], "nothing.png"),
        (["cat", "--steps", "2", "--enlarge", "40"], "enlarged by 40"),
    ],
)
def test_wrong_wishes(painter, runs, capsys, arguments, words):
    assert cli.main(["imagine", *arguments]) == 2
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told
    assert not runs.exists()


def test_an_impossible_size_is_refused_before_anything_is_drawn(painter, runs, monkeypatch):
    monkeypatch.setattr(imagine, "imagine", lambda *_: pytest.fail("it was drawn"))
    assert cli.main(["imagine", "cat", "--enlarge", "33"]) == 2


def test_a_name_that_another_run_takes_meanwhile_is_left_to_it(painter, runs, monkeypatch):
    first, draws = runs / "001.png", imagine.imagine
    runs.mkdir()
    monkeypatch.setattr(
        imagine, "imagine", lambda *given: (first.write_text("1"), draws(*given))[1]
    )
    assert cli.main(["imagine", "cat", "--steps", "1"]) == 0
    assert settings_in(runs / "002.png")[0].prompt == "cat"
    first.unlink()
    assert cli.main(["imagine", "cat", "--steps", "1", "--out", str(first)]) == 2
    assert first.read_text() == "1"


def test_a_picture_that_cannot_be_written_leaves_no_file(painter, tmp_path, monkeypatch):
    monkeypatch.setattr(imagine, "atomic_write", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_png(tmp_path / "a.png", sheet(imagine.imagine(WISH)), WISH)
    assert not any(tmp_path.iterdir())


def test_a_picture_has_its_name_only_when_it_is_whole(painter, tmp_path, monkeypatch):
    path, meanwhile = tmp_path / "a.png", []
    monkeypatch.setattr(os, "fsync", lambda _: meanwhile.append(path.exists()))  # killed here?
    save_png(path, sheet(imagine.imagine(WISH)), WISH)
    assert meanwhile == [False] and settings_in(path) == (WISH, 1)
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_is_never_overwritten(painter, runs, tmp_path, capsys):
    taken = tmp_path / "taken.png"
    taken.write_text("mine")
    assert cli.main(["imagine", "cat", "--out", str(taken)]) == 2
    assert "is there already" in capsys.readouterr().err and taken.read_text() == "mine"
