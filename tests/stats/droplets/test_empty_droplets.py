"""Test for empty droplets: against scipy, against simulated droplets, and on real blood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from ctcflow.stats.droplets import ambient_profile, cell_profiles, knee
from ctcflow.stats.droplets import empty_droplets as ed

ROOT = Path(__file__).parents[3]
SOUP = ROOT.parent / "shared/data/real/blood_pbmc4k_soupx_with_real_soup_profile.h5ad"
GENES = 300


def droplets(umis: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    gene = np.searchsorted(np.cumsum(share) / share.sum(), rng.random(int(umis.sum())))
    cell = np.repeat(np.arange(umis.size), umis)
    one = np.ones(gene.size, dtype=np.int32)
    return sp.coo_matrix((one, (cell, gene)), shape=(umis.size, share.size)).tocsr()


def thinned(counts: sp.csr_matrix, depth: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    total = np.asarray(counts.sum(axis=1)).ravel()
    share = np.repeat(np.minimum(1, depth / total), np.diff(counts.indptr))
    result = counts.copy()
    result.data = rng.binomial(counts.data.astype(np.int64), share).astype(np.int32)
    result.eliminate_zeros()
    return result


def two_types(rng: np.random.Generator) -> np.ndarray:
    base = rng.gamma(0.5, 1, GENES)
    types = base * rng.lognormal(0, 1.0, (2, GENES))
    return types / types.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def made() -> tuple[sp.csr_matrix, np.ndarray]:
    """3,000 low droplets, 600 empties above the bound, 60 cells per type of 150 to 2,000 counts."""
    rng = np.random.default_rng(0)
    types = two_types(rng)
    ambient = types.mean(axis=0)
    parts = [
        droplets(rng.integers(1, 101, 3000), ambient, rng),
        droplets(rng.integers(101, 400, 600), ambient, rng),
        droplets(rng.integers(150, 2000, 60), types[0], rng),
        droplets(rng.integers(150, 2000, 60), types[1], rng),
    ]
    return sp.vstack(parts, format="csr"), np.repeat([0, 1, 2, 3], [p.shape[0] for p in parts])


def judged(counts: sp.csr_matrix, seed: int = 0) -> ed.Barcodes:
    ambient = ambient_profile.ambient_profile(counts, lower=100)
    none = cell_profiles.Alternatives(*2 * (np.empty((0, counts.shape[1])),))
    return ed.barcodes(
        counts, ambient=ambient, alternatives=none, lower=100, deepest=500, n_draws=500, seed=seed
    )


@pytest.mark.parametrize("alpha", [5.0, 300.0, np.inf])
def test_log_likelihood_is_that_of_scipy(alpha: float) -> None:
    rng = np.random.default_rng(1)
    share = rng.dirichlet(np.ones(6))
    rows = rng.integers(0, 5, (4, 6))
    rows[0] = 0
    found = ambient_profile.log_likelihood(
        sp.csr_matrix(rows), ambient=ambient_profile.Ambient(share, alpha, barcodes=1, umis=1)
    )
    n = rows.sum(axis=1)
    if np.isinf(alpha):
        expected = stats.multinomial.logpmf(rows, n, share) - [float(stats_gammaln(k)) for k in n]
    else:
        expected = stats.dirichlet_multinomial.logpmf(rows, alpha * share, n)
        coefficient = np.array([stats_gammaln(k) for k in n])
        expected = expected - coefficient + stats_gammaln(alpha + n - 1) - stats_gammaln(alpha - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)


def stats_gammaln(n: object) -> np.ndarray:
    from scipy.special import gammaln

    return gammaln(np.asarray(n, dtype=float) + 1)


@pytest.mark.parametrize("alpha", [30.0, np.inf])
def test_draws_are_those_of_the_distribution(alpha: float) -> None:
    rng = np.random.default_rng(2)
    share = rng.dirichlet(np.full(40, 0.5))
    ambient = ambient_profile.Ambient(share, alpha, barcodes=1, umis=10**9)
    types = cell_profiles.Alternatives(rng.gamma(1, 1, (2, 40)), rng.dirichlet(np.full(40, 0.5), 1))
    ratios = cell_profiles.log_ratios(share, ambient.umis, types)
    fits, best = ed._draws(ambient, types, np.array([7, 60]), 1500, rng)
    for column, n in enumerate((7, 60)):
        p = share if np.isinf(alpha) else rng.dirichlet(alpha * share, 1500)
        direct = sp.csr_matrix(rng.multinomial(n, p, size=1500))
        fit = ambient_profile.log_likelihood(direct, ambient=ambient)
        assert stats.ks_2samp(fit, fits[:, column]).pvalue > 1e-3
        assert stats.ks_2samp((direct @ ratios.T).max(axis=1), best[:, column]).pvalue > 1e-3


def test_profile_and_concentration_are_recovered() -> None:
    rng = np.random.default_rng(3)
    share = rng.gamma(0.5, 1, GENES)
    share /= share.sum()
    n = rng.integers(20, 101, 2000)
    low = sp.csr_matrix(
        np.array([rng.multinomial(k, rng.dirichlet(100 * share + 1e-9)) for k in n])
    )
    ambient = ambient_profile.ambient_profile(low, lower=100)
    assert ambient.barcodes == 2000
    assert ambient.umis == n.sum()
    assert ambient.profile.sum() == pytest.approx(1)
    assert np.abs(ambient.profile - share).sum() < 0.06
    assert 80 < ambient.alpha < 125
    chance = ambient_profile.ambient_profile(droplets(n, share, rng), lower=100)
    assert chance.alpha > 3000


def test_good_turing_leaves_the_unseen_what_singletons_promise() -> None:
    rng = np.random.default_rng(4)
    share = 1.0 / np.arange(1, 5001)
    share /= share.sum()
    sums = rng.multinomial(20_000, share)
    found = ambient_profile.good_turing(sums)
    assert found.sum() == pytest.approx(1)
    assert (found > 0).all()
    unseen = sums == 0
    assert found[unseen].sum() == pytest.approx(share[unseen].sum(), rel=0.15)
    assert found[sums == 1].sum() == pytest.approx(share[sums == 1].sum(), rel=0.15)
    assert ambient_profile.good_turing(np.array([5, 0, 3])).sum() == pytest.approx(1)
    np.testing.assert_allclose(ambient_profile.good_turing(np.zeros(4, dtype=int)), 0.25)


@pytest.mark.parametrize(("times", "sure"), [(199, False), (201, True)])
def test_turings_estimate_is_used_where_its_error_is_below_a_tenth(times: int, sure: bool) -> None:
    """Its relative error is sqrt(1 / N1 + 1 / N2): a tenth for 200 genes each."""
    sums = np.repeat([1, 2, 3, 4, 5, 6, 1000], [times, times, 60, 20, 9, 4, 1])
    found = ambient_profile.good_turing(sums)
    once = found[0] / found[-1] * 1000
    assert (once == pytest.approx(2.0)) == sure  # (1 + 1) * N2 / N1


def test_a_line_is_fitted_through_five_points_and_not_through_four() -> None:
    for largest, smoothed in ((4, False), (5, True)):
        counts = np.append(np.arange(1, largest + 1), 1000)
        sums = np.repeat(counts, np.append(2 ** np.arange(largest, 0, -1), 1))
        found = ambient_profile.good_turing(sums)
        assert (found == pytest.approx(sums / sums.sum())) != smoothed


def test_p_is_uniform_on_empties_and_cells_are_found(made: tuple) -> None:
    counts, kind = made
    ambient = ambient_profile.ambient_profile(counts, lower=100)
    types = two_types(np.random.default_rng(0))
    alternatives = cell_profiles.alternatives(
        counts, ambient=ambient, columns=np.arange(GENES), shares=types.T, retain=1000
    )
    assert alternatives.own.shape[0] >= 1
    np.testing.assert_allclose(alternatives.own.sum(axis=1), 1)
    np.testing.assert_allclose(alternatives.relative @ ambient.profile, 1)
    found = ed.barcodes(
        counts,
        ambient=ambient,
        alternatives=alternatives,
        lower=100,
        deepest=500,
        n_draws=1000,
        seed=0,
    )
    assert np.isnan(found.p[kind == 0]).all()
    for level in (0.5, 0.1, 0.05, 0.01):
        share = (found.p[kind == 1] < level).mean()
        assert share < level + 3 * np.sqrt(level / 600) + 0.3 * level
    assert (found.p[kind == 1] < 0.5).mean() > 0.35
    cell = ed.is_cell(found, fdr=0.01, retain=np.inf)
    assert cell[kind >= 2].mean() > 0.97
    assert cell[kind == 1].mean() < 0.02
    assert not cell[kind == 0].any()


def test_p_is_calibrated_where_droplets_vary_more_than_chance() -> None:
    rng = np.random.default_rng(5)
    share = rng.dirichlet(np.full(GENES, 0.5))
    n = np.concatenate([rng.integers(20, 101, 2500), rng.integers(101, 300, 500)])
    rows = [rng.multinomial(k, rng.dirichlet(200 * share + 1e-9)) for k in n]
    p = judged(sp.csr_matrix(np.array(rows))).p[2500:]
    assert (p < 0.1).mean() < 0.15
    assert (p < 0.01).mean() < 0.03
    assert (p < 0.5).mean() > 0.35


def test_same_seed_same_p_in_any_order(made: tuple) -> None:
    counts, _ = made
    first = judged(counts)
    np.testing.assert_array_equal(first.p, judged(counts).p)
    order = np.random.default_rng(6).permutation(counts.shape[0])
    again = judged(counts[order])
    np.testing.assert_array_equal(again.umis, first.umis[order])
    np.testing.assert_allclose(again.p, first.p[order], rtol=1e-9)
    assert (judged(counts, seed=1).p != first.p).any()


@pytest.mark.parametrize("umis", [[], [0], [500], [3], [3, 500], [50, 60]])
def test_few_barcodes(umis: list[int]) -> None:
    rng = np.random.default_rng(7)
    counts = droplets(np.array(umis, dtype=np.int64), np.full(20, 0.05), rng)
    ambient = ambient_profile.ambient_profile(counts, lower=100)
    alternatives = cell_profiles.alternatives(
        counts, ambient=ambient, columns=np.arange(20), shares=np.full((20, 2), 0.05), retain=100
    )
    found = ed.barcodes(
        counts,
        ambient=ambient,
        alternatives=alternatives,
        lower=100,
        deepest=200,
        n_draws=50,
        seed=0,
    )
    known = (np.array(umis) > 100) & (ambient.barcodes > 0)
    np.testing.assert_array_equal(~np.isnan(found.p), known)
    assert ed.is_cell(found, fdr=0.01, retain=400).tolist() == [n >= 400 for n in umis]
    assert np.isnan(knee.knee(found.umis, lower=100).knee)


def test_knee_and_inflection() -> None:
    rng = np.random.default_rng(8)
    cells = np.exp(rng.normal(np.log(5000), 0.4, 1000)).astype(int)
    empties = rng.poisson(180, 20_000)
    umis = np.concatenate([cells, empties])
    found = knee.knee(umis, lower=100)
    assert empties.max() < found.inflection < found.knee < cells.max()
    assert (cells >= found.inflection).mean() > 0.9
    assert knee.knee(rng.permutation(umis), lower=100) == found


def test_three_different_totals_have_a_knee_and_two_have_none() -> None:
    two = np.repeat([5000, 200], [40, 4000])
    assert np.isnan(knee.knee(two, lower=100)).all()
    assert knee.knee(np.append(two, 4000), lower=100).knee == pytest.approx(4000, rel=0.02)


def test_the_knee_is_at_the_only_bend_of_the_curve() -> None:
    """Two cells, then only droplets of 150 counts: a straight line down from the second cell."""
    found = knee.knee(np.repeat([50_000, 40_000, 150], [1, 1, 10_000]), lower=100)
    assert found.knee == pytest.approx(40_000, rel=0.02)


def test_real_empties_and_small_cells() -> None:
    if not SOUP.exists():
        pytest.skip(f"real data not here: {SOUP.name}")
    import anndata

    adata = anndata.read_h5ad(SOUP)
    share = adata.var["soup_est"].to_numpy(np.float64)
    umis = np.asarray(adata.uns["nDropUMIs_all_barcodes"]).ravel().astype(np.int64)
    real_knee = knee.knee(umis, lower=100)
    assert 1000 < real_knee.inflection < real_knee.knee < 6000  # 4,340 cells were reported
    rng = np.random.default_rng(9)
    cells = adata.X.tocsr()
    small = thinned(cells[1600:2000], rng.integers(200, 501, 400), rng)
    low = rng.choice(umis[(umis > 0) & (umis <= 100)], 30_000, replace=False)
    parts = [
        droplets(low, share, rng),
        droplets(rng.integers(101, 450, 600), share, rng),
        cells[:400].astype(np.int32),
        small,
    ]
    counts = sp.vstack(parts, format="csr")
    kind = np.repeat([0, 1, 2, 3], [p.shape[0] for p in parts])
    ambient = ambient_profile.ambient_profile(counts, lower=100)
    rates = pd.read_csv(ROOT / "resources/genes/lineage_rates.tsv.gz", sep="\t", index_col="symbol")
    columns = np.flatnonzero(adata.var_names.isin(rates.index))
    shares = rates.loc[adata.var_names[columns]].to_numpy(np.float64) / 1e6 + 2e-6
    alternatives = cell_profiles.alternatives(
        counts,
        ambient=ambient,
        columns=columns,
        shares=shares,
        retain=real_knee.knee,
    )
    found = ed.barcodes(
        counts,
        ambient=ambient,
        alternatives=alternatives,
        lower=100,
        deepest=450,
        n_draws=600,
        seed=0,
    )
    empties = found.p[kind == 1]
    assert (empties < 0.5).mean() < 0.58
    assert (empties < 0.05).mean() < 0.075
    assert (empties < 0.01).mean() < 0.025
    cell = ed.is_cell(found, fdr=0.01, retain=real_knee.knee)
    assert cell[kind == 1].mean() < 0.02
    assert cell[kind == 2].mean() > 0.99
    assert cell[kind == 3].mean() > 0.95
