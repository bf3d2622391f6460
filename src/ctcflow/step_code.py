"""Digest of what a step runs: an edit of a module re-runs what it runs in, a touch does not."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

BY_NAME = {
    "call": ("render/tables.py", "review.py", "bundle.py"),
    "cluster": ("render/tables.py",),
    "gather": ("render/tables.py",),
}
"""Modules that `pipeline` imports by name: they write tables beside a step's file, or read one."""


def step_code(package: Path, step: str, tables: Sequence[Path]) -> str:
    """Digest (12 hex digits) of the modules that a step of the package runs, names included.

    Parameters
    ----------
    package
        Folder of the package.
    step
        Name of the step.
    tables
        What it reads of the tables that are shipped: their content is in the digest, and not where
        they are or when they were installed.
    """
    starts = (f"steps/{step}.py", "pipeline.py", *BY_NAME.get(step, ()))
    starts = ("export.py",) if step == "export" else starts
    digest = hashlib.blake2b(digest_size=6)
    for module in sorted(set().union(*(modules(package, start) for start in starts))):
        digest.update(module.encode())
        digest.update((package / module).read_bytes())
    for table in tables:
        digest.update(table.name.encode())
        digest.update(table.read_bytes())
    return digest.hexdigest()


@cache
def modules(package: Path, module: str) -> frozenset[str]:
    """Modules of the package that a module imports, itself included, at any depth."""
    found, waiting = set[str](), [module]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += _imported(package, current)
    return frozenset(found)


# most modules are reached from many steps, and every Snakemake of a run asks for all of them
@cache
def _imported(package: Path, module: str) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse((package / module).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ctcflow"):
            base = "/".join(str(node.module).split(".")[1:])
            names = [f"{base}/{alias.name}".lstrip("/") for alias in node.names]
            found += [f"{name}.py" for name in (base, *names) if (package / f"{name}.py").is_file()]
    return tuple(found)
