"""The exercises of chapter 17: conventions, dropped labels, a batch of two, two laws, shunning."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("three letters, one scale")
def check_scale_of(scale_of: Callable[..., Any]) -> None:
    """Exercise 1: the scale that each convention's number means."""
    for w in (3.0, 0.0, -0.5):
        ho, imagen, lerp = (scale_of(w, name) for name in ("ho", "imagen", "lerp"))
        reject(
            equal(ho, w) and equal(imagen, w + 1),
            "the two are swapped: in Ho & Salimans w = 0 is no guidance, in Imagen w = 1.",
        )
        reject(equal(ho, w), "(1 + w) c - w u is not w: at w = 0 it is c, which is scale 1.")
        reject(equal(ho, w - 1), "this is the way back, from our scale to their w.")
        require(equal(ho, w + 1), "for 'ho', c stands with weight 1 + w: what is s?")
        require(equal(imagen, w), "for 'imagen', the formula is ours. There is nothing to convert.")
        reject(
            equal(lerp, w) and w != 0.5,
            "torch.lerp(c, u, w) starts at c: at w = 0 it is c, at w = 1 it is u.",
        )
        reject(
            w != 0 and equal(lerp, 1 + w), "the sign: a positive w walks from c towards u, s falls."
        )
        require(equal(lerp, 1 - w), "for 'lerp', w = 0 must give s = 1, and w = 1 must give s = 0.")


@exercise("each label dropped by its own chance")
def check_dropped(dropped: Callable[..., Any]) -> None:
    """Exercise 2: labels replaced by the null label."""
    label, noise = torch.tensor([3, 1, 4, 1, 5]), torch.tensor([0.9, 0.05, 0.5, 0.15, 0.0])
    found = dropped(label, 10, 0.2, noise)
    reject(
        equal(found, [10, 1, 10, 1, 5]) or equal(found, torch.where(noise < 0.2, label, 10)),
        "the wrong ones: with chance p the label goes, with 1 - p it stays.",
    )
    reject(
        equal(found, torch.where(noise < 0.2, 0, label)),
        "0 is a class. The null label is a number of its own.",
    )
    reject(
        equal(found, torch.full((5,), 10)) or equal(found, label),
        "the whole batch shares one fate. Each example decides for itself.",
    )
    reject(
        equal(found, label[noise >= 0.2]),
        "the batch has become shorter. Dropping a label keeps the example.",
    )
    require(equal(found, [3, 10, 4, 10, 10]), "with p = 0.2 those with noise below 0.2 go.")
    require(equal(dropped(label, 10, 0.0, noise), label), "with p = 0 no label may go.")
    reject(
        torch.as_tensor(found).is_floating_point(),
        "labels are whole numbers: a table of labels cannot look a float up.",
    )


@exercise("one call, two answers")
def check_guided(guided: Callable[..., Any]) -> None:
    """Exercise 3: classifier-free guidance from one doubled batch."""
    asked: list[int] = []

    def net(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        asked.append(len(x))
        require(
            len(x) == len(t) == len(label),
            f"the call has {len(x)} pictures, {len(t)} times and {len(label)} labels.",
        )
        return x * (1 + label)[:, None] + t[:, None]

    x, t, label = torch.randn(3, 2), torch.tensor([1.0, 5.0, 9.0]), torch.tensor([0, 2, 1])
    c, u = x * (1 + label)[:, None] + t[:, None], x * 11 + t[:, None]
    found = guided(net, x, t, label, 10, 4.0)
    reject(
        len(asked) == 2,
        "you call the network twice. It works, but the task is one call on a batch of two.",
    )
    reject(asked == [3], "the batch has its old length: the network is asked only once for each x.")
    reject(
        equal(found, c + 4 * (u - c)),
        "the halves are swapped: what comes back first belongs to what you put in first.",
    )
    reject(
        equal(found, c + 4 * (c - u)), "this is (1 + s) c - s u, with the paper's letter: u + s..."
    )
    reject(equal(found, 4 * (c - u)), "the arrow alone is not the answer: it starts at u.")
    require(getattr(found, "shape", None) == x.shape, "the answer must be shaped like x.")
    require(equal(found, u + 4 * (c - u)), "it is not u + s (c - u).")


@exercise("harmonic and geometric")
def check_variances(variances: Callable[..., Any]) -> None:
    """Exercise 4: the tilted law of two bells, and where the deterministic walk ends."""
    for v_c, v, s in ((1.0, 2.0, 4.0), (0.5, 3.0, 2.0), (1.0, 2.0, 1.0)):
        both = variances(v_c, v, s)
        require(isinstance(both, tuple | list) and len(both) == 2, "return two numbers.")
        tilted, walk = both
        harmonic, geometric = 1 / (s / v_c + (1 - s) / v), v_c**s * v ** (1 - s)
        if s != 1:
            reject(
                equal(tilted, geometric) and equal(walk, harmonic),
                "the two are swapped: the tilted law first.",
            )
            reject(
                equal(tilted, s * v_c + (1 - s) * v),
                "the variances are averaged. A power of a bell divides its variance, and products"
                " add precisions.",
            )
            reject(
                equal(tilted, s / v_c + (1 - s) / v),
                "this is the precision: turn it over.",
            )
            reject(
                equal(walk, geometric**0.5),
                "this is the spread, z itself. The variance is its square.",
            )
            reject(equal(walk, harmonic), "both the same: then the walk would sample the law.")
        require(equal(tilted, harmonic), "the tilted law's precision is s / v_c + (1 - s) / v.")
        require(
            equal(walk, geometric),
            "the walk: integrate d log z / d tau from infinity, where z is sqrt(tau) times noise.",
        )


@exercise("towards one thing, away from another")
def check_shun(shun: Callable[..., Any]) -> None:
    """Exercise 5: a wish and an aversion, both measured from the unconditional answer."""
    u, c, bad = torch.randn(3, 6, dtype=torch.float64)
    s, less = 3.0, 1.5
    right = u + s * (c - u) + less * (u - bad)
    found = shun(u, c, bad, s, less)
    reject(
        equal(found, u + s * (c - u) + less * (bad - u)),
        "the second arrow points to what you wanted to avoid.",
    )
    reject(
        equal(found, bad + s * (c - bad)),
        "this is a negative prompt in the place of u: `less` has no say.",
    )
    reject(
        equal(found, u + s * (c - u) - less * bad),
        "the weights must add up to 1. Subtract an arrow, bad - u, not an answer.",
    )
    reject(
        equal(found, u + s * (c - u) + less * (c - bad)),
        "both arrows start from u; yours starts from the unwished and ends at the wish.",
    )
    require(equal(shun(u, c, bad, s, 0.0), u + s * (c - u)), "at less = 0 it is plain guidance.")
    require(equal(found, right), "the two pushes do not add up to what was asked.")
