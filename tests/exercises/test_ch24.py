"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch
from torch.nn import functional as F

from course_lib.exercises.ch24 import check_guided, check_open, check_price, check_there_and_back


def there(x, encode, scale):
    return scale * encode(x)


def back(z, decode, scale):
    return decode(z / scale)


def guide(combine, expand=True):
    def answer(model, z_t, t, tokens, null, scale):
        none = null.expand(len(z_t), -1) if expand else null
        c, u = model(z_t, t, tokens), model(z_t, t, none)
        return combine(c, u, scale)

    return answer


def price(side, f, given, out, kernel):
    return (side // f) ** 2 * given * out * kernel**2


def opened(hole, f, reach):
    touched = F.max_pool2d(hole.float(), f)
    return F.max_pool2d(touched, 2 * reach + 1, stride=1, padding=reach) > 0


def grown_first(hole, f, reach):
    wide = F.max_pool2d(hole.float(), 2 * reach + 1, stride=1, padding=reach)
    return F.max_pool2d(wide, f) > 0


def crossed(hole, f, reach):
    kernel = torch.tensor([[[[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]]])
    return F.conv2d(F.max_pool2d(hole.float(), f), kernel, padding=1) > 0


WRONG = [
    (check_there_and_back, there, "as a pair"),
    (check_there_and_back, (lambda x, e, s: e(x), back), "forgotten on the way in"),
    (check_there_and_back, (lambda x, e, s: e(x) / s, back), "upside down"),
    (check_there_and_back, (lambda x, e, s: e(s * x), back), "scales the picture"),
    (check_there_and_back, (lambda x, e, s: s * (e(x) - e(x).mean()), back), "mean is taken off"),
    (check_there_and_back, (lambda x, e, s: e(x) / e(x).std(0), back), "its own scale"),
    (check_there_and_back, (lambda x, e, s: s * e(x)[:1], back), "latents of the shape"),
    (check_there_and_back, (lambda x, e, s: s * e(x) + 1, back), "times the scale"),
    (check_there_and_back, (there, lambda z, d, s: d(z)), "forgotten on the way out"),
    (check_there_and_back, (there, lambda z, d, s: d(s * z)), "scaled twice"),
    (check_there_and_back, (there, lambda z, d, s: d(z) / s), "picture is divided"),
    (check_there_and_back, (there, lambda z, d, s: 2 * d(z / s)), "where you began"),
    (check_guided, guide(lambda c, u, s: (u + s * (c - u)).clamp(-1, 1)), "within [-1, 1]"),
    (check_guided, guide(lambda c, u, s: c + s * (c - u)), "it is w"),
    (check_guided, guide(lambda c, u, s: c + s * (u - c)), "wrong way"),
    (check_guided, guide(lambda c, u, s: s * c + (1 + s) * u), "add up to 1"),
    (check_guided, guide(lambda c, u, s: c), "nothing is guided"),
    (check_guided, guide(lambda c, u, s: u + s * (c - u), expand=False), "one row of tokens"),
    (check_guided, guide(lambda c, u, s: u + 3 * (c - u)), "scale is an argument"),
    (check_guided, guide(lambda c, u, s: (c + u) / 2), "asked is u"),
    (check_guided, lambda model, z_t, t, tokens, null, scale: z_t[:1], "an estimate of z_0"),
    (check_price, lambda side, f, i, o, k: side**2 * i * o * k**2, "price on pixels"),
    (check_price, lambda side, f, i, o, k: side**2 // f * i * o * k**2, "f squared"),
    (check_price, lambda side, f, i, o, k: side // f * i * o * k**2, "only one side"),
    (check_price, lambda side, f, i, o, k: (side // f) ** 2 * i * o * k, "kernel is a square"),
    (check_price, lambda side, f, i, o, k: (side // f) ** 2 * o * k**2, "every input channel"),
    (check_price, lambda side, f, i, o, k: (side // f) ** 2 * i * k**2, "costs this much"),
    (check_price, lambda side, f, i, o, k: (side // f) ** 2 * (i + o) * k**2, "channels multiply"),
    (check_price, lambda side, f, i, o, k: i * o * k**2, "its parameters"),
    (check_price, lambda side, f, i, o, k: 2 * price(side, f, i, o, k), "counts as one"),
    (check_price, lambda side, f, i, o, k: (side // f - k + 1) ** 2 * i * o * k**2, "padding"),
    (check_price, lambda side, f, i, o, k: (side // f) ** 2 * i * o * 9, "kernel of 1"),
    (check_open, lambda hole, f, reach: hole, "one answer for each place"),
    (check_open, lambda hole, f, reach: ~opened(hole, f, reach), "inside out"),
    (check_open, lambda hole, f, reach: hole[..., ::f, ::f], "between them"),
    (check_open, lambda hole, f, reach: F.avg_pool2d(hole.float(), f) > 0.5, "wholly or mostly"),
    (check_open, lambda hole, f, reach: opened(hole, f, 0), "have looked into it"),
    (check_open, grown_first, "meant in latents"),
    (check_open, crossed, "corners"),
    (check_open, lambda hole, f, reach: opened(hole, f, 3), "not the latents"),
    (check_open, lambda hole, f, reach: opened(hole, f, 1), "both are arguments"),
    (check_there_and_back, (back, there), "swapped"),
    (
        check_there_and_back,
        (lambda x, encode, scale: encode(x) / encode(x).std(), back),
        "measured once",
    ),
    (
        check_guided,
        lambda model, z, t, tokens, null, scale: (
            scale * (model(z, t, tokens) - model(z, t, null.expand(len(z), -1)))
        ),
        "arrow alone",
    ),
    (
        check_price,
        lambda side, f, given, out, kernel: (side // f) ** 2 * given * out,
        "kernel is not",
    ),
    (check_open, lambda hole, f, reach: opened(~hole, f, reach), "opens the picture"),
    (check_open, lambda hole, f, reach: ~opened(~hole, f, reach), "what is known grow"),
    (check_price, lambda side, f, i, o, k: (side // f) ** 4 * i * o * k**2, "attention's"),
    (
        check_guided,
        guide(lambda c, u, s: u.clamp(-1, 1) + s * (c.clamp(-1, 1) - u.clamp(-1, 1))),
        "both",
    ),
    (check_guided, guide(lambda c, u, s: u + s * c), "not the arrow"),
    (
        check_guided,
        lambda model, z, t, tokens, null, s: (
            z + s * (model(z, t, tokens) - model(z, t, null.expand(len(z), -1)))
        ),
        "not at z_t",
    ),
    (
        check_guided,
        lambda model, z, t, tokens, null, s: guide(lambda c, u, s: u + s * (c - u))(
            model, z, t, tokens, 0 * null, s
        ),
        "a row of zeros",
    ),
    (check_price, lambda side, f, i, o, k: (side // f) ** 2 * (i * o * k**2 + o), "a bias"),
]
