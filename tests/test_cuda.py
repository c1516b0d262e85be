"""On a GPU: the trainer, resuming, and the same pictures as on a CPU. Skipped where there is none.

The tests on "meta" need no GPU: there a tensor has a device and no numbers, so whatever a function
leaves on the CPU fails as it would on a GPU. By itself, without what other tests need:

    python -m pytest -c /dev/null --noconftest tests/test_cuda.py
"""

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib import check
from course_lib.core.tensors import pick_device, seeded_randn_like
from course_lib.data.batches import random_batches
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.diffusion.solvers import PLMS, DPMSolver2M
from course_lib.models.captions import TokenUNet, reader
from course_lib.models.cascade import SuperResolver, chain, stage
from course_lib.models.clip_tokens import END, START, ClipTokenizer
from course_lib.models.imagen import StatesUNet
from course_lib.models.imagen import imagine as draw_states
from course_lib.models.kl_autoencoder import KLAutoencoder
from course_lib.models.latent import LENGTH, imagine, latent_reader, pixel_space
from course_lib.models.stable_diffusion import assemble, latent_unet, text_tower
from course_lib.models.text_to_image import draw
from course_lib.models.unclip import PriorTransformer, decode, diffusion_prior, draw_vectors
from course_lib.nn.mlp import MLP
from course_lib.nn.unet import UNet
from course_lib.recipes import ddpm, ddpm_loss, heartbeat_2015, heartbeat_2015_loss
from course_lib.train import TrainConfig, Trainer
from course_lib.trainings import (
    TRAININGS,
    Training,
    latent_space,
    prompt_tokenizer,
    trained,
    vector_reader,
)

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
META, CPU = torch.device("meta"), torch.device("cpu")
CONFIG = TrainConfig(lr=3e-3, warmup_steps=5, total_steps=120, ema_decay=0.9)


@pytest.fixture
def full_precision():
    """Float32 is float32: tensor cores would round its products to 10 bits."""
    backends = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [one.allow_tf32 for one in backends]
    for one in backends:
        one.allow_tf32 = False
    yield
    for one, was in zip(backends, before, strict=True):
        one.allow_tf32 = was


# ---- what a GPU would miss, found without one -------------------------------------------------


def on_meta(module):
    return module.to(META).eval()


def ids(n, length=LENGTH):
    return torch.ones(n, length, dtype=torch.long, device=META)


def in_latents():
    return imagine(on_meta(latent_reader(50, 3)), on_meta(pixel_space()), ids(2), side=16, steps=2)


def by_states():
    there = torch.ones(2, 5, dtype=torch.bool, device=META)
    stages = [on_meta(reader(StatesUNet(8, widths=(8, 16), resolves=True)))]
    base = on_meta(reader(StatesUNet(8, widths=(8, 16))))
    asked = torch.zeros(2, 5, 8, device=META), there
    *_, made = draw_states(base, stages, *asked, scales=(2.0, 1.0), levels=(100,), steps=2)
    return made


def by_vectors():
    prior = on_meta(diffusion_prior(PriorTransformer(64, 8, 5, width=16, heads=2)))
    told = torch.zeros(2, 64, device=META), torch.zeros(2, 5, 8, device=META)
    there = torch.ones(2, 5, dtype=torch.bool, device=META)
    vectors = draw_vectors(prior, *told, there, steps=2)
    like = vectors.new_empty(2, 3, 16, 16)
    return decode(on_meta(reader(vector_reader())), vectors, ids(2, 5), like, steps=2)


def in_a_cascade():
    base = on_meta(ddpm(UNet(widths=(8, 16), groups=8)))
    *_, made = chain(
        base, [on_meta(stage(SuperResolver(widths=(8, 16))))], 2, levels=(50,), steps=2
    )
    return made


def of_captions():
    net = reader(TokenUNet(50, LENGTH, widths=(8, 16)))
    return on_meta(net).loss(
        torch.zeros(2, 3, 16, 16, device=META),
        torch.ones(2, dtype=torch.long, device=META),
        torch.zeros(2, 3, 16, 16, device=META),
        tokens=ids(2),
    )


def of_heartbeats():
    return heartbeat_2015_loss(on_meta(heartbeat_2015()), torch.zeros(4, 20, device=META))


@pytest.mark.parametrize(
    "make", [in_latents, by_states, by_vectors, in_a_cascade, of_captions, of_heartbeats]
)
def test_nothing_is_left_on_the_cpu(make):
    with torch.no_grad():
        assert make().device == META


# ---- choosing it --------------------------------------------------------------------------------


@on_a_gpu
def test_auto_is_the_gpu_and_the_check_names_it():
    assert pick_device().type == "cuda"
    assert torch.cuda.get_device_name() in str(check.device())


@on_a_gpu
def test_a_seed_is_the_same_noise():
    near, far = (seeded_randn_like(3)(torch.empty(5, 7, device=d)) for d in ("cpu", "cuda"))
    assert far.device.type == "cuda" and torch.equal(near, far.cpu())


# ---- training -----------------------------------------------------------------------------------


def make(config=CONFIG, loss=ddpm_loss, device="cuda"):
    torch.manual_seed(0)
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]]).to(device)
    return Trainer(ddpm(MLP(width=64)).to(device), loss, random_batches(points, size=64), config)


def weights_of(trainer):
    parts = {"model": trainer.model, "ema": trainer.ema}
    found = {f"{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}
    moments = trainer.optimizer.state_dict()["state"]
    return found | {f"{i}.{k}": v for i, one in moments.items() for k, v in one.items()}


def assert_equal_runs(one, other):
    assert one.losses == other.losses
    ours, theirs = weights_of(one), weights_of(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value.cpu(), theirs[name].cpu()), name


@on_a_gpu
def test_auto_trains_in_bf16_and_the_loss_falls():
    seen = []

    def loss(model, x_0):
        found = ddpm_loss(model, x_0)
        seen.append((torch.is_autocast_enabled("cuda"), nn.functional.linear(x_0, x_0[:3]).dtype))
        return found

    trainer = make(loss=loss)
    trainer.fit()
    assert set(seen) == {(True, torch.bfloat16)}
    assert all(p.dtype == torch.float32 and p.is_cuda for p in trainer.model.parameters())
    assert sum(trainer.losses[:5]) / 5 > 0.8
    assert sum(trainer.losses[-30:]) / 30 < 0.55


@on_a_gpu
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_resuming_is_exact_to_the_bit(tmp_path, precision):
    config = replace(CONFIG, total_steps=24, precision=precision)
    through, file = make(config), tmp_path / "run.safetensors"
    through.fit()
    make(config).fit(9, checkpoint=file)
    torch.rand(17, device="cuda")  # whatever else draws in between does not matter
    resumed = make(config)
    resumed.fit(checkpoint=file)
    assert_equal_runs(through, resumed)


@on_a_gpu
def test_a_run_goes_on_on_the_cpu(tmp_path):
    config, file = replace(CONFIG, total_steps=24), tmp_path / "run.safetensors"
    far = make(config)
    far.fit(12, checkpoint=file)
    near = make(config, device="cpu").load(file)
    assert near.steps == 12 and not next(near.model.parameters()).is_cuda
    assert_equal_runs(far, near)
    near.fit()
    assert near.steps == 24


@on_a_gpu
def test_a_loss_that_is_not_finite_is_found_when_losses_are_fetched(tmp_path):
    # A GPU is not made to wait at each step, so the run may have gone on for some.
    trainer = make(loss=lambda model, x_0: ddpm_loss(model, x_0) * float("nan"))
    with pytest.raises(FloatingPointError, match="at step 1 "):
        trainer.fit(10, checkpoint=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@on_a_gpu
@pytest.mark.parametrize("name", ["heartbeat_2015", "digits_ddpm_vlb_long"])
def test_a_training_of_the_course_runs(tmp_path, name):
    # Lookups in tables, and a loss with a memory of its own, which goes to the GPU too.
    training = TRAININGS[name]
    assert isinstance(training, Training)
    model = training(tmp_path, device="cuda", steps=3)
    assert all(p.is_cuda and bool(p.isfinite().all()) for p in model.parameters())


# ---- drawing ------------------------------------------------------------------------------------


@on_a_gpu
def test_garments_are_the_same(full_precision):
    model = trained("fashion_ddpm")
    drawn = []
    for device in ("cpu", "cuda"):
        model = model.to(device)
        noise = seeded_randn_like(0)(torch.empty(4, 1, 28, 28, device=device))
        times = spaced_times(model.schedule, 10)
        drawn.append(sample(ddim_step, clip(model), model.schedule, noise, times).cpu())
    assert drawn[0].std() > 0.3, "nothing is drawn"
    torch.testing.assert_close(*drawn, atol=5e-3, rtol=0)


@on_a_gpu
def test_emoji_are_the_same(full_precision):
    parts = [trained("emoji_latent"), deepcopy(latent_space())]
    tokens = prompt_tokenizer().batch(["wolf", "wine glass on a purple background"], LENGTH)
    drawn = []
    for device in ("cpu", "cuda"):
        model, space = (part.to(device) for part in parts)
        drawn.append(imagine(model, space, tokens.to(device), steps=10).cpu())
    assert drawn[0].std() > 0.2, "nothing is drawn"
    torch.testing.assert_close(*drawn, atol=1e-2, rtol=0)


def small_system(device, dtype=torch.float32):
    torch.manual_seed(0)
    nets = (
        text_tower(50, dim=32, depth=2, heads=4),
        latent_unet(widths=(32, 32), context_dim=32, heads=4, groups=8),
        KLAutoencoder(widths=(32, 32), groups=8),
    )
    nets[1].head.out.reset_parameters()  # it starts as zeros
    tower, unet, autoencoder = (net.eval().to(device, dtype) for net in nets)
    words = ClipTokenizer({"a</w>": 1, START: 48, END: 49}, ())
    return assemble(words, tower, unet, autoencoder)


@on_a_gpu
@pytest.mark.parametrize("step", [lambda: ddim_step, PLMS, DPMSolver2M])
def test_stable_diffusions_graph_draws_the_same(full_precision, step):
    asked = {"height": 32, "width": 32, "steps": 6}
    near, far = (
        draw(small_system(device), ["a a", "a"], step=step(), **asked) for device in ("cpu", "cuda")
    )
    assert far.is_cuda
    torch.testing.assert_close(near, far.cpu(), atol=1e-2, rtol=0)


@on_a_gpu
def test_half_precision_walks_in_single(full_precision):
    asked = {"height": 32, "width": 32, "steps": 6}
    whole = draw(small_system("cuda"), ["a"], **asked)
    half = draw(small_system("cuda", torch.float16), ["a"], **asked)
    assert half.dtype == torch.float32 and half.isfinite().all()
    assert (half - whole).abs().mean() < 0.05


# ---- compiled -----------------------------------------------------------------------------------

COMPILED = """
import torch
from course_lib.data.batches import random_batches
from course_lib.nn.mlp import MLP
from course_lib.recipes import ddpm
from course_lib.train import TrainConfig, Trainer

def loss(model, x_0, t, eps):
    return model.loss(x_0, t, eps).mean()

for compiled in (False, True):
    torch.manual_seed(0)
    rows = torch.randn(64, 2), torch.randint(1, 1001, (64,)), torch.randn(64, 2)
    batches = random_batches(*(one.to("cuda") for one in rows), size=32)
    model = ddpm(MLP(width=16)).to("cuda")
    trainer = Trainer(model, loss, batches, TrainConfig(), compiled=compiled)
    trainer.fit(2)
    print(*trainer.losses)
"""


@on_a_gpu
@pytest.mark.slow
def test_a_compiled_step_has_the_loss_of_a_plain_one():
    # In a Python of its own: the compiler cannot read through the shape checks of the tests. Noise
    # comes with the batch, since a compiled step would draw other noise.
    run = [sys.executable, "-c", COMPILED]
    ran = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert ran.returncode == 0, ran.stderr
    plain, compiled = ([float(loss) for loss in line.split()] for line in ran.stdout.splitlines())
    assert len(plain) == 2 and all(loss > 0.1 for loss in plain)
    assert compiled == pytest.approx(plain, rel=1e-2)
