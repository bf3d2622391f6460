"""Matrix Market files with their lists of genes and cells."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.bounds import opened
from ctcflow.formats.known_genes import KnownGenes
from ctcflow.formats.lists import cells_of, features_of
from ctcflow.formats.raw import Names, Parts, reading
from ctcflow.formats.triplets import genes_in_rows
from ctcflow.formats.values import beyond

_KINDS: Final = (["integer", "general"], ["real", "general"])
_LINES_AT_ONCE: Final = 2_000_000
_LOOKED_AT: Final = 1000
"""Names of a list that are compared with the known genes."""
_MOST_CELLS_ARE_GENES: Final = 0.5
_FEW_GENES: Final = 0.1


def read_mtx(files: tuple[Path, ...], genes: pd.DataFrame | None) -> Parts:
    """Read a matrix and its lists; which of its sides the genes are is told by their lengths.

    Parameters
    ----------
    files
        As `triplets.Triplet` has them.
    genes
        Known genes, to see that no list has the name of another.

    Raises
    ------
    CtcflowError
        A file is damaged, or they do not fit together.
    """
    names, ids, types = features_of(files)
    cells = cells_of(files)
    _refuse_swapped(files, (names, ids), cells, KnownGenes.of(genes))
    with reading(files[0], "Matrix Market"):
        x = _matrix(files[0])
    x, notes = _genes_in_rows(files, x, (names.size, cells.size))
    cells_in_rows = sparse.csr_matrix(x.T)
    if cells_in_rows.nnz < x.nnz:
        raise CtcflowError(
            f"`{files[0]}` gives {x.nnz - cells_in_rows.nnz} values for a gene and cell that have"
            " one already: write it again from its source"
        )
    return Parts(cells_in_rows, cells, names, ids, types, notes)


def _genes_in_rows(
    files: tuple[Path, ...], x: sparse.coo_matrix, wanted: tuple[int, int]
) -> tuple[sparse.coo_matrix, list[str]]:
    """Turn a matrix to genes x cells; its producer's habit decides only if it is square."""
    habit = genes_in_rows(files)
    if x.shape not in (wanted, wanted[::-1]):
        raise CtcflowError(
            f"`{files[0]}` has {x.shape[0]} rows and {x.shape[1]} columns, but {files[1].name} has"
            f" {wanted[0]} lines and {files[2].name} {wanted[1]}: copy the three files again"
        )
    if wanted[0] != wanted[1]:
        as_it_is = x.shape == wanted
    elif habit is None and x.nnz:
        raise CtcflowError(
            f"`{files[0]}` has as many genes as cells ({wanted[0]}), so that either may be its"
            " rows: name the files matrix.mtx, features.tsv and barcodes.tsv if these are the genes"
        )
    else:
        as_it_is = habit is not False
    turned = habit is not False and not as_it_is
    notes = [f"{files[0].name} is cells x features and was transposed"] if turned else []
    return (x if as_it_is else x.T), notes


def _refuse_swapped(
    files: tuple[Path, ...], features: tuple[Names, Names | None], cells: Names, known: KnownGenes
) -> None:
    given = [part[:_LOOKED_AT] for part in features if part is not None]
    if (
        known.share(cells[:_LOOKED_AT]) > _MOST_CELLS_ARE_GENES
        and max(known.share(part) for part in given) < _FEW_GENES
    ):
        raise CtcflowError(
            f"`{files[2]}` lists genes and `{files[1].name}` does not: swap the names of the two"
        )


def _matrix(path: Path) -> sparse.coo_matrix:
    """Read a sparse matrix, its triplets in pieces.

    This uses pandas, because the reader of scipy 1.18 crashes on a line with a zero byte, and drops
    without warning the decimals of a value and a fourth value of a line.
    """
    with opened(path) as file:
        shape, n_values = _head(path, file)
        at, first = file.tell(), file.readline()
        if first.strip() and len(first.split()) != 3:
            raise ValueError(f"its lines have {len(first.split())} values, not three")
        plain = first.rstrip(b"\r\n").split(b" ") == first.split()
        for separator in (" ", r"\s+") if plain else (r"\s+",):
            file.seek(at)
            try:
                rows, columns, values = _triplets(file, n_values, separator)
                break
            except ValueError:
                # some writers put more than one space between numbers
                if separator != " ":
                    raise
    for index, size in ((rows, shape[0]), (columns, shape[1])):
        if index.size and not 1 <= index.min() <= index.max() <= size:
            raise ValueError("it names a row or column that its head does not have")
        index -= 1
    return sparse.coo_matrix((values, (rows, columns)), shape=shape)


def _head(path: Path, file: IO[bytes]) -> tuple[tuple[int, int], int]:
    words = file.readline(1000).decode("ascii", errors="replace").lower().split()
    if words[:1] != ["%%matrixmarket"]:
        raise ValueError("its first line does not begin with %%MatrixMarket")
    if words[1:3] != ["matrix", "coordinate"] or words[3:] not in _KINDS:
        raise CtcflowError(
            f"`{path}` is a matrix of kind `{' '.join(words[2:])[:80]}`: give counts as `coordinate"
            " integer general`, as Cell Ranger and STARsolo write them"
        )
    while (line := file.readline()).startswith(b"%") or not (line.strip() or line == b""):
        pass
    n_rows, n_columns, n_values = map(int, line.split())
    return (n_rows, n_columns), n_values


def _triplets(file: IO[bytes], n_values: int, separator: str) -> list[npt.NDArray[Any]]:
    """Row, column and value of every line, read into arrays of the length given in the header."""
    names = ["row", "column", "value"]
    found: list[npt.NDArray[Any]] = [
        np.empty(n_values, dtype=kind) for kind in (np.int32, np.int32, np.int64)
    ]
    start = 0
    with contextlib.suppress(pd.errors.EmptyDataError):
        for frame in pd.read_csv(
            file,
            sep=separator,
            header=None,
            names=names,
            dtype={"row": np.int32, "column": np.int32},
            index_col=False,
            na_filter=False,
            low_memory=False,
            quoting=csv.QUOTE_NONE,
            chunksize=_LINES_AT_ONCE,
        ):
            end = start + len(frame)
            values = frame["value"].to_numpy()
            if len(frame) and values.dtype.kind not in "iuf":
                raise ValueError("it holds text where counts should be")
            if len(frame) and (what := beyond(values)):
                raise ValueError(f"it holds {what}")
            if end > n_values:
                raise ValueError(f"it has more lines of counts than the {n_values} of its head")
            if values.dtype.kind == "f":
                found[2] = found[2].astype(np.float64, copy=False)
            for part, name in zip(found, names, strict=True):
                part[start:end] = frame[name].to_numpy()
            start = end
    if start != n_values:
        raise ValueError(f"it has {start} lines of counts, but its head says {n_values}")
    return found
