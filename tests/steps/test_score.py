"""`score` on simulated blood: planted tumour cells, few leukocytes, panels, and other samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io

Run = Callable[..., anndata.AnnData]
IsCtc = Callable[[anndata.AnnData], np.ndarray]


def _facts(adata: anndata.AnnData) -> dict:
    return json.loads(adata.uns["score"])


def test_planted_tumour_cells_lack_blood_and_show_the_panel(
    patient: anndata.AnnData, is_ctc: IsCtc, scored: Run
) -> None:
    tumour = is_ctc(patient)
    obs = scored(patient).obs
    assert (obs["p_panel"][tumour] < 1e-4).mean() > 0.85
    assert (obs["p_identity"][tumour] < 0.01).mean() > 0.9
    assert not obs["is_leukocyte"][tumour].any()
    assert obs["is_leukocyte"][~tumour].mean() > 0.85
    np.testing.assert_allclose(
        obs["evidence"], -np.log10(obs["p_identity"]) - np.log10(obs["p_panel"])
    )


def test_lineages_are_those_of_the_truth(
    healthy: anndata.AnnData, truth: pd.DataFrame, scored: Run
) -> None:
    mine = truth[(truth["sample"] == "H1") & (truth["kind"] == "cell")].set_index("barcode")
    lineage = scored(healthy).obs["lineage"].astype(str).loc[mine.index]
    expected = {
        "CD14 monocyte": {"Monocyte", "Dendritic"},
        "CD8 T": {"CD8 T", "CD4 T", "NK"},
        "neutrophil": {"Neutrophil", "Monocyte"},
        "platelet": {"Platelet"},
        "NK": {"NK", "CD8 T"},
    }
    for kind, types in expected.items():
        cells = mine.index[mine["cell_type"] == kind]
        if len(cells) >= 5:
            assert lineage.loc[cells].isin(types).mean() > 0.8, kind


def test_p_of_pure_blood_is_as_rare_as_it_says(healthy: anndata.AnnData, scored: Run) -> None:
    obs = scored(healthy).obs
    null = obs[obs["is_leukocyte"]]
    assert len(null) > 150
    for line in ("p_panel", "p_identity"):
        for level in (0.1, 0.01):
            below = int((null[line] <= level).sum())
            # a line that were twice too bold is refused
            assert stats.binomtest(below, len(null), level * 1.5).proportion_ci(0.99).low <= (
                level * 1.5
            )


@pytest.mark.parametrize("n", [0, 1, 2, 10])
def test_tiny_samples_are_scored_with_the_shipped_blood_and_say_so(
    healthy: anndata.AnnData, scored: Run, n: int
) -> None:
    found = scored(healthy[:n].copy())
    (reason,) = [row for row in _facts(found)["not_run"] if "null" in row["what"]]
    assert "needs 50: the shipped blood is used" in reason["reason"]
    assert found.n_obs == n
    assert found.obsm["signatures"].shape[0] == n
    for line in ("p_panel", "p_identity"):
        assert found.obs[line].between(0, 1, inclusive="right").all()
    judged = found.obs["p_stroma"].notna()
    assert (judged == (found.obs["other_type"] != "")).all()
    assert found.obs.loc[judged, "p_stroma"].between(0, 1, inclusive="right").all()
    assert (found.obs["evidence"] < 6).all()


def test_a_sample_of_tumour_cells_only_rests_on_the_shipped_blood(
    patient: anndata.AnnData, is_ctc: IsCtc, scored: Run
) -> None:
    """It must not take its own tumour cells for blood."""
    pure = patient[is_ctc(patient)].copy()
    found = scored(pure)
    assert _facts(found)["leukocytes"] == 0
    assert _facts(found)["not_run"][0]["reason"] == (
        "0 leukocytes, needs 50: the shipped blood is used"
    )
    assert (found.obs["p_panel"] < 1e-4).mean() > 0.85
    assert (found.obs["p_identity"] < 0.01).all()


def test_min_leukocytes_is_the_boundary(healthy: anndata.AnnData, scored: Run) -> None:
    own = scored(healthy.copy(), min_leukocytes=50)
    assert _facts(own)["not_run"] == []
    prior = scored(healthy.copy(), min_leukocytes=100_000)
    assert "needs 100000" in _facts(prior)["not_run"][0]["reason"]
    assert not np.array_equal(own.obs["p_identity"], prior.obs["p_identity"])


def test_auto_takes_the_panel_of_the_cancer_type_or_all(
    healthy: anndata.AnnData, scored: Run, tables: dict[str, pd.DataFrame]
) -> None:
    every = list(dict.fromkeys(tables["panels"]["set"]))
    for cancer, expected in (("melanoma", ["melanoma"]), ("unheard of", every)):
        adata = healthy[:60].copy()
        adata.obs["cancer_type"] = pd.Categorical([cancer] * adata.n_obs)
        assert _facts(scored(adata))["panels"] == expected
    assert _facts(scored(healthy[:60].copy()))["panels"] == every
    named = healthy[:60].copy()
    named.obs["cancer_type"] = pd.Categorical(["melanoma"] * 60)
    assert _facts(scored(named, panel="breast"))["panels"] == ["breast"]


def test_looking_at_all_panels_has_its_price_and_says_which_spoke(
    patient: anndata.AnnData, scored: Run
) -> None:
    """Twice p of the first panel at most, where that is the one that speaks."""
    alone = scored(patient.copy(), panel="pan_epithelial").obs
    among = scored(patient.copy()).obs
    same = (alone["is_leukocyte"] == among["is_leukocyte"]).all()
    assert same
    spoke = (among["tumour_panel"] == "pan_epithelial").to_numpy()
    assert spoke.sum() > 10
    assert (among["p_panel"] <= np.minimum(2.001 * alone["p_panel"], 1)).mean() > 0.99
    assert (among.loc[~spoke & (among["p_panel"] < 1e-6), "tumour_panel"] != "").all()
    assert (among.loc[among["n_panel_genes"] == 0, "tumour_panel"] == "").all()


def test_an_unknown_panel_is_named_with_those_there_are(
    healthy: anndata.AnnData, scored: Run
) -> None:
    panels = pd.DataFrame({"set": ["lung", "breast"], "gene": ["NAPSA", "GATA3"], "direction": 1})
    with pytest.raises(CtcflowError) as error:
        scored(healthy[:5].copy(), panels=panels, panel="brest")
    assert str(error.value) == (
        "score.panel is `brest`, which the panel table does not have (it has lung, breast):"
        " choose one of these or `auto`"
    )


def test_a_panel_without_a_gene_in_the_data_runs_and_says_so(
    healthy: anndata.AnnData, scored: Run
) -> None:
    panels = pd.DataFrame({"set": "mine", "gene": ["NOT1", "NOT2"], "direction": 1})
    found = scored(healthy, panels=panels)
    assert _facts(found)["panels"] == ["mine"]
    assert (_facts(found)["panel_genes_in_data"], _facts(found)["panel_genes"]) == (0, 2)
    assert {"what": "tumour panel", "reason": "no panel gene is in the data"} in (
        _facts(found)["not_run"]
    )
    assert (found.obs["p_panel"] == 1.0).all()
    assert (found.obs["n_panel_genes"] == 0).all()
    assert (found.obs["panel_genes"] == "").all()


def test_panel_genes_are_the_genes_that_were_seen(
    patient: anndata.AnnData, scored: Run, tables: dict[str, pd.DataFrame]
) -> None:
    panels = tables["panels"]
    members = set(panels.loc[(panels["set"] == "pan_epithelial") & (panels["direction"] == 1),
                             "gene"])  # fmt: skip
    dense = patient.X.toarray() > 0
    obs = scored(patient, panel="pan_epithelial").obs
    for cell in range(0, patient.n_obs, 7):
        seen = {name for name, there in zip(patient.var_names, dense[cell], strict=True) if there}
        listed = obs["panel_genes"].iloc[cell]
        assert set(listed.split(",") if listed else []) == members & seen
        assert obs["n_panel_genes"].iloc[cell] == len(members & seen)


def test_signatures_of_a_cell_do_not_depend_on_other_cells(
    patient: anndata.AnnData, scored: Run
) -> None:
    some = np.arange(0, patient.n_obs, 3)
    alone = scored(patient[some].copy()).obsm["signatures"]
    among = scored(patient).obsm["signatures"].iloc[some]
    assert list(alone.columns) == list(among.columns)
    assert among.to_numpy().tobytes() == alone.to_numpy().tobytes()


def test_tumour_cells_do_not_weaken_the_evidence_of_each_other(
    patient: anndata.AnnData, is_ctc: IsCtc, scored: Run
) -> None:
    """Candidates are left out of the estimate of the blood that they are compared with."""
    tumour = is_ctc(patient)
    first = np.flatnonzero(tumour)[0]
    lone = patient[~tumour | (np.arange(patient.n_obs) == first)].copy()
    name = patient.obs_names[first]
    many = scored(patient).obs.loc[name, "evidence"]
    one = scored(lone).obs.loc[name, "evidence"]
    assert many == pytest.approx(one, rel=0.1)


def test_counts_are_left_as_they_are(healthy: anndata.AnnData, scored: Run) -> None:
    before = healthy.X.copy()
    found = scored(healthy)
    assert found.X.dtype == before.dtype
    assert found.X.data.tobytes() == before.data.tobytes()
    assert found.X.indices.tobytes() == before.indices.tobytes()


def test_ambient_rna_is_a_part_of_the_null(
    healthy: anndata.AnnData, tables: dict[str, pd.DataFrame], scored: Run
) -> None:
    """Panel genes that float in the droplets surprise less, and as much as they float."""
    few = healthy[:20].copy()  # too few leukocytes to measure it on themselves
    dense = few.X.toarray()
    members = tables["panels"].query("set == 'pan_epithelial' and direction == 1")["gene"]
    columns = np.flatnonzero(few.var_names.isin(members))[:6]
    dense[:, columns] = 1
    few.X = sparse.csr_matrix(dense)
    profile = np.full(few.n_vars, 0.5 / (few.n_vars - columns.size))
    profile[columns] = 0.5 / columns.size
    p = []
    for share in (None, 0.01, 0.2):
        sample = few.copy()
        sample.uns["qc"] = json.dumps({"umis": True, "ambient": {"share": share}})
        sample.var["ambient_profile"] = np.nan if share is None else profile
        p.append(scored(sample).obs["p_panel"].to_numpy())
    assert (p[0] < 1e-4).all()
    assert (p[1] > 100 * p[0]).all()
    assert (p[2] > 0.5).all()


def test_planted_arms_are_found_in_the_tumour_cells_and_nowhere_else(
    patient: anndata.AnnData, is_ctc: IsCtc, scored: Run, run_folder: Path
) -> None:
    tumour = is_ctc(patient)
    found = scored(patient, min_reference=30)
    record = _facts(found)["copy_number"]
    assert record["reason"] == "" and _facts(found)["not_run"] == []
    p = found.obs["p_copy_number"]
    # 3,000 genes are few for one cell, and a simulated carcinoma is plainly like its epithelium,
    # which stands beside the lineages: all together, they would be uniform were they diploid
    assert stats.kstest(p[tumour].dropna(), "uniform", alternative="greater").pvalue < 0.01
    assert p[tumour].notna().mean() > 0.9
    assert p[~tumour].notna().sum() < 0.1 * (~tumour).sum()
    assert (p[found.obs["is_leukocyte"] & (found.obs["p_panel"] > 0.01)].isna()).all()
    assert p.notna().sum() == record["judged"] <= record["candidates"]
    truth = pd.read_csv(run_folder / "truth_clones.tsv", sep="\t")
    mean = found.obsm["copy_number"].loc[tumour].mean()
    assert list(mean.index) == record["arms"]
    lost, gained = (
        mean[mean.index.isin(truth.loc[truth["change"] == change, "arm"])]
        for change in ("loss", "gain")
    )
    assert min(len(lost), len(gained)) >= 2
    assert lost.max() < min(-0.3, gained.min())


def test_copy_number_needs_leukocytes_of_two_lineages_and_says_so(
    patient: anndata.AnnData, scored: Run
) -> None:
    found = scored(patient, min_reference=50)  # 143 T and NK cells, 37 myeloid, 17 B cells
    reason = "1 lineage has 50 reference cells, needs 2 lineages"
    assert {"what": "copy number", "reason": reason} in _facts(found)["not_run"]
    record = _facts(found)["copy_number"]
    assert (record["reason"], record["judged"], record["arms"]) == (reason, 0, [])
    assert record["candidates"] > 20
    assert found.obs["p_copy_number"].isna().all()
    assert found.obsm["copy_number"].shape == (patient.n_obs, 0)


@pytest.mark.parametrize("n_tumour", [0, 1, 2])
def test_a_tumour_cell_is_judged_the_same_whichever_others_there_are(
    patient: anndata.AnnData, is_ctc: IsCtc, scored: Run, n_tumour: int
) -> None:
    tumour = is_ctc(patient)
    some = patient[~tumour | (np.cumsum(tumour) <= n_tumour)].copy()
    slots = ("aneuploidy", "p_copy_number")
    every = scored(patient, min_reference=30)
    few = scored(some, min_reference=30)
    assert few.obs["p_copy_number"][is_ctc(few)].notna().sum() == n_tumour
    both = few.obs_names
    pd.testing.assert_frame_equal(
        few.obs[[*slots]], every.obs.loc[both, [*slots]], rtol=1e-9, check_dtype=True
    )
    pd.testing.assert_frame_equal(few.obsm["copy_number"], every.obsm["copy_number"].loc[both])


@pytest.mark.parametrize("n", [0, 1, 2, 250])
# of anndata 0.13 with pandas 3.1, whenever a file with text is read; nothing of ours
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_copy_number_survives_a_file_however_few_cells_and_arms_there_are(
    healthy: anndata.AnnData, scored: Run, tmp_path: Path, n: int
) -> None:
    found = scored(healthy[:n].copy(), min_reference=50)
    ran = n == 250
    assert (_facts(found)["copy_number"]["reason"] == "") == ran
    assert (found.obsm["copy_number"].shape[1] > 10) == ran
    io.write_h5ad(tmp_path / "score.h5ad", found, delivered=False)
    again = io.read_h5ad(tmp_path / "score.h5ad")
    for slot in (keys.P_COPY_NUMBER, keys.ANEUPLOIDY):
        assert again.obs[slot.key].dtype == np.float64
        np.testing.assert_array_equal(again.obs[slot.key], found.obs[slot.key])
    frame = again.obsm[keys.COPY_NUMBER.key]
    assert (frame.dtypes == np.float32).all()
    assert frame.index.tolist() == found.obs_names.tolist()
    np.testing.assert_array_equal(frame, found.obsm[keys.COPY_NUMBER.key])


def test_panel_genes_take_no_part_in_copy_number(
    patient: anndata.AnnData, is_ctc: IsCtc, scored: Run, tables: dict[str, pd.DataFrame]
) -> None:
    """The lines of evidence come from disjoint genes."""
    members = tables["panels"].query("set == 'pan_epithelial' and direction == 1")["gene"]
    louder = patient.copy()
    dense = louder.X.toarray()
    tumour = is_ctc(patient)
    dense[np.ix_(tumour, louder.var_names.isin(members))] += 3
    louder.X = sparse.csr_matrix(dense)
    before = scored(patient, min_reference=30).obs["p_copy_number"][tumour]
    after = scored(louder, min_reference=30).obs["p_copy_number"][tumour]
    pd.testing.assert_series_equal(before, after)


def test_a_leukocyte_beside_a_tumour_cell_is_seen_and_none_where_there_is_none(
    patient: anndata.AnnData, is_ctc: IsCtc, truth: pd.DataFrame, scored: Run
) -> None:
    mine = truth[(truth["sample"] == "P1_d0") & (truth["kind"] == "cell")].set_index("barcode")
    kind = mine["cell_type"].reindex(patient.obs_names).to_numpy(dtype=object)
    tumour = np.flatnonzero(is_ctc(patient))
    monocytes = np.flatnonzero(kind == "CD14 monocyte")[: tumour.size]
    both = patient[tumour[: monocytes.size]].copy()
    both.X = sparse.csr_matrix(both.X + patient.X[monocytes])
    both.obs_names = [f"both_{i}" for i in range(both.n_obs)]
    found = scored(anndata.concat([patient, both])).obs
    judged = found["p_partner"].notna()
    evidence = (found["p_panel"] <= 0.01) | (found["p_identity"] <= 0.01)
    assert evidence[judged].all()
    assert judged.mean() < 0.4
    assert (found.loc[~judged, "partner_lineage"] == "").all()
    alone = found.loc[patient.obs_names[tumour], "p_partner"]
    assert alone.notna().mean() > 0.9
    assert alone.min() > 1e-4
    beside = found.loc[both.obs_names]
    seen = beside[beside["p_partner"] <= 1e-4]
    assert len(seen) > 0.5 * len(beside)
    assert seen["partner_lineage"].isin(["Monocyte", "Neutrophil"]).mean() > 0.9


def test_the_order_of_the_genes_does_not_matter(patient: anndata.AnnData, scored: Run) -> None:
    """Leukocytes are thinned gene by gene: the same draws, whatever the order in the file."""
    order = np.random.default_rng(3).permutation(patient.n_vars)
    first, mixed = scored(patient), scored(patient[:, order].copy())
    for key in ("p_identity", "p_panel", "p_stroma", "p_copy_number"):
        np.testing.assert_allclose(mixed.obs[key], first.obs[key], rtol=1e-6)
    assert (mixed.obs["lineage"].astype(str) == first.obs["lineage"].astype(str)).all()
    assert (mixed.obs["n_alike"] == first.obs["n_alike"]).all()
