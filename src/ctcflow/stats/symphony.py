"""New cells mapped onto a reference that was corrected for batches, without its cells.

Symphony (Kang 2021, doi:10.1038/s41467-021-25957-x): what the reference contributes is the size of
each of its soft clusters and the sum of their corrected points.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ctcflow.stats.harmony import mean_shift

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_WIDTH: Final = 0.1
_RIDGE: Final = 1.0


def memberships(points: Matrix, *, cluster_sums: Matrix) -> Matrix:
    """Assign points softly to the clusters of the reference, by the angle to their centroids.

    Parameters
    ----------
    points : (n, d)
        Principal components.
    cluster_sums : (K, d)
        Sums of the reference's corrected points; their directions are the centroids.

    Returns
    -------
    (n, K)
        Rows sum to one: proportional to exp(-2 (1 - cosine) / 0.1).
    """
    cosines = _unit(points) @ _unit(cluster_sums).T
    log_weights = -2 * (1 - cosines) / _WIDTH
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def cluster_shifts(
    points: Matrix, *, weights: Matrix, cluster_sizes: Vector, cluster_sums: Matrix
) -> Matrix:
    """Difference of a new batch from the reference in each soft cluster, ridge-shrunk.

    Per cluster the reference and the batch are regressed on an intercept and the batch, with a
    penalty of one on the batch: with sizes N and n and means M and m that is
    N n (m - M) / (N n + N + n).

    Parameters
    ----------
    points : (n, d)
        Principal components of the batch.
    weights : (n, K)
        Of `memberships`.
    cluster_sizes : (K,)
        Sizes of the reference's clusters.
    cluster_sums : (K, d)
        Sums of the reference's corrected points.

    Returns
    -------
    (K, d)
        To be taken off points in proportion to their memberships.
    """
    own = weights.sum(axis=0)
    sums = weights.T @ points
    top = cluster_sizes[:, None] * sums - own[:, None] * cluster_sums
    bottom = cluster_sizes * own + _RIDGE * (cluster_sizes + own)
    return np.asarray(top / np.where(bottom > 0, bottom, 1.0)[:, None])


def lineage_shift(points: Matrix, *, lineages: npt.NDArray[np.intp], means: Matrix) -> Vector:
    """Difference of a new batch from the reference, with the lineage of each cell held fixed.

    Parameters
    ----------
    points : (n, d)
        Principal components of the batch.
    lineages : (n,)
        Lineage of each point, -1 for those that the reference does not have.
    means : (L, d)
        Corrected mean of each lineage in the reference.

    Returns
    -------
    (d,)
        Least squares: the mean of the points' differences from their lineage; NaN where no point
        has a lineage of the reference.
    """
    known = lineages >= 0
    if not known.any():
        return np.full(points.shape[1], np.nan)
    return np.asarray((points[known] - means[lineages[known]]).mean(axis=0))


def mapped(points: Matrix, *, fitted: Flags, cluster_sizes: Vector, cluster_sums: Matrix) -> Matrix:
    """Move the points of one new batch onto the reference.

    Parameters
    ----------
    points : (n, d)
        Principal components of the batch.
    fitted : (n,)
        Points that the correction is fitted on; at least one. All others are moved by the mean
        correction of these, so that they can neither pull nor be pulled.
    cluster_sizes : (K,)
        Sizes of the reference's clusters.
    cluster_sums : (K, d)
        Sums of the reference's corrected points.

    Returns
    -------
    (n, d)
    """
    own = points[fitted]
    weights = memberships(own, cluster_sums=cluster_sums)
    shifts = cluster_shifts(
        own, weights=weights, cluster_sizes=cluster_sizes, cluster_sums=cluster_sums
    )
    moved = points.copy()
    moved[fitted] = own - weights @ shifts
    one = np.zeros(own.shape[0], dtype=np.intp)
    moved[~fitted] += mean_shift(moved[fitted] - own, groups=one, n_groups=1)[0]
    return moved


def _unit(points: Matrix) -> Matrix:
    """Scale to unit length; a point at the origin has no direction and stays there."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths > 0, lengths, 1.0))
