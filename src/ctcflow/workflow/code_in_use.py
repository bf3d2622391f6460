"""The code that parses the workflow is the code that its jobs run: one ctcflow, wherever it is."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Final, NoReturn

from ctcflow import __version__
from ctcflow.files.shipped import package, shipped

MARK: Final = "CTCFLOW_JOB_OF"
"""Environment variable of every job: the folder of its run."""


def stop_unless_of(folder: object, version: str) -> None:
    """Stop where rules are parsed that belong to another ctcflow than the one that was imported.

    Parameters
    ----------
    folder
        Of the Snakefile (`workflow.current_basedir`): a path, or where git has fetched it from.
    version
        Of the rules.

    Raises
    ------
    SystemExit
        With code 2, after one line.
    """
    mine = package().resolve()
    theirs = _beside(Path(folder).resolve()) if isinstance(folder, os.PathLike) else mine
    if theirs != mine:
        _stop(
            f"two ctcflow: the rules are those of `{theirs}`, the code that was imported before"
            f" them is that of `{mine}`: start Snakemake from the environment of the first, without"
            " what imports the second (such as --logger ctcflow)"
        )
    if version != __version__:
        _stop(
            f"two ctcflow: the rules in `{folder}` are of version {version}, the package in"
            f" `{mine}` is {__version__}: take the rules of {__version__}, or install {version}"
        )


def _beside(rules: Path) -> Path:
    """The package that rules belong to; the imported one where none is with them."""
    for found in (rules.parent / "src" / "ctcflow", rules.parents[1]):
        if (found / "__init__.py").is_file() and found.name == "ctcflow":
            return found
    return package().resolve()


def _stop(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def variables(before: Mapping[str, str]) -> dict[str, str]:
    """What a new process has to know to import this package: nothing where it is installed.

    Parameters
    ----------
    before
        Environment of this process.
    """
    if not _is_apart():
        return {}
    folders = [str(package().parent), before.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, folders))}


def command(run: Path, *, conda: bool) -> str:
    """How a job starts `ctcflow`, as a shell reads it: this interpreter, this package.

    Parameters
    ----------
    run
        Folder of the run.
    conda
        Jobs run in an environment that conda made of `workflow/envs`, with what a checkout needs.
        An installed package has all that it needs beside it.
    """
    given = {MARK: str(run)} | variables(os.environ)
    python = "python" if conda and _is_apart() else quote(sys.executable)
    words = [f"{name}={quote(value)}" for name, value in given.items()]
    # -P: a folder `ctcflow` in the folder of the run is not the package
    return " ".join([*words, python, "-Pm", "ctcflow"])


def snakemake(run: Path) -> list[str]:
    """Command that runs the workflow in a folder, to which options are added.

    Raises
    ------
    CtcflowError
        The package was copied without its workflow.
    """
    workflow = shipped("workflow") / "Snakefile"
    return [sys.executable, "-m", "snakemake", "-s", str(workflow), "--directory", str(run)]


def _is_apart() -> bool:
    """Whether the package is where this interpreter does not look by itself."""
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    return package().parent.resolve() not in {Path(folder).resolve() for folder in folders}
