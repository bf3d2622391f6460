"""Mapping onto a reference, against the formulas of the paper and what must hold of any mapping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats import symphony
from ctcflow.stats.harmony import harmony

CENTRES = np.array([[8.0, 0, 0, 1], [0, 8.0, 0, -1], [0, 0, 8.0, 1]])


def batch(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Three groups of points in turn, moved in one direction."""
    rng = np.random.default_rng(seed)
    points = CENTRES[np.arange(n) % 3] + rng.normal(0, 0.5, (n, 4))
    return points + shift * np.array([0.5, 0.5, -0.5, 1.0])


def naive(points: np.ndarray, sizes: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Kang 2021, methods: cosine distance to centroids, softmax of width 0.1, then per cluster a
    ridge regression on an intercept and the batch, to which the reference adds N and C."""
    z = points / np.linalg.norm(points, axis=1, keepdims=True)
    y = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    r = np.exp(-2 * (1 - z @ y.T) / 0.1)
    r /= r.sum(axis=1, keepdims=True)
    moved = points.copy()
    design = np.ones((2, len(points)))
    for k in range(len(sizes)):
        first = design @ np.diag(r[:, k]) @ design.T
        first[0, 0] += sizes[k]
        second = design @ np.diag(r[:, k]) @ points
        second[0] += sums[k]
        beta = np.linalg.inv(first + np.diag([0.0, 1.0])) @ second
        moved -= r[:, [k]] * beta[1]
    return moved


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_it_is_what_the_paper_says(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, sizes = rng.normal(0, 3, (n, 4)), rng.uniform(0.5, 50, k)
    sums = sizes[:, None] * rng.normal(0, 3, (k, 4))
    every = np.ones(n, dtype=bool)
    found = symphony.mapped(points, fitted=every, cluster_sizes=sizes, cluster_sums=sums)
    np.testing.assert_allclose(found, naive(points, sizes, sums), rtol=1e-7, atol=1e-7)


@pytest.fixture(scope="module")
def reference():
    points = np.concatenate([batch(300, 1), batch(240, 2, shift=3.0)])
    batches = np.repeat([0, 1], [300, 240])
    return points, batches, harmony(points, batches=batches, theta=2.0, max_iterations=10, seed=0)


def test_cells_of_the_reference_are_mapped_to_where_they_are(reference) -> None:
    points, batches, fitted = reference
    own = batches == 1
    found = symphony.mapped(
        points[own],
        fitted=np.ones(int(own.sum()), dtype=bool),
        cluster_sizes=fitted.cluster_sizes,
        cluster_sums=fitted.cluster_sums,
    )
    moved = np.linalg.norm(fitted.points[own] - points[own], axis=1).mean()
    off = np.linalg.norm(found - fitted.points[own], axis=1).mean()
    assert moved > 1.0
    assert off < 0.15 * moved


def test_a_shift_of_the_new_batch_is_removed(reference) -> None:
    _, _, fitted = reference
    terms = {"cluster_sizes": fitted.cluster_sizes, "cluster_sums": fitted.cluster_sums}
    # many cells: the ridge keeps about 1 / (1 + cells per cluster) of a shift
    every = np.ones(3000, dtype=bool)
    plain = symphony.mapped(batch(3000, 9), fitted=every, **terms)
    shifted = symphony.mapped(batch(3000, 9, shift=1.5), fitted=every, **terms)
    before = np.linalg.norm(batch(3000, 9, shift=1.5) - batch(3000, 9), axis=1).mean()
    assert np.linalg.norm(shifted - plain, axis=1).mean() < 0.05 * before


def test_other_cells_neither_pull_nor_are_pulled(reference) -> None:
    _, _, fitted = reference
    terms = {"cluster_sizes": fitted.cluster_sizes, "cluster_sums": fitted.cluster_sums}
    blood, tumour = batch(200, 9, shift=2.0), np.full((5, 4), 40.0) + np.arange(20).reshape(5, 4)
    both = np.concatenate([tumour, blood])
    is_blood = np.arange(205) >= 5
    found = symphony.mapped(both, fitted=is_blood, **terms)
    alone = symphony.mapped(blood, fitted=np.ones(200, dtype=bool), **terms)
    np.testing.assert_array_equal(found[5:], alone)
    np.testing.assert_allclose(
        found[:5] - tumour, np.tile((alone - blood).mean(axis=0), (5, 1)), rtol=1e-12
    )


def test_memberships_are_shares_and_a_point_at_the_origin_has_all_clusters() -> None:
    points = np.vstack([np.zeros(4), batch(20, 3) * 1e3, batch(20, 3) * 1e-3])
    found = symphony.memberships(points, cluster_sums=CENTRES * 50)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_allclose(found[0], 1 / 3)
    # the angle decides, not the length
    np.testing.assert_allclose(found[1:21], found[21:], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_the_shift_of_a_batch_is_found_with_lineages_held_fixed(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, shift = rng.normal(0, 5, (3, 4)), rng.normal(0, 2, 4)
    lineages = rng.integers(-1, 3, n)
    points = means[lineages] + shift
    found = symphony.lineage_shift(points, lineages=lineages, means=means)
    if (lineages >= 0).any():
        np.testing.assert_allclose(found, shift, atol=1e-9)
    else:
        assert np.isnan(found).all()
