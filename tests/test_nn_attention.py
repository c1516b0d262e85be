"""Attention: the formula is PyTorch's kernel, and the block starts as the identity."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_lib.nn.attention import SelfAttention2d, attention

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
