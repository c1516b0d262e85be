"""What autoencoders of emoji keep, what it costs, and what their priors draw.

    python benchmarks/autoencoders.py                     every row; goes on where it stopped
    python benchmarks/autoencoders.py --only kl/ --steps 50 --out look.json

Chapter 23 reads the file. Three kinds of rows:

`kl/WEIGHT`   a small autoencoder of faces at 32 x 32, f = 4, squared error, trained with this
              weight of the KL; with pictures: held-out faces drawn again, and what the decoder
              makes of draws from N(0, I)
`codes/RESTART/SEED`  the same with 512 codes, dead ones moved or not, for half the steps
`model/NAME`  a shipped model: all held-out emoji at 64 x 64 drawn again
"""

import argparse
import base64
import io
import json
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, mse_loss

from course_lib.core.tensors import atomic_write, seed_everything, seeded_randn_like, to_pixels
from course_lib.data.batches import random_batches
from course_lib.data.emoji import load_emoji
from course_lib.data.files import ROOT
from course_lib.evaluation import frechet_emoji
from course_lib.metrics import energy_distance, frechet_distance, psnr
from course_lib.models.autoencoder import (
    Autoencoder,
    Gaussian,
    Quantiser,
    perplexity,
)
from course_lib.models.vae import kl_to_prior
from course_lib.train import TrainConfig, Trainer
from course_lib.trainings import lpips, trained

NUMBERS = ROOT / "data" / "autoencoders.json"
WEIGHTS = (1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0)
FACES = ("smileys-emotion",)
SHOWN = 6
MODELS = ("emoji_kl_2", "emoji_kl_4", "emoji_kl_8", "emoji_vq_4", "emoji_vq_8", "emoji_mse_8")
Row = dict[str, Any]


@cache
def faces(split: str) -> Tensor:
    """Faces on white at 32 x 32; training ones or all held-out ones."""
    splits = ("train",) if split == "train" else ("test_concept", "test_pair")
    return torch.cat([load_emoji(one, groups=FACES).on(size=32) for one in splits])


@torch.enable_grad()
def small(bottleneck: Any, steps: int, seed: int) -> Autoencoder:
    """A small autoencoder of faces, trained by squared error."""
    seed_everything(seed)
    model = Autoencoder((24, 40), bottleneck, (1, 1))

    def loss(model: Any, x: Tensor) -> Tensor:
        made, price = model(x)
        return mse_loss(made, x) + price

    config = TrainConfig(
        lr=2e-3, final_steps=steps // 2, total_steps=steps, ema_decay=0.99, seed=seed
    )
    return Trainer(model, loss, random_batches(faces("train"), size=32), config).fit()


def sheet(rows: list[Tensor]) -> str:
    """Rows of pictures as one WebP of 32 x 32 each, in base 64."""
    pixels = torch.cat([torch.cat(list(to_pixels(row)), 2) for row in rows], 1)
    out = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(out, "webp", quality=80, method=6)
    return base64.b64encode(out.getvalue()).decode()


def coarse(x: Tensor) -> Tensor:
    """Pictures as 8 x 8 means, one row each: where light and colour are, and no detail."""
    return avg_pool2d(x.clamp(-1, 1), 4).flatten(1)


def neighbours(z: Tensor) -> float:
    """The correlation of a latent with its right neighbour, averaged over channels."""
    z = (z - z.mean(0)) / z.std((0, 2, 3), keepdim=True)
    return float((z[..., 1:] * z[..., :-1]).mean())


@torch.no_grad()
def kl_row(weight: float, steps: int) -> Row:
    """One stop of the dial: bits, error, moments of the latents, and pictures."""
    model = small(Gaussian(4, weight, 48), steps, 0)
    x = faces("test")
    mean, log_var = model.bottleneck.moments(model.read(x))
    z = mean + (log_var / 2).exp() * seeded_randn_like(1)(mean)
    made = model.decode(z)
    bits = kl_to_prior(mean, log_var).flatten(1).sum(1).mean() / math.log(2)
    row: Row = {
        "bits": float(bits),
        "mse": float((made - x).square().mean()),
        "psnr": psnr(made.clamp(-1, 1), x, peak=2.0),
        "std": float(z.std()),
        "noise": float((log_var / 2).exp().mean()),
        "neighbours": neighbours(z),
    }
    drawn = model.decode(seeded_randn_like(2)(z))
    row["gap"] = energy_distance(coarse(drawn), coarse(x))
    row["gap again"] = energy_distance(coarse(made), coarse(x))
    row["floor"] = energy_distance(coarse(faces("train")), coarse(x))
    pick = torch.linspace(0, len(x) - 1, SHOWN).long()
    return row | {"sheet": sheet([made[pick], drawn[:SHOWN]])}


@torch.no_grad()
def codes_row(restart: bool, seed: int, steps: int) -> Row:
    """How many of 512 codes held-out faces use."""
    model = small(Quantiser(4, 512, restart=restart), steps, seed)
    x = faces("test")
    ids = model.bottleneck.nearest(model.read(x))
    made = model.decode(model.encode(x))
    return {
        "used": len(ids.unique()),
        "perplexity": float(perplexity(ids, 512)),
        "psnr": psnr(made.clamp(-1, 1), x, peak=2.0),
    }


@cache
def held_out() -> Tensor:
    """All held-out emoji on white, 64 x 64."""
    return torch.cat([load_emoji(one).on(size=64) for one in ("test_pair", "test_concept")])


@cache
def windowed_train(n: int) -> Tensor:
    """n training emoji on white, 64 x 64."""
    train = load_emoji("train")
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:n]
    return train.pick(chosen.tolist()).on(size=64)


def near(x: Tensor) -> float:
    """Distance of the middles of pictures, 32 x 32 of 64 x 64, from those of held-out emoji."""
    return frechet_distance(seen(x[..., 16:48, 16:48]), _seen_near())


@cache
def _seen_near() -> Tensor:
    return seen(held_out()[..., 16:48, 16:48])


def seen(x: Tensor) -> Tensor:
    """What emoji_clip sees at its third level, as for `frechet_emoji`."""
    tower: Any = trained("emoji_clip").get_submodule("image")
    return torch.cat([tower.seen(part, levels=3) for part in x.split(100)])


@torch.no_grad()
def model_row(name: str, steps: int) -> Row:
    """Rate, distortion and realism of a shipped model."""
    model, x = trained(name), held_out()
    made, bits, ids = [], [], []
    for part in x.split(128):
        h = model.read(part)
        made.append(model.decode(model.bottleneck.settled(h)).clamp(-1, 1))
        if isinstance(model.bottleneck, Quantiser):
            ids.append(model.bottleneck.nearest(h))
        else:
            bits.append(kl_to_prior(*model.bottleneck.moments(h)).flatten(1).sum(1))
    again = torch.cat(made)
    apart = torch.cat([lpips(a, b) for a, b in zip(again.split(128), x.split(128), strict=True)])
    found = frechet_emoji(again)
    row: Row = {
        "values": model.encode(x[:1]).numel(),
        "psnr": psnr(again, x, peak=2.0),
        "lpips": float(apart.mean()),
        "FD": found.value,
        "floor": found.floor,
        "FD near": near(again),
        "floor near": near(windowed_train(len(x))),
        "n": len(x),
    }
    if ids:
        all_ids = torch.cat(ids)
        row["bits"] = all_ids[0].numel() * math.log2(len(model.bottleneck.used))
        row["used"] = len(all_ids.unique())
        row["perplexity"] = float(perplexity(all_ids, len(model.bottleneck.used)))
    else:
        row["bits"] = float(torch.cat(bits).mean()) / math.log(2)
    return row


def jobs(steps: int) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Every row by name."""
    for weight in WEIGHTS:
        yield f"kl/{weight:g}", partial(kl_row, weight, steps)
    for seed in range(3):
        for restart in (True, False):
            yield f"codes/{restart}/{seed}", partial(codes_row, restart, seed, steps // 2)
    for name in MODELS:
        yield f"model/{name}", partial(model_row, name, steps)


def main() -> None:
    """Measure what is missing, and write after each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--out", type=Path, default=NUMBERS)
    chosen = parser.parse_args()
    rows = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else {}
    for key, job in jobs(chosen.steps):
        if not key.startswith(chosen.only) or key in rows:
            continue
        rows[key] = job()
        print(key, {k: v for k, v in rows[key].items() if k != "sheet"}, flush=True)
        table = {"steps": chosen.steps, "rows": rows}
        atomic_write(chosen.out, (json.dumps(table, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
