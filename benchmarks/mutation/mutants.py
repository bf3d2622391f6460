"""Small faults that could be written by hand: one at a time, in a module of the package."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOMS = ("stats", "evidence", "steps")
"""Folders of the package that are mutated; those that are not there are left out."""
_COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_RENAMED = {
    "min": "max",
    "minimum": "maximum",
    "fmin": "fmax",
    "argmin": "argmax",
    "any": "all",
    "floor": "ceil",
    "cumsum": "sort",
    "log1p": "log",
    "expm1": "exp",
}
_RENAMED |= {other: word for word, other in list(_RENAMED.items())[:5]}


class Mutant(NamedTuple):
    """A module with one change."""

    module: str
    """Path below the package, such as `stats/calls/p_values.py`."""
    number: int
    """Which change of the module."""
    lines: tuple[int, int]
    """First and last line of the smallest statement around it."""
    inside: bool
    """In a function."""
    name: str
    """The constant that is changed, where the statement stands outside of functions; else empty."""
    before: str
    after: str


def mutants(module: str, source: str) -> list[Mutant]:
    """Every change of a module, in the order of its text."""
    tree = ast.parse(source)
    found = []
    for number, (path, changed) in enumerate(_changes(tree)):
        node = path[-1]
        around = next(ancestor for ancestor in reversed(path) if isinstance(ancestor, ast.stmt))
        last = around.end_lineno or around.lineno
        if isinstance(around, ast.If | ast.For | ast.While | ast.With | ast.FunctionDef):
            # the body is not what was changed: its head is
            last = max(around.lineno, around.body[0].lineno - 1)
        inside = any(isinstance(ancestor, ast.FunctionDef) for ancestor in path[:-1])
        name = "" if inside else _assigned(around)
        lines = (around.lineno, last)
        found.append(Mutant(module, number, lines, inside, name, _short(node), _short(changed)))
    return found


def mutated(source: str, number: int) -> str:
    """The text of a module with one change."""
    tree = ast.parse(source)
    path, changed = next(change for at, change in enumerate(_changes(tree)) if at == number)
    old = path[-1]

    class Change(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return changed if node is old else super().generic_visit(node)

    return ast.unparse(ast.fix_missing_locations(Change().visit(tree)))


def of_package(package: Path) -> list[Mutant]:
    """Every change of the rooms that are mutated."""
    files = [file for room in ROOMS for file in sorted((package / room).rglob("*.py"))]
    return [
        mutant
        for file in files
        for mutant in mutants(file.relative_to(package).as_posix(), file.read_text())
    ]


def _changes(tree: ast.AST) -> Iterator[tuple[list[ast.AST], ast.AST]]:
    """The nodes from the top to what is changed, and what stands in its place."""
    for path in _walk([tree]):
        for changed in _in_place_of(path[-1], path[-2] if len(path) > 1 else None):
            yield path, changed


def _walk(path: list[ast.AST]) -> Iterator[list[ast.AST]]:
    """Every node with those above it; annotations, docstrings, logs and imports are left out."""
    yield path
    node = path[-1]
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _says_only(child):
                continue
            yield from _walk([*path, child])


def _says_only(node: ast.AST) -> bool:
    """Text for people: a docstring, the sentence of an error, imports."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Raise):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _in_place_of(node: ast.AST, above: ast.AST | None) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[one]) if type(one) in _COMPARED:
            yield _with(node, ops=[_COMPARED[type(one)]()])
        case ast.BinOp(op=op) if type(op) in _COMPUTED and not _of_text(node):
            yield _with(node, op=_COMPUTED[type(op)]())
        case ast.AugAssign(op=op) if type(op) in _COMPUTED:
            yield _with(node, op=_COMPUTED[type(op)]())
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.UnaryOp(op=ast.USub(), operand=operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
            if value:
                yield ast.Constant(value * 2)
        case ast.Name(id=name) if name in _RENAMED and isinstance(above, ast.Call):
            yield ast.Name(_RENAMED[name], ast.Load())
        case ast.Attribute(attr=name) if name in _RENAMED:
            yield _with(node, attr=_RENAMED[name])
        case ast.If(body=[ast.Return()], orelse=[]):
            yield _with(node, test=ast.Constant(False))
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse


def _with(node: ast.AST, **changed: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in changed.items():
        setattr(other, name, value)
    return other


def _of_text(node: ast.BinOp) -> bool:
    """Strings and types: `int | None` is no sum."""
    parts = (node.left, node.right)
    text = any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in parts)
    return text or any(isinstance(each, ast.JoinedStr) for each in parts)


def _assigned(statement: ast.stmt) -> str:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())
    return text if len(text) <= 90 else text[:87] + "..."
