"""Read an AnnData, on disk or in memory: its genes, and tables of other modalities in obsm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from ctcflow.formats.beside import SLOTS, Table
from ctcflow.formats.features import kind_of
from ctcflow.formats.raw import Names, Parts, strings

if TYPE_CHECKING:
    from anndata import AnnData

_ID_COLUMNS: Final = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "ensembl_ids", "feature_id")
_TYPE_COLUMNS: Final = ("feature_types", "feature_type")


def parts_of(adata: AnnData, counts: Any) -> Parts:
    """Convert an AnnData in memory to what the readers of files return.

    Parameters
    ----------
    adata
        With its names, `var` and `obsm`.
    counts : (n_cells, n_features)
        The counts, dense or sparse: X or a layer.
    """
    ids, types = ids_and_types(adata.var, strings)
    notes = list[str]()
    tables = tuple(tables_of(adata.obsm, lambda element: element, notes))
    x = sparse.csr_matrix(counts)
    names = strings(adata.obs_names), strings(adata.var_names)
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
        yield Table(kind, source, sparse.csr_matrix(values), None, names, none, none)
