"""The heartbeats: five sequences, equally likely."""

import math

import pytest
import torch

from course_lib.data.sequences import LENGTH, PERIOD, heartbeat, heartbeats


def test_there_are_five_with_a_one_in_every_fifth_place():
    beats = heartbeats()
    assert beats.shape == (PERIOD, LENGTH) == (5, 20)
    assert len(beats.unique(dim=0)) == 5
    for phase, beat in enumerate(beats):
        assert beat.nonzero()[:, 0].tolist() == list(range(phase, LENGTH, PERIOD))
    assert float(beats.mean()) == pytest.approx(0.2)  # the paper's mean activity


def test_each_is_equally_likely_and_seeds_repeat():
    drawn = heartbeat(5000, seed=3)
    shares = (drawn[:, None] == heartbeats()).all(2).double().mean(0)
    assert float(shares.sum()) == 1
    assert float((shares - 0.2).abs().max()) < 5 * math.sqrt(0.16 / 5000)
    assert torch.equal(drawn, heartbeat(5000, seed=3))
    assert not torch.equal(drawn, heartbeat(5000, seed=4))


def test_none_at_all_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        heartbeat(0)
