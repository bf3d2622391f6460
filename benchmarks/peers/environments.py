"""The tools, each with an environment of its own below `.peers/`, which git ignores."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from benchmarks.samples import REPOSITORY

FOLDER = REPOSITORY / ".peers"
RULES = "rules"
_ONE_CORE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_LONGEST = 240
"""Letters of a message that a table has room for."""


class Tool(NamedTuple):
    """A tool by its name; the module that runs it is `benchmarks.peers.NAME_`."""

    name: str
    title: str
    how: str
    """How it is run, beyond what the columns of its verdicts say."""
    distribution: str = ""
    """Its name at the package registry, of which the version is reported."""
    python: str = "3.12"
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    """Packages that are installed without what they ask for."""
    cannot: str = ""
    """Why it is not even tried."""


TOOLS = (
    Tool(RULES, "rule", "in the checkout's environment", distribution="scanpy"),
    Tool(
        *("infercnvpy", "infercnvpy", "tutorial's steps; rules stand for the choice by eye"),
        distribution="infercnvpy",
        packages=("infercnvpy==0.6.1", "leidenalg", "igraph"),
    ),
    Tool(
        *("copykat", "CopyKAT, Python port", "defaults; drawing left out (needs Cairo)"),
        distribution="copykat-python",
        # its loops over 12,000 bins take four times as long with the text columns of pandas 3
        packages=("joblib", "numpy", "pandas<3", "pyarrow", "scikit-learn", "scipy"),
        alone=("copykat-python==1.1.0.post1",),
    ),
    Tool(
        *("inferploidy", "InferPloidy", "defaults, own infercnvpy step"),
        distribution="inferploidy",
        packages=("inferploidy==0.3.11",),
    ),
    Tool(
        *("kopya", "kopya", "defaults"),
        distribution="valius-kopya",
        packages=("valius-kopya==2.2.0",),
    ),
    Tool(
        *("aeacus", "aeacus", "defaults, its own model"),
        distribution="aeacus",
        python="3.11",
        packages=("torch==2.13.0", "aeacus==0.6.0"),
    ),
    Tool(
        *("oncoordinate", "Oncoordinate", "defaults, its own model, trained on lung"),
        distribution="oncoordinate",
        python="3.11",
        packages=("torch==2.13.0", "oncoordinate==0.1.7"),
    ),
    Tool(
        *("scmalignantfinder", "scMalignantFinder", "pretrained model"),
        distribution="scmalignantfinder",
        python="3.10",
        packages=("scmalignantfinder==1.2.0", "setuptools<81"),
    ),
    Tool(
        *("ikarus", "ikarus", "core model of its authors"),
        distribution="ikarus",
        python="3.10",
        packages=("ikarus==0.0.3", "setuptools<81"),
    ),
    Tool(
        *("celltypist", "CellTypist", "model of immune cells"),
        distribution="celltypist",
        packages=("celltypist==1.7.1",),
    ),
    Tool(
        *("swiftcnv", "SwiftCNV", "not run"),
        cannot="its classifier wants the cell type of origin labelled in each sample, and judges "
        "only the cells of that label: the question that is asked here is its input",
    ),
    Tool(
        *("r", "CopyKAT, SCEVAN, inferCNV, Numbat (R)", "not run"),
        cannot="no package registry that is used here has them: Debian has R, r-cran-mcmcpack and "
        "r-cran-mixtools, and none of these four, nor dlm and parallelDist that CopyKAT needs",
    ),
)


class CannotRun(Exception):
    """A tool that could not be installed or started, with the last line that it said."""


def last_line(text: str) -> str:
    """The last line that says something, without this machine's folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["said nothing"]
    return lines[-1].replace(f"{REPOSITORY}/", "")[:_LONGEST]


def _or_cannot(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotRun(last_line(done.stderr or done.stdout))
    return done.stdout


def interpreter(tool: Tool) -> Path:
    """Python of the tool's environment, which is made unless it is there."""
    if tool.name == RULES:
        return REPOSITORY / ".venv" / "bin" / "python"
    folder = FOLDER / tool.name
    python, ready = folder / "bin" / "python", folder / "ready"
    wanted = "\n".join([tool.python, *tool.packages, *tool.alone])
    if not ready.exists() or ready.read_text() != wanted:
        make = [".ci/uv", "venv", "--quiet", "--clear", "--seed", "--python", tool.python]
        try:
            _or_cannot([*make, str(folder)])
        except CannotRun as problem:
            raise CannotRun(f"no Python {tool.python}, and uv brings none: {problem}") from problem
        # pip, since it takes a processor-only torch where the machine offers one
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _or_cannot([*install, *tool.packages])
        if tool.alone:
            _or_cannot([*install, "--no-deps", *tool.alone])
        ready.write_text(wanted)
    return python


def version(tool: Tool) -> str:
    """Distribution and version in the tool's environment; empty where there is none."""
    if tool.cannot:
        return ""
    code = f"from importlib.metadata import version; print(version('{tool.distribution}'))"
    try:
        return f"{tool.distribution} {_or_cannot([str(interpreter(tool)), '-c', code]).strip()}"
    except CannotRun:
        return ""


def run(tool: Tool, inputs: Path, output: Path) -> None:
    """Judge all samples that have no calls yet, on one core."""
    if tool.cannot:
        raise CannotRun(tool.cannot)
    python = interpreter(tool)
    environment = os.environ | dict.fromkeys(_ONE_CORE, "1")
    environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    module = f"benchmarks.peers.{tool.name}_"
    _or_cannot([str(python), "-m", module, str(inputs), str(output)], environment)
