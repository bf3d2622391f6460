"""Profiles of the cells that a droplet may contain, adjusted to the platform of the sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.droplets.ambient_profile import Ambient, totals

Floats = npt.NDArray[np.float64]

_FEWEST = 10  # fewest cells that a profile of the sample's own is summed over
_MOST = 3000  # most cells used for the sample's own profiles: more only take time
_OWN_RNA = 0.5  # assumed share of a droplet's counts from the cell: bounds the ratio below
_PSEUDO = 20.0  # pseudo-counts: a gene with fewer ambient counts may be absent by chance


class Alternatives(NamedTuple):
    """Profiles of the cells that a droplet may contain in addition to ambient RNA."""

    relative: Floats
    """(k, G) reference types: share of counts per gene over that in the ambient profile."""
    own: Floats
    """(K, G) types among the sample's own certain cells: share of counts per gene."""


def alternatives(
    counts: sp.csr_matrix,
    *,
    ambient: Ambient,
    columns: npt.NDArray[np.intp],
    shares: Floats,
    retain: float,
) -> Alternatives:
    """Profiles of cells that a barcode may contain, adjusted to the platform of the sample.

    Parameters
    ----------
    counts
        (n, G) counts of all barcodes.
    columns
        (g,) genes that the reference types cover.
    shares
        (g, k) share of counts of each reference type.
    retain
        Barcodes with at least this many counts are certain cells (counts per barcode).

    Returns
    -------
    The reference types, as ratios to the mixture of types that fits the ambient profile best, so
    that platform effects cancel; and the sample's own certain cells, summed by the type that fits
    best, for types with ten cells or more.
    """
    if ambient.profile.size == 0:
        return Alternatives(np.empty((0, counts.shape[1])), np.empty((0, counts.shape[1])))
    target = _unit(ambient.profile[columns])
    types = shares.T / shares.sum(axis=0)[:, None]
    weight = np.full(types.shape[0], 1.0 / types.shape[0])
    for _ in range(100):  # expectation-maximisation of a mixture of multinomials
        part = weight[:, None] * types
        weight = (part / np.maximum(part.sum(axis=0), 1e-300) * target).sum(axis=1)
    relative = np.ones((types.shape[0], ambient.profile.size))
    relative[:, columns] = types / np.maximum(weight @ types, 1e-12)
    relative /= (relative @ ambient.profile)[:, None]
    without_own = Alternatives(relative, np.empty((0, ambient.profile.size)))
    return Alternatives(relative, _own_profiles(counts, ambient, without_own, retain))


def _own_profiles(
    counts: sp.csr_matrix, ambient: Ambient, types: Alternatives, retain: float
) -> Floats:
    umis = totals(counts)
    sure = np.flatnonzero(umis >= retain)
    sure = sure[np.argsort(-umis[sure], kind="stable")][:_MOST]
    rows = counts[sure]
    best = (rows @ log_ratios(ambient.profile, ambient.umis, types).T).argmax(axis=1)
    seen_types = [k for k in range(len(types.relative)) if (best == k).sum() >= _FEWEST]
    sums = [
        _unit(np.asarray(rows[best == k].sum(axis=0), dtype=np.float64).ravel()) for k in seen_types
    ]
    return np.array(sums).reshape(len(seen_types), counts.shape[1])


def _unit(values: Floats) -> Floats:
    return values / max(float(values.sum()), 1e-300)


def log_ratios(profile: Floats, umis: int, types: Alternatives) -> Floats:
    """Log ratio of a mixture (half ambient, half the type) over ambient, per type and gene."""
    pseudo = _PSEUDO / umis
    own_ratio = (types.own + pseudo) / (profile + pseudo)
    ratio = np.vstack([types.relative, own_ratio])
    return np.asarray(np.log(_OWN_RNA * ratio + 1.0 - _OWN_RNA))
