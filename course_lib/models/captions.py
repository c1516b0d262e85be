"""A U-Net that reads a caption: as a bag of words, or piece by piece.

Both are networks `net(x_t, t, tokens=...)`, so all that chapters 14 to 19 do with labels works with
captions. `tokens` are rows of `Tokenizer.batch`; the empty caption is the null condition. Used in
chapter 20, where the two are set against each other.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.core.tensors import seeded_randn_like
from course_lib.core.types import Denoise, Images, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import classifier_free, clip
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import DiscreteSchedule, NoiseSchedule, cosine, spaced_times
from course_lib.diffusion.training import stratified_times
from course_lib.models.tokenizer import END, PAD, START
from course_lib.nn.attention import Context, ContextMask, CrossAttention2d
from course_lib.nn.transformer import BagOfWords, TextTransformer, mean_of
from course_lib.nn.unet import UNet

Ids = Int[Tensor, "batch length"]
Beside = Float[Tensor, "batch more height width"]
Gist = Float[Tensor, "batch embedding_dim"]


def with_places(x: Images) -> Float[Tensor, "batch more rows columns"]:
    """Two more channels: how far right and how far down each pixel is, from -1 to 1.

    Pixels are to know left from right, and neither convolutions nor attention tell them where they
    are (Liu et al. 2018).
    """
    rows, columns = x.shape[2:]
    down, right = torch.meshgrid(
        torch.linspace(-1, 1, rows, device=x.device, dtype=x.dtype),
        torch.linspace(-1, 1, columns, device=x.device, dtype=x.dtype),
        indexing="ij",
    )
    return torch.cat([x, torch.stack([right, down]).expand(len(x), -1, -1, -1)], 1)


class BagUNet(nn.Module):
    """The mean of the words' vectors joins the time's: a caption as if it were a label."""

    def __init__(
        self, vocabulary: int, *, widths: Sequence[int] = (32, 64), blocks: int = 1, heads: int = 4
    ):
        super().__init__()
        self.unet = UNet(
            3 + 2,
            3,
            widths=widths,
            blocks=blocks,
            attention_at=(len(widths) - 1,),
            heads=heads,
            groups=8,
        )
        self.bag = BagOfWords(vocabulary, self.unet.embedding_dim, PAD)

    def forward(self, x_t: Images, t: Time, tokens: Ids) -> Images:
        return self.unet(with_places(x_t), t, also=self.bag(tokens))


class TokenUNet(nn.Module):
    """A text transformer gives a state for each piece, and the pixels look at them.

    Attention stands at the lowest resolution, on the way down, in the middle and on the way up.
    positions, causal, depth   of the text transformer (nn/transformer.py)
    channels                   of the pictures: 3 of colour, or as many as latents have
    places                     whether pixels are told where they are (`with_places`)
    pooled                     whether the mean of the states is added to the time's vector, so that
                               every block knows the gist of the text and not attention alone
    inject                     how blocks read that vector: "add" or "scale_shift" (nn/blocks.py)
    dropout                    the share of each block's features that training hides
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        *,
        channels: int = 3,
        widths: Sequence[int] = (32, 64),
        blocks: int = 1,
        heads: int = 4,
        dim: int = 64,
        depth: int = 2,
        positions: str = "learned",
        causal: bool = False,
        places: bool = True,
        pooled: bool = False,
        inject: str = "add",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.places = places
        self.tower = TextTransformer(
            vocabulary,
            length,
            dim=dim,
            depth=depth,
            heads=heads,
            positions=positions,
            causal=causal,
            pad=PAD,
        )
        self.unet = UNet(
            channels + 2 * places,
            channels,
            widths=widths,
            blocks=blocks,
            attention_at=(len(widths) - 1,),
            heads=heads,
            groups=8,
            inject=inject,
            dropout=dropout,
            context_dim=dim,
        )
        self.gist = nn.Linear(dim, self.unet.embedding_dim) if pooled else None

    def forward(self, x_t: Images, t: Time, tokens: Ids, beside: Beside | None = None) -> Images:
        """beside: channels behind x_t and its places, for a stem that was `widened`."""
        context, mask, gist = self.read(tokens)
        x_t = with_places(x_t) if self.places else x_t
        x_t = x_t if beside is None else torch.cat([x_t, beside], 1)
        return self.unet(x_t, t, also=gist, context=context, context_mask=mask)

    def read(self, tokens: Ids) -> tuple[Context, ContextMask, Gist | None]:
        """What the pixels look at, where there is a piece, and what joins the time if `pooled`."""
        context, mask = self.tower(tokens), self.tower.mask(tokens)
        return context, mask, None if self.gist is None else self.gist(mean_of(context, mask))

    @torch.no_grad()
    def looks(
        self, x_t: Images, t: Time, tokens: Ids
    ) -> dict[str, Float[Tensor, "batch heads length rows columns"]]:
        """Where the pixels look, by the name of the layer: a map for each head and piece."""
        maps: dict[str, Tensor] = {}
        handles = []
        for name, part in self.unet.named_modules():
            if isinstance(part, CrossAttention2d):

                def keep(
                    module: nn.Module, given: tuple[Tensor, ...], _: Tensor, name: str = name
                ) -> None:
                    assert isinstance(module, CrossAttention2d)
                    maps[name.removesuffix(".read")] = module.weights(*given)

                handles.append(part.register_forward_hook(keep))
        try:
            self(x_t, t, tokens)
        finally:
            for handle in handles:
                handle.remove()
        return maps


def reader(net: nn.Module) -> Denoiser:
    """The course's text-to-scene model: predicts v, on the cosine schedule of 1,000 steps."""
    return Denoiser(net, cosine(), predicts="v")


def empty(tokens: Ids) -> Ids:
    """The empty caption for each row: START, END, and padding."""
    none = torch.full_like(tokens, PAD)
    none[:, 0], none[:, 1] = START, END
    return none


def hide(tokens: Ids, p: float) -> Ids:
    """Captions of which each is empty with a chance of p, as labels are hidden in chapter 17.

    Ho & Salimans 2022, algorithm 1. Raises ValueError unless p is a probability.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p_uncond is a probability, from 0 to 1, got {p}")
    dropped = torch.rand(len(tokens), 1, device=tokens.device) < p
    return torch.where(dropped, empty(tokens), tokens)


def guided(model: Denoiser, tokens: Ids, scale: float) -> Denoise:
    """The model's estimates for these captions, beyond those for the empty one (chapter 17)."""
    return classifier_free(model, {"tokens": tokens}, {"tokens": empty(tokens[:1])}, scale)


@torch.no_grad()
def draw(
    model: Denoiser, tokens: Ids, side: int, *, scale: float = 2.0, steps: int = 16, seed: int = 0
) -> Images:
    """A picture for each caption, by guided DDIM; the n-th begins at the n-th noise of the seed."""
    told = clip(guided(model, tokens, scale))
    like = torch.empty(len(tokens), 3, side, side, device=tokens.device)
    return from_noise(told, model.schedule, like, steps, seed)


def from_noise(
    denoise: Denoise, schedule: NoiseSchedule, like: Images, steps: int, seed: int
) -> Images:
    """DDIM from the seed's noise, in the shape and on the device of `like`.

    Raises ValueError for a schedule without whole steps.
    """
    if not isinstance(schedule, DiscreteSchedule):
        raise ValueError(f"DDIM needs a schedule of whole steps, got {type(schedule).__name__}")
    noise = seeded_randn_like(seed)(like)
    return sample(ddim_step, denoise, schedule, noise, spaced_times(schedule, steps))


def late_times(schedule: DiscreteSchedule, n: int, device: torch.device) -> Int[Tensor, " n"]:
    """The roots of even times, so late ones come more often, and the first few never."""
    return (schedule.T * (stratified_times(schedule, n, device) / schedule.T).sqrt()).ceil().long()


def later_half(schedule: DiscreteSchedule, n: int, device: torch.device) -> Int[Tensor, " n"]:
    """Even times of the noisier half: there it is decided where things stand."""
    return torch.randint(schedule.T // 2, schedule.T + 1, (n,), device=device)


def caption_drop_loss(
    model: Denoiser,
    x_0: Images,
    tokens: Ids,
    p_uncond: float = 0.1,
    times: Callable[..., Int[Tensor, " n"]] = late_times,
) -> Float[Tensor, ""]:
    """Mean squared error of what the network predicts; now and then the caption is hidden (`hide`).

    times   draws n times of a schedule
    """
    t = times(model.schedule, len(x_0), x_0.device)
    given = hide(tokens, p_uncond)
    return model.loss(x_0, t, torch.randn_like(x_0), tokens=given).mean()


class OrderFirst(nn.Module):
    """`caption_drop_loss`, in the first `steps` calls at times of the later half alone.

    A model that draws well already has little to learn from order, and only there. How many calls
    there were is a buffer, so a run that is resumed goes on where it was.
    """

    calls: Tensor

    def __init__(self, steps: int = 300):
        super().__init__()
        self.steps = steps
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, model: Denoiser, x_0: Images, tokens: Ids) -> Float[Tensor, ""]:
        self.calls += 1
        times = later_half if int(self.calls) <= self.steps else late_times
        return caption_drop_loss(model, x_0, tokens, times=times)
