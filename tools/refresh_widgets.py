"""Put today's code and style of the widgets into the notebooks that saved an older one.

A saved widget carries its module, so that the page needs no kernel. After a change to a `.js` or
`.css` file this spares running every notebook that shows it: python tools/refresh_widgets.py
"""

import sys
from pathlib import Path

import nbformat

from course_lib.core.tensors import atomic_write
from course_lib.widgets.base import module, style

STATE = "application/vnd.jupyter.widget-state+json"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def refresh(notebook: nbformat.NotebookNode) -> bool:
    """Bring the saved widgets of one notebook up to date; True if any was not."""
    old = False
    saved = notebook.metadata.get("widgets", {}).get(STATE, {"state": {}})["state"]
    for model in saved.values():
        state = model.get("state", {})
        if not state.get("_anywidget_id", "").startswith("course_lib.widgets."):
            continue
        name = state["_anywidget_id"].split(".")[-2]  # course_lib.widgets.<name>.<class>
        now = {"_esm": module(name), "_css": style(name)}
        old |= any(state.get(key) != text for key, text in now.items())
        state.update(now)
    return old


def main() -> int:
    """Refresh every committed notebook."""
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if refresh(notebook):
            atomic_write(path, nbformat.writes(notebook).encode() + b"\n")
            print(path.relative_to(NOTEBOOKS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
