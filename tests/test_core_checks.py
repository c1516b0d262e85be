"""A claim that holds prints one line; one that does not names the worst entry."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.core.checks import check_close, check_true, one_of


def test_equal_things_print_one_line(capsys):
    check_close(torch.tensor([1.0, 2.0]), np.array([1.0, 2.0]), "numbers")
    check_close(3, 3, "whole numbers")
    check_close(torch.tensor(1.0 + 2e-7), 1.0, "nearly")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "✓ numbers: equal (largest difference 0)"
    assert said[1] == "✓ whole numbers: equal (largest difference 0)"
    assert said[2] == "✓ nearly: equal (largest difference below 1e-6)"


def test_the_worst_entry_is_named():
    ours = torch.zeros(2, 3)
    ours[0, 1], ours[1, 2] = 0.1, 0.5
    with pytest.raises(AssertionError, match=r"sums differ: 0\.5 against 0 at \(1, 2\)"):
        check_close(ours, torch.zeros(2, 3), "sums")


def test_errors_of_opposite_sign_do_not_cancel():
    with pytest.raises(AssertionError):
        check_close(torch.tensor([1.0, -1.0]), torch.tensor([0.0, 0.0]))


def test_not_a_number_is_close_to_nothing_and_infinity_to_itself():
    nan, inf = float("nan"), float("inf")
    for ours, theirs in [(nan, nan), (nan, 0.0), (0.0, nan), (inf, 0.0), (inf, -inf)]:
        with pytest.raises(AssertionError):
            check_close([0.0, ours], [0.0, theirs])
    check_close([0.0, inf], [0.0, inf])


def test_shapes_are_not_broadcast():
    with pytest.raises(ValueError, match=r"shapes differ, \(3,\) against \(3, 1\)"):
        check_close(torch.zeros(3), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="complex numbers"):
        check_close(1 + 1j, 1 + 2j)


@given(st.floats(-1e3, 1e3), st.floats(-1e-3, 1e-3), st.floats(1e-9, 1e-3), st.floats(0, 1e-3))
def test_the_tolerance_is_absolute_plus_relative(theirs, gap, atol, rtol):
    ours = theirs + gap
    close = abs(ours - theirs) <= atol + rtol * abs(theirs)
    if close:
        check_close(ours, theirs, atol=atol, rtol=rtol)
    else:
        with pytest.raises(AssertionError):
            check_close(ours, theirs, atol=atol, rtol=rtol)


def test_half_precision_and_devices_are_compared_in_float64():
    check_close(torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.float64))


def test_check_true(capsys):
    check_true(torch.tensor(True), "one is one")
    assert capsys.readouterr().out == "✓ one is one\n"
    with pytest.raises(AssertionError, match="does not hold: two is one"):
        check_true(2 == 1, "two is one")


def test_one_of_lists_the_choices():
    one_of("a", {"a": 1, "b": 2}, "letter")
    with pytest.raises(ValueError, match="unknown letter 'c'. Use one of: a, b"):
        one_of("c", {"a": 1, "b": 2}, "letter")
    with pytest.raises(ValueError, match="Use one of: none yet"):
        one_of("c", [], "letter")
