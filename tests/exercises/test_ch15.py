"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.diffusion.schedules import linear
from course_lib.exercises.ch15 import (
    check_carried,
    check_for_larger,
    check_min_snr,
    check_respaced_betas,
    check_spread_kept,
)


def for_larger(bar, factor):
    return bar / (bar + factor**2 * (1 - bar))


def from_snr(bar, factor):
    snr = bar / (1 - bar) / factor**2
    return snr / (1 + snr)


def u_for(v, ruler):
    return (ruler**v - 1) / (ruler - 1)


def v_for(u, ruler):
    return (1 + u * (ruler - 1)).log() / ruler.log()


def with_rulers(answer):
    """An answer from beta over beta-tilde of both steps."""
    return lambda v, bar, t, s, r: answer(v, *((1 - bar[t]) / (1 - bar[i]) for i in (s, r)))


carried = with_rulers(lambda v, old, new: v_for(u_for(v, old), new))
u_of = with_rulers(lambda v, old, new: u_for(v, old))
v_of = with_rulers(lambda v, old, new: v_for(v, new))


def same_variance(v, bar, t, s, r):
    (old, before), (new, low) = (
        (beta, beta * (1 - bar[i]) / (1 - bar[t]))
        for i, beta in ((i, 1 - bar[t] / bar[i]) for i in (s, r))
    )
    return (before ** (1 - v) * old**v / low).log() / (new / low).log()


def respaced_betas(bar, times):
    kept = bar[times.flip(0)]
    return 1 - kept[1:] / kept[:-1]


def old_betas(bar, times):
    return 1 - bar[times.flip(0)[1:]] / bar[times.flip(0)[1:] - 1]


def sums_of_betas(bar, times):
    beta, up = 1 - bar[1:] / bar[:-1], times.flip(0)
    return torch.stack([beta[a:b].sum() for a, b in zip(up, up[1:], strict=False)])


def min_snr(snr, predicts, gamma):
    return snr.clamp(max=gamma) / own(snr, predicts)


def own(snr, predicts):
    return {"x_0": snr**0, "eps": snr, "v": snr + 1}[predicts]


def spread_kept(bar, pixels, spread):
    return (1 / (pixels * bar * spread**2 + 1 - bar)) ** 0.5


def test_right_answers_pass() -> None:
    assert check_for_larger(for_larger)
    assert check_for_larger(lambda bar, f: torch.sigmoid((bar / (1 - bar) / f**2).log()))
    assert check_carried(carried)
    assert check_carried(lambda v, *at: torch.tensor([float(carried(one, *at)) for one in v]))
    assert check_respaced_betas(respaced_betas)
    assert check_min_snr(min_snr)
    assert check_spread_kept(spread_kept)


def test_right_answers_in_single_precision_and_as_lists_pass() -> None:
    assert check_for_larger(lambda bar, f: for_larger(bar.float(), f).tolist())
    assert check_respaced_betas(lambda *at: respaced_betas(*at).tolist())
    assert check_spread_kept(lambda *at: torch.tensor(spread_kept(*at)))


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_for_larger, lambda bar, f: bar, "nothing has changed"),
    (check_for_larger, lambda bar, f: for_larger(bar, 1 / f), "the wrong way"),
    (check_for_larger, lambda bar, f: for_larger(bar, f**0.5), "factor x factor"),
    (check_for_larger, lambda bar, f: for_larger(bar, f**2), "not by n²"),
    (check_for_larger, lambda bar, f: bar / f**2, "Divide the SNR"),
    (check_for_larger, lambda bar, f: 1 - f**2 * (1 - bar), "add up to 1"),
    (check_for_larger, lambda bar, f: bar ** (f**2), "takes each step n times"),
    (check_for_larger, lambda bar, f: bar / (1 - bar) / f**2, "this is the SNR"),
    (check_for_larger, lambda *at: for_larger(*at).sqrt(), "this is alpha, the root"),
    (check_for_larger, from_snr, "nan at t = 0"),
    (check_for_larger, lambda bar, f: 1 / (1 + f * ((1 - bar) / bar).sqrt()), "no roots"),
    (check_for_larger, lambda bar, f: for_larger(bar, 2), "`factor` changes nothing"),
    (check_for_larger, lambda bar, f: for_larger(bar, f)[1:], "one alpha_bar each"),
    (check_for_larger, lambda bar, f: 1 - (1 - bar) ** (1 / f), "has not the old SNR"),
    (
        check_for_larger,
        lambda bar, f: for_larger(linear(len(bar) - 1).alpha_bar, f),
        "its own argument",
    ),
    (check_carried, lambda v, *at: v, "that changes nothing"),
    (check_carried, lambda v, *at: u_of(v, *at), "this is u"),
    (check_carried, lambda v, *at: v_of(v, *at), "in the place of u"),
    (check_carried, lambda v, bar, t, s, r: carried(v, bar, t, r, s), "are swapped"),
    (check_carried, with_rulers(lambda v, a, b: v * a.log() / b.log()), "the factor over"),
    (check_carried, same_variance, "keeps the variance itself"),
    (check_carried, with_rulers(lambda v, a, b: v_for(u_for(v, 1 / a), 1 / b)), "upside down"),
    (
        check_carried,
        with_rulers(lambda v, a, b: (1 + u_for(v, a) * b).log() / (1 + b).log()),
        "so k is one less",
    ),
    (check_carried, lambda v, bar, t, s, r: carried(v, bar, t - 1, s - 1, r - 1), "alpha_bar[t]"),
    (check_carried, lambda v, *at: v.log() - 1, "from 100, a v of 0.3"),
    (check_carried, lambda v, *at: (v - 2).log(), "there is nan"),
    (check_carried, lambda v, *at: 0.5, "one number for each"),
    (
        check_carried,
        lambda v, bar, t, s, r: carried(v, linear().alpha_bar, t, s, r),
        "a v of 0.3 for the step to 90",
    ),
    (check_respaced_betas, old_betas, "the old betas"),
    (check_respaced_betas, lambda *at: respaced_betas(*at).flip(0), "turn the order"),
    (check_respaced_betas, lambda *at: 250 * old_betas(*at), "not a sum of equal ones"),
    (check_respaced_betas, sums_of_betas, "do not add up"),
    (
        check_respaced_betas,
        lambda bar, times: 1 - bar[times.flip(0)[:-1]] / bar[times.flip(0)[1:]],
        "upside down",
    ),
    (check_respaced_betas, lambda *at: 1 - (1 - respaced_betas(*at)).sqrt(), "no roots here"),
    (check_respaced_betas, lambda bar, times: bar[times[:-1]], "product of 1 - beta"),
    (check_respaced_betas, lambda *at: respaced_betas(*at).clamp(max=0.999), "capped at 0.999"),
    (
        check_respaced_betas,
        lambda *at: torch.cat([torch.zeros(1).double(), respaced_betas(*at)]),
        "one too many",
    ),
    (check_respaced_betas, lambda *at: respaced_betas(*at)[1:], "one too few"),
    (check_respaced_betas, lambda bar, times: 1 - bar[times[:-1]], "all the noise up to each"),
    (check_respaced_betas, lambda *at: 1 - respaced_betas(*at), "what a step keeps"),
    (
        check_respaced_betas,
        lambda bar, times: -bar[times.flip(0)].diff(),
        "a difference of alpha_bars",
    ),
    (
        check_respaced_betas,
        lambda bar, times: (
            respaced_betas(bar, times)
            * (1 - bar[times.flip(0)[:-1]])
            / (1 - bar[times.flip(0)[1:]])
        ),
        "beta-tilde of the short chain",
    ),
    (
        check_respaced_betas,
        lambda bar, times: old_betas(bar, times) * times.flip(0).diff(),
        "not a sum of equal ones",
    ),
    (check_respaced_betas, lambda *at: -(1 - respaced_betas(*at)).log(), "product of 1 - beta"),
    (
        check_respaced_betas,
        lambda bar, times: respaced_betas(bar, times)[torch.tensor([1, 0, 2, 3])],
        "single steps are not",
    ),
    (check_min_snr, lambda snr, p, g: snr.clamp(min=g), "a minimum"),
    (check_min_snr, lambda snr, p, g: snr.clamp(max=5) / own(snr, p), "gamma changes nothing"),
    (check_min_snr, lambda snr, p, g: snr.clamp(max=g), "has a weight already"),
    (check_min_snr, lambda snr, p, g: snr.clamp(max=g) * own(snr, p), "do not multiply"),
    (
        check_min_snr,
        lambda snr, p, g: snr.clamp(max=g) / own(snr, "eps" if p == "v" else p),
        "not SNR times",
    ),
    (check_min_snr, lambda snr, p, g: snr**0, "L_simple's weight"),
    (check_min_snr, lambda snr, p, g: 1 / min_snr(snr, p, g), "upside down"),
    (check_min_snr, lambda snr, p, g: snr.clamp(max=g) / snr, "nothing to divide by"),
    (check_min_snr, lambda snr, p, g: min_snr(snr, p, g).mean(), "no mean over them"),
    (check_min_snr, lambda snr, p, g: 5.0, "no single number"),
    (
        check_min_snr,
        lambda snr, p, g: min_snr(snr, p, g) / min_snr(snr, p, g).mean(),
        "divide by the mean",
    ),
    (
        check_min_snr,
        lambda snr, p, g: (snr + (p == "v")).clamp(max=g) / own(snr, p),
        "not on SNR + 1",
    ),
    (check_min_snr, lambda snr, p, g: (snr / own(snr, p)).clamp(max=g), "L_simple's weight"),
    (check_min_snr, lambda snr, p, g: min_snr(snr, p, g).sqrt(), "not the weight for x_0"),
    (check_min_snr, lambda snr, p, g: snr.log().clamp(max=g), "not the weight for x_0"),
    (check_spread_kept, lambda *at: spread_kept(*at) ** 2, "a ratio of variances"),
    (check_spread_kept, lambda *at: 1 / spread_kept(*at), "upside down"),
    (check_spread_kept, lambda bar, n, s: spread_kept(bar, 1, s), "this is one pixel"),
    (
        check_spread_kept,
        lambda bar, n, s: (1 / (n * bar**2 * s**2 + 1 - bar)) ** 0.5,
        "alpha_bar is a variance",
    ),
    (check_spread_kept, lambda bar, n, s: 0.0, "not the ratio"),
    (check_spread_kept, lambda bar, n, s: (1 + bar * n * s**2) ** -0.5, "a little less than"),
    (
        check_spread_kept,
        lambda bar, n, s: (1 - bar) ** 0.5 * spread_kept(bar, n, s),
        "noise of variance 1 in each",
    ),
    (
        check_spread_kept,
        lambda bar, n, s: (bar * n**2 * s**2 + 1 - bar) ** -0.5,
        "of spread 1 / sqrt",
    ),
    (
        check_spread_kept,
        lambda bar, n, s: 1 / ((n * bar) ** 0.5 * s + (1 - bar) ** 0.5),
        "do not add",
    ),
    (check_spread_kept, lambda bar, n, s: (bar * n * s + 1 - bar) ** -0.5, "takes its square"),
    (
        check_spread_kept,
        lambda bar, n, s: (bar**0.5 * n * s**2 + 1 - bar) ** -0.5,
        "alpha_bar is a variance",
    ),
    (check_spread_kept, lambda bar, n, s: s * spread_kept(bar, n, s), "the spread itself"),
    (check_spread_kept, lambda bar, n, s: 1 - spread_kept(bar, n, s), "the share that is lost"),
    (
        check_spread_kept,
        lambda bar, n, s: (bar * n * s**2) ** 0.5 * spread_kept(bar, n, s),
        "Compare the two starts",
    ),
    (check_spread_kept, lambda bar, n, s: (1 - bar) ** 0.5, "not the ratio"),
    (check_spread_kept, lambda bar, n, s: spread_kept(bar, n, 0.5), "not the ratio"),
    (check_min_snr, lambda snr, what, gamma: gamma / own(snr, what), "gamma is a cap"),
    (
        check_spread_kept,
        lambda bar, n, s: (1 + bar**0.5 * (n * s**2 - 1)) ** -0.5,
        "neither for signal nor for noise",
    ),
    (
        check_respaced_betas,
        lambda bar, times: respaced_betas(linear().alpha_bar, times),
        "its argument `alpha_bar`",
    ),
]
