"""From prompt to pixel, stage by stage: shapes, parameters and what each costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import traitlets

from course_lib.widgets.base import LiveFigure, module, style, valid_index

WHEN = ("picture", "prompt", "evaluation")


@dataclass(frozen=True)
class Stage:
    """One station of the way.

    takes, gives   shapes, as text
    parameters     how many numbers it has learned
    macs           millions of multiply-adds of one use
    seconds        of one use, where it was measured
    when           what it is used once for: a "picture", a "prompt" or an "evaluation" of the U-Net
    says           what happens, in a sentence or two
    """

    name: str
    takes: str
    gives: str
    parameters: int
    macs: float
    when: str
    says: str
    seconds: float | None = None


class PromptPipeline(LiveFigure):
    """Choose a task, point at a stage: what it is given, what it hands on, what it costs.

    stages: name -> Stage; tasks: name -> the names of its stages in order, each with the share of
        the walk that the task takes (1 for a whole one).
    stops: numbers of steps that the slider offers, rising; index: the one shown first.
    device: what the seconds were measured on; "" where none were.
    Raises ValueError for no stages or tasks, a task with an unknown stage, a cost below 0, an
    unknown `when`, and stops that do not rise from 1 or more.
    """

    _esm = module("prompt_pipeline")
    _css = style("prompt_pipeline")
    stages = traitlets.List(traitlets.Dict()).tag(sync=True)
    tasks = traitlets.List(traitlets.Dict()).tag(sync=True)
    stops = traitlets.List(traitlets.Int()).tag(sync=True)
    device = traitlets.Unicode().tag(sync=True)
    task = traitlets.Int(0).tag(sync=True)
    stage = traitlets.Int(0).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    guided = traitlets.Bool(True).tag(sync=True)

    def __init__(
        self,
        stages: Mapping[str, Stage],
        tasks: Mapping[str, tuple[Sequence[str], float]],
        stops: Sequence[int] = (1, 5, 10, 25, 50, 100),
        *,
        index: int = 4,
        device: str = "",
    ) -> None:
        if not stages or not tasks:
            raise ValueError("give one stage and one task, or more")
        for key, one in stages.items():
            if one.when not in WHEN or one.parameters < 0 or one.macs < 0:
                raise ValueError(f"stage {key!r}: costs are 0 or more, `when` one of {WHEN}")
        unknown = {key for parts, _ in tasks.values() for key in parts} - set(stages)
        if unknown:
            raise ValueError(f"no stage is called {sorted(unknown)}. There are: {list(stages)}")
        if stops[0] < 1 or any(b <= a for a, b in zip(stops, stops[1:], strict=False)):
            raise ValueError(f"stops must rise, from 1 or more; got {list(stops)}")
        places = {key: at for at, key in enumerate(stages)}
        super().__init__(
            stages=[vars(one) for one in stages.values()],
            tasks=[
                {"name": name, "stages": [places[key] for key in parts], "share": share}
                for name, (parts, share) in tasks.items()
            ],
            stops=list(stops),
            index=valid_index(index, len(stops)),
            device=device,
        )
