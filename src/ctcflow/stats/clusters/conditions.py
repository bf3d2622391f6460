"""Genes that differ between two conditions, tested over patients and never over cells."""

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
"""Below this number of patients in a condition nothing is tested."""
_MIN_COUNT: Final = 10
_COLUMNS: Final = ("baseMean", "log2FoldChange", "lfcSE", "pvalue", "padj")


class Difference(NamedTuple):
    """Per gene; NaN where it was not tested."""

    mean: Vector
    """Mean of the counts, over patients, on the scale of the median size factor."""
    log2_fold_change: Vector
    """Second condition over first, not shrunk."""
    standard_error: Vector
    p: Vector
    q: Vector
    """Benjamini-Hochberg over the genes that were tested."""


def comparable_genes(counts: Counts, second: Flags) -> Flags:
    """Tell which genes have 10 counts in as many patients as the smaller condition has.

    Nothing about which condition they come from enters, so that the test stays calibrated.

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
    doi:10.1186/s13059-014-0550-8) as pydeseq2 has it (Muzellec 2023,
    doi:10.1093/bioinformatics/btad547), of pseudobulk counts: cells of one patient are no
    replicates (Squair 2021, doi:10.1038/s41467-021-25960-2). No outlier is replaced, and no gene
    is filtered after the test, so that all p are those of the model.

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
    found = Difference(*(empty.copy() for _ in Difference._fields))
    used = comparable_genes(counts, second)
    if not used.any():
        return found
    table = _deseq2(counts[:, used], second)
    for field, column in zip(found, _COLUMNS, strict=True):
        field[used] = table[column].to_numpy(np.float64)
    return found


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
    """What, and the reason."""


def comparisons(units: Sequence[tuple[str, str]]) -> Comparisons:
    """Find the pairs of conditions with enough patients of their own.

    Parameters
    ----------
    units
        Condition and patient of each draw; an empty condition is none.

    Returns
    -------
    Comparisons
        Pairs in alphabetical order. A patient with draws in both conditions is no independent
        replicate, so that such a pair is not compared.
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
    """Get counts back from log-normalised values, exactly: float32 has digits to spare.

    Parameters
    ----------
    values : (n_cells, n_genes)
        log1p(counts / size factor), CSR; of counts without ambient RNA the nearest whole numbers.
    size_factors : (n_cells,)
        Positive.

    Returns
    -------
    (n_cells, n_genes) CSR float64, whole numbers
    """
    factor = np.repeat(size_factors, np.diff(values.indptr))
    counts = np.rint(np.expm1(values.data.astype(np.float64)) * factor)
    return sparse.csr_matrix((counts, values.indices, values.indptr), shape=values.shape)
