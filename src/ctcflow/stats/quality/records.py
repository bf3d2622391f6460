"""Quality control as records for JSON: limits, distributions, ambient RNA, droplets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ctcflow.records.qc import Ambient, Distribution, Droplets, LedgerLine, Limit, SetAside
from ctcflow.stats.droplets.ambient import Contamination
from ctcflow.stats.droplets.metrics import Quality
from ctcflow.stats.droplets.raw_droplets import Tested
from ctcflow.stats.identity.coarse_lineage import COARSE
from ctcflow.stats.quality.limits import Limits

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

OUTSIDE: Final = "not among the given cells"
"""Reason given for listed droplets that were not among the input of quality control."""

_QUANTILES: Final = np.linspace(0.0, 1.0, 41)


def number(value: float) -> float | None:
    """A JSON number of four digits; None where it is not finite."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def limits(rows: Sequence[Limits], *, lineage: Ints, reads: bool) -> list[Limit]:
    """Limits per coarse lineage that has cells; limits on counts are None for read counts."""
    found = []
    for code, row in enumerate(rows):
        cells = int((lineage == code).sum())
        if not cells:
            continue
        shown = row
        if reads:
            none = np.nan
            shown = row._replace(
                min_umis=none, damaged_umis=none, damaged_pct_mt=none, high_umis=none
            )
        found.append(
            Limit(
                lineage=COARSE[code],
                cells=cells,
                adaptive=row.adaptive,
                min_umis=number(shown.min_umis),
                min_genes=number(shown.min_genes),
                max_pct_mt=number(shown.max_pct_mt),
                damaged_umis=number(shown.damaged_umis),
                damaged_pct_mt=number(shown.damaged_pct_mt),
                high_umis=number(shown.high_umis),
                high_genes=number(shown.high_genes),
            )
        )
    return found


def distributions(quality: Quality, *, lineage: Ints) -> list[Distribution]:
    """Up to 41 quantiles of every metric in every coarse lineage that has a cell."""
    values = {
        "total_counts": quality.umis,
        "n_genes_by_counts": quality.genes,
        "pct_counts_mt": quality.percent["mitochondrial"],
    }
    found: list[Distribution] = []
    for code, name in enumerate(COARSE):
        for metric, of_all in values.items():
            ordered = np.sort(of_all[(lineage == code) & np.isfinite(of_all)])
            if ordered.size:
                places = np.rint(_QUANTILES * (ordered.size - 1)).astype(np.intp)
                shown = [number(value) for value in ordered[np.unique(places)]]
                found.append(Distribution(lineage=name, metric=metric, values=shown))
    return found


def contamination(estimate: Contamination, *, measured_on: str, corrected: bool) -> Ambient:
    """Ambient share with its interval and what it was measured on, or why it was not measured."""
    return {
        "share": number(estimate.rho),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "genes": estimate.genes,
        "measured_on": measured_on if not estimate.reason else None,
        "corrected": corrected,
        "reason": estimate.reason,
    }


def droplets(tested: Tested, *, lower: int) -> Droplets:
    """Results from the unfiltered droplets: the test, the knee, and the curve to draw."""
    return {
        "barcodes": tested.given_empty.size + tested.outside.size,
        "lower": lower,
        "retain": number(tested.retain),
        "knee": number(tested.points.knee),
        "inflection": number(tested.points.inflection),
        "tested": tested.n_tested,
        "outside": int(tested.outside.sum()),
        "curve": tested.curve,
        "cells_curve": tested.cells_curve,
    }


def outside(tested: Tested, listed: Sequence[SetAside]) -> list[LedgerLine]:
    """Ledger lines for droplets that are not among the given ones; not included in its sums."""
    of_these = sum(record["reason"] == OUTSIDE for record in listed)
    return [
        {
            "stage": "unfiltered",
            "reason": "hold a cell, not given",
            "cells": int(tested.outside.sum()),
        },
        {"stage": "unfiltered", "reason": "not given, with tumour evidence", "cells": of_these},
    ]
