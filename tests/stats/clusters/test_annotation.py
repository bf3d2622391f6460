"""Cell types of groups, and refinement of the borders between types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ctcflow.stats.clusters import annotation
from ctcflow.stats.clusters.neighbors import fuzzy_graph, nearest

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
    _, loads = loadings()
    means = np.array([values[types == t].mean(axis=0) for t in np.unique(types)])
    graph = fuzzy_graph(*nearest(points, k=15, n_threads=1))
    scores = values.astype(np.float32) @ (loads / annotation.largest_means(means)[:, None])
    return annotation.border_types(types, diffused(scores.astype(np.float32), graph))


def diffused(scores: np.ndarray, graph: sparse.csr_matrix) -> np.ndarray:
    total = np.asarray(graph.sum(axis=1), dtype=np.float32).reshape(-1, 1)
    return annotation.diffused_scores(scores, ties=graph, outside=None, total=total)


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


def test_clusters_without_a_type_stay_and_a_type_that_nothing_speaks_for_is_not_given() -> None:
    _, values, truth = passing(400, 3)
    _, loads = loadings()
    for types in (np.full(truth.size, -1), np.where(truth == 2, 2, -1)):
        scores = values.astype(np.float32) @ loads.astype(np.float32)
        np.testing.assert_array_equal(annotation.border_types(types, scores), types)
    against = np.array([[-2.0, -1.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(annotation.border_types(np.array([0]), against), [0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(1, 4))
def test_a_cell_takes_the_best_type_or_keeps_its_own(seed: int, n: int, n_types: int) -> None:
    rng = np.random.default_rng(seed)
    types = rng.integers(-1, n_types, n)
    scores = rng.integers(-2, 3, (n, n_types)).astype(np.float32)
    found = annotation.border_types(types, scores)
    for own, row, now in zip(types, scores, found, strict=True):
        better = own >= 0 and row.max() > max(row[own], 0)
        assert now == (row.argmax() if better else own)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 20))
def test_diffusion_is_six_products_with_the_rows_of_the_graph(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3)).astype(np.float32)
    tie = sparse.random(n, n, density=0.3, format="csr", dtype=np.float32, rng=rng)
    step = tie.toarray() + np.eye(n)
    expected = np.linalg.matrix_power(step / step.sum(axis=1, keepdims=True), 6) @ scores
    np.testing.assert_allclose(diffused(scores, tie), expected, rtol=1e-4, atol=1e-5)
    # cells that stay as they are, as neighbours of the others
    fixed = rng.random((n, 4))
    around = np.block([[step, fixed], [np.zeros((4, n)), np.eye(4)]])
    both = np.vstack([scores, rng.normal(size=(4, 3))])
    power = np.linalg.matrix_power(around / around.sum(axis=1, keepdims=True), 6)
    found = annotation.diffused_scores(
        scores, ties=tie, outside=fixed @ both[n:], total=around[:n].sum(axis=1, keepdims=True) - 1
    )
    np.testing.assert_allclose(found, (power @ both)[:n], rtol=1e-4, atol=1e-5)
