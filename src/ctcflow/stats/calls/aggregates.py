"""Droplets with a tumour cell and a partner, compared with the expectation from random co-loading.

Cells that are loaded independently fall into droplets independently. Among droplets that hold no
third kind of cell, the presence of a tumour cell and that of a partner then form a 2 x 2 table
with odds ratio 1, so that::

    E[both] = E[tumour only] * E[partner only] / E[neither]

holds exactly at any loading, homotypic doublets included. The ratio of the observed count to this
expectation is 1 for random doublets. `neither` is the number of droplets without a cell; it comes
from the doublet rate (`empty_from_rate`) or from doublets of two blood lineages in the same sample
(`empty_from_doublets`), for which the same equation holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ctcflow.records.call import Aggregate

SENTENCE: Final = "cannot be told from random doublets"

PARTNER_OF: Final = {
    "CD4 T": "lymphocyte",
    "CD8 T": "lymphocyte",
    "NK": "lymphocyte",
    "B": "lymphocyte",
    "Plasma": "lymphocyte",
    "Monocyte": "monocyte",
    "Neutrophil": "neutrophil",
    "Platelet": "platelet",
}
"""Partner lineage of each blood type of `profiles` that has one."""
PARTNERS: Final = ("neutrophil", "monocyte", "platelet", "lymphocyte")

_WIDEST: Final = 40.0
_SMALLEST: Final = 1e-14
_STEPS: Final = 1000


class Empty(NamedTuple):
    """Droplets without cells, and how well that number is known."""

    n_droplets: float
    """Estimated number; infinite where no doublet was seen."""
    n_doublets: int | None
    """Doublets of two blood lineages used for the estimate; None where the rate was given."""


class Enrichment(NamedTuple):
    """Observed and expected droplets with a tumour cell and one partner lineage."""

    observed: int
    expected: float
    """Random doublets expected from the observed numbers of single cells (droplets)."""
    ratio: float
    """Observed over expected; NaN where nothing is expected and nothing was seen."""
    low: float
    high: float
    """Upper end of the interval of the ratio; infinite where the data set no upper limit."""
    like_random: bool
    """Whether the interval contains 1."""


def empty_from_rate(n_droplets: int, *, rate: float) -> Empty:
    """Estimate droplets without cells from the share of droplets with two cells or more.

    Poisson loading with L cells per droplet: rate = 1 - L / (exp(L) - 1), and droplets without
    cells are 1 / (exp(L) - 1) for each one with cells.

    Parameters
    ----------
    n_droplets
        Droplets with cells.
    rate
        Share of them with two cells or more (fraction, above 0 and below 1). It is taken as
        known exactly: if it is wrong by some factor, ratios are wrong by about the same factor.

    Returns
    -------
    Empty
    """
    from scipy.optimize import brentq

    load = brentq(lambda x: 1 - x / np.expm1(x) - rate, 1e-12, 700.0)
    return Empty(n_droplets / float(np.expm1(load)), None)


def empty_from_doublets(singlets: Sequence[int], *, n_doublets: int) -> Empty:
    """Estimate droplets without cells from the doublets that two blood lineages form by chance.

    Blood doublets must be recognised as often as aggregates: if half of them are missed, the
    expectation from chance is halved, and every ratio doubles.

    Parameters
    ----------
    singlets
        Droplets of each blood lineage alone; lineages whose doublets are recognised.
    n_doublets
        Droplets with exactly two of these lineages and no tumour cell.

    Returns
    -------
    Empty
    """
    counts = np.asarray(singlets, dtype=np.float64)
    pairs = (counts.sum() ** 2 - (counts**2).sum()) / 2
    return Empty(float(pairs / n_doublets) if n_doublets else np.inf, n_doublets)


def enrichment(
    observed: int,
    *,
    tumour: int,
    partner: int,
    singlets: Sequence[int],
    empty: Empty,
    confidence: float,
) -> Enrichment:
    """Compare the droplets of one partner lineage with chance.

    The interval treats the aggregates, the single tumour cells, the single partners and, where the
    loading was estimated, the blood doublets as Poisson counts. With two counts it would be the
    interval of Clopper & Pearson (doi:10.1093/biomet/26.4.404), whose limits are quantiles of
    Gamma(a) / Gamma(c + 1) and Gamma(a + 1) / Gamma(c); here the same conservative limits are
    taken for the product of all counts. Their distribution is inverted numerically, not drawn.

    Parameters
    ----------
    observed
        Droplets with tumour cell and partner.
    tumour
        Droplets with tumour cells alone.
    partner
        Droplets of the partner lineage alone.
    singlets
        Droplets of each blood lineage alone, as given to `empty_from_doublets`; not used where
        the rate was given.
    empty
        Droplets without cells.
    confidence
        Confidence of the two-sided interval (fraction). For several partner lineages of one sample
        it has to be corrected: see `shared_confidence`.

    Returns
    -------
    Enrichment
    """
    below = [tumour, partner]
    if empty.n_doublets is None:
        scale = empty.n_droplets
    else:
        counts = np.asarray(singlets, dtype=np.float64)
        scale = float((counts.sum() ** 2 - (counts**2).sum()) / 2)
        below.append(empty.n_doublets)
    tail = (1 - confidence) / 2
    low = scale * _quantile([observed], [n + 1 for n in below], tail) if observed else 0.0
    high = scale * _quantile([observed + 1], below, 1 - tail) if min(below) > 0 else np.inf
    expected = tumour * partner / empty.n_droplets if empty.n_droplets > 0 else np.inf
    ratio = observed / expected if expected > 0 else np.inf if observed else np.nan
    like_random = bool(low <= 1 <= high)
    return Enrichment(observed, float(expected), float(ratio), float(low), float(high), like_random)


def against_chance(
    observed: Mapping[str, int],
    *,
    tumour: int,
    singles: Mapping[str, int],
    n_droplets: int,
    rate: float,
    confidence: float,
) -> list[Aggregate]:
    """Compare every partner lineage of one sample with chance.

    Parameters
    ----------
    observed
        Droplets with a tumour cell and a partner, by lineage of the partner.
    tumour
        Droplets with tumour cells alone.
    singles
        Droplets of each partner lineage alone.
    n_droplets, rate
        Droplets with cells, and the share of them with two cells or more.
    confidence
        Joint confidence of all intervals of the sample (fraction).

    Returns
    -------
    One record per lineage of `singles`: `partner`, `observed`, `expected`, `ratio`, `low`, `high`
    (null where there is none), `verdict`.
    """
    empty = empty_from_rate(n_droplets, rate=rate)
    each = shared_confidence(confidence, n_partners=len(singles))
    rows: list[Aggregate] = []
    for partner, alone in singles.items():
        seen = observed.get(partner, 0)
        estimate = enrichment(
            seen, tumour=tumour, partner=alone, singlets=(), empty=empty, confidence=each
        )
        verdict = SENTENCE
        if estimate.low > 1:
            verdict = "more than random doublets give"
        elif estimate.high < 1:
            verdict = "fewer than random doublets give: some were not told from single tumour cells"
        rows.append(
            Aggregate(
                partner=partner,
                observed=seen,
                expected=_finite(estimate.expected),
                ratio=_finite(estimate.ratio),
                low=_finite(estimate.low),
                high=_finite(estimate.high),
                verdict=verdict,
            )
        )
    return rows


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def shared_confidence(confidence: float, *, n_partners: int) -> float:
    """Confidence of each interval such that all of them hold jointly (Bonferroni).

    Parameters
    ----------
    confidence
        Joint confidence of all intervals (fraction).
    n_partners
        Number of partner lineages.

    Returns
    -------
    float
    """
    return 1 - (1 - confidence) / max(n_partners, 1)


def _quantile(above: Sequence[int], below: Sequence[int], probability: float) -> float:
    """Quantile of a product of Gamma(a) over a product of Gamma(b), all independent.

    The logarithm has the characteristic function prod G(a + it) / G(a) * prod G(b - it) / G(b);
    its distribution function is found by the inversion formula of Gil-Pelaez
    (doi:10.1093/biomet/38.3-4.481).
    """
    from scipy.optimize import brentq
    from scipy.special import loggamma, polygamma, psi

    up, down = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    centre = float(psi(up).sum() - psi(down).sum())
    sd = float(np.sqrt(polygamma(1, up).sum() + polygamma(1, down).sum()))

    def log_cf(t: npt.NDArray[np.floating]) -> npt.NDArray[np.complex128]:
        total = np.zeros(t.size, dtype=np.complex128)
        for shapes, sign in ((up, 1), (down, -1)):
            for shape in shapes:
                total += loggamma(shape + sign * 1j * t) - loggamma(shape)
        return np.asarray(total - 1j * t * centre)

    end = 1.0 / sd
    while log_cf(np.array([end]))[0].real > np.log(_SMALLEST):
        end *= 1.2
    # Midpoints: the integrand is smooth at 0 but is not evaluated there.
    t = (np.arange(_STEPS) + 0.5) * (end / _STEPS)
    cf = np.exp(log_cf(t)) / t * (end / _STEPS)

    def cumulative(x: float) -> float:
        return float(0.5 - (np.exp(-1j * t * x) * cf).imag.sum() / np.pi)

    # brentq needs a change of sign; tails of a logarithm of Gamma are at most exponential.
    log_quantile = brentq(
        lambda x: cumulative(x) - probability, -_WIDEST * sd, _WIDEST * sd, xtol=1e-10
    )
    return float(np.exp(centre + log_quantile))
