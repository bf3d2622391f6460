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
