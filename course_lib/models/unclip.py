"""unCLIP: a text becomes a CLIP vector of a picture, and the vector becomes a picture.

Ramesh et al. 2022 ("DALL·E 2"). A prior draws an image vector for a caption, by diffusion or number
by number; a decoder draws a picture for the vector. CLIP itself is frozen. Chapter 26 builds them
by hand. A vector of length 1 and `dim` numbers is diffused at sqrt(dim) times its size, so that its
numbers have about the variance of the noise; the paper's factor is another (appendix C).
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.tensors import seeded_randn_like
from course_lib.core.types import Images, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import classifier_free, clip, given
from course_lib.diffusion.latents import ddim_invert, slerp
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import DiscreteSchedule, cosine, spaced_times
from course_lib.diffusion.training import stratified_times
from course_lib.models.captions import Ids, TokenUNet, empty, from_noise, hide, with_places
from course_lib.nn.attention import LookAndRead, causal_mask
from course_lib.nn.embeddings import TimeMLP
from course_lib.nn.transformer import TransformerBlock

Vectors = Float[Tensor, "n dim"]  # of pictures or texts, of length 1
States = Float[Tensor, "n length given"]  # of the pieces of a text
Row = Float[Tensor, "n tokens width"]
There = Bool[Tensor, "n length"]  # True where there is a piece
Codes = Int[Tensor, "n kept"]

# ---- what a prior is told, and what it reads --------------------------------------------------


def hide_text(
    text_vector: Vectors, states: States, there: There, p: float
) -> tuple[Vectors, States, There]:
    """Texts of which each is hidden with a chance of p: a vector of zeros, and no piece.

    No text has a vector of zeros, so it can stand for "none" (as in the paper, section 2.1).
    Raises ValueError unless p is a probability.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p_uncond is a probability, from 0 to 1, got {p}")
    kept = torch.rand(len(there), 1, device=there.device) >= p
    return text_vector * kept, states * kept[..., None], there & kept


class Reading(nn.Module):
    """Tokens in a row that see what stands before them; pieces that are not there are not seen.

    width   of a token
    """

    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Row, there: There) -> Row:
        """there: of the first tokens, those of the text; all later ones are there."""
        count = tokens.shape[1]
        seen = F.pad(there, (0, count - there.shape[1]), value=True)
        # A piece that is not there sees itself: nobody looks at it, and of nothing at all some
        # kernels make NaN.
        own = torch.eye(count, dtype=torch.bool, device=tokens.device)
        mask = (causal_mask(count, tokens.device) & seen[:, None, None]) | own
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.norm(tokens)


# ---- a prior by diffusion ---------------------------------------------------------------------


class PriorTransformer(nn.Module):
    """net(z_t, t, text_vector, states, there) -> the image vector, of sqrt(dim) times its size.

    A transformer reads, in a row: the text's pieces, its CLIP vector, the time, the noised image
    vector, and a last token whose state is the answer (Ramesh et al. 2022, section 2.2).

    dim      of CLIP's vectors
    given    width of the states of pieces; without pieces give states [n, 0, given]
    length   the longest text, in pieces
    """

    def __init__(
        self, dim: int, given: int, length: int, *, width: int = 64, depth: int = 2, heads: int = 4
    ):
        super().__init__()
        self.dim = dim
        self.pieces, self.text = nn.Linear(given, width), nn.Linear(dim, width)
        self.time, self.noised = TimeMLP(width, width), nn.Linear(dim, width)
        self.query = nn.Parameter(torch.zeros(width))
        self.place = nn.Parameter(0.5 * torch.randn(length + 4, width))
        self.read = Reading(width, depth, heads)
        self.answer = nn.Linear(width, dim)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    def forward(
        self,
        z_t: Vectors,
        t: Time,
        text_vector: Vectors,
        states: States,
        there: There,
    ) -> Vectors:
        """Raises ValueError for a text longer than the prior was built for."""
        length = states.shape[1]
        if length > len(self.place) - 4:
            raise ValueError(f"this prior reads {len(self.place) - 4} pieces at most, got {length}")
        last = [
            self.text(math.sqrt(self.dim) * text_vector),
            self.time(t),
            self.noised(z_t),
            self.query.expand(len(z_t), -1),
        ]
        tokens = torch.cat([self.pieces(states), torch.stack(last, 1)], 1)
        # The last four keep their places, however long the text is.
        places = torch.cat([self.place[:length], self.place[-4:]])
        return self.answer(self.read(tokens + places, there)[:, -1])


def diffusion_prior(net: PriorTransformer) -> Denoiser:
    """It predicts the vector itself, on the cosine schedule (section 2.2 and appendix C)."""
    return Denoiser(net, cosine(), predicts="x_0")


def prior_loss(
    model: Denoiser,
    vectors: Vectors,
    text_vector: Vectors,
    states: States,
    there: There,
    p_uncond: float = 0.1,
) -> Float[Tensor, ""]:
    """Mean squared error of the predicted image vector; now and then the text is hidden."""
    z_0 = math.sqrt(vectors.shape[1]) * vectors
    t = stratified_times(model.schedule, len(z_0), z_0.device)
    text_vector, states, there = hide_text(text_vector, states, there, p_uncond)
    told = {"text_vector": text_vector, "states": states, "there": there}
    return model.loss(z_0, t, torch.randn_like(z_0), **told).mean()


@torch.no_grad()
def draw_vectors(
    prior: Denoiser,
    text_vector: Vectors,
    states: States,
    there: There,
    *,
    candidates: int = 2,
    scale: float = 1.0,
    steps: int = 16,
    seed: int = 0,
) -> Vectors:
    """An image vector for each text, by DDIM: the best of a few draws, stretched to length 1.

    candidates   how many are drawn for each text; the one with the largest dot product with the
                 text's vector is kept (the paper draws two)
    scale        of guidance; 1 is none
    """
    told = {"text_vector": text_vector, "states": states, "there": there}
    null = {name: torch.zeros_like(value) for name, value in told.items()}
    denoise = classifier_free(prior, told, null, scale)
    randn_like, drawn = seeded_randn_like(seed), []
    assert isinstance(prior.schedule, DiscreteSchedule)
    times = spaced_times(prior.schedule, steps)
    for _ in range(candidates):
        z_T = randn_like(text_vector)
        z = sample(ddim_step, denoise, prior.schedule, z_T, times)
        drawn.append(F.normalize(z, dim=1))
    return nearest(torch.stack(drawn), text_vector)


def nearest(
    drawn: Float[Tensor, "candidates n dim"], text_vector: Vectors
) -> Float[Tensor, "n dim"]:
    """Of the candidates for each text, the one with the largest dot product with its vector.

    Raises ValueError if there is no candidate.
    """
    if not len(drawn):
        raise ValueError("one candidate at least is needed to choose from, got none")
    best = (drawn * text_vector).sum(2).argmax(0)
    return drawn[best, torch.arange(drawn.shape[1], device=drawn.device)]


# ---- a prior that says a vector number by number ----------------------------------------------


class Buckets(nn.Module):
    """Vectors as a few whole numbers: along the axes of most variance, in buckets of equal width.

    The axes are principal components, the one of most variance first (section 2.2). A bucket's
    number stands for its middle.

    kept      how many axes
    buckets   on each axis, from the smallest to the largest number seen there
    """

    mean: Tensor
    axes: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, dim: int, kept: int, buckets: int):
        super().__init__()
        if not 1 <= kept <= dim or buckets < 2:
            raise ValueError(f"need 1 to {dim} axes and 2 buckets or more, got {kept}, {buckets}")
        self.kept, self.buckets = kept, buckets
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("axes", torch.eye(dim)[:kept])
        self.register_buffer("low", -torch.ones(kept))
        self.register_buffer("high", torch.ones(kept))

    @torch.no_grad()
    def fit(self, vectors: Vectors) -> "Buckets":
        """Set axes and buckets by these vectors, more of them than axes."""
        self.mean.copy_(vectors.mean(0))
        _, _, axes = torch.linalg.svd(vectors - self.mean, full_matrices=False)
        self.axes.copy_(axes[: self.kept])
        along = (vectors - self.mean) @ self.axes.T
        self.low.copy_(along.amin(0))
        self.high.copy_(along.amax(0))
        return self

    @property
    def width(self) -> Float[Tensor, " kept"]:
        """Of a bucket on each axis."""
        return (self.high - self.low) / self.buckets

    def encode(self, vectors: Vectors) -> Codes:
        """The number of its bucket on each axis; beyond the ends, the last one."""
        along = (vectors - self.mean) @ self.axes.T
        return ((along - self.low) / self.width).floor().long().clamp(0, self.buckets - 1)

    def decode(self, codes: Codes) -> Vectors:
        """The vector in the middle of its buckets; what the dropped axes said is lost."""
        return self.mean + (self.low + (codes + 0.5) * self.width) @ self.axes


class NumberPrior(nn.Module):
    """net(codes, dots, text_vector, states, there) -> logits of each code, from those before it.

    It reads, in a row: the text's pieces, its CLIP vector, the bucket of the dot product of text
    and image vector, and the codes. At the dot product it says the first code, at each code the
    next one (Ramesh et al. 2022, section 2.2). Held with the buckets that the codes come from.

    dots   how many buckets of dot products, each seen equally often in training; bucket 0 is "not
           told". With 0 the prior is never told
    """

    edges: Tensor

    def __init__(
        self,
        buckets: Buckets,
        given: int,
        length: int,
        *,
        dots: int = 8,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
    ):
        super().__init__()
        dim = buckets.axes.shape[1]
        self.buckets, self.dots, self.dim, self.length = buckets, dots, dim, length
        self.register_buffer("edges", torch.zeros(max(dots - 1, 0)))
        self.pieces, self.text = nn.Linear(given, width), nn.Linear(dim, width)
        self.dot = nn.Embedding(dots + 1, width)
        self.code = nn.Embedding(buckets.buckets, width)
        self.place = nn.Parameter(0.5 * torch.randn(length + 2 + buckets.kept, width))
        self.read = Reading(width, depth, heads)
        self.answer = nn.Linear(width, buckets.buckets)

    @torch.no_grad()
    def fit(self, vectors: Vectors, text_vector: Vectors) -> "NumberPrior":
        """Set the buckets of codes and of dot products by pairs of training."""
        self.buckets.fit(vectors)
        if self.dots:
            products = (vectors * text_vector).sum(1)
            shares = torch.linspace(0, 1, self.dots + 1, device=products.device)[1:-1]
            self.edges.copy_(torch.quantile(products, shares))
        return self

    def bucket_of(self, products: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
        """1 to `dots`, the larger the product; 0 if this prior is never told."""
        if not self.dots:
            return torch.zeros(len(products), dtype=torch.long, device=products.device)
        return torch.bucketize(products, self.edges) + 1

    def forward(
        self,
        codes: Int[Tensor, "n some"],
        dots: Int[Tensor, " n"],
        text_vector: Vectors,
        states: States,
        there: There,
    ) -> Float[Tensor, "n next buckets"]:
        """Logits of the first code, and of the one after each that is given.

        Raises ValueError for a text longer than the prior was built for.
        """
        length, some = states.shape[1], codes.shape[1]
        if length > self.length:
            raise ValueError(f"this prior reads {self.length} pieces at most, got {length}")
        text = self.text(math.sqrt(self.dim) * text_vector)
        head = torch.stack([text, self.dot(dots)], 1)
        tokens = torch.cat([self.pieces(states), head, self.code(codes)], 1)
        after = self.place[self.length : self.length + 2 + some]
        read = self.read(tokens + torch.cat([self.place[:length], after]), there)
        return self.answer(read[:, length + 1 :])


def number_loss(
    model: NumberPrior,
    vectors: Vectors,
    text_vector: Vectors,
    states: States,
    there: There,
    p_uncond: float = 0.1,
) -> Float[Tensor, ""]:
    """Surprise at each code, in nats, on average; now and then the text is hidden.

    So is the dot product, with the text and, as often again, alone: then it need not be told.
    """
    dots = model.bucket_of((vectors * text_vector).sum(1))
    codes = model.buckets.encode(vectors)
    text_vector, states, there = hide_text(text_vector, states, there, p_uncond)
    dots = dots * text_vector.any(1) * (torch.rand(len(dots), device=dots.device) >= p_uncond)
    logits = model(codes[:, :-1], dots, text_vector, states, there)
    return F.cross_entropy(logits.flatten(0, 1), codes.flatten())


@torch.no_grad()
def say_vectors(
    model: NumberPrior,
    text_vector: Vectors,
    states: States,
    there: There,
    *,
    scale: float = 1.0,
    told: bool = True,
    seed: int = 0,
) -> Vectors:
    """An image vector for each text, code by code, stretched to length 1.

    scale   of guidance, on the logits; 1 is none
    told    whether the prior is told a dot product: one of the upper half of those seen in training
            (the paper's best choice, section 2.2)
    """
    n, device = len(there), there.device
    generator = torch.Generator().manual_seed(seed)
    dots = torch.zeros(n, dtype=torch.long)
    if model.dots and told:
        dots = torch.randint(model.dots // 2 + 1, model.dots + 1, (n,), generator=generator)
    dots = dots.to(device)
    codes = torch.zeros(n, 0, dtype=torch.long, device=device)
    nothing = torch.zeros_like(text_vector), torch.zeros_like(states), torch.zeros_like(there)
    for _ in range(model.buckets.kept):
        logits = model(codes, dots, text_vector, states, there)[:, -1]
        if scale != 1:
            away = model(codes, 0 * dots, *nothing)[:, -1]
            logits = away + scale * (logits - away)
        chances = logits.softmax(1).cpu()
        new = torch.multinomial(chances, 1, generator=generator).to(device)
        codes = torch.cat([codes, new], 1)
    return F.normalize(model.buckets.decode(codes), dim=1)


# ---- the decoder ------------------------------------------------------------------------------


class VectorReader(nn.Module):
    """A reader of captions that is also told a CLIP vector: net(x_t, t, tokens, image_vector).

    The vector is added to the time's, and becomes `extra` tokens behind those of the caption
    (Ramesh et al. 2022, section 2.1). The reader is taken over, not copied; what is added to a
    trained one starts as nothing beside the time.
    """

    def __init__(self, reader: TokenUNet, dim: int, extra: int = 4):
        super().__init__()
        assert reader.unet.context_dim is not None
        self.reader, self.dim, self.extra = reader, dim, extra
        self.add = nn.Linear(dim, reader.unet.embedding_dim)
        self.tokens = nn.Linear(dim, extra * reader.unet.context_dim)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)

    def forward(self, x_t: Images, t: Time, tokens: Ids, image_vector: Vectors) -> Images:
        reader, v = self.reader, math.sqrt(self.dim) * image_vector
        more = self.tokens(v).unflatten(1, (self.extra, -1))
        states, there, gist = reader.read(tokens)
        context, mask = torch.cat([states, more], 1), F.pad(there, (0, self.extra), value=True)
        also = self.add(v) if gist is None else self.add(v) + gist
        x_t = with_places(x_t) if reader.places else x_t
        return reader.unet(x_t, t, also=also, context=context, context_mask=mask)

    def added(self) -> nn.ModuleList:
        """The layers that read the vector, and those through which what it says enters.

        All that has to be trained where the reader is a trained one: time and cross-attention.
        """
        layers = self.reader.unet.modules()
        reads = [layer.read for layer in layers if isinstance(layer, LookAndRead)]
        return nn.ModuleList([self.add, self.tokens, self.reader.unet.readers(), *reads])


def decoder_loss(
    model: Denoiser,
    x_0: Images,
    tokens: Ids,
    vectors: Vectors,
    hide_caption: float = 0.5,
    hide_vector: float = 0.1,
    times: Callable[..., Int[Tensor, " n"]] = stratified_times,
) -> Float[Tensor, ""]:
    """Mean squared error of what the network predicts; captions and vectors are hidden at times.

    A hidden vector is one of zeros; the chances are the paper's (section 2.1).
    """
    t = times(model.schedule, len(x_0), x_0.device)
    kept = torch.rand(len(x_0), 1, device=x_0.device) >= hide_vector
    told = {"tokens": hide(tokens, hide_caption), "image_vector": vectors * kept}
    return model.loss(x_0, t, torch.randn_like(x_0), **told).mean()


@torch.no_grad()
def decode(
    model: Denoiser,
    vectors: Vectors,
    tokens: Ids,
    like: Images,
    *,
    scale: float = 2.0,
    steps: int = 16,
    seed: int = 0,
    limit: float | None = 1.0,
) -> Images:
    """A picture (or latents) for each vector, by guided DDIM from the seed's noise.

    tokens   a caption for each, or the empty one
    like     its shape and device are those of what is drawn
    limit    keep each estimate within ± limit; None for latents, which have no range
    """
    told = {"tokens": tokens, "image_vector": vectors}
    null = {"tokens": empty(tokens), "image_vector": torch.zeros_like(vectors)}
    denoise = classifier_free(model, told, null, scale)
    denoise = denoise if limit is None else clip(denoise, -limit, limit)
    return from_noise(denoise, model.schedule, like, steps, seed)


# ---- what vectors of pictures are good for ----------------------------------------------------


@torch.no_grad()
def noise_of(
    model: Denoiser, x: Images, vectors: Vectors, tokens: Ids, *, steps: int = 32, repeats: int = 3
) -> Images:
    """What the vector leaves out of a picture: the noise from which the decoder draws it.

    By DDIM inversion under the picture's own vector (Ramesh et al. 2022, section 3). Guidance is
    none, and nothing is clipped: a clipped denoiser has no inverse.
    """
    assert isinstance(model.schedule, DiscreteSchedule)
    denoise = given(model, {"tokens": tokens, "image_vector": vectors})
    times = spaced_times(model.schedule, steps).flip(0)
    return ddim_invert(denoise, model.schedule, x, times, repeats=repeats)


@torch.no_grad()
def redraw(
    model: Denoiser,
    x_T: Images,
    vectors: Vectors,
    tokens: Ids,
    *,
    eta: float = 0.0,
    steps: int = 32,
    scale: float = 1.0,
    seed: int = 0,
) -> Images:
    """The picture of a noise and a vector; with eta above 0, a variation of it (section 3.1).

    With eta = 0 and the noise of `noise_of`, the picture itself.
    """
    assert isinstance(model.schedule, DiscreteSchedule)
    told = {"tokens": tokens, "image_vector": vectors}
    null = {"tokens": empty(tokens), "image_vector": torch.zeros_like(vectors)}
    denoise = classifier_free(model, told, null, scale)
    step = partial(ddim_step, eta=eta, randn_like=seeded_randn_like(seed))
    return sample(step, denoise, model.schedule, x_T, spaced_times(model.schedule, steps))


def text_diff(
    image_vector: Vectors, before: Vectors, after: Vectors, weight: float | Tensor
) -> Vectors:
    """The image vector turned towards the difference of two texts.

    Ramesh et al. 2022, section 3.3.

    before   the vector of a text that says what the picture shows
    after    of one that says what it is to show
    weight   0 is the picture as it is; the paper goes up to between 0.25 and 0.5

    Raises ValueError if both texts have the same vector.
    """
    away = after - before
    if bool((away.norm(dim=1) < 1e-6).any()):
        raise ValueError("the two texts have the same vector: there is no direction between them")
    return slerp(image_vector, F.normalize(away, dim=1), weight)
