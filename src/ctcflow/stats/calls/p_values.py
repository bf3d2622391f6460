"""P-values, with models of the tail beyond an empirical null, and exact intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_HEAVIEST = 0.9  # largest shape of a Pareto tail: at 1 its mean is infinite, and L-moments fail
_EXPONENTIAL = 1e-9  # shape below which a Pareto tail is an exponential one


class ExponentialTail(NamedTuple):
    """Null values above `threshold` (a share `fraction` of all) fall off exponentially."""

    body: Floats
    """Null values, sorted."""
    threshold: float
    fraction: float
    scale: float


def fit_exponential_tail(
    null: Floats,
    *,
    fraction: float,
    trimmed: float,
    smallest_scale: float,
    largest_scale: float,
    prior_values: float,
) -> ExponentialTail:
    """Fit the upper tail of a null whose largest values may belong to cells that are not null.

    The scale is the maximum-likelihood estimate for an exponential truncated at the `1 - trimmed`
    quantile, so that the values above it have no influence.

    Parameters
    ----------
    null
        (n,) values of null cells.
    fraction
        Share of the null that belongs to the tail.
    trimmed
        Share at the top that is ignored.
    smallest_scale
        Lower bound of the scale, so that a small sample cannot give too light a tail.
    largest_scale
        Upper bound of the measured scale, which may be infinite for a few values.
    prior_values
        Weight of the smallest scale as a prior, in number of tail values.
    """
    body = np.sort(null)
    low, high = np.quantile(body, [1 - fraction, 1 - trimmed])
    excess = body[(body > low) & (body <= high)] - low
    scale = smallest_scale
    if excess.size >= 10:
        fitted_scale = min(_truncated_scale(excess, float(high - low)), largest_scale)
        weight = prior_values / (excess.size + prior_values)
        scale = (1 - weight) * fitted_scale + weight * smallest_scale
    return ExponentialTail(body, float(low), float((body > low).mean()), max(scale, smallest_scale))


def _truncated_scale(excess: Floats, width: float) -> float:
    """Solve mean = s - width / (exp(width / s) - 1) for s by bisection."""
    mean = float(excess.mean())
    if width <= 0:
        return 0.0
    low, high = width * 1e-3, width * 1e3
    for _ in range(80):
        scale = np.sqrt(low * high)
        if scale - width / np.expm1(min(width / scale, 700.0)) < mean:
            low = scale
        else:
            high = scale
    return float(np.sqrt(low * high))


def exponential_tail_p(values: Floats, tail: ExponentialTail) -> Floats:
    """P of each value: empirical below the threshold, from the model above it."""
    above = tail.body.size - np.searchsorted(tail.body, values, side="left")
    p = (above + 1.0) / (tail.body.size + 1.0)
    beyond = values > tail.threshold
    p[beyond] = tail.fraction * np.exp(-(values[beyond] - tail.threshold) / tail.scale)
    return np.asarray(np.clip(p, 1e-300, 1.0))


class ParetoTail(NamedTuple):
    """Null values above `threshold` (a share `fraction` of all) follow a generalised Pareto law."""

    body: Floats
    """Null values, sorted."""
    threshold: float
    fraction: float
    shape: float
    scale: float


def fit_pareto_tail(null: Floats, *, n_above: int) -> ParetoTail:
    """Fit the upper tail of a null all of whose values, even the largest, belong to null cells.

    The generalised Pareto is the limit for excesses over a high threshold of almost any
    distribution (Pickands 1975, doi:10.1214/aos/1176343003). It is fitted by L-moments (Hosking &
    Wallis 1987, doi:10.2307/1269343).

    Parameters
    ----------
    null
        (n,) values of null cells, n > `n_above`.
    n_above
        Number of largest values that form the tail, 2 or more.

    Returns
    -------
    The tail is never lighter than an exponential one (shape 0), and has a mean (shape below 1).
    """
    body = np.sort(null)
    threshold = float(body[-n_above - 1])
    excess = body[-n_above:] - threshold
    mean = max(float(excess.mean()), 1e-9)
    rank = np.arange(n_above) / (n_above - 1.0)
    spread = max(2.0 * float((rank * excess).mean()) - mean, 1e-9)  # the second L-moment
    shape = float(np.clip(2.0 - mean / spread, 0.0, _HEAVIEST))
    return ParetoTail(body, threshold, n_above / body.size, shape, mean * (1.0 - shape))


def pareto_tail_p(values: Floats, tail: ParetoTail) -> Floats:
    """P of each value: empirical up to the threshold, from the model above it."""
    above = tail.body.size - np.searchsorted(tail.body, values, side="left")
    p = (above + 1.0) / (tail.body.size + 1.0)
    beyond = values > tail.threshold
    excess = (values[beyond] - tail.threshold) / tail.scale
    p[beyond] = tail.fraction * _pareto_survival(excess, tail.shape)
    return np.asarray(np.clip(p, 1e-300, 1.0))


def _pareto_survival(excess: Floats, shape: float) -> Floats:
    if shape < _EXPONENTIAL:
        return np.asarray(np.exp(-excess))
    return np.asarray(np.exp(-np.log1p(shape * excess) / shape))


def gamma_rate(evidence: Floats, *, low: float, high: float) -> float:
    """Calibration of summed -log10 p of null cells: 1 as claimed, below 1 if they are inflated.

    Two independent p-values give evidence e with P(e > t) = (1 + r t) exp(-r t), r = ln 10
    (Fisher, in -log10 units). The factor on r is estimated from the cells between `low` and
    `high` (maximum likelihood of the truncated gamma), so that tumour cells above have no
    influence. It is never above 1: calibration can only make a p-value larger.

    Returns
    -------
    Factor on r, in [0.2, 1]; 1 where fewer than 20 cells are between `low` and `high`.
    """
    window = evidence[(evidence > low) & (evidence <= high)]
    if window.size < 20:
        return 1.0
    grid = np.linspace(0.2, 1.0, 81)
    rate = grid * np.log(10.0)
    mass = fisher_p(low * grid) - fisher_p(high * grid)
    log_density = np.log(rate)[:, None] * 2 + np.log(window) - rate[:, None] * window
    return float(grid[(log_density.sum(1) - window.size * np.log(mass)).argmax()])


def fisher_p(evidence: Floats) -> Floats:
    """P of summed -log10 p of two independent p-values (Fisher's method)."""
    return np.asarray(special.gammaincc(2.0, np.maximum(evidence, 0.0) * np.log(10.0)))


def first_alone_or_both_p(first: Floats, both: Floats) -> Floats:
    """The smaller of two p-values, of one line of evidence alone and of two combined, times two.

    An uninformative test dilutes Fisher's method: in most cells no panel gene is seen. So the
    first line is also tested alone (Bonferroni, valid whether the lines are independent or not).

    Parameters
    ----------
    first
        (n,) p of the line that is also tested alone.
    both
        (n,) p of both lines combined.
    """
    return np.asarray(np.minimum(2.0 * np.minimum(first, both), 1.0))


def benjamini_hochberg(p: Floats) -> Floats:
    """Benjamini-Hochberg q-values (doi:10.1111/j.2517-6161.1995.tb02031.x)."""
    if p.size == 0:
        return p.copy()
    order = np.argsort(p, kind="stable")
    q = p[order] * p.size / np.arange(1, p.size + 1)
    result = np.empty_like(q)
    result[order] = np.minimum.accumulate(q[::-1])[::-1]
    return np.asarray(np.minimum(result, 1.0))


def garwood(count: int, *, confidence: float) -> tuple[float, float]:
    """Exact Poisson interval of a count (Garwood 1936, doi:10.1093/biomet/28.3-4.437).

    For a count of 0 the lower limit is 0 and the upper is the two-sided one.
    """
    half = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(special.gammaincinv(count, half))
    return low, float(special.gammaincinv(count + 1, 1 - half))


def normal_body_exponential_tail_p(z: Floats, *, scale: float) -> Floats:
    """P of standardised values where the sample has no null of its own.

    The null is normal below its upper tenth, exponential with `scale` above, as measured on blood.
    """
    threshold = float(special.ndtri(0.9))
    p = special.ndtr(-z)
    beyond = z > threshold
    p[beyond] = 0.1 * np.exp(-(z[beyond] - threshold) / scale)
    return np.asarray(np.clip(p, 1e-300, 1.0))


def clopper_pearson(count: int, total: int, *, confidence: float) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    half = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(special.betaincinv(count, total - count + 1, half))
    high = 1.0 if count >= total else float(special.betaincinv(count + 1, total - count, 1 - half))
    return low, high


def reached(p: Floats, *, levels: Sequence[float]) -> list[list[float]]:
    """Per level: the level, the share of p at or below it, and its exact 95 % binomial interval."""
    rows = []
    for level in levels:
        below = int((p <= level).sum())
        low, high = clopper_pearson(below, p.size, confidence=0.95)
        rows.append([level, below / p.size if p.size else 0.0, low, high])
    return rows
