"""Stable Diffusion's published weights, read into the course's networks: the key map.

Two layouts are known. A folder as `diffusers` saves it, with one file for each network,

    text_encoder/model.safetensors                     tokenizer/vocab.json, merges.txt
    unet/diffusion_pytorch_model.safetensors           scheduler/scheduler_config.json
    vae/diffusion_pytorch_model.safetensors

and one file with all three, as CompVis released it (v1-5-pruned-emaonly.safetensors and the like),
to which the two files of the tokenizer must be added. The map, beyond that of `published.py`
(`down`, `middle`, `up` and the residual blocks have one in both):

    text    ours                                diffusers, after text_model.
            word, place                         embeddings.token_embedding, .position_embedding
            blocks.i.norm1, .norm2              encoder.layers.i.layer_norm1, .layer_norm2
            blocks.i.attend.query, ..., .out    encoder.layers.i.self_attn.q_proj, ..., .out_proj
            blocks.i.think.0, .2                encoder.layers.i.mlp.fc1, .fc2
            norm                                final_layer_norm
    U-Net   a SpatialTransformer                attentions.j
            norm, enter, leave                  norm, proj_in, proj_out
            norms.0, .1, .2                     transformer_blocks.0.norm1, .norm2, .norm3
            look.query, ..., read.out           transformer_blocks.0.attn1.to_q, ..., attn2.to_out.0
            think.0.both, think.1               transformer_blocks.0.ff.net.0.proj, .ff.net.2
    VAE     encoder.stem, .norm, .out           encoder.conv_in, .conv_norm_out, .conv_out
            quantise, unquantise                quant_conv, post_quant_conv

One thing is no name: the published U-Net reads cosines of the time first, then sines. Ours reads
them the other way round, so the two halves of its first layer's columns change places. Chapter 25.
"""

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from course_lib.core.checks import one_of
from course_lib.models.clip_tokens import read_clip_tokenizer
from course_lib.models.kl_autoencoder import KLAutoencoder
from course_lib.models.published import diffusers_name, fill, opened
from course_lib.models.stable_diffusion import assemble, latent_unet, text_tower
from course_lib.models.text_to_image import TextToImage

Rules = tuple[tuple[str, str], ...]

PICKLES = (".ckpt", ".bin", ".pt", ".pth")

_TEXT: Rules = (
    (r"^word\.", "embeddings.token_embedding."),
    (r"^place$", "embeddings.position_embedding.weight"),
    (r"^norm\.", "final_layer_norm."),
    (r"^blocks\.(\d+)\.norm", r"encoder.layers.\1.layer_norm"),
    (r"^blocks\.(\d+)\.attend\.out", r"encoder.layers.\1.self_attn.out_proj"),
    (r"^blocks\.(\d+)\.attend\.([qkv])\w+", r"encoder.layers.\1.self_attn.\2_proj"),
    (r"^blocks\.(\d+)\.think\.0", r"encoder.layers.\1.mlp.fc1"),
    (r"^blocks\.(\d+)\.think\.2", r"encoder.layers.\1.mlp.fc2"),
)
_SPATIAL: Rules = (  # of what `diffusers_name` has left of a SpatialTransformer
    (r"(attentions\.\d+)\.group_norm\.", r"\1.norm."),
    (r"(attentions\.\d+)\.enter\.", r"\1.proj_in."),
    (r"(attentions\.\d+)\.leave\.", r"\1.proj_out."),
    (r"(attentions\.\d+)\.norms\.0\.", r"\1.transformer_blocks.0.norm1."),
    (r"(attentions\.\d+)\.norms\.1\.", r"\1.transformer_blocks.0.norm2."),
    (r"(attentions\.\d+)\.norms\.2\.", r"\1.transformer_blocks.0.norm3."),
    (r"(attentions\.\d+)\.look\.", r"\1.transformer_blocks.0.attn1."),
    (r"(attentions\.\d+)\.read\.", r"\1.transformer_blocks.0.attn2."),
    (r"(attn\d)\.out\.", r"\1.to_out.0."),
    (r"(attn\d)\.([qkv])(?:uery|ey|alue)\.", r"\1.to_\2."),
    (r"(attentions\.\d+)\.think\.0\.both\.", r"\1.transformer_blocks.0.ff.net.0.proj."),
    (r"(attentions\.\d+)\.think\.1\.", r"\1.transformer_blocks.0.ff.net.2."),
)


def _renamed(name: str, rules: Rules) -> str:
    for ours, theirs in rules:
        name = re.sub(ours, theirs, name)
    return name


# ---- names in a folder of `diffusers` ---------------------------------------------------------


def text_name(name: str) -> str:
    """What `diffusers` and `transformers` call this parameter of `text_tower`, after text_model."""
    return _renamed(name, _TEXT)


def unet_name(name: str) -> str:
    """What `diffusers` calls this parameter of `latent_unet`."""
    return _renamed(diffusers_name(name), _SPATIAL)


def vae_name(name: str, *, old_attention: bool = False) -> str:
    """What `diffusers` calls this parameter of `KLAutoencoder`; the old names are of 2022."""
    half, dot, rest = name.partition(".")
    if half not in ("encoder", "decoder"):
        return name.replace("unquantise", "post_quant_conv").replace("quantise", "quant_conv")
    rest = re.sub(r"\.blocks\.(\d+)\.", r".blocks.\1.0.", rest)  # no attention beside the blocks
    rest = re.sub(r"^out\.", "conv_out.", rest)
    return half + dot + diffusers_name(rest, old_attention=old_attention)


# ---- names in a file of CompVis ---------------------------------------------------------------

_RES: Rules = (
    (r"\.norm1\.", ".in_layers.0."),
    (r"\.conv1\.", ".in_layers.2."),
    (r"\.time_emb_proj\.", ".emb_layers.1."),
    (r"\.norm2\.", ".out_layers.0."),
    (r"\.conv2\.", ".out_layers.3."),
    (r"\.conv_shortcut\.", ".skip_connection."),
)


def compvis_unet_name(name: str, blocks: int = 2) -> str:
    """What CompVis calls a parameter of the U-Net, given the name that `diffusers` has for it.

    There the parts are counted through: a level has `blocks` of them on the way down, and one that
    halves; one more of them on the way up, the last of which also doubles.
    """
    found = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
    if found:
        way, level, what, j, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if what == "downsamplers":
            return f"input_blocks.{(level + 1) * (blocks + 1)}.0.{rest.replace('conv', 'op')}"
        if what == "upsamplers":
            last = (level + 1) * (blocks + 1) - 1
            return f"output_blocks.{last}.{1 if level == 0 else 2}.{rest}"
        at = level * (blocks + 1) + j + (way == "down")
        side = "input" if way == "down" else "output"
        if what == "attentions":
            return f"{side}_blocks.{at}.1.{rest}"
        return f"{side}_blocks.{at}.0." + _renamed("." + rest, _RES)[1:]
    found = re.match(r"mid_block\.(\w+)\.(\d)\.(.*)", name)
    if found:
        if found[1] == "attentions":
            return f"middle_block.1.{found[3]}"
        return f"middle_block.{2 * int(found[2])}." + _renamed("." + found[3], _RES)[1:]
    return _renamed(
        name,
        (
            (r"^time_embedding\.linear_1", "time_embed.0"),
            (r"^time_embedding\.linear_2", "time_embed.2"),
            (r"^conv_in", "input_blocks.0.0"),
            (r"^conv_norm_out", "out.0"),
            (r"^conv_out", "out.2"),
        ),
    )


def compvis_vae_name(name: str, levels: int = 4) -> str:
    """What CompVis calls a parameter of the autoencoder, given the old name of `diffusers`.

    Levels of the decoder are counted from the picture, not in the order in which they work.
    """

    def up(found: re.Match[str]) -> str:
        return f"up.{levels - 1 - int(found[1])}."

    name = re.sub(r"up_blocks\.(\d+)\.", up, name)
    return _renamed(
        name,
        (
            (r"down_blocks\.", "down."),
            (r"mid_block\.resnets\.0", "mid.block_1"),
            (r"mid_block\.resnets\.1", "mid.block_2"),
            (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
            (r"mid_block\.attentions\.0\.proj_attn", "mid.attn_1.proj_out"),
            (r"mid_block\.attentions\.0\.([qkv])\w+", r"mid.attn_1.\1"),
            (r"resnets\.", "block."),
            (r"conv_shortcut", "nin_shortcut"),
            (r"(down|up)samplers\.0", r"\1sample"),
            (r"conv_norm_out", "norm_out"),
        ),
    )


# ---- loading ----------------------------------------------------------------------------------


def cosines_first(name: str, tensor: Tensor) -> Tensor:
    """The U-Net's first layer of the time, its columns as ours has them: sines, then cosines."""
    return torch.cat(tensor.chunk(2, 1)[::-1], 1) if name == "time.layers.0.weight" else tensor


def stable_diffusion(
    path: str | Path, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> TextToImage:
    """Stable Diffusion v1 from files that you have downloaded yourself.

    path    the folder, or the one file; beside that, or in a folder `tokenizer` beside it, the two
            files of the tokenizer
    dtype   of the weights: float32 for CPUs, float16 for a GPU of 8 GB

    Networks are built without memory and filled one after the other. Raises ValueError for files
    that are missing, are no safetensors, or hold another network.
    """
    path = Path(path)
    if path.suffix in PICKLES:
        with opened(path):  # refused, with the way out
            pass
    if not path.exists():
        raise ValueError(f"{path} does not exist: give the folder, or the file, of the weights")
    one = path.is_file()
    tower_file, unet_file, vae_file = [path] * 3 if one else _three(path)
    starts = (
        "cond_stage_model.transformer.text_model.",
        "model.diffusion_model.",
        "first_stage_model.",
    )
    text_start, unet_start, vae_start = starts if one else ("", "", "")
    with opened(tower_file) as file:
        if not one and any(name.startswith("text_model.") for name in file.keys()):
            text_start = "text_model."
    with opened(unet_file) as file:
        stem = unet_start + ("input_blocks.0.0.weight" if one else "conv_in.weight")
        if stem not in file.keys():
            raise ValueError(f"{unet_file.name} has no {stem}: it is no U-Net of Stable Diffusion")
        channels = file.get_slice(stem).get_shape()[1]
    with opened(vae_file) as file:
        old = one or any(".proj_attn." in name for name in file.keys())
    tokenizer = read_clip_tokenizer(_tokenizer_folder(path))

    with torch.device("meta"):
        tower, unet, autoencoder = text_tower(), latent_unet(channels), KLAutoencoder()

    names = {n: text_start + text_name(n) for n in tower.state_dict()}
    fill(tower, tower_file, names, part=text_start, ignored="position_ids$", dtype=dtype)
    names = {n: unet_name(n) for n in unet.state_dict()}
    names = {n: unet_start + (compvis_unet_name(k) if one else k) for n, k in names.items()}
    fill(unet, unet_file, names, part=unet_start, changed=cosines_first, dtype=dtype)
    names = {n: vae_name(n, old_attention=old) for n in autoencoder.state_dict()}
    names = {n: vae_start + (compvis_vae_name(k) if one else k) for n, k in names.items()}
    fill(autoencoder, vae_file, names, part=vae_start, ignored=r"\.loss\.", dtype=dtype)
    for module in (tower, unet, autoencoder):
        module.to(device)
    return assemble(
        tokenizer, tower, unet, autoencoder, _predicts(path), f"Stable Diffusion from {path.name}"
    )


def _three(folder: Path) -> list[Path]:
    """The files of the three networks; a pickle in the place of one is refused by `opened`."""
    found = []
    for part, stem in (
        ("text_encoder", "model"),
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
    ):
        # A half-precision file serves as well as the full one.
        choices = [folder / part / f"{stem}{kind}.safetensors" for kind in ("", ".fp16")]
        pickles = sorted((folder / part).glob("*.bin"))
        found.append(next((p for p in choices if p.exists()), (pickles or choices)[0]))
    return found


def _tokenizer_folder(path: Path) -> Path:
    beside = path.parent if path.is_file() else path
    return beside if (beside / "vocab.json").exists() else beside / "tokenizer"


def _predicts(path: Path) -> str:
    """What the network was trained to predict, by the file of its scheduler if there is one."""
    config = path / "scheduler" / "scheduler_config.json"
    if path.is_file() or not config.exists():
        return "eps"
    said = json.loads(config.read_text()).get("prediction_type", "epsilon")
    ours = {"epsilon": "eps", "v_prediction": "v", "sample": "x_0"}
    one_of(said, ours, f"prediction_type in {config}")
    return ours[said]
