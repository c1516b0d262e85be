"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.exercises.ch25 import check_begun, check_looking, check_places, check_translate


def translated(own, there, name, time=None, query=None, strict=True):
    found = {}
    for ours, value in own.items():
        theirs = there.get(name(ours))
        if theirs is None:
            if strict:
                raise ValueError(f"{name(ours)} is missing")
            continue
        found[ours] = theirs.reshape(value.shape)
    swap = time or (lambda w: torch.cat(w.chunk(2, 1)[::-1], 1))
    found["time.0.weight"] = swap(found["time.0.weight"])
    if query:
        found["look.query.weight"] = query(there[name("look.query.weight")])
    return found


def by(**changes):
    return lambda own, there, name: translated(own, there, name, **changes)


def in_order(own, there, name):
    sizes = {}
    for value in there.values():
        sizes.setdefault(value.numel(), []).append(value)
    return {k: sizes[v.numel()].pop(0).reshape(v.shape) for k, v in own.items()}


def reshaping(own, there, name):
    if {name(k) for k in own} != set(there):
        raise ValueError("other names")
    found = {k: there[name(k)].reshape(v.shape) for k, v in own.items()}
    found["time.0.weight"] = torch.cat(found["time.0.weight"].chunk(2, 1)[::-1], 1)
    return found


def subset(own, there, name):
    if not {name(k) for k in own} <= set(there):
        raise ValueError("missing")
    return reshaping(own, {name(k): there[name(k)] for k in own}, name)


def all_matrices(own, there, name):
    found = translated(own, there, name)
    return {k: v[:, :, 0, 0] if v.shape[2:] == (1, 1) else v for k, v in found.items()}


def all_times(own, there, name):
    found = translated(own, there, name)
    return found | {"time.2.weight": found["time.2.weight"].roll(3, 1)}


def places(change=lambda row: row, lost=lambda numbers, length: numbers[length - 2 :]):
    def answer(numbers, start, end, length):
        filled = [start, *numbers[: length - 2]]
        filled += [end] * (length - len(filled))
        return change(filled), lost(numbers, length)

    return answer


def padded(pad):
    def answer(numbers, start, end, length):
        filled = [start, *numbers[: length - 2], end]
        return filled + [pad] * (length - len(filled)), numbers[length - 2 :]

    return answer


def no_start(numbers, start, end, length):
    filled = numbers[: length - 1]
    return filled + [end] * (length - len(filled)), numbers[length - 1 :]


def in_front(numbers, start, end, length):
    inside = [start, *numbers[: length - 2], end]
    return [end] * (length - len(inside)) + inside, numbers[length - 2 :]


def no_end(numbers, start, end, length):
    filled = [start, *numbers][:length]
    return filled + [end] * (length - len(filled)), numbers[length - 1 :]


def latest(numbers, start, end, length):
    kept = numbers[-(length - 2) :]
    filled = [start, *kept]
    return filled + [end] * (length - len(filled)), numbers[: -(length - 2)]


def taken(times, strength):
    return int((len(times) - 1) * strength)


def looking(side, width, tokens, context, **less):
    n = less.get("pixels", side * side)
    ask = n * width * width
    words = 2 * tokens * less.get("read", context) * width
    between = less.get("times", 2) * n * tokens * width
    return less.get("by", 1) * (less.get("linears", 2) * ask + words + between)


def price(**less):
    return lambda side, width, tokens, context: looking(side, width, tokens, context, **less)


WRONG = [
    (check_translate, lambda own, there, name: list(there.values()), "give a dict"),
    (check_translate, lambda own, there, name: there, "the file's names"),
    (check_translate, lambda own, there, name: {"stem.weight": there["conv_in.weight"]}, "names"),
    (check_translate, in_order, "in the order of the file"),
    (check_translate, by(time=lambda w: w), "cosines first"),
    (check_translate, by(time=lambda w: torch.cat(w.chunk(2, 0)[::-1], 0)), "rows have changed"),
    (check_translate, by(time=lambda w: w.flip(1)), "reversed"),
    (check_translate, by(query=lambda w: w), "kernel of 1 x 1"),
    (check_translate, by(query=lambda w: w[:, :, 0, 0].T), "transposed"),
    (check_translate, by(strict=False), "without conv_in.bias must be refused"),
    (check_translate, subset, "nobody asked for"),
    (check_translate, reshaping, "before you reshape"),
    (check_places, lambda numbers, s, e, length: [s, *numbers, e], "two lists"),
    (check_places, lambda n, s, e, length: ([s, *n[: length - 2], e], n[length - 2 :]), "exactly"),
    (check_places, no_start, "START is missing"),
    (check_places, padded(0), "padded with 0"),
    (check_places, in_front, "in front"),
    (check_places, places(lost=lambda numbers, length: numbers), "has lost nothing"),
    (check_places, no_end, "END was cut off"),
    (check_places, latest, "its beginning lost"),
    (check_places, places(lost=lambda n, length: n[length:]), "off by one"),
    (check_places, places(lost=lambda n, length: []), "lost are the numbers"),
    (check_begun, lambda times, s: times[taken(times, s) :], "wrong way round"),
    (check_begun, lambda times, s: times[: taken(times, s) + 1], "the first steps"),
    (
        check_begun,
        lambda times, s: times[len(times) - int(len(times) * s) :],
        "one time more than there are steps",
    ),
    (
        check_begun,
        lambda times, s: times[len(times) - 1 - round((len(times) - 1) * s) :],
        "the whole part",
    ),
    (check_begun, lambda times, s: times[times <= 1000 * s], "not of the schedule's"),
    (check_begun, lambda times, s: times[7:8], "3 steps, so 4 times"),
    (check_begun, lambda times, s: torch.zeros(0), "the times from where"),
    (check_looking, price(linears=1), "the last layer is missing"),
    (check_looking, price(times=1), "the scores or the mixing"),
    (check_looking, price(times=0), "between queries, keys and values"),
    (check_looking, lambda s, w, m, c: 4 * s**2 * w**2 + 2 * s**4 * w, "self-attention"),
    (check_looking, lambda s, w, m, c: 4 * s**2 * w**2 + 2 * s**2 * m * w, "from the words"),
    (check_looking, price(read=320), "a word has 768"),
    (check_looking, price(times=16), "heads cost nothing"),
    (check_looking, price(by=2), "counts as one"),
    (check_looking, price(pixels=16), "not side"),
    (check_looking, lambda *_: 1.0, "at 16 x 16 pixels it is"),
    (check_looking, lambda *_: looking(16, 320, 77, 768), "all four numbers are arguments"),
    (check_places, lambda numbers, start, end, length: (numbers, 0), "lists themselves"),
    (check_looking, lambda side, w, m, c: 2 * side**2 * m * w, "four linear layers"),
    (
        check_looking,
        lambda side, w, m, c: looking(side, w, m, c) - m * c * w,
        "two matrices",
    ),
    (check_looking, lambda side, w, m, c: 2 * w * w + 2 * c * w, "these are its parameters"),
    (
        check_looking,
        lambda side, w, m, c: looking(side, w, m, c) - 2 * side**2 * m * (w - 1),
        "a score is a sum",
    ),
    (
        check_looking,
        lambda side, w, m, c: looking(side, w, m, c) + 2 * side**2 * m * (c - w),
        "not of `context`",
    ),
    (
        check_looking,
        lambda side, w, m, c: looking(side, w, m, c) + 2 * m * c * (c - w),
        "context x width",
    ),
    (check_translate, all_matrices, "is a kernel of 1 x 1 here too"),
    (check_translate, all_times, "its columns stay"),
]
