"""Batch correction fitted on some cells and applied to all.

harmonypy is GPL-3: it is imported here only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


class Harmonised(NamedTuple):
    """Corrected points (n, d), and of each soft cluster its size (K,) and sum of them (K, d)."""

    points: Matrix
    cluster_sizes: npt.NDArray[np.float64]
    cluster_sums: Matrix


def harmony(
    points: Matrix, *, batches: Codes, theta: float, max_iterations: int, seed: int
) -> Harmonised:
    """Correct an embedding for batches (Korsunsky 2019, doi:10.1038/s41592-019-0619-0).

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
    Harmonised
        Corrected points, and what maps new points onto them (Kang 2021,
        doi:10.1038/s41467-021-25957-x).
    """
    from harmonypy import run_harmony

    n, d = points.shape
    fitted = run_harmony(
        # Components x cells: the only orientation that is not mistaken where n equals d.
        np.ascontiguousarray(points.T),
        {"batch": batches},
        ["batch"],
        theta=theta,
        nclust=max(min(round(n / 30), 100), 2),
        max_iter_harmony=max_iterations,
        random_state=seed,
        verbose=False,
    )
    corrected = np.asarray(fitted.Z_corr, dtype=np.float64)
    # harmonypy 0.x gave components x cells.
    if corrected.shape != (n, d):
        raise RuntimeError(f"harmonypy gave shape {corrected.shape} for {n} cells and {d} PCs")
    member = np.asarray(fitted.R, dtype=np.float64)
    return Harmonised(corrected, member.sum(axis=0), member.T @ corrected)


def mean_shift(shifts: Matrix, *, groups: Codes, n_groups: int) -> Matrix:
    """Mean of the shifts of each group.

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
    np.add.at(sums, groups, shifts)
    sizes = np.bincount(groups, minlength=n_groups).astype(np.float64)
    sizes[sizes == 0] = np.nan
    return np.asarray(sums / sizes[:, None])
