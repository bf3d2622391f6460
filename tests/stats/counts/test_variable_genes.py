"""Moments, loess, clipped variance and consensus against numpy, scikit-misc and scanpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from ctcflow.stats.counts import variable_genes
from ctcflow.stats.counts.moments import column_moments, log_normalised
from ctcflow.stats.counts.variable_genes import clipped_variance, consensus, local_regression, ranks

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "real"
GOLDEN = ROOT / "tests" / "golden"
THREE_SAMPLES = (
    "blood_pbmc1k_v2_allgenes.h5ad",
    "blood_pbmc1k_v3_filt.h5ad",
    "blood_pbmc3k_labelled.h5ad",
)


def test_moments_are_those_of_the_dense_matrix() -> None:
    x = sparse.random(40, 30, density=0.2, format="csr", random_state=1)
    mean, variance = column_moments(x)
    np.testing.assert_allclose(mean, x.toarray().mean(axis=0))
    np.testing.assert_allclose(variance, x.toarray().var(axis=0, ddof=1), atol=1e-15)


@pytest.mark.parametrize("n_cells", [0, 1])
def test_moments_of_no_spread_are_missing(n_cells: int) -> None:
    mean, variance = column_moments(sparse.csr_matrix(np.ones((n_cells, 3))))
    assert np.isnan(variance).all()
    assert np.isnan(mean).all() == (n_cells == 0)


def test_log_normalised_has_the_formula() -> None:
    x = np.array([[0, 3], [2, 8]])
    found = log_normalised(sparse.csr_matrix(x), size_factors=np.array([0.5, 2.0])).toarray()
    np.testing.assert_allclose(found, np.log1p(x / [[0.5], [2.0]]))


def test_loess_is_that_of_scikit_misc() -> None:
    # skmisc.loess 0.5.3, span 0.3, degree 2: first 20 fitted values of 400.
    expected = [-0.92629, -0.501735, -0.473203, 0.756709, 0.754587, 0.189284, -0.83537, -0.920995]
    expected += [0.987721, -0.045232, 0.495755, -0.634275, -0.916146, 0.020897, 0.356813, 0.236044]
    expected += [-0.12346, -0.724431, -0.856849, -0.805393]
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    y = np.sin(2 * x) + 0.3 * rng.normal(size=400)
    np.testing.assert_allclose(local_regression(x, y, span=0.3)[:20], expected, atol=2e-3)


def test_loess_finds_a_parabola_and_bears_ties() -> None:
    x = np.repeat(np.linspace(-1, 1, 25), 8)
    np.testing.assert_allclose(
        local_regression(x, 2 + x - 3 * x**2, span=0.3), 2 + x - 3 * x**2, atol=1e-3
    )
    assert local_regression(np.ones(4), np.arange(4.0), span=0.3).tolist() == [1.5] * 4
    mostly_equal = np.array([0.0] * 50 + [1.0, 2.0])
    assert np.isfinite(local_regression(mostly_equal, mostly_equal, span=0.3)).all()


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_loess_does_not_depend_on_the_unit_of_x(unit: float) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=120)
    y = np.sin(2 * x) + 0.3 * rng.normal(size=120)
    same = local_regression(x, y, span=0.3)
    np.testing.assert_allclose(local_regression(unit * x, y, span=0.3), same, rtol=1e-9)


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_no_cell_of_the_tree_holds_more_points_than_allowed(most: int) -> None:
    xs = np.sort(np.random.default_rng(7).normal(size=37))
    vertices = variable_genes._vertices(xs, most)
    held = np.histogram(xs, vertices)[0]
    assert held.sum() == 37
    assert held.max() <= max(most, 1)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning")
def test_real_variable_genes_are_those_of_seurat_v3() -> None:
    import anndata

    adata = anndata.read_h5ad(REAL / "blood_pbmc1k_v2_allgenes.h5ad")
    adata.var_names_make_unique()
    rank = ranks(clipped_variance(sparse.csr_matrix(adata.X), span=0.3))
    mine = set(adata.var_names[rank < 2000])
    # scanpy 1.12.4 with scikit-misc 0.5.3, n_top_genes=2000.
    golden = set((GOLDEN / "seurat_v3_pbmc1k_v2.txt").read_text().split())
    assert len(golden) == 2000
    assert len(mine & golden) >= 1990


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning")
def test_real_consensus_is_that_of_seurat_v3() -> None:
    import anndata

    samples = [anndata.read_h5ad(REAL / name) for name in THREE_SAMPLES]
    for adata in samples:
        adata.var_names_make_unique()
    shared = samples[0].var_names
    for adata in samples[1:]:
        shared = shared.intersection(adata.var_names)
    own = [
        ranks(clipped_variance(sparse.csr_matrix(adata[:, shared].X), span=0.3))
        for adata in samples
    ]
    mine = set(shared[consensus(np.array(own), n_genes=2000)])
    # scanpy 1.12.4 with scikit-misc 0.5.3: n_top_genes=2000, a batch_key for the three samples
    golden = set((GOLDEN / "seurat_v3_three_pbmc.txt").read_text().split())
    assert len(golden) == 2000
    assert len(mine & golden) >= 1990


def test_clipped_variance_without_clipping_is_the_standardised_variance() -> None:
    x = np.random.default_rng(0).poisson(np.linspace(0.2, 6, 300), size=(50, 300))
    mean, variance = x.mean(axis=0), x.var(axis=0, ddof=1)
    fitted = 10 ** local_regression(np.log10(mean), np.log10(variance), span=0.3)
    z = (x - mean) / np.sqrt(fitted)
    expected = (np.minimum(z, np.sqrt(50)) ** 2).sum(axis=0) / 49
    np.testing.assert_allclose(clipped_variance(sparse.csr_matrix(x), span=0.3), expected)


def test_consensus_orders_by_median_rank_then_samples() -> None:
    nan = np.nan
    table = np.array([[0, 3, 1, nan, 2], [nan, 0, 2, nan, 9], [nan, 4, 0, nan, 1]], np.float32)
    # Among the first five: gene 0 once (0), gene 2 in all (median 1), 4 in two (1.5), 1 in all (3).
    assert consensus(table, n_genes=5).tolist() == [True, True, True, False, True]
    # Among the first two: genes 0 and 1 once each (0), gene 2 in two (0.5), gene 4 once (1).
    assert consensus(table, n_genes=2).tolist() == [True, True, False, False, False]
    tied = np.array([[0, 1, 2], [1, nan, 0], [2, nan, nan]], np.float32)
    # All have median 1; gene 0 in three samples, gene 2 in two.
    assert consensus(tied, n_genes=3).all()
    assert consensus(np.zeros((0, 4), np.float32), n_genes=2).tolist() == [False] * 4


def test_consensus_is_that_of_pandas() -> None:
    rng = np.random.default_rng(2)
    table = np.array([rng.permutation(200) for _ in range(5)], np.float32)
    kept = np.where(table < 60, table, np.nan)
    n = np.isfinite(kept).sum(axis=0)
    seen = [kept[:, g][~np.isnan(kept[:, g])] for g in range(200)]
    key = [(float(np.median(seen[g])) if n[g] else 1e9, -n[g], g) for g in range(200)]
    order = [g for *_, g in sorted(key)]
    assert set(np.flatnonzero(consensus(table, n_genes=60))) == set(order[:60])
