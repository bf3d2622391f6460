"""False calls, measured on blank and healthy draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ctcflow.records.call import Blanks, Controls, Healthy, SampleCounts
from ctcflow.stats.calls.p_values import clopper_pearson

CONTROLS = frozenset({"healthy", "blank"})
"""Roles of samples in which every call is a false call."""
FEWEST_BLANKS = 20
FROZEN = ", of the frozen reference"
"""Added to a description of numbers that were not measured in this run."""
_LEVEL = 0.95


class Control(Protocol):
    """The properties of a draw that are used here."""

    @property
    def role(self) -> str:
        """Role in the sample sheet."""

    @property
    def before_review(self) -> int:
        """Number of calls before reviewers' verdicts."""


def limit_of_blank(counts: npt.NDArray[np.int64]) -> float | None:
    """Non-parametric limit of blank of CLSI EP17-A2: the 95th percentile of blanks.

    The value at rank 0.5 + 0.95 n of the sorted counts, interpolated between its neighbours.

    Parameters
    ----------
    counts
        (n,) calls in each blank.

    Returns
    -------
    None with fewer than 20 blanks.
    """
    if counts.size < FEWEST_BLANKS:
        return None
    return float(np.quantile(counts, _LEVEL, method="hazen"))


def blanks(draws: Sequence[Control], *, frozen: Controls | None) -> Blanks:
    """Limit of blank of a run.

    Only healthy draws are used if there are enough of them: blanks of medium without blood contain
    nothing that could be called, and would lower the limit. Else healthy and blank draws are used.

    Parameters
    ----------
    draws
        Role and calls of each draw.
    frozen
        `blanks` of a frozen reference, used if there is no healthy or blank draw.

    Returns
    -------
    `draws` (number that was used), `limit` (calls per draw, or None), `reason` (why there is none).
    """
    healthy = [draw.before_review for draw in draws if draw.role == "healthy"]
    both = [draw.before_review for draw in draws if draw.role in CONTROLS]
    if not both and frozen is not None:
        return frozen["blanks"]
    used = healthy if len(healthy) >= FEWEST_BLANKS else both
    limit = limit_of_blank(np.array(used, dtype=np.int64))
    reason = "" if limit is not None else f"not enough blanks: {len(used)}"
    return {"draws": len(used), "limit": limit, "reason": reason}


def false_calls(
    samples: Sequence[SampleCounts], *, fdr: float, confidence: float, frozen: Controls | None
) -> Healthy:
    """Observed call rate of healthy and blank samples, compared with the claimed rate.

    In a sample of null cells only, Benjamini-Hochberg at level a rejects a / (1 - a)^2 cells on
    average, however many there are (Finner & Roters 2002, doi:10.1214/aos/1015362191, for many
    cells; fewer with few). This is the claimed rate, fixed before seeing the data: at most so many
    false calls per sample, divided by its cells. The largest p that was called cannot serve as the
    claim, because it grows with the number of calls.

    Parameters
    ----------
    samples
        Per sample, `role`, `cells` and `n_before_review`: CTCs and aggregates before reviewers'
        verdicts, because a reviewer who knows which samples are healthy would bias the error rate.
    fdr
        Level of q at which cells are called (fraction).
    confidence
        Confidence of the exact binomial interval (fraction).
    frozen
        `healthy` of a frozen reference, used if there is no control.

    Returns
    -------
    `samples`, `cells`, `called`, `rate`, `rate_low`, `rate_high`, `claimed` (per cell; the last
    four None without cells), `flag` (a sentence where the interval excludes the claim).
    """
    controls = [record for record in samples if record["role"] in CONTROLS]
    if not controls and frozen is not None:
        return frozen["healthy"]
    cells = sum(record["cells"] for record in controls)
    called = sum(record["n_before_review"] for record in controls)
    healthy: Healthy = {
        "samples": len(controls),
        "cells": cells,
        "called": called,
        "rate": None,
        "rate_low": None,
        "rate_high": None,
        "claimed": None,
        "flag": "",
    }
    if not cells:
        return healthy
    low, high = clopper_pearson(called, cells, confidence=confidence)
    claimed = sum(record["cells"] > 0 for record in controls) * fdr / (1 - fdr) ** 2 / cells
    if low > claimed:
        healthy["flag"] = "more false calls than claimed: the interval lies above the claim"
    elif high < claimed:
        healthy["flag"] = "fewer false calls than claimed: the interval lies below the claim"
    healthy["rate"], healthy["rate_low"], healthy["rate_high"] = called / cells, low, high
    healthy["claimed"] = min(claimed, 1.0)
    return healthy
