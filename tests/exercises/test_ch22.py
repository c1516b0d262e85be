"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.exercises.ch22 import check_hidden, check_nudged, check_verdict, check_wider

START, END, PAD = 1, 2, 0


def none_of(tokens):
    none = torch.full_like(tokens, PAD)
    none[:, 0], none[:, 1] = START, END
    return none


def hidden(tokens, p, noise):
    return torch.where((noise < p)[:, None], none_of(tokens), tokens)


def keeps_end(tokens, p, noise):
    inner = (tokens != START) & (tokens != END)
    return torch.where((noise < p)[:, None] & inner, PAD, tokens)


def only_start(tokens, p, noise):
    none = torch.full_like(tokens, PAD)
    none[:, 0] = START
    return torch.where((noise < p)[:, None], none, tokens)


def end_at_the_end(tokens, p, noise):
    none = torch.full_like(tokens, PAD)
    none[:, 0], none[:, -1] = START, END
    return torch.where((noise < p)[:, None], none, tokens)


def wider(weight, more):
    out, _, height, width = weight.shape
    return torch.cat([weight, torch.zeros(out, more, height, width)], 1)


def wider_with(fill, back=False):
    def answer(weight, more):
        out, _, height, width = weight.shape
        new = fill(weight, out, more, height, width)
        return torch.cat([new, weight] if back else [weight, new], 1)

    return answer


def zeros(weight, *shape):
    return torch.zeros(shape)


def nudged(mean, variance, score, x_t, scale):
    with torch.enable_grad():
        x = x_t.detach().requires_grad_()
        (slope,) = torch.autograd.grad(score(x).sum(), x)
    return mean + scale * variance * slope


def with_slope(combine, at=lambda mean, x_t: x_t, reduce=torch.sum):
    def answer(mean, variance, score, x_t, scale):
        with torch.enable_grad():
            x = at(mean, x_t).detach().requires_grad_()
            (slope,) = torch.autograd.grad(reduce(score(x)), x)
        return combine(mean, variance, slope, scale, x_t)

    return answer


def on_the_graph(mean, variance, score, x_t, scale):
    x = x_t.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return mean + scale * variance * slope


def no_graph(mean, variance, score, x_t, scale):
    x = x_t.detach().requires_grad_()
    total = score(x).sum()
    if not total.requires_grad:
        return mean
    (slope,) = torch.autograd.grad(total, x)
    return mean + scale * variance * slope


def right(m, v, g, s, x):
    return m + s * v * g


def verdict(rows):
    best = max(rows, key=lambda name: rows[name]["oracle"])
    plain = rows["none"]
    gamed = {
        name
        for name, row in rows.items()
        if row["guide"] > plain["guide"] and row["oracle"] <= plain["oracle"]
    }
    return best, gamed - {"none"}


def verdict_by(best_by="oracle", games=lambda row, plain: False):
    def answer(rows):
        best = max(rows, key=lambda name: rows[name][best_by])
        return best, {name for name, row in rows.items() if games(row, rows["none"])}

    return answer


WRONG = [
    (check_hidden, lambda tokens, p, noise: noise < p, "which captions go"),
    (check_hidden, lambda tokens, p, noise: tokens[noise >= p], "rows are gone"),
    (
        check_hidden,
        lambda tokens, p, noise: torch.where((noise < p)[:, None], PAD, tokens),
        "nothing left to look at",
    ),
    (check_hidden, only_start, "END is missing"),
    (
        check_hidden,
        lambda tokens, p, noise: torch.where((noise < p)[:, None], tokens, none_of(tokens)),
        "the wrong ones",
    ),
    (check_hidden, lambda tokens, p, noise: none_of(tokens), "one fate"),
    (check_hidden, lambda tokens, p, noise: tokens, "one fate"),
    (check_hidden, keeps_end, "how long"),
    (check_hidden, lambda tokens, p, noise: hidden(tokens, p, noise).float(), "whole numbers"),
    (
        check_hidden,
        lambda tokens, p, noise: torch.where((noise <= p)[:, None], none_of(tokens), tokens),
        "compare with <",
    ),
    (check_hidden, lambda tokens, p, noise: hidden(tokens, 0.2, noise), "no caption may go"),
    (check_wider, wider_with(zeros, back=True), "come first"),
    (
        check_wider,
        lambda weight, more: torch.cat([weight, torch.zeros(more, *weight.shape[1:])]),
        "adds outputs",
    ),
    (check_wider, lambda weight, more: weight, "[4, 5, 3, 3]"),
    (
        check_wider,
        wider_with(lambda weight, out, more, h, w: weight[:, :more]),
        "copy old weights",
    ),
    (
        check_wider,
        lambda weight, more: torch.zeros(len(weight), weight.shape[1] + more, *weight.shape[2:]),
        "had learnt is gone",
    ),
    (check_wider, lambda weight, more: wider(weight * 3 / 5, more), "scaled down"),
    (
        check_wider,
        wider_with(lambda weight, *shape: torch.randn(shape)),
        "are not 0",
    ),
    (check_wider, lambda weight, more: wider(weight.flip(1), more), "in their places"),
    (check_wider, lambda weight, more: wider(weight, 2), "are arguments"),
    (check_nudged, lambda m, v, score, x, s: m, "never asked"),
    (check_nudged, on_the_graph, "hangs on the graph"),
    (check_nudged, with_slope(lambda m, v, g, s, x: s * v * g.sum()), "shape of the old one"),
    (check_nudged, with_slope(lambda m, v, g, s, x: m - s * v * g), "downhill"),
    (check_nudged, with_slope(lambda m, v, g, s, x: m + s * v**0.5 * g), "standard deviation"),
    (check_nudged, with_slope(lambda m, v, g, s, x: m + s * g), "variance is missing"),
    (check_nudged, with_slope(lambda m, v, g, s, x: m + v * g), "`scale` is not used"),
    (check_nudged, with_slope(right, reduce=torch.mean), "averaged"),
    (check_nudged, with_slope(right, at=lambda mean, x_t: mean), "taken at the mean"),
    (check_nudged, with_slope(lambda m, v, g, s, x: x + s * v * g), "x_t is shifted"),
    (
        check_nudged,
        with_slope(lambda m, v, g, s, x: m + s * v * g / g.norm(dim=1, keepdim=True)),
        "of length 1",
    ),
    (check_nudged, no_graph, "torch.no_grad()"),
    (check_nudged, with_slope(lambda m, v, g, s, x: m), "nothing has moved"),
    (check_nudged, with_slope(lambda m, v, g, s, x: m + 2 * s * v * g), "not mean + scale"),
    (check_verdict, lambda rows: verdict(rows)[0], "two things"),
    (check_verdict, verdict_by("guide"), "cannot judge"),
    (check_verdict, lambda rows: ("none", set()), "most often"),
    (
        check_verdict,
        verdict_by("oracle", lambda row, plain: row["guide"] >= plain["guide"]),
        "compared with",
    ),
    (
        check_verdict,
        verdict_by("oracle", lambda row, plain: row["guide"] > plain["guide"]),
        "guidance, not gaming",
    ),
    (check_verdict, verdict_by("oracle"), "prefers"),
    (
        check_verdict,
        verdict_by("oracle", lambda row, plain: row["oracle"] < plain["oracle"]),
        "does not lie",
    ),
    (
        check_verdict,
        verdict_by(
            "oracle",
            lambda row, plain: row["guide"] > plain["guide"] and row["oracle"] < plain["oracle"],
        ),
        "equal counts",
    ),
    (
        check_verdict,
        lambda rows: (
            max(rows, key=lambda name: rows[name]["judge"]),
            verdict(rows)[1],
        ),
        "even the judge",
    ),
    (
        check_hidden,
        lambda tokens, p, noise: hidden(tokens, p, torch.arange(len(noise)) / len(noise)),
        "row by row",
    ),
    (
        check_verdict,
        lambda rows: (
            max((one for one in rows if one != "none"), key=lambda one: rows[one]["oracle"]),
            verdict(rows)[1],
        ),
        "a row like the others",
    ),
    (check_nudged, lambda m, v, score, x, s: nudged(m, v, score, x, s) - m, "shift alone"),
    (check_hidden, end_at_the_end, "right behind START"),
    (
        check_hidden,
        lambda tokens, p, noise: torch.where(
            (noise < p)[:, None], none_of(tokens).masked_fill(none_of(tokens) == PAD, END), tokens
        ),
        "there is one END",
    ),
    (check_nudged, with_slope(lambda m, v, slope, s, x: m + s * v**2 * slope), "no square"),
]
