"""Neighbours, fuzzy graph, mixing and layout against sklearn, harmonypy and direct formulas."""

from __future__ import annotations

import numpy as np
import pytest

from ctcflow.stats.clusters import layout
from ctcflow.stats.clusters.layout import umap_layout
from ctcflow.stats.clusters.neighbors import (
    distance_graph,
    fuzzy_graph,
    nearest,
    tie_strengths,
)
from ctcflow.stats.embedding.mixing import (
    acceptance,
    batch_entropy,
    inverse_simpson,
    kernel_weights,
)


def cloud(n: int, d: int = 8) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(size=(n, d)) + 4 * rng.integers(0, 3, size=(n, 1))


def test_neighbours_are_those_of_sklearn_at_any_number_of_threads() -> None:
    from sklearn.neighbors import NearestNeighbors

    points = cloud(700) + 1000
    indices, distances = nearest(points, k=12, n_threads=1)
    # its tree sums squared differences; `brute` multiplies matrices, and is 6e-5 off so far from
    # the origin on some processors
    expected, places = (
        NearestNeighbors(n_neighbors=12, algorithm="kd_tree").fit(points).kneighbors(points)
    )
    np.testing.assert_allclose(distances, expected, atol=1e-5)
    assert (indices == places).mean() > 0.999
    again = nearest(points, k=12, n_threads=2)
    assert again[0].tobytes() == indices.tobytes()
    assert again[1].tobytes() == distances.tobytes()


def test_equal_points_come_in_order_and_the_point_itself_first() -> None:
    indices, distances = nearest(np.zeros((300, 2)), k=4, n_threads=2)
    assert indices[0].tolist() == [0, 1, 2, 3]
    assert indices[200].tolist() == [200, 0, 1, 2]
    assert not distances.any()


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_points(n: int) -> None:
    indices, distances = nearest(cloud(n), k=10, n_threads=1)
    assert indices.shape == (n, min(n, 10))
    graph = fuzzy_graph(indices, distances)
    assert graph.shape == distance_graph(indices, distances).shape == (n, n)
    start = np.zeros((n, 2))
    assert umap_layout(graph, start=start, min_dist=0.3, n_epochs=5, seed=0).shape == (n, 2)


def test_strengths_of_a_point_sum_to_log2_k() -> None:
    indices, distances = nearest(cloud(200), k=15, n_threads=1)
    graph = fuzzy_graph(indices, distances).toarray()
    assert np.array_equal(graph, graph.T)
    one_way = np.zeros((200, 200))
    for i in range(200):
        excess = distances[i, 1:] - distances[i, 1]
        low, high = 1e-6, 1e3
        for _ in range(80):
            width = (low + high) / 2
            above = np.exp(-excess / width).sum() > np.log2(15)
            low, high = (low, width) if above else (width, high)
        one_way[i, indices[i, 1:]] = np.exp(-excess / width)
    expected = one_way + one_way.T - one_way * one_way.T
    np.testing.assert_allclose(graph, expected, atol=1e-4)


def test_strengths_sum_to_log2_k_within_the_tolerance_of_umap_learn() -> None:
    distances = nearest(cloud(3000), k=15, n_threads=1)[1]
    off = tie_strengths(distances).sum(axis=1) - np.log2(15)
    assert 1e-7 < np.abs(off).max() < 1e-5  # SMOOTH_K_TOLERANCE


def test_the_first_step_is_half_a_unit_along_each_axis_for_every_point() -> None:
    """The bias correction of Adam (Kingma 2015): a first step has the size of the step alone."""
    indices = np.array([[0, 1], [1, 0]])
    graph = fuzzy_graph(indices, np.array([[0.0, 1.0], [0.0, 1.0]]))
    start = np.array([[-1.0, -1.0], [1.0, 1.0]])
    found = umap_layout(graph, start=start, min_dist=0.3, n_epochs=1, seed=0)
    np.testing.assert_allclose(found, [[-9.5, -9.5], [9.5, 9.5]], atol=2e-3)  # they attract


def test_only_the_shape_of_the_start_matters() -> None:
    points = cloud(60)
    graph = fuzzy_graph(*nearest(points, k=8, n_threads=1))
    options = {"min_dist": 0.3, "n_epochs": 20, "seed": 0}
    first = umap_layout(graph, start=points[:, :2], **options)
    np.testing.assert_array_equal(umap_layout(graph, start=points[:, :2] * 64, **options), first)


@pytest.mark.parametrize(
    ("min_dist", "a", "b"),
    # umap-learn 0.5.12, find_ab_params(1.0, min_dist)
    [(0.1, 1.576943, 0.895061), (0.3, 0.992176, 1.112253), (0.5, 0.58303, 1.334167)],
)
def test_the_curve_of_the_forces_is_that_of_umap_learn(min_dist: float, a: float, b: float) -> None:
    np.testing.assert_allclose(layout.curve(min_dist=min_dist), (a, b), atol=2e-6)


def test_layout_keeps_groups_apart_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], 60)
    points = rng.normal(size=(180, 5)) + 12 * np.eye(5)[group]
    graph = fuzzy_graph(*nearest(points, k=10, n_threads=1))
    first = umap_layout(graph, start=points[:, :2], min_dist=0.3, n_epochs=100, seed=1)
    again = umap_layout(graph, start=points[:, :2], min_dist=0.3, n_epochs=100, seed=1)
    assert first.tobytes() == again.tobytes()
    near = nearest(first, k=6, n_threads=1)[0]
    assert (group[near] == group[:, None]).mean() > 0.98


def arms(n: int) -> np.ndarray:
    """Three arms that leave one middle in ten dimensions: groups and gradients, as in blood."""
    rng = np.random.default_rng(5)
    along = rng.uniform(0, 12, n)
    points = rng.normal(size=(n, 10))
    points[np.arange(n), np.arange(n) % 3] += along
    return points


def kept(points: np.ndarray, found: np.ndarray) -> float:
    """Share of the 15 nearest other points that are among the 15 nearest on the map."""
    before, after = (nearest(each, k=16, n_threads=1)[0][:, 1:] for each in (points, found))
    return float(np.mean([np.isin(*pair).mean() for pair in zip(before, after, strict=True)]))


def test_layout_keeps_as_many_neighbours_as_umap_learn() -> None:
    from sklearn.manifold import trustworthiness

    points = arms(600)
    graph = fuzzy_graph(*nearest(points, k=15, n_threads=1))
    found = umap_layout(graph, start=points[:, :2], min_dist=0.3, n_epochs=200, seed=0)
    # umap-learn 0.5.12 of the same graph, its own start, 500 rounds, seeds 0 and 1: means
    assert trustworthiness(points, found, n_neighbors=15) >= 0.9588 - 0.01
    assert kept(points, found.astype(float)) >= 0.4222 - 0.01
    assert np.abs(found.mean(axis=0)).max() < 1e-4


def test_forces_are_the_slopes_of_the_objective_of_umap() -> None:
    """McInnes 2018: w = 1 / (1 + a d^2b); ties pull along log w, others push along log(1 - w)."""
    a, b = layout.curve(min_dist=0.3)
    places = np.array([[0.0, 1.2], [0.0, 0.9]])  # one row per axis
    apart = places[:, 0] - places[:, 1]

    def slope(value: str) -> np.ndarray:
        def at(shift: np.ndarray) -> float:
            w = 1 / (1 + a * float(((apart + shift) ** 2).sum()) ** b)
            return np.log(w) if value == "tie" else np.log(1 - w)

        step = 1e-6 * np.eye(2)
        return np.array([(at(one) - at(-one)) / 2e-6 for one in step])

    single = places.astype(np.float32), np.float32(a), np.float32(b)
    pull = layout._attraction(single[0], np.array([0]), np.array([1]), *single[1:])
    # each of the two directions of a tie moves both ends
    np.testing.assert_allclose(pull, np.outer(2 * slope("tie"), [1, -1]), rtol=1e-4)
    n_due = np.array([3.0, 1.0], dtype=np.float32)
    push = layout._repulsion(single[0], n_due, *single[1:], np.random.default_rng(0))
    rng = np.random.default_rng(0)
    drawn = np.array([rng.integers(0, 2, 2, dtype=np.int32) for _ in range(20)])
    others = (drawn == [1, 0]).mean(axis=0)  # of five per tie; the rest drew themselves
    expected = np.outer(slope("other"), [1, -1]) * 5 * n_due * others
    np.testing.assert_allclose(push, expected, rtol=2e-3)


def test_equal_points_do_not_pull_and_near_ones_are_not_flung_away() -> None:
    a, b = (np.float32(value) for value in layout.curve(min_dist=0.3))
    places = np.array([[0.0, 0.0, 1e-3], [5.0, 5.0, 5.0]], dtype=np.float32)
    still = layout._attraction(places, np.array([0]), np.array([1]), a, b)
    assert not still.any()
    n_due = np.ones(3, dtype=np.float32)
    push = layout._repulsion(places, n_due, a, b, np.random.default_rng(1))
    assert np.abs(push).max() <= 5 * 4
    assert push[0, 2] > 0 > push[0, 0]


def test_lisi_is_that_of_harmonypy() -> None:
    from harmonypy import compute_lisi

    points = cloud(400)
    labels = np.random.default_rng(1).integers(0, 3, 400)
    labels[points[:, 0] > 5] = 2
    indices, distances = nearest(points, k=91, n_threads=1)
    weights = kernel_weights(distances[:, 1:], perplexity=30)
    mine = inverse_simpson(weights, labels[indices[:, 1:]], n_labels=3)
    theirs = compute_lisi(points, {"label": labels}, ["label"], perplexity=30)[:, 0]
    np.testing.assert_allclose(mine, theirs, rtol=1e-3)


def test_lisi_counts_labels() -> None:
    weights = kernel_weights(np.ones((1, 30)), perplexity=10)
    assert inverse_simpson(weights, np.zeros((1, 30), int), n_labels=3)[0] == pytest.approx(1)
    mixed = inverse_simpson(weights, np.arange(30)[None] % 3, n_labels=3)
    assert mixed[0] == pytest.approx(3)


def test_entropy_and_acceptance_against_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(4)
    neighbors = rng.choice(3, size=(50, 40), p=[0.5, 0.3, 0.2])
    shares = np.array([0.5, 0.3, 0.2])
    accepted = acceptance(neighbors, shares=shares, alpha=0.05)
    entropy = batch_entropy(neighbors, shares=shares)
    for row in range(50):
        counts = np.bincount(neighbors[row], minlength=3)
        assert accepted[row] == (stats.chisquare(counts, 40 * shares).pvalue >= 0.05)
        expected = stats.entropy(counts) / stats.entropy(shares)
        assert entropy[row] == pytest.approx(expected)
    assert not acceptance(np.zeros((1, 40), int), shares=shares, alpha=0.05)[0]
