"""Tests between conditions: calibration under the null, agreement with pydeseq2, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ctcflow.stats.clusters import pseudobulk
from ctcflow.stats.clusters.conditions import (
    between_conditions,
    comparable_genes,
    comparisons,
    raw_counts,
)

# what pydeseq2 0.5 says of so few patients and genes
pytestmark = [
    pytest.mark.filterwarnings("ignore:The dispersion trend curve fitting:UserWarning"),
    pytest.mark.filterwarnings("ignore:As the residual degrees of freedom:UserWarning"),
]


def null_counts(n_genes: int, seed: int, n: int = 8) -> np.ndarray:
    """Patients of one kind: negative-binomial counts, other depths, no condition."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(4, 1.2, n_genes))
    dispersion = 0.05 + 2 / mean
    rates = rng.gamma(1 / dispersion, dispersion * mean, size=(n, n_genes))
    return rng.poisson(rates * rng.uniform(0.5, 2, (n, 1)))


def test_p_is_calibrated_where_nothing_differs() -> None:
    second = np.arange(8) % 2 == 1
    found = between_conditions(null_counts(700, 0), second)
    p = found.p[~np.isnan(found.p)]
    assert p.size > 600
    low, high = 0.05 - 4 * 0.009, 0.05 + 4 * 0.009
    assert low < (p <= 0.05).mean() < high
    assert (found.q <= 0.05).sum() <= 2


def test_what_differs_is_found_and_depth_is_no_difference() -> None:
    counts = null_counts(300, 1)
    second = np.arange(8) >= 4
    counts[second, :20] *= 6
    counts[4:6] *= 5
    found = between_conditions(counts, second)
    strong = counts[:, :20].min(axis=0) > 20
    assert (found.q[:20][strong] < 0.05).mean() > 0.9
    assert np.nanmedian(found.log2_fold_change[:20]) == pytest.approx(np.log2(6), abs=0.5)
    assert abs(np.nanmedian(found.log2_fold_change[20:])) < 0.3


def test_rare_genes_are_left_out_whatever_the_condition() -> None:
    counts = np.array([[10, 0, 10], [10, 0, 9], [0, 99, 10], [0, 99, 0]])
    second = np.array([False, False, True, True])
    assert comparable_genes(counts, second).tolist() == [True, True, True]
    assert comparable_genes(counts, ~second).tolist() == comparable_genes(counts, second).tolist()
    counts[0, 0] = 9
    assert comparable_genes(counts, second).tolist() == [False, True, True]
    nothing = between_conditions(counts * 0, second)
    assert np.isnan(nothing.p).all()


def test_too_few_patients_are_refused_by_name() -> None:
    units = [("healthy", "h1"), ("breast", "p1"), ("breast", "p2"), ("", "p3"), ("colon", "p1")]
    found = comparisons([*units, ("colon", "p4"), ("lung", "p5"), ("lung", "p6")])
    assert found.pairs == [("breast", "lung"), ("colon", "lung")]
    reasons = dict(found.not_run)
    assert reasons["healthy against breast"] == "1 patient in `healthy`, needs 2"
    assert "1 patients have draws in both" in reasons["colon against breast"]
    assert comparisons([]).pairs == comparisons([("", "a"), ("x", "b")]).pairs == []


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999))
def test_counts_come_back_from_log_normalised_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(rng.negative_binomial(0.1, 1e-4, size=(6, 50)))
    factors = rng.uniform(0.01, 10, 6)
    values = np.log1p(counts.data / np.repeat(factors, np.diff(counts.indptr)))
    values = sparse.csr_matrix((values.astype(np.float32), counts.indices, counts.indptr))
    found = raw_counts(values, size_factors=factors)
    assert np.array_equal(found.data, counts.data)


def test_types_are_compared_on_sums_over_the_draws_of_a_patient() -> None:
    counts = null_counts(60, 3, n=6)
    units: dict = {}
    for patient in range(4):
        rows = sparse.csr_matrix(np.stack([counts[patient], counts[5], counts[4]]))
        for draw in range(2):
            part = rows * (draw + 1)
            unit = ("ab"[patient % 2], f"p{patient}")
            cells = np.array([20, 9, 2 if patient == 1 else 30])
            units[unit] = pseudobulk.add(units.get(unit), part, cells)
    types = ["T", "T", "B", ""][:3]
    tested, not_run = pseudobulk.compare(units, types=types, pairs=[("a", "b")])
    assert [one.cell_type for one in tested] == ["T"]
    assert not_run == [("b against a in B", "1 patient in `b`, needs 2 (10 cells each)")]
    summed = 3 * (counts[[0, 2, 1, 3]] + counts[5])
    expected = between_conditions(summed, np.array([False, False, True, True]))
    np.testing.assert_allclose(tested[0].found.p, expected.p)
    table = pd.DataFrame(pseudobulk.table(tested, np.array([f"g{i}" for i in range(60)])))
    assert table["p"].is_monotonic_increasing
    assert set(table["condition"]) == {"b"}
    assert (table["patients"] == 2).all()
    best = int(table["gene"][0][1:])
    assert table["log2_fold_change"][0] == pytest.approx(expected.log2_fold_change[best])
