"""Rank-based signature scores (UCell), which depend on one cell alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

MAX_RANK = 1500
"""Genes ranked below this count as not expressed (Andreatta & Carmona 2021)."""


def ranks(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Rank of each detected gene within its cell, 1 for the highest, ties averaged.

    Returns
    -------
    (n, g) CSR of float64 ranks for the non-zero entries.
    """
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    order = np.lexsort((-counts.data, rows))
    value, row = counts.data[order], rows[order]
    start = np.empty(value.size, dtype=bool)
    start[:1] = True
    start[1:] = (value[1:] != value[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(start)
    last = np.append(first[1:], value.size)
    average = (first + last + 1) / 2 - counts.indptr[row[first]]
    rank = np.empty(value.size)
    rank[order] = np.repeat(average, last - first)
    return sp.csr_matrix((rank, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)


def ucell(rank: sp.csr_matrix, sets: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[np.float64]:
    """UCell score of each cell for each gene set (doi:10.1016/j.csbj.2021.06.043).

    Parameters
    ----------
    rank
        (n, g) ranks from `ranks`.
    sets
        Column indices of each set's genes; an empty set scores NaN.

    Returns
    -------
    (n, s) scores in [0, 1]: 1 - U / U_max of the Mann-Whitney statistic over the top 1,500 genes.
    """
    scores = np.full((rank.shape[0], len(sets)), np.nan)
    columns = rank.tocsc()
    for position, genes in enumerate(sets):
        size = genes.size
        if size == 0:
            continue
        chosen = columns[:, genes]
        chosen.data = np.minimum(chosen.data, MAX_RANK + 1.0)
        seen = np.diff(chosen.tocsr().indptr)
        total = np.asarray(chosen.sum(axis=1)).ravel() + (size - seen) * (MAX_RANK + 1.0)
        least = size * (size + 1) / 2
        scores[:, position] = 1.0 - (total - least) / (size * (MAX_RANK + 1.0) - least)
    return np.clip(scores, 0.0, 1.0)


def coverage(columns: Mapping[str, npt.NDArray[np.intp]], sets: pd.DataFrame) -> dict[str, str]:
    """Number of genes of each set that are in the data, out of all its genes, as `12/35`.

    Parameters
    ----------
    columns
        Columns of each set's genes that are in the data.
    sets
        `set`, `gene`, `direction`.
    """
    positive = sets[sets["direction"] == 1]
    sizes = positive.groupby("set", sort=True)["gene"].nunique()
    return {
        name: f"{columns_of_set.size}/{sizes[name]}" for name, columns_of_set in columns.items()
    }
