"""Summary at the end of `ctcflow run`: one line per draw.

Standard library only: tables of the results are read as text.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_CALLED: Final = frozenset({"CTC", "CTC aggregate"})
_MOST: Final = 40
"""Largest number of lines; for larger cohorts, see the table of draws."""


def draws(folder: Path) -> list[str]:
    """Say per draw how many CTCs were called, with which interval, and what weakens the result.

    Parameters
    ----------
    folder
        Folder of the run.

    Returns
    -------
    The lines; none where there are no results on this machine.
    """
    call = folder / "results" / "call"
    if not (call / "draws.tsv").is_file() or not (call / "samples.tsv").is_file():
        return []
    flags: dict[str, list[str]] = {}
    for sample in _rows(call / "samples.tsv"):
        flags_of_sample = filter(None, map(str.strip, sample["flags"].split(";")))
        flags.setdefault(sample["draw"], []).extend(flags_of_sample)
    lines = [_draw(row, flags.get(row["draw"], [])) for row in _rows(call / "draws.tsv")]
    more = len(lines) - _MOST
    rest = [f"and {more} more draws: {call / 'draws.tsv'}"] if more > 0 else []
    return [f"CTCs called per draw (exact {_level(folder)}interval):", *lines[:_MOST], *rest]


def against_truth(folder: Path) -> str:
    """Say how calls compare with the truth of a simulated cohort; empty where it is not one."""
    cells, truth = folder / "results" / "call" / "cells.tsv.gz", folder / "truth.tsv"
    if not cells.is_file() or not truth.is_file():
        return ""
    truth_rows = list(_rows(truth))
    if not truth_rows or not {"sample", "barcode", "is_ctc"} <= truth_rows[0].keys():
        return ""
    planted = {(row["sample"], row["barcode"]) for row in truth_rows if row["is_ctc"] == "True"}
    classes = {(row["sample"], row["barcode"]): row["class"] for row in _rows(cells)}
    called = {cell for cell, kind in classes.items() if kind in _CALLED}
    unsure = sum(classes.get(cell) == "uncertain" for cell in planted)
    uncertain = f" ({unsure} uncertain)" if unsure else ""
    return (
        f"{len(called & planted)} of {len(planted)} simulated CTCs called{uncertain},"
        f" {len(called - planted)} false"
    )


def _level(folder: Path) -> str:
    """Confidence level of the intervals; empty where it was not recorded."""
    path = folder / "results" / "provenance" / "parameters.json"
    try:
        return f"{100 * json.loads(path.read_text())['call']['confidence']:g} % "
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _draw(row: Mapping[str, str], flags: list[str]) -> str:
    role = "" if row["role"] == "patient" else f" ({row['role']})"
    if not row["count"] or row["cells"] == "0":
        count = "no cell to examine"
    elif row.get("judged"):
        kept = "".join(f"; {flag}" for flag in dict.fromkeys(flags))
        return f"{row['draw']}{role}: {row['judged']}{kept}"
    elif float(row["count"]) == 0:
        count = f"0 CTCs (at most {_short(row['count_high'])})"
    else:
        between = f"{_short(row['count_low'])} to {_short(row['count_high'])}"
        count = (
            f"{float(row['count']):.0f} CTC{'' if float(row['count']) == 1 else 's'} ({between})"
        )
    volume = f", {_short(row['per_ml'])} per mL" if row["per_ml"] else ""
    kept = "".join(f"; {flag}" for flag in dict.fromkeys(flags))
    return f"{row['draw']}{role}: {count}{volume}{kept}"


def _short(number: str) -> str:
    return f"{float(number):.2g}" if number and abs(float(number)) < 100 else number


def _rows(path: Path) -> csv.DictReader[str]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return csv.DictReader(text.decode().splitlines(), delimiter="\t")
