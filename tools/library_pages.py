"""The library's reference, as Markdown for the website, read from its source and the notebooks.

`module_page("diffusion.samplers")` describes one module: each public function and class with its
signature, the shapes of what it takes and gives, its errors, and the chapters that build it by hand
or use it. Nothing is imported: the source is parsed, so this needs neither PyTorch nor a run.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import cleandoc
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Definition = ast.FunctionDef | ast.ClassDef


# ---- what there is ------------------------------------------------------------------------------


def modules() -> list[str]:
    """Every module of the library but the checks of chapters and bugs: "diffusion.exact"."""
    paths = sorted((ROOT / "course_lib").rglob("*.py"))
    names = [
        ".".join(path.relative_to(ROOT / "course_lib").with_suffix("").parts) for path in paths
    ]
    return [name for name in names if not re.search(r"__init__|\bch\d\d$|\bbugs_|\b_", name)]


def listed(names: str) -> list[str]:
    """Modules by name, in order; `models.*` stands for those of the folder that are not named."""
    words = names.split()
    found = []
    for word in words:
        folder = word.removesuffix("*")
        rest = [name for name in modules() if name.startswith(folder) and name not in words]
        found += rest if word.endswith(".*") else [word]
    return found


@cache
def tree(module: str) -> ast.Module:
    """The syntax of a module. Raises ValueError where there is none of that name."""
    path = ROOT / "course_lib" / f"{module.replace('.', '/')}.py"
    if not path.exists():
        raise ValueError(f"course_lib has no module {module!r}: look at the list on its page")
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(module: str) -> list[Definition]:
    """The public functions and classes of a module, in its order."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = [node for node in tree(module).body if isinstance(node, kinds)]
    return [node for node in found if not node.name.startswith("_")]


def values(module: str) -> dict[str, ast.expr]:
    """What a module's public names stand for: aliases of types, and constants."""
    found = {}
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return {name: value for name, value in found.items() if not name.startswith("_")}


def callables(module: str) -> dict[str, ast.expr]:
    """Names for a kind of function, such as Step = Callable[...]."""
    return {
        name: value
        for name, value in values(module).items()
        if isinstance(value, ast.Subscript) and ast.unparse(value).startswith("Callable[")
    }


@cache
def homes() -> dict[str, list[str]]:
    """For the name of each function, class and kind of function, the modules that define it."""
    found: dict[str, list[str]] = {}
    for module in modules():
        for name in [node.name for node in definitions(module)] + [*callables(module)]:
            found.setdefault(name, []).append(module)
    return found


# ---- where it is built and used -----------------------------------------------------------------


@dataclass
class Uses:
    """Chapters, by the stem of their notebook: where a name was built by hand, where it is used."""

    built: str = ""
    chapters: list[str] = field(default_factory=list)


def imported(code: ast.Module) -> dict[str, str]:
    """What names of a notebook mean: {"sample": "diffusion.samplers.sample", "plot": "plot"}."""
    found = {}
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_lib"):
            parent = (node.module or "").removeprefix("course_lib").strip(".")
            for name in node.names:
                found[name.asname or name.name] = f"{parent}.{name.name}".strip(".")
    return found


def used(code: ast.Module, meaning: Mapping[str, str]) -> set[str]:
    """The full names that code reads: by their own name, or as `module.name`."""
    found = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Name) and node.id in meaning:
            found.add(meaning[node.id])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in meaning:
                found.add(f"{meaning[node.value.id]}.{node.attr}")
    return found


def parsed(cells: list[str]) -> ast.Module:
    """Cells of code as one piece of syntax; lines for the shell and for IPython are left out."""
    lines = [line for cell in cells for line in cell.splitlines()]
    return ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))


@cache
def declared(module: str) -> list[str]:
    """Chapters, as "07", of which a module's docstring says that they build or derive it."""
    doc = " ".join((ast.get_docstring(tree(module)) or "").split())
    said = [
        part
        for part in re.split(r"(?<=\.) ", doc)
        if re.search(r"[Bb]uil[dt]|by hand|[Dd]eriv", part)
    ]
    lists = [part.partition("hapter")[2] for part in said]
    return [number.zfill(2) for part in lists for number in re.findall(r"\b\d\d?\b", part)]


@cache
def uses() -> dict[str, Uses]:
    """Which chapters use each full name; `built` is the first of them that its module declares."""
    found: dict[str, Uses] = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        syntax = parsed(code)
        for name in used(syntax, imported(syntax)):
            entry = found.setdefault(name, Uses())
            module = name.rpartition(".")[0]
            if not entry.built and module in modules() and path.stem[:2] in declared(module):
                entry.built = path.stem
            entry.chapters.append(path.stem)
    return found


def where(name: str, up: str) -> str:
    """One line of Markdown that leads to the chapters of a full name; "" where there are none."""
    entry = uses().get(name)
    if entry is None:
        return ""

    def links(chapters: list[str]) -> str:
        return ", ".join(f"[{stem[:2]}]({up}notebooks/{stem}.ipynb)" for stem in chapters)

    rest = [chapter for chapter in entry.chapters if chapter != entry.built]
    words = [f"Built by hand in chapter {links([entry.built])}."] * bool(entry.built)
    if rest:
        also = "Also in" if entry.built else "Used in"
        words.append(f"{also} {'chapter' if len(rest) == 1 else 'chapters'} {links(rest)}.")
    return f"```{{div}} lib-where\n{' '.join(words)}\n```"


# ---- types as a reader says them ----------------------------------------------------------------

KINDS = {"Float": "float", "Int": "int", "Bool": "bool", "UInt8": "uint8", "Num": "number"}
KINDS |= {"Shaped": "tensor", "Int64": "int64", "Float64": "float64", "Float32": "float32"}


@cache
def scope(module: str) -> dict[str, ast.expr]:
    """Every alias of a type that a module may write: its own, and those it imports."""
    found: dict[str, ast.expr] = {}
    for node in tree(module).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_lib."):
            parent = (node.module or "").removeprefix("course_lib.")
            if (ROOT / "course_lib" / f"{parent.replace('.', '/')}.py").exists():
                known = values(parent)
                found |= {n.asname or n.name: known[n.name] for n in node.names if n.name in known}
    return found | values(module)


def spoken(annotation: ast.expr | None, module: str) -> str:
    """A type in words: Float[Tensor, "batch dim"] as "float `[batch, dim]`"; "" for none."""
    if annotation is None:
        return ""
    if isinstance(annotation, ast.BinOp):  # A | B
        sides = [spoken(side, module) for side in (annotation.left, annotation.right)]
        return " or ".join(sides)
    if isinstance(annotation, ast.Constant):
        return "None" if annotation.value is None else f"`{annotation.value}`"
    if isinstance(annotation, ast.Name):
        alias = scope(module).get(annotation.id)
        shape = spoken(alias, module) if isinstance(alias, ast.Subscript) else ""
        return link(annotation.id, module) if shape[:1] in ("", "`", "(") else shape
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
        name, inside = annotation.value.id, annotation.slice
        parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if name in KINDS and isinstance(parts[-1], ast.Constant):
            return shape_of(KINDS[name], str(parts[-1].value))
        if name == "tuple" and not any(isinstance(part, ast.Constant) for part in parts):
            return "(" + ", ".join(spoken(part, module) for part in parts) + ")"
    return f"`{ast.unparse(annotation)}`"


def shape_of(kind: str, axes: str) -> str:
    """A tensor's kind and axes: "float `[batch, dim]`"; no axes at all is a single number."""
    if axes.strip() == "...":
        return f"{kind}, any shape" if kind != "tensor" else "tensor of any shape"
    if not axes.strip():
        return f"{kind}, a single number"
    return f"{kind} `[{', '.join(axes.split())}]`"


# ---- docstrings ---------------------------------------------------------------------------------

ROW = re.compile(r"(?P<name>[\w*.\[\]()-]+(?:, [\w*.\[\]()-]+)*) {2,}(?P<text>\S.*)")


@dataclass
class Said:
    """A docstring in parts: paragraphs before the list of arguments, the list, and after it."""

    before: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)


def said(doc: str) -> Said:
    """The parts of a docstring; a block whose lines are `name   meaning` is its list."""
    parts = Said()
    for block in re.split(r"\n\s*\n", cleandoc(doc)) if doc.strip() else []:
        if ROW.match(block):
            name = ""
            for line in block.splitlines():
                if row := ROW.match(line):
                    name = row["name"]
                    parts.rows[name] = row["text"]
                else:
                    parts.rows[name] += " " + line.strip()
        else:
            (parts.after if parts.rows else parts.before).append(block)
    return parts


def prose(text: str, module: str = "") -> str:
    """A paragraph of a docstring as Markdown: what is said is kept, no sign is taken for markup.

    Names in backquotes that the library has become links. Indented lines stay as they stand.
    """
    if text and all(line.startswith("    ") for line in text.splitlines()):
        return "```text\n" + cleandoc(text) + "\n```"
    if text.startswith("- "):
        items = re.split(r"\n?^- ", text, flags=re.M)[1:]
        return "\n".join(f"- {prose(item, module)}" for item in items)
    pieces = re.split(r"(`[^`\n]+`)", re.sub(r"\s*\n\s*", " ", text))
    for i, piece in enumerate(pieces):
        if i % 2:
            pieces[i] = link(piece.strip("`"), module)
        else:
            pieces[i] = re.sub(r"([\\*_{}\[\]<>$|#~^])", r"\\\1", piece)
    return "".join(pieces)


def link(name: str, module: str) -> str:
    """A name in code, and a way to its description where the library has exactly one."""
    bare = name.removesuffix("(...)").split("(")[0].split(".")[-1]
    places = homes().get(bare, [])
    places = [module] if module in places else places
    if len(places) != 1 or not bare.isidentifier():
        return f"`{name}`"
    return f"{{py:obj}}`{name} <course_lib.{places[0]}.{bare}>`"


# ---- one function, one class --------------------------------------------------------------------


def arguments(function: ast.FunctionDef, method: bool) -> ast.arguments:
    """What a caller gives: `self` is left out."""
    given = function.args
    bound = method and not any(
        isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in function.decorator_list
    )
    return ast.arguments(
        posonlyargs=given.posonlyargs,
        args=given.args[1:] if bound else given.args,
        vararg=given.vararg,
        kwonlyargs=given.kwonlyargs,
        kw_defaults=given.kw_defaults,
        kwarg=given.kwarg,
        defaults=given.defaults,
    )


def every(given: ast.arguments) -> list[ast.arg]:
    """All arguments, in their order."""
    stars = [star for star in (given.vararg, given.kwarg) if star]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *stars]


def signature(given: ast.arguments) -> str:
    """Names and defaults, in brackets: the types stand in the list below."""
    bare = ast.parse(f"def f({ast.unparse(given)}): ...").body[0]
    assert isinstance(bare, ast.FunctionDef)
    for one in every(bare.args):
        one.annotation = None
    return f"({ast.unparse(bare.args)})"


def fields(node: ast.ClassDef) -> ast.arguments:
    """What the constructor of a class takes: its own, or the fields of a dataclass."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return arguments(part, method=True)
    given = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    marks = " ".join(map(ast.unparse, [*node.decorator_list, *node.bases]))
    if not re.search(r"\bdataclass|NamedTuple|TypedDict|Protocol", marks):
        return given
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            given.args.append(ast.arg(part.target.id, part.annotation))
            if isinstance(part.value, ast.Call):  # field(...): what it holds is no default
                given.defaults += [ast.Constant(...)] if given.defaults else []
            elif part.value is not None:
                given.defaults.append(part.value)
    return given


def errors(node: ast.FunctionDef | None) -> list[str]:
    """The errors that a function raises itself, in their own words."""
    found = []
    for part in ast.walk(node) if node else []:
        if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call) and part.exc.args:
            kind, message = ast.unparse(part.exc.func), part.exc.args[0]
            pieces = message.values if isinstance(message, ast.JoinedStr) else [message]
            words = "".join(
                str(piece.value) if isinstance(piece, ast.Constant) else "…" for piece in pieces
            )
            found.append(f"`{kind}`: {prose(words)}" if words.strip("… ") else f"`{kind}`")
    return found


def described(
    doc: str, given: ast.arguments, gives: ast.expr | None, module: str, raised: list[str]
) -> Iterator[str]:
    """The body of an entry: what it does, what it takes and gives, how it fails."""
    parts = said(doc)
    if not parts.rows:  # what goes wrong is said last
        parts.after = [block for block in parts.before if block.startswith("Raises ")]
        parts.before = [block for block in parts.before if block not in parts.after]
    yield from (prose(block, module) for block in parts.before)
    rows, listed = parts.rows, []
    shared = {name: key for key in rows for name in re.split(r", ", key)}
    for one in every(given):
        key = shared.get(one.arg, one.arg)
        meaning = prose(rows.get(key, ""), module)
        if key != one.arg and key.split(", ")[0] != one.arg:
            meaning = ""  # said once, at the first of those that share it
        kind = spoken(one.annotation, module)
        for shape in re.findall(r"`(\[[^`]*\])`", kind):  # said once is enough
            said_again = re.escape(prose(shape, module))
            meaning = re.sub(rf"^{said_again}(,? |$)", "", meaning)
        listed.append(([one.arg], kind, meaning))
    merged: list[tuple[list[str], str, str]] = []
    for names, kind, meaning in listed:  # neighbours of one kind, with nothing to say of each
        if merged and not meaning and not merged[-1][2] and kind == merged[-1][1]:
            merged[-1][0].extend(names)
        else:
            merged.append((names, kind, meaning))
    lines = []
    for names, kind, meaning in merged:
        head = ", ".join(f"`{name}`" for name in names)
        lines.append(f"- {head}: {' · '.join(filter(None, [kind, meaning]))}".removesuffix(": "))
    named = {shared.get(one.arg, one.arg) for one in every(given)}
    lines += [f"- `{key}`: {prose(text, module)}" for key, text in rows.items() if key not in named]
    yield "\n".join(lines)
    if (kind := spoken(gives, module)) and kind != "None":
        yield f"Gives {kind}."
    yield from (prose(block, module) for block in parts.after)
    if raised and not re.search(r"\bRaises\b", doc):
        yield "Raises:\n\n" + "\n".join(f"- {line}" for line in dict.fromkeys(raised))


def entry(kind: str, head: str, body: Iterator[str] | list[str], *options: str) -> str:
    """One entry of Sphinx's Python domain."""
    text = "\n\n".join(part for part in body if part)
    return f"`````{{py:{kind}}} {head}\n" + "".join(f"{o}\n" for o in options) + f"\n{text}\n`````"


def function_entry(node: ast.FunctionDef, module: str, up: str) -> str:
    """A function of a module."""
    given = arguments(node, method=False)
    body = described(ast.get_docstring(node) or "", given, node.returns, module, errors(node))
    line = where(f"{module}.{node.name}", up)
    return entry("function", node.name + signature(given), [*body, line])


def class_entry(node: ast.ClassDef, module: str, up: str) -> Iterator[str]:
    """A class, then its public methods and properties that say what they do."""
    given = fields(node)
    parts = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    start = next((part for part in parts if part.name == "__init__"), None)
    body = described(ast.get_docstring(node) or "", given, None, module, errors(start))
    line = where(f"{module}.{node.name}", up)
    yield entry("class", node.name + (signature(given) if every(given) else ""), [*body, line])
    for part in parts:
        doc = ast.get_docstring(part) or ""
        if (part.name.startswith("_") and part.name != "__call__") or not (
            doc or part.name in ("forward", "__call__")
        ):
            continue
        marks = {mark.id for mark in part.decorator_list if isinstance(mark, ast.Name)}
        taken = arguments(part, method=True)
        body = described(doc, taken, part.returns, module, errors(part))
        if marks & {"property", "cached_property"}:
            yield entry("property", f"{node.name}.{part.name}", body)
        else:
            options = [f":{mark}:" for mark in ("classmethod", "staticmethod") if mark in marks]
            yield entry("method", f"{node.name}.{part.name}{signature(taken)}", body, *options)


def kinds(module: str) -> Iterator[str]:
    """The names that a module gives to kinds of functions, each with what it takes and gives."""
    for name, value in callables(module).items():
        taken, given = (
            value.slice.elts if isinstance(value.slice, ast.Tuple) else (value.slice, None)
        )
        takes = taken.elts if isinstance(taken, ast.List) else []
        words = ", ".join(spoken(one, module) for one in takes) or "anything"
        yield entry(
            "data", name, [f"A function that takes {words} and gives {spoken(given, module)}."]
        )


def constants(module: str) -> str:
    """The short public values of a module, as they stand in its source."""
    lines = (ROOT / "course_lib" / f"{module.replace('.', '/')}.py").read_text("utf-8").splitlines()
    shown = []
    for name, value in values(module).items():
        if value.lineno == value.end_lineno and name not in callables(module):
            shown.append(lines[value.lineno - 1].strip())
    return "```python\n" + "\n".join(shown) + "\n```" if shown else ""


# ---- pages --------------------------------------------------------------------------------------


def summary(module: str) -> str:
    """The first sentence that a module says of itself, as Markdown."""
    doc = cleandoc(ast.get_docstring(tree(module)) or "")
    return prose(re.split(r"\n\s*\n", doc)[0], module)


def module_page(module: str, up: str = "../../") -> str:
    """A module, from its docstring to the last of its functions. `up` leads to the course's top."""
    full = f"course_lib.{module}"
    doc = cleandoc(ast.get_docstring(tree(module)) or "")
    parts = [f"## `{full}`", f"```{{py:module}} {full}\n```"]
    parts += [prose(block, module) for block in re.split(r"\n\s*\n", doc) if block]
    parts += [constants(module), *kinds(module)]
    for node in definitions(module):
        if isinstance(node, ast.FunctionDef):
            parts.append(function_entry(node, module, up))
        else:
            parts += class_entry(node, module, up)
    return "\n\n".join(filter(None, parts))
