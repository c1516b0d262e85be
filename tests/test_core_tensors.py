"""Devices, seeds, pixel ranges, and files that are written whole or not at all."""

import os
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.tensors import (
    atomic_write,
    pick_device,
    seed_everything,
    seeded_randn_like,
    to_pixels,
    to_unit,
)


def test_every_machine_has_a_cpu_and_auto_finds_something():
    assert pick_device("cpu") == torch.device("cpu")
    assert torch.zeros(1, device=pick_device()).device.type in ("cpu", "cuda", "mps")


def test_a_device_that_is_not_there_lists_what_is():
    with pytest.raises(ValueError, match=r"no device 'abacus'.*auto.*cpu"):
        pick_device("abacus")


def test_one_seed_for_all_three_generators():
    def draw():
        seed_everything(7)
        return random.random(), np.random.rand(), float(torch.rand(()))

    assert draw() == draw()
    first = draw()
    seed_everything(8)
    assert all(a != b for a, b in zip(first, (random.random(), np.random.rand()), strict=False))


def test_seeded_noise_repeats_and_leaves_the_global_generator_alone():
    x, state = torch.zeros(4, 2, dtype=torch.float64), torch.get_rng_state()
    one, two = seeded_randn_like(3), seeded_randn_like(3)
    first = one(x)
    assert first.shape == x.shape and first.dtype == x.dtype
    assert torch.equal(first, two(x))
    assert not torch.equal(first, one(x))  # it goes on, it does not repeat itself
    assert torch.equal(torch.get_rng_state(), state)


def test_seeded_noise_is_standard_normal():
    noise = seeded_randn_like(0)(torch.zeros(200_000))
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01


@pytest.mark.parametrize("top", [16, 255])
def test_pixels_survive_the_way_to_the_unit_range_and_back(top):
    pixels = torch.arange(top + 1, dtype=torch.uint8)
    x = to_unit(pixels, top)
    assert x[0] == -1 and abs(x[-1] - 1) < 1e-6
    assert torch.equal(to_pixels(x, top), pixels)
    assert torch.equal(to_pixels(x.bfloat16(), top), to_pixels(x.bfloat16().float(), top))


@given(st.floats(-10, 10))
def test_pixels_are_the_nearest_level_and_clamped(value):
    pixel = int(to_pixels(torch.tensor([value]))[0])
    assert abs(pixel - min(max((value + 1) * 127.5, 0), 255)) <= 0.5 + 1e-4


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new folder" / "file.bin"
    atomic_write(path, b"first")
    atomic_write(path, b"second, longer")
    assert path.read_bytes() == b"second, longer"
    assert os.listdir(path.parent) == ["file.bin"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    atomic_write(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def links(request, monkeypatch):
    """A disk that knows hard links, and one that does not."""
    if not request.param:

        def refuse(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    return request.param


def test_a_new_file_overwrites_nothing(tmp_path, links):
    path = tmp_path / "file.bin"
    atomic_write(path, b"first", new=True)
    with pytest.raises(FileExistsError):
        atomic_write(path, b"second", new=True)
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file.bin"]


def test_of_many_who_want_a_new_name_one_gets_it_with_all_its_content(tmp_path, links):
    def write(number):
        try:
            atomic_write(tmp_path / "file.bin", bytes([number]) * 100_000, new=True)
        except FileExistsError:
            return None
        return number

    for _ in range(20):
        with ThreadPoolExecutor(8) as writers:
            (won,) = [one for one in writers.map(write, range(8)) if one is not None]
        assert (tmp_path / "file.bin").read_bytes() == bytes([won]) * 100_000
        assert os.listdir(tmp_path) == ["file.bin"]
        (tmp_path / "file.bin").unlink()


def test_a_new_file_that_cannot_be_moved_leaves_none(tmp_path, links, monkeypatch):
    monkeypatch.setattr(os, "link" if links else "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "file.bin", b"new", new=True)
    assert not os.listdir(tmp_path)
