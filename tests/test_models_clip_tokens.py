"""CLIP's tokens on a toy vocabulary, by hand; `reference/` holds them against `transformers`."""

import json

import pytest

from course_lib.models.clip_tokens import END, START, ClipTokenizer, clip_words, read_clip_tokenizer

MERGES = (("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("a", "t</w>"))
LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789!'.,"]
PIECES = [*LETTERS, *(letter + "</w>" for letter in LETTERS), *("".join(m) for m in MERGES)]
TOKENIZER = ClipTokenizer({p: n for n, p in enumerate([*PIECES, START, END])}, MERGES)
S, E = len(PIECES), len(PIECES) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The  CAT\tsat!", ["the", "cat", "sat", "!"]),
        ("it's 2023, they'LL", ["it", "'s", "2", "0", "2", "3", ",", "they", "'ll"]),
        ("cafe\u0301 ΣΑΣ", ["café", "σασ"]),
        ("a <|endoftext|>b", ["a", END, "b"]),
        ("  \n", []),
    ],
)
def test_words(text, words):
    assert clip_words(text) == words


def test_the_earliest_merge_goes_first_and_the_last_piece_ends_the_word():
    assert TOKENIZER.pieces("the cats") == ["the</w>", "ca", "t", "s</w>"]
    assert TOKENIZER.pieces("cat at") == ["cat</w>", "at</w>"]
    assert TOKENIZER.pieces("tththe") == ["t", "th", "the</w>"]
    assert TOKENIZER.pieces("é") == ["Ã", "©</w>"]  # its two bytes, as the files write them
    assert TOKENIZER.encode("é") == [E, E]  # this vocabulary has neither


def test_rows_are_filled_with_the_sign_that_ends_them():
    cat, the = PIECES.index("cat</w>"), PIECES.index("the</w>")
    rows = TOKENIZER.batch(["the cat", "", "cat " * 9], 6).tolist()
    assert rows == [[S, the, cat, E, E, E], [S, E, E, E, E, E], [S, cat, cat, cat, cat, E]]
    assert TOKENIZER.batch(["the"]).shape == (1, 77)
    with pytest.raises(ValueError, match="length must be 2 or more"):
        TOKENIZER.batch(["the"], 1)


def test_the_files_are_read_and_missed(tmp_path):
    with pytest.raises(ValueError, match=r"vocab\.json does not exist: it comes with"):
        read_clip_tokenizer(tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps(TOKENIZER.numbers), encoding="utf-8")
    rows = ["#version: 0.2", *(" ".join(pair) for pair in MERGES), ""]
    (tmp_path / "merges.txt").write_text("\n".join(rows), encoding="utf-8")
    assert read_clip_tokenizer(tmp_path) == TOKENIZER
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(ValueError, match="is not CLIP's"):
        read_clip_tokenizer(tmp_path)
