"""Expected expression per gene from the reference lineages, and the deviation of a cell from it.

Counts of a gene are modelled as negative binomial with mean depth x reference share x gene dosage.
The dispersion is not that within one cell type, but the variation of a gene between tissues. So a
difference in single genes between a tumour of another tissue and blood is not evidence; only a
shift shared by many neighbouring genes is. With such a large dispersion a highly expressed gene has
little more weight than others: no single tissue gene determines an arm, and the same model works
from some hundred to 20,000 counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_LOWEST_SHARE = 5e-6  # in every lineage: genes that are off in one lineage vary between tissues
_HIGHEST_SHARE = 1e-3  # ribosomal genes shift together between tissues
_FEWEST_COUNTS = 5.0  # fewest counts of a gene in every lineage, to estimate its share
_BASE_DISPERSION = 3.0  # tumour against blood: log shares differ by 0.9, with heavy tails
_LINEAGE_DISPERSION = 3.0  # per variance of log shares between lineages
_CAP = 4.0  # counts are capped at this many standard deviations above the mean
_ROWS = 256  # cells made dense at a time


class Reference(NamedTuple):
    """Expected shares of the genes that all lineages express, in genomic order."""

    genes: Ints
    """(g,) columns of the count matrix."""
    shares: npt.NDArray[np.float32]
    """(l, g) share of a lineage's counts in these genes."""
    dispersion: npt.NDArray[np.float32]
    """(l, g) squared coefficient of variation, between tissues and from sampling the reference."""


class Dosage(NamedTuple):
    """Score and information of the dosage, lineages x cells x segments."""

    score: Floats
    """Sum over genes of (count - expected) / (1 + dispersion x expected)."""
    information: Floats
    """Variance of the score, equal to its derivative by the relative dosage."""


def reference(sums: Floats) -> Reference:
    """Choose genes and estimate their expected shares and dispersions.

    Parameters
    ----------
    sums
        (l, G) counts of each lineage's reference cells, genes in genomic order.

    Returns
    -------
    Reference with the genes whose share is between 5e-6 and 1e-3 in every lineage; maybe none.
    """
    total = sums.sum(axis=1, keepdims=True)
    shares = sums / np.maximum(total, 1.0)
    chosen = (
        (shares.min(axis=0) >= _LOWEST_SHARE)
        & (shares.max(axis=0) <= _HIGHEST_SHARE)
        & (sums.min(axis=0) >= _FEWEST_COUNTS)
    )
    genes = np.flatnonzero(chosen)
    noise = 1.0 / np.maximum(sums[:, genes], 1.0)
    between = np.zeros(genes.size)
    if sums.shape[0] > 1 and genes.size:
        between = np.log(shares[:, genes]).var(axis=0, ddof=1) - noise.mean(axis=0)
    tissue = _BASE_DISPERSION + _LINEAGE_DISPERSION * np.maximum(between, 0.0)
    chosen_shares = shares[:, genes] / np.maximum(
        shares[:, genes].sum(axis=1, keepdims=True), 1e-300
    )
    return Reference(genes, chosen_shares.astype(np.float32), (tissue + noise).astype(np.float32))


def dosage(counts: sp.csr_matrix, *, expected: Reference, starts: Ints) -> Dosage:
    """Compare cells with every lineage, segment by segment.

    The score is the derivative of the negative-binomial log-likelihood by the log dosage. Counts
    are capped at four standard deviations above their expectation.

    Parameters
    ----------
    counts
        (n, G) counts, genes as in `reference`.
    starts
        (s,) first of the reference's genes in each segment, ascending from 0.

    Returns
    -------
    Score and information, divided by the cell's own overdispersion where its genes scatter more
    than expected.
    """
    n_lineages = expected.shares.shape[0]
    shape = (n_lineages, counts.shape[0], starts.size)
    found = Dosage(np.zeros(shape), np.zeros(shape))
    if starts.size == 0:
        return found
    chosen = counts[:, expected.genes].tocsr()
    for first in range(0, counts.shape[0], _ROWS):
        rows = slice(first, first + _ROWS)
        seen = chosen[rows].toarray().astype(np.float32)
        depth = seen.sum(axis=1, keepdims=True)
        for lineage in range(n_lineages):
            mean = depth * expected.shares[lineage]
            spread = 1.0 + expected.dispersion[lineage] * mean  # variance over mean
            cut = np.maximum(mean + np.float32(_CAP) * np.sqrt(mean * spread), 1.0)
            score = (np.minimum(seen, cut) - mean) / spread
            information = mean / spread
            over = (score * score).sum(axis=1) / np.maximum(information.sum(axis=1), 1e-6)
            scale = np.maximum(over, 1.0)[:, None]
            found.score[lineage, rows] = np.add.reduceat(score, starts, axis=1) / scale
            found.information[lineage, rows] = np.add.reduceat(information, starts, axis=1) / scale
    return found
