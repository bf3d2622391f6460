"""Doublet scores: how much a droplet resembles the sum of two cells of the same sample.

Two features are combined by a logistic regression of simulated doublets against droplets: simulated
doublets among the nearest neighbours (Wolock 2019, doi:10.1016/j.cels.2018.11.005), and genes
detected together that exclude each other in other cells (Bais & Kostka 2020,
doi:10.1093/bioinformatics/btz698). Library size is deliberately not used: real doublets are not
twice as deep as singlets, and tumour cells are deeper than leukocytes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.stats.clusters.neighbors import nearest
from ctcflow.stats.counts.content import content_order
from ctcflow.stats.counts.variable_genes import clipped_variance
from ctcflow.stats.embedding.components import add_cells, no_sums, principal_components, project

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]

FEWEST_CELLS: Final = 50
"""Fewest cells for meaningful neighbourhoods; with fewer, the score is NaN."""

_RATE_PER_CELL: Final = 8e-6
# Kits with another number of droplets or barcodes, and so another rate.
_FACTOR: Final = {"ht": 0.5, "gemx": 0.5, "v4": 0.5, "lt": 10.0}
_LARGEST_RATE: Final = 0.5

_GENES: Final = 1000
_IN_CELLS: Final = 3
_SPAN: Final = 0.3
_COMPONENTS: Final = 15
_NEIGHBOURS: Final = 100
_NARROWING: Final = 3.0
_FEWEST_SIMULATED: Final = 4000
_LARGEST_GROUP: Final = 10_000
_BLOCK: Final = 2048
_ROUNDS: Final = 3
_NEWTON: Final = 50
_RIDGE: Final = 1.0


class Doublets(NamedTuple):
    """Doublet score and call of each cell."""

    score: Vector
    """Probability of a doublet of two different types, (n_cells,); NaN where not run."""
    called: Truth
    """Score above one half, (n_cells,)."""


def expected_rate(n_cells: int, *, chemistry: str) -> float | None:
    """Expected share of droplets with two cells or more, from the number of cells and the kit.

    10x Chromium, tables of multiplet rates in the user guides: 0.8 % per 1,000 recovered cells for
    v2 to v3.1 (CG000204), 0.4 % for HT and for GEM-X v4 (CG000416, CG000731), 8 % for LT
    (10x Genomics knowledge base, article 360059124751).

    Parameters
    ----------
    n_cells
        Recovered cells (droplets with cells).
    chemistry
        As in the sample sheet: `10x_3p_v3`, `10x 3' v2` and the like.

    Returns
    -------
    float or None
        Fraction, at most one half; None for a chemistry other than 10x, whose rate is not known.
    """
    words = re.split("[^a-z0-9]+", chemistry.lower().replace("gem-x", "gemx"))
    if "10x" not in words:
        return None
    factor = next((value for word, value in _FACTOR.items() if word in words), 1.0)
    return min(n_cells * _RATE_PER_CELL * factor, _LARGEST_RATE)


def doublet_scores(
    counts: sparse.csr_matrix, *, rate: float, seed: int, n_threads: int
) -> Doublets:
    """Score each cell of one capture.

    The same seed gives the same scores at any number of threads. Cells are first sorted by their
    content, so permuting cells permutes scores (cells with identical counts may swap scores).

    Doublets of two cells of the same type cannot be detected. In a sample with a single cell type
    the scores stay near `rate`, and no doublet is called.

    Parameters
    ----------
    counts : (n_cells, n_genes)
        Raw counts of one capture, canonical CSR.
    rate
        Expected share of doublets (fraction, above 0 and below 1). It sets the scale of the
        score, and how many droplets are excluded from the fit as likely doublets.
    seed
        Seed for choosing the pairs of simulated doublets.
    n_threads
        Blocks that are processed at the same time.

    Returns
    -------
    Doublets
        NaN and not called if there are fewer than `FEWEST_CELLS` cells, or no variable genes.
    """
    from threadpoolctl import threadpool_limits

    n_cells = counts.shape[0]
    order = content_order(counts, names=None)
    cells = counts[order]
    genes = _variable(cells) if n_cells >= FEWEST_CELLS else np.zeros(0, dtype=np.int64)
    if genes.size < 2:
        return Doublets(np.full(n_cells, np.nan), np.zeros(n_cells, dtype=np.bool_))
    with threadpool_limits(limits=1, user_api="blas"):
        probability = _posterior(_features(cells, genes, seed, n_threads), n_cells, rate)
    score = np.empty(n_cells)
    score[order] = probability
    return Doublets(score, score > 0.5)


def _variable(cells: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Indices of the most variable genes among those that enough cells express."""
    seen = np.bincount(cells.indices, minlength=cells.shape[1])
    among = np.flatnonzero(seen >= _IN_CELLS)
    if among.size == 0:
        return among
    variance = clipped_variance(cells[:, among], span=_SPAN)
    best = np.argsort(-variance, kind="stable")[:_GENES]
    return np.sort(among[best[variance[best] > 0]])


def _features(
    cells: sparse.csr_matrix, genes: npt.NDArray[np.int64], seed: int, n_threads: int
) -> Matrix:
    """The two features (neighbours, exclusive pairs) for cells, then for simulated doublets."""
    n = cells.shape[0]
    rng = np.random.default_rng(seed)
    n_simulated = max(n, _FEWEST_SIMULATED)
    first = rng.integers(0, n, n_simulated)
    second = (first + rng.integers(1, n, n_simulated)) % n
    totals = np.asarray(cells.sum(axis=1), dtype=np.float64).ravel()
    target = float(np.median(totals))
    real = cells[:, genes].astype(np.float64)
    simulated = (real[first] + real[second]).tocsr()
    both = sparse.vstack([real, simulated], format="csr")
    both_totals = np.concatenate([totals, totals[first] + totals[second]])
    values = _log_normalised(both, both_totals, target)
    components = principal_components(
        add_cells(no_sums(genes.size), values, n_threads=1), n_components=_COMPONENTS
    )
    near = _simulated_nearby(project(values, components), n, n_threads)
    return np.column_stack([near, np.log1p(_exclusive_pairs(both, n))])


def _log_normalised(counts: sparse.csr_matrix, totals: Vector, target: float) -> sparse.csr_matrix:
    factor = np.repeat(target / np.maximum(totals, 1.0), np.diff(counts.indptr))
    values = np.log1p(counts.data * factor)
    return sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)


def _simulated_nearby(points: npt.NDArray[np.float32], n: int, n_threads: int) -> Vector:
    """Log odds of simulated doublets among the neighbours, weighted by nearness.

    Large samples are searched in groups, each with its share of cells and of simulated doublets, so
    that time grows linearly with the number of cells. Rows are sorted by a hash, so a group is a
    random subset.
    """
    result = np.empty(points.shape[0])
    n_groups = -(-n // _LARGEST_GROUP)
    for start in range(n_groups):
        rows = np.concatenate(
            [np.arange(start, n, n_groups), np.arange(n + start, points.shape[0], n_groups)]
        )
        indices, distances = nearest(points[rows], k=_NEIGHBOURS + 1, n_threads=n_threads)
        is_simulated = rows[indices[:, 1:]] >= n
        away = distances[:, 1:] / np.maximum(distances[:, -1:], np.finfo(np.float64).tiny)
        weight = np.exp(-_NARROWING * away**2)
        simulated = (weight * is_simulated).sum(axis=1)
        result[rows] = np.log((simulated + 0.5) / (weight.sum(axis=1) - simulated + 0.5))
    return result


def _exclusive_pairs(counts: sparse.csr_matrix, n: int) -> Vector:
    """Sum over pairs of genes seen together of -log p that they exclude each other (cxds).

    The weights come from the first n rows; p is the upper tail probability, by normal
    approximation, of the number of cells in which exactly one of the two genes is seen.
    """
    from scipy.special import log_ndtr

    seen = sparse.csr_matrix(
        (np.ones(counts.nnz, np.float32), counts.indices, counts.indptr), shape=counts.shape
    )
    result = np.empty(counts.shape[0])
    together = np.zeros((counts.shape[1], counts.shape[1]))
    for start in range(0, n, _BLOCK):
        block = seen[start : min(start + _BLOCK, n)].toarray()
        together += block.T @ block
    share = np.diag(together) / n
    exactly_one = share[:, None] + share - 2 * share[:, None] * share
    spread = np.sqrt(np.maximum(n * exactly_one * (1 - exactly_one), 1e-12))
    excess = n * (share[:, None] + share - exactly_one) - 2 * together
    # rounding could leave a tiny value where the variance is zero
    excess[exactly_one * (1 - exactly_one) * n < 1e-6] = 0.0
    weights = np.where(excess > 0, -log_ndtr(-excess / spread), 0.0)
    np.fill_diagonal(weights, 0.0)
    narrow = weights.astype(np.float32)
    for start in range(0, counts.shape[0], _BLOCK):
        block = seen[start : start + _BLOCK].toarray()
        result[start : start + _BLOCK] = np.einsum(
            "ij,ij->i", block @ narrow, block, dtype=np.float64
        )
    return result


def _posterior(features: Matrix, n: int, rate: float) -> Vector:
    """Probability of a doublet for the first n rows, given that `rate` of them are.

    Droplets that resemble doublets most are left out when the fit is repeated, because they are
    probably not single cells.
    """
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    design = np.column_stack([np.ones(scaled.shape[0]), scaled])
    simulated = np.arange(scaled.shape[0]) >= n
    single = np.ones(n, dtype=np.bool_)
    log_odds = np.zeros(n)
    for _ in range(_ROUNDS):
        used = np.concatenate([single, simulated[n:]])
        # both classes get the same total weight, whatever their sizes
        weight = np.where(simulated, float(single.sum()) / float(simulated.sum()), 1.0)
        fit = _logistic(design[used], simulated[used], weight[used])
        log_odds = design[:n] @ fit
        single = log_odds <= np.quantile(log_odds, 1 - rate)
    shifted = np.clip(log_odds + np.log(rate / (1 - rate)), -700, 700)
    return np.asarray(1 / (1 + np.exp(-shifted)))


def _logistic(design: Matrix, truth: Truth, weight: Vector) -> Vector:
    """Weighted logistic regression with a small ridge, by Newton's method."""
    ridge = _RIDGE * np.eye(design.shape[1])
    ridge[0, 0] = 1e-6
    fit = np.zeros(design.shape[1])
    for _ in range(_NEWTON):
        probability = 1 / (1 + np.exp(-np.clip(design @ fit, -700, 700)))
        # einsum and not BLAS: the sums do not depend on the number of threads.
        slope = np.einsum("ij,i->j", design, weight * (truth - probability)) - ridge @ fit
        heft = weight * probability * (1 - probability)
        curvature = np.einsum("ij,i,ik->jk", design, heft, design) + ridge
        step = np.linalg.solve(curvature, slope)
        fit = fit + step
        if np.abs(step).max() < 1e-9:
            break
    return fit
