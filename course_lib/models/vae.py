"""The variational autoencoder: an encoder guesses z from x, a decoder says how likely x is given z.

p(z) = N(0, I) and q(z | x) = N(mean, diag(exp(log_var))). Everything is in nats and summed over the
pixels and over the latent coordinates: a mean over either would silently change beta (chapter 2,
where all of this is built by hand).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.types import Data, PerExample
from course_lib.diffusion.likelihood import gaussian_kl, with_open_ends

Latents = Float[Tensor, "batch latent"]
ManyLatents = Float[Tensor, "k batch latent"]
AnyLatents = Float[Tensor, "batch *latent"]
LogLikelihood = Callable[[Tensor, Tensor], Tensor]  # (x, the decoder's output) -> nats per example

# From an eighth of the width of one of 256 grey levels to the whole range from black to white.
LOG_SCALES = (-7.0, 0.7)


# ---- What a decoder's output says about x: log p(x | z), one number per example -----------------
# (A fourth, the Gaussian cut into bins, is DDPM's too: `diffusion.likelihood`.)


def gaussian(x: Data, mean: Data, std: float | Tensor) -> PerExample:
    """Log-density of N(mean, std²) at x, in nats. A density: it can be positive."""
    std = torch.as_tensor(std, dtype=mean.dtype, device=mean.device)
    square = ((x - mean) / std).square()
    return -(0.5 * square + std.log() + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def bernoulli(x: Data, logits: Data) -> PerExample:
    """Log-probability of black and white pixels x in {0, 1}, in nats.

    Raises ValueError for any other value: on greys the same formula is no likelihood of anything.
    """
    if not bool(((x == 0) | (x == 1)).all()):
        raise ValueError(
            f"bernoulli needs pixels that are 0 or 1, got values in [{x.min():.3g}, {x.max():.3g}]."
            " Draw them (torch.bernoulli), threshold them, or take a decoder for greys"
        )
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def discretised_logistic(
    x: Data, mean: Data, scale: float | Tensor, levels: int = 256
) -> PerExample:
    """Log-probability of grey levels under a logistic law cut into bins (Kingma et al. 2016).

    As `likelihood.discretised_gaussian`, with heavier tails: a pixel that is far off costs
    |x - mean| / scale rather than its square.
    """
    scale = torch.as_tensor(scale, dtype=mean.dtype, device=mean.device)
    half = 1 / (levels - 1)
    below = F.logsigmoid((x + half - mean) / scale)
    above = F.logsigmoid((mean - x + half) / scale)
    # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)): no digits lost anywhere.
    inside = below + above + torch.log(-torch.expm1(-2 * half / scale))
    return with_open_ends(x, below, inside, above, half)


def logistic_pixels(x: Data, out: Tensor, levels: int = 256) -> PerExample:
    """`discretised_logistic` whose decoder gives each pixel a mean and a log-scale: two channels.

    The scale lets the decoder say which pixels it cannot know.
    """
    mean, log_scale = out.chunk(2, dim=1)
    return discretised_logistic(x, mean, log_scale.clamp(*LOG_SCALES).exp(), levels)


def draw_pixels(out: Tensor, uniform: Tensor, levels: int = 256) -> Tensor:
    """Grey levels in [-1, 1] drawn from the law of `logistic_pixels`, by its inverse.

    uniform   noise in (0, 1), one number for each pixel
    """
    mean, log_scale = out.chunk(2, dim=1)
    x = mean + log_scale.clamp(*LOG_SCALES).exp() * torch.logit(uniform)
    steps = (x.clamp(-1, 1) + 1) * (levels - 1) / 2
    return steps.round() * 2 / (levels - 1) - 1


# ---- The model and its bounds -------------------------------------------------------------------


class VAE(nn.Module):
    """A latent-variable model and the encoder that trains it (Kingma & Welling 2013).

    encoder          x -> [batch, 2 latent], the means and the log-variances of q(z | x)
    decoder          z [batch, latent] -> whatever `log_likelihood` reads
    log_likelihood   (x, decoder's output) -> log p(x | z), one number per example, in nats
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, log_likelihood: LogLikelihood, latent: int
    ):
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.log_likelihood = log_likelihood

    def posterior(self, x: Data) -> tuple[Latents, Latents]:
        """Mean and log-variance of q(z | x)."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var

    def terms(self, x: Data, eps: Latents) -> tuple[PerExample, Latents]:
        """Log p(x | z) at one reparametrised z, and KL(q(z | x) || p(z)) per coordinate; nats.

        Their difference, summed over the coordinates, estimates the ELBO without bias
        (Kingma & Welling 2013, eq. 10).
        """
        mean, log_var = self.posterior(x)
        z = reparametrise(mean, log_var, eps)
        return self.log_likelihood(x, self.decoder(z)), kl_to_prior(mean, log_var)

    def loss(self, x: Data, eps: Latents, beta: float = 1.0) -> Float[Tensor, ""]:
        """Mean of -log p(x | z) + beta KL: the negative ELBO at beta = 1 (Higgins et al. 2017)."""
        log_likelihood, kl = self.terms(x, eps)
        return (beta * kl.sum(1) - log_likelihood).mean()


def reparametrise(mean: AnyLatents, log_var: AnyLatents, eps: AnyLatents) -> AnyLatents:
    """z ~ q(z | x) as a function of noise that knows nothing of the parameters."""
    return mean + (0.5 * log_var).exp() * eps


def kl_to_prior(mean: AnyLatents, log_var: AnyLatents) -> AnyLatents:
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each coordinate, in nats (their appendix B)."""
    return gaussian_kl(mean, log_var.exp(), torch.zeros_like(mean), torch.ones_like(mean))


def log_weights(
    vae: VAE, x: Data, eps: ManyLatents, widen: float = 1.0
) -> Float[Tensor, "k batch"]:
    """log p(x, z) - log of the density that z was drawn from, in nats, for k draws of z.

    z comes from q(z | x), its standard deviations multiplied by `widen`: a little more than 1 finds
    places that a too confident encoder never visits.
    """
    mean, log_var = vae.posterior(x)
    log_var = log_var + 2 * math.log(widen)
    rows = []
    for e in eps:
        z = reparametrise(mean, log_var, e)
        # log p(z) - log q(z): the constants of the two Gaussians cancel.
        prior = 0.5 * (e.square() - z.square() + log_var).sum(1)
        rows.append(vae.log_likelihood(x, vae.decoder(z)) + prior)
    return torch.stack(rows)


def iwae_bound(vae: VAE, x: Data, eps: ManyLatents, widen: float = 1.0) -> PerExample:
    """log of the mean of k importance weights: the ELBO at k = 1, log p(x) as k grows; nats.

    On average it rises with k and never passes log p(x) (Burda et al. 2015, theorem 1).
    """
    weights = log_weights(vae, x, eps, widen)
    return weights.logsumexp(0) - math.log(len(weights))


# ---- The networks of the course -----------------------------------------------------------------


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with SiLU between them; pictures are flattened first."""
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def fashion_vae(latent: int = 2, width: int = 96) -> VAE:
    """For 28 × 28 garments in [-1, 1]: small enough for a web page to run its decoder."""
    encoder = mlp(28 * 28, width, width, 2 * latent)
    decoder = mlp(latent, width, width, 2 * 28 * 28)
    decoder.append(nn.Unflatten(1, (2, 28, 28)))
    return VAE(encoder, decoder, logistic_pixels, latent)


def vae_loss(model: VAE, x: Data) -> Float[Tensor, ""]:
    """The negative ELBO of one batch in nats, with one fresh draw of noise per example."""
    return model.loss(x, torch.randn(len(x), model.latent, device=x.device))
