"""Inputs of steps that are called from Python, where the workflow reads files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from ctcflow import __version__, contracts, keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.files.tables import GENE_SETS
from ctcflow.inputs import Given, Table
from ctcflow.records.run import RunRecord
from ctcflow.settings.mistakes import describe
from ctcflow.settings.sample import Sample
from ctcflow.settings.sample_params import Params

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_COUNTS: Final = "counts"

Tables = Mapping[str, "pd.DataFrame"] | None


def tables_of(step: str, own_tables: Tables) -> list[pd.DataFrame]:
    """Tables of a step in the order of its arguments: the user's own, else the shipped ones.

    Raises
    ------
    CtcflowError
        A table is given that the step does not read.
    """
    own_tables = {} if own_tables is None else own_tables
    names = contracts.tables_of(step)
    for name, table in own_tables.items():
        if name not in names:
            raise CtcflowError(
                f"tables has `{name}`, which `{step}` does not read: it reads {', '.join(names)}"
            )
        if not hasattr(table, "columns"):
            raise CtcflowError(
                f"tables has {type(table).__name__} as `{name}`: give a pandas.DataFrame"
            )
    return [
        _checked(name, own_tables[name]) if name in own_tables else shipped_table(name)
        for name in names
    ]


def _checked(name: str, table: pd.DataFrame) -> pd.DataFrame:
    return io.checked_gene_sets(table, f"table `{name}`") if name in GENE_SETS else table


def shipped_table(name: str) -> pd.DataFrame:
    """Read one of the shipped tables as the workflow does."""
    return Table(name).read(Given({}, (), {}), None)


def row_of(sample: str, about: Mapping[str, Any] | None) -> dict[str, Any]:
    """Build a row of the sample sheet without its path, with the checks of the sample sheet.

    Raises
    ------
    CtcflowError
        A column is unknown, or a value is not valid for its column.
    """
    fields = {"sample": sample, "path": Path("in memory"), **(about or {})}
    try:
        row = Sample.model_validate(fields)
    except ValidationError as error:
        raise CtcflowError("; ".join(describe(error, Sample))) from None
    return row.model_dump(mode="json", exclude={"path", "raw_path", "overrides"})


def is_adata(adata: object, function: str) -> None:
    """Refuse anything but an AnnData in memory.

    Raises
    ------
    CtcflowError
        It is something else; the message says what.
    """
    import anndata

    if not isinstance(adata, anndata.AnnData):
        raise CtcflowError(
            f"{function} was given {type(adata).__name__}: give an AnnData"
            " (anndata.read_h5ad reads a file)"
        )
    if adata.isbacked:
        raise CtcflowError(f"{function} was given an AnnData on disk: give adata.to_memory()")


def as_read(adata: AnnData, genes: pd.DataFrame) -> AnnData:
    """Convert an AnnData to what the readers return for a file; the object is not changed.

    Parameters
    ----------
    adata
        Counts in layers `counts` if it exists, else in X.
    genes
        Columns `gene_id` and `symbol`.

    Raises
    ------
    CtcflowError
        It holds no counts, values are missing, or no feature is a gene.
    """
    from ctcflow.formats.annotated import parts_of
    from ctcflow.formats.raw import assemble

    counts = adata.layers.get(_COUNTS, adata.X)
    if counts is None:
        raise CtcflowError("the matrix has no values (X is empty): give an AnnData with raw counts")
    known_genes = {*genes["gene_id"], *genes["symbol"]}
    parts = parts_of(adata, counts, var=adata.var)
    return assemble(Path("adata"), parts, "AnnData", known_genes=known_genes).adata


def needs(adata: AnnData, step: str, before: str) -> None:
    """Refuse an object that lacks the inputs of a step, or whose counts were changed since `qc`.

    Raises
    ------
    CtcflowError
        A slot is missing; the message names it and the function to call first.
    """
    is_adata(adata, step)
    for slot in contracts.STEPS[step].requires:
        held = adata.X is not None if slot.container == "X" else None
        if held is None:
            held = slot.key in getattr(adata, slot.container)
        if not held:
            raise CtcflowError(f"`{step}` needs {slot}: call {before} first")
    if adata.X.dtype.kind not in "iu":
        raise CtcflowError(
            f"`{step}` needs the counts that cf.pp.ingest left in X, which holds {adata.X.dtype}"
            " values now: normalise a copy of it"
        )


def kept(adata: AnnData) -> AnnData:
    """Copy of the cells that `qc` kept."""
    return adata[adata.obs[keys.KEEP.key].to_numpy(bool)].copy()


def recorded(adata: AnnData, step: str, params: Params) -> AnnData:
    """Add the record of a step as the workflow does, but without digests of files."""
    record = io.record(adata, keys.CTCFLOW, RunRecord)
    record["steps"][step] = {"version": __version__, "params": params.model_dump(mode="json")}
    io.write_record(adata, keys.CTCFLOW, record)
    return adata
