"""The exercises of chapter 7: tables, posterior, conversions, five bugs, a wrong variance."""

from collections.abc import Callable
from itertools import count, product
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, factors, reject, require, two


@exercise("alpha_bar has T + 1 entries and begins with the clean data's 1")
def check_alpha_bar(alpha_bar_from: Callable[..., Any]) -> None:
    """Exercise 1: alpha_bar_0 ... alpha_bar_T from the betas (Ho et al. 2020, above eq. 4)."""
    ours = alpha_bar_from(torch.tensor([0.1, 0.2, 0.5]))
    reject(
        equal(ours, [0.9, 0.72, 0.36]),
        "these are T entries, and the products are right. The clean data's own is missing before"
        " them: alpha_bar_0 = 1.",
    )
    reject(
        equal(ours, [0.9, 0.72, 0.36, 1.0]),
        "the 1 is on the wrong side. It belongs to t = 0, the clean data, so it comes first.",
    )
    reject(
        equal(ours, [0.0, 0.9, 0.72, 0.36]),
        "alpha_bar_0 is the share of signal in clean data. That is all of it, not nothing.",
    )
    reject(
        equal(ours, [1.0, 0.9, 0.8, 0.5]),
        "1 - beta_t is what one step keeps, the paper's alpha_t. alpha_bar_t is the running product"
        " of all steps up to t.",
    )
    reject(
        equal(ours, [1.0, 0.1, 0.02, 0.01]),
        "a step with noise beta_t keeps 1 - beta_t of the variance. Multiply those, not the betas.",
    )
    reject(
        equal(ours, torch.tensor([1.0, 0.9, 0.72, 0.36]).sqrt()),
        "alpha_bar is a share of the variance, without a root. Its root is what multiplies x_0.",
    )
    reject(
        equal(ours, [1.0, 0.9, 0.7, 0.2]),
        "the betas do not add up: each step takes its share of what the steps before have left.",
    )
    reject(
        equal(ours, [1.0, 0.9, 0.72]),
        "the last step is missing: the table ends with alpha_bar_T.",
    )
    reject(
        equal(ours, [1.0, 0.9, 0.98, 0.99]),
        "what a step keeps is 1 - beta_t: take that first, then multiply up.",
    )
    reject(
        equal(ours, [0.9, 0.9, 0.72, 0.36]) or equal(ours, [0.9, 0.72, 0.36, 0.36]),
        "the length is right, and one entry stands there twice. Entry 0 is the clean data: 1.",
    )
    require(equal(ours, [1.0, 0.9, 0.72, 0.36]), "it is not 1, then the running product.")


@exercise("the posterior mean, from x_0 and from the noise")
def check_means(means: Callable[..., Any]) -> None:
    """Exercise 2: the mean of q(x_{t-1} | x_t, x_0) by eq. 7 and by eq. 11 (Ho et al. 2020)."""
    beta = torch.cat([torch.zeros(1), torch.linspace(0.01, 0.3, 20)])
    alpha_bar, t = (1 - beta).cumprod(0), 7
    # Three that do not belong together: for those that do, either formula would serve for both.
    x_t, x_0, eps = torch.randn(3, 64)
    ours = means(x_t, x_0, eps, beta, alpha_bar, t)
    ours = two(ours, "return two tensors: the mean from x_0, and the mean from eps.")
    from_eps = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps) / (1 - beta[t]).sqrt()
    reject(
        equal(ours[0], from_eps) and not equal(ours[1], from_eps),
        "the two are in the wrong order: first the mean from x_0, then the mean from eps.",
    )
    reject(
        equal(ours[0], from_eps),
        "the first must come from x_0, by eq. 7; this one comes from eps.",
    )
    for k in (t - 1, t + 1):
        shifted = alpha_bar[t - 1].sqrt() * beta[k] * x_0
        shifted = shifted + (1 - beta[k]).sqrt() * (1 - alpha_bar[t - 1]) * x_t
        reject(
            equal(ours[0], shifted / (1 - alpha_bar[t])),
            "beta_t is beta[t]: the tables have an entry 0, so nothing has to be shifted.",
        )
    _diagnose_mean_from_x_0(ours[0], x_t, x_0, beta[t], alpha_bar[t], alpha_bar[t - 1])
    reject(
        equal(ours[1], ours[0]),
        "the second must come from eps, by eq. 11; this one comes from x_0.",
    )
    _diagnose_mean_from_eps(ours[1], x_t, eps, beta[t], alpha_bar[t], alpha_bar[t - 1])
    first, _ = means(x_t, x_0, eps, beta, alpha_bar, 1)
    require(equal(first, x_0), "at t = 1 the mean from x_0 must be x_0 itself.")


def _diagnose_mean_from_x_0(
    ours: Any, x_t: Tensor, x_0: Tensor, beta: Tensor, now: Tensor, before: Tensor
) -> None:
    keep = (1 - beta).sqrt()
    of_x_0, of_x_t = before.sqrt() * beta / (1 - now), keep * (1 - before) / (1 - now)
    reject(
        equal(ours, now.sqrt() * beta / (1 - now) * x_0 + keep * x_t),
        "eq. 7 speaks of the step before: alpha_bar[t - 1] in both numerators, not alpha_bar[t].",
    )
    reject(
        equal(ours, now.sqrt() * beta / (1 - now) * x_0 + of_x_t * x_t),
        "the factor of x_0 has alpha_bar[t]; eq. 7 speaks of the step before, alpha_bar[t - 1].",
    )
    reject(
        equal(ours, of_x_0 * x_0 + keep * x_t),
        "the factor of x_t has 1 - alpha_bar[t] above and below; above it is the step before's.",
    )
    reject(
        equal(ours, (of_x_0 * x_0 + of_x_t * x_t) * (1 - now)),
        "both factors are still to be divided by 1 - alpha_bar_t.",
    )
    reject(
        equal(ours, of_x_0 * x_t + of_x_t * x_0),
        "the two factors are swapped. For small steps nearly all of the mean is x_t.",
    )
    reject(
        equal(ours, before * beta / (1 - now) * x_0 + of_x_t * x_t),
        "the factor of x_0 needs the root of alpha_bar[t - 1].",
    )
    reject(
        equal(ours, of_x_0 * x_0 + of_x_t * keep * x_t),
        "the factor of x_t needs the root of 1 - beta_t.",
    )
    reject(
        equal(ours, of_x_0 * x_0 + now.sqrt() * (1 - before) / (1 - now) * x_t),
        "the paper's alpha_t in the factor of x_t is 1 - beta_t, one step's. You took alpha_bar_t.",
    )
    reject(
        equal(ours, (of_x_0 * x_0 + of_x_t * x_t) * (1 - now) / (1 - before))
        or equal(ours, of_x_0 * (1 - now) / (1 - before) * x_0 + of_x_t * x_t),
        "below the line stands 1 - alpha_bar[t], of the noisier one, in both factors.",
    )
    reject(
        equal(ours, of_x_0 * x_0 + (keep**2 * (1 - before) / (1 - now)).sqrt() * x_t),
        "the root in the factor of x_t goes over 1 - beta_t alone.",
    )
    wanted = of_x_0 * x_0 + of_x_t * x_t
    require(
        equal(ours, wanted),
        f"the mean from x_0 is not eq. 7's. (Here beta_t is {beta:.4f}, alpha_bar {now:.4f} at t"
        f" and {before:.4f} at t - 1.)" + factors(ours, wanted, {"x_0": x_0, "x_t": x_t}),
    )


def _diagnose_mean_from_eps(
    ours: Any, x_t: Tensor, eps: Tensor, beta: Tensor, now: Tensor, before: Tensor
) -> None:
    keep, noise = (1 - beta).sqrt(), (1 - now).sqrt()
    reject(
        equal(ours, (x_t - beta / (1 - now) * eps) / keep),
        "in eq. 11 the noise is divided by the root of 1 - alpha_bar_t, a standard deviation.",
    )
    reject(
        equal(ours, x_t - beta / noise * eps),
        "the bracket of eq. 11 is still to be divided by the root of 1 - beta_t.",
    )
    reject(
        equal(ours, (x_t + beta / noise * eps) / keep),
        "the step goes back, so the noise is taken away: a minus before eps.",
    )
    reject(
        equal(ours, (x_t - noise * eps) / now.sqrt()),
        "that is x_0, all the way back. Eq. 11 goes one step: beta_t / root(1 - alpha_bar_t).",
    )
    reject(
        equal(ours, (x_t - beta / noise * eps) / keep**2),
        "the bracket is divided by the root of 1 - beta_t: the root is missing.",
    )
    reject(
        equal(ours, (x_t - beta / noise * eps) / now.sqrt()),
        "the paper's alpha_t in front of the bracket is 1 - beta_t, one step's. You took"
        " alpha_bar_t.",
    )
    reject(
        equal(ours, (x_t - beta.sqrt() / noise * eps) / keep),
        "in the bracket stands beta_t, without a root.",
    )
    reject(
        equal(ours, x_t - beta / noise * eps / keep),
        "the whole bracket is divided by the root of 1 - beta_t, x_t as well.",
    )
    reject(
        equal(ours, (x_t - beta / (1 - before).sqrt() * eps) / keep),
        "the noise is that of x_t: 1 - alpha_bar[t] under the root, not the step before's.",
    )
    wanted = (x_t - beta / noise * eps) / keep
    require(
        equal(ours, wanted),
        f"the mean from eps is not eq. 11's. (Here beta_t is {beta:.4f}, alpha_bar_t {now:.4f}.)"
        + factors(ours, wanted, {"x_t": x_t, "eps": eps}),
    )


@exercise("x_0 and v from the noise")
def check_conversions(x_0_and_v: Callable[..., Any]) -> None:
    """Exercise 3: solve x_t = alpha x_0 + sigma eps, then v = alpha eps - sigma x_0."""
    x_0, eps = torch.randn(2, 64)
    alpha, sigma = torch.tensor(0.6), torch.tensor(0.8)
    x_t = alpha * x_0 + sigma * eps
    ours = x_0_and_v(eps, x_t, alpha, sigma)
    ours = two(ours, "return two tensors: x_0 and v.")
    reject(
        equal(ours[0], alpha * eps - sigma * x_0) and equal(ours[1], x_0),
        "the two are in the wrong order: first x_0, then v.",
    )
    reject(
        equal(ours[0], (x_t - alpha * eps) / sigma),
        "alpha and sigma are swapped: in x_t, alpha goes with x_0 and sigma with the noise.",
    )
    reject(equal(ours[0], x_t - sigma * eps), "without the noise, alpha x_0 is left. Divide.")
    reject(
        equal(ours[0], (x_t - sigma**2 * eps) / alpha),
        "sigma is already the root of 1 - alpha_bar: it multiplies eps as it is, not squared.",
    )
    reject(equal(ours[0], (x_t - eps) / alpha), "the noise in x_t is sigma eps, not eps.")
    reject(
        equal(ours[0], (x_t + sigma * eps) / alpha),
        "the noise was added on the way: take it away.",
    )
    reject(
        equal(ours[0], (x_t - sigma * eps) / alpha**2)
        or equal(ours[0], (x_t - (1 - alpha).sqrt() * eps) / alpha.sqrt()),
        "alpha and sigma are the factors themselves, and no alpha_bar: neither root nor square.",
    )
    reject(
        equal(ours[0], x_0.clamp(-1, 1)),
        "nobody asked for a clip: these points may lie outside of [-1, 1].",
    )
    require(
        equal(ours[0], x_0),
        "x_0 does not solve x_t = alpha x_0 + sigma eps. (Here alpha is 0.6 and sigma 0.8.)"
        + factors(ours[0], x_0, {"x_t": x_t, "eps": eps}),
    )
    reject(
        equal(ours[1], alpha * eps + sigma * x_0),
        "in v, the signal is taken away: a minus before sigma x_0.",
    )
    reject(equal(ours[1], sigma * x_0 - alpha * eps), "v has the opposite sign: alpha eps - ...")
    reject(
        equal(ours[1], alpha * x_0 - sigma * eps),
        "alpha and sigma are swapped: in v, alpha goes with the noise.",
    )
    reject(
        equal(ours[1], eps - x_0),
        "eps - x_0 is the velocity of a flow (chapter 34). v weighs the two by alpha and sigma.",
    )
    reject(
        equal(ours[1], sigma * eps - alpha * x_0),
        "alpha and sigma are swapped: in v, alpha goes with the noise.",
    )
    reject(
        equal(ours[1], alpha * eps - sigma * x_t),
        "v is made of x_0 and the noise, and you put x_t in for x_0.",
    )
    wanted = alpha * eps - sigma * x_0
    require(
        equal(ours[1], wanted),
        "v is not alpha eps - sigma x_0. (Here alpha is 0.6 and sigma 0.8.)"
        + factors(ours[1], wanted, {"eps": eps, "x_0": x_0}),
    )


EpsModel = Callable[[Tensor, Tensor], Tensor]  # (x_t, alpha_bar_t) -> the noise in x_t

# The five bugs of exercise 4, in the order in which they stand in the code.
SYMPTOMS = (
    "with fewer steps than 1,000 the schedule does not reach noise: L_T is large",
    "the noisiest level is hardly noisy at all: its alpha_bar is what one step keeps",
    "beta-tilde of the first step is not 0, and the samples come out too large",
    "feed it unit-variance data: the x_0 it computes from x_t and the true noise is not x_0",
    "the result is not the denoiser's own answer at t = 1: there is a grain of noise on it",
)


def sampler_with_bugs(
    eps_model: EpsModel,
    x: Tensor,
    T: int,
    randn_like: Callable[[Tensor], Tensor],
    bugs: tuple[bool, ...] = (False,) * 5,
    tilde: bool = False,
    upper_end_alone: bool = False,
) -> Tensor:
    """Ancestral sampling with reverse variance beta, and with those of the five bugs asked for.

    bugs    schedule not rescaled with T; alpha for alpha_bar; alpha_bar of the step before off by
            one; 1 - alpha_bar without its root; noise at the last step
    tilde   the smaller reverse variance
    upper_end_alone  only the larger end of beta is rescaled with T
    """
    not_rescaled, not_product, off_by_one, no_root, last_noise = bugs
    scale = 1.0 if not_rescaled else 1000 / T
    low = 1e-4 if upper_end_alone else scale * 1e-4
    beta = torch.cat([torch.zeros(1), torch.linspace(low, scale * 0.02, T)])
    alpha_bar = 1 - beta if not_product else (1 - beta).cumprod(0)
    for t in range(T, 0, -1):
        now, before = alpha_bar[t], alpha_bar[t if off_by_one else t - 1]
        noise = (1 - now) if no_root else (1 - now).sqrt()
        x_0 = (x - noise * eps_model(x, now)) / now.sqrt()
        mean = before.sqrt() * beta[t] * x_0 + (1 - beta[t]).sqrt() * (1 - before) * x
        variance = beta[t] * (1 - before) / (1 - now) if tilde else beta[t]
        x = mean / (1 - now)
        if t > 1 or last_noise:
            x = x + variance.sqrt() * randn_like(x)
    return x


@exercise("all five bugs are gone")
def check_repaired_sampler(sampler: Callable[..., Any]) -> None:
    """Exercise 4: find the set of bugs, of 32, that reproduces the answer, and say what is left."""

    def eps_model(x: Tensor, alpha_bar: Tensor) -> Tensor:
        # The perfect noise prediction for data from N(0, 0.5²).
        return (1 - alpha_bar).sqrt() * x / (0.25 * alpha_bar + 1 - alpha_bar)

    start = torch.randn(64)
    for T in (50, 100):
        ours = sampler(eps_model, start, T, _noise())
        require(
            isinstance(ours, Tensor) and ours.shape == start.shape,
            f"return x_0, a tensor of the shape of x, {list(start.shape)}.",
        )
        # From 0, and with no noise before the last step, only noise at the last step leaves 0.
        last_noise = bool(sampler(eps_model, torch.zeros(64), T, _noise(silent=T - 1)).any())

        candidates = {
            (*bugs, last_noise): sampler_with_bugs(
                eps_model, start, T, _noise(), (*bugs, last_noise)
            )
            for bugs in product((False, True), repeat=4)
        }
        left = min(candidates, key=lambda bugs: _apart(ours, candidates[bugs]))
        with_tilde = sampler_with_bugs(eps_model, start, T, _noise(), tilde=True)
        reject(
            _apart(ours, with_tilde) < 1e-3,
            "no bug is left, but the task asks for the reverse variance beta_t, not beta-tilde.",
        )
        one_end = sampler_with_bugs(eps_model, start, T, _noise(), upper_end_alone=True)
        reject(
            _apart(ours, one_end) < 1e-3,
            "both ends of beta are multiplied by 1000 / T, the lower one as well.",
        )
        require(
            _apart(ours, candidates[left]) < 1e-3,
            "the samples differ from the paper's by something that was not there before. The noise"
            " of a step has the size root(beta_t), and eps_model takes alpha_bar_t, not t.",
        )
        symptoms = [symptom for bug, symptom in zip(left, SYMPTOMS, strict=True) if bug]
        reject(any(left), f"{sum(left)} of 5 bugs left. One symptom: {''.join(symptoms[:1])}.")


def _noise(silent: int = 0) -> Callable[[Tensor], Tensor]:
    """Noise that repeats, whoever draws it; the first `silent` draws are 0."""
    generator, draws = torch.Generator().manual_seed(0), count(1)
    return lambda x: torch.randn(x.shape, generator=generator) * (next(draws) > silent)


def _apart(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference in units of the largest sample; infinite if not a number."""
    gap = float((ours - theirs).abs().max() / theirs.abs().max())
    return gap if gap == gap else float("inf")


@exercise("what a wrong variance of the steps does to the samples")
def check_final_variance(final_variance: Callable[..., Any]) -> None:
    """Exercise 5: the variance that a whole walk ends with, for Gaussian data."""
    beta = torch.cat([torch.zeros(1), torch.linspace(0.02, 0.3, 8)]).double()
    bar = (1 - beta).cumprod(0)
    s = 0.4
    v = bar * s**2 + 1 - bar
    exact, smaller = (beta[1:] * part[:-1] / part[1:] for part in (v, 1 - bar))
    added = torch.cat([beta[:1], (exact + smaller) / 2])  # neither of the papers' two

    def walk(
        mean: Tensor, spread: Tensor = added, start: float = 1.0, last: int = 1, power: int = 2
    ) -> float:
        variance = start
        for t in range(8, last - 1, -1):
            variance = float(mean[t] ** power * variance + spread[t])
        return variance

    def factor(v: Tensor) -> Tensor:
        return torch.cat([v[:1], (1 - beta[1:]).sqrt() * v[:-1] / v[1:]])

    mean, keep = factor(v), (1 - beta).sqrt()
    given = final_variance(beta, bar, s, added)
    require(torch.as_tensor(given).numel() == 1, "return one number, the variance of x_0.")
    ours, right = float(given), walk(mean)

    def is_(*cases: float) -> bool:
        return any(equal(ours, case, 1e-6) for case in cases)

    reject(
        is_(s**2),
        "s² is what a right walk ends with. This one adds `added`, and not the exact variance.",
    )
    reject(is_(right**0.5), "that is a standard deviation. The variance is asked for.")
    reject(is_(walk(mean, power=1)), "the mean is a factor times x_t: its variance has the square.")
    reject(
        is_(walk(mean, added**2), walk(mean, added.sqrt())),
        "`added` holds variances already: add them as they are.",
    )
    reject(
        is_(walk(keep)),
        "root(1 - beta) is the way *up*. On the way down the factor is that of E[x_{t-1} | x_t]:"
        " covariance of the two, over the variance of x_t.",
    )
    reject(
        is_(walk(1 / keep)),
        "1 / root(1 - beta) undoes the shrinking and forgets that x_t holds fresh noise: the factor"
        " is the covariance of x_{t-1} and x_t, over the variance of x_t.",
    )
    reject(
        is_(walk(mean, last=2)),
        "the walk ends at x_1. The step from t = 1 belongs to it as well.",
    )
    reject(
        is_(walk(mean, start=float(v[-1])), walk(mean, start=float(1 - bar[-1]))),
        "the walk begins with pure noise of variance 1, whatever x_T has in training.",
    )
    reject(
        is_(walk(factor(bar * s + 1 - bar))),
        "s is a standard deviation. In a variance it stands squared.",
    )
    reject(
        is_(walk(factor(1 - bar))),
        "x_t holds signal as well as noise: its variance is alpha_bar_t s² + 1 - alpha_bar_t.",
    )
    require(
        is_(right),
        f"for 8 steps and s = {s} the walk ends with the variance {right:.4f}, not {ours:.4f}.",
    )
    ours = float(final_variance(beta, bar, 1.0, beta))
    require(
        equal(ours, 1.0, 1e-6),
        f"right for one case, but for s = 1 with beta it is 1, not {ours:.4f}: does your function"
        " use a number of its own, or a name of the notebook?",
    )
