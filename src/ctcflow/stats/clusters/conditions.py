"""Differential expression between two conditions, with patients (never cells) as replicates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    import pandas as pd

Counts = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MIN_PATIENTS: Final = 2
"""Fewest patients per condition for a test."""
_MIN_COUNT: Final = 10
_COLUMNS: Final = ("baseMean", "log2FoldChange", "lfcSE", "pvalue", "padj")


class Difference(NamedTuple):
    """Result per gene; NaN where it was not tested."""

    mean: Vector
    """Mean of the counts, over patients, on the scale of the median size factor."""
    log2_fold_change: Vector
    """Log2 ratio of the second condition over the first, without shrinkage."""
    standard_error: Vector
    p: Vector
    q: Vector
    """Benjamini-Hochberg q-value over the tested genes."""


def comparable_genes(counts: Counts, second: Flags) -> Flags:
    """Find genes with at least 10 counts in at least as many patients as the smaller condition has.

    The filter does not use which patient has which condition, so that the test stays calibrated.

    Parameters
    ----------
    counts : (n_patients, n_genes)
        Sums of raw counts over the cells of a patient.
    second : (n_patients,)
        Patient of the second condition.
    """
    smaller = min(int(second.sum()), int((~second).sum()))
    return np.asarray((counts >= _MIN_COUNT).sum(axis=0) >= max(smaller, 1))


def between_conditions(counts: Counts, second: Flags) -> Difference:
    """Test each gene for a difference between conditions with DESeq2's model.

    Negative-binomial regression with shrunken dispersions (Love 2014,
    doi:10.1186/s13059-014-0550-8) as implemented by pydeseq2 (Muzellec 2023,
    doi:10.1093/bioinformatics/btad547), on pseudobulk counts, because cells of one patient are not
    independent replicates (Squair 2021, doi:10.1038/s41467-021-25960-2). Outliers are not replaced
    and genes are not filtered after the test, so that all p are those of the model.

    Parameters
    ----------
    counts : (n_patients, n_genes)
        Sums of raw counts over the cells of a patient.
    second : (n_patients,)
        Patient of the second condition; at least two of each.

    Returns
    -------
    Difference
    """
    n_genes = counts.shape[1]
    empty = np.full(n_genes, np.nan)
    difference = Difference(*(empty.copy() for _ in Difference._fields))
    used = comparable_genes(counts, second)
    if not used.any():
        return difference
    table = _deseq2(counts[:, used], second)
    for field, column in zip(difference, _COLUMNS, strict=True):
        field[used] = table[column].to_numpy(np.float64)
    return difference


def _deseq2(counts: Counts, second: Flags) -> pd.DataFrame:
    import pandas as pd
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    names = [f"p{row}" for row in range(second.size)]
    genes = [str(column) for column in range(counts.shape[1])]
    inference = DefaultInference(n_cpus=1)
    data = DeseqDataSet(
        counts=pd.DataFrame(counts, index=names, columns=genes),
        metadata=pd.DataFrame({"condition": np.where(second, "b", "a")}, index=names),
        design="~condition",
        refit_cooks=False,
        inference=inference,
        quiet=True,
    )
    data.deseq2()
    tested = DeseqStats(
        data,
        contrast=["condition", "b", "a"],
        cooks_filter=False,
        independent_filter=False,
        inference=inference,
        quiet=True,
    )
    tested.summary()
    return tested.results_df


class Comparisons(NamedTuple):
    """Pairs of conditions that can be compared, and why others cannot."""

    pairs: list[tuple[str, str]]
    not_run: list[tuple[str, str]]
    """What was not compared, and why."""


def comparisons(units: Sequence[tuple[str, str]]) -> Comparisons:
    """Find the pairs of conditions with enough patients, none of whom is in both.

    Parameters
    ----------
    units
        Condition and patient of each draw; draws with an empty condition are ignored.

    Returns
    -------
    Comparisons
        Pairs in alphabetical order. A pair is not compared if a patient has draws in both
        conditions, because these are not independent replicates.
    """
    patients: dict[str, set[str]] = {}
    for condition, patient in units:
        if condition:
            patients.setdefault(condition, set()).add(patient)
    found = Comparisons([], [])
    for pair in itertools.combinations(sorted(patients), 2):
        first, second = patients[pair[0]], patients[pair[1]]
        reason = too_few({name: len(patients[name]) for name in pair})
        if not reason and first & second:
            reason = f"{len(first & second)} patients have draws in both, which are not independent"
        if reason:
            found.not_run.append((f"{pair[1]} against {pair[0]}", reason))
        else:
            found.pairs.append(pair)
    return found


def too_few(patients: Mapping[str, int]) -> str:
    """Say which condition has fewer than two patients; empty where none has."""
    return "; ".join(
        f"{count} patient{'' if count == 1 else 's'} in `{name}`, needs {MIN_PATIENTS}"
        for name, count in patients.items()
        if count < MIN_PATIENTS
    )


def raw_counts(values: sparse.csr_matrix, *, size_factors: Vector) -> sparse.csr_matrix:
    """Recover exact counts from log-normalised values; float32 is precise enough for this.

    Parameters
    ----------
    values : (n_cells, n_genes)
        log1p(counts / size factor), CSR. If the counts were corrected for ambient RNA, the result
        is rounded to integers.
    size_factors : (n_cells,)
        Positive.

    Returns
    -------
    (n_cells, n_genes) CSR float64, whole numbers
    """
    factor = np.repeat(size_factors, np.diff(values.indptr))
    counts = np.rint(np.expm1(values.data.astype(np.float64)) * factor)
    return sparse.csr_matrix((counts, values.indices, values.indptr), shape=values.shape)
