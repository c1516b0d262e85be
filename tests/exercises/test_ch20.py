"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.exercises.ch20 import (
    check_framed,
    check_heads,
    check_may_look,
    check_merge,
    check_read,
)


def merge(ids, pair, new, jump=2, again=False):
    out, at = [], 0
    while at < len(ids):
        if tuple(ids[at : at + 2]) == pair:
            out.append(new)
            at += jump
        else:
            out.append(ids[at])
            at += 1
    return out


def merge_overlapping(ids, pair, new):
    out, used = [], False
    for n, one in enumerate(ids):
        if n + 1 < len(ids) and (one, ids[n + 1]) == pair:
            out.append(new)
            used = True
        elif used:
            used = False
        else:
            out.append(one)
    return out


def merge_first(ids, pair, new):
    for n in range(len(ids) - 1):
        if (ids[n], ids[n + 1]) == pair:
            return [*ids[:n], new, *ids[n + 2 :]]
    return list(ids)


def merge_up_to_the_last(ids, pair, new):
    out, at = [], 0
    while at < len(ids) - 1:
        found = tuple(ids[at : at + 2]) == pair
        out.append(new if found else ids[at])
        at += 1 + found
    return out


def merge_from_the_right(ids, pair, new):
    return merge(ids[::-1], pair[::-1], new)[::-1]


def merge_any_order(ids, pair, new):
    out = []
    for one in ids:
        if out and {out[-1], one} == set(pair):
            out[-1] = new
        else:
            out.append(one)
    return out


def merge_again(ids, pair, new):
    out = []
    for one in ids:
        out.append(one)
        while tuple(out[-2:]) == pair:
            out[-2:] = [new]
    return out


def merge_in_place(ids, pair, new):
    ids[:] = merge(ids, pair, new)
    return ids


def framed(ids, length):
    row = [1, *ids[: length - 2], 2]
    return row + [0] * (length - len(row))


def padded(row, length):
    return (row + [0] * length)[:length]


def heads(x, n):
    return x.unflatten(2, (n, -1)).transpose(1, 2)


def may_look(tokens, causal):
    mask = (tokens != 0)[:, None].expand(-1, tokens.shape[1], -1)
    return mask & torch.ones(mask.shape[1:], dtype=torch.bool).tril() if causal else mask


def square(tokens, change):
    return change(torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool))


def reads(scale=8**0.5, axis=1, shortcut=True):
    def read(pixels, words, w_q, w_k, w_v):
        weights = ((pixels @ w_q) @ (words @ w_k).T / scale).softmax(axis)
        return shortcut * pixels + weights @ (words @ w_v)

    return read


WRONG = [
    (check_merge, merge_first, "only the first place"),
    (check_merge, lambda ids, p, n: merge(ids, p, n, jump=1), "the second of the two still"),
    (check_merge, merge_overlapping, "the middle 5 was used twice"),
    (check_merge, merge_from_the_right, "from the left"),
    (check_merge, merge_any_order, "order of the pair counts"),
    (check_merge, merge_again, "merged again with its neighbour"),
    (check_merge, lambda ids, p, n: [n if i in p else i for i in ids], "The two together become"),
    (check_merge, lambda ids, p, n: tuple(merge(ids, p, n)), "return a list"),
    (check_framed, lambda ids, n: padded([1, *ids], n), "END is missing"),
    (check_framed, lambda ids, n: padded([*ids, 2], n), "START is missing"),
    (check_framed, lambda ids, n: [1, *ids[: n - 2], 2], "as long as its text"),
    (check_framed, lambda ids, n: [1, *padded(ids, n - 2), 2], "END comes right after"),
    (check_framed, lambda ids, n: padded([1, *ids, 2], n), "the END was cut off"),
    (check_framed, lambda ids, n: framed(ids, n + 2 if len(ids) > n else n), "are 79"),
    (check_framed, lambda ids, n: framed(ids, max(n, len(ids) + 2)), "not cut at all"),
    (check_framed, lambda ids, n: framed(ids[-(n - 2) :], n), "the end of the prompt"),
    (check_framed, lambda ids, n: padded([1, *ids[: n - 3], 2], n), "75 pieces fit"),
    (check_framed, lambda ids, n: [0] * (n - len(ids) - 2) + [1, *ids, 2], "behind END"),
    (check_heads, lambda x, n: x.reshape(len(x), n, x.shape[1], -1), "parts of several tokens"),
    (check_heads, lambda x, n: x.unflatten(2, (n, -1)), "heads come before tokens"),
    (check_heads, lambda x, n: heads(x, n).mT, "last two axes"),
    (check_heads, lambda x, n: x.unflatten(2, (-1, n)).permute(0, 3, 1, 2), "every fourth number"),
    (check_heads, lambda x, n: heads(x, 4), "`heads` is an argument"),
    (check_may_look, lambda k, c: k != 0, "who looks at whom"),
    (check_may_look, lambda k, c: ~may_look(k, c), "inside out"),
    (check_may_look, lambda k, c: may_look(k, c).float(), "would *add* numbers"),
    (check_may_look, lambda k, c: may_look(k, False), "changes nothing"),
    (check_may_look, lambda k, c: may_look(k, False).mT, "masked the queries"),
    (check_may_look, lambda k, c: may_look(k, c) & (k != 0)[:, :, None], "softmax over nothing"),
    (
        check_may_look,
        lambda k, c: may_look(k, False) & (square(k, torch.triu) if c else True),
        "looks ahead",
    ),
    (
        check_may_look,
        lambda k, c: may_look(k, False) & (square(k, lambda m: m.tril(-1)) if c else True),
        "must see itself",
    ),
    (
        check_may_look,
        lambda k, c: square(k, torch.tril).expand(2, 4, 4) if c else may_look(k, c),
        "but padding is looked at",
    ),
    (
        check_may_look,
        lambda k, c: may_look(k, False) | square(k, torch.tril) if c else may_look(k, c),
        "lets in whatever",
    ),
    (check_read, reads(shortcut=False), "shortcut is missing"),
    (check_read, reads(scale=1), "not divided"),
    (check_read, reads(scale=8), "By its *root*"),
    (check_read, reads(scale=2), "the pixels' width, 4"),
    (check_read, reads(axis=0), "the softmax runs over pixels"),
    (
        check_read,
        lambda p, w, q, k, v: ((w @ k) @ (p @ q).T / 8**0.5).softmax(1) @ p,
        "Pixels are the queries",
    ),
    (check_merge, lambda ids, pair, new: list(ids), "compare like"),
    (check_merge, merge_up_to_the_last, "number is lost"),
    (
        check_merge,
        lambda ids, pair, new: [
            int(one)
            for one in " ".join(map(str, ids)).replace("{} {}".format(*pair), str(new)).split()
        ],
        "not their digits",
    ),
    (check_may_look, lambda tokens, causal: (tokens != 0)[:, None], "will broadcast"),
    (check_may_look, lambda tokens, causal: may_look(tokens, True), "still nobody"),
    (check_may_look, lambda tokens, causal: may_look(tokens + 1, causal), "padding is looked at"),
    (
        check_read,
        lambda p, w, w_q, w_k, w_v: (
            p + ((p @ w_q) @ (w @ w_k).T / w.shape[1] ** 0.5).softmax(1) @ (w @ w_v)
        ),
        "root of the words' width",
    ),
    (
        check_read,
        lambda p, w, w_q, w_k, w_v: (
            p + ((p @ w_q) @ (w @ w_k).T).softmax(1) / w_k.shape[1] ** 0.5 @ (w @ w_v)
        ),
        "before the softmax",
    ),
    (
        check_may_look,
        lambda tokens, causal: may_look(tokens.masked_fill(tokens == 2, 0), causal),
        "only 0 is padding",
    ),
    (check_read, reads(3**0.5), "how many words there are"),
]
