"""The exercises of chapter 16: guided noise, a label's slope, the exact mean, a perfect class."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion.schedules import linear
from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("the noise, turned towards the class")
def check_guided_eps(guided_eps: Callable[..., Any]) -> None:
    """Exercise 1: eps - scale sigma slope."""
    eps, slope = torch.randn(2, 5, 3, dtype=torch.float64)
    for sigma, scale in ((0.9, 3.0), (0.6, 1.0)):
        found = guided_eps(eps, slope, torch.tensor(sigma), scale)
        right = eps - scale * sigma * slope
        reject(
            equal(found, eps + scale * sigma * slope),
            "the sign: eps points away from data, so the slope is subtracted. This flees.",
        )
        reject(
            equal(found, eps - scale * slope),
            "sigma is missing: a score is -eps / sigma, so a slope enters eps times sigma.",
        )
        reject(
            equal(found, eps - scale * sigma**2 * slope),
            "sigma squared belongs to x_0. eps takes sigma itself.",
        )
        reject(
            equal(found, eps - scale / sigma * slope),
            "this divides by sigma: multiply, since a score is -eps / sigma.",
        )
        reject(
            scale != 1 and equal(found, eps - sigma * slope),
            "the scale is missing, as in the printed algorithm.",
        )
        reject(
            scale != 1 and equal(found, eps + scale * (-sigma * slope - eps)),
            "this scales the noise too. Only the slope is scaled.",
        )
        reject(equal(found, eps), "the slope changes nothing.")
        require(equal(found, right), "it is not eps minus scale times sigma times the slope.")


@exercise("the gradient of the log-probability of each row's label")
def check_label_slope(label_slope: Callable[..., Any]) -> None:
    """Exercise 2: autograd, over all classes' softmax, each row its own label."""
    weight, bend = torch.randn(6, 4, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)
    label = torch.tensor([2, 0, 3, 1, 1])
    x = torch.randn(5, 6, dtype=torch.float64)

    def classifier(rows: Tensor) -> Tensor:
        return (rows @ weight).tanh() @ bend

    def by(loss: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            return torch.autograd.grad(loss(classifier(leaf)), leaf)[0]

    right = by(lambda logits: logits.log_softmax(1).gather(1, label[:, None]).sum())
    found = label_slope(classifier, x, label)
    reject(
        equal(found, by(lambda logits: logits.gather(1, label[:, None]).sum())),
        "this is the gradient of a logit. The other classes count: log_softmax first.",
    )
    reject(
        equal(found, by(lambda logits: logits.softmax(1).gather(1, label[:, None]).sum())),
        "this is the gradient of the probability. It vanishes where the class is unlikely, just"
        " where guidance is needed: take the logarithm.",
    )
    reject(
        equal(found, right / len(x)),
        "the mean over the batch makes each row's slope smaller, the more rows there are: sum.",
    )
    reject(equal(found, -right), "the sign: this is the gradient of the loss, which leads away.")
    reject(
        equal(found, by(lambda logits: logits.log_softmax(1)[:, label].sum())),
        "`[:, label]` takes every label for every row. Each row has one: gather, or index both.",
    )
    reject(
        equal(found, by(lambda logits: logits.log_softmax(0).gather(1, label[:, None]).sum())),
        "the softmax runs over the batch: it should run over the classes, dimension 1.",
    )
    require(
        isinstance(found, Tensor) and found.shape == x.shape,
        "a slope has the shape of x: one gradient for each row.",
    )
    require(equal(found, right), "it is not the gradient of log_softmax at each row's label.")


@exercise("the mean of a guided step, at any size of step")
def check_shifted_mean(shifted_mean: Callable[..., Any]) -> None:
    """Exercise 3: beta / sqrt(1 - beta) times the slope, between any two times."""
    bar = linear().alpha_bar
    mean, slope = torch.randn(2, 6, dtype=torch.float64)
    for t, s, scale in ((900, 600, 2.0), (300, 100, 1.0), (500, 499, 1.0)):
        keep = bar[t] / bar[s]
        beta = 1 - keep
        tilde = (1 - bar[s]) / (1 - bar[t]) * beta
        found = shifted_mean(mean, slope, bar, t, s, scale)
        right = mean + scale * beta / keep.sqrt() * slope
        long = t - s > 1
        reject(
            equal(found, mean - scale * beta / keep.sqrt() * slope, 1e-7),
            "the sign: the mean moves up the slope.",
        )
        reject(
            long and equal(found, mean + scale * beta * slope, 1e-7),
            "this is Sigma = beta, good for short steps only. The exact factor divides by"
            " sqrt(1 - beta).",
        )
        reject(
            long and equal(found, mean + scale * tilde * slope, 1e-7),
            "this is Sigma = beta-tilde, the posterior's variance: algorithm 1 for small steps."
            " The exact factor is beta / sqrt(1 - beta).",
        )
        reject(
            long and equal(found, mean + scale * beta / keep * slope, 1e-7),
            "1 - beta is a variance: the mean is divided by its root.",
        )
        reject(
            long and equal(found, mean + scale * (1 - bar[t]) / bar[t].sqrt() * slope, 1e-7),
            "this is the shift of x_0: all the noise up to t. The step has only beta of it.",
        )
        reject(
            scale != 1 and equal(found, mean + beta / keep.sqrt() * slope, 1e-7),
            "the scale is missing.",
        )
        require(equal(found, right, 1e-7), f"from {t} to {s} it is not the exact mean.")


@exercise("the perfect classifier's slope")
def check_class_slope(class_slope: Callable[..., Any]) -> None:
    """Exercise 4: the class's score minus the score of everything, with unequal variances."""
    means = torch.randn(3, 2, dtype=torch.float64)
    variances = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64)
    x = torch.randn(7, 2, dtype=torch.float64)
    away = means - x[:, None]
    pulls = away / variances[:, None]
    square = -0.5 * away.square().sum(2) / variances

    def minus(logs: Tensor, k: int) -> Tensor:
        return pulls[:, k] - (logs.softmax(1)[:, :, None] * pulls).sum(1)

    for k in (0, 2):
        found = class_slope(x, means, variances, k)
        right = minus(square - variances.log(), k)
        reject(
            equal(found, pulls[:, k]),
            "this is the score of the class: take away the score of everything.",
        )
        reject(equal(found, -right), "the sign: this leads away from the class.")
        reject(
            equal(found, minus(square, k)),
            "the normaliser is missing: a wide class is lower at its middle by (d / 2) log v.",
        )
        reject(
            equal(found, minus(square - 0.5 * variances.log(), k)),
            "log v / 2 is the normaliser in one dimension: in d of them it is (d / 2) log v.",
        )
        reject(
            equal(found, minus(0 * square, k)),
            "all classes have one share here. The shares are chances given x.",
        )
        reject(
            equal(
                found,
                away[:, k] - ((square - variances.log()).softmax(1)[:, :, None] * away).sum(1),
            ),
            "each distance is divided by its class's variance.",
        )
        require(equal(found, right), "it is not the gradient of log p(wanted | x).")
