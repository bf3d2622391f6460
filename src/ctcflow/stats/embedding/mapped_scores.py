"""Marker scores of cells that were mapped onto a reference, averaged with those around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.stats.clusters.annotation import Scores, diffused_scores
from ctcflow.stats.clusters.neighbors import nearest, tie_strengths, undirected
from ctcflow.stats.embedding.label_transfer import Placed

Matrix = npt.NDArray[np.float64]


def mapped_scores(
    scores: Scores, points: Matrix, *, placed: Placed, of_reference: Scores, k: int, n_threads: int
) -> Scores:
    """Average the marker scores of new cells with those around them, of the reference or new.

    As `annotation.diffused_scores` does among the cells of the reference, whose scores stay: each
    new cell has ties to its nearest cells of both, those to new ones in either direction. A sample
    with cells that the reference hardly has is so named by its own markers, where the nearest cells
    of the reference are of another type.

    Parameters
    ----------
    scores : (n, n_types)
        Of the new cells alone.
    points : (n, d)
        The cells, mapped onto the reference.
    placed
        Where they fall in it.
    of_reference : (n_reference, n_types)
        Averaged.
    k
        Neighbours per cell, itself included.
    n_threads
        Of the search; nothing depends on it.

    Returns
    -------
    (n, n_types)
    """
    n = points.shape[0]
    if n == 0 or k < 2:
        return scores
    own, apart = nearest(points, k=k, n_threads=n_threads)
    distances = np.hstack([apart[:, :1], placed.distances, apart[:, 1:]])
    indices = np.hstack([own[:, :1], placed.indices, own[:, 1:]])
    new = np.arange(indices.shape[1]) > placed.indices.shape[1]
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    # itself is at no distance, and first
    indices, new = np.take_along_axis(indices, order, axis=1)[:, 1:], new[order][:, 1:]
    strengths = tie_strengths(np.take_along_axis(distances, order, axis=1)).astype(np.float32)
    to_reference = np.where(new, 0, strengths)
    outside = np.einsum("nk,nkt->nt", to_reference, of_reference[np.where(new, 0, indices)])
    rows = np.repeat(np.arange(n), indices.shape[1])[new.ravel()]
    ties = undirected(sparse.csr_matrix((strengths[new], (rows, indices[new])), shape=(n, n)))
    total = to_reference.sum(axis=1, keepdims=True) + np.asarray(ties.sum(axis=1)).reshape(-1, 1)
    return diffused_scores(scores, ties=ties, outside=outside, total=total)
