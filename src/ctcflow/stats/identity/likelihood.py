"""Blood identity from multinomial likelihoods of a cell's counts under reference profiles.

The likelihood under each reference profile (normal blood and other types) gives the best blood
lineage of a cell and its distance: the log-likelihood ratio per count of the best non-blood over
the best blood type. The spread of this distance depends on depth, so it is compared with the
sample's own leukocytes thinned to the same depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

DEPTHS: Floats = np.array([20.0 * 2.0**step for step in range(11)])
"""Counts in reference genes at which the null is measured (counts per cell)."""
_FEWEST = 30  # fewest cells of a lineage group to measure its spread
_DRAWS = 2000  # thinned cells of each group: more only take time (see docs/calling.md)
_DRAWN_AT_ONCE = 2000  # thinned cells in memory at a time
_UPPER_TENTH = 1.2816  # start of the upper tenth of a normal distribution (standard deviations)


class Identity(NamedTuple):
    """Fit of each cell to the reference profiles."""

    distance: Floats
    """(n,) log-likelihood per count: best non-blood type minus best blood type."""
    depth: Floats
    """(n,) counts in reference genes."""
    blood: Ints
    """(n,) index of the best blood type."""
    other: Ints
    """(n,) index of the best non-blood type."""


_ROUNDS = 25  # of expectation-maximisation: the likelihood changes little after ten
_AT_ONCE = 400  # cells whose mixture shares are in memory at a time


class NullGrid(NamedTuple):
    """Centre and spread of the leukocytes' distance, lineage groups x `DEPTHS`."""

    centre: Floats
    spread: Floats


def log_likelihood(counts: sp.csr_matrix, *, log_rates: Floats, barred: Bools | None) -> Floats:
    """Multinomial log-likelihood of each cell under each profile, without the common constant.

    Parameters
    ----------
    counts
        (n, g) counts in the reference genes.
    log_rates
        (g, k) logarithm of each type's share of counts per gene.
    barred
        (n, k) types that a cell cannot be, which get minus infinity; None for no restriction.

    Returns
    -------
    (n, k)
    """
    fit = np.asarray(counts @ log_rates)
    if barred is not None:
        fit[barred] = -np.inf
    return fit


def identity(fit: Floats, *, depth: Floats, is_blood: Bools) -> Identity:
    """Compare the best blood type of each cell with the best other type.

    Parameters
    ----------
    fit
        (n, k) log-likelihoods from `log_likelihood`.
    depth
        (n,) counts in the reference genes.
    is_blood
        (k,) which types are blood.

    Returns
    -------
    Fit of each cell; the distance is 0 for cells without a count.
    """
    blood, other = np.flatnonzero(is_blood), np.flatnonzero(~is_blood)
    best_blood, best_other = blood[fit[:, blood].argmax(1)], other[fit[:, other].argmax(1)]
    rows = np.arange(fit.shape[0])
    distance = (fit[rows, best_other] - fit[rows, best_blood]) / np.maximum(depth, 1.0)
    return Identity(distance, depth, best_blood, best_other)


def total(counts: sp.csr_matrix) -> Floats:
    """Counts of each cell."""
    return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()


def as_a_mixture(
    counts: sp.csr_matrix, fit: Identity, *, rows: Ints, rates: Floats, other: Floats
) -> Identity:
    """Fit some cells again, with the best mixture of all blood types instead of a single type.

    Two leukocytes in one droplet can contribute any shares of its RNA, and some cells are between
    types. The shares maximise the likelihood (expectation-maximisation from equal shares); they can
    only make a cell fit blood better.

    Parameters
    ----------
    counts
        As for `identity`.
    fit
        Result of `identity`.
    rows
        Cells to fit again, each with at least one count.
    rates
        (g, b) share of counts of each blood type.
    other
        (g, o) logarithm of the share of counts of each type that is not blood.

    Returns
    -------
    `fit` with new distances for these cells.
    """
    distance = fit.distance.copy()
    for part in np.array_split(rows, range(_AT_ONCE, rows.size, _AT_ONCE)):
        cells = counts[part].tocsr()
        best = np.asarray(cells @ other).max(axis=1, initial=-np.inf)
        gap = (best - _mixture_log_likelihood(cells, rates)) / fit.depth[part]
        distance[part] = np.minimum(distance[part], gap)
    return fit._replace(distance=distance)


def _mixture_log_likelihood(cells: sp.csr_matrix, rates: Floats) -> Floats:
    """Log-likelihood of each cell's counts under its own best mixture of the columns."""
    starts, n, k = cells.indptr[:-1], cells.shape[0], rates.shape[1]
    cell = np.repeat(np.arange(n), np.diff(cells.indptr))
    of_gene = rates[cells.indices]
    depth = np.asarray(cells.sum(axis=1), dtype=np.float64).ravel()
    share = np.full((n, k), 1.0 / k)
    for _ in range(_ROUNDS):
        part = share[cell] * of_gene
        part *= (cells.data / part.sum(axis=1))[:, None]
        share = np.add.reduceat(part, starts, axis=0) / depth[:, None]
    expected = (share[cell] * of_gene).sum(axis=1)
    return np.asarray(np.add.reduceat(cells.data * np.log(expected), starts))


def thinned(counts: sp.csr_matrix, *, depth: float, rng: np.random.Generator) -> sp.csr_matrix:
    """Draw each cell's counts down to an expected `depth` (binomial thinning), column by column."""
    share = np.minimum(1.0, depth / np.maximum(total(counts), 1.0))
    drawn = counts.copy()
    drawn.sort_indices()
    return _kept(drawn, share, rng)


def _kept(counts: sp.csr_matrix, share: Floats, rng: np.random.Generator) -> sp.csr_matrix:
    """Keep each count of a cell with the probability `share` of the cell; in place."""
    of_value = np.repeat(share, np.diff(counts.indptr))
    several = np.flatnonzero(counts.data != 1.0)
    # most counts are 1, and a comparison is faster than a binomial number
    kept = (rng.random(counts.nnz) < of_value).astype(np.float64)
    kept[several] = rng.binomial(counts.data[several].astype(np.int64), of_value[several])
    counts.data = kept
    counts.eliminate_zeros()
    return counts


def null_grid(
    counts: sp.csr_matrix,
    *,
    log_rates: Floats,
    is_blood: Bools,
    barred: Bools | None,
    group: Ints,
    rng: np.random.Generator,
) -> NullGrid:
    """Measure the distance of leukocytes at each of `DEPTHS`.

    Cells of rarer groups are drawn more often, so that the random part of the null is as small in
    each group; each draw counts for that part of a cell.

    Parameters
    ----------
    counts
        (n, g) counts of leukocytes in the reference genes.
    barred
        (n, k) types that a cell cannot be; None for no restriction.
    group
        (k,) lineage group of each type, 0, 1, ...; groups of blood have a null of their own.

    Returns
    -------
    NaN where fewer than 30 leukocytes of a group reach a depth: cells whose best type by all of
    their counts belongs to the group, so that no random draw decides what is measured.
    """
    n_groups = int(group[is_blood].max()) + 1
    counts = counts.sorted_indices()  # the draws of a cell are in the order of its genes
    barred = np.zeros((counts.shape[0], is_blood.size), dtype=bool) if barred is None else barred
    fit = identity(
        log_likelihood(counts, log_rates=log_rates, barred=barred),
        depth=total(counts),
        is_blood=is_blood,
    )
    own_group = group[fit.blood]
    times = _times(own_group, n_groups)
    rows = np.repeat(np.arange(times.size), times)
    enough = _enough(own_group, fit.depth, n_groups)
    measured: list[list[_Drawn]] = [[] for _ in DEPTHS]
    for part in np.array_split(rows, range(_DRAWN_AT_ONCE, rows.size, _DRAWN_AT_ONCE)):
        for column, drawn, of in _thinned_to_each(counts, part, rng):
            fits = log_likelihood(drawn, log_rates=log_rates, barred=barred[of])
            fit = identity(fits, depth=total(drawn), is_blood=is_blood)
            measured[column].append(_Drawn(fit.distance, group[fit.blood], 1.0 / times[of]))
    return _grid_of(measured, enough=enough)


class _Drawn(NamedTuple):
    """Distance and lineage group of thinned cells, and the part of a cell that each stands for."""

    distance: Floats
    group: Ints
    weight: Floats


def _times(group: Ints, n_groups: int) -> Ints:
    """How often each cell is drawn: so that a group has `_DRAWS`, if it is not too rare."""
    size = np.bincount(group, minlength=n_groups)
    times = np.ceil(_DRAWS / np.maximum(size, 1)).astype(np.intp)
    return np.where(size >= _FEWEST, times, 1)[group]


def _thinned_to_each(
    counts: sp.csr_matrix, rows: Ints, rng: np.random.Generator
) -> Iterator[tuple[int, sp.csr_matrix, Ints]]:
    """Thin cells to each of `DEPTHS` that they reach, from the deepest: thinning what is thinned.

    Yields
    ------
    Index of the depth, the thinned cells, and the row of each in `counts`.
    """
    depths = total(counts)
    drawn, of = counts[rows[:0]].tocsr(), rows[:0]
    share = np.empty(0)
    for column in range(DEPTHS.size - 1, -1, -1):
        deeper = DEPTHS[column + 1] if column + 1 < DEPTHS.size else np.inf
        new = rows[(depths[rows] >= DEPTHS[column]) & (depths[rows] < deeper)]
        share = np.append(np.full(of.size, 0.5), DEPTHS[column] / depths[new])
        of = np.append(of, new)
        if of.size:
            drawn = _kept(sp.vstack([drawn, counts[new]]).tocsr(), share, rng)
            yield column, drawn, of


def _enough(group: Ints, depth: Floats, n_groups: int) -> Bools:
    """Groups and depths at which there are enough leukocytes to measure their spread."""
    reach = depth[:, None] >= DEPTHS
    return np.array([reach[group == row].sum(axis=0) >= _FEWEST for row in range(n_groups)])


def _grid_of(measured: list[list[_Drawn]], *, enough: Bools) -> NullGrid:
    """Moments per group and depth."""
    centre = np.full(enough.shape, np.nan)
    spread = centre.copy()
    for column in np.flatnonzero(enough.any(axis=0)):
        distance, group, weight = map(np.concatenate, zip(*measured[column], strict=True))
        for row in np.flatnonzero(enough[:, column]):
            own = group == row
            if own.sum() >= _FEWEST:
                moments = _weighted_moments(distance[own], weight[own])
                centre[row, column], spread[row, column] = moments
    return NullGrid(centre, spread)


def upper_moments(values: Floats) -> tuple[float, float]:
    """Median, and spread: distance of the upper tenth above it, scaled to a standard deviation.

    A group may contain several types of leukocytes (CD14 and CD16 monocytes). Cells are judged by
    its upper end, so the spread is measured there and not in the middle.
    """
    return _weighted_moments(values, np.ones(values.size))


def _weighted_moments(values: Floats, weight: Floats) -> tuple[float, float]:
    """As `upper_moments`, of values that stand for different parts of a cell."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order])
    # the first and the last value are at 0 and 1, as in numpy.quantile for equal weights
    at = (upto - weight[order]) / max(float(upto[-1]) - float(weight[order[-1]]), 1e-300)
    median, upper = np.interp([0.5, 0.9], at, values[order])
    return float(median), max(float(upper - median) / _UPPER_TENTH, 1e-3)


def robust_moments(values: Floats) -> tuple[float, float]:
    """Median, and scaled deviation of the upper half from it (only high values are judged)."""
    median = float(np.median(values))
    upper = values[values >= median] - median
    return median, max(1.4826 * float(np.median(upper)), 1e-3)


def shrunk_grid(measured: NullGrid, *, prior: NullGrid) -> NullGrid:
    """Fill in the depths and groups that the sample could not measure.

    If a group was measured at some depths, its offset from the prior at the nearest of them is used
    for the others; if it was never measured, the prior is used.
    """
    centre, spread = measured.centre.copy(), measured.spread.copy()
    for row in range(centre.shape[0]):
        measured_columns = np.flatnonzero(~np.isnan(centre[row]))
        for column in np.flatnonzero(np.isnan(centre[row])):
            centre[row, column] = prior.centre[row, column]
            spread[row, column] = prior.spread[row, column]
            if measured_columns.size:
                near = measured_columns[np.abs(measured_columns - column).argmin()]
                centre[row, column] += measured.centre[row, near] - prior.centre[row, near]
                spread[row, column] *= measured.spread[row, near] / prior.spread[row, near]
    return NullGrid(centre, spread)


def standardised(fit: Identity, *, grid: NullGrid, group: Ints) -> Floats:
    """Distance of each cell in units of its group's spread at its depth."""
    log_depth = np.log(np.clip(fit.depth, DEPTHS[0], DEPTHS[-1]))
    z = np.empty(fit.distance.size)
    for row in range(grid.centre.shape[0]):
        in_group = group[fit.blood] == row
        centre = np.interp(log_depth[in_group], np.log(DEPTHS), grid.centre[row])
        spread = np.exp(np.interp(log_depth[in_group], np.log(DEPTHS), np.log(grid.spread[row])))
        z[in_group] = (fit.distance[in_group] - centre) / spread
    z[fit.depth == 0] = 0.0
    return z
