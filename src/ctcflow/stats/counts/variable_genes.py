"""Highly variable genes, in one sample and over samples.

Stuart 2019, doi:10.1016/j.cell.2019.05.031 (`seurat_v3` in scanpy).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.stats.counts.moments import column_moments

Vector = npt.NDArray[np.float64]

# Cleveland's k-d tree splits a cell that has more than span * this share of the points, and
# starts from a box that extends beyond the points by the margin on both sides.
_CELL: Final = 0.2
_MARGIN: Final = 0.005
_NARROW: Final = 1e-9


def clipped_variance(counts: sparse.csr_matrix, *, span: float) -> Vector:
    """Variance of the counts after standardisation by the variance that their mean predicts.

    log10 variance is regressed on log10 mean (`local_regression`); counts are standardised with
    the predicted variance and clipped at the square root of the number of cells.

    Parameters
    ----------
    counts : (n_cells, n_genes)
        Raw counts, canonical CSR; at least two cells.
    span
        Share of genes in each local fit (fraction).

    Returns
    -------
    (n_genes,)
        0 for genes without variance.
    """
    n_cells, n_genes = counts.shape
    mean, variance = column_moments(counts)
    varies = variance > 0
    expected = np.zeros(n_genes)
    expected[varies] = local_regression(
        np.log10(mean[varies]), np.log10(variance[varies]), span=span
    )
    sd = np.sqrt(10.0**expected)
    genes = counts.indices
    values = (mean + sd * np.sqrt(n_cells))[genes]
    np.minimum(counts.data, values, out=values)
    total = np.bincount(genes, weights=values, minlength=n_genes)
    squares = np.bincount(genes, weights=np.square(values, out=values), minlength=n_genes)
    clipped = (n_cells * mean**2 + squares - 2 * total * mean) / ((n_cells - 1) * sd**2)
    return np.where(varies, clipped, 0.0)


def local_regression(x: Vector, y: Vector, *, span: float) -> Vector:
    """Fit y on x by local quadratics with tricube weights (loess).

    As in Cleveland's dloess, the local fits are made at the vertices of a k-d tree and blended by
    cubics that keep their values and slopes. Cleveland 1979, doi:10.2307/2286407.

    Parameters
    ----------
    x, y : (n,)
        Finite.
    span
        Share of points in each local fit (fraction).

    Returns
    -------
    (n,)
        Fitted values at `x`.
    """
    if x.size == 0 or np.ptp(x) == 0:
        return np.full(x.size, y.mean() if y.size else np.nan)
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    n_local = max(min(int(xs.size * span + 1e-5), xs.size), min(3, xs.size))
    vertices = _vertices(xs, int(xs.size * span * _CELL))
    fits = np.array([_local_fit(xs, ys, at=v, n_local=n_local) for v in vertices])
    return _hermite(vertices, fits[:, 0], fits[:, 1], x)


def _vertices(xs: Vector, largest_cell: int) -> Vector:
    """Cut at medians until no cell holds more points than allowed."""
    margin = _MARGIN * (xs[-1] - xs[0])
    vertices = [xs[0] - margin, xs[-1] + margin]
    cells = [(0, xs.size - 1, vertices[0], vertices[1])]
    while cells:
        low, high, left, right = cells.pop()
        if high - low + 1 <= max(largest_cell, 1):
            continue
        middle = (low + high) // 2
        cut = (xs[middle] + xs[middle + 1]) / 2
        # equal points cannot be split
        if min(cut - left, right - cut) <= _NARROW * (xs[-1] - xs[0]):
            continue
        vertices.append(cut)
        cells += [(low, middle, left, cut), (middle + 1, high, cut, right)]
    return np.unique(vertices)


def _local_fit(xs: Vector, ys: Vector, *, at: float, n_local: int) -> tuple[float, float]:
    """Value and slope at one place of the quadratic through the nearest points."""
    distance = np.abs(xs - at)
    width = np.partition(distance, n_local - 1)[n_local - 1]
    if width == 0:
        width = distance[distance > 0].min() * 1.001
    first, last = np.searchsorted(xs, [at - width, at + width], side="left")
    last = max(int(last), int(first) + 1)
    near = (xs[first:last] - at) / width
    root = np.sqrt(np.clip(1 - np.abs(near) ** 3, 0, None) ** 3)
    design = np.column_stack([np.ones_like(near), near, near**2]) * root[:, None]
    solution = np.linalg.lstsq(design, ys[first:last] * root, rcond=1e-12)[0]
    return float(solution[0]), float(solution[1] / width)


def _hermite(knots: Vector, values: Vector, slopes: Vector, x: Vector) -> Vector:
    cell = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, knots.size - 2)
    width = knots[cell + 1] - knots[cell]
    t = (x - knots[cell]) / width
    rise = t**2 * (3 - 2 * t)
    return (
        (1 - rise) * values[cell]
        + rise * values[cell + 1]
        + width * t * (1 - t) * ((1 - t) * slopes[cell] - t * slopes[cell + 1])
    )


def ranks(values: Vector) -> npt.NDArray[np.float32]:
    """Rank from the largest (0) to the smallest; ties in order of position.

    Parameters
    ----------
    values : (n_genes,)
        Zero and NaN are not ranked.

    Returns
    -------
    (n_genes,) float32
        NaN where not ranked.
    """
    result = np.full(values.size, np.nan, dtype=np.float32)
    ranked = np.flatnonzero(values > 0)
    order = ranked[np.argsort(-values[ranked], kind="stable")]
    result[order] = np.arange(order.size)
    return result


def consensus(sample_ranks: npt.NDArray[np.float32], *, n_genes: int) -> npt.NDArray[np.bool_]:
    """Choose the genes that rank first in the samples in which they are variable.

    Genes are ordered by their median rank in the samples in which they are among the first
    `n_genes`; ties by the number of these samples, then by position. This is scanpy's `seurat_v3`
    with batches: a gene of a cell type that only few samples have (tumour cells) can be chosen.

    Parameters
    ----------
    sample_ranks : (n_samples, n_all_genes)
        0 first; NaN where the gene is not ranked in the sample.
    n_genes
        Number of genes wanted.

    Returns
    -------
    (n_all_genes,)
        True for at most `n_genes` genes, each among the first `n_genes` in at least one sample.
    """
    n_all = sample_ranks.shape[1]
    chosen = np.zeros(n_all, dtype=np.bool_)
    if sample_ranks.shape[0] == 0:
        return chosen
    kept = np.where(sample_ranks < n_genes, sample_ranks.astype(np.float64), np.inf)
    n_samples = np.isfinite(kept).sum(axis=0)
    kept.sort(axis=0)
    columns = np.arange(n_all)
    upper = kept[np.minimum(n_samples // 2, kept.shape[0] - 1), columns]
    lower = kept[np.maximum(n_samples - 1, 0) // 2, columns]
    median = np.where(n_samples > 0, (lower + upper) / 2, np.inf)
    order = np.lexsort((columns, -n_samples, median))[:n_genes]
    chosen[order[n_samples[order] > 0]] = True
    return chosen
