"""The exercises of chapter 23: straight through, a fair weight, no scale, a prior's gaps."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("rounded forwards, untouched backwards")
def check_straight(straight: Callable[..., Any]) -> None:
    """Exercise 1: the straight-through estimator."""
    h = torch.randn(3, 5, requires_grad=True)
    rounded = torch.randn(3, 5, requires_grad=True)
    z = torch.as_tensor(straight(h, rounded))
    require(z.shape == h.shape, f"asked is the shape of h, {list(h.shape)}, got {list(z.shape)}.")
    reject(
        equal(z, h) and not equal(z, rounded),
        "this is h itself: nothing is rounded, and the decoder would see what it must not see.",
    )
    require(equal(z, rounded), "forwards it must be the rounded latents, to the digit.")
    require(
        z.requires_grad,
        "no gradient passes at all. What you detach must be the difference, and h must be outside.",
    )
    slope = torch.randn(3, 5)
    to_h, to_code = torch.autograd.grad((z * slope).sum(), (h, rounded), allow_unused=True)
    reject(
        to_h is None or equal(to_h, 0 * slope),
        "the gradient goes to the codes and none to the encoder: the encoder never learns from the"
        " decoder. Let it pass through h.",
    )
    reject(
        to_code is not None and not equal(to_code, 0 * slope),
        "the codes get the decoder's gradient too. In the paper their own square alone moves them:"
        " detach them.",
    )
    require(equal(to_h, slope), "the gradient must reach h unchanged: not scaled, not shifted.")


@exercise("a critic that pulls as hard as the error does")
def check_adaptive(adaptive: Callable[..., Any]) -> None:
    """Exercise 2: VQGAN's adaptive weight."""
    for loud in (1.0, 20.0):
        layer = torch.nn.Linear(6, 4)
        at, x, wanted = layer.weight, torch.randn(8, 6), torch.randn(8, 4)
        out = layer(x)
        error, fool = (out - wanted).square().sum(), loud * out.sin().sum()
        of_error, of_fool = (
            torch.autograd.grad(one, at, retain_graph=True)[0] for one in (error, fool)
        )
        right = of_error.norm() / (of_fool.norm() + 1e-6)
        found = torch.as_tensor(adaptive(error, fool, layer))
        require(found.dim() == 0, f"one number is asked, got the shape {list(found.shape)}.")
        for wrong, why in (
            (1 / right, "upside down: a loud critic must get a small weight."),
            (error / fool, "this compares the losses. Compare their gradients at the last layer."),
            (right.square(), "the squares of the lengths: take the root, `norm()`."),
            (
                of_error.sum() / of_fool.sum(),
                "sums of gradients cancel, and may be 0. A length is asked: `norm()`.",
            ),
            (of_error.norm(), "only the error's pull; divide by the critic's."),
            (
                of_error.norm() / (of_error + of_fool).norm(),
                "the second gradient has the first one in it: `.backward()` adds to `.grad`. Use"
                " `torch.autograd.grad`.",
            ),
            (
                of_error.abs().mean() / of_fool.abs().mean(),
                "means of absolute values. A length is asked: `norm()`.",
            ),
        ):
            reject(equal(found / wrong, 1.0, 1e-3), why)
        require(equal(found / right, 1.0, 1e-3), "not the ratio of the two lengths.")
        reject(
            found.requires_grad,
            "the weight itself has a gradient: the decoder would learn to change it. Detach it.",
        )
        reject(
            at.grad is not None and bool(at.grad.any()),
            "the layer has been given gradients: the next step of the optimiser would take them"
            " twice. Use `torch.autograd.grad`, which leaves `.grad` alone.",
        )
        try:
            (error + fool).backward()
        except RuntimeError:
            reject(True, "the graph is gone, and training needs it yet: `retain_graph=True`.")
    layer = torch.nn.Linear(3, 1)
    pull = layer.weight.sum()
    silent = torch.as_tensor(adaptive(pull, 0 * pull, layer))
    require(
        bool(silent.isfinite()),
        "if the critic does not pull at all, you divide by 0: add 1e-6 to its length.",
    )


@exercise("the same noise on latents of any size")
def check_unscaled(unscaled: Callable[..., Any]) -> None:
    """Exercise 3: the alpha_bar at which unscaled latents are as noisy as scaled ones."""
    bar = torch.linspace(0, 1, 11, dtype=torch.float64)
    for deviation in (4.0, 0.5):
        found = [torch.as_tensor(unscaled(one, deviation)) for one in bar]
        require(all(one.numel() == 1 for one in found), "one alpha_bar in, one alpha_bar out.")
        mine = torch.stack([one.double().reshape(()) for one in found])

        def moved(factor: float) -> Tensor:
            return bar / (bar + factor * (1 - bar))

        for wrong, why in (
            (bar, "that changes nothing: then latents of another size are noisy at another time."),
            (
                moved(deviation**-2),
                "the wrong way: large latents stand out of the noise, so they need *less* of"
                " alpha_bar to be as noisy, small ones more.",
            ),
            (
                moved(deviation),
                "the deviation enters a signal-to-noise ratio, which is one of variances, by its"
                " square.",
            ),
            (
                bar / deviation**2,
                "you divide alpha_bar alone. The noise then has 1 - alpha_bar of the new one, so"
                " the ratio is not the old one: write the two ratios down and solve.",
            ),
            (
                bar / (1 - bar) / deviation**2,
                "that is the new alpha_bar / (1 - alpha_bar). Solve for alpha_bar itself.",
            ),
            (
                (bar.sqrt() / (bar.sqrt() + deviation * (1 - bar).sqrt())),
                "alpha and sigma are roots: their *squares* add up to 1, not they themselves.",
            ),
        ):
            inner = slice(1, -1)
            reject(equal(mine[inner], wrong[inner]), why)
        require(
            not bool(mine.isnan().any()),
            "at alpha_bar = 0 or 1 it is nan. There is no ratio at a clean latent: solve for"
            " alpha_bar so that nothing is divided by 1 - alpha_bar.",
        )
        right = moved(deviation**2)
        require(
            equal(mine, right),
            f"at alpha_bar = 0.5 and a deviation of {deviation:g} it is {float(right[5]):.4f}, not"
            f" {float(mine[5]):.4f}.",
        )


@exercise("what N(0, I) does not know about the latents")
def check_missing(missing: Callable[..., Any]) -> None:
    """Exercise 4: nats that a standard normal misses, by neighbours and by sizes."""
    for n in (2, 5):
        a = torch.randn(n, n, dtype=torch.float64)
        c = a @ a.T + 0.3 * torch.eye(n, dtype=torch.float64)
        own = c.diagonal()
        whole = 0.5 * (own.sum() - n - torch.logdet(c))
        sizes = 0.5 * (own - 1 - own.log()).sum()
        between = whole - sizes
        found = missing(c)
        require(
            (isinstance(found, tuple | list) and len(found) == 2)
            or (torch.is_tensor(found) and found.shape == (2,)),
            "two numbers are asked: (of the neighbours, of the sizes).",
        )
        one, other = (torch.as_tensor(part, dtype=torch.float64) for part in found)
        reject(equal(one, sizes) and equal(other, between), "right, in the other order.")
        reject(
            equal(math.log(2) * one, between) or equal(math.log(2) * other, sizes),
            "these are bits. Nats are asked: the natural logarithm.",
        )
        reject(
            equal(n * one, between) or equal(n * other, sizes),
            "per latent. Asked are the nats of all of them together: a sum.",
        )
        reject(
            equal(one, 2 * between) or equal(other, 2 * sizes),
            "both have a factor of 1/2: they are KLs of Gaussians.",
        )
        reject(equal(one, -between), "the sign: a KL is never negative.")
        reject(
            equal(one, whole),
            "this is the whole KL to N(0, I). The part of the sizes is not the neighbours'.",
        )
        reject(
            equal(one, -0.5 * torch.logdet(c)),
            "the log-determinant of the covariance counts the sizes too. Of the *correlations*.",
        )
        reject(
            equal(other, whole),
            "this is the whole KL to N(0, I). The second number is its part that variances alone"
            " make.",
        )
        reject(
            equal(other, 0.5 * (own - own.log()).sum()),
            "a variance of 1 must cost nothing: the -1 is missing.",
        )
        reject(
            equal(other, 0.5 * (own - 1 + own.log()).sum()),
            "the sign of the logarithm: a latent that is too narrow costs too.",
        )
        reject(
            equal(other, 0.5 * (1 / own - 1 + own.log()).sum()),
            "this is the KL the other way round, from N(0, 1) to the latents.",
        )
        reject(
            equal(other, 0.5 * (own.sqrt() - 1 - own.sqrt().log()).sum()),
            "variances, not deviations: the diagonal of `c` as it is.",
        )
        reject(equal(other, 0.5 * (own - 1).sum()), "the logarithm of the variances is missing.")
        require(equal(one, between), "the first is the KL from q to the product of its margins.")
        require(equal(other, sizes), "the second is the sum of each margin's KL to N(0, 1).")
