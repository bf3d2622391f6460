"""Doublet scores: against hashing, against sums of real cells, and invariants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse, stats

from ctcflow.stats.counts.content import content_order
from ctcflow.stats.droplets import doublets
from ctcflow.stats.droplets.doublets import (
    FEWEST_CELLS,
    doublet_scores,
    expected_rate,
)

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "real"


def types(n: int, *, n_types: int, n_doublets: int, seed: int) -> sparse.csr_matrix:
    """Cells of a few kinds; the first `n_doublets` rows have a cell of the next kind added."""
    rng = np.random.default_rng(seed)
    profiles = rng.gamma(0.3, size=(n_types, 300))
    profiles /= profiles.sum(axis=1, keepdims=True)
    kind = rng.integers(0, n_types, n)
    depth = rng.lognormal(6.5, 0.3, n)
    counts = rng.poisson(profiles[kind] * depth[:, None])
    partner = (kind[:n_doublets] + 1) % n_types
    counts[:n_doublets] += rng.poisson(profiles[partner] * depth[:n_doublets][::-1, None])
    return sparse.csr_matrix(counts.astype(np.int32))


def test_sums_of_two_kinds_come_first_and_are_called() -> None:
    counts = types(700, n_types=5, n_doublets=35, seed=0)
    found = doublet_scores(counts, rate=0.05, seed=0, n_threads=1)
    assert found.score.min() >= 0 and found.score.max() <= 1
    assert found.score[:35].min() > np.quantile(found.score[35:], 0.95)
    assert found.called[:35].mean() > 0.9
    assert found.called[35:].mean() < 0.02


def test_one_kind_of_cell_has_no_visible_doublets() -> None:
    counts = types(500, n_types=1, n_doublets=25, seed=1)
    found = doublet_scores(counts, rate=0.05, seed=0, n_threads=1)
    assert found.called.mean() < 0.02
    assert found.score.mean() == pytest.approx(0.05, abs=0.05)


def test_same_seed_same_scores_at_any_number_of_threads_and_order() -> None:
    counts = types(600, n_types=4, n_doublets=30, seed=2)
    first = doublet_scores(counts, rate=0.05, seed=0, n_threads=1).score
    again = doublet_scores(counts, rate=0.05, seed=0, n_threads=2).score
    assert first.tobytes() == again.tobytes()
    order = np.random.default_rng(0).permutation(600)
    moved = doublet_scores(counts[order], rate=0.05, seed=0, n_threads=2).score
    assert moved.tobytes() == first[order].tobytes()


@pytest.mark.parametrize("n", [0, 1, 2, FEWEST_CELLS - 1])
def test_few_cells_are_not_scored(n: int) -> None:
    found = doublet_scores(
        types(60, n_types=3, n_doublets=0, seed=3)[:n], rate=0.01, seed=0, n_threads=1
    )
    assert found.score.shape == (n,)
    assert np.isnan(found.score).all() and not found.called.any()


def test_cells_without_counts_do_no_harm() -> None:
    counts = types(200, n_types=3, n_doublets=10, seed=4).tolil()
    counts[150:] = 0
    found = doublet_scores(counts.tocsr(), rate=0.05, seed=0, n_threads=1)
    assert np.isfinite(found.score).all()
    empty = sparse.csr_matrix((100, 300), dtype=np.int32)
    assert np.isnan(doublet_scores(empty, rate=0.05, seed=0, n_threads=1).score).all()


def test_order_by_content_does_not_sort_by_depth() -> None:
    counts = types(400, n_types=3, n_doublets=0, seed=5)
    order = content_order(counts, names=None)
    assert sorted(order) == list(range(400))
    totals = np.asarray(counts.sum(axis=1)).ravel()[order]
    assert abs(np.corrcoef(totals, np.arange(400))[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("chemistry", "rate"),
    [
        ("10x_3p_v3", 0.04),
        ("10x 3' v2", 0.04),
        ("10x GEM-X 3' v4", 0.02),
        ("10x_3p_v4", 0.02),
        ("10x 3' GEM-X", 0.02),
        ("10x 3' HT v3.1", 0.02),
        ("10x_3p_LT", 0.4),
        ("smart-seq2", None),
        ("", None),
    ],
)
def test_rate_expected_from_5000_cells(chemistry: str, rate: float | None) -> None:
    assert expected_rate(5000, chemistry=chemistry) == (
        None if rate is None else pytest.approx(rate)
    )


def test_every_cell_takes_part_in_as_many_simulated_doublets_and_never_with_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each cell has a gene of its own; 4,000 doublets of 60 cells are 133 for each."""
    cells = sparse.csr_matrix(np.hstack([np.eye(60, dtype=np.int32), np.ones((60, 5), np.int32)]))
    both = []
    monkeypatch.setattr(
        doublets, "_exclusive_pairs", lambda counts, n: both.append(counts) or np.zeros(4060)
    )
    doublets._features(cells, np.arange(65), 0, 1)
    own = both[0].toarray()[60:, :60]
    assert own.shape == (4000, 60)
    assert (own.sum(axis=1) == 2).all() and own.max() == 1
    np.testing.assert_allclose(own.sum(axis=0), 8000 / 60, rtol=0.35)  # four spreads


def test_log_odds_of_simulated_neighbours_change_sign_where_both_kinds_change_places() -> None:
    points = np.random.default_rng(6).normal(size=(240, 3)).astype(np.float32)
    odds = doublets._simulated_nearby(points, 120, 1)
    turned = doublets._simulated_nearby(np.roll(points, 120, axis=0), 120, 1)
    np.testing.assert_allclose(np.roll(turned, 120), -odds, atol=1e-9)
    assert odds.min() < 0 < odds.max()


def test_pairs_of_genes_are_weighed_by_the_cells_alone_and_as_in_cxds() -> None:
    """Bais & Kostka 2020: -log p of a binomial, here by its normal approximation."""
    rng = np.random.default_rng(7)
    n, n_genes = 90, 12
    cells = rng.random((n, n_genes)) < rng.random(n_genes)
    cells[:45, :3], cells[45:, 3:6] = False, False
    simulated = rng.random((4000, n_genes)) < 0.3
    every = np.vstack([cells, simulated])
    expected = np.zeros(len(every))
    share = cells.mean(axis=0)
    for one in range(n_genes):
        for other in set(range(n_genes)) - {one}:
            chance = share[one] * (1 - share[other]) + share[other] * (1 - share[one])
            apart = (cells[:, one] != cells[:, other]).sum()
            if apart > n * chance:
                law = stats.norm(n * chance, np.sqrt(n * chance * (1 - chance)))
                expected -= law.logsf(apart) * (every[:, one] & every[:, other])
    found = doublets._exclusive_pairs(sparse.csr_matrix(every.astype(np.int32)), n)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_hashed_cell_lines_are_ranked_as_well_as_by_scrublet() -> None:
    path = REAL / "doublets_scds_cellhashing_cell_lines_2000genes.h5ad"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    import anndata as ad
    from sklearn.metrics import average_precision_score

    adata = ad.read_h5ad(path)
    label = adata.obs["doublet_true_labels"].to_numpy(dtype=object)
    judged = label != "Negative"
    score = doublet_scores(adata.X.tocsr(), rate=0.05, seed=0, n_threads=1).score
    # scanpy 1.12.4, five seeds: 0.326 to 0.337 (benchmarks/qc/doublets.py).
    assert average_precision_score(label[judged] == "Doublet", score[judged]) > 0.337
