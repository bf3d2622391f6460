"""Estimate the share of ambient RNA in a sample's counts, and correct counts for it.

A gene that a lineage cannot express is only seen in its cells because of ambient RNA (Young &
Behjati 2020, doi:10.1093/gigascience/giaa151). Its counts, divided by the counts in a droplet with
nothing but ambient RNA, estimate the contamination. The estimates of many genes in several lineages
are combined by a weighted median, because some of the genes are truly expressed after all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.counts.content import content_seeds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_FEWEST = 20  # fewest cells of a lineage that is used
_FEWEST_GENES = 5  # fewest genes for an estimate
_GENE_SPREAD = 0.3  # spread between genes (log units), beyond counting noise
_TYPICAL = 0.05  # contamination for which the weights of genes are optimal
_DISPERSION = 0.25  # of the contamination between cells
_FAR = 3.0  # spreads above what ambient RNA explains: a doublet or a cell of another lineage
_ROUNDS = 10
_PROFILE_SPREAD = 0.15  # log units between ambient and mean profile per lineage, as in pbmc4k


class Contamination(NamedTuple):
    """Share of the counts that is ambient RNA (fraction of counts; NaN where not measured)."""

    rho: float
    low: float
    high: float
    genes: int
    """Number of genes that it was measured on."""
    reason: str
    """Why it was not measured, or empty."""


class _Pairs(NamedTuple):
    """Genes in lineages that cannot express them, one entry each."""

    gene: Ints
    lineage: Ints
    source: Ints
    keep: Bools
    """(n, sources) cells in which ambient RNA can explain the counts of the source's genes."""


def contamination(
    counts: sp.csr_matrix,
    *,
    lineage: Ints,
    source: Ints,
    excluded: Bools,
    profile: Floats | None,
    confidence: float,
    n_bootstraps: int,
    seed: int,
) -> Contamination:
    """Estimate the contamination of a sample.

    Parameters
    ----------
    counts
        (n, G) raw counts of cells.
    lineage
        (n,) lineage of each cell, 0 to L - 1, or -1 where it is not known.
    source
        (G,) lineage that expresses the gene, -1 for genes that are not used.
    excluded
        (L, G) lineages that cannot express the gene.
    profile
        (G,) share of counts per gene in the ambient RNA; None if there are no droplets to measure
        it on. Then the mean profile of the sample is used instead. Because ambient RNA may contain
        more of one lineage than the cells do, estimates are then made per source lineage and
        weighted by its share of the counts, and the interval is wider.
    confidence
        Confidence of the interval, from resampled cells and genes (fraction).

    Returns
    -------
    Contamination
        True expression at a few per cent of the ambient level cannot be distinguished from ambient
        RNA, so the estimate of a clean sample is slightly too high.
    """
    n_lineages = excluded.shape[0]
    cells = np.bincount(lineage[lineage >= 0], minlength=n_lineages)
    umis = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    share = _mean_profile(counts) if profile is None else profile
    usable = (source >= 0) & (share > 0)
    if profile is None:
        # without cells of its source lineage, a gene has no counts but those of ambient RNA
        usable &= cells[source] >= _FEWEST
    columns = np.flatnonzero(usable & excluded[cells >= _FEWEST].any(axis=0))
    if columns.size < _FEWEST_GENES:
        reason = f"{columns.size} genes that a lineage cannot express, needs {_FEWEST_GENES}"
        return Contamination(np.nan, np.nan, np.nan, int(columns.size), reason)
    observed = np.asarray(counts[:, columns].todense(), dtype=np.float64)
    at, gene = np.nonzero(excluded[:, columns] & (cells >= _FEWEST)[:, None])
    pairs = _Pairs(
        gene,
        at,
        source[columns],
        _explained(observed, umis, lineage, share[columns], source[columns], excluded[:, columns]),
    )
    weight = None
    if profile is None:
        weight = np.bincount(lineage[lineage >= 0], umis[lineage >= 0], minlength=n_lineages)
    rng = np.random.default_rng(seed)
    once = np.ones(umis.size), np.ones(columns.size)
    rho = _combined(observed, umis, lineage, share[columns], pairs, weight, once)
    drawn = np.empty(n_bootstraps)
    for round_ in range(n_bootstraps):
        again = _drawn_again(rng, umis.size), _drawn_again(rng, columns.size)
        drawn[round_] = _combined(observed, umis, lineage, share[columns], pairs, weight, again)
        if profile is None:
            drawn[round_] *= np.exp(_PROFILE_SPREAD * rng.standard_normal())
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Contamination(
        min(rho, 1.0), float(min(low, rho)), float(min(max(high, rho), 1.0)), columns.size, ""
    )


def _drawn_again(rng: np.random.Generator, n: int) -> Floats:
    """Number of times that each of n items is drawn, in n draws with replacement (bootstrap)."""
    return rng.multinomial(n, np.full(n, 1.0 / n)).astype(np.float64)


def _mean_profile(counts: sp.csr_matrix) -> Floats:
    sums = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    return sums / max(float(sums.sum()), 1.0)


def _explained(
    observed: Floats, umis: Floats, lineage: Ints, share: Floats, source: Ints, excluded: Bools
) -> Bools:
    """Cells in which ambient RNA can explain all counts of a source lineage's genes."""
    keep = np.ones((umis.size, excluded.shape[0]), dtype=bool)
    for code in range(excluded.shape[0]):
        for other in range(excluded.shape[0]):
            columns = np.flatnonzero((source == code) & excluded[other])
            rows = np.flatnonzero((lineage == other) & (umis > 0))
            if columns.size == 0 or rows.size == 0:
                continue
            seen = observed[np.ix_(rows, columns)].sum(axis=1)
            expected = umis[rows] * share[columns].sum()
            explained = np.ones(rows.size, dtype=bool)
            for _ in range(_ROUNDS):
                mean = expected * seen[explained].sum() / expected[explained].sum()
                explained = seen <= mean + _FAR * np.sqrt(mean + _DISPERSION * mean**2) + 1.0
            keep[rows, code] = explained
    return keep


def _combined(
    observed: Floats,
    umis: Floats,
    lineage: Ints,
    share: Floats,
    pairs: _Pairs,
    weight: Floats | None,
    times: tuple[Floats, Floats],
) -> float:
    """Weighted median over genes and lineages, overall or per source lineage."""
    n_lineages = int(pairs.lineage.max()) + 1
    seen, depth = np.zeros((n_lineages, share.size)), np.zeros((n_lineages, share.size))
    for at in range(n_lineages):
        rows = np.flatnonzero(lineage == at)
        for code in np.unique(pairs.source):
            columns = np.flatnonzero(pairs.source == code)
            used = times[0][rows] * pairs.keep[rows, code]
            seen[at, columns] = used @ observed[np.ix_(rows, columns)]
            depth[at, columns] = used @ umis[rows]
    expected = (depth * share)[pairs.lineage, pairs.gene]
    ratio = seen[pairs.lineage, pairs.gene] / np.maximum(expected, 1e-12)
    trust = expected / (1.0 + expected * _TYPICAL * _GENE_SPREAD**2) * times[1][pairs.gene]
    if weight is None:
        return weighted_median(ratio, trust)
    source = pairs.source[pairs.gene]
    codes = [code for code in np.unique(source) if trust[source == code].sum() > 0]
    if not codes:
        return np.nan
    each = [weighted_median(ratio[source == code], trust[source == code]) for code in codes]
    return float(np.average(each, weights=weight[codes]))


def weighted_median(values: Floats, weights: Floats) -> float:
    """Weighted median, interpolated; NaN without weight."""
    used = weights > 0
    if not used.any():
        return np.nan
    order = np.argsort(values[used], kind="stable")
    ordered, weight = values[used][order], weights[used][order]
    middle = np.cumsum(weight) - weight / 2.0
    return float(np.interp(weight.sum() / 2.0, middle, ordered))


def correct(
    counts: sp.csr_matrix, *, lineage: Ints, rho: float, profile: Floats, seed: int
) -> sp.csr_matrix:
    """Subtract the expected ambient counts from each cell.

    Parameters
    ----------
    counts
        (n, G) raw counts, whole numbers.
    lineage
        (n,) lineage of each cell, 0, 1, ..., or -1 where it is not known.
    rho
        Share of the counts that is ambient RNA (fraction of counts).
    profile
        (G,) share of counts per gene in the ambient RNA.
    seed
        Seed of the rounding; the order of the cells does not matter.

    Returns
    -------
    Non-negative integers, of the type of `counts`. A single cell has too few counts to locate
    the ambient ones, so a gene's ambient fraction is estimated over all cells of the lineage:
    each cell loses this fraction of its counts, but never more than ambient RNA alone can
    explain in it, so that genes of a rare cell among others are kept. A lineage loses about
    `rho` of its counts. Amounts are rounded systematically along a cell's genes, so that each
    is correct on average.
    """
    result = counts.copy()
    result.sort_indices()
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(result.indptr))
    data = result.data.astype(np.float64)
    umis = np.bincount(rows, data, minlength=counts.shape[0])
    code = lineage + 1
    n_codes = int(code.max(initial=0)) + 1
    member = sp.csr_matrix(
        (np.ones(code.size), (code, np.arange(code.size))), shape=(n_codes, code.size)
    )
    seen = (member @ counts.astype(np.float64)).toarray()
    ambient = rho * np.bincount(code, umis, minlength=n_codes)[:, None] * profile
    part = np.minimum(1.0, ambient / np.maximum(seen, 1e-12))[code[rows], result.indices]
    expected_alone = rho * umis[rows] * profile[result.indices]
    amount = np.minimum(
        data * part,
        expected_alone + _FAR * np.sqrt(expected_alone + _DISPERSION * expected_alone**2) + 1.0,
    )
    amount[(expected_alone == 0) | (data <= 0)] = 0.0
    result.data = (data - _rounded(amount, result.indptr, _offsets(result, seed))).astype(
        counts.dtype
    )
    result.eliminate_zeros()
    return result


def _rounded(amount: Floats, indptr: npt.NDArray[np.integer], offset: Floats) -> Floats:
    """Round so that each amount is correct on average, and each row sum to within one."""
    upto = np.concatenate([[0.0], np.cumsum(amount)])
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    start = upto[indptr[:-1]][rows] - offset[rows]
    taken = np.floor(upto[1:] - start) - np.floor(upto[:-1] - start)
    # rounding errors of a long sum must not exceed the amount rounded up
    return np.asarray(np.minimum(taken, np.ceil(amount)))


def _offsets(counts: sp.csr_matrix, seed: int) -> Floats:
    """A number in [0, 1) per cell that depends only on its counts and the seed."""
    seeds = content_seeds(counts).tolist()
    return np.array([np.random.default_rng([seed, *of_cell]).random() for of_cell in seeds])
