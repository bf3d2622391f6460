"""Mean and variance per gene of a sparse matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Vector = npt.NDArray[np.float64]


def column_moments(matrix: sparse.csr_matrix) -> tuple[Vector, Vector]:
    """Mean and variance of every column, zeros included.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Canonical CSR of numbers.

    Returns
    -------
    mean : (n_genes,)
        NaN for no cell.
    variance : (n_genes,)
        With n - 1 in the denominator; NaN below two cells.
    """
    n_cells, n_genes = matrix.shape
    nothing = np.full(n_genes, np.nan)
    if n_cells == 0:
        return nothing, nothing.copy()
    values = matrix.data.astype(np.float64, copy=False)
    mean = np.bincount(matrix.indices, weights=values, minlength=n_genes) / n_cells
    if n_cells == 1:
        return mean, nothing
    # Squared distances from the mean, not the mean of squares: this loses no precision for genes
    # whose spread is small compared with their mean.
    squares = mean[matrix.indices]
    np.square(np.subtract(values, squares, out=squares), out=squares)
    n_zero = n_cells - np.bincount(matrix.indices, minlength=n_genes)
    summed = np.bincount(matrix.indices, weights=squares, minlength=n_genes) + n_zero * mean**2
    return mean, summed / (n_cells - 1)


def log_normalised(matrix: sparse.csr_matrix, *, size_factors: Vector) -> sparse.csr_matrix:
    """Compute log1p(counts / size factor of the cell).

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Counts, CSR.
    size_factors : (n_cells,)
        Positive.

    Returns
    -------
    (n_cells, n_genes) CSR float64
    """
    values = matrix.data / np.repeat(size_factors, np.diff(matrix.indptr))
    return sparse.csr_matrix((np.log1p(values), matrix.indices, matrix.indptr), shape=matrix.shape)
