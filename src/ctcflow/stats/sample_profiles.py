"""Reference profiles fitted to one sample: its platform, its own leukocytes, two cells at once.

An atlas of another platform is a poor model of a sample's blood. Using the sample's blood against
the atlas' tissue would make the platform look like tissue; so what differs between the sample's
leukocytes and the atlas' is carried over to every type, blood or not, before each blood type is
drawn towards the leukocytes that fit it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.profiles import Profiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_PLATFORM_COUNTS = 50.0
"""Counts per gene that a ratio of 1 between platforms is worth."""
_TYPE_COUNTS = 5000.0
"""Counts that the atlas' profile of a blood type is worth against the sample's own."""

TOGETHER = (
    ("CD4 T", "Monocyte"),
    ("CD8 T", "Monocyte"),
    ("B", "Monocyte"),
    ("NK", "Monocyte"),
    ("CD4 T", "B"),
    ("CD8 T", "B"),
    ("NK", "B"),
    ("B", "Plasma"),
    ("CD4 T", "Platelet"),
    ("CD8 T", "Platelet"),
    ("NK", "Platelet"),
    ("B", "Platelet"),
    ("Monocyte", "Platelet"),
    ("Dendritic", "Monocyte"),
    ("Dendritic", "B"),
    ("CD8 T", "NK"),
)
"""Two blood types in one droplet, or a cell between two types: half of each."""


def on_platform(
    reference: Profiles, shared: sp.csr_matrix, *, rows: Ints, lineage: Ints
) -> Profiles:
    """Carry what differs between a sample's leukocytes and the atlas' over to every type.

    Parameters
    ----------
    reference
        k types over g genes.
    shared
        (n, g) counts of the sample's cells in these genes.
    rows
        Cells that are leukocytes beyond doubt.
    lineage
        (n,) best blood type of each cell, an index into the types.

    Returns
    -------
    The types, each times the shrunk ratio of observed to expected counts per gene.
    """
    rates = np.exp(reference.log_rates)
    counts = _by_type(shared, rows, lineage, rates.shape[1])
    expected = rates @ counts.sum(axis=1)
    ratio = (counts.sum(axis=0) + _PLATFORM_COUNTS) / (expected + _PLATFORM_COUNTS)
    rates *= ratio[:, None]
    return reference._replace(log_rates=np.log(rates / rates.sum(axis=0)))


def of_leukocytes(
    reference: Profiles, shared: sp.csr_matrix, *, rows: Ints, lineage: Ints
) -> Profiles:
    """Draw each blood type towards the sample's leukocytes that fit it best.

    Parameters are those of `on_platform`. A type without such leukocytes stays as it is.
    """
    rates = np.exp(reference.log_rates)
    counts = _by_type(shared, rows, lineage, rates.shape[1])[reference.is_blood].T
    own = counts + _TYPE_COUNTS * rates[:, reference.is_blood]
    rates[:, reference.is_blood] = own / (counts.sum(axis=0) + _TYPE_COUNTS)
    return reference._replace(log_rates=np.log(rates))


def _by_type(shared: sp.csr_matrix, rows: Ints, lineage: Ints, n_types: int) -> Floats:
    kinds = (rows[lineage[rows] == kind] for kind in range(n_types))
    return np.vstack([np.asarray(shared[mine].sum(axis=0)).ravel() for mine in kinds])


def with_two_at_once(reference: Profiles) -> Profiles:
    """Add `TOGETHER` behind the types; a pair has the null group of its first type."""
    types = reference.types  # of several profiles of one name, the first
    pairs = [(types.index(one), types.index(two)) for one, two in TOGETHER]
    rates = np.exp(reference.log_rates)
    first, second = np.array(pairs, dtype=np.intp).T
    return reference._replace(
        log_rates=np.hstack(
            [reference.log_rates, np.log((rates[:, first] + rates[:, second]) / 2)]
        ),
        types=(*types, *(f"{one} and {two}" for one, two in TOGETHER)),
        is_blood=np.append(reference.is_blood, np.ones(len(pairs), dtype=bool)),
        group=np.append(reference.group, reference.group[first]),
    )
