"""Tissue of origin of the pooled called cells of a draw: a ranked list, or that it is unknown.

Each tissue is described by the share of its tumours that express each marker gene. An expressed
gene has one of a range of rates, any other gene has the background expression of blood; so the
evidence from one gene is bounded, and several genes have to agree. An answer is only reported if it
keeps its weight when any single cell or gene is left out. Normal profiles cannot be used for this:
tumour cell lines look like dividing basal cells, whatever tissue they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from scipy.special import logsumexp

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

LEAST: Final = 0.8
"""Smallest weight that an answer must keep when any one cell or gene is left out; else the origin
is reported as unknown. Leave-one-tumour-out tests would allow 0.5; a higher value is used because
other tumours will be met."""
CLASS, TISSUE = "class", "tissue"
OTHER: Final = "other"
"""Name of an answer for tissues that are not known here; it is never reported as the origin."""
SHOWN: Final = 3
"""Number of answers listed per level."""

_ABSENT: Final = 0.05
"""Share of tumours that express a gene that is not a marker of their tissue."""
_RATES: Final = np.array([20.0, 60.0, 200.0, 600.0, 2000.0]) * 1e-6
"""Possible shares of counts of an expressed gene, equally likely."""
_FLOOR: Final = 3e-6  # share of counts of a gene that is not expressed
_BLOOD: Final = 0.1  # share of a called droplet's counts that may be ambient RNA of blood
_MOST_COUNTS: Final = 200_000.0
"""Pools with more counts are scaled down to this many, since beyond it traces of genes dominate."""
_AT_ONCE: Final = 200  # leave-one-out variants in memory at a time


class Markers(NamedTuple):
    """Marker genes of t tissues; some entries are the rest of a class, without a known tissue."""

    genes: Objects
    """(g,) symbols, sorted."""
    tissues: Objects
    """(t,) names; empty for the rest of a class."""
    classes: Objects
    """(t,) class of each; empty for tumours that have lost the markers of their class, and (the
    last) for cells that express no marker at all."""
    shares: Floats
    """(g, t) share of tumours that express a gene (fraction)."""
    background: Floats
    """(g,) share of counts of a gene that is not expressed."""


class Pool(NamedTuple):
    """Called cells of one sample."""

    counts: sp.csr_matrix
    """(n, g + 1) counts in the marker genes, then in all others together."""
    measured: Bools
    """(g,) which marker genes the sample has."""


class Answer(NamedTuple):
    """One line of the ranked list."""

    level: str
    """`CLASS` or `TISSUE`."""
    rank: int
    """1 first, within the level."""
    name: str
    """Class or tissue, or `OTHER`."""
    weight: float
    """Posterior probability, with a uniform prior over tissues (fraction)."""
    lower: float
    """Smallest weight with any one cell or gene left out."""
    upper: float
    """Largest such weight."""
    told: bool
    """Whether it is reported as the origin."""


class Origin(NamedTuple):
    """Tissue of origin of the called cells of a draw."""

    answers: list[Answer]
    """The best `SHOWN` classes, then tissues; empty where there is no cell."""
    cells: int
    """Number of cells that were pooled."""
    counts: int
    """Number of their counts."""
    sentence: str
    """The answer in words; empty where there is no cell."""


def markers(table: pd.DataFrame) -> Markers:
    """Convert the table of marker genes to arrays.

    Parameters
    ----------
    table
        `class`, `tissue` (empty for the rest of a class), `gene`, `share` (fraction), `blood`
        (largest counts per million in normal blood): one row per gene and tissue.

    Raises
    ------
    ValueError
        A gene is listed twice for a tissue.
    """
    named = table.fillna({"class": "", "tissue": ""})
    genes = np.array(sorted(set(named["gene"])), dtype=object)
    kinds = named[["class", "tissue"]].drop_duplicates()
    wide = named.pivot(index="gene", columns=["class", "tissue"], values="share")
    shares = wide.reindex(index=genes, columns=pd.MultiIndex.from_frame(kinds)).fillna(_ABSENT)
    blood = named.groupby("gene")["blood"].max().reindex(genes).to_numpy(np.float64)
    return Markers(
        genes,
        np.append(kinds["tissue"].to_numpy(dtype=object), ""),
        np.append(kinds["class"].to_numpy(dtype=object), ""),
        np.column_stack([shares.to_numpy(np.float64), np.full(genes.size, _ABSENT)]),
        _FLOOR + _BLOOD * 1e-6 * blood,
    )


def counts_in_markers(counts: sp.csr_matrix, *, cells: Bools, genes: Objects, of: Markers) -> Pool:
    """Extract from a sample's cells the counts that `origin` needs.

    Parameters
    ----------
    counts
        (n, G) counts of molecules.
    cells
        (n,) cells that may be called; the rows of all others are left empty.
    genes
        (G,) symbols of the sample.
    of
        Marker genes.
    """
    places = pd.Index(genes).get_indexer(pd.Index(of.genes))
    measured = places >= 0
    counts = (sp.diags(cells.astype(np.float32)) @ counts).tocsc()
    inside = counts[:, places[measured]].tocoo()
    columns = np.flatnonzero(measured)[inside.col]
    shape = (counts.shape[0], of.genes.size)
    marked = sp.coo_matrix((inside.data, (inside.row, columns)), shape=shape).tocsr()
    rest = np.asarray(counts.sum(axis=1) - marked.sum(axis=1)).reshape(-1, 1)
    return Pool(sp.hstack([marked, sp.csr_matrix(rest)]).tocsr().astype(np.float32), measured)


def origin(pools: Sequence[Pool], *, of: Markers) -> Origin:
    """Rank classes and tissues by how well they explain the marker genes of all cells together.

    The model is naive Bayes over the genes, each count Poisson with an unknown rate, with a
    jackknife over cells and over genes. Genes that a sample lacks are ignored. The sources of the
    markers are in the table.

    Parameters
    ----------
    pools
        Called cells of the samples of one draw, at least one; cells without a count are ignored.
    of
        Marker genes.
    """
    # a library without a called cell is ignored, whatever genes it lacks
    with_cells = [pool for pool in pools if pool.counts.shape[0]] or list(pools)
    measured = np.logical_and.reduce([pool.measured for pool in with_cells])
    cells = sp.vstack([pool.counts for pool in pools]).tocsr().astype(np.float64)
    cells = cells[np.flatnonzero(np.asarray(cells.sum(axis=1)).ravel() > 0)]
    if cells.shape[0] == 0:
        return Origin([], 0, 0, "")
    weights = _weights(cells, measured, of)
    classes = np.array(list(dict.fromkeys(of.classes)), dtype=object)
    in_class = (of.classes[:, None] == classes).astype(np.float64)
    answers = [*_ranked(CLASS, classes, weights @ in_class), *_ranked(TISSUE, of.tissues, weights)]
    sentence = _sentence(answers, cells.shape[0])
    return Origin(answers, cells.shape[0], round(float(cells.sum())), sentence)


def _sentence(answers: Sequence[Answer], n_cells: int) -> str:
    told = {answer.level: answer.name for answer in answers if answer.told}
    cells = f"{n_cells} CTC{'s' if n_cells > 1 else ''}"
    if TISSUE in told:
        return f"tissue of origin: {told[TISSUE]} (from {cells})"
    also = f"; class of tumour: {told[CLASS]}" if CLASS in told else ""
    return f"tissue of origin: cannot be told from {cells}{also}"


def _ranked(level: str, names: Objects, weights: Floats) -> list[Answer]:
    """Answers of one level from weights (variants, names); the first variant leaves out nothing."""
    first, lower, upper = weights[0], weights.min(axis=0), weights.max(axis=0)
    order = np.argsort(-first, kind="stable")[:SHOWN]
    return [
        Answer(
            level,
            rank,
            str(names[place]) or OTHER,
            float(first[place]),
            float(lower[place]),
            float(upper[place]),
            bool(names[place] != "" and lower[place] >= LEAST),
        )
        for rank, place in enumerate(order, start=1)
    ]


def _weights(cells: sp.csr_matrix, measured: Bools, of: Markers) -> Floats:
    """Weights (1 + n + g', t): of all data, without each cell, without each gene that is seen."""
    used = np.flatnonzero(measured)
    marked, totals = cells[:, used], np.asarray(cells.sum(axis=1)).ravel()
    pooled, total = np.asarray(marked.sum(axis=0)).ravel(), float(totals.sum())
    shares, background = of.shares[used], of.background[used]
    by_gene = _log_evidence(pooled[None], np.array([total]), shares, background)[0]
    all_data = by_gene.sum(axis=0)
    parts = [all_data[None]]
    alone = cells.shape[0] == 1
    for start in range(0, 0 if alone else cells.shape[0], _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        left, depth = pooled - marked[block].toarray(), total - totals[block]
        parts.append(_log_evidence(left, depth, shares, background).sum(axis=1))
    parts.append(all_data - by_gene[pooled > 0])
    evidence = np.concatenate(parts)
    return np.asarray(np.exp(evidence - logsumexp(evidence, axis=1, keepdims=True)))


def _log_evidence(counts: Floats, totals: Floats, shares: Floats, background: Floats) -> Floats:
    """(v, g, t) log-likelihood ratio of v pools over genes that are not expressed."""
    scale = np.minimum(1.0, _MOST_COUNTS / np.maximum(totals, 1.0))
    counts, totals = counts * scale[:, None], totals * scale
    # Poisson likelihood ratio of each rate over the background, averaged over the rates
    beyond = counts[:, :, None] * np.log1p(_RATES / background[:, None])
    expressed = logsumexp(beyond - totals[:, None, None] * _RATES, axis=2) - np.log(_RATES.size)
    beyond_none = np.log(shares) + expressed[:, :, None]
    return np.asarray(np.logaddexp(np.log1p(-shares), beyond_none))
