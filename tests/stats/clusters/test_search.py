"""Search with inverted lists against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from ctcflow.stats.clusters import graph_clusters
from ctcflow.stats.clusters.search import search


def brute(queries: np.ndarray, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    apart = cdist(queries, points)
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(apart, order, axis=1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 700),
    d=st.integers(1, 12),
    k=st.integers(1, 20),
    offset=st.sampled_from([0.0, 300.0, 1e4]),
)
def test_all_lists_give_what_brute_force_gives(seed, n, d, k, offset):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d)) + 5 * rng.integers(0, 4, size=(n, 1)) + offset
    queries = rng.normal(size=(30, d)) * 4 + offset
    places, expected = brute(queries, points, k)
    indices, distances = search(queries, points, k=k, n_probed=None, same=False, n_threads=1)
    np.testing.assert_allclose(distances, expected, rtol=1e-9, atol=1e-9)
    assert np.array_equal(indices, places)


def test_lattice_points_tie_in_order():
    """Whole numbers tie often; the first of equals comes first, as a stable sort has it."""
    rng = np.random.default_rng(0)
    points = rng.integers(0, 4, size=(800, 3)).astype(float)
    places, expected = brute(points[:100], points, 9)
    indices, distances = search(points[:100], points, k=9, n_probed=None, same=False, n_threads=2)
    np.testing.assert_allclose(distances, expected)
    assert np.array_equal(indices, places)


@pytest.mark.parametrize("n_probed", [None, 12])
def test_threads_change_no_byte(n_probed):
    points = np.random.default_rng(1).normal(size=(3000, 10))
    one, two = (
        search(points, points, k=15, n_probed=n_probed, same=True, n_threads=n) for n in (1, 2)
    )
    assert one[0].tobytes() == two[0].tobytes()
    assert one[1].tobytes() == two[1].tobytes()
    assert np.array_equal(one[0][:, 0], np.arange(3000))


def test_few_lists_find_nearly_all_of_a_structured_cloud():
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(12, 30)) * np.linspace(5, 0.5, 30)
    points = centres[rng.integers(0, 12, 6000)] + rng.normal(size=(6000, 5)) @ rng.normal(
        size=(5, 30)
    )
    places, _ = brute(points[::20], points, 15)
    found, distances = search(points, points, k=15, n_probed=16, same=True, n_threads=1)
    recall = np.mean(
        [np.isin(mine, truth).mean() for mine, truth in zip(found[::20], places, strict=True)]
    )
    assert recall >= 0.98
    assert (np.diff(distances, axis=1) >= 0).all()


def test_no_query_and_no_point():
    points = np.zeros((5, 3))
    for queries, known in ((points[:0], points), (points, points[:0])):
        indices, distances = search(queries, known, k=4, n_probed=None, same=False, n_threads=1)
        assert indices.shape == distances.shape == (len(queries), min(4, len(known)))


def test_neighbours_of_a_cohort_are_exact_up_to_a_hundred_thousand_points(monkeypatch):
    probed = []

    def recorded(queries, points, *, k, n_probed, same, n_threads):
        probed.append(n_probed)
        return np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1))

    monkeypatch.setattr(graph_clusters, "search", recorded)
    for n in (100_000, 100_001):
        graph_clusters.neighbor_graph(np.zeros((n, 1)), k=1, n_threads=1)
    assert probed == [None, graph_clusters.PROBED]
