"""Drawn scenes: words and scenes are two forms of one thing, and the oracle reads pixels right."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.data.oracle import ceiling, detect, judge, obeyed
from course_lib.data.scenes import (
    BACKGROUNDS,
    COLOURS,
    NUMBERS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    SPLITS,
    TASKS,
    Count,
    Pair,
    Placed,
    Scene,
    Single,
    Thing,
    caption,
    coverage,
    distances,
    draw_captions,
    draw_scene,
    draw_scenes,
    draw_with_hole,
    layout,
    parse,
    random_scene,
    relations,
    render,
    split,
    swapped,
    things,
)

a_thing = st.builds(Thing, st.sampled_from(list(COLOURS)), st.sampled_from(SHAPES))
a_background = st.sampled_from(list(BACKGROUNDS))
a_scene = st.one_of(
    st.builds(Single, a_thing, st.sampled_from(SIZES), st.sampled_from(PLACES), a_background),
    st.builds(Count, a_thing, st.sampled_from(list(NUMBERS.values())), a_background),
    st.builds(Pair, a_thing, a_thing, st.sampled_from([*RELATIONS, "and"]), a_background),
)


@given(a_scene)
def test_a_caption_says_all_of_its_scene(scene: Scene):
    assert parse(caption(scene)) == scene


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        (
            "an orange heart left of a cyan ring on a black background",
            Pair(Thing("orange", "heart"), Thing("cyan", "ring"), "left of", "black"),
        ),
        ("Two  red CROSSES on a gray background.", Count(Thing("red", "cross"), 2, "gray")),
        (
            "a small pink star in the top on a white background",
            Single(Thing("pink", "star"), "small", "in the top", "white"),
        ),
    ],
)
def test_captions_are_read_as_people_write_them(text: str, scene: Scene):
    assert parse(text) == scene


@pytest.mark.parametrize(
    "text", ["", "a dog", "five red stars on a white background", "a red star", "red star on a"]
)
def test_another_text_is_refused_with_examples(text: str):
    with pytest.raises(ValueError, match=r"(?s)not a caption.*three blue stars"):
        parse(text)


def some(count: int, seed: int = 0) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [random_scene(rng) for _ in range(count)]


def test_what_is_held_out_is_a_combination_never_a_part():
    parts: dict[str, list[Scene]] = {name: [] for name in SPLITS}
    for scene in some(6000):
        parts[split(scene)].append(scene)
    shares = {name: len(scenes) / 6000 for name, scenes in parts.items()}
    assert shares["train"] == pytest.approx(0.77, abs=0.02)
    assert shares["test_pair"] == pytest.approx(0.18, abs=0.02)
    seen = [thing for scene in parts["train"] for thing in things(scene)]
    assert {(t.colour, t.shape) for t in seen} == {
        (c, s) for k, c in enumerate(COLOURS) for n, s in enumerate(SHAPES) if (k - n) % 8 != 3
    }
    assert {s.number for s in parts["train"] if isinstance(s, Count)} == {2, 3, 4}
    relations = {s.relation for s in parts["train"] if isinstance(s, Pair)}
    assert relations == {*RELATIONS, "and"}
    for scene in parts["train"]:
        if isinstance(scene, Pair):  # else swapped colours could not be told apart
            assert scene.first.colour != scene.second.colour
            assert scene.first.shape != scene.second.shape
    pairs = Counter((s.number, s.thing.shape) for s in parts["test_count"] if isinstance(s, Count))
    assert len(pairs) == 3


def test_things_lie_apart_inside_and_as_the_caption_says():
    rng = np.random.default_rng(3)
    for scene in some(300, seed=4):
        placed = layout(scene, rng)
        assert [one.thing for one in placed] == things(scene)
        for one in placed:
            assert one.radius < min(one.x, one.y, 1 - one.x, 1 - one.y)
        for n, a in enumerate(placed):
            for b in placed[:n]:
                assert np.hypot(a.x - b.x, a.y - b.y) > a.radius + b.radius
        if isinstance(scene, Pair) and scene.relation == "above":
            assert placed[0].y < placed[1].y - 0.28


def test_a_circle_covers_its_area():
    whole = range(100)
    area = coverage("circle", 50, 50, 40, whole, whole).sum()
    assert area == pytest.approx(np.pi * (0.9 * 40) ** 2, rel=0.01)


def test_a_polygon_knows_inside_from_outside_and_how_far():
    square = distances("square")
    middle = square.shape[0] // 2
    assert square[middle, middle] == pytest.approx(-0.8)
    assert square[middle, -1] == pytest.approx(1.7 - 0.8)
    assert square[-1, -1] == pytest.approx(np.hypot(0.9, 0.9))


def test_the_nth_scene_depends_on_nothing_but_seed_and_n():
    few, said = draw_scenes(4, size=16, seed=7)
    more, all_said = draw_scenes(9, size=16, seed=7)
    assert torch.equal(few, more[:4]) and said == all_said[:4]
    assert said != draw_scenes(4, size=16, seed=8)[1]


@pytest.mark.parametrize("part", SPLITS)
def test_a_part_holds_only_its_own(part):
    _, said = draw_scenes(40, part, size=16)
    assert {split(parse(text)) for text in said} == {part}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"part": "test"}, "part of the drawn scenes 'test'"),
        ({"tasks": ("sing",)}, "task 'sing'"),
        ({"size": 8}, "16 or more"),
        ({"part": "test_count", "tasks": ("single",)}, "'count'"),
        ({"tasks": ()}, "tasks must be one or more of single, "),
    ],
)
def test_a_set_that_cannot_be_drawn_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        draw_scenes(1, **how)


# ---- the oracle ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 64])
def test_real_scenes_are_right_and_another_ones_caption_is_wrong(size: int):
    images, captions = draw_scenes(80, "all", size=size, seed=5)
    assert obeyed(images, captions)["all"] == 1
    assert obeyed(images, captions[1:] + captions[:1])["all"] < 0.01


def test_the_ceiling_is_high_and_noise_lowers_it():
    assert ceiling(100)["all"] > 0.99
    assert ceiling(100, noise=0.1)["all"] > 0.97
    assert ceiling(20, noise=0.6)["all"] < 0.5


HEART, RING = Thing("orange", "heart"), Thing("cyan", "ring")
BESIDE = Pair(HEART, RING, "left of", "black")
ALONE = Single(HEART, "small", "in the top left", "white")


@pytest.mark.parametrize(
    ("drawn", "asked", "false"),
    [
        (BESIDE, replace(BESIDE, relation="right of"), {"relation"}),
        (BESIDE, replace(BESIDE, first=RING, second=HEART), {"relation"}),
        (BESIDE, replace(BESIDE, background="gray"), {"background"}),
        (
            BESIDE,
            Pair(Thing("cyan", "heart"), Thing("orange", "ring"), "left of", "black"),
            {"binding", "relation"},
        ),
        (BESIDE, replace(BESIDE, first=Thing("red", "heart")), {"colour", "binding", "relation"}),
        (BESIDE, replace(BESIDE, second=Thing("cyan", "star")), {"shape", "binding", "relation"}),
        (ALONE, replace(ALONE, size="large"), {"size"}),
        (ALONE, replace(ALONE, place="in the center"), {"place"}),
        (Count(RING, 3, "white"), Count(RING, 2, "white"), {"count", "colour", "shape", "binding"}),
    ],
)
def test_each_claim_is_found_false_alone(drawn: Scene, asked: Scene, false: set[str]):
    image = render(layout(drawn, np.random.default_rng(0)), drawn.background, 48)
    assert judge(image, drawn)["all"]
    answer = judge(image, asked)
    assert {claim for claim, true in answer.items() if not true} == false | {"all"}


def test_what_is_found_stands_where_it_was_drawn():
    drawn = [Placed(HEART, 0.3, 0.4, 0.14), Placed(RING, 0.7, 0.65, 0.12)]
    found, background = detect(render(drawn, "white", 64))
    assert background == "white"
    by_thing = {one.thing: one for one in found}
    for one in drawn:
        there = by_thing[one.thing]
        assert (there.x, there.y, there.radius) == pytest.approx(
            (one.x, one.y, one.radius), abs=0.01
        )
        assert there.overlap > 0.9


def test_noise_is_no_scene():
    rng = np.random.default_rng(0)
    for text in draw_scenes(20, "all", size=16)[1]:
        assert not judge(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8), text)["all"]


def test_a_task_has_its_claims_and_no_others():
    images, captions = draw_scenes(30, tasks=("count",))
    assert list(obeyed(images, captions)) == [
        "count", "colour", "shape", "binding", "background", "all"
    ]  # fmt: skip
    images, captions = draw_scenes(30, tasks=("single",))
    assert {"place", "size"} < set(obeyed(images, captions))
    assert len(TASKS) == 4


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((32, 32, 3)), "uint8"),
        (np.zeros((32, 16, 3), np.uint8), "square"),
        (torch.zeros(1, 32, 32, dtype=torch.uint8), "3 colours"),
    ],
)
def test_what_is_no_picture_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        judge(image, ALONE)


def test_pictures_and_captions_come_in_equal_numbers():
    images, captions = draw_scenes(3, size=16)
    with pytest.raises(ValueError, match="3 pictures but 2 captions"):
        obeyed(images, captions[:2])


# ---- smaller worlds -----------------------------------------------------------------------


def test_a_smaller_world_has_only_what_was_asked_for():
    world = {"colours": ("red", "blue"), "shapes": ("circle", "cross"), "backgrounds": ("black",)}
    _, captions = draw_scenes(40, size=16, tasks=("relation",), **world)
    for scene in map(parse, captions):
        assert scene.background == "black"
        assert {t.colour for t in things(scene)} == {"red", "blue"}
        assert {t.shape for t in things(scene)} == {"circle", "cross"}
    whole = draw_scenes(5, size=16)
    again = draw_scenes(5, size=16, colours=list(COLOURS), shapes=SHAPES)
    assert whole[1] == again[1] and torch.equal(whole[0], again[0])


def test_a_world_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="unknown colour 'mauve'"):
        draw_scenes(1, colours=("red", "mauve"))
    with pytest.raises(ValueError, match="unknown shape 'blob'"):
        draw_scenes(1, shapes=("blob",))
    with pytest.raises(ValueError, match="unknown relation 'beside'"):
        draw_scenes(1, related=("beside",))
    with pytest.raises(ValueError, match="need 2 or more colours and shapes"):
        draw_scenes(1, colours=("red",), tasks=("pair",))
    with pytest.raises(ValueError, match="no scene of train was found"):
        draw_scenes(1, colours=("green",), shapes=("circle",), tasks=("single",))


def test_relations_are_all_scenes_of_two_things_and_a_bag_has_four():
    every = relations(("red", "blue", "pink"), ("ring", "star", "heart"), ("gray",))
    assert len(set(every)) == len(every) == 9 * 4 * 4
    bags = Counter(tuple(sorted(caption(scene).split())) for scene in every)
    assert set(bags.values()) == {4}
    assert len(relations()) == 3 * 64 * 49 * 4
    few = relations(related=("above", "left of"))
    assert len(few) == 3 * 64 * 49 * 2 and {one.relation for one in few} == {"left of", "above"}


def test_a_world_may_have_fewer_relations():
    _, captions = draw_scenes(20, size=16, tasks=("relation",), related=("above",))
    assert {parse(text).relation for text in captions} == {"above"}


def test_one_scene_is_drawn_from_its_caption():
    text = "a red circle left of a blue square on a black background"
    image = draw_scene(text, size=64, seed=3)
    assert image.shape == (3, 64, 64) and judge(image, text)["all"]
    assert torch.equal(image, draw_scene(parse(text), 64, 3))
    assert not torch.equal(image, draw_scene(text, 64, 4))


def test_what_a_caption_asks_for_is_drawn():
    asked = [
        "three pink stars on a black background",
        "a red ring above a blue heart on a white background",
    ]
    images = draw_captions(asked, size=64, seed=3)
    assert images.shape == (2, 3, 64, 64) and images.dtype == torch.uint8
    assert obeyed(images, asked)["all"] == 1
    assert torch.equal(images, draw_captions(asked, size=64, seed=3))
    with pytest.raises(ValueError, match="not a caption"):
        draw_captions(["a nice picture"])


def test_swapped_shapes_are_the_same_words():
    text = "an orange heart and a blue ring on a black background"
    other = caption(swapped(parse(text)))
    assert other == "an orange ring and a blue heart on a black background"
    assert sorted(other.split()) == sorted(text.split())
    assert swapped(swapped(parse(text))) == parse(text)


def test_a_hole_takes_the_second_thing_and_leaves_the_first():
    left = []
    for n, scene in enumerate(relations(("red", "blue", "yellow"), ("circle", "square", "cross"))):
        picture, hole = draw_with_hole(scene, 16, seed=n)
        assert torch.equal(picture, draw_scene(scene, 16, seed=n)) and hole.shape == (1, 16, 16)
        rows, columns = hole[0].any(1).sum(), hole[0].any(0).sum()
        assert hole.sum() == rows * columns and max(rows, columns) <= 8
        ground = torch.tensor(BACKGROUNDS[scene.background])[:, None, None].to(torch.uint8)
        found, _ = detect(torch.where(hole, ground, picture).permute(1, 2, 0).numpy())
        left.append([one.thing for one in found] == [scene.first])
    assert np.mean(left) > 0.97
    with pytest.raises(ValueError, match="two things"):
        draw_with_hole("two red stars on a black background")
