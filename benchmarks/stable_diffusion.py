"""Stable Diffusion v1 at its full width: is it the published graph, what does it cost?

    python benchmarks/stable_diffusion.py
    python benchmarks/stable_diffusion.py --part gpu > gpu.json    on a machine with a GPU, alone,
    python benchmarks/stable_diffusion.py --take gpu.json          and here, what it found

With random weights, since none are shipped. Four parts, each in a process of its own, so that one
part's memory is not the next one's (peak of the process, from the operating system):

    equal    each network beside its peer of diffusers and transformers, weights shared by the key
             map: the largest difference of their outputs (latents of 32 x 32, pictures of 256)
    folder   the three networks in half precision written as a published folder
    run      that folder read by `stable_diffusion` in single precision: one guided step and the
             decoder, at 512 x 512; seconds on one thread, and memory
    gpu      whole guided pictures of 512 x 512 in half precision, if there is a GPU: seconds and
             memory. The weights are made on the GPU; nothing is read or written

The result goes to data/measured/stable_diffusion.json. Takes some minutes and 8 GB of memory for
"equal", of which half is the peer's, and 2 GB of disk in a temporary folder.
"""

import argparse
import gc
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib.core.tensors import atomic_write
from course_lib.diffusion.samplers import ddim_step
from course_lib.diffusion.solvers import PLMS
from course_lib.models import published_sd
from course_lib.models.clip_tokens import END, START, ClipTokenizer
from course_lib.models.kl_autoencoder import KLAutoencoder
from course_lib.models.stable_diffusion import assemble, latent_unet, text_tower
from course_lib.models.text_to_image import TextToImage, draw

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = ROOT / "data" / "measured" / "stable_diffusion.json"
NAMES: dict[str, Callable[[str], str]] = {
    "text tower": published_sd.text_name,
    "U-Net": published_sd.unet_name,
    "autoencoder": published_sd.vae_name,
}


def gigabytes() -> float:
    """The largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def theirs(name: str) -> nn.Module:
    """The published code's network of this name, with random weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    if name == "text tower":
        sizes = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
        return CLIPTextModel(
            CLIPTextConfig(num_attention_heads=12, vocab_size=49_408, **sizes)
        ).eval()
    if name == "U-Net":
        return UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(320, 640, 1280, 1280),
            cross_attention_dim=768,
            attention_head_dim=8,
        ).eval()
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
    ).eval()


def ours(name: str) -> nn.Module:
    """Our network of this name, as shapes without memory."""
    with torch.device("meta"):
        if name == "text tower":
            return text_tower().eval()
        return (latent_unet() if name == "U-Net" else KLAutoencoder()).eval()


def shared(name: str) -> tuple[nn.Module, nn.Module]:
    """Both networks of this name, on the same memory but for one small matrix."""
    peer, net = theirs(name), ours(name)
    there = peer.state_dict()
    state = {k: published_sd.cosines_first(k, there[NAMES[name](k)]) for k in net.state_dict()}
    net.load_state_dict(state, assign=True)
    return net, peer


@torch.no_grad()
def gap(one: Tensor, other: Tensor) -> dict[str, float]:
    """The largest difference of two outputs, beside the size of one."""
    return {"largest difference": float((one - other).abs().max()), "spread": float(other.std())}


@torch.no_grad()
def equal() -> dict[str, Any]:
    """Our networks beside theirs, one pair at a time."""
    found: dict[str, Any] = {}
    net, peer = shared("text tower")
    ids = torch.randint(0, 49_408, (1, 77), generator=torch.Generator().manual_seed(1))
    found["text tower"] = gap(net(ids), peer(ids).last_hidden_state)
    found["text tower"]["parameters"] = sum(p.numel() for p in net.parameters())
    del net, peer
    net, peer = shared("autoencoder")
    assert isinstance(net, KLAutoencoder)
    x = torch.rand(1, 3, 256, 256) * 2 - 1
    z = peer.encode(x).latent_dist.mean
    found["encoder"], found["decoder"] = (
        gap(net.encode(x), z),
        gap(net.decode(z), peer.decode(z)[0]),
    )
    found["autoencoder"] = {"parameters": sum(p.numel() for p in net.parameters())}
    del net, peer
    gc.collect()
    net, peer = shared("U-Net")
    z, t, context = torch.randn(1, 4, 32, 32), torch.tensor([981]), torch.randn(1, 77, 768)
    found["U-Net"] = gap(net(z, t, context=context), peer(z, t, context).sample)
    found["U-Net"]["parameters"] = sum(p.numel() for p in net.parameters())
    return found | {"memory, both together": gigabytes()}


def letters() -> dict[str, int]:
    """A vocabulary of single letters, with the published numbers of the two signs."""
    words = [chr(code) for code in range(33, 127)]
    numbers = {piece: n for n, piece in enumerate([*words, *(word + "</w>" for word in words)])}
    return numbers | {START: 49_406, END: 49_407}


def folder(where: Path) -> dict[str, Any]:
    """Write the three in half precision as a published folder, with a vocabulary of bytes."""
    for name, part, stem in (
        ("text tower", "text_encoder", "model"),
        ("U-Net", "unet", "diffusion_pytorch_model"),
        ("autoencoder", "vae", "diffusion_pytorch_model"),
    ):
        (where / part).mkdir(parents=True)
        state = {k: v.half().contiguous() for k, v in theirs(name).state_dict().items()}
        save_file(state, where / part / f"{stem}.safetensors")
    (where / "tokenizer").mkdir()
    (where / "tokenizer/vocab.json").write_text(json.dumps(letters()))
    (where / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    return {"gigabytes on disk": sum(f.stat().st_size for f in where.rglob("*.s*")) / 2**30}


@torch.no_grad()
def run(where: Path) -> dict[str, Any]:
    """Read the folder, draw one guided step at 512 x 512; each stage timed."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        done = work()
        seconds[name] = round(time.perf_counter() - started, 3)
        return done

    before = gigabytes()
    system = timed("load", lambda: published_sd.stable_diffusion(where))
    loaded = gigabytes()
    context = timed("text tower", lambda: system.read(["a cat"]))["context"]
    z, t = torch.randn(1, 4, 64, 64), torch.tensor([982])
    z_0 = timed("U-Net", lambda: system.model(z, t, context=context))
    both = torch.cat([context, system.read([""])["context"]])
    timed("U-Net, guided", lambda: system.model(z.expand(2, -1, -1, -1), t.expand(2), context=both))
    walked = gigabytes()
    x = timed("decoder", lambda: system.space.decode(z_0))
    timed("encoder", lambda: system.space.encode(x.clamp(-1, 1)))
    memory = {"before": before, "loaded": loaded, "after U-Net": walked, "at most": gigabytes()}
    return {"seconds": seconds, "memory": {k: round(v, 2) for k, v in memory.items()}}


def on_gpu(dtype: torch.dtype = torch.float16) -> TextToImage:
    """The whole system with random weights, made where they are used: no file, no detour."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with gpu.CUDA:
        tower, unet, autoencoder = text_tower(), latent_unet(), KLAutoencoder()
    torch.set_default_dtype(torch.float32)
    unet.head.out.reset_parameters()  # it starts as zeros: no noise would ever be guessed
    for net in (tower, unet, autoencoder):
        net.eval().requires_grad_(False)
    return assemble(ClipTokenizer(letters(), ()), tower, unet, autoencoder)


@torch.no_grad()
def run_on_gpu(side: int = 512, rounds: int = 2) -> dict[str, Any]:
    """Whole guided pictures as chapter 25 draws them on a GPU, and the three networks alone."""
    system = on_gpu()
    gib = 2**30
    memory = {"weights": torch.cuda.memory_allocated() / gib}

    def pictures(count: int, steps: int, plms: bool = True) -> Tensor:
        step = PLMS() if plms else ddim_step
        asked = {"height": side, "width": side, "steps": steps, "step": step}
        return draw(system, ["a cat"] * count, **asked)

    pictures(1, 2)
    for name, count in (("a picture", 1), ("two at once", 2)):
        tensors, reserved = gpu.most_bytes(lambda n=count: pictures(n, 4))
        memory |= {name: tensors / gib, f"{name}, reserved": reserved / gib}
    z, t = (
        torch.randn(2, 4, side // 8, side // 8).to(gpu.CUDA),
        torch.tensor([982] * 2).to(gpu.CUDA),
    )
    context = system.read(["a cat", ""])["context"]
    work: dict[str, Callable[[], object]] = {
        "text tower": lambda: system.read(["a cat"]),
        "U-Net, guided": lambda: system.model(z, t, context=context),
        "decoder": lambda: system.space.decode(z[:1]),
        "25 steps of PLMS": lambda: pictures(1, 25),
        "50 steps of DDIM": lambda: pictures(1, 50, plms=False),
    }
    seconds = {name: round(gpu.seconds(one, rounds), 4) for name, one in work.items()}
    made = pictures(1, 25)
    return {
        "on": gpu.which(),
        "dtype": str(system.model.net.unet.stem.weight.dtype).removeprefix("torch."),
        "side": side,
        "finite": bool(made.isfinite().all()),
        "seconds": seconds,
        "memory": {name: round(value, 2) for name, value in memory.items()},
    }


def main() -> None:
    """Run the parts, one process each, and keep what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("equal", "folder", "run", "gpu"))
    parser.add_argument("--take", type=Path, help="what `--part gpu` printed on another machine")
    parser.add_argument("--where", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part:
        part: dict[str, Callable[[], Any]] = {
            "equal": equal,
            "folder": lambda: folder(options.where),
            "run": lambda: run(options.where),
            "gpu": run_on_gpu,
        }
        print(json.dumps(part[options.part]()))
        return
    known = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    if options.take:
        keep(known | {"gpu": json.loads(options.take.read_text().splitlines()[-1])})
        return
    about = f"{platform.machine()}, 1 thread, torch {torch.__version__}, float32, random weights"
    found: dict[str, Any] = {"about": about}
    parts = ["equal", "folder", "run"] + ["gpu"] * torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as where:
        for name in parts:
            command = [sys.executable, __file__, "--part", name, "--where", f"{where}/sd"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            print(name, json.dumps(found[name]), flush=True)
    keep(known | found)  # without a GPU what another one took stays


def keep(found: dict[str, Any]) -> None:
    """Write the numbers of all parts."""
    atomic_write(NUMBERS, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
