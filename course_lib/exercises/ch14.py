"""The exercises of chapter 14: a dial, a step not taken, the excess of sigma-hat, and a mix."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.diffusion.schedules import cosine, linear
from course_lib.exercises.checking import equal, exercise, reject, require

OWN_TABLE = (
    "right for one table of alpha_bar and wrong for another: does your function use a name of the"
    " notebook, or numbers of its own, instead of its argument `alpha_bar`?"
)


def _not_a_number(value: Any) -> bool:
    return bool(torch.as_tensor(value).isnan().any())


def _refuse(found: Any, right: Any, mistakes: list[tuple[Any, str]], atol: float = 1e-6) -> None:
    """Name the first known mistake that the answer shows, where it differs from what is right."""
    for value, why in mistakes:
        reject(equal(found, value, atol) and not equal(value, right, atol), why)


@exercise("the noise of a step, from none at all to the ancestral one")
def check_sigma_of(sigma_of: Callable[..., Any]) -> None:
    """Exercise 1: the spread of the fresh noise, read from a table without its entry 0."""
    bar = linear().alpha_bar
    table = bar[1:]
    again = table.cumprod(0)
    for t, s in ((700, 300), (2, 1), (500, 499)):
        now, then, before = bar[t], bar[s], bar[t - 1]
        a, b = (1 - then) / (1 - now), 1 - now / then  # the two fractions of equation 16
        r_1 = (a * b).sqrt()
        for eta in (1.0, 0.5, 0.3):
            found, right = sigma_of(table, t, s, eta), eta * r_1
            require(torch.as_tensor(found).ndim == 0, "return one number.")
            reject(
                _not_a_number(found),
                "this is the root of a negative number: alpha_bar falls as t grows, so one of your"
                " fractions is upside down, or s and t are swapped.",
            )
            mistakes = [
                (right * r_1, "this is a variance. The step multiplies noise by its root."),
                (right**2, "this is a variance. The step multiplies noise by its root."),
                (
                    eta**0.5 * r_1,
                    "eta stands outside of the root: half of eta is half of the spread.",
                ),
                (r_1, "eta changes nothing."),
                (eta * right, "eta is there twice: it multiplies the two roots once."),
                (
                    eta * ((1 - then**0.5) / (1 - now**0.5) * (1 - (now / then) ** 0.5)).sqrt(),
                    "the table holds alpha_bar itself: no root of its entries.",
                ),
                (
                    eta
                    * ((1 - bar[s + 1]) / (1 - bar[t + 1]) * (1 - bar[t + 1] / bar[s + 1])).sqrt(),
                    "you are one step late. The table begins at time 1, so the entry of time t is"
                    " number t - 1.",
                ),
                (
                    eta
                    * (
                        (1 - again[s - 1]) / (1 - again[t - 1]) * (1 - again[t - 1] / again[s - 1])
                    ).sqrt(),
                    "you multiply the table up once more. `cumprod` in its name says that this is"
                    " done: these are the alpha_bar, which DDIM's paper calls alpha.",
                ),
                ((1 - eta) * r_1, "eta = 1 must add DDPM's noise: here it adds none."),
                (
                    eta * b.sqrt(),
                    "this is sigma-hat, the larger one: it lacks the factor that makes beta-tilde.",
                ),
                (
                    eta * (b / a).sqrt(),
                    "the fraction of noise levels is upside down: at s = 0 there must be no noise.",
                ),
                (
                    eta * (1 - then).sqrt(),
                    "1 - alpha_bar_t is all the noise up to t. The step from s to t adds"
                    " 1 - alpha_bar_t / alpha_bar_s.",
                ),
                (
                    eta * (a * (1 - now / before)).sqrt(),
                    "the second fraction is that of a single step. This step goes from t to s.",
                ),
                (
                    eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt(),
                    "this is the step from t to t - 1. Yours goes from t to s.",
                ),
                (eta * a * b.sqrt(), "the root goes over both fractions."),
                (eta * a.sqrt() * b, "the root goes over both fractions."),
                (
                    (1 - then - right**2).sqrt(),
                    "this is what is left for the old direction. Asked is the fresh noise.",
                ),
            ]
            _refuse(found, right, mistakes)
            require(
                equal(found, right, 1e-6),
                f"at t = {t}, s = {s}, eta = {eta} the value is not the one of the"
                " paper's equation 16 (section 2).",
            )
        require(equal(sigma_of(table, t, s, 0.0), 0.0, 1e-6), "with eta = 0 nothing may be added.")
    last = sigma_of(table, 50, 0, 1.0)
    reject(
        _not_a_number(last),
        "at s = 0 the answer is nan. Number s - 1 is then -1, which Python reads without complaint"
        " as the *last* entry, the noisiest. alpha_bar_0 = 1 is not in the table: supply it.",
    )
    require(equal(last, 0.0, 1e-6), "at s = 0, where alpha_bar is 1, nothing may be added.")
    bar = cosine().alpha_bar
    right = ((1 - bar[300]) / (1 - bar[700]) * (1 - bar[700] / bar[300])).sqrt()
    own = OWN_TABLE.replace("`alpha_bar`", "`alphas_cumprod`")
    require(equal(sigma_of(bar[1:], 700, 300, 1.0), right, 1e-6), own)


@exercise("one step shows what the network said, and so all steps from there")
def check_elsewhere(elsewhere: Callable[..., Any]) -> None:
    """Exercise 2: where a deterministic step from t to s would have ended at r."""
    x_0, eps = torch.randn(2, 2, 3, dtype=torch.float64)
    for bar, t, s, r in (
        (linear().alpha_bar, 260, 200, 400),
        (linear().alpha_bar, 260, 200, 60),
        (linear().alpha_bar, 500, 0, 250),
        (cosine().alpha_bar, 700, 300, 0),
    ):
        alpha, sigma = bar.sqrt(), (1 - bar).sqrt()
        x_t, x_s, right = (alpha[i] * x_0 + sigma[i] * eps for i in (t, s, r))
        z_t, z_s, n = x_t / alpha[t], x_s / alpha[s], sigma / alpha

        def along(a: Tensor, b: Tensor, clock: Tensor, at: tuple[int, ...] = (t, s, r)) -> Tensor:
            now, then, other = clock[list(at)]
            return a + (other - now) / (then - now) * (b - a)

        found = elsewhere(x_t, x_s, bar, t, s, r)
        require(torch.as_tensor(found).shape == x_t.shape, "return a tensor of the shape of x_t.")
        reject(_not_a_number(found), "there is nan in it: a root of less than 0, or 0 / 0.")
        times = torch.arange(len(bar)).double()
        mistakes = [
            (x_t, "this is x_t: nothing moved."),
            (x_s, "this is x_s: r changes nothing."),
            (along(x_t, x_s, times), "the walk is straight, but neither in x nor over t."),
            (along(x_t, x_s, n), "it is x / alpha that is straight over n, not x itself."),
            (alpha[r] * along(z_t, z_s, times), "x / alpha is straight over n, not over t."),
            (alpha[r] * along(z_t, z_s, sigma), "x / alpha is straight over n = sigma / alpha."),
            (alpha[r] * along(z_t, z_s, n**2), "n is a ratio of spreads: its root is missing."),
            (alpha[r] * along(z_t, z_s, n.log()), "it is straight over n, not over its logarithm."),
            (
                bar[r] * along(x_t / bar[t], x_s / bar[s], (1 - bar) / bar),
                "the roots are missing: alpha_bar is a variance, signal and noise take its root.",
            ),
            (
                alpha[r - 1]
                * along(x_t / alpha[t - 1], x_s / alpha[s - 1], n, (t - 1, s - 1, r - 1)),
                "this table begins with time 0: the entry of time t is `alpha_bar[t]`.",
            ),
            (along(z_t, z_s, n), "this is x / alpha, the straight coordinate. Come back: alpha_r."),
            (x_0, "this is the network's guess of x_0. Now noise it, to the level of r."),
            (alpha[r] * x_0, "the noise is gone: add what x_t holds of it, with the level of r."),
            (
                alpha[r] * (z_s + along(z_t, z_s, n) - z_t),
                "n counts from t, and you begin at s: take the two from one place.",
            ),
            (
                alpha[r] * (z_t + (n[s] - n[t]) / (n[r] - n[t]) * (z_s - z_t)),
                "the fraction is upside down: at r = s it must be 1, and at r = t it is 0.",
            ),
            (alpha[r] * x_0 + sigma[t] * eps, "the noise stays at t: both must move to r."),
            (
                (bar[r] / bar[t]).sqrt() * x_t + (1 - bar[r] / bar[t]).clamp(min=0).sqrt() * eps,
                "this noises x_t as if eps were fresh. It is the noise that x_t already holds.",
            ),
        ]
        _refuse(found, right, mistakes)
        why = "x_r is not alpha_r x_0 + sigma_r eps with the x_0 and eps that x_t and x_s share."
        require(equal(found, right), OWN_TABLE if r == 0 else why)


@exercise("what sigma-hat leaves behind")
def check_excess(excess: Callable[..., Any]) -> None:
    """Exercise 3: the variance that a step with sigma-hat adds beyond the exact one."""
    for bar, t, s, variance in (
        (linear().alpha_bar, 700, 300, 0.2),
        (linear().alpha_bar, 300, 100, 0.0),
        (linear().alpha_bar, 50, 20, 1.0),
        (cosine().alpha_bar, 700, 300, 0.4),
    ):
        now, then = bar[t], bar[s]
        beta, v_t, v_s = 1 - now / then, now * variance + 1 - now, then * variance + 1 - then
        tilde, exact = (1 - then) / (1 - now) * beta, v_s * beta / v_t
        right = beta - exact
        found = excess(bar, t, s, variance)
        require(torch.as_tensor(found).ndim == 0, "return one number.")
        mistakes = [
            (
                beta - tilde,
                "this is beta minus beta-tilde: it leaves out the variance that x_0 still has once"
                " x_t is known.",
            ),
            (
                tilde - exact,
                "this is the excess of beta-tilde, which is a lack. Sigma-hat squared is beta.",
            ),
            (beta**2 - exact, "beta is the variance already: sigma-hat is its root."),
            (-right, "the sign: it adds too much, not too little."),
            (
                then * beta * (1 - variance) / v_t,
                "beta enters twice: once as the factor of (v_t - v_s) / v_t, and again in"
                " v_t - v_s.",
            ),
            (
                then * beta**2 * (1 - variance) / v_s,
                "the step starts at t: divide by v_t, the variance there.",
            ),
            (
                right.clamp(min=0).sqrt(),
                "this is a root: the excess is a difference of variances, and stays one.",
            ),
            (
                exact - tilde,
                "this is what eta = 1 lacks. Asked is what sigma-hat has too much.",
            ),
            (exact, "this is the exact variance. Asked is by how much beta exceeds it."),
            (beta, "this is all that sigma-hat adds. Take away what the exact step needs."),
            (
                beta - v_s,
                "v_s is the variance of x_s over all data. Once x_t is known less is left of it:"
                " v_s beta / v_t.",
            ),
            (beta - v_t * beta / v_s, "the fraction is upside down: less is left at s, v_s / v_t."),
            (beta.sqrt() - exact.sqrt(), "this is a difference of spreads. Compare variances."),
            (
                then * beta**2 * (1 - variance**2) / (now * variance**2 + 1 - now),
                "`variance` is a variance already: do not square it.",
            ),
            (
                v_s - now / then * v_t,
                "the mean of the step has not the factor sqrt(alpha_bar_t / alpha_bar_s): that is"
                " the way up.",
            ),
        ]
        _refuse(found, right, mistakes)
        reject(t == 700 and variance == 0.4 and not equal(found, right, 1e-6), OWN_TABLE)
        require(
            equal(found, right, 1e-6),
            f"at t = {t}, s = {s}, data variance {variance} it is not the difference of the two.",
        )


@exercise("as much noise as there was, in the shares that were asked for")
def check_mix(mix: Callable[..., Any]) -> None:
    """Exercise 4: a weighted mix of several noises that is standard noise again."""
    noises = torch.randn(3, 400, dtype=torch.float64)
    for parts in ((1.0, 2.0, 1.0), (0.5, 0.3, 0.2), (0.0, 1.0, 0.0)):
        weights = torch.tensor(parts, dtype=torch.float64)
        line, length = weights @ noises, (weights**2).sum().sqrt()
        found, right = mix(noises, weights), line / length
        require(
            torch.as_tensor(found).shape == (400,),
            f"three noises of 400 numbers make one of 400; yours has the shape"
            f" {list(torch.as_tensor(found).shape)}.",
        )
        mistakes = [
            (line, "this is the plain mix. Its variance is the sum of the squared weights, not 1."),
            (
                line / weights.sum(),
                "the weights add up to 1 now, and the variance does not: that is the sum of their"
                " squares.",
            ),
            (
                line / length**2,
                "you divide by the variance of the mix. The noise is divided by its root.",
            ),
            (
                weights.sqrt() @ noises / weights.sum().sqrt(),
                "variance 1 it has, but the shares are in the ratio of the roots. Divide all by one"
                " number.",
            ),
            (
                line / line.norm() * 20,
                "you force the length to be sqrt(D). But the length of true noise varies: divide by"
                " what is known of the weights, not by what this draw happened to be.",
            ),
            (
                line / line.std(),
                "you divide by the spread that this draw happened to have. Then every mix has the"
                " same, which noise has not: divide by what is known of the weights.",
            ),
            (
                noises.mean(0) * 3**0.5,
                "variance 1 it has, but the weights change nothing.",
            ),
        ]
        _refuse(found, right, mistakes)
        require(
            equal(found, right),
            f"for weights {parts} it is not right: a mix of independent noises has the variance"
            " sum of w_i squared.",
        )
