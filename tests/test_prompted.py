"""Views of emoji and what is said of them."""

from random import Random

import numpy as np
import pytest
import torch

from course_lib.data.emoji import COLOURS, colour_shares, load_emoji
from course_lib.data.prompted import HUES, UNSEEN, recoloured, turned, view
from course_lib.trainings import GROUPS, TRAININGS, VIEWS, Training
from course_lib.weights import manifest, recorded
from tools.draw_prompts import INVENTED


@pytest.fixture(scope="module")
def emoji():
    whole = load_emoji("train", groups=GROUPS)
    return whole.pick(range(0, len(whole), 5))


@pytest.fixture(scope="module")
def seen(emoji):
    return view(emoji, Random(0))


def test_a_view_is_determined_by_its_seed(emoji, seen):
    again, told = view(emoji, Random(0))
    assert torch.equal(again, seen[0]) and told == seen[1]
    other, words = view(emoji, Random(1))
    assert not torch.equal(other, again) and words != told


def test_each_is_described_as_it_stands_there(emoji, seen):
    pictures, told = seen
    assert pictures.shape == (len(emoji), 3, 64, 64) and pictures.dtype == torch.uint8
    for n, (picture, text) in enumerate(zip(pictures, told, strict=True)):
        ground = text.removesuffix(" background").split()[-1] if "background" in text else ""
        free = torch.from_numpy(emoji.images[n][..., 3].copy()) == 0
        beyond = picture[:, free & free.flip(1)]  # in front of nothing, mirrored or not
        shade = torch.tensor(COLOURS[ground] if ground else (255, 255, 255), dtype=torch.uint8)
        assert (beyond == shade[:, None]).all()
        label = emoji.concepts[n].label
        if label in text and not any(f"{hue} {label}" in text for hue in HUES):
            assert ground not in (*emoji.colours[n], "white")
        style = f"{emoji.styles[n]} style: "
        assert text.startswith(style) or " style: " not in text


def test_shares(emoji, seen):
    told = seen[1]
    labels = [concept.label for concept in emoji.concepts]
    share = {
        "design": np.mean([" style: " in text for text in told]),
        "ground": np.mean(["background" in text for text in told]),
        "label": np.mean([a in b for a, b in zip(labels, told, strict=True)]),
    }
    assert share == pytest.approx({"design": 0.8, "ground": 0.75, "label": 0.86}, abs=0.06)


def test_half_of_them_are_mirrored(emoji):
    few = emoji.pick(range(0, len(emoji), 8))
    turned_round = 0
    for seed in range(4):
        pictures, told = view(few, Random(seed))
        for n, text in enumerate(told):
            if "background" not in text and few.concepts[n].label in text:
                plain = few.pick([n]).on()[0]
                shown = pictures[n] / 127.5 - 1
                turned_round += int((shown - plain.flip(-1)).abs().mean() < 0.01)
                turned_round -= int((shown - plain).abs().mean() < 0.01)
    assert abs(turned_round) < 16  # of about 55: as many as are not


# ---- another colour -----------------------------------------------------------------------------


def test_colours_turn_about_the_greys():
    x = np.random.default_rng(0).integers(60, 190, (8, 8, 4), dtype=np.uint8)
    x[:4, :, 1:3] = x[:4, :, :1]  # greys
    third = turned(x, 2 * np.pi / 3)
    assert np.array_equal(third[:4], x[:4]) and np.array_equal(third[..., 3], x[..., 3])
    assert np.array_equal(third[..., :3], x[..., [2, 0, 1]])  # red becomes green
    assert np.array_equal(turned(x, 2 * np.pi), x)
    sums = x[..., :3].astype(int).sum(-1), turned(x, 0.3)[..., :3].astype(int).sum(-1)
    assert abs(sums[0] - sums[1]).max() <= 2  # as light as before, but for rounding


def test_a_recoloured_picture_has_the_colour_that_is_said(emoji):
    rng, names, changed = Random(0), list(COLOURS), 0
    for n in range(0, len(emoji), 3):
        given = emoji.images[n], emoji.colours[n], emoji.concepts[n].label
        picture, colours, label = recoloured(*given, rng)
        if label == given[2]:
            assert picture is given[0] and colours is given[1]
            continue
        changed += 1
        wanted = label.split()[0]
        assert wanted in HUES and wanted not in given[1] and label == f"{wanted} {given[2]}"
        assert names[int(colour_shares(picture).argmax())] == wanted and wanted in colours
        assert not set(given[2].split()) & set(COLOURS)  # "red heart" stays red
    assert changed > 50


@pytest.mark.parametrize("label", list(UNSEEN))
def test_what_is_asked_for_later_is_never_shown(label):
    whole = load_emoji("train", groups=GROUPS)
    drawings = [n for n, concept in enumerate(whole.concepts) if concept.label == label]
    said = {
        recoloured(whole.images[n], whole.colours[n], label, Random(seed))[2]
        for n in drawings
        for seed in range(30)
    }
    assert f"{UNSEEN[label]} {label}" not in said and len(said) > 2


def test_the_sheet_asks_for_what_is_never_shown():
    asked = {f"{colour} {label}" for label, colour in UNSEEN.items()}
    assert asked <= set(INVENTED)
    # "apple" needs no entry: the data's apples are "red" and "green", which stay as they are.
    apples = {c.label for c in load_emoji("all").concepts if c.label.endswith(" apple")}
    assert set(INVENTED) & {"purple apple"} and apples == {"red apple", "green apple"}


def test_what_chapter_24_says_of_its_attempts():
    now, before = manifest()["emoji_latent"], recorded("measured/emoji_sketch")
    drawings = len(load_emoji("train", groups=GROUPS))
    assert round(before["steps"] * before["batch"] / drawings) == 240
    assert round(now["images_seen"] / (before["steps"] * before["batch"])) == 3
    assert VIEWS == 24 and round(now["seconds"] / 60) == 9
    painter = TRAININGS["emoji_latent"]
    assert isinstance(painter, Training)
    assert {one.p for one in painter.model().modules() if isinstance(one, torch.nn.Dropout)} == {
        0.1
    }
    assert (painter.batch, painter.config.total_steps) == (now["batch"], now["steps"])
