"""The checks of "Spot the bug", first page: schedules and training.

Each check knows the version of a public report, which it names by its symptom, and the usual
half-mends. Stories and reports stand on the page.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("the step before the first is clean data")
def check_step_before(step_before: Callable[..., Any]) -> None:
    """Bug 1: alpha-bar of the step before, without an entry for time 0."""
    bar = torch.tensor([0.9, 0.6, 0.3, 0.1], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    found = torch.as_tensor(step_before(bar))
    require(found.shape == bar.shape, "one entry for each of the steps 1..T, no more, no fewer.")
    reject(
        equal(found, torch.cat([bar[:-1], one])),
        "as above: entry t still belongs to step t, and the 1 stands at the noisiest end. The last"
        " step of the walk then counts the picture twice.",
    )
    reject(
        equal(found, torch.cat([bar[1:], one])) or equal(found, torch.cat([bar[1:], 0 * one])),
        "shifted the other way: this is the step after.",
    )
    reject(
        equal(found, torch.cat([bar[1:], bar[:1]])) or equal(found, bar.roll(1)),
        "rolled round: the first step now follows the last. Before it comes clean data.",
    )
    reject(
        equal(found, torch.cat([0 * one, bar[:-1]])),
        "0 would mean that all is noise before the first step. There all is signal.",
    )
    reject(
        equal(found, torch.cat([bar[:1], bar[:-1]])),
        "the first entry is repeated: then the last step of the walk ends with a little noise.",
    )
    require(equal(found, torch.cat([one, bar[:-1]])), "entry t is not alpha-bar of step t - 1.")


@exercise("the same path in any number of steps")
def check_betas_for(betas_for: Callable[..., Any]) -> None:
    """Bug 2: DDPM's linear schedule for another number of steps."""
    for T in (1000, 300, 200, 50):
        found = torch.as_tensor(betas_for(T)).double()
        require(found.shape == (T,), f"{T} step noises are asked, got {list(found.shape)}.")
        require(bool(((found > 0) & (found < 1)).all()), f"at T = {T} they must lie in (0, 1).")
        first, last = float(found[0]), float(found[-1])
        if T == 1000:
            right = equal(first, 1e-4, 1e-6) and equal(last, 0.02, 1e-5)
            require(right, "with T = 1000 the paper's own values must come out.")
            continue
        scale = 1000 / T
        reject(
            equal(first, 1e-4, 1e-6) and equal(last, 0.02, 1e-5),
            f"as above: with T = {T} a share {(1 - found).prod():.2g} of the picture's variance is"
            " left at the end of the chain, which sampling does not put there.",
        )
        reject(
            equal(last, 0.02 / scale, 1e-4),
            "the wrong way: fewer steps have to add more noise each.",
        )
        reject(
            equal(first, 1e-4, 1e-6) and equal(last, 0.02 * scale, 1e-4),
            "only the last end is scaled. The first one is a step of the same path: scale it too.",
        )
        reject(
            equal(first, 1e-4 * scale, 1e-6) and equal(last, 0.02, 1e-4),
            "only the first end is scaled.",
        )
        gone = float((1 - found).log().sum())
        reject(
            abs(gone / (-10.1 / scale) - 1) < 0.2,
            "single steps of the long chain, most of them left out: as little noise as above.",
        )
        reject(
            -9.6 < gone < -8.9,
            f"at T = {T} a little too little noise: 1000 / {T} need not be a whole number.",
        )
        require(
            -13 < gone < -9.6, f"at T = {T} the chain ends at another noise level than T = 1000."
        )
        require(2 < first / 1e-4 < 20 * scale, "the first steps differ from those of T = 1000.")


@exercise("variance 1 stays variance 1")
def check_add_noise(add_noise: Callable[..., Any]) -> None:
    """Bug 3: the noisy picture from x_0."""
    x_0, eps = torch.randn(2, 4, 3)
    for bar in (torch.tensor(0.36), torch.tensor(0.8)):
        found = add_noise(x_0, bar, eps)
        reject(
            equal(found, bar.sqrt() * x_0 + (1 - bar) * eps),
            "as above: the noise is multiplied by a variance, and data of variance 1 becomes a"
            f" picture of variance {bar + (1 - bar) ** 2:.2f}.",
        )
        reject(
            equal(found, bar * x_0 + (1 - bar) * eps),
            "now both roots are missing: x_0 takes the root of alpha-bar.",
        )
        reject(
            equal(found, bar.sqrt() * x_0 + (1 - bar.sqrt()) * eps),
            "1 minus a root is not the root of 1 minus: variances add up to 1, not their roots.",
        )
        reject(
            equal(found, (1 - bar).sqrt() * x_0 + bar.sqrt() * eps),
            "signal and noise are swapped: alpha-bar is the picture's share.",
        )
        reject(
            equal(found, bar * x_0 + (1 - bar).sqrt() * eps)
            or equal(found, bar * x_0 + (1 - bar**2).sqrt() * eps),
            "now the noise has its root, and x_0 has lost its own: it takes the root of alpha-bar.",
        )
        reject(
            equal(found, bar.sqrt() * x_0 + (1 - bar) ** 2 * eps)
            or equal(found, bar.sqrt() * x_0 + (1 - bar**2).sqrt() * eps),
            "no squares: alpha-bar is a variance already.",
        )
        require(
            equal(found, bar.sqrt() * x_0 + (1 - bar).sqrt() * eps),
            "x_t is not sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps.",
        )


@exercise("every time that sampling visits is trained")
def check_draw_times(draw_times: Callable[..., Any]) -> None:
    """Bug 4: times for a batch, evenly from 1..T."""
    found = torch.as_tensor(draw_times(5, 40_000))
    require(found.shape == (40_000,), "n times are asked, one for each picture.")
    require(not found.is_floating_point(), "times are whole numbers here.")
    require(len(found.unique()) > 1, "one time for the whole batch: each picture draws its own.")
    low, high = int(found.min()), int(found.max())
    reject(
        (low, high) == (1, 4),
        "as above: T itself never comes, since `randint` leaves its upper end out. Sampling begins"
        " there.",
    )
    reject(low == 0, "0 is clean data: there is nothing to learn. The times are 1..T.")
    reject(high > 5, "a time above T: the tables end there.")
    require((low, high) == (1, 5), f"times from 1 to 5 are asked, these go from {low} to {high}.")
    counts = torch.bincount(found, minlength=6)[1:]
    reject(
        bool(counts[0] > 1.5 * counts[1:].max()),
        "1 comes twice as often as the others: has a drawn 0 become a 1?",
    )
    require(bool((counts > 7600).all()), "the times are not equally likely.")


@exercise("each example loses its label with probability p")
def check_drop_labels(drop_labels: Callable[..., Any]) -> None:
    """Bug 5: dropping conditions for classifier-free guidance."""
    labels = torch.arange(10).repeat(40)
    for p, null in ((0.1, 10), (0.3, 99)):
        dropped = []
        for _ in range(40):
            found = torch.as_tensor(drop_labels(labels, null, p))
            require(found.shape == labels.shape, "one label for each example comes back.")
            reject(
                null != 10 and bool((found == 10).any()),
                "another `null`, and 10 still stands there: it is an argument.",
            )
            require(
                bool(((found == labels) | (found == null)).all()),
                "a label is either kept as it is or replaced by `null`.",
            )
            dropped.append((found == null).double())
        each = torch.stack(dropped)
        share = float(each.mean())
        reject(
            bool(((each.mean(1) == 0) | (each.mean(1) == 1)).all()),
            "all of a batch, or none of it: the share is right in the long run, but most steps"
            " teach no unconditional model, and some nothing else. Draw for each example.",
        )
        reject(bool((each.mean(1) == 0).all()), "nothing is dropped.")
        reject(
            bool((each == each[0]).all()),
            "always the same examples of a batch: which ones must be drawn anew.",
        )
        reject(
            abs(share - 0.5) < 0.03,
            f"as above: asked for {p:.0%}, it drops half. `randint(0, 2)` is 0 or 1, and only 1 is"
            " above p.",
        )
        reject(abs(share - (1 - p)) < 0.03, "turned round: p is the share to drop, not to keep.")
        require(abs(share - p) < 0.03, f"{share:.0%} are dropped where {p:.0%} are asked.")


@exercise("each picture's weight meets its own error")
def check_weighted_loss(weighted_loss: Callable[..., Any]) -> None:
    """Bug 6: a weighted loss, averaged over the batch."""
    out, target = torch.randn(2, 5, 3, 4, 4)
    weight = torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0])[:, None, None, None]
    error = (out - target).square().flatten(1).mean(1)
    right = (weight.flatten() * error).mean()
    found = torch.as_tensor(weighted_loss(out, target, weight))
    require(found.ndim == 0, "return one number, the mean over the batch.")
    reject(
        equal(found, weight.mean() * error.mean()),
        "as above: every weight meets every error, [batch, 1, 1, 1] times [batch] is"
        " [batch, 1, 1, batch]. What comes out is mean(weight) times mean(error).",
    )
    reject(
        equal(found, (weight * (out - target)).square().mean()),
        "the weight is squared: it belongs to the square, not into it.",
    )
    reject(
        equal(found, (weight.flatten() * error).sum()),
        "a sum: then the step grows with the batch.",
    )
    reject(
        equal(found, right * 5 / weight.sum()),
        "divided by the sum of the weights: the batch's own times now rescale the loss.",
    )
    reject(equal(found, error.mean()), "the weight changes nothing.")
    require(equal(found, right), "it is not the mean of weight times each picture's squared error.")
    alone = weighted_loss(out[:1], target[:1], weight[:1])
    require(equal(alone, 0.1 * error[0]), "it fails for a batch of one picture.")


@exercise("the error in x_0 counts min(SNR, gamma)")
def check_v_weight(v_weight: Callable[..., Any]) -> None:
    """Bug 7: the min-SNR weight for a network that predicts v."""
    snr, gamma = torch.tensor([0.0, 0.01, 0.5, 4.5, 5.0, 40.0]), 5.0
    least = snr.clamp(max=gamma)
    found = v_weight(snr, gamma)
    require(torch.as_tensor(found).shape == snr.shape, "one weight for each SNR.")
    reject(
        equal(found, (snr + 1).clamp(max=gamma) / (snr + 1)),
        "as above: the 1 is added inside of min as well. Pure noise (SNR 0) gets weight 1, where a"
        " guess of x_0 should count nothing.",
    )
    reject(
        equal(found[1:], least[1:] / snr[1:]),
        "this is the weight for eps: its squared error is SNR times that of x_0. For v it is"
        " SNR + 1.",
    )
    reject(equal(found, least), "this is the weight for x_0. Ask how v's error counts it.")
    reject(
        equal(found, snr.clamp(min=gamma) / (snr + 1)),
        "max in the place of min: cleaner pictures count more and more.",
    )
    reject(equal(found, least * (snr + 1)), "upside down: divide by SNR + 1.")
    require(equal(found, least / (snr + 1)), "it is not min(SNR, gamma) / (SNR + 1).")
    require(
        equal(v_weight(snr, 1.0), snr.clamp(max=1) / (snr + 1)),
        "right at gamma = 5 only: it is an argument.",
    )


@exercise("a warm-up that ends at the decay you asked for")
def check_decays(decays: Callable[..., Any]) -> None:
    """Bug 8: how much of the average is kept at each update."""
    found = decays(2000, 0.99)
    require(hasattr(found, "__len__"), "a list of decays is asked, one for each update.")
    require(len(found) == 2000, "one decay for each update.")
    found = torch.tensor([float(value) for value in found], dtype=torch.float64)
    ramp = (1 + torch.arange(2000.0)) / (10 + torch.arange(2000.0))
    reject(
        equal(found, ramp[0].expand(2000)),
        "as above: the largest decay is overwritten by the first small one and never comes back."
        " The average forgets all but the last steps.",
    )
    reject(
        equal(found, torch.full((2000,), 0.99)),
        "constant: the first update keeps 99 % of an untrained network. The ramp is gone.",
    )
    reject(equal(found, ramp), "the ramp goes on towards 1: `most` is forgotten.")
    reject(
        equal(found, ramp.clamp(min=0.99)),
        "max in the place of min: the ramp counts where it is above `most`.",
    )
    late = torch.cat([ramp[1:], ramp[-1:]]).clamp(max=0.99)
    reject(equal(found, late), "the first update has i = 0, so its decay is 1 / 10.")
    reject(equal(found, 1 - ramp.clamp(max=0.99)), "the decay is what is kept, not what is new.")
    reject(equal(found, 0.99 * ramp), "the ramp is cut off at `most`, not multiplied by it.")
    require(equal(found, ramp.clamp(max=0.99)), "it is not min(most, (1 + step) / (10 + step)).")


class _Gained(nn.Module):
    """One weight and one buffer: a network's state is more than its parameters."""

    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1), 3.0))
        self.register_buffer("gain", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * (x @ self.weight)


@exercise("judged on the average, trained on")
def check_judged(judged: Callable[..., Any]) -> None:
    """Bug 9: scoring the averaged weights of a network that is being trained."""
    model = _Gained()
    ema = {"weight": torch.full((1, 1), 2.0), "gain": torch.full((1,), 5.0)}

    def score(net: nn.Module) -> Tensor:
        return net(torch.ones(1, 1)).sum().detach()

    found = float(judged(model, ema, score))
    now = float(model.weight.detach())
    reject(math.isclose(found, 3.0), "the score is that of the network in training, not of `ema`.")
    reject(
        math.isclose(found, 2.0),
        "the average's parameters, and the network's own buffer `gain`: `ema` has both.",
    )
    require(math.isclose(found, 10.0), "the score is not that of the averaged weights.")
    reject(
        math.isclose(now, 2.0),
        "as above, or nearly: after the score the network holds the average, and training goes on"
        " from there. If you kept `model.state_dict()`, it changed too: its tensors are the"
        " network's own, not copies.",
    )
    require(math.isclose(now, 3.0), "the network's weights are neither its own nor the average.")
    require(
        math.isclose(float(model.gain), 1.0),
        "the weights are back, and the buffer `gain` still is the average's: keep the whole"
        " state_dict, not the parameters alone.",
    )
    reject(not model.training, "the network is left in eval mode, and training goes on: train().")
    require(math.isclose(float(ema["weight"]), 2.0), "the average itself has changed.")
