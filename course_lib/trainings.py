"""The runs behind the shipped weights, by name: `course train fashion_ddpm`.

Each keeps its whole state in `folder`, resumes from there to the bit, and returns the averaged
model. None writes to `data/weights`: `tools/ship_weights.py` measures a model and puts it there.
"""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core.checks import one_of
from course_lib.core.tensors import pick_device, seed_everything, to_unit
from course_lib.core.types import Images, Points
from course_lib.data.batches import random_batches
from course_lib.data.digits import TOP, load_digits
from course_lib.data.drawbench import prompts
from course_lib.data.emoji import concepts, label_embeddings, load_emoji
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.data.frozen import frozen_states
from course_lib.data.points import swiss_roll
from course_lib.data.prompted import view
from course_lib.data.scenes import (
    RELATIONS,
    SMALL_WORLD,
    Pair,
    caption,
    draw_scenes,
    parse,
    random_scene,
    relations,
    split,
    swapped,
)
from course_lib.data.sequences import heartbeats
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.distillation import Halving
from course_lib.diffusion.schedules import cosine, linear, zero_terminal
from course_lib.diffusion.training import stratified_times
from course_lib.diffusion.variance import LearnedVariance
from course_lib.features import train_features
from course_lib.models.autoencoder import (
    CHANNELS,
    AutoencoderLoss,
    Contest,
    LatentSpace,
    emoji_autoencoder,
    scale_factor,
)
from course_lib.models.captions import (
    BagUNet,
    OrderFirst,
    TokenUNet,
    caption_drop_loss,
    reader,
)
from course_lib.models.cascade import AUG_MAX, StageLoss, SuperResolver, shrink, stage
from course_lib.models.clip import (
    CLIP,
    EndTower,
    ImageTower,
    bag_tower,
    clip_loss,
    emoji_clip,
    emoji_clip_loss,
    scene_clip,
    scene_clip_loss,
    vector_tower,
)
from course_lib.models.glide import (
    Inpainter,
    clean_clip_loss,
    inpaint_loss,
    noised_clip_loss,
    timed_clip,
    widened,
)
from course_lib.models.imagen import StatesUNet, base_loss, stage_loss
from course_lib.models.latent import LENGTH, latent_reader, pixel_space
from course_lib.models.palette import PaletteLoss, Restorer, restorer
from course_lib.models.style import StyleGAN, style_gan_loss
from course_lib.models.tokenizer import Tokenizer, learn_merges
from course_lib.models.unclip import (
    Buckets,
    NumberPrior,
    PriorTransformer,
    VectorReader,
    decoder_loss,
    diffusion_prior,
    number_loss,
    prior_loss,
)
from course_lib.models.vae import fashion_vae, vae_loss
from course_lib.nn.ablations import (
    with_rescaled_blocks,
    without_attention,
    without_norm,
    without_skips,
)
from course_lib.nn.perceptual import LPIPS
from course_lib.nn.unet import TwoHeads, UNet
from course_lib.recipes import (
    Blind,
    ImportanceVLB,
    MeanAsNoise,
    bound_2015_loss,
    clean_labels_loss,
    ddpm,
    ddpm_loss,
    ddpm_vlb_loss,
    digits_unet,
    fashion_2015,
    fashion_classifier,
    fashion_unet,
    flat_unet,
    heartbeat_2015,
    heartbeat_2015_loss,
    hybrid_loss,
    label_drop_loss,
    min_snr_loss,
    ncsn,
    ncsn_loss,
    noisy_labels_loss,
    small_unet,
    swiss_roll_2015,
)
from course_lib.train import TrainConfig, Trainer
from course_lib.weights import WEIGHTS, load_or_train, load_weights, manifest

CHECKPOINT = "checkpoint.safetensors"
RUNS = WEIGHTS.parents[1] / "runs" / "train"
UNetLosses = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class Training:
    """One run: which model learns what, from which data, and with which numbers.

    labels  of the data, for a loss that takes them: loss(model, data, labels); or several tensors,
            each with a row for each row of the data
    betas   of AdamW
    part    which submodule is wanted in the end, if the model also holds what only training needs
    ships   what of it goes into a file, if the rest is in another model's, from which it started
    start   fills a new model from another run that must come first
    """

    model: Callable[[], nn.Module]
    loss: Callable[..., Tensor]
    data: Callable[[], Tensor]
    batch: int
    config: TrainConfig
    betas: tuple[float, float] = (0.9, 0.999)
    part: str = ""
    labels: Callable[[], Tensor | tuple[Tensor, ...]] | None = None
    ships: Callable[[nn.Module], nn.Module] = lambda wanted: wanted
    start: Callable[[nn.Module], object] = lambda model: None

    def __call__(
        self,
        folder: Path,
        device: str = "auto",
        precision: str = "auto",
        steps: int | None = None,
        compiled: bool = False,
        seed: int = 0,
    ) -> nn.Module:
        """Train, or go on training, in `folder`; return the averaged model, or its `part`.

        compiled   as in `Trainer`; not part of the run, so a resume may choose anew
        """
        place = pick_device(device)
        config = replace(self.config, precision=precision, seed=seed)
        seed_everything(seed)
        model = self.model()
        if not (folder / CHECKPOINT).exists():
            self.start(model)
        model = model.to(place)
        told = () if self.labels is None else self.labels()
        data = [self.data(), *((told,) if isinstance(told, Tensor) else told)]
        batches = random_batches(*[one.to(place) for one in data], size=self.batch)
        loss = deepcopy(self.loss)  # one that remembers starts afresh with each run
        trainer = Trainer(model, loss, batches, config, compiled=compiled)
        trainer.optimizer.param_groups[0]["betas"] = self.betas
        averaged = trainer.fit(steps, checkpoint=folder / CHECKPOINT, save_every=500)
        return averaged.get_submodule(self.part)


def digits() -> Images:
    """The 1,352 training digits in [-1, 1]."""
    return to_unit(load_digits("train")[0], TOP)


def garments() -> Images:
    """The 20,000 committed garments in [-1, 1]."""
    return to_unit(load_fashion_mnist("train")[0])


def exposed_digits(split: str = "train", copies: int = 4) -> Images:
    """Every digit `copies` times, each at an exposure of its own: from black to as it is.

    The exposure is drawn evenly from [0, 1] and multiplies the ink; paper stays black.
    """
    pictures = to_unit(load_digits(split)[0], TOP).repeat(copies, 1, 1, 1)
    light = torch.rand(len(pictures), generator=torch.Generator().manual_seed(0))
    return (pictures + 1) * light[:, None, None, None] - 1


def digits_hybrid() -> LearnedVariance:
    """The shipped `digits_ddpm_long` with a second output, which starts as 0."""
    old = load_weights("digits_ddpm_long", ddpm(digits_unet()))
    net = digits_unet(out_channels=2)
    for name, value in net.state_dict().items():
        known = old.net.state_dict()[name]
        value.zero_()[: len(known)] = known  # only the last layer has more rows
    return LearnedVariance(net, old.schedule)


def fashion_hybrid(second: nn.Module | None = None) -> LearnedVariance:
    """The shipped `fashion_ddpm`, frozen, and beside its head a second one for the variance.

    What the network predicts cannot change: nothing that leads to it is trained.

    second   a trained head, as `trained("fashion_hybrid")` gives it; without one, a copy of the
             first, with a last layer of 0
    """
    old = load_weights("fashion_ddpm", ddpm(fashion_unet()))
    net = old.net
    net.head = TwoHeads(net.head)
    if second is not None:
        net.head.second = second
    return LearnedVariance(net, old.schedule)


def small_garments() -> Images:
    """The same at 14 × 14: means of 2 × 2 pixels."""
    return F.avg_pool2d(garments(), 2)


def framed_garments() -> Images:
    """The same at 32 × 32, with two black pixels all round: a size that can be halved twice."""
    return F.pad(garments(), (2, 2, 2, 2), value=-1.0)


CAPTION_LENGTH = 24  # in pieces, START and END included


@cache
def caption_tokenizer(merges: int = 300) -> Tokenizer:
    """Byte-level BPE learnt from the emoji's labels and 2,000 captions of drawn scenes."""
    rng = np.random.default_rng(0)
    texts = [caption(random_scene(rng)) for _ in range(2000)]
    texts += [one.label for one in concepts().values()]
    return Tokenizer(tuple(learn_merges(texts, merges)))


@cache
def small_scenes(
    related: Sequence[str] = SMALL_WORLD["related"], seed: int = 0
) -> tuple[Images, Int[Tensor, "n length"]]:
    """4,000 training scenes of the small world in [-1, 1], and their captions in pieces."""
    world = SMALL_WORLD | {"related": related}
    images, captions = draw_scenes(4000, size=16, seed=seed, tasks=("relation",), **world)
    return to_unit(images), caption_tokenizer().batch(captions, CAPTION_LENGTH)


def small_tokens(seed: int = 0) -> Int[Tensor, "n length"]:
    """The captions of `small_scenes` in pieces."""
    return small_scenes(seed=seed)[1]


def small_clip() -> nn.Module:
    """A CLIP of the small world that is told how noisy a picture is."""
    return timed_clip(len(caption_tokenizer()), CAPTION_LENGTH)


def scenes_inpainter() -> Denoiser:
    """The shipped `scenes_tokens`, to which a picture with a hole is laid beside x_t."""
    training = TRAININGS["scenes_tokens"]
    assert isinstance(training, Training)
    net = load_weights("scenes_tokens", training.model()).get_submodule("net")
    assert isinstance(net, TokenUNet)
    return reader(Inpainter(net))


def digit_labels() -> Int[Tensor, " n"]:
    """The classes of `digits`, 0 to 9."""
    return load_digits("train")[1]


def garment_labels() -> Int[Tensor, " n"]:
    """The classes of `garments`, 0 to 9."""
    return load_fashion_mnist("train")[1]


def roll() -> Points:
    """50,000 points of a swiss roll about 0.01 thick."""
    return swiss_roll(50_000, noise=0.01)


def emoji_cut_outs() -> UInt8[Tensor, "n 4 32 32"]:
    """The training emoji of seven designs at 32 x 32, ready for any ground."""
    return load_emoji("train").cut_outs(32)


def emoji_close_ups() -> UInt8[Tensor, "n 4 64 64"]:
    """The same at 64 x 64, to look at from close up."""
    return load_emoji("train").cut_outs(64)


@cache
def _eye() -> LPIPS:
    return load_weights("lpips", LPIPS())


def lpips(first: Images, second: Images) -> Float[Tensor, " batch"]:
    """LPIPS with the shipped weights."""
    return _eye().to(first.device)(first, second)


# What chapter 24's model draws: three kinds of things, so that each is seen often enough.
GROUPS = ("smileys-emotion", "animals-nature", "food-drink")
VIEWS = 24  # of each drawing


@cache
def latent_space() -> LatentSpace:
    """The shipped autoencoder of f = 4 and the scale that its latents want, measured on emoji."""
    autoencoder = load_weights("emoji_kl_4", emoji_autoencoder(4)).requires_grad_(False)
    emoji = load_emoji("train", groups=GROUPS)
    some = emoji.pick(range(0, len(emoji), 10)).on()
    return LatentSpace(autoencoder, scale_factor(autoencoder.encode(some)))


def prompt_tokenizer() -> Tokenizer:
    """Chapter 20's, with more merges: most words of the labels are one piece or two."""
    return caption_tokenizer(1000)


@cache
def _prompted(views: int = VIEWS, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Latents and prompts of views of the training emoji of `GROUPS` (data/prompted.py)."""
    device = pick_device("auto")
    emoji, rng = load_emoji("train", groups=GROUPS), Random(seed)
    space = deepcopy(latent_space()).to(device)
    latents, told = [], []
    for _ in range(views):
        pictures, texts = view(emoji, rng)
        told += texts
        parts = (to_unit(part.to(device)) for part in pictures.split(254))
        latents += [space.encode(part).half().cpu() for part in parts]
    return torch.cat(latents), prompt_tokenizer().batch(told, LENGTH)


def prompted_latents() -> Float[Tensor, "n 4 16 16"]:
    """`VIEWS` views of each training emoji of `GROUPS` in latents of variance 1, half precision."""
    return _prompted()[0]


def prompt_tokens() -> Int[Tensor, "n length"]:
    """Their prompts in pieces."""
    return _prompted()[1]


# Chapter 24's sweep: the small world at 32 x 32, in latents of four sizes, each for the same time.
# Steps that took about twelve minutes of one core, at the cost of a step measured beforehand.
SWEPT = {1: 1200, 2: 4700, 4: 10_700, 8: 14_800}


@cache
def world_32(seed: int = 0, size: int = 32) -> tuple[Images, Int[Tensor, "n length"]]:
    """4,000 training scenes of the small world at 32 × 32 and their captions in pieces.

    size    the same scenes at another size, when they are drawn with the same seed
    """
    images, captions = draw_scenes(4000, size=size, seed=seed, tasks=("relation",), **SMALL_WORLD)
    return to_unit(images), caption_tokenizer().batch(captions, CAPTION_LENGTH)


@cache
def scene_space(f: int) -> LatentSpace:
    """Latents of scenes at 1/f of their size: chapter 23's autoencoder of emoji, scaled for scenes.

    f = 1 is the pixels themselves.
    """
    if f == 1:
        return pixel_space()
    autoencoder = load_weights(f"emoji_kl_{f}", emoji_autoencoder(f)).requires_grad_(False)
    return LatentSpace(autoencoder, scale_factor(autoencoder.encode(world_32()[0][:500])))


def scene_latents(f: int) -> Float[Tensor, "n latent rows columns"]:
    """The scenes of `world_32` in `scene_space(f)`."""
    space = scene_space(f)
    return torch.cat([space.encode(part) for part in world_32()[0].split(250)])


def _swept(f: int, steps: int) -> Training:
    channels = 3 if f == 1 else CHANNELS[f]
    return Training(
        lambda: reader(
            TokenUNet(len(caption_tokenizer()), CAPTION_LENGTH, channels=channels, widths=(24, 48))
        ),
        partial(caption_drop_loss, times=stratified_times),
        lambda: scene_latents(f),
        32,
        replace(_LATENT, total_steps=steps, final_steps=steps // 3, ema_decay=0.99),
        labels=lambda: world_32()[1],
    )


# Chapters 26 and 27: the same scenes by a system of each kind, each with the steps that a quarter
# of an hour of one quiet core pays for, by the cost of a step: a diffusion of latents; unCLIP's
# prior, decoder and stage; Imagen's base and first stage. Its last stage comes on top. (The
# manifest says how long they took beside other work.)
LATENT_SCENES = 6000
UNCLIP = {"prior": 1200, "decoder": 3600, "up": 3150}
IMAGEN = {"16": 4400, "32": 2050, "64": 3000}
JOINT = 300  # the time up to which a stage's small picture is noised


@cache
def at_hand(name: str) -> nn.Module:
    """A model that another needs: the shipped one or, if none is, that of a run on this machine.

    The run is made first if need be.
    """
    return trained(name, "fast" if name in manifest() else "cpu")


def world_16() -> Images:
    """The scenes of `world_32` at half the size, as a stage will be shown them."""
    return shrink(world_32()[0])


@cache
def clip_of(name: str = "world_clip") -> CLIP:
    """A frozen CLIP of the small world."""
    model = at_hand(name)
    assert isinstance(model, CLIP)
    return model


@torch.no_grad()
def clip_texts(
    tokens: Int[Tensor, "n length"], name: str = "world_clip"
) -> tuple[Tensor, Tensor, Tensor]:
    """What a prior is told of captions: CLIP's vectors and its text tower's states.

    And where there is a piece.
    """
    text = clip_of(name).text
    assert isinstance(text, EndTower)
    return clip_of(name).embed_texts(tokens), text.read(tokens), text.read.mask(tokens)


@cache
@torch.no_grad()
def world_vectors(name: str = "world_clip") -> Float[Tensor, "n dim"]:
    """A CLIP's vectors of the scenes of `world_32`, of length 1."""
    parts = world_32()[0].split(250)
    return torch.cat([clip_of(name).embed_images(part) for part in parts])


@cache
def world_texts(name: str = "world_clip") -> tuple[Tensor, Tensor, Tensor]:
    """`clip_texts` of the captions of `world_32`."""
    parts = world_32()[1].split(500)
    told = [clip_texts(part, name) for part in parts]
    vectors, states, there = (torch.cat(one) for one in zip(*told, strict=True))
    return vectors, states, there


def decoder_tokens(name: str = "world_clip") -> tuple[Tensor, Tensor]:
    """Captions in pieces and vectors of `world_32`, for a decoder."""
    return world_32()[1], world_vectors(name)


def vector_reader() -> VectorReader:
    """Chapter 26's decoder of scenes: a reader of captions that is also told CLIP's vector."""
    pieces = len(caption_tokenizer())
    return VectorReader(TokenUNet(pieces, CAPTION_LENGTH, widths=(24, 48)), 64)


def number_prior() -> NumberPrior:
    """Chapter 26's other prior, with buckets that are not set yet."""
    return NumberPrior(Buckets(64, 24, 32), 32, CAPTION_LENGTH)


def set_buckets(model: nn.Module) -> None:
    """Set a `NumberPrior`'s buckets by the training scenes."""
    assert isinstance(model, NumberPrior)
    model.fit(world_vectors(), world_texts()[0])


FEATURES = ("frozen", "clip", "one-hot")


@cache
def caption_states(features: str = "frozen") -> tuple[Tensor, Tensor, list[str]]:
    """States [n, length, width] of texts, where there is a piece, and the texts.

    features   "frozen": MiniLM's, of all prompts of `drawbench`. "clip": those of the text tower of
               `world_clip`, of the same. "one-hot": of the 72 captions, each a number of its own

    Raises ValueError for other features.
    """
    one_of(features, FEATURES, "features")
    texts = [one.text for one in prompts()]
    if features == "frozen":
        return *frozen_states(texts), texts
    if features == "clip":
        tokens = caption_tokenizer().batch(texts, CAPTION_LENGTH)
        return *clip_texts(tokens)[1:], texts
    texts = [caption(scene) for scene in relations(**SMALL_WORLD)]
    return torch.eye(72)[:, None], torch.ones(72, 1, dtype=torch.bool), texts


def world_states(features: str = "frozen") -> tuple[Tensor, Tensor]:
    """`caption_states` of each scene of `world_32`."""
    states, there, texts = caption_states(features)
    read, number = caption_tokenizer().decode, {text: n for n, text in enumerate(texts)}
    rows = [number[read(row.tolist())] for row in world_32()[1]]
    return states[rows], there[rows]


def _resolves() -> Denoiser:
    return reader(StatesUNet(64, resolves=True, widths=(16, 32)))


def _by_states(features: str = "frozen", looks: bool = True) -> Training:
    """Imagen's base at 16 × 16 on some features of captions."""
    width = {"frozen": 64, "clip": 32, "one-hot": 72}[features]
    return Training(
        lambda: reader(StatesUNet(width, looks=looks)),
        base_loss,
        world_16,
        32,
        _world(IMAGEN["16"]),
        labels=lambda: world_states(features),
    )


def _decodes(clip: str) -> Training:
    """unCLIP's decoder at 16 × 16, of the vectors of a CLIP."""
    return Training(
        lambda: reader(vector_reader()),
        decoder_loss,
        world_16,
        32,
        _world(UNCLIP["decoder"]),
        labels=lambda: decoder_tokens(clip),
    )


def _world(steps: int, lr: float = 2e-3) -> TrainConfig:
    return replace(_LATENT, lr=lr, total_steps=steps, final_steps=steps // 3, ema_decay=0.99)


def world_clip(in_order: bool = True) -> CLIP:
    """A CLIP of the small world at 32 × 32, one that sees a scene as a whole.

    Its image tower has a level more than chapter 21's, so that a feature sees both things.
    """
    pieces = len(caption_tokenizer())
    text = EndTower(pieces, CAPTION_LENGTH) if in_order else bag_tower(pieces)
    return CLIP(ImageTower(64, (16, 24, 48, 64)), text)


def unit_clip_loss(model: CLIP, x_0: Images, tokens: Tensor) -> Tensor:
    """`clip_loss` of pictures in [-1, 1] and their captions."""
    return clip_loss(model(x_0, tokens))


# Emoji: chapter 24's painter is the start of a decoder of chapter 21's CLIP vectors.


@cache
@torch.no_grad()
def emoji_image_vectors() -> Float[Tensor, "n 128"]:
    """`emoji_clip`'s vectors of the pictures that `prompted_latents` decode to."""
    model, space = clip_of("emoji_clip"), latent_space()
    seen = []
    for part in prompted_latents().split(250):
        x = space.decode(part.float()).clamp(-1, 1)
        seen.append(model.embed_images(F.avg_pool2d(x, 2)))
    return torch.cat(seen)


@cache
def _prompted_labels(views: int = VIEWS) -> Float[Tensor, "n 384"]:
    vectors = label_embeddings()
    codes = [one.code for one in load_emoji("train", groups=GROUPS).concepts]
    return torch.stack([vectors[code] for code in codes]).repeat(views, 1)


@torch.no_grad()
def emoji_texts() -> tuple[Tensor, Tensor, Tensor]:
    """What a prior of emoji is told of prompts: a vector, states, and where there is a piece.

    The vector is `emoji_clip`'s, of the label; the states are the painter's, of the whole prompt.
    """
    painter = at_hand("emoji_latent").get_submodule("net")
    assert isinstance(painter, TokenUNet)
    tower, tokens = painter.tower, prompt_tokens()
    states = torch.cat([tower(part) for part in tokens.split(500)])
    return clip_of("emoji_clip").embed_texts(_prompted_labels()), states, tower.mask(tokens)


def emoji_judge() -> CLIP:
    """A CLIP of emoji that no model was conditioned on: another, narrower network."""
    return CLIP(ImageTower(96, (24, 48, 72, 120)), vector_tower(dim=96))


def emoji_decoder() -> Denoiser:
    """The painter of chapter 24, which is to learn what CLIP's vectors say.

    Only what reads them, the time and the words is trained.
    """
    painter = deepcopy(at_hand("emoji_latent").get_submodule("net"))
    assert isinstance(painter, TokenUNet)
    net = VectorReader(painter, 128)
    net.requires_grad_(False)
    net.added().requires_grad_(True)
    return reader(net)


def decoder_added(model: nn.Module) -> nn.Module:
    """What `emoji_decoder` trains: the rest is in the painter."""
    net = model.get_submodule("net")
    assert isinstance(net, VectorReader)
    return net.added()


def latent_decoder_loss(model: Denoiser, z_0: Tensor, tokens: Tensor, vectors: Tensor) -> Tensor:
    """`decoder_loss` of latents in half precision."""
    return decoder_loss(model, z_0.float(), tokens, vectors)


def latent_loss(model: Denoiser, z_0: Tensor, tokens: Tensor) -> Tensor:
    """`caption_drop_loss` of latents in half precision, at even times."""
    return caption_drop_loss(model, z_0.float(), tokens, times=stratified_times)


def emoji_vectors(split: str = "train") -> Float[Tensor, "n 384"]:
    """MiniLM's vector of each emoji's label, in the order of `load_emoji`."""
    vectors = label_embeddings()
    return torch.stack([vectors[concept.code] for concept in load_emoji(split).concepts])


@cache
def _pairs() -> tuple[Tensor, list[Pair], list[Pair]]:
    images, captions = draw_scenes(20_000, tasks=("pair",))
    scenes = [one for one in map(parse, captions) if isinstance(one, Pair)]
    others = [swapped(one) for one in scenes]
    # Else "never a true caption" would give the wrong one away where the swap is held out.
    keep = [n for n, other in enumerate(others) if split(other) == "train"]
    return images[keep], [scenes[n] for n in keep], [others[n] for n in keep]


def pair_scenes() -> UInt8[Tensor, "n 3 32 32"]:
    """15,000 scenes of two things, "and" between them, and with swapped shapes not held out."""
    return _pairs()[0]


def pair_captions(swaps: bool = False) -> Int[Tensor, "n *two length"]:
    """Their captions in pieces.

    swaps    with each caption the one whose shapes have changed places: [n, 2, length]
    """
    _, scenes, others = _pairs()
    right, wrong = (
        caption_tokenizer().batch([caption(one) for one in some], CAPTION_LENGTH)
        for some in (scenes, others)
    )
    return torch.stack([right, wrong], 1) if swaps else right


def pair_clip(in_order: bool = True) -> nn.Module:
    """A small CLIP of scenes, whose text tower reads a sequence or a bag."""
    return scene_clip(len(caption_tokenizer()), CAPTION_LENGTH if in_order else None)


# Long enough for clear digits, short enough to repeat: a minute or two on a core of its own.
_DIGITS = TrainConfig(lr=2e-3, final_steps=500, total_steps=1500)
_LONG = TrainConfig(lr=2e-3, final_steps=3000, total_steps=8000)
_FASHION = TrainConfig(final_steps=2000, total_steps=7000, warmup_steps=200)
# The largest distance between two pictures of each data set, rounded (chapter 6).
DIGITS_WIDTH, FASHION_WIDTH = 10.0, 44.0

_STYLE = TrainConfig(lr=1.5e-3, final_steps=480, total_steps=1600, ema_decay=0.998, grad_clip=1e9)
_VAE = TrainConfig(final_steps=8_000, total_steps=20_000)

_BITS = TrainConfig(lr=2e-3, final_steps=1000, total_steps=2000)
_ROLL = TrainConfig(lr=2e-3, final_steps=4000, total_steps=8000)
_FASHION_2015 = TrainConfig(final_steps=1000, total_steps=3000, warmup_steps=200)

_CLASSIFIER = TrainConfig(final_steps=500, total_steps=1500)
_HALVED = TrainConfig(final_steps=2000, total_steps=2000, ema_decay=0.99)
_STAGE = TrainConfig(final_steps=1200, total_steps=4000, lr=2e-3)
# Starts from shipped weights.
_HYBRID = TrainConfig(final_steps=1000, total_steps=2000, precision="fp32")
_SECOND_HEAD = TrainConfig(lr=2e-3, final_steps=400, total_steps=800, precision="fp32")
_EXPOSED = TrainConfig(lr=3e-3, final_steps=300, total_steps=500, precision="fp32")

_NO_ORDER = TrainConfig(lr=2e-3, final_steps=1500, total_steps=5000)
_ORDER = TrainConfig(warmup_steps=20, final_steps=350, total_steps=750, ema_decay=0.98)
_ABLATION = TrainConfig(lr=2e-3, final_steps=200, total_steps=600, precision="fp32")


_CLIP = TrainConfig(lr=2e-3, final_steps=400, total_steps=1000, ema_decay=0.99)
_PAIRS = TrainConfig(lr=2e-3, final_steps=400, total_steps=1200, ema_decay=0.99)

_STEERS = TrainConfig(lr=2e-3, final_steps=1000, total_steps=3000, ema_decay=0.995)
_FILLS = TrainConfig(lr=1e-3, warmup_steps=100, final_steps=700, total_steps=1500)

_LATENT = TrainConfig(lr=2e-3, ema_decay=0.998)

_LABELS = TrainConfig(lr=2e-3, warmup_steps=50, final_steps=250, total_steps=600)


def taught_labels(name: str, net: UNet, readers_only: bool = False) -> Denoiser:
    """The shipped unconditional model `name` in a network with a table of labels, to train on.

    The null label starts as nothing, so as the model that is there; the classes start at random.

    readers_only   train the layers through which time and label enter, a tenth of all numbers, and
                   leave the rest as it is
    """
    training, table = TRAININGS[name], net.label
    assert isinstance(training, Training) and table is not None
    plain = load_weights(name, training.model())
    net.load_state_dict(plain.get_submodule("net").state_dict(), strict=False)  # all but the table
    nn.init.normal_(table.weight, std=0.5)
    nn.init.zeros_(table.weight[-1])
    if readers_only:
        net.requires_grad_(False)
        net.readers().requires_grad_(True)
    return ddpm(net)


def label_readers(model: nn.Module) -> nn.Module:
    """What `taught_labels` trains with `readers_only`: the rest is in the model it starts from."""
    net = model.get_submodule("net")
    assert isinstance(net, UNet)
    return net.readers()


def token_unet(places: bool = True, positions: str = "learned") -> TokenUNet:
    """Chapter 20's network that reads captions piece by piece."""
    pieces = len(caption_tokenizer())
    return TokenUNet(pieces, CAPTION_LENGTH, widths=(24, 48), positions=positions, places=places)


def without_order(model: nn.Module) -> None:
    """Put into a reader of captions what `scenes_first` has learnt, trained first if need be.

    That one draws well and knows which shape has which colour, but a caption and its swap are one
    to it. Its stem sees no places: in the new one their kernels start at 0. A bag takes the U-Net
    alone, without the layers that look at words.
    """
    first = deepcopy(TRAININGS["scenes_first"](RUNS / "scenes_first"))
    unet = first.get_submodule("net.unet")
    assert isinstance(unet.stem, nn.Conv2d)
    unet.stem = widened(unet.stem, 2)
    learnt = first.state_dict()
    learnt |= {name.replace(".look.", "."): value for name, value in learnt.items()}
    own = model.state_dict()
    model.load_state_dict(own | {name: learnt[name] for name in own if name in learnt})


def _reads(
    net: Callable[[], nn.Module],
    config: TrainConfig,
    batch: int = 32,
    loss: Callable[..., Tensor] = caption_drop_loss,
    related: Sequence[str] = SMALL_WORLD["related"],
    start: Callable[[nn.Module], object] = lambda model: None,
) -> Training:
    """A network that learns the small world's scenes by their captions."""
    return Training(
        lambda: reader(net()),
        loss,
        lambda: small_scenes(related)[0],
        batch,
        config,
        labels=lambda: small_scenes(related)[1],
        start=start,
    )


def _matches(net: Callable[[], nn.Module], captions: Callable[[], Tensor]) -> Training:
    """A small CLIP that learns which caption is which scene's."""
    return Training(net, scene_clip_loss, pair_scenes, 128, _PAIRS, labels=captions)


def _ablated(net: Callable[[], nn.Module], predicts: str = "eps") -> Training:
    model = partial(Denoiser, schedule=linear(), predicts=predicts)
    return Training(lambda: model(net()), ddpm_loss, small_garments, 64, _ABLATION)


def _autoencodes(
    f: int, kind: str, loss: AutoencoderLoss, steps: int = 2000, final: int = 1000
) -> Training:
    """An autoencoder of emoji; two players, so a short memory of the first moment."""
    return Training(
        lambda: Contest(emoji_autoencoder(f, kind)),
        loss,
        emoji_close_ups,
        32,
        replace(_LATENT, total_steps=steps, final_steps=final),
        betas=(0.5, 0.99),
        part="autoencoder",
    )


def _digits_v() -> Denoiser:
    return Denoiser(digits_unet(), cosine(1024), "v")


def _halved(steps: int, teacher: str) -> Training:
    """A student of `steps` steps that starts as its teacher, shipped weights with twice as many."""

    @cache
    def teach() -> Denoiser:
        return load_weights(teacher, _digits_v())

    def loss(student: Denoiser, x_0: Images) -> Tensor:
        return Halving(teach().to(x_0.device), steps)(student, x_0)

    def start() -> nn.Module:
        return load_weights(teacher, _digits_v()).requires_grad_(True).train()

    return Training(start, loss, digits, 64, _HALVED)


TRAININGS: dict[str, Callable[..., nn.Module]] = {
    "digits_ncsn": Training(
        lambda: ncsn(digits_unet(), DIGITS_WIDTH), ncsn_loss, digits, 64, _DIGITS
    ),
    "fashion_ncsn": Training(
        lambda: ncsn(fashion_unet(), FASHION_WIDTH),
        ncsn_loss,
        garments,
        128,
        replace(_FASHION, final_steps=1700, total_steps=4200),
    ),
    # Chapter 02: a latent that can be drawn, and one with more room.
    "fashion_vae": Training(lambda: fashion_vae(2), vae_loss, garments, 128, _VAE),
    "fashion_vae_16": Training(lambda: fashion_vae(16), vae_loss, garments, 128, _VAE),
    # Chapter 04: the three kinds of data of 2015, each trained on the bound K.
    "heartbeat_2015": Training(heartbeat_2015, heartbeat_2015_loss, heartbeats, 256, _BITS),
    "swiss_roll_2015": Training(swiss_roll_2015, bound_2015_loss, roll, 800, _ROLL),
    "fashion_2015": Training(fashion_2015, bound_2015_loss, garments, 128, _FASHION_2015),
    # Four rows of chapter 8's table: what Ho et al. 2020 compare in their table 2.
    "digits_ddpm": Training(lambda: ddpm(digits_unet()), ddpm_loss, digits, 64, _DIGITS),
    "digits_ddpm_vlb": Training(lambda: ddpm(digits_unet()), ddpm_vlb_loss, digits, 64, _DIGITS),
    "digits_mean": Training(
        lambda: ddpm(MeanAsNoise(digits_unet(), linear())), ddpm_vlb_loss, digits, 64, _DIGITS
    ),
    "digits_x_0": Training(
        lambda: Denoiser(digits_unet(), linear(), "x_0"), ddpm_loss, digits, 64, _DIGITS
    ),
    # Chapter 13: `digits_ddpm` again, by a network that is never told the time.
    "digits_blind": Training(lambda: ddpm(Blind(digits_unet())), ddpm_loss, digits, 64, _DIGITS),
    # Two players, so no first moment and no clipping of their joint gradient.
    "fashion_style": Training(
        StyleGAN, style_gan_loss, garments, 64, _STYLE, betas=(0.0, 0.99), part="generator"
    ),
    "fashion_ddpm": Training(lambda: ddpm(fashion_unet()), ddpm_loss, garments, 128, _FASHION),
    # Chapter 12: the small U-Net, with one part taken out at a time, and one without the U.
    "unet_whole": _ablated(small_unet),
    "unet_no_skips": _ablated(lambda: without_skips(small_unet())),
    "unet_no_attention": _ablated(lambda: without_attention(small_unet())),
    "unet_no_norm": _ablated(lambda: without_norm(small_unet())),
    "unet_flat": _ablated(flat_unet),
    "unet_whole_x_0": _ablated(small_unet, "x_0"),
    "unet_no_skips_x_0": _ablated(lambda: without_skips(small_unet()), "x_0"),
    # Chapter 10: samples or bits? Long runs that differ in nothing but the loss. The third is not
    # shipped: its bits stand beside those of the second.
    "digits_ddpm_long": Training(lambda: ddpm(digits_unet()), ddpm_loss, digits, 64, _LONG),
    "digits_ddpm_vlb_long": Training(
        lambda: ddpm(digits_unet()), ImportanceVLB(1000, TOP + 1), digits, 64, _LONG
    ),
    "digits_ddpm_vlb_uniform": Training(
        lambda: ddpm(digits_unet()), ImportanceVLB(1000, TOP + 1, uniform=1), digits, 64, _LONG
    ),
    # Chapter 15: the whole of `digits_ddpm_long` goes on with the hybrid loss and a second output.
    "digits_hybrid": Training(
        digits_hybrid, partial(hybrid_loss, levels=TOP + 1), digits, 64, _HYBRID
    ),
    # Digits from well lit to black, on a chain that leaves signal at its end, and on one that does
    # not. They differ in nothing else.
    "digits_exposed": Training(
        lambda: Denoiser(digits_unet(), linear(200), "v"), ddpm_loss, exposed_digits, 64, _EXPOSED
    ),
    "digits_exposed_zero": Training(
        lambda: Denoiser(digits_unet(), zero_terminal(linear(200)), "v"),
        ddpm_loss,
        exposed_digits,
        64,
        _EXPOSED,
    ),
    # `digits_ddpm` with the weights of Min-SNR; measured along its training, not shipped.
    "digits_min_snr": Training(lambda: ddpm(digits_unet()), min_snr_loss, digits, 64, _DIGITS),
    # A second head on `fashion_ddpm` learns the variance; nothing else moves, only it is kept.
    "fashion_hybrid": Training(
        fashion_hybrid, hybrid_loss, garments, 64, _SECOND_HEAD, part="net.head.second"
    ),
    # Chapter 16: what is it, under this much noise? And the same network on clean pictures.
    "fashion_classifier": Training(
        fashion_classifier, noisy_labels_loss, garments, 128, _CLASSIFIER, labels=garment_labels
    ),
    "fashion_classifier_clean": Training(
        fashion_classifier, clean_labels_loss, garments, 128, _CLASSIFIER, labels=garment_labels
    ),
    # The small U-Net of chapter 12 with one change of ADM's at a time; measured, not shipped.
    "adm_adagn": _ablated(lambda: small_unet(inject="scale_shift")),
    "adm_attention": _ablated(lambda: small_unet(attention_at=(0, 1, 2))),
    "adm_heads": _ablated(lambda: small_unet(heads=4)),
    "adm_rescale": _ablated(lambda: with_rescaled_blocks(small_unet())),
    # Chapter 19: digits by v, and students that need half the steps of the row above.
    "digits_v": Training(_digits_v, ddpm_loss, digits, 64, replace(_LONG, total_steps=6000)),
    "digits_in_16": _halved(16, "digits_v"),
    "digits_in_8": _halved(8, "digits_in_16"),
    "digits_in_4": _halved(4, "digits_in_8"),
    "digits_in_2": _halved(2, "digits_in_4"),
    "digits_in_1": _halved(1, "digits_in_2"),
    # Chapter 18: garments of 8 × 8, then twice the size, then twice again. `_clean` doubles clean
    # pictures only, as SR3 does.
    "cascade_8": Training(
        lambda: Denoiser(UNet(widths=(32, 64), blocks=1, groups=8), cosine(), "v"),
        ddpm_loss,
        lambda: shrink(framed_garments(), 4),
        64,
        replace(_STAGE, total_steps=6000, final_steps=2000),
    ),
    "cascade_16": Training(
        lambda: stage(SuperResolver(widths=(24, 48))),
        StageLoss(AUG_MAX),
        lambda: shrink(framed_garments()),
        64,
        _STAGE,
    ),
    "cascade_16_clean": Training(
        lambda: stage(SuperResolver(widths=(24, 48))),
        StageLoss(0),
        lambda: shrink(framed_garments()),
        64,
        _STAGE,
    ),
    "cascade_32": Training(
        lambda: stage(SuperResolver(widths=(24, 48), patch=2)),
        StageLoss(AUG_MAX),
        framed_garments,
        64,
        _STAGE,
    ),
    # Chapter 18 too: holes filled, sides put back, shades found again, by one network.
    "palette_14": Training(
        lambda: restorer(Restorer(widths=(24, 48))),
        PaletteLoss(),
        small_garments,
        64,
        replace(_STAGE, total_steps=3000, final_steps=1000),
    ),
    # Chapter 20: the same scenes by a bag of words, and by a sequence of pieces. Both go on from a
    # sequence model which, with four relations, no places and even times, learnt in 5,000 steps all
    # but the order of the two things.
    "scenes_first": _reads(
        partial(token_unet, places=False),
        _NO_ORDER,
        64,
        partial(caption_drop_loss, times=stratified_times),
        tuple(RELATIONS),
    ),
    "scenes_bag": _reads(
        lambda: BagUNet(len(caption_tokenizer()), widths=(24, 48)),
        _ORDER,
        loss=OrderFirst(),
        start=without_order,
    ),
    "scenes_tokens": _reads(token_unet, _ORDER, loss=OrderFirst(), start=without_order),
    # Chapter 17: digits and garments by class, the label dropped now and then. All go on from
    # shipped models, to be short; the third, at full size, from one that it leaves nearly whole.
    "digits_labels": Training(
        lambda: taught_labels("digits_ddpm", digits_unet(num_classes=10)),
        label_drop_loss,
        digits,
        64,
        _LABELS,
        labels=digit_labels,
    ),
    "garments_labels": Training(
        lambda: taught_labels("unet_whole", small_unet(num_classes=10)),
        label_drop_loss,
        small_garments,
        64,
        replace(_LABELS, final_steps=4000, total_steps=12000),
        labels=garment_labels,
    ),
    # The same for a sixteenth of the steps: the bad version of itself that guides it.
    "garments_labels_short": Training(
        lambda: taught_labels("unet_whole", small_unet(num_classes=10)),
        label_drop_loss,
        small_garments,
        64,
        replace(_LABELS, total_steps=750),
        labels=garment_labels,
    ),
    "fashion_labels": Training(
        lambda: taught_labels("fashion_ddpm", fashion_unet(num_classes=10), readers_only=True),
        label_drop_loss,
        garments,
        64,
        TrainConfig(lr=5e-3, warmup_steps=50, final_steps=600, total_steps=1200, ema_decay=0.99),
        labels=garment_labels,
        ships=label_readers,
    ),
    # Chapter 21: emoji and their labels in one space; then scenes of two things, by a bag of words,
    # by a sequence, and by a sequence with a wrong caption for each right one.
    "emoji_clip": Training(
        emoji_clip, emoji_clip_loss, emoji_cut_outs, 256, _CLIP, labels=emoji_vectors
    ),
    "scene_clip_bag": _matches(lambda: pair_clip(in_order=False), pair_captions),
    "scene_clip_tokens": _matches(pair_clip, pair_captions),
    "scene_clip_swaps": _matches(pair_clip, lambda: pair_captions(swaps=True)),
    # Chapter 22: a CLIP that knows noise, to steer; one that does not, has seen other scenes, and
    # judges; and the reader of chapter 20, which learns to fill holes.
    "scene_clip_noised": Training(
        small_clip, noised_clip_loss, lambda: small_scenes()[0], 128, _STEERS, labels=small_tokens
    ),
    "scene_clip_judge": Training(
        small_clip,
        clean_clip_loss,
        lambda: small_scenes(seed=1)[0],
        128,
        _STEERS,
        labels=lambda: small_tokens(1),
    ),
    "scenes_inpaint": Training(
        scenes_inpainter, inpaint_loss, lambda: small_scenes()[0], 32, _FILLS, labels=small_tokens
    ),
    # Chapter 23: latents of emoji. The first is what later chapters diffuse in; the last two differ
    # by their loss alone.
    "emoji_kl_4": _autoencodes(4, "kl", AutoencoderLoss(lpips, critic=0.5, start=4000), 6000, 2000),
    "emoji_kl_2": _autoencodes(2, "kl", AutoencoderLoss(lpips, critic=0.5, start=1000)),
    "emoji_kl_8": _autoencodes(8, "kl", AutoencoderLoss(lpips, critic=0.5, start=1000)),
    "emoji_vq_4": _autoencodes(4, "vq", AutoencoderLoss(lpips, critic=0.5, start=1000)),
    "emoji_vq_8": _autoencodes(8, "vq", AutoencoderLoss(lpips, critic=0.5, start=1000)),
    "emoji_mse_8": _autoencodes(8, "vq", AutoencoderLoss(pixels=F.mse_loss)),
    # Chapter 24: text to emoji in these latents. Nine minutes of a GPU, about a day of a laptop.
    "emoji_latent": Training(
        lambda: latent_reader(len(prompt_tokenizer()), 4, dropout=0.1),
        latent_loss,
        prompted_latents,
        256,
        TrainConfig(lr=1e-3, warmup_steps=500, final_steps=2720, total_steps=6800),
        labels=prompt_tokens,
    ),
    # Its sweep of f: four diffusions of scenes that cost the same time.
    **{f"scenes_f{f}": _swept(f, steps) for f, steps in SWEPT.items()},
    # Chapter 26: CLIPs of the small world, by a sequence of pieces and by a bag of them, and one
    # that judges, has another image tower and has seen other scenes.
    "world_clip": Training(
        world_clip, unit_clip_loss, lambda: world_32()[0], 128, _PAIRS, labels=lambda: world_32()[1]
    ),
    "world_clip_bag": Training(
        lambda: world_clip(in_order=False),
        unit_clip_loss,
        lambda: world_32()[0],
        128,
        _PAIRS,
        labels=lambda: world_32()[1],
    ),
    "world_clip_judge": Training(
        small_clip,
        clean_clip_loss,
        lambda: world_32(seed=1)[0],
        128,
        _PAIRS,
        labels=lambda: world_32(seed=1)[1],
    ),
    # Its two priors, its decoder (and one of the bag's vectors), and a stage that knows no text.
    "unclip_prior": Training(
        lambda: diffusion_prior(PriorTransformer(64, 32, CAPTION_LENGTH)),
        prior_loss,
        world_vectors,
        256,
        _world(UNCLIP["prior"]),
        labels=world_texts,
    ),
    "unclip_numbers": Training(
        number_prior,
        number_loss,
        world_vectors,
        256,
        _world(UNCLIP["prior"]),
        labels=world_texts,
        start=set_buckets,
    ),
    "unclip_decoder": _decodes("world_clip"),
    "unclip_decoder_bag": _decodes("world_clip_bag"),
    "unclip_up": Training(
        lambda: stage(SuperResolver(3, widths=(16, 32))),
        StageLoss(JOINT),
        lambda: world_32()[0],
        12,
        _world(UNCLIP["up"]),
    ),
    # Chapter 27: a base on MiniLM's states and two stages; the base on other features.
    "imagen_16": _by_states(),
    "imagen_16_pooled": _by_states(looks=False),
    "imagen_16_clip": _by_states("clip"),
    "imagen_16_one_hot": _by_states("one-hot"),
    "scenes_latent": _swept(2, LATENT_SCENES),  # the first of the three: chapter 24's, for longer
    "imagen_32": Training(
        _resolves,
        partial(stage_loss, up_to=JOINT),
        lambda: world_32()[0],
        12,
        _world(IMAGEN["32"]),
        labels=world_states,
    ),
    "imagen_64": Training(
        _resolves,
        partial(stage_loss, up_to=JOINT, crop=32),
        lambda: world_32(size=64)[0],
        12,
        _world(IMAGEN["64"]),
        labels=world_states,
    ),
    # Chapter 26's emoji: a prior of CLIP's vectors, and the painter that learns to read them; and
    # a CLIP that judges both, since theirs cannot.
    "emoji_clip_judge": Training(
        emoji_judge, emoji_clip_loss, emoji_cut_outs, 256, _CLIP, labels=emoji_vectors
    ),
    "emoji_prior": Training(
        lambda: diffusion_prior(PriorTransformer(128, 96, LENGTH, width=96, depth=3)),
        prior_loss,
        emoji_image_vectors,
        256,
        TrainConfig(lr=1e-3, final_steps=600, total_steps=1500, ema_decay=0.995),
        labels=emoji_texts,
    ),
    "emoji_unclip": Training(
        emoji_decoder,
        latent_decoder_loss,
        prompted_latents,
        32,
        TrainConfig(lr=1e-3, final_steps=1000, total_steps=2500, ema_decay=0.995),
        labels=lambda: (prompt_tokens(), emoji_image_vectors()),
        ships=decoder_added,
    ),
    # What samples are looked at with; these two measure and ship themselves.
    "digits_features": partial(train_features, "digits_features"),
    "fashion_features": partial(train_features, "fashion_features"),
}


def trained(name: str, profile: str = "fast", runs: Path = RUNS) -> nn.Module:
    """The shipped model called `name`; in a profile other than "fast", one trained on this machine.

    The run is kept in a folder of `runs`, the one of `course train`, and goes on where it stopped.
    Raises ValueError for an unknown name, listing the valid ones.
    """
    models = {key: value for key, value in TRAININGS.items() if isinstance(value, Training)}
    one_of(name, models, "model")
    training = models[name]
    anew = None if profile == "fast" else lambda _: training.ships(training(runs / name))
    model = training.model().get_submodule(training.part)
    load_or_train(name, training.ships(model), anew)
    return model.eval().requires_grad_(False)


def unet_ablation(path: Path = WEIGHTS.parent / "unet_ablation.json") -> UNetLosses:
    """The times of `tools/ablate_unet.py`, and the losses [seeds, times] of each of its networks.

    Losses on unseen garments, in what a network predicts. A network without a run is left out.
    """
    table = json.loads(path.read_text())
    losses = {name: torch.tensor(list(runs.values())) for name, runs in table["losses"].items()}
    return torch.tensor(table["times"]), {name: one for name, one in losses.items() if len(one)}


def cascade_levels(
    path: Path = WEIGHTS.parent / "cascade.json",
) -> tuple[int, dict[str, dict[str, Tensor]]]:
    """What `benchmarks/cascade.py` measured: pictures a row, and rows of numbers, one a seed.

    A row may hold some numbers of fewer seeds than others.
    """
    table, rows = json.loads(path.read_text()), {}
    for key, seeds in table["rows"].items():
        found: dict[str, list[float]] = {}
        for _, row in sorted(seeds.items()):
            for what, value in row.items():
                found.setdefault(what, []).append(value)
        rows[key] = {what: torch.tensor(values) for what, values in found.items()}
    return table["n"], rows
