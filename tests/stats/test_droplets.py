"""Depth, shares and limits of cells against dense arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse, stats

from ctcflow.stats import droplets

LIMITS = {"mads": 5.0, "floor": 15.0, "ceiling": 50.0}


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.int32,
        st.tuples(st.integers(0, 6), st.integers(1, 12)),
        elements=st.integers(0, 2**20),
    ),
    st.data(),
)
def test_depth_and_percent_equal_dense_sums(dense: np.ndarray, data: st.DataObject) -> None:
    genes = data.draw(hnp.arrays(np.bool_, dense.shape[1]))
    matrix = sparse.csr_matrix(dense)
    found = droplets.depth(matrix)
    assert found.umis.tolist() == dense.sum(1).tolist()
    assert found.genes.tolist() == (dense > 0).sum(1).tolist()
    percent = droplets.percent(matrix, genes=genes, umis=found.umis)
    if not genes.any():
        assert np.isnan(percent).all()
        return
    total = dense.sum(1)
    expected = 100 * dense[:, genes].sum(1) / np.where(total, total, 1)
    np.testing.assert_allclose(percent, expected)
    assert ((percent >= 0) & (percent <= 100)).all()


def test_counts_of_many_deep_cells_do_not_overflow() -> None:
    big = sparse.csr_matrix(np.full((1, 4), 2**31 - 1, dtype=np.int32))
    assert droplets.depth(big).umis.tolist() == [4 * (2**31 - 1)]


def test_limit_is_the_median_and_scaled_deviations_within_bounds() -> None:
    values = np.random.default_rng(0).normal(10.0, 2.0, 5001)
    expected = np.median(values) + 5 * stats.median_abs_deviation(values, scale="normal")
    assert droplets.upper_limit(values, **LIMITS) == pytest.approx(expected, rel=1e-4)
    assert droplets.upper_limit(values / 100, **LIMITS) == 15.0
    assert droplets.upper_limit(values * 100, **LIMITS) == 50.0


def test_limit_without_values_is_the_ceiling_and_missing_ones_do_not_count() -> None:
    assert droplets.upper_limit(np.zeros(0), **LIMITS) == 50.0
    assert droplets.upper_limit(np.full(3, np.nan), **LIMITS) == 50.0
    values = np.array([20.0, 21.0, 22.0])
    with_missing = np.append(values, np.nan)
    assert droplets.upper_limit(with_missing, **LIMITS) == droplets.upper_limit(values, **LIMITS)
