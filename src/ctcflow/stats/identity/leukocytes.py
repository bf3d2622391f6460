"""Find the leukocytes of a sample, and test every cell for missing blood identity.

Used by `qc` for all droplets, and by `score` for those that were kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.stats.calls import p_values
from ctcflow.stats.identity import blood_profiles
from ctcflow.stats.identity import likelihood as ident
from ctcflow.stats.identity.profiles import GROUPS, Profiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_BLOOD_LIKE = -0.25  # largest log ratio per count (nats) of tissue over blood, of a null cell
_NULL_Z = 3.0  # null cells are within this many spreads of their group
_MOST_NULL = 2000  # most leukocytes that are thinned for the null: more only take time
_BEYOND_BLOOD = 0.1  # the same ratio, from which a cell cannot be a mixture of two leukocytes
_AGAIN_P = 0.05  # cells with a smaller p are fitted again, as mixtures of blood types
_LEAST_HAEMOGLOBIN = 0.01  # smallest share of the counts of a red cell or its precursor
_SMALLEST_SCALE = 0.4  # in spreads; healthy blood of four data sets gave 0.36 to 0.53
_LARGEST_SCALE = 1.0
_PRIOR_VALUES = 60.0  # weight of the smallest scale: the tail of 600 leukocytes
_TAIL = 0.1  # share of the null that belongs to the tail
_FEWEST_IN_TAIL = 50  # fewest blood-like cells in the tail for it to be fitted
_LEAST_BLOOD_LIKE_P = 2e-3  # smallest p if they are fewer, since rare leukocytes are outliers


class Null(NamedTuple):
    """Null distribution of leukocytes: shipped, or of the sample's own with its tails."""

    grid: ident.NullGrid
    tail: p_values.ExponentialTail | None
    """Tail of leukocytes that are near their group; None where the null is the shipped one."""
    odd: p_values.ParetoTail | None
    """Tail of all blood-like cells, including rare leukocytes; None where they are too few."""


class Leukocytes(NamedTuple):
    """Fit of each cell to blood, and the null that it is judged against."""

    lineage: npt.NDArray[np.intp]
    """(n,) index of the best single blood type in `Profiles.types`."""
    is_leukocyte: npt.NDArray[np.bool_]
    """(n,) null cells: blood identity as expected at their depth."""
    p: Floats
    """(n,) probability that a leukocyte of this lineage and depth fits blood so badly."""
    n_blood_like: int
    """Number of cells on which the null could be measured."""
    own_null: bool
    """Whether the null was measured on the sample's own leukocytes."""
    null: Null
    """The null, to judge other counts of the sample."""


def leukocytes(
    counts: sp.csr_matrix,
    *,
    reference: Profiles,
    suspect: npt.NDArray[np.bool_],
    shipped_null: pd.DataFrame,
    fewest: int,
) -> Leukocytes:
    """Fit cells to the reference profiles, and compare the fit with leukocytes of the same depth.

    Parameters
    ----------
    counts
        (n, G) raw counts. Thinning draws random numbers cell by cell, in the order of the rows:
        put them in an order that does not depend on the file.
    reference
        Types over the genes of the sample.
    suspect
        (n,) cells that express a tumour panel: they are never used to learn the null.
    shipped_null
        `group`, `depth`, `centre`, `spread`: null used if the sample has too few leukocytes.
    fewest
        Fewest blood-like cells for which the sample's own null is used.
    """
    prior = _shipped_grid(shipped_null)
    comparison = _against(counts, reference)
    blood_like = _is_blood_like(comparison.fit, comparison.unseen)
    sure = np.flatnonzero(blood_like & ~suspect)
    null = Null(prior, None, None)
    if sure.size >= fewest:
        null = _own_null(comparison, sure, blood_like=blood_like, prior=prior)
    # suspect leukocytes stay in this set: without them, panel p-values would be too small
    z = ident.standardised(comparison.fit, grid=null.grid, group=comparison.types.group)
    leukocyte = blood_like & (z < _NULL_Z)
    p, z, blood_like = _p_of(comparison, null)
    if null.tail is not None:
        null = null._replace(odd=odd_tail(z[blood_like & ~suspect]))
    p = among_blood_like(p, z, blood_like=blood_like, odd=null.odd)
    return Leukocytes(comparison.single, leukocyte, p, sure.size, null.tail is not None, null)


def judged(
    counts: sp.csr_matrix, *, reference: Profiles, null: Null
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Judge other counts by the null of a sample, without changing the null.

    Parameters
    ----------
    counts
        (m, G) raw counts, of one cell or summed over several.
    reference
        As for `leukocytes`.
    null
        Null from `leukocytes`.

    Returns
    -------
    lineage, p
        (m,) each, as of `Leukocytes`.
    """
    comparison = _against(counts, reference)
    p, z, blood_like = _p_of(comparison, null)
    return comparison.single, among_blood_like(p, z, blood_like=blood_like, odd=null.odd)


def beyond_doubt(
    counts: sp.csr_matrix, *, reference: Profiles
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Find leukocytes with the shipped profiles alone, independent of the sample's other cells.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    reference
        As for `leukocytes`.

    Returns
    -------
    lineage
        (n,) as of `Leukocytes`.
    is_leukocyte
        (n,) cells that blood fits better than any tissue, by `_BLOOD_LIKE` nats per count.
    """
    comparison = _against(counts, reference)
    return comparison.single, _is_blood_like(comparison.fit, comparison.unseen)


def _is_blood_like(fit: ident.Identity, unseen: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((fit.distance + unseen < _BLOOD_LIKE) & (fit.depth > 0))


class _Against(NamedTuple):
    """Fit of cells to the reference profiles."""

    shared: sp.csr_matrix
    reference: Profiles
    types: Profiles
    """The reference profiles, with pairs of leukocytes added."""
    barred: npt.NDArray[np.bool_]
    single: Ints
    """(n,) best single blood type."""
    fit: ident.Identity
    unseen: Floats
    """(n,) correction of the distance for genes that the file lacks because no cell expresses them
    (nats per count), so that the distance is the same as with these genes."""


def _against(counts: sp.csr_matrix, reference: Profiles) -> _Against:
    shared = counts[:, reference.columns].astype(np.float64).tocsr()
    types = blood_profiles.with_two_at_once(reference)
    barred = _barred(counts, types)
    likelihood = ident.log_likelihood(shared, log_rates=types.log_rates, barred=barred)
    fit = ident.identity(likelihood, depth=ident.total(shared), is_blood=types.is_blood)
    alone = np.flatnonzero(reference.is_blood)
    single = alone[likelihood[:, alone].argmax(axis=1)]
    unseen = np.zeros(fit.depth.size)
    if types.log_seen.any():
        likelihood += fit.depth[:, None] * types.log_seen
        whole = ident.identity(likelihood, depth=fit.depth, is_blood=types.is_blood)
        unseen = whole.distance - fit.distance
    return _Against(shared, reference, types, barred, single, fit, unseen)


def _p_of(comparison: _Against, null: Null) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """P, standardised distances and blood-like cells; cells of small p are refitted as mixtures."""
    fit = comparison.fit
    p = _p(ident.standardised(fit, grid=null.grid, group=comparison.types.group), fit.depth, null)
    again = np.flatnonzero((p <= _AGAIN_P) & (fit.depth > 0) & (fit.distance < _BEYOND_BLOOD))
    _, rates = blood_profiles.of_each_type(comparison.reference)
    other = comparison.types.log_rates[:, ~comparison.types.is_blood]
    fit = ident.as_a_mixture(comparison.shared, fit, rows=again, rates=rates, other=other)
    z = ident.standardised(fit, grid=null.grid, group=comparison.types.group)
    p[again] = _p(z, fit.depth, null)[again]
    return p, z, _is_blood_like(fit, comparison.unseen)


def _own_null(
    comparison: _Against, sure: Ints, *, blood_like: npt.NDArray[np.bool_], prior: ident.NullGrid
) -> Null:
    learned, types = sure[:_MOST_NULL], comparison.types
    own_grid = ident.null_grid(
        comparison.shared[learned],
        log_rates=types.log_rates,
        is_blood=types.is_blood,
        barred=comparison.barred[learned],
        group=types.group,
        rng=np.random.default_rng(0),
    )
    grid = ident.shrunk_grid(own_grid, prior=prior)
    z = ident.standardised(comparison.fit, grid=grid, group=types.group)
    near = z[blood_like & (z < _NULL_Z)]
    if near.size == 0:
        return Null(prior, None, None)
    fitted = p_values.fit_exponential_tail(
        near,
        fraction=_TAIL,
        trimmed=0.001,
        smallest_scale=_SMALLEST_SCALE,
        largest_scale=_LARGEST_SCALE,
        prior_values=_PRIOR_VALUES,
    )
    return Null(grid, fitted, None)


def _p(z: Floats, depth: Floats, null: Null) -> Floats:
    if null.tail is None:
        p = p_values.normal_body_exponential_tail_p(z, scale=_SMALLEST_SCALE)
    else:
        p = p_values.exponential_tail_p(z, null.tail)
    p[depth == 0] = 1.0
    return p


def among_blood_like(
    p: Floats, z: Floats, *, blood_like: npt.NDArray[np.bool_], odd: p_values.ParetoTail | None
) -> Floats:
    """For cells that fit blood far better than tissue, take p from the tail of such cells.

    Rare leukocytes without a profile of their own (a few dendritic cells, a doublet of unusual
    types) are many spreads away from their group. The light tail of the other leukocytes would give
    them a p of 1e-15, although their likelihood favours blood by hundreds of nats. Tumour cells are
    not blood-like, so nothing needs to be trimmed from this tail.

    Parameters
    ----------
    p
        (n,) p from the tail of the leukocytes that are near their group.
    z
        (n,) distances in units of the group's spread.
    blood_like
        (n,) cells whose p is revised.
    odd
        Tail of all blood-like cells without tumour panel; None where they are too few.

    Returns
    -------
    (n,) p, never smaller than before, and unchanged for cells that are not blood-like.
    """
    least = _LEAST_BLOOD_LIKE_P if odd is None else p_values.pareto_tail_p(z, odd)
    return np.where(blood_like, np.maximum(p, least), p)


def odd_tail(z: Floats) -> p_values.ParetoTail | None:
    """Fit the tail of the distances (n,) of blood-like cells; None where they are too few."""
    n_above = int(_TAIL * z.size)
    return p_values.fit_pareto_tail(z, n_above=n_above) if n_above >= _FEWEST_IN_TAIL else None


def _barred(counts: sp.csr_matrix, types: Profiles) -> npt.NDArray[np.bool_]:
    """Types that a cell cannot be: without haemoglobin it is no red cell and no precursor."""
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    globin = np.asarray(counts[:, types.haemoglobin].sum(axis=1), dtype=np.float64).ravel()
    without = globin < _LEAST_HAEMOGLOBIN * total
    if types.haemoglobin.size == 0:
        without[:] = False
    return np.asarray(without[:, None] & (np.array(types.types) == "Erythroid"))


def _shipped_grid(table: pd.DataFrame) -> ident.NullGrid:
    shape = (len(GROUPS), ident.DEPTHS.size)
    ordered = table.set_index(["group", "depth"]).loc[
        [(group, int(depth)) for group in GROUPS for depth in ident.DEPTHS]
    ]
    return ident.NullGrid(
        ordered["centre"].to_numpy(np.float64).reshape(shape),
        ordered["spread"].to_numpy(np.float64).reshape(shape),
    )
