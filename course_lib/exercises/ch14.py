"""The exercises of chapter 14: a dial, the way up, the excess of sigma-hat, and a mix."""

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


@exercise("the way up undoes the way down")
def check_step_up(step_up: Callable[..., Any]) -> None:
    """Exercise 2: one step of inversion, with the indices where they belong."""
    x_s, eps = torch.randn(2, 2, 3, dtype=torch.float64)
    s, t = 200, 260

    def at(bar: Tensor, picture: int, noise: int, then: int, grain: int) -> Tensor:
        # x_0 from x_s with the factors of two times, then put back with those of two others
        x_0 = (x_s - (1 - bar[noise]).sqrt() * eps) / bar[picture].sqrt()
        return bar[then].sqrt() * x_0 + (1 - bar[grain]).sqrt() * eps

    bar = linear().alpha_bar
    now, then = bar[t], bar[s]
    n_s, n_t = ((1 - bar[i]).sqrt() / bar[i].sqrt() for i in (s, t))
    right = now.sqrt() * (x_s / then.sqrt() + (n_t - n_s) * eps)
    x_0 = (x_s - (1 - then).sqrt() * eps) / then.sqrt()
    found = step_up(x_s, eps, bar, s, t)
    require(torch.as_tensor(found).shape == x_s.shape, "return a tensor of the shape of x_s.")
    mistakes = [
        (at(bar, t, t, s, s), "this walks down: s is now the time you have, t the one you want."),
        (x_s, "nothing moved: taken out and put back at the same level. x_s has the level of s."),
        (
            now.sqrt() * x_s + (1 - now).sqrt() * eps,
            "this adds noise to x_s as if it were x_0. First find the x_0 in x_s.",
        ),
        (
            (now / then).sqrt() * x_s + (1 - now / then).sqrt() * eps,
            "this is a step of the noising chain, as if eps were fresh. It is the noise that x_s"
            " already holds: take it out at s, put it back at t.",
        ),
        (
            x_s / then.sqrt() + (n_t - n_s) * eps,
            "this is x / sqrt(alpha_bar), the coordinate in which the step is straight. Come back.",
        ),
        (
            now.sqrt() * (x_s / then.sqrt() - (n_t - n_s) * eps),
            "the noise has the wrong sign: on the way up it grows.",
        ),
        (
            now * (x_s - (1 - then) * eps) / then + (1 - now) * eps,
            "the roots are missing: alpha_bar is a variance, x_0 and eps take its root.",
        ),
        (
            at(bar, s, t, t, t),
            "x_0 comes out with the noise level of t. In x_s there is that of s.",
        ),
        (at(bar, s, s, t, s), "the picture moves to t, its noise stays at s: both must move."),
        (
            now.sqrt() * (x_s + (1 - then).sqrt() * eps) / then.sqrt() + (1 - now).sqrt() * eps,
            "a sign: to find x_0, subtract the noise from x_s.",
        ),
        (
            now.sqrt() * (x_s - (1 - then).sqrt() * eps) + (1 - now).sqrt() * eps,
            "x_s without its noise is alpha_s x_0. Divide by alpha_s to have x_0.",
        ),
        (x_0, "this is the x_0 in x_s. Now put it and the noise together at time t."),
        (now.sqrt() * x_0, "the noise is gone: add it back, with the level of t."),
        (
            now.sqrt() * x_0.clamp(-1, 1) + (1 - now).sqrt() * eps,
            "this clips x_0. What is cut off cannot be found again on the way down.",
        ),
    ]
    _refuse(found, right, mistakes)
    why = "x_t is not alpha_t x_0 + sigma_t eps with the x_0 and eps of x_s."
    require(equal(found, right), why)
    bar = cosine().alpha_bar
    require(equal(step_up(x_s, eps, bar, s, t), at(bar, s, s, t, t)), OWN_TABLE)


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
