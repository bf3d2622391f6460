"""Digest of the code that a step runs: changed content triggers a re-run, a time stamp does not.

The code of a step are definitions of the package (functions, classes, module-level values): those
named in its row of `contracts.STEPS`, those that these name, and so on. So a new parameter of one
step, a slot of another, or a comment between definitions changes no other step's digest. Files that
are not Python (templates, scripts, a style sheet) belong to the steps that run a definition which
names the file or its folder.
"""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

_STARTS = (
    ("commands/steps.py", "_job"),
    ("pipeline.py", "params_of"),
    ("inputs.py", "Given"),
    ("settings/params.py", "StepsParams"),
    ("settings/sample_params.py", "SampleSteps"),
    ("files/io.py", "write_h5ad"),
    ("files/io.py", "write_table"),
    ("files/io.py", "write_bytes"),
)
_STARTS_OF_EXPORT = (
    ("commands/tools.py", "_export_counts"),
    ("files/export.py", "export"),
    ("files/sample_files.py", "Cohort"),
)
_BY_STEP = {
    ("contracts.py", "STEPS"),
    ("settings/params.py", "StepsParams"),
    ("settings/sample_params.py", "SampleSteps"),
}
"""Definitions with one entry per step, of which only the step's own entry counts."""

Definition = tuple[str, str]
"""Module, as a path below the package, and name in it. The empty name stands for statements that
run on import and define nothing."""


class _Module(NamedTuple):
    source: list[str]
    nodes: dict[str, list[ast.stmt]]
    """Statements that define each name."""
    used: dict[str, dict[tuple[str, str | None], None]]
    """Names used in the statements that define a name, each with the attribute that is accessed."""
    imported: dict[str, set[tuple[str, str | None]]]
    """Local name: module of the package, and the name in it or None for the module itself."""
    bound: dict[str, set[str]]
    """Local name: what import statements bind it to, including other libraries."""


def step_code(package: Path, step: str, tables: Sequence[Path]) -> str:
    """Digest (12 hex digits) of the code that a step of the package runs.

    Parameters
    ----------
    package
        Folder of the package.
    step
        Name of the step, or `export`.
    tables
        The shipped tables that it reads: their content is part of the digest, but not their paths
        or time stamps.
    """
    digest = hashlib.blake2b(digest_size=6)
    for module, name in sorted(definitions(package, step)):
        digest.update(f"{module} {name}\n".encode())
        for text in _texts(package, module, name, step):
            digest.update(text.encode())
        for file in _files_named(package, module, name):
            digest.update(file.encode())
            digest.update((package / file).read_bytes())
    for table in tables:
        digest.update(table.name.encode())
        digest.update(table.read_bytes())
    return digest.hexdigest()


@cache
def definitions(package: Path, step: str) -> frozenset[Definition]:
    """Definitions that a step runs or may run."""
    found = set[Definition]()
    waiting: list[Definition] = list(_STARTS_OF_EXPORT if step == "export" else _STARTS)
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting.append((current[0], ""))
        if current in _BY_STEP:
            module = _module(package, current[0])
            names = dict[tuple[str, str | None], None]()
            for node in _entries(module, current[1], step):
                _read(package, node, names, module)
            waiting += _targets(package, current[0], names)
        else:
            waiting += _used(package, current)
    return frozenset(found)


def defined_at(package: Path, module: str, line: int) -> Definition | None:
    """The definition to which a line of a module belongs; None if there is no such line."""
    for name, nodes in _module(package, module).nodes.items():
        if any(_first_line(node) <= line <= _last_line(node) for node in nodes):
            return module, name
    return None


@cache
def _used(package: Path, definition: Definition) -> tuple[Definition, ...]:
    module, name = definition
    names = _module(package, module).used.get(name, {})
    return tuple(dict.fromkeys(_targets(package, module, names)))


def _targets(
    package: Path, module: str, names: Iterable[tuple[str, str | None]]
) -> Iterator[Definition]:
    """Definitions that names in a module refer to; a module used as a value counts as a whole."""
    here = _module(package, module)
    for name, attribute in names:
        if name in here.nodes:
            yield module, name
        for source, wanted in here.imported.get(name, ()):
            yield from _in(package, source, attribute if wanted is None else wanted)


def _in(package: Path, module: str, name: str | None) -> Iterator[Definition]:
    there = _module(package, module)
    if name in there.nodes:
        yield module, str(name)
    elif name in there.imported:
        for source, wanted in there.imported[str(name)]:
            yield from _in(package, source, wanted)
    else:
        for each in there.nodes:
            yield module, each


def _texts(package: Path, module: str, name: str, step: str) -> Iterator[str]:
    """Source of a definition."""
    parsed = _module(package, module)
    whole = (module, name) not in _BY_STEP
    nodes = parsed.nodes.get(name, []) if whole else _entries(parsed, name, step)
    used = parsed.used.get(name, {})
    yield from sorted({text for local, _ in used for text in parsed.bound.get(local, ())})
    for node in nodes:
        yield "\n".join(parsed.source[_first_line(node) - 1 : _last_line(node)])


@cache
def _files_named(package: Path, module: str, name: str) -> tuple[str, ...]:
    """Non-Python files next to a module that strings in a definition name."""
    beside = _not_python(package).get(str(Path(module).parent), {})
    if not beside:
        return ()
    parts = [
        part for node in _module(package, module).nodes.get(name, []) for part in ast.walk(node)
    ]
    texts = {part.value for part in parts if isinstance(part, ast.Constant)}
    return tuple(sorted(file for text, files in beside.items() if text in texts for file in files))


def _entries(module: _Module, name: str, step: str) -> list[ast.AST]:
    """The entry of a step in a dictionary, or in a class with one field per step."""
    (node,) = module.nodes[name]
    if isinstance(node, ast.ClassDef):
        other = [part for part in node.body if not isinstance(part, ast.AnnAssign)]
        return [*other, *(field for field in node.body if step in _defined(field))]
    value = getattr(node, "value", None)
    if not isinstance(value, ast.Dict):
        raise TypeError(f"`{name}` is no dictionary and no class")
    pairs = zip(value.keys, value.values, strict=True)
    return [x for key, x in pairs if isinstance(key, ast.Constant) and key.value == step]


def _first_line(node: ast.AST) -> int:
    # the line of the first decorator, if there is one
    return min(int(part.lineno) for part in (node, *getattr(node, "decorator_list", ())))


def _last_line(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0))


# cached: most modules are reached from many steps, and every Snakemake process needs all of them
@cache
def _module(package: Path, module: str) -> _Module:
    text = (package / module).read_text()
    found = _Module(
        text.split("\n"),
        defaultdict(list),
        defaultdict(dict),
        defaultdict(set),
        defaultdict(set),
    )
    for node in ast.parse(text).body:
        if _is_text(node) or _is_for_types_only(node):
            continue
        used = dict[tuple[str, str | None], None]()
        _read(package, node, used, found)
        for name in _defined(node):
            found.nodes[name].append(node)
            found.used[name] |= used
    return found


def _read(
    package: Path,
    node: ast.AST,
    names: dict[tuple[str, str | None], None],
    module: _Module,
) -> None:
    """Add the names that a statement uses, and those that it imports from the package.

    Annotations of functions and of fields of dataclasses never run, so they are skipped.
    """
    waiting: list[ast.AST] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            names[part.value.id, part.attr] = None
        elif isinstance(part, ast.Name):
            names[part.id, None] = None
        elif isinstance(part, ast.Import | ast.ImportFrom):
            for name, text in _bound(part):
                module.bound[name].add(text)
            for name, source in _imports(package, part):
                module.imported[name].add(source)
        elif isinstance(part, ast.FunctionDef):
            waiting += [*part.decorator_list, *part.body]
            waiting += [*part.args.defaults, *filter(None, part.args.kw_defaults)]
        elif isinstance(part, ast.ClassDef) and _holds_records(part):
            waiting += [*part.decorator_list, *part.bases]
            fields = [line for line in part.body if isinstance(line, ast.AnnAssign)]
            waiting += [line.value for line in fields if line.value is not None]
            waiting += [line for line in part.body if not isinstance(line, ast.AnnAssign)]
        else:
            # same as `ast.iter_child_nodes`, which takes twice as long
            for field in part._fields:
                value = getattr(part, field, None)
                if isinstance(value, ast.AST):
                    waiting.append(value)
                elif isinstance(value, list):
                    waiting += [item for item in value if isinstance(item, ast.AST)]


def _holds_records(node: ast.ClassDef) -> bool:
    """Whether a class is a dataclass, a named tuple or a protocol: annotations there never run."""
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    decorators = {name.id for name in calls if isinstance(name, ast.Name)}
    return "dataclass" in decorators or bool(bases & {"NamedTuple", "Protocol"})


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return []
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [part.id for t in targets for part in ast.walk(t) if isinstance(part, ast.Name)]
        if names:
            return names
    return [""]


def _bound(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Local names that an import statement binds, each with what it refers to."""
    for alias in node.names:
        source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        local = alias.asname or alias.name
        # `import a.b` binds the name `a`
        yield local.split(".")[0], f"{local} is {source}{alias.name}\n"


def _imports(
    package: Path, node: ast.Import | ast.ImportFrom
) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Local names that refer to something in the package."""
    if isinstance(node, ast.ImportFrom) and node.level:
        raise SyntaxError(f"line {node.lineno}: name the whole module, from `ctcflow` on")
    module = str(node.module) if isinstance(node, ast.ImportFrom) else node.names[0].name
    if module.split(".")[0] != "ctcflow":
        return
    if isinstance(node, ast.Import) or any(alias.name == "*" for alias in node.names):
        raise SyntaxError(f"line {node.lineno}: name what is imported of `{module}`: `from` it")
    base = "/".join(module.split(".")[1:])
    for alias in node.names:
        name = alias.asname or alias.name
        below = f"{base}/{alias.name}.py".lstrip("/")
        if below in _files(package):
            yield name, (below, None)
        elif f"{base}.py" in _files(package):
            yield name, (f"{base}.py", alias.name)
        elif f"{base}/{alias.name}/__init__.py".lstrip("/") in _files(package):
            raise SyntaxError(f"line {node.lineno}: import a module of `{alias.name}`, not all")


@cache
def _files(package: Path) -> frozenset[str]:
    return frozenset(str(path.relative_to(package)) for path in package.rglob("*.py"))


@cache
def _not_python(package: Path) -> dict[str, dict[str, list[str]]]:
    """Non-Python files, by the package folder that they belong to and their name in it.

    The name is that of the file, or of the folder without Python modules that contains it.
    """
    modules = {str(Path(file).parent) for file in _files(package)}
    found = defaultdict[str, dict[str, list[str]]](lambda: defaultdict(list))
    for path in package.rglob("*"):
        file = path.relative_to(package)
        # skips `__pycache__`, hidden files of editors, and `_shipped`, which only installed
        # packages have
        if path.suffix == ".py" or not path.is_file() or any(p[0] in "._" for p in file.parts):
            continue
        owner = next(folder for folder in file.parents if str(folder) in modules)
        found[str(owner)][file.relative_to(owner).parts[0]].append(str(file))
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_types_only(node: ast.stmt) -> bool:
    test = node.test if isinstance(node, ast.If) and not node.orelse else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
