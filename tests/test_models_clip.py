"""CLIP: losses as by hand and as `transformers` has them; towers that lose or keep the order."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.models.clip import (
    CLIP,
    MAX_SCALE,
    ConvLevel,
    EndTower,
    ImageTower,
    bag_tower,
    clip_loss,
    clip_score,
    cosines,
    emoji_clip,
    info_nce,
    information,
    modality_gap,
    recall_at,
    scene_clip,
    scene_clip_loss,
    seen_anew,
    siglip_loss,
    told_apart,
    vector_tower,
)
from course_lib.models.tokenizer import Tokenizer

D = torch.float64


@pytest.fixture
def scores() -> Tensor:
    return 3 * torch.randn(5, 5, dtype=D, generator=torch.Generator().manual_seed(0))


# ---- losses -------------------------------------------------------------------------------


def test_info_nce_is_the_surprise_of_the_own_column(scores: Tensor):
    by_hand = -(scores.exp().diagonal() / scores.exp().sum(1)).log().mean()
    assert torch.allclose(info_nce(scores), by_hand)


def test_a_constant_a_row_changes_no_answer_about_rows(scores: Tensor):
    row = torch.randn(5, 1, dtype=D)
    assert torch.allclose(info_nce(scores + row), info_nce(scores))
    assert not torch.allclose(clip_loss(scores + row), clip_loss(scores))


def test_both_questions_weigh_alike(scores: Tensor):
    assert torch.allclose(clip_loss(scores), (info_nce(scores) + info_nce(scores.T)) / 2)
    assert torch.allclose(clip_loss(scores), clip_loss(scores.T))
    assert float(clip_loss(torch.zeros(7, 7))) == pytest.approx(math.log(7))


def test_texts_without_a_picture_are_wrong_answers_and_ask_nothing(scores: Tensor):
    more = torch.cat([scores, torch.full((5, 2), -1e9, dtype=D)], 1)
    assert torch.allclose(clip_loss(more), clip_loss(scores))  # nobody takes them
    likely = torch.cat([scores, scores + 1], 1)
    rows = -(scores.exp().diagonal() / likely.exp().sum(1)).log().mean()
    assert torch.allclose(clip_loss(likely), (rows + info_nce(scores.T)) / 2)


def test_the_gradient_is_what_is_believed_less_what_is_true(scores: Tensor):
    scores.requires_grad_()
    clip_loss(scores).backward()
    with torch.no_grad():
        believed = (scores.softmax(1) + scores.softmax(0)) / 2
        assert torch.allclose(scores.grad, (believed - torch.eye(5, dtype=D)) / 5)


def test_rows_without_their_own_column_are_refused(scores: Tensor):
    with pytest.raises(ValueError, match="5 rows but 3 columns"):
        info_nce(scores[:, :3])


def test_siglip_asks_about_each_pair_alone(scores: Tensor):
    yes = torch.eye(5, dtype=D)
    each = F.binary_cross_entropy_with_logits(scores - 2.0, yes, reduction="none")
    assert torch.allclose(siglip_loss(scores, -2.0), each.sum() / 5)


def test_the_best_siglip_bias_of_scores_that_say_nothing_counts_the_pairs():
    # One pair in n is real: the best constant is the log-odds of that, -log(n - 1).
    n, bias = 9, torch.zeros((), dtype=D, requires_grad=True)
    fit = torch.optim.LBFGS([bias], max_iter=50)

    def closure() -> Tensor:
        fit.zero_grad()
        loss = siglip_loss(torch.zeros(n, n, dtype=D), bias)
        loss.backward()
        return loss

    fit.step(closure)
    assert float(bias.detach()) == pytest.approx(-math.log(n - 1), abs=1e-4)


# ---- mutual information -------------------------------------------------------------------


def gaussian_scores(rho: float, n: int, seed: int, dims: int = 1) -> Tensor:
    """log p(x, y) / p(x) p(y) of all pairs; `dims` coordinates, each with the same correlation."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, dims, dtype=D, generator=generator)
    y = rho * x + (1 - rho**2) ** 0.5 * noise
    left = 1 - rho**2
    square = rho**2 * (x[:, None] ** 2 + y[None] ** 2) - 2 * rho * x[:, None] * y[None]
    return (-0.5 * math.log(left) - square / (2 * left)).sum(2)


@pytest.mark.parametrize(("rho", "dims"), [(0.5, 1), (0.9, 1), (0.9, 4)])
def test_information_stays_below_the_true_one_and_comes_near_it(rho: float, dims: int):
    true = -0.5 * dims * math.log(1 - rho**2)
    means = []
    for n in (4, 32, 256):
        runs = [information(gaussian_scores(rho, n, seed, dims)) for seed in range(8192 // n)]
        means.append(float(torch.stack(runs).mean()))
        assert means[-1] < min(true, math.log(n)) + 0.02
    assert means[1] > means[0] + (0.1 if rho > 0.5 else 0)
    assert dims > 1 or means[2] > true - 0.05


def test_scores_that_say_nothing_carry_no_information():
    assert float(information(torch.zeros(5, 8))) == pytest.approx(0, abs=1e-6)


def test_another_score_finds_less():
    right = [gaussian_scores(0.9, 64, seed) for seed in range(20)]
    for wrong in (0.3, 3.0):
        found = torch.stack([information(wrong * one) - information(one) for one in right])
        assert found.mean() < -0.1


# ---- measures -----------------------------------------------------------------------------


def test_recall_counts_own_columns_among_the_best():
    scores = torch.tensor([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]])
    assert recall_at(scores, 1).tolist() == [1, 0, 0]
    assert recall_at(scores, 2).tolist() == [1, 1, 0]
    assert recall_at(scores, 3).tolist() == [1, 1, 1]
    assert recall_at(scores, 1, torch.tensor([0, 0, 2])).tolist() == [1, 1, 0]


def test_scores_that_say_nothing_score_chance():
    for k in (1, 3, 10):
        assert torch.allclose(recall_at(torch.zeros(4, 10), k), torch.tensor(k / 10))
    halves = torch.tensor([[1.0, 1.0, 0.0]])
    assert recall_at(halves, 1).tolist() == [0.5] and recall_at(halves, 2).tolist() == [1]


@pytest.mark.parametrize("k", [0, 4])
def test_k_must_be_a_number_of_columns(k: int):
    with pytest.raises(ValueError, match="1 to 3"):
        recall_at(torch.zeros(2, 3), k)
    with pytest.raises(ValueError, match="not finite"):
        recall_at(torch.full((3, 5), torch.nan))


def test_of_two_texts_the_nearer_one_is_believed_and_rounding_is_no_opinion():
    u = torch.tensor([[1.0, 0]]).expand(4, 2)
    right = torch.tensor([[9.0, 1], [1, 2], [1, 1], [1, 1.000001]])
    wrong = torch.tensor([[1.0, 1], [1, 1], [2, 2], [1, 1]])
    assert told_apart(u, right, wrong).tolist() == [1, 0, 0.5, 0.5]


def test_clip_score_is_a_cosine_that_is_never_negative():
    a = torch.tensor([[2.0, 0], [1, 0], [1, 1]])
    b = torch.tensor([[5.0, 0], [-1, 0], [0, 3]])
    assert torch.allclose(clip_score(a, b), torch.tensor([2.5, 0, 2.5 / 2**0.5]))


def test_the_gap_lies_between_means_of_directions():
    a, b = torch.tensor([[2.0, 0], [0, 7]]), torch.tensor([[0.0, -1]])
    assert torch.allclose(modality_gap(a, b), torch.tensor([0.5, 1.5]))
    assert torch.allclose(cosines(a, b), torch.tensor([[0.0], [-1]]))


# ---- towers -------------------------------------------------------------------------------

BYTES = Tokenizer(())  # each byte a piece
TEXTS = ["a red ring, a blue star", "a blue ring, a red star"]


def test_a_bag_cannot_tell_who_is_red_and_a_sequence_can():
    tokens = BYTES.batch(TEXTS, 30)
    torch.manual_seed(0)
    one, other = bag_tower(len(BYTES))(tokens)
    assert torch.allclose(one, other, atol=1e-6)
    one, other = EndTower(len(BYTES), 30)(tokens)
    assert (one - other).abs().max() > 0.01


def test_a_sequence_is_read_at_its_end():
    torch.manual_seed(0)
    tower = EndTower(len(BYTES), 30, dim=5, width=8)
    tokens = BYTES.batch(["a red ring", "a star"], 30)
    for row, text in zip(tower(tokens), ("a red ring", "a star"), strict=True):
        short = BYTES.batch([text], len(text) + 2)
        assert torch.allclose(row, tower(short)[0], atol=1e-5)  # padding is not read
        assert torch.allclose(row, tower.head(tower.read(short)[0, -1]), atol=1e-5)
    assert tower.read.causal
    shape = {name: tuple(p.shape) for name, p in tower.head.named_parameters()}
    assert shape == {"weight": (5, 8)}


def test_a_tower_reads_any_size_and_gives_a_vector():
    tower = ImageTower(16, widths=(8, 8, 8))
    for size in (32, 40):
        assert tower(torch.randn(2, 3, size, size)).shape == (2, 16)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(tower.seen(x, levels=1), tower.levels[0](x).mean((2, 3)))
    assert vector_tower(384, 16)(torch.randn(5, 384)).shape == (5, 16)


def test_a_level_adds_to_what_it_is_given():
    level, x = ConvLevel(3, 8, stride=2), torch.randn(2, 3, 16, 16)
    before = level(x)
    torch.nn.init.zeros_(level.norms[1].weight)  # now the second convolution adds nothing
    assert (level(x) - before).abs().max() > 0.01
    assert torch.allclose(level(x), F.silu(level.norms[0](level.first(x))))


def small_clip() -> CLIP:
    torch.manual_seed(0)
    return CLIP(ImageTower(8, widths=(8, 8)), vector_tower(6, 8, 8))


def test_scores_are_scaled_cosines_and_the_scale_starts_as_in_the_paper():
    model, x, texts = small_clip().eval(), torch.randn(3, 3, 32, 32), torch.randn(4, 6)
    assert float(model.scale.detach()) == pytest.approx(1 / 0.07)
    expected = cosines(model.image(x), model.text(texts)) / 0.07
    assert torch.allclose(model(x, texts), expected, atol=1e-5)


def test_the_scale_is_held_and_can_come_back():
    model = small_clip()
    with torch.no_grad():
        model.log_scale.fill_(math.log(3 * MAX_SCALE))
    model.train()(torch.randn(3, 3, 32, 32), torch.randn(3, 6)).sum().backward()
    assert float(model.scale.detach()) == pytest.approx(MAX_SCALE)
    assert model.log_scale.grad is not None and model.log_scale.grad.abs() > 0


# ---- what the course trains ---------------------------------------------------------------


def test_cut_outs_stand_on_plain_grounds_of_their_own():
    cut = torch.zeros(3, 4, 32, 32, dtype=torch.uint8)
    cut[:, 0, 8:24, 8:24] = cut[:, 3, 8:24, 8:24] = 255  # a red square
    torch.manual_seed(0)
    x = seen_anew(cut)
    assert x.min() >= -1 and x.max() <= 1
    assert torch.allclose(x[:, :, 16, 16], torch.tensor([1.0, -1, -1]).expand(3, 3), atol=1e-5)
    corners = x[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners - corners[..., :1]).abs().max() < 1e-5
    assert (corners[0] - corners[1]).abs().max() > 0.05
    assert (x[0] - x[1])[:, 12:20, 12:20].abs().max() < 1e-5  # moved and grown, but not by much
    edge = (x[:, :, :, 16] - corners[..., :1]).abs().amax(1) > 0.02
    assert edge.sum(1).unique().numel() > 1 and (edge.sum(1) - 16).abs().max() <= 4


@pytest.mark.parametrize("length", [None, 9])
def test_losses_of_the_course_are_clip_losses(length: int | None):
    torch.manual_seed(0)
    model, x = scene_clip(20, length), torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    right, wrong = torch.randint(1, 20, (2, 4, 9))
    scores = model(x / 127.5 - 1, torch.cat([right, wrong]))
    assert torch.allclose(scene_clip_loss(model, x, right), clip_loss(scores[:, :4]), atol=1e-5)
    both = torch.stack([right, wrong], 1)
    assert torch.allclose(scene_clip_loss(model, x, both), clip_loss(scores), atol=1e-5)


def test_the_shipped_models_stay_small():
    models = emoji_clip(), scene_clip(559), scene_clip(559, 24), scene_clip(559, 24)
    numbers = sum(p.numel() for model in models for p in model.parameters())
    assert numbers < 0.94e6  # in 8.5 bits a number: under 1 MB in all


# ---- beside transformers ------------------------------------------------------------------


def test_losses_are_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    text = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 8, "eos_token_id": 2}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    x, ids = torch.randn(4, 3, 16, 16), torch.randint(3, 30, (4, 8))
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    peer = transformers.CLIPModel(config).eval()
    out = peer(input_ids=ids, pixel_values=x, return_loss=True)
    assert torch.allclose(clip_loss(out.logits_per_image), out.loss, atol=1e-6)
    scores = cosines(out.image_embeds, out.text_embeds) * peer.logit_scale.exp()
    assert torch.allclose(scores, out.logits_per_image, atol=1e-5)

    config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    peer = transformers.SiglipModel(config).eval()
    out = peer(input_ids=ids, pixel_values=x, return_loss=True)
    scores = cosines(out.image_embeds, out.text_embeds) * peer.logit_scale.exp()
    assert torch.allclose(siglip_loss(scores, peer.logit_bias), out.loss, atol=1e-5)
