"""Which barcodes of an unfiltered matrix hold a cell.

Each barcode is tested against the profile of the ambient RNA with draws of the same total, as
EmptyDrops does (Lun 2019, doi:10.1186/s13059-019-1662-y). Its statistic, the likelihood under the
ambient profile, hardly sees small cells: on blood cells thinned to 200 counts it finds one in
sixteen. The likelihood ratio against profiles of cells finds most of them, so both are used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.soup import Ambient, totals

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_BATCH = 250_000  # molecules that are drawn at once: what fits a processor's cache
_TAIL = 0.01  # share of the draws that the tail beyond all draws is fitted to
_FEWEST = 10  # cells that a profile of the sample's own is summed over
_MOST = 3000  # cells that the sample's own profiles are summed over: more change nothing but time
_OWN_RNA = 0.5  # share of a droplet's counts that is the cell's, in the ratio: bounds it below
_PSEUDO = 20.0  # ambient counts a gene must have before its absence is believed
_AMBIENT_LEVEL = 0.1  # part of the error rate that goes to the fit to the ambient profile
_GRID = 0.02  # decades of rank between points of the curve that knee and inflection are read from
_SMOOTH = 5  # points of that grid on either side


class Barcodes(NamedTuple):
    """Test of each barcode against the ambient profile; NaN where not tested."""

    umis: Ints
    """(n,) counts per barcode."""
    log_likelihood: Floats
    """(n,) of the (thinned) counts under the ambient profile."""
    log_ratio: Floats
    """(n,) likelihood ratio of the best cell profile against the ambient profile."""
    p: Floats
    """(n,) probability that a droplet without a cell differs so much."""


class Knee(NamedTuple):
    """Points of the curve of counts against rank (counts per barcode, NaN for none)."""

    knee: float
    inflection: float


def alternatives(
    counts: sp.csr_matrix,
    *,
    ambient: Ambient,
    columns: npt.NDArray[np.intp],
    shares: Floats,
    retain: float,
) -> Floats:
    """Profiles of cells that a barcode may hold, on the sample's own scale.

    Parameters
    ----------
    counts
        (n, G) counts of all barcodes.
    columns
        (g,) genes that the reference types cover.
    shares
        (g, k) share of counts of each reference type.
    retain
        Barcodes with as many counts are surely cells (counts per barcode).

    Returns
    -------
    (K, G) shares of counts. First the k reference types, each as the ambient profile times the
    type's ratio to the mixture of types that is most like the ambient profile, so that platform
    effects cancel. Then the sample's own sure cells, summed by the type that they are most like,
    where there are ten or more of a type.
    """
    if ambient.profile.size == 0:
        return np.empty((0, counts.shape[1]))
    target = _unit(ambient.profile[columns])
    types = shares.T / shares.sum(axis=0)[:, None]
    weight = np.full(types.shape[0], 1.0 / types.shape[0])
    for _ in range(100):  # expectation-maximisation of a mixture of multinomials
        part = weight[:, None] * types
        weight = (part / np.maximum(part.sum(axis=0), 1e-300) * target).sum(axis=1)
    ratio = np.ones((types.shape[0], ambient.profile.size))
    ratio[:, columns] = types / np.maximum(weight @ types, 1e-12)
    tilted = ratio * ambient.profile
    tilted /= tilted.sum(axis=1, keepdims=True)
    return np.vstack([tilted, _own_profiles(counts, ambient, tilted, retain)])


def _own_profiles(counts: sp.csr_matrix, ambient: Ambient, types: Floats, retain: float) -> Floats:
    umis = totals(counts)
    sure = np.flatnonzero(umis >= retain)
    sure = sure[np.argsort(-umis[sure], kind="stable")][:_MOST]
    rows = counts[sure]
    best = (rows @ _log_ratios(ambient, types).T).argmax(axis=1)
    known = [k for k in range(types.shape[0]) if (best == k).sum() >= _FEWEST]
    sums = [_unit(np.asarray(rows[best == k].sum(axis=0), dtype=np.float64).ravel()) for k in known]
    return np.array(sums).reshape(len(known), counts.shape[1])


def _unit(values: Floats) -> Floats:
    return values / max(float(values.sum()), 1e-300)


def _log_ratios(ambient: Ambient, types: Floats) -> Floats:
    pseudo = _PSEUDO / ambient.umis
    return np.log(_OWN_RNA * (types + pseudo) / (ambient.profile + pseudo) + 1.0 - _OWN_RNA)


def barcodes(
    counts: sp.csr_matrix,
    *,
    ambient: Ambient,
    alternatives: Floats,
    lower: int,
    deepest: int,
    n_draws: int,
    seed: int,
) -> Barcodes:
    """Test barcodes with more than `lower` counts against the ambient profile.

    Parameters
    ----------
    counts
        (n, G) counts of all barcodes.
    alternatives
        (K, G) shares of counts of what may be in a droplet; K may be 0.
    lower
        Barcodes with as many counts or fewer are not tested (counts per barcode).
    deepest
        Barcodes with more counts are thinned to this many first, which keeps the test exact and
        its cost bounded (counts per barcode).
    n_draws
        Droplets without a cell that are drawn, each grown from 1 to `deepest` counts, so that one
        set of draws serves every total.
    seed
        Of the random numbers; the order of the barcodes does not matter.

    Returns
    -------
    The p-value is that of the likelihood ratio, or two-sided that of the likelihood, whichever is
    smaller after each was given its part of the error rate. Where a barcode lies beyond 99 % of the
    draws it comes from an exponential tail fitted to them, and so goes below 1 / `n_draws`:
    otherwise a handful of cells among thousands of barcodes would be lost.
    """
    umis = totals(counts)
    result = Barcodes(umis, *(np.full(umis.size, np.nan) for _ in range(3)))
    rows = np.flatnonzero(umis > lower)
    if rows.size == 0 or ambient.profile.size == 0:
        return result
    tested = _at_most(counts[rows], deepest=deepest, seed=seed)
    ratios = _log_ratios(ambient, alternatives)
    fit = log_likelihood(tested, ambient=ambient)
    ratio = (tested @ ratios.T).max(axis=1) if len(ratios) else np.zeros(rows.size)
    sizes, place = np.unique(totals(tested), return_inverse=True)
    drawn = _draws(ambient, ratios, sizes, n_draws, np.random.default_rng(seed))
    p = np.empty(rows.size)
    for column in range(sizes.size):
        mine = place == column
        fits, best = (np.sort(one[:, column].astype(np.float64)) for one in drawn)
        outer = 2.0 * np.minimum(_upper_tail(fits, fit[mine]), _lower_tail(fits, fit[mine]))
        share = _AMBIENT_LEVEL if len(ratios) else 1.0
        p[mine] = np.minimum(
            outer / share,
            _upper_tail(best, ratio[mine]) / (1.0 - share) if len(ratios) else 1.0,
        )
    result.log_likelihood[rows], result.log_ratio[rows] = fit, ratio
    result.p[rows] = np.clip(p, 1e-300, 1.0)
    return result


def is_cell(tested: Barcodes, *, fdr: float, retain: float) -> Bools:
    """Decide which barcodes hold a cell.

    Parameters
    ----------
    fdr
        Benjamini-Hochberg level over the tested barcodes (fraction).
    retain
        Barcodes with as many counts are cells whatever their p (counts per barcode, `inf` for
        none): where all cells are alike, the ambient RNA looks like a cell.
    """
    from ctcflow.stats.tail import benjamini_hochberg

    known = np.flatnonzero(~np.isnan(tested.p))
    result = tested.umis >= retain
    result[known] |= benjamini_hochberg(tested.p[known]) <= fdr
    return np.asarray(result & (tested.umis > 0))


def log_likelihood(counts: sp.csr_matrix, *, ambient: Ambient) -> Floats:
    """Dirichlet-multinomial log-likelihood of each row, without its multinomial coefficient n!."""
    from scipy.special import gammaln

    share = ambient.profile[counts.indices]
    data = counts.data.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if np.isinf(ambient.alpha):
            terms = data * np.log(share) - gammaln(data + 1)
        else:
            a = ambient.alpha * share
            terms = gammaln(data + a) - gammaln(a) - gammaln(data + 1)
    terms[data == 0] = 0.0
    return np.add.reduceat(np.append(terms, 0.0), counts.indptr[:-1]) * (np.diff(counts.indptr) > 0)


def _at_most(counts: sp.csr_matrix, *, deepest: int, seed: int) -> sp.csr_matrix:
    """Thin rows with more than `deepest` counts to exactly that many."""
    counts = counts.copy()
    umis = totals(counts)
    counts.data = counts.data.astype(np.int64)
    for row in np.flatnonzero(umis > deepest):
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        # a generator per row, seeded by its content: the order of the rows does not matter
        own = [seed, int(umis[row]), int((counts.indices[part] * counts.data[part]).sum())]
        rng = np.random.default_rng(own)
        counts.data[part] = rng.multivariate_hypergeometric(
            counts.data[part], deepest, method="marginals"
        )
    counts.eliminate_zeros()
    return counts


def _draws(
    ambient: Ambient, ratios: Floats, sizes: Ints, n_draws: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Likelihoods and best ratios of droplets without a cell, each draws x `sizes`.

    Each droplet grows molecule by molecule; its values are read off at every size.
    """
    genes = np.flatnonzero(ambient.profile > 0)
    share, ratios = ambient.profile[genes], ratios[:, genes].astype(np.float32)
    upto = np.cumsum(share)
    upto /= upto[-1]
    longest = int(sizes[-1])
    kind = np.uint16 if genes.size <= np.iinfo(np.uint16).max else np.int64  # 16 bits sort fast
    batch = max(1, _BATCH // longest)
    fits = np.empty((n_draws, sizes.size), dtype=np.float32)
    best = np.full((n_draws, sizes.size), -np.inf, dtype=np.float32)
    for start in range(0, n_draws, batch):
        here = slice(start, min(start + batch, n_draws))
        shape = (here.stop - start, longest)
        gene = np.searchsorted(upto, rng.random(shape), side="right").astype(kind)
        if not np.isinf(ambient.alpha):
            gene = np.take_along_axis(gene, _urn(shape, ambient.alpha, rng), axis=1)
        earlier = _earlier(gene)
        if np.isinf(ambient.alpha):
            step = np.log(share)[gene] - np.log1p(earlier)
        else:
            step = np.log(ambient.alpha * share[gene] + earlier) - np.log1p(earlier)
        fits[here] = np.cumsum(step, axis=1)[:, sizes - 1]
        for row in ratios:
            np.maximum(best[here], np.cumsum(row[gene], axis=1)[:, sizes - 1], out=best[here])
    return fits, best


def _urn(shape: tuple[int, int], alpha: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Which earlier molecule each one copies in Pólya's urn, itself where it is drawn anew."""
    k = np.arange(shape[1])
    # an earlier one with probability 1 / (alpha + k) each, a new one with what is left
    pointer = np.minimum((rng.random(shape) * (alpha + k)).astype(np.int64), k)
    while True:
        further = np.take_along_axis(pointer, pointer, axis=1)
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def _earlier(gene: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How often the gene of each molecule came before in its row."""
    order = np.argsort(gene, axis=1, kind="stable")
    ordered = np.take_along_axis(gene, order, axis=1)
    first = np.ones(gene.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    k = np.broadcast_to(np.arange(gene.shape[1]), gene.shape)
    begin = np.maximum.accumulate(np.where(first, k, 0), axis=1)
    earlier = np.empty(gene.shape, dtype=np.int64)
    np.put_along_axis(earlier, order, k - begin, axis=1)
    return earlier


def _upper_tail(drawn: Floats, values: Floats) -> Floats:
    """P of values as high, from sorted draws."""
    return _lower_tail(-drawn[::-1], -values)


def _lower_tail(drawn: Floats, values: Floats) -> Floats:
    """P of values as low, from sorted draws, exponential beyond the lowest of them."""
    p = (np.searchsorted(drawn, values, side="right") + 1.0) / (drawn.size + 1.0)
    tail = int(_TAIL * drawn.size)
    if tail >= 20:
        threshold = drawn[tail]
        scale = float((threshold - drawn[:tail]).mean())
        beyond = values < threshold
        p[beyond] = tail / drawn.size * np.exp((values[beyond] - threshold) / max(scale, 1e-9))
    return np.clip(p, 1e-300, 1.0)


def knee(umis: Ints, *, lower: int) -> Knee:
    """Find where counts per barcode fall off, on the log-log curve of counts against rank.

    Parameters
    ----------
    umis
        (n,) counts per barcode.
    lower
        Barcodes with as many counts or fewer are left out (counts per barcode).

    Returns
    -------
    The inflection is the steepest point of the curve; the knee lies before it, where the curve is
    farthest above the straight line to its first barcode. NaN where fewer than three totals differ.
    """
    values, times = np.unique(umis[umis > lower], return_counts=True)
    if values.size < 3:
        return Knee(np.nan, np.nan)
    ranks = np.cumsum(times[::-1]) - (times[::-1] - 1) / 2.0
    x, y = np.log10(ranks), np.log10(values[::-1].astype(np.float64))
    grid = np.linspace(x[0], x[-1], max(3, int(np.ceil((x[-1] - x[0]) / _GRID))))
    curve = np.interp(grid, x, y)
    padded = np.pad(curve, _SMOOTH, mode="edge")
    weights = np.ones(2 * _SMOOTH + 1) / (2 * _SMOOTH + 1)
    slope = np.gradient(np.convolve(padded, weights, mode="valid"), grid)
    # the padding bends the ends; the first barcodes are too few for a slope
    inner = slice(min(_SMOOTH, grid.size // 3), max(grid.size - _SMOOTH, grid.size // 3 + 1))
    steepest = inner.start + int(slope[inner].argmin())
    chord = np.interp(grid[: steepest + 1], grid[[0, steepest]], curve[[0, steepest]])
    highest = int((curve[: steepest + 1] - chord).argmax())
    return Knee(float(10 ** curve[highest]), float(10 ** curve[steepest]))
