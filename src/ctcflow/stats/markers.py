"""Genes that tell groups of cells apart: difference of means, and AUC from exact ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def group_sums(matrix: sparse.csr_matrix, *, groups: Codes, n_groups: int) -> Matrix:
    """Sum of each column over the cells of each group, in float64.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
    groups : (n_cells,)
        Group of each cell.
    n_groups
        Number of groups.

    Returns
    -------
    (n_groups, n_genes)
    """
    n_genes = matrix.shape[1]
    rows = np.repeat(groups, np.diff(matrix.indptr))
    flat = rows * n_genes + matrix.indices
    sums = np.bincount(flat, weights=matrix.data, minlength=n_groups * n_genes)
    return np.asarray(sums).reshape(n_groups, n_genes)


def group_aucs(matrix: sparse.csr_matrix, *, groups: Codes, n_groups: int) -> Matrix:
    """Probability that a cell of the group exceeds a cell of the rest, ties counted half.

    The Mann-Whitney statistic over its maximum, from mid-ranks of the stored values; zeros are one
    tie below them.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        No negative values, canonical CSR.
    groups : (n_cells,)
        Group of each cell.
    n_groups
        Number of groups.

    Returns
    -------
    (n_groups, n_genes)
        NaN for a group that is empty or has all cells.
    """
    n_cells, n_genes = matrix.shape
    columns = matrix.tocsc()
    columns.eliminate_zeros()
    stored = np.diff(columns.indptr)
    gene = np.repeat(np.arange(n_genes), stored)
    order = np.lexsort((columns.data, gene))
    values, gene = columns.data[order], gene[order]
    position = np.arange(values.size) - columns.indptr[gene]
    new = np.ones(values.size, dtype=np.bool_)
    new[1:] = (values[1:] != values[:-1]) | (gene[1:] != gene[:-1])
    tie = np.cumsum(new) - 1
    sizes = np.bincount(tie) if values.size else np.zeros(0, dtype=np.intp)
    n_zero = n_cells - stored
    rank = n_zero[gene] + position[new][tie] + (sizes[tie] + 1) / 2
    flat = groups[columns.indices[order]] * n_genes + gene
    cells = n_groups * n_genes
    rank_sum = np.bincount(flat, weights=rank, minlength=cells).reshape(n_groups, n_genes)
    seen = np.bincount(flat, minlength=cells).reshape(n_groups, n_genes)
    size = np.bincount(groups, minlength=n_groups)[:, None].astype(np.float64)
    rank_sum = rank_sum + (size - seen) * (n_zero + 1) / 2
    pairs = size * (n_cells - size)
    pairs[pairs == 0] = np.nan
    return np.asarray((rank_sum - size * (size + 1) / 2) / pairs)
