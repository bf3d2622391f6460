"""UMAP: a layout of a neighbour graph in two dimensions, for display only."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]

_NEGATIVES: Final = 5  # negative samples per tie, as in umap-learn
_DRAWN: Final = 20  # points that each point is repelled by in an epoch: fewer blur the map
_FIRST_STEP: Final = 0.5  # step size; with 1, twice as many epochs are needed for the same quality
_LARGEST_STEP: Final = np.float32(4.0)
_DECAY_1: Final = np.float32(0.5)
_DECAY_2: Final = np.float32(0.9)
_SPREAD: Final = 1.0
_START: Final = 10.0
_SOFT: Final = np.float32(0.001)
_TINY: Final = np.float32(1e-7)


def curve(*, min_dist: float) -> tuple[float, float]:
    """Fit a and b of 1 / (1 + a d^(2b)) to a plateau of width `min_dist`.

    Parameters
    ----------
    min_dist
        Width of the plateau: distance up to which points count as equal.
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

    All ties that are due in an epoch act at once, and Adam sets the step sizes (the batch mode of
    the R package uwot). So the result does not depend on the order of the ties or the number of
    threads, and plain numpy is fast enough.

    Parameters
    ----------
    graph : (n, n)
        Result of `fuzzy_graph`.
    start : (n, 2)
        First two principal components; only their shape matters, not their scale
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
    spread = start * (_START / widest if widest > 0 else 1.0) + rng.normal(0, 1e-4, start.shape)
    # one row per axis, in float32: half the memory traffic, and more digits are not visible
    points = np.ascontiguousarray(spread.T, dtype=np.float32)
    if n < 2 or graph.nnz == 0:
        return np.ascontiguousarray(points.T)
    a, b = (np.float32(value) for value in curve(min_dist=min_dist))
    # the graph is symmetric: each tie is processed once, for both of its ends
    ties = sparse.triu(graph, k=1, format="coo")
    rate = ties.data.astype(np.float64) / float(ties.data.max())
    # A tie that would not act once in all epochs is left out, as in umap-learn.
    kept = rate * n_epochs >= 1
    heads, tails, rate = ties.row[kept], ties.col[kept], rate[kept]
    first, second = np.zeros_like(points), np.zeros_like(points)
    done = np.zeros(rate.size)
    for epoch in range(n_epochs):
        now = np.floor(rate * (epoch + 1))
        due = np.flatnonzero(now > done)
        done = now
        head, tail = heads[due], tails[due]
        forces = _attraction(points, head, tail, a, b)
        n_due = np.bincount(head, minlength=n) + np.bincount(tail, minlength=n)
        forces += _repulsion(points, n_due.astype(np.float32), a, b, rng)
        first = _DECAY_1 * first + (1 - _DECAY_1) * forces
        second = _DECAY_2 * second + (1 - _DECAY_2) * forces**2
        unbiased = first / np.float32(1 - _DECAY_1 ** (epoch + 1))
        scale = np.sqrt(second / np.float32(1 - _DECAY_2 ** (epoch + 1))) + _TINY
        step = np.float32(_FIRST_STEP * (1 - epoch / n_epochs))
        points = points + step * unbiased / scale
    middle = points.mean(axis=1, dtype=np.float64, keepdims=True)
    return np.ascontiguousarray((points - middle).T.astype(np.float32))


def _attraction(points: Single, heads: Codes, tails: Codes, a: np.float32, b: np.float32) -> Single:
    """Sum of the attractive forces along ties, on both ends.

    UMAP moves both ends for each direction of a tie, so the force is doubled here.
    """
    n = points.shape[1]
    apart = points[:, heads] - points[:, tails]
    squared = apart[0] ** 2 + apart[1] ** 2
    equal = squared == 0
    squared[equal] = 1.0
    power = squared**b
    pull = -4 * a * b * power / (squared * (1 + a * power))
    pull[equal] = 0.0
    moves = np.clip(pull * apart, -_LARGEST_STEP, _LARGEST_STEP)
    on_heads = [np.bincount(heads, weights=move, minlength=n) for move in moves]
    on_tails = [np.bincount(tails, weights=move, minlength=n) for move in moves]
    return np.asarray(np.array(on_heads) - np.array(on_tails), dtype=np.float32)


def _repulsion(
    points: Single, n_due: Single, a: np.float32, b: np.float32, rng: np.random.Generator
) -> Single:
    """Repulsive forces between each point and random others, scaled by the number of ties due.

    UMAP draws five new points for each tie. Here each point draws twenty once, for all of its ties:
    the same sum on average, at half the cost.
    """
    n = points.shape[1]
    total = np.zeros_like(points)
    for _ in range(_DRAWN):
        apart = points - points[:, rng.integers(0, n, n, dtype=np.int32)]
        squared = apart[0] ** 2 + apart[1] ** 2
        push = 2 * b / ((_SOFT + squared) * (1 + a * squared**b))
        total += np.clip(push * apart, -_LARGEST_STEP, _LARGEST_STEP)
    return np.asarray(total * (n_due * np.float32(_NEGATIVES / _DRAWN)))
