"""The command line: files and exit codes. Knows no parameter of any step."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctcflow import __version__, folder_commands
from ctcflow.errors import CtcflowError, reason
from ctcflow.shipped import checkout, shipped
from ctcflow.tables import SHIPPED

_DIFFERING = "parameters that differ from the defaults"
_FORMS = {
    "cellxgene": "cohort_cellxgene.h5ad",
    "zarr": "cohort.zarr",
    "h5mu": "cohort.h5mu",
}
_ONTOLOGY = ("ontology_terms", "retired_genes")
_COMMANDS = {
    "ingest": "read one library of any format into one validated count matrix",
    "qc": "measure cells and flag those to set aside",
    "normalize": "size factors and moments per gene",
    "score": "lineage, lines of evidence, copy number and signature scores of each cell",
    "call": "decide what each cell is, with an error rate; count per draw",
    "reduce": "variable genes and principal components of the cohort",
    "integrate": "remove differences between batches from the embedding",
    "cluster": "neighbours, communities, map, cell types and markers",
    "report": "the page that people read",
    "freeze": "freeze a finished run as a reference for new samples",
    "project": "map one sample onto a frozen reference",
    "gather": "the mapped samples in one file",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    0, or 2 for a mistake in the input, which is printed in one line (of several each); of
    `run`, what Snakemake returns. Anything else is a bug and leaves with a traceback.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    # argparse cannot hand on options that it does not know
    end = given.index("--") if given[:1] == ["run"] and "--" in given else len(given)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        arguments = _parser().parse_args(given[:end])
        arguments.more = given[end + 1 :]
        code: int | None = arguments.command(arguments)
    except CtcflowError as error:
        print("\n".join(f"error: {line}" for line in error.each), file=sys.stderr)
        return 2
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctcflow",
        description="Find, characterise and count circulating tumour cells.",
        epilog="A whole run: `ctcflow init FOLDER --from DATA`, `ctcflow check FOLDER`,"
        " `ctcflow run FOLDER`. Parameters of a step: `ctcflow params STEP`.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    folder_commands.add(commands)
    for name, text in _COMMANDS.items():
        _add_step(commands.add_parser(name, help=text, description=text), name)
    table = commands.add_parser("params", help="print the parameters of a step")
    table.add_argument("step", choices=tuple(_COMMANDS))
    table.set_defaults(command=_print_params)
    schema = commands.add_parser("schema", help="rewrite the files generated from the parameters")
    schema.set_defaults(command=_write_schema)
    text = "write the cohort of a run for other tools, or all its raw counts into one file"
    whole = commands.add_parser("export", help=text, description=text)
    for form, name in _FORMS.items():
        text = f"write {name} as {form} reads it; default: results/cluster/{name} of the run"
        whole.add_argument(f"--{form}", type=Path, nargs="?", const=Path(), help=text)
    text = "folder of the run; default: the current one"
    whole.add_argument("--run", type=Path, default=Path(), metavar="FOLDER", help=text)
    _add_files(whole)
    whole.add_argument("--samples", nargs="*", default=[], help="the cohort's samples")
    whole.set_defaults(command=_export)
    _add_calibrate(commands)
    simulate = commands.add_parser("simulate", help="write a cohort with known truth")
    simulate.add_argument("folder", type=Path, help="where the cohort is written")
    simulate.add_argument("--params", default="{}", metavar="JSON", help=_DIFFERING)
    simulate.add_argument("--threads", type=int, default=1, metavar="N", help="processes")
    simulate.set_defaults(command=_simulate)
    return parser


def _add_calibrate(commands: Any) -> None:
    text = "p of any score of the cells of a blood sample, by the sample's own leukocytes"
    command = commands.add_parser("calibrate", help=text, description=text)
    command.add_argument("file", type=Path, help=".h5ad with raw counts and the score")
    command.add_argument("--score", required=True, metavar="COLUMN", help="numeric column of obs")
    text = "lower scores are more like a tumour; default: higher ones"
    command.add_argument("--lower", action="store_true", help=text)
    text = "table to write, one line per cell; default: standard output"
    command.add_argument("--output", type=Path, metavar="TSV", help=text)
    command.set_defaults(command=_calibrate)


def _add_step(command: argparse.ArgumentParser, name: str) -> None:
    command.set_defaults(command=_run_step, step=name)
    _add_files(command)
    command.add_argument("--samples", nargs="*", default=[], help="the cohort's samples")
    command.add_argument("--row", default="{}", metavar="JSON", help="row of the sheet (ingest)")
    command.add_argument("--params", default="{}", metavar="JSON", help=_DIFFERING)
    command.add_argument("--threads", type=int, default=1, metavar="N", help="threads")


def _add_files(command: argparse.ArgumentParser) -> None:
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
    name, found, path = text.partition("=")
    if not found or not name or not path:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=PATH")
    return name, path


def _run_step(arguments: argparse.Namespace) -> None:
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    from ctcflow import digests, io, mistakes, pipeline
    from ctcflow.contracts import STEPS
    from ctcflow.inputs import Given

    model = pipeline.params_of(arguments.step)
    try:
        params = model.model_validate_json(arguments.params)
    except ValidationError as error:
        found = mistakes.describe(error, model, prefix=arguments.step)
        raise CtcflowError("; ".join(found)) from error
    row = _json(arguments.row, "--row")
    given = Given(dict(arguments.inputs), tuple(arguments.samples), row)
    outputs = {name: Path(path) for name, path in arguments.outputs}
    try:
        result = pipeline.run(arguments.step, given, params)
    except CtcflowError as error:
        if "sample" in row:
            raise CtcflowError(f"sample `{row['sample']}`: {error}") from error
        raise
    start = time.perf_counter()
    for name, path in outputs.items():
        if name == "adata" and result.adata is not None:
            with digests.recorded(path):
                io.write_h5ad(path, result.adata, delivered=STEPS[arguments.step].delivered)
        elif name in result.tables:
            with digests.recorded(path):
                io.write_table(path, result.tables[name])
        elif name == "folder" and result.files:
            for file, content in result.files.items():
                with digests.recorded(path / file):
                    io.write_bytes(path / file, content)
        else:
            known = ["adata", *result.tables] if result.adata is not None else ["folder"]
            raise CtcflowError(
                f"step `{arguments.step}` has no output `{name}` (it has {', '.join(known)})"
            )
    logging.info("%s: written in %.2f s", arguments.step, time.perf_counter() - start)
    _log_peak(arguments.step)


def _log_peak(step: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    logging.info("%s: %.0f MiB at most", step, peak)


def _print_params(arguments: argparse.Namespace) -> None:
    from ctcflow import schema

    for parameter in schema.parameters():
        if parameter.key.split(".")[0] == arguments.step:
            print(f"{parameter.key} = {parameter.default}  [{parameter.bounds}]")
            print(f"    {parameter.sentence}")


def _write_schema(_: argparse.Namespace) -> None:
    from ctcflow import schema

    for path in schema.write_all(checkout()):
        print(f"written: {path}")


def _export(arguments: argparse.Namespace) -> None:
    wanted = [form for form in _FORMS if getattr(arguments, form) is not None]
    for form in wanted:
        _export_as(form, arguments.run, getattr(arguments, form))
    if not wanted:
        _export_counts(arguments)


def _export_as(form: str, run: Path, target: Path) -> None:
    from ctcflow import io
    from ctcflow.export import export_cellxgene, export_zarr

    source = run / "results" / "cluster" / "cohort.h5ad"
    path = source.with_name(_FORMS[form]) if target == Path() else target
    cohort = io.read_h5ad(source)
    if form == "zarr":
        export_zarr(path, cohort)
    elif form == "h5mu":
        _export_h5mu(run / "results", path, cohort)
    else:
        tables = [io.read_table(shipped("resources") / SHIPPED[name]) for name in _ONTOLOGY]
        export_cellxgene(path, cohort, terms=tables[0], retired=tables[1])
    print(f"written: {path}")


def _export_h5mu(results: Path, path: Path, cohort: Any) -> None:
    from ctcflow import keys, sample_files
    from ctcflow.export_h5mu import export_h5mu

    names = tuple(dict.fromkeys(cohort.obs[keys.SAMPLE.key].astype(str)))
    files = {step: str(results / step / "{sample}.h5ad") for step in ("ingest", "qc")}
    export_h5mu(path, cohort, sample_files.Cohort(names, files))


def _export_counts(arguments: argparse.Namespace) -> None:
    from ctcflow import digests, io, sample_files
    from ctcflow.export import export

    given, outputs = dict(arguments.inputs), dict(arguments.outputs)
    needed = {"cluster": given, "reduce": given, "ingest": given, "qc": given, "adata": outputs}
    missing = [name for name, known in needed.items() if name not in known]
    if missing:
        raise CtcflowError(
            "`export` was not told what to write: add --cellxgene, --zarr or --h5mu; all raw counts"
            " are written by `ctcflow run` with `export: full` in config.yaml"
            + (f" (as a job it lacks {', '.join(missing)})" if given or outputs else "")
        )
    layers = {name: given[name] for name in ("ingest", "qc")}
    samples = sample_files.Cohort(tuple(arguments.samples), layers)
    cohort = io.read_h5ad(Path(given["cluster"]))
    genes = io.read_h5ad(Path(given["reduce"])).var
    path = Path(outputs["adata"])
    with digests.recorded(path):
        export(path, cohort, genes, samples)
    _log_peak("export")


def _calibrate(arguments: argparse.Namespace) -> None:
    from ctcflow import calibrate, io

    output = arguments.output
    if output is not None and (output.is_dir() or output.resolve() == arguments.file.resolve()):
        raise CtcflowError(
            f"--output is `{output}`, a folder or the input itself: name a .tsv file"
        )
    if not arguments.file.is_file():
        raise CtcflowError(f"`{arguments.file}` is no file: name an .h5ad")
    resources = shipped("resources")
    tables = {name: io.read_table(resources / SHIPPED[name]) for name in calibrate.TABLES}
    found = calibrate.calibrate(arguments.file, arguments.score, tables, lower=arguments.lower)
    for line in calibrate.words(found):
        logging.info("%s", line)
    if output is None:
        with contextlib.suppress(BrokenPipeError):
            found.table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.6g")
            sys.stdout.flush()
            return
        # what reads it has seen enough: nothing is left to be written when this process ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        io.write_table(output, found.table)
    except OSError as error:
        raise CtcflowError(
            f"`{output}` cannot be written ({reason(error)}): name another"
        ) from error


def _simulate(arguments: argparse.Namespace) -> None:
    from ctcflow import io, mistakes
    from ctcflow.simulate.cohort import SimulateParams, simulate

    try:
        params = SimulateParams.model_validate_json(arguments.params)
    except ValidationError as error:
        raise CtcflowError("; ".join(mistakes.describe(error, SimulateParams))) from error
    genes = io.read_table(shipped("resources") / SHIPPED["genes"])
    rates = io.read_table(shipped("resources") / SHIPPED["rates"])
    simulate(arguments.folder, params, genes, rates, n_threads=arguments.threads)


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
