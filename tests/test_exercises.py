"""Listed wrong answers are caught by their own diagnosis; stubs and crashes get a friendly line."""

import inspect
import runpy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from course_lib.exercises import _template
from course_lib.exercises.checking import Check, equal, exercise, factors, require

FILES = sorted((Path(__file__).parent / "exercises").glob("*.py"))
WRONG = [(file.stem, *row) for file in FILES for row in runpy.run_path(str(file))["WRONG"]]


def checks_of(module: ModuleType) -> list[Check]:
    return [check for name, check in inspect.getmembers(module) if name.startswith("check_")]


@pytest.mark.parametrize(
    ("file", "check", "wrong", "words"),
    WRONG,
    ids=[f"{w[0]}-{w[1].__name__}-{w[3]}" for w in WRONG],
)
def test_wrong_answer_is_caught_by_its_own_diagnosis(
    file: str, check: Check, wrong: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(wrong) is False
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet: ")
    assert words in printed


# A dict, not a set: two workers must collect the tests in one order.
@pytest.mark.parametrize("check", {row[1]: 0 for row in WRONG}, ids=lambda check: check.__name__)
def test_untouched_stub_gets_a_friendly_line(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    def stub(*arguments: Any, **named: Any) -> Any: ...

    assert check(stub) is False
    assert "nothing is filled in" in capsys.readouterr().out


@exercise("twice the number")
def check_double(double: Any) -> None:
    """An exercise for the tests below."""
    x = torch.tensor(3.0)
    require(equal(double(x), 2 * x), "it is not twice the number.")


def not_implemented(x: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError


def half_filled(x: torch.Tensor) -> Any:
    factor: Any = ...
    return factor * x


def forgets_to_return(x: torch.Tensor) -> None:
    x = 2 * x


def in_place(x: torch.Tensor) -> torch.Tensor:
    return x.mul_(2)


def crashes(x: torch.Tensor) -> torch.Tensor:
    return x @ torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: 2 * x, "Correct: twice the number."),
        (lambda x: x, "Not yet: it is not twice the number."),
        (lambda x: torch.tensor([6.0]), "Not yet: it is not twice the number."),
        (lambda x: "six", "Not yet: your answer has an unexpected form"),
        (not_implemented, "Not yet: nothing is filled in"),
        (half_filled, "Not yet: nothing is filled in"),
        (None, "Not yet: nothing is filled in"),
        (..., "Not yet: nothing is filled in"),
        (forgets_to_return, "Not yet: your function returns nothing."),
        (in_place, "Correct: twice the number."),
        (crashes, "in the line `return x @ torch.zeros(2, 3)`"),
        (lambda: 0, "Not yet: your code raised TypeError"),
        (lambda x: torch.autograd.grad(2 * x, x), "`x.detach().requires_grad_()`"),
        (lambda x: torch.sqrt(2.0), "take `** 0.5`"),
        (lambda x: torch.zeros(2) + torch.zeros(3), "print both"),
    ],
)
def test_one_line_whatever_the_answer_does(
    answer: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    correct = check_double(answer)
    printed = capsys.readouterr().out
    assert words in printed
    assert len(printed.splitlines()) == 1
    assert correct is words.startswith("Correct")


def test_factors_say_how_much_of_each_part_there_is() -> None:
    x_0, eps = torch.randn(2, 5, 2)
    parts, right = {"x_0": x_0, "eps": eps}, 0.6 * x_0 + 0.8 * eps
    said = factors(0.6 * x_0 - 0.64 * eps, right, parts)
    assert said == " You take 0.600 x_0 - 0.640 eps; here it is 0.600 x_0 + 0.800 eps."
    assert factors(right + 1, right, parts) == ""  # no mix of the two
    assert factors(right.sum(), right, parts) == factors(right / 0, right, parts) == ""


def test_template_solution_passes() -> None:
    def noisy(x_0: torch.Tensor, alpha_bar: float, eps: torch.Tensor) -> torch.Tensor:
        return alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps

    assert checks_of(_template) == [_template.check_noisy]
    assert _template.check_noisy(noisy)


def test_check_leaves_the_readers_random_numbers_alone() -> None:
    torch.manual_seed(1)
    expected = torch.randn(3)
    torch.manual_seed(1)
    check_double(lambda x: 2 * x + 0 * torch.randn(()))
    assert torch.equal(torch.randn(3), expected)
