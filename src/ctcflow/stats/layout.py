"""A map of a neighbour graph in two dimensions, for display only."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_NEGATIVES: Final = 5
_LARGEST_STEP: Final = 4.0
_DECAY_1: Final = 0.5
_DECAY_2: Final = 0.9
_SPREAD: Final = 1.0
_START: Final = 10.0
_SOFT: Final = 0.001
_TINY: Final = 1e-7


def curve(*, min_dist: float) -> tuple[float, float]:
    """Fit a and b of 1 / (1 + a d^(2b)) to a plateau of width `min_dist`.

    Parameters
    ----------
    min_dist
        Distance up to which points count as equal.
    """
    from scipy.optimize import curve_fit

    d = np.linspace(0, 3 * _SPREAD, 300)
    wanted = np.where(d < min_dist, 1.0, np.exp(-(d - min_dist) / _SPREAD))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), d, wanted)
    return float(a), float(b)


def umap_layout(
    graph: sparse.csr_matrix, *, start: Matrix, min_dist: float, n_epochs: int, seed: int
) -> npt.NDArray[np.float32]:
    """Lay out a fuzzy neighbour graph with UMAP's objective (doi:10.21105/joss.00861).

    All ties due in an epoch act at once, and Adam sets the steps (the batch mode of the R package
    uwot). So the result does not depend on the order of ties or on threads, nothing is compiled,
    and the sums are in numpy.

    Parameters
    ----------
    graph : (n, n)
        Of `fuzzy_graph`.
    start : (n, 2)
        First two components; only their shape matters, not their scale
        (Kobak 2021, doi:10.1038/s41587-020-00809-z).
    min_dist
        Smallest distance between points.
    n_epochs
        Number of rounds.
    seed
        Seed of the random numbers.

    Returns
    -------
    (n, 2) float32
    """
    n = graph.shape[0]
    rng = np.random.default_rng(seed)
    widest = float(np.abs(start).max()) if n else 0.0
    points = start * (_START / widest if widest > 0 else 1.0) + rng.normal(0, 1e-4, start.shape)
    if n < 2 or graph.nnz == 0:
        return points.astype(np.float32)
    a, b = curve(min_dist=min_dist)
    ties = graph.tocoo()
    rate = ties.data.astype(np.float64) / float(ties.data.max())
    # A tie that would not act once in all epochs is left out, as in umap-learn.
    kept = rate * n_epochs >= 1
    heads, tails, rate = ties.row[kept], ties.col[kept], rate[kept]
    first, second = np.zeros_like(points), np.zeros_like(points)
    for epoch in range(n_epochs):
        due = np.flatnonzero(np.floor(rate * (epoch + 1)) > np.floor(rate * epoch))
        forces = _attraction(points, heads[due], tails[due], a, b)
        forces += _repulsion(points, np.bincount(heads[due], minlength=n), a, b, rng)
        first = _DECAY_1 * first + (1 - _DECAY_1) * forces
        second = _DECAY_2 * second + (1 - _DECAY_2) * forces**2
        unbiased = first / (1 - _DECAY_1 ** (epoch + 1))
        scale = np.sqrt(second / (1 - _DECAY_2 ** (epoch + 1))) + _TINY
        points = points + (1 - epoch / n_epochs) * unbiased / scale
    return (points - points.mean(axis=0)).astype(np.float32)


def _attraction(points: Matrix, heads: Codes, tails: Codes, a: float, b: float) -> Matrix:
    """Sum of the pulls along ties, on the heads.

    The graph holds both directions of a tie, and UMAP moves both ends for each: twice the pull.
    """
    apart = points[heads] - points[tails]
    squared = (apart**2).sum(axis=1)
    equal = squared == 0
    squared[equal] = 1.0
    power = squared**b
    pull = -4 * a * b * power / (squared * (1 + a * power))
    pull[equal] = 0.0
    moves = np.clip(pull[:, None] * apart, -_LARGEST_STEP, _LARGEST_STEP)
    return np.column_stack(
        [np.bincount(heads, weights=moves[:, axis], minlength=len(points)) for axis in (0, 1)]
    )


def _repulsion(
    points: Matrix, n_due: Codes, a: float, b: float, rng: np.random.Generator
) -> Matrix:
    """Push each point away from random others, as often as ties of it are due.

    UMAP draws others anew for each tie; here a point draws them once and counts them for each of
    its ties: the same sum on average, at a sixth of the work.
    """
    total = np.zeros_like(points)
    for _ in range(_NEGATIVES):
        apart = points - points[rng.integers(0, len(points), len(points))]
        squared = (apart**2).sum(axis=1)
        push = 2 * b / ((_SOFT + squared) * (1 + a * squared**b))
        total += np.clip(push[:, None] * apart, -_LARGEST_STEP, _LARGEST_STEP)
    return total * n_due[:, None]
