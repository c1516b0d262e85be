"""A small StyleGAN: a constant grows into a picture, and styles steer it at every resolution.

Karras et al. 2018 without the noise inputs and the growing, at 28 × 28 instead of 1024 × 1024. No
diffusion anywhere: chapter 13 needs it to show what the time embedding of later diffusion models
has in common with a style, and what not.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from course_lib.core.types import Images
from course_lib.nn.modulation import Modulate, ada_in

Latents = Float[Tensor, "batch style"]
Styles = Float[Tensor, "batch layers style"]
Logits = Float[Tensor, " batch"]

SLOPE = 0.2  # of the leaky units, below 0


class Mapping(nn.Module):
    """z, normalised, to a style w: two layers here, eight in the paper."""

    def __init__(self, style: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(style, style),
            nn.LeakyReLU(SLOPE),
            nn.Linear(style, style),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, z: Latents) -> Latents:
        return self.layers(F.normalize(z, dim=1) * z.shape[1] ** 0.5)


class StyleGenerator(nn.Module):
    """Noise z to a style w, and one style a layer to a picture: 7 × 7, 14 × 14, 28 × 28.

    widths   channels at each resolution
    style    length of z and of w

    `layers` counts the places where a style enters: two for each resolution.
    """

    def __init__(self, widths: tuple[int, ...] = (64, 32, 16), style: int = 64, side: int = 7):
        super().__init__()
        self.style, self.layers = style, 2 * len(widths)
        self.mapping = Mapping(style)
        self.constant = nn.Parameter(torch.randn(1, widths[0], side, side))
        before = (widths[0], *widths[:-1])
        pairs = [p for a, b in zip(before, widths, strict=True) for p in ((a, b), (b, b))]
        # The constant takes the place of the first convolution.
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs[1:])
        self.steer = nn.ModuleList(ada_in(b, style) for _, b in pairs)
        self.out = nn.Conv2d(widths[-1], 1, 1)
        # Styles must differ from the start: what all z share at first, they may go on sharing.
        for layer in self.mapping.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, a=SLOPE)
                nn.init.zeros_(layer.bias)
        for module in self.steer:
            if isinstance(module, Modulate):
                nn.init.normal_(module.read.weight, std=style**-0.5)
                nn.init.zeros_(module.read.bias)

    def forward(self, z: Latents) -> Images:
        """One picture for each z, with the same style everywhere."""
        return self.synthesis(self.everywhere(z))

    def everywhere(self, z: Latents) -> Styles:
        """The style of z, once for each layer."""
        return self.mapping(z)[:, None].expand(-1, self.layers, -1)

    def synthesis(self, styles: Styles) -> Images:
        """Pixels in [-1, 1] from one style for each layer.

        Raises ValueError for another number of styles.
        """
        if styles.shape[1] != self.layers:
            raise ValueError(f"need {self.layers} styles a picture, got {styles.shape[1]}")
        h = self.constant.expand(len(styles), -1, -1, -1)
        for layer, steer in enumerate(self.steer):
            if layer:
                if layer % 2 == 0:
                    h = F.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
                h = F.leaky_relu(self.convs[layer - 1](h), SLOPE)
            h, _ = steer(h, styles[:, layer])
        return self.out(h).tanh()


def mix(coarse: Styles, fine: Styles, crossover: int) -> Styles:
    """The first `crossover` layers take the coarse picture's styles, the rest the fine one's."""
    return torch.cat([coarse[:, :crossover], fine[:, crossover:]], dim=1)


class Critic(nn.Module):
    """One number a picture: high for what looks real. It also sees how varied the batch is."""

    def __init__(self, widths: tuple[int, int, int] = (24, 48, 96)):
        super().__init__()
        a, b, c = widths
        self.body = nn.Sequential(
            nn.Conv2d(1, a, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(a, b, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(b, c, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.last = nn.Sequential(
            nn.Conv2d(c + 1, c, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(9 * c, 1),
        )

    def forward(self, x: Images) -> Logits:
        h = self.body(x)
        # Spread over the batch, as one more channel (Karras et al. 2017): copies give it away.
        spread = (h.var(0, unbiased=False) + 1e-8).sqrt().mean()
        h = torch.cat([h, spread.expand(len(h), 1, *h.shape[2:])], dim=1)
        return self.last(h)[:, 0]


class StyleGAN(nn.Module):
    """A generator, and the critic that trains it."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = StyleGenerator(), Critic()


def style_gan_loss(
    model: StyleGAN, x_0: Images, penalty: float = 1.0, mixing: float = 0.9
) -> Float[Tensor, ""]:
    """Both players' losses in one sum; each has gradients for its own parameters only.

    Non-saturating logistic losses (Goodfellow et al. 2014) with R1 (Mescheder et al. 2018).

    penalty   gamma of R1, on an eighth of the batch
    mixing    the share of pictures made from two styles with a random crossover, without which
              layers would learn to rely on one another (Karras et al. 2018, section 3.1)
    """
    generator, critic = model.generator, model.critic
    made = generator.synthesis(random_styles(generator, len(x_0), mixing))
    some = x_0[: max(2, len(x_0) // 8)].requires_grad_(True)
    with torch.autocast(x_0.device.type, enabled=False):
        (slope,) = torch.autograd.grad(critic(some).sum(), some, create_graph=True)
    r1 = slope.square().flatten(1).sum(1).mean()
    judge = F.softplus(critic(made.detach())).mean() + F.softplus(-critic(x_0)).mean()
    frozen = {name: value.detach() for name, value in critic.named_parameters()}
    fool = F.softplus(-functional_call(critic, frozen, (made,))).mean()
    return judge + penalty / 2 * r1 + fool


def random_styles(generator: StyleGenerator, n: int, mixing: float = 0.0) -> Styles:
    """Styles of n random pictures, a share `mixing` of which change style at a random layer."""
    device = generator.constant.device
    a, b = generator.everywhere(torch.randn(2 * n, generator.style, device=device)).chunk(2)
    crossover = torch.randint(1, generator.layers, (n, 1), device=device)
    crossover = torch.where(torch.rand(n, 1, device=device) < mixing, crossover, generator.layers)
    first = torch.arange(generator.layers, device=device) < crossover
    return torch.where(first[:, :, None], a, b)
