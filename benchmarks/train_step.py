"""One training step of DDPM: the course's trainer against a `diffusers` loop of the same work.

    python benchmarks/train_step.py                       a narrow network, some minutes on a CPU
    python benchmarks/train_step.py --width 128 --batch 128 --device cuda

Both sides: draw times and noise, corrupt, predict the noise, mean squared error, backward, clip the
gradient, AdamW, moving average of the weights. Same network, same weights, float32, interleaved.
"""

import argparse
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import EMAModel
from pair import compare, machine, networks, write_json
from torch.nn import functional as F

from course_lib.core.tensors import pick_device
from course_lib.data.batches import random_batches
from course_lib.recipes import ddpm, ddpm_loss
from course_lib.train import TrainConfig, Trainer


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=16, help="128 is the published network")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    device = pick_device(options.device)

    ours, theirs = (net.to(device).train() for net in networks(options.width))
    images = torch.rand(256, 3, 32, 32, device=device) * 2 - 1
    get_batch = random_batches(images, size=options.batch)
    config = TrainConfig(lr=1e-4, warmup_steps=1, precision="fp32", ema_decay=0.999)
    trainer = Trainer(ddpm(ours), ddpm_loss, get_batch, config)

    scheduler = DDPMScheduler(1000)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-4, weight_decay=0.0)
    average = EMAModel(theirs.parameters(), decay=0.999, use_ema_warmup=True)

    def their_step() -> None:
        (x_0,) = get_batch()
        noise = torch.randn_like(x_0)
        index = torch.randint(0, 1000, (len(x_0),), device=device)
        loss = F.mse_loss(theirs(scheduler.add_noise(x_0, noise, index), index).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(theirs.parameters())

    found = compare(trainer.step, their_step, options.rounds, device)
    parameters = sum(p.numel() for p in ours.parameters())
    print(
        f"training step, {parameters:,} parameters, batch {options.batch} of 32 x 32 x 3, float32"
    )
    print(f"on {machine(device)}; {options.rounds} interleaved rounds")
    print(f"{'':12}{'ms per step':>12}{'images/s':>10}")
    for name in ("ours", "theirs"):
        seconds = found[f"{name}_s"]
        label = "course_lib" if name == "ours" else "diffusers"
        print(f"{label:12}{1000 * seconds:12.1f}{options.batch / seconds:10.1f}")
    print(f"speed against diffusers: {found['ratio']} (median, 10 % to 90 % of the rounds)")
    about = {"what": "training step", "machine": machine(device), "parameters": parameters}
    write_json(options.json, about | {"batch": options.batch} | found)


if __name__ == "__main__":
    main()
