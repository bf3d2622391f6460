"""Checks whether a matrix holds raw counts, and sums of its columns."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

LARGEST_EXACT: Final = 2.0**53
"""Integers above this are not exact in float64 (counts)."""

_BLOCK: Final = 4_000_000
_LARGEST_LOG: Final = 20.0
_MAX_CELLS: Final = 500
_EQUAL_SUMS: Final = 0.01
_WHOLE_STEP: Final = 0.02
_MAX_STEPS: Final = 40.0
_READS: Final = 4.0


def first_not_whole(values: npt.NDArray[np.number]) -> int:
    """Find the first value that is not a whole number.

    Parameters
    ----------
    values : (n,)
        Finite values.

    Returns
    -------
    int
        Position of the first value that is not whole or exceeds `LARGEST_EXACT`; -1 for none.
    """
    if values.dtype.kind in "iub":
        return -1
    # In blocks: comparing 500 million values at once would double the memory.
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        bad = (block != np.rint(block)) | (np.abs(block) > LARGEST_EXACT)
        if bad.any():
            return start + int(bad.argmax())
    return -1


def normalised_sums(matrix: sparse.csr_matrix) -> float:
    """Tell whether all cells have the same total, as CPM, TPM and scaled counts have.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Non-negative, finite.

    Returns
    -------
    float
        The common total; NaN where totals differ by more than 1 % or fewer than three cells have
        counts.
    """
    return _common(np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel())


def looks_log_normalised(matrix: sparse.csr_matrix) -> bool:
    """Tell whether values look like log(1 + scaled counts), to base e, 2 or 10.

    After undoing the logarithm, either all cells have the same total, or the values within each
    cell are integer multiples of its smallest value, as for counts divided by a size factor. Only
    the first 500 cells with values are examined.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        Non-negative, finite.

    Returns
    -------
    bool
        False where all values are whole numbers or one is 20 or more.
    """
    if matrix.nnz == 0 or matrix.data.max() >= _LARGEST_LOG or first_not_whole(matrix.data) < 0:
        return False
    rows = np.flatnonzero(np.diff(matrix.indptr))[:_MAX_CELLS]
    cells = [matrix.data[matrix.indptr[r] : matrix.indptr[r + 1]].astype(np.float64) for r in rows]
    cells = [c[c > 0] for c in cells if (c > 0).any()]
    for log_base in (1.0, np.log(2.0), np.log(10.0)):
        undone = [np.expm1(c * log_base) for c in cells]
        if not np.isnan(_common(np.array([u.sum() for u in undone]))):
            return True
        if _whole_multiples(undone):
            return True
    return False


def _common(totals: npt.NDArray[np.float64]) -> float:
    totals = totals[totals > 0]
    if totals.size < 3 or np.ptp(totals) > _EQUAL_SUMS * totals.mean():
        return float("nan")
    return float(totals.mean())


def _whole_multiples(cells: list[npt.NDArray[np.float64]]) -> bool:
    """Tell whether 95 % of small ratios to the smallest value of the cell are whole numbers."""
    ratios = np.concatenate([c[c > c.min()] / c.min() for c in cells])
    # Ratios near one, and large ratios, look like integers by chance or by rounding to float32.
    ratios = ratios[(ratios > 1.0 + _WHOLE_STEP) & (ratios < _MAX_STEPS)]
    if ratios.size < 20:
        return False
    near = np.abs(ratios - np.rint(ratios)) < _WHOLE_STEP
    return bool(near.mean() > 0.95)


def sum_columns(
    matrix: sparse.csr_matrix, *, groups: npt.NDArray[np.intp], n_groups: int
) -> sparse.csr_matrix:
    """Add up the columns of each group.

    Parameters
    ----------
    matrix : (n_cells, n_columns)
        Whole numbers.
    groups : (n_columns,)
        Group of each column, 0 to `n_groups` - 1.
    n_groups
        Number of groups.

    Returns
    -------
    (n_cells, n_groups) CSR
        Canonical: indices sorted, no duplicates, no explicit zeros; int32, or int64 where a sum
        needs it.
    """
    wide = sparse.csr_matrix(
        (matrix.data.astype(np.int64), groups[matrix.indices], matrix.indptr.copy()),
        shape=(matrix.shape[0], n_groups),
    )
    wide.sum_duplicates()
    wide.eliminate_zeros()
    limit = np.iinfo(np.int32).max
    fits = wide.nnz == 0 or max(int(wide.data.max()), -int(wide.data.min())) <= limit
    return wide.astype(np.int32) if fits else wide


def looks_like_reads(matrix: sparse.csr_matrix) -> bool:
    """Tell read counts from counts of molecules.

    One molecule has one UMI but many reads, so reads give larger values. The median of the detected
    values is 1 in droplet data, 2 in deep UMI data (23,000 to 35,000 counts per cell) and 6 to 8 in
    Smart-seq libraries.
    """
    values = matrix.data[matrix.data > 0]
    return values.size > 0 and float(np.median(values)) >= _READS
