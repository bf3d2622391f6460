"""HDF5 files: Cell Ranger .h5 (v2, v3), AnnData .h5ad and MuData .h5mu."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from ctcflow.errors import DAMAGED, CtcflowError
from ctcflow.formats.annotated import (
    best_of,
    ids_and_types,
    matrices_of,
    may_be_counts,
    parts_of,
    tables_of,
)
from ctcflow.formats.beside import SLOTS, Table
from ctcflow.formats.bounds import check_arrays
from ctcflow.formats.features import kind_of
from ctcflow.formats.raw import Names, Parts, check_shape, reading, strings

_ROWS_AT_ONCE: Final = 2000


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises
    ------
    CtcflowError
        It is not an HDF5 file, is truncated, or declares arrays larger than the file can hold.
    """
    with reading(path, "HDF5"), h5py.File(path, "r") as file:
        check_arrays(path, file)
        yield file


def read_10x_h5(path: Path) -> Parts:
    """Read a Cell Ranger .h5 file: group `matrix` (v3) or one group per genome (v2).

    Raises
    ------
    CtcflowError
        The file is damaged, has another layout, or holds two genomes.
    """
    with opened(path) as file:
        if "matrix/features" in file:
            group, features = file["matrix"], file["matrix/features"]
            names, ids = features["name"], features["id"]
            types = features.get("feature_type", None)
        else:
            group = _genome(path, file)
            names, ids, types = group["gene_names"], group["genes"], None
        n_features, n_cells = (int(n) for n in group["shape"][:])
        x = sparse.csr_matrix(
            (group["data"][:], group["indices"][:], group["indptr"][:]),
            shape=(n_cells, n_features),
        )
        return Parts(
            x=x,
            barcodes=strings(group["barcodes"][:]),
            names=strings(names[:]),
            ids=strings(ids[:]),
            types=None if types is None else strings(types[:]),
            notes=[],
        )


def feature_names(file: h5py.File) -> list[Names]:
    """Symbols and ids of the features of an open .h5, .h5ad or .h5mu file; empty where unknown."""
    if "matrix/features" in file:
        return [strings(file["matrix/features"][name][:]) for name in ("name", "id")]
    if "mod" in file:
        return [part for group in file["mod"].values() for part in _names_and_ids(group)]
    if "var" in file:
        return _names_and_ids(file)
    genomes = [g for g in file.values() if isinstance(g, h5py.Group) and "gene_names" in g]
    return [strings(g[name][:]) for g in genomes for name in ("gene_names", "genes")]


def _names_and_ids(group: h5py.Group) -> list[Names]:
    var = group["raw/var"] if "raw/var" in group else group["var"]
    if not isinstance(var, h5py.Group) or "_index" not in var.attrs:  # anndata before 0.8
        return []
    names, ids, _ = _genes_of(var)
    return [names] if ids is None else [names, ids]


def _genome(path: Path, file: h5py.File) -> h5py.Group:
    genomes = [k for k, g in file.items() if isinstance(g, h5py.Group) and "gene_names" in g]
    if not genomes:
        raise CtcflowError(_layout(path, file))
    if len(genomes) > 1:
        raise CtcflowError(
            f"`{path}` holds {len(genomes)} genomes ({', '.join(genomes)}): give the matrix"
            " folder of one of them"
        )
    return file[genomes[0]]


def _layout(path: Path, file: h5py.File) -> str:
    return (
        f"`{path}` is HDF5 but not a Cell Ranger matrix (found groups {', '.join(file) or 'none'}):"
        " rename it to .h5ad or .h5mu if it is one, or give another file"
    )


def read_h5ad(path: Path, matrix: str | None = None) -> Parts:
    """Read counts of an .h5ad file, from the matrix that holds them (see `annotated.best_of`).

    Parameters
    ----------
    path
        The file.
    matrix
        `X`, `raw.X` or the name of a layer; None to look at all that may hold counts.

    Raises
    ------
    CtcflowError
        The file is damaged, or holds no matrix or not this one.
    """
    with opened(path) as file:
        if "encoding-type" in file.attrs:
            return _read_group(path, file, matrix)
        if not {"obs", "var"} <= set(file):
            raise CtcflowError(
                f"`{path}` is HDF5 but not AnnData (found groups {', '.join(file) or 'none'}):"
                " set the format to 10x_h5 if it is a Cell Ranger matrix, or give another file"
            )
    return _read_legacy(path, matrix)


def read_obs(path: Path) -> pd.DataFrame:
    """Read obs of an .h5ad file, unchanged.

    Raises
    ------
    CtcflowError
        The file is damaged or is not an .h5ad.
    """
    with opened(path) as file:
        if "encoding-type" in file.attrs:
            return pd.DataFrame(_element(file["obs"]))
    return pd.DataFrame(_legacy(path).obs)


def read_h5mu(path: Path, matrix: str | None = None) -> Parts:
    """Read counts of the modality `rna` of an .h5mu file, and proteins and hashtags as tables.

    Other modalities are not read, only named in the notes.

    Parameters
    ----------
    path
        The file.
    matrix
        As in `read_h5ad`, of the modality.

    Raises
    ------
    CtcflowError
        The file is damaged or has no modality `rna` (or `gex`).
    """
    with opened(path) as file:
        modalities = list(file["mod"]) if "mod" in file else []
        rna = [m for m in modalities if m.lower() in ("rna", "gex")]
        if len(rna) != 1:
            raise CtcflowError(
                f"`{path}` has no single modality `rna` (found {', '.join(modalities) or 'none'}):"
                " name the one with the RNA counts `rna`"
            )
        parts = _read_group(path, file["mod"][rna[0]], matrix)
        groups = {m: file["mod"][m] for m in modalities if m != rna[0]}
        tables = {m: _table_of(path, m, group) for m, group in groups.items()}
    others = [m for m, table in tables.items() if table is None]
    if others:
        parts.notes.append(f"modalities left in the file for later steps: {', '.join(others)}")
    read = (table for table in tables.values() if table is not None)
    return parts._replace(tables=(*read, *parts.tables))


def _table_of(path: Path, name: str, group: h5py.Group) -> Table | None:
    """Read a modality as a table; None unless it is proteins or hashtags and has a matrix."""
    kind = kind_of(name)
    if kind not in SLOTS or not _matrices(group):
        return None
    parts = _read_group(path, group)
    check_shape(path, parts)
    none = np.full(parts.names.size, "", dtype=object)
    ids, types = (none if part is None else part for part in (parts.ids, parts.types))
    return Table(kind, f"modality `{name}`", parts.x, parts.barcodes, parts.names, ids, types)


def _read_group(path: Path, group: h5py.Group, matrix: str | None = None) -> Parts:
    """Read a group that holds an AnnData, without metadata, embeddings and other layers."""
    where, x, notes = _counts_of(path, group, matrix)
    names, ids, types = _genes_of(group["raw/var"] if where == "raw.X" else group["var"])
    obs = group["obs"]
    tables = tuple(tables_of(group.get("obsm", {}), _element, notes))
    return Parts(x, _strings_of(obs[obs.attrs["_index"]]), names, ids, types, notes, tables)


def _counts_of(
    path: Path, group: h5py.Group, matrix: str | None
) -> tuple[str, sparse.csr_matrix, list[str]]:
    """Read the matrix that holds the counts, and say where another one differs from it."""
    there = _matrices(group)
    if not there:
        raise CtcflowError(f"`{path}` holds no matrix (X is empty): give a file with raw counts")
    if matrix is not None:
        wanted = {where: key for where, key in there.items() if matrix in (where, key)}
        wanted |= {where: key for where, key in there.items() if f"layers/{matrix}" == key}
        if not wanted:
            raise CtcflowError(
                f"`{path}` has no matrix `{matrix}` (found {', '.join(there)}): name one of these"
            )
        where, key = next(iter(wanted.items()))
        return where, _matrix(group[key]), [f"counts are read from {where}, as asked"]
    there = {where: key for where, key in there.items() if may_be_counts(where)}
    found = ((where, _matrix(group[key])) for where, key in there.items())
    where, x, notes = best_of(found)
    return where, x, notes


def _matrices(group: h5py.Group) -> dict[str, str]:
    """Matrices by the words that a user knows them by, each with its key in the file."""
    layers = group.get("layers", {})
    places = {f'layers["{name}"]': f"layers/{name}" for name in layers}
    places = {"X": "X", **places, "raw.X": "raw/X"}
    return {k: v for k, v in places.items() if v in group and _is_matrix(group[v])}


def _is_matrix(element: h5py.Group | h5py.Dataset) -> bool:
    return bool(element.attrs.get("encoding-type") != "null")


def _matrix(element: h5py.Group | h5py.Dataset) -> sparse.csr_matrix:
    if isinstance(element, h5py.Group):
        return sparse.csr_matrix(_element(element))
    # In pieces: a dense matrix of 50,000 cells would take 6 GB.
    n_rows, n_columns = element.shape
    blocks = [
        sparse.csr_matrix(element[start : start + _ROWS_AT_ONCE])
        for start in range(0, n_rows, _ROWS_AT_ONCE)
    ]
    if not blocks:
        return sparse.csr_matrix((0, n_columns), dtype=element.dtype)
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr"))


def _genes_of(var: h5py.Group) -> tuple[Names, Names | None, Names | None]:
    return _strings_of(var[var.attrs["_index"]]), *ids_and_types(var, _strings_of)


def _strings_of(element: Any) -> Names:
    return strings(_element(element))


def _element(element: Any) -> Any:
    from anndata.io import read_elem

    return _by_anndata(read_elem, element)


def _by_anndata(read: Callable[[Any], Any], element: Any) -> Any:
    try:
        return read(element)
    except DAMAGED:
        raise
    except Exception as error:  # anndata's error for an unknown encoding has no public name
        raise ValueError(f"anndata does not know it, is it of a newer one? {error}") from error


def _read_legacy(path: Path, matrix: str | None) -> Parts:
    """Read a file of anndata before 0.8, which `read_elem` cannot read."""
    adata = _legacy(path)
    there = matrices_of(adata)
    if matrix is not None:
        there = {where: x for where, x in there.items() if matrix in (where, where[8:-2])}
    else:
        there = {where: x for where, x in there.items() if may_be_counts(where)}
    if not there:
        raise CtcflowError(
            f"`{path}` holds no matrix{f' `{matrix}`' if matrix else ' (X is empty)'}: give a file"
            " with raw counts"
        )
    where, x, notes = best_of((where, sparse.csr_matrix(x)) for where, x in there.items())
    found = parts_of(adata, x, var=adata.raw.var if where == "raw.X" else adata.var)
    return found._replace(notes=[*notes, *found.notes])


def _legacy(path: Path) -> Any:
    import anndata

    with reading(path, "h5ad"):
        return _by_anndata(anndata.read_h5ad, path)
