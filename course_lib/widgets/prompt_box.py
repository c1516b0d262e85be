"""Type a prompt and draw it: `course imagine` in a notebook."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import traitlets
from jaxtyping import UInt8
from torch import Tensor

from course_lib.widgets.base import LiveFigure, module, style

MOST = 8  # pictures at a time
MOST_GUIDANCE, MOST_STEPS = 20, 100  # where the sliders end

Progress = Callable[[int, int], None]
Paint = Callable[[Any, int, Progress], UInt8[Tensor, "count 3 side side"]]


class PromptBox(LiveFigure):
    """A prompt, its settings, and a button that draws; what it starts with is drawn at once.

    The kernel draws, and on the website the reader's browser, with the same networks. A page with
    neither shows the pictures that were drawn last, and says so when somebody asks for more.

    settings: drawn first, a dataclass with prompt, negative, guidance_scale, steps and seed.
    paint: draws a number of pictures for settings, and says how far it is (`imagine.imagine`).
    notes: what will not be read of the prompt, in words.
    count: how many pictures, of seeds in a row, 1..8.
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

    def __init__(
        self, settings: Any, paint: Paint, notes: Callable[[Any], Sequence[str]], count: int = 4
    ) -> None:
        if not 1 <= count <= MOST:
            raise ValueError(f"count must be 1 to {MOST}, got {count}")
        super().__init__(
            prompt=settings.prompt,
            negative=settings.negative,
            guidance=settings.guidance_scale,
            steps=settings.steps,
            seed=settings.seed,
            count=count,
            limits={"guidance": MOST_GUIDANCE, "steps": MOST_STEPS, "count": MOST},
        )
        self._settings, self._paint, self._notes = settings, paint, notes
        self.on_msg(self._asked)
        self.draw()

    def draw(self) -> None:
        """Draw what the controls ask for."""
        try:
            wish = replace(
                self._settings,
                prompt=self.prompt,
                negative=self.negative,
                guidance_scale=self.guidance,
                steps=self.steps,
                seed=self.seed,
            )
            self.said = list(self._notes(wish))
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
