"""Simulated counts have the stated distribution, by comparison with scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctcflow.simulate.cells import Parts, draw

N = 4000
PROFILE = np.array([[0.9, 0.09, 0.009, 0.001]])


def _counts(dispersion: float, umis: float = 50.0) -> np.ndarray:
    parts = Parts(np.arange(N), np.zeros(N, dtype=np.int64), np.full(N, umis))
    rng = np.random.default_rng(1)
    return draw(parts, PROFILE, N, dispersion, rng).counts.toarray()


@pytest.mark.parametrize("dispersion", [0.0, 0.2, 1.5])
def test_counts_follow_the_negative_binomial(dispersion: float) -> None:
    counts = _counts(dispersion)
    for gene, mean in enumerate(50.0 * PROFILE[0]):
        if dispersion:
            law = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
        else:
            law = stats.poisson(mean)
        cuts = np.unique(law.ppf([0.2, 0.4, 0.6, 0.8, 0.95]))
        edges = np.concatenate([[-np.inf], cuts, [np.inf]])
        expected = N * np.diff(np.concatenate([[0.0], law.cdf(cuts), [1.0]]))
        seen = np.histogram(counts[:, gene] - 0.5, edges)[0]
        used = expected > 1.0
        chi2 = ((seen[used] - expected[used]) ** 2 / expected[used]).sum()
        assert stats.chi2.sf(chi2, max(used.sum() - 1, 1)) > 1e-4


def test_genes_of_a_cell_are_independent() -> None:
    counts = _counts(0.2)
    correlation = np.corrcoef(counts[:, 0], counts[:, 1])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(N)


def test_parts_of_a_droplet_add_up() -> None:
    profiles = np.array([[1.0, 0.0], [0.0, 1.0]])
    parts = Parts(np.array([2, 0, 2]), np.array([0, 1, 1]), np.array([100.0, 40.0, 30.0]))
    drawn = draw(parts, profiles, 4, 0.2, np.random.default_rng(3))
    dense = drawn.counts.toarray()
    assert drawn.counts.shape == (4, 2)
    assert dense[1].sum() == dense[3].sum() == dense[0, 0] == 0
    assert [dense[2, 0], dense[0, 1], dense[2, 1]] == drawn.part_umis.tolist()


def test_nothing_to_draw_is_an_empty_matrix() -> None:
    nothing = Parts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    drawn = draw(nothing, PROFILE, 3, 0.2, np.random.default_rng(0))
    assert drawn.counts.shape == (3, 4)
    assert drawn.counts.nnz == 0
