"""What a cell's counts look like before anything is known about it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Depth(NamedTuple):
    """Counts and detected genes per cell."""

    umis: npt.NDArray[np.int64]
    genes: npt.NDArray[np.int64]


def depth(counts: sp.csr_matrix) -> Depth:
    """Total counts and number of genes seen, per cell."""
    umis = np.asarray(counts.sum(axis=1), dtype=np.int64).ravel()
    return Depth(umis, np.diff(counts.indptr).astype(np.int64))


def percent(counts: sp.csr_matrix, *, genes: Bools, umis: npt.NDArray[np.int64]) -> Floats:
    """Percent of each cell's counts in some genes; NaN throughout where there is no such gene."""
    if not genes.any():
        return np.full(umis.size, np.nan)
    part = np.asarray(counts @ genes.astype(np.float64)).ravel()
    return 100.0 * part / np.maximum(umis, 1)


def upper_limit(values: Floats, *, mads: float, floor: float, ceiling: float) -> float:
    """Median plus `mads` scaled median absolute deviations, kept within floor and ceiling.

    NaN values are left out; without any value the limit is the ceiling.
    """
    known = values[~np.isnan(values)]
    if known.size == 0:
        return ceiling
    median = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - median)))
    return float(np.clip(median + mads * spread, floor, ceiling))
