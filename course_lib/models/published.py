"""Weights that others published, read into the course's own networks.

`diffusers` stores a U-Net of DDPM's anatomy under its own names. The two networks are the same
function; only the names differ, by this map (i, j count levels and blocks, N stands for a part):

    ours                        theirs
    stem                        conv_in
    time.layers.0, .2           time_embedding.linear_1, .linear_2
    down.i.blocks.j.0.N         down_blocks.i.resnets.j.N
    down.i.blocks.j.1.N         down_blocks.i.attentions.j.N
    down.i.shrink               down_blocks.i.downsamplers.0
    middle.0, .1, .2            mid_block.resnets.0, mid_block.attentions.0, mid_block.resnets.1
    up.i.blocks.j.0.N, .1.N     up_blocks.i.resnets.j.N, up_blocks.i.attentions.j.N
    up.i.grow                   up_blocks.i.upsamplers.0
    norm, head.out              conv_norm_out, conv_out

    a residual block            norm1, conv1, time -> time_emb_proj, norm2, conv2,
                                shortcut -> conv_shortcut
    an attention block          norm -> group_norm, query, key, value, out -> to_q, to_k, to_v,
                                to_out.0; in files of 2022 query, key, value, proj_attn

Built up in chapter 12.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from course_lib.core.checks import same_shapes
from course_lib.core.types import Images, Time
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import linear
from course_lib.nn.unet import UNet

Change = Callable[[str, Tensor], Tensor]

_PLACES = (
    (r"^time\.layers\.0", "time_embedding.linear_1"),
    (r"^time\.layers\.2", "time_embedding.linear_2"),
    (r"^stem", "conv_in"),
    (r"^norm", "conv_norm_out"),
    (r"^head\.out", "conv_out"),
    (r"^middle\.0", "mid_block.resnets.0"),
    (r"^middle\.1", "mid_block.attentions.0"),
    (r"^middle\.2", "mid_block.resnets.1"),
    (r"^(down|up)\.(\d+)\.blocks\.(\d+)\.0", r"\1_blocks.\2.resnets.\3"),
    (r"^(down|up)\.(\d+)\.blocks\.(\d+)\.1", r"\1_blocks.\2.attentions.\3"),
    (r"^down\.(\d+)\.shrink", r"down_blocks.\1.downsamplers.0"),
    (r"^up\.(\d+)\.grow", r"up_blocks.\1.upsamplers.0"),
    (r"(resnets\.\d+)\.time\.", r"\1.time_emb_proj."),
    (r"(resnets\.\d+)\.shortcut\.", r"\1.conv_shortcut."),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
)
_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "out": "to_out.0"}
_OLD_ATTENTION = {"query": "query", "key": "key", "value": "value", "out": "proj_attn"}


def diffusers_name(name: str, *, old_attention: bool = False) -> str:
    """What `diffusers` calls the parameter that our U-Net calls `name`.

    old_attention   the names of files written in 2022, before query became to_q
    """
    for ours, theirs in _PLACES:
        name = re.sub(ours, theirs, name)
    parts = _OLD_ATTENTION if old_attention else _ATTENTION
    return re.sub(
        r"(attentions\.\d+)\.(query|key|value|out)\.",
        lambda found: f"{found[1]}.{parts[found[2]]}.",
        name,
    )


def fill_unet(unet: UNet, path: str | Path) -> UNet:
    """Fill `unet` from a safetensors file of `diffusers`' names, and put it in evaluation mode.

    Raises ValueError as `fill` does.
    """
    with opened(path) as file:
        old = any(".proj_attn." in name for name in file.keys())
    names = {name: diffusers_name(name, old_attention=old) for name in unet.state_dict()}
    fill(unet, path, names)
    return unet


def fill(
    module: nn.Module,
    path: str | Path,
    names: Mapping[str, str],
    *,
    part: str = "",
    ignored: str = r"(?!)",
    changed: Change = lambda name, tensor: tensor,
    dtype: torch.dtype | None = None,
) -> None:
    """Fill `module` from a safetensors file, and put it in evaluation mode, without gradients.

    names     our parameters -> what the file calls them
    part      look only at names of the file that begin like this
    ignored   a pattern of names of the file that are no weights; by default none
    changed   (our name, tensor) -> the tensor as we hold it, of the same values
    dtype     of the weights; by default the module's own

    Names and shapes are compared before a single weight is read; a kernel of 1 x 1 counts as a
    matrix. The module may live on the "meta" device, where it has shapes and no memory: then it has
    memory for the first time here, and at no time twice. Raises ValueError for another kind of
    file, and for one that holds another network, naming the first parameter that differs.
    """
    own = module.state_dict()
    with opened(path) as file:
        there = {
            name: _matrix(file.get_slice(name).get_shape())
            for name in file.keys()
            if name.startswith(part) and not re.search(ignored, name)
        }
        same_shapes({names[k]: _matrix(v.shape) for k, v in own.items()}, there, Path(path).name)
        state = {}
        for name, value in own.items():
            tensor = changed(name, file.get_tensor(names[name])).reshape(value.shape)
            state[name] = tensor.to(dtype or value.dtype, copy=True)  # not the file itself
    module.load_state_dict(state, assign=True)
    module.eval().requires_grad_(False)


@contextmanager
def opened(path: str | Path) -> Iterator[safe_open]:
    """A safetensors file: its header is read, its tensors when asked for.

    Raises ValueError for a file of another kind, one that is missing, and one that is broken.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{path.name} is not a .safetensors file. Pickles (.bin, .pt, .ckpt) can run code when"
            " they are opened, so the course reads none. Convert it once, safely, with:"
            f" import torch, safetensors.torch as st; st.save_file(torch.load({path.name!r},"
            f" weights_only=True), {path.stem + '.safetensors'!r})"
            " (where the pickle is a dict that holds the weights as 'state_dict', save that)"
        )
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a whole safetensors file ({error})") from error


def _matrix(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without the 1 x 1 of a kernel that is a matrix."""
    shape = tuple(shape)
    return shape[:2] if shape[2:] == (1, 1) else shape


class CountsFromZero(nn.Module):
    """A network trained with times 0..T-1, taking the 1..T of the papers and of this course."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x_t: Images, t: Time) -> Float[Tensor, "batch out_channels height width"]:
        return self.net(x_t, t - 1)


def cifar10_unet() -> UNet:
    """The network of Ho et al. 2020, appendix B, for 32 × 32 × 3: 35.7 million parameters."""
    return UNet(
        3,
        3,
        widths=(128, 256, 256, 256),
        blocks=2,
        attention_at=(1,),  # at 16 × 16
        pad="right",
        eps=1e-6,
        time_shift=1.0,
    )


def ddpm_cifar10(path: str | Path) -> Denoiser:
    """DDPM on CIFAR-10 from a file of the `google/ddpm-cifar10-32` layout, ready to sample.

    path   diffusion_pytorch_model.safetensors, which you download yourself

    Released to be sampled with clip(denoise) and ddpm_step(variance="large"). Images in [-1, 1].
    Raises ValueError as `fill_unet` does.
    """
    net = CountsFromZero(fill_unet(cifar10_unet(), path))
    return Denoiser(net, linear(), predicts="eps").eval()
