"""What a reader returns, and the checks that all formats share."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import DAMAGED, CtcflowError, of_system, printable, reason
from ctcflow.formats import beside
from ctcflow.formats.features import GENE_EXPRESSION, kinds_of_features
from ctcflow.untrusted import first_refused

if TYPE_CHECKING:
    from anndata import AnnData

Names = npt.NDArray[np.object_]


class Parts(NamedTuple):
    """A matrix as a reader found it: cells x features, and one name per row and column.

    `tables` holds what else the file has: other modalities, tables in obsm.
    """

    x: sparse.csr_matrix
    barcodes: Names
    names: Names
    ids: Names | None
    types: Names | None
    notes: list[str]
    tables: tuple[beside.Table, ...] = ()


class RawCounts(NamedTuple):
    """A count matrix as found, its format, and notes for the user about how it was read."""

    adata: AnnData
    format: str
    notes: list[str]


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn errors from a damaged file into one line that names the file."""
    try:
        yield
    except DAMAGED as error:
        raise of_system(error, path) or CtcflowError(
            f"`{path}` cannot be read as {what} ({reason(error)}): check its format and"
            " permissions, or copy it again"
        ) from error


def strings(values: Any) -> Names:
    """Make an object array of strings; bytes are decoded as UTF-8."""
    return np.array(
        [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values], dtype=object
    )


def assemble(
    path: Path,
    parts: Parts,
    format: str,
    *,
    known_genes: Collection[str] = (),
    genes_only: bool = False,
) -> RawCounts:
    """Check a matrix against its names, and separate features that are not gene expression.

    Parameters
    ----------
    path
        File or folder that error messages name.
    parts
        What the reader found.
    format
        One of `detect.FORMATS`.
    known_genes
        Symbols and ids: a feature without a type is a gene if it is one of them.
    genes_only
        Drop features that are not gene expression.

    Raises
    ------
    CtcflowError
        Matrix and names do not fit together, values are missing, or nothing is a gene.
    """
    from anndata import AnnData

    check_shape(path, parts)
    refuse_bad_names(path, parts)
    _check_values(path, parts)
    ids = parts.ids if parts.ids is not None else np.full(parts.names.size, "", dtype=object)
    # notes quote names of groups and columns
    notes = [printable(note) for note in parts.notes]
    try:
        kinds, types = kinds_of_features(parts.names, ids, parts.types, known_genes)
    except CtcflowError as error:
        raise CtcflowError(f"`{path}`: {error}") from error
    _refuse_without_genes(path, kinds, types)
    genes = np.flatnonzero(kinds == "gene")
    # Names are set afterwards: the constructor warns about duplicates, which `ingest` handles.
    adata = AnnData(X=parts.x if genes.size == kinds.size else parts.x[:, genes])
    adata.obs_names = pd.Index(parts.barcodes, dtype=object)
    adata.var_names = pd.Index(parts.names[genes], dtype=object)
    adata.var[keys.GENE_ID.key] = pd.Series(ids[genes], index=adata.var.index, dtype=object)
    if not genes_only:
        notes += _keep_apart(adata, parts, ids, kinds, types)
    adata.uns[keys.INGEST.key] = json.dumps({"format": format, "notes": notes})
    return RawCounts(adata, format, notes)


def _keep_apart(adata: AnnData, parts: Parts, ids: Names, kinds: Names, types: Names) -> list[str]:
    """Keep features that are not genes in obsm; return notes for the user."""
    tables = list[beside.Table]()
    notes = list[str]()
    if (kinds != "gene").any():
        whole = beside.Table("other", "", parts.x, None, parts.names, ids, types)
        for kind in beside.SLOTS:
            table = whole.columns(kind, kinds == kind)
            if table.names.size and not beside.why_left(table, adata.obs_names):
                kinds_in = ", ".join(sorted(set(table.types)))
                tables.append(table._replace(source=kinds_in))
            else:
                kinds = np.where(kinds == kind, "other", kinds)
        notes += _keep_others(adata, whole.columns("other", kinds == "other"))
    return notes + beside.attach(adata, [*tables, *parts.tables])


def _keep_others(adata: AnnData, others: beside.Table) -> list[str]:
    if others.names.size == 0:
        return []
    adata.obsm[keys.OTHER_FEATURES.key] = others.x
    described = {"name": others.names, "id": others.ids, "type": others.types}
    adata.uns[keys.OTHER_FEATURE_NAMES.key] = json.dumps(
        {key: values.tolist() for key, values in described.items()}
    )
    kinds = ", ".join(sorted(set(others.types)))
    return [f"{others.names.size} features are not genes and are kept apart ({kinds})"]


def refuse_bad_names(path: Path, parts: Parts) -> None:
    """Refuse names that would be a command to a spreadsheet or a terminal (see `untrusted`).

    Raises
    ------
    CtcflowError
        The message names the first one.
    """
    kinds: list[tuple[str, Names | None]]
    kinds = [("cell", parts.barcodes), ("feature", parts.names)]
    kinds += [("id of feature", parts.ids), ("type of feature", parts.types)]
    for table in parts.tables:
        of = f"of {table.source[:60]}"
        kinds += [(f"feature {of}", table.names), (f"id {of}", table.ids)]
        kinds += [(f"type {of}", table.types), (f"cell {of}", table.barcodes)]
    for what, names in kinds:
        at, why = (-1, "") if names is None else first_refused(names)
        if names is not None and at >= 0:
            shown = repr(str(names[at])[:40])
            raise CtcflowError(f"`{path}`: {what} {at + 1} is named {shown}: {why}")


def check_shape(path: Path, parts: Parts) -> None:
    """Check that a matrix is complete, and has a row and a column for each of its names.

    Raises
    ------
    CtcflowError
        The matrix is incomplete, or does not fit its names.
    """
    rows, columns = parts.x.shape
    if (rows, columns) != (parts.barcodes.size, parts.names.size):
        raise CtcflowError(
            f"`{path}` holds a matrix of {rows} cells x {columns} features but names"
            f" {parts.barcodes.size} cells and {parts.names.size} features: copy the files again"
        )
    for what, described in (("ids", parts.ids), ("feature types", parts.types)):
        if described is not None and described.size != columns:
            raise CtcflowError(
                f"`{path}` has {described.size} {what} for {columns} features: write it again"
            )
    with reading(path, "a count matrix"):
        parts.x.check_format(full_check=True)


def _check_values(path: Path, parts: Parts) -> None:
    if parts.x.dtype.kind == "f" and not np.isfinite(parts.x.data).all():
        bad = int((~np.isfinite(parts.x.data)).sum())
        raise CtcflowError(
            f"`{path}` holds {bad} values that are NaN or infinite: give raw counts (write 0"
            " where nothing was counted)"
        )
    if parts.x.dtype.kind not in "iufb":
        raise CtcflowError(f"`{path}` holds {parts.x.dtype} values: give raw counts as numbers")


def _refuse_without_genes(path: Path, kinds: Names, types: Names) -> None:
    if kinds.size and not (kinds == "gene").any():
        raise CtcflowError(
            f"`{path}` holds no `{GENE_EXPRESSION}` features (found"
            f" {', '.join(sorted(set(types)))}): give the library with the RNA counts"
        )
