"""What a U-Net is made of, read off the module itself: one run with hooks at every part.

Chapter 12 draws its picture of the network from this list, so that the picture cannot be wrong.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib.core.types import Images, Time
from course_lib.nn.attention import SelfAttention2d
from course_lib.nn.unet import UNet

Maps = Float[Tensor, "batch features map_height map_width"]


@dataclass(frozen=True)
class Part:
    """A step on the way through a U-Net: a block with its attention, or a change of resolution.

    name        where it lives in the module, e.g. "down.0.blocks.1"
    kind        "stem", "block", "shrink", "middle", "grow" or "head"
    takes       channels, height and width of what it is given; those of a skip included
    gives       the same of what it hands on
    skip        the number of the skip that it leaves (on the way down) or reads (on the way up)
    flops       multiplications and additions for one picture, of convolutions and matrix products
    """

    name: str
    kind: str
    takes: tuple[int, ...]
    gives: tuple[int, ...]
    attention: bool
    skip: int | None
    parameters: int
    flops: int


def anatomy(unet: UNet, height: int, width: int | None = None) -> list[Part]:
    """The parts of `unet` in the order in which a picture of this size passes through them."""
    x = torch.zeros(1, unet.in_channels, height, width or height)
    label = None if unet.num_classes is None else torch.zeros(1, dtype=torch.long)
    places = list(_places(unet))
    seen: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    # The fused attention of CPUs is unknown to PyTorch 2.13's counter; the plain one is counted.
    counter = FlopCounterMode(display=False)
    with ExitStack() as stack:
        for name, _, modules, _ in places:
            stack.callback(_note_shapes(name, modules, seen))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(counter)
        stack.enter_context(torch.no_grad())
        unet(x, torch.ones(1), label)
    counted, root = counter.get_flop_counts(), type(unet).__name__
    flops = {id(m): sum(counted.get(f"{root}.{n}", {}).values()) for n, m in unet.named_modules()}
    return [
        Part(
            name=name,
            kind=kind,
            takes=seen[name][0],
            gives=seen[name][1],
            attention=any(isinstance(module, SelfAttention2d) for module in modules),
            skip=skip,
            parameters=sum(p.numel() for module in modules for p in module.parameters()),
            flops=sum(flops[id(module)] for module in modules),
        )
        for name, kind, modules, skip in places
    ]


def multiply_adds(module: Callable[..., object], *inputs: Tensor) -> int:
    """Multiply-adds of the convolutions and matrix products of module(*inputs), for the batch.

    Half of what PyTorch counts, since one multiplication with its addition is one here. A network
    on the "meta" device is counted by its shapes alone.

    module   a network, or any function
    """
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() // 2


@torch.no_grad()
def feature_maps(unet: UNet, x_t: Images, t: Time, label: Tensor | None = None) -> dict[str, Maps]:
    """What each part hands on when the network looks at x_t, by the part's name."""
    maps: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name, _, modules, _ in _places(unet):

            def keep(_: nn.Module, __: object, out: Tensor, name: str = name) -> None:
                maps[name] = out

            stack.callback(modules[-1].register_forward_hook(keep).remove)
        unet(x_t, t, label)
    return maps


def _places(unet: UNet) -> Iterator[tuple[str, str, list[nn.Module], int | None]]:
    """Name, kind, modules and skip of every part, in the order of the forward pass."""
    yield "stem", "stem", [unet.stem], 0
    skips = 1
    for i, level in enumerate(unet.down):
        for j, row in enumerate(level["blocks"]):
            yield f"down.{i}.blocks.{j}", "block", list(row), skips
            skips += 1
        if not isinstance(level["shrink"], nn.Identity):
            yield f"down.{i}.shrink", "shrink", [level["shrink"]], skips
            skips += 1
    for k, layer in enumerate(unet.middle):
        yield f"middle.{k}", "middle", [layer], None
    for i, level in enumerate(unet.up):
        for j, row in enumerate(level["blocks"]):
            skips -= 1
            yield f"up.{i}.blocks.{j}", "block", list(row), skips
        if not isinstance(level["grow"], nn.Identity):
            yield f"up.{i}.grow", "grow", [level["grow"]], None
    yield "head", "head", [unet.norm, unet.head], None


def _note_shapes(
    name: str, modules: list[nn.Module], seen: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
) -> Callable[[], None]:
    """Note what enters the first of the modules and what leaves the last; returns the undoing."""
    entered: list[tuple[int, ...]] = []

    def enter(_: nn.Module, inputs: tuple) -> None:
        entered.append(tuple(inputs[0].shape[1:]))

    def leave(_: nn.Module, __: object, out: Tensor) -> None:
        seen[name] = entered[0], tuple(out.shape[1:])

    handles = modules[0].register_forward_pre_hook(enter), modules[-1].register_forward_hook(leave)

    def undo() -> None:
        for handle in handles:
            handle.remove()

    return undo
