"""A sketch: a subset of the cells that represents all, and how results reach the others."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]
Indices = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]

_ROWS: Final = 65_536


def choose(rare: npt.NDArray[np.bool_], *, size: int, most_rare: float, seed: int) -> Indices:
    """Choose the cells of a sketch at random, rare ones first.

    All rare cells are taken, up to a share `most_rare` of the sketch; the rest is drawn from all
    other cells with equal probability.

    Parameters
    ----------
    rare : (n,)
        Cells that must be in the sketch.
    size
        Number of cells of the sketch; if there are fewer cells, all are taken.
    most_rare
        Largest share of rare cells (fraction).
    seed
        Seed of the random numbers.

    Returns
    -------
    (min(n, size),)
        Positions, ascending.
    """
    n = rare.size
    if n <= size:
        return np.arange(n, dtype=np.int64)
    rng = np.random.default_rng(seed)
    first, others = np.flatnonzero(rare), np.flatnonzero(~rare)
    if first.size > most_rare * size and others.size:
        wanted = max(int(most_rare * size), size - others.size)
        first = rng.choice(first, min(wanted, first.size), replace=False)
    first = first[:size]
    drawn = rng.choice(others, size - first.size, replace=False)
    return np.sort(np.concatenate([first, drawn])).astype(np.int64)


def majority(neighbors: Codes, *, n_groups: int) -> Codes:
    """Most frequent group among the neighbours of each cell; ties go to the nearer neighbours.

    Parameters
    ----------
    neighbors : (n, k)
        Group of each neighbour, nearest first.
    n_groups
        Number of groups.

    Returns
    -------
    (n,)
    """
    n, k = neighbors.shape
    found = np.zeros(n, dtype=np.intp)
    for start in range(0, n, _ROWS):
        part = neighbors[start : start + _ROWS]
        votes = np.zeros((part.shape[0], n_groups), dtype=np.float32)
        rows = np.arange(part.shape[0])
        for column in range(k):
            # the fractional part only breaks ties: it sums to less than one vote
            votes[rows, part[:, column]] += 1 + (k - column) / (k * (k + 1))
        found[start : start + _ROWS] = votes.argmax(axis=1)
    return found


def beside(places: Matrix, *, neighbors: Indices, distances: Matrix) -> npt.NDArray[np.float32]:
    """Place cells at the weighted mean position of their neighbours in the sketch.

    Weights fall from 1 for the nearest by exp(-(d - d1) / m) with m the mean of d - d1.

    Parameters
    ----------
    places : (n_sketch, 2)
        Positions of the cells of the sketch.
    neighbors, distances : (n, k)
        Neighbours in the sketch, nearest first; k at least 1.

    Returns
    -------
    (n, 2)
    """
    excess = distances - distances[:, :1]
    scale = excess.mean(axis=1, keepdims=True)
    weights = np.exp(-excess / np.where(scale > 0, scale, 1.0))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.column_stack(
        [(weights * places[neighbors, axis]).sum(axis=1) for axis in range(places.shape[1])]
    ).astype(np.float32)
