"""Transfer labels and coordinates to a cell from the nearest cells of a reference."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.stats.clusters.search import search
from ctcflow.stats.embedding.novelty import unexpected_expression

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

_NEAREST: Final = 1e-6


def neighbor_shares(distances: Matrix) -> Matrix:
    """Weight neighbours by one over their distance.

    Parameters
    ----------
    distances : (n, k)
        At least one neighbour each.

    Returns
    -------
    (n, k)
        Rows sum to one.
    """
    weights = 1.0 / np.maximum(distances, _NEAREST)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def votes(indices: Codes, shares: Matrix, *, codes: Codes, n_codes: int) -> Matrix:
    """Add up the shares of the neighbours that have each label.

    Parameters
    ----------
    indices, shares : (n, k)
        Neighbours in the reference and their weights.
    codes : (n_reference,)
        Label of each cell of the reference.
    n_codes
        Number of labels.

    Returns
    -------
    (n, n_codes)
        Rows sum to one.
    """
    n, k = indices.shape
    rows = np.repeat(np.arange(n), k)
    table = sparse.coo_matrix((shares.ravel(), (rows, codes[indices].ravel())), shape=(n, n_codes))
    return np.asarray(table.toarray())


def averages(indices: Codes, shares: Matrix, *, values: npt.NDArray[np.floating]) -> Matrix:
    """Average values of the neighbours.

    Parameters
    ----------
    indices, shares : (n, k)
        Neighbours in the reference and their weights.
    values : (n_reference, d)
        Values to average, such as UMAP coordinates.

    Returns
    -------
    (n, d)
    """
    return np.asarray(np.einsum("nk,nkd->nd", shares, values[indices].astype(np.float64)))


class Placed(NamedTuple):
    """Positions of cells in a reference."""

    indices: npt.NDArray[np.int64]
    """(n, k) nearest cells of the reference."""
    shares: Matrix
    """(n, k) their weights; rows sum to one."""
    distances: Matrix
    """(n, k) distances to them, ascending."""
    unexpected: npt.NDArray[np.float64]
    """(n,) expression beyond that of their groups: see `novelty.unexpected_expression`."""


def place(
    values: sparse.csr_matrix,
    points: Matrix,
    *,
    embedding: npt.NDArray[np.float32],
    groups: Codes,
    group_means: npt.NDArray[np.floating],
    batches: Codes,
    fitted: npt.NDArray[np.bool_],
    k: int,
    n_threads: int,
) -> Placed:
    """Find the nearest reference cells, and expression that they do not explain.

    Parameters
    ----------
    values : (n, G)
        Log-normalised.
    points : (n, d)
        The cells, mapped onto the reference.
    embedding : (n_reference, d)
        Corrected points of the reference, one or more.
    groups : (n_reference,)
        Group of each cell of the reference.
    group_means : (L, G)
        Mean of each gene in each group.
    batches, fitted : (n,)
        Batch of each cell, and the cells that are used to measure batch effects.
    k
        Neighbours per cell.
    n_threads
        Threads of the search; does not change results.
    """
    indices, distances = search(
        points, embedding, k=k, n_probed=None, same=False, n_threads=n_threads
    )
    shares = neighbor_shares(distances)
    taken = votes(indices, shares, codes=groups, n_codes=group_means.shape[0])
    means = group_means.astype(np.float64)
    unexpected = unexpected_expression(
        values, shares=taken, means=means, batches=batches, fitted=fitted
    )
    return Placed(indices, shares, distances, unexpected)
