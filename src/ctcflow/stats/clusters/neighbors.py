"""Exact nearest neighbours, and the neighbour graph of UMAP."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.stats.clusters.search import search

Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

_ROUNDS: Final = 64
_TOLERANCE: Final = 1e-5
_SMALLEST_WIDTH: Final = 1e-3


def nearest(
    points: npt.NDArray[np.floating], *, k: int, n_threads: int
) -> tuple[Indices, Distances]:
    """Find the k nearest points of every point, itself first, in Euclidean distance.

    Exact, and independent of the number of threads: see `search`.

    Parameters
    ----------
    points : (n, d)
        Finite.
    k
        Neighbours per point, itself included; all points where there are fewer.
    n_threads
        Blocks that are processed at the same time.

    Returns
    -------
    indices : (n, k)
    distances : (n, k)
        Ascending; ties in the order of the points.
    """
    return search(points, points, k=k, n_probed=None, same=True, n_threads=n_threads)


def distance_graph(indices: Indices, distances: Distances) -> sparse.csr_matrix:
    """Distances to the neighbours as a sparse matrix, without the point itself.

    Parameters
    ----------
    indices, distances : (n, k)
        Result of `nearest`.

    Returns
    -------
    (n, n) CSR float32, k - 1 entries per row
    """
    graph = _one_way(indices, distances[:, 1:].astype(np.float32))
    graph.sort_indices()
    return graph


def _one_way(indices: Indices, values: npt.NDArray[np.floating]) -> sparse.csr_matrix:
    """Sparse matrix with the values in the columns of the neighbours, without the point itself."""
    n, k = indices.shape
    pointers = np.arange(n + 1) * max(k - 1, 0)
    return sparse.csr_matrix((values.ravel(), indices[:, 1:].ravel(), pointers), shape=(n, n))


def tie_strengths(distances: Distances) -> Distances:
    """Strength of the tie of a point to each of its neighbours, as UMAP defines it.

    McInnes 2018, doi:10.21105/joss.00861: exp(-(d - d1) / w) with d1 the distance to the nearest
    other point and w such that the strengths of a point sum to log2(k).

    Parameters
    ----------
    distances : (n, k)
        Ascending, the point itself first; k at least 2.

    Returns
    -------
    (n, k - 1)
        0 to 1.
    """
    k = distances.shape[1]
    first = np.where(distances > 0, distances, np.inf).min(axis=1)
    first = np.where(np.isfinite(first), first, 0.0)
    excess = np.maximum(distances[:, 1:] - first[:, None], 0.0)
    width = _widths(excess, np.log2(k))
    level = np.where(first > 0, distances.mean(axis=1), distances.mean())
    width = np.maximum(width, _SMALLEST_WIDTH * level)
    return np.asarray(np.exp(-excess / np.where(width > 0, width, 1.0)[:, None]))


def fuzzy_graph(indices: Indices, distances: Distances) -> sparse.csr_matrix:
    """Strength of the ties between neighbours: `tie_strengths`, made `undirected`.

    Parameters
    ----------
    indices, distances : (n, k)
        Result of `nearest`.

    Returns
    -------
    (n, n) symmetric CSR float32, values in (0, 1]
    """
    n, k = indices.shape
    if k < 2:
        return sparse.csr_matrix((n, n), dtype=np.float32)
    return undirected(_one_way(indices, tie_strengths(distances)))


def undirected(one_way: sparse.csr_matrix) -> sparse.csr_matrix:
    """Strength of a tie that exists in one direction or the other: a + b - ab.

    Parameters
    ----------
    one_way : (n, n)
        Strengths, 0 to 1.

    Returns
    -------
    (n, n) symmetric CSR float32
    """
    both = one_way.multiply(one_way.T)
    union = (one_way + one_way.T - both).tocsr().astype(np.float32)
    union.eliminate_zeros()
    union.sort_indices()
    return union


def _widths(excess: Distances, target: float) -> npt.NDArray[np.float64]:
    """Find by bisection the widths at which strengths sum to the target."""
    n = excess.shape[0]
    low, high, width = np.zeros(n), np.full(n, np.inf), np.ones(n)
    for _ in range(_ROUNDS):
        off = np.exp(-excess / width[:, None]).sum(axis=1) - target
        if np.all(np.abs(off) < _TOLERANCE):
            break
        open_ = np.abs(off) >= _TOLERANCE
        above = open_ & (off > 0)
        below = open_ & (off <= 0)
        high[above] = width[above]
        low[below] = width[below]
        # Double the width until an upper bound is found.
        bounded = np.isfinite(high)
        width = np.where(
            open_, np.where(bounded, (low + np.where(bounded, high, 0)) / 2, width * 2), width
        )
    return width
