"""Stable Diffusion's sizes and names, and a small one through a file and back.

`reference/test_stable_diffusion_peers.py` holds outputs against the published code.
"""

import json

import pytest
import torch
from safetensors.torch import save_file

from course_lib.models import published_sd
from course_lib.models.kl_autoencoder import KLAutoencoder
from course_lib.models.published_sd import (
    compvis_unet_name,
    compvis_vae_name,
    cosines_first,
    stable_diffusion,
    text_name,
    unet_name,
    vae_name,
)
from course_lib.models.stable_diffusion import OnLatents, latent_unet, text_tower

START, END = "<|startoftext|>", "<|endoftext|>"


def small_tower():
    return text_tower(20, 77, 16, 1, 2)


def small_unet(channels=4):
    return latent_unet(channels, (12, 24), 16, 2, 4)


def small_vae():
    return KLAutoencoder(4, (12, 12), 4)


def size(net):
    return sum(p.numel() for p in net.parameters())


def test_the_published_sizes():
    with torch.device("meta"):
        assert size(text_tower()) == 123_060_480
        assert size(latent_unet()) == 859_520_964
        assert size(latent_unet(9)) == 859_535_364
        assert size(KLAutoencoder()) == 83_653_863


def test_shapes_from_prompt_to_pixel_at_full_width():
    with torch.device("meta"):
        states = text_tower()(torch.zeros(2, 77, dtype=torch.long))
        z = latent_unet()(torch.zeros(2, 4, 64, 48), torch.ones(2), context=states)
        x = KLAutoencoder().decode(z)
        assert KLAutoencoder().encode(x).shape == z.shape == (2, 4, 64, 48)
    assert states.shape == (2, 77, 768) and x.shape == (2, 3, 512, 384)


# Names as they stand in published files.
@pytest.mark.parametrize(
    ("ours", "folder", "single"),
    [
        ("stem.bias", "conv_in.bias", "input_blocks.0.0.bias"),
        ("time.layers.2.bias", "time_embedding.linear_2.bias", "time_embed.2.bias"),
        (
            "down.1.shrink.conv.weight",
            "down_blocks.1.downsamplers.0.conv.weight",
            "input_blocks.6.0.op.weight",
        ),
        (
            "down.3.blocks.1.0.norm2.bias",
            "down_blocks.3.resnets.1.norm2.bias",
            "input_blocks.11.0.out_layers.0.bias",
        ),
        (
            "down.1.blocks.0.0.shortcut.weight",
            "down_blocks.1.resnets.0.conv_shortcut.weight",
            "input_blocks.4.0.skip_connection.weight",
        ),
        (
            "down.0.blocks.1.1.think.0.both.weight",
            "down_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj.weight",
            "input_blocks.2.1.transformer_blocks.0.ff.net.0.proj.weight",
        ),
        (
            "middle.1.look.out.bias",
            "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0.bias",
            "middle_block.1.transformer_blocks.0.attn1.to_out.0.bias",
        ),
        (
            "middle.2.time.weight",
            "mid_block.resnets.1.time_emb_proj.weight",
            "middle_block.2.emb_layers.1.weight",
        ),
        (
            "up.0.grow.conv.weight",
            "up_blocks.0.upsamplers.0.conv.weight",
            "output_blocks.2.1.conv.weight",
        ),
        (
            "up.2.grow.conv.weight",
            "up_blocks.2.upsamplers.0.conv.weight",
            "output_blocks.8.2.conv.weight",
        ),
        (
            "up.3.blocks.2.1.read.value.weight",
            "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_v.weight",
            "output_blocks.11.1.transformer_blocks.0.attn2.to_v.weight",
        ),
        (
            "up.1.blocks.0.1.norms.2.bias",
            "up_blocks.1.attentions.0.transformer_blocks.0.norm3.bias",
            "output_blocks.3.1.transformer_blocks.0.norm3.bias",
        ),
        ("up.1.blocks.0.1.enter.bias", "up_blocks.1.attentions.0.proj_in.bias", None),
        ("up.1.blocks.0.1.norm.bias", "up_blocks.1.attentions.0.norm.bias", None),
        ("norm.weight", "conv_norm_out.weight", "out.0.weight"),
        ("head.out.weight", "conv_out.weight", "out.2.weight"),
    ],
)
def test_names_of_the_unet(ours, folder, single):
    assert unet_name(ours) == folder
    assert single is None or compvis_unet_name(folder) == single


@pytest.mark.parametrize(
    ("ours", "folder", "single"),
    [
        ("quantise.bias", "quant_conv.bias", "quant_conv.bias"),
        ("unquantise.weight", "post_quant_conv.weight", "post_quant_conv.weight"),
        (
            "encoder.down.2.blocks.0.shortcut.weight",
            "encoder.down_blocks.2.resnets.0.conv_shortcut.weight",
            "encoder.down.2.block.0.nin_shortcut.weight",
        ),
        (
            "encoder.down.0.shrink.conv.bias",
            "encoder.down_blocks.0.downsamplers.0.conv.bias",
            "encoder.down.0.downsample.conv.bias",
        ),
        (
            "decoder.middle.1.out.weight",
            "decoder.mid_block.attentions.0.proj_attn.weight",
            "decoder.mid.attn_1.proj_out.weight",
        ),
        (
            "decoder.middle.1.key.bias",
            "decoder.mid_block.attentions.0.key.bias",
            "decoder.mid.attn_1.k.bias",
        ),
        (
            "decoder.middle.2.conv1.bias",
            "decoder.mid_block.resnets.1.conv1.bias",
            "decoder.mid.block_2.conv1.bias",
        ),
        (
            "decoder.up.0.grow.conv.bias",
            "decoder.up_blocks.0.upsamplers.0.conv.bias",
            "decoder.up.3.upsample.conv.bias",
        ),
        ("encoder.out.weight", "encoder.conv_out.weight", "encoder.conv_out.weight"),
        ("decoder.norm.bias", "decoder.conv_norm_out.bias", "decoder.norm_out.bias"),
        ("decoder.stem.bias", "decoder.conv_in.bias", "decoder.conv_in.bias"),
    ],
)
def test_names_of_the_autoencoder(ours, folder, single):
    assert vae_name(ours, old_attention=True) == folder
    assert compvis_vae_name(folder) == single


def test_names_of_the_text_tower():
    for ours, theirs in (
        ("word.weight", "embeddings.token_embedding.weight"),
        ("place", "embeddings.position_embedding.weight"),
        ("blocks.11.norm2.bias", "encoder.layers.11.layer_norm2.bias"),
        ("blocks.0.attend.value.weight", "encoder.layers.0.self_attn.v_proj.weight"),
        ("blocks.0.attend.out.weight", "encoder.layers.0.self_attn.out_proj.weight"),
        ("blocks.3.think.2.weight", "encoder.layers.3.mlp.fc2.weight"),
        ("norm.bias", "final_layer_norm.bias"),
    ):
        assert text_name(ours) == theirs


def test_only_the_first_matrix_of_the_time_is_turned_round():
    w = torch.arange(12.0).reshape(2, 6)
    assert cosines_first("time.layers.0.weight", w).tolist() == [
        [3.0, 4, 5, 0, 1, 2],
        [9.0, 10, 11, 6, 7, 8],
    ]
    assert cosines_first("time.layers.2.weight", w) is w


# ---- a small one through files -------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(published_sd, "text_tower", small_tower)
    monkeypatch.setattr(published_sd, "latent_unet", small_unet)
    monkeypatch.setattr(published_sd, "KLAutoencoder", small_vae)
    torch.manual_seed(0)
    nets = small_tower(), small_unet(), small_vae()
    for net in nets:
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.3)
    return nets


def saved(folder, nets, kind=""):
    for part, stem, net, name in (
        ("text_encoder", "model", nets[0], text_name),
        ("unet", "diffusion_pytorch_model", nets[1], unet_name),
        ("vae", "diffusion_pytorch_model", nets[2], vae_name),
    ):
        (folder / part).mkdir(parents=True)
        state = {name(k): cosines_first(k, v).contiguous() for k, v in net.state_dict().items()}
        save_file(state, folder / part / f"{stem}{kind}.safetensors")
    (folder / "tokenizer").mkdir()
    numbers = {"a": 0, "a</w>": 1, START: 18, END: 19}
    (folder / "tokenizer/vocab.json").write_text(json.dumps(numbers))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    return folder


def test_there_and_back(small, tmp_path):
    system = stable_diffusion(saved(tmp_path / "v1", small))
    tower, unet, packer = small
    with torch.no_grad():
        states = tower(torch.tensor([[18, 1, *[19] * 75]]))
        torch.testing.assert_close(system.read(["a"])["context"], states)
        z, t = torch.randn(1, 4, 4, 4), torch.tensor([700])
        expected = unet(z, t - 1, context=states)
        torch.testing.assert_close(system.model.net(z, t, context=states), expected)
        x = torch.randn(1, 3, 4, 6)
        torch.testing.assert_close(system.space.encode(x), 0.18215 * packer.encode(x))
        torch.testing.assert_close(system.space.decode(z), packer.decode(z / 0.18215))
    assert system.model.predicts == "eps" and not system.beside
    assert not any(p.requires_grad for p in system.model.parameters())
    assert system.times(system.schedule, 50).tolist()[-3:] == [22, 2, 1]


def test_nine_channels_half_precision_and_v(small, tmp_path):
    tower, _, packer = small
    folder = saved(tmp_path / "v2", (tower, small_unet(9), packer), ".fp16")
    (folder / "scheduler").mkdir()
    said = json.dumps({"prediction_type": "v_prediction"})
    (folder / "scheduler/scheduler_config.json").write_text(said)
    system = stable_diffusion(folder, dtype=torch.bfloat16)
    assert system.beside and system.model.predicts == "v"
    assert {p.dtype for p in system.model.parameters()} == {torch.bfloat16}
    z = torch.randn(1, 4, 4, 4)
    beside = torch.randn(1, 5, 4, 4)
    out = system.model(z, torch.tensor([300]), beside=beside, **system.read(["a"]))
    assert out.dtype == torch.float32 and out.shape == z.shape
    net = system.model.net(z, torch.tensor([300]), beside=beside, **system.read(["a"]))
    assert net.dtype == torch.float32  # in the precision of the walk, not of the weights
    (folder / "scheduler/scheduler_config.json").write_text('{"prediction_type": "flow"}')
    with pytest.raises(ValueError, match=r"prediction_type in .*\.json 'flow'. Use one of: eps"):
        stable_diffusion(folder)


def test_what_is_no_safetensors_and_what_does_not_fit_is_refused(small, tmp_path):
    with pytest.raises(ValueError, match=r"sd\.ckpt is not a \.safetensors.*weights_only=True"):
        stable_diffusion(tmp_path / "sd.ckpt")
    with pytest.raises(ValueError, match="does not exist: give the folder"):
        stable_diffusion(tmp_path / "sd")
    tower, _, packer = small
    folder = saved(tmp_path / "v1", (tower, latent_unet(4, (12, 24), 20, 2, 4), packer))
    with pytest.raises(ValueError, match=r"tensors differ.*attn2\.to_k"):
        stable_diffusion(folder)
    whole = folder / "vae/diffusion_pytorch_model.safetensors"
    whole.rename(whole.with_suffix(".bin"))
    with pytest.raises(ValueError, match=r"diffusion_pytorch_model\.bin is not a"):
        stable_diffusion(folder)
    save_file({"x": torch.zeros(1)}, tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match=r"no model\.diffusion_model\.input_blocks"):
        stable_diffusion(tmp_path / "one.safetensors")


def test_the_wrapper_lays_channels_behind_and_counts_from_zero(small):
    unet = small_unet(9).eval()
    torch.nn.init.normal_(unet.head.out.weight)
    z, beside, context = torch.randn(1, 4, 4, 4), torch.randn(1, 5, 4, 4), torch.randn(1, 77, 16)
    with torch.no_grad():
        found = OnLatents(unet)(z, torch.tensor([982]), context, beside)
        expected = unet(torch.cat([z, beside], 1), torch.tensor([981]), context=context)
    torch.testing.assert_close(found, expected)


def test_an_autoencoder_of_any_size_that_f_divides():
    packer = small_vae().eval()
    z = packer.encode(torch.randn(2, 3, 4, 6))
    assert z.shape == (2, 4, 2, 3) and packer.decode(z).shape == (2, 3, 4, 6)
    with pytest.raises(ValueError, match=r"multiples of 2, got \[3, 4\]"):
        packer.encode(torch.zeros(1, 3, 3, 4))


def test_the_autoencoders_halving_looks_right_and_its_moments_are_mixed():
    packer = small_vae().eval()
    shrink = packer.encoder.down[0]["shrink"]
    x = torch.zeros(1, 12, 4, 4)
    x[..., 0, 0] = 1
    with torch.no_grad():
        # Padded below and to the right alone, the first output begins at the first pixel.
        found = shrink(x)[0, :, 0, 0] - shrink.conv.bias
        torch.testing.assert_close(found, shrink.conv.weight[:, :, 0, 0].sum(1))
        packer.quantise.weight.zero_()
        packer.quantise.bias.copy_(torch.arange(8.0))
        z = packer.encode(torch.randn(1, 3, 4, 4))
    assert z[0, :, 0, 0].tolist() == [0, 1, 2, 3]  # of mean and log-variance, the mean
