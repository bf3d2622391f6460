"""Counts of called cells per draw, and of false calls in controls, with exact intervals."""

from __future__ import annotations

from typing import Any

from ctcflow.stats.tail import clopper_pearson, garwood

Record = dict[str, Any]


def per_draw(samples: list[Record], rows: list[Record], *, confidence: float) -> list[Record]:
    """Sum the lanes of each draw.

    Parameters
    ----------
    samples
        Per sample, `sample`, `draw`, `patient`, `day`, `role`, `cells`, `n_CTC`, `n_aggregate`.
    rows
        Per sample, its row of the sheet: `volume_ml` (mL), `fraction_loaded`.
    confidence
        Of the exact intervals (fraction).

    Returns
    -------
    Per draw, the count of CTCs and aggregates with its Garwood interval, and the same per mL of
    blood where volume and loading are known.
    """
    draws: dict[str, list[tuple[Record, Record]]] = {}
    for record, row in zip(samples, rows, strict=True):
        draws.setdefault(str(record["draw"]), []).append((record, row))
    return [_draw(name, lanes, confidence) for name, lanes in draws.items()]


def _draw(name: str, lanes: list[tuple[Record, Record]], confidence: float) -> Record:
    first, row = lanes[0]
    count = sum(record["n_CTC"] + record["n_aggregate"] for record, _ in lanes)
    low, high = garwood(count, confidence=confidence)
    volume = row.get("volume_ml")
    loaded = [lane.get("fraction_loaded") for _, lane in lanes]
    note, blood = "", None
    if volume is None:
        note = "per mL not given: the sheet has no volume_ml"
    elif None in loaded:
        note = "per mL not given: the sheet has no fraction_loaded for every lane"
    else:
        blood = float(volume) * min(1.0, sum(map(float, loaded)))  # type: ignore[arg-type]
    return {
        "draw": name,
        **{key: first[key] for key in ("patient", "day", "role")},
        "samples": ", ".join(record["sample"] for record, _ in lanes),
        "cells": sum(record["cells"] for record, _ in lanes),
        "count": count,
        "count_low": low,
        "count_high": high,
        "volume_ml": volume,
        "per_ml": None if blood is None else count / blood,
        "per_ml_low": None if blood is None else low / blood,
        "per_ml_high": None if blood is None else high / blood,
        "note": note,
    }


def controls(samples: list[Record], *, confidence: float) -> Record:
    """Observed call rate of healthy and blank samples, with its exact binomial interval."""
    known = [record for record in samples if record["role"] in {"healthy", "blank"}]
    cells = sum(record["cells"] for record in known)
    called = sum(record["n_CTC"] + record["n_aggregate"] for record in known)
    low, high = clopper_pearson(called, cells, confidence=confidence)
    return {
        "samples": len(known),
        "cells": cells,
        "called": called,
        "rate": called / cells if cells else None,
        "rate_low": low if cells else None,
        "rate_high": high if cells else None,
    }
