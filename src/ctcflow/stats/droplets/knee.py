"""Knee and inflection of the barcode rank plot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_GRID = 0.02  # decades of rank between the points on which knee and inflection are sought
_SMOOTH = 5  # points of that grid on either side


class Knee(NamedTuple):
    """Knee and inflection of counts against rank (counts per barcode, NaN for none)."""

    knee: float
    inflection: float


def knee(umis: Ints, *, lower: int) -> Knee:
    """Find the knee and the inflection of the log-log curve of counts against rank.

    Parameters
    ----------
    umis
        (n,) counts per barcode.
    lower
        Barcodes with as many counts or fewer are left out (counts per barcode).

    Returns
    -------
    The inflection is the steepest point of the curve. The knee is before it, where the curve is
    farthest above the straight line from the first barcode to the inflection. NaN with fewer than
    three different totals.
    """
    values, times = np.unique(umis[umis > lower], return_counts=True)
    if values.size < 3:
        return Knee(np.nan, np.nan)
    ranks = np.cumsum(times[::-1]) - (times[::-1] - 1) / 2.0
    x, y = np.log10(ranks), np.log10(values[::-1].astype(np.float64))
    grid = np.linspace(x[0], x[-1], max(3, int(np.ceil((x[-1] - x[0]) / _GRID))))
    curve = np.interp(grid, x, y)
    padded = np.pad(curve, _SMOOTH, mode="edge")
    weights = np.hanning(2 * _SMOOTH + 3)[1:-1]  # gives a peak at a steep drop, not a plateau
    weights /= weights.sum()
    slope = np.gradient(np.convolve(padded, weights, mode="valid"), grid)
    # padding distorts the ends, and the first barcodes are too few to estimate a slope
    inner = slice(min(_SMOOTH, grid.size // 3), max(grid.size - _SMOOTH, grid.size // 3 + 1))
    steepest = inner.start + int(slope[inner].argmin())
    chord = np.interp(grid[: steepest + 1], grid[[0, steepest]], curve[[0, steepest]])
    highest = int((curve[: steepest + 1] - chord).argmax())
    return Knee(float(10 ** curve[highest]), float(10 ** curve[steepest]))
