"""Ensure that the workflow and all its jobs use the same copy of ctcflow."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Final, NoReturn

from ctcflow import __version__
from ctcflow.errors import CtcflowError
from ctcflow.files.shipped import package, shipped
from ctcflow.settings import strict_yaml

MARK: Final = "CTCFLOW_JOB_OF"
"""Environment variable set for every job: the folder of its run."""
_SAFE_PATH: Final = "PYTHONSAFEPATH"
"""Environment variable by which Python does not look for libraries in the current folder."""


def stop_unless_of(folder: object, version: str) -> None:
    """Stop if the parsed rules belong to another copy of ctcflow than the imported one.

    Parameters
    ----------
    folder
        Folder of the Snakefile (`workflow.current_basedir`): a path, or a git source.
    version
        Version of the rules.

    Raises
    ------
    SystemExit
        With code 2, after one line.
    """
    imported_package = package().resolve()
    package_of_rules = (
        _beside(Path(folder).resolve()) if isinstance(folder, os.PathLike) else imported_package
    )
    if package_of_rules != imported_package:
        _stop(
            f"two ctcflow: the rules are those of `{package_of_rules}`, the code that was imported"
            f" before them is that of `{imported_package}`: start Snakemake from the environment of"
            " the first, without what imports the second (such as --logger ctcflow)"
        )
    if version != __version__:
        _stop(
            f"two ctcflow: the rules in `{folder}` are of version {version}, the package in"
            f" `{imported_package}` is {__version__}: take the rules of {__version__}, or"
            f" install {version}"
        )


def refuse_doubtful_run(path: str) -> None:
    """Stop before Snakemake reads a configuration that would run code, or expands a path.

    Snakemake looks for its locks by a pattern of the run's own path, in which braces are wildcards.

    Jobs of this Snakemake start without the folder of the run on their search path, so that a file
    there that is named as a library is not imported.

    Raises
    ------
    SystemExit
        With code 2, after one line.
    """
    os.environ[_SAFE_PATH] = "1"
    here = os.getcwd()
    if "{" in here or "}" in here:
        _stop(f"`{here}` has braces in its path, which Snakemake would expand: rename the folder")
    if not Path(path).is_file():
        return  # Snakemake says so, or was given another file
    try:
        strict_yaml.refuse_doubtful(Path(path))
    except CtcflowError as error:
        _stop(str(error))


def _beside(rules: Path) -> Path:
    """The package that the rules belong to; the imported one if there is none next to them."""
    for folder in (rules.parent / "src" / "ctcflow", rules.parents[1]):
        if (folder / "__init__.py").is_file() and folder.name == "ctcflow":
            return folder
    return package().resolve()


def _stop(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def variables(before: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that a new process needs to import this package, and nothing else.

    Parameters
    ----------
    before
        Environment of this process.
    """
    safe = {_SAFE_PATH: "1"}
    if not _is_apart():
        return safe
    folders = [str(package().parent), before.get("PYTHONPATH", "")]
    return {**safe, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


def cache(run: Path) -> dict[str, str]:
    """Variable with which Snakemake keeps its cache in the run, where HOME cannot hold it.

    Accounts of services and containers have a HOME that is missing or must not be written to.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "snakemake"
    try:
        usual.mkdir(parents=True, exist_ok=True)
        if os.access(usual, os.W_OK | os.X_OK):
            return {}
    except OSError:
        pass
    return {"XDG_CACHE_HOME": str(run / ".snakemake" / "cache")}


def command(run: Path, *, conda: bool) -> str:
    """Shell command with which a job starts `ctcflow`: this interpreter, this package.

    Parameters
    ----------
    run
        Folder of the run.
    conda
        Jobs run in an environment that conda made from `workflow/envs`, which has the libraries
        that a checkout needs. An installed package has them already.
    """
    environment = {MARK: str(run)} | variables(os.environ)
    python = "python" if conda and _is_apart() else quote(sys.executable)
    words = [f"{name}={quote(value)}" for name, value in environment.items()]
    # -P: do not import a folder named `ctcflow` in the run folder
    return " ".join([*words, python, "-Pm", "ctcflow"])


def snakemake(run: Path) -> list[str]:
    """Command that runs the workflow in a folder; the caller appends options.

    Raises
    ------
    CtcflowError
        The package was copied without its workflow.
    """
    workflow = shipped("workflow") / "Snakefile"
    return [sys.executable, "-Pm", "snakemake", "-s", str(workflow), "--directory", str(run)]


def _is_apart() -> bool:
    """Whether the package is outside of this interpreter's own search path."""
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    return package().parent.resolve() not in {Path(folder).resolve() for folder in folders}
