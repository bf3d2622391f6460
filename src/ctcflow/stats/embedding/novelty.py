"""How far a cell is from anything in a reference, beyond what its depth explains."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

FEWEST: Final = 20
"""Below this number of null cells there is no limit, and no word on a batch (cells)."""
_FLOOR: Final = 0.05
_BLOCK: Final = 1024


class Limit(NamedTuple):
    """The line of log(1 + value) on log depth, and how much above it the limit lies; NaN: none."""

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
    """Expression beyond that of the groups which a cell was taken for.

    Per cell the sum over genes of max(x - m, 0)^2 / (m + 0.05): a gene that is hardly expected
    weighs most. What is expected, m, is the mean of its groups, and what the fitted cells of its
    batch show above that on average, so that a chemistry which catches a gene better is not new.

    Parameters
    ----------
    values : (n, G)
        Log-normalised.
    shares : (n, L)
        Share of each group in what the cell was taken for; rows sum to one.
    means : (L, G)
        Mean of each gene in each group of the reference.
    batches : (n,)
        Batch of each cell, from 0.
    fitted : (n,)
        Cells that may speak for their batch; with fewer than 20 of them nothing is added.

    Returns
    -------
    (n,)
    """
    found = np.zeros(values.shape[0])
    added = np.zeros((int(batches.max()) + 1 if batches.size else 0, means.shape[1]))
    for batch in range(added.shape[0]):
        own = np.flatnonzero(fitted & (batches == batch))
        if own.size >= FEWEST:
            seen = np.asarray(values[own].mean(axis=0, dtype=np.float64)).ravel()
            added[batch] = np.maximum(seen - shares[own].mean(axis=0) @ means, 0.0)
    for start in range(0, found.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        expected = shares[rows] @ means + added[batches[rows]]
        above = np.maximum(values[rows].toarray() - expected, 0.0)
        found[rows] = (above**2 / (expected + _FLOOR)).sum(axis=1)
    return found


def fit_limit(values: Vector, *, umis: Vector, share: float) -> Limit:
    """Measure on null cells what is beyond them.

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
    # equal cells have no spread; one that differs is new all the same
    return Limit(intercept, slope, max(above, np.finfo(np.float64).eps))


def excess(values: Vector, *, umis: Vector, limit: Limit) -> Vector:
    """Place values on the scale of the limit: 0 is usual at this depth, 1 is at the limit.

    Parameters
    ----------
    values, umis : (n,)
        As for `fit_limit`.
    limit
        Of `fit_limit`.

    Returns
    -------
    (n,)
        NaN where there is no limit.
    """
    usual = limit.intercept + limit.slope * np.log(np.maximum(umis, 1.0))
    return np.asarray((np.log1p(values) - usual) / limit.above)
