"""HDF5 files: Cell Ranger .h5 (v2, v3), AnnData .h5ad and MuData .h5mu."""

from __future__ import annotations

import warnings
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
from ctcflow.formats.bounds import check_arrays, unpacked
from ctcflow.formats.features import kind_of
from ctcflow.formats.loom import loom_names
from ctcflow.formats.others import what_it_is
from ctcflow.formats.raw import Names, Parts, check_shape, reading, strings
from ctcflow.formats.values import as_csr, native

_ROWS_AT_ONCE: Final = 2000


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; it is unpacked first if it is gzipped.

    Raises
    ------
    CtcflowError
        It is not an HDF5 file, is truncated, or declares arrays larger than the file can hold.
    """
    with reading(path, "HDF5"), unpacked(path) as whole, h5py.File(whole, "r") as file:
        check_arrays(path, file)
        yield file


def of_10x_h5(path: Path, file: h5py.File) -> Parts:
    """Read a Cell Ranger .h5 file: group `matrix` (v3) or one group per genome (v2).

    Parameters
    ----------
    path
        What error messages name.
    file
        The open file.

    Raises
    ------
    CtcflowError
        The file has another layout, or holds two genomes.
    """
    if "matrix/features" in file:
        group, features = file["matrix"], file["matrix/features"]
        names, ids = features["name"], features["id"]
        types = features.get("feature_type", None)
    else:
        group = _genome(path, file)
        names, ids, types = group["gene_names"], group["genes"], None
    n_features, n_cells = (int(n) for n in group["shape"][:])
    x = sparse.csr_matrix(
        (native(group["data"][:]), group["indices"][:], group["indptr"][:]),
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
    """Symbols and ids of the features of an open HDF5 file; empty where unknown."""
    if "matrix/features" in file:
        return [strings(file["matrix/features"][name][:]) for name in ("name", "id")]
    if "row_attrs" in file:
        return loom_names(file)
    if "mod" in file:
        return [part for group in file["mod"].values() for part in _names_and_ids(group)]
    if "var" in file:
        return _names_and_ids(file)
    genomes = [g for g in file.values() if isinstance(g, h5py.Group) and "gene_names" in g]
    return [strings(g[name][:]) for g in genomes for name in ("gene_names", "genes")]


def _names_and_ids(group: h5py.Group) -> list[Names]:
    var = group["raw/var"] if "raw/var" in group else group["var"]
    if not isinstance(var, h5py.Group):  # anndata before 0.7
        return []
    names, ids, _ = _genes_of(var)
    return [names] if ids is None else [names, ids]


def _genome(path: Path, file: h5py.File) -> h5py.Group:
    genomes = [k for k, g in file.items() if isinstance(g, h5py.Group) and "gene_names" in g]
    if not genomes:
        raise _other_than(path, file, "a Cell Ranger matrix")
    if len(genomes) > 1:
        raise CtcflowError(
            f"`{path}` holds {len(genomes)} genomes ({', '.join(genomes)}): give the matrix"
            " folder of one of them"
        )
    return file[genomes[0]]


def _other_than(path: Path, file: h5py.File, wanted: str) -> CtcflowError:
    """Say what a file holds that is not what its name or the user says."""
    groups = list(file)
    found = ", ".join(groups[:6]) + (f" and {len(groups) - 6} more" if len(groups) > 6 else "")
    known = "give another file"
    if "barcode_idx" in file or {"umi", "barcode"} <= set(file):
        known = f"it is {what_it_is('molecule_info.h5')}"
    elif {"assays", "cell.names"} <= set(file):
        known = f"it is {what_it_is(f'{path.stem}.h5seurat')}"
    return CtcflowError(
        f"`{path}` is HDF5 but not {wanted} (found groups {found or 'none'}): {known}"
    )


def of_h5ad(path: Path, file: h5py.File, matrix: str | None) -> Parts:
    """Read counts of an .h5ad file, from the matrix that holds them (see `annotated.best_of`).

    Parameters
    ----------
    path
        What error messages name.
    file
        The open file.
    matrix
        `X`, `raw.X` or the name of a layer; None to look at all that may hold counts.

    Raises
    ------
    CtcflowError
        The file holds no matrix, or not this one.
    """
    if not {"obs", "var"} <= set(file):
        raise _other_than(path, file, "AnnData")
    if all(isinstance(file[part], h5py.Group) for part in ("obs", "var")):
        return _read_group(path, file, matrix)
    return _read_legacy(path, file.filename, matrix)


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
        return pd.DataFrame(_legacy(path, file.filename).obs)


def of_h5mu(path: Path, file: h5py.File, matrix: str | None) -> Parts:
    """Read counts of the modality `rna` of an .h5mu file, and proteins and hashtags as tables.

    Other modalities are not read, only named in the notes.

    Parameters
    ----------
    path
        What error messages name.
    file
        The open file.
    matrix
        As in `of_h5ad`, of the modality.

    Raises
    ------
    CtcflowError
        The file has no modality `rna` (or `gex`).
    """
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
    found = _read_group(path, group)
    check_shape(path, found)
    none = np.full(found.names.size, "", dtype=object)
    ids, types = (none if part is None else part for part in (found.ids, found.types))
    return Table(kind, f"modality `{name}`", found.x, found.barcodes, found.names, ids, types)


def _read_group(path: Path, group: h5py.Group, matrix: str | None = None) -> Parts:
    """Read a group that holds an AnnData, without metadata, embeddings and other layers."""
    where, x, notes = _counts_of(path, group, matrix)
    names, ids, types = _genes_of(group["raw/var"] if where == "raw.X" else group["var"])
    tables = tuple(tables_of(group.get("obsm", {}), _element, notes))
    return Parts(x, _index_of(group["obs"]), names, ids, types, notes, tables)


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
    places = ", ".join(there)
    there = {where: key for where, key in there.items() if may_be_counts(where)}
    if not there:
        raise CtcflowError(
            f"`{path}` has no X, and no layer that is named as counts (found {places}): name the"
            " one with raw counts in the column `matrix` of the sheet"
        )
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
        stored = _element(element)
        # before it is converted: scipy would follow an index beyond the end
        stored.check_format(full_check=True)
        return as_csr(stored)
    # In pieces: a dense matrix of 50,000 cells would take 6 GB.
    n_rows, n_columns = element.shape
    blocks = [
        as_csr(element[start : start + _ROWS_AT_ONCE]) for start in range(0, n_rows, _ROWS_AT_ONCE)
    ]
    if not blocks:
        return sparse.csr_matrix((0, n_columns), dtype=element.dtype)
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr"))


def _genes_of(var: h5py.Group) -> tuple[Names, Names | None, Names | None]:
    return _index_of(var), *ids_and_types(var, _strings_of)


def _index_of(frame: h5py.Group) -> Names:
    """Names of the rows of obs or var; converters such as SeuratDisk may not say where they are."""
    named = frame.attrs.get("_index", "_index")
    return _strings_of(frame[next((n for n in (named, "_index", "index") if n in frame), named)])


def _strings_of(element: h5py.Group | h5py.Dataset) -> Names:
    levels = element.parent.get("__categories")
    name = element.name.rsplit("/", 1)[-1]
    if levels is None or name not in levels:
        return strings(_element(element))
    # anndata before 0.8 and SeuratDisk: codes, with the words apart; a code below 0 is missing
    words = np.append(strings(levels[name][:]), "nan")
    return np.asarray(words[np.where(element[:] < 0, -1, element[:])], dtype=object)


def _element(element: Any) -> Any:
    from anndata.io import read_elem

    return _by_anndata(read_elem, element)


def _by_anndata(read: Callable[[Any], Any], given: Any) -> Any:
    from anndata import OldFormatWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OldFormatWarning)  # old files are read on purpose
            return read(given)
    except DAMAGED:
        raise
    except Exception as error:  # anndata's error for an unknown encoding has no public name
        raise ValueError(f"anndata does not know it, is it of a newer one? {error}") from error


def _read_legacy(path: Path, unpacked: str, matrix: str | None) -> Parts:
    """Read a file of anndata before 0.8, which `read_elem` cannot read."""
    adata = _legacy(path, unpacked)
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


def _legacy(path: Path, unpacked: str) -> Any:
    import anndata

    with reading(path, "h5ad"):
        return _by_anndata(anndata.read_h5ad, unpacked)
