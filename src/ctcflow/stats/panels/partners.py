"""Find the blood cell (partner) that shares a droplet with a tumour cell.

A droplet that may contain a tumour cell is searched for genes that one blood lineage expresses and
tissue does not. Without a partner they can come from ambient RNA, and from the tumour itself:
tumours express some blood genes, so one gene never proves a partner. Expression beyond both
indicates a partner.

Constants were chosen on one triple-negative breast cancer and pbmc4k. Genes that three lung cancer
cell lines express are left out for all cancers, so these lines are no independent validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats.panels import panel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_OF_ATLAS: Final = {
    "CD4 T": "CD4+T",
    "CD8 T": "CD8+T",
    "NK": "NK",
    "B": "B",
    "Plasma": "Plasma",
    "Monocyte": "Monocyte",
}
"""Column of the rate table for each lineage."""
_OF_MARKERS: Final = {"Neutrophil": "Monocyte", "Platelet": None}
"""Lineages missing from the atlas, and the lineage whose genes they express besides their
markers."""
LINEAGES: Final = (*_OF_ATLAS, *_OF_MARKERS)
"""Lineages in the order of their codes; they are types of `profiles`."""

_TISSUE: Final = ["Fibroblast", "Endothelial", "Epithelial"]
_LEAST_RATE: Final = 60e-6
_TIMES_TISSUE: Final = 15.0
_MARKER_RATE: Final = 1e-3  # rate of a strong marker, for the lineages missing from the atlas
_CARCINOMA: Final = (
    "S100A8 S100A9 LYZ CXCR4 CCL5 IL7R RAC2 EMB LCP1 EVI2A EVI2B RHOF MYBL1 SLAMF7 EREG C15orf48"
    " CSF2RA KYNU MMP9 POU2F2 TMEM156 ADAM28 RALGPS2 NRGN"
)
"""Genes of leukocytes and platelets that carcinoma cells express too."""

_PARTNER_SHARE: Final = 0.2  # of the droplet's counts; only affects the weights
_UNIT: Final = 0.5  # nats per step of the integer weights: finer steps hardly change any p
_TUMOUR_RATE: Final = 2e-6  # share of a tumour's counts in a gene that it does not express
_STRAY: Final = 0.05  # probability that a tumour expresses any one of these genes
_STRAY_RATE: Final = 1e-4  # share of its counts if it does
_SEEN_BY_CHANCE: Final = 0.2  # how often ambient RNA alone may reach the counts of a seen gene
_DISPERSION: Final = 0.1  # of ambient RNA between droplets: variance over squared mean
_NODES: Final = 5


class LineageGenes(NamedTuple):
    """Genes of one lineage in a sample."""

    columns: Ints
    """(g,) column of each gene in the sample's matrix."""
    rate: Floats
    """(g,) share of the lineage's counts."""


class Partners(NamedTuple):
    """The most likely partner lineage of each droplet."""

    lineage: npt.NDArray[np.object_]
    """(n,) one of `LINEAGES`; empty where no lineage is unexpected, or for other droplets."""
    p: Floats
    """(n,) probability that a tumour cell without a partner shows so much of any lineage; NaN for
    droplets that are not candidates."""


def lineage_genes(
    names: npt.NDArray[np.object_],
    *,
    rates: pd.DataFrame,
    markers: pd.DataFrame,
    left_out: frozenset[str],
) -> dict[str, LineageGenes]:
    """Genes that distinguish a blood lineage from tissue and from carcinoma cells.

    Parameters
    ----------
    names
        (G,) symbols of the sample.
    rates
        Atlas: `symbol`, then counts per million per type.
    markers
        Marker sets: `set`, `gene`, `direction`.
    left_out
        Genes that another line of evidence uses, or that reflect the handling of cells.

    Returns
    -------
    Genes of each of `LINEAGES`: at least 60 counts per million, and 15 times as many as in any
    tissue of the atlas.
    """
    table = rates.set_index("symbol") / 1e6
    tissue = table[_TISSUE].max(axis=1)
    rates_of_lineage = {name: table[column] for name, column in _OF_ATLAS.items()}
    for name, nearest in _OF_MARKERS.items():
        chosen = (markers["set"] == name) & (markers["direction"] == 1)
        marker_rates = pd.Series(_MARKER_RATE, index=markers.loc[chosen, "gene"].unique())
        if nearest is not None:
            marker_rates = marker_rates.combine_first(rates_of_lineage[nearest])
        rates_of_lineage[name] = marker_rates
    # assumes that each name occurs once among the sample's genes
    places = pd.Series(np.arange(names.size), index=pd.Index(names))
    places = places[~places.index.isin(left_out.union(_CARCINOMA.split()))]
    result = {}
    for name, rate in rates_of_lineage.items():
        in_tissue = tissue.reindex(rate.index).fillna(0.0)
        told = rate[(rate >= _LEAST_RATE) & (rate >= _TIMES_TISSUE * in_tissue)]
        told = told[told.index.isin(places.index)]
        columns = places[told.index].to_numpy(dtype=np.intp)
        result[name] = LineageGenes(columns, told.to_numpy(np.float64))
    return result


def partners(
    counts: sp.csr_matrix,
    *,
    candidates: Bools,
    genes: Mapping[str, LineageGenes],
    ambient: Floats,
) -> Partners:
    """Find the blood lineage whose genes are least expected in addition to a tumour cell.

    A gene is seen if it has more counts than ambient RNA gives in four of five droplets; it counts
    once, however many more it has. Without a partner, its probability is a Poisson tail, with
    ambient RNA that varies between droplets (gamma), plus the probability that this tumour
    expresses the gene. The distribution of the weighted number of genes seen is exact
    (`panel.panel_p`).

    Parameters
    ----------
    counts
        (n, G) raw counts of molecules.
    candidates
        (n,) droplets that may hold a tumour cell.
    genes
        Genes of each lineage.
    ambient
        (G,) counts of ambient RNA that are expected per count of a droplet.

    Returns
    -------
    Partners
        p is corrected for the number of lineages (Bonferroni). It assumes a tumour cell, and means
        nothing for cells that may be blood.
    """
    columns = counts[np.flatnonzero(candidates)].tocsc()
    umis = np.asarray(columns.sum(axis=1), dtype=np.float64).ravel()
    best, best_p = np.full(umis.size, "", dtype=object), np.ones(umis.size)
    for name, genes_of_lineage in genes.items():
        observed = columns[:, genes_of_lineage.columns].toarray().astype(np.float64)
        p = _p(
            observed, umis, rate=genes_of_lineage.rate, ambient=ambient[genes_of_lineage.columns]
        ) * len(genes)
        better = p < best_p
        best[better], best_p[better] = name, p[better]
    lineage, every = np.full(candidates.size, "", dtype=object), np.full(candidates.size, np.nan)
    lineage[candidates], every[candidates] = best, best_p
    return Partners(lineage, every)


def _p(observed: Floats, umis: Floats, *, rate: Floats, ambient: Floats) -> Floats:
    from scipy.special import pdtrc, roots_genlaguerre

    alone = _TUMOUR_RATE + ambient
    weight = np.maximum(1, np.rint(np.log1p(_PARTNER_SHARE * rate / alone) / _UNIT)).astype(np.intp)
    by_chance = poisson_quantile(1 - _SEEN_BY_CHANCE, umis[:, None] * alone)
    seen = observed > by_chance
    stray = _STRAY * -np.expm1(-_STRAY_RATE * umis)[:, None]
    times, share = roots_genlaguerre(_NODES, 1 / _DISPERSION - 1)
    p = np.zeros(umis.size)
    for time, part in zip(times * _DISPERSION, share / share.sum(), strict=True):
        chance = pdtrc(by_chance, umis[:, None] * (_TUMOUR_RATE + time * ambient))
        expected = -np.log1p(-stray) - np.log(np.maximum(1 - chance, 1e-12))
        p += part * panel.panel_p(seen, expected=expected, weight=weight)
    return p


def poisson_quantile(q: float, mean: Floats) -> Floats:
    """Smallest count whose Poisson distribution function reaches q, as `scipy.stats` gives it.

    Importing `scipy.stats` takes a second, which is avoided here for every sample.

    Parameters
    ----------
    q
        Probability, above 0 and below 1.
    mean
        Means, 0 or more, of any shape.
    """
    from scipy.special import pdtr, pdtrik

    above = np.ceil(pdtrik(q, mean))
    below = np.maximum(above - 1, 0)
    return np.where(mean > 0, np.where(pdtr(below, mean) >= q, below, above), 0.0)
