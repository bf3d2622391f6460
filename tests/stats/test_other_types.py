"""The most surprising other type: against sums by hand and against planted markers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from ctcflow.stats import panel
from ctcflow.stats.other_types import other_types


def test_two_markers_have_the_probability_of_two_poisson_counts() -> None:
    counts = np.array([[9, 4, 987], [1, 2, 997], [1, 0, 999], [3, 1, 496]])
    leukocytes = np.array([True, True, True, False])
    name, p = other_types(
        sparse.csr_matrix(counts),
        markers={"endothelial": np.array([0, 1])},
        is_leukocyte=leukocytes,
    )
    weight = panel.PRIOR_UMIS
    rates = (np.array([11, 6]) + weight * 2e-6) / (3000 + weight)  # the fourth is no leukocyte
    both = np.prod(1 - np.exp(-rates * np.array([1000, 1000, 1000, 500])[:, None]), axis=1)
    both[2] = 1  # one marker is no type
    assert p == pytest.approx(both)
    assert name.tolist() == ["endothelial", "endothelial", "", "endothelial"]


def test_planted_types_are_named_and_leukocytes_are_not_surprised() -> None:
    rng = np.random.default_rng(0)
    markers = {name: np.arange(10 * k, 10 * k + 10) for k, name in enumerate(("a", "b", "c"))}
    rate = np.full((300, 60), 1e-6)
    rate[:, 30:] = 1 / 30
    for cell, genes in zip(range(280, 300, 2), 5 * [markers["a"], markers["c"]], strict=True):
        rate[cell, genes] = 2e-3
    counts = rng.poisson(1500 * rate)
    name, p = other_types(
        sparse.csr_matrix(counts), markers=markers, is_leukocyte=np.arange(300) < 280
    )
    planted = np.arange(280, 300, 2)
    assert name[planted].tolist() == 5 * ["a", "c"]
    assert (p[planted] < 1e-6).all()
    assert (p[:280] > 1e-3).all()


def test_no_cell_no_leukocyte_and_no_marker_in_the_data() -> None:
    counts = sparse.csr_matrix(np.ones((2, 3)))
    for rows, markers in ((counts, {"a": np.empty(0, dtype=np.intp)}), (counts[:0], {})):
        name, p = other_types(
            rows, markers=markers, is_leukocyte=np.zeros(rows.shape[0], dtype=bool)
        )
        assert name.tolist() == [""] * rows.shape[0]
        assert p.tolist() == [1.0] * rows.shape[0]


def test_of_equally_surprising_types_the_first_is_named() -> None:
    counts = sparse.csr_matrix(np.array([[1, 1, 1, 1, 50]]))
    markers = {"x": np.array([1, 2]), "a": np.array([0, 3])}
    name, _ = other_types(counts, markers=markers, is_leukocyte=np.zeros(1, dtype=bool))
    assert name.tolist() == ["x"]
