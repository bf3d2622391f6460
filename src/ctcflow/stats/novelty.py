"""How far a cell is from anything in a reference, beyond what its depth explains."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

FEWEST: Final = 20
"""Below this number of null cells there is no limit (cells)."""
_FLOOR: Final = 0.05
_BLOCK: Final = 1024


class Limit(NamedTuple):
    """What cells of the reference show: the line of log(1 + value) on log depth, and how much
    above it the limit lies; NaN where it could not be measured."""

    intercept: float
    slope: float
    above: float


def unexpected_expression(
    values: sparse.csr_matrix, *, shares: Matrix, means: Matrix
) -> Vector:
    """Expression beyond that of the groups which a cell was taken for.

    Per cell the sum over genes of max(x - m, 0)^2 / (m + 0.05), with m the mean of its groups: a
    gene that they hardly express weighs most.

    Parameters
    ----------
    values : (n, G)
        Log-normalised.
    shares : (n, L)
        Share of each group in what the cell was taken for; rows sum to one.
    means : (L, G)
        Mean of each gene in each group of the reference.

    Returns
    -------
    (n,)
    """
    found = np.zeros(values.shape[0])
    for start in range(0, found.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        expected = shares[rows] @ means
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
