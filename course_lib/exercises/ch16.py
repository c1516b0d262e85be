"""The exercises of chapter 16: guided noise, a label's slope, the exact mean, a perfect class."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion.schedules import cosine, linear
from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("the noise, turned towards the class")
def check_guided_eps(guided_eps: Callable[..., Any]) -> None:
    """Exercise 1: eps - scale sigma slope."""
    eps, slope = torch.randn(2, 5, 3, dtype=torch.float64)
    for sigma, scale in ((0.9, 3.0), (0.6, 1.0)):
        found = guided_eps(eps, slope, torch.tensor(sigma), scale)
        right, alpha = eps - scale * sigma * slope, (1 - sigma**2) ** 0.5
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
        reject(
            equal(found, eps - (1 + scale) * sigma * slope),
            "1 + scale is another paper's convention (chapter 17). Here 1 is plain guidance.",
        )
        reject(
            equal(found, -eps / sigma + scale * slope),
            "this is the guided score. Times -sigma it is the guided eps.",
        )
        reject(
            equal(found, eps - scale * alpha * slope),
            "this takes alpha, the factor of the signal. eps goes with sigma.",
        )
        reject(
            equal(found, eps + scale * sigma**2 / alpha * slope),
            "sigma squared over alpha, and a plus: so moves x_0. eps moves by sigma, the other"
            " way.",
        )
        reject(
            equal(found, eps - scale * sigma**0.5 * slope),
            "sigma is a standard deviation already: no root.",
        )
        reject(
            scale != 1 and equal(found, scale * (eps - sigma * slope)),
            "this scales the noise too. Only the slope is scaled.",
        )
        require(
            equal(found, right),
            "the score grows by scale times the slope. eps changes by what that is in eps: a score"
            " is -eps / sigma.",
        )


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
        isinstance(found, tuple),
        "`torch.autograd.grad` gives a tuple, one gradient for each input: take the first.",
    )
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
    loss = by(lambda logits: -logits.log_softmax(1).gather(1, label[:, None]).mean())
    reject(
        equal(found, loss),
        "the sign, and the mean: this is the gradient of `cross_entropy` as it comes.",
    )
    reject(
        equal(found, by(lambda logits: logits.log_softmax(1).max(1).values.sum())),
        "this is the likeliest class's slope. Each row is to go to its label.",
    )
    reject(
        equal(found, by(lambda logits: -logits.gather(1, label[:, None]).sum())),
        "`nll_loss` wants log-probabilities, and is minus them: this is minus a logit's gradient.",
    )
    reject(
        equal(found, right.sign()) or equal(found, torch.nn.functional.normalize(right, dim=1)),
        "how long a slope is matters: a sure classifier pushes little.",
    )
    require(
        isinstance(found, Tensor) and found.shape == x.shape,
        "a slope has the shape of x: one gradient for each row.",
    )
    require(equal(found, right), "it is not the gradient of log_softmax at each row's label.")


@exercise("the mean of a guided step, at any size of step")
def check_shifted_mean(shifted_mean: Callable[..., Any]) -> None:
    """Exercise 3: beta / sqrt(1 - beta) times the slope, between any two times."""
    mean, slope = torch.randn(2, 6, dtype=torch.float64)
    for schedule, t, s, scale in (
        (linear, 900, 600, 2.0),
        (linear, 300, 100, 1.0),
        (linear, 500, 499, 1.0),
        (cosine, 700, 400, 1.5),
    ):
        bar = schedule().alpha_bar
        keep = bar[t] / bar[s]
        beta = 1 - keep
        tilde = (1 - bar[s]) / (1 - bar[t]) * beta
        found = shifted_mean(mean, slope, bar, t, s, scale)
        right = mean + scale * beta / keep.sqrt() * slope
        long = t - s > 1
        reject(
            equal(found, mean - scale * beta / keep.sqrt() * slope, 1e-7),
            "the sign: the mean moves up the slope. (Or alpha_bar_s / alpha_bar_t stands where"
            " alpha_bar_t / alpha_bar_s belongs: it gives the same number.)",
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
        one = bar[t] / bar[t - 1]
        reject(
            long and equal(found, mean + scale * (1 - one) / one.sqrt() * slope, 1e-7),
            "this is the step from t to t - 1. s may lie far below.",
        )
        reject(
            long and equal(found, mean + scale * beta / bar[t].sqrt() * slope, 1e-7),
            "the root is of what this step keeps, alpha_bar_t / alpha_bar_s, not of alpha_bar_t.",
        )
        reject(
            equal(found, mean + scale * beta * keep.sqrt() * slope, 1e-7),
            "divide by sqrt(1 - beta), do not multiply: going back, a step grows.",
        )
        reject(
            long and equal(found, mean + scale * tilde / keep.sqrt() * slope, 1e-7),
            "beta-tilde is for a known x_0. For the exact mean it is beta itself.",
        )
        reject(
            equal(found, mean + scale * (bar[s] - bar[t]) * slope, 1e-7),
            "beta is 1 - alpha_bar_t / alpha_bar_s: a share, not a difference.",
        )
        reject(
            equal(found, mean + scale * beta.sqrt() * slope, 1e-7),
            "sqrt(beta) is a standard deviation. A slope is multiplied by a variance.",
        )
        reject(
            long and equal(found, mean + scale * (beta / keep).sqrt() * slope, 1e-7),
            "the root is of 1 - beta alone, not of beta.",
        )
        reject(
            long and equal(found, (mean + scale * beta * slope) / keep.sqrt(), 1e-7),
            "`mean` is the mean of the plain step, divided by sqrt(1 - beta) already: only the"
            " slope's factor is.",
        )
        reject(
            equal(found, mean - scale * (1 - bar[t]).sqrt() * slope, 1e-7),
            "so moves eps, not the mean of a step.",
        )
        reject(equal(found, mean, 1e-7), "the slope changes nothing.")
        reject(
            equal(found, scale * beta / keep.sqrt() * slope, 1e-7),
            "this is the shift alone. Add it to the plain mean.",
        )
        require(equal(found, right, 1e-7), f"from {t} to {s} it is not the exact mean.")


@exercise("the perfect classifier's slope")
def check_class_slope(class_slope: Callable[..., Any]) -> None:
    """Exercise 4: the class's score minus the score of everything, with unequal variances."""
    variances = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64)
    for d, k in ((2, 0), (2, 2), (3, 1)):
        means = torch.randn(3, d, dtype=torch.float64)
        x = torch.randn(7, d, dtype=torch.float64)
        away = means - x[:, None]
        pulls = away / variances[:, None]
        square = -0.5 * away.square().sum(2) / variances
        logs = square - d / 2 * variances.log()
        chance = logs.softmax(1)

        def minus(logs: Tensor, pulls: Tensor = pulls, k: int = k) -> Tensor:
            return pulls[:, k] - (logs.softmax(1)[:, :, None] * pulls).sum(1)

        found = class_slope(x, means, variances, k)
        right = minus(logs)
        usual = (
            (pulls[:, k], "this is the score of the class: take away the score of everything."),
            (-right, "the sign: this leads away from the class."),
            (
                minus(square),
                "the normaliser is missing: a wide class is lower at its middle by (d / 2) log v.",
            ),
            (
                minus(square - 0.5 * variances.log()),
                "log v / 2 is the normaliser in one dimension: in d of them it is (d / 2) log v.",
            ),
            (
                minus(square - variances.log()),
                "log v is the normaliser in two dimensions: in d of them it is (d / 2) log v.",
            ),
            (
                minus(0 * square),
                "all classes have one share here. The shares are chances given x.",
            ),
            (minus(logs, away), "each distance is divided by its class's variance."),
            (
                minus(logs, away / variances[k]),
                "all distances are divided by one variance. The classes differ: each has its own.",
            ),
            (
                minus(square + d / 2 * variances.log()),
                "the sign of the normaliser: a wide class is *lower* at its middle.",
            ),
            (
                minus(square - d * variances.log()),
                "`variances` are variances: the normaliser is v to the power -d / 2, not -d.",
            ),
            (
                minus(2 * square - d / 2 * variances.log()),
                "a Gaussian has half of the squared distance in its exponent.",
            ),
            (
                chance[:, k, None] * right,
                "this is the gradient of the probability. Take that of its logarithm.",
            ),
            (
                pulls[:, k] - (logs.softmax(0)[:, :, None] * pulls).sum(1),
                "the softmax runs over the points: the shares of one point's classes add up to 1.",
            ),
            (
                (chance[:, :, None] * pulls).sum(1),
                "this is the score of everything: it is taken away from the class's own.",
            ),
            (
                pulls[:, k] + (chance[:, :, None] * pulls).sum(1),
                "the score of everything is taken away, not added.",
            ),
            (pulls[:, k] - pulls.sum(1), "each class's score is weighted by its chance."),
            (
                pulls[:, k]
                - ((chance[:, :, None] * pulls).sum(1) - chance[:, k, None] * pulls[:, k]),
                "the wanted class belongs to everything too: the sum is over all classes.",
            ),
        )
        for value, why in usual:
            same = equal(value, right)  # in d = 2 two of them are the right answer
            reject(equal(found, value) and not same, why)
        require(equal(found, right), "it is not the gradient of log p(wanted | x).")
