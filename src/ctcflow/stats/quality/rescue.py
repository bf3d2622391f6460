"""Tumour evidence that protects a droplet from quality control; weaker than for a call."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.records.qc import SetAside
from ctcflow.stats.calls.p_values import benjamini_hochberg, fisher_p
from ctcflow.stats.panels import panel
from ctcflow.stats.thresholds import MISSING_P, SHOWN_P

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_STRONG_P: Final = 1e-3  # of the panel, if two genes or more are seen
_AMBIENT_OF_A_CELL: Final = 0.2  # ambient share of a cell's counts that is rarely exceeded
_OUTSIDE_FDR: Final = 0.05  # for the panel, over all droplets outside the given matrix


class Panel(NamedTuple):
    """Panel genes of each droplet."""

    p: Floats
    """(n,) probability of so many panel genes in a droplet without a tumour cell."""
    n_seen: npt.NDArray[np.intp]


class Evidence(NamedTuple):
    """Droplets with tumour evidence, which must not be removed without a trace."""

    rescued: Bools
    """(n,) kept whatever else is wrong with them."""
    listed: Bools
    """(n,) listed by barcode if they are set aside."""


def panel_evidence(
    counts: sp.csr_matrix, *, umis: Floats, prior: Floats, soup: Floats, ambient_only: Bools
) -> Panel:
    """Panel genes of the given droplets.

    Parameters
    ----------
    counts
        (n, p) counts of the panel genes.
    umis
        (n,) total counts.
    prior
        (p,) rate of each gene in blood (share of counts).
    soup
        (p,) share of each gene in the ambient RNA, or in the sample.
    ambient_only
        (n,) droplets whose counts may all be ambient, because they cannot be told from ambient RNA
        or hold a cell of another species: ambient RNA of dead tumour cells is not a tumour cell.
    """
    p, n_seen = panel.surprise(counts, umis=umis, prior=prior)
    rows = np.flatnonzero(ambient_only)
    if rows.size:
        p[rows] = _against_soup(counts[rows], umis[rows], prior + soup)
    return Panel(p, n_seen)


def _against_soup(counts: sp.csr_matrix, umis: Floats, rate: Floats) -> Floats:
    return panel.panel_p(
        counts.toarray() > 0, expected=umis[:, None] * rate, weight=panel.weights(rate)
    )


def evidence(
    panel_test: Panel,
    p_identity: Floats,
    *,
    umis: Floats,
    readable: Bools,
    intact: Bools,
    min_umis: float,
) -> Evidence:
    """Decide which of the given droplets are protected.

    Parameters
    ----------
    p_identity
        (n,) probability that a leukocyte lacks so much of its blood identity.
    readable
        (n,) droplets in which a missing blood identity is meaningful: neither ambient RNA nor
        cells of another species.
    intact
        (n,) droplets with more than mitochondrial counts: in the others the few further counts
        may be ambient, so that a missing identity gets them listed, but not protected.
    min_umis
        Fewest counts at which a missing identity protects; half as many to be listed.
    """
    both = fisher_p(-np.log10(p_identity) - np.log10(panel_test.p))
    missing = readable & (np.minimum(p_identity, both) <= MISSING_P)
    strong = (panel_test.n_seen >= 2) & (panel_test.p < _STRONG_P)
    rescued = strong | (missing & intact & (umis >= max(min_umis, 1)))
    weak = (panel_test.p < SHOWN_P) | (readable & (panel_test.n_seen >= 2))
    return Evidence(rescued, rescued | weak | (missing & (umis >= max(min_umis / 2, 1))))


def outside(
    counts: sp.csr_matrix, *, umis: Floats, prior: Floats, soup: Floats, p_identity: Floats
) -> tuple[Panel, Bools]:
    """Find droplets outside the given matrix that may hold a tumour cell.

    Parameters
    ----------
    counts
        (m, p) counts of the panel genes.
    prior, soup
        (p,) rate of each gene in blood, and its share in the ambient RNA.
    p_identity
        (m,) p of the missing blood identity; NaN for droplets without a cell, whose counts may all
        be ambient.

    Returns
    -------
    Panel, and (m,) the droplets to list.
    """
    n_seen = np.diff(counts.indptr).astype(np.intp)
    p = np.ones(umis.size)
    no_cell = np.isnan(p_identity)
    for of_these, share in ((no_cell, 1.0), (~no_cell, _AMBIENT_OF_A_CELL)):
        rows = np.flatnonzero(of_these & (n_seen >= 2))
        p[rows] = _against_soup(counts[rows], umis[rows], prior + share * soup)
    with np.errstate(invalid="ignore"):
        missing = p_identity <= MISSING_P
    strong = ~no_cell & (p < _STRONG_P)
    return Panel(p, n_seen), missing | strong | (benjamini_hochberg(p) <= _OUTSIDE_FDR)


def listed(
    barcodes: npt.NDArray[np.object_],
    why: npt.NDArray[np.object_],
    *,
    rows: npt.NDArray[np.intp],
    panel_test: Panel,
    p_identity: Floats,
) -> list[SetAside]:
    """One record per row, by barcode: why it is not among the cells, and its evidence."""
    rows = rows[np.argsort(barcodes[rows].astype(str), kind="stable")]
    return [
        {
            "barcode": str(barcodes[row]),
            "reason": str(why[row]),
            "evidence": f"{panel_test.n_seen[row]} panel gene(s), p {panel_test.p[row]:.1e}"
            + ("" if np.isnan(p_identity[row]) else f"; blood identity p {p_identity[row]:.1e}"),
        }
        for row in rows
    ]
