"""Confounding of batch with other properties of the samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctcflow.records.integrate import Association
from ctcflow.stats.embedding.linear import cell_table, connected_sets

Codes = npt.NDArray[np.intp]
Table = npt.NDArray[np.int64]


def associate(
    first: Codes, second: Codes, *, name: str, n_permutations: int, seed: int
) -> Association | None:
    """Measure and describe the association of batch with another property of the samples.

    Parameters
    ----------
    first, second : (n,)
        Batch and property of each sample (samples are the units, never cells), codes from 0, each
        code used.
    name
        Name of the property, as in the sample sheet.
    n_permutations, seed
        As for `association_p`.

    Returns
    -------
    dict or None
        `column`, `samples`, `cramers_v` (None where not defined), `p`, `words`; None where there is
        one batch or one value only.
    """
    shape = tuple(int(codes.max(initial=-1)) + 1 for codes in (first, second))
    if min(shape) < 2:
        return None
    table = cell_table(first, second, shape=(shape[0], shape[1]))
    p = association_p(first, second, n_permutations=n_permutations, seed=seed)
    v = cramers_v(table)
    return {
        "column": name,
        "samples": int(first.size),
        "cramers_v": float(v) if np.isfinite(v) else None,
        "p": p,
        "words": describe(table, name=name, p=p, v=v),
    }


def design_rank(table: Table) -> int:
    """Rank of the design intercept + row + column, from the table of samples.

    Rows and columns are the nodes of a bipartite graph in which each sample is an edge. The rank is
    the number of nodes minus the number of connected components, so it is exact. The rank of rows
    alone is their number; if the columns add nothing to it, rows determine columns.

    Parameters
    ----------
    table : (n_rows, n_columns)
        Samples; no empty row or column.
    """
    return int(sum(table.shape) - np.unique(connected_sets(table > 0)).size)


def cramers_v(table: Table) -> float:
    """Cramer's V corrected for bias (Bergsma 2013, doi:10.1016/j.jkss.2012.10.002).

    Parameters
    ----------
    table : (n_rows, n_columns)
        Samples; no empty row or column.

    Returns
    -------
    float
        0 (what chance gives) to 1; NaN where it is not defined: one row or column, or as many
        rows or columns as samples.
    """
    n = int(table.sum())
    if min(table.shape) < 2 or n <= max(table.shape):
        return float("nan")
    rows, columns = (size - (size - 1) ** 2 / (n - 1) for size in table.shape)
    excess = _chi_square(table) / n - (table.shape[0] - 1) * (table.shape[1] - 1) / (n - 1)
    return float(np.sqrt(max(excess, 0.0) / (min(rows, columns) - 1)))


def _chi_square(table: Table) -> float:
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


def association_p(first: Codes, second: Codes, *, n_permutations: int, seed: int) -> float:
    """Monte Carlo p of association, by permuting the samples.

    The statistic is Pearson's chi-squared; p is (b + 1) / (m + 1) (Phipson 2010,
    doi:10.2202/1544-6115.1585), so that it is never 0 and never too small under the null.

    Parameters
    ----------
    first, second : (n,)
        Codes of each sample, from 0, each code used.
    n_permutations
        Permutations m.
    seed
        Seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    in_first, in_second = np.bincount(first), np.bincount(second)
    seen = _inertia(first, second, in_first, in_second)
    reached = 0
    for _ in range(n_permutations):
        permuted = _inertia(first, rng.permutation(second), in_first, in_second)
        # tolerance: sums of the same numbers in another order differ in their last digits
        reached += permuted >= seen - 1e-9
    return (reached + 1) / (n_permutations + 1)


def _inertia(first: Codes, second: Codes, in_first: Codes, in_second: Codes) -> float:
    """Chi-squared / n + 1, without a dense table: a thousand samples may be a thousand batches."""
    pairs, counts = np.unique(first * in_second.size + second, return_counts=True)
    expected = in_first[pairs // in_second.size] * in_second[pairs % in_second.size]
    return float((counts**2 / expected).sum())


def describe(table: Table, *, name: str, p: float, v: float) -> str:
    """Describe in one sentence how batch is associated with another property of the samples.

    Parameters
    ----------
    table : (n_batches, n_values)
        Samples; no empty row or column, two or more of each.
    name
        Name of the property, as in the sample sheet.
    p, v
        Results of `association_p` and `cramers_v`.
    """
    shape, rank, n = table.shape, design_rank(table), int(table.sum())
    if shape[0] == n:
        return (
            f"batch and {name}: every batch is one sample, so that a correction for batches "
            f"removes all differences between samples, those of {name} too"
        )
    if rank == shape[0]:
        both = f", and every {name} is in one batch only" if rank == shape[1] else ""
        return (
            f"batch and {name} cannot be told apart: every batch has one {name} only{both}; a "
            f"correction for batches removes differences in {name} too"
        )
    if rank == shape[1]:
        usual = " (usual for draws that are processed together)" if name == "patient" else ""
        return (
            f"batch and {name}: every {name} is in one batch only{usual}; a correction for batches "
            f"keeps differences within a batch and removes those between batches"
        )
    figures = f"p = {p:.2g} over {n} samples" + (f", V = {v:.2f}" if np.isfinite(v) else "")
    if rank < sum(shape) - 1:
        return (
            f"batch and {name} can be told apart in part ({figures}): some batches have no {name} "
            "in common, not even by way of others; differences between those are removed too"
        )
    if p <= 0.05:
        return (
            f"batch and {name} go together, though each can be told from the other ({figures}): "
            f"a correction for batches may remove a part of the differences in {name}"
        )
    return f"no sign that batch and {name} go together ({figures})"
