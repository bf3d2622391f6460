"""Groups of cells that cannot be told apart: cells drawn from one profile or several."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.stats.identity.alike import FEWEST, MOST, alike
from ctcflow.stats.identity.profiles import Profiles

Tables = dict[str, pd.DataFrame]


def drawn(
    reference: Profiles, cells: dict[str, int], depth: int, seed: int
) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    kind = np.repeat(list(cells), list(cells.values()))
    counts = np.zeros((kind.size, int(reference.columns.max()) + 1))
    for row, name in enumerate(kind):
        share = np.exp(reference.log_rates[:, reference.types.index(name)])
        counts[row, reference.columns] = rng.multinomial(depth, share / share.sum())
    return sparse.csr_matrix(counts), kind


def sizes(found: sparse.csr_matrix) -> np.ndarray:
    return np.diff(found.indptr)


MIXED = {"Fibroblast": 12, "Secretory": 25, "Endothelial": 12, "Keratinocyte": 12, "Islet": 12}


@pytest.mark.parametrize("depth", [600, 2000])
def test_groups_are_of_one_kind(reference: Profiles, depth: int) -> None:
    counts, kind = drawn(reference, MIXED, depth, 1)
    found = alike(counts, reference=reference, n_threads=1).tocoo()
    assert (kind[found.row] == kind[found.col]).all()
    size = sizes(found.tocsr())
    assert np.median(size[kind == "Secretory"]) == MOST
    assert (size[kind != "Secretory"] >= 8).mean() > 0.9


def test_draws_from_one_profile_differ_by_the_noise_of_counting(reference: Profiles) -> None:
    """Almost no pair lies beyond the limit, whatever the depths of the two cells."""
    cells, _ = drawn(reference, {"Secretory": 60}, 4000, 2)
    rng = np.random.default_rng(3)
    thin = cells.copy()
    depth = np.repeat(rng.integers(200, 4000, 60) / 4000, np.diff(cells.indptr))
    thin.data = rng.binomial(cells.data.astype(int), depth).astype(float)
    thin.eliminate_zeros()
    for counts in (cells, thin):
        assert (sizes(alike(counts, reference=reference, n_threads=1)) == MOST).mean() > 0.95


def test_a_cell_of_a_kind_of_its_own_stands_alone(reference: Profiles) -> None:
    counts, kind = drawn(reference, {"Secretory": 20, "Islet": 1, "Fibroblast": FEWEST - 1}, 900, 4)
    size = sizes(alike(counts, reference=reference, n_threads=1))
    assert (size[kind != "Secretory"] == 1).all()
    assert (size[kind == "Secretory"] > 1).all()


def test_each_cell_is_in_its_own_group_once(reference: Profiles) -> None:
    counts, kind = drawn(reference, MIXED, 700, 5)
    found = alike(counts, reference=reference, n_threads=1)
    assert (found.diagonal() == 1).all()
    assert set(found.data) == {1.0}
    assert found.shape == (kind.size, kind.size)
    size = sizes(found)
    assert (((size >= FEWEST) & (size <= MOST)) | (size == 1)).all()


def test_neither_order_nor_threads_matter(reference: Profiles) -> None:
    counts, kind = drawn(reference, MIXED, 700, 6)
    first = alike(counts, reference=reference, n_threads=1).toarray()
    np.testing.assert_array_equal(alike(counts, reference=reference, n_threads=2).toarray(), first)
    order = np.random.default_rng(7).permutation(kind.size)
    mixed = alike(counts[order], reference=reference, n_threads=1).toarray()
    np.testing.assert_array_equal(mixed, first[np.ix_(order, order)])


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_cells_stand_alone(reference: Profiles, n: int) -> None:
    counts, _ = drawn(reference, {"Secretory": n}, 600, 8)
    found = alike(counts, reference=reference, n_threads=1)
    np.testing.assert_array_equal(found.toarray(), np.eye(n))


def test_a_hundred_counts_are_enough_for_a_group_and_one_less_is_not(reference: Profiles) -> None:
    for depth, grouped in ((100, True), (99, False)):
        counts, _ = drawn(reference, {"Secretory": 20}, depth, 8)
        size = sizes(alike(counts, reference=reference, n_threads=1))
        assert ((size > 1) == grouped).all()
