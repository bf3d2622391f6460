"""Conservation of labels and rare cells: closed forms, and naive loops after scib."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.clusters.neighbors import nearest
from ctcflow.stats.embedding.conservation import graph_connectivity, neighbor_purity, scaled_clisi
from ctcflow.stats.embedding.embedding_metrics import measure


def by_search(neighbors: np.ndarray, labels: np.ndarray) -> float:
    """scib 1.1, metrics/graph_connectivity.py: mean of largest component / cells of the label."""
    ties = {(i, j) for i, row in enumerate(neighbors.tolist()) for j in row}
    ties |= {(j, i) for i, j in ties}
    shares = []
    for label in np.unique(labels):
        left, largest = set(np.flatnonzero(labels == label).tolist()), 0
        n = len(left)
        while left:
            queue = [left.pop()]
            size = 1
            while queue:
                here = queue.pop()
                found = {other for other in left if (here, other) in ties}
                left -= found
                queue += found
                size += len(found)
            largest = max(largest, size)
        shares.append(largest / n)
    return float(np.mean(shares))


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_connectivity_is_that_of_a_search(n: int, n_labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(n, 3)), rng.integers(0, n_labels, n)
    neighbors = nearest(points, k=4, n_threads=1)[0][:, 1:]
    assert graph_connectivity(neighbors, labels) == pytest.approx(by_search(neighbors, labels))


def test_connectivity_by_hand() -> None:
    """Label 0 in parts of three and one; label 1 in one part."""
    neighbors = np.array([[1], [2], [0], [4], [5], [4]])
    assert graph_connectivity(neighbors, np.array([0, 0, 0, 0, 1, 1])) == pytest.approx(0.875)
    assert graph_connectivity(neighbors, np.array([0, 0, 0, 1, 1, 1])) == 1


def test_clisi_on_the_scale_of_scib() -> None:
    """scib 1.1, metrics/lisi.py, clisi_graph(scale=True): (nlabs - score) / (nlabs - 1)."""
    assert scaled_clisi(np.ones(5), n_labels=3) == 1
    assert scaled_clisi(np.full(5, 3.0), n_labels=3) == 0
    assert scaled_clisi(np.array([1.0, 2.0]), n_labels=3) == pytest.approx(0.75)


@given(st.integers(3, 60), st.integers(1, 6), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_purity_is_that_of_a_loop(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, members = rng.normal(size=(n, 4)) + 30, rng.random(n) < 0.4
    members[0], k = True, min(k, n - 1)
    rows = np.flatnonzero(members)
    shares = []
    for row in rows:
        far = ((points - points[row]) ** 2).sum(axis=1)
        far[row] = np.inf
        shares.append(members[np.argsort(far)[:k]].mean())
    found = neighbor_purity(points, members=members, rows=rows, k=k)
    assert found == pytest.approx(np.mean(shares))


def test_purity_does_not_depend_on_where_the_origin_is() -> None:
    rng = np.random.default_rng(2)
    points, members = rng.integers(0, 1000, (300, 3)).astype(float), rng.random(300) < 0.4
    rows = np.flatnonzero(members)
    here, there = (
        neighbor_purity(points + origin, members=members, rows=rows, k=5) for origin in (0.0, 1e9)
    )
    assert there == here


def test_purity_of_cells_apart_and_of_cells_mixed() -> None:
    rng = np.random.default_rng(0)
    points, members = rng.normal(size=(4000, 5)), np.arange(4000) % 10 == 0
    rows = np.flatnonzero(members)
    assert neighbor_purity(points, members=members, rows=rows, k=15) == pytest.approx(0.1, abs=0.02)
    points[members] += 50
    assert neighbor_purity(points, members=members, rows=rows, k=15) == 1


def test_metrics_of_types_apart_and_batches_mixed_and_the_other_way_round() -> None:
    rng = np.random.default_rng(1)
    near, far = rng.integers(0, 2, 600), np.arange(600) % 2
    points = rng.normal(size=(600, 4)) + 40 * far[:, None]
    good = measure(points, batches=near, labels=far, n_threads=1)
    bad = measure(points, batches=far, labels=near, n_threads=1)
    assert good.conservation == {"cLISI": 1, "graph_connectivity": 1}
    assert good.mixing["iLISI"] > 0.9 and good.mixing["acceptance"] > 0.9
    assert bad.mixing["iLISI"] == pytest.approx(0) and bad.mixing["acceptance"] == 0
    assert bad.conservation["cLISI"] == pytest.approx(1 - good.mixing["iLISI"])
    assert measure(points, batches=far, labels=far * 0, n_threads=1).conservation == {}


@pytest.mark.parametrize(("between", "connected"), [(13, True), (14, False)])
def test_cells_are_tied_to_their_fourteen_nearest_as_in_the_graph_of_the_clusters(
    between: int, connected: bool
) -> None:
    """A cell with others around it, and the other cell of its label beyond them."""
    around, beyond = np.linspace(-0.2, -0.1, between), np.linspace(10.1, 10.2, 40)
    points = np.concatenate([[0.0, 10.0], around, beyond])[:, None]
    labels = np.append([0, 0], np.ones(between + 40, dtype=int))
    batches = np.arange(labels.size) % 2
    found = measure(points, batches=batches, labels=labels, n_threads=1).conservation
    of_labels = 1.0 if connected else 0.5, 40 / (40 + between)
    assert found["graph_connectivity"] == pytest.approx(np.mean(of_labels))
