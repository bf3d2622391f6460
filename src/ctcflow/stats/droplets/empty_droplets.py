"""Find the barcodes of an unfiltered matrix that contain a cell.

Each barcode is tested against the ambient profile with simulated droplets of the same total, as in
EmptyDrops (Lun 2019, doi:10.1186/s13059-019-1662-y). Its statistic, the likelihood under the
ambient profile, has little power for small cells: of blood cells thinned to 200 counts it finds one
in sixteen. The likelihood ratio against profiles of cells finds most of them, so both are used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.counts.content import content_seeds
from ctcflow.stats.droplets.ambient_profile import Ambient, good_turing, log_likelihood, totals
from ctcflow.stats.droplets.cell_profiles import Alternatives, log_ratios

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_BATCH = 250_000  # molecules that are drawn at once: they fit into a processor's cache
_PROFILES = 20  # fewest re-estimated ambient profiles that the draws are judged by
_TAIL = 0.01  # share of the draws to which the tail beyond all draws is fitted
_AMBIENT_LEVEL = 0.1  # part of the error rate for the test of the likelihood alone


class Barcodes(NamedTuple):
    """Test of each barcode against the ambient profile; NaN where not tested."""

    umis: Ints
    """(n,) counts per barcode."""
    log_likelihood: Floats
    """(n,) log-likelihood of the (thinned) counts under the ambient profile."""
    log_ratio: Floats
    """(n,) log-likelihood ratio of the best cell profile over the ambient profile."""
    p: Floats
    """(n,) probability that a droplet without a cell differs so much."""


def barcodes(
    counts: sp.csr_matrix,
    *,
    ambient: Ambient,
    alternatives: Alternatives,
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
        Profiles of cells that may be in a droplet; may be empty.
    lower
        Barcodes with as many counts or fewer are not tested (counts per barcode).
    deepest
        Barcodes with more counts are first thinned to this many, which keeps the test exact and
        limits its cost (counts per barcode).
    n_draws
        Number of simulated droplets without a cell. Each is grown from 1 to `deepest` counts, so
        that one set of draws serves every total.
    seed
        Seed of the random numbers; the order of the barcodes does not matter.

    Returns
    -------
    The p-value is the smaller of that of the likelihood ratio and the two-sided one of the
    likelihood, each corrected for its part of the error rate. Beyond 99 % of the draws it comes
    from an exponential tail fitted to them, so that it can be below 1 / `n_draws`: otherwise a few
    cells among thousands of barcodes could not be significant.
    """
    umis = totals(counts)
    result = Barcodes(umis, *(np.full(umis.size, np.nan) for _ in range(3)))
    rows = np.flatnonzero(umis > lower)
    if rows.size == 0 or ambient.profile.size == 0:
        return result
    tested = _at_most(counts[rows], deepest=deepest, seed=seed)
    ratios = log_ratios(ambient.profile, ambient.umis, alternatives)
    fit = log_likelihood(tested, ambient=ambient)
    ratio = (tested @ ratios.T).max(axis=1) if len(ratios) else np.zeros(rows.size)
    sizes, place = np.unique(totals(tested), return_inverse=True)
    drawn = _draws(ambient, alternatives, sizes, n_draws, np.random.default_rng(seed))
    p = np.empty(rows.size)
    for column in range(sizes.size):
        of_size = place == column
        fits, best = (np.sort(statistic[:, column].astype(np.float64)) for statistic in drawn)
        outer = 2.0 * np.minimum(_upper_tail(fits, fit[of_size]), _lower_tail(fits, fit[of_size]))
        share = _AMBIENT_LEVEL if len(ratios) else 1.0
        p[of_size] = np.minimum(
            outer / share,
            _upper_tail(best, ratio[of_size]) / (1.0 - share) if len(ratios) else 1.0,
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
        Barcodes with at least this many counts are cells whatever their p (counts per barcode,
        `inf` for none): if all cells are alike, the ambient RNA looks like a cell.
    """
    from ctcflow.stats.calls.p_values import benjamini_hochberg

    with_p = np.flatnonzero(~np.isnan(tested.p))
    result = tested.umis >= retain
    result[with_p] |= benjamini_hochberg(tested.p[with_p]) <= fdr
    return np.asarray(result & (tested.umis > 0))


def _at_most(counts: sp.csr_matrix, *, deepest: int, seed: int) -> sp.csr_matrix:
    """Thin rows with more than `deepest` counts to exactly that many."""
    counts = counts.copy()
    umis = totals(counts)
    counts.data = counts.data.astype(np.int64)
    # one generator per row, seeded by its content, so that the order of the rows does not matter
    seeds = content_seeds(counts)
    for row in np.flatnonzero(umis > deepest):
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        rng = np.random.default_rng([seed, *seeds[row].tolist()])
        counts.data[part] = rng.multivariate_hypergeometric(
            counts.data[part], deepest, method="marginals"
        )
    counts.eliminate_zeros()
    return counts


def _draws(
    ambient: Ambient, types: Alternatives, sizes: Ints, n_draws: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Likelihoods and best ratios of droplets without a cell, each draws x `sizes`.

    Each droplet grows molecule by molecule, and its values are recorded at every size. It is drawn
    from the estimated profile, but judged by a profile that is re-estimated from as many simulated
    counts. This mimics the barcodes, which come from the true profile but are judged by an
    estimate; without it, p would be too small if there are few ambient counts.
    """
    genes = np.flatnonzero(ambient.profile > 0)
    share = ambient.profile[genes]
    types = Alternatives(types.relative[:, genes], types.own[:, genes])
    upto = np.cumsum(share)
    upto /= upto[-1]
    longest = int(sizes[-1])
    kind = np.uint16 if genes.size <= np.iinfo(np.uint16).max else np.int64  # 16 bits sort fast
    batch = int(np.clip(_BATCH // longest, 1, max(1, n_draws // _PROFILES)))
    fits = np.empty((n_draws, sizes.size), dtype=np.float32)
    best = np.full((n_draws, sizes.size), -np.inf, dtype=np.float32)
    for start in range(0, n_draws, batch):
        here = slice(start, min(start + batch, n_draws))
        shape = (here.stop - start, longest)
        gene = np.searchsorted(upto, rng.random(shape), side="right").astype(kind)
        if not np.isinf(ambient.alpha):
            gene = np.take_along_axis(gene, _urn(shape, ambient.alpha, rng), axis=1)
        again = good_turing(rng.poisson(ambient.umis * share))
        earlier = _earlier(gene)
        if np.isinf(ambient.alpha):
            step = np.log(again)[gene] - np.log1p(earlier)
        else:
            step = np.log(ambient.alpha * again[gene] + earlier) - np.log1p(earlier)
        fits[here] = np.cumsum(step, axis=1)[:, sizes - 1]
        for row in log_ratios(again, ambient.umis, types).astype(np.float32):
            np.maximum(best[here], np.cumsum(row[gene], axis=1)[:, sizes - 1], out=best[here])
    return fits, best


def _urn(shape: tuple[int, int], alpha: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Which earlier molecule each molecule copies in Pólya's urn; its own index if it is new."""
    k = np.arange(shape[1])
    # each earlier molecule with probability 1 / (alpha + k), a new one with the rest
    pointer = np.minimum((rng.random(shape) * (alpha + k)).astype(np.int64), k)
    while True:
        further = np.take_along_axis(pointer, pointer, axis=1)
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def _earlier(gene: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Number of earlier molecules of the same gene in the row, for each molecule."""
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
    """P of values at least as high, from sorted draws."""
    return _lower_tail(-drawn[::-1], -values)


def _lower_tail(drawn: Floats, values: Floats) -> Floats:
    """P of values at least as low, from sorted draws; exponential tail below the lowest draw."""
    p = (np.searchsorted(drawn, values, side="right") + 1.0) / (drawn.size + 1.0)
    tail = int(_TAIL * drawn.size)
    if tail >= 20:
        threshold = drawn[tail]
        scale = float((threshold - drawn[:tail]).mean())
        beyond = values < threshold
        p[beyond] = tail / drawn.size * np.exp((values[beyond] - threshold) / max(scale, 1e-9))
    return np.clip(p, 1e-300, 1.0)
