"""Cells of a sample that cannot be told apart: their counts together are those of one deep cell.

A tumour cell of a few hundred counts often shows too little to be told from every normal cell, and
twenty of them show it plainly. Two cells are alike where they differ no more than the drawing of
their counts explains; shallow cells are alike more easily, and deep ones mostly stand alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.clusters.neighbors import nearest
from ctcflow.stats.identity.likelihood import total
from ctcflow.stats.identity.profiles import Profiles

Floats = npt.NDArray[np.float64]

FEWEST: Final = 4
"""Cells from which a group is judged together."""
MOST: Final = 16
"""Cells of a group."""
_FEWEST_COUNTS = 100.0  # in the genes of the reference: fewer are like anything
_AXES = 40
_NOISE = 2.0
"""Mean squared difference on an axis, in units of that of two draws from one profile (1). Cells of
one kind have 1.2 to 1.9 at 600 counts, the nearest of another kind mostly more than 2.3."""


def alike(counts: sp.csr_matrix, *, reference: Profiles, n_threads: int) -> sp.csr_matrix:
    """For each cell, itself and the nearest cells that it cannot be told from.

    Cells are compared by their log-likelihoods under the profiles of normal cells, turned to axes
    on which the drawing of counts makes equal and independent noise.

    Parameters
    ----------
    counts
        (m, G) raw counts of the cells that are compared.
    reference
        Profiles over the genes of the sample.
    n_threads
        As of `neighbors.nearest`; the result is the same for any number.

    Returns
    -------
    (m, m)
        1 for the members of the group of each cell (row), itself among them: `FEWEST` to `MOST`
        cells, or the cell alone.
    """
    shared = counts[:, reference.columns].astype(np.float64).tocsr()
    depth = np.maximum(total(shared), 1.0)
    places = _places(shared, depth, reference.log_rates)
    near, distance = nearest(places, k=min(MOST, depth.size), n_threads=n_threads)
    noise = places.shape[1] * (1 / depth[:, None] + 1 / depth[near])
    member = distance**2 <= _NOISE * noise
    member &= (depth[:, None] >= _FEWEST_COUNTS) & (depth[near] >= _FEWEST_COUNTS)
    itself = near == np.arange(depth.size)[:, None]
    member |= itself
    member = np.where(member.sum(axis=1, keepdims=True) < FEWEST, itself, member)
    rows = np.repeat(np.arange(depth.size), member.sum(axis=1))
    ones = np.ones(rows.size)
    return sp.csr_matrix((ones, (rows, near[member])), shape=(depth.size, depth.size))


def _places(shared: sp.csr_matrix, depth: Floats, log_rates: Floats) -> Floats:
    """Mean log rate of the counts of each cell, whitened by its variance over all their counts."""
    share = np.asarray(shared.sum(axis=0), dtype=np.float64).ravel() / max(float(depth.sum()), 1.0)
    centred = log_rates - share @ log_rates
    variance, axes = np.linalg.eigh((centred * share[:, None]).T @ centred)
    chosen = np.argsort(variance)[::-1][:_AXES]
    chosen = chosen[variance[chosen] > 1e-9]
    means = np.asarray(shared @ centred) / depth[:, None]
    return np.asarray(means @ axes[:, chosen] / np.sqrt(variance[chosen]))
