"""Attention: the formula is PyTorch's kernel, and the block starts as the identity."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_lib.nn.attention import (
    GEGLU,
    CrossAttention2d,
    MultiHeadAttention,
    SelfAttention2d,
    SpatialTransformer,
    attention,
    attention_weights,
    causal_mask,
)

sizes = st.integers(1, 6)


@given(sizes, sizes, sizes, sizes, sizes)
def test_attention_is_torchs(batch, queries, keys, dim, value_dim):
    torch.manual_seed(0)
    query, key = torch.randn(batch, 2, queries, dim), torch.randn(batch, 2, keys, dim)
    value = torch.randn(batch, 2, keys, value_dim)
    theirs = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query, key, value), theirs, atol=1e-5, rtol=1e-5)


def test_attention_by_hand():
    # Two keys; the query agrees with the first by log 3 more, so it counts three times as much.
    query = torch.tensor([[[math.log(3) * math.sqrt(2), 0.0]]])
    key = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    value = torch.tensor([[[4.0], [8.0]]])
    torch.testing.assert_close(attention(query, key, value), torch.tensor([[[5.0]]]))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_block_is_normalise_attend_add(heads):
    torch.manual_seed(0)
    block, x = SelfAttention2d(8, heads), torch.randn(2, 8, 3, 5)
    nn.init.normal_(block.out.weight)
    tokens = block.norm(x).flatten(2).mT
    parts = (layer(tokens) for layer in (block.query, block.key, block.value))
    query, key, value = (p.view(2, 15, heads, 8 // heads).transpose(1, 2) for p in parts)
    mixed = block.out(attention(query, key, value).transpose(1, 2).reshape(2, 15, 8))
    expected = x + mixed.mT.reshape(2, 8, 3, 5)
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


def test_the_block_starts_as_the_identity():
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(SelfAttention2d(8, heads=2)(x), x)


def test_pixels_have_no_order():
    # Without positions, attention commutes with any permutation of the pixels.
    torch.manual_seed(0)
    block, x = SelfAttention2d(8), torch.randn(1, 8, 4, 4)
    nn.init.normal_(block.out.weight)
    turned = block(x.rot90(1, (2, 3)))
    torch.testing.assert_close(turned, block(x).rot90(1, (2, 3)), atol=1e-5, rtol=1e-5)


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="8 channels cannot be split into 3 heads"):
        SelfAttention2d(8, heads=3)


@given(sizes, sizes, sizes)
def test_a_mask_is_torchs_and_as_if_the_keys_were_not_there(queries, keys, dim):
    torch.manual_seed(queries + 7 * keys)
    query, key, value = (torch.randn(2, n, dim).double() for n in (queries, keys, keys))
    mask = torch.rand(queries, keys) < 0.5
    mask[:, 0] = True  # each query may look somewhere
    ours = attention(query, key, value, mask)
    theirs = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
    there = mask[0]
    alone = attention(query[:, :1], key[:, there], value[:, there])
    torch.testing.assert_close(ours[:, :1], alone, atol=1e-12, rtol=0)


@given(sizes, sizes)
def test_keys_have_no_order_and_queries_keep_theirs(queries, keys):
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, n, 4).double() for n in (queries, keys, keys))
    turn, move = torch.randperm(keys), torch.randperm(queries)
    plain = attention(query, key, value)
    torch.testing.assert_close(
        attention(query, key[:, turn], value[:, turn]), plain, atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        attention(query[:, move], key, value), plain[:, move], atol=1e-12, rtol=0
    )


@given(sizes, sizes, st.integers(0, 6))
def test_a_query_that_may_look_nowhere_is_nan_by_hand_and_takes_nothing_in_a_network(
    queries, keys, lost
):
    torch.manual_seed(queries + 7 * keys)
    lost = lost % queries
    mask = torch.ones(queries, keys, dtype=torch.bool)
    mask[lost] = False
    nowhere = ~mask.any(1)
    block = MultiHeadAttention(8, 6, heads=2)
    x, context = torch.randn(2, queries, 8, requires_grad=True), torch.randn(2, keys, 6)
    weights = block.weights(x, context, mask)
    assert torch.equal(weights.isnan().all(-1), nowhere.expand(2, 2, -1))
    found = block(x, context, mask)
    torch.testing.assert_close(found[:, lost], block.out.bias.expand(2, -1))
    torch.testing.assert_close(found[:, ~nowhere], block(x, context)[:, ~nowhere])
    found.sum().backward()
    assert torch.isfinite(x.grad).all() and not x.grad[:, lost].any()


def test_each_row_of_weights_sums_to_1_and_avoids_what_is_masked():
    torch.manual_seed(0)
    weights = attention_weights(torch.randn(1, 5, 3), torch.randn(1, 5, 3), causal_mask(5))
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 5))
    assert not weights.triu(1).any() and (weights.tril() > 0).sum() == 15


@pytest.mark.parametrize("context_dim", [None, 6])
def test_heads_are_torchs(context_dim):
    torch.manual_seed(0)
    ours = MultiHeadAttention(8, context_dim, heads=2).double()
    wide = context_dim or 8
    theirs = nn.MultiheadAttention(8, 2, kdim=wide, vdim=wide, batch_first=True).double()
    parts = [ours.query, ours.key, ours.value]
    with torch.no_grad():
        if context_dim is None:
            theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        else:
            names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
            for name, part in zip(names, parts, strict=True):
                getattr(theirs, name).copy_(part.weight)
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(3, 5, 8).double()
    context = None if context_dim is None else torch.randn(3, 4, 6).double()
    there = torch.ones(3, 5 if context is None else 4, dtype=torch.bool)
    there[1, 2:] = False
    look = x if context is None else context
    out, seen = theirs(x, look, look, key_padding_mask=~there, average_attn_weights=False)
    mask = there[:, None, None]
    torch.testing.assert_close(ours(x, context, mask), out, atol=1e-12, rtol=0)
    torch.testing.assert_close(ours.weights(x, context, mask), seen, atol=1e-12, rtol=0)


def test_reading_is_pixels_looking_at_tokens():
    torch.manual_seed(0)
    block, x, context = CrossAttention2d(8, 6, heads=2), torch.randn(2, 8, 3, 5), None
    context = torch.randn(2, 4, 6)
    assert torch.equal(block(x, context), x)  # it starts as the identity
    nn.init.normal_(block.attend.out.weight)
    pixels = block.norm(x).flatten(2).mT
    expected = x + block.attend(pixels, context).mT.reshape(x.shape)
    torch.testing.assert_close(block(x, context), expected)
    there = torch.tensor([[True, True, False, False], [True] * 4])
    maps = block.weights(x, context, there)
    assert maps.shape == (2, 2, 4, 3, 5) and not maps[0, :, 2:].any()
    torch.testing.assert_close(maps.sum(2), torch.ones(2, 2, 3, 5))
    torch.testing.assert_close(block(x, context, there)[:1], block(x[:1], context[:1, :2]))


def test_a_context_must_be_there_or_not():
    with pytest.raises(ValueError, match="needs a context"):
        MultiHeadAttention(8, 6)(torch.zeros(1, 2, 8))
    with pytest.raises(ValueError, match="built without context_dim"):
        MultiHeadAttention(8)(torch.zeros(1, 2, 8), torch.zeros(1, 2, 8))
    with pytest.raises(ValueError, match="a width of 8 cannot be split into 3 heads"):
        MultiHeadAttention(8, heads=3)


def test_geglu_is_one_half_gated_by_the_other():
    torch.manual_seed(0)
    layer, x = GEGLU(6, 10).double(), torch.randn(2, 3, 6, dtype=torch.float64)
    weight, bias = layer.both.weight, layer.both.bias
    value, gate = x @ weight[:10].T + bias[:10], x @ weight[10:].T + bias[10:]
    torch.testing.assert_close(layer(x), value * nn.functional.gelu(gate))


def test_a_spatial_transformer_starts_as_the_identity_and_ignores_masked_words():
    torch.manual_seed(0)
    block = SpatialTransformer(8, 6, heads=2, groups=2).double()
    x, context = torch.randn(2, 8, 3, 5).double(), torch.randn(2, 4, 6).double()
    assert torch.equal(block(x, context), x)
    nn.init.normal_(block.leave.weight)
    mask = torch.tensor([[True, True, False, False]] * 2)
    shorter = block(x, context[:, :2])
    torch.testing.assert_close(block(x, context, mask), shorter)
    assert (block(x, context) - shorter).abs().max() > 1e-3
    # Pixels have no places: turned round, the picture comes out turned round.
    torch.testing.assert_close(block(x.flip(2, 3), context), block(x, context).flip(2, 3))
    assert block.look.query.bias is None and block.look.out.bias is not None


def test_each_part_of_a_spatial_transformer_has_its_shortcut():
    torch.manual_seed(1)
    block = SpatialTransformer(8, 6, heads=2, groups=2).double()
    nn.init.normal_(block.leave.weight)
    x, context = torch.randn(1, 8, 2, 2).double(), torch.randn(1, 4, 6).double()
    before = block(x, context)
    for part in (block.think[1], block.read.out, block.look.out):
        for p in part.parameters():
            nn.init.zeros_(p)
    # Whatever stands inside, what is left with all three silenced is in and out again.
    silent = x + block.leave(block.enter(block.norm(x)))
    torch.testing.assert_close(block(x, context), silent)
    assert (before - silent).abs().max() > 1e-2
