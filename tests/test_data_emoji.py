"""Emoji: sheets and tables agree, what is held out stays out, and a background is laid right."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.data import files
from course_lib.data.emoji import (
    COLOURS,
    FOLDERS,
    STYLES,
    Emoji,
    colour_shares,
    concepts,
    from_sheet,
    lab,
    label_embeddings,
    load_emoji,
    shown_on,
    to_sheet,
    with_article,
)
from course_lib.data.files import DamagedData

WHITE = (255, 255, 255)


def test_there_are_seven_designs_and_one_apart():
    everything = load_emoji("all")
    assert len(STYLES) == 7 and set(everything.styles) == set(STYLES)
    assert 8_500 < len(everything) < 9_000
    assert len(load_emoji("all", ["openmoji"])) > 1_500
    assert len({concept.code for concept in everything.concepts}) > 1_500


def test_every_picture_shows_something():
    everything = load_emoji("all", list(FOLDERS))
    assert everything.images.shape[1:] == (64, 64, 4)
    assert (everything.images[..., 3].reshape(len(everything), -1).mean(1) > 2).all()
    hidden = everything.images[..., 3] == 0
    assert (everything.images[hidden] == 0).all()


def codes(emoji: Emoji) -> set[tuple[str, str]]:
    return {(s, c.code) for s, c in zip(emoji.styles, emoji.concepts, strict=True)}


def test_the_splits_share_no_picture_and_make_up_the_whole():
    parts = [codes(load_emoji(split)) for split in ("train", "test_pair", "test_concept")]
    whole = codes(load_emoji("all"))
    assert sum(map(len, parts)) == len(whole)
    assert set.union(*parts) == whole
    assert len(parts[0]) / len(whole) == pytest.approx(0.85, abs=0.02)


def test_a_held_out_concept_is_seen_in_no_design():
    seen = {code for _, code in codes(load_emoji("train", list(FOLDERS)))}
    held = {code for _, code in codes(load_emoji("test_concept", list(FOLDERS)))}
    assert len(held) > 100 and not seen & held
    pairs = codes(load_emoji("test_pair"))
    assert sum(code in seen for _, code in pairs) == len(pairs)


def test_a_held_out_idea_is_seen_in_no_gender():
    held = {c.label for c in load_emoji("test_concept").concepts}
    seen = {c.label for c in load_emoji("train").concepts}
    for label in held:
        for who in ("man", "woman", "person"):
            if label.startswith(f"{who} "):
                rest = label.removeprefix(f"{who} ")
                assert not {f"man {rest}", f"woman {rest}", f"person {rest}"} & seen


def test_the_two_designs_that_look_alike_are_held_out_together():
    held = codes(load_emoji("test_pair"))
    both = {c for _, c in codes(load_emoji("all", ["fluent"]))}
    both &= {c for _, c in codes(load_emoji("all", ["fluentflat"]))}
    for code in both:
        assert (("fluent", code) in held) == (("fluentflat", code) in held)


def test_no_held_out_picture_is_one_that_was_seen():
    """Within a design: 16 x 16 on white, more than 3.5 grey levels apart."""
    for style in STYLES:
        seen, held = (
            shown_on(load_emoji(split, [style]).images, WHITE, 16).reshape(-1, 768)
            for split in ("train", "test_pair")
        )
        apart = ((held[:, None] - seen[None]) ** 2).mean(2) ** 0.5
        assert apart.min() > 3.4


def test_captions_name_style_and_label():
    foods = load_emoji("all", ["noto"], ["food-drink"])
    assert "noto: red apple" in foods.captions()
    assert {concept.group for concept in foods.concepts} == {"food-drink"}
    apple = foods.captions().index("noto: red apple")
    assert foods.colours[apple][0] == "red"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"split": "test"}, "unknown split 'test'.*train, test_pair"),
        ({"styles": ["apple"]}, "unknown style 'apple'.*noto"),
        ({"groups": ["food"]}, "unknown group 'food'.*food-drink"),
    ],
)
def test_an_unknown_part_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        load_emoji(**how)


@pytest.mark.parametrize("name", ["concepts.jsonl.gz", "labels.safetensors"])
def test_a_table_that_is_not_the_committed_one_is_named(name, tmp_path, monkeypatch):
    path = tmp_path / "data/emoji" / name
    monkeypatch.setattr(files, "ROOT", tmp_path)
    read = {"concepts.jsonl.gz": concepts, "labels.safetensors": label_embeddings}[name].__wrapped__
    with pytest.raises(FileNotFoundError, match=f"missing.\nRepair: .*data/emoji/{name}"):
        read()
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(DamagedData, match=f"damaged.*\nRepair: .*data/emoji/{name}"):
        read()


# ---- pixels -------------------------------------------------------------------------------


@given(st.integers(1, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_a_sheet_gives_back_what_was_laid_on_it(count: int, seed: int):
    images = np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 4)).astype(np.uint8)
    back = from_sheet(to_sheet(images))
    assert np.array_equal(back[:count], images) and not back[count:].any()


def test_a_background_shows_where_nothing_covers_it():
    half = np.zeros((1, 64, 64, 4), np.uint8)
    half[0, :, :32] = (200, 100, 0, 255)
    half[0, :, 32:48] = (200, 100, 0, 51)  # a fifth
    shown = shown_on(half, (0, 50, 100))
    assert shown[0, 5, 5] == pytest.approx([200, 100, 0])
    assert shown[0, 5, 40] == pytest.approx([40, 60, 80])
    assert shown[0, 5, 60] == pytest.approx([0, 50, 100])
    assert shown_on(half, (0, 50, 100), 1)[0, 0, 0] == pytest.approx(shown.mean((0, 1, 2)))


def test_pictures_come_as_a_network_wants_them():
    few = load_emoji("test_pair", ["blob"])
    x = few.on((0, 0, 0), 32)
    assert x.shape == (len(few), 3, 32, 32) and x.dtype == torch.float32
    assert x.min() >= -1 and x.max() <= 1
    assert torch.equal(x[:, :, 0, 0].min(), torch.tensor(-1.0))  # a corner of some is empty


@pytest.mark.parametrize("size", [0, 24, 128])
def test_a_size_that_does_not_divide_64_is_refused(size: int):
    with pytest.raises(ValueError, match=f"got {size}; use 64, 32"):
        shown_on(np.zeros((1, 64, 64, 4), np.uint8), WHITE, size)


def test_a_plain_colour_is_called_by_its_name():
    for number, rgb in enumerate(COLOURS.values()):
        plain = np.full((64, 64, 4), 255, np.uint8)
        plain[..., :3] = rgb
        shares = colour_shares(plain)
        assert shares[number] == 1 and shares.sum() == 1
    assert not colour_shares(np.zeros((64, 64, 4), np.uint8)).any()


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),  # as every table of the colour space has it
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_colours_stand_where_the_eye_has_them(rgb, expected):
    assert lab(np.array(rgb)) == pytest.approx(expected, abs=0.05)


# ---- words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "spoken"),
    [
        ("red apple", "a red apple"),
        ("elephant", "an elephant"),
        ("Ogre", "an Ogre"),
        ("grapes", "grapes"),
        ("wine glass", "a wine glass"),
        ("octopus", "an octopus"),
        ("rhinoceros", "a rhinoceros"),
        ("smiling face with hearts", "a smiling face with hearts"),
        ("clinking beer mugs", "clinking beer mugs"),
    ],
)
def test_labels_as_one_would_say_them(label, spoken):
    assert with_article(label) == spoken


def test_labels_lie_near_labels_that_mean_alike():
    table = label_embeddings()
    assert set(table) == set(concepts())
    by_label = {concepts()[code].label: vector for code, vector in table.items()}
    apple = by_label["red apple"]
    assert apple.norm() == pytest.approx(1, abs=1e-3)
    assert apple @ by_label["green apple"] > 0.7 > apple @ by_label["bullet train"]


@pytest.mark.parametrize("size", [64, 32])
def test_a_cut_out_on_a_ground_is_the_picture_on_it(size: int):
    emoji = load_emoji("test_pair", styles=("noto",))
    cut = emoji.cut_outs(size).float()
    ground = torch.tensor([30.0, 90.0, 200.0])
    laid = cut[:, :3] + (1 - cut[:, 3:] / 255) * ground[:, None, None]
    assert (laid / 127.5 - 1 - emoji.on(ground.tolist(), size)).abs().max() < 0.02


def test_some_are_picked_with_all_that_is_known_of_them():
    every = load_emoji("test_pair", styles=("noto", "twemoji"))
    some = every.pick([3, 150, 0])
    assert len(some) == 3 and some.captions() == [every.captions()[n] for n in (3, 150, 0)]
    assert some.colours[1] == every.colours[150]
    assert np.array_equal(some.images, every.images[[3, 150, 0]])
