"""Type a prompt and draw it: `course imagine` in a notebook."""

from collections.abc import Callable
from typing import Any

import traitlets
from jaxtyping import UInt8
from torch import Tensor

from course_lib.imagine import (
    MOST_GUIDANCE,
    MOST_STEPS,
    Progress,
    Settings,
    imagine,
    notes,
)
from course_lib.widgets.base import LiveFigure, module, style

MOST = 8  # pictures at a time

Paint = Callable[[Settings, int, Progress], UInt8[Tensor, "count 3 side side"]]


class PromptBox(LiveFigure):
    """A prompt, its settings, and a button that draws; what it starts with is drawn at once.

    The kernel draws, and on the website the reader's browser, with the same networks. A page with
    neither shows the pictures that were drawn last, and says so when somebody asks for more.

    settings: what is drawn first; count: how many pictures, of seeds in a row, 1..8.
    paint: what draws, `imagine` unless another is given.
    Raises ValueError for another count.
    """

    _esm = module("prompt_box")
    _css = style("prompt_box")
    prompt = traitlets.Unicode().tag(sync=True)
    negative = traitlets.Unicode().tag(sync=True)
    guidance = traitlets.Float().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    count = traitlets.Int().tag(sync=True)
    limits = traitlets.Dict().tag(sync=True)
    pictures = traitlets.List(traitlets.Bytes()).tag(sync=True)  # uint8 [side, side, 3] each
    side = traitlets.Int().tag(sync=True)
    said = traitlets.List(traitlets.Unicode()).tag(sync=True)
    drawn = traitlets.Unicode().tag(sync=True)  # what the pictures show
    done = traitlets.Float(1.0).tag(sync=True)  # share of the drawing

    def __init__(self, settings: Settings, count: int = 4, *, paint: Paint = imagine) -> None:
        if not 1 <= count <= MOST:
            raise ValueError(f"count must be 1 to {MOST}, got {count}")
        super().__init__(
            prompt=settings.prompt,
            negative=settings.negative,
            guidance=settings.guidance_scale,
            steps=settings.steps,
            seed=settings.seed,
            count=count,
            limits={"guidance": MOST_GUIDANCE, "steps": min(100, MOST_STEPS), "count": MOST},
        )
        self._paint = paint
        self.on_msg(self._asked)
        self.draw()

    def draw(self) -> None:
        """Draw what the controls ask for."""
        try:
            wish = Settings(self.prompt, self.negative, self.guidance, self.steps, self.seed)
            self.said = notes(wish)
            self.done = 0.0
            made = self._paint(wish, self.count, self._progress)
        except ValueError as problem:
            self.said = [str(problem)]
            self.done = 1.0
            return
        self.side = made.shape[-1]
        self.pictures = [one.permute(1, 2, 0).contiguous().numpy().tobytes() for one in made]
        last = self.seed + self.count - 1
        seeds = f"seed {self.seed}" if self.count == 1 else f"seeds {self.seed} to {last}"
        self.drawn = f"{self.prompt or 'no prompt'}: {seeds}"
        self.done = 1.0

    def _progress(self, done: int, of: int) -> None:
        self.done = min(done / of, 0.99)

    def _asked(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict) and content.get("type") == "draw":
            self.draw()
