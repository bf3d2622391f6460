"""P-values for any score: how often a normal blood cell scores as high.

The null distribution of a score is its values in the certain leukocytes of the sample, separately
for each kind of leukocyte. Most scores depend on the counts of a cell, so each score is first
standardised by the median and the spread at its depth. Null cells and judged cells of one kind are
then exchangeable, and a rank is a valid p (conformal p-values: Bates et al. 2023,
doi:10.1214/22-AOS2244). Above the highest null cell of a kind, p is extrapolated with the
generalised Pareto tail of all leukocytes together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ctcflow.stats.calls import p_values

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

FEWEST: Final = 100
"""Fewest leukocytes that form a null: with fewer, an event with p 0.01 is often not seen
(cells)."""
ALL: Final = "all leukocytes"
OTHER: Final = "other leukocytes"
"""Name of the pooled kinds of leukocytes that are too few for a null of their own."""

_TAIL = 0.1  # share of the leukocytes that belongs to the tail
_FEWEST_ABOVE = 20  # fewest leukocytes in a tail
_FEWEST_DISTINCT = 10  # fewest of them above its threshold, where many cells share one value
_SHALLOWEST = 5  # no extrapolation for cells below the fifth lowest depth of the leukocytes
_TOO_SHALLOW = 2.0  # cells with this many times fewer counts than any leukocyte get no p
_OF_A_KNOT = 50  # leukocytes per median of the trend
_MOST_KNOTS = 10
_STEEPEST = 8.0  # largest power of depth that the spread may follow


class Judged(NamedTuple):
    """P of n cells, and the null that it comes from."""

    p: Floats
    """(n,) largest p over all sources: the probability of such a score in the kind of leukocyte
    that reaches it most easily; NaN for cells with too few counts."""
    source: Ints
    """(n,) the source with that p, an index into `sources`."""
    sources: tuple[str, ...]
    n_null: Ints
    """(n,) null cells of that source, without the cell itself."""
    beyond_depth: Ints
    """(n,) 1 for cells deeper than all null cells of that source, -1 for shallower, 0 else."""


class _Trend(NamedTuple):
    """Median and spread of a score in null cells, as functions of the logarithm of depth."""

    at: Floats
    """(k,) log depths, ascending; the first and last are the extremes of the null cells."""
    median: Floats
    """(k,) medians at these depths, interpolated linearly."""
    slopes: Floats
    """(2,) slopes of the median at both ends."""
    power: float
    """The spread is proportional to depth to this power."""


class _Pooled(NamedTuple):
    """Scores standardised by the trend of all leukocytes together."""

    values: Floats
    """(n,) standardised scores of all cells."""
    null: Floats
    """Those of the null cells, sorted."""


def judge(score: Floats, *, depth: Floats, kind: npt.NDArray[np.object_], is_null: Bools) -> Judged:
    """Judge scores against the leukocytes of the sample; a leukocyte is compared with the others.

    Parameters
    ----------
    score
        (n,) finite; higher is more tumour-like.
    depth
        (n,) counts of each cell, above 0.
    kind
        (n,) kind of leukocyte; only used for null cells.
    is_null
        (n,) certain leukocytes, `FEWEST` or more; they must be chosen without the score.
    """
    members = sources(kind, is_null)
    x = np.log(depth)
    everyone = members[ALL]
    values = _standardised(score, x, _trend(score[everyone], x[everyone]))
    pooled = _Pooled(values, np.sort(values[everyone]))
    # Scores are noisier at low counts: there is no extrapolation where hardly any leukocyte has so
    # few counts, and no p at all far below them.
    shallow = x < np.partition(x[everyone], _SHALLOWEST - 1)[_SHALLOWEST - 1]
    every_p = np.empty((len(members), score.size))
    for number, rows in enumerate(members.values()):
        source_values = values
        if rows is not everyone:
            source_values = _standardised(score, x, _trend(score[rows], x[rows]))
        every_p[number] = _p_of_source(source_values, rows, pooled, shallow)
    p = every_p.max(axis=0)
    p[x < x[everyone].min() - np.log(_TOO_SHALLOW)] = np.nan
    return _judged(p, every_p.argmax(axis=0), members, x)


def _judged(p: Floats, source: Ints, members: Mapping[str, Ints], x: Floats) -> Judged:
    cells = np.arange(p.size)
    sizes = np.array([rows.size for rows in members.values()])
    inside = np.array([np.isin(cells, rows) for rows in members.values()])
    ends = np.array([[x[rows].min(), x[rows].max()] for rows in members.values()])[source]
    return Judged(
        p,
        source,
        tuple(members),
        sizes[source] - inside[source, cells],
        (x > ends[:, 1]).astype(np.intp) - (x < ends[:, 0]),
    )


def sources(kind: npt.NDArray[np.object_], is_null: Bools) -> Mapping[str, Ints]:
    """Null cells of each source: each kind with `FEWEST` cells, the other kinds pooled, and all.

    Parameters
    ----------
    kind, is_null
        As for `judge`.

    Returns
    -------
    Row indices by name. All leukocytes together are a source too, for kinds that are too rare for a
    null of their own: a score that one leukocyte in fifty has never gets a smaller p than that.
    """
    names, counted = np.unique(kind[is_null].astype(str), return_counts=True)
    large = names[counted >= FEWEST]
    members = {str(name): np.flatnonzero(is_null & (kind == name)) for name in large}
    rest = np.flatnonzero(is_null & ~np.isin(kind.astype(str), large))
    if members and rest.size >= FEWEST:
        members[OTHER] = rest
    members[ALL] = np.flatnonzero(is_null)
    return members


def _trend(score: Floats, x: Floats) -> _Trend:
    """Fit median and spread of null cells as functions of the logarithm of depth.

    The spread is measured above the median, since only high scores are judged. Its power of depth
    maximises the Poisson quasi-likelihood of the excesses, most of which may be 0.
    """
    # sorted by score too, so that the order of equally deep cells in the file does not matter
    order = np.lexsort((score, x))
    n_knots = int(np.clip(order.size // _OF_A_KNOT, 2, _MOST_KNOTS))
    parts = np.array_split(order, n_knots)
    at = np.array([np.median(x[part]) for part in parts])
    median = np.array([np.median(score[part]) for part in parts])
    at, first = np.unique(at, return_index=True)
    median = median[first]
    if at.size == 1:  # all cells have one depth
        return _Trend(at, np.array([np.median(score)]), np.zeros(2), 0.0)
    ends = np.array([x.min(), x.max()])
    # slopes are fitted on half of the knots: between the last two alone they are mostly noise
    half = max((at.size + 1) // 2, 2)
    slopes = np.array([_slope(at[:half], median[:half]), _slope(at[-half:], median[-half:])])
    beyond = median[[0, -1]] + slopes * (ends - at[[0, -1]])
    at = np.concatenate([ends[:1], at, ends[1:]])
    median = np.concatenate([beyond[:1], median, beyond[1:]])
    excess = np.maximum(score - np.interp(x, at, median), 0.0)
    return _Trend(at, median, slopes, _power(excess, x))


def _slope(x: Floats, y: Floats) -> float:
    """Slope of y on x by least squares."""
    off = x - x.mean()
    return float(off @ y / (off @ off))


def _power(excess: Floats, x: Floats) -> float:
    """Solve mean of x weighted by excess = mean of x weighted by exp(power x), by bisection."""
    if excess.sum() <= 0:
        return 0.0
    wanted = float(excess @ x / excess.sum())
    low, high = -_STEEPEST, _STEEPEST
    for _ in range(50):
        power = (low + high) / 2
        weight = np.exp(power * (x - x.mean()))
        if weight @ x / weight.sum() < wanted:
            low = power
        else:
            high = power
    return (low + high) / 2


def _standardised(score: Floats, x: Floats, trend: _Trend) -> Floats:
    """Scores minus the median at their depth, in units of the spread there.

    Outside the depths of the null cells the trends are unknown: they are extrapolated only where
    this makes a score less extreme, to be conservative.
    """
    first, last = trend.at[0], trend.at[-1]
    median = np.interp(x, trend.at, trend.median)
    median += np.maximum(trend.slopes[0] * np.minimum(x - first, 0.0), 0.0)
    median += np.maximum(trend.slopes[1] * np.maximum(x - last, 0.0), 0.0)
    within = np.clip(x, first, last)
    middle = float(trend.at.mean())
    wider = np.maximum(trend.power * (x - within), 0.0)
    return np.asarray((score - median) * np.exp(-trend.power * (within - middle) - wider))


def _p_of_source(values: Floats, rows: Ints, pooled: _Pooled, shallow: Bools) -> Floats:
    """P of all cells by the null cells `rows`; each of these is judged by the others."""
    null, n = np.sort(values[rows]), rows.size
    as_high = n - np.searchsorted(null, values, side="left")
    p = (as_high + 1.0) / (n + 1.0)
    p[rows] = as_high[rows] / n
    beyond = as_high == 0
    p[beyond] *= _carried_on(pooled.values[beyond], pooled.null, pooled.values[rows].max())
    # the highest null cell (or both, if two are equal): no other null cell is as high
    for row in rows[as_high[rows] == 1]:
        others = np.delete(pooled.null, np.searchsorted(pooled.null, pooled.values[row]))
        top = pooled.values[rows[rows != row]].max()
        p[row] *= _carried_on(pooled.values[[row]], others, top)[0]
    least = 1.0 / (n + 1.0)
    return np.where(shallow, np.maximum(p, least), p)


def _carried_on(values: Floats, null: Floats, top: float) -> Floats:
    """Probability of values above `top`, given that a leukocyte is above it.

    `top` is itself the value of a leukocyte. Beyond all leukocytes the tail model is used.
    """
    above = null.size - np.searchsorted(null, top, side="right")
    as_high = null.size - np.searchsorted(null, values, side="left")
    share = (as_high + 1.0) / (above + 1.0)
    highest = as_high == 0
    fewest = 1.0 / (null.size + 1.0)
    share[highest] *= np.minimum(_tail_p(values[highest], null) / fewest, 1.0)
    return np.asarray(np.minimum(share, 1.0))


def _tail_p(values: Floats, null: Floats) -> Floats:
    """P by the fitted tail of the null values; 1 where no tail can be fitted."""
    n_above = max(_FEWEST_ABOVE, int(_TAIL * null.size))
    # for a score that few leukocytes have at all (such as keratins), the tail is those that have it
    threshold = null[-n_above - 1] if n_above < null.size else null[-1]
    n_above = int(null.size - np.searchsorted(null, threshold, side="right"))
    if n_above < _FEWEST_DISTINCT:
        return np.ones(values.size)
    fitted = p_values.fit_pareto_tail(null, n_above=n_above)
    # The scale estimated from m values is uncertain: averaged over its distribution, an exponential
    # tail becomes a Pareto tail of shape 1 / m (F distribution, 2 and 2 m degrees of freedom).
    return p_values.pareto_tail_p(values, fitted._replace(shape=max(fitted.shape, 1.0 / n_above)))


def cross_fitted(
    score: Floats,
    *,
    depth: Floats,
    kind: npt.NDArray[np.object_],
    is_null: Bools,
    rng: np.random.Generator,
) -> Floats:
    """P of each null cell when it is judged by the other half of the null cells.

    Parameters
    ----------
    score, depth, kind, is_null
        As for `judge`.

    Returns
    -------
    (number of null cells,) p in their order; empty where a half has fewer than `FEWEST` cells.
    """
    rows = np.flatnonzero(is_null)
    if rows.size < 2 * FEWEST:
        return np.empty(0)
    first = np.zeros(score.size, dtype=bool)
    first[rng.permutation(rows)[: rows.size // 2]] = True
    p = np.empty(score.size)
    for half in (first, is_null & ~first):
        judged = judge(score, depth=depth, kind=kind, is_null=half)
        others = is_null & ~half
        p[others] = judged.p[others]
    return p[rows]
