"""Compare conditions within each cell type, on pseudobulk counts (sums per patient)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.records.cluster import Conditions
from ctcflow.stats.clusters.conditions import Difference, between_conditions, too_few

Unit = tuple[str, str]

_MIN_CELLS: Final = 10
_COLUMNS: Final = tuple(Conditions.__annotations__)


class Sums(NamedTuple):
    """Pseudobulk of one patient in one condition, per group of cells."""

    counts: sparse.csr_matrix
    """(n_groups, n_genes) raw counts."""
    cells: npt.NDArray[np.int64]
    """(n_groups,) number of cells."""


class Tested(NamedTuple):
    """Result for one cell type and one pair of conditions."""

    cell_type: str
    pair: tuple[str, str]
    patients: tuple[int, int]
    found: Difference


def add(before: Sums | None, counts: sparse.csr_matrix, cells: npt.NDArray[np.int64]) -> Sums:
    """Add the counts of one more draw to those of its patient."""
    if before is None:
        return Sums(counts, cells)
    return Sums(before.counts + counts, before.cells + cells)


def compare(
    units: Mapping[Unit, Sums],
    *,
    types: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> tuple[list[Tested], list[tuple[str, str]]]:
    """Test every cell type in every pair of conditions.

    For each type, only patients with at least 10 cells of it are used.

    Parameters
    ----------
    units
        Sums by condition and patient.
    types
        Cell type of each group; groups of one type are summed, empty ones are left out.
    pairs
        Pairs of conditions; changes are of the second relative to the first.

    Returns
    -------
    tested, and what was not run with the reason
    """
    done, not_run = [], []
    groups = {name: np.flatnonzero(np.array(types, dtype=object) == name) for name in types if name}
    for pair in pairs:
        for name in sorted(groups):
            used = _used(units, pair, groups[name])
            sizes = {c: sum(1 for condition, _ in used if condition == c) for c in pair}
            if reason := too_few(sizes):
                what = f"{pair[1]} against {pair[0]} in {name}"
                not_run.append((what, f"{reason} ({_MIN_CELLS} cells each)"))
                continue
            counts = np.array(
                [np.asarray(units[u].counts[groups[name]].sum(axis=0)).ravel() for u in used]
            )
            second = np.array([condition == pair[1] for condition, _ in used])
            difference = between_conditions(counts.astype(np.int64), second)
            done.append(Tested(name, pair, (sizes[pair[0]], sizes[pair[1]]), difference))
    return done, not_run


def _used(
    units: Mapping[Unit, Sums], pair: tuple[str, str], groups: npt.NDArray[np.intp]
) -> list[Unit]:
    return [
        unit
        for unit in sorted(units)
        if unit[0] in pair and int(units[unit].cells[groups].sum()) >= _MIN_CELLS
    ]


def table(tested: Sequence[Tested], genes: npt.NDArray[np.object_]) -> dict[str, list[Any]]:
    """List all genes that were tested, by cell type and pair, smallest p first.

    Parameters
    ----------
    tested
        Result of `compare`.
    genes : (n_genes,)
        Names.

    Returns
    -------
    dict
        Columns `cell_type`, `condition`, `against`, `gene`, `mean` (counts per patient),
        `log2_fold_change`, `standard_error`, `p`, `q`, `patients`, `patients_against`.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for test in tested:
        kept = np.flatnonzero(~np.isnan(test.found.p))
        kept = kept[np.argsort(test.found.p[kept], kind="stable")]
        same = (test.cell_type, test.pair[1], test.pair[0])
        for name, value in zip(_COLUMNS[:3], same, strict=True):
            columns[name] += [value] * kept.size
        columns["gene"] += genes[kept].tolist()
        for name, values in zip(_COLUMNS[4:9], test.found, strict=True):
            columns[name] += values[kept].tolist()
        for name, count in zip(_COLUMNS[9:], reversed(test.patients), strict=True):
            columns[name] += [count] * kept.size
    return columns
