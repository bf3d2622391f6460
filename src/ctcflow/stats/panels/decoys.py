"""Decoy panels: random genes with the same background expression as those of a tumour panel.

If panel p-values are calibrated, the p of a decoy is uniform (or conservative) in blood cells. If
small p are too frequent, genes are correlated in blood in ways that the null does not model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.records.score import Decoys
from ctcflow.stats.counts.gene_sets import in_set
from ctcflow.stats.panels import panel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

LEVELS = (1e-2, 1e-3)
"""Nominal p-values at which shares are reported."""

_NEAREST = 50  # a decoy gene is drawn from this many candidates of the most similar rate
_FLOOR = 1e-6  # rate of a gene without counts in blood, as for panel genes never measured


def candidates_of(
    names: npt.NDArray[np.object_], *, technical: pd.DataFrame, members: Ints, measured: Bools
) -> Ints:
    """Columns that decoys are drawn from: neither panel genes nor in any technical set.

    Parameters
    ----------
    names
        (G,) symbols.
    technical
        `set`, and `gene` or `pattern`.
    members
        Columns of the panel's genes.
    measured
        (G,) genes that a cell of the sample has, or that are known: another name without a count
        tells nothing.
    """
    free = measured.copy()
    free[members] = False
    for chosen in technical["set"].unique():
        free &= ~in_set(names, technical, str(chosen))
    return np.flatnonzero(free)


def decoy_shares(
    counts: sp.csr_matrix,
    *,
    lineage: Ints,
    n_lineages: int,
    members: Ints,
    candidates: Ints,
    n_decoys: int,
    weight: float,
    rng: np.random.Generator,
) -> Floats:
    """Share of blood cells whose p for a decoy panel is at or below each of `LEVELS`.

    Each panel gene is replaced by a candidate with a similar rate; no gene occurs twice. Decoys
    have no shipped background: their rates are measured on the sample, per lineage and shrunk
    towards all lineages, so the shares do not validate the shipped rates.

    Parameters
    ----------
    counts
        (n, G) raw counts of the blood cells that the panel's rates are measured on.
    lineage
        (n,) lineage of each, 0 .. n_lineages - 1.
    members
        Columns of the panel's genes.
    candidates
        Columns that decoys are drawn from, from `candidates_of`.
    n_decoys
        Number of decoy panels.
    weight
        Weight of all lineages together in the rate of one lineage (counts).
    rng
        Draws the genes.

    Returns
    -------
    (n_decoys, 2); no rows if there are no cells or panel genes, or too few candidates.
    """
    if counts.shape[0] == 0 or members.size == 0 or candidates.size < members.size:
        return np.empty((0, len(LEVELS)))
    depth = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    rates = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() / max(depth.sum(), 1.0)
    # sorted by rate, so that genes with similar rates are adjacent
    ordered = candidates[np.argsort(rates[candidates], kind="stable")]
    columns = counts.tocsc()
    shares = np.empty((n_decoys, len(LEVELS)))
    for row in range(n_decoys):
        decoy = ordered[_matched(rates[members], among=rates[ordered], rng=rng)]
        decoy_counts = columns[:, decoy].toarray().astype(np.float64)
        background = panel.background_rates(
            decoy_counts,
            depth=depth,
            lineage=lineage,
            n_lineages=n_lineages,
            prior=np.maximum(rates[decoy], _FLOOR),
            weight=weight,
        )
        p = panel.panel_p(
            decoy_counts > 0,
            expected=depth[:, None] * background[lineage],
            weight=panel.weights(background[-1]),
        )
        shares[row] = [(p <= level).mean() for level in LEVELS]
    return shares


def _matched(wanted: Floats, *, among: Floats, rng: np.random.Generator) -> Ints:
    """Draw a place in `among` (ascending) for each wanted rate, none twice."""
    free = np.ones(among.size, dtype=bool)
    chosen = np.empty(wanted.size, dtype=np.intp)
    for gene, rate in enumerate(wanted):
        places = np.flatnonzero(free)
        left = int(np.searchsorted(among[places], rate, side="left"))
        right = int(np.searchsorted(among[places], rate, side="right"))
        # all candidates of exactly this rate, extended on both sides if they are too few
        beside = max(0, _NEAREST - (right - left) + 1) // 2
        low, high = max(0, left - beside), min(places.size, right + beside)
        chosen[gene] = rng.choice(places[low:high])
        free[chosen[gene]] = False
    return chosen


def summary(shares: Floats, *, n_cells: int) -> list[Decoys]:
    """Give the mean share and its range over the decoys, one object per level."""
    return [
        {
            "decoys": int(shares.shape[0]),
            "cells": n_cells,
            "level": level,
            "share": float(column.mean()),
            "low": float(column.min()),
            "high": float(column.max()),
        }
        for level, column in zip(LEVELS, shares.T, strict=True)
        if column.size
    ]
