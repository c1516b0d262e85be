"""A short quiz that explains every answer and ends in a recommended route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import traitlets

from course_lib.widgets.base import LiveFigure, module, style


@dataclass(frozen=True)
class Choice:
    """One answer: its text, why it is right or wrong, and the points that it gives to routes."""

    text: str
    why: str
    right: bool = False
    points: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question with its choices; `about` names what to look up after a wrong answer.

    A question none of whose choices is right asks for a wish, not for knowledge.
    """

    ask: str
    choices: Sequence[Choice]
    about: str = ""


@dataclass(frozen=True)
class Route:
    """A way through the course: its name, and what the reader is told when it fits best."""

    name: str
    text: str


class Quiz(LiveFigure):
    """Ask `questions`, explain each answer, then recommend the route with the most points.

    Points to a route that `routes` does not name, a question with fewer than two choices or with
    two right ones, and an empty quiz raise ValueError. Of equal routes the first wins.
    """

    _esm = module("quiz")
    _css = style("quiz")
    questions = traitlets.List().tag(sync=True)
    routes = traitlets.List().tag(sync=True)
    answers = traitlets.List(traitlets.Int()).tag(sync=True)  # -1 where none is given yet

    def __init__(self, questions: Sequence[Question], routes: Sequence[Route] = ()) -> None:
        if not questions:
            raise ValueError("a quiz needs at least one question")
        names = {route.name for route in routes}
        for question in questions:
            if len(question.choices) < 2:
                raise ValueError(f"give at least two choices to {question.ask!r}")
            if sum(choice.right for choice in question.choices) > 1:
                raise ValueError(f"only one choice may be right in {question.ask!r}")
            unknown = {name for choice in question.choices for name in choice.points} - names
            if unknown:
                raise ValueError(f"{question.ask!r} gives points to {unknown}, not among {names}")
        super().__init__(
            questions=[
                {
                    "ask": question.ask,
                    "about": question.about,
                    "choices": [
                        {"text": c.text, "why": c.why, "right": c.right, "points": dict(c.points)}
                        for c in question.choices
                    ],
                }
                for question in questions
            ],
            routes=[{"name": route.name, "text": route.text} for route in routes],
            answers=[-1] * len(questions),
        )
