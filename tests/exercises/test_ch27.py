"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import math

import torch

from course_lib.exercises.ch27 import check_bench, check_dynamic, check_front, check_to_train


def size_of(x, p):
    return x.flatten(1).abs().quantile(p, dim=1)


def held(x, s):
    s = s if s.ndim != 1 else s.reshape(-1, *[1] * (x.ndim - 1))
    return x.clamp(-s, s) / s


def dynamic(x, p):
    return held(x, size_of(x, p).clamp(min=1))


def shaped(x, p):
    return size_of(x, p).clamp(min=1).reshape(-1, *[1] * (x.ndim - 1))


def by_channel(x, p):
    s = x.abs().flatten(2).quantile(p, dim=2).clamp(min=1)[..., None, None]
    return x.clamp(-s, s) / s


def by_rank(x, p):
    sizes = x.flatten(1).abs().sort(dim=1).values  # a quantile that is one of the numbers
    return held(x, sizes[:, math.ceil(p * len(sizes.T)) - 1].clamp(min=1))


def four_axes(x, p):
    return held(x, size_of(x, p).clamp(min=1)[:, None, None, None])


def to_train(encoder, net):
    encoder.eval().requires_grad_(False)
    return list(net.parameters())


def no_eval(encoder, net):
    encoder.requires_grad_(False)
    return list(net.parameters())


def no_freeze(encoder, net):
    encoder.eval()
    return list(net.parameters())


def frozen_net(encoder, net):
    net.requires_grad_(False)
    return list(net.parameters())


def all_eval(encoder, net):
    net.eval()
    return to_train(encoder, net)


def copies(encoder, net):
    return [one.clone() for one in to_train(encoder, net)]


def outermost(encoder, net):
    encoder.requires_grad_(False).training = False
    return list(net.parameters())


def half_frozen(encoder, net):
    given = to_train(encoder, net)
    net[0].requires_grad_(False)
    return given


def beaten(far, good, how=lambda c, n, nearer, better: c & n & (nearer | better)):
    closer, no_worse = far[None] <= far[:, None], good[None] >= good[:, None]
    nearer, better = far[None] < far[:, None], good[None] > good[:, None]
    return how(closer, no_worse, nearer, better).any(1)


def unless(how):
    return lambda far, good: ~beaten(far, good, how)


def front(far, good):
    return ~beaten(far, good)


def bench(kinds, obeyed, share=lambda own, all_: sum(own) / len(own), mean=None):
    found = {}
    for kind in dict.fromkeys(kinds):
        own = [yes for one, yes in zip(kinds, obeyed, strict=True) if one == kind]
        found[kind] = share(own, obeyed)
    values = list(found.values())
    return found | {"mean": sum(values) / len(values) if mean is None else mean(values, obeyed)}


def shares(share):
    return lambda kinds, obeyed: bench(kinds, obeyed, share)


def means(mean):
    return lambda kinds, obeyed: bench(kinds, obeyed, mean=mean)


def test_right_answers_pass() -> None:
    assert check_dynamic(dynamic)
    assert check_dynamic(by_rank)
    assert check_to_train(to_train)
    assert check_front(front)
    assert check_bench(bench)
    assert check_bench(lambda *given: {k: torch.tensor(v) for k, v in bench(*given).items()})


WRONG = [
    (check_dynamic, lambda x, p: x.clamp(-1, 1), "static"),
    (check_dynamic, lambda x, p: held(x, size_of(x, p)), "1 at least"),
    (check_dynamic, lambda x, p: x.clamp(-shaped(x, p), shaped(x, p)), "divide by s"),
    (check_dynamic, lambda x, p: x / shaped(x, p), "before you divide"),
    (check_dynamic, lambda x, p: x.clamp(-1, 1) / shaped(x, p), "not to [-1, 1]"),
    (check_dynamic, lambda x, p: held(x, x.abs().quantile(p).clamp(min=1)), "whole batch"),
    (check_dynamic, lambda x, p: held(x, x.flatten(1).quantile(p, 1).clamp(min=1)), "abs()"),
    (check_dynamic, lambda x, p: dynamic(x, 1 - p), "1 - p"),
    (check_dynamic, lambda x, p: dynamic(x, 1.0), "largest number"),
    (check_dynamic, by_channel, "each colour"),
    (check_dynamic, lambda x, p: dynamic(x, p)[:2], "same shape"),
    (check_dynamic, lambda x, p: 1.2 * x, "outside"),
    (check_dynamic, lambda x, p: 0.5 * dynamic(x, p), "stay as it is"),
    (check_dynamic, lambda x, p: dynamic(x, p**2), "it is not clip"),
    (check_dynamic, four_axes, "Count the axes"),
    (check_to_train, no_eval, "dropout"),
    (check_to_train, no_freeze, "gradients"),
    (check_to_train, lambda e, net: [*e.parameters(), *net.parameters()], "then it is trained"),
    (check_to_train, frozen_net, "network was frozen"),
    (check_to_train, lambda encoder, net: [net], "modules"),
    (check_to_train, lambda encoder, net: net.named_parameters(), "names"),
    (check_to_train, lambda encoder, net: dict(net.named_parameters()), "no groups"),
    (check_to_train, lambda encoder, net: net.parameters(), "a generator"),
    (check_to_train, outermost, "every part"),
    (check_to_train, lambda encoder, net: [], "empty"),
    (check_to_train, copies, "no copies"),
    (check_to_train, half_frozen, "able to learn"),
    (check_to_train, all_eval, "training mode"),
    (check_to_train, lambda encoder, net: net[0].weight, "a tensor"),
    (check_front, beaten, "the beaten ones"),
    (check_front, lambda far, good: front(-far, good), "large distance"),
    (check_front, lambda far, good: front(far, -good), "small accuracy"),
    (check_front, lambda far, good: front(-far, -good), "other side"),
    (check_front, unless(lambda c, n, nearer, better: nearer & better), "equal in one"),
    (
        check_front,
        unless(lambda closer, n, f, better: closer & better),
        "[False, True, False], not",
    ),
    (check_front, lambda far, good: front(far, good).float(), "these are numbers"),
    (check_front, lambda far, good: good >= good.mean(), "not [False, True"),
    (check_front, lambda far, good: good == good.max(), "only the most accurate"),
    (check_front, lambda far, good: far == far.min(), "only the nearest"),
    (check_front, lambda d, a: (d == d.min()) | (a == a.max()), "two ends"),
    (check_front, lambda far, good: far > 100, "nobody is left"),
    (check_front, lambda far, good: far < 100, "nobody is beaten"),
    (check_front, lambda far, good: front(far, good).nonzero()[:, 0], "places"),
    (check_bench, shares(lambda own, obeyed: sum(own)), "counts"),
    (check_bench, shares(lambda own, obeyed: sum(own) / len(obeyed)), "not by all"),
    (check_bench, shares(lambda own, obeyed: sum(own) / 8), "same number"),
    (check_bench, shares(lambda own, obeyed: 1 - sum(own) / len(own)), "*not*"),
    (check_bench, shares(lambda own, obeyed: len(own) / len(obeyed)), "common"),
    (check_bench, shares(lambda own, obeyed: 100 * sum(own) / len(own)), "per cent"),
    (check_bench, means(lambda values, obeyed: sum(obeyed) / len(obeyed)), "commonest kind"),
    (check_bench, means(lambda values, obeyed: sum(values)), "the sum"),
    (check_bench, means(lambda values, obeyed: sorted(values)[1]), "middle"),
    (check_bench, means(lambda values, obeyed: min(values)), "worst"),
    (check_bench, lambda kinds, obeyed: {"mean": 0.5}, "nothing is said"),
    (check_bench, lambda kinds, obeyed: [0.5], "a dict"),
    (
        check_bench,
        lambda kinds, obeyed: bench(["count"] * 8 + ["colour"] * 2 + ["place"] * 5, obeyed),
        "another order",
    ),
    (check_bench, lambda *given: {k: v for k, v in bench(*given).items() if v}, "share is 0"),
    (check_bench, lambda kinds, obeyed: bench(kinds, obeyed) | {"all": 1.0}, "nothing but"),
]
