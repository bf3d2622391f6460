"""`normalize`, `reduce`, `integrate`, `cluster` in a row: truth, order, small and real cohorts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from threadpoolctl import threadpool_limits

from ctcflow.errors import CtcflowError
from ctcflow.files.io import read_h5ad, write_h5ad
from ctcflow.render.tables.of_run import conditions_table
from ctcflow.settings.params import ClusterParams, IntegrateParams, ReduceParams
from ctcflow.settings.sample_params import NormalizeParams
from ctcflow.stats.clusters.communities import agreement
from ctcflow.stats.counts.moments import log_normalised
from ctcflow.steps.cluster import cluster
from ctcflow.steps.integrate import integrate
from ctcflow.steps.normalize import normalize
from ctcflow.steps.reduce import reduce

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"
SIGNATURES = ROOT / "resources" / "signatures"

GENES = ["EPCAM", "CD3D", "MS4A1", "LYZ", "MT-CO1", "RPS4X", *(f"G{i}" for i in range(94))]
PANELS = pd.DataFrame({"set": ["p", "p"], "gene": ["EPCAM", "CD3D"], "direction": [1, -1]})
TECHNICAL = pd.DataFrame(
    {
        "set": ["mitochondrial", "sex", "hla"],
        "gene": [np.nan, "G3", np.nan],
        "pattern": ["^MT-", np.nan, "^G4"],
    }
)
TYPES = pd.DataFrame(
    {"set": ["T", "B", "M"], "gene": ["CD3D", "MS4A1", "LYZ"], "direction": [1, 1, 1]}
)
SETTINGS = {
    "reduce": ReduceParams(n_genes=60, n_components=8),
    "cluster": ClusterParams(n_neighbors=10, resolutions=(0.5, 1.0)),
}


def library(name: str, n: int, seed: int, shift: float = 0.0) -> anndata.AnnData:
    """Three cell types in turn; `shift` multiplies half of the other genes."""
    rng = np.random.default_rng(seed)
    rates = np.full((n, len(GENES)), 0.6)
    types = np.arange(n) % 3
    rates[:, 50:] *= np.exp(shift)
    for kind in range(3):
        rates[types == kind, 1 + kind] = 12.0
        rates[types == kind, 10 + 12 * kind : 22 + 12 * kind] = 4.0
    obs = pd.DataFrame(
        {
            "sample": name,
            "batch": name,
            "class": "blood",
            "lineage": np.array(["T", "B", "M"], dtype=object)[types],
            "truth": types.astype(str),
            "n_genes_by_counts": len(GENES),
        },
        index=pd.Index([f"c{i}" for i in range(n)], dtype=object),
    )
    obs = obs.astype(object)
    var = pd.DataFrame(index=pd.Index(GENES, dtype=object))
    return anndata.AnnData(sparse.csr_matrix(rng.poisson(rates).astype(np.int32)), obs=obs, var=var)


def normalized(counts: anndata.AnnData) -> anndata.AnnData:
    """Stand in for the cohort reader: what `normalize` gives, with log-normalised values."""
    adata = normalize(counts, params=NormalizeParams())
    factors = adata.obs["size_factor"].to_numpy()
    adata.X = log_normalised(sparse.csr_matrix(adata.X), size_factors=factors).astype(np.float32)
    return adata


def chain(cohort: list[anndata.AnnData]) -> anndata.AnnData:
    reduced = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"])
    integrated = integrate(reduced, params=IntegrateParams())
    return cluster(integrated, cohort, TYPES, params=SETTINGS["cluster"])


@pytest.fixture
def cohort() -> list[anndata.AnnData]:
    return [normalized(library("a", 90, 1)), normalized(library("b", 75, 2, shift=1.0))]


def test_normalize_measures_and_leaves_counts() -> None:
    adata = library("a", 30, 0)
    adata.X.data[adata.X.indptr[4] : adata.X.indptr[5]] = 0
    adata.X.eliminate_zeros()
    before = adata.X.toarray()
    found = normalize(adata, params=NormalizeParams(target_umis=100.0))
    assert np.array_equal(found.X.toarray(), before)
    factors = found.obs["size_factor"].to_numpy()
    assert factors[4] == 1.0
    np.testing.assert_allclose(np.delete(factors, 4), np.delete(before.sum(axis=1), 4) / 100)
    values = np.log1p(before / factors[:, None])
    np.testing.assert_allclose(found.var["lognorm_mean"], values.mean(axis=0))
    np.testing.assert_allclose(found.var["lognorm_variance"], values.var(axis=0, ddof=1))
    order = found.var.sort_values("variable_rank")["clipped_variance"].to_numpy()
    assert (np.diff(order) <= 0).all()


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_normalize_says_why_it_did_not_run(n: int) -> None:
    found = normalize(library("a", n, 0), params=NormalizeParams())
    assert f"{n} cells" in json.loads(found.uns["normalize"])["not_run"]
    assert found.var["variable_rank"].isna().all()
    assert np.isfinite(found.obs["size_factor"]).all()


def test_reduce_uses_the_right_genes(cohort: list[anndata.AnnData]) -> None:
    cohort[1] = cohort[1][:, [g for g in GENES if g not in {"LYZ", "G7"}]].copy()
    found = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"])
    used = set(found.var_names[found.var["highly_variable"]])
    assert {"EPCAM", *(f"G{i}" for i in range(8, 40))} <= used  # the panel, and genes of one type
    assert "LYZ" in found.var_names
    assert not {"MT-CO1", "G3"} & used
    assert "G4" in found.var_names
    assert list(found.var_names[found.var["panel"]]) == ["EPCAM"]
    assert list(found.obs_names[[0, 90]]) == ["a:c0", "b:c0"]
    assert found.X is None
    assert (found.varm["PCs"][~found.var["highly_variable"].to_numpy()] == 0).all()
    without = ReduceParams(n_genes=10, exclude=(), include_panel=False)
    assert reduce(cohort, PANELS, TECHNICAL, params=without).var["highly_variable"].sum() == 10


def test_genes_of_an_excluded_set_are_not_used_however_variable_they_are() -> None:
    counts = [library("a", 90, 1), library("b", 75, 2)]
    for adata in counts:
        dense = adata.X.toarray()
        dense[::3, [GENES.index("MT-CO1"), GENES.index("G3")]] *= 40
        adata.X = sparse.csr_matrix(dense)
    cohort = [normalized(adata) for adata in counts]
    usual = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"]).var["highly_variable"]
    assert not usual[["MT-CO1", "G3"]].any()
    without = ReduceParams(n_genes=60, n_components=8, exclude=("sex",))
    some = reduce(cohort, PANELS, TECHNICAL, params=without).var["highly_variable"]
    assert some[["MT-CO1", "G3"]].tolist() == [True, False]


def test_moments_of_the_cohort_are_those_of_all_its_cells(cohort: list[anndata.AnnData]) -> None:
    var = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"]).var
    values = np.vstack([adata.X.toarray() for adata in cohort]).astype(np.float64)
    np.testing.assert_allclose(var["means"], values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(var["variances"], values.var(axis=0, ddof=1), rtol=1e-5)


def test_components_and_consensus_are_those_of_scanpy(
    cohort: list[anndata.AnnData], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import ModuleType, SimpleNamespace

    from ctcflow.stats.counts.variable_genes import local_regression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scanpy

    class Loess:
        """The interface of skmisc.loess, which the environment does not have."""

        def __init__(self, x: np.ndarray, y: np.ndarray, *, span: float, degree: int) -> None:
            fitted = local_regression(x, y, span=span)
            self.outputs = SimpleNamespace(fitted_values=fitted)

        def fit(self) -> None:
            pass

    module = ModuleType("skmisc.loess")
    module.loess = Loess
    monkeypatch.setitem(sys.modules, "skmisc", ModuleType("skmisc"))
    monkeypatch.setitem(sys.modules, "skmisc.loess", module)
    params = ReduceParams(n_genes=40, n_components=6, exclude=(), include_panel=False)
    mine = reduce(cohort, PANELS, TECHNICAL, params=params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts = anndata.concat([library("a", 90, 1), library("b", 75, 2, shift=1.0)])
        table = scanpy.pp.highly_variable_genes(
            counts, flavor="seurat_v3", n_top_genes=40, batch_key="batch", inplace=False
        )
        values = anndata.concat(cohort)[:, table["highly_variable"].to_numpy()].copy()
        scanpy.pp.pca(values, n_comps=6, svd_solver="arpack")
    assert set(mine.var_names[mine.var["highly_variable"]]) == set(values.var_names)
    # Later components of this cohort are noise with nearly equal variances.
    for one, other in zip(mine.obsm["X_pca"].T[:3], values.obsm["X_pca"].T[:3], strict=True):
        assert abs(np.corrcoef(one, other)[0, 1]) >= 0.9999


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")
def test_real_components_are_those_of_scanpy() -> None:
    cohort = []
    for name in ("blood_pbmc1k_v2_allgenes.h5ad", "blood_pbmc3k_labelled.h5ad"):
        read = anndata.read_h5ad(REAL / name)
        counts = sparse.csr_matrix(read.X).astype(np.int32)
        own = anndata.AnnData(counts, obs=pd.DataFrame(index=read.obs_names.astype(object)))
        own.var_names = read.var_names.astype(object)
        own.var_names_make_unique()
        own.obs["sample"] = own.obs["batch"] = name
        cohort.append(normalized(own))
    mine = reduce(cohort, PANELS, TECHNICAL, params=ReduceParams(include_panel=False))
    used = mine.var_names[mine.var["highly_variable"]]
    assert used.size == 2000
    values = anndata.concat(cohort, join="outer", fill_value=0)[:, used].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scanpy

        scanpy.pp.pca(values, n_comps=30, svd_solver="covariance_eigh")
    for one, other in zip(mine.obsm["X_pca"].T, values.obsm["X_pca"].T, strict=True):
        assert abs(np.corrcoef(one, other)[0, 1]) >= 0.9999


def test_chain_finds_the_types_and_mixes_batches(cohort: list[anndata.AnnData]) -> None:
    found = chain(cohort)
    truth = pd.factorize(found.obs["truth"])[0]
    assert agreement(pd.factorize(found.obs["cell_type"])[0], truth) > 0.95
    assert set(found.obs["cell_type"].astype(object)) == {"T", "B", "M"}
    mixing = json.loads(found.uns["integrate"])["mixing"]
    for metric in ("iLISI", "batch_entropy", "acceptance"):
        assert mixing["after"][metric] > mixing["before"][metric]
    assert sparse.issparse(found.X) and found.X.dtype == np.float32
    # The genes of X, gathered sample by sample, are those of the cells.
    row = found.obs_names.get_loc("b:c7")
    np.testing.assert_array_equal(found.X[row].toarray(), cohort[1][7, found.var_names].X.toarray())
    best = json.loads(found.uns["markers"])
    assert set(best) == set(found.obs["cluster"].cat.categories)
    assert all(0.5 < entry["auc"] <= 1 for rows in best.values() for entry in rows[:3])
    resolutions = json.loads(found.uns["cluster"])["resolutions"]
    assert [row["resolution"] for row in resolutions] == [0.5, 1.0]
    types = json.loads(found.uns["cluster"])["cell_types"]
    of_cells = found.obs.groupby("cluster", observed=True)["cell_type"]
    assert {row["cluster"]: row["cell_type"] for row in types} == {
        cluster: names.mode()[0] for cluster, names in of_cells
    }


def test_tumour_cells_neither_pull_nor_are_pulled(cohort: list[anndata.AnnData]) -> None:
    plain = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"])
    tumour = np.zeros(plain.n_obs, dtype=bool)
    tumour[[3, 40, 100]] = True
    plain.obs["class"] = np.where(tumour, "CTC", "blood").astype(object)
    other = plain.copy()
    other.obsm["X_pca"][tumour] += 50
    first = integrate(plain, params=IntegrateParams()).obsm["X_integrated"]
    second = integrate(other, params=IntegrateParams()).obsm["X_integrated"]
    assert np.array_equal(first[~tumour], second[~tumour])
    shift = (first - plain.obsm["X_pca"])[[3, 40]]
    in_a = (plain.obs["sample"] == "a").to_numpy() & ~tumour
    expected = (first - plain.obsm["X_pca"])[in_a].mean(axis=0)
    np.testing.assert_allclose(shift, [expected] * 2, atol=1e-4)


def test_one_batch_and_method_none_say_so(cohort: list[anndata.AnnData]) -> None:
    reduced = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"])
    reduced.obs["batch"] = "same"
    for params, word in (
        (IntegrateParams(), "one batch"),
        (IntegrateParams.model_validate({"method": {"method": "none"}}), "none"),
    ):
        found = integrate(reduced, params=params)
        assert word in json.loads(found.uns["integrate"])["reason"]
        assert np.array_equal(found.obsm["X_integrated"], found.obsm["X_pca"])
    reduced.obs["batch"] = ["", *["same"] * (reduced.n_obs - 1)]
    assert json.loads(integrate(reduced, params=IntegrateParams()).uns["integrate"])["batches"]
    assert reduced.obs["batch_used"].iloc[0] == "a"
    assert np.isfinite(reduced.obsm["X_integrated"]).all()
    reduced.obs["class"] = "CTC"
    assert "0 leukocytes" in integrate(reduced, params=IntegrateParams()).uns["integrate"]


def test_threads_do_not_change_a_byte(cohort: list[anndata.AnnData]) -> None:
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            results.append(chain(cohort))
    for key in ("X_pca", "X_integrated", "X_umap"):
        assert results[0].obsm[key].tobytes() == results[1].obsm[key].tobytes()
    assert results[0].obs.equals(results[1].obs)
    first, second = (plain(found.uns) for found in results)
    assert first == second


def plain(value: object) -> object:
    """Arrays as the bytes that they are, so that they can be compared."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.hasobject else value.tobytes()
    return value


def test_order_of_cells_does_not_matter(cohort: list[anndata.AnnData]) -> None:
    order = np.random.default_rng(0).permutation(90)
    first, second = chain(cohort), chain([cohort[0][order].copy(), cohort[1]])
    place = second.obs_names.get_indexer(first.obs_names)
    np.testing.assert_allclose(first.obsm["X_pca"], second.obsm["X_pca"][place], atol=1e-4)
    types = second.obs["cell_type"].astype(object).to_numpy()[place]
    assert (types == first.obs["cell_type"].astype(object)).mean() > 0.95


@pytest.mark.parametrize("sizes", [(0,), (1,), (2,), (10,), (0, 1), (1, 40), (0, 30, 2)])
def test_small_cohorts_run_and_can_be_written(sizes: tuple[int, ...], tmp_path: Path) -> None:
    found = chain([normalized(library(f"s{i}", n, i)) for i, n in enumerate(sizes)])
    n = sum(sizes)
    assert found.n_obs == n
    assert found.obsm["X_umap"].shape == (n, 2)
    assert np.isfinite(found.obsm["X_umap"]).all()
    if n < 3:
        assert f"{n} cells" in json.loads(found.uns["cluster"])["reason"]
        assert found.obsp["connectivities"].nnz == found.obsp["distances"].nnz == 0
    if n < 20:
        assert "leukocytes" in json.loads(found.uns["integrate"])["reason"]
    for key in ("reduce", "integrate", "cluster", "markers"):
        json.loads(found.uns[key], parse_constant=pytest.fail)
    with anndata.settings.override(allow_write_nullable_strings=False):
        found.write_h5ad(tmp_path / "cohort.h5ad")
    assert anndata.read_h5ad(tmp_path / "cohort.h5ad").n_obs == n


def test_the_delivered_file_opens_in_scanpy_as_other_tools_want_it(
    cohort: list[anndata.AnnData], tmp_path: Path
) -> None:
    """Checks of the CELLxGENE schema and of its viewer, as far as they need no ontology."""
    import scanpy as sc

    found = chain(cohort)
    write_h5ad(tmp_path / "cohort.h5ad", found, delivered=True)
    read = sc.read_h5ad(tmp_path / "cohort.h5ad")
    assert read.obs_names.is_unique and read.var_names.is_unique
    assert sparse.issparse(read.X) and read.X.format == "csr" and read.X.dtype == np.float32
    for column in ("cluster", "cell_type", "leiden_0.5", "leiden_1"):
        assert read.obs[column].dtype == "category"
        assert not read.obs[column].isna().any()
    for key in ("X_pca", "X_integrated", "X_umap"):
        assert read.obsm[key].dtype == np.float32
        assert np.isfinite(read.obsm[key]).all()
    assert read.obsm["X_umap"].shape == (read.n_obs, 2)
    for key in ("connectivities", "distances"):
        assert read.obsp[key].shape == (read.n_obs, read.n_obs)
    gene = read.var_names[0]
    assert len(sc.get.obs_df(read, ["cluster", "cell_type", gene])) == read.n_obs
    # records that no tool reads are in one place, and come back to where steps look for them
    assert [key for key, value in read.uns.items() if isinstance(value, str)] == []
    assert {"reduce", "integrate", "cluster", "markers", "correction"} <= set(read.uns["ctcflow"])
    again = read_h5ad(tmp_path / "cohort.h5ad")
    assert plain(dict(again.uns)) == plain(dict(found.uns))
    raw = sparse.vstack([library("a", 90, 1).X, library("b", 75, 2, shift=1.0).X], format="csr")
    assert (read.layers["counts"] != raw).nnz == 0
    own = anndata.AnnData(np.random.default_rng(0).random((20, 9), dtype=np.float32))
    own.var["highly_variable"] = np.arange(9) < 6
    sc.pp.pca(own, n_comps=3)
    assert set(own.uns["pca"]) == set(read.uns["pca"])
    assert dict(read.uns["pca"]["params"]) == own.uns["pca"]["params"]


def test_markers_are_in_scanpys_layout_with_its_fold_changes(
    cohort: list[anndata.AnnData],
) -> None:
    import scanpy as sc

    found = chain(cohort)
    mine = sc.get.rank_genes_groups_df(found, group=None).set_index(["group", "names"])
    assert mine["pvals"].isna().all()
    sc.tl.rank_genes_groups(found, "cluster", method="wilcoxon", tie_correct=False)
    theirs = sc.get.rank_genes_groups_df(found, group=None).set_index(["group", "names"])
    assert set(mine.index) == set(theirs.index)  # fewer genes than are listed
    theirs = theirs.loc[mine.index]
    np.testing.assert_allclose(mine["logfoldchanges"], theirs["logfoldchanges"], rtol=1e-4)
    # scanpy's score is the same rank sum, standardised
    sizes = found.obs["cluster"].value_counts()
    n = mine.index.get_level_values("group").map(sizes).to_numpy(float)
    rest = found.n_obs - n
    z = (mine["scores"] - 0.5) * n * rest / np.sqrt(n * rest * (found.n_obs + 1) / 12)
    np.testing.assert_allclose(z, theirs["scores"], atol=1e-2)


def test_genes_and_counts_of_the_file_are_those_that_are_asked_for(
    cohort: list[anndata.AnnData], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctcflow.steps import collect

    whole = chain(cohort)
    assert whole.n_vars == len(GENES)
    monkeypatch.setattr(collect, "MOST_COUNTS", 10)
    part = chain(cohort)
    assert part.n_vars < len(GENES) and "counts" not in part.layers
    assert part.obs.equals(whole.obs)
    assert part.uns["markers"] == whole.uns["markers"]
    np.testing.assert_array_equal(part.X.toarray(), whole[:, part.var_names].X.toarray())
    asked = SETTINGS["cluster"].model_copy(update={"genes": "full"})
    monkeypatch.setitem(SETTINGS, "cluster", asked)
    assert chain(cohort).n_vars == len(GENES)


def test_above_the_size_of_the_sketch_the_others_follow_it(
    cohort: list[anndata.AnnData], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctcflow.steps import cluster as step

    whole = chain(cohort)
    monkeypatch.setattr(step, "SKETCH", 80)
    part = chain(cohort)
    assert json.loads(part.uns["cluster"])["sketch"] == {"cells": 80, "of": 165}
    assert json.loads(whole.uns["cluster"])["sketch"] == {"cells": 165, "of": 165}
    types = [found.obs["cell_type"].astype(object).to_numpy() for found in (whole, part)]
    assert (types[0] == types[1]).mean() > 0.97
    assert np.isfinite(part.obsm["X_umap"]).all()
    np.testing.assert_array_equal(part.X.toarray(), whole.X.toarray())
    assert all(rows[0]["auc"] > 0.6 for rows in json.loads(part.uns["markers"]).values() if rows)


def test_a_given_resolution_and_a_quality_function_are_used(
    cohort: list[anndata.AnnData],
) -> None:
    reduced = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"])
    integrated = integrate(reduced, params=IntegrateParams())
    params = ClusterParams.model_validate(
        {"quality": {"method": "rb_configuration"}, "resolutions": [0.3], "resolution": 0.3}
    )
    found = cluster(integrated, cohort, TYPES, params=params)
    (row,) = json.loads(found.uns["cluster"])["resolutions"]
    assert row["stability"] > row["stability_of_noise"]
    assert row["n_clusters"] == 3
    with pytest.raises(ValueError, match="knows no resolution"):
        ClusterParams.model_validate({"quality": {"method": "surprise"}})
    with pytest.raises(ValueError, match="must be auto or one of resolutions"):
        ClusterParams(resolution=0.7)


@pytest.mark.filterwarnings("ignore:As the residual degrees of freedom:UserWarning")
@pytest.mark.filterwarnings("ignore:The dispersion trend curve fitting:UserWarning")
def test_conditions_are_compared_over_patients_or_refused_with_the_reason() -> None:
    cohort = [normalized(library(f"s{i}", 60, i)) for i in range(5)]
    for i, sample in enumerate(cohort):
        sample.obs["patient"], sample.obs["condition"] = f"p{i}", "on" if i % 2 else "off"
    found = chain(cohort)
    table = conditions_table(found)
    assert set(table["cell_type"]) == {"T", "B", "M"}
    assert set(table["condition"]) == {"on"} and set(table["against"]) == {"off"}
    assert (table["patients"] == 2).all() and (table["patients_against"] == 3).all()
    assert table["p"].between(0, 1).all()
    assert not json.loads(found.uns["cluster"])["not_run"]
    cohort[3].obs["condition"] = "off"
    found = chain(cohort)
    (refused,) = json.loads(found.uns["cluster"])["not_run"]
    assert refused == {"what": "on against off", "reason": "1 patient in `on`, needs 2"}
    assert conditions_table(found).empty


def test_samples_that_carry_different_columns(cohort: list[anndata.AnnData]) -> None:
    cohort[0].obs["day"], cohort[0].obs["flag"] = 3, True
    cohort[1].obs["arm"] = "x"
    obs = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"]).obs
    assert obs["day"].dtype == np.float64
    assert obs["day"].isna().sum() == 75
    assert obs["flag"].iloc[0] == 1
    assert set(obs["arm"]) == {"", "x"}
    assert "size_factor" not in obs


def test_changed_samples_are_named(cohort: list[anndata.AnnData]) -> None:
    reduced = reduce(cohort, PANELS, TECHNICAL, params=SETTINGS["reduce"])
    integrated = integrate(reduced, params=IntegrateParams())
    with pytest.raises(CtcflowError, match="75 cells of the embedding are in no sample"):
        cluster(integrated, cohort[:1], TYPES, params=SETTINGS["cluster"])


def real_library(name: str, sample: str) -> anndata.AnnData:
    adata = anndata.read_h5ad(REAL / name)
    adata.var_names_make_unique()
    obs = pd.DataFrame(index=adata.obs_names.astype(object))
    obs["author"] = adata.obs["cell_type"].astype(object) if "cell_type" in adata.obs else ""
    obs["author"] = obs["author"].where(obs["author"].notna(), "")
    obs["sample"], obs["batch"], obs["class"], obs["lineage"] = sample, sample, "blood", ""
    x = sparse.csr_matrix(adata.X).astype(np.int32)
    obs["n_genes_by_counts"] = np.diff(x.indptr)
    var = pd.DataFrame(index=adata.var_names.astype(object))
    return anndata.AnnData(x, obs=obs, var=var)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")
def test_real_blood_gives_the_authors_types_and_keeps_tumour_cells_apart() -> None:
    samples = [
        real_library("blood_pbmc3k_labelled.h5ad", "pbmc3k"),
        real_library("blood_pbmc1k_v2_allgenes.h5ad", "v2"),
        real_library("blood_pbmc1k_v3_filt.h5ad", "v3"),
    ]
    tumour = real_library("tumour_copykat_TNBC_302.h5ad", "v2")
    labels = anndata.read_h5ad(REAL / "tumour_copykat_TNBC_302.h5ad").obs["copykat_pred"]
    tumour = tumour[(labels == "aneuploid").to_numpy()][:20].copy()
    tumour.obs["class"] = "CTC"
    samples[1] = anndata.concat([samples[1], tumour], join="outer", fill_value=0)
    samples[1].X = sparse.csr_matrix(samples[1].X).astype(np.int32)
    cohort = [normalized(sample) for sample in samples]
    panels, technical, types = (
        pd.read_csv(SIGNATURES / f"{name}.tsv", sep="\t")
        for name in ("tumour_panels", "technical", "cell_types")
    )
    reduced = reduce(cohort, panels, technical, params=ReduceParams())
    found = cluster(
        integrate(reduced, params=IntegrateParams()), cohort, types, params=ClusterParams()
    )
    author = found.obs["author"].to_numpy(object)
    known = (found.obs["sample"] == "pbmc3k").to_numpy() & (author != "")
    assert known.sum() == 2638
    mine = pd.factorize(found.obs["cell_type"].astype(object)[known])[0]
    assert agreement(mine, pd.factorize(author[known])[0]) >= 0.70
    mixing = json.loads(found.uns["integrate"])["mixing"]
    assert mixing["after"]["iLISI"] > 5 * mixing["before"]["iLISI"]
    is_tumour = (found.obs["class"] == "CTC").to_numpy()
    neighbors = found.obsp["distances"][is_tumour]
    assert is_tumour[neighbors.indices].mean() >= 0.95
