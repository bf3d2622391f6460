"""Stability of a clustering under subsampling, for the data and for noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.stats.clusters.communities import agreement, leiden

Matrix = npt.NDArray[np.float64]


def subsample_agreement(
    graph: sparse.csr_matrix,
    *,
    method: str,
    resolutions: Sequence[float],
    share: float,
    n_repeats: int,
    seed: int,
) -> Matrix:
    """Compare communities of subsamples with those of all cells, on the shared cells.

    Parameters
    ----------
    graph : (n, n)
        Result of `fuzzy_graph`; a subsample keeps the ties among its cells.
    method
        Quality function, see `leiden`.
    resolutions
        Leiden resolutions.
    share
        Share of the cells in a subsample (fraction).
    n_repeats
        Number of subsamples.
    seed
        Seed of the random numbers.

    Returns
    -------
    (n_resolutions, n_repeats)
        Adjusted Rand index: 1 for the same groups, about 0 for unrelated ones; NaN where a
        subsample has fewer than two cells.
    """
    n = graph.shape[0]
    full = leiden(graph, method=method, resolutions=resolutions, seed=seed)
    found = np.full((len(resolutions), n_repeats), np.nan)
    for repeat in range(n_repeats):
        rng = np.random.default_rng([seed, repeat])
        kept = np.sort(rng.choice(n, int(share * n), replace=False))
        part = leiden(
            graph[kept][:, kept], method=method, resolutions=resolutions, seed=seed + repeat + 1
        )
        found[:, repeat] = [agreement(a[kept], b) for a, b in zip(full, part, strict=True)]
    return found


def one_cloud(points: Matrix, *, n: int, seed: int) -> Matrix:
    """Draw points without clusters: a normal distribution with the covariance of the given points.

    Leiden finds communities in it too; their stability is the baseline for noise.

    Parameters
    ----------
    points : (n_cells, d)
        At least two.
    n
        Number of points drawn.
    seed
        Seed of the random numbers.

    Returns
    -------
    (n, d)
    """
    covariance = np.atleast_2d(np.cov(points, rowvar=False))
    values, vectors = np.linalg.eigh(covariance)
    spread = np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng(seed).normal(size=(n, points.shape[1]))
    return np.asarray((drawn * spread) @ vectors.T)


def finest_stable(
    resolutions: Sequence[float], stability: Sequence[float], *, share_of_best: float
) -> float:
    """Choose the largest resolution that is nearly as stable as the most stable one.

    Parameters
    ----------
    resolutions
        Resolutions in any order.
    stability
        Mean adjusted Rand index of each; NaN where not measured.
    share_of_best
        Smallest acceptable stability, as a share of the best (fraction).

    Returns
    -------
    float
        The chosen resolution; the median one where no stability was measured.
    """
    measured = [(r, s) for r, s in zip(resolutions, stability, strict=True) if not np.isnan(s)]
    if not measured:
        return sorted(resolutions)[len(resolutions) // 2]
    best = max(s for _, s in measured)
    return max(r for r, s in measured if s >= share_of_best * best)
