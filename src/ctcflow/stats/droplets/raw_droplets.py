"""Unfiltered droplets of a sample: compare the given cells and all others with ambient RNA."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats.counts.content import content_order
from ctcflow.stats.droplets.ambient_profile import Ambient, totals
from ctcflow.stats.droplets.cell_profiles import alternatives
from ctcflow.stats.droplets.empty_droplets import barcodes, is_cell
from ctcflow.stats.droplets.knee import Knee, knee
from ctcflow.stats.identity.profiles import Profiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Curve = list[list[int]]

_DEEPEST: Final = 1000  # droplets are thinned to this many counts: more only cost time
_DRAWS: Final = 5000
_TOP: Final = 0.99  # quantile of the given cells' counts that represents the largest cells
_RETAINED: Final = 0.1  # this share of it makes a certain cell, as in Cell Ranger's first pass
_CURVE: Final = 200  # points of the curve in the figure


class Beside(NamedTuple):
    """All droplets that are not among the given ones."""

    counts: sp.csr_matrix
    barcodes: npt.NDArray[np.object_]
    found: int
    """Number of given droplets that were found among all droplets."""


class Tested(NamedTuple):
    """Results of the test on unfiltered droplets."""

    given_empty: Bools
    """(n,) given droplets that cannot be told from ambient RNA."""
    outside: Bools
    """(m,) other droplets that contain a cell according to the same test."""
    n_tested: int
    retain: float
    """Given droplets with at least this many counts are cells without a test (counts per
    barcode)."""
    points: Knee
    curve: Curve
    """Rank and counts of all barcodes, counts descending."""
    cells_curve: Curve


def tested(
    given: sp.csr_matrix,
    other: sp.csr_matrix,
    *,
    ambient: Ambient,
    reference: Profiles,
    lower: int,
    fdr: float,
    seed: int,
) -> Tested:
    """Test the given droplets and all others against the ambient profile.

    Parameters
    ----------
    given
        (n, G) counts of the droplets that were given as cells.
    other
        (m, G) counts of all other barcodes.
    ambient
        Profile of the barcodes with up to `lower` counts.
    reference
        Profiles of the cell types that may be in a droplet.
    lower
        Barcodes with as many counts or fewer are not tested (counts per barcode).
    fdr
        Benjamini-Hochberg level over given and other droplets together (fraction).
    seed
        Seed of the random numbers; the order of the barcodes does not matter.

    Returns
    -------
    Given droplets with `lower` counts or fewer are not tested, and so never called empty here.
    """
    given_umis, other_umis = totals(given), totals(other)
    top = float(np.quantile(given_umis, _TOP)) if given_umis.size else np.inf
    retain = max(_RETAINED * top, lower + 1.0)
    worth = np.flatnonzero(other_umis > lower)
    stacked = sp.vstack([given, other[worth]]).tocsr()
    tested_barcodes = barcodes(
        stacked,
        ambient=ambient,
        alternatives=alternatives(
            given,
            ambient=ambient,
            columns=reference.columns,
            shares=np.exp(reference.log_rates),
            retain=retain,
        ),
        lower=lower,
        deepest=_DEEPEST,
        n_draws=_DRAWS,
        seed=seed,
    )
    cell = is_cell(tested_barcodes, fdr=fdr, retain=retain)
    has_p = ~np.isnan(tested_barcodes.p)
    outside = np.zeros(other_umis.size, dtype=bool)
    # this does not apply to large droplets that were not given as cells: they must pass the test
    outside[worth] = is_cell(tested_barcodes, fdr=fdr, retain=np.inf)[given_umis.size :]
    return Tested(
        has_p[: given_umis.size] & ~cell[: given_umis.size],
        outside,
        int(has_p.sum()),
        retain,
        knee(np.concatenate([given_umis, other_umis]), lower=lower),
        _curve(np.concatenate([given_umis, other_umis])),
        _curve(given_umis),
    )


def beside(
    given: npt.NDArray[np.object_], droplets: sp.csr_matrix, barcodes: npt.NDArray[np.object_]
) -> Beside:
    """Take the droplets that are not among the given ones, in the order of their content.

    Parameters
    ----------
    given
        (n,) barcodes of the given droplets.
    droplets, barcodes
        (N, G) counts of all droplets, and their barcodes. If no barcode is found, suffixes that
        were added to one of the two (`-1`, `_P01`) are ignored, provided that the bases alone are
        unique.
    """
    given_names, all_of_them = pd.Index(given.astype(str)), pd.Index(barcodes.astype(str))
    same = all_of_them.isin(given_names)
    if given.size and not same.any():
        bare, bare_all = _bases(given_names), _bases(all_of_them)
        if bare.dropna().is_unique and bare_all.dropna().is_unique:
            same = bare_all.isin(bare.dropna())
    rows = np.flatnonzero(~same)
    others = droplets[rows]
    order = content_order(others, names=None)
    return Beside(others[order], barcodes[rows[order]], int(same.sum()))


def _bases(names: pd.Index) -> pd.Index:
    return names.str.extract(r"([ACGT]{8,})", expand=False)


def _curve(umis: npt.NDArray[np.int64]) -> Curve:
    ordered = np.sort(umis[umis > 0])[::-1]
    if ordered.size == 0:
        return []
    ranks = np.unique(np.geomspace(1, ordered.size, _CURVE).round().astype(np.intp))
    return [[int(rank), int(ordered[rank - 1])] for rank in ranks]
