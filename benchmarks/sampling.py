"""Fifty DDIM steps: the course's sampler against `diffusers`' DDIMPipeline, with the same network.

    python benchmarks/sampling.py                         a narrow network, some minutes on a CPU
    python benchmarks/sampling.py --width 128 --batch 64 --device cuda

Same weights, same starting noise, same times, x_0 clipped on both sides: the images are compared
before anything is timed, and must agree.
"""

import argparse
from pathlib import Path

import torch
from diffusers import DDIMPipeline, DDIMScheduler
from pair import compare, machine, networks, write_json
from torch import Tensor

from course_lib.core.checks import check_close
from course_lib.core.tensors import pick_device
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddim_step, sample
from course_lib.diffusion.schedules import linear, spaced_times
from course_lib.models.published import CountsFromZero


def main() -> None:
    """Check that the images agree, measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=16, help="128 is the published network")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50, help="a divisor of 1000")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    device = pick_device(options.device)

    ours, theirs = (net.to(device).eval() for net in networks(options.width))
    denoise = Denoiser(CountsFromZero(ours), linear(), "eps")
    times = spaced_times(denoise.schedule, options.steps)
    shape = (options.batch, 3, 32, 32)

    # "trailing" and the clipped output are what the paper's eq. 12 and our times need.
    pipeline = DDIMPipeline(theirs, DDIMScheduler(1000, timestep_spacing="trailing"))
    pipeline.set_progress_bar_config(disable=True)

    def our_run() -> Tensor:
        x_T = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
        return sample(ddim_step, clip(denoise), denoise.schedule, x_T, times)

    def their_run() -> Tensor:
        images = pipeline(
            batch_size=options.batch,
            generator=torch.Generator().manual_seed(0),
            num_inference_steps=options.steps,
            use_clipped_model_output=True,
            output_type="np",
        ).images
        return torch.from_numpy(images).permute(0, 3, 1, 2)

    check_close((our_run().cpu() / 2 + 0.5).clamp(0, 1), their_run(), "the images", atol=1e-3)
    found = compare(our_run, their_run, options.rounds, device)
    parameters = sum(p.numel() for p in ours.parameters())
    print(f"{options.steps} DDIM steps, {parameters:,} parameters, batch {options.batch}, float32")
    print(f"on {machine(device)}; {options.rounds} interleaved rounds")
    print(f"{'':12}{'s per batch':>12}{'images/s':>10}")
    for name in ("ours", "theirs"):
        seconds = found[f"{name}_s"]
        label = "course_lib" if name == "ours" else "diffusers"
        print(f"{label:12}{seconds:12.2f}{options.batch / seconds:10.2f}")
    print(f"speed against diffusers: {found['ratio']} (median, 10 % to 90 % of the rounds)")
    about = {"what": f"{options.steps} DDIM steps", "machine": machine(device)}
    about |= {"parameters": parameters, "batch": options.batch}
    write_json(options.json, about | found)


if __name__ == "__main__":
    main()
