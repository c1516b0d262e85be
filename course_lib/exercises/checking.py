"""How an exercise is checked: say what is right, recognise what usually goes wrong, never crash.

A check is a function that tries the reader's answer and raises `NotYet` with a diagnosis at the
first thing that is wrong. `exercise` turns it into what a notebook calls: it prints one line and
returns True or False, whatever the reader's code does.

    @exercise("the noisy image x_t")
    def check_add_noise(add_noise: Callable[..., Any]) -> None:
        x_0, eps = torch.randn(4, 2), torch.randn(4, 2)
        x_t = add_noise(x_0, 0.36, eps)
        reject(equal(x_t, 0.36 * x_0 + 0.64 * eps), "alpha_bar is a variance: x_0 needs its root")
        require(equal(x_t, 0.6 * x_0 + 0.8 * eps), "x_t is not sqrt(0.36) x_0 + sqrt(0.64) eps")
"""

import functools
import traceback
from collections.abc import Callable
from typing import Any

import torch

Check = Callable[[Any], bool]


class NotYet(Exception):
    """The answer is not right yet; the message tells the reader why."""


def reject(wrong: bool, why: str) -> None:
    """Stop with the diagnosis `why` if the answer shows a known mistake."""
    if wrong:
        raise NotYet(why)


def require(right: bool, why: str) -> None:
    """Stop with the diagnosis `why` unless the answer has this property."""
    reject(not right, why)


def two(answer: Any, why: str) -> tuple[Any, ...]:
    """The two parts of an answer: of a tuple, a list, or a tensor that stacks them."""
    stacked = torch.is_tensor(answer) and answer.ndim > 0
    parts = tuple(answer) if stacked or isinstance(answer, tuple | list) else ()
    require(len(parts) == 2, why)
    return parts


def equal(ours: Any, theirs: Any, atol: float = 1e-4) -> bool:
    """Whether two tensors, arrays or numbers agree; another shape is no agreement, not an error."""
    ours, theirs = (_number(value).detach().double().cpu() for value in (ours, theirs))
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=0, atol=atol)


def _number(value: Any) -> torch.Tensor:
    # A Python float keeps its digits; as_tensor alone would round it to float32.
    return torch.as_tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def factors(ours: Any, right: torch.Tensor, parts: dict[str, torch.Tensor]) -> str:
    """If both are mixes of the named parts: how much of each there is, and should be.

    For the last line of a check that knows what is wrong with nothing but the sum:
    factors(x_t, right, {"x_0": x_0, "eps": eps}) is " You take 0.600 x_0 + 0.640 eps; here it is
    0.600 x_0 + 0.800 eps.", or nothing where the answer is no such mix.
    """
    table = torch.stack([part.detach().double().flatten() for part in parts.values()], dim=1)
    said = []
    for mix in (torch.as_tensor(ours), right):
        if mix.shape != right.shape or not bool(mix.isfinite().all()):
            return ""
        flat = mix.detach().double().flatten()
        found = torch.linalg.lstsq(table, flat[:, None]).solution[:, 0]
        if not equal(table @ found, flat):
            return ""
        terms = [f"{share:+.3f} {name}" for share, name in zip(found.tolist(), parts, strict=True)]
        said.append(" ".join(terms).replace("+", "+ ").replace("-", "- ").removeprefix("+ "))
    return f" You take {said[0]}; here it is {said[1]}."


def exercise(what: str) -> Callable[[Callable[[Any], None]], Check]:
    """Make a check for readers: `what` names the thing asked for, as in "Correct: the noisy image".

    The check runs on its own seeded noise and leaves the reader's random state alone.
    """

    def decorate(check: Callable[[Any], None]) -> Check:
        @functools.wraps(check)
        def run(answer: Any) -> bool:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                diagnosis = _diagnosis(check, answer)
            print(f"Not yet: {diagnosis}" if diagnosis else f"Correct: {what}.")
            return diagnosis is None

        return run

    return decorate


class _Untouched(Exception):
    """The reader has not written anything yet."""


_NOTHING = len((lambda: None).__code__.co_code)  # how long the code of an empty function is


class _Raised(Exception):
    """The reader's own code raised; the cause is its exception."""


def _diagnosis(check: Callable[[Any], None], answer: Any) -> str | None:
    """What is wrong with the answer, or None if nothing is."""
    try:
        check(_guarded(answer))
    except NotYet as wrong:
        return str(wrong)
    except _Untouched:
        return "nothing is filled in. Write your own line for the `...`, then run the cell again."
    except _Raised as error:
        return _in_readers_code(error.__cause__)
    except Exception as error:  # the answer has a form that the check cannot even look at
        return f"your answer has an unexpected form ({type(error).__name__}: {error})."
    return None


def _guarded(answer: Any) -> Any:
    """The reader's answer, its calls watched: for errors inside it, and for stubs.

    It works on copies, so an answer that changes its arguments in place spoils nothing.
    """
    if not callable(answer):
        return _filled_in(answer)

    @functools.wraps(answer)
    def guarded(*arguments: Any, **named: Any) -> Any:
        copies = [value.clone() if torch.is_tensor(value) else value for value in arguments]
        try:
            result = answer(*copies, **named)
            if result is None and _has_a_body(answer):
                raise NotYet("your function returns nothing. Does it end with a `return`?")
            return _filled_in(result)
        except NotYet:
            raise
        except (NotImplementedError, _Untouched):
            raise _Untouched from None
        except Exception as error:
            if "ellipsis" in str(error):  # arithmetic on a `...` that still stands
                raise _Untouched from None
            raise _Raised from error

    return guarded


def _has_a_body(answer: Callable[..., Any]) -> bool:
    """Whether a function does anything: its code is longer than a stub's."""
    code = getattr(answer, "__code__", None)
    return code is not None and len(code.co_code) > _NOTHING


def _filled_in(value: Any) -> Any:
    if value is None or value is ...:
        raise _Untouched
    return value


# What PyTorch says of mistakes that everybody makes once, and what to do about each.
CURES = {
    "does not require grad": "Take gradients on a copy that asks for them, `x.detach()"
    ".requires_grad_()`, and outside of `torch.no_grad()`.",
    "only for scalar outputs": "Add up over the batch first: `.sum()`.",
    "'input' (position 1) must be Tensor": "Plain numbers have no `torch.sqrt`, no"
    " `torch.log`: take `** 0.5` and `math.log`, or make them a tensor first.",
    "dimension 0 with size 0": "Nothing fulfils your condition here: `nonzero` found no entry.",
    "must match the size of tensor": "Two shapes do not fit: print both.",
}


def _in_readers_code(error: BaseException | None) -> str:
    """Name the exception, the reader's line that raised it, and a cure where one is known."""
    frames = traceback.extract_tb(error and error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and f.filename != __file__]
    where = f" in the line `{own[-1].line}`" if own and own[-1].line else ""
    said = (str(error).splitlines() or [""])[0]
    cure = next((f" {cure}" for words, cure in CURES.items() if words in said), "")
    return f"your code raised {type(error).__name__}{where}: {said}{cure}"
