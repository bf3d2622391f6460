"""Nearest neighbours with inverted lists: exact if all lists are probed, else approximate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

_ROWS: Final = 256
_SEED: Final = 0
_ROUNDS: Final = 8
_PER_LIST: Final = 64
_MOST_LISTS: Final = 2048
_FIRST: Final = 4
_PIECE: Final = 65_536


class _Lists(NamedTuple):
    """Points sorted by list; `radius` is the squared radius that encloses every point of a list."""

    order: Indices
    ends: Indices
    centres: Single
    radius: Single
    terms: Single


def search(
    queries: npt.NDArray[np.floating],
    points: npt.NDArray[np.floating],
    *,
    k: int,
    n_probed: int | None,
    same: bool,
    n_threads: int,
) -> tuple[Indices, Distances]:
    """Find the k nearest points of every query in Euclidean distance.

    Points are put in about sqrt(n) lists by seeded k-means (an inverted file: Jegou 2011,
    doi:10.1109/TPAMI.2010.57). Queries of one list are searched together. The k-th distance within
    the nearest lists is an upper bound: lists beyond it are skipped, then points beyond it by
    float32 products, and the remaining points are compared in float64. The result does not depend
    on the number of threads: blocks are fixed, and BLAS runs on one thread in each.

    Parameters
    ----------
    queries : (n_queries, d)
        Finite.
    points : (n, d)
        Finite.
    k
        Neighbours per query; all points where there are fewer.
    n_probed
        Number of nearest lists that are searched per block of queries; None for all (exact).
    same
        Queries are the points themselves: each comes first among its own neighbours, even where
        another one is equal to it.
    n_threads
        Blocks that are processed at the same time.

    Returns
    -------
    indices : (n_queries, k)
    distances : (n_queries, k)
        Ascending; ties in the order of the points.
    """
    from threadpoolctl import threadpool_limits

    exact = np.ascontiguousarray(points, dtype=np.float64)
    asked = exact if same else np.ascontiguousarray(queries, dtype=np.float64)
    k = min(k, exact.shape[0])
    indices = np.zeros((asked.shape[0], k), dtype=np.int64)
    distances = np.zeros((asked.shape[0], k))
    if indices.size == 0:
        return indices, distances
    # centred, because float32 products lose precision far from the origin
    middle = exact.mean(axis=0)
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        lists = _lists((exact - middle).astype(np.float32))
        shifted = (asked - middle).astype(np.float32)
        home = _nearest_centre(shifted, lists.centres)
        terms = np.column_stack([shifted, _squares(shifted), np.ones(len(shifted), np.float32)])
        # error of a squared distance in float32: a few units in the last place of the largest norm
        largest = max(float(lists.terms[:, -1].max()), float(terms[:, -2].max()))
        slack = np.float32(64 * np.finfo(np.float32).eps * largest)

        def block(rows: Indices) -> None:
            query, place = _candidates(terms[rows], lists, k, n_probed, slack)
            candidate = lists.order[place]
            squared = _squared(asked, exact, rows[query], candidate)
            if same:
                squared[candidate == rows[query]] = -1.0
            best = np.lexsort((candidate, squared, query))
            starts = np.searchsorted(query[best], np.arange(rows.size))
            chosen = best[starts[:, None] + np.arange(k)]
            indices[rows] = candidate[chosen]
            distances[rows] = np.sqrt(np.maximum(squared[chosen], 0.0))

        list(pool.map(block, _blocks(home)))
    return indices, distances


def _blocks(home: Indices) -> list[Indices]:
    """Queries of one list, at most `_ROWS` together."""
    order = np.argsort(home, kind="stable")
    starts = np.flatnonzero(np.diff(home[order], prepend=-1))
    groups = np.split(order, starts[1:])
    return [group[i : i + _ROWS] for group in groups for i in range(0, group.size, _ROWS)]


def _squares(values: Single) -> Single:
    found: Single = np.einsum("ij,ij->i", values, values)
    return found


def _lists(points: Single) -> _Lists:
    """Put points into lists by k-means on a seeded sample of them."""
    n = points.shape[0]
    n_lists = min(max(round(n**0.5), 1), _MOST_LISTS)
    rng = np.random.default_rng(_SEED)
    sample = points[np.sort(rng.choice(n, min(n, n_lists * _PER_LIST), replace=False))]
    centres = sample[np.sort(rng.choice(len(sample), n_lists, replace=False))]
    for _ in range(_ROUNDS):
        home = _nearest_centre(sample, centres)
        sizes = np.bincount(home, minlength=n_lists)
        held = sizes > 0
        for axis in range(points.shape[1]):
            sums = np.bincount(home, weights=sample[:, axis], minlength=n_lists)
            centres[held, axis] = sums[held] / sizes[held]
    home = _nearest_centre(points, centres)
    order = np.argsort(home, kind="stable")
    sizes = np.bincount(home, minlength=n_lists)
    apart = _squares(points - centres[home])
    radius = np.zeros(n_lists, dtype=np.float32)
    np.maximum.at(radius, home, apart)
    kept = sizes > 0
    inside = points[order]
    terms = np.column_stack([-2 * inside, np.ones(n, dtype=np.float32), _squares(inside)])
    return _Lists(order, np.cumsum(sizes[kept]), centres[kept], radius[kept], terms)


def _nearest_centre(points: Single, centres: Single) -> Indices:
    half = _squares(centres) / 2
    found = np.empty(len(points), dtype=np.int64)
    for start in range(0, len(points), 4096):
        rows = slice(start, start + 4096)
        found[rows] = (half - points[rows] @ centres.T).argmin(axis=1)
    return found


def _candidates(
    terms: Single, lists: _Lists, k: int, n_probed: int | None, slack: np.float32
) -> tuple[Indices, Indices]:
    """Pairs of query and point that may be among the k nearest, sorted by query, then point."""
    starts = np.concatenate([[0], lists.ends[:-1]])
    sizes = lists.ends - starts
    to_centre = _to_centres(terms, lists.centres)
    ranked = np.argsort(to_centre.min(axis=0), kind="stable")
    # enough lists for k points, and a few more for a tight bound
    n_first = max(int(np.searchsorted(np.cumsum(sizes[ranked]), k)) + 1, _FIRST)
    first = np.sort(ranked[:n_first])
    near = np.hstack([terms @ lists.terms[starts[i] : lists.ends[i]].T for i in first])
    bound = np.partition(near, k - 1, axis=1)[:, k - 1] + 2 * slack
    limit = np.sqrt(np.maximum(bound, 0)) * np.float32(1 + 1e-5)
    reach = np.sqrt(np.maximum(to_centre, 0)) - np.sqrt(lists.radius + slack)
    open_ = reach - np.sqrt(slack) <= limit[:, None]
    open_[:, first] = True
    probed = ranked[open_.any(axis=0)[ranked]][: max(n_probed or ranked.size, n_first)]
    queries, places = [], []
    for i in np.sort(probed):
        rows = np.flatnonzero(open_[:, i])
        hit = terms[rows] @ lists.terms[starts[i] : lists.ends[i]].T <= bound[rows, None]
        positions = np.flatnonzero(hit)
        queries.append(rows[positions // sizes[i]])
        places.append(starts[i] + positions % sizes[i])
    return np.concatenate(queries), np.concatenate(places)


def _to_centres(terms: Single, centres: Single) -> Single:
    found: Single = terms[:, -2, None] - 2 * (terms[:, :-2] @ centres.T) + _squares(centres)
    return found


def _squared(queries: Distances, points: Distances, first: Indices, second: Indices) -> Distances:
    found = np.empty(first.size)
    for start in range(0, first.size, _PIECE):
        part = slice(start, start + _PIECE)
        apart = queries[first[part]] - points[second[part]]
        found[part] = np.einsum("ij,ij->i", apart, apart)
    return found
