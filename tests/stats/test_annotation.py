"""Names of groups, and borders between types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ctcflow.stats import annotation
from ctcflow.stats.neighbors import fuzzy_graph, nearest

# three types over five genes: 0 and 1 share gene 0, 2 stands alone
SETS = np.array([0, 0, 0, 1, 1, 1, 2, 2])
GENES = np.array([0, 1, 2, 0, 2, 1, 3, 4])
DIRECTIONS = np.array([1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
N_GENES = 5


def loadings(n_genes: int = N_GENES) -> tuple[np.ndarray, np.ndarray]:
    weights, expected, unexpected = annotation.set_weights(
        GENES, sets=SETS, directions=DIRECTIONS, n_genes=n_genes
    )
    return weights, annotation.score_loadings(weights, expected, unexpected)


def passing(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells along a line from type 0 to type 1, and a group of type 2; places, values, truth."""
    rng = np.random.default_rng(seed)
    along = np.sort(rng.uniform(0, 1, n))
    means = np.column_stack([np.full(n, 2.0), 3 * (1 - along), 3 * along, 0 * along, 0 * along])
    other = np.tile([0.0, 0.0, 0.0, 3.0, 3.0], (n // 4, 1))
    values = np.log1p(rng.poisson(np.vstack([means, other])))
    points = rng.normal(0, 0.3, (len(values), 3))
    points[:n, 0] += 20 * along
    points[n:, 1] += 50
    truth = np.concatenate([np.where(along > 0.5, 1, 0), np.full(n // 4, 2)])
    return points, values, truth


def bordered(points: np.ndarray, values: np.ndarray, types: np.ndarray) -> np.ndarray:
    graph = fuzzy_graph(*nearest(points, k=15, n_threads=1))
    _, loads = loadings()
    means = np.array([values[types == t].mean(axis=0) for t in np.unique(types)])
    return annotation.border_types(
        types,
        sparse.csr_matrix(values.astype(np.float32)),
        loadings=loads / annotation.largest_means(means)[:, None],
        graph=graph,
    )


def test_scores_are_means_of_what_is_expected_less_what_is_not() -> None:
    _, loads = loadings()
    relative = np.array([[1.0, 0.5, 0.2, 0.0, 1.0]])
    np.testing.assert_allclose(relative @ loads, [[0.75 - 0.2, 0.6 - 0.5, 0.5]])


def test_types_need_more_than_one_gene_of_a_long_set() -> None:
    means = np.array([[2.0, 2.0, 0.0], [0.0, 0.1, 3.0]])
    relative = means / annotation.largest_means(means)
    np.testing.assert_allclose(relative, [[1, 1, 0], [0, 0.05, 1]])
    weights = np.array([[1.0, 1.0, -1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    loads = annotation.score_loadings(weights, np.array([2.0, 10.0, 3.0]), np.array([1.0, 0, 0]))
    scores = relative @ loads
    np.testing.assert_allclose(scores[:, :2], [[1, 0], [0.025 - 1, 0.1]])
    assert np.isnan(scores[:, 2]).all()
    found = annotation.best_types(scores, floor=0.25)
    assert found.best.tolist() == [0, -1]
    assert found.margin[0] == 1


def test_a_type_without_any_gene_has_no_score_and_is_never_best() -> None:
    weights, expected, unexpected = annotation.set_weights(
        np.array([0, -1]), sets=np.array([0, 1]), directions=np.ones(2), n_genes=1
    )
    scores = np.ones((1, 1)) @ annotation.score_loadings(weights, expected, unexpected)
    assert scores[0, 0] == 1 and np.isnan(scores[0, 1])
    assert annotation.best_types(scores, floor=0.25).best.tolist() == [0]


@pytest.mark.parametrize("cut", [0.3, 0.7])
def test_the_border_is_where_the_markers_change_wherever_the_cluster_ends(cut: float) -> None:
    points, values, truth = passing(2000, 1)
    types = np.where(truth == 2, 2, (points[:, 0] > 20 * cut).astype(int))
    found = bordered(points, values, types)
    assert (types == truth).mean() < 0.85
    assert (found == truth).mean() > 0.95
    np.testing.assert_array_equal(found == 2, truth == 2)


def test_a_border_moves_less_than_the_cut_of_the_clusters() -> None:
    points, values, truth = passing(2000, 2)
    cuts = [np.where(truth == 2, 2, (points[:, 0] > 20 * c).astype(int)) for c in (0.4, 0.6)]
    one, other = (bordered(points, values, types) for types in cuts)
    assert (cuts[0] == cuts[1]).mean() < 0.9
    assert (one == other).mean() > 0.97


def test_cells_that_a_rare_cluster_took_in_from_a_type_without_common_markers_go_back() -> None:
    points, values, truth = passing(2000, 4)
    types = truth.copy()
    types[np.random.default_rng(4).choice(np.flatnonzero(truth == 1), 60, replace=False)] = 2
    found = bordered(points, values, types)
    assert (types == truth).mean() < 0.98
    np.testing.assert_array_equal(found == 2, truth == 2)


def test_clusters_without_a_type_stay_and_a_type_alone_too() -> None:
    points, values, truth = passing(400, 3)
    for types in (np.full(truth.size, -1), np.where(truth == 2, 2, -1), np.where(truth == 2, 2, 0)):
        np.testing.assert_array_equal(bordered(points, values, types), types)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40))
def test_a_cell_takes_only_a_type_that_a_cluster_has(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    _, loads = loadings()
    types = rng.integers(-1, 3, n)
    values = sparse.random(n, N_GENES, density=0.4, format="csr", dtype=np.float32, rng=rng)
    tie = sparse.random(n, n, density=0.2, format="csr", dtype=np.float32, rng=rng)
    found = annotation.border_types(types, values, loadings=loads, graph=tie + tie.T)
    assert set(found) <= set(types)
    named = types >= 0
    np.testing.assert_array_equal(found[~named], types[~named])
    # without markers or ties nothing speaks against the cluster
    still = annotation.border_types(
        types, 0 * values, loadings=loads, graph=sparse.csr_matrix((n, n), dtype="f4")
    )
    np.testing.assert_array_equal(still, types)
