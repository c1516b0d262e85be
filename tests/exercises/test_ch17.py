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


def test_right_answers_pass() -> None:
    assert check_scale_of(scale_of)
    assert check_dropped(dropped)
    assert check_guided(guided)
    assert check_variances(lambda *told: (harmonic(*told), geometric(*told)))
    assert check_shun(shun)


def same(w):
    return w


def more(w):
    return 1 + w


def less(w):
    return 1 - w


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_scale_of, conventions(same, more, less), "two are swapped"),
    (check_scale_of, conventions(same, same, less), "is not w"),
    (check_scale_of, conventions(lambda w: w - 1, same, less), "the way back"),
    (check_scale_of, conventions(less, same, less), "weight 1 + w"),
    (check_scale_of, conventions(more, more, less), "nothing to convert"),
    (check_scale_of, conventions(more, same, same), "starts at c"),
    (check_scale_of, conventions(more, same, more), "the sign"),
    (check_scale_of, conventions(more, same, lambda w: 5.0), "must give s = 1"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p, y, n), "wrong ones"),
    (check_dropped, lambda y, n, p, z: torch.where(z < p, 0, y), "0 is a class"),
    (check_dropped, lambda y, n, p, z: y if z[0] > p else torch.full_like(y, n), "one fate"),
    (check_dropped, lambda y, n, p, z: y[z >= p], "shorter"),
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
    (check_guided, halves(lambda c, u, s: c), "not u + s"),
    (check_variances, lambda *told: (geometric(*told), harmonic(*told)), "swapped"),
    (check_variances, lambda *told: harmonic(*told), "two numbers"),
    (check_variances, lambda a, b, s: (s * a + (1 - s) * b, geometric(a, b, s)), "averaged"),
    (check_variances, lambda a, b, s: (1 / harmonic(a, b, s), geometric(a, b, s)), "turn it over"),
    (check_variances, lambda *told: (harmonic(*told), geometric(*told) ** 0.5), "the spread"),
    (check_variances, lambda *told: (harmonic(*told), harmonic(*told)), "both the same"),
    (check_variances, lambda a, b, s: (a, geometric(a, b, s)), "precision is"),
    (check_variances, lambda a, b, s: (harmonic(a, b, s), a / s), "integrate"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less * (bad - u), "wanted to avoid"),
    (check_shun, lambda u, c, bad, s, less: bad + s * (c - bad), "no say"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) - less * bad, "add up to 1"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less * (c - bad), "start from u"),
    (check_shun, lambda u, c, bad, s, less: c + less * (u - bad), "plain guidance"),
    (check_shun, lambda u, c, bad, s, less: u + s * (c - u) + less**2 * (u - bad), "add up"),
]
