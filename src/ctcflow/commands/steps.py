"""One command per step: it runs one job of the workflow, from files to files."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from ctcflow import __version__
from ctcflow.contracts import STEPS
from ctcflow.errors import CtcflowError
from ctcflow.inputs import Samples
from ctcflow.run.progress import SOFTWARE

if TYPE_CHECKING:
    from ctcflow.inputs import Given
    from ctcflow.pipeline import Output

_NAMES: Final = (
    *("anndata", "h5py", "harmonypy", "igraph", "leidenalg", "matplotlib", "numpy", "pandas"),
    *("pydantic", "pydeseq2", "scipy"),
)
_LIBRARIES: Final = {**dict(zip(_NAMES, _NAMES, strict=True)), "sklearn": "scikit-learn"}
"""Modules, and the names under which they are installed."""
DIFFERING: Final = "parameters that differ from the defaults"


def add(commands: Any) -> None:
    """Add one command per step to a parser, and `params`, which prints the parameters of steps."""
    for name, step in STEPS.items():
        _add_step(commands.add_parser(name, help=step.does, description=step.does), name)
    table = commands.add_parser("params", help="print the parameters of a step")
    table.add_argument("step", choices=tuple(STEPS))
    table.set_defaults(command=_print_params)


def _add_step(command: argparse.ArgumentParser, name: str) -> None:
    command.set_defaults(command=_run_step, step=name)
    add_files(command)
    command.add_argument("--samples", nargs="*", default=[], help="the cohort's samples")
    command.add_argument("--row", default="{}", metavar="JSON", help="row of the sheet (ingest)")
    command.add_argument("--params", default="{}", metavar="JSON", help=DIFFERING)
    command.add_argument("--threads", type=int, default=1, metavar="N", help="threads")


def add_files(command: argparse.ArgumentParser) -> None:
    """Add the options that name the files of a job."""
    for option, target, text in (
        ("--in", "inputs", "inputs; of a cohort step with {sample} in the path"),
        ("--out", "outputs", "outputs"),
    ):
        command.add_argument(
            option,
            dest=target,
            nargs="+",
            type=_pair,
            default=[],
            action="extend",
            metavar="NAME=PATH",
            help=text,
        )


def _pair(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=PATH")
    return name, path


def _run_step(arguments: argparse.Namespace) -> None:
    _check(arguments)
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    from ctcflow import pipeline
    from ctcflow.inputs import Given
    from ctcflow.settings import mistakes

    model = pipeline.params_of(arguments.step)
    try:
        params = model.model_validate_json(arguments.params)
    except ValidationError as error:
        sentences = mistakes.describe(error, model, prefix=arguments.step)
        raise CtcflowError("; ".join(sentences)) from error
    row = _json(arguments.row, "--row")
    given = Given(dict(arguments.inputs), tuple(arguments.samples), row)
    try:
        _job(arguments.step, given, params, dict(arguments.outputs))
    except CtcflowError as error:
        if "sample" in row:
            raise CtcflowError(f"sample `{row['sample']}`: {error}") from error
        raise
    log_peak(arguments.step)


def _job(step: str, given: Given, params: Any, outputs: Mapping[str, str]) -> None:
    """Run a step and write its outputs. All that a result depends on is below this function."""
    from ctcflow import pipeline

    result = pipeline.run(step, given, params)
    start = time.perf_counter()
    for name, path in outputs.items():
        _write(step, result, name, Path(path))
    logging.info("%s: written in %.2f s", step, time.perf_counter() - start)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what would be read twice, or be found wrong only when all is done."""
    step, row = arguments.step, STEPS[arguments.step]
    for option, pairs in (("--in", arguments.inputs), ("--out", arguments.outputs)):
        repeated = _first_repeated([name for name, _ in pairs])
        if repeated:
            raise CtcflowError(f"{option} names `{repeated}` more than once: give it once")
    outputs = ["folder"] if row.gives_files else ["adata", *row.exports()]
    unknown = [name for name, _ in arguments.outputs if name not in outputs]
    if unknown:
        has = ", ".join(outputs)
        raise CtcflowError(f"step `{step}` has no output `{unknown[0]}` (it has {has})")
    if arguments.threads < 1:
        raise CtcflowError(f"--threads is {arguments.threads}: give 1 or more")
    if any(isinstance(kind, Samples) for kind in row.reads) and not arguments.samples:
        raise CtcflowError(f"step `{step}` is one of the cohort: give --samples")
    repeated = _first_repeated(arguments.samples)
    if repeated:
        raise CtcflowError(f"--samples names `{repeated}` more than once: give it once")


def _first_repeated(names: Sequence[str]) -> str:
    """The first name that stands twice; empty for none."""
    return next((name for at, name in enumerate(names) if name in names[:at]), "")


def _write(step: str, result: Output, name: str, path: Path) -> None:
    from ctcflow.files import digests, io

    if name == "adata" and result.adata is not None:
        with digests.recorded(path):
            io.write_h5ad(path, result.adata, delivered=STEPS[step].delivered)
    elif name in result.tables:
        with digests.recorded(path):
            io.write_table(path, result.tables[name])
    elif name == "folder" and result.files:
        for file, content in result.files.items():
            with digests.recorded(path / file):
                io.write_bytes(path / file, content)


def log_peak(step: str) -> None:
    """Log the versions of the libraries that a job has loaded, and its peak memory."""
    loaded = {"ctcflow": __version__, "python": platform.python_version()}
    for module, name in _LIBRARIES.items():
        if module in sys.modules:
            with contextlib.suppress(PackageNotFoundError):
                loaded[name] = version(name)
    logging.info("%s", SOFTWARE + ", ".join(f"{name} {each}" for name, each in loaded.items()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    logging.info("%s: %.0f MiB at most", step, peak)


def _print_params(arguments: argparse.Namespace) -> None:
    from ctcflow.workflow import schema

    for parameter in schema.parameters():
        if parameter.key.split(".")[0] == arguments.step:
            print(f"{parameter.key} = {parameter.default}  [{parameter.bounds}]")
            print(f"    {parameter.sentence}")


def _json(text: str, option: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise CtcflowError(
            f"{option} is not JSON ({error}): give an object such as {{}}"
        ) from error
    if not isinstance(value, dict):
        raise CtcflowError(f"{option} is {type(value).__name__}: give a JSON object")
    return value
