"""From prompts to pictures through latents: draw, draw over, fill a hole.

One system, three parts: something that reads prompts, a denoiser of latents, an autoencoder. Stable
Diffusion is one (`stable_diffusion.py`), the course's emoji another (`emoji_system`): what follows
does not ask which. Built up in chapter 25.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib.core.tensors import seeded_randn_like
from course_lib.core.types import Data, Denoise, Images, RandnLike, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import classifier_free
from course_lib.diffusion.samplers import Step, ddim_step, walk
from course_lib.diffusion.schedules import DiscreteSchedule, spaced_times
from course_lib.models.autoencoder import Latents, LatentSpace
from course_lib.models.latent import LENGTH, Hole, latent_hole
from course_lib.models.palette import keep_known
from course_lib.models.tokenizer import Tokenizer

Read = Callable[[Sequence[str]], dict[str, Tensor]]  # prompts -> a condition, one row for each
Times = Callable[[DiscreteSchedule, int], Tensor]  # schedule, steps -> the times of the walk


@dataclass(frozen=True)
class TextToImage:
    """What draws for prompts.

    name       what it is, for whoever looks at its pictures
    times      `leading_times` for Stable Diffusion, `spaced_times` for ours
    scale      of guidance, where the caller gives none
    beside     whether the network is shown the hole and what is around it (Stable Diffusion's
               inpainting network does, with five channels more)
    """

    name: str
    read: Read
    model: Denoiser
    space: LatentSpace
    times: Times = spaced_times
    scale: float = 7.5
    beside: bool = False

    @property
    def schedule(self) -> DiscreteSchedule:
        """Of the walk. Raises ValueError for one without whole steps."""
        if not isinstance(self.model.schedule, DiscreteSchedule):
            raise ValueError("a walk in whole steps needs a DiscreteSchedule")
        return self.model.schedule


@torch.no_grad()
def draw(
    system: TextToImage,
    prompts: Sequence[str],
    *,
    height: int = 512,
    width: int = 512,
    negative: str = "",
    scale: float | None = None,
    steps: int = 50,
    seed: int = 0,
    step: Step = ddim_step,
    randn_like: RandnLike | None = None,
) -> Images:
    """A picture in [-1, 1] for each prompt, from noise.

    negative   what guidance leads away from: "" is the empty prompt
    step       how the walk goes; a multistep solver is new for each call, e.g. `PLMS()`
    seed       of the noise; the n-th picture of a batch begins at the seed's n-th noise
    randn_like draws the noise in place of the seed

    Raises ValueError for a height or width that f does not divide.
    """
    noise = (randn_like or seeded_randn_like(seed))(_blank(system, len(prompts), height, width))
    told = guided(system, prompts, negative, scale)
    return _finish(system, told, noise, _times(system, steps), step)


@torch.no_grad()
def draw_over(
    system: TextToImage,
    pictures: Images,
    prompts: Sequence[str],
    *,
    strength: float = 0.8,
    negative: str = "",
    scale: float | None = None,
    steps: int = 50,
    seed: int = 0,
    step: Step = ddim_step,
) -> Images:
    """Pictures drawn anew from their noised selves ("img2img"; Meng et al. 2021, SDEdit).

    strength   which share of the steps is taken: `first_step`. Near 0 the picture comes back, at 1
               hardly anything of it is left
    """
    times = _times(system, steps)[first_step(strength, steps) :]
    z = system.space.encode(pictures)
    if len(times) < 2:
        return system.space.decode(z).clamp(-1, 1)
    z_t = _noised(system, z, seeded_randn_like(seed)(z), times[0])
    return _finish(system, guided(system, prompts, negative, scale), z_t, times, step)


def first_step(strength: float, steps: int) -> int:
    """How many of the steps are left out at this strength: steps - whole part of steps x strength.

    Raises ValueError unless 0 <= strength <= 1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be 0 (nothing changes) to 1, got {strength}")
    return steps - int(steps * strength)


@torch.no_grad()
def fill_in(
    system: TextToImage,
    pictures: Images,
    hole: Hole,
    prompts: Sequence[str],
    *,
    reach: int = 0,
    negative: str = "",
    scale: float | None = None,
    steps: int = 50,
    seed: int = 0,
    step: Step = ddim_step,
) -> Images:
    """Draw the holes of pictures by prompts ("inpainting"); what is around them stays as it was.

    hole    True where a picture is to be drawn anew
    reach   as in `latent_hole`: how many latents around the hole are drawn anew as well

    A network that is shown the hole gets the latents of the picture whose hole is grey, and the
    hole in latents. Any other is told by `keep_known` what is around, at each step.
    """
    noise = seeded_randn_like(seed)(_blank(system, len(pictures), *pictures.shape[2:]))
    times = _times(system, steps)
    open_z = latent_hole(hole, system.space.autoencoder.f, reach).expand(len(pictures), -1, -1, -1)
    if system.beside:
        around = system.space.encode(torch.where(hole, 0.0, pictures))
        also = {"beside": torch.cat([open_z.to(around.dtype), around], 1)}
        told = guided(system, prompts, negative, scale, also)
        made = _finish(system, told, noise, times, step)
    else:
        known = system.space.encode(pictures)
        told = keep_known(guided(system, prompts, negative, scale), known, open_z)
        begin = torch.where(open_z, noise, _noised(system, known, noise, times[0]))
        made = _finish(system, told, begin, times, step)
    return torch.where(hole, made, pictures)


def guided(
    system: TextToImage,
    prompts: Sequence[str],
    negative: str = "",
    scale: float | None = None,
    also: dict[str, Tensor] | None = None,
) -> Denoise:
    """The system's denoiser, led towards prompts and away from the negative one.

    also   conditions that both sides know
    """
    yes, no = system.read(prompts), system.read([negative])
    if also:
        yes, no = (
            yes | also,
            {name: row.expand(len(prompts), *row.shape[1:]) for name, row in no.items()} | also,
        )
    return classifier_free(system.model, yes, no, system.scale if scale is None else scale)


def emoji_system(model: Denoiser, space: LatentSpace, tokenizer: Tokenizer) -> TextToImage:
    """The course's text-to-emoji model (chapter 24) as such a system: 64 x 64, DDIM to time 0."""

    def read(prompts: Sequence[str]) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        return {"tokens": tokenizer.batch(prompts, LENGTH).to(device)}

    return TextToImage("the course's text-to-emoji model", read, model, space, scale=3.0)


def _times(system: TextToImage, steps: int) -> Int[Tensor, " times"]:
    return system.times(system.schedule, steps)


def _blank(system: TextToImage, n: int, height: int, width: int) -> Latents:
    f = system.space.autoencoder.f
    if height % f or width % f or min(height, width) < f:
        raise ValueError(f"height and width must be multiples of {f}, got {height} x {width}")
    channels = system.space.autoencoder.bottleneck.channels
    return torch.empty(n, channels, height // f, width // f, device=system.space.scale.device)


def _noised(system: TextToImage, z: Latents, noise: Latents, t: Int[Tensor, ""]) -> Latents:
    alpha, sigma = system.schedule(t.to(z.device).expand(len(z)), like=z)
    return alpha * z + sigma * noise


def _finish(system: TextToImage, told: Denoise, z_t: Latents, times: Tensor, step: Step) -> Images:
    *_, z = walk(step, told, system.schedule, z_t, times)
    return system.space.decode(z).clamp(-1, 1)


def shown(told: Denoise, look: Callable[[Data, Time, Data], None]) -> Denoise:
    """The same denoiser; `look(x_t, t, x_0)` sees each of its answers: to time or film a walk."""

    def denoise(x_t: Data, t: Time) -> Data:
        x_0 = told(x_t, t)
        look(x_t, t, x_0)
        return x_0

    return denoise
