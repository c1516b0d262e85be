"""Imagen: pictures from the states of a frozen text encoder that has never seen one, in a cascade.

Saharia et al. 2022. A small picture is drawn from the states of a text's pieces, then made larger
by stages that read them too (`models/cascade.py` has stages that do not). Guidance may be strong,
since `guidance.dynamic_threshold` keeps estimates in their range. Chapter 27 builds it by hand.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.core.tensors import seeded_randn_like
from course_lib.core.types import Denoise, Images, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import classifier_free, clip
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import DiscreteSchedule, spaced_times
from course_lib.diffusion.training import stratified_times
from course_lib.models.captions import with_places
from course_lib.models.cascade import AUG_MAX, LowRes, augment, enlarge, shrink
from course_lib.nn.embeddings import TimeMLP
from course_lib.nn.transformer import mean_of
from course_lib.nn.unet import UNet

States = Float[Tensor, "batch length given"]  # of a text's pieces, by a frozen encoder
There = Bool[Tensor, "batch length"]  # True where there is a piece


class StatesUNet(nn.Module):
    """A U-Net that reads frozen states: net(x_t, t, states=..., there=...).

    The pixels look at the states, and their mean is added to the time's vector, both after a
    LayerNorm (Saharia et al. 2022, section 2.5). States of zeros mean "no text".

    given     width of the states
    looks     False: the mean alone, no pixel looks at a piece (the paper's appendix D.3.1)
    resolves  True: a stage, net(x_t, t, states, there, low_res, aug_t), which sees a small picture
              beside x_t in the place of coordinates, and is told how noisy that is
    the rest  as `UNet` has it
    """

    def __init__(
        self,
        given: int,
        *,
        looks: bool = True,
        resolves: bool = False,
        channels: int = 3,
        widths: Sequence[int] = (24, 48),
        blocks: int | Sequence[int] = 1,
        heads: int = 4,
        dim: int = 64,
        patch: int = 1,
        skip_scale: float = 1.0,
    ):
        super().__init__()
        self.unet = UNet(
            2 * channels if resolves else channels + 2,
            channels,
            widths=widths,
            blocks=blocks,
            attention_at=(len(widths) - 1,),
            patch=patch,
            heads=heads,
            groups=8,
            context_dim=dim if looks else None,
            skip_scale=skip_scale,
        )
        self.norm = nn.LayerNorm(given)
        self.pooled = nn.Linear(given, self.unet.embedding_dim)
        self.look = nn.Linear(given, dim) if looks else None
        self.aug = TimeMLP(widths[0], self.unet.embedding_dim) if resolves else None

    def forward(
        self,
        x_t: Images,
        t: Time,
        states: States,
        there: There,
        low_res: LowRes | None = None,
        aug_t: Time | None = None,
    ) -> Images:
        """Raises ValueError if a stage gets no small picture, or a base gets one."""
        if (self.aug is None) != (low_res is None) or (low_res is None) != (aug_t is None):
            wants = "knows no low_res" if self.aug is None else "needs low_res and aug_t"
            raise ValueError(f"this network {wants}")
        states = self.norm(states)
        also = self.pooled(mean_of(states, there))
        if self.aug is not None and low_res is not None and aug_t is not None:
            x_t = torch.cat([x_t, enlarge(low_res, x_t.shape[2:])], 1)
            also = also + self.aug(aug_t)
        else:
            x_t = with_places(x_t)
        if self.look is None:
            return self.unet(x_t, t, also=also)
        context = self.look(states)
        return self.unet(x_t, t, also=also, context=context, context_mask=there)


def hide_states(states: States, p: float) -> States:
    """Texts of which each becomes one of zeros with a chance of p, as Imagen hides them (4.1).

    Raises ValueError unless p is a probability.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p_uncond is a probability, from 0 to 1, got {p}")
    return states * (torch.rand(len(states), 1, 1, device=states.device) >= p)


def base_loss(
    model: Denoiser,
    x_0: Images,
    states: States,
    there: There,
    p_uncond: float = 0.1,
    times: Callable[..., Int[Tensor, " n"]] = stratified_times,
) -> Float[Tensor, ""]:
    """Mean squared error of what the base predicts; now and then the text is hidden."""
    t = times(model.schedule, len(x_0), x_0.device)
    told = {"states": hide_states(states, p_uncond), "there": there}
    return model.loss(x_0, t, torch.randn_like(x_0), **told).mean()


def stage_loss(
    model: Denoiser,
    x_0: Images,
    states: States,
    there: There,
    p_uncond: float = 0.1,
    up_to: int = AUG_MAX,
    crop: int | None = None,
) -> Float[Tensor, ""]:
    """The same of a stage: large pictures are made small, the small ones noised, the noise told.

    up_to   the small picture is noised up to a time drawn evenly from 0..up_to
    crop    learn from squares of this side, cut from anywhere: cheaper, and enough for edges. The
            paper's last stage learns so (section 2.5); whole pictures are drawn all the same

    Raises ValueError for a crop that is odd or does not fit.
    """
    n, device = len(x_0), x_0.device
    if crop is not None:
        free = x_0.shape[-1] - crop
        if crop % 2 or crop < 2 or free < 0:
            raise ValueError(f"crop must be even, 2 to {x_0.shape[-1]}, got {crop}")
        top, left = (2 * torch.randint(free // 2 + 1, (2,))).tolist()  # whole small pixels
        x_0 = x_0[..., top : top + crop, left : left + crop]
    aug_t = torch.randint(up_to + 1, (n,), device=device)
    low_res = augment(model.schedule, shrink(x_0), aug_t)
    t = stratified_times(model.schedule, n, device)
    told = {"states": hide_states(states, p_uncond), "there": there}
    told |= {"low_res": low_res, "aug_t": aug_t}
    return model.loss(x_0, t, torch.randn_like(x_0), **told).mean()


@torch.no_grad()
def imagine(
    base: Denoiser,
    stages: Sequence[Denoiser],
    states: States,
    there: There,
    *,
    side: int = 16,
    scales: Sequence[float] = (3.0,),
    levels: Sequence[int] = (),
    steps: int = 16,
    hold: Callable[[Denoise], Denoise] = clip,
    seed: int = 0,
) -> Iterator[Images]:
    """Yield a small picture for each text, then what each stage makes of it, doubled.

    side    of the small pictures
    scales  of guidance, for the base and for each stage
    levels  for each stage, the time to which its small picture is noised
    hold    what keeps estimates in their range: `clip`, `dynamic_threshold`, or `lambda d: d`

    Raises ValueError unless there is a scale for each model and a level for each stage.
    """
    if len(levels) != len(stages) or len(scales) != 1 + len(stages):
        raise ValueError(
            f"{len(stages)} stages need as many levels and one scale more, got {list(levels)} and"
            f" {list(scales)}"
        )
    randn_like = seeded_randn_like(seed)
    told = {"states": states, "there": there}
    small: Images | None = None
    for model, scale, level in zip([base, *stages], scales, [0, *levels], strict=True):
        if small is not None:
            aug_t = torch.full((len(there),), level, device=there.device)
            told["low_res"] = augment(model.schedule, small, aug_t, randn_like)
            told["aug_t"] = aug_t
            side *= 2
        null = told | {"states": torch.zeros_like(states)}
        denoise = hold(classifier_free(model, told, null, scale))
        assert isinstance(model.schedule, DiscreteSchedule)
        noise = randn_like(states.new_empty(len(there), 3, side, side))
        times = spaced_times(model.schedule, steps)
        small = sample(ddim_step, denoise, model.schedule, noise, times)
        yield small
