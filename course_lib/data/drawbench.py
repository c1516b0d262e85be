"""A small DrawBench: prompts of several kinds whose scene is known, so that the oracle can rate.

DrawBench (Saharia et al. 2022, section 3 and appendix C) has 200 prompts in 11 categories, and
people who compare. Here are five kinds, all of the small world of two things, and no people:

taught            captions as they stand in training
new               captions of scenes that are held out
other words       a word or a relation is said otherwise, as no caption does
misspelt          two letters of one word have changed places
other way round   "b right of a" where every caption says "a left of b"
"""

from collections.abc import Sequence
from dataclasses import dataclass

from course_lib.data.scenes import SMALL_WORLD, Pair, caption, relations, split

OTHER_WORDS = {
    "red": "crimson",
    "yellow": "golden",
    "blue": "navy",
    "circle": "disc",
    "square": "box",
    "cross": "plus sign",
    "left of": "to the left of",
    "above": "on top of",
}
OPPOSITE = {"left of": "right of", "above": "below"}
KINDS = ("taught", "new", "other words", "misspelt", "other way round")


@dataclass(frozen=True)
class Prompt:
    """A text, the scene that it asks for, and its kind, one of `KINDS`."""

    text: str
    scene: Pair
    kind: str


def prompts() -> list[Prompt]:
    """All 120: 60 taught, 12 new, 24 in other words, 12 misspelt, 12 the other way round."""
    world = relations(**SMALL_WORLD)
    every = [
        Prompt(caption(one), one, "taught" if split(one) == "train" else "new") for one in world
    ]
    taught = [one.scene for one in every if one.kind == "taught"]
    for word, other in OTHER_WORDS.items():
        every += [
            Prompt(caption(one).replace(word, other), one, "other words")
            for one in _spread([scene for scene in taught if word in caption(scene)], 3)
        ]
    for word in (*SMALL_WORLD["colours"], *SMALL_WORLD["shapes"]):
        every += [
            Prompt(caption(one).replace(word, misspelt(word)), one, "misspelt")
            for one in _spread([scene for scene in taught if word in caption(scene)], 2)
        ]
    for one in _spread(taught, 12):
        turned = Pair(one.second, one.first, OPPOSITE[one.relation], one.background)
        every.append(Prompt(caption(turned), one, "other way round"))
    return every


def misspelt(word: str) -> str:
    """The second letter and the third have changed places: "red" becomes "rde"."""
    return word[0] + word[2] + word[1] + word[3:]


def _spread(scenes: Sequence[Pair], n: int) -> list[Pair]:
    return [scenes[(2 * k + 1) * len(scenes) // (2 * n)] for k in range(n)]
