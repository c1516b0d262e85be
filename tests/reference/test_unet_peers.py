"""Our U-Net with the weights of `diffusers`' UNet2DModel is the same function.

The configuration is that of google/ddpm-cifar10-32, with random weights: every layer type, every
skip and every name is the real file's, so a reader's download of it works.
"""

import pytest
import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.guidance import clip
from course_lib.diffusion.samplers import ddim_step, ddpm_step, sample
from course_lib.diffusion.schedules import spaced_times
from course_lib.models.published import (
    cifar10_unet,
    ddpm_cifar10,
    diffusers_name,
    fill_unet,
)
from course_lib.nn.unet import UNet

CIFAR10 = {
    "sample_size": 32,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (128, 256, 256, 256),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 2,
    "act_fn": "silu",
    "attention_head_dim": None,
    "center_input_sample": False,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-6,
    "norm_num_groups": 32,
    "time_embedding_type": "positional",
}
NARROW = CIFAR10 | {"block_out_channels": (16, 32, 32, 32), "norm_num_groups": 4}


def narrow_unet():
    return UNet(
        3,
        3,
        widths=(16, 32, 32, 32),
        attention_at=(1,),
        pad="right",
        groups=4,
        eps=1e-6,
        time_shift=1.0,
    )


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """`diffusers`' network at full width, and the file that it would be saved in."""
    torch.manual_seed(0)
    theirs = UNet2DModel(**CIFAR10).eval()
    path = tmp_path_factory.mktemp("cifar10") / "diffusion_pytorch_model.safetensors"
    save_file(theirs.state_dict(), path)
    return theirs, path


@pytest.fixture
def narrow(tmp_path):
    torch.manual_seed(0)
    theirs = UNet2DModel(**NARROW).eval()
    path = tmp_path / "narrow.safetensors"
    save_file(theirs.state_dict(), path)
    return theirs, path


def old_names(state):
    """The attention names of files written in 2022."""
    renames = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, old in renames.items():
        state = {name.replace(f".{new}.", f".{old}."): value for name, value in state.items()}
    return state


def test_size_and_output_at_full_width(full):
    theirs, path = full
    ours = fill_unet(cifar10_unet(), path)
    assert sum(p.numel() for p in ours.parameters()) == theirs.num_parameters() == 35_746_307
    x, t = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)), [0, 999]
    with torch.no_grad():
        expected = theirs(x, torch.tensor(t)).sample
        found = ours(x, torch.tensor(t))
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("rename", [dict, old_names])
def test_new_and_old_attention_names(narrow, rename):
    theirs, path = narrow
    save_file(rename(theirs.state_dict()), path)
    ours = fill_unet(narrow_unet(), path)
    x, t = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 500, 999])
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), theirs(x, t).sample, atol=1e-4, rtol=0)
    assert not ours.training and not any(p.requires_grad for p in ours.parameters())


def test_every_name_of_theirs_is_reached_once(narrow):
    theirs, _ = narrow
    names = [diffusers_name(name) for name in narrow_unet().state_dict()]
    assert sorted(names) == sorted(theirs.state_dict())


def test_published_weights_sample(full):
    theirs, path = full
    denoise = ddpm_cifar10(path)
    assert not denoise.training
    x_T = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))

    # Their time 999 is our t = 1000: the first step by hand, with their network.
    with torch.no_grad():
        eps = theirs(x_T, torch.tensor([999])).sample
    alpha_bar = denoise.schedule.alpha_bar[1000]
    by_hand = (x_T - (1 - alpha_bar).sqrt() * eps) / alpha_bar.sqrt()
    with torch.no_grad():
        ours = denoise(x_T, torch.tensor([1000]))
    torch.testing.assert_close(ours, by_hand.float(), atol=1e-2, rtol=1e-4)  # divided by 0.006

    times = spaced_times(denoise.schedule, 3)
    for step, options in (
        (ddim_step, {}),
        (ddpm_step, {"variance": "large", "randn_like": seeded_randn_like(0)}),
    ):
        x_0 = sample(
            lambda *a, step=step, options=options: step(*a, **options),
            clip(denoise),
            denoise.schedule,
            x_T,
            times,
        )
        assert x_0.shape == (1, 3, 32, 32) and x_0.abs().max() <= 1


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "model.ckpt", "model"])
def test_anything_but_safetensors_is_refused_with_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ValueError, match=rf"{name} is not a \.safetensors.*weights_only=True"):
        ddpm_cifar10(tmp_path / name)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.safetensors does not exist"):
        ddpm_cifar10(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match=r"cut\.safetensors is not a whole safetensors file"):
        ddpm_cifar10(tmp_path / "cut.safetensors")


def test_another_network_is_refused_before_anything_is_read(narrow):
    theirs, path = narrow
    ours = narrow_unet()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    state = theirs.state_dict()
    for change, said in (
        (lambda s: s.pop("conv_in.bias"), r"1 tensors differ.*'conv_in\.bias'.*missing there"),
        (lambda s: s.update(extra=torch.zeros(2)), r"'extra', of shape \(2,\) there and missing"),
        (
            lambda s: s.update({"conv_out.bias": torch.zeros(4)}),
            r"'conv_out\.bias', of shape \(4,\) there and \(3,\) here",
        ),
    ):
        changed = dict(state)
        change(changed)
        save_file(changed, path)
        with pytest.raises(ValueError, match=said):
            fill_unet(ours, path)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, before[name])
    save_file(state, path)
    with pytest.raises(ValueError, match=r"narrow\.safetensors does not fit this network"):
        ddpm_cifar10(path)
