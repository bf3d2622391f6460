"""Novelty: distance of a cell from the cells of a reference, adjusted for its depth."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

FEWEST: Final = 20
"""Fewest null cells for a limit, and fewest cells to estimate a batch effect (cells)."""
_FLOOR: Final = 0.05
_BLOCK: Final = 1024


class Limit(NamedTuple):
    """Regression line of log(1 + value) on log depth, and the limit's distance above; NaN: none."""

    intercept: float
    slope: float
    above: float


def unexpected_expression(
    values: sparse.csr_matrix,
    *,
    shares: Matrix,
    means: Matrix,
    batches: npt.NDArray[np.integer],
    fitted: npt.NDArray[np.bool_],
) -> Vector:
    """Expression in excess of the reference groups that a cell was assigned to.

    Per cell this is the sum over genes of max(x - m, 0)^2 / (m + 0.05), so that genes with low
    expected expression have the largest weight. The expected value m is the mean of its groups plus
    the average excess of the fitted cells of its batch, so that a chemistry which detects a gene
    better does not make cells novel.

    Parameters
    ----------
    values : (n, G)
        Log-normalised.
    shares : (n, L)
        Weight of each group in the assignment of the cell; rows sum to one.
    means : (L, G)
        Mean of each gene in each group of the reference.
    batches : (n,)
        Batch of each cell, from 0.
    fitted : (n,)
        Cells used to estimate the batch effect; with fewer than 20 in a batch it is not estimated.

    Returns
    -------
    (n,)
    """
    found = np.zeros(values.shape[0])
    added = np.zeros((int(batches.max()) + 1 if batches.size else 0, means.shape[1]))
    for batch in range(added.shape[0]):
        rows_of_batch = np.flatnonzero(fitted & (batches == batch))
        if rows_of_batch.size >= FEWEST:
            seen = np.asarray(values[rows_of_batch].mean(axis=0, dtype=np.float64)).ravel()
            added[batch] = np.maximum(seen - shares[rows_of_batch].mean(axis=0) @ means, 0.0)
    for start in range(0, found.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        expected = shares[rows] @ means + added[batches[rows]]
        above = np.maximum(values[rows].toarray() - expected, 0.0)
        found[rows] = (above**2 / (expected + _FLOOR)).sum(axis=1)
    return found


def fit_limit(values: Vector, *, umis: Vector, share: float) -> Limit:
    """Fit the limit of novelty on null cells.

    Parameters
    ----------
    values : (n,)
        Not negative.
    umis : (n,)
        Depth of each cell (counts).
    share
        Share of the null cells above the limit (fraction).
    """
    if values.size < FEWEST:
        return Limit(np.nan, np.nan, np.nan)
    depth, seen = np.log(np.maximum(umis, 1.0)), np.log1p(values)
    centred = depth - depth.mean()
    spread = float(centred @ centred)
    slope = float(centred @ seen) / spread if spread > 0 else 0.0
    intercept = float(seen.mean()) - slope * float(depth.mean())
    above = float(np.quantile(seen - (intercept + slope * depth), 1 - share))
    # if all null cells are equal the spread is 0, but a different cell must still be novel
    return Limit(intercept, slope, max(above, np.finfo(np.float64).eps))


def excess(values: Vector, *, umis: Vector, limit: Limit) -> Vector:
    """Rescale values so that 0 is usual at this depth and 1 is at the limit.

    Parameters
    ----------
    values, umis : (n,)
        As for `fit_limit`.
    limit
        Result of `fit_limit`.

    Returns
    -------
    (n,)
        NaN where there is no limit.
    """
    usual = limit.intercept + limit.slope * np.log(np.maximum(umis, 1.0))
    return np.asarray((np.log1p(values) - usual) / limit.above)
