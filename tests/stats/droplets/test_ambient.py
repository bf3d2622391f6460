"""A known contamination is recovered, and the correction keeps true expression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.droplets import ambient, exclusive_genes

REAL = Path(__file__).parents[3].parent / "shared/data/real"
SOUP = REAL / "blood_pbmc4k_soupx_with_real_soup_profile.h5ad"
PBMC3K = REAL / "blood_pbmc3k_labelled.h5ad"

N_LINEAGES, OWN, SHARED = 3, 12, 150
GENES = N_LINEAGES * OWN + SHARED
SOURCE = np.concatenate([np.repeat(np.arange(N_LINEAGES), OWN), np.full(SHARED, -1)])
EXCLUDED = (np.arange(N_LINEAGES)[:, None] != SOURCE) & (SOURCE >= 0)


def blood(
    rho: float, seed: int, n: int = 600, tilt: float = 1.0
) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray]:
    """Cells of three lineages with `rho` ambient RNA; the first lineage is `tilt` times as common
    in the ambient RNA as in the cells."""
    rng = np.random.default_rng(seed)
    lineage = np.sort(rng.choice(N_LINEAGES, n, p=[0.5, 0.3, 0.2]))
    base = rng.gamma(0.7, 1, GENES)
    types = np.where(EXCLUDED, 0.0, base * rng.lognormal(0, 0.3, (N_LINEAGES, GENES)))
    types /= types.sum(axis=1, keepdims=True)
    soup = np.average(types, axis=0, weights=[0.5 * tilt, 0.3, 0.2])
    umis = rng.lognormal(np.log(1500), 0.4, n).astype(int)
    mean = umis[:, None] * ((1 - rho) * types[lineage] + rho * soup)
    return sp.csr_matrix(rng.poisson(mean)), lineage, soup


def estimate(
    counts: sp.csr_matrix, lineage: np.ndarray, profile: np.ndarray | None, seed: int = 0
) -> ambient.Contamination:
    return ambient.contamination(
        counts,
        lineage=lineage,
        source=SOURCE,
        excluded=EXCLUDED,
        profile=profile,
        confidence=0.95,
        n_bootstraps=60,
        seed=seed,
    )


@pytest.mark.parametrize("rho", [0.0, 0.02, 0.1, 0.3])
@pytest.mark.parametrize("droplets", [True, False])
def test_known_contamination_is_recovered(rho: float, droplets: bool) -> None:
    counts, lineage, soup = blood(rho, seed=1)
    found = estimate(counts, lineage, soup if droplets else None)
    assert found.rho == pytest.approx(rho, abs=max(0.003, 0.12 * rho))
    assert found.low <= rho <= found.high
    assert found.genes > 25
    assert found.reason == ""


def test_interval_covers() -> None:
    covered = []
    for seed in range(20):
        counts, lineage, soup = blood(0.05, seed, n=150)
        found = estimate(counts, lineage, soup, seed)
        covered.append(found.low <= 0.05 <= found.high)
    assert sum(covered) >= 17


def test_ambient_rna_of_another_composition_than_the_cells() -> None:
    counts, lineage, _ = blood(0.1, seed=2, tilt=3.0)
    assert estimate(counts, lineage, None).rho == pytest.approx(0.1, rel=0.3)


def test_doublets_and_true_expression_do_not_mislead() -> None:
    counts, lineage, soup = blood(0.05, seed=3)
    rng = np.random.default_rng(4)
    dense = counts.toarray()
    pairs = rng.choice(600, (18, 2), replace=False)
    dense[pairs[:, 0]] += dense[pairs[:, 1]]
    dense[np.ix_(np.flatnonzero(lineage == 2), [0, OWN])] += 20  # two genes after all expressed
    found = estimate(sp.csr_matrix(dense), lineage, soup)
    assert found.rho == pytest.approx(0.05, abs=0.008)


def test_order_of_cells_and_seed() -> None:
    counts, lineage, soup = blood(0.05, seed=5)
    first = estimate(counts, lineage, soup)
    assert estimate(counts, lineage, soup) == first
    order = np.random.default_rng(6).permutation(lineage.size)
    assert estimate(counts[order], lineage[order], soup).rho == pytest.approx(first.rho, rel=1e-9)


def test_what_cannot_be_measured_is_said() -> None:
    counts, lineage, soup = blood(0.05, seed=7, n=60)
    for rows in ([], [0], [0, 1]):
        found = estimate(counts[rows], lineage[rows], soup)
        assert np.isnan(found.rho)
        assert "needs" in found.reason
    unknown = estimate(counts, np.full(60, -1), soup)
    assert np.isnan(unknown.rho)
    # one lineage only: its mean profile holds other lineages' genes as ambient RNA only
    counts, lineage, soup = blood(0.05, seed=8)
    alone = lineage == 0
    assert np.isnan(estimate(counts[alone], lineage[alone], None).rho)
    assert estimate(counts[alone], lineage[alone], soup).rho == pytest.approx(0.05, abs=0.01)


def test_exclusive_genes() -> None:
    names = np.array(["LYZ", "CD3D", "PPBP", "HBB", "GAPDH"], dtype=object)
    source, excluded = exclusive_genes.exclusive(names)
    group = list(exclusive_genes.GROUPS).index
    assert source.tolist() == [
        group("myeloid"),
        group("T and NK"),
        group("platelet"),
        group("erythrocyte"),
        -1,
    ]
    assert excluded[group("T and NK")].tolist() == [True, False, True, True, False]
    assert excluded[group("myeloid")].tolist() == [False, True, False, True, False]
    assert not excluded[np.maximum(source, 0), np.arange(5)].any()


def test_correction_takes_rho_out_and_nothing_else() -> None:
    counts, lineage, soup = blood(0.1, seed=9)
    before = counts.copy()
    after = ambient.correct(counts, lineage=lineage, rho=0.1, profile=soup, seed=0)
    assert (counts != before).nnz == 0
    assert after.dtype == counts.dtype
    assert (after.data > 0).all()
    assert (after > counts).nnz == 0
    assert after.sum() / counts.sum() == pytest.approx(0.9, abs=0.005)
    assert estimate(after, lineage, soup).rho < 0.015
    again = ambient.correct(counts, lineage=lineage, rho=0.1, profile=soup, seed=0)
    assert (again != after).nnz == 0
    order = np.random.default_rng(1).permutation(lineage.size)
    turned = ambient.correct(counts[order], lineage=lineage[order], rho=0.1, profile=soup, seed=0)
    assert (turned != after[order]).nnz == 0


def test_correction_keeps_the_genes_of_a_rare_cell() -> None:
    counts, lineage, soup = blood(0.1, seed=10)
    dense = counts.toarray()
    dense[0, OWN : 2 * OWN] += 30  # a cell of another lineage, taken for one of the first
    after = ambient.correct(sp.csr_matrix(dense), lineage=lineage, rho=0.1, profile=soup, seed=0)
    assert after[0, OWN : 2 * OWN].sum() > 0.75 * dense[0, OWN : 2 * OWN].sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(0, 6))
def test_correction_never_goes_below_zero(seed: int, rho: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = sp.csr_matrix(rng.poisson(rng.gamma(0.3, 5, (n, 9))).astype(np.float32))
    profile = rng.dirichlet(np.full(9, 0.3))
    lineage = rng.integers(-1, 2, n)
    after = ambient.correct(rows, lineage=lineage, rho=rho, profile=profile, seed=seed)
    assert after.shape == rows.shape
    assert (after.data > 0).all()
    np.testing.assert_array_equal(after.data, np.rint(after.data))
    assert (after > rows).nnz == 0


def test_weighted_median_is_the_median() -> None:
    rng = np.random.default_rng(11)
    values = rng.normal(size=101)
    assert ambient.weighted_median(values, np.ones(101)) == pytest.approx(np.median(values))
    assert ambient.weighted_median(np.array([1.0, 5.0]), np.array([0.0, 1.0])) == 5.0
    assert np.isnan(ambient.weighted_median(values, np.zeros(101)))


@pytest.mark.parametrize("droplets", [True, False])
def test_increment_in_real_blood(droplets: bool) -> None:
    for path in (SOUP, PBMC3K):
        if not path.exists():
            pytest.skip(f"real data not here: {path.name}")
    import anndata

    adata = anndata.read_h5ad(PBMC3K)
    names = adata.var_names.to_numpy(dtype=object)
    labels = adata.obs["cell_type"].astype(str)
    code = {"B": 1, "CD14+ Mono": 2, "FCGR3A+ Mono": 2, "DC": 2, "Platelet": 3}
    lineage = labels.map(code).fillna(0).to_numpy(np.intp)
    with_soup = anndata.read_h5ad(SOUP, backed="r").var["soup_est"]
    soup = pd.Series(with_soup.to_numpy(), with_soup.index.to_numpy(dtype=object))
    share = soup.groupby(level=0).sum().reindex(names).fillna(0.0).to_numpy(np.float64)
    share = share / share.sum()
    source, excluded = exclusive_genes.exclusive(names)
    rng = np.random.default_rng(12)
    rho = {}
    for mixed in (0.0, 0.05, 0.2):
        cells = adata.X.tocsr().astype(np.int64)
        total = np.asarray(cells.sum(axis=1)).ravel()
        cells.data = rng.binomial(cells.data, 1 - mixed)
        missing = total - np.asarray(cells.sum(axis=1)).ravel()
        gene = np.searchsorted(np.cumsum(share), rng.random(int(missing.sum())))
        gene = np.minimum(gene, share.size - 1)
        cell = np.repeat(np.arange(total.size), missing)
        one = np.ones(gene.size, dtype=np.int64)
        cells = (cells + sp.coo_matrix((one, (cell, gene)), shape=cells.shape)).tocsr()
        rho[mixed] = ambient.contamination(
            cells,
            lineage=lineage,
            source=source,
            excluded=excluded,
            profile=share if droplets else None,
            confidence=0.95,
            n_bootstraps=5,
            seed=0,
        ).rho
    for mixed in (0.05, 0.2):
        allowed = max(0.005, mixed / 5) if droplets else max(0.01, mixed * 2 / 5)
        assert rho[mixed] - rho[0.0] == pytest.approx(mixed, abs=allowed)


def test_the_interval_without_droplets_allows_for_a_mean_that_is_not_the_ambient_profile() -> None:
    """In pbmc4k the two differ by 0.15 log units per lineage: the interval is no narrower."""
    counts, lineage, soup = blood(0.1, seed=3, n=1500)
    known, guessed = (estimate(counts, lineage, each) for each in (soup, None))
    spread = np.exp(1.96 * 0.15)
    assert guessed.high / guessed.low > 0.75 * spread**2
    assert known.high / known.low < 0.75 * spread**2


def test_as_many_of_the_resampled_estimates_lie_below_the_interval_as_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts, lineage, soup = blood(0.1, seed=5)
    estimates: list[float] = []
    combined = ambient._combined

    def recorded(*given: object) -> float:
        estimates.append(combined(*given))
        return estimates[-1]

    monkeypatch.setattr(ambient, "_combined", recorded)
    found = estimate(counts, lineage, soup)
    rho, *drawn = estimates
    assert found.rho == rho
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_cells_beyond_three_spreads_of_what_ambient_rna_gives_are_left_out() -> None:
    """Of a mean of 100 counts the spread is 51, a quarter of its square beside the Poisson part."""
    seen = np.repeat([100.0, 240.0, 280.0], [40, 1, 1])[:, None]
    keep = ambient._explained(
        seen,
        np.full(42, 1000.0),
        np.zeros(42, dtype=np.intp),
        np.array([0.1]),
        np.array([1]),
        np.array([[True], [False]]),
    )
    assert np.flatnonzero(~keep[:, 1]).tolist() == [41]
