"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.exercises.ch17 import (
    check_dropped,
    check_guided,
    check_scale_of,
    check_shun,
    check_variances,
)


def scale_of(w, convention):
    return {"ho": 1 + w, "imagen": w, "lerp": 1 - w}[convention]


def conventions(ho, imagen, lerp):
    return lambda w, name: {"ho": ho, "imagen": imagen, "lerp": lerp}[name](w)


def dropped(label, null, p, noise):
    return torch.where(noise < p, null, label)


def guided(net, x, t, label, null, scale):
    both = torch.cat([label, torch.full_like(label, null)])
    c, u = net(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
    return u + scale * (c - u)


def halves(combine):
    def answer(net, x, t, label, null, scale):
        both = torch.cat([label, torch.full_like(label, null)])
        c, u = net(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return combine(c, u, scale)

    return answer


def asks_twice(net, x, t, label, null, scale):
    c, u = net(x, t, label), net(x, t, torch.full_like(label, null))
    return u + scale * (c - u)


def forgets_times(net, x, t, label, null, scale):
    both = torch.cat([label, torch.full_like(label, null)])
    c, u = net(torch.cat([x, x]), t, both).chunk(2)
    return u + scale * (c - u)


def harmonic(v_c, v, s):
    return 1 / (s / v_c + (1 - s) / v)


def geometric(v_c, v, s):
    return v_c**s * v ** (1 - s)


def shun(u, c, bad, scale, less):
    return u + scale * (c - u) + less * (u - bad)


def null_first(net, x, t, label, null, scale):
    both = torch.cat([torch.full_like(label, null), label])
    u, c = net(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
    return u + scale * (c - u)


def in_turns(net, x, t, label, null, scale):
    both = torch.stack([label, torch.full_like(label, null)], 1).flatten()
    out = net(x.repeat_interleave(2, 0), t.repeat_interleave(2), both)
    return out[1::2] + scale * (out[::2] - out[1::2])


def in_place(label, null, p, noise):
    label[noise < p] = null
    return label


def test_right_answers_pass() -> None:
    assert check_scale_of(scale_of)
    assert check_scale_of(lambda w, name: torch.tensor(scale_of(w, name)))
    assert check_dropped(dropped)
    assert check_dropped(in_place)
    assert check_dropped(
        lambda y, n, p, z: [n if a < p else int(b) for a, b in zip(z, y, strict=True)]
    )
    for answer in (guided, null_first, in_turns):
        assert check_guided(answer)
    assert check_variances(lambda *told: (harmonic(*told), geometric(*told)))
    assert check_variances(lambda *told: torch.tensor([harmonic(*told), geometric(*told)]))
    assert check_variances(lambda a, b, s: [a * b / (s * b + (1 - s) * a), b * (a / b) ** s])
    assert check_shun(shun)
    assert check_shun(lambda u, c, bad, s, less: (1 - s + less) * u + s * c - less * bad)


def same(w):
    return w


def more(w):
    return 1 + w


def less(w):
    return 1 - w


def doubled(labels=None, times=None):
    """The right answer with another second half."""

    def answer(net, x, t, y, n, s):
        second = torch.full_like(y, n) if labels is None else labels(y, n)
        late = t if times is None else times(t)
        c, u = net(torch.cat([x, x]), torch.cat([t, late]), torch.cat([y, second])).chunk(2)
        return u + s * (c - u)

    return answer


def fresh(v_c, v, s):
    if s == 1:
        return v_c
    return (v_c * v - v_c ** (2 * s) * v ** (2 - 2 * s)) / ((v - v_c) * (2 * s - 1))


def walks(wrong):
    return lambda a, b, s: (harmonic(a, b, s), wrong(a, b, s))


def tilts(wrong):
    return lambda a, b, s: (wrong(a, b, s), geometric(a, b, s))


def chance(y, n, p, z):
    return torch.where(torch.rand(len(y)) < p, n, y)


def share(y, n, p, z):
    return torch.cat([torch.full((int(p * len(y)),), n), y[int(p * len(y)) :]])


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_scale_of, conventions(same, more, less), "two are swapped"),
    (check_scale_of, conventions(same, same, less), "is not w"),
    (check_scale_of, conventions(lambda w: w - 1, same, less), "the way back"),
    (check_scale_of, conventions(less, same, less), "the sign"),
    (check_scale_of, conventions(lambda w: 2 * w, same, less), "with 4. You say 6"),
    (check_scale_of, conventions(more, more, less), "1 is no guidance"),
    (check_scale_of, conventions(more, lambda w: w - 1, less), "w of Ho & Salimans"),
    (check_scale_of, conventions(more, less, less), "nothing to convert"),
    (check_scale_of, lambda w, name: (1 + w, -w), "one number"),
    (check_scale_of, lambda w, name: "1 + w", "one number"),
    (check_scale_of, conventions(more, same, lambda w: -w), "0 where it should be 1"),
    (check_scale_of, conventions(more, same, same), "starts at c"),
    (check_scale_of, conventions(more, same, more), "the sign"),
    (check_scale_of, conventions(more, same, lambda w: 5.0), "must give s = 1"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p, y, n), "wrong ones"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p, 0, y), "0 is a class"),
    (check_dropped, lambda y, n, p, z: y if z[0] > p else torch.full_like(y, n), "one fate"),
    (check_dropped, lambda y, n, p, z: y[z >= p], "shorter"),
    (check_dropped, lambda y, n, p, z: torch.where(z < 1 - p, n, y), "not 1 - p"),
    (check_dropped, lambda y, n, p, z: z < p, "says which labels go"),
    (check_dropped, lambda y, n, p, z: y + n * (z < p), "you add it"),
    (check_dropped, lambda y, n, p, z: y[z < p], "one label for each example"),
    (check_dropped, chance, "Use `noise`"),
    (check_dropped, share, "a fixed share"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p, 10, y), "another `null`"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p / 2, n, y), "with p = 0.2"),
    (check_dropped, lambda y, n, p, z: torch.where(z <= p, n, y), "with p = 0 no"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p, float(n), y.float()), "whole numbers"),
    (check_guided, asks_twice, "twice"),
    (check_guided, lambda net, x, t, y, n, s: net(x, t, y), "its old length"),
    (check_guided, forgets_times, "3 times"),
    (check_guided, halves(lambda c, u, s: c + s * (u - c)), "swapped"),
    (check_guided, halves(lambda c, u, s: c + s * (c - u)), "the paper's letter"),
    (check_guided, halves(lambda c, u, s: s * (c - u)), "starts at u"),
    (check_guided, halves(lambda c, u, s: torch.cat([c, u])), "shaped like x"),
    (check_guided, halves(lambda c, u, s: c), "c at any scale"),
    (check_guided, halves(lambda c, u, s: u), "u at any scale"),
    (check_guided, halves(lambda c, u, s: u + (s - 1) * (c - u)), "the paper's w"),
    (check_guided, halves(lambda c, u, s: u + s * c), "not the arrow"),
    (check_guided, halves(lambda c, u, s: u - s * (c - u)), "turned round"),
    (check_guided, halves(lambda c, u, s: (u + s * (c - u)).clamp(-1, 1)), "clipped"),
    (check_guided, halves(lambda c, u, s: (c + u) / 2), "not u + s"),
    (check_guided, doubled(lambda y, n: y), "is the second half of the labels"),
    (check_guided, doubled(lambda y, n: torch.zeros_like(y)), "told class 0"),
    (check_guided, doubled(lambda y, n: torch.full(y.shape, 10.0)), "become floats"),
    (check_guided, doubled(times=lambda t: 0 * t), "the same"),
    (check_guided, lambda net, x, t, y, n, s: x, "never asked"),
    (check_guided, lambda net, x, t, y, n, s: net([x, x], [t, t], [y, n]), "takes tensors"),
    (check_variances, lambda *told: (geometric(*told), harmonic(*told)), "swapped"),
    (check_variances, lambda *told: harmonic(*told), "two numbers"),
    (check_variances, lambda a, b, s: (s * a + (1 - s) * b, geometric(a, b, s)), "averaged"),
    (check_variances, lambda a, b, s: (1 / harmonic(a, b, s), geometric(a, b, s)), "turn it over"),
    (check_variances, lambda *told: (harmonic(*told), geometric(*told) ** 0.5), "the spread"),
    (check_variances, lambda *told: (harmonic(*told), harmonic(*told)), "both the same"),
    (check_variances, tilts(lambda a, b, s: a), "bell's precision"),
    (check_variances, tilts(lambda a, b, s: harmonic(b, a, s)), "the other way round"),
    (check_variances, tilts(lambda a, b, s: harmonic(a, b, 1 + s)), "the paper's w"),
    (check_variances, tilts(lambda a, b, s: a / s), "only the class"),
    (check_variances, tilts(lambda a, b, s: 1 / (s / a**2 + (1 - s) / b**2)), "do not square"),
    (check_variances, tilts(lambda a, b, s: harmonic(a, b, s) ** 0.5), "spread of the tilted"),
    (check_variances, tilts(geometric), "both come from the walk"),
    (check_variances, walks(lambda a, b, s: a / s), "integrate"),
    (check_variances, walks(lambda a, b, s: a), "scale 1"),
    (check_variances, walks(lambda a, b, s: geometric(b, a, s)), "the other way round"),
    (check_variances, walks(lambda a, b, s: geometric(a, b, 1 + s)), "the paper's w"),
    (check_variances, walks(fresh), "with fresh noise"),
    (check_variances, walks(lambda a, b, s: s * a + (1 - s) * b), "average the logarithms"),
    (check_variances, lambda *told: {"tilted": 1, "walk": 2}, "two numbers"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less * (bad - u), "wanted to avoid"),
    (check_shun, lambda u, c, bad, s, less: bad + s * (c - bad), "no say"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) - less * bad, "add up to 1"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less * (c - bad), "start from u"),
    (check_shun, lambda u, c, bad, s, less: c + less * (u - bad), "`scale` has no say"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + (1 + less) * (u - bad), "plain guid"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u), "no say yet"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less * (u - c), "from `bad`"),
    (check_shun, lambda u, c, bad, s, less: s * (c - u) + less * (u - bad), "starts at u"),
    (check_shun, lambda u, c, bad, s, less: c + s * (c - u) + less * (u - bad), "starts at c"),
    (check_shun, lambda u, c, bad, s, less: 2 * u + s * (c - u) + less * (u - bad), "twice"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u + less * (u - bad)), "outside of s"),
    (check_shun, lambda u, c, bad, s, less: u + less * (c - u) + s * (u - bad), "to the wish"),
    (check_shun, lambda u, c, bad, s, less: u + s * (u - c) + less * (u - bad), "flees from the"),
    (
        check_shun,
        lambda u, c, bad, s, less: shun(shun(u, c, bad, s, 0), u, bad, 0, less),
        "by s as",
    ),
    (check_shun, lambda u, c, bad, s, less: (c - u, u - bad), "one answer"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less**2 * (u - bad), "add up"),
]
