"""Denoisers whose answer is known: a mixture of Gaussians, and a finite data set.

Every algorithm of the course is first run on one of these, so that what the algorithm does is
separated from what a network learned. Built by hand in chapter 0.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.core.types import Data, Denoise, PerExample, Points, Time
from course_lib.diffusion.schedules import NoiseSchedule


class GaussianMixture:
    """A weighted sum of Gaussians: density, score, samples, and what noise makes of it.

    means         [components, dim]
    covariances   [components, dim, dim], or standard deviations [components] for round ones
    weights       [components], positive; they are normalised. Equal if not given

    Raises ValueError if shapes disagree, a weight is not positive, or a covariance is not
    symmetric and positive semi-definite.
    """

    def __init__(
        self,
        means: Float[Tensor, "components dim"],
        covariances: Float[Tensor, "components dim dim"] | Float[Tensor, " components"],
        weights: Float[Tensor, " components"] | None = None,
    ):
        components, dim = means.shape
        if covariances.ndim == 1:
            covariances = covariances.square()[:, None, None] * torch.eye(dim, dtype=means.dtype)
        weights = torch.ones(components, dtype=means.dtype) if weights is None else weights
        if covariances.shape != (components, dim, dim) or weights.shape != (components,):
            raise ValueError(
                f"{components} means of {dim} numbers need covariances [{components}, {dim}, {dim}]"
                f" and weights [{components}];"
                f" got {list(covariances.shape)} and {list(weights.shape)}"
            )
        if bool((weights <= 0).any()):
            raise ValueError(f"weights must be positive, got {weights.tolist()}")
        # Rounding leaves a product such as A A' a little off, by more in float32.
        room = 10 * dim * torch.finfo(covariances.dtype).eps * covariances.abs().amax()
        flipped = covariances.transpose(1, 2)
        if bool(((covariances - flipped).abs() > room).any()):
            raise ValueError("covariances must be symmetric")
        # Noise changes only the eigenvalues of a covariance: nothing else is ever recomputed.
        variances, self.axes = torch.linalg.eigh((covariances + flipped) / 2)
        if bool((variances < -room).any()):
            raise ValueError(f"a covariance has the negative eigenvalue {variances.min():g}")
        self.variances = variances.clamp(min=0)
        self.means, self.weights = means, weights / weights.sum()

    @property
    def dim(self) -> int:
        """The number of coordinates."""
        return self.means.shape[1]

    def sample(self, n: int, seed: int = 0) -> Points:
        """n points; the same seed gives the same ones."""
        generator = torch.Generator().manual_seed(seed)
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.dim, generator=generator, dtype=self.means.dtype)
        spread = (self.axes * self.variances.sqrt()[:, None, :])[which]
        return self.means[which] + (spread @ noise[:, :, None])[:, :, 0]

    def noised(self, alpha: float | Tensor, sigma: float | Tensor) -> "GaussianMixture":
        """The law of alpha x_0 + sigma eps: a mixture again, its means moved, its clumps wider."""
        covariances = (self.axes * self.variances[:, None, :]) @ self.axes.transpose(1, 2)
        noise = torch.eye(self.dim, dtype=self.means.dtype) * sigma**2
        return GaussianMixture(alpha * self.means, alpha**2 * covariances + noise, self.weights)

    def log_prob(self, x: Points) -> PerExample:
        """log p(x) in nats.

        Needs covariances without zero eigenvalues: noise a mixture of points first.
        """
        one, zero = torch.ones(len(x), dtype=x.dtype), torch.zeros(len(x), dtype=x.dtype)
        return self._log_joint(x, one, zero).logsumexp(1)

    def score(self, x: Points) -> Points:
        """The gradient of log p at x."""
        one, zero = torch.ones(len(x), dtype=x.dtype), torch.zeros(len(x), dtype=x.dtype)
        responsible = self._log_joint(x, one, zero).softmax(1)
        offset = self._in_axes(x, one)  # [batch, components, dim]
        pull = torch.einsum("kij,bkj->bki", self.axes, -offset / self.variances)
        return (responsible[:, :, None] * pull).sum(1)

    def posterior_mean(self, x_t: Points, alpha: PerExample, sigma: PerExample) -> Points:
        """E[x_0 | x_t] for x_t = alpha x_0 + sigma eps, exactly, one noise level per example."""
        responsible = self._log_joint(x_t, alpha, sigma).softmax(1)
        a, s = alpha[:, None, None], sigma[:, None, None]
        # Within a component the answer is Gaussian conditioning, coordinate by coordinate.
        gain = a * self.variances / (a**2 * self.variances + s**2)
        shift = torch.einsum("kij,bkj->bki", self.axes, gain * self._in_axes(x_t, alpha))
        return (responsible[:, :, None] * (self.means + shift)).sum(1)

    def posterior(
        self, x_t: Float[Tensor, " dim"], alpha: float | Tensor, sigma: float | Tensor
    ) -> "GaussianMixture":
        """The law of x_0 given one noisy point x_t = alpha x_0 + sigma eps: a mixture again.

        Each component is conditioned by itself, and its weight becomes its share in x_t.
        Needs sigma > 0.
        """
        one = torch.ones(1, dtype=x_t.dtype)
        shares = self._log_joint(x_t[None], alpha * one, sigma * one).softmax(1)[0]
        shares = shares.clamp(min=torch.finfo(shares.dtype).tiny)  # weights must stay positive
        left = sigma**2 / (alpha**2 * self.variances + sigma**2)  # of a variance, once x_t is seen
        gain = alpha * self.variances / (alpha**2 * self.variances + sigma**2)
        shift = torch.einsum(
            "kij,kj->ki", self.axes, gain * self._in_axes(x_t[None], alpha * one)[0]
        )
        covariances = (self.axes * (left * self.variances)[:, None, :]) @ self.axes.transpose(1, 2)
        return GaussianMixture(self.means + shift, covariances, shares)

    def reverse_kernel(
        self, schedule: NoiseSchedule, x_t: Float[Tensor, " dim"], t: Tensor, s: Tensor
    ) -> "GaussianMixture":
        """The exact law of x_s given one x_t, s < t: what every reverse step imitates.

        x_t is keep x_s plus fresh noise, and x_s has the law `noised` (chapter 3). Data from one
        Gaussian has a Gaussian kernel at every step size; a mixture only in the limit s -> t.
        """
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (
            (schedule.alpha(time), schedule.sigma(time)) for time in (t, s)
        )
        keep = alpha_t / alpha_s
        fresh = (sigma_t**2 - keep**2 * sigma_s**2).sqrt()
        return self.noised(alpha_s, sigma_s).posterior(x_t, keep, fresh)

    def log_shares(
        self, x_t: Points, alpha: PerExample, sigma: PerExample
    ) -> Float[Tensor, "batch components"]:
        """log of the chance of each component given x_t: the perfect classifier of noisy points."""
        return self._log_joint(x_t, alpha, sigma).log_softmax(1)

    def denoiser(self, schedule: NoiseSchedule) -> Denoise:
        """The best possible denoiser for data from this mixture, in the socket of a trained one."""

        def denoise(x_t: Points, t: Time) -> Points:
            alpha, sigma = schedule(t, like=x_t)
            return self.posterior_mean(x_t, alpha[:, 0], sigma[:, 0])

        return denoise

    def low_res_denoiser(
        self, schedule: NoiseSchedule, see: Float[Tensor, "low dim"]
    ) -> Callable[..., Tensor]:
        """The perfect stage of a cascade: denoise(x_t, t, low_res=..., aug_t=...) -> x_0.

        E[x_0 | x_t, z_s], where z = see @ x_0 is the small picture and z_s what the forward process
        leaves of it at aug_t. All is Gaussian within a component, so x_t and z_s together are one
        linear observation of x_0 with known noise.

        see   what a small picture is made of, e.g. [[0.5, 0.5]]: the mean of two pixels

        Needs covariances without zero eigenvalues, and t > 0.
        """
        covariances = (self.axes * self.variances[:, None, :]) @ self.axes.transpose(1, 2)
        one = torch.eye(self.dim, dtype=self.means.dtype)

        def denoise(
            x_t: Points, t: Time, low_res: Float[Tensor, "batch low"], aug_t: Time
        ) -> Points:
            (alpha, sigma), (alpha_s, sigma_s) = (
                schedule(t, like=x_t),
                schedule(aug_t, like=low_res),
            )
            looks = torch.cat([alpha[..., None] * one, alpha_s[..., None] * see], 1)  # [n, m, d]
            noise = torch.cat([sigma.expand_as(x_t), sigma_s.expand_as(low_res)], 1).square()
            seen = torch.cat([x_t, low_res], 1)
            away = seen[:, None] - torch.einsum("nmd,kd->nkm", looks, self.means)
            cross = torch.einsum("nmd,kde->nkme", looks, covariances)
            spread = torch.einsum("nkme,nje->nkmj", cross, looks) + torch.diag_embed(noise)[:, None]
            pull = torch.linalg.solve(spread, away)  # [n, k, m]
            log_p = -0.5 * ((away * pull).sum(2) + torch.logdet(spread)) + self.weights.log()
            means = self.means + torch.einsum("nkm,nkmd->nkd", pull, cross)
            return (log_p.softmax(1)[:, :, None] * means).sum(1)

        return denoise

    def _in_axes(self, x: Tensor, alpha: Tensor) -> Tensor:
        """x minus each noised mean, in that component's axes: [batch, components, dim]."""
        offset = x[:, None, :] - alpha[:, None, None] * self.means
        return torch.einsum("kij,bki->bkj", self.axes, offset)

    def _log_joint(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """log of weight times density of each noised component: [batch, components]."""
        a, s = alpha[:, None, None], sigma[:, None, None]
        variance = a**2 * self.variances + s**2
        square = (self._in_axes(x, alpha).square() / variance).sum(2)
        return self.weights.log() - 0.5 * (
            square + variance.log().sum(2) + self.dim * math.log(2 * math.pi)
        )


class Dataset:
    """The law that puts equal weight on each of a finite number of examples, and nothing elsewhere.

    Its denoiser is the optimum of every denoising loss on that data set, and it can only return
    mixtures of the examples: it memorises (chapter 38).
    """

    def __init__(self, x_0: Data):
        if len(x_0) == 0:
            raise ValueError("a data set needs at least one example")
        self.x_0 = x_0

    def denoiser(self, schedule: NoiseSchedule) -> Denoise:
        """E[x_0 | x_t]: the mean of the examples, weighted by their chance to become x_t, t > 0."""
        flat = self.x_0.flatten(1)
        squares = flat.square().sum(1)

        def denoise(x_t: Data, t: Time) -> Data:
            alpha, sigma = (c.flatten(1) for c in schedule(t, like=x_t))  # [batch, 1]
            # |x_t - alpha x_0|² without the term that is the same for every example.
            distance = alpha**2 * squares - 2 * alpha * (x_t.flatten(1) @ flat.T)
            weights = (-distance / (2 * sigma**2)).softmax(1)
            return (weights @ flat).view_as(x_t)

        return denoise


class IndependentPixels:
    """Grey levels drawn pixel by pixel, each pixel with a table of its own and blind to the others.

    probabilities   [pixels, levels], each row adding up to 1; the levels lie evenly in [-1, 1]

    What it gives a picture is known exactly, and so is its denoiser: a bound that is computed with
    the one must come out as the other. Raises ValueError for rows that are no probabilities.
    """

    def __init__(self, probabilities: Float[Tensor, "pixels levels"]):
        rows = probabilities.sum(1)
        if bool((probabilities < 0).any()) or not torch.allclose(rows, torch.ones_like(rows)):
            raise ValueError("probabilities must be positive and add up to 1 in each row")
        self.log_p = probabilities.log()
        self.levels = torch.linspace(-1, 1, probabilities.shape[1], dtype=probabilities.dtype)

    def log_prob(self, x_0: Data) -> PerExample:
        """log of the probability of whole pictures, in nats. Their pixels must be levels."""
        place = (x_0.flatten(1) + 1) * (len(self.levels) - 1) / 2
        log_p = self.log_p.expand(len(x_0), -1, -1)
        return log_p.gather(2, place.round().long()[:, :, None]).sum((1, 2))

    def denoiser(self, schedule: NoiseSchedule) -> Denoise:
        """E[x_0 | x_t]: the mean of the levels, weighted by their chance to become x_t, t > 0."""

        def denoise(x_t: Data, t: Time) -> Data:
            alpha, sigma = (c.flatten(1)[:, :, None] for c in schedule(t, like=x_t))
            away = (x_t.flatten(1)[:, :, None] - alpha * self.levels) / sigma
            chances = (self.log_p - 0.5 * away.square()).softmax(2)
            return (chances @ self.levels).view_as(x_t).to(x_t.dtype)

        return denoise
