"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

import torch

from course_lib.exercises.ch16 import (
    check_class_slope,
    check_guided_eps,
    check_label_slope,
    check_shifted_mean,
)


def guided_eps(eps, slope, sigma, scale):
    return eps - scale * sigma * slope


def of_loss(loss):
    def label_slope(classifier, x, label):
        leaf = x.detach().requires_grad_()
        value = loss(classifier(leaf), label)
        return torch.autograd.grad(value, leaf)[0]

    return label_slope


def own(logits, label):
    return logits.gather(1, label[:, None])


label_slope = of_loss(lambda logits, label: own(logits.log_softmax(1), label).sum())


def factor(power):
    def shifted_mean(mean, slope, bar, t, s, scale):
        keep = bar[t] / bar[s]
        return mean + scale * (1 - keep) / keep**power * slope

    return shifted_mean


shifted_mean = factor(0.5)


def tilde(mean, slope, bar, t, s, scale):
    return mean + scale * (1 - bar[s]) / (1 - bar[t]) * (1 - bar[t] / bar[s]) * slope


def whole(mean, slope, bar, t, s, scale):
    return mean + scale * (1 - bar[t]) / bar[t].sqrt() * slope


def class_slope(x, means, variances, wanted, normaliser=None, square=1.0, pulled=True, dim=1):
    away = means - x[:, None]
    normaliser = x.shape[1] / 2 if normaliser is None else normaliser
    logs = -0.5 * square * away.square().sum(2) / variances - normaliser * variances.log()
    pulls = away / variances[:, None] if pulled else away
    return pulls[:, wanted] - (logs.softmax(dim)[:, :, None] * pulls).sum(1)


def parts(x, means, variances):
    "The score of each class, and the chances."
    away = means - x[:, None]
    logs = -0.5 * away.square().sum(2) / variances - x.shape[1] / 2 * variances.log()
    return away / variances[:, None], logs.softmax(1)[:, :, None]


def test_right_answers_pass() -> None:
    assert check_guided_eps(guided_eps)
    assert check_label_slope(label_slope)
    assert check_shifted_mean(shifted_mean)
    assert check_class_slope(class_slope)


# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_guided_eps, lambda e, g, sigma, s: e + s * sigma * g, "the sign"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * g, "sigma is missing"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * sigma**2 * g, "belongs to x_0"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * g / sigma, "divides by sigma"),
    (check_guided_eps, lambda e, g, sigma, s: e - sigma * g, "scale is missing"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * (sigma * g + e), "Only the slope"),
    (check_guided_eps, lambda e, g, sigma, s: e, "changes nothing"),
    (check_guided_eps, lambda e, g, sigma, s: 0 * e, "what that is in eps"),
    (check_guided_eps, lambda e, g, sigma, s: e - (1 + s) * sigma * g, "another paper"),
    (check_guided_eps, lambda e, g, sigma, s: s * g - e / sigma, "the guided score"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * (1 - sigma**2).sqrt() * g, "takes alpha"),
    (check_guided_eps, lambda e, g, sigma, s: s * (e - sigma * g), "Only the slope"),
    (check_guided_eps, lambda e, g, sigma, s: e - 3 * sigma * g, "what that is in eps"),
    (check_guided_eps, lambda e, g, sigma, s: -s * sigma * g, "what that is in eps"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * sigma * g / g.norm(), "what that is in eps"),
    (check_guided_eps, lambda e, g, sigma, s: e - s * sigma.sqrt() * g, "already: no root"),
    (check_label_slope, of_loss(lambda z, y: own(z, y).sum()), "gradient of a logit"),
    (
        check_label_slope,
        of_loss(lambda z, y: own(z.softmax(1), y).sum()),
        "gradient of the probability",
    ),
    (check_label_slope, of_loss(lambda z, y: own(z.log_softmax(1), y).mean()), "the mean over"),
    (
        check_label_slope,
        of_loss(lambda z, y: torch.nn.functional.cross_entropy(z, y, reduction="sum")),
        "gradient of the loss",
    ),
    (check_label_slope, of_loss(lambda z, y: z.log_softmax(1)[:, y].sum()), "every label"),
    (check_label_slope, of_loss(lambda z, y: own(z.log_softmax(0), y).sum()), "over the batch"),
    (check_label_slope, lambda f, x, y: own(f(x).log_softmax(1), y), "shape of x"),
    (check_label_slope, lambda f, x, y: 0 * x, "not the gradient"),
    (check_label_slope, of_loss(torch.nn.functional.cross_entropy), "and the mean"),
    (
        check_label_slope,
        of_loss(lambda z, y: torch.nn.functional.nll_loss(z, y, reduction="sum")),
        "wants log-probabilities",
    ),
    (
        check_label_slope,
        of_loss(lambda z, y: z.log_softmax(1).max(1).values.sum()),
        "the likeliest class",
    ),
    (check_label_slope, lambda *at: label_slope(*at).sign(), "how long a slope is"),
    (
        check_label_slope,
        lambda *at: torch.nn.functional.normalize(label_slope(*at), dim=1),
        "how long a slope is",
    ),
    (check_label_slope, lambda *at: (label_slope(*at),), "a tuple"),
    (check_label_slope, of_loss(lambda z, y: z.log_softmax(1).sum()), "not the gradient"),
    (check_label_slope, of_loss(lambda z, y: z.log_softmax(1)[:, y[0]].sum()), "not the gradient"),
    (check_label_slope, lambda f, x, y: x + label_slope(f, x, y), "not the gradient"),
    (check_label_slope, of_loss(lambda z, y: own(z.sigmoid().log(), y).sum()), "not the gradient"),
    (check_shifted_mean, lambda m, g, b, t, s, w: 2 * m - shifted_mean(m, g, b, t, s, w), "sign"),
    (check_shifted_mean, factor(0), "Sigma = beta, good"),
    (check_shifted_mean, tilde, "beta-tilde"),
    (check_shifted_mean, factor(1), "divided by its root"),
    (check_shifted_mean, whole, "all the noise up to t"),
    (
        check_shifted_mean,
        lambda m, g, b, t, s, w: shifted_mean(m, g, b, t, s, 1),
        "scale is missing",
    ),
    (check_shifted_mean, lambda m, g, b, t, s, w: m, "changes nothing"),
    (
        check_shifted_mean,
        lambda m, g, b, t, s, w: shifted_mean(m, g, b, t, t - 1, w),
        "from t to t - 1",
    ),
    (
        check_shifted_mean,
        lambda m, g, b, t, s, w: m + w * (1 - b[t] / b[s]) / b[t].sqrt() * g,
        "what this step keeps",
    ),
    (check_shifted_mean, factor(-0.5), "do not multiply"),
    (
        check_shifted_mean,
        lambda m, g, b, t, s, w: m + (tilde(m, g, b, t, s, w) - m) * (b[s] / b[t]).sqrt(),
        "for a known x_0",
    ),
    (check_shifted_mean, lambda m, g, b, t, s, w: m + w * (b[s] - b[t]) * g, "not a difference"),
    (
        check_shifted_mean,
        lambda m, g, b, t, s, w: m + w * (1 - b[t] / b[s]).sqrt() * g,
        "a standard deviation",
    ),
    (
        check_shifted_mean,
        lambda m, g, b, t, s, w: shifted_mean(0 * m, g, b, t, s, w),
        "the shift alone",
    ),
    (check_shifted_mean, lambda m, g, b, t, s, w: m + w * (1 - b[t]) * g, "not the exact mean"),
    (check_shifted_mean, lambda m, g, b, t, s, w: w * m, "not the exact mean"),
    (check_class_slope, lambda x, m, v, k: (m[k] - x) / v[k], "score of everything"),
    (check_class_slope, lambda x, m, v, k: -class_slope(x, m, v, k), "the sign"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, 0.0), "normaliser is missing"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, 0.5), "one dimension"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, 0.0, 0.0), "one share"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, pulled=False), "divided by"),
    (check_class_slope, lambda x, m, v, k: 0 * x, "not the gradient"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, 1.0), "in two dimensions"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, square=2.0), "half of the"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, k, dim=0), "over the points"),
    (
        check_class_slope,
        lambda x, m, v, k: parts(x, m, v)[1][:, k] * class_slope(x, m, v, k),
        "gradient of the probability",
    ),
    (check_class_slope, lambda x, m, v, k: (x - m[k]) / v[k], "not the gradient"),
    (
        check_class_slope,
        lambda x, m, v, k: (parts(x, m, v)[1] * parts(x, m, v)[0]).sum(1),
        "taken away from the class's own",
    ),
    (
        check_class_slope,
        lambda x, m, v, k: (m[k] - x) / v[k] + (parts(x, m, v)[1] * parts(x, m, v)[0]).sum(1),
        "not added",
    ),
    (
        check_class_slope,
        lambda x, m, v, k: (m[k] - x) / v[k] - parts(x, m, v)[0].sum(1),
        "weighted by its chance",
    ),
    (
        check_class_slope,
        lambda x, m, v, k: class_slope(x, m, v, k) + parts(x, m, v)[1][:, k] * (m[k] - x) / v[k],
        "belongs to everything too",
    ),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v, 0), "not the gradient"),
    (check_class_slope, lambda x, m, v, k: class_slope(x, m, v.sqrt(), k), "not the gradient"),
    (
        check_guided_eps,
        lambda e, g, sigma, s: e + s * sigma**2 / (1 - sigma**2) ** 0.5 * g,
        "so moves x_0",
    ),
    (
        check_shifted_mean,
        lambda m, g, bar, t, s, w: m + w * (bar[s] / bar[t] - 1) ** 0.5 * g,
        "1 - beta alone",
    ),
    (
        check_shifted_mean,
        lambda m, g, bar, t, s, w: (m + w * (1 - bar[t] / bar[s]) * g) / (bar[t] / bar[s]) ** 0.5,
        "divided by sqrt(1 - beta) already",
    ),
    (
        check_shifted_mean,
        lambda m, g, bar, t, s, w: m - w * (1 - bar[t]) ** 0.5 * g,
        "so moves eps",
    ),
    (
        check_class_slope,
        lambda x, m, v, k: class_slope(x, m, v, k, pulled=False) / v[k],
        "each has its own",
    ),
    (
        check_class_slope,
        lambda x, m, v, k: class_slope(x, m, v, k, normaliser=-x.shape[1] / 2),
        "sign of the normaliser",
    ),
    (
        check_class_slope,
        lambda x, m, v, k: class_slope(x, m, v, k, normaliser=x.shape[1]),
        "not -d",
    ),
]
