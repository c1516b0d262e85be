"""CLIP: two towers, one space, and a loss by which a picture finds its caption among many.

A tower for pictures and a tower for texts each give a vector of length 1; their cosine, times a
learned scale, is the score of a pair (Radford et al. 2021, section 2.3 and figure 3). What the best
score is, and what the loss says about mutual information, chapter 21 derives.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Images
from course_lib.models.tokenizer import END, PAD
from course_lib.nn.blocks import group_norm
from course_lib.nn.transformer import BagOfWords, Ids, TextTransformer

Vectors = Float[Tensor, "n dim"]
Scores = Float[Tensor, "n m"]  # row: a picture; column: a text. The first n texts are their own

MAX_SCALE = 100.0  # a larger one made training unstable (Radford et al. 2021, section 2.5)


# ---- scores and losses --------------------------------------------------------------------


def cosines(images: Vectors, texts: Float[Tensor, "m dim"]) -> Scores:
    """The cosine of each picture's vector with each text's."""
    return F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T


def info_nce(scores: Scores) -> Float[Tensor, ""]:
    """How surprised a softmax over each row is by column i of row i, on average, in nats.

    van den Oord et al. 2018, eq. 4. A row is a question, "which of these m is mine?"; the columns
    after the n-th are nobody's. Raises ValueError for fewer columns than rows.
    """
    n, m = scores.shape
    if m < n:
        raise ValueError(f"{n} rows but {m} columns: row i needs its own column i. Transpose?")
    return F.cross_entropy(scores, torch.arange(n, device=scores.device))


def clip_loss(scores: Scores) -> Float[Tensor, ""]:
    """The mean of both questions: which text is this picture's, which picture is this text's.

    Radford et al. 2021, figure 3. Texts after the n-th have no picture: they are wrong answers to
    the first question and ask none themselves (hard negatives, Yuksekgonul et al. 2022).
    """
    n = len(scores)
    return (info_nce(scores) + info_nce(scores[:, :n].T)) / 2


def information(scores: Scores) -> Float[Tensor, ""]:
    """log m less `info_nce`, in nats: on average at most the mutual information of the pairs.

    It also is at most log m, whatever the pairs share (van den Oord et al. 2018, section 2.3).
    """
    return math.log(scores.shape[1]) - info_nce(scores)


def siglip_loss(scores: Float[Tensor, "n n"], bias: float | Tensor = 0.0) -> Float[Tensor, ""]:
    """Each of the n² pairs by itself: is it one? The sum of their surprises, divided by n.

    Zhai et al. 2023, algorithm 1, which adds the bias; the formula of their section 3.2 has it with
    the other sign.
    """
    sign = 2 * torch.eye(len(scores), dtype=scores.dtype, device=scores.device) - 1
    return -F.logsigmoid(sign * (scores + bias)).sum(1).mean()


# ---- what they are measured by ------------------------------------------------------------


def recall_at(
    scores: Scores, k: int = 1, answer: Int[Tensor, " n"] | None = None
) -> Float[Tensor, " n"]:
    """For each row: is its own column among the k best? Average it for R@k.

    answer   the own column of each row; without it, column i of row i

    Equal scores share the places they hold together: an own column that ties with three others for
    the first place counts a quarter. So scores that say nothing score chance, k / m.
    Raises ValueError unless 1 <= k <= m, and for scores that are not finite.
    """
    n, m = scores.shape
    if not 1 <= k <= m:
        raise ValueError(f"k must be 1 to {m}, the number of columns; got {k}")
    if not bool(scores.isfinite().all()):
        raise ValueError("scores hold numbers that are not finite")
    columns = torch.arange(n, device=scores.device) if answer is None else answer
    own = scores.gather(1, columns[:, None])
    better, equal = (scores > own).sum(1), (scores == own).sum(1)  # the own one among the equals
    return ((k - better) / equal).clamp(0, 1).to(scores.dtype)


def told_apart(images: Vectors, right: Vectors, wrong: Vectors) -> Float[Tensor, " n"]:
    """1 where a picture is nearer to its right text than to its wrong one, 0 where it is not.

    And 1/2 where the two cosines differ by less than 1e-5: rounding is no opinion.
    """
    own, other = (F.cosine_similarity(images, one, dim=1) for one in (right, wrong))
    ahead = own - other
    return torch.where(ahead.abs() < 1e-5, 0.5, (ahead > 0).to(own.dtype))


def clip_score(images: Vectors, texts: Vectors, weight: float = 2.5) -> Float[Tensor, " n"]:
    """weight * max(cosine, 0) of each picture and its text (Hessel et al. 2021, section 3)."""
    return weight * F.cosine_similarity(images, texts, dim=1).clamp(min=0)


def modality_gap(images: Vectors, texts: Float[Tensor, "m dim"]) -> Float[Tensor, " dim"]:
    """The mean vector of pictures less that of texts, each of length 1.

    Liang et al. 2022, section 4.2.
    """
    return F.normalize(images, dim=1).mean(0) - F.normalize(texts, dim=1).mean(0)


# ---- towers -------------------------------------------------------------------------------


class ImageTower(nn.Module):
    """Pictures of 32 x 32 or more in, one vector for each out: two convolutions a level, a mean.

    widths   channels at each level; height and width halve between them
    """

    def __init__(
        self, dim: int = 128, widths: Sequence[int] = (32, 64, 96, 160), channels: int = 3
    ):
        super().__init__()
        self.levels = nn.ModuleList()
        for level, width in enumerate(widths):
            self.levels.append(ConvLevel(channels, width, stride=1 if level == 0 else 2))
            channels = width
        self.head = nn.Linear(channels, dim)

    def forward(self, x: Images) -> Float[Tensor, "batch dim"]:
        return self.head(self.seen(x))

    def seen(self, x: Images, levels: int | None = None) -> Float[Tensor, "batch numbers"]:
        """What the last of the first `levels` levels sees, on average over the picture."""
        for level in self.levels[:levels]:
            x = level(x)
        return x.mean((2, 3))


class ConvLevel(nn.Module):
    """A convolution that may halve the picture, and a second one beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride=stride, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norms = nn.ModuleList(group_norm(width, 8) for _ in range(2))

    def forward(self, x: Images) -> Float[Tensor, "batch out rows columns"]:
        x = F.silu(self.norms[0](self.first(x)))
        return x + F.silu(self.norms[1](self.second(x)))


class EndTower(nn.Module):
    """Rows of `Tokenizer.batch` in, one vector out: what a causal transformer knows at END.

    Radford et al. 2021, section 2.4. vocabulary, length   as `TextTransformer` has them
    """

    def __init__(self, vocabulary: int, length: int, dim: int = 64, width: int = 32):
        super().__init__()
        self.read = TextTransformer(vocabulary, length, dim=width, causal=True, pad=PAD)
        self.head = nn.Linear(width, dim, bias=False)

    def forward(self, tokens: Ids) -> Float[Tensor, "n dim"]:
        end = (tokens == END).int().argmax(1)
        row = torch.arange(len(tokens), device=tokens.device)
        return self.head(self.read(tokens)[row, end])


def bag_tower(vocabulary: int, dim: int = 64, width: int = 32) -> nn.Module:
    """Two layers on top of the mean of the pieces' vectors, which does not know their order."""
    bag = BagOfWords(vocabulary, width, PAD)
    return nn.Sequential(bag, nn.Linear(width, dim), nn.SiLU(), nn.Linear(dim, dim))


def vector_tower(given: int = 384, dim: int = 128, width: int = 128) -> nn.Module:
    """Two layers on top of another model's frozen text vectors, of whatever length these are."""
    return nn.Sequential(
        nn.LayerNorm(given, elementwise_affine=False),
        nn.Linear(given, width),
        nn.SiLU(),
        nn.Linear(width, dim),
    )


# ---- both together ------------------------------------------------------------------------


class CLIP(nn.Module):
    """`model(pictures, texts)` gives the scores of all pairs: cosine times a learned scale.

    The scale is learned through its logarithm, begins at 1 / 0.07 and is held below `MAX_SCALE`
    (Radford et al. 2021, section 2.5). 1 / scale is what they call the temperature.
    """

    def __init__(self, image: nn.Module, text: nn.Module, scale: float = 1 / 0.07):
        super().__init__()
        self.image, self.text = image, text
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by."""
        return self.log_scale.exp()

    def embed_images(self, x: Images, *told: Tensor) -> Float[Tensor, "batch dim"]:
        """Pictures as vectors of length 1.

        told   what else the image tower asks for: the noise level, in chapter 22
        """
        return F.normalize(self.image(x, *told), dim=1)

    def embed_texts(self, texts: Tensor) -> Float[Tensor, "batch dim"]:
        """Texts, in whatever form the text tower reads, as vectors of length 1."""
        return F.normalize(self.text(texts), dim=1)

    def forward(self, x: Images, texts: Tensor, *told: Tensor) -> Scores:
        if self.training:
            # The parameter itself is held, not a copy of it: a copy that is cut off has no
            # gradient, so a scale that is once too large could never come back.
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(MAX_SCALE))
        return self.scale * self.embed_images(x, *told) @ self.embed_texts(texts).T


# ---- what the course trains ---------------------------------------------------------------


def seen_anew(cut_outs: UInt8[Tensor, "n 4 rows columns"]) -> Images:
    """Cut-outs at a random place and size, each on a plain ground of its own; in [-1, 1].

    cut_outs   red, green, blue, already multiplied by cover, and cover; 0 to 255

    They move by up to 6 % of a side and grow or shrink by up to 12 %. They are not mirrored:
    "left arrow" would become a lie.
    """
    n, device = len(cut_outs), cut_outs.device
    size, shift = (0.12 * (2 * torch.rand(n, 2, 1, device=device) - 1) for _ in range(2))
    where = torch.cat([torch.eye(2, device=device) * (1 + size[:, :1]), shift], 2)
    grid = F.affine_grid(where, list(cut_outs.shape), align_corners=False)
    pictures = F.grid_sample(cut_outs.float() / 127.5, grid, align_corners=False)
    colour, cover = pictures[:, :3], pictures[:, 3:] / 2
    return colour + (1 - cover) * 2 * torch.rand(n, 3, 1, 1, device=device) - 1


def emoji_clip() -> CLIP:
    """Emoji at 32 x 32 and MiniLM's vectors of their labels."""
    return CLIP(ImageTower(), vector_tower())


def emoji_clip_loss(
    model: CLIP, cut_outs: UInt8[Tensor, "n 4 rows columns"], texts: Float[Tensor, "n given"]
) -> Tensor:
    """`clip_loss` of a batch of cut-outs and their labels' vectors.

    Two designs of one concept in a batch are each other's wrong answer. That lifts the loss, and
    not the best score: it is as likely for every score (chapter 21).
    """
    return clip_loss(model(seen_anew(cut_outs), texts))


def scene_clip(vocabulary: int, length: int | None = None) -> CLIP:
    """Scenes at 32 x 32 and captions in pieces: a bag of them or, given a length, a sequence."""
    text = bag_tower(vocabulary) if length is None else EndTower(vocabulary, length)
    return CLIP(ImageTower(64, (16, 24, 48)), text)


def scene_clip_loss(model: CLIP, x: UInt8[Tensor, "n 3 rows columns"], tokens: Tensor) -> Tensor:
    """`clip_loss` of a batch of scenes and their captions, rows of `Tokenizer.batch`.

    Or [n, 2, length]: then the second of each two is a wrong caption that nobody else would have
    brought up, as in NegCLIP (Yuksekgonul et al. 2022).
    """
    if tokens.dim() == 3:
        tokens = tokens.transpose(0, 1).flatten(0, 1)  # all right ones, then all wrong ones
    return clip_loss(model(x / 127.5 - 1, tokens))
