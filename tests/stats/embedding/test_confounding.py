"""Association of batch with other properties: ranks, Cramer's V, calibration, sentences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ctcflow.stats.embedding.confounding import associate, association_p, cramers_v, design_rank
from ctcflow.stats.embedding.linear import cell_table

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=20)


def codes(values: list) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def tabled(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return cell_table(first, second, shape=(int(first.max()) + 1, int(second.max()) + 1))


@given(PAIRS)
@settings(max_examples=100, deadline=None)
def test_rank_is_that_of_the_design(pairs: list) -> None:
    first, second = (codes(side) for side in zip(*pairs, strict=True))
    design = np.hstack(
        [np.ones((len(pairs), 1)), np.eye(first.max() + 1)[first], np.eye(second.max() + 1)[second]]
    )
    assert design_rank(tabled(first, second)) == np.linalg.matrix_rank(design)


@given(PAIRS)
@settings(max_examples=100, deadline=None)
def test_v_is_a_share_or_not_defined(pairs: list) -> None:
    table = tabled(*(codes(side) for side in zip(*pairs, strict=True)))
    v = cramers_v(table)
    assert np.isnan(v) or 0 <= v <= 1 + 1e-9
    assert np.isnan(v) == np.isnan(cramers_v(table.T))


def test_v_by_hand() -> None:
    """Bergsma 2013 for a 2 x 2 table: phi2 less 1/(n-1), over 2 - 1/(n-1) - 1."""
    table = np.array([[8, 2], [3, 7]])
    phi2 = stats.chi2_contingency(table, correction=False).statistic / 20
    assert cramers_v(table) == pytest.approx(np.sqrt((phi2 - 1 / 19) / (1 - 1 / 19)))
    assert cramers_v(np.array([[5, 5], [5, 5]])) == 0
    assert cramers_v(np.array([[6, 0], [0, 6]])) == pytest.approx(1)
    assert np.isnan(cramers_v(np.eye(4, dtype=int)))


def test_v_is_not_inflated_by_many_batches() -> None:
    rng = np.random.default_rng(0)
    found, plain = [], []
    for _ in range(200):
        table = tabled(codes(rng.integers(0, 6, 30)), codes(rng.integers(0, 2, 30)))
        found.append(cramers_v(table))
        plain.append(stats.contingency.association(table, method="cramer", correction=False))
    assert np.mean(found) < 0.2
    assert np.mean(plain) > 0.35


def test_p_is_that_of_all_permutations() -> None:
    first, second = np.array([0, 0, 0, 1, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 1, 0])
    seen = stats.chi2_contingency(tabled(first, second), correction=False).statistic
    every = [
        stats.chi2_contingency(tabled(first, second[list(order)]), correction=False).statistic
        for order in itertools.permutations(range(7))
    ]
    exact = np.mean(np.array(every) >= seen - 1e-9)
    found = association_p(first, second, n_permutations=4000, seed=1)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))


@pytest.mark.parametrize("sizes", [(3, 2), (6, 3)])
def test_p_is_calibrated_under_the_null(sizes: tuple[int, int]) -> None:
    """p <= alpha at most as often as alpha, but for the error of 600 draws."""
    rng = np.random.default_rng(5)
    found = np.array(
        [
            association_p(
                codes(rng.integers(0, sizes[0], 18)),
                codes(rng.integers(0, sizes[1], 18)),
                n_permutations=99,
                seed=draw,
            )
            for draw in range(600)
        ]
    )
    for alpha in (0.05, 0.1, 0.2, 0.5):
        assert stats.binomtest(int((found <= alpha).sum()), 600, alpha, "greater").pvalue > 1e-3
    assert found.min() >= 0.01
    assert (found <= 0.2).mean() > 0.1


def said(first: list, second: list, name: str = "condition") -> str:
    record = associate(codes(first), codes(second), name=name, n_permutations=499, seed=0)
    assert record is not None
    assert record["samples"] == len(first)
    assert 0 < record["p"] <= 1
    assert (record["cramers_v"] is None) == (max(map(len, map(set, (first, second)))) == len(first))
    return record["words"]


def test_words_say_what_the_table_is() -> None:
    nested = said(list("abcd"), ["x", "x", "y", "y"])
    assert "every batch is one sample" in nested and "condition" in nested
    full = said(list("aabbcc"), list("xxxxyy"))
    assert "cannot be told apart: every batch has one condition only;" in full
    assert "every condition is in one batch only" in said(list("aabb"), list("xxyy"))
    patients = said(list("aaaabbbb"), list("11223344"), "patient")
    assert "every patient is in one batch only (usual" in patients
    assert "cannot" not in patients and "removes those between batches" in patients
    assert "in part" in said(list("aabbccdd"), list("xyxyzwzw"))
    strong = said(list("a" * 10 + "b" * 10), list("x" * 9 + "yx" + "y" * 9))
    assert "go together, though" in strong and "over 20 samples, V = 0.7" in strong
    assert "no sign" in said(list("aabbccaabbcc"), list("xyxyxyxyxyxy"))


def test_what_is_constant_is_not_compared() -> None:
    for first, second in ((codes(["a"]), codes(["x"])), (codes(["a", "b"]), codes(["x", "x"]))):
        assert associate(first, second, name="role", n_permutations=9, seed=0) is None
    none = np.zeros(0, dtype=np.intp)
    assert associate(none, none, name="role", n_permutations=9, seed=0) is None
