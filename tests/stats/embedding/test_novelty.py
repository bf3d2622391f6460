"""Novelty: naive sums, limits with the stated share above them, labels by vote."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from ctcflow.stats.embedding import label_transfer, novelty


def test_unexpected_expression_is_the_sum_that_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(novelty, "_BLOCK", 3)
    rng = np.random.default_rng(0)
    values = rng.poisson(0.7, (8, 6)).astype(float)
    means, shares = rng.uniform(0, 2, (3, 6)), rng.dirichlet(np.ones(3), 8)
    nobody = np.zeros(8, dtype=bool)
    given = {"shares": shares, "means": means, "batches": np.zeros(8, dtype=int)}
    found = novelty.unexpected_expression(sparse.csr_matrix(values), **given, fitted=nobody)
    for cell in range(8):
        total = 0.0
        for gene in range(6):
            expected = sum(shares[cell, g] * means[g, gene] for g in range(3))
            above = max(values[cell, gene] - expected, 0.0)
            total += above**2 / (expected + 0.05)
        assert found[cell] == pytest.approx(total)


def test_what_a_batch_shows_more_of_is_expected_of_its_cells_only() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (60, 6))
    values[30:] += 3.0
    given = {"shares": np.ones((60, 1)), "means": np.full((1, 6), 0.5)}
    batches = np.repeat([0, 1], 30)
    plain, with_batch = (
        novelty.unexpected_expression(
            sparse.csr_matrix(values), **given, batches=batches, fitted=np.full(60, fitted)
        )
        for fitted in (False, True)
    )
    assert plain[30:].min() > 10 * plain[:30].max()
    assert with_batch[30:].max() < plain[30:].min() / 10
    few = np.arange(60) % 30 < 19  # of each batch one cell too few
    same = novelty.unexpected_expression(
        sparse.csr_matrix(values), **given, batches=batches, fitted=few
    )
    np.testing.assert_array_equal(same, plain)


def test_a_share_of_the_null_lies_above_its_limit_at_every_depth() -> None:
    rng = np.random.default_rng(1)
    umis = rng.lognormal(8, 1, 50_000)
    values = np.expm1(9 - 0.4 * np.log(umis) + rng.normal(0, 0.3, umis.size))
    limit = novelty.fit_limit(values[::2], umis=umis[::2], share=0.01)
    assert limit.slope == pytest.approx(-0.4, abs=0.01)
    unseen = novelty.excess(values[1::2], umis=umis[1::2], limit=limit)
    for depth in (umis[1::2] < np.exp(8), umis[1::2] >= np.exp(8)):
        assert (unseen[depth] > 1).mean() == pytest.approx(0.01, abs=0.004)
    assert np.median(unseen) == pytest.approx(0.0, abs=0.02)


def test_too_few_null_cells_give_no_limit() -> None:
    limit = novelty.fit_limit(np.ones(19), umis=np.ones(19), share=0.01)
    assert np.isnan(limit).all()
    assert np.isnan(novelty.excess(np.ones(3), umis=np.ones(3), limit=limit)).all()


def test_null_cells_without_spread_give_a_limit() -> None:
    limit = novelty.fit_limit(np.ones(30), umis=np.full(30, 500.0), share=0.01)
    found = novelty.excess(np.array([1.0, 1.5]), umis=np.full(2, 500.0), limit=limit)
    assert found[0] <= 1 < found[1]


def test_the_nearest_vote_with_one_over_their_distance() -> None:
    shares = label_transfer.neighbor_shares(np.array([[1.0, 2.0, 2.0], [0.0, 1.0, 1.0]]))
    np.testing.assert_allclose(shares[0], [0.5, 0.25, 0.25])
    # a cell that is in the reference is itself
    assert shares[1, 0] > 0.999
    indices = np.array([[0, 1, 2], [2, 1, 0]])
    found = label_transfer.votes(indices, shares, codes=np.array([1, 0, 0]), n_codes=3)
    np.testing.assert_allclose(found[0], [0.5, 0.5, 0.0])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    umap = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 8.0]])
    np.testing.assert_allclose(label_transfer.averages(indices, shares, values=umap)[0], [1.0, 2.0])
