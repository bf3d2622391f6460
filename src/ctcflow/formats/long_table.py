"""Long tables: a line for each gene of each cell, as `umi_tools count` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats import words
from ctcflow.formats.bounds import opened
from ctcflow.formats.raw import Parts
from ctcflow.formats.text import Head, text_error

_GENES: Final = words.SYMBOLS | words.IDS


def is_long(head: Head) -> bool:
    """Whether a header names gene, cell and count and nothing else."""
    return head.n_columns == 3 and _order(head) is not None


def _order(head: Head) -> tuple[int, int, int] | None:
    """Columns of gene, cell and count."""
    found = [words.plain(name) for name in head.names]
    wanted = (_GENES, words.CELLS, words.COUNTS)
    at = [[place for place, word in enumerate(found) if word in of] for of in wanted]
    if [len(places) for places in at] != [1, 1, 1]:
        return None
    return at[0][0], at[1][0], at[2][0]


def read_long(path: Path, head: Head, lines_at_once: int) -> Parts:
    """Read a table with the columns gene, cell and count, in any order.

    Parameters
    ----------
    path, head
        The file, and its first lines, of which `is_long` is true.
    lines_at_once
        Lines in memory at once.

    Raises
    ------
    CtcflowError
        A count is no number, or a gene is counted twice in a cell.
    """
    order = _order(head)
    if order is None:
        raise ValueError("it has no columns of gene, cell and count")
    gene, cell, count = order
    genes, cells = dict[str, int](), dict[str, int]()
    pieces: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.number]]] = []
    with (
        opened(path) as file,
        pd.read_csv(
            file,
            sep=head.separator,
            header=None,
            names=list(range(3)),
            index_col=False,
            skiprows=head.first,
            dtype={gene: np.dtype(object), cell: np.dtype(object)},
            keep_default_na=False,
            na_values={count: ["", "NA", "NaN", "nan"]},
            chunksize=lines_at_once // 3,
            encoding="utf-8-sig",
        ) as frames,
    ):
        for frame in frames:
            values = _counts(path, head, frame[count])
            pieces.append((_codes(frame[cell], cells), _codes(frame[gene], genes), values))
    return _assembled(path, pieces, genes, cells)


def _codes(column: pd.Series, known: dict[str, int]) -> npt.NDArray[np.int64]:
    codes, names = pd.factorize(column)
    places = np.array([known.setdefault(str(name), len(known)) for name in names], dtype=np.int64)
    return np.asarray(places[codes], dtype=np.int64)


def _counts(path: Path, head: Head, column: pd.Series) -> npt.NDArray[np.number]:
    if not pd.api.types.is_numeric_dtype(column):
        numbers = pd.to_numeric(column.astype(str), errors="coerce")
        seen = str(
            column[~np.isfinite(numbers)].iloc[0] if numbers.isna().any() else column.iloc[0]
        )
        at = int(str(column.name))
        raise text_error(path, at, head.names[at], seen)
    return np.asarray(column.to_numpy())


def _assembled(
    path: Path,
    pieces: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.number]]],
    genes: dict[str, int],
    cells: dict[str, int],
) -> Parts:
    rows, columns, values = (np.concatenate(part) for part in zip(*pieces, strict=True))
    x = sparse.coo_matrix((values, (rows, columns)), shape=(len(cells), len(genes))).tocsr()
    if x.nnz < values.size:
        repeated = values.size - x.nnz
        raise CtcflowError(
            f"`{path}` counts {repeated} genes more than once in a cell: give one line for each"
            " gene of each cell"
        )
    x.eliminate_zeros()
    barcodes, names = (np.array(list(found), dtype=object) for found in (cells, genes))
    note = "a long table: one line for each gene of each cell"
    return Parts(x, barcodes, names, None, None, [note])
