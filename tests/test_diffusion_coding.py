"""The coder: what goes on comes off, and is as long as its probabilities say."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.diffusion.coding import TOTAL, Law, Stack, gaussian_law
from course_lib.diffusion.likelihood import discretised_gaussian


def table_law(chances):
    return Law(len(chances), lambda k: math.fsum(chances[:k]))


def test_the_number_grows_by_the_bits_of_the_symbols():
    chances = [0.5, 0.25, 0.2, 0.05]
    law, symbols = table_law(chances), random.Random(0).choices(range(4), chances, k=2000)
    stack = Stack(2**80)
    stack.push([law] * 2000, symbols)
    ideal = -sum(math.log2(chances[k]) for k in symbols)
    assert abs(stack.bits - 81 - ideal) < 2


def test_random_bits_come_off_as_draws_from_the_law():
    chances = [0.1, 0.6, 0.3]
    stack = Stack(random.Random(1).getrandbits(20_000) | 1 << 20_000)
    before, law = stack.number, table_law(chances)
    drawn = stack.pop([law] * 5000)
    for k, p in enumerate(chances):
        assert abs(drawn.count(k) / 5000 - p) < 4 * (p * (1 - p) / 5000) ** 0.5
    stack.push([law] * 5000, drawn)
    assert stack.number == before  # bits back


@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.2), (-1.4, 0.05), (0.9, 3.0)])
def test_a_gaussian_law_is_the_decoder_of_ddpm(mean, std):
    law = gaussian_law(mean, std, -1 - 1 / 16, 1 / 8, 17)
    x = torch.linspace(-1, 1, 17, dtype=torch.float64)[:, None]
    wanted = discretised_gaussian(x, torch.full_like(x, mean), std, 17).exp()
    ours = torch.tensor([law.below(k + 1) - law.below(k) for k in range(17)], dtype=torch.float64)
    torch.testing.assert_close(ours, wanted, atol=1e-12, rtol=0)
    starts = [law.start(k) for k in range(18)]
    assert starts[0] == 0 and starts[-1] == TOTAL
    assert all(b > a for a, b in zip(starts, starts[1:], strict=False))  # nothing is impossible


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 5), st.integers(0, 40)), max_size=30))
@settings(max_examples=30, deadline=None)
def test_what_is_pushed_comes_off_and_leaves_the_stack_as_it_was(rows):
    laws = [gaussian_law(mean, std, -2.0, 0.1, 41) for mean, std, _ in rows]
    symbols, stack = [k for _, _, k in rows], Stack(12345)
    stack.push(laws, symbols)
    assert stack.pop(laws) == symbols and stack.number == 12345
