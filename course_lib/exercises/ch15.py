"""The exercises of chapter 15: larger pictures, a v carried over, respacing, Min-SNR, leftover."""

from collections.abc import Callable
from typing import Any

import torch

from course_lib.diffusion.schedules import cosine, linear, zero_terminal
from course_lib.exercises.checking import equal, exercise, reject, require

OWN_TABLE = (
    "right for one table of alpha_bar and wrong for another: does your function use a name of the"
    " notebook, or numbers of its own, instead of its argument `alpha_bar`?"
)


@exercise("more pixels hide more noise, so a larger picture gets more")
def check_for_larger(for_larger: Callable[..., Any]) -> None:
    """Exercise 1: the alpha_bar of larger pictures whose small copies look as noisy as before."""
    for bar, factor in (
        (cosine(100).alpha_bar, 2),
        (linear(100).alpha_bar, 2),
        (zero_terminal(linear(200)).alpha_bar, 3),
    ):
        found = torch.as_tensor(for_larger(bar, factor)).double()
        require(found.shape == bar.shape, f"for times 0 to T one alpha_bar each: {len(bar)}.")

        def after(times: float, bar: torch.Tensor = bar) -> torch.Tensor:
            return bar / (bar + times * (1 - bar))  # the SNR divided by `times`

        n, ratio = factor**2, (bar / (1 - bar)).sqrt()
        right = after(n)
        for wrong, why in (
            (bar, "nothing has changed. The mean of a block has less noise than one pixel."),
            (after(1 / n), "the wrong way: a mean hides noise, so the larger picture needs more."),
            (after(factor), "a block has factor x factor pixels, not factor."),
            (after(n**2), "an SNR is a ratio of variances already: it falls by n once, not by n²."),
            (bar / n, "this divides alpha_bar, and t = 0 is noisy now. Divide the SNR."),
            (1 - n * (1 - bar), "only the noise has grown: signal and noise must add up to 1."),
            (bar**n, "this takes each step n times, which does not divide the SNR by n."),
            (bar / (1 - bar) / n, "this is the SNR. The alpha_bar that has it is asked."),
            (right.sqrt(), "this is alpha, the root. alpha_bar is asked."),
            (ratio / (ratio + factor), "SNR and alpha_bar are of variances: no roots."),
            (after(4), "`factor` changes nothing: it is an argument."),
        ):
            alike = equal(found[1:], wrong[1:], 1e-5)
            reject(alike and not equal(wrong[1:], right[1:], 1e-5), why)
        reject(
            equal(found[1:], right[1:], 1e-5) and bool(found.isnan().any()),
            "right, but nan at t = 0, where the SNR is infinite. Clear the fraction: multiply above"
            " and below by 1 - alpha_bar.",
        )
        require(
            equal(found, right, 1e-5),
            "the mean of a block has not the old SNR. What does a mean of n pixels do to signal and"
            " noise? (And does your function use its own argument `alpha_bar`?)",
        )


@exercise("one uncertainty, and a v of its own for each length of the step")
def check_carried(carried: Callable[..., Any]) -> None:
    """Exercise 2: the best v of a step from t to r, from the best v of a step from t to s."""
    v = torch.tensor([0.0, 0.3, 0.9, 1.0], dtype=torch.float64)
    for bar, t, s, r in (
        (linear().alpha_bar, 100, 90, 20),
        (linear().alpha_bar, 300, 50, 299),
        (cosine().alpha_bar, 100, 90, 20),
    ):
        found = torch.as_tensor(carried(v, bar, t, s, r)).double()
        require(
            found.shape == v.shape,
            f"v is a tensor, and so is the answer: one number for each, {list(v.shape)}.",
        )

        def span(then: int, now: int = t, bar: torch.Tensor = bar) -> torch.Tensor:
            return (1 - bar[now]) / (1 - bar[then])  # beta over beta-tilde

        def move(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            return (1 + (old**v - 1) / (old - 1) * (new - 1)).log() / new.log()

        old, new, right = span(s), span(r), move(span(s), span(r))
        u, inner = (old**v - 1) / (old - 1), slice(1, 3)
        step_old, step_new = (1 - bar[t] / bar[i] for i in (s, r))
        kept = (step_old / old ** (1 - v) / step_new * new).log() / new.log()
        for wrong, why in (
            (v, "that changes nothing. The best v depends on the length of the step."),
            (u, "this is u, the uncertainty. It is the same for both steps: now the new step's v."),
            (
                (1 + v * (new - 1)).log() / new.log(),
                "you put v in the place of u. First find the u that the old v stands for.",
            ),
            (move(new, old), "s and r are swapped: v was right for the step to s."),
            (
                v * old.log() / new.log(),
                "this keeps the factor over beta-tilde. What stays is u, so solve for it first.",
            ),
            (
                kept,
                "this keeps the variance itself. A longer step has a larger one, whatever u is.",
            ),
            (
                move(1 / old, 1 / new),
                "beta over beta-tilde is upside down: it is at least 1.",
            ),
            (
                (1 + u * new).log() / (1 + new).log(),
                "1 + k is the whole ratio of beta to beta-tilde, so k is one less.",
            ),
            (
                move(span(s - 1, t - 1), span(r - 1, t - 1)),
                "the table begins with alpha_bar_0 = 1, so the entry of time t is `alpha_bar[t]`.",
            ),
        ):
            alike = equal(found[inner], wrong[inner], 1e-7)
            reject(alike and not equal(wrong[inner], right[inner], 1e-7), why)
        require(not bool(found.isnan().any()), "there is nan in it: a logarithm of less than 0.")
        require(
            equal(found, right, 1e-6),
            f"from {t}, a v of 0.3 for the step to {s} is {float(right[1]):.4f} for that to {r},"
            f" not {float(found[1]):.4f}.",
        )


@exercise("the betas of a chain that skips")
def check_respaced_betas(respaced_betas: Callable[..., Any]) -> None:
    """Exercise 3: step noises of a sub-sequence."""
    schedule = linear()
    bar, times = schedule.alpha_bar, torch.tensor([1000, 300, 100, 40, 0])
    rising = times.flip(0)
    right = 1 - bar[rising[1:]] / bar[rising[:-1]]
    found = respaced_betas(bar, times)
    reject(
        equal(found, schedule.beta[rising[1:]], 1e-9),
        "these are the old betas at the new times: four such steps add almost no noise.",
    )
    reject(
        equal(found, right.flip(0), 1e-9),
        "beta_1 belongs to the step next to data: turn the order round.",
    )
    reject(
        equal(found, schedule.beta[rising[1:]] * rising.diff(), 1e-6)
        or equal(found, schedule.beta[rising[1:]] * 250, 1e-6),
        "a long step is not a sum of equal ones: take the ratio of the alpha_bars.",
    )
    summed = [schedule.beta[a + 1 : b + 1].sum() for a, b in zip(rising, rising[1:], strict=False)]
    reject(
        equal(found, torch.stack(summed), 1e-9),
        "betas do not add up (these exceed 1). What steps keep, 1 - beta, multiplies.",
    )
    reject(
        equal(found, 1 - bar[rising[:-1]] / bar[rising[1:]], 1e-9),
        "the fraction is upside down: alpha_bar falls, so these are below 0.",
    )
    reject(
        equal(found, 1 - (1 - right).sqrt(), 1e-9),
        "no roots here: alpha_bar is a product of variances, 1 - beta.",
    )
    kept = bar[rising]
    reject(
        equal(found, right.clamp(max=0.999), 1e-6),
        "these are capped at 0.999. That belongs to the cosine; here the last, long step may"
        " erase more.",
    )
    reject(
        equal(found, torch.cat([torch.zeros(1).double(), right]), 1e-6),
        "one too many: five times have four steps between them.",
    )
    reject(
        equal(found, right[1:], 1e-6),
        "one too few: the step from the first time down to 0, where alpha_bar is 1, counts too.",
    )
    for values, why in (
        (1 - kept[1:], "this is all the noise up to each time, not one step's."),
        (kept[1:] / kept[:-1], "this is what a step keeps. beta is what it adds."),
        (kept[:-1] - kept[1:], "a difference of alpha_bars: divide by the one before the step."),
        (
            right * (1 - kept[:-1]) / (1 - kept[1:]),
            "this is beta-tilde of the short chain. Its beta is asked.",
        ),
    ):
        reject(any(equal(found, one, 1e-6) for one in (values, values.flip(0))), why)
    require(
        equal((1 - torch.as_tensor(found)).double().prod(), bar[-1], 1e-6),
        "their product of 1 - beta is not the alpha_bar of the last time.",
    )
    require(equal(found, right, 1e-6), "the product is right, the single steps are not.")
    bar, times = cosine().alpha_bar, torch.tensor([900, 500, 0])
    right = torch.stack([1 - bar[500], 1 - bar[900] / bar[500]])
    require(equal(respaced_betas(bar, times), right, 1e-6), OWN_TABLE)


@exercise("the same weight on the same error, whatever is predicted")
def check_min_snr(min_snr: Callable[..., Any]) -> None:
    """Exercise 4: the weight of Min-SNR for three predictions."""
    schedule = cosine()
    t = torch.tensor([3, 200, 500, 900])
    snr = schedule.snr(t)
    for gamma in (5.0, 1.0):
        capped = snr.clamp(max=gamma)
        right = {"x_0": capped, "eps": capped / snr, "v": capped / (snr + 1)}
        for predicts, wanted in right.items():
            found = min_snr(snr, predicts, gamma)
            reject(
                equal(found, snr.clamp(min=gamma), 1e-6), "the cap is a minimum of SNR and gamma."
            )
            reject(
                gamma != 5 and equal(found, wanted / capped * snr.clamp(max=5), 1e-6),
                "gamma changes nothing: it is an argument.",
            )
            reject(
                predicts != "x_0" and equal(found, capped, 1e-6),
                f"this is the weight on the x_0 error. A loss on {predicts} has a weight already.",
            )
            reject(
                predicts != "x_0" and equal(found, capped * (capped / wanted), 1e-6),
                f"divide by what the loss on {predicts} counts anyway, do not multiply.",
            )
            reject(
                predicts == "v" and equal(found, capped / snr, 1e-6),
                "for v the loss counts the x_0 error SNR + 1 times, not SNR times.",
            )
            reject(
                torch.as_tensor(found).shape != snr.shape,
                "one weight for each SNR is wanted: no mean over them, no single number.",
            )
            reject(
                equal(found, torch.ones_like(snr), 1e-6) and not equal(wanted, found, 1e-6),
                "1 everywhere is L_simple's weight on eps, not Min-SNR's.",
            )
            reject(
                predicts == "x_0" and equal(found, capped / snr, 1e-6),
                "this is the weight for eps. A loss on x_0 counts its error once: nothing to"
                " divide by.",
            )
            reject(
                equal(found, gamma * wanted / capped, 1e-6),
                "gamma is a cap. Where the SNR is below it, the SNR itself counts.",
            )
            reject(
                predicts == "v" and equal(found, (snr + 1).clamp(max=gamma) / (snr + 1), 1e-6),
                "the cap is on SNR, the x_0 weight that is wanted, not on SNR + 1.",
            )
            reject(
                equal(found, 1 / wanted, 1e-6) and not equal(wanted, 1 / wanted, 1e-6),
                "upside down: wanted over counted.",
            )
            reject(
                equal(found, wanted / wanted.mean(), 1e-6),
                "no need to divide by the mean: the weights themselves are asked.",
            )
            require(equal(found, wanted, 1e-6), f"not the weight for {predicts}.")


@exercise("how much of the brightness survives the start")
def check_spread_kept(spread_kept: Callable[..., Any]) -> None:
    """Exercise 5: std of the sampled brightness over that of the data, Gaussian, exact denoiser."""
    for bar, pixels, spread in ((0.0047, 4096, 0.5), (0.13, 64, 0.2), (0.0, 64, 0.5)):
        true = bar * spread**2 + (1 - bar) / pixels
        right = (1 / pixels / true) ** 0.5
        found = spread_kept(bar, pixels, spread)
        reject(
            bar > 0 and equal(found, 1 / pixels / true, 1e-9),
            "this is a ratio of variances. A spread is its root.",
        )
        reject(
            bar > 0 and equal(found, 1 / right, 1e-9),
            "upside down: the start is too narrow, so less than all survives.",
        )
        reject(
            bar > 0 and equal(found, (1 / (bar * spread**2 + 1 - bar)) ** 0.5, 1e-9),
            "this is one pixel. The mean of n pixels has noise of variance 1 / n.",
        )
        reject(
            bar > 0
            and equal(found, (1 / pixels / (bar**2 * spread**2 + (1 - bar) / pixels)) ** 0.5),
            "alpha_bar is a variance: it multiplies spread squared as it is.",
        )
        usual = (
            (
                1 / (1 + bar * pixels * spread**2) ** 0.5,
                "in training the noise is a little less than a sampler's: 1 - alpha_bar of it.",
            ),
            (
                ((1 - bar) / pixels / true) ** 0.5,
                "a sampler starts with noise of variance 1 in each pixel, not 1 - alpha_bar.",
            ),
            (
                1 / pixels / (bar * spread**2 + (1 - bar) / pixels**2) ** 0.5,
                "the mean of n pixels has noise of *variance* 1 / n, so of spread 1 / sqrt(n).",
            ),
            (
                pixels**-0.5 / (bar**0.5 * spread + ((1 - bar) / pixels) ** 0.5),
                "spreads of independent parts do not add. Their variances do.",
            ),
            (
                1 / (bar * pixels * spread + 1 - bar) ** 0.5,
                "`spread` is a standard deviation: a variance takes its square.",
            ),
            (
                1 / (bar**0.5 * pixels * spread**2 + 1 - bar) ** 0.5,
                "alpha_bar is a variance: it multiplies spread squared as it is.",
            ),
            (
                1 / (1 + bar**0.5 * (pixels * spread**2 - 1)) ** 0.5,
                "alpha_bar is a variance: no root of it, neither for signal nor for noise.",
            ),
            (right * spread, "this is the spread itself. The ratio to the data's is asked."),
            (1 - right, "this is the share that is lost. What is kept is asked."),
            (
                (bar * spread**2 / true) ** 0.5,
                "this is how much of x_T's brightness is signal. Compare the two starts instead.",
            ),
        )
        for value, why in usual:
            reject(bar > 0 and equal(found, value, 1e-6), why)
        require(equal(found, right, 1e-6), f"not the ratio of the two spreads at {bar}, {pixels}.")
