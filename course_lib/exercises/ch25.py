"""The exercises of chapter 25: a key map, 77 places, a walk begun in the middle, a price."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require

START, END = 9, 8


def toy_name(ours: str) -> str:
    """What the published file of exercise 1 calls our parameter."""
    names = {"stem": "conv_in", "time.0": "time_embedding.linear_1", "look.query": "attn1.to_q"}
    names |= {"time.2": "time_embedding.linear_2", "out": "conv_out"}
    part, _, kind = ours.rpartition(".")
    return f"{names[part]}.{kind}"


def toy_file(seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A network's parameters, all zero, and a file with other names, order and two odd tensors."""
    random = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    there = {
        "time_embedding.linear_1.weight": drawn(6, 4),
        "attn1.to_q.weight": drawn(6, 6, 1, 1),
        "attn1.to_q.bias": drawn(6),
        "conv_in.bias": drawn(6),
        "time_embedding.linear_1.bias": drawn(6),
        "conv_in.weight": drawn(6, 3, 3, 3),
        "time_embedding.linear_2.weight": drawn(6, 6),
        "conv_out.weight": drawn(2, 6, 1, 1),
    }
    own = {
        "stem.weight": torch.zeros(6, 3, 3, 3),
        "stem.bias": torch.zeros(6),
        "time.0.weight": torch.zeros(6, 4),
        "time.0.bias": torch.zeros(6),
        "look.query.weight": torch.zeros(6, 6),
        "look.query.bias": torch.zeros(6),
        "time.2.weight": torch.zeros(6, 6),
        "out.weight": torch.zeros(2, 6, 1, 1),
    }
    return own, there


def _refuses(translate: Callable[..., Any], own: dict[str, Tensor], there: dict) -> bool:
    try:
        translate(own, there, toy_name)
    except Exception as error:  # the reader's own, or what wraps it
        return isinstance(error.__cause__ or error, ValueError)
    return False


@exercise("a state dict through a key map")
def check_translate(translate: Callable[..., Any]) -> None:
    """Exercise 1: the file's tensors under our names, or a refusal."""
    own, there = toy_file()
    found = translate(dict(own), dict(there), toy_name)
    require(
        isinstance(found, dict) and all(torch.is_tensor(value) for value in found.values()),
        "give a dict: our names, the file's tensors.",
    )
    reject(set(found) == set(there), "these are the file's names. The network knows only its own.")
    require(set(found) == set(own), f"the names must be the network's: {sorted(own)}.")
    time, wanted = "time.0.weight", there[toy_name("time.0.weight")]
    swapped = torch.cat(wanted.chunk(2, 1)[::-1], 1)
    reject(
        equal(found["stem.bias"], there["time_embedding.linear_1.bias"])
        or equal(found["stem.bias"], there["attn1.to_q.bias"]),
        "tensors are handed out in the order of the file. Two of the same shape change places, and"
        " nobody notices: go by name.",
    )
    reject(
        equal(found[time], wanted),
        "the columns of the time's first layer are as the file has them, cosines first. Ours wants"
        " sines first: swap the halves.",
    )
    if found[time].shape == wanted.shape:
        reject(
            equal(found[time], torch.cat(wanted.chunk(2, 0)[::-1], 0)),
            "rows have changed places. The layer *reads* the sines and cosines: those are its"
            " columns, dimension 1.",
        )
        reject(equal(found[time], wanted.flip(1)), "reversed. Only the two halves change places.")
    require(equal(found[time], swapped), f"{time} is not the file's with its halves swapped.")
    query = there["attn1.to_q.weight"]
    reject(
        found["look.query.weight"].shape == query.shape,
        "look.query.weight is still a kernel of 1 x 1, [6, 6, 1, 1]. Our layer is linear and holds"
        " a matrix of the same numbers.",
    )
    reject(
        equal(found["look.query.weight"], query[:, :, 0, 0].T),
        "look.query.weight is transposed. Both kinds of layer store [out, in].",
    )
    reject(
        found["out.weight"].shape == (2, 6),
        "out.weight is a kernel of 1 x 1 here too: only where our layer holds a matrix does the"
        " file's kernel become one.",
    )
    reject(
        equal(found["time.2.weight"], there[toy_name("time.2.weight")].roll(3, 1)),
        "time.2 reads what time.0 has made of sines and cosines: its columns stay as they are.",
    )
    for name in own:
        if name not in (time, "look.query.weight"):
            require(equal(found[name], there[toy_name(name)]), f"{name} is not the file's tensor.")
    require(equal(found["look.query.weight"], query[:, :, 0, 0]), "look.query.weight is wrong.")
    missing = {name: value for name, value in there.items() if name != "conv_in.bias"}
    reject(
        not _refuses(translate, dict(own), missing),
        "a file without conv_in.bias must be refused with a ValueError that says so.",
    )
    more = there | {"conv_in.extra": torch.zeros(2)}
    reject(
        not _refuses(translate, dict(own), more),
        "a file with a tensor that nobody asked for is another network's: ValueError.",
    )
    wide = there | {"conv_in.weight": torch.zeros(6, 3, 1, 9)}
    reject(
        not _refuses(translate, dict(own), wide),
        "conv_in.weight of shape [6, 3, 1, 9] has as many numbers as [6, 3, 3, 3] and is another"
        " kernel. Compare shapes before you reshape.",
    )


@exercise("77 places")
def check_places(places: Callable[..., Any]) -> None:
    """Exercise 2: the row that the tower reads, and what of the text is not in it."""
    short, long = [1, 2, 3], list(range(10, 30))
    answer = places(list(short), START, END, 8)
    require(
        isinstance(answer, tuple) and len(answer) == 2, "give two lists: the row, and what is lost."
    )
    require(
        all(hasattr(part, "__iter__") for part in answer),
        "give the two lists themselves: the row, and the numbers that are not in it.",
    )
    row, lost = (list(map(int, part)) for part in answer)
    right = [START, *short, END, END, END, END]
    reject(len(row) != 8, f"the tower reads rows of exactly `length`: 8 numbers, got {len(row)}.")
    reject(row == [*short, END, END, END, END, END], "START is missing: every row begins with it.")
    reject(
        row == [START, *short, END, 0, 0, 0],
        "padded with 0. This tokenizer fills up with END, and the tower *reads* what it is filled"
        " with: another number is another condition.",
    )
    reject(
        row == [END, END, END, START, *short, END],
        "filled up in front. A causal tower would let every word see the filling.",
    )
    require(row == right, f"for the numbers {short} and 8 places: {right}, got {row}.")
    reject(bool(lost), "a text that fits has lost nothing: an empty list.")
    row, lost = (list(map(int, part)) for part in places(list(long), START, END, 8))
    reject(
        row == [START, *long[:7]],
        "END was cut off. The last of the row is always END: it is the state that has seen all.",
    )
    reject(
        row == [START, *long[-6:], END],
        "the end of the text is kept and its beginning lost. The first pieces stay.",
    )
    require(row == [START, *long[:6], END], f"of a long text the first 6 stay, got {row}.")
    reject(
        lost in (long[7:], long[8:], long[5:]),
        "off by one: START and END take two of the places, so `length - 2` are left.",
    )
    require(lost == long[6:], f"lost are the numbers from the 7th on, got {lost}.")
    row, lost = (list(map(int, part)) for part in places([], START, END, 8))
    require(row == [START] + [END] * 7 and not lost, "the empty prompt is START, and END 7 times.")


@exercise("where a walk from a picture begins")
def check_begun(begun: Callable[..., Any]) -> None:
    """Exercise 3: the times of img2img at a strength."""
    times = torch.tensor([990, 950, 900, 840, 700, 340, 300, 250, 150, 80, 1])
    found = torch.as_tensor(begun(times, 0.36))
    right = times[7:]
    require(
        found.dim() == 1 and len(found) > 0,
        f"give the times from where it begins to the end, as a tensor; got {found.tolist()}.",
    )
    reject(
        equal(found, times[3:]),
        "the wrong way round: at strength 0.36 about a third of the steps is *taken*.",
    )
    reject(
        equal(found, times[:4]),
        "these are the first steps. A picture is noised a little and walks the *last* ones.",
    )
    reject(equal(found, times[8:]), "there is one time more than there are steps: 11 and 10.")
    reject(
        equal(found, times[6:]),
        "10 x 0.36 = 3.6 steps: the published code takes the whole part, 3.",
    )
    reject(
        equal(found, times[times <= 360]),
        "strength is a share of the steps, not of the schedule's 1,000 times.",
    )
    require(equal(found, right), f"3 steps, so 4 times: {right.tolist()}, got {found.tolist()}.")
    require(equal(begun(times, 1.0), times), "at strength 1 the whole walk is taken.")
    last = torch.as_tensor(begun(times, 0.0))
    require(equal(last, times[-1:]), "at strength 0 no step is left: the last time alone.")


@exercise("the price of looking at words")
def check_looking(looking: Callable[..., Any]) -> None:
    """Exercise 4: multiply-adds of one cross-attention."""
    case = (16, 320, 77, 768)  # side, width, tokens, context
    n, w, m, c = 256, 320, 77, 768
    parts = [n * w * w, m * c * w, m * c * w, n * m * w, n * m * w, n * w * w]
    right = sum(parts)
    found = float(looking(*case))
    for wrong, why in (
        (right - parts[-1], "the last layer is missing, which maps what was read back to pixels."),
        (right - parts[3], "the scores or the mixing are missing: two products of n x 77 x width."),
        (right - parts[1], "keys and values are two matrices: each maps all words."),
        (parts[3] + parts[4], "the four linear layers are missing: their price counts too."),
        (
            right - parts[3] - parts[4] + 2 * n * m,
            "a score is a sum over `width` products, and so is what is mixed.",
        ),
        (
            right - parts[3] - parts[4] + 2 * n * m * c,
            "scores are between queries and keys, both of `width` numbers, not of `context`.",
        ),
        (
            2 * n * w * w + 2 * m * c * c + 2 * n * m * w,
            "keys and values have the queries' `width`: their matrices are context x width.",
        ),
        (
            2 * w * w + 2 * c * w,
            "these are its parameters. The queries' are used for each pixel, the keys' for each"
            " word.",
        ),
        (right - parts[3] - parts[4], "the two products between queries, keys and values miss."),
        (4 * n * w * w + 2 * n * n * w, "this is self-attention: keys and values are words here."),
        (
            4 * n * w * w + 2 * n * m * w,
            "keys and values are computed from the words, 77 of them with 768 numbers each.",
        ),
        (
            2 * n * w * w + 2 * m * w * w + 2 * n * m * w,
            "a word has 768 numbers, not `width`: keys and values have matrices of 768 x width.",
        ),
        (
            2 * n * w * w + 2 * m * c * w + 8 * 2 * n * m * w,
            "heads cost nothing more: each has its part of the width.",
        ),
        (2 * right, "a multiplication with its addition counts as one."),
    ):
        reject(abs(found - wrong) < 0.5, why)
    short = 2 * 16 * w * w + 2 * m * c * w + 2 * 16 * m * w
    reject(abs(found - short) < 0.5, "side x side pixels ask, not side.")
    require(abs(found - right) < 0.5, f"at 16 x 16 pixels it is {right:,}, got {found:,.0f}.")
    require(
        abs(float(looking(2, 8, 3, 5)) - (2 * 4 * 64 + 2 * 3 * 5 * 8 + 2 * 4 * 3 * 8)) < 0.5,
        "right for one case only: all four numbers are arguments.",
    )
