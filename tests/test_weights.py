"""Shipped weights: whole, hashed, named, and never overwritten by a reader's training."""

import gzip
import hashlib
import json
import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn

from course_lib.core.eight_bits import dequantise, quantise
from course_lib.weights import (
    load_or_train,
    load_weights,
    manifest,
    over_seeds,
    recorded,
    save_weights,
    whole_file,
)


def net(width=4, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))


@pytest.fixture
def shipped(tmp_path):
    save_weights("small", net(), {"made": "in a test"}, folder=tmp_path)
    return tmp_path


def test_full_precision_comes_back_to_the_bit(tmp_path):
    save_weights("exact", net(), {}, bits=32, folder=tmp_path)
    back = load_weights("exact", net(seed=1), tmp_path)
    for ours, theirs in zip(back.state_dict().values(), net().state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_half_precision_comes_back_rounded_once_in_the_networks_own_precision(tmp_path):
    save_weights("half", net(), {}, bits=16, folder=tmp_path)
    back = load_weights("half", net(seed=1), tmp_path)
    for name, theirs in net().state_dict().items():
        ours = back.state_dict()[name]
        assert ours.dtype == theirs.dtype
        rounded = theirs.half().to(theirs.dtype) if theirs.is_floating_point() else theirs
        assert torch.equal(ours, rounded)
    stored = load(whole_file("half", tmp_path))
    assert stored["0.weight"].dtype == torch.float16
    assert stored["1.num_batches_tracked"].dtype == torch.int64


def test_eight_bits_come_back_to_half_a_scale_and_a_second_time_as_they_were(shipped):
    stored = load(whole_file("small", shipped))
    assert stored["0.weight"].dtype == torch.int8 and stored["0.weight"].shape == (4, 3)
    assert stored["0.bias"].dtype == stored["0.weight:scale"].dtype == torch.float16
    back = load_weights("small", net(seed=1), shipped)
    for name, theirs in net().state_dict().items():
        ours = back.state_dict()[name]
        assert ours.dtype == theirs.dtype
        coarse = theirs.abs().max() / 250 if theirs.dim() > 1 else 0.001 * theirs.abs().max()
        assert (ours - theirs).abs().max() <= coarse
    save_weights("again", back, {}, folder=shipped)
    again = load_weights("again", net(seed=2), shipped)
    for ours, theirs in zip(again.state_dict().values(), back.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
    st.floats(-20, 4),
    st.integers(2, 8),
)
@example([3, 5, 7], 0, -200, 8)  # so small that half a scale is nothing: all become 0
@example([64], 0, -5.2, 8)  # a scale between two numbers of half precision
@example([64], 0, -6.0, 8)  # a scale below all of them
def test_a_block_is_rounded_by_half_its_scale(shape, seed, power, bits):
    value = 10**power * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    whole, scale = quantise(value, bits)
    top = 2 ** (bits - 1) - 1
    assert whole.shape == value.shape and whole.dtype == torch.int8 and whole.abs().max() <= top
    back = dequantise(whole, scale)
    each = scale.float().repeat_interleave(32)[: value.numel()].reshape(shape)
    # Half a scale: nothing is cut, whatever the scale lost in 16 bits.
    assert ((back - value).abs() <= 0.5001 * each + 1e-30 * (each == 0)).all()
    assert (scale > 0).all() or not value.any()


@pytest.mark.parametrize("value", [1e7, math.inf, math.nan])
def test_what_no_scale_fits_is_refused(value):
    with pytest.raises(ValueError, match="does not fit: with 8 bits numbers end at 8.31901e"):
        quantise(torch.tensor([0.0, value]))


@pytest.mark.parametrize("bits", [1, 9])
def test_whole_numbers_of_no_use_are_refused(bits):
    with pytest.raises(ValueError, match=f"2 to 8 bits, got {bits}"):
        quantise(torch.ones(3), bits)


def test_fewer_bits_make_a_shorter_file(tmp_path):
    big = nn.Linear(200, 200)
    sizes = [
        save_weights("w", big, {}, bits=bits, folder=tmp_path).stat().st_size for bits in (5, 8)
    ]
    assert sizes[0] < 0.75 * sizes[1]
    found = load_weights("w", nn.Linear(200, 200), tmp_path).weight  # the last one: 8 bits
    assert (found - big.weight).abs().max() < big.weight.abs().max() / 200


def test_another_number_of_bits_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"number of bits 4. Use one of: 5, 6, 7, 8, 16, 32"):
        save_weights("small", net(), {}, bits=4, folder=tmp_path)


def test_loaded_weights_are_for_use_not_for_training(shipped):
    back = load_weights("small", net(), shipped)
    assert not back.training and not any(p.requires_grad for p in back.parameters())


def test_the_manifest_says_what_was_said_and_what_was_written(shipped):
    save_weights("a_second", net(5), {"steps": 10, "Fréchet": 1.5}, folder=shipped)
    entries = manifest(shipped)
    assert list(entries) == ["a_second", "small"]  # sorted, so that files change little
    assert entries["small"]["made"] == "in a test"
    assert entries["a_second"]["Fréchet"] == 1.5
    for name, entry in entries.items():
        content = (shipped / f"{name}.safetensors.gz").read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    # Learnt numbers only: 3·5 + 5, norm 5 + 5, 5 + 1.
    assert entries["a_second"]["parameters"] == 36


def test_without_a_manifest_there_are_no_weights(tmp_path):
    assert manifest(tmp_path) == {}


def test_an_unknown_name_lists_the_known_ones(shipped):
    with pytest.raises(ValueError, match="unknown weights 'large'. Use one of: small"):
        load_weights("large", net(), shipped)


def test_a_missing_file_says_how_to_get_it(shipped):
    (shipped / "small.safetensors.gz").unlink()
    with pytest.raises(ValueError, match=r"small\.safetensors\.gz is missing.*git checkout"):
        load_weights("small", net(), shipped)


@pytest.mark.parametrize("cut", [0, 10, -1, None])
def test_a_damaged_file_is_refused_with_both_hashes(shipped, cut):
    path = shipped / "small.safetensors.gz"
    content = path.read_bytes()
    found = content[:cut] if cut is not None else content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(found)
    before, model = net(seed=1).state_dict(), net(seed=1)
    with pytest.raises(ValueError) as error:
        load_weights("small", model, shipped)
    for part in (
        "small.safetensors.gz is damaged",
        hashlib.sha256(found).hexdigest(),
        hashlib.sha256(content).hexdigest(),
        "git checkout -- data/weights/small.safetensors.gz",
    ):
        assert part in str(error.value)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    "other, first",
    [(net(5), "0.bias"), (nn.Linear(3, 1), "0.bias"), (nn.Sequential(net()), "0.0.bias")],
)
def test_another_network_is_refused_and_left_alone(shipped, other, first):
    before = {k: v.clone() for k, v in other.state_dict().items()}
    with pytest.raises(ValueError, match=rf"does not fit this network.*the first is '{first}'"):
        load_weights("small", other, shipped)
    assert all(torch.equal(before[k], v) for k, v in other.state_dict().items())


def test_load_or_train_says_which(shipped, capsys):
    load_or_train("small", net(), folder=shipped)
    assert capsys.readouterr().out == "small: shipped weights, 29 parameters, in a test\n"


def test_training_never_touches_the_shipped_file(shipped, capsys):
    before = {path.name: path.read_bytes() for path in shipped.iterdir()}

    def train(module):
        trained = net(seed=9)
        assert module is not trained
        return trained

    module = net(seed=1)
    back = load_or_train("small", module, train, folder=shipped)
    assert back is module and not back.training
    assert not any(p.requires_grad for p in back.parameters())
    for ours, theirs in zip(
        back.state_dict().values(), net(seed=9).state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert {path.name: path.read_bytes() for path in shipped.iterdir()} == before
    assert "trained here; the shipped weights are left as they are" in capsys.readouterr().out


def test_an_interrupted_save_leaves_the_old_weights_loadable(shipped, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        save_weights("small", net(seed=5), {}, folder=shipped)
    back = load_weights("small", net(seed=1), shipped)
    assert torch.allclose(back[0].weight, net()[0].weight, atol=4e-3)


def test_a_name_written_by_hand_into_the_manifest_is_not_enough(shipped):
    (shipped / "forged.safetensors.gz").write_bytes(gzip.compress(save({"a": torch.zeros(1)})))
    entries = manifest(shipped) | {"forged": {"sha256": "0" * 64, "parameters": 1}}
    (shipped / "manifest.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="forged.safetensors.gz is damaged"):
        load_weights("forged", net(), shipped)


def test_what_a_script_recorded_is_read_back(tmp_path):
    (tmp_path / "speeds.json").write_text('{"fast": 3}')
    assert recorded("speeds", tmp_path) == {"fast": 3}
    assert set(recorded("time_ablation")["losses"]["blind"]) == {"0", "1", "2"}


def test_a_mean_over_seeds():
    record = {"0": {"oracle": {"all": 1.0}}, "1": {"oracle": {"all": 0.5}}}
    assert over_seeds(record, "oracle", "all") == 0.75
