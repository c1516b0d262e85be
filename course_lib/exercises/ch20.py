"""The exercises of chapter 20: merges, a frame of fixed length, heads, masks, pixels that read."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require
from course_lib.nn.attention import attention


@exercise("a pair becomes a piece")
def check_merge(merge: Callable[..., Any]) -> None:
    """Exercise 1: each place of a pair in a list of numbers becomes a new number."""
    given = [1, 2, 3, 1, 2]
    found = merge(given, (1, 2), 9)
    require(isinstance(found, list), "return a list of numbers.")
    reject(
        found == given,
        "nothing was merged. (A slice of a list is a list, and `pair` is a tuple: compare like"
        " with like.)",
    )
    reject(found == [9, 3, 1, 2], "only the first place is merged. All of them are.")
    reject(found == [1, 2, 3, 9], "only the last place is merged. All of them are.")
    reject(
        found == [9, 2, 3, 9, 2], "the second of the two still stands there; it is in the piece."
    )
    reject(found == [1, 9, 3, 1, 9], "the first of the two still stands there; it is in the piece.")
    reject(
        found == [9, 9, 3, 9, 9],
        "each number of the pair has become 9. The two together become one.",
    )
    require(found == [9, 3, 9], f"[1, 2, 3, 1, 2] is [9, 3, 9] after (1, 2) -> 9, not {found}.")
    reject(
        merge([2, 1, 2, 2], (1, 2), 9) == [9, 2, 2],
        "(2, 1) is not (1, 2): the order of the pair counts.",
    )
    reject(
        merge([2, 1], (1, 2), 9) == [2],
        "the last number is lost: where no pair can begin any more, it stays as it is.",
    )
    require(merge([2, 1], (1, 2), 9) == [2, 1], "[2, 1] has no place of (1, 2): nothing to merge.")
    require(
        merge([1, 1, 2], (1, 2), 9) == [1, 9],
        "[1, 1, 2] becomes [1, 9]: a 1 that begins no pair stays; then the search goes on.",
    )
    found = merge([5, 5, 5], (5, 5), 7)
    reject(
        found == [7, 7],
        "[5, 5, 5] has become [7, 7]: the middle 5 was used twice. A number in one piece is gone.",
    )
    reject(found == [5, 7], "pieces are made from the left: [5, 5, 5] becomes [7, 5].")
    require(found == [7, 5], f"[5, 5, 5] becomes [7, 5] by (5, 5) -> 7, not {found}.")
    require(merge([5, 5, 5, 5], (5, 5), 7) == [7, 7], "[5, 5, 5, 5] becomes [7, 7].")
    reject(
        merge([1, 2, 2], (1, 2), 1) == [1],
        "a piece just made was merged again with its neighbour. One merge goes over the list once.",
    )
    require(
        merge([11, 2, 1, 23], (1, 2), 9) == [11, 2, 1, 23],
        "11, 2 is not 1, 2: compare numbers, not their digits in a text.",
    )
    require(merge([], (1, 2), 9) == [] and merge([1], (1, 2), 9) == [1], "[] and [1] stay.")
    require(given == [1, 2, 3, 1, 2], "the list that was given has changed. Make a new one.")


@exercise("any prompt in 77 places")
def check_framed(framed: Callable[..., Any]) -> None:
    """Exercise 2: START 1, the pieces, END 2, then padding 0."""
    found = framed([7, 8, 9], 6)
    reject(equal(found, [1, 7, 8, 9, 0, 0]), "END is missing: where does the text end?")
    reject(equal(found, [7, 8, 9, 2, 0, 0]), "START is missing.")
    reject(equal(found, [0, 1, 7, 8, 9, 2]), "padding goes behind END, so that each place stays.")
    reject(equal(found, [1, 7, 8, 9, 0, 2]), "END comes right after the last piece, then padding.")
    reject(
        equal(found, [1, 7, 8, 9, 2]), "the row is as long as its text. All rows of a batch have 6."
    )
    reject(equal(found, [1, 7, 8, 9, 2, 2]), "there is one END; what follows is padding, 0.")
    require(
        equal(found, [1, 7, 8, 9, 2, 0]), f"[7, 8, 9] in 6 places: [1, 7, 8, 9, 2, 0], not {found}."
    )
    long = list(range(10, 110))
    found = framed(long, 77)
    length = torch.as_tensor(found).numel()
    reject(length == 79, "77 pieces and two more are 79. START and END are among the 77.")
    reject(length == 102, "the prompt was not cut at all.")
    reject(equal(found, [1, *long[:76]]), "the END was cut off too: cut the pieces first.")
    reject(
        equal(found, [1, *long[-75:], 2]),
        "you kept the end of the prompt. Keep its beginning.",
    )
    reject(equal(found, [1, *long[:74], 2, 0]), "one place is wasted: 75 pieces fit into 77.")
    require(equal(found, [1, *long[:75], 2]), "a prompt of 100 keeps its first 75 pieces.")
    require(equal(framed([], 4), [1, 2, 0, 0]), "the empty prompt is START, END and padding.")
    require(equal(framed([7, 8], 4), [1, 7, 8, 2]), "a prompt that just fits needs no padding.")


@exercise("a width in heads")
def check_heads(split: Callable[..., Any]) -> None:
    """Exercise 3: [batch, tokens, dim] to [batch, heads, tokens, dim / heads]."""
    x = torch.arange(2 * 3 * 8).float().view(2, 3, 8)
    right = x.view(2, 3, 4, 2).transpose(1, 2)
    found = split(x, 4)
    require(isinstance(found, Tensor), "return a tensor.")
    reject(
        equal(found, x.reshape(2, 4, 3, 2)),
        "the shape is right, the numbers are not: a head got parts of several tokens. Cut the "
        "width first ([batch, tokens, heads, part]), then swap two axes.",
    )
    reject(
        equal(found, x.view(2, 3, 4, 2)),
        "heads come before tokens: attention mixes the axis before the last.",
    )
    reject(
        equal(found, x.view(2, 3, 2, 4).permute(0, 3, 1, 2)),
        "each head got every fourth number. Any fixed choice would do, but weights that others "
        "trained give each head neighbours.",
    )
    reject(equal(found, right.mT), "the last two axes are swapped: [..., tokens, part].")
    require(
        tuple(found.shape) == (2, 4, 3, 2),
        f"[2, 3, 8] in 4 heads is [2, 4, 3, 2], got {list(found.shape)}.",
    )
    require(equal(found, right), "head h has the numbers 2h and 2h + 1 of each token.")
    require(
        equal(split(x, 2), x.view(2, 3, 2, 4).transpose(1, 2)),
        "with 2 heads it is wrong: `heads` is an argument, and so is the width.",
    )


@exercise("who may look where")
def check_may_look(may_look: Callable[..., Any]) -> None:
    """Exercise 4: True where a token may look: not at padding (0), not ahead if causal."""
    tokens = torch.tensor([[1, 7, 2, 0], [1, 7, 8, 2]])
    there = tokens != 0
    ahead = torch.ones(4, 4, dtype=torch.bool).tril()
    both, causal = may_look(tokens, False), may_look(tokens, True)
    wide = torch.as_tensor(both)
    require(
        wide.dtype == torch.bool,
        f"a mask is True or False, got {wide.dtype}. PyTorch would *add* numbers to the scores.",
    )
    reject(
        tuple(wide.shape) == (2, 4),
        "one row per text says what is there. Wanted is [batch, queries, keys]: who looks at whom.",
    )
    full = there[:, None].expand(2, 4, 4)
    reject(
        equal(both, ~full),
        "inside out: here True means may look. (nn.MultiheadAttention has it the other way.)",
    )
    reject(
        equal(both, there[:, :, None].expand(2, 4, 4)),
        "you masked the queries. Padding may ask (nobody reads its answer); nobody may look at it.",
    )
    reject(
        equal(both, there[:, None] & there[:, :, None]),
        "a padding token may look nowhere: a softmax over nothing is NaN. Mask keys, not queries.",
    )
    reject(
        equal(both, there[:, None]),
        "this will broadcast, and does not say yet who looks: one row for each of the 4 queries,"
        " [batch, queries, keys].",
    )
    reject(equal(both, full & ahead), "causal = False, and still nobody may look ahead.")
    reject(equal(both, torch.ones_like(full)), "padding is looked at. It is where tokens are 0.")
    reject(
        equal(both, full & (tokens != 2)[:, None]), "END is a token like others: only 0 is padding."
    )
    require(equal(both, full), "not causal: each of the 4 queries may look where tokens != 0.")
    right = full & ahead
    reject(equal(causal, full & ahead.T), "a token looks ahead. triu is the future, tril the past.")
    reject(
        equal(causal, full & ahead.tril(-1)),
        "a token must see itself: START would have nowhere to look.",
    )
    reject(equal(causal, ahead.expand(2, 4, 4)), "causal, but padding is looked at: need both.")
    reject(equal(causal, full | ahead), "`or` lets in whatever one of the two allows. Need both.")
    reject(equal(causal, full), "`causal` changes nothing.")
    require(equal(causal, right), "causal: what is there *and* not ahead.")


@exercise("pixels that read")
def check_read(read: Callable[..., Any]) -> None:
    """Exercise 5: cross-attention from pixels [n, d] to words [m, e], with three matrices."""
    pixels, words = torch.randn(6, 4), torch.randn(3, 5)
    w_q, w_k, w_v = torch.randn(4, 8), torch.randn(5, 8), torch.randn(5, 4)
    q, k, v = pixels @ w_q, words @ w_k, words @ w_v
    found = read(pixels, words, w_q, w_k, w_v)
    right = attention(q, k, v)
    reject(equal(found, right), "the shortcut is missing: what is read is *added* to the pixels.")
    scores = q @ k.T
    reject(
        equal(found, pixels + scores.softmax(1) @ v),
        "the scores are not divided by the root of the keys' width.",
    )
    reject(
        equal(found, pixels + (scores / 8).softmax(1) @ v),
        "the scores are divided by the width. By its *root*: a sum of 8 has that spread.",
    )
    reject(
        equal(found, pixels + (scores / 2).softmax(1) @ v),
        "divided by the root of the pixels' width, 4. The sum runs over the keys' width, 8.",
    )
    reject(
        equal(found, pixels + (scores / math.sqrt(8)).softmax(0) @ v),
        "the softmax runs over pixels: each word shares itself out. Each pixel must: over words.",
    )
    for width, whose in ((5, "the words' width"), (3, "how many words there are")):
        reject(
            equal(found, pixels + (scores / math.sqrt(width)).softmax(1) @ v),
            f"divided by the root of {whose}, {width}. The sum runs over the keys' width, 8.",
        )
    reject(
        equal(found, pixels + scores.softmax(1) / math.sqrt(8) @ v),
        "the root divides the scores, before the softmax; behind it the weights no longer add up"
        " to 1.",
    )
    reject(
        torch.as_tensor(found).shape != pixels.shape,
        f"one answer for each pixel: [6, 4], got {list(torch.as_tensor(found).shape)}. "
        "Who asks? Pixels are the queries.",
    )
    require(equal(found, pixels + right), "pixels + softmax(q kᵀ / sqrt(8)) v is something else.")
    order = torch.tensor([2, 0, 1])
    require(
        equal(read(pixels, words[order], w_q, w_k, w_v), found), "the words' order must not matter."
    )
