"""The ambient RNA of one blood sample: its share, its profile, and counts corrected for it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.droplets import ambient, exclusive_genes
from ctcflow.stats.identity.coarse_lineage import COARSE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_BOOTSTRAPS: Final = 100
_CONFIDENCE: Final = 0.95


class SampleAmbient(NamedTuple):
    """Share and profile of the ambient RNA."""

    found: ambient.Contamination
    profile: Floats
    """(G,) share of counts per gene; NaN where nothing was measured."""


def measured(
    counts: sp.csr_matrix,
    genes: npt.NDArray[np.object_],
    *,
    lineage: Ints,
    used: Bools,
    soup: Floats | None,
    reads: bool,
    seed: int,
) -> SampleAmbient:
    """Estimate the share of ambient RNA in a sample's cells.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    genes
        (G,) symbols.
    lineage
        (n,) index into `coarse_lineage.COARSE`.
    used
        (n,) cells to measure on: kept cells that are not likely doublets.
    soup
        (G,) profile of droplets without a cell; None if there are none: then the cells' mean.
    reads
        True for read counts: they come from wells, which share no ambient RNA, so nothing is
        measured.
    seed
        Seed of the bootstrap.
    """
    nothing = np.full(genes.size, np.nan)
    if reads:
        reason = "these are read counts: wells share no ambient RNA"
        return SampleAmbient(ambient.Contamination(np.nan, np.nan, np.nan, 0, reason), nothing)
    cells = np.flatnonzero(used)
    source, excluded = exclusive_genes.exclusive(genes)
    contamination = ambient.contamination(
        counts[cells],
        lineage=_groups(lineage)[cells],
        source=source,
        excluded=excluded,
        profile=soup,
        confidence=_CONFIDENCE,
        n_bootstraps=_BOOTSTRAPS,
        seed=seed,
    )
    if soup is not None:
        return SampleAmbient(contamination, soup)
    if np.isnan(contamination.rho):
        return SampleAmbient(contamination, nothing)
    sums = np.asarray(counts[cells].sum(axis=0), dtype=np.float64).ravel()
    return SampleAmbient(contamination, sums / sums.sum())


def without(
    counts: sp.csr_matrix, *, lineage: Ints, kept: Bools, ambient_rna: SampleAmbient, seed: int
) -> sp.csr_matrix:
    """Correct the counts of kept cells for ambient RNA; other cells are not changed."""
    cells = np.flatnonzero(kept)
    corrected = ambient.correct(
        counts[cells],
        lineage=lineage[cells],
        rho=ambient_rna.found.rho,
        profile=ambient_rna.profile,
        seed=seed,
    )
    rest = np.flatnonzero(~kept)
    back = np.argsort(np.concatenate([cells, rest]), kind="stable")
    return sp.vstack([corrected, counts[rest]]).tocsr()[back]


def _groups(lineage: Ints) -> Ints:
    """Index into `exclusive_genes.GROUPS`; -1 for cells of other lineages."""
    names = {**dict.fromkeys(exclusive_genes.GROUPS, ""), "neutrophil": "myeloid"}
    codes = [
        exclusive_genes.GROUPS.index(names[name] or name) if name in names else -1
        for name in COARSE
    ]
    return np.array(codes, dtype=np.intp)[lineage]
