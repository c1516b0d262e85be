"""Autoencoders whose latents a diffusion model can work in: small pictures of large pictures.

An encoder shrinks a picture f times a side, a bottleneck limits what gets through, a decoder draws
it again; the loss compares by pixels, by eye (LPIPS) and by a critic of patches (Esser et al. 2020,
section 3.1; Rombach et al. 2021, section 3.1). Chapter 23 builds all of it by hand.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from course_lib.core.checks import one_of
from course_lib.core.types import Images
from course_lib.models.vae import kl_to_prior, reparametrise
from course_lib.nn.blocks import group_norm

Latents = Float[Tensor, "batch latent rows columns"]
Number = Float[Tensor, ""]
Compare = Callable[[Tensor, Tensor], Tensor]  # two batches of pictures -> a distance for each pair

LOG_VAR = (-30.0, 20.0)  # what the log-variance is held within


# ---- bottlenecks: what of the encoder's output gets through ------------------------------------


class Plain(nn.Module):
    """Everything gets through, at no price."""

    def __init__(self, channels: int):
        super().__init__()
        self.reads = self.channels = channels

    def forward(self, h: Tensor) -> tuple[Latents, Number]:
        return h, h.new_zeros(())

    def settled(self, h: Tensor) -> Latents:
        """What a picture's latents are when nothing is left to chance."""
        return h

    def ready(self, z: Latents) -> Latents:
        """Any latents as the decoder expects them."""
        return z


class Gaussian(Plain):
    """Noise is added, as much as the encoder says, and each nat of KL to N(0, I) costs a little.

    channels   of the latents; the encoder gives twice as many, mean and log-variance
    weight     of the KL, summed over a picture's latents, beside an error summed over its pixels
    values     how many values of the picture stand behind one place of the latents: 3 f²

    The penalty is per value of the picture, as a mean error is.
    """

    def __init__(self, channels: int, weight: float, values: int):
        super().__init__(channels)
        self.reads, self.weight, self.values = 2 * channels, weight, values

    def moments(self, h: Tensor) -> tuple[Latents, Latents]:
        """Mean and log-variance of q(z | x)."""
        mean, log_var = h.chunk(2, dim=1)
        return mean, log_var.clamp(*LOG_VAR)

    def forward(self, h: Tensor) -> tuple[Latents, Number]:
        mean, log_var = self.moments(h)
        nats = kl_to_prior(mean, log_var).sum(1).mean()  # of one place
        z = reparametrise(mean, log_var, torch.randn_like(mean))
        return z, self.weight * nats / self.values

    def settled(self, h: Tensor) -> Latents:
        """The mean of q(z | x)."""
        return self.moments(h)[0]


class Quantiser(Plain):
    """Each place of the latents becomes the nearest of `codes` vectors (van den Oord et al. 2017).

    Gradients pass as if nothing had happened: straight through. Two squares, averaged over all
    values, hold the two sides together: the codebook follows the encoder, and the encoder, `commit`
    times as eagerly, the codebook (their eq. 3).

    restart   move a code that is used less than a tenth as often as it would be if all were equal
              onto a random latent of the batch; without it, codes that lose once lose for ever
    """

    used: Tensor

    def __init__(self, channels: int, codes: int = 512, commit: float = 0.25, restart: bool = True):
        super().__init__(channels)
        self.commit, self.restart = commit, restart
        self.codebook = nn.Parameter((2 * torch.rand(codes, channels) - 1) / codes)
        # How often each code is used, lately, as a share. From 0, so that the first batch fills
        # the book.
        self.register_buffer("used", torch.zeros(codes))

    def nearest(self, h: Latents) -> Int[Tensor, "batch rows columns"]:
        """The number of the code nearest to each place (their eq. 1)."""
        with torch.autocast(h.device.type, enabled=False):  # in bf16 near codes look alike
            flat = h.movedim(1, -1).flatten(0, -2).to(self.codebook.dtype)
            apart = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T  # less |h|², common
        return apart.argmin(1).reshape(h.shape[0], *h.shape[2:])

    def look_up(self, ids: Int[Tensor, "batch rows columns"]) -> Latents:
        """The vectors of these codes, as latents (their eq. 2)."""
        return self.codebook[ids].movedim(-1, 1)

    def forward(self, h: Tensor) -> tuple[Latents, Number]:
        ids = self.nearest(h)
        if self.training:
            self._note(h.detach(), ids)
            ids = self.nearest(h)
        codes = self.look_up(ids)
        follow, commit = F.mse_loss(codes, h.detach()), F.mse_loss(h, codes.detach())
        return straight_through(h, codes), follow + self.commit * commit

    def settled(self, h: Tensor) -> Latents:
        """The encoder's output itself: a diffusion model works before the rounding.

        Rombach et al. 2021, section 3.1, count the rounding to the decoder.
        """
        return h

    def ready(self, z: Latents) -> Latents:
        """Latents rounded to the codebook."""
        return self.look_up(self.nearest(z))

    @torch.no_grad()
    def _note(self, h: Latents, ids: Tensor) -> None:
        count = ids.flatten().bincount(minlength=len(self.used))
        self.used.lerp_(count / count.sum(), 0.01)
        if self.restart:
            dead = self.used < 0.1 / len(self.used)
            flat = h.movedim(1, -1).flatten(0, -2)
            taken = flat[torch.randint(len(flat), (int(dead.sum()),), device=h.device)]
            self.codebook[dead] = taken.to(self.codebook.dtype)
            self.used[dead] = 1 / len(self.used)


def straight_through(h: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` in value; its gradient goes to h unchanged.

    van den Oord et al. 2017, section 3.2.
    """
    return h + (rounded - h).detach()


def perplexity(ids: Int[Tensor, "..."], codes: int) -> Number:
    """How many codes are in use, counting rare ones as less: exp of the entropy of their shares.

    1 if one code does everything, `codes` if all are used alike.
    """
    share = ids.flatten().bincount(minlength=codes) / ids.numel()
    return torch.special.entr(share).sum().exp()


# ---- encoder and decoder ------------------------------------------------------------------------


class Residual(nn.Module):
    """Two normalised convolutions beside a shortcut; at the start it is the shortcut alone."""

    def __init__(self, width: int):
        super().__init__()
        self.norms = nn.ModuleList(group_norm(width, 8) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.convs[1].weight)

    def forward(self, x: Latents) -> Latents:
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(F.silu(norm(h)))
        return x + h


def encoder(widths: Sequence[int], out: int, blocks: int = 1) -> nn.Sequential:
    """A picture to `out` channels at 1 / 2^len(widths) of its size.

    Squares of 2 × 2 become channels first, so no layer works at full size.
    """
    layers: list[nn.Module] = []
    before = 3
    for level, width in enumerate(widths):
        size = 3 if level == 0 else 1
        layers += [nn.PixelUnshuffle(2), nn.Conv2d(4 * before, width, size, padding=size // 2)]
        layers += [Residual(width) for _ in range(blocks)]
        before = width
    return nn.Sequential(
        *layers, group_norm(before, 8), nn.SiLU(), nn.Conv2d(before, out, 3, padding=1)
    )


def decoder(widths: Sequence[int], reads: int, blocks: int = 2) -> nn.Sequential:
    """Latents to a picture, 2^len(widths) times as large: the encoder's way back.

    The layer before the last is where pixels are made.
    """
    layers: list[nn.Module] = [nn.Conv2d(reads, widths[-1], 3, padding=1)]
    for width, after in zip(reversed(widths), [*reversed(widths[:-1]), 0], strict=True):
        layers += [Residual(width) for _ in range(blocks)]
        if after:
            layers += [nn.Conv2d(width, 4 * after, 1), nn.PixelShuffle(2)]
    return nn.Sequential(
        *layers,
        group_norm(widths[0], 8),
        nn.SiLU(),
        nn.Conv2d(widths[0], 12, 3, padding=1),
        nn.PixelShuffle(2),
    )


class FirstStage(nn.Module):
    """What a latent space needs: `Autoencoder`, `Pixels` and `KLAutoencoder` are such.

    f            how many pixels are as wide as a latent
    bottleneck   it knows how many channels latents have
    """

    f: int
    bottleneck: Plain

    def encode(self, x: Images) -> Latents:
        """Latents without chance."""
        raise NotImplementedError

    def decode(self, z: Latents) -> Images:
        """Pictures of latents."""
        raise NotImplementedError


class Autoencoder(FirstStage):
    """Pictures in [-1, 1] to latents and back.

    widths       of the layers at 1/2, 1/4, ... of the picture's size; f is 2^len(widths)
    bottleneck   `Plain`, `Gaussian` or `Quantiser`
    blocks       residual blocks at each size, of the encoder and of the decoder

    Convolutions only: any height and width that f divides will do.
    """

    def __init__(self, widths: Sequence[int], bottleneck: Plain, blocks: tuple[int, int] = (1, 2)):
        super().__init__()
        self.f, self.bottleneck = 2 ** len(widths), bottleneck
        self.encoder = encoder(widths, bottleneck.reads, blocks[0])
        self.decoder = decoder(widths, bottleneck.channels, blocks[1])

    def read(self, x: Images) -> Tensor:
        """The encoder's output, before the bottleneck.

        Raises ValueError for a size that f does not divide.
        """
        if x.shape[-1] % self.f or x.shape[-2] % self.f:
            raise ValueError(
                f"height and width must be multiples of {self.f}, got {list(x.shape[-2:])}: pad"
            )
        return self.encoder(x)

    def encode(self, x: Images) -> Latents:
        """Latents without chance: the mean, or what has not been rounded yet."""
        return self.bottleneck.settled(self.read(x))

    def decode(self, z: Latents) -> Images:
        """Pixels; a little outside [-1, 1] now and then."""
        return self.decoder(self.bottleneck.ready(z))

    def forward(self, x: Images) -> tuple[Images, Number]:
        """The picture drawn again, noise of the bottleneck included, and the bottleneck's price."""
        z, price = self.bottleneck(self.read(x))
        return self.decoder(z), price

    @property
    def last(self) -> Tensor:
        """The kernel of the layer that makes pixels, where gradients are weighed."""
        layer = self.decoder[-2]
        assert isinstance(layer, nn.Conv2d)
        return layer.weight


class Pixels(FirstStage):
    """An autoencoder that does nothing: f = 1, and diffusion in its latents is one in pixels."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.f, self.bottleneck = 1, Plain(channels)

    def encode(self, x: Images) -> Images:
        return x

    def decode(self, z: Images) -> Images:
        return z


class LatentSpace(nn.Module):
    """An autoencoder whose latents are scaled to variance 1, as the noise of diffusion has.

    scale   what latents are multiplied by (`scale_factor`)
    """

    scale: Tensor

    def __init__(self, autoencoder: FirstStage, scale: float | Tensor):
        super().__init__()
        self.autoencoder = autoencoder
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def encode(self, x: Images) -> Latents:
        """Scaled latents of pictures."""
        return self.scale * self.autoencoder.encode(x)

    def decode(self, z: Latents) -> Images:
        """Pictures of scaled latents."""
        return self.autoencoder.decode(z / self.scale)


def scale_factor(z: Latents) -> Number:
    """1 / standard deviation of all values of a batch of latents, about their mean.

    One number for all channels (Rombach et al. 2021, appendix G).
    """
    return 1 / z.std()


# ---- losses -------------------------------------------------------------------------------------


class PatchCritic(nn.Module):
    """A map of numbers, one for each patch: high where the picture looks real.

    Isola et al. 2016, section 3.2.2. Each number sees 15 × 15 pixels.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            group_norm(2 * width, 8),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, x: Images) -> Float[Tensor, "batch 1 rows columns"]:
        return self.layers(x)


def hinge_loss(real: Tensor, made: Tensor) -> Number:
    """The critic's loss: real patches should score above 1, made ones below -1.

    Lim & Ye 2017; half of it, as in VQGAN's code.
    """
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + made).mean())


def adaptive_weight(first: Number, second: Number, at: Tensor, most: float = 1e4) -> Number:
    """How much to weigh `second` so that it pulls on the weights `at` as hard as `first` does.

    The ratio of the lengths of the two gradients, without a gradient of its own (Esser et al. 2020,
    eq. 7, where 1e-6 is added to the divisor).
    """
    pulls = [torch.autograd.grad(loss, at, retain_graph=True)[0].norm() for loss in (first, second)]
    return (pulls[0] / (pulls[1] + 1e-6)).clamp(max=most).detach()


class Contest(nn.Module):
    """An autoencoder, and the critic that trains it."""

    def __init__(self, autoencoder: Autoencoder, width: int = 32):
        super().__init__()
        self.autoencoder, self.critic = autoencoder, PatchCritic(width)


class AutoencoderLoss(nn.Module):
    """Error by pixels and by eye, the bottleneck's price, and from some step on a critic's opinion.

    pixels       mean error of pixels
    perceptual   distance of two batches of pictures; None for none
    eye          its weight
    critic       the critic's weight, times `adaptive_weight`; 0 for none
    start        the step at which autoencoder and critic begin to play

    Both players' losses are in one sum; each has gradients for its own parameters only.
    """

    steps: Tensor

    def __init__(
        self,
        perceptual: Compare | None = None,
        *,
        pixels: Compare = F.l1_loss,
        eye: float = 1.0,
        critic: float = 0.0,
        start: int = 0,
    ):
        super().__init__()
        self.perceptual, self.pixels = perceptual, pixels
        self.eye, self.critic, self.start = eye, critic, start
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, model: Contest, cut_outs: UInt8[Tensor, "n 4 rows columns"]) -> Number:
        """The loss of one batch of cut-outs, seen from close up."""
        x = close_ups(cut_outs)
        made, price = model.autoencoder(x)
        error = self.pixels(made, x)
        if self.perceptual is not None:
            error = error + self.eye * self.perceptual(made, x).mean()
        loss = error + price
        if self.critic and int(self.steps) >= self.start:
            judge = hinge_loss(model.critic(x), model.critic(made.detach()))
            frozen = {name: value.detach() for name, value in model.critic.named_parameters()}
            fool = -functional_call(model.critic, frozen, (made,)).mean()
            weight = adaptive_weight(error, fool, model.autoencoder.last)
            loss = loss + self.critic * weight * fool + judge
        self.steps += 1
        return loss


# ---- what the course trains ---------------------------------------------------------------------


def close_ups(
    cut_outs: UInt8[Tensor, "n 4 rows columns"], side: int = 32, whole: float = 0.25
) -> Images:
    """Each cut-out from close up or as a whole, on a plain ground, mirrored or not; in [-1, 1].

    cut_outs   red, green, blue, already multiplied by cover, and cover; 0 to 255
    side       of what comes out: a window of the picture at a random place
    whole      how many are the whole picture instead, shrunk to `side`

    Half of the grounds are white, the others of any colour. Raises ValueError unless the whole is
    a multiple of `side`.
    """
    n, _, rows, columns = cut_outs.shape
    if rows % side or columns % side or rows != columns:
        raise ValueError(f"need squares whose side is a multiple of {side}, got {rows} x {columns}")
    device = cut_outs.device
    pictures = cut_outs.float()
    top, left = torch.randint(0, rows - side + 1, (2, n), device=device).tolist()
    windows = torch.stack(
        [p[:, a : a + side, b : b + side] for p, a, b in zip(pictures, top, left, strict=True)]
    )
    small = F.avg_pool2d(pictures, rows // side)
    pick = torch.rand(3, n, 1, 1, 1, device=device)
    seen = torch.where(pick[0] < whole, small, windows)
    seen = torch.where(pick[1] < 0.5, seen, seen.flip(3))
    ground = torch.where(pick[2] < 0.5, 1.0, torch.rand(n, 3, 1, 1, device=device))
    return (seen[:, :3] + (255 - seen[:, 3:]) * ground) / 127.5 - 1


WIDTHS = {2: (48,), 4: (40, 64), 8: (32, 48, 64)}
CHANNELS = {2: 3, 4: 4, 8: 16}


def emoji_autoencoder(f: int, kind: str = "kl", weight: float = 1e-6) -> Autoencoder:
    """For emoji of 64 × 64 or 32 × 32.

    f        how many times smaller a side becomes: 2, 4 or 8
    kind     "kl", "vq" or "plain"
    weight   of the KL, which the other two do not have
    """
    one_of(f, WIDTHS, "f")
    one_of(kind, ("kl", "vq", "plain"), "kind")
    channels = CHANNELS[f]
    bottlenecks: dict[str, Callable[[], Plain]] = {
        "kl": lambda: Gaussian(channels, weight, 3 * f * f),
        "vq": lambda: Quantiser(channels if f < 8 else 8),
        "plain": lambda: Plain(channels),
    }
    return Autoencoder(WIDTHS[f], bottlenecks[kind]())
