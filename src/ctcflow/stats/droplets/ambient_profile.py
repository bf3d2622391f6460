"""The ambient profile: expression in droplets that contain no cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ALPHAS = np.exp(np.linspace(np.log(10.0), np.log(1e6), 70))  # larger: same as a multinomial
_SMALL = 10  # largest count of a gene whose share is smoothed
_SURE = 0.1  # largest relative error at which Turing's estimate is used


class Ambient(NamedTuple):
    """Ambient RNA, measured on droplets without a cell."""

    profile: Floats
    """(G,) share of counts per gene, 0 only for genes without a count in any barcode; empty if no
    barcode has few enough counts."""
    alpha: float
    """Concentration of the Dirichlet-multinomial; infinite if droplets vary no more than by
    chance."""
    barcodes: int
    """Barcodes that the profile was measured on."""
    umis: int
    """Counts that the profile was measured on."""


def totals(counts: sp.csr_matrix) -> Ints:
    """Counts per barcode."""
    return np.asarray(counts.sum(axis=1, dtype=np.int64)).ravel()


def ambient_profile(counts: sp.csr_matrix, *, lower: int) -> Ambient:
    """Measure the ambient profile on the barcodes with 1 to `lower` counts.

    Parameters
    ----------
    counts
        (n, G) counts of all barcodes.
    lower
        Barcodes with more counts may hold a cell (counts per barcode).

    Returns
    -------
    Profile with simple Good-Turing smoothing (Gale & Sampson 1995, doi:10.1080/09296179508590051),
    so that a gene seen only in cells is rare in the ambient RNA, but not impossible.
    """
    umis = totals(counts)
    low = counts[np.flatnonzero((umis > 0) & (umis <= lower))]
    if low.shape[0] == 0:
        return Ambient(np.empty(0), np.nan, 0, 0)
    sums = np.asarray(low.sum(axis=0, dtype=np.int64)).ravel()
    seen = np.zeros(counts.shape[1], dtype=bool)
    seen[counts.indices[counts.data > 0]] = True
    profile = np.zeros(counts.shape[1])
    profile[seen] = good_turing(sums[seen])
    return Ambient(profile, concentration(low, profile=profile), low.shape[0], int(sums.sum()))


def good_turing(sums: Ints) -> Floats:
    """Good-Turing shares of counts per gene; the share of unseen genes is divided equally."""
    total = int(sums.sum())
    if total == 0:
        return np.full(sums.size, 1.0 / max(sums.size, 1))
    values, place, times = np.unique(sums[sums > 0], return_inverse=True, return_counts=True)
    unseen = int((sums == 0).sum())
    shares = np.zeros(sums.size)
    missing = min(times[values == 1].sum() / total, 0.5) if unseen else 0.0
    smoothed = _smoothed(values.astype(np.float64), times.astype(np.float64))
    shares[sums > 0] = smoothed[place] / smoothed[place].sum() * (1.0 - missing)
    if unseen:
        # if no gene was seen exactly once, assume half a count for the unseen genes
        missing = missing or 0.5 / (total + 0.5)
        shares[sums > 0] *= (1.0 - missing) / shares[sums > 0].sum()
        shares[sums == 0] = missing / unseen
    return shares


def _smoothed(values: Floats, times: Floats) -> Floats:
    """Good-Turing count r* of each small count r; counts above `_SMALL` need no smoothing."""
    small = values <= _SMALL
    if small.sum() < 5:  # too few points to fit a line
        return values
    left = np.concatenate([[0.0], values[:-1]])
    right = np.concatenate([values[1:], [2 * values[-1] - left[-1]]])
    thinly = np.log(2 * times / (right - left))  # averaged over the gaps between observed counts
    slope = np.polyfit(np.log(values[small]), thinly[small], 1)[0]
    line = (values + 1) * np.exp(slope * np.log1p(1 / values))
    # Turing's estimate where it is precise enough, which needs genes seen r + 1 times
    after = np.where(np.diff(values, append=np.inf) == 1, np.append(times[1:], 0.0), 0.0)
    sure = 1.0 / times + 1.0 / np.maximum(after, 1e-9) < _SURE**2
    return np.where(small, np.where(sure, (values + 1) * after / times, line), values)


def concentration(low: sp.csr_matrix, *, profile: Floats) -> float:
    """Fit the concentration of the Dirichlet-multinomial to ambient barcodes.

    Parameters
    ----------
    low
        (m, G) counts of ambient barcodes.
    profile
        (G,) shares.

    Returns
    -------
    Maximum-likelihood estimate between 10 and 1,000,000; infinite at the upper end.
    """
    from scipy.special import gammaln

    sizes, times = np.unique(totals(low), return_counts=True)
    # A count of x adds log(a p) + log(a p + 1) + ... + log(a p + x - 1). The first term depends on
    # a only through log a, so that the sum is only needed for counts of two or more.
    share, at_least = profile[low.indices], low.data.astype(np.int64)
    several = at_least >= 2
    share, at_least, molecules = share[several], at_least[several], int((low.data > 0).sum())
    fit = np.empty(_ALPHAS.size)
    for place, alpha in enumerate(_ALPHAS):
        a = alpha * share
        terms = gammaln(at_least + a) - gammaln(1.0 + a)
        fit[place] = molecules * np.log(alpha) + terms.sum()
        fit[place] += (times * (gammaln(alpha) - gammaln(sizes + alpha))).sum()
    best = int(fit.argmax())
    return float(_ALPHAS[best]) if best < _ALPHAS.size - 1 else np.inf


def log_likelihood(counts: sp.csr_matrix, *, ambient: Ambient) -> Floats:
    """Dirichlet-multinomial log-likelihood of each row, without the multinomial coefficient."""
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
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    return np.bincount(rows, terms, minlength=counts.shape[0])
