"""The contract of a chapter, as far as a machine can check it (CONTRIBUTING.md has it in words).

Each rule yields what is wrong with a notebook, if anything is. tests/test_chapters.py holds every
chapter to them, and tests/test_chapter_contract.py shows that each of them can fail.
"""

import ast
import re
from collections.abc import Callable, Iterator
from statistics import median

from nbformat import NotebookNode

from tools.refresh_widgets import STATE, refresh

Rule = Callable[[NotebookNode], Iterator[str]]

HEADINGS = [
    r"The idea",
    r"The mathematics",
    r"By hand",
    r"The same from `course_lib`",
    r"On (images|data)",
    r"Scoreboard",
    r"What breaks, and why",
    r"Exercises",
    r"Where this stands",
]
HEAD = {
    "On the path": r"\w{4}",
    "Papers": r"\]\(",
    "You build": r"\w{4}",
    "After this chapter you can": r"",
    "Time": r"\d+ (minutes|hours?).* \d+ (seconds|minutes?)",
    "Before this": r"\]\(|[Nn]othing",
}
MACHINE_PATH = re.compile(r"/(home|root|tmp|Users|private|work|workspace)/|[A-Z]:\\\\?Users")
TROUBLE = re.compile(r"\w*Warning\b|Traceback \(most recent call last\)")
PLOT = re.compile(r"plot\.(?!use_style)")
COLUMNS = 88  # of code that fit on the page and in JupyterLab; `ruff format --line-length 88`
VIEW = "application/vnd.jupyter.widget-view+json"


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def nodes(notebook: NotebookNode) -> Iterator[ast.AST]:
    """All the syntax of a notebook's code."""
    yield from ast.walk(ast.parse("\n".join(cell.source for cell in code(notebook))))


def shown(cell: NotebookNode) -> Iterator[str]:
    """The texts among a cell's outputs; pictures and widgets' data aside."""
    for output in cell.outputs:
        yield "".join(output.get("text", "")) + "\n".join(output.get("traceback", []))
        yield from (str(v) for k, v in output.get("data", {}).items() if k.startswith("text/"))


def section(notebook: NotebookNode, heading: str) -> list[NotebookNode]:
    """The cells under a heading of level two, the one that holds it included."""
    cells, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.findall(r"^## (.*)", cell.source, re.M)):
            inside = re.match(heading, found[-1]) is not None
        cells += [cell] if inside else []
    return cells


def wrong_head(notebook: NotebookNode, number: int) -> Iterator[str]:
    head = notebook.cells[0].source
    if not re.match(rf"# {number}\. \w", head):
        yield f"the first cell does not begin with the title, `# {number}. ...`"
    for field, pattern in HEAD.items():
        line = re.search(rf"^- \*\*{field}\*\*(.*)", head, re.M)
        if not line or not re.search(pattern, line[1]):
            yield f"the head has no good `- **{field}**` (wanted there: {pattern or 'a list'})"
    objectives = re.findall(r"^  - .", head, re.M)
    if not 3 <= len(objectives) <= 6:
        yield f"{len(objectives)} objectives; 3 to 6 are wanted"


def wrong_headings(notebook: NotebookNode) -> Iterator[str]:
    found = re.findall(r"^## (.*)", prose(notebook), re.M)
    fits = [
        re.match(rf"{want}\b|{want}$", have) for want, have in zip(HEADINGS, found, strict=False)
    ]
    if len(found) != len(HEADINGS) or not all(fits):
        yield f"the headings are {found}, wanted are {HEADINGS}"


def wrong_scoreboard(notebook: NotebookNode) -> Iterator[str]:
    cells = section(notebook, "Scoreboard")
    if not any(cell.cell_type == "code" and any(map(str.strip, shown(cell))) for cell in cells):
        yield "no code fills the scoreboard in"


def wrong_end(notebook: NotebookNode) -> Iterator[str]:
    words = "\n".join(cell.source for cell in section(notebook, "Where this stands"))
    if len(re.findall(r"\]\(", words)) < 3:
        yield "`Where this stands` links fewer than three references"


def wrong_parameters(notebook: NotebookNode) -> Iterator[str]:
    cells = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1 or not re.search(r'^PROFILE = "fast"', cells[0].source, re.M):
        yield 'not one cell tagged `parameters` with PROFILE = "fast"'


def wrong_profile(notebook: NotebookNode) -> Iterator[str]:
    names = [node for node in nodes(notebook) if isinstance(node, ast.Name)]
    if not any(name.id == "PROFILE" and isinstance(name.ctx, ast.Load) for name in names):
        yield "PROFILE changes nothing: no cell reads it"


def wrong_cells(notebook: NotebookNode) -> Iterator[str]:
    sizes = []
    for number, cell in enumerate(code(notebook), 1):
        lines = cell.source.splitlines()
        # A closing bracket on a line of its own is nothing to read.
        sizes.append(sum(bool(line.strip(" )]},")) for line in lines))
        if sizes[-1] > 25:
            yield f"code cell {number} has {sizes[-1]} lines, 25 is the most"
        for line in lines:
            if len(line) > COLUMNS:
                yield f"code cell {number} has a line of {len(line)} columns, {COLUMNS} fit: {line}"
    if sizes and median(sizes) >= 8:
        yield f"the median cell has {median(sizes)} lines, wanted are fewer than 8"
    imports = [node for node in nodes(notebook) if isinstance(node, (ast.Import, ast.ImportFrom))]
    if len(imports) > 8:
        yield f"{len(imports)} imports, 8 is the most"


def wrong_outputs(notebook: NotebookNode) -> Iterator[str]:
    cells = code(notebook)
    counts = [cell.execution_count for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        yield f"not executed from top to bottom: the counts are {counts}"
    for number, cell in enumerate(cells, 1):
        if any(output.output_type == "error" for output in cell.outputs):
            yield f"code cell {number} ends in an error"
        for text in shown(cell):
            if trouble := TROUBLE.search(text):
                yield f"code cell {number} shows {trouble[0]!r}"
            if path := MACHINE_PATH.search(text):
                yield f"code cell {number} shows a path of the machine: {path[0]!r}"
        if "NBVAL_CHECK_OUTPUT" in cell.source and not cell.outputs:
            yield f"code cell {number} is to be compared with its output but has none"


def wrong_plots(notebook: NotebookNode) -> Iterator[str]:
    """A picture or a table is its cell's value: made before the last line, it is never seen."""
    for number, cell in enumerate(code(notebook), 1):
        body = ast.parse(cell.source).body
        lost = [node for line in body for node in ast.walk(line) if node is not body[-1]]
        if any(isinstance(n, ast.Expr) and PLOT.match(ast.unparse(n)) for n in lost):
            yield f"code cell {number} draws what is not shown: put the call of `plot` last"


def wrong_widgets(notebook: NotebookNode) -> Iterator[str]:
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    views = [output.data[VIEW]["model_id"] for output in outputs if VIEW in output.get("data", {})]
    state = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    if not views:
        yield "no widget"
    for view in views:
        if view not in state:
            yield f"the state of widget {view} is not saved: the page could not show it"
    if refresh(notebook):
        yield "a widget was saved with older code: python tools/refresh_widgets.py"


def wrong_pictures(notebook: NotebookNode) -> Iterator[str]:
    for alternative, picture in re.findall(r"!\[(.*?)\]\((.*?)\)", prose(notebook)):
        if len(alternative) < 10:
            yield f"the picture {picture} has no text alternative"
    for tag in re.findall(r"<img\b[^>]*>", prose(notebook)):
        if not re.search(r'\balt="[^"]{10}', tag):
            yield f"no text alternative in {tag}"
    for block in re.findall(r"```\{(?:image|figure)\}.*?```", prose(notebook), re.S):
        if not re.search(r":alt: .{10}", block):
            yield f"no text alternative in {block.splitlines()[0]}"


def wrong_exercises(
    notebook: NotebookNode, solutions: NotebookNode, checks: list[str], caught: list[str]
) -> Iterator[str]:
    """`caught` has the name of the check for each wrong answer that is listed."""
    if len(checks) < 3:
        yield f"{len(checks)} exercises ({', '.join(checks)}); three are wanted"
    tasks = prose(notebook).count("```{exercise}")
    if tasks != len(checks):
        yield f"{tasks} {{exercise}} blocks for {len(checks)} checks"
    if "{dropdown}" not in prose(notebook):
        yield "no hint in a {dropdown}"
    for check in checks:
        if not any(re.search(rf"^{check}\(", cell.source, re.M) for cell in code(notebook)):
            yield f"the chapter never calls {check}"
        if not any(re.search(rf"^assert {check}\(", cell.source, re.M) for cell in code(solutions)):
            yield f"no solution ends in `assert {check}(...)`"
        if caught.count(check) < 2:
            yield f"{caught.count(check)} wrong answers are listed for {check}; two are wanted"
