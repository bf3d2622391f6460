"""Memory and time that a job asks for, from the sizes of the files that the run starts from.

Straight lines, fitted by `benchmarks.resources` to runs of 10 to 1,000,000 cells so that none of
them had needed more. Each further attempt asks for half as much again.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ctcflow.formats.size import Size

AXES: Final = ("constant", "few", "cells", "values", "largest", "sketch", "beside")
"""What the lines are made of, one column of the table each; see `axes`."""
FEW: Final = 50
"""Cells below which `qc` looks for no doublets."""
SKETCH: Final = 50_000
"""Cells of which `cluster` holds all values at once, at most."""
TEXT: Final = 20_000_000
"""Entries of a table of text that `ingest` holds at once, at most."""
_MORE: Final = 1.5
_STEP: Final = 100
_STARTER: Final = 250
"""MiB of the two Snakemake that a job of a cluster holds beside the step."""
_SLOWEST: Final = 4
"""A node may be this much slower than the machine of the fit."""
_SHORTEST: Final = 10

Lines = Mapping[tuple[str, str], Sequence[float]]


def axes(sizes: Sequence[Size], *, beside: int = 0) -> list[float]:
    """What memory and time are reckoned from: one, and numbers of the counts of all samples.

    Parameters
    ----------
    sizes
        Of the samples that the job reads.
    beside
        What else is held: entries of a table of text, stored counts of unfiltered droplets or of
        the delivered cohort, or bytes of a frozen reference.

    Returns
    -------
    list
        In the order of `AXES`: 1; cells as a share of `FEW`, at most 1; then, in millions, cells;
        values; values of the largest sample; values of the cells in the sketch of `cluster`; what
        is held beside.
    """
    cells, values = sum(size.cells for size in sizes), sum(size.values for size in sizes)
    sketch = values * min(1.0, SKETCH / cells) if cells else 0.0
    largest = max((size.values for size in sizes), default=0)
    millions = [number / 1e6 for number in (cells, values, largest, sketch, beside)]
    return [1.0, min(1.0, cells / FEW), *millions]


def read_lines(path: Path) -> Lines:
    """Read the table of coefficients: `step`, `of` (`MiB` or `s`), then the columns `AXES`."""
    with path.open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {(row["step"], row["of"]): [float(row[name]) for name in AXES] for row in rows}


def memory(lines: Lines, step: str, where: Sequence[float], *, attempt: int) -> int:
    """Memory to ask for (MiB, in hundreds).

    Parameters
    ----------
    lines
        Of `read_lines`.
    step
        Name of the step.
    where
        Of `axes`.
    attempt
        1 at first.
    """
    needed = (_on(_line(lines, step, "MiB"), where) + _STARTER) * _MORE ** (attempt - 1)
    return math.ceil(needed / _STEP) * _STEP


def minutes(lines: Lines, step: str, where: Sequence[float], *, attempt: int) -> int:
    """Time to ask for (minutes): four times that of the fit, at least ten."""
    needed = seconds(lines, step, where) * _SLOWEST / 60
    return math.ceil(max(needed, _SHORTEST) * _MORE ** (attempt - 1))


def seconds(lines: Lines, step: str, where: Sequence[float]) -> float:
    """Time that the fit gives (seconds, on two cores)."""
    return _on(_line(lines, step, "s"), where)


def _line(lines: Lines, step: str, of: str) -> Sequence[float]:
    """Coefficients of a step; of one that was not measured, the largest of all steps."""
    if (step, of) in lines:
        return lines[step, of]
    return [
        max(column) for column in zip(*(v for k, v in lines.items() if k[1] == of), strict=True)
    ]


def _on(line: Sequence[float], where: Sequence[float]) -> float:
    return sum(slope * place for slope, place in zip(line, where, strict=True))
