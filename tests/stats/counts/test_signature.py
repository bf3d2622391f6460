"""UCell scores against a plain implementation per cell; other cells have no influence."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse, stats

from ctcflow.stats.counts import signature

COUNTS = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 6), st.integers(3, 40)),
    elements=st.one_of(st.just(0), st.integers(0, 6)),
)


def _plain(dense: np.ndarray, genes: np.ndarray, max_rank: int) -> np.ndarray:
    """Andreatta & Carmona 2021 as it is written down, a cell at a time."""
    scores = []
    for cell in dense:
        rank = pd.Series(cell).rank(ascending=False, method="average")
        # what is not seen, and what lies deep, counts as one rank beyond the last
        rank[(cell == 0) | (rank > max_rank)] = max_rank + 1
        n = len(genes)
        u = rank.iloc[genes].sum() - n * (n + 1) / 2
        scores.append(1 - u / (n * max_rank - n * (n - 1) / 2))
    return np.clip(scores, 0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(0, 2**32 - 1))
def test_scores_equal_the_plain_implementation(dense: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sets = [rng.permutation(dense.shape[1])[: rng.integers(1, dense.shape[1] + 1)] for _ in "ab"]
    found = signature.ucell(signature.ranks(sparse.csr_matrix(dense)), sets)
    for column, genes in enumerate(sets):
        truth = _plain(dense, genes, signature.MAX_RANK)
        np.testing.assert_allclose(found[:, column], truth, atol=1e-12)


def test_deep_cells_are_cut_at_the_last_rank() -> None:
    rng = np.random.default_rng(0)
    dense = rng.poisson(rng.gamma(0.5, 4.0, (3, 4000)))
    genes = rng.permutation(4000)[:60]
    found = signature.ucell(signature.ranks(sparse.csr_matrix(dense)), [genes])[:, 0]
    np.testing.assert_allclose(found, _plain(dense, genes, signature.MAX_RANK), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(COUNTS)
def test_ranks_are_those_of_scipy(dense: np.ndarray) -> None:
    found = signature.ranks(sparse.csr_matrix(dense)).toarray()
    for cell, rank in zip(dense, found, strict=True):
        truth = np.where(cell > 0, stats.rankdata(-cell), 0.0)
        np.testing.assert_allclose(rank, truth)


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(0, 2**32 - 1))
def test_other_cells_change_nothing(dense: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    others = rng.poisson(2.0, (5, dense.shape[1]))
    genes = [np.arange(dense.shape[1])[::2]]
    alone = signature.ucell(signature.ranks(sparse.csr_matrix(dense)), genes)
    mixed = sparse.csr_matrix(np.vstack([others, dense, others]))
    among = signature.ucell(signature.ranks(mixed), genes)[5:-5]
    assert among.tobytes() == alone.tobytes()


def test_top_genes_score_one_and_unseen_genes_nothing() -> None:
    dense = np.zeros((1, 2000), dtype=np.int32)
    dense[0, :3] = [9, 8, 7]
    top, unseen, none = np.arange(3), np.arange(3, 20), np.zeros(0, np.intp)
    found = signature.ucell(signature.ranks(sparse.csr_matrix(dense)), [top, unseen, none])[0]
    assert found[0] == 1.0
    assert found[1] < 0.01
    assert np.isnan(found[2])


def test_no_cell_and_an_empty_cell_are_scored() -> None:
    nothing = sparse.csr_matrix((0, 5), dtype=np.int32)
    assert signature.ucell(signature.ranks(nothing), [np.arange(2)]).shape == (0, 1)
    empty = sparse.csr_matrix((2, 1600), dtype=np.int32)
    found = signature.ucell(signature.ranks(empty), [np.arange(2)])
    assert (found < 1e-3).all()
