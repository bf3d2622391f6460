"""`freeze`, `project` and `gather`: small references, samples with many missing genes, records."""

from __future__ import annotations

import json
import re
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.files.bundles import CONTROLS

from ctcflow.errors import CtcflowError
from ctcflow.files import bundle, io
from ctcflow.settings.params import FreezeParams, GatherParams, ProjectParams
from ctcflow.stats.embedding.label_transfer import place
from ctcflow.steps import freeze as freeze_module
from ctcflow.steps.freeze import freeze
from ctcflow.steps.gather import gather
from ctcflow.steps.project import project

GENES = [f"G{k}" for k in range(40)]
TYPES = ("B", "NK", "T")
MARKERS = np.zeros((len(GENES), len(TYPES)))
for kind in range(len(TYPES)):
    MARKERS[10 * kind : 10 * kind + 4, kind] = 0.25


def expression(kinds: np.ndarray, rng: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    """Each kind has ten genes of its own; kind 3 has those that no other has."""
    values = rng.uniform(0, 0.4, (kinds.size, len(GENES)))
    for kind in range(4):
        rows = kinds == kind
        values[np.ix_(rows, range(10 * kind, 10 * kind + 10))] += 2.0
    values[:, ::2] += shift
    return values.astype(np.float32)


def cohort(n: int = 240, n_samples: int = 2, method: str = "harmony") -> anndata.AnnData:
    """What `cluster` leaves, of three types without a batch effect."""
    rng = np.random.default_rng(0)
    kinds = np.arange(n) % 3
    values = expression(kinds, rng)
    mean = values.mean(axis=0, dtype=np.float64)
    loadings = np.linalg.svd(values - mean, full_matrices=False)[2][:2].T
    points = ((values - mean) @ loadings).astype(np.float32)
    obs = pd.DataFrame(
        {
            "sample": [f"s{k // 3 % n_samples}" for k in range(n)],
            "class": "blood",
            "total_counts": rng.integers(1000, 4000, n),
            "cluster": pd.Categorical(kinds.astype(str)),
            "cell_type": pd.Categorical(np.array(TYPES, dtype=object)[kinds]),
        },
        index=[f"c{k}" for k in range(n)],
    )
    var = pd.DataFrame({"highly_variable": True, "gene_id": ""}, index=GENES)
    adata = anndata.AnnData(sparse.csr_matrix(values), obs=obs, var=var)
    adata.obsm["X_integrated"] = points
    adata.obsm["X_umap"] = points * 10
    adata.varm["PCs"] = loadings
    sums = np.array([points[kinds == kind].sum(axis=0) for kind in range(3)], dtype=np.float64)
    empty = np.zeros((0, 2))
    is_harmony, is_linear = method == "harmony", method == "linear"
    adata.uns["correction"] = {
        "cluster_sizes": np.full(3, n / 3) if is_harmony else np.zeros(0),
        "cluster_sums": sums if is_harmony else empty,
        "lineages": np.array(TYPES if is_linear else [], dtype=object),
        "lineage_means": sums / (n / 3) if is_linear else empty,
    }
    adata.uns["integrate"] = json.dumps({"method": method})
    adata.varm["cell_type_loadings"] = MARKERS
    adata.obsm["cell_type_scores"] = values @ MARKERS.astype(np.float32)
    adata.uns["cluster"] = json.dumps({"scored_types": list(TYPES)})
    steps = {"normalize": {"version": "0", "params": {"target_umis": 10_000.0}, "overrides": {}}}
    adata.uns["ctcflow"] = json.dumps({"sample": None, "steps": steps})
    return adata


def call_of(obs_names: list[str]) -> anndata.AnnData:
    adata = anndata.AnnData(obs=pd.DataFrame({"class": "blood"}, index=obs_names))
    adata.uns["call"] = json.dumps(CONTROLS)
    return adata


def frozen(adata: anndata.AnnData, tmp_path: Any, **params: Any) -> bundle.Reference:
    found = freeze(adata, call_of(["c"]), params=FreezeParams(**params))
    (tmp_path / "reference.zip").write_bytes(found["reference.zip"])
    return bundle.read(tmp_path / "reference.zip")


def new(n: int = 90, seed: int = 5, shift: float = 0.0, novel: int = 0) -> anndata.AnnData:
    """A sample as `project` gets it; its last cells are of a kind that the reference lacks."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 3
    kinds[n - novel :] = 3
    obs = pd.DataFrame(
        {
            "total_counts": rng.integers(1000, 4000, n),
            "is_leukocyte": kinds < 3,
            "lineage": pd.Categorical(np.array([*TYPES, "B"], dtype=object)[kinds]),
            "truth": np.array([*TYPES, "new"], dtype=object)[kinds],
        },
        index=[f"n{k}" for k in range(n)],
    )
    values = sparse.csr_matrix(expression(kinds, rng, shift))
    adata = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=GENES))
    steps = {"normalize": {"params": {"target_umis": 10_000.0}}}
    adata.uns["ctcflow"] = json.dumps({"sample": {"sample": "new"}, "steps": steps})
    return adata


def said(adata: anndata.AnnData) -> dict[str, Any]:
    return json.loads(str(adata.uns["project"]))


@pytest.mark.parametrize("method", ["harmony", "linear", "none"])
def test_types_are_found_and_new_ones_are_new(tmp_path: Any, method: str) -> None:
    reference = frozen(cohort(method=method), tmp_path)
    found = project(new(novel=6), reference, params=ProjectParams())
    truth = found.obs["truth"].replace("new", "not in the reference")
    assert (found.obs["cell_type"].astype(str) == truth).all()
    is_new = (found.obs["truth"] == "new").to_numpy()
    assert found.obs["cell_type_confidence"][~is_new].min() > 0.9
    assert found.obs["cell_type_confidence"][is_new].isna().all()
    assert found.obs["novelty"][is_new].min() > 1 > found.obs["novelty"][~is_new].max()
    assert said(found)["novel"] == 6
    assert said(found)["method"] == method
    # on the map of the reference, among cells of their type
    for kind, name in enumerate(TYPES):
        there = reference.umap[reference.cell_type == reference.manifest["cell_types"].index(name)]
        mine = found.obsm["X_umap"][(found.obs["truth"] == name).to_numpy()]
        assert (mine >= there.min(axis=0)).all(), kind
        assert (mine <= there.max(axis=0)).all(), kind


@pytest.mark.parametrize("method", ["harmony", "linear"])
def test_a_batch_effect_is_taken_off(tmp_path: Any, method: str) -> None:
    reference = frozen(cohort(method=method), tmp_path)
    plain = project(new(300), reference, params=ProjectParams())
    moved = project(new(300, shift=0.5), reference, params=ProjectParams())
    before = np.linalg.norm(moved.obsm["X_pca"] - plain.obsm["X_pca"], axis=1).mean()
    after = np.linalg.norm(moved.obsm["X_integrated"] - plain.obsm["X_integrated"], axis=1).mean()
    assert after < 0.1 * before
    assert (moved.obs["cell_type"].astype(str) == moved.obs["truth"]).mean() > 0.95


def test_genes_that_are_missing_are_not_seen_and_too_few_others_map_nothing(tmp_path: Any) -> None:
    reference = frozen(cohort(), tmp_path)
    sample = new()
    whole = project(sample.copy(), reference, params=ProjectParams())
    assert said(whole)["seen_share"] == 1
    fewer = project(sample[:, GENES[3:]].copy(), reference, params=ProjectParams())
    assert said(fewer)["missing_genes"] == 3
    assert said(fewer)["missing"] == GENES[:3]
    turned = project(sample[:, GENES[::-1]].copy(), reference, params=ProjectParams())
    np.testing.assert_array_equal(turned.obsm["X_umap"], whole.obsm["X_umap"])
    # every third gene lacks: the same types at nearly the same places, less sure
    most = [gene for k, gene in enumerate(GENES) if k % 3]
    found = project(sample[:, most].copy(), reference, params=ProjectParams())
    assert (found.obs["cell_type"].astype(str) == found.obs["truth"]).all()
    share = said(found)["seen_share"]
    assert 0.5 < share < 0.9
    assert found.obs["cell_type_confidence"].max() == pytest.approx(share)
    apart = np.linalg.norm(found.obsm["X_pca"] - whole.obsm["X_pca"], axis=1).mean()
    as_zero = sample.copy()
    zeros = sample.X.toarray()
    zeros[:, [k for k in range(len(GENES)) if k % 3 == 0]] = 0
    as_zero.X = sparse.csr_matrix(zeros)
    moved = project(as_zero, reference, params=ProjectParams())
    assert apart < 0.3 * np.linalg.norm(moved.obsm["X_pca"] - whole.obsm["X_pca"], axis=1).mean()


def test_a_sample_that_cannot_be_mapped_says_why_and_stays_in_the_run(tmp_path: Any) -> None:
    reference = frozen(cohort(), tmp_path)
    steps = {"normalize": {"params": {"target_umis": 5_000.0}}}
    other_scale = new()
    other_scale.uns["ctcflow"] = json.dumps({"sample": {"sample": "new"}, "steps": steps})
    refused = {
        "lacks 28 of the 40 genes.*50% are needed": new()[:, GENES[28:]].copy(),
        "target_umis is 5000, and 10000 in the reference": other_scale,
    }
    for words, sample in refused.items():
        found = project(sample, reference, params=ProjectParams())
        assert re.search(words, said(found)["not_mapped"])
        assert (found.obs["cell_type"] == "not mapped").all()
        assert found.obs[["cell_type_confidence", "novelty"]].isna().all(axis=None)
        assert found.obsm["X_umap"].shape == (90, 2) and np.isnan(found.obsm["X_umap"]).all()
        called = call_of([f"new:{name}" for name in found.obs_names])
        gathered = gather(called, [found], params=GatherParams())
        record = json.loads(str(gathered.uns["integrate"]))
        assert record["mapping of new_reason"].startswith("not mapped: ")


def test_a_cell_is_named_by_its_markers_where_its_neighbours_are_of_another_type(
    tmp_path: Any,
) -> None:
    adata = cohort()
    nk = (adata.obs["cell_type"] == "NK").to_numpy()
    lost = np.flatnonzero(nk)[::3]
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str)
    adata.obs.iloc[lost, adata.obs.columns.get_loc("cell_type")] = "T"
    reference = frozen(adata, tmp_path)
    found = project(new(), reference, params=ProjectParams())
    assert (found.obs["cell_type"].astype(str) == found.obs["truth"]).all()
    assert said(found)["types_by_markers"] == list(TYPES)
    # the vote is still said: a third of the reference's NK cells have another name
    of_nk = (found.obs["truth"] == "NK").to_numpy()
    assert found.obs["cell_type_confidence"][of_nk].mean() == pytest.approx(2 / 3, abs=0.1)
    assert found.obs["cell_type_confidence"][~of_nk].min() > 0.999
    # all of them: no cell of the reference has the name that the markers give
    adata.obs.loc[nk, "cell_type"] = "T"
    found = project(new(), frozen(adata, tmp_path), params=ProjectParams())
    named = found.obs[of_nk & (found.obs["novelty"] <= 1)]
    assert len(named) > 25
    assert (named["cell_type"] == "NK").all()
    assert (named["cell_type_confidence"] == 0).all()


def test_votes_count_where_markers_lack_and_for_cells_of_no_scored_type(tmp_path: Any) -> None:
    adata = cohort()
    adata.varm["cell_type_loadings"] = np.roll(MARKERS, 1, axis=1)
    wrong = project(new(), frozen(adata, tmp_path), params=ProjectParams())
    # what the markers say counts, right or wrong
    assert (wrong.obs["cell_type"].astype(str) != wrong.obs["truth"]).any()
    few = [gene for gene in GENES if gene not in ("G0", "G1", "G2")]
    found = project(new()[:, few].copy(), frozen(adata, tmp_path), params=ProjectParams())
    assert (said(found)["types_by_markers"], said(found)["missing_markers"]) == (["B", "T"], 3)
    # wrong markers speak for the other types only
    mine = found.obs["truth"] == "NK"
    assert (found.obs["cell_type"].astype(str) == found.obs["truth"])[mine].all()
    adata.obs["cell_type"] = "unassigned"
    found = project(new(), frozen(adata, tmp_path), params=ProjectParams())
    known = found.obs[found.obs["novelty"] <= 1]
    assert len(known) > 80
    assert (known["cell_type"] == "unassigned").all()
    assert known["cell_type_confidence"].min() > 0.999


@pytest.mark.parametrize("n", [0, 1, 19])
def test_samples_of_hardly_any_cell(tmp_path: Any, n: int) -> None:
    found = project(new(n), frozen(cohort(), tmp_path), params=ProjectParams())
    assert found.obsm["X_umap"].shape == (n, 2)
    np.testing.assert_array_equal(found.obsm["X_integrated"], found.obsm["X_pca"])
    assert f"{n} leukocytes" in said(found)["reason"]
    assert said(found)["method"] == "none"


def test_without_leukocytes_there_is_no_limit_and_it_is_said(tmp_path: Any) -> None:
    adata = cohort()
    adata.obs["class"] = "CTC"
    reference = frozen(adata, tmp_path)
    found = project(new(), reference, params=ProjectParams())
    assert found.obs["novelty"].isna().all()
    assert "too few leukocytes" in said(found)["novelty_reason"]
    assert (found.obs["cell_type"].astype(str) == found.obs["truth"]).all()


@pytest.mark.parametrize("n_samples", [1, 2, 12])
def test_the_limits_hold_for_cells_that_were_not_frozen(tmp_path: Any, n_samples: int) -> None:
    reference = frozen(cohort(2400, n_samples), tmp_path, novel_share=0.02)
    assert reference.manifest["limits"]["null_cells"] == 2400
    found = project(new(1500), reference, params=ProjectParams())
    # two limits, each with a share of 0.02 above it
    assert 0.005 < (found.obs["novelty"] > 1).mean() < 0.06


@pytest.mark.parametrize(("n_samples", "n"), [(1, 240), (2, 240), (10, 240), (25, 300)])
def test_a_tenth_is_left_out_at_a_time_and_a_sample_always_as_a_whole(
    n_samples: int, n: int
) -> None:
    adata = cohort(n, n_samples)
    folds, asked = freeze_module._left_out(adata, n)
    assert asked.all()
    assert np.unique(folds).size == (n_samples if 1 < n_samples < 10 else 10)
    if n_samples > 1:
        assert (adata.obs.assign(fold=folds).groupby("sample")["fold"].nunique() == 1).all()


def test_a_group_is_the_mean_of_its_cells_that_are_not_left_out_even_if_it_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adata = cohort(60)
    types = adata.obs["cell_type"].astype(object)
    types.iloc[[0, 3]] = "rare"  # one cell of each sample
    adata.obs["cell_type"] = pd.Categorical(types)
    asked_of = []

    def recorded(*values: Any, **options: Any) -> Any:
        asked_of.append(options)
        return place(*values, **options)

    monkeypatch.setattr(freeze_module, "place", recorded)
    freeze(adata, call_of(["c"]), params=FreezeParams())
    assert len(asked_of) == 2
    for left_out, options in zip(("s0", "s1"), asked_of, strict=True):
        values = adata.X.toarray()[(adata.obs["sample"] != left_out).to_numpy()]
        assert 1 in np.bincount(options["groups"])
        for group in np.unique(options["groups"]):
            expected = values[options["groups"] == group].mean(axis=0)
            np.testing.assert_allclose(options["group_means"][group], expected, rtol=1e-5)


def test_freezing_twice_gives_the_same_bytes_and_no_name_of_a_sample(tmp_path: Any) -> None:
    first = freeze(cohort(), call_of(["c"]), params=FreezeParams())
    assert first == freeze(cohort(), call_of(["c"]), params=FreezeParams())


@pytest.mark.parametrize("n_samples", [1, 2, 12])
def test_values_on_disk_give_the_same_reference(
    tmp_path: Any, n_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctcflow.steps.freeze._BLOCK", 17)
    adata = cohort(n_samples=n_samples)
    path = tmp_path / "cohort.h5ad"
    io.write_h5ad(path, adata, delivered=True)
    on_disk = io.read_h5ad(path, x_on_disk=True)
    assert freeze(on_disk, call_of(["c"]), params=FreezeParams()) == freeze(
        adata, call_of(["c"]), params=FreezeParams()
    )


def test_damaged_values_on_disk_are_one_line(tmp_path: Any) -> None:
    path = tmp_path / "cohort.h5ad"
    io.write_h5ad(path, cohort(), delivered=True)
    with h5py.File(path) as file:
        start = file["X/data"].id.get_chunk_info(0).byte_offset
    with path.open("rb+") as file:
        file.seek(start)
        file.write(b"garbage!")
    with pytest.raises(CtcflowError, match="cells 0 to 240 of the cohort cannot be read"):
        freeze(io.read_h5ad(path, x_on_disk=True), call_of(["c"]), params=FreezeParams())
    assert "overrides" not in json.dumps(frozen(cohort(), tmp_path).manifest)


def test_a_run_without_components_is_no_reference() -> None:
    adata = cohort()
    adata.varm["PCs"] = np.zeros((40, 0))
    with pytest.raises(CtcflowError, match="no reference"):
        freeze(adata, call_of(["c"]), params=FreezeParams())
    with pytest.raises(CtcflowError, match="0 cells"):
        freeze(cohort()[:0].copy(), call_of(["c"]), params=FreezeParams())


def test_gather_lays_samples_below_each_other(tmp_path: Any) -> None:
    reference = frozen(cohort(), tmp_path)
    samples = [project(new(30, seed), reference, params=ProjectParams()) for seed in (1, 2)]
    names = [f"{s}:{b}" for s in ("new", "other") for b in samples[0].obs_names]
    record = json.loads(str(samples[1].uns["ctcflow"]))
    row = {"sample": "other", "batch": "b", "patient": None}
    samples[1].uns["ctcflow"] = json.dumps(record | {"sample": row})
    called = call_of(names)
    called.obs.loc["other:n3", "class"] = "CTC"
    found = gather(called.copy(), samples, params=GatherParams())
    assert found.obs["batch"].tolist() == [""] * 30 + ["b"] * 30
    assert found.obs["cell_type"].astype(str)["other:n3"] == "CTC"
    np.testing.assert_array_equal(found.obsm["X_umap"][30:], samples[1].obsm["X_umap"])
    assert "mapped onto a frozen reference of 240 cells" in found.uns["integrate"]
    with pytest.raises(CtcflowError, match="not those"):
        gather(called[1:].copy(), samples, params=GatherParams())
