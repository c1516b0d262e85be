"""Wrappers: each takes a denoiser and gives back a denoiser, so they nest."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib.core.types import Data, Denoise, PerExample, Time
from course_lib.diffusion.schedules import NoiseSchedule

LogProb = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) -> log p(y | x_t), one for each example
Logits = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) -> one number for each class


def clip(denoise: Denoise, low: float = -1.0, high: float = 1.0) -> Denoise:
    """Keep the estimate of x_0 in the range of data (chapter 08 shows what this is worth).

    Raises ValueError unless low < high.
    """
    if not low < high:
        raise ValueError(f"need low < high, got low={low}, high={high}")

    def clipped(x_t: Tensor, t: Tensor) -> Tensor:
        return denoise(x_t, t).clamp(low, high)

    return clipped


# ---- with a classifier (chapter 16) --------------------------------------------------------------


def classifier_guided(
    denoise: Denoise, schedule: NoiseSchedule, log_prob: LogProb, scale: float = 1.0
) -> Denoise:
    """Move the estimate of x_0 up the gradient of a classifier: x_0 + scale sigma²/alpha gradient.

    Dhariwal & Nichol 2021, algorithm 2, said in x_0; it is eps - scale sigma gradient, and a score
    plus scale times the gradient. With the exact log p(y | x_t) and scale 1 it is the denoiser of
    the class alone. In other scales s it is (1 - s) times the denoiser plus s times the class's.

    log_prob   log_prob(x_t, t) -> log p(y | x_t) of the class that is wanted, one number for each
               example, of which autograd can take the gradient; another constant changes nothing
    scale      0 leaves the denoiser as it is, and asks no classifier
    """
    if scale == 0:
        return denoise

    def guided(x_t: Data, t: Time) -> Data:
        alpha, sigma = schedule(t, like=x_t)
        return denoise(x_t, t) + scale * sigma**2 / alpha * slope(log_prob, x_t, t)

    return guided


def slope(log_prob: LogProb, x_t: Data, t: Time) -> Data:
    """The gradient of log_prob(x_t, t) at x_t, each example's own, also inside torch.no_grad().

    Raises ValueError unless there is one number for each example.
    """
    with torch.enable_grad():
        x = x_t.detach().requires_grad_()
        value = log_prob(x, t)
        if value.shape != x.shape[:1]:
            raise ValueError(
                f"log_prob must give one number for each of {len(x)} examples, got"
                f" {list(value.shape)}. Pick the column of the class: see `label_log_prob`"
            )
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient


def label_log_prob(classifier: Logits, label: Int[Tensor, " batch"]) -> LogProb:
    """log p(label | x_t) of a classifier that gives logits, normalised over the classes.

    classifier   classifier(x_t, t) -> [batch, classes]
    label        the class wanted for each example
    """

    def log_prob(x_t: Data, t: Time) -> PerExample:
        return classifier(x_t, t).log_softmax(1).gather(1, label[:, None])[:, 0]

    return log_prob
