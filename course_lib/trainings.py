"""The runs behind the shipped weights, by name: `course train fashion_ddpm`.

Each keeps its whole state in `folder`, resumes from there to the bit, and returns the averaged
model. None writes to `data/weights`: `tools/ship_weights.py` measures a model and puts it there.
"""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from course_lib.core.tensors import pick_device, seed_everything, to_unit
from course_lib.data.batches import random_batches
from course_lib.data.digits import TOP, load_digits
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.features import train_digits_features, train_fashion_features
from course_lib.recipes import ddpm, ddpm_loss, digits_unet, fashion_unet
from course_lib.train import TrainConfig, Trainer


def digits_ddpm(
    folder: Path, device: str = "auto", precision: str = "auto", steps: int | None = None
) -> nn.Module:
    """DDPM on 8 × 8 digits, the run that chapter 08 shows live, carried on for longer."""
    images, _ = load_digits("train")
    config = TrainConfig(lr=2e-3, final_steps=1000, total_steps=6000, precision=precision)
    return _fit_ddpm(digits_unet, to_unit(images, TOP), 128, config, folder, device, steps)


def fashion_ddpm(
    folder: Path, device: str = "auto", precision: str = "auto", steps: int | None = None
) -> nn.Module:
    """DDPM on the 20,000 committed garments, 45 passes over them."""
    images, _ = load_fashion_mnist("train")
    config = TrainConfig(final_steps=2000, total_steps=7000, warmup_steps=200, precision=precision)
    return _fit_ddpm(fashion_unet, to_unit(images), 128, config, folder, device, steps)


TRAININGS: dict[str, Callable[..., nn.Module]] = {
    "digits_ddpm": digits_ddpm,
    "fashion_ddpm": fashion_ddpm,
    "digits_features": train_digits_features,
    "fashion_features": train_fashion_features,
}


def _fit_ddpm(
    build: Callable[[], nn.Module],
    x_0: Tensor,
    batch: int,
    config: TrainConfig,
    folder: Path,
    device: str,
    steps: int | None,
) -> nn.Module:
    place = pick_device(device)
    seed_everything(config.seed)
    model = ddpm(build()).to(place)
    trainer = Trainer(model, ddpm_loss, random_batches(x_0.to(place), size=batch), config)
    return trainer.fit(steps, checkpoint=folder / "checkpoint.safetensors", save_every=500)
