"""Batch correction with Harmony.

harmonypy has another licence (GPL-3) than this package, so it is imported only in this module.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_ROWS: Final = 65_536


class Harmony(NamedTuple):
    """Corrected points, and what is needed to map new points onto them."""

    points: Matrix
    """(n, d) corrected."""
    cluster_sizes: Vector
    """(k,) cells per soft cluster, not integers; they sum to n."""
    cluster_sums: Matrix
    """(k, d) sum of the corrected points, weighted by their membership in the cluster."""


def harmony(
    points: Matrix, *, batches: Codes, theta: float, max_iterations: int, seed: int
) -> Harmony:
    """Correct an embedding for batches (Korsunsky 2019, doi:10.1038/s41592-019-0619-0).

    Sizes and sums of the soft clusters are the compressed reference of Symphony (Kang 2021,
    doi:10.1038/s41467-021-25957-x): its N_r and C.

    Parameters
    ----------
    points : (n, d)
        Principal components.
    batches : (n,)
        Batch of each point.
    theta
        Strength of the diversity penalty.
    max_iterations
        Largest number of rounds.
    seed
        Seed of the random numbers; the result does not depend on the number of threads.

    Returns
    -------
    Harmony
    """
    from harmonypy import run_harmony

    n, d = points.shape
    fit = run_harmony(
        # Components x cells: the orientation that harmonypy does not misinterpret if n equals d.
        np.ascontiguousarray(points.T),
        {"batch": batches},
        ["batch"],
        theta=theta,
        nclust=max(min(round(n / 30), 100), 2),
        max_iter_harmony=max_iterations,
        random_state=seed,
        verbose=False,
    )
    corrected = np.asarray(fit.Z_corr, dtype=np.float64)
    # harmonypy 0.x returned components x cells.
    if corrected.shape != (n, d):
        raise RuntimeError(f"harmonypy gave shape {corrected.shape} for {n} cells and {d} PCs")
    return Harmony(corrected, *_compressed(np.asarray(fit.R), corrected))


def _compressed(shares: npt.NDArray[np.floating], points: Matrix) -> tuple[Vector, Matrix]:
    """Size and sum of each soft cluster, from the cells' shares (n, k)."""
    from threadpoolctl import threadpool_limits

    sizes, sums = np.zeros(shares.shape[1]), np.zeros((shares.shape[1], points.shape[1]))
    # In blocks: a million cells x 100 clusters are 0.8 GB in float64.
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, points.shape[0], _ROWS):
            block = shares[start : start + _ROWS].astype(np.float64)
            sizes += block.sum(axis=0)
            sums += block.T @ points[start : start + _ROWS]
    return sizes, sums


def mean_shift(shifts: Matrix, *, groups: Codes, n_groups: int) -> Matrix:
    """Mean shift (correction) of each group.

    Parameters
    ----------
    shifts : (n, d)
        One per fitted cell.
    groups : (n,)
        Group of each cell.
    n_groups
        Number of groups.

    Returns
    -------
    (n_groups, d)
        NaN for a group without cells.
    """
    sums = np.zeros((n_groups, shifts.shape[1]))
    for column, values in enumerate(shifts.T):
        sums[:, column] = np.bincount(groups, weights=values, minlength=n_groups)
    sizes = np.bincount(groups, minlength=n_groups).astype(np.float64)
    sizes[sizes == 0] = np.nan
    return np.asarray(sums / sizes[:, None])
