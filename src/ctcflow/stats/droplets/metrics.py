"""Quality metrics of droplets: counts, genes and shares of technical gene sets."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats.counts.checks import looks_like_reads
from ctcflow.stats.counts.gene_sets import in_set

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


_FEWEST_TO_BE_UNEVEN: Final = 1000
_TENTH: Final = 0.1
_LEAST_OF_A_TENTH: Final = 0.17
"""Smallest share of the counts of a cell in the most expressed tenth of its genes."""


class Depth(NamedTuple):
    """Counts and detected genes per cell."""

    umis: npt.NDArray[np.int64]
    genes: npt.NDArray[np.int64]


def depth(counts: sp.csr_matrix) -> Depth:
    """Total counts and number of genes seen, per cell."""
    umis = np.asarray(counts.sum(axis=1), dtype=np.int64).ravel()
    return Depth(umis, np.diff(counts.indptr).astype(np.int64))


def percent(counts: sp.csr_matrix, *, genes: Bools, umis: npt.NDArray[np.int64]) -> Floats:
    """Percent of each cell's counts in some genes; all NaN if the data have none of them."""
    if not genes.any():
        return np.full(umis.size, np.nan)
    part = np.asarray(counts @ genes.astype(np.float64)).ravel()
    return 100.0 * part / np.maximum(umis, 1)


def evenly_spread(counts: sp.csr_matrix) -> Bools:
    """Droplets whose counts are spread more evenly over their genes than those of any cell.

    In every cell a few genes make up much of the RNA. In 29 public files of cells, nuclei and spots
    that show `_FEWEST_TO_BE_UNEVEN` genes or more, their most expressed tenth of the genes holds at
    least .24 of the counts, and in whole cells .36.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    """
    even = np.zeros(counts.shape[0], dtype=bool)
    for row in np.flatnonzero(np.diff(counts.indptr) >= _FEWEST_TO_BE_UNEVEN):
        values = counts.data[counts.indptr[row] : counts.indptr[row + 1]]
        rest = values.size - round(_TENTH * values.size)
        most = float(np.partition(values, rest)[rest:].sum())
        even[row] = most < _LEAST_OF_A_TENTH * float(values.sum(dtype=np.float64))
    return even


class Quality(NamedTuple):
    """Metrics per droplet."""

    umis: Floats
    """Counts; reads where the data have no molecular identifiers."""
    genes: Floats
    percent: dict[str, Floats]
    """Percent of counts per set of `SHARES`; NaN where the reference has no such gene."""
    other_species: Floats
    """Percent of the gene counts that are another species'."""
    reads: bool


SHARES: Final = ("mitochondrial", "ribosomal", "haemoglobin", "platelet")
"""Technical gene sets whose share of the counts is measured."""


def quality(
    counts: sp.csr_matrix,
    genes: npt.NDArray[np.object_],
    *,
    technical: pd.DataFrame,
    foreign: npt.NDArray[np.floating],
) -> Quality:
    """Measure every droplet.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    genes
        (G,) symbols.
    technical
        Gene sets: see `gene_sets.in_set`.
    foreign
        (n,) counts in genes of another species, which are not among the G.
    """
    depths = depth(counts)
    percents = {
        name: percent(counts, genes=in_set(genes, technical, name), umis=depths.umis)
        for name in SHARES
    }
    return Quality(
        depths.umis.astype(np.float64),
        depths.genes.astype(np.float64),
        percents,
        100.0 * foreign / np.maximum(foreign + depths.umis, 1.0),
        looks_like_reads(counts),
    )
