"""How often a normal blood cell has so high a score, whoever made the score.

The null of a score is its values in the sample's own sure leukocytes, apart for each kind of
leukocyte and for cells of about the same depth, since most scores change with both. Within such a
stratum null cells and judged cells are exchangeable, so that a rank is a valid p (conformal
p-values: Bates et al. 2023, doi:10.1214/22-AOS2244). Beyond the highest null cell the rank is
carried on by a generalised Pareto tail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ctcflow.stats import tail

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

FEWEST: Final = 100
"""Leukocytes that are a null: with fewer, one cell in a hundred is not seen at all (cells)."""
ALL: Final = "all leukocytes"
OTHER: Final = "other leukocytes"
"""Kinds of leukocytes of which there are too few for a null of their own, together."""

_STRATUM = 500  # null cells of about one depth: more would differ in depth, fewer have no tail
_BETWEEN = 125  # null cells from the middle of one stratum to that of the next
_TAIL = 0.1  # share of a stratum that is its tail
_FEWEST_ABOVE = 20  # null cells that the tail starts with
_FEWEST_DISTINCT = 10  # of them that lie above its threshold, where many cells share one value
_OF_A_TREND = 50  # null cells from which one point of the trend with depth is taken
_MOST_POINTS = 10


class Judged(NamedTuple):
    """P of n cells, and which null it is from."""

    p: Floats
    """(n,) probability that a leukocyte of the kind that reaches this score most easily has so
    high a score: the largest p of all sources."""
    source: Ints
    """(n,) the source with that p, an index into `sources`."""
    sources: tuple[str, ...]
    n_null: Ints
    """(n,) null cells in the stratum that gave p, without the cell itself."""
    lowest: Floats
    """(n,) smallest depth in that stratum."""
    highest: Floats
    """(n,) largest depth in that stratum."""


class _Stratum(NamedTuple):
    """Null cells of one source and about one depth."""

    start: int
    """Position of its first cell in the order of depth."""
    stop: int
    values: Floats
    """Sorted."""
    depth: Floats
    """Sorted."""


def judge(score: Floats, *, depth: Floats, kind: npt.NDArray[np.object_], is_null: Bools) -> Judged:
    """Judge scores against the leukocytes of the sample, each of which is judged without itself.

    Parameters
    ----------
    score
        (n,) finite; higher is more like a tumour.
    depth
        (n,) counts of each cell, above 0.
    kind
        (n,) kind of leukocyte, looked at in null cells only.
    is_null
        (n,) sure leukocytes, `FEWEST` or more; chosen without the score.
    """
    members = sources(kind, is_null)
    shallowest = np.quantile(depth[is_null], 0.01)
    best = Judged(
        np.full(score.size, -1.0),
        np.zeros(score.size, dtype=np.intp),
        tuple(members),
        np.zeros(score.size, dtype=np.intp),
        np.full(score.size, np.nan),
        np.full(score.size, np.nan),
    )
    for number, rows in enumerate(members.values()):
        for cells, stratum, shift, place in _matched(score, depth, rows):
            p = _p(score[cells] - shift, stratum, place)
            n_null = stratum.values.size - (place >= 0)
            # fewer counts, more noise: what no leukocyte of so few shows is not guessed
            guessed = depth[cells] < shallowest
            p[guessed] = np.maximum(p, 1.0 / (n_null + 1.0))[guessed]
            higher = p > best.p[cells]
            at = cells[higher]
            best.p[at], best.source[at] = p[higher], number
            best.n_null[at] = n_null[higher]
            best.lowest[at], best.highest[at] = stratum.depth[0], stratum.depth[-1]
    return best


def sources(kind: npt.NDArray[np.object_], is_null: Bools) -> Mapping[str, Ints]:
    """Null cells of each source: kinds with `FEWEST` cells, all others together, and all.

    Parameters
    ----------
    kind, is_null
        As of `judge`.

    Returns
    -------
    Rows by name. All leukocytes together stand for kinds too rare for any other null: a score that
    one leukocyte in fifty has is never rarer than that.
    """
    names, counted = np.unique(kind[is_null].astype(str), return_counts=True)
    large = names[counted >= FEWEST]
    found = {str(name): np.flatnonzero(is_null & (kind == name)) for name in large}
    rest = np.flatnonzero(is_null & ~np.isin(kind.astype(str), large))
    if found and rest.size >= FEWEST:
        found[OTHER] = rest
    found[ALL] = np.flatnonzero(is_null)
    return found


def _matched(
    score: Floats, depth: Floats, rows: Ints
) -> Iterator[tuple[Ints, _Stratum, Floats, Ints]]:
    """Each stratum of a source with the cells that are judged by it.

    Yields
    ------
    Cells, their stratum, what is taken off their scores, and each cell's own place among the
    values of the stratum (-1 for cells that are not in it).
    """
    # by score too: cells of one depth have no other order, and that of the file must not matter
    order = rows[np.lexsort((score[rows], depth[rows]))]
    place = np.full(score.size, -1, dtype=np.intp)
    place[order] = np.arange(order.size)
    middles = _middles(order.size)
    borders = np.log(depth[order[middles]])
    nearest = np.searchsorted((borders[1:] + borders[:-1]) / 2, np.log(depth), side="right")
    slope = _trend(score[order], np.log(depth[order]))
    for number, middle in enumerate(middles):
        cells = np.flatnonzero(nearest == number)
        stratum = _stratum(score[order], depth[order], int(middle))
        inside = (place[cells] >= stratum.start) & (place[cells] < stratum.stop)
        own = np.where(inside, np.searchsorted(stratum.values, score[cells], side="left"), -1)
        yield cells, stratum, _shift(depth[cells], stratum, slope), own


def _middles(n: int) -> Ints:
    """Positions of the middle cells of the strata in the order of depth."""
    if n <= _STRATUM:
        return np.array([n // 2], dtype=np.intp)
    half = _STRATUM // 2
    n_strata = 1 + -(-(n - _STRATUM) // _BETWEEN)
    return np.linspace(half, n - half, n_strata).astype(np.intp)


def _stratum(values: Floats, depth: Floats, middle: int) -> _Stratum:
    """Null cells around a depth: twice as many as long as too few of them are above the others.

    A score that few leukocytes have at all, such as keratins, has no tail in a few hundred cells.
    """
    size = _STRATUM
    while True:
        start = min(max(middle - size // 2, 0), max(values.size - size, 0))
        stop = min(start + size, values.size)
        here = np.sort(values[start:stop])
        if stop - start == values.size or _n_above(here) >= _FEWEST_DISTINCT:
            return _Stratum(start, stop, here, depth[start:stop])
        size *= 2


def _n_above(values: Floats) -> int:
    """Values of the tail: a tenth, or fewer where the threshold is shared by many cells."""
    n = max(_FEWEST_ABOVE, int(_TAIL * values.size))
    if n >= values.size:
        return 0
    return int(values.size - np.searchsorted(values, values[-n - 1], side="right"))


def _trend(values: Floats, log_depth: Floats) -> float:
    """Slope of the upper tenth of a source with the logarithm of depth (least squares).

    Parameters
    ----------
    values, log_depth
        (n,) in the order of depth.
    """
    n_points = int(np.clip(values.size // _OF_A_TREND, 2, _MOST_POINTS))
    x = np.array([np.median(part) for part in np.array_split(log_depth, n_points)])
    parts = np.array_split(values, n_points)
    y = np.array([np.sort(part)[-max(part.size // 10, 1) :].mean() for part in parts])
    off = x - x.mean()
    return float(off @ y / max(float(off @ off), 1e-12))


def _shift(depth: Floats, stratum: _Stratum, slope: float) -> Floats:
    """What a score may owe to a depth that no cell of the stratum has; never below 0.

    Beyond the deepest leukocyte there is no null. The trend is followed where it makes a score less
    surprising, and not where it makes it more so.
    """
    outside = (depth > stratum.depth[-1]) | (depth < stratum.depth[0])
    off = np.log(depth) - float(np.median(np.log(stratum.depth)))
    return np.where(outside, np.maximum(slope * off, 0.0), 0.0)


def _p(values: Floats, stratum: _Stratum, place: Ints) -> Floats:
    """P of values in one stratum; cells of the stratum are judged by all others of it."""
    own = place >= 0
    n = stratum.values.size
    as_high = n - np.searchsorted(stratum.values, values, side="left")
    p = np.where(own, as_high / n, (as_high + 1.0) / (n + 1.0))
    beyond = ~own & (as_high == 0)
    p[beyond] = _beyond(values[beyond], stratum.values)
    highest = own & (as_high == 1)
    p[highest] = _beyond(values[highest], stratum.values[:-1])
    return p


def _beyond(values: Floats, null: Floats) -> Floats:
    """P of values above every null value: at most what their number says, less by the tail."""
    most = 1.0 / (null.size + 1.0)
    n_above = _n_above(null)
    if values.size == 0 or n_above < _FEWEST_DISTINCT:
        return np.full(values.size, most)
    fitted = tail.fit_pareto_tail(null, n_above=n_above)
    # the scale of m values is not known: mixed over what it may be, an exponential tail is a
    # Pareto tail of shape 1 / m (F distribution of 2 and 2 m degrees of freedom)
    fitted = fitted._replace(shape=max(fitted.shape, 1.0 / n_above))
    return np.minimum(tail.pareto_tail_p(values, fitted), most)


def cross_fitted(
    score: Floats,
    *,
    depth: Floats,
    kind: npt.NDArray[np.object_],
    is_null: Bools,
    rng: np.random.Generator,
) -> Floats:
    """P of each null cell by the half of the null cells that it is not in.

    Parameters
    ----------
    score, depth, kind, is_null
        As of `judge`.

    Returns
    -------
    (number of null cells,) in their order; empty where a half has fewer than `FEWEST`.
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
