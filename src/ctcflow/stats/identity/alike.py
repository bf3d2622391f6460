"""Group cells of a sample that cannot be told apart, so that their counts can be summed.

A single tumour cell with a few hundred counts often cannot be distinguished from every normal cell,
but twenty such cells together can. Two cells are alike if they differ no more than sampling noise
explains. Cells with few counts are alike more easily; deep cells are mostly judged alone.
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
"""Fewest cells of a group."""
MOST: Final = 16
"""Most cells of a group."""
_FEWEST_COUNTS = 100.0  # in genes of the reference: cells with fewer counts resemble any cell
_AXES = 40
_NOISE = 2.0
"""Largest mean squared difference per axis of cells that are alike; two draws from one profile have
1. Cells of one type have 1.2 to 1.9 at 600 counts, the nearest of another type mostly more than
2.3."""


def alike(counts: sp.csr_matrix, *, reference: Profiles, n_threads: int) -> sp.csr_matrix:
    """For each cell, find the nearest cells that it cannot be told from.

    Cells are compared by their log-likelihoods under the profiles of normal cells, whitened so that
    sampling noise is equal and independent on all axes.

    Parameters
    ----------
    counts
        (m, G) raw counts of the cells that are compared.
    reference
        Profiles over the genes of the sample.
    n_threads
        As for `neighbors.nearest`; does not change the result.

    Returns
    -------
    (m, m)
        1 for the members of the group of each cell (row), the cell itself included: `FEWEST` to
        `MOST` cells, or the cell alone.
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
