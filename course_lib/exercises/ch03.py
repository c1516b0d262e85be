"""The exercises of chapter 3: the posterior, a path's bound, a loss for any schedule, a term."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, factors, reject, require


@exercise("mean and variance of x_s, given x_t and x_0")
def check_posterior(posterior: Callable[..., Any]) -> None:
    """Exercise 1: q(x_s | x_t, x_0) from two pairs (alpha, sigma), s < t."""
    x_t, x_0 = torch.randn(2, 64).double()
    # One pair of levels whose alpha² + sigma² is 1, and two that no formula in beta alone fits.
    levels = [(0.6, 0.8), (0.8, 0.6)], [(0.5, 1.6), (0.9, 0.5)], [(1.0, 2.0), (1.0, 0.5)]
    for (a_t, n_t), (a_s, n_s) in levels:
        ours = posterior(x_t, x_0, *map(_number, (a_t, n_t, a_s, n_s)))
        require(
            isinstance(ours, tuple | list) and len(ours) == 2,
            "return two things: the mean and the variance.",
        )
        _diagnose_posterior(ours[0], ours[1], x_t, x_0, a_t, n_t, a_s, n_s)


def _diagnose_posterior(
    mean: Any,
    variance: Any,
    x_t: Tensor,
    x_0: Tensor,
    a_t: float,
    n_t: float,
    a_s: float,
    n_s: float,
) -> None:
    keep = a_t / a_s
    fresh = n_t**2 - keep**2 * n_s**2
    of_x_0, of_x_t = a_s * fresh / n_t**2, keep * n_s**2 / n_t**2
    right = fresh * n_s**2 / n_t**2
    each = torch.as_tensor(variance)
    if each.shape == x_t.shape and bool((each == each[0]).all()):
        variance = each[0]  # one for each point, all alike: right as well
    reject(
        equal(mean, right) or torch.as_tensor(variance).shape == x_t.shape != (),
        "return the mean first, one for each point, then the variance: one number, for it depends"
        " on the levels alone.",
    )
    reject(
        equal(variance, (1 - keep**2) * n_s**2 / n_t**2) and not equal(variance, right),
        "1 - keep² is the fresh noise only where alpha² + sigma² = 1. For any two levels it is"
        " sigma_t² - keep² sigma_s².",
    )
    reject(
        equal(variance, fresh * n_s / n_t),
        "the fresh noise is right, but variances compare by squares: sigma_s² / sigma_t².",
    )
    reject(
        equal(variance, fresh),
        "that variance is the fresh noise between s and t, what x_t adds. Knowing x_t as well as"
        " x_0 leaves less: multiply by sigma_s² / sigma_t².",
    )
    reject(
        equal(variance, n_s**2),
        "sigma_s² is what is open when x_0 alone is known. x_t tells something too.",
    )
    reject(
        equal(variance, math.sqrt(right)),
        "that is the standard deviation; return its square, the variance.",
    )
    reject(
        equal(variance, (n_t**2 - n_s**2) * n_s**2 / n_t**2) and a_t != a_s,
        "between s and t the old noise shrinks by keep = alpha_t / alpha_s. The fresh noise is"
        " sigma_t² - keep² sigma_s².",
    )
    beta, now = 1 - keep**2, 1 - a_t**2
    reject(
        now > 0 and equal(variance, beta * (1 - a_s**2) / now) and not equal(variance, right),
        "1 - alpha² is the noise only where alpha² + sigma² = 1. You are given the sigmas: use"
        " sigma_t² and sigma_s².",
    )
    reject(
        equal(variance, (n_t**2 - keep * n_s**2) * n_s**2 / n_t**2) and not equal(variance, right),
        "keep multiplies the noise of x_s, so its variance by keep²: fresh is sigma_t² - keep²"
        " sigma_s².",
    )
    reject(
        equal(variance, (n_t**2 - n_s**2 / keep**2) * n_s**2 / n_t**2)
        and not equal(variance, right),
        "keep is upside down: on the way from s to t the signal shrinks by alpha_t / alpha_s.",
    )
    reject(equal(variance, 1 / right), "that is the precision; the variance is one over it.")
    back = n_s**2 - n_t**2 / keep**2
    reject(
        equal(variance, n_t**2 / n_s**2 * back) and not equal(variance, right),
        "t and s are swapped: t is the noisier one, and the step goes down to s.",
    )
    require(
        equal(variance, right),
        "the variance is not (1/sigma_s² + keep²/fresh) to the -1. (Where alpha and sigma are"
        f" {a_t} and {n_t} at t, {a_s} and {n_s} at s, it is {right:.4f},"
        f" not {float(variance):.4f}.)",
    )
    reject(
        equal(mean, of_x_0 * x_t + of_x_t * x_0),
        "the two factors are swapped. If s is close to t, nearly all of the mean is x_t.",
    )
    reject(
        equal(mean, a_s * x_0),
        "alpha_s x_0 is the mean when x_0 alone is known: x_t is not in your answer.",
    )
    reject(
        equal(mean, of_x_0 / a_s * x_0 + of_x_t * x_t) and a_s != 1,
        "x_s holds alpha_s x_0, not x_0: the factor of x_0 lacks alpha_s.",
    )
    reject(
        equal(mean, of_x_0 * x_0 + of_x_t / keep * x_t) and keep != 1,
        "x_t tells of keep x_s, not of x_s: the factor of x_t lacks keep = alpha_t / alpha_s.",
    )
    reject(
        equal(mean, a_s * x_0 + n_s * (x_t - a_t * x_0) / n_t),
        "that is DDIM's step, which keeps the noise of x_t. The posterior's mean does not: complete"
        " the square as in section 4.",
    )
    reject(
        equal(mean, of_x_0 * keep * x_0 + of_x_t * x_t) and keep != 1,
        "the factor of x_0 has alpha_t; it is about x_s, so alpha_s.",
    )
    wanted = of_x_0 * x_0 + of_x_t * x_t
    require(
        equal(mean, wanted),
        f"the mean does not complete the square. (Here alpha and sigma are {a_t} and {n_t} at t,"
        f" {a_s} and {n_s} at s.)" + factors(mean, wanted, {"x_0": x_0, "x_t": x_t}),
    )


@exercise("the bound along one path, whatever the chain")
def check_path_bound(path_bound: Callable[..., Any]) -> None:
    """Exercise 2: -log p(x_T) + the sum over t of log q(x_t | x_{t-1}) - log p(x_{t-1} | x_t)."""
    T = 4
    path = torch.randn(T + 1, 8).double()
    forward, backward = torch.randn(2, T + 1).double()  # weights of a made-up chain, one for each t

    def log_q(x_t: Tensor, x_s: Tensor, t: int) -> Tensor:
        return forward[t] * (x_t - 2 * x_s).square()

    def log_p(x_s: Tensor, x_t: Tensor, t: int) -> Tensor:
        return backward[t] * (x_s + 3 * x_t).square()

    def log_prior(x: Tensor) -> Tensor:
        return -0.7 * x.square()

    ours = path_bound(path, log_q, log_p, log_prior)
    terms = torch.stack(
        [log_q(path[t], path[t - 1], t) - log_p(path[t - 1], path[t], t) for t in range(1, T + 1)]
    )
    end, right = -log_prior(path[T]), -log_prior(path[T]) + terms.sum(0)
    require(
        torch.as_tensor(ours).shape == end.shape,
        "`path` holds several paths side by side: sum over the steps, and keep one number for"
        " each path.",
    )
    steps = range(1, T + 1)
    reject(
        equal(
            ours,
            end
            + sum(forward[t] * (path[t - 1] - 2 * path[t]).square() for t in steps)
            - sum(log_p(path[t - 1], path[t], t) for t in steps),
        ),
        "log_q takes the later variable first: log_q(x_t, x_s, t).",
    )
    reject(
        equal(
            ours,
            end
            + sum(log_q(path[t], path[t - 1], t) for t in steps)
            - sum(backward[t] * (path[t] + 3 * path[t - 1]).square() for t in steps),
        ),
        "log_p takes the earlier variable first: log_p(x_s, x_t, t).",
    )
    reject(
        equal(
            ours,
            end
            + sum(forward[t - 1] * (path[t] - 2 * path[t - 1]).square() for t in steps)
            - sum(backward[t - 1] * (path[t - 1] + 3 * path[t]).square() for t in steps),
        ),
        "the step from x_{t-1} to x_t has the number t, not t - 1: they count from 1.",
    )
    reject(
        equal(ours, terms.sum(0)),
        "log p(x_T) is missing: the model pays for where its chain begins.",
    )
    reject(equal(ours, -right), "the sign: this is log p's lower bound. L is its negative.")
    reject(
        equal(ours, end + terms[1:].sum(0)),
        "the step t = 1 is missing: the decoder p(x_0 | x_1) and q(x_1 | x_0) belong to the sum.",
    )
    reject(equal(ours, end + terms[:-1].sum(0)), "the step t = T is missing: count up to T itself.")
    reject(
        equal(ours, -log_prior(path[0]) + terms.sum(0)),
        "the prior is the law of the last latent x_T, not of the data.",
    )
    reject(
        equal(ours, end + terms.mean(0)), "sum over the steps: probabilities of a path multiply."
    )
    reject(
        equal(ours, end - terms.sum(0)),
        "the steps have the wrong sign: log q stands above, log p below the line.",
    )
    reject(
        equal(ours, -end + terms.sum(0)),
        "log p(x_T) has the wrong sign: it stands with the model, below the line.",
    )
    reject(
        equal(ours, end - sum(log_p(path[t - 1], path[t], t) for t in steps)),
        "the forward steps are missing: the bound is the model against q.",
    )
    late = sum(forward[t - 1] * (path[t] - 2 * path[t - 1]).square() for t in steps)
    early = sum(backward[t - 1] * (path[t - 1] + 3 * path[t]).square() for t in steps)
    reject(
        equal(ours, end + late - sum(log_p(path[t - 1], path[t], t) for t in steps))
        or equal(ours, end + sum(log_q(path[t], path[t - 1], t) for t in steps) - early),
        "one of the two is told t - 1. The step between x_{t-1} and x_t has the number t, both"
        " ways.",
    )
    reject(equal(ours, right / T), "a sum over the steps, not their mean: probabilities multiply.")
    require(equal(ours, right), "it is not -log p(x_T) plus the sum of log q - log p.")


@exercise("one number for every schedule with the same ends")
def check_continuous_loss(continuous_loss: Callable[..., Any]) -> None:
    """Exercise 3: half the integral of the squared error over the signal-to-noise ratio."""
    std, high, low = 0.5, 5.0, -6.0
    t = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    schedules = {
        "straight": high + (low - high) * t,
        "slow at first": high + (low - high) * t**3,
        "fast at first": high + (low - high) * t.sqrt(),
    }

    def mmse(log_snr: Tensor) -> Tensor:
        """The smallest squared error in x_0 for data N(0, 0.5²)."""
        return std**2 / (1 + std**2 * log_snr.exp())

    right = 0.5 * math.log((1 + std**2 * math.exp(high)) / (1 + std**2 * math.exp(low)))
    ours = {name: continuous_loss(mmse, log_snr, t) for name, log_snr in schedules.items()}
    straight = ours["straight"]
    require(
        torch.as_tensor(straight).shape == (),
        "return one number: the integral, not its integrand at each t.",
    )
    reject(
        equal(straight, right / math.log(2), atol=1e-3),
        "these are bits. Nats are asked for: do not divide by log 2.",
    )
    snr = schedules["straight"].exp()
    reject(
        equal(straight, -0.5 * torch.trapezoid(snr, mmse(schedules["straight"])), atol=1e-3),
        "y and x are swapped: torch.trapezoid(y, x) with the errors for y and the SNR for x.",
    )
    reject(
        equal(straight, 2 * right, atol=1e-3),
        "twice too large: the divergence of two Gaussians has a 1/2.",
    )
    reject(
        equal(straight, -right, atol=1e-3),
        "the sign: SNR falls with t, so -SNR'(t) is positive, and so is a loss.",
    )
    error, steps = mmse(schedules["straight"]), t
    reject(
        equal(straight, 0.5 * torch.trapezoid(error, steps), atol=1e-3)
        or equal(straight, torch.trapezoid(error, steps), atol=1e-3),
        "the plain mean over t has no weight -SNR'(t): this number changes with the schedule.",
    )
    in_eps = error * schedules["straight"].exp()
    reject(
        equal(straight, 0.5 * torch.trapezoid(in_eps, steps), atol=1e-3)
        or equal(straight, torch.trapezoid(in_eps, steps), atol=1e-3),
        "that is the mean error in eps over t, L_simple's: it changes with the schedule.",
    )
    reject(
        equal(straight, 0.5 * (high - low) * torch.trapezoid(error, steps), atol=1e-3),
        "you integrate over log SNR: d SNR = SNR d log SNR, so a factor SNR is missing.",
    )
    reject(
        equal(straight, -0.5 * torch.trapezoid(in_eps, snr), atol=1e-2),
        "the factor SNR is in it twice: integrate the errors over the SNR, or SNR times the errors"
        " over log SNR.",
    )
    reject(
        equal(straight, -0.5 * torch.trapezoid(mmse(snr), snr), atol=1e-3)
        or equal(straight, -0.5 * torch.trapezoid(mmse(t), snr), atol=1e-3),
        "`mmse` takes the log SNR, the tensor that you were given.",
    )
    for name, loss in ours.items():
        require(
            equal(loss, right, atol=2e-3),
            f"for the schedule that is {name}, it should be {right:.4f}, not {float(loss):.4f}.",
        )


@exercise("the bound is complete, and no longer below the entropy")
def check_complete_bound(complete_bound: Callable[..., Any]) -> None:
    """Exercise 4: L_0, the steps, and L_T for data N(0, std²) with the posterior's variance."""
    for T, std in [(8, 1.7), (20, 0.5), (5, 1.0)]:
        alpha_bar = torch.cat([torch.ones(1), torch.linspace(0.95, 0.35, T)]).double()
        ours = complete_bound(alpha_bar, std)
        L_0, steps, L_T = _terms(alpha_bar, std)
        require(torch.as_tensor(ours).shape == (), "return one number: L_T needs alpha_bar[-1].")
        reject(
            equal(ours, L_T),
            "that is L_T alone. Add it to incomplete_bound(alpha_bar, std).",
        )
        reject(
            equal(ours, L_0 + steps + 2 * L_T),
            "L_T is twice too large: the divergence of two Gaussians has a 1/2.",
        )
        reject(
            equal(ours, (L_0 + steps + L_T) / math.log(2)),
            "these are bits. Nats are asked for: do not divide by log 2.",
        )
        total = alpha_bar[-1] * std**2 + 1 - alpha_bar[-1]
        reject(
            equal(ours, L_0 + steps),
            f"for T = {T} it is {float(ours):.3f}. A term is still missing: what does a chain pay"
            " that starts from N(0, 1), though x_T still holds signal?",
        )
        reject(
            equal(ours, L_0 + steps + 0.5 * (total - 1 - total.log())) and not equal(total, 1.0),
            "you took the divergence of all x_T together, N(0, v_T), from N(0, 1). In the bound,"
            " x_0 is known: average KL(q(x_T | x_0) || p(x_T)) over the data.",
        )
        reject(
            equal(ours, L_0 + steps + L_T / math.log(2)),
            "the other terms are in nats: do not divide L_T alone by log 2.",
        )
        reject(equal(ours, L_0 + steps - L_T), "a divergence is a price: add it.")
        reject(
            equal(ours, L_0 + steps - 0.5 * (1 - alpha_bar[-1]).log()) and std != 1,
            "the logarithm alone is not the divergence: mean and variance of x_T count too.",
        )
        known = L_0 + steps
        last = alpha_bar[-1]
        reject(
            std != 1 and equal(ours, known + 0.5 * (last * std - last - torch.log1p(-last))),
            "x_0 has the mean square s², and `std` is s.",
        )
        reject(
            equal(ours, known + 0.5 * (-last - torch.log1p(-last))),
            "the mean of x_T is missing: it is root(alpha_bar_T) x_0, and its square averages to"
            " alpha_bar_T s².",
        )
        reject(
            equal(ours, known + 0.5 * (last.sqrt() * std**2 - last - torch.log1p(-last)))
            or equal(ours, known + 0.5 * (last**2 * std**2 - last - torch.log1p(-last))),
            "the mean of x_T is root(alpha_bar_T) x_0, so its square is alpha_bar_T x_0².",
        )
        reject(
            equal(ours, known + 0.5 * (last * std**2 - last + torch.log1p(-last))),
            "the logarithm has the wrong sign: for q narrower than N(0, 1) it is a price.",
        )
        reject(
            equal(ours, known + 0.5 * (last * std**2 - last)),
            "the logarithm of the divergence is missing.",
        )
        reject(
            equal(
                ours,
                known + 0.5 * ((1 + last * std**2) / (1 - last) - 1 + torch.log1p(-last)),
            ),
            "that is KL(p(x_T) || q(x_T | x_0)): q stands first.",
        )
        reject(
            std != 1 and equal(ours, known + 0.5 * torch.log1p(std**2 * last / (1 - last))),
            "that is what x_T knows of x_0. A chain that starts from N(0, 1) pays more, unless all"
            " x_T together are N(0, 1).",
        )
        require(
            equal(ours, L_0 + steps + L_T),
            f"for T = {T}, std = {std} the bound is {float(L_0 + steps + L_T):.4f},"
            f" not {float(ours):.4f}.",
        )


def incomplete_bound(alpha_bar: Tensor, std: float) -> Tensor:
    """The bound of exercise 4 as a colleague wrote it, in nats: a term is missing."""
    L_0, steps, _ = _terms(alpha_bar, std)
    return L_0 + steps


def _terms(alpha_bar: Tensor, std: float) -> tuple[Tensor, Tensor, Tensor]:
    """L_0 with the exact last step, all L_{t-1} with the posterior's variance, and L_T."""
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])
    error = std**2 / (1 + std**2 * snr)  # of the best guess of x_0, at t = 1..T
    L_0 = 0.5 * (2 * math.pi * math.e * error[0]).log()
    steps = (0.5 * (snr[:-1] - snr[1:]) * error[1:]).sum()
    last = alpha_bar[-1]
    L_T = 0.5 * (last * std**2 - last - torch.log1p(-last))
    return L_0, steps, L_T


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
