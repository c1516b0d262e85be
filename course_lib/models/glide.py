"""GLIDE: a CLIP that knows noise steers a text-to-image model, and holes are filled by caption.

Nichol et al. 2021. The model that is steered is chapter 20's; CLIP guidance is chapter 16's with a
CLIP in the classifier's place, so all that is new here are towers, losses and input channels.
Built by hand in chapter 22.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.core.types import Data, Denoise, Images, PerExample, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import LogProb, classifier_free, clip
from course_lib.diffusion.schedules import cosine
from course_lib.diffusion.training import stratified_times
from course_lib.models.captions import Ids, TokenUNet, empty, from_noise, hide, with_places
from course_lib.models.clip import CLIP, ConvLevel, EndTower, clip_loss
from course_lib.models.palette import inpaint, keep_known
from course_lib.nn.embeddings import TimeMLP

Hole = Bool[Tensor, "batch 1 height width"]  # True where the picture is to be made anew

# ---- a CLIP for noised pictures -------------------------------------------------------------


class TimedTower(nn.Module):
    """An image tower that is told how noisy its picture is: f(x_t, t), one vector for each.

    Nichol et al. 2021, section 4.4. Pixels are told where they are, as in the model that draws.
    widths   channels at each level; height and width halve between them
    """

    def __init__(self, dim: int = 64, widths: Sequence[int] = (16, 24, 48), channels: int = 3):
        super().__init__()
        self.time = TimeMLP(16, 32)
        self.levels, self.shifts = nn.ModuleList(), nn.ModuleList()
        seen = channels + 2
        for level, width in enumerate(widths):
            self.levels.append(ConvLevel(seen, width, stride=1 if level == 0 else 2))
            self.shifts.append(nn.Linear(32, width))
            seen = width
        self.head = nn.Linear(seen, dim)

    def forward(self, x_t: Images, t: Time) -> Float[Tensor, "batch dim"]:
        told, x = self.time(t), with_places(x_t)
        for level, shift in zip(self.levels, self.shifts, strict=True):
            x = level(x) + shift(told)[:, :, None, None]
        return self.head(x.mean((2, 3)))


def timed_clip(vocabulary: int, length: int) -> CLIP:
    """Scenes of any noise level and captions in pieces: model(x_t, tokens, t) gives all scores."""
    return CLIP(TimedTower(), EndTower(vocabulary, length))


def noised_clip_loss(model: CLIP, x_0: Images, tokens: Ids) -> Float[Tensor, ""]:
    """`clip_loss` of pictures noised to a random time, each to its own, 0 among them.

    The schedule is that of the model to be steered (Nichol et al. 2021, section 4.4).
    """
    t = torch.randint(cosine().T + 1, (len(x_0),), device=x_0.device)
    alpha, sigma = cosine()(t, like=x_0)
    return clip_loss(model(alpha * x_0 + sigma * torch.randn_like(x_0), tokens, t))


def clean_clip_loss(model: CLIP, x_0: Images, tokens: Ids) -> Float[Tensor, ""]:
    """The same without noise: a CLIP that judges, and should not steer."""
    return clip_loss(model(x_0, tokens, torch.zeros(len(x_0), device=x_0.device)))


def caption_score(model: CLIP, tokens: Ids) -> LogProb:
    """(x_t, t) -> scale f(x_t, t) . g(c), each picture with its own caption.

    Up to a constant it stands for log p(caption | x_t), which is what a guide has to be (Nichol et
    al. 2021, section 2.4): hand it to `guidance.classifier_guided`. Averaged over clean pictures it
    is the paper's CLIP score (section 5.2, footnote).

    tokens   one row for each picture
    """
    with torch.no_grad():
        texts = model.embed_texts(tokens)

    def score(x_t: Data, t: Time) -> PerExample:
        if len(x_t) != len(texts):
            raise ValueError(f"{len(x_t)} pictures but {len(texts)} captions; give one for each")
        return model.scale * (model.embed_images(x_t, t) * texts).sum(1)

    return score


# ---- holes ----------------------------------------------------------------------------------


def widened(conv: nn.Conv2d, more: int) -> nn.Conv2d:
    """The same convolution for `more` input channels behind its own, to which it is blind.

    Their weights are 0, so at first nothing changes, whatever they hold (Nichol et al. 2021,
    section 4.3). Raises ValueError for a convolution in groups, whose channels do not all meet.
    """
    if conv.groups != 1:
        raise ValueError(f"a convolution in {conv.groups} groups cannot be widened; need 1 group")
    wide = nn.Conv2d(
        conv.in_channels + more,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    )
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, : conv.in_channels] = conv.weight
        if conv.bias is not None and wide.bias is not None:
            wide.bias.copy_(conv.bias)
    return wide


class Inpainter(nn.Module):
    """A trained reader that also sees a picture with a hole: net(x_t, t, tokens, known, hole).

    It gets four more channels: three of colour, 0 in the hole, and a mask, 1 where the picture is
    known. The reader itself is taken over and changed, not copied.
    """

    def __init__(self, reader: TokenUNet):
        super().__init__()
        channels = reader.unet.in_channels - 2 * reader.places  # of the pictures alone
        stem = reader.unet.stem
        assert isinstance(stem, nn.Conv2d)
        reader.unet.stem = widened(stem, channels + 1)
        reader.unet.in_channels += channels + 1
        self.reader = reader

    def forward(self, x_t: Images, t: Time, tokens: Ids, known: Images, hole: Hole) -> Images:
        kept = (~hole).to(x_t.dtype)
        return self.reader(x_t, t, tokens, torch.cat([known * kept, kept], 1))


def inpaint_loss(
    model: Denoiser, x_0: Images, tokens: Ids, p_uncond: float = 0.2
) -> Float[Tensor, ""]:
    """Mean squared error of what the network predicts, told all but a rectangle of the picture.

    The rectangle is of any size from a quarter of a side to all of it. A caption is hidden with
    chance p_uncond (Nichol et al. 2021, sections 4.2 and 4.3).
    """
    side = x_0.shape[-1]
    hole = inpaint(x_0, side // 4, side)
    given = hide(tokens, p_uncond)
    t = stratified_times(model.schedule, len(x_0), x_0.device)
    return model.loss(x_0, t, torch.randn_like(x_0), tokens=given, known=x_0, hole=hole).mean()


@torch.no_grad()
def fill(
    model: Denoiser,
    tokens: Ids,
    known: Images,
    hole: Hole,
    *,
    scale: float = 2.0,
    steps: int = 16,
    seed: int = 0,
) -> Images:
    """Fill holes as captions ask, by guided DDIM; what is known stays to the bit.

    An `Inpainter` sees what is known. Any other reader does not: there the known part of x_t is
    what the forward process makes of it, with one noise for the whole walk ("replacement", Nichol
    et al. 2021, section 4.3). Raises ValueError for a schedule without whole steps.
    """
    beside = {"known": known, "hole": hole} if isinstance(model.net, Inpainter) else {}
    condition = {"tokens": tokens} | beside
    null = {"tokens": empty(tokens)} | beside
    told: Denoise = clip(classifier_free(model, condition, null, scale))
    told = keep_known(told, known, hole)
    # The walk ends on the denoiser's last answer, so what is known is there to the bit.
    return from_noise(told, model.schedule, known, steps, seed)
