"""P-values of tumour panels: how unexpected a cell's panel genes are for blood of its depth."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

TUMOUR_RATE = 150e-6
"""Typical share of one panel gene in the counts of a tumour cell; only affects the weights."""
PRIOR_UMIS = 50_000.0
"""Weight of a shipped rate as a prior for measured rates, if no parameter sets it (counts)."""
_ROUNDS = 2
_ORDINARY_P = 1e-3  # droplets with a smaller p are not used to measure rates
_BACKGROUND_DEPTH = 3000.0  # counts per cell at which the shipped background was measured
_FLOOR = 1e-6
_UNIT = (
    0.1  # nats per step of the integer weights: in coarse steps p jumps where a rate hardly moves
)


def background_rates(
    panel: Floats, *, depth: Floats, lineage: Ints, n_lineages: int, prior: Floats, weight: float
) -> Floats:
    """Background expression of panel genes per lineage, shrunk to all lineages and to a prior.

    Parameters
    ----------
    panel
        (n, p) counts of the panel genes in leukocytes.
    depth
        (n,) total counts of these cells.
    lineage
        (n,) lineage of each, 0 .. n_lineages - 1.
    prior
        (p,) shipped rate of each gene in blood (share of counts).
    weight
        Weight of the prior, and of all lineages together for one lineage (counts).

    Returns
    -------
    (n_lineages + 1, p) rates; the last row is of all lineages together.
    """
    rates = np.empty((n_lineages + 1, panel.shape[1]))
    rates[-1] = (panel.sum(0) + weight * prior) / (depth.sum() + weight)
    for row in range(n_lineages):
        in_lineage = lineage == row
        rates[row] = (panel[in_lineage].sum(0) + weight * rates[-1]) / (
            depth[in_lineage].sum() + weight
        )
    return rates


def weights(rates: Floats) -> Ints:
    """Integer weight of a detected gene: log ratio of tumour to blood rate, in tenths of nats."""
    return np.maximum(1, np.rint(np.log1p(TUMOUR_RATE / rates) / _UNIT)).astype(np.intp)


def panel_p(seen: Bools, *, expected: Floats, weight: Ints) -> Floats:
    """Exact probability that a blood cell shows panel genes of at least this total weight.

    A gene is seen with probability 1 - exp(-expected). The distribution of the weighted number of
    genes seen is computed exactly (Poisson-binomial convolution), so that the tail is correct at
    any depth. A gene counts once, however many counts it has: many counts of one gene that a
    leukocyte happens to express are not independent evidence.

    Parameters
    ----------
    seen
        (n, p) panel genes seen.
    expected
        (n, p) counts expected in a blood cell of that lineage and depth.
    weight
        (p,) positive integer weights.

    Returns
    -------
    (n,) p; 1 where no panel gene is seen.
    """
    score = seen @ weight
    p = np.ones(score.size)
    rows = np.flatnonzero(score)
    if rows.size == 0:
        return p
    order = rows[np.argsort(score[rows], kind="stable")]
    # cells are processed in blocks of similar score, so that the many low scores are cheap
    for block in np.array_split(order, max(1, order.size // 512)):
        p[block] = _tail(1.0 - np.exp(-expected[block]), weight, score[block])
    return p


class ByLineage(NamedTuple):
    """Result of several panels for n cells."""

    p: Floats
    """(n,) smallest p of the panels, corrected for testing several of them, at most 1."""
    panel: Ints
    """(n,) index of the panel with that p."""
    seen: Bools
    """(n, p) genes of that panel that are seen."""


def by_lineage(
    counts: Floats, *, umis: Floats, lineage: Ints, rates: Floats, panels: Sequence[Bools]
) -> ByLineage:
    """Test panels against their background expression in the sample's leukocytes of each lineage.

    Parameters
    ----------
    counts
        (n, p) counts of the genes of all panels.
    umis
        (n,) total counts.
    lineage
        (n,) lineage of each cell, 0 .. n_lineages - 1.
    rates
        (n_lineages + 1, p) from `background_rates`.
    panels
        (p,) which genes are in each panel; p is corrected for their number (Bonferroni).
    """
    seen, weight_of = counts > 0, weights(rates[-1])
    expected = umis[:, None] * rates[lineage]
    p = np.column_stack(
        [
            panel_p(seen[:, in_panel], expected=expected[:, in_panel], weight=weight_of[in_panel])
            for in_panel in panels
        ]
    )
    p = np.minimum(p * price(len(panels)).T, 1.0)
    best = p.argmin(axis=1)
    return ByLineage(p[np.arange(best.size), best], best, seen & np.array(panels)[best])


def price(n_panels: int) -> Floats:
    """Factor on the p of each panel when several are tested (n_panels, 1).

    Weighted Bonferroni (doi:10.1093/biomet/93.3.509): half of the error rate is for the first panel
    of the table, which fits most tumours, the other half for all other panels.
    """
    if n_panels == 1:
        return np.ones((1, 1))
    return np.array([2.0] + [2.0 * (n_panels - 1)] * (n_panels - 1))[:, None]


def _tail(probability: Floats, weight: Ints, score: Ints) -> Floats:
    width = int(score.max())
    # columns 0 .. width - 1: probability of exactly that weight so far; last: width or more
    mass = np.zeros((score.size, width + 1))
    mass[:, 0] = 1.0
    for gene, step in enumerate(weight):
        chance = probability[:, gene, None]
        moved = mass * chance
        mass -= moved
        first = min(int(step), width)
        mass[:, width] += moved[:, width - first :].sum(1)
        if first < width:
            mass[:, first:width] += moved[:, : width - first]
    tail = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(tail[np.arange(score.size), score], 1.0)


def surprise(counts: sp.csr_matrix, *, umis: Floats, prior: Floats) -> tuple[Floats, Ints]:
    """Test panel genes before lineages are known.

    Parameters
    ----------
    counts
        (n, p) counts of the panel genes.
    umis
        (n,) total counts.
    prior
        (p,) rate of each gene in droplets without a tumour cell (share of counts).

    Returns
    -------
    p
        (n,) as `panel_p`, with rates measured only on droplets that are not significant themselves:
        a tumour cell must not contribute to the rate that it is compared with.
    n_seen
        (n,) panel genes seen.
    """
    n_seen = np.diff(counts.indptr).astype(np.intp)
    p, rate = np.ones(umis.size), prior
    # most droplets have no panel gene: only the others are made dense
    some = np.flatnonzero(n_seen)
    seen = counts[some].toarray() > 0
    for _ in range(_ROUNDS):
        p[some] = panel_p(seen, expected=umis[some, None] * rate, weight=weights(rate))
        ordinary = p >= _ORDINARY_P
        total = np.asarray(counts[np.flatnonzero(ordinary)].sum(axis=0), dtype=np.float64).ravel()
        rate = (total + PRIOR_UMIS * prior) / (umis[ordinary].sum() + PRIOR_UMIS)
    p[some] = panel_p(seen, expected=umis[some, None] * rate, weight=weights(rate))
    return p, n_seen


def prior_rates(genes: npt.NDArray[np.object_], background: pd.DataFrame) -> Floats:
    """Shipped blood rate of panel genes, from the largest share of cells that express them.

    Parameters
    ----------
    genes
        (p,) symbols.
    background
        `symbol`, `max_pct_blood` (percent of cells of some 3,000 counts).

    Returns
    -------
    (p,) share of counts; genes that were not measured get the floor, one count in a million.
    """
    percent = background.set_index("symbol")["max_pct_blood"].reindex(genes).to_numpy(np.float64)
    rate = -np.log1p(-np.clip(np.nan_to_num(percent), 0.0, 99.0) / 100) / _BACKGROUND_DEPTH
    return np.asarray(np.maximum(rate, _FLOOR))


def panels_to_test(
    panels: Mapping[str, frozenset[str]], *, wanted: str, cancer: str
) -> dict[str, frozenset[str]]:
    """Panels that a sample is tested with.

    Parameters
    ----------
    panels
        Genes of each known panel.
    wanted
        Name of one of them, or `auto`.
    cancer
        Cancer type of the patient.

    Returns
    -------
    The wanted one; for `auto` that of the cancer type, or all where it has none.
    """
    name = cancer if wanted == "auto" else wanted
    return {name: panels[name]} if name in panels else dict(panels)


def evidence_in_data(
    members: Collection[str], genes: npt.NDArray[np.object_], background: pd.DataFrame
) -> float:
    """Share of the panel's weights that a file can show.

    Parameters
    ----------
    members
        Symbols of all panel genes.
    genes
        (G,) symbols of the genes in the file.
    background
        As in `prior_rates`.

    Returns
    -------
    Fraction; 1 for an empty panel.
    """
    symbols = np.array(sorted(members), dtype=object)
    if symbols.size == 0:
        return 1.0
    weight = weights(prior_rates(symbols, background))
    there = np.isin(symbols.astype(str), genes.astype(str))
    return float(weight[there].sum() / weight.sum())
