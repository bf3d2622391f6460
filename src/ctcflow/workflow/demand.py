"""Memory and time that jobs request, predicted from the sizes of the run's input files.

The models are linear. `benchmarks.resources` fits them to runs of 10 to 1,000,000 cells, such that
no run needed more than predicted. Each further attempt requests half as much again.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ctcflow.formats.size import Size

AXES: Final = ("constant", "few", "cells", "values", "largest", "sketch", "beside")
"""Predictors of the linear models, one column of the table each; see `axes`."""
FEW: Final = 50
"""Fewest cells for which `qc` computes doublet scores."""
SKETCH: Final = 50_000
"""Largest number of cells whose values `cluster` holds in memory at once."""
TEXT: Final = 20_000_000
"""Largest number of values of a text table that `ingest` holds in memory at once."""
_MORE: Final = 1.5
_STEP: Final = 100
_STARTER: Final = 250
"""MiB of the two Snakemake processes that run next to the step in a cluster job."""
_SLOWEST: Final = 4
"""Factor by which a node may be slower than the machine of the measurements."""
_SHORTEST: Final = 10

Lines = Mapping[tuple[str, str], Sequence[float]]


def axes(sizes: Sequence[Size], *, beside: int = 0) -> list[float]:
    """Predictors of memory and time: a constant, and sizes of the counts of all samples.

    Parameters
    ----------
    sizes
        Sizes of the samples that the job reads.
    beside
        Size of other data in memory: values of a text table, stored counts of unfiltered droplets
        or of the delivered cohort, or bytes of a frozen reference.

    Returns
    -------
    list
        In the order of `AXES`: 1; cells as a share of `FEW`, at most 1; then, in millions, cells;
        values; values of the largest sample; values of the cells in the sketch of `cluster`; other
        data in memory.
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
    """Memory to request (MiB, rounded up to hundreds).

    Parameters
    ----------
    lines
        Result of `read_lines`.
    step
        Name of the step.
    where
        Result of `axes`.
    attempt
        Number of the attempt, from 1.
    """
    needed = (_on(_line(lines, step, "MiB"), where) + _STARTER) * _MORE ** (attempt - 1)
    return math.ceil(needed / _STEP) * _STEP


def minutes(lines: Lines, step: str, where: Sequence[float], *, attempt: int) -> int:
    """Time to request (minutes): four times the prediction, at least ten."""
    needed = seconds(lines, step, where) * _SLOWEST / 60
    return math.ceil(max(needed, _SHORTEST) * _MORE ** (attempt - 1))


def seconds(lines: Lines, step: str, where: Sequence[float]) -> float:
    """Predicted time (seconds, on two cores)."""
    return _on(_line(lines, step, "s"), where)


def _line(lines: Lines, step: str, unit: str) -> Sequence[float]:
    """Coefficients of a step; for a step that was not measured, the largest of all steps."""
    if (step, unit) in lines:
        return lines[step, unit]
    return [
        max(column) for column in zip(*(v for k, v in lines.items() if k[1] == unit), strict=True)
    ]


def _on(line: Sequence[float], where: Sequence[float]) -> float:
    return sum(slope * place for slope, place in zip(line, where, strict=True))
