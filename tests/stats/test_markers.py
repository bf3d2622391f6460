"""Markers, communities, cell types, components and Harmony against scipy and sklearn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from ctcflow.stats import components
from ctcflow.stats.annotation import best_types, relative_expression, type_scores
from ctcflow.stats.communities import agreement, by_size, leiden
from ctcflow.stats.harmony import harmony, mean_shift
from ctcflow.stats.markers import group_aucs, group_sums


def test_auc_is_that_of_mannwhitneyu() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    x = rng.poisson(0.8, size=(60, 12)).astype(np.float32)
    x[:, 3] = 0
    groups = rng.integers(0, 3, 60)
    aucs = group_aucs(sparse.csr_matrix(x), groups=groups, n_groups=4)
    sums = group_sums(sparse.csr_matrix(x), groups=groups, n_groups=4)
    for group in range(3):
        inside, outside = x[groups == group], x[groups != group]
        expected = mannwhitneyu(inside, outside).statistic / (len(inside) * len(outside))
        np.testing.assert_allclose(aucs[group], expected)
        np.testing.assert_allclose(sums[group], inside.sum(axis=0))
    assert np.isnan(aucs[3]).all()


def test_agreement_is_that_of_sklearn() -> None:
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(1)
    for n in (2, 7, 100):
        first, second = rng.integers(0, 4, n), rng.integers(0, 3, n)
        assert agreement(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert agreement(first, first) == 1
    assert np.isnan(agreement(np.zeros(1, int), np.zeros(1, int)))


def test_groups_are_numbered_by_size() -> None:
    assert by_size(np.array([5, 9, 9, 2, 2, 7])).tolist() == [2, 0, 0, 1, 1, 3]


def test_leiden_finds_blocks_and_repeats_itself() -> None:
    block = np.kron(np.eye(3), np.ones((20, 20))) + 0.01
    np.fill_diagonal(block, 0)
    graph = sparse.csr_matrix(block)
    found = leiden(graph, resolution=1.0, seed=0)
    assert agreement(found, np.repeat([0, 1, 2], 20)) == 1
    assert np.array_equal(found, leiden(graph, resolution=1.0, seed=0))
    assert leiden(graph[:0, :0], resolution=1.0, seed=0).size == 0


def test_types_need_more_than_one_gene_of_a_long_set() -> None:
    relative = relative_expression(np.array([[2.0, 2.0, 0.0], [0.0, 0.1, 3.0]]))
    np.testing.assert_allclose(relative, [[1, 1, 0], [0, 0.05, 1]])
    weights = np.array([[1.0, 1.0, -1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    scores = type_scores(
        relative,
        weights=weights,
        n_expected=np.array([2.0, 10.0, 3.0]),
        n_unexpected=np.array([1.0, 0.0, 0.0]),
    )
    np.testing.assert_allclose(scores[:, :2], [[1, 0], [0.025 - 1, 0.1]])
    assert np.isnan(scores[:, 2]).all()
    found = best_types(scores, floor=0.25)
    assert found.best.tolist() == [0, -1]
    assert found.margin[0] == 1


def test_components_are_those_of_sklearn_and_need_no_order() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(2)
    x = np.round(np.maximum(rng.normal(size=(300, 20)) @ rng.normal(size=(20, 20)), 0), 4)
    sums = components.no_sums(20)
    for part in (x[:100], x[100:101], x[101:101], x[101:]):
        sums = components.add_cells(sums, sparse.csr_matrix(part))
    found = components.principal_components(sums, n_components=5)
    reference = PCA(5, svd_solver="full").fit(x)
    mine = components.project(sparse.csr_matrix(x), found)
    for one, other in zip(mine.T, reference.transform(x).T, strict=True):
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.999999
    np.testing.assert_allclose(found.variance, reference.explained_variance_)
    assert (found.loadings[np.abs(found.loadings).argmax(axis=0), range(5)] > 0).all()


@pytest.mark.parametrize("n_cells", [0, 1, 2, 3])
def test_few_cells_give_few_components(n_cells: int) -> None:
    x = sparse.csr_matrix(np.random.default_rng(0).random((n_cells, 6)))
    found = components.principal_components(
        components.add_cells(components.no_sums(6), x), n_components=30
    )
    assert found.variance.size == max(n_cells - 1, 0)
    assert components.project(x, found).shape == (n_cells, max(n_cells - 1, 0))


def test_harmony_keeps_orientation_where_cells_equal_components() -> None:
    points = np.random.default_rng(0).normal(size=(30, 30)) * np.arange(30, 0, -1)
    batches = np.arange(30) % 2
    moved = harmony(points, batches=batches, theta=2.0, max_iterations=3, seed=0).points
    assert np.abs(moved - points).mean() < np.abs(moved.T - points).mean()
    again = harmony(points, batches=batches, theta=2.0, max_iterations=3, seed=0).points
    assert np.array_equal(moved, again)


def test_mean_shift_of_an_empty_group_is_missing() -> None:
    found = mean_shift(np.array([[1.0], [3.0]]), groups=np.array([1, 1]), n_groups=2)
    assert np.isnan(found[0, 0])
    assert found[1, 0] == 2
