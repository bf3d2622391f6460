"""Draw exact negative-binomial counts, in time proportional to the number of molecules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

_CHUNK_UMIS = 2_000_000
"""Molecules that are drawn at a time: about 60 MB of working memory."""
_SLOTS = 1 << 17
"""Shares of cells in a chunk are rounded to multiples of one over this number."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Parts(NamedTuple):
    """Amounts of RNA: each part goes to one droplet and has one profile."""

    droplet: Ints
    """Row of the count matrix, shape (parts,)."""
    profile: Ints
    """Row of the profile table, shape (parts,)."""
    umis: Floats
    """Expected counts, shape (parts,)."""


class Drawn(NamedTuple):
    """Counts by droplet, and the contribution of each part."""

    counts: sparse.csr_matrix
    """int32, droplets x genes, indices sorted."""
    part_umis: Ints
    """Counts from each part, shape (parts,)."""


def draw(
    parts: Parts, profiles: Floats, n_droplets: int, dispersion: float, rng: np.random.Generator
) -> Drawn:
    """Draw counts of all parts and add them up by droplet.

    The count of gene g in part i is negative binomial with mean `umis[i] * profiles[k, g]` and
    variance `mean + dispersion * mean**2`, independent of all others. Molecules are drawn as a
    Poisson process, which determines the entries that may have a count. Each entry is then kept or
    dropped, and its size drawn, so that the marginal distribution is exactly negative binomial.

    Parameters
    ----------
    parts
        Droplet, profile and expected counts of each part.
    profiles
        Shares of genes, shape (profiles, genes); each row sums to 1.
    n_droplets
        Rows of the result.
    dispersion
        Squared coefficient of variation beyond Poisson; 0 for Poisson.
    rng
        Source of randomness.
    """
    n_genes = profiles.shape[1]
    rows, columns, values = [], [], []
    for part in _chunks(parts):
        profile = profiles[parts.profile[part[0]]]
        row, gene, value = _draw_chunk(parts.umis[part], profile, dispersion, rng)
        rows.append(part[row])
        columns.append(gene)
        values.append(value)
    row = np.concatenate([np.empty(0, np.int64), *rows])
    gene = np.concatenate([np.empty(0, np.int32), *columns])
    value = np.concatenate([np.empty(0, np.int32), *values])
    part_umis = np.bincount(row, weights=value, minlength=parts.umis.size).astype(np.int64)
    by_droplet = sparse.coo_matrix(
        (value, (parts.droplet[row].astype(np.int32), gene)), shape=(n_droplets, n_genes)
    )
    counts = by_droplet.tocsr()
    counts.sum_duplicates()
    return Drawn(counts.astype(np.int32, copy=False), part_umis)


def _chunks(parts: Parts) -> list[Ints]:
    """Split the parts into runs of one profile with about `_CHUNK_UMIS` expected counts."""
    order = np.argsort(parts.profile, kind="stable")
    chunks: list[Ints] = []
    for same in np.split(order, np.flatnonzero(np.diff(parts.profile[order])) + 1):
        step = (np.cumsum(parts.umis[same]) // _CHUNK_UMIS).astype(np.int64)
        chunks.extend(np.split(same, np.flatnonzero(np.diff(step)) + 1))
    return [chunk for chunk in chunks if chunk.size and parts.umis[chunk].sum() > 0]


def _draw_chunk(
    umis: Floats, profile: Floats, dispersion: float, rng: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw one chunk: row within the chunk, gene, count; sorted by row, then gene."""
    n_genes = profile.size
    # Molecules are split over genes first and then over cells, because a lookup table of cells
    # fits into the processor's cache, and one of genes does not.
    total = float(umis.sum())
    slots = np.rint(umis * (_SLOTS / total)).astype(np.int64)
    owner = np.repeat(np.arange(umis.size, dtype=np.int32), slots)
    mean_umis = slots * (total / max(owner.size, 1))
    per_gene = rng.poisson(total * profile)
    key = np.repeat(np.arange(n_genes, dtype=np.int32), per_gene)
    if key.size == 0:
        empty = np.empty(0, np.int32)
        return np.empty(0, np.int64), empty, empty
    key = owner[rng.integers(0, owner.size, key.size, dtype=np.uint32)] * np.int64(n_genes) + key
    key.sort()
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    row, gene = np.divmod(key[first], n_genes)
    if dispersion == 0:
        count = np.diff(np.append(first, key.size))
    else:
        mean = mean_umis[row] * profile[gene]
        kept = np.flatnonzero(_keep(mean, dispersion, rng))
        row, gene = row[kept], gene[kept]
        count = _truncated_negative_binomial(mean[kept], dispersion, rng)
    return row, gene.astype(np.int32), count.astype(np.int32)


def _keep(mean: Floats, dispersion: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Thin the entries with a positive Poisson count to those with a positive NB count."""
    positive = -np.expm1(-np.log1p(dispersion * mean) / dispersion)
    return rng.random(mean.size) * -np.expm1(-mean) < positive


def _truncated_negative_binomial(mean: Floats, dispersion: float, rng: np.random.Generator) -> Ints:
    """Draw negative-binomial counts given that they are positive.

    A gamma-Poisson count is the number of events by time 1 of a Poisson process with gamma rate.
    The time t of the first event, given that it is before 1, is drawn by inversion; given t, the
    rate is gamma again (shape + 1, rate + t), and the events after t are Poisson.
    """
    shape = 1.0 / dispersion
    before_one = -np.expm1(-shape * np.log1p(dispersion * mean))
    u = rng.random(mean.size)
    first = np.expm1(-dispersion * np.log1p(-u * before_one)) / (dispersion * mean)
    first = np.minimum(first, 1.0)
    rate = rng.standard_gamma(shape + 1.0, mean.size) / (shape / mean + first)
    return 1 + rng.poisson(rate * (1.0 - first))
