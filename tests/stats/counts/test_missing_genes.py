"""Genes missing from a matrix: what can be recovered from the others, and what cannot."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ctcflow.stats.counts.missing_genes import points_of_seen, scaled_loadings, seen_share


def made(n: int = 200, genes: int = 60, d: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of a factor model with little noise, the means of their genes, and the loadings."""
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.normal(size=(genes, d)))[0]
    values = 3 + 5 * rng.normal(size=(n, d)) @ loadings.T + rng.normal(0, 0.1, (n, genes))
    return values, values.mean(axis=0), loadings


def test_coordinates_are_nearly_those_of_all_genes() -> None:
    values, means, loadings = made()
    whole = (values - means) @ loadings
    seen = np.arange(60) % 3 > 0
    found = points_of_seen(
        sparse.csr_matrix(values[:, seen]), means=means[seen], loadings=loadings[seen]
    )
    zeros = (np.where(seen, values, 0.0) - means) @ loadings
    assert np.abs(found - whole).mean() < 0.1 * np.abs(zeros - whole).mean()
    every = points_of_seen(sparse.csr_matrix(values), means=means, loadings=loadings)
    np.testing.assert_allclose(every, whole, atol=1e-9)


def test_a_direction_of_which_no_gene_is_seen_stays_at_the_mean() -> None:
    loadings = np.eye(6)[:, :2]
    seen = np.array([True, False, True, True, True, True])
    values = sparse.csr_matrix(np.full((3, 5), 2.0))
    found = points_of_seen(values, means=np.ones(5), loadings=loadings[seen])
    np.testing.assert_allclose(found, [[1.0, 0.0]] * 3)
    assert seen_share(loadings, seen=seen) == 0.5
    assert seen_share(loadings, seen=np.ones(6, bool)) == 1
    assert seen_share(np.zeros((6, 0)), seen=seen) == 1


def test_marker_scores_are_as_large_as_with_all_genes_or_not_made() -> None:
    loadings = np.array([[0.25, 0.0], [0.25, 0.0], [0.25, 0.5], [0.25, 0.5], [0.0, -1.0]])
    seen = np.array([True, True, False, False, True])
    scaled, usable = scaled_loadings(loadings, seen=seen, fewest=0.5)
    assert usable.tolist() == [True, False]
    np.testing.assert_allclose(scaled[:, 0], [0.5, 0.5, 0, 0, 0])
    assert scaled[4, 1] == -1
    same, every = scaled_loadings(loadings, seen=np.ones(5, bool), fewest=0.5)
    np.testing.assert_array_equal(same, loadings)
    assert every.all()
