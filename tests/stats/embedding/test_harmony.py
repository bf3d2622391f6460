"""Results of Harmony for mapping, against the Symphony algorithm written out from its paper."""

from __future__ import annotations

import numpy as np
import pytest

from ctcflow.stats.embedding.harmony import harmony

SETTINGS = {"theta": 2.0, "max_iterations": 10, "seed": 0}


def blood(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three types in six dimensions."""
    rng = np.random.default_rng(seed)
    types = np.arange(n) % 3
    return rng.normal(size=(n, 6)) + 8 * np.eye(6)[types], types


def mapped(query: np.ndarray, sizes: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Kang 2021, Methods: soft clusters by cosine distance, then ridge with the reference added."""
    unit = query / np.linalg.norm(query, axis=1, keepdims=True)
    centroids = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    shares = np.exp(-2 * (1 - unit @ centroids.T) / 0.1)
    shares /= shares.sum(axis=1, keepdims=True)
    design = np.ones((2, query.shape[0]))
    corrected = query.copy()
    for k in range(sizes.size):
        weighted = design * shares[:, k]
        left = weighted @ design.T + np.diag([sizes[k], 1.0])
        right = weighted @ query
        right[0] += sums[k]
        beta = np.linalg.solve(left, right)
        corrected -= shares[:, k, None] * beta[1]
    return corrected


def test_sizes_and_sums_are_those_of_the_points() -> None:
    points, types = blood(300, 0)
    batches = np.arange(300) // 150
    points[batches == 1] += 2
    found = harmony(points, batches=batches, **SETTINGS)
    assert found.cluster_sizes.shape == (10,)
    assert found.cluster_sums.shape == (10, 6)
    assert found.cluster_sizes.sum() == pytest.approx(300, rel=1e-4)
    np.testing.assert_allclose(found.cluster_sums.sum(axis=0), found.points.sum(axis=0), rtol=1e-3)
    # Clusters lie where cells are.
    means = found.cluster_sums / found.cluster_sizes[:, None]
    ends = np.array([found.points[types == kind].mean(axis=0) for kind in range(3)])
    assert (np.linalg.norm(means[:, None] - ends, axis=2).min(axis=1) < 3).all()


def test_a_new_sample_is_mapped_with_them() -> None:
    points, types = blood(600, 1)
    batches = np.arange(600) // 300
    shift = np.array([3.0, 1.0, -2.0, 1.0, 0.0, 2.0])
    points[batches == 1] += 2
    found = harmony(points, batches=batches, **SETTINGS)
    query, query_types = blood(150, 2)
    corrected = mapped(query + shift, found.cluster_sizes, found.cluster_sums)
    for kind in range(3):
        goal = found.points[types == kind].mean(axis=0)
        before = np.linalg.norm((query + shift)[query_types == kind].mean(axis=0) - goal)
        after = np.linalg.norm(corrected[query_types == kind].mean(axis=0) - goal)
        assert after < 0.35 * before


@pytest.mark.parametrize("sizes", [(40, 1), (1, 1, 1, 20), (2, 2)])
def test_batches_of_one_cell_run(sizes: tuple[int, ...]) -> None:
    batches = np.repeat(np.arange(len(sizes)), sizes)
    points = blood(batches.size, 3)[0]
    found = harmony(points, batches=batches, **SETTINGS)
    assert np.isfinite(found.points).all()
    assert np.isfinite(found.cluster_sums).all()
    again = harmony(points, batches=batches, **SETTINGS)
    assert all(np.array_equal(x, y) for x, y in zip(found, again, strict=True))


@pytest.mark.parametrize("theta", [0.0, 1.0, 6.0])
def test_theta_is_the_diversity_penalty_of_harmonypy(theta: float) -> None:
    """Batches that hold types in different shares: only the penalty mixes them."""
    from harmonypy import run_harmony

    points, types = blood(300, 4)
    batches = np.where(np.arange(300) < 40 + 80 * types, 0, 1)
    points[batches == 1] += 1
    found = harmony(points, batches=batches, theta=theta, max_iterations=3, seed=0)
    direct = run_harmony(
        np.ascontiguousarray(points.T),
        {"batch": batches},
        ["batch"],
        theta=theta,
        nclust=10,
        max_iter_harmony=3,
        random_state=0,
        verbose=False,
    )
    np.testing.assert_array_equal(found.points, direct.Z_corr)
    other = harmony(points, batches=batches, theta=theta + 3, max_iterations=3, seed=0)
    assert not np.array_equal(found.points, other.points)
