"""The two sides of a fair comparison: one network, work interleaved, ratios with their spread."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import torch
from diffusers import UNet2DModel

from course_lib.models.published import diffusers_name
from course_lib.nn.unet import UNet


def networks(width: int) -> tuple[UNet, UNet2DModel]:
    """Ours and theirs in the google/ddpm-cifar10-32 anatomy, `width` for its 128; same weights."""
    wide, groups = 2 * width, min(32, width // 4)
    torch.manual_seed(0)
    theirs = UNet2DModel(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        block_out_channels=(width, wide, wide, wide),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
        norm_num_groups=groups,
    )
    ours = UNet(
        3,
        3,
        widths=(width, wide, wide, wide),
        attention_at=(1,),
        pad="right",
        groups=groups,
        eps=1e-6,
        time_shift=1.0,
    )
    state = theirs.state_dict()
    ours.load_state_dict({name: state[diffusers_name(name)] for name in ours.state_dict()})
    return ours, theirs


@dataclass(frozen=True)
class Ratio:
    """Their seconds divided by ours, round by round: above 1, ours is faster."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f} to {self.high:.2f}]"


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, device: torch.device
) -> dict[str, object]:
    """Run the two by turns; medians of seconds and of ratios, with the 10 % to 90 % spread.

    On a CPU it is CPU seconds that count: other programs do not add to them. On a GPU, wall
    seconds after synchronising.
    """
    ours(), theirs()  # warm up
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(rounds):
        sides = [("ours", ours), ("theirs", theirs)]
        for name, run in sides if turn % 2 == 0 else reversed(sides):
            seconds[name].append(_seconds(run, device))
    ratios = sorted(b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True))
    low, *_, high = quantiles(ratios, n=10, method="inclusive")
    return {
        "ours_s": median(seconds["ours"]),
        "theirs_s": median(seconds["theirs"]),
        "ratio": Ratio(median(ratios), low, high, rounds),
    }


def machine(device: torch.device) -> str:
    """In words: what computed."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    cpu = platform.processor() or platform.machine()
    for line in (
        Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else ()
    ):
        if line.startswith("model name"):
            cpu = line.split(":")[1].strip()
            break
    return f"{cpu}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"


def write_json(path: Path | None, result: dict[str, object]) -> None:
    """The numbers again, for machines."""
    if path is not None:
        text = json.dumps(
            result, indent=2, default=lambda ratio: ratio.__dict__, ensure_ascii=False
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = clock()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started
