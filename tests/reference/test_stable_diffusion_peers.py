"""Stable Diffusion's three networks, its tokenizer and its walks are those of the published code.

Random weights at small widths, saved in the published layouts and read back through the key map:
every kind of layer, every skip and every name is the real file's. `benchmarks/stable_diffusion.py`
does the same at full width, once.
"""

import json

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from course_lib.core.tensors import seeded_randn_like
from course_lib.diffusion.samplers import ddim_step
from course_lib.diffusion.schedules import leading_times, scaled_linear
from course_lib.diffusion.solvers import PLMS
from course_lib.models import published_sd
from course_lib.models.clip_tokens import read_clip_tokenizer
from course_lib.models.kl_autoencoder import KLAutoencoder
from course_lib.models.published_sd import stable_diffusion
from course_lib.models.stable_diffusion import OnLatents, latent_unet, text_tower
from course_lib.models.text_to_image import draw, draw_over, fill_in
from course_lib.models.tokenizer import ALPHABET

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 32,
    "max_position_embeddings": 77,
}
WIDE = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
UNET = {
    "sample_size": 8,
    "block_out_channels": (24, 48, 48, 48),
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
NARROW_VAE = VAE | {"block_out_channels": (16, 16, 32, 32), "norm_num_groups": 4}
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
}
START, END = "<|startoftext|>", "<|endoftext|>"


def faces():
    """The 256 bytes as CLIP's files write them, told by `transformers` alone."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return list(bytes_to_unicode().values())


def toy_words():
    """A vocabulary made as CLIP's is: bytes, bytes that end a word, merges, two signs."""
    merges = [("h", "e</w>"), ("t", "he</w>"), ("c", "a"), ("ca", "t</w>"), ("a", "n"), ("an", "a")]
    merges += [("r", "e"), ("re", "d</w>"), ("Ã", "©</w>"), ("!", "!</w>"), ("'", "s</w>")]
    pieces = [*faces(), *(face + "</w>" for face in faces()), *("".join(m) for m in merges)]
    return {piece: n for n, piece in enumerate([*pieces, START, END])}, merges


def small_tower(depth=2):
    return text_tower(len(toy_words()[0]), 77, 32, depth, 4)


def small_unet(channels=4):
    return latent_unet(channels, (24, 48, 48, 48), 32, 4, 8)


def small_vae():
    return KLAutoencoder(4, (16, 16, 32, 32), 4)


@pytest.fixture(scope="module")
def theirs():
    """The three networks of the published code, small, with random weights."""
    torch.manual_seed(0)
    vocabulary, _ = toy_words()
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
        **TEXT,
    )
    text = CLIPTextModel(config).eval()
    torch.nn.init.normal_(text.embeddings.position_embedding.weight)
    return text, UNet2DConditionModel(**UNET).eval(), AutoencoderKL(**NARROW_VAE).eval()


def contiguous(state, prefix=""):
    return {prefix + name: value.contiguous() for name, value in state.items()}


def tokenizer_files(folder):
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = toy_words()
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    rows = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def old_attention(state):
    names = {
        ".to_q.": ".query.",
        ".to_k.": ".key.",
        ".to_v.": ".value.",
        ".to_out.0.": ".proj_attn.",
    }
    renamed = {}
    for name, value in state.items():
        for new, old in names.items():
            name = name.replace(new, old) if "mid_block.attentions" in name else name
        renamed[name] = value
    return renamed


def save_folder(folder, networks, old=False):
    """The published layout; `old` as the files of 2022 are, position numbers among the weights."""
    text, unet, vae = networks
    for part in ("text_encoder", "unet", "vae"):
        (folder / part).mkdir(parents=True)
    state = contiguous(text.state_dict(), "text_model." if old else "")
    if old:
        state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, folder / "text_encoder/model.safetensors")
    name = "diffusion_pytorch_model.safetensors"
    save_file(contiguous(unet.state_dict()), folder / "unet" / name)
    state = contiguous(vae.state_dict())
    save_file(old_attention(state) if old else state, folder / "vae" / name)
    tokenizer_files(folder / "tokenizer")
    return folder


def save_single(path, networks):
    """All three in one file under CompVis' names; matrices of the VAE's attention are 1 x 1."""
    text, unet, vae = (net.state_dict() for net in networks)
    state = {f"cond_stage_model.transformer.text_model.{k}": v for k, v in text.items()}
    state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)
    for name, value in unet.items():
        state["model.diffusion_model." + published_sd.compvis_unet_name(name)] = value
    for name, value in old_attention(vae).items():
        kernel = "attentions" in name and value.dim() == 2
        value = value[:, :, None, None] if kernel else value
        state["first_stage_model." + published_sd.compvis_vae_name(name)] = value
    state["model_ema.decay"] = torch.zeros(())
    state["betas"] = torch.zeros(1000)
    save_file(contiguous(state), path)
    tokenizer_files(path.parent)
    return path


@pytest.fixture
def small(monkeypatch):
    """`stable_diffusion` builds the small networks in the place of the published sizes."""
    monkeypatch.setattr(published_sd, "text_tower", small_tower)
    monkeypatch.setattr(published_sd, "latent_unet", small_unet)
    monkeypatch.setattr(published_sd, "KLAutoencoder", small_vae)


@pytest.fixture
def system(small, theirs, tmp_path):
    return stable_diffusion(save_folder(tmp_path / "sd", theirs))


# ---- sizes ------------------------------------------------------------------------------------


def size(net):
    return sum(p.numel() for p in net.parameters())


def test_the_published_sizes_on_the_meta_device():
    with torch.device("meta"):
        ours = text_tower(), latent_unet(), KLAutoencoder()
        published = (
            CLIPTextModel(
                CLIPTextConfig(
                    hidden_size=768,
                    intermediate_size=3072,
                    num_hidden_layers=12,
                    num_attention_heads=12,
                    vocab_size=49408,
                )
            ),
            UNet2DConditionModel(**WIDE),
            AutoencoderKL(block_out_channels=(128, 256, 512, 512), **VAE),
        )
    assert [size(net) for net in ours] == [size(net) for net in published]
    assert [size(net) for net in ours] == [123_060_480, 859_520_964, 83_653_863]
    names = published_sd.text_name, published_sd.unet_name, published_sd.vae_name
    for net, net_2, name in zip(ours, published, names, strict=True):
        mapped = {name(k): tuple(v.shape) for k, v in net.state_dict().items()}
        assert mapped == {k: tuple(v.shape) for k, v in net_2.state_dict().items()}


def test_the_inpainting_network_takes_nine_channels():
    with torch.device("meta"):
        ours, published = latent_unet(9), UNet2DConditionModel(in_channels=9, **WIDE)
    assert size(ours) == size(published) == 859_535_364


def test_compvis_names_are_those_that_diffusers_converts(theirs):
    from diffusers.loaders.single_file_utils import (
        convert_ldm_unet_checkpoint,
        convert_ldm_vae_checkpoint,
    )

    _, unet, vae = theirs
    start = "model.diffusion_model."
    single = {start + published_sd.compvis_unet_name(k): v for k, v in unet.state_dict().items()}
    config = dict(unet.config) | {"class_embed_type": None, "addition_embed_type": None}
    back = convert_ldm_unet_checkpoint(single, config)
    assert {k: tuple(v.shape) for k, v in back.items()} == {
        k: tuple(v.shape) for k, v in unet.state_dict().items()
    }
    assert all(torch.equal(back[k], v) for k, v in unet.state_dict().items())
    state = old_attention(vae.state_dict())
    single = {"first_stage_model." + published_sd.compvis_vae_name(k): v for k, v in state.items()}
    back = convert_ldm_vae_checkpoint(single, dict(vae.config))
    assert all(torch.equal(back[k], v) for k, v in vae.state_dict().items())
    assert len(back) == len(vae.state_dict())


# ---- the networks -----------------------------------------------------------------------------


def check_networks(system, theirs):
    text, unet, vae = theirs
    torch.manual_seed(1)
    with torch.no_grad():
        ids = torch.randint(0, 400, (2, 77))
        expected = text(ids).last_hidden_state
        assert expected.std() > 0.1
        # The system reads prompts; its tower is reached through them below, and here by number.
        z, t, context = torch.randn(2, 4, 8, 8), torch.tensor([1, 981]), torch.randn(2, 77, 32)
        expected = unet(z, t, context).sample
        assert expected.std() > 0.05
        found = system.model.net(z, t + 1, context=context)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        x = torch.randn(2, 3, 32, 48).clamp(-1, 1)
        moments = vae.encode(x).latent_dist
        assert moments.mean.std() > 0.01
        packer = system.space.autoencoder
        torch.testing.assert_close(packer.encode(x), moments.mean, atol=1e-4, rtol=0)
        z = torch.randn(2, 4, 4, 6)
        torch.testing.assert_close(packer.decode(z), vae.decode(z).sample, atol=1e-4, rtol=0)


@pytest.mark.parametrize("old", [False, True])
def test_a_folder_of_new_and_of_old_names(small, theirs, tmp_path, old):
    system = stable_diffusion(save_folder(tmp_path / "sd", theirs, old))
    check_networks(system, theirs)
    ours = small_tower()
    names = {published_sd.text_name(k): k for k in ours.state_dict()}
    ours.load_state_dict({names[k]: v for k, v in theirs[0].state_dict().items()})
    ids = torch.randint(0, 400, (3, 77), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = theirs[0](ids).last_hidden_state
        torch.testing.assert_close(ours(ids), expected, atol=1e-4, rtol=0)
        ids = read_clip_tokenizer(tmp_path / "sd/tokenizer").batch(["the red cat", ""])
        expected = theirs[0](ids).last_hidden_state
    found = system.read(["the red cat", ""])["context"]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert not system.model.training and "sd" in system.name


def test_one_file_of_compvis(small, theirs, tmp_path):
    system = stable_diffusion(save_single(tmp_path / "v1.safetensors", theirs))
    check_networks(system, theirs)


def test_half_precision_walks_in_single(small, theirs, tmp_path):
    folder = save_folder(tmp_path / "sd", theirs)
    half = stable_diffusion(folder, dtype=torch.bfloat16)
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16}
    context = half.read(["the cat"])
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    found = half.model(z, torch.tensor([982]), **context)
    whole = stable_diffusion(folder)
    expected = whole.model(z, torch.tensor([982]), **whole.read(["the cat"]))
    assert found.dtype == torch.float32 and half.space.decode(z).dtype == torch.float32
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


# ---- what is refused --------------------------------------------------------------------------


def test_pickles_and_missing_files_are_refused(small, theirs, tmp_path):
    folder = save_folder(tmp_path / "sd", theirs)
    with pytest.raises(ValueError, match=r"nowhere does not exist: give the folder"):
        stable_diffusion(tmp_path / "nowhere")
    (tmp_path / "v1-5.ckpt").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"v1-5\.ckpt is not a \.safetensors.*weights_only=True"):
        stable_diffusion(tmp_path / "v1-5.ckpt")
    whole = folder / "unet/diffusion_pytorch_model.safetensors"
    whole.rename(whole.with_suffix(".bin"))
    with pytest.raises(ValueError, match=r"diffusion_pytorch_model\.bin is not a \.safetensors"):
        stable_diffusion(folder)
    whole.with_suffix(".bin").unlink()
    with pytest.raises(ValueError, match=r"unet.*does not exist"):
        stable_diffusion(folder)
    save_file({"x": torch.zeros(1)}, whole)
    with pytest.raises(ValueError, match=r"no conv_in\.weight: it is no U-Net"):
        stable_diffusion(folder)


def test_another_network_is_named_before_it_is_read(small, theirs, tmp_path):
    text, _, vae = theirs
    wider = UNet2DConditionModel(**UNET | {"cross_attention_dim": 48})
    folder = save_folder(tmp_path / "sd", (text, wider, vae))
    with pytest.raises(ValueError, match=r"32 tensors differ.*attn2\.to_k.*\(24, 48\) there"):
        stable_diffusion(folder)


def test_files_of_half_precision_and_a_schedulers_file(small, theirs, tmp_path):
    folder = save_folder(tmp_path / "sd", theirs)
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    (folder / "scheduler").mkdir()
    said = {"prediction_type": "v_prediction"}
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(said))
    assert stable_diffusion(folder).model.predicts == "v"


# ---- the tokenizer ----------------------------------------------------------------------------

TEXTS = [
    "",
    "The red cat",
    "the  CAT\tand\nthe\u00a0red   banana's end!!!",
    "café CAFÉ cafe\u0301 naïve ΣΊΣΥΦΟΣ İstanbul",
    "1234 cats, 5% of 'em; we'll see, they'RE here, rock'n'roll !'s",
    "кошка 貓 🐈 ¾ ² Ⅷ \x1c \x85 _a_b-c",
    "one <|endoftext|> two",
    "a" * 300,
    "cat " * 100,
]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_transformers(tmp_path, text):
    tokenizer_files(tmp_path)
    vocabulary, merges = toy_words()
    peer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
    ours = read_clip_tokenizer(tmp_path)
    expected = peer([text], padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert ours.batch([text]).tolist() == expected.tolist()
    assert ours.encode(text) == peer(text).input_ids[1:-1]


def test_bytes_have_the_faces_of_the_files(tmp_path):
    from course_lib.models.clip_tokens import _FACE

    assert [_FACE[byte[0]] for byte in ALPHABET] == faces()


# ---- walks ------------------------------------------------------------------------------------


def peer_pipeline(kind, theirs, scheduler, **more):
    text, unet, vae = theirs
    vocabulary, merges = toy_words()
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
    made = kind(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **more,
    )
    made.set_progress_bar_config(disable=True)
    return made


def schedulers():
    return {
        "ddim": (DDIMScheduler(clip_sample=False, **SCHEDULE), lambda: ddim_step),
        "plms": (PNDMScheduler(skip_prk_steps=True, **SCHEDULE), PLMS),
    }


def test_the_schedule_and_its_times():
    scheduler = DDIMScheduler(**SCHEDULE)
    ours = scaled_linear()
    torch.testing.assert_close(
        ours.alpha_bar[1:].float(), scheduler.alphas_cumprod, atol=1e-6, rtol=1e-5
    )
    for steps in (1, 2, 7, 20, 50, 500):
        scheduler.set_timesteps(steps)
        times = leading_times(ours, steps)
        assert (times[:-1] - 1).tolist() == scheduler.timesteps.tolist() and times[-1] == 1
    with pytest.raises(ValueError, match=r"steps must be 1\.\.500"):
        leading_times(ours, 501)


@pytest.mark.parametrize("name", ["ddim", "plms"])
@pytest.mark.parametrize("steps", [2, 7])
def test_a_whole_run_from_prompt_to_pixel(system, theirs, name, steps):
    scheduler, step = schedulers()[name]
    noise = seeded_randn_like(4)(torch.empty(2, 4, 4, 8))
    prompts, options = ["the red cat", "a banana's end"], {"height": 32, "width": 64}
    expected = peer_pipeline(StableDiffusionPipeline, theirs, scheduler)(
        prompts,
        negative_prompt=["the end"] * 2,
        num_inference_steps=steps,
        guidance_scale=7.5,
        latents=noise,
        output_type="pt",
        **options,
    ).images
    made = draw(
        system, prompts, negative="the end", scale=7.5, steps=steps, seed=4, step=step(), **options
    )
    assert expected.std() > 0.01
    torch.testing.assert_close((made + 1) / 2, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("strength", [0.3, 0.8, 1.0])
def test_a_picture_drawn_over(system, theirs, monkeypatch, strength):
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = seeded_randn_like(4)(torch.empty(2, 4, 4, 4))
    where = "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img.randn_tensor"
    monkeypatch.setattr(where, lambda *_, **__: noise)
    pipeline = peer_pipeline(StableDiffusionImg2ImgPipeline, theirs, schedulers()["ddim"][0])
    prompts = ["the red cat", "banana"]
    expected = pipeline(
        prompts,
        image=system.space.encode(x),
        strength=strength,
        num_inference_steps=10,
        guidance_scale=5.0,
        output_type="pt",
    ).images
    made = draw_over(system, x, prompts, strength=strength, scale=5.0, steps=10, seed=4)
    torch.testing.assert_close((made + 1) / 2, expected, atol=1e-4, rtol=0)


def test_a_strength_of_nothing_is_the_autoencoder_alone(system):
    x = torch.zeros(1, 3, 32, 32)
    expected = system.space.decode(system.space.encode(x)).clamp(-1, 1)
    torch.testing.assert_close(draw_over(system, x, ["cat"], strength=0.0), expected)
    with pytest.raises(ValueError, match="strength must be 0"):
        draw_over(system, x, ["cat"], strength=1.1)


def hole_of(side=32):
    hole = torch.zeros(1, 1, side, side, dtype=torch.bool)
    hole[..., 8:24, 16:] = True
    return hole


@pytest.mark.parametrize("beside", [False, True])
def test_a_hole_filled(small, theirs, tmp_path, monkeypatch, beside):
    text, unet, vae = theirs
    if beside:
        torch.manual_seed(7)
        unet = UNet2DConditionModel(in_channels=9, **UNET).eval()
    system = stable_diffusion(save_folder(tmp_path / "sd", (text, unet, vae)))
    assert system.beside == beside
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = seeded_randn_like(4)(torch.empty(1, 4, 4, 4))
    hole = hole_of()
    module = "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint"
    monkeypatch.setattr(
        f"{module}.retrieve_latents", lambda out, **_: out.latent_dist.mean
    )  # their encoder draws latents, ours takes the mean
    pipeline = peer_pipeline(
        StableDiffusionInpaintPipeline, (text, unet, vae), schedulers()["ddim"][0]
    )
    expected = pipeline(
        "the red cat",
        image=(x + 1) / 2,
        mask_image=hole.float(),
        height=32,
        width=32,
        strength=1.0,
        num_inference_steps=5,
        guidance_scale=5.0,
        latents=noise,
        output_type="pt",
    ).images
    made = fill_in(system, x, hole, ["the red cat"], scale=5.0, steps=5, seed=4)
    assert torch.equal(made[~hole.expand_as(made)], x[~hole.expand_as(x)])
    inside = hole.expand_as(made)
    # Without the five channels, theirs begins at pure noise outside of the hole too, ours does not
    # (at the first of its times a little of the picture is left): nearly the same, not the same.
    atol = 1e-4 if beside else 0.02
    torch.testing.assert_close((made[inside] + 1) / 2, expected[inside], atol=atol, rtol=0)


def test_sizes_that_f_does_not_divide_are_refused(system):
    with pytest.raises(ValueError, match="multiples of 8, got 30 x 32"):
        draw(system, ["cat"], height=30, width=32, steps=1)
    with pytest.raises(ValueError, match=r"multiples of 8, got \[30, 32\]"):
        system.space.encode(torch.zeros(1, 3, 30, 32))


def test_the_wrapper_counts_from_zero_and_lays_channels_behind():
    torch.manual_seed(2)
    unet = small_unet(9).eval()
    torch.nn.init.normal_(unet.head.out.weight)
    z, beside, context = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 8, 8), torch.randn(1, 77, 32)
    with torch.no_grad():
        found = OnLatents(unet)(z, torch.tensor([982]), context, beside)
        expected = unet(torch.cat([z, beside], 1), torch.tensor([981]), context=context)
    torch.testing.assert_close(found, expected)
