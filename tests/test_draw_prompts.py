"""The 64 prompts that a person judges: what they are, and how they are listed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import draw_prompts  # noqa: E402

from course_lib import trainings  # noqa: E402
from course_lib.data.emoji import load_emoji, prompt  # noqa: E402
from course_lib.models.latent import LENGTH  # noqa: E402


def test_there_are_64_and_all_are_read_whole():
    kinds = draw_prompts.prompts()
    texts = [text for _, text in kinds]
    assert len(texts) == 64 and len(set(texts)) == 64
    pieces = trainings.prompt_tokenizer()
    assert max(len(pieces.encode(text)) for text in texts) <= LENGTH - 2


def test_held_out_is_held_out():
    taught = load_emoji("train", groups=trainings.GROUPS)
    pairs = {
        prompt(concept.label, style)
        for concept, style in zip(taught.concepts, taught.styles, strict=True)
    }
    labels = {concept.label for concept in taught.concepts}
    for kind, text in draw_prompts.prompts():
        assert kind != "held-out pair" or text not in pairs
        assert kind != "held-out concept" or text not in labels


def test_the_list_counts_what_was_seen():
    kinds = [("a", "cat"), ("a", "dog"), ("b", "red cat")]
    told = draw_prompts.listed(kinds, [3], [1])
    assert "1 of 3 show what was asked, 1 more its kind" in told
    assert "| 1 | a | cat | its kind |" in told and "| 3 | b | red cat | as asked |" in told
    assert "| 2 | a | dog |  |" in told and "By eye" not in draw_prompts.listed(kinds)
