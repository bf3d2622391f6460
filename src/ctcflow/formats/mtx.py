"""Matrix Market folders of Cell Ranger (v2, v3) and STARsolo."""

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
from ctcflow.formats.raw import Parts, reading

_KINDS: Final = (["integer", "general"], ["real", "general"])
_LINES_AT_ONCE: Final = 2_000_000


def read_mtx(files: tuple[Path, ...]) -> Parts:
    """Read matrix, features and barcodes; the matrix on disk is features x cells.

    Raises
    ------
    CtcflowError
        A file is damaged, or the three do not fit together.
    """
    matrix, features, barcodes = files
    columns = feature_columns(features)
    cells = feature_columns(barcodes)[0]
    with reading(matrix, "Matrix Market"):
        x = _matrix(matrix)
    notes = []
    wanted = (len(columns[0]), len(cells))
    if x.shape != wanted and x.shape == wanted[::-1]:
        notes.append(f"{matrix.name} is cells x features and was transposed")
        x = x.T
    if x.shape != wanted:
        raise CtcflowError(
            f"`{matrix}` has {x.shape[0]} rows and {x.shape[1]} columns, but {features.name} has"
            f" {wanted[0]} lines and {barcodes.name} {wanted[1]}: copy the three files again"
        )
    return Parts(
        x=sparse.csr_matrix(x.T),
        barcodes=cells.to_numpy(dtype=object),
        names=columns[1 if len(columns) > 1 else 0].to_numpy(dtype=object),
        ids=columns[0].to_numpy(dtype=object) if len(columns) > 1 else None,
        types=columns[2].to_numpy(dtype=object) if len(columns) > 2 else None,
        notes=notes,
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
    columns: list[npt.NDArray[Any]] = [
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
            if end > n_values:
                raise ValueError(f"it has more lines of counts than the {n_values} of its head")
            if values.dtype.kind == "f":
                columns[2] = columns[2].astype(np.float64, copy=False)
            for part, name in zip(columns, names, strict=True):
                part[start:end] = frame[name].to_numpy()
            start = end
    if start != n_values:
        raise ValueError(f"it has {start} lines of counts, but its head says {n_values}")
    return columns


def feature_columns(path: Path) -> list[pd.Series]:
    """Read a headerless tab-separated file (features, barcodes) as columns of text."""
    with reading(path, "tab-separated text"), opened(path) as file:
        try:
            frame = pd.read_csv(
                file,
                sep="\t",
                header=None,
                dtype=np.dtype(object),
                keep_default_na=False,
                quoting=csv.QUOTE_NONE,
            )
        except pd.errors.EmptyDataError:
            # A library in which no cell was found has an empty list of barcodes.
            return [pd.Series([], dtype=object)]
    return [frame[column] for column in frame]
