"""Wrappers: each takes a denoiser and gives back a denoiser, so they nest.

Guidance without a classifier is one line in x_0, in eps and in the score alike, since these are
linear in each other at a given x_t: bad + scale (good - bad). What differs from method to method is
only who plays the bad one. Built by hand in chapters 16 (by a classifier) and 17 (without one).
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.core.types import Data, Denoise, PerExample, Time
from course_lib.diffusion.predictions import eps_from
from course_lib.diffusion.samplers import refuse_no_signal
from course_lib.diffusion.schedules import NoiseSchedule

Conditional = Callable[..., Tensor]  # (x_t, t, **cond) -> the mean of x_0 given x_t and cond
Condition = Mapping[str, Tensor]  # e.g. {"label": [batch]}
LogProb = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) -> log p(y | x_t), one for each example
Logits = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) -> one number for each class

# Each convention's number for "no condition at all" and for "the conditional model as it is".
CONVENTIONS = {"ho": (-1.0, 0.0), "imagen": (0.0, 1.0), "lerp": (1.0, 0.0)}


def clip(denoise: Denoise, low: float = -1.0, high: float = 1.0) -> Denoise:
    """Keep the estimate of x_0 in the range of data (chapter 8 shows what this is worth).

    Raises ValueError unless low < high.
    """
    if not low < high:
        raise ValueError(f"need low < high, got low={low}, high={high}")

    def clipped(x_t: Tensor, t: Tensor) -> Tensor:
        return denoise(x_t, t).clamp(low, high)

    return clipped


def dynamic_threshold(denoise: Denoise, percentile: float = 0.995) -> Denoise:
    """Shrink an estimate of x_0 whose numbers are too large, so that most stay where they differ.

    s is the size that a share `percentile` of an example's numbers do not exceed, or 1 if that is
    more. The estimate is held within -s and s, then divided by s (Saharia et al. 2022, section
    2.3). So it is within [-1, 1] in the end, as with `clip`. But where s is above 1, hardly more
    than a share 1 - percentile of the numbers become -1 or 1. Where s = 1 it is `clip`.

    An estimate in half precision comes back in single. Raises ValueError unless
    0 < percentile <= 1.
    """
    if not 0 < percentile <= 1:
        raise ValueError(f"percentile is a share, above 0 and up to 1, got {percentile}")

    def thresholded(x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = denoise(x_t, t)
        x_0 = x_0.to(torch.promote_types(x_0.dtype, torch.float32))  # no quantile of halves
        s = torch.quantile(x_0.flatten(1).abs(), percentile, dim=1).clamp(min=1)
        s = s.view((-1,) + (1,) * (x_0.ndim - 1))
        return x_0.clamp(-s, s) / s

    return thresholded


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
        refuse_no_signal(alpha, t)
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


def given(denoise: Conditional, condition: Condition) -> Denoise:
    """The denoiser with its condition filled in: what steps and walks take.

    condition   by name, e.g. {"label": labels}; one row for each example, or one row for all
    """

    def denoise_given(x_t: Data, t: Time) -> Data:
        return denoise(x_t, t, **_rows(condition, len(x_t)))

    return denoise_given


def autoguide(good: Denoise, bad: Denoise, scale: float) -> Denoise:
    """bad + scale (good - bad): away from what a worse denoiser says (Karras et al. 2024).

    scale   1 is the good one alone, 0 the bad one alone, more than 1 is guidance

    Costs two evaluations; at scales 1 and 0 only the one that is needed.
    """
    if scale in (0, 1):
        return good if scale == 1 else bad

    def guided(x_t: Data, t: Time) -> Data:
        away = bad(x_t, t)
        return away + scale * (good(x_t, t) - away)

    return guided


def classifier_free(
    denoise: Conditional,
    condition: Condition,
    null: Condition,
    scale: float,
    *,
    together: bool = True,
) -> Denoise:
    """Classifier-free guidance: u + scale (c - u), the paper's eq. 6 with scale = 1 + w.

    Ho & Salimans 2022. c is the answer under `condition`, u under `null`; with another condition in
    the place of `null` it is a negative prompt.

    condition, null   with the same names; one row for each example, or one row for all
    scale             1 is the conditional model alone, 0 the unconditional one
    together          ask for both in one batch of twice the size, as samplers do on a GPU

    Raises ValueError if the two conditions have different names.
    """
    if set(condition) != set(null):
        raise ValueError(
            f"condition and null must have the same names, got {sorted(condition)} and"
            f" {sorted(null)}"
        )
    if not together or scale in (0, 1):
        return autoguide(given(denoise, condition), given(denoise, null), scale)

    def guided(x_t: Data, t: Time) -> Data:
        n = len(x_t)
        yes, no = _rows(condition, n), _rows(null, n)
        both = {name: torch.cat([yes[name], no[name]]) for name in yes}
        c, u = denoise(torch.cat([x_t, x_t]), torch.cat([t, t]), **both).chunk(2)
        return u + scale * (c - u)

    return guided


def interval(guided: Denoise, plain: Denoise, low: float, high: float) -> Denoise:
    """Guidance at the times low < t <= high, none outside (Kynkäänniemi et al. 2024).

    The paper's interval is one of noise levels; `schedules.time_at` turns these into times.
    Raises ValueError unless low < high.
    """
    if not low < high:
        raise ValueError(f"need low < high, got low={low}, high={high}")

    def sometimes(x_t: Data, t: Time) -> Data:
        inside = (t > low) & (t <= high)
        if bool(inside.all()):
            return guided(x_t, t)
        if not bool(inside.any()):
            return plain(x_t, t)
        chosen = inside.view((-1,) + (1,) * (x_t.ndim - 1))
        return torch.where(chosen, guided(x_t, t), plain(x_t, t))

    return sometimes


def rescale(guided: Denoise, plain: Denoise, schedule: NoiseSchedule, phi: float = 0.7) -> Denoise:
    """Give the guided noise the spread of the plain one (Lin et al. 2023, section 3.4).

    Large scales make eps as a whole too large, hence pictures too harsh. Each picture's eps is
    divided by how much its standard deviation grew; `phi` of that is mixed with 1 - phi of what was
    there. As the common code does it, on eps. Costs the plain evaluation in addition.

    phi   0 changes nothing, 1 restores the spread fully

    Raises ValueError unless 0 <= phi <= 1.
    """
    if not 0 <= phi <= 1:
        raise ValueError(f"phi is a share, from 0 to 1, got {phi}")

    def rescaled(x_t: Data, t: Time) -> Data:
        alpha, sigma = schedule(t, like=x_t)
        x_0 = guided(x_t, t)
        eps, calm = (eps_from(one, x_t, alpha, sigma) for one in (x_0, plain(x_t, t)))
        axes = tuple(range(1, x_t.ndim))
        ratio = calm.std(axes, keepdim=True) / eps.std(axes, keepdim=True)
        told = (x_t - sigma * (phi * ratio + 1 - phi) * eps) / alpha
        return torch.where(alpha > 0, told, x_0)  # with no signal left both eps are x_t itself

    return rescaled


def scale_from_w(w: float, convention: str = "ho") -> float:
    """A paper's or a program's strength of guidance as our scale, u + scale (c - u).

    "ho"       (1 + w) c - w u         Ho & Salimans 2022, eq. 6; 0 is none
    "imagen"   w c + (1 - w) u         Saharia et al. 2022 ("Imagen") and most programs; 1 is none
    "lerp"     c + w (u - c)           torch.lerp(c, u, w): from c towards u, guidance is below 0

    Raises ValueError for another convention.
    """
    one_of(convention, CONVENTIONS, "convention")
    unconditional, conditional = CONVENTIONS[convention]
    return (w - unconditional) / (conditional - unconditional)


def w_from_scale(scale: float, convention: str = "ho") -> float:
    """The inverse of `scale_from_w`."""
    one_of(convention, CONVENTIONS, "convention")
    unconditional, conditional = CONVENTIONS[convention]
    return unconditional + scale * (conditional - unconditional)


def _rows(condition: Condition, n: int) -> dict[str, Tensor]:
    """One row for each of n examples; a condition that has one row serves all."""
    for name, value in condition.items():
        if len(value) not in (1, n):
            raise ValueError(
                f"the condition {name!r} has {len(value)} rows for {n} examples: give one for each,"
                " or one for all"
            )
    return {
        name: value.expand(n, *value.shape[1:]) if len(value) == 1 else value
        for name, value in condition.items()
    }
