"""The text tower: order matters by positions alone, and nobody sees the future or the padding."""

import pytest
import torch
from torch import nn

from course_lib.nn.transformer import (
    POSITIONS,
    BagOfWords,
    QuickGELU,
    TextTransformer,
    TransformerBlock,
    mean_of,
)

TOKENS = torch.tensor([[1, 5, 6, 7, 8, 2, 0, 0]])
ORDER = torch.tensor([0, 3, 1, 2, 4, 5, 6, 7])


def tower(**kind) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(12, 8, dim=16, heads=2, **kind).double()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("positions", POSITIONS)
def test_without_positions_a_text_is_a_set_unless_it_is_causal(causal, positions):
    net = tower(causal=causal, positions=positions)
    moved, straight = net(TOKENS[:, ORDER]), net(TOKENS)[:, ORDER]
    same = torch.allclose(moved, straight, atol=1e-12)
    assert same == (positions == "none" and not causal)


@pytest.mark.parametrize("causal", [False, True])
def test_who_sees_whom(causal):
    net = tower(causal=causal)
    other = TOKENS.clone()
    other[0, 4] = 9
    changed = (net(other) - net(TOKENS)).abs().amax(2)[0] > 1e-9
    assert changed[4:6].all()
    assert changed[:4].any() == changed[:4].all() == (not causal)


def test_padding_changes_nothing():
    net = tower()
    torch.testing.assert_close(net(TOKENS[:, :6]), net(TOKENS)[:, :6], atol=1e-12, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_a_block_is_torch_s(causal):
    torch.manual_seed(0)
    ours = TransformerBlock(16, 4).double()
    theirs = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    parts = [ours.attend.query, ours.attend.key, ours.attend.value]
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
    theirs.self_attn.out_proj.load_state_dict(ours.attend.out.state_dict())
    theirs.linear1.load_state_dict(ours.think[0].state_dict())
    theirs.linear2.load_state_dict(ours.think[2].state_dict())
    theirs.norm1.load_state_dict(ours.norm1.state_dict())
    theirs.norm2.load_state_dict(ours.norm2.state_dict())
    x, may = torch.randn(3, 7, 16).double(), torch.ones(7, 7, dtype=torch.bool)
    may = may.tril() if causal else may
    torch.testing.assert_close(ours(x, may), theirs(x, src_mask=~may), atol=1e-12, rtol=0)


def test_positions_are_learnt_only_where_it_says_so():
    assert tower(positions="learned").place.requires_grad
    for fixed in ("sinusoidal", "none"):
        assert not tower(positions=fixed).place.requires_grad
    assert not tower(positions="none").place.any()


def test_a_bag_knows_neither_order_nor_padding():
    torch.manual_seed(0)
    bag = BagOfWords(12, 4).double()
    torch.testing.assert_close(bag(TOKENS[:, ORDER]), bag(TOKENS), atol=1e-12, rtol=0)
    torch.testing.assert_close(bag(TOKENS), bag.word(TOKENS[:, :6]).mean(1))
    assert not bag(torch.zeros(1, 3, dtype=torch.long)).any()


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="reads 8 tokens at most, got 9"):
        tower()(torch.ones(1, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="unknown positions 'rotary'"):
        tower(positions="rotary")


def test_without_a_number_for_padding_all_is_read():
    torch.manual_seed(0)
    tower = TextTransformer(9, 5, dim=8, heads=2, causal=True, pad=None, quick=True)
    ids = torch.tensor([[3, 4, 0, 0, 0]])
    assert bool(tower.mask(ids).all())
    # Causal: what fills the text up changes the states of its own places alone.
    other = torch.tensor([[3, 4, 7, 7, 7]])
    torch.testing.assert_close(tower(ids)[:, :2], tower(other)[:, :2])
    assert (tower(ids)[:, 2:] - tower(other)[:, 2:]).abs().max() > 1e-3


def test_quick_gelu_is_close_to_gelu_and_not_it():
    x = torch.linspace(-6, 6, 601, dtype=torch.float64)
    gap = (QuickGELU()(x) - nn.functional.gelu(x)).abs().max()
    assert 0.01 < gap < 0.03
    assert QuickGELU()(torch.tensor(1.0)) == torch.sigmoid(torch.tensor(1.702))


def test_the_mean_leaves_padding_out():
    states = torch.arange(12.0).view(1, 4, 3)
    mask = torch.tensor([[True, True, False, False]])
    assert mean_of(states, mask).tolist() == [[1.5, 2.5, 3.5]]
    assert mean_of(states, ~mask | mask).tolist() == [[4.5, 5.5, 6.5]]
    assert mean_of(states, mask & ~mask).tolist() == [[0, 0, 0]]  # no text at all
