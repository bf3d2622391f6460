"""Exact nearest neighbours, and the graph that is made of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

_ROWS: Final = 256
_SPARE: Final = 8
_ROUNDS: Final = 64
_TOLERANCE: Final = 1e-5
_SMALLEST_WIDTH: Final = 1e-3


def blas_threads() -> int:
    """Threads that BLAS may use in this process, which is what `--threads` sets."""
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)


def nearest(
    points: npt.NDArray[np.floating], *, k: int, n_threads: int
) -> tuple[Indices, Distances]:
    """Find the k nearest points of every point, itself first, in Euclidean distance.

    Exact: candidates come from a float32 matrix product in blocks of fixed size, with BLAS on one
    thread; their distances are then taken in float64, and a row whose candidates may not hold all
    neighbours is searched in full. Equal distances are in order of position. The result does not
    depend on the number of threads.

    Parameters
    ----------
    points : (n, d)
        Finite.
    k
        Neighbours per point, itself included; all points where there are fewer.
    n_threads
        Blocks that are worked on at the same time.

    Returns
    -------
    indices : (n, k)
    distances : (n, k)
        Ascending.
    """
    from threadpoolctl import threadpool_limits

    exact = np.ascontiguousarray(points, dtype=np.float64)
    n = exact.shape[0]
    k = min(k, n)
    indices, distances = np.zeros((n, k), dtype=np.int64), np.zeros((n, k))
    if k == 0:
        return indices, distances
    # Products of float32 lose digits far from the origin.
    single = (exact - exact.mean(axis=0)).astype(np.float32)
    norms = np.einsum("ij,ij->i", single, single)
    # Error of a squared distance in float32: a few units in the last place of the largest norm.
    slack = 64 * float(np.finfo(np.float32).eps) * float(norms.max())

    def block(start: int) -> None:
        rows = slice(start, min(start + _ROWS, n))
        near = single[rows] @ single.T
        near *= -2.0
        near += norms
        near += norms[rows, None]
        indices[rows], distances[rows] = _closest(exact, near, start, k, slack)

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(block, range(0, n, _ROWS)))
    return indices, distances


def _closest(
    exact: Distances, near: npt.NDArray[np.float32], start: int, k: int, slack: float
) -> tuple[Indices, Distances]:
    """Choose from approximate squared distances (rows, n) with exact ones."""
    n_rows, n = near.shape
    held = min(k + _SPARE, n)
    candidates = np.argpartition(near, held - 1, axis=1)[:, :held]
    candidates.sort(axis=1)
    own = np.arange(start, start + n_rows)
    squared = ((exact[candidates] - exact[own, None]) ** 2).sum(axis=2)
    # The point itself comes first even where another one is equal to it.
    squared[candidates == own[:, None]] = -1.0
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    indices = np.take_along_axis(candidates, order, axis=1)
    values = np.take_along_axis(squared, order, axis=1)
    beyond = np.take_along_axis(near, candidates, axis=1).max(axis=1)
    unsure = np.flatnonzero(values[:, -1] + slack >= beyond) if held < n else ()
    for row in unsure:
        full = ((exact - exact[start + row]) ** 2).sum(axis=1)
        full[start + row] = -1.0
        indices[row] = np.argsort(full, kind="stable")[:k]
        values[row] = full[indices[row]]
    return indices.astype(np.int64), np.sqrt(np.maximum(values, 0.0))


def distance_graph(indices: Indices, distances: Distances) -> sparse.csr_matrix:
    """Distances to the neighbours as a sparse matrix, without the point itself.

    Parameters
    ----------
    indices, distances : (n, k)
        Of `nearest`.

    Returns
    -------
    (n, n) CSR float32, k - 1 entries per row
    """
    n, k = indices.shape
    pointers = np.arange(n + 1) * max(k - 1, 0)
    graph = sparse.csr_matrix(
        (distances[:, 1:].ravel().astype(np.float32), indices[:, 1:].ravel(), pointers),
        shape=(n, n),
    )
    graph.sort_indices()
    return graph


def fuzzy_graph(indices: Indices, distances: Distances) -> sparse.csr_matrix:
    """Strength of the ties between neighbours, as UMAP defines it.

    McInnes 2018, doi:10.21105/joss.00861: exp(-(d - d1) / w) with d1 the distance to the nearest
    other point and w such that the strengths of a point sum to log2(k); the union of both
    directions is a + b - ab.

    Parameters
    ----------
    indices, distances : (n, k)
        Of `nearest`.

    Returns
    -------
    (n, n) symmetric CSR float32, values in (0, 1]
    """
    n, k = indices.shape
    if k < 2:
        return sparse.csr_matrix((n, n), dtype=np.float32)
    first = np.where(distances > 0, distances, np.inf).min(axis=1)
    first = np.where(np.isfinite(first), first, 0.0)
    excess = np.maximum(distances[:, 1:] - first[:, None], 0.0)
    width = _widths(excess, np.log2(k))
    level = np.where(first > 0, distances.mean(axis=1), distances.mean())
    width = np.maximum(width, _SMALLEST_WIDTH * level)
    strength = np.exp(-excess / np.where(width > 0, width, 1.0)[:, None])
    one_way = sparse.csr_matrix(
        (strength.ravel(), indices[:, 1:].ravel(), np.arange(n + 1) * (k - 1)), shape=(n, n)
    )
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
        # Without an upper end yet, the width doubles.
        bounded = np.isfinite(high)
        width = np.where(
            open_, np.where(bounded, (low + np.where(bounded, high, 0)) / 2, width * 2), width
        )
    return width
