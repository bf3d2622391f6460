"""Read an AnnData, on disk or in memory: its genes, and tables of other modalities in obsm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.beside import SLOTS, Table
from ctcflow.formats.features import kind_of
from ctcflow.formats.raw import Names, Parts, strings
from ctcflow.formats.values import are_counts, as_csr

if TYPE_CHECKING:
    from anndata import AnnData

_ID_COLUMNS: Final = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "ensembl_ids", "feature_id")
_COUNTS: Final = frozenset({"count", "counts", "raw", "umi", "umis", "readcounts"})
_BESIDE: Final = frozenset(
    {"rna", "gex", "data", "matrix", "x", "gene", "genes", "original", "int"}
)
"""A layer holds counts if its name has a word of the first kind, and none but of these two."""
_TYPE_COLUMNS: Final = ("feature_types", "feature_type", "modality", "feature_class")
_FEWEST_EMPTY: Final = 2
_MOST_EMPTY: Final = 0.01
"""Cells without a count in one matrix, and with values in another, that are no chance."""


def matrices_of(adata: AnnData) -> dict[str, Any]:
    """Matrices of an AnnData in memory, by the words that a user knows them by."""
    found = {f'layers["{name}"]': x for name, x in adata.layers.items()}
    raw = {} if adata.raw is None else {"raw.X": adata.raw.X}
    return {k: x for k, x in {"X": adata.X, **found, **raw}.items() if x is not None}


def may_be_counts(where: str) -> bool:
    """Whether a matrix may hold counts, by the place where it stands: X, raw.X, some layers."""
    if not where.startswith("layers"):
        return True
    words = set(re.findall(r"[a-z0-9]+", where.removeprefix("layers").lower()))
    return bool(words & _COUNTS) and words <= _COUNTS | _BESIDE


def best_of(
    matrices: Iterable[tuple[str, sparse.csr_matrix]],
) -> tuple[str, sparse.csr_matrix, list[str]]:
    """Choose the matrix with the counts: whole numbers, most genes, and a name that says so.

    Parameters
    ----------
    matrices
        Place and values of each, X first; read one at a time.

    Returns
    -------
    where, x, notes
        Place and values of the best one, or of the first if none holds whole numbers, so that
        `ingest` can say what is wrong with it. Notes say which was taken and why, and where
        another that holds counts too differs from it.

    Raises
    ------
    CtcflowError
        Cells have no counts in the best one, and values in another: it was filled for some only.
    """
    first: str = ""
    best: tuple[tuple[bool, float, int, bool], str, sparse.csr_matrix] | None = None
    notes, filled = list[str](), dict[str, npt.NDArray[np.bool_]]()
    for where, x in matrices:
        first = first or where
        filled[where] = x.getnnz(axis=1) > 0
        share = round(float(filled[where].mean()), 2) if x.shape[0] else 1.0
        rank = are_counts(x.data) and x.nnz > 0, share, x.shape[1], where.startswith("layers")
        if best is None or (rank[0] and rank > best[0]):
            before, best = best, (rank, where, x)
            if before is not None and before[0][0]:
                notes.append(_how_they_differ(where, x, before[1], before[2]))
        elif rank[0]:
            notes.append(_how_they_differ(best[1], best[2], where, x))
    if best is None:
        raise ValueError("no matrix to choose from")
    _, where, x = best
    _refuse_filled_for_some(where, filled)
    if where != first and not any(note for note in notes):
        notes.append(f"{first} does not hold counts, {where} is used")
    return where, x, [note for note in notes if note]


def _refuse_filled_for_some(where: str, filled: dict[str, npt.NDArray[np.bool_]]) -> None:
    for other, has_values in filled.items():
        if has_values.size != filled[where].size:
            continue
        empty = int(np.count_nonzero(has_values & ~filled[where]))
        if empty >= _FEWEST_EMPTY and empty > _MOST_EMPTY * has_values.size:
            raise CtcflowError(
                f"{empty} of {has_values.size} cells have no counts in {where} and values in"
                f" {other}: give a file in which every cell has its counts (a join of several has"
                " them for some only)"
            )


def _how_they_differ(taken: str, x: sparse.csr_matrix, other: str, y: sparse.csr_matrix) -> str:
    if x.shape != y.shape:
        return (
            f"{taken} and {other} both hold counts, of {x.shape[1]} and {y.shape[1]} genes:"
            f" {taken} is used, which has more"
        )
    n_values = int((x != y).nnz)
    if n_values == 0:
        return ""
    return (
        f"{taken} and {other} both hold whole numbers and differ in {n_values} values (sums"
        f" {x.sum():.0f} and {y.sum():.0f}): {taken} is used; set `matrix` in the sample sheet to"
        " use the other"
    )


def parts_of(adata: AnnData, counts: Any, *, var: pd.DataFrame) -> Parts:
    """Convert an AnnData in memory to what the readers of files return.

    Parameters
    ----------
    adata
        With its names and `obsm`.
    counts : (n_cells, n_features)
        The counts, dense or sparse: X, raw.X or a layer.
    var
        Features of the counts.
    """
    ids, types = ids_and_types(var, strings)
    notes = list[str]()
    tables = tuple(tables_of(adata.obsm, lambda element: element, notes))
    x = as_csr(counts)
    names = strings(adata.obs_names), strings(var.index)
    return Parts(x, *names, ids, types, notes, tables)


def ids_and_types(
    var: Mapping[str, Any], read: Callable[[Any], Names]
) -> tuple[Names | None, Names | None]:
    """Ids and types of features; None where `var` has none.

    Parameters
    ----------
    var
        A DataFrame, or a group of an HDF5 file.
    read
        Returns a column as text.
    """
    ids = next((read(var[c]) for c in _ID_COLUMNS if c in var), None)
    types = next((read(var[c]) for c in _TYPE_COLUMNS if c in var), None)
    return ids, types


def tables_of(
    obsm: Mapping[str, Any], read: Callable[[Any], Any], notes: list[str]
) -> Iterator[Table]:
    """Find tables of proteins and hashtags in obsm: numeric DataFrames, recognised by their names.

    Parameters
    ----------
    obsm
        obsm of an AnnData, or a group of an HDF5 file.
    read
        Reads an element.
    notes
        Extended in place: what is not read, and why.
    """
    for key in obsm:
        kind = kind_of(str(key))
        if kind not in SLOTS:
            continue
        source = f'obsm["{key}"]'
        frame = read(obsm[key])
        if not isinstance(frame, pd.DataFrame):
            notes.append(f"{source} stays in the file: its columns have no names")
            continue
        values = frame.to_numpy()
        if values.dtype.kind not in "iufb":
            notes.append(f"{source} stays in the file: it holds text or missing values")
            continue
        names = strings(frame.columns)
        none = np.full(names.size, "", dtype=object)
        yield Table(kind, source, as_csr(values), None, names, none, none)
