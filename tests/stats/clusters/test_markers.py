"""Markers, communities, cell types, components and Harmony against scipy and sklearn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import rankdata
from threadpoolctl import threadpool_info, threadpool_limits

from ctcflow.stats.clusters import markers
from ctcflow.stats.clusters.communities import QUALITY, agreement, by_size, leiden
from ctcflow.stats.clusters.markers import by_gene, group_aucs, group_sums
from ctcflow.stats.clusters.neighbors import fuzzy_graph, nearest
from ctcflow.stats.clusters.sketch import beside, choose, majority
from ctcflow.stats.clusters.stability import finest_stable, one_cloud, subsample_agreement
from ctcflow.stats.embedding import components
from ctcflow.stats.embedding.harmony import harmony, mean_shift


def aucs_of(x, groups, *, n_groups, cuts=()):
    """AUCs of cells that come in parts."""
    parts = [
        by_gene(sparse.csr_matrix(rows), groups=codes, n_groups=n_groups)
        for rows, codes in zip(np.split(x, cuts), np.split(groups, cuts), strict=True)
    ]
    return group_aucs(parts, sizes=np.bincount(groups, minlength=n_groups))


def test_auc_is_that_of_mannwhitneyu() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    x = rng.poisson(0.8, size=(60, 12)).astype(np.float32)
    x[:, 3] = 0
    groups = rng.integers(0, 3, 60)
    aucs = aucs_of(x, groups, n_groups=4, cuts=[25])
    many = aucs_of(x, groups, n_groups=300, cuts=[25])
    np.testing.assert_array_equal(many[:4], aucs)
    sums = group_sums(sparse.csr_matrix(x), groups=groups, n_groups=4)
    for group in range(3):
        inside, outside = x[groups == group], x[groups != group]
        expected = mannwhitneyu(inside, outside).statistic / (len(inside) * len(outside))
        np.testing.assert_allclose(aucs[group], expected)
        np.testing.assert_allclose(sums[group], inside.sum(axis=0))
    assert np.isnan(aucs[3]).all()


@pytest.mark.parametrize("block", [1, 20, 100])
def test_aucs_do_not_depend_on_how_many_values_a_block_holds(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    x = rng.poisson(0.8, size=(60, 12)).astype(np.float32)
    groups = rng.integers(0, 3, 60)
    whole = aucs_of(x, groups, n_groups=3)
    monkeypatch.setattr(markers, "_BLOCK", block)
    np.testing.assert_array_equal(aucs_of(x, groups, n_groups=3), whole)


def test_agreement_is_that_of_sklearn() -> None:
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(1)
    for n in (2, 7, 100):
        first, second = rng.integers(0, 4, n), rng.integers(0, 3, n)
        assert agreement(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert agreement(first, first) == 1
    for codes in (np.zeros(5, int), np.arange(5)):  # one group, and a group for each
        assert agreement(codes, codes) == adjusted_rand_score(codes, codes) == 1
    assert np.isnan(agreement(np.zeros(1, int), np.zeros(1, int)))


def test_groups_are_numbered_by_size() -> None:
    assert by_size(np.array([5, 9, 9, 2, 2, 7])).tolist() == [2, 0, 0, 1, 1, 3]


def test_aucs_are_the_statistic_of_scanpy_with_ties_corrected() -> None:
    import anndata
    import scanpy as sc
    from scipy.stats import tiecorrect

    rng = np.random.default_rng(5)
    x = np.log1p(rng.poisson(0.7, size=(200, 40)) / rng.choice([0.5, 1.0, 2.0], (200, 1)))
    x = x.astype(np.float32)
    groups = rng.integers(0, 4, 200)
    adata = anndata.AnnData(x, obs={"g": pd.Categorical(groups.astype(str))})
    sc.tl.rank_genes_groups(adata, "g", method="wilcoxon", tie_correct=True, n_genes=40)
    aucs = aucs_of(x, groups, n_groups=4)
    ties = np.array([tiecorrect(rankdata(column)) for column in x.T])
    found = adata.uns["rank_genes_groups"]
    for group in range(4):
        inside = int((groups == group).sum())
        outside = 200 - inside
        spread = np.sqrt(ties * inside * outside * 201 / 12)
        mine = (aucs[group] - 0.5) * inside * outside / spread
        theirs = pd.Series(found["scores"][str(group)], found["names"][str(group)].astype(int))
        np.testing.assert_allclose(mine, theirs.sort_index(), rtol=1e-5, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(2, 60), genes=st.integers(1, 9))
def test_aucs_of_two_groups_mirror_and_parts_do_not_matter(seed, n, genes) -> None:
    rng = np.random.default_rng(seed)
    x = rng.poisson(1.0, size=(n, genes)).astype(np.float32) / 3
    groups = rng.integers(0, 2, n)
    cut = int(rng.integers(0, n + 1))
    aucs = aucs_of(x, groups, n_groups=2)
    np.testing.assert_allclose(aucs[0], 1 - aucs[1])
    split = aucs_of(x, groups, n_groups=2, cuts=[cut])
    assert split.tobytes() == aucs.tobytes()


def test_leiden_finds_blocks_and_repeats_itself() -> None:
    block = np.kron(np.eye(3), np.ones((20, 20))) + 0.01
    np.fill_diagonal(block, 0)
    graph = sparse.csr_matrix(block)
    for method in ("modularity", *QUALITY):
        value = 0.5 if method == "cpm" else 1.0
        found, again = (
            leiden(graph, method=method, resolutions=[value, value], seed=0) for _ in range(2)
        )
        assert agreement(found[0], np.repeat([0, 1, 2], 20)) == 1 or method == "significance"
        assert np.array_equal(found[0], found[1])
        assert np.array_equal(found, again)
        assert leiden(graph[:0, :0], method=method, resolutions=[1.0], seed=0)[0].size == 0


def test_modularity_of_both_libraries_is_alike() -> None:
    import igraph

    rng = np.random.default_rng(6)
    points = rng.normal(size=(400, 6)) + 3 * rng.integers(0, 4, size=(400, 1))
    graph = fuzzy_graph(*nearest(points, k=12, n_threads=1))
    upper = sparse.triu(graph, k=1, format="coo")
    network = igraph.Graph(n=400, edges=np.column_stack([upper.row, upper.col]))
    reached = [
        network.modularity(
            leiden(graph, method=method, resolutions=[1.0], seed=0)[0], weights=upper.data
        )
        for method in ("modularity", "rb_configuration")
    ]
    assert reached[0] == pytest.approx(reached[1], abs=0.01)


def test_groups_are_stable_and_noise_is_not() -> None:
    rng = np.random.default_rng(7)
    points = rng.normal(size=(600, 10)) + 6 * np.eye(10)[rng.integers(0, 5, 600)]
    found = [
        subsample_agreement(
            fuzzy_graph(*nearest(cells, k=15, n_threads=1)),
            method="modularity",
            resolutions=[0.5, 2.0],
            share=0.8,
            n_repeats=3,
            seed=0,
        ).mean(axis=1)
        for cells in (points, one_cloud(points * 0 + rng.normal(size=points.shape), n=600, seed=1))
    ]
    assert found[0][0] > 0.95
    assert found[1][0] < 0.6
    assert finest_stable([0.5, 2.0], list(found[0]), share_of_best=0.9) == 0.5


def test_one_cloud_has_the_covariance_of_the_points() -> None:
    rng = np.random.default_rng(8)
    points = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    drawn = one_cloud(points, n=40_000, seed=0)
    expected = np.cov(points, rowvar=False)
    np.testing.assert_allclose(
        np.cov(drawn, rowvar=False), expected, atol=0.05 * np.abs(expected).max()
    )


def test_the_finest_stable_resolution() -> None:
    assert finest_stable([0.25, 0.5, 1.0], [1.0, 0.9, 0.89], share_of_best=0.9) == 0.5
    assert finest_stable([1.0, 0.25, 0.5], [0.7, 0.4, 0.9], share_of_best=0.9) == 0.5
    assert finest_stable([1.0, 0.25, 0.5], [np.nan] * 3, share_of_best=0.9) == 0.5


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    n=st.integers(0, 300),
    n_rare=st.integers(0, 300),
    size=st.integers(1, 200),
)
def test_a_sketch_has_its_size_and_the_rare_cells(seed, n, n_rare, size) -> None:
    rare = np.zeros(n, dtype=bool)
    rare[:n_rare] = True
    found = choose(rare, size=size, most_rare=0.2, seed=seed)
    assert found.size == min(n, size) == np.unique(found).size
    assert (np.diff(found) > 0).all()
    if rare.sum() <= 0.2 * size:
        assert np.isin(np.flatnonzero(rare), found).all()


def test_cells_follow_their_neighbours() -> None:
    groups = np.array([[0, 1, 1], [2, 0, 1], [1, 1, 2]])
    assert majority(groups, n_groups=3).tolist() == [1, 2, 1]
    places = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 4.0]])
    found = beside(
        places, neighbors=np.array([[1, 0], [0, 2]]), distances=np.array([[0.0, 50.0], [1.0, 1.0]])
    )
    assert found[0, 0] > 8
    np.testing.assert_allclose(found[1], [0, 2])


def test_components_are_those_of_sklearn_and_need_no_order() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(2)
    x = np.round(np.maximum(rng.normal(size=(300, 20)) @ rng.normal(size=(20, 20)), 0), 4)
    sums = components.no_sums(20)
    for part in (x[:100], x[100:101], x[101:101], x[101:]):
        sums = components.add_cells(sums, sparse.csr_matrix(part), n_threads=1)
    found = components.principal_components(sums, n_components=5)
    reference = PCA(5, svd_solver="full").fit(x)
    mine = components.project(sparse.csr_matrix(x), found)
    for one, other in zip(mine.T, reference.transform(x).T, strict=True):
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.999999
    np.testing.assert_allclose(found.variance, reference.explained_variance_)
    assert (found.loadings[np.abs(found.loadings).argmax(axis=0), range(5)] > 0).all()


@pytest.mark.parametrize("n_cells", [0, 1, 2, 3])
def test_few_cells_give_few_components(n_cells: int) -> None:
    x = sparse.csr_matrix(np.random.default_rng(0).random((n_cells, 6)))
    found = components.principal_components(
        components.add_cells(components.no_sums(6), x, n_threads=2), n_components=30
    )
    assert found.variance.size == max(n_cells - 1, 0)
    assert components.project(x, found).shape == (n_cells, max(n_cells - 1, 0))


def test_sums_are_made_on_one_thread_of_blas_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would round otherwise on a machine with one core."""
    threads = []

    class Watched(ThreadPoolExecutor):
        def map(self, *given):
            pools = threadpool_info()
            threads.extend(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")
            return super().map(*given)

    monkeypatch.setattr(components, "ThreadPoolExecutor", Watched)
    x = sparse.random(50, 6, density=0.5, format="csr", random_state=0)
    with threadpool_limits(limits=3, user_api="blas"):
        found = components.add_cells(components.no_sums(6), x, n_threads=2)
    assert set(threads) == {1}
    np.testing.assert_allclose(found.products, (x.T @ x).toarray())


def test_harmony_keeps_orientation_where_cells_equal_components() -> None:
    points = np.random.default_rng(0).normal(size=(30, 30)) * np.arange(30, 0, -1)
    batches = np.arange(30) % 2
    moved = harmony(points, batches=batches, theta=2.0, max_iterations=3, seed=0).points
    assert np.abs(moved - points).mean() < np.abs(moved.T - points).mean()
    again = harmony(points, batches=batches, theta=2.0, max_iterations=3, seed=0).points
    assert np.array_equal(moved, again)


def test_mean_shift_of_an_empty_group_is_missing() -> None:
    found = mean_shift(np.array([[1.0], [3.0]]), groups=np.array([1, 1]), n_groups=2)
    assert np.isnan(found[0, 0])
    assert found[1, 0] == 2
