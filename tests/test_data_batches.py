"""Random batches: rows stay together, a reseeded run repeats itself, bad input is named."""

import pytest
import torch

from course_lib.data.batches import random_batches


def test_rows_of_all_tensors_stay_together():
    x = torch.arange(100)
    get_batch = random_batches(x, 10 * x, size=64)
    images, labels = get_batch()
    assert images.shape == (64,)
    assert torch.equal(labels, 10 * images)


def test_every_row_is_drawn_about_equally_often():
    torch.manual_seed(0)
    get_batch = random_batches(torch.arange(10), size=50_000)
    assert (get_batch()[0].bincount() - 5_000).abs().max() < 350  # five standard deviations


def test_reseeding_before_each_step_resumes_exactly():
    data = torch.randn(500, 2)

    def run(steps):
        get_batch = random_batches(data, size=8)
        return [(torch.manual_seed(step), get_batch()[0])[1] for step in steps]

    through, resumed = run(range(6)), run(range(4, 6))
    assert torch.equal(torch.stack(through[4:]), torch.stack(resumed))
    assert not torch.equal(through[0], through[1])


def test_a_generator_of_its_own_leaves_the_global_one_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    draws = [
        random_batches(torch.arange(1000), size=32, generator=torch.Generator().manual_seed(5))()[0]
        for _ in range(2)
    ]
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"lengths \[3, 4\]"):
        random_batches(torch.zeros(3), torch.zeros(4), size=1)
    with pytest.raises(ValueError, match=r"lengths \[\]"):
        random_batches(size=1)
    with pytest.raises(ValueError, match=r"lengths \[0\]"):
        random_batches(torch.zeros(0, 2), size=1)
    with pytest.raises(ValueError, match="size must be 1 or more, got 0"):
        random_batches(torch.zeros(3), size=0)
