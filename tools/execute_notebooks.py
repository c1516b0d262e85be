"""Execute notebooks in place, keeping outputs and widget state: `make outputs`.

Each notebook is written only after its last cell has run, and what differs from run to run without
meaning anything (times of execution, the kernel's patch version) is left out.
"""

import json
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course_lib.core.tensors import atomic_write

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def main() -> int:
    """Execute the notebooks named on the command line, one after the other."""
    failed = []
    for path in map(Path, sys.argv[1:]):
        start = time.perf_counter()
        try:
            execute(path)
        except CellExecutionError as error:
            failed.append(path)
            print(f"{path} is left as it was: {error}", file=sys.stderr)
        print(f"{time.perf_counter() - start:7.1f} s  {path}", flush=True)
    return 1 if failed else 0


def execute(path: Path) -> None:
    """Run all cells of one notebook and write it back."""
    atomic_write(path, nbformat.writes(executed(path)).encode() + b"\n")


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook after all of its cells have run. Raises CellExecutionError if one fails."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources=resources,
        record_timing=False,
        coalesce_streams=True,  # how a stream is cut into pieces is chance
        extra_arguments=["--log-level=ERROR"],  # the kernel's, not the notebook's, warnings
    )
    client.execute()
    drop_progress_bars(notebook)
    notebook.metadata.language_info = {"name": "python"}
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    nbformat.validate(notebook)
    return notebook


def drop_progress_bars(notebook: nbformat.NotebookNode) -> None:
    """Leave out finished progress bars, and the state of all widgets that no output shows."""
    shown: set[str] = set()
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        kept = [o for o in outputs if "it/s]" not in o.get("data", {}).get("text/plain", "")]
        if outputs:
            cell.outputs = kept
        shown |= {o.data[VIEW]["model_id"] for o in kept if VIEW in o.get("data", {})}
    if STATE not in notebook.metadata.get("widgets", {}):
        return
    state = notebook.metadata.widgets[STATE]["state"]
    waiting = list(shown)
    while waiting:  # a widget names its parts as IPY_MODEL_<id>
        parts = re.findall(r"IPY_MODEL_(\w+)", json.dumps(state[waiting.pop()]))
        waiting += set(parts) - shown
        shown |= set(parts)
    for model in set(state) - shown:
        del state[model]


if __name__ == "__main__":
    sys.exit(main())
