"""Commands outside a run: export its results, calibrate any score, simulate a cohort."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ctcflow.commands.steps import DIFFERING, add_files, log_peak
from ctcflow.errors import CtcflowError
from ctcflow.files.shipped import checkout, shipped
from ctcflow.files.tables import SHIPPED

_FORMS: Final = {
    "cellxgene": "cohort_cellxgene.h5ad",
    "zarr": "cohort.zarr",
    "h5mu": "cohort.h5mu",
}
_ONTOLOGY: Final = ("ontology_terms", "retired_genes")


def add(commands: Any) -> None:
    """Add `export`, `calibrate`, `simulate` and `schema` to the commands of a parser."""
    _add_export(commands)
    _add_calibrate(commands)
    simulate = commands.add_parser("simulate", help="write a cohort with known truth")
    simulate.add_argument("folder", type=Path, help="where the cohort is written")
    simulate.add_argument("--params", default="{}", metavar="JSON", help=DIFFERING)
    simulate.add_argument("--threads", type=int, default=1, metavar="N", help="processes")
    simulate.set_defaults(command=_simulate)
    schema = commands.add_parser("schema", help="rewrite the files generated from the parameters")
    schema.set_defaults(command=_write_schema)


def _add_export(commands: Any) -> None:
    text = "write the cohort of a run for other tools, or all its raw counts into one file"
    command = commands.add_parser("export", help=text, description=text)
    for form, name in _FORMS.items():
        text = f"write {name} as {form} reads it; default: results/cluster/{name} of the run"
        command.add_argument(f"--{form}", type=Path, nargs="?", const=Path(), help=text)
    text = "folder of the run; default: the current one"
    command.add_argument("--run", type=Path, default=Path(), metavar="FOLDER", help=text)
    add_files(command)
    command.add_argument("--samples", nargs="*", default=[], help="the cohort's samples")
    command.set_defaults(command=_export)


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


def _export(arguments: argparse.Namespace) -> None:
    wanted = [form for form in _FORMS if getattr(arguments, form) is not None]
    for form in wanted:
        _export_as(form, arguments.run, getattr(arguments, form))
    if not wanted:
        _export_counts(arguments)


def _export_as(form: str, run: Path, target: Path) -> None:
    from ctcflow.files import io
    from ctcflow.files.export import export_cellxgene, export_zarr

    source = run / "results" / "cluster" / "cohort.h5ad"
    path = source.with_name(_FORMS[form]) if target == Path() else target
    _refuse_to_replace(path, source)
    cohort = io.read_h5ad(source)
    if form == "zarr":
        export_zarr(path, cohort)
    elif form == "h5mu":
        _export_h5mu(run / "results", path, cohort)
    else:
        tables = [io.read_table(shipped("resources") / SHIPPED[name]) for name in _ONTOLOGY]
        export_cellxgene(path, cohort, terms=tables[0], retired=tables[1])
    print(f"written: {path}")


def _refuse_to_replace(path: Path, source: Path) -> None:
    """Refuse to replace a result of the run, or a file that is no earlier export."""
    import h5py

    is_result = path.resolve() == source.resolve()
    if is_result or (path.is_file() and not h5py.is_hdf5(path)):
        found = "a result of the run" if is_result else "no file of an earlier export"
        raise CtcflowError(f"`{path}` is there already, and is {found}: name another file")


def _export_h5mu(results: Path, path: Path, cohort: Any) -> None:
    from ctcflow import keys
    from ctcflow.files import sample_files
    from ctcflow.files.export_h5mu import export_h5mu

    names = tuple(dict.fromkeys(cohort.obs[keys.SAMPLE.key].astype(str)))
    files = {step: str(results / step / "{sample}.h5ad") for step in ("ingest", "qc")}
    export_h5mu(path, cohort, sample_files.Cohort(names, files))


def _export_counts(arguments: argparse.Namespace) -> None:
    from ctcflow.files import digests, io, sample_files
    from ctcflow.files.export import export

    inputs, outputs = dict(arguments.inputs), dict(arguments.outputs)
    needed = {"cluster": inputs, "reduce": inputs, "ingest": inputs, "qc": inputs, "adata": outputs}
    missing = [name for name, paths in needed.items() if name not in paths]
    if missing:
        raise CtcflowError(
            "`export` was not told what to write: add --cellxgene, --zarr or --h5mu; all raw counts"
            " are written by `ctcflow run` with `export: full` in config.yaml"
            + (f" (as a job it lacks {', '.join(missing)})" if inputs or outputs else "")
        )
    layers = {name: inputs[name] for name in ("ingest", "qc")}
    samples = sample_files.Cohort(tuple(arguments.samples), layers)
    cohort = io.read_h5ad(Path(inputs["cluster"]))
    genes = io.read_h5ad(Path(inputs["reduce"])).var
    path = Path(outputs["adata"])
    with digests.recorded(path):
        export(path, cohort, genes, samples)
    log_peak("export")


def _calibrate(arguments: argparse.Namespace) -> None:
    from ctcflow import calibrate
    from ctcflow.files import io

    output = arguments.output
    if output is not None and (output.is_dir() or output.resolve() == arguments.file.resolve()):
        raise CtcflowError(
            f"--output is `{output}`, a folder or the input itself: name a .tsv file"
        )
    if not arguments.file.is_file():
        raise CtcflowError(f"`{arguments.file}` is no file: name an .h5ad")
    resources = shipped("resources")
    tables = {name: io.read_table(resources / SHIPPED[name]) for name in calibrate.TABLES}
    calibrated = calibrate.calibrate(arguments.file, arguments.score, tables, lower=arguments.lower)
    for line in calibrate.words(calibrated):
        logging.info("%s", line)
    if output is None:
        with contextlib.suppress(BrokenPipeError):
            calibrated.table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.6g")
            sys.stdout.flush()
            return
        # the reader of the pipe (such as `head`) is gone: Python must flush nothing at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    io.write_table(output, calibrated.table)


def _simulate(arguments: argparse.Namespace) -> None:
    from ctcflow.files import io
    from ctcflow.settings import mistakes
    from ctcflow.simulate.cohort import SimulateParams, simulate

    try:
        params = SimulateParams.model_validate_json(arguments.params)
    except ValidationError as error:
        raise CtcflowError("; ".join(mistakes.describe(error, SimulateParams))) from error
    genes = io.read_table(shipped("resources") / SHIPPED["genes"])
    rates = io.read_table(shipped("resources") / SHIPPED["rates"])
    panels = io.read_gene_sets(shipped("resources") / SHIPPED["panels"])
    simulate(
        arguments.folder,
        params,
        genes,
        rates,
        n_threads=arguments.threads,
        silent=frozenset(panels["gene"]),
    )


def _write_schema(_: argparse.Namespace) -> None:
    from ctcflow.workflow import schema

    for path in schema.write_all(checkout()):
        print(f"written: {path}")
