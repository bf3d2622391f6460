"""Orders and seeds from counts: no order in the file, no name of a cell, no gene without counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ctcflow.stats.counts.content import content_order, content_seeds


def cells(seed: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = np.array([f"G{n}" for n in rng.permutation(40)], dtype=object)
    return sparse.csr_matrix(rng.poisson(0.8, (25, 40))), names


def with_zeros(
    counts: sparse.csr_matrix, names: np.ndarray, rng: np.random.Generator
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Genes without a count between the others, whose order is kept."""
    places = np.sort(rng.choice(70, counts.shape[1], replace=False))
    wide = np.zeros((counts.shape[0], 70), dtype=np.int64)
    wide[:, places] = counts.toarray()
    more = np.array([f"zero{n}" for n in range(70)], dtype=object)
    more[places] = names
    return sparse.csr_matrix(wide), more


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_same_cells_come_in_the_same_order(seed: int, named: bool) -> None:
    counts, names = cells(seed)
    rng = np.random.default_rng(seed)
    first = counts[content_order(counts, names=names if named else None)]
    wide, more = with_zeros(counts, names, rng)
    rows = rng.permutation(counts.shape[0])
    mixed = wide[rows]
    columns = np.arange(70)
    if named:  # then the order of the genes does not matter either
        columns = rng.permutation(70)
        mixed, more = mixed[:, columns], more[columns]
    again = mixed[content_order(mixed, names=more if named else None)]
    kept = wide.getnnz(axis=0) > 0
    back = np.argsort(columns)
    np.testing.assert_array_equal(
        again.toarray()[:, back][:, kept], first.toarray()[:, counts.getnnz(axis=0) > 0]
    )


def test_with_names_other_cells_do_not_matter() -> None:
    counts, names = cells(3)
    order = content_order(counts, names=names)
    some = np.sort(np.random.default_rng(0).choice(25, 12, replace=False))
    of_some = some[content_order(counts[some], names=names)]
    assert of_some.tolist() == [row for row in order if row in set(some)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_seeds_depend_on_the_counts_of_the_cell_alone(seed: int) -> None:
    counts, names = cells(seed)
    wide, _ = with_zeros(counts, names, np.random.default_rng(seed))
    rows = np.random.default_rng(seed).permutation(25)[:9]
    np.testing.assert_array_equal(content_seeds(wide[rows]), content_seeds(counts)[rows])
    assert content_seeds(counts)[:, 0].tolist() == counts.sum(axis=1).A1.tolist()


def test_seeds_tell_the_order_of_values() -> None:
    counts = sparse.csr_matrix([[3, 0, 1], [1, 0, 3], [0, 0, 0]])
    assert content_seeds(counts).tolist() == [[4, 5], [4, 7], [0, 0]]


@pytest.mark.parametrize("names", [None, np.array(["a", "b", "c"], dtype=object)])
def test_no_cells(names: np.ndarray | None) -> None:
    assert content_order(sparse.csr_matrix((0, 3), dtype=int), names=names).size == 0
