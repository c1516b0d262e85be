"""The sheet of three systems: which prompts stand on it, and how what is right is marked."""

import sys
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import draw_systems  # noqa: E402


def test_sixty_four_prompts_of_five_kinds_none_twice():
    asked = draw_systems.chosen()
    assert len(asked) == 64 == len({one.text for one in asked})
    assert Counter(one.kind for one in asked) == draw_systems.COUNTS
    assert [one.text for one in asked] == [one.text for one in draw_systems.chosen()]


def test_a_white_frame_is_round_what_is_right_alone():
    drawn = {name: torch.full((8, 3, 32, 32), -1.0) for name in ("sd", "unclip")}
    right = {"sd": [True] + 7 * [False], "unclip": 8 * [False]}
    sheet = draw_systems.strips(drawn, right)
    assert sheet.shape == (2 * (70 + 6), 4 * (2 * 70 + 12), 3)
    assert (sheet[:70, :3] == 255).all() and (sheet[:70, 67:70] == 255).all()
    assert (sheet == 255).sum() == 3 * (70**2 - 64**2)
    assert (sheet[3:67, 3:67] == 0).all() and (sheet[76:79] == 90).all()


def test_the_list_counts_by_kind():
    asked = draw_systems.chosen()
    right = {"sd": [one.kind == "new" for one in asked], "imagen": 64 * [True]}
    text = draw_systems.listed(asked, right)
    assert "| new | 12 | 12 | 12 |" in text and "| misspelt | 8 | 0 | 8 |" in text
    assert f"| 1 | taught | {asked[0].text} | Imagen |" in text
    none = draw_systems.listed(asked, {"sd": 64 * [False]})
    assert none.count("| nobody |") == 64
