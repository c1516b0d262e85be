"""A page with every element that a chapter may hold, on which site and widgets are tested."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.build_book import ROOT

TEXT = r"""# 90 · Every element of a page

A paragraph with inline maths, $x_t = \alpha_t x_0 + \sigma_t \epsilon$, a citation of
{cite:t}`ddpm`, a term, {term}`posterior mean`, and a link to [the notation](../docs/notation.md).

```{admonition} What you will learn
:class: tip
- to see that every element looks right
- at every width, in light and dark
```

## Mathematics

$$
q(x_t \mid x_0) = \mathcal{N}\!\left(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1 - \bar\alpha_t) I\right)
$$ (eq-test-forward)

By {eq}`eq-test-forward`, and by {eq}`eq-everything` of another page, a long line that must scroll
on a phone and not push the page:

$$
L_\mathrm{vlb} = \mathbb{E}_q\!\left[ \mathrm{KL}(q(x_T \mid x_0)\,\|\,p(x_T))
  + \sum_{t > 1} \mathrm{KL}(q(x_{t-1} \mid x_t, x_0)\,\|\,p_\theta(x_{t-1} \mid x_t))
  - \log p_\theta(x_0 \mid x_1) \right]
$$ (eq-test-vlb)

| schedule | steps | $L_T$, bits per dimension | samples |
|---|---:|---:|---|
| linear | 1000 | 0.000029 | as far as the prior can tell, noise |
| linear | 200 | 0.10 | still holds some of the picture |
"""

EXERCISE = r"""## Exercise

````{exercise} Variance
:label: ex-test-variance

Show that $x_t$ has unit variance when $x_0$ has.

```{dropdown} Hint
Variances of independent terms add.
```
````

````{solution} ex-test-variance
:class: dropdown

$\bar\alpha_t + 1 - \bar\alpha_t = 1$.
````

Back to {numref}`ex-test-variance`.
"""

IMPORTS = """import numpy as np
from course_lib.widgets.denoiser_playground import DenoiserPlayground
from course_lib.widgets.frame_scrubber import FrameScrubber
from course_lib.widgets.paper_map import PaperMap
from course_lib.widgets.point_flow import PointFlow
from course_lib.widgets.schedule_lab import ScheduleLab
from course_lib.widgets.start_here import start_here_quiz

rng = np.random.default_rng(0)
yy, xx = np.mgrid[-1:1:28j, -1:1:28j]
clean = np.where(np.hypot(xx, yy) < 0.7, 1.0, -1.0) * (1 - 0.4 * (yy > 0.2))
eps = rng.standard_normal(clean.shape)
levels = np.linspace(0, 1, 21)
noisy = np.stack([np.cos(u * np.pi / 2) * clean + np.sin(u * np.pi / 2) * eps for u in levels])
guess = np.stack([(1 - u) * clean + u * clean.mean() for u in levels])
to_pixels = lambda x: np.uint8(np.clip((x + 1) * 127.5, 0, 255))"""

FIGURE = """from course_lib.picture import Picture, named

figure = Picture(figsize=(7, 2.6), layout="constrained")
axes = figure.subplots(1, 2)
axes[0].plot(levels, np.cos(levels * np.pi / 2) ** 2)
axes[0].set(xlabel="t", ylabel="signal's power")
axes[1].imshow(clean, cmap="gray")
named(figure, "the signal's power falls; a disc with a darker foot", "", "")"""

FRAMES = """FrameScrubber(
    {"x_t": to_pixels(noisy), "guess of x_0": to_pixels(guess)},
    labels=[f"{u:.2f}" for u in levels],
    captions=["data" if u == 0 else "all noise" if u == 1 else "between" for u in levels],
    name="t", index=8, alt="a disc being noised",
)"""

POINTS = """angle = rng.integers(8, size=400) * np.pi / 4
ring = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.standard_normal((400, 2))
moons = np.stack([np.cos(angle * 2.1), np.sin(angle * 2.1) * 1.5], 1)
noise = rng.standard_normal((400, 2))
sets = {"eight Gaussians": ring, "an ellipse": moons}
mix = lambda x, u: np.cos(u * np.pi / 2) * x + np.sin(u * np.pi / 2) * noise
flow = {name: np.stack([mix(x, u) for u in levels]) for name, x in sets.items()}
PointFlow(flow, labels=[f"{u:.2f}" for u in levels], other=sets, extent=3.2)"""


def notebook(folder: Path) -> nbformat.NotebookNode:
    """The page as a notebook, executed in `folder`, with its widget state."""
    cells = [
        new_markdown_cell(TEXT),
        new_code_cell(IMPORTS),
        new_markdown_cell("## A figure"),
        new_code_cell(FIGURE),
        new_code_cell("import sys\n\nprint('one line of text')\nprint('and one more')"),
        new_markdown_cell("## Widgets"),
        new_code_cell(FRAMES),
        new_code_cell(POINTS),
        new_code_cell("ScheduleLab(to_pixels(clean))"),
        new_code_cell("DenoiserPlayground()"),
        new_code_cell("PaperMap()"),
        new_code_cell("start_here_quiz()"),
        new_markdown_cell(EXERCISE),
    ]
    page = new_notebook(cells=cells)
    page.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    page.metadata["language_info"] = {"name": "python"}
    client = NotebookClient(page, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return page


def build_everything(folder: Path) -> Path:
    """Build that page and the book's own pages into `folder`/html, and return where it is."""
    source = folder / "source"
    (source / "notebooks").mkdir(parents=True)
    nbformat.write(notebook(source), source / "notebooks" / "90_everything.ipynb")
    for name in ("docs", "book"):
        shutil.copytree(ROOT / name, source / name)
    for copy in (*source.glob("docs/*.md"), source / "book" / "index.md"):
        text = copy.read_text(encoding="utf-8")  # its chapters are not here: this page is
        text = re.sub(r"(?<=\.\./notebooks/)\w+\.ipynb(#[^)]*)?", "90_everything.ipynb", text)
        copy.write_text(text, encoding="utf-8")
    contents = folder / "_toc.yml"
    pages = ["notebooks/90_everything", "docs/reference", "docs/notation", "docs/glossary"]
    pages.append("docs/bibliography")
    lines = "".join(f"- file: {page}\n" for page in pages)
    contents.write_text(f"format: jb-book\nroot: book/index\nchapters:\n{lines}")
    # In a Python of its own: a torch compiled by another test breaks Sphinx in the same process.
    arguments = (folder / "html", source, "-D", f"external_toc_path={contents}")
    code = "import sys; from tools.build_book import Path, build\n"
    code += "sys.exit(build(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))"
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, check=True)
    return folder / "html"
