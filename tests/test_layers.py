"""Architecture: which modules may import which, and which imports must be fast."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ctcflow"
MOST_LINES = 40
"""Of a function, without its signature and documentation."""
HEAVY = ("numpy", "pandas", "scipy", "anndata", "h5py", "sklearn", "matplotlib", "jinja2")
# what the package itself needs is in both; these differ in name or have no place in the other
CONDA_NAMES = {"igraph": "python-igraph", "matplotlib": "matplotlib-base"}
PIP_ONLY = {"snakemake"}  # it makes the conda environment, so it is not in it
CONDA_ONLY = {"python"}


def test_the_arrows_point_one_way():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", done.stdout), done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "errors",
        "keys",
        "settings.params",
        "settings.config",
        "settings.sheet",
        "settings.sample",
        "workflow.for_rules",
        "formats.detect",
    ],
)
def test_what_the_snakefile_imports_is_light(module):
    code = f"import sys, ctcflow.{module}; print(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("module", ["cli", "pipeline"])
def test_the_front_rooms_stay_small(module):
    assert len((PACKAGE / f"{module}.py").read_text().splitlines()) <= 150


def test_no_function_is_longer_than_a_screen():
    long = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                # what it does: without signature and documentation
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > MOST_LINES:
                    long.append(f"{path.relative_to(PACKAGE)}: {node.name} has {lines} lines")
    assert not long, long


def test_the_conda_environment_is_in_step_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "workflow" / "envs" / "ctcflow.yaml").read_text())
    ours = dict(_split(line) for line in project["dependencies"])
    theirs = dict(_split(line) for line in environment["dependencies"])
    names = {CONDA_NAMES.get(name, name) for name in ours if name not in PIP_ONLY}
    assert names == set(theirs) - CONDA_ONLY
    bounded = {CONDA_NAMES.get(name, name): bound for name, bound in ours.items() if "<" in bound}
    for name, bound in bounded.items():
        if name not in theirs:
            continue
        series = re.fullmatch(r"=(\d+(?:\.\d+)?)", theirs[name])
        assert series, f"{name} is bounded ({bound}) in pyproject.toml: pin its series"
        assert _within(series[1], bound), f"{name} {theirs[name]} is not within {bound}"


def _split(line: str) -> tuple[str, str]:
    name, bound = re.fullmatch(r"([A-Za-z0-9_-]+)\s*(.*)", line).groups()
    return name, bound.replace(" ", "")


def _within(series: str, bound: str) -> bool:
    """Whether a series such as 1.0 begins at or above the lower and below the upper bound."""
    lower, upper = re.search(r">=([\d.]+)", bound), re.search(r"<([\d.]+)", bound)
    key = _numbers(series)
    return _numbers(lower[1])[: len(key)] <= key < _numbers(upper[1])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_no_file_names_a_machine_or_an_index():
    # in pieces, so that this file does not name them either
    parts = (("/wo", "rk/"), ("/ho", r"me/\w+/"), ("py", r"pi\."), ("python", "hosted"))
    pattern = re.compile("|".join(first + second for first, second in parts))
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        assert not pattern.search(text), f"{name}: {pattern.search(text)}"
