"""Marker scores of mapped cells, smoothed over their neighbours in reference and sample."""

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
    """Smooth the marker scores of new cells over their neighbours, both reference and new cells.

    This is `annotation.diffused_scores` with the scores of reference cells held fixed: each new
    cell has ties to its nearest reference cells and to its nearest new cells (in either direction).
    Cells of a type that is rare in the reference are so labelled by their own markers, although
    their nearest reference cells are of another type.

    Parameters
    ----------
    scores : (n, n_types)
        Scores of the new cells, not smoothed.
    points : (n, d)
        The cells, mapped onto the reference.
    placed
        Their positions in the reference.
    of_reference : (n_reference, n_types)
        Smoothed scores of the reference cells.
    k
        Neighbours per cell, itself included.
    n_threads
        Threads of the search; does not change results.

    Returns
    -------
    (n, n_types)
    """
    n = points.shape[0]
    if n == 0 or k < 2:
        return scores
    new_neighbours, apart = nearest(points, k=k, n_threads=n_threads)
    distances = np.hstack([apart[:, :1], placed.distances, apart[:, 1:]])
    indices = np.hstack([new_neighbours[:, :1], placed.indices, new_neighbours[:, 1:]])
    new = np.arange(indices.shape[1]) > placed.indices.shape[1]
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    # the cell itself comes first, at distance 0
    indices, new = np.take_along_axis(indices, order, axis=1)[:, 1:], new[order][:, 1:]
    strengths = tie_strengths(np.take_along_axis(distances, order, axis=1)).astype(np.float32)
    to_reference = np.where(new, 0, strengths)
    outside = np.einsum("nk,nkt->nt", to_reference, of_reference[np.where(new, 0, indices)])
    rows = np.repeat(np.arange(n), indices.shape[1])[new.ravel()]
    ties = undirected(sparse.csr_matrix((strengths[new], (rows, indices[new])), shape=(n, n)))
    total = to_reference.sum(axis=1, keepdims=True) + np.asarray(ties.sum(axis=1)).reshape(-1, 1)
    return diffused_scores(scores, ties=ties, outside=outside, total=total)
