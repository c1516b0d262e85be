"""Byte-level BPE: texts come back whole, and pieces are those of `tokenizers`."""

from itertools import pairwise

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from course_lib.data.emoji import concepts
from course_lib.data.scenes import draw_scenes
from course_lib.models.tokenizer import (
    ALPHABET,
    END,
    PAD,
    SPECIAL,
    START,
    Tokenizer,
    learn_merges,
    merge,
    remarks,
    words,
)

CAPTIONS = draw_scenes(300, "all", size=16)[1]
CORPUS = [*CAPTIONS, *(f"a picture of {one.label}" for one in concepts().values())]
TOKENIZER = Tokenizer(tuple(learn_merges(CORPUS, 400)))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXTS)
@example("")
@example("  two   spaces\tand\n\na line ")
@example("it's we'll 'tis 12€ ½ 日本 👩‍🚀 é e\u0301 \x1c\x85")
def test_any_text_comes_back(text: str):
    assert "".join(words(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_a_lone_surrogate_is_read_as_the_sign_for_unreadable():
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud83d b")) == "a\ufffd b"


@given(st.lists(st.integers(3, 5), max_size=12))
def test_a_merge_changes_no_byte(ids: list[int]):
    merged = merge(ids, (3, 4), 9)
    assert [x for one in merged for x in ([3, 4] if one == 9 else [one])] == ids
    assert (3, 4) not in pairwise(merged)


def test_overlapping_pairs_are_merged_from_the_left():
    assert merge([3, 3, 3], (3, 3), 9) == [9, 3]
    assert merge([3, 3, 3, 3], (3, 3), 9) == [9, 9]


def test_the_paper_s_example():
    # Sennrich et al. 2015, algorithm 1: low, lower, newest, widest.
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    tokenizer = Tokenizer(tuple(learn_merges(texts, 3)))
    assert tokenizer.pieces[-3:] == [b"es", b"est", b"lo"]
    assert tokenizer.show("lowest") == ["lo", "w", "est"]


def test_more_merges_make_texts_shorter_and_begin_alike():
    few, many = learn_merges(CORPUS, 20), learn_merges(CORPUS, 60)
    assert many[:20] == few
    lengths = [len(Tokenizer(tuple(m)).encode(" ".join(CAPTIONS))) for m in ([], few, many)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == len(" ".join(CAPTIONS))


def test_rare_pairs_stay_apart():
    assert learn_merges(["ab"], 5) == []
    assert len(learn_merges(["ab", "ab"], 5)) == 1
    assert len(learn_merges(["ab"], 5, least=1)) == 1
    with pytest.raises(ValueError, match="0 or more, got -1"):
        learn_merges(["ab"], -1)


def test_a_batch_is_framed_and_filled():
    ids = TOKENIZER.batch(["", "red", "a red circle left of a blue square"], 6)
    assert ids.shape == (3, 6) and ids.dtype == torch.int64
    assert ids[0].tolist() == [START, END, PAD, PAD, PAD, PAD]
    assert ids[2, 0] == START and ids[2, -1] == END
    assert TOKENIZER.decode(ids[1].tolist()) == "red"
    with pytest.raises(ValueError, match="2 or more"):
        TOKENIZER.batch([""], 1)


def test_a_number_without_a_piece_is_refused():
    with pytest.raises(ValueError, match="no piece has the number 9999"):
        TOKENIZER.decode([9999])
    with pytest.raises(ValueError, match="no piece has the number -1"):
        TOKENIZER.decode([-1])


def test_what_was_not_read_is_said():
    seen = {one for text in CAPTIONS for one in TOKENIZER.encode(text)}
    assert remarks(TOKENIZER, CAPTIONS[0], 77, seen) == []
    assert "empty" in remarks(TOKENIZER, "  \n", 77, seen)[0]
    assert remarks(TOKENIZER, "a red ZEBRA on a red background", 77, seen) == [
        "never met in training: ZEBRA"
    ]
    assert remarks(TOKENIZER, "a red circle; a red circle?! (…)", 77, seen) == []
    (new,) = remarks(TOKENIZER, "a red circle + a red 🍕, Circle", 77, seen)
    assert new == "never met in training: +, 🍕, Circle"
    # Of a letter that is cut in two, only the part left out is spoken of.
    (half,) = remarks(TOKENIZER, "a red 猫", 6, seen)
    assert half == "too long by 2 of 6 pieces, left out: '\ufffd\ufffd'"
    (long,) = remarks(TOKENIZER, "a red circle " * 20, 12, seen)
    pieces = len(TOKENIZER.encode("a red circle " * 20))
    assert f"too long by {pieces - 10} of {pieces} pieces" in long and "circle" in long
    assert remarks(TOKENIZER, "Ω", 77) == []


def test_bytes_stand_in_gpt_2_s_order():
    assert len(set(ALPHABET)) == 256
    assert ALPHABET[0] == b"!" and ALPHABET[188] == b"\x00" and ALPHABET[-1] == b"\xad"
    assert TOKENIZER.pieces[SPECIAL : SPECIAL + 256] == ALPHABET


# ---- beside tokenizers --------------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs():
    tokenizers = pytest.importorskip("tokenizers")
    peer = tokenizers.Tokenizer(tokenizers.models.BPE())
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=len(TOKENIZER),
        min_frequency=2,
        special_tokens=["[PAD]", "[START]", "[END]"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    peer.train_from_iterator(CORPUS, trainer)
    return peer


def test_pieces_are_those_of_tokenizers(theirs):
    assert theirs.get_vocab_size() == len(TOKENIZER)
    for text in CORPUS:
        assert theirs.encode(text).ids == TOKENIZER.encode(text)


# The newest scripts are left out: Python and `tokenizers` know different versions of Unicode.
@given(st.text(st.characters(max_codepoint=0x6FF, exclude_categories=["Cs", "Cn"]), max_size=60))
@example("it's they'll 'tis  two\n\n lines \u00a0x")
@example("don't\x1cstop")
def test_other_texts_too(theirs, text: str):
    assert theirs.encode(text).ids == TOKENIZER.encode(text)
