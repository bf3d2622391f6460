"""Counts that vary more than Poisson: exact intervals, and the ratio of variance to mean.

Model: negative binomial with variance = ratio x mean at any mean (NB1), which matches the
"variance over mean" that is published for a device. A ratio of 1 is Poisson.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from ctcflow.stats.calls.p_values import garwood

FEWEST_FREEDOM = 20
"""Fewest degrees of freedom on which a ratio is measured: its relative standard error is then
sqrt(2 / 20), about a third, or less."""
FEWEST_CALLS = 20
"""Fewest calls on which a ratio is measured: with fewer, the result depends on whether two calls
are in the same tube."""

_LARGEST_RATIO = 1e3


class Replicates(NamedTuple):
    """Overdispersion of counts, measured on draws of equal expectation."""

    ratio: float | None
    """Variance over mean, 1 or more; None where there are too few data."""
    freedom: int
    """Degrees of freedom: draws minus groups, over the groups with two calls or more."""
    calls: int


def interval(count: int, *, ratio: float, confidence: float) -> tuple[float, float]:
    """Exact interval of the mean behind a count, by inverting both tails.

    A larger mean gives stochastically larger counts, so each limit is the mean at which the tail at
    and beyond the count has probability (1 - confidence) / 2. With a ratio of 1 it is the Poisson
    interval (Garwood 1936, doi:10.1093/biomet/28.3-4.437).

    Parameters
    ----------
    count
        The observed count.
    ratio
        Variance over mean, 1 or more.
    confidence
        Confidence of the two-sided interval (fraction).

    Returns
    -------
    Lower and upper limit of the mean; for a count of 0 the lower is 0.
    """
    if ratio <= 1.0:
        return garwood(count, confidence=confidence)
    half = (1 - confidence) / 2
    # P(X <= k) = I(size, k + 1; 1 / ratio) with size = mean / (ratio - 1)
    upper = float(special.btdtria(half, count + 1, 1 / ratio))
    lower = 0.0 if count == 0 else float(special.btdtria(1 - half, count, 1 / ratio))
    return lower * (ratio - 1), upper * (ratio - 1)


def measured_ratio(groups: Sequence[npt.NDArray[np.int64]]) -> Replicates:
    """Variance over mean of counts, from groups of draws whose expectation is the same.

    Pearson's statistic of each group, given its total, is set equal to its expectation under NB1
    with the group's own mean (Dirichlet-multinomial, doi:10.1093/biomet/49.1-2.65). The plain
    index of dispersion is the limit for many calls; for pairs of small counts it is too small,
    where this one is a tenth too large at a mean of 5 and a quarter at a mean of 2.

    Parameters
    ----------
    groups
        Counts of the draws of each group; groups of one draw contribute nothing.

    Returns
    -------
    The ratio is None below `FEWEST_FREEDOM` degrees of freedom or `FEWEST_CALLS` calls.
    """
    # a group with a single call is not informative: the call is in one of the draws at any ratio
    telling = [group.astype(np.float64) for group in groups if group.size > 1 and group.sum() > 1]
    freedom = np.array([group.size - 1 for group in telling], dtype=np.float64)
    total = np.array([group.sum() for group in telling])
    if freedom.sum() < FEWEST_FREEDOM or total.sum() < FEWEST_CALLS:
        return Replicates(None, int(freedom.sum()), int(total.sum()))
    statistic = sum(float(((group - group.mean()) ** 2).sum() / group.mean()) for group in telling)
    low, high = 1.0, _LARGEST_RATIO
    for _ in range(60):
        ratio = (low + high) / 2
        excess = (total - 1) * (ratio - 1) / (total + ratio - 1)
        if (freedom * (1 + excess)).sum() < statistic:
            low = ratio
        else:
            high = ratio
    return Replicates((low + high) / 2, int(freedom.sum()), int(total.sum()))
