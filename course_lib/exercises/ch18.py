"""The exercises of chapter 18: the channel beside, a timid base, two stages, decibels and holes."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.diffusion.schedules import cosine
from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("what the network sees")
def check_beside(beside: Callable[..., Any]) -> None:
    """Exercise 1: x_t and the small picture, stretched, as channels of one input."""
    for channels, low, size in ((1, 4, (8, 8)), (1, 4, (16, 16)), (3, 2, (8, 8)), (1, 4, (8, 12))):
        x_t, z = torch.randn(2, channels, *size), torch.randn(2, channels, low, low)
        wide = F.interpolate(z, size=size, mode="bilinear", align_corners=False)
        found = torch.as_tensor(beside(x_t, z))
        reject(
            found.shape == x_t.shape,
            "as many channels as x_t alone: adding mixes the two pictures, and a network cannot"
            " take them apart again. Lay one beside the other.",
        )
        reject(
            found.shape == (4, channels, *size),
            "the pictures are stacked along the batch: as if they were other examples. dim=1.",
        )
        reject(
            found.shape == (2, channels, 2 * size[0], size[1])
            or found.shape == (2, channels, size[0], 2 * size[1]),
            "the pictures lie next to each other in space. Channels lie on top: dim=1.",
        )
        reject(
            found.shape == (2, 2 * channels, low, low),
            "x_t was made small. Make z large: the answer has the size of x_t.",
        )
        require(
            found.shape == (2, 2 * channels, *size),
            f"asked is {[2, 2 * channels, *size]}, got {list(found.shape)}.",
        )
        first, second = found[:, :channels], found[:, channels:]
        reject(
            equal(second, x_t) and equal(first, wide),
            "the order is x_t first: our networks were trained so.",
        )
        require(equal(first, x_t), "the first channels must be x_t as it is.")
        reject(
            equal(second, F.interpolate(z, size=size, mode="nearest")),
            "this repeats pixels. Our stages stretch with straight lines: mode='bilinear'.",
        )
        reject(
            equal(
                second,
                F.interpolate(z, size=size, mode="bilinear", align_corners=True),
            ),
            "the corners are aligned: the small picture is moved by part of a pixel.",
        )
        reject(
            equal(second, F.pad(z, (0, size[1] - low, 0, size[0] - low))),
            "the small picture lies in a corner. Stretch it over the whole.",
        )
        require(equal(second, wide), "the other channels are not the small picture, stretched.")


@exercise("another fault of the base, and how fast noise hides it")
def check_timid(timid: Callable[..., Any]) -> None:
    """Exercise 2: the divergence at level s of a base with a wrong variance."""
    bar = cosine().alpha_bar[[0, 200, 500, 800]]
    for v, drawn in ((0.5, 0.2), (0.3, 0.9)):
        found = torch.stack([torch.as_tensor(timid(a, v, drawn)).double() for a in bar])
        require(found.shape == bar.shape, "return one number for one alpha_bar.")
        there, told = (bar * one + 1 - bar for one in (v, drawn))
        ratio = there / told
        right = (ratio - 1 - ratio.log()) / 2

        def kl(ratio: Tensor) -> Tensor:
            return (ratio - 1 - ratio.log()) / 2

        for wrong, why in (
            (
                kl(1 / ratio),
                "that is KL(drawn || data). Here p, the law of the data, stands first:"
                " the average is over what there is, so its variance stands above.",
            ),
            (2 * right, "the half is missing: it belongs to all three terms."),
            (-right, "the sign is turned: a divergence is never negative."),
            (right / math.log(2), "that is in bits. Asked for are nats."),
            (
                kl(torch.full_like(bar, v / drawn)),
                "the level changes nothing in your answer. Both"
                " laws are noised: their variances become alpha_bar v + 1 - alpha_bar.",
            ),
            (
                bar * kl(torch.full_like(bar, v / drawn)),
                "the divergence does not shrink by"
                " alpha_bar. Noise the two laws, then compare them.",
            ),
            (
                kl((bar * v + (1 - bar).sqrt()) / (bar * drawn + (1 - bar).sqrt())),
                "the noise has the variance 1 - alpha_bar: no root.",
            ),
            (
                kl((v + 1 - bar) / (drawn + 1 - bar)),
                "the picture shrinks as well: its variance is multiplied by alpha_bar.",
            ),
            ((ratio - 1) / 2, "the logarithm is missing."),
            (
                bar * (v - drawn) ** 2 / (2 * there),
                "that is the formula of a shift. Here the means"
                " agree: start from the divergence of two Gaussians with different variances.",
            ),
        ):
            reject(equal(found, wrong, 1e-6) and not equal(wrong, right, 1e-6), why)
        require(
            equal(found, right, 1e-6),
            f"for v = {v}, drawn = {drawn} and alpha_bar = {float(bar[1]):.3f} it is"
            f" {float(right[1]):.5f}, not {float(found[1]):.5f}.",
        )


@exercise("two stages, one after the other")
def check_two_stage(two_stage: Callable[..., Any]) -> None:
    """Exercise 3: the sampler of a cascade, with noise at the joint."""
    for n, s in ((3, 200), (2, 0), (4, 350)):
        asked: list[tuple[str, Any]] = []
        z, x = torch.randn(n, 1, 4, 4), torch.randn(n, 1, 8, 8)

        def draw_small(n: int, drawn: Tensor = z, asked: Any = asked) -> Tensor:
            asked.append(("small", n))
            return drawn

        def noise_to(z: Tensor, s: int, asked: Any = asked) -> Tensor:
            asked.append(("noise", (z, s)))
            return 10 + s + z

        def draw_large(low_res: Tensor, s: int, drawn: Tensor = x, asked: Any = asked) -> Tensor:
            asked.append(("large", (low_res, s)))
            return drawn

        found = two_stage(draw_small, noise_to, draw_large, n, s)
        calls = [name for name, _ in asked]
        require("small" in calls, "nobody drew small pictures: draw_small(n).")
        require("large" in calls, "the small pictures were not enlarged: draw_large(low_res, s).")
        reject(
            "noise" not in calls and s > 0,
            f"at s = {s} the small picture went to the stage clean. The noise is not for training"
            " only: noise it with noise_to(z, s).",
        )
        reject(
            "noise" in calls and calls.index("noise") > calls.index("large"),
            "the noise was put on the large picture. It belongs at the joint, on the small one.",
        )
        reject(calls.count("small") > 1, "draw the small pictures once, all n together.")
        reject(calls.count("noise") > 1, "the small picture was noised more than once.")
        require(asked[0] == ("small", n), f"the first call must be draw_small({n}).")
        low, level = next(told for name, told in asked if name == "large")
        reject(
            level == 0 and s > 0,
            "the stage was told 0, and the picture is noisy: it will take the noise for cloth.",
        )
        require(level == s, f"the stage must be told s = {s}, it was told {level}.")
        reject(
            s > 0 and equal(low, z),
            "the stage was told s and given the clean picture: the noisy one was thrown away.",
        )
        noise = [told for name, told in asked if name == "noise"]
        if noise:
            require(
                equal(noise[0][0], z) and noise[0][1] == s, f"noise the small pictures to s = {s}."
            )
            require(equal(low, 10 + s + z), "give the stage the noised picture as it is.")
        require(torch.as_tensor(found).shape == x.shape, "return the large pictures.")
        require(equal(found, x), "return the large pictures as they were drawn.")


@exercise("what a fair draw costs")
def check_decibels(decibels: Callable[[int], Any]) -> None:
    """Exercise 4: by how much PSNR the mean of k fair draws is below the best possible."""
    for k in (4, 2, 10, 1):
        found = float(torch.as_tensor(decibels(k)))
        right = 10 * math.log10(1 + 1 / k)
        for wrong, why in (
            (-right, "the sign: asked is how many dB it is below, a positive number."),
            (10 * math.log10(1 + k), "more draws make it better, not worse: 1/k."),
            (20 * math.log10(1 + 1 / k), "20 is for amplitudes. A mean square takes 10."),
            (10 * math.log(1 + 1 / k), "decibels take the logarithm to base 10."),
            (3.0103, "this is one draw, whatever k is."),
            (3.0103 / k, "errors are divided by k, decibels are not: they are a logarithm."),
            (
                10 * math.log10(1 + k**-0.5),
                "a *variance* is asked, and that of a mean of k draws falls as 1 / k.",
            ),
            (
                10 * math.log10(1 + k**-2),
                "the variance of a mean of k draws is V / k, not V / k^2.",
            ),
            (math.log10(1 + 1 / k), "a decibel is the tenth of a bel: 10 log10."),
            (10 * math.log2(1 + 1 / k), "decibels take the logarithm to base 10."),
            (1 + 1 / k, "this is the ratio of the two errors. In decibels: 10 log10 of it."),
            (
                10 * math.log10(2 / k) if k > 1 else math.nan,
                "the error of the mean does not fall to 0: the truth itself is spread out, and"
                " 1 of the 1 + 1/k parts stays.",
            ),
            (10 * math.log10(1 / k) if k > 1 else math.nan, "1 of the 1 + 1/k parts is missing."),
        ):
            reject(abs(found - wrong) < 1e-3 and abs(wrong - right) > 2e-3, why)
        require(
            abs(found - right) < 1e-4,
            f"for k = {k} it is another number. Which two errors add up, and which is the best?",
        )


@exercise("errors count in the holes")
def check_hole_loss(hole_loss: Callable[..., Any]) -> None:
    """Exercise 5: Palette's loss, the mean over each picture's own hole."""
    error = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    hole = torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    hole[0, :, :1], hole[1, :, :3, 1:], hole[2] = True, True, True
    square = error.square()
    each = torch.stack([square[i][hole[i]].mean() for i in range(3)])
    found, right = torch.as_tensor(hole_loss(error, hole)), each.mean()
    require(found.ndim == 0, "return one number.")
    reject(
        bool(found.isnan()),
        "0 / 0: the last picture is all hole. `hole` is True where pixels are missing, and there"
        " errors count.",
    )
    for wrong, why in (
        (square.mean(), "this counts every pixel. Where pixels are known no answer is needed."),
        (
            (square * hole).mean(),
            "divide by the pixels of the hole, not by all: else small holes hardly count.",
        ),
        (
            square[hole].mean(),
            "this pools the pixels of all holes: a picture with a large hole counts for more."
            " First the mean of each picture.",
        ),
        ((square * ~hole).flatten(1).sum(1).mean(), "this is the error outside of the holes."),
        (each.sum(), "the mean over pictures, not the sum."),
        (
            (square * hole).flatten(1).sum(1).mean(),
            "this is a sum over the hole. The mean does not grow with the hole.",
        ),
        (
            torch.stack([error[i][hole[i]].mean() for i in range(3)]).mean(),
            "square the errors: plus and minus cancel.",
        ),
        (
            torch.stack([error[i][hole[i]].mean() for i in range(3)]).square().mean(),
            "this squares the mean of the errors, where plus and minus have cancelled. First the"
            " square.",
        ),
        (each.sqrt().mean(), "no root: the loss is a mean of squares."),
        (
            torch.stack([error[i][hole[i]].abs().mean() for i in range(3)]).mean(),
            "this is the mean of absolute errors, whose best answer is a median.",
        ),
    ):
        reject(equal(found, wrong) and not equal(wrong, right), why)
    require(equal(found, right), "it is not the mean over pictures of the mean over each hole.")
