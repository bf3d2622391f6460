"""Loom files (loompy, velocyto): HDF5 with genes x cells in `matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.annotated import best_of, may_be_counts
from ctcflow.formats.raw import Names, Parts, strings
from ctcflow.formats.values import as_csr

_VALUES_AT_ONCE: Final = 20_000_000
# Names of attributes, best first: loompy and velocyto, loomR, scanpy, the Human Cell Atlas.
_SYMBOLS: Final = ("Gene", "gene_names", "var_names", "gene_name", "gene_symbol", "Genes")
_IDS: Final = ("Accession", "gene_ids", "gene_id", "ensembl_ids", "ensembl_id")
_TYPES: Final = ("feature_types", "feature_type")
_CELLS: Final = ("CellID", "cell_names", "obs_names", "CellIDs", "barcode", "cell_id", "Cell")
_RNA: Final = ("spliced", "unspliced", "ambiguous")


def of_loom(path: Path, file: h5py.File) -> Parts:
    """Read a Loom file of version 2 or 3.

    Parameters
    ----------
    path
        What error messages name.
    file
        The open file.

    Raises
    ------
    CtcflowError
        Its genes or cells have no names, or it is no Loom file.
    """
    if not {"matrix", "row_attrs", "col_attrs"} <= set(file):
        raise CtcflowError(
            f"`{path}` is HDF5 but not Loom (found groups {', '.join(file) or 'none'}): give"
            " another file"
        )
    genes, cells = file["row_attrs"], file["col_attrs"]
    ids = _first(genes, _IDS)
    names = _one(path, genes, (*_SYMBOLS, *_IDS), "genes")
    barcodes = _one(path, cells, _CELLS, "cells")
    layers = list(file.get("layers", ()))
    places = {"matrix": "matrix"} | {f'layers["{name}"]': f"layers/{name}" for name in layers}
    there = [(where, key) for where, key in places.items() if may_be_counts(where)]
    _, x, notes = best_of((where, _cells_in_rows(file[key])) for where, key in there)
    if set(_RNA) <= set(layers):
        notes.append(f"`matrix` is read; the layers {', '.join(_RNA)} stay in the file")
    return Parts(x, barcodes, names, ids, _first(genes, _TYPES), notes)


def loom_names(file: h5py.File) -> list[Names]:
    """Symbols and ids of the genes of an open Loom file."""
    found = (_first(file["row_attrs"], words) for words in (_SYMBOLS, _IDS))
    return [names for names in found if names is not None]


def _first(attributes: h5py.Group, words: tuple[str, ...]) -> Names | None:
    name = next((word for word in words if word in attributes), None)
    return None if name is None else strings(attributes[name][:])


def _one(path: Path, attributes: h5py.Group, words: tuple[str, ...], what: str) -> Names:
    found = _first(attributes, words)
    if found is None:
        raise CtcflowError(
            f"`{path}` does not name its {what} (found {', '.join(attributes) or 'none'} in"
            f" {attributes.name}): add the attribute `{words[0]}`"
        )
    return found


def _cells_in_rows(matrix: h5py.Dataset) -> sparse.csr_matrix:
    """Read the matrix in pieces, turned to cells x genes."""
    n_genes, n_cells = matrix.shape
    step = max(1, _VALUES_AT_ONCE // max(1, n_cells))
    blocks: list[Any] = [as_csr(matrix[start : start + step]) for start in range(0, n_genes, step)]
    if not blocks:
        return sparse.csr_matrix((n_cells, 0), dtype=np.int64)
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr").T)
