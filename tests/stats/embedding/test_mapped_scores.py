"""Smoothed marker scores of mapped cells, against one graph of reference and new cells."""

from __future__ import annotations

import numpy as np
import pytest

from ctcflow.stats.clusters import annotation
from ctcflow.stats.clusters.neighbors import nearest, tie_strengths
from ctcflow.stats.embedding.label_transfer import Placed, neighbor_shares
from ctcflow.stats.embedding.mapped_scores import mapped_scores


def placed(points: np.ndarray, reference: np.ndarray, k: int) -> Placed:
    apart = np.linalg.norm(points[:, None] - reference[None], axis=2)
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    distances = np.take_along_axis(apart, order, axis=1)
    return Placed(order, neighbor_shares(distances), distances, np.zeros(len(points)))


@pytest.mark.parametrize(
    ("n", "n_reference", "k"), [(40, 100, 8), (40, 3, 8), (2, 50, 8), (1, 2, 8)]
)
def test_it_is_diffusion_over_the_nearest_of_both_with_the_reference_held(
    n: int, n_reference: int, k: int
) -> None:
    rng = np.random.default_rng(n_reference)
    reference, points = rng.normal(size=(n_reference, 3)), rng.normal(0.3, 1, (n, 3))
    known = rng.normal(size=(n_reference, 4)).astype(np.float32)
    scores = rng.normal(size=(n, 4)).astype(np.float32)
    found = mapped_scores(
        scores,
        points,
        placed=placed(points, reference, k),
        of_reference=known,
        k=k,
        n_threads=1,
    )
    both = np.vstack([reference, points])
    indices, distances = nearest(both, k=k, n_threads=1)
    step = np.zeros((len(both), len(both)))
    for row, ties in enumerate(tie_strengths(distances)[n_reference:], start=n_reference):
        step[row, indices[row, 1:]] = ties
    new = step[n_reference:, n_reference:]
    step[n_reference:, n_reference:] = new + new.T - new * new.T
    step += np.eye(len(both))
    step /= step.sum(axis=1, keepdims=True)
    expected = np.vstack([known, scores]).astype(np.float64)
    for _ in range(annotation._DIFFUSION_STEPS):
        expected = step @ expected
    np.testing.assert_allclose(found, expected[n_reference:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n", "k"), [(0, 15), (3, 1)])
def test_without_cells_or_neighbours_scores_are_their_own(n: int, k: int) -> None:
    scores = np.ones((n, 2), dtype=np.float32)
    points = np.zeros((n, 3))
    where = placed(points, np.ones((5, 3)), k)
    known = np.zeros((5, 2), dtype=np.float32)
    found = mapped_scores(scores, points, placed=where, of_reference=known, k=k, n_threads=1)
    np.testing.assert_array_equal(found, scores)
