"""Matrix Market folders of Cell Ranger (v2, v3) and STARsolo."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.raw import Parts, reading


def read_mtx(files: tuple[Path, ...]) -> Parts:
    """Read matrix, features and barcodes; the matrix on disk is features x cells.

    Raises
    ------
    CtcflowError
        A file is damaged, or the three do not fit together.
    """
    matrix, features, barcodes = files
    columns = _columns(features)
    cells = _columns(barcodes)[0]
    with reading(matrix, "Matrix Market"):
        from scipy.io import mmread

        x = sparse.coo_matrix(mmread(matrix, spmatrix=True))
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


def _columns(path: Path) -> list[pd.Series]:
    """Read a headerless tab-separated file as columns of text."""
    with reading(path, "tab-separated text"):
        try:
            frame = pd.read_csv(
                path,
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
