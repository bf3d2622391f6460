"""Counts of called cells per draw, with exact intervals, compared with blanks and cut-offs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ctcflow.records.call import Blanks, Controls, Dispersion, Draw, SampleCounts
from ctcflow.stats.calls import controls
from ctcflow.stats.calls.cutoffs import cutoff
from ctcflow.stats.calls.overdispersion import interval, measured_ratio

Row = Mapping[str, Any]
"""Row of the sample sheet, including the user's own columns."""

_LANES = "for every lane"


class Counted(NamedTuple):
    """Counts of all draws, with the dispersion and the limit of blank that they use."""

    draws: list[Draw]
    dispersion: Dispersion
    blanks: Blanks


@dataclass(frozen=True)
class Summed:
    """One draw, summed over its lanes, before intervals are computed."""

    draw: str
    patient: str | None
    day: int | None
    role: str
    samples: str
    cells: int
    count: int
    """CTCs and aggregates."""
    diploid: int
    before_review: int
    volume_ml: float | None
    blood: float | None
    """Volume of blood that was examined (mL)."""
    recovery: float | None
    enrichment: list[str | None]
    """Enrichment of each lane."""
    cancer_type: list[str | None]
    judged: str
    """Why a count of zero says nothing; empty where it does."""
    note: str


def count_draws(
    samples: Sequence[SampleCounts],
    rows: Sequence[Row],
    *,
    confidence: float,
    dispersion: float | None,
    frozen: Controls | None,
) -> Counted:
    """Count per draw: lanes are summed, the volume of the draw counts once.

    Parameters
    ----------
    samples
        Per sample, `sample`, `draw`, `patient`, `day`, `role`, `cells`, `n_CTC`, `n_aggregate`,
        `n_diploid` (CTCs and aggregates; 0 where not given) and `n_before_review` (CTCs and
        aggregates before reviewers' verdicts: controls are judged by these).
    rows
        Per sample, its row of the sheet: `volume_ml` (mL), `fraction_loaded`, `recovery`
        (fractions; recovery is taken as exact, the intervals do not include its error),
        `enrichment`,
        `cancer_type`.
    confidence
        Confidence of the exact intervals (fraction).
    dispersion
        Variance over mean of replicate counts, 1 or more; None to measure it on replicate draws
        (one patient, one day, the same blood), else on healthy and blank draws, else to take it
        as 1 (Poisson).
    frozen
        `dispersion` and `blanks` of a frozen reference, used where the draws are too few to measure
        them; None without one.
    """
    lanes: dict[str, list[tuple[SampleCounts, Row]]] = {}
    for record, row in zip(samples, rows, strict=True):
        lanes.setdefault(str(record["draw"]), []).append((record, row))
    draws = [_summed(name, lanes_of_draw) for name, lanes_of_draw in lanes.items()]
    spread = _spread(draws, dispersion, frozen)
    blanks = controls.blanks(draws, frozen=frozen)
    return Counted([_judged(draw, spread, blanks, confidence) for draw in draws], spread, blanks)


def library_intervals(samples: Sequence[SampleCounts], *, ratio: float, confidence: float) -> None:
    """Write `rate_low` and `rate_high` of each sample, computed like the intervals of draws."""
    for record in samples:
        count = record["n_CTC"] + record["n_aggregate"]
        low, high = interval(count, ratio=ratio, confidence=confidence)
        record["rate_low"], record["rate_high"] = low, high


def _summed(name: str, lanes: list[tuple[SampleCounts, Row]]) -> Summed:
    first, row = lanes[0]
    volume = row.get("volume_ml")
    fractions = [lane.get("fraction_loaded") for _, lane in lanes]
    loaded = [float(share) for share in fractions if share is not None]
    notes, blood = [], None
    if volume is None:
        notes.append("per mL not given: the sheet has no volume_ml")
    elif len(loaded) < len(lanes):
        notes.append(f"per mL not given: the sheet has no fraction_loaded {_LANES}")
    else:
        blood = float(volume) * min(1.0, sum(loaded))
    recovery, why = _recovery([lane.get("recovery") for _, lane in lanes])
    return Summed(
        draw=name,
        patient=first["patient"],
        day=first["day"],
        role=first["role"],
        samples=", ".join(record["sample"] for record, _ in lanes),
        cells=sum(record["cells"] for record, _ in lanes),
        count=sum(record["n_CTC"] + record["n_aggregate"] for record, _ in lanes),
        diploid=sum(record.get("n_diploid", 0) for record, _ in lanes),
        before_review=sum(record["n_before_review"] for record, _ in lanes),
        volume_ml=volume,
        blood=blood,
        recovery=recovery,
        enrichment=[lane.get("enrichment") for _, lane in lanes],
        cancer_type=[lane.get("cancer_type") for _, lane in lanes],
        judged=_unjudged(record for record, _ in lanes),
        note="; ".join([*notes, why] if why else notes),
    )


def _unjudged(lanes: Iterable[SampleCounts]) -> str:
    """Why the zero of a draw says nothing: the reason of the first lane that has one."""
    return next(filter(None, (record.get("judged", "") for record in lanes)), "")


def _recovery(recoveries: list[float | None]) -> tuple[float | None, str]:
    """Recovery of a draw, and why it is not used; no reason where the sheet gives none at all."""
    values = sorted({float(value) for value in recoveries if value is not None})
    if len(values) > 1:
        listed = " and ".join(f"{value:g}" for value in values)
        return None, f"not corrected for recovery: its lanes have {listed}"
    if values and None in recoveries:
        return None, f"not corrected for recovery: the sheet does not give it {_LANES}"
    return (values[0] if values else None), ""


def _spread(
    draws: Sequence[Summed], dispersion: float | None, frozen: Controls | None
) -> Dispersion:
    if dispersion is not None:
        return {"ratio": dispersion, "source": "given as call.dispersion"}
    replicates = [draw for draw in draws if draw.day is not None]
    control_draws = [draw for draw in draws if draw.role in controls.CONTROLS]
    tried = []
    for name, used, key in (
        ("replicate draws", replicates, "patient"),
        ("healthy and blank draws", control_draws, "role"),
    ):
        measured = measured_ratio(_groups(used, key))
        basis = f"{name} ({measured.freedom} degrees of freedom, {measured.calls} calls)"
        if measured.ratio is not None:
            return {"ratio": measured.ratio, "source": f"measured on {basis}"}
        tried.append(basis)
    if frozen is not None and "measured" in frozen["dispersion"]["source"]:
        ratio, source = frozen["dispersion"]["ratio"], frozen["dispersion"]["source"]
        return {
            "ratio": ratio,
            "source": f"{source.removesuffix(controls.FROZEN)}{controls.FROZEN}",
        }
    return {
        "ratio": 1.0,
        "source": f"not known: too few {' and '.join(tried)}",
    }


def _groups(draws: Iterable[Summed], key: str) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Counts of draws with the same expectation: equal key, day and volume of blood."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for draw in draws:
        day = draw.day if key == "patient" else None
        place = (draw.role, getattr(draw, key), day, draw.blood)
        groups.setdefault(place, []).append(draw.before_review)
    return [np.array(counts, dtype=np.int64) for counts in groups.values()]


def _judged(draw: Summed, spread: Dispersion, blanks: Blanks, confidence: float) -> Draw:
    ratio = spread["ratio"]
    low, high = interval(draw.count, ratio=ratio, confidence=confidence)
    corrected = None if draw.blood is None or draw.recovery is None else draw.blood * draw.recovery
    row: Draw = {
        "draw": draw.draw,
        "patient": draw.patient,
        "day": draw.day,
        "role": draw.role,
        "samples": draw.samples,
        "cells": draw.cells,
        "count": draw.count,
        "judged": draw.judged if draw.count == 0 else "",
        "count_low": low,
        "count_high": high,
        "interval": f"negative binomial, variance/mean {ratio:.3g}"
        if ratio > 1
        else "Poisson (Garwood)",
        "count_without_diploid": draw.count - draw.diploid,
        "volume_ml": draw.volume_ml,
        "per_ml": _per_ml(draw.count, draw.blood),
        "per_ml_low": _per_ml(low, draw.blood),
        "per_ml_high": _per_ml(high, draw.blood),
        "recovery": draw.recovery,
        "per_ml_corrected": _per_ml(draw.count, corrected),
        "per_ml_corrected_low": _per_ml(low, corrected),
        "per_ml_corrected_high": _per_ml(high, corrected),
        "limit_of_blank": blanks["limit"],
        "above_blank": _above(draw, blanks),
        "cutoff": "",
        "note": draw.note,
    }
    row["cutoff"] = cutoff(row, enrichment=draw.enrichment, cancer=draw.cancer_type)
    return row


def _per_ml(count: float, blood: float | None) -> float | None:
    return count / blood if blood else None


def _above(draw: Summed, blanks: Blanks) -> str:
    if draw.role in controls.CONTROLS:
        return ""
    if blanks["limit"] is None:
        return blanks["reason"]
    return "yes" if draw.count > blanks["limit"] else "no"
