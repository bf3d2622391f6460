"""Mapping onto a reference: formulas of the paper, and invariants of any mapping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.embedding import symphony
from ctcflow.stats.embedding.harmony import harmony

CENTRES = np.array([[8.0, 0, 0, 1], [0, 8.0, 0, -1], [0, 0, 8.0, 1]])


def batch(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Three groups of points in turn, moved in one direction."""
    rng = np.random.default_rng(seed)
    points = CENTRES[np.arange(n) % 3] + rng.normal(0, 0.5, (n, 4))
    return points + shift * np.array([0.5, 0.5, -0.5, 1.0])


def naive(points: np.ndarray, sizes: np.ndarray, sums: np.ndarray, rounds: int) -> np.ndarray:
    """Kang 2021, methods: cosine distance to centroids, softmax of width 0.1, then per cluster a
    ridge regression on an intercept and the batch, to which the reference adds N and C. Here the
    ridge is around the coefficient of the batch in one regression with all clusters' intercepts,
    and the memberships are those of the points moved in the round before."""
    moved, (n, k) = points, (len(points), len(sizes))
    y = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    for _ in range(rounds):
        z = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        r = np.exp(-2 * (1 - z @ y.T) / 0.1)
        r /= r.sum(axis=1, keepdims=True)
        # rows: each cluster of the reference as one point, and each point once per cluster
        intercepts = np.vstack([np.eye(k), np.tile(np.eye(k), (n, 1))])
        design = np.column_stack([intercepts, np.repeat([0.0, 1.0], [k, n * k])])
        root = np.sqrt(np.concatenate([sizes, r.ravel()]))[:, None]
        seen = np.vstack([sums / sizes[:, None], np.repeat(points, k, axis=0)])
        common = np.linalg.lstsq(root * design, root * seen, rcond=None)[0][-1]
        moved, design = points.copy(), np.ones((2, n))
        for c in range(k):
            first = design @ np.diag(r[:, c]) @ design.T
            first[0, 0] += sizes[c]
            second = design @ np.diag(r[:, c]) @ points
            second[0] += sums[c]
            second[1] += common
            beta = np.linalg.inv(first + np.diag([0.0, 1.0])) @ second
            moved -= r[:, [c]] * beta[1]
    return moved


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_it_is_the_regression_of_the_paper_around_the_shift_of_the_batch(
    n: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points, sizes = rng.normal(0, 3, (n, 4)), rng.uniform(0.5, 50, k)
    sums = sizes[:, None] * rng.normal(0, 3, (k, 4))
    every = np.ones(n, dtype=bool)
    found = symphony.mapped(points, fitted=every, cluster_sizes=sizes, cluster_sums=sums)
    np.testing.assert_allclose(found, naive(points, sizes, sums, 10), rtol=1e-7, atol=1e-7)


@pytest.fixture(scope="module")
def reference():
    points = np.concatenate([batch(300, 1), batch(240, 2, shift=3.0)])
    batches = np.repeat([0, 1], [300, 240])
    return points, batches, harmony(points, batches=batches, theta=2.0, max_iterations=10, seed=0)


def test_cells_of_the_reference_are_mapped_to_the_middle_of_what_harmony_made_of_both(
    reference,
) -> None:
    points, batches, fitted = reference
    own = batches == 1
    groups = np.concatenate([np.arange(n) % 3 for n in np.bincount(batches)])
    found = symphony.mapped(
        points[own],
        fitted=np.ones(int(own.sum()), dtype=bool),
        cluster_sizes=fitted.cluster_sizes,
        cluster_sums=fitted.cluster_sums,
    )
    for group in range(3):
        middle = fitted.points[groups == group].mean(axis=0)
        moved = np.linalg.norm(middle - points[own & (groups == group)].mean(axis=0))
        off = np.linalg.norm(middle - found[groups[own] == group].mean(axis=0))
        assert moved > 1.0
        assert off < 0.01 * moved
    # Harmony itself leaves something between its batches, and a cell is no further from its place
    here = np.linalg.norm(found - fitted.points[own], axis=1).mean()
    of_both = [fitted.points[batches == b].mean(axis=0) for b in range(2)]
    assert here < np.linalg.norm(of_both[0] - of_both[1])


def test_a_shift_of_the_new_batch_is_removed(reference) -> None:
    _, _, fitted = reference
    terms = {"cluster_sizes": fitted.cluster_sizes, "cluster_sums": fitted.cluster_sums}
    for n in (60, 3000):
        every = np.ones(n, dtype=bool)
        plain = symphony.mapped(batch(n, 9), fitted=every, **terms)
        shifted = symphony.mapped(batch(n, 9, shift=1.5), fitted=every, **terms)
        before = np.linalg.norm(batch(n, 9, shift=1.5) - batch(n, 9), axis=1).mean()
        assert np.linalg.norm(shifted - plain, axis=1).mean() < 0.02 * before


def test_clusters_that_either_side_lacks_are_moved_as_the_whole_batch() -> None:
    points = np.array([[4.0, 1.0], [4.0, 3.0]])
    weights = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    sizes, sums = np.array([50.0, 20.0, 0.0]), np.array([[150.0, 50.0], [0.0, 80.0], [0.0, 0.0]])
    found = symphony.cluster_shifts(points, weights=weights, cluster_sizes=sizes, cluster_sums=sums)
    np.testing.assert_allclose(found, np.tile([1.0, 1.0], (3, 1)))
    none = symphony.cluster_shifts(
        points, weights=0 * weights, cluster_sizes=sizes, cluster_sums=sums
    )
    np.testing.assert_array_equal(none, np.zeros((3, 2)))


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
