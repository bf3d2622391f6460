"""Exact nearest points of a large reference, for points that are not part of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

_ROWS: Final = 256
_COLUMNS: Final = 4096
_SAMPLED: Final = 16_384


class _Prepared(NamedTuple):
    """Both sides in float32; a product of them is large where points are near."""

    reference: Single
    query: Single
    error: float


def nearest_in(
    reference: npt.NDArray[np.floating], query: npt.NDArray[np.floating], *, k: int, n_threads: int
) -> tuple[Indices, Distances]:
    """Find the k points of a reference that are nearest to each query, in Euclidean distance.

    Exact: a part of the reference bounds the distance to the k-th neighbour, products in float32
    say which points may lie within, and those are measured in float64. Equal distances are in order
    of position. The result does not depend on the number of threads.

    Parameters
    ----------
    reference : (n, d)
        Finite.
    query : (m, d)
        Finite.
    k
        Neighbours per query; all points where there are fewer.
    n_threads
        Blocks of queries that are worked on at the same time.

    Returns
    -------
    indices : (m, k)
        Positions in the reference.
    distances : (m, k)
        Ascending.
    """
    from threadpoolctl import threadpool_limits

    n, m = reference.shape[0], query.shape[0]
    k = min(k, n)
    indices, distances = np.zeros((m, k), dtype=np.int64), np.zeros((m, k))
    if k == 0 or m == 0:
        return indices, distances
    sides = _prepared(reference, query)
    part = sides.reference[np.linspace(0, n - 1, min(n, max(_SAMPLED, k))).astype(np.int64)]

    def block(start: int) -> None:
        own = sides.query[start : start + _ROWS]
        sampled = own @ part.T
        bound = np.partition(sampled, -k, axis=1)[:, -k, None] - np.float32(2 * sides.error)
        for row, candidates in enumerate(_within(sides.reference, own, bound), start=start):
            offset = reference[candidates].astype(np.float64) - query[row]
            squared = np.einsum("ij,ij->i", offset, offset)
            order = np.argsort(squared, kind="stable")[:k]
            indices[row], distances[row] = candidates[order], np.sqrt(squared[order])

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(block, range(0, m, _ROWS)))
    return indices, distances


def _prepared(reference: npt.NDArray[np.floating], query: npt.NDArray[np.floating]) -> _Prepared:
    # Products of float32 lose digits far from the origin.
    centre = reference.mean(axis=0, dtype=np.float64)
    n, d = reference.shape
    near = np.empty((n, d + 1), dtype=np.float32)
    np.subtract(reference, centre, out=near[:, :d], casting="same_kind")
    own = near[:, :d]
    # q.r - |r|^2 / 2 orders as -|q - r|^2 does: the last column carries the norm.
    near[:, d] = -0.5 * np.einsum("ij,ij->i", own, own)
    asked = np.ones((query.shape[0], d + 1), dtype=np.float32)
    np.subtract(query, centre, out=asked[:, :d], casting="same_kind")
    lengths = np.sqrt(-2 * float(near[:, d].min())), np.linalg.norm(asked[:, :d], axis=1).max()
    size = lengths[0] * float(lengths[1]) + lengths[0] ** 2 / 2
    return _Prepared(near, asked, (d + 3) * float(np.finfo(np.float32).eps) * size)


def _within(reference: Single, own: Single, bound: Single) -> list[Indices]:
    """Positions, per query, whose product reaches the bound; ascending."""
    n, m = reference.shape[0], own.shape[0]
    rows, columns = [], []
    for start in range(0, n, _COLUMNS):
        products = own @ reference[start : start + _COLUMNS].T
        # Of the flat array: numpy needs ten times as long for the places in two dimensions.
        row, column = np.divmod(np.flatnonzero(products >= bound), products.shape[1])
        rows.append(row)
        columns.append(column + start)
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.argsort(row, kind="stable")
    ends = np.searchsorted(row[order], np.arange(m + 1))
    column = column[order]
    return [column[first:last] for first, last in zip(ends[:-1], ends[1:], strict=True)]
