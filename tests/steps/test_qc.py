"""`qc` on simulated blood with planted damage: nothing is lost, everything is explained."""

from __future__ import annotations

import json
from collections.abc import Callable

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

Measure = Callable[..., anndata.AnnData]
IsCtc = Callable[[anndata.AnnData], np.ndarray]


def _thin(adata: anndata.AnnData, cells: np.ndarray, depth: float) -> anndata.AnnData:
    """Draw the counts of some cells down to about `depth`."""
    rng = np.random.default_rng(0)
    dense = adata.X.toarray()
    for cell in np.flatnonzero(cells):
        share = min(1.0, depth / max(dense[cell].sum(), 1))
        dense[cell] = rng.binomial(dense[cell], share)
    adata.X = sparse.csr_matrix(dense)
    return adata


def _n_panel_genes(adata: anndata.AnnData, tables: dict[str, pd.DataFrame]) -> np.ndarray:
    """Panel genes seen of those that hardly any blood cell shows."""
    panels, leak = tables["panels"], tables["leak"]
    leaky = leak.loc[leak["max_pct_blood"] >= 5, "symbol"]
    members = set(panels.loc[panels["direction"] == 1, "gene"]) - set(leaky)
    columns = [name in members for name in adata.var_names]
    return (adata.X.toarray()[:, columns] > 0).sum(1)


@pytest.mark.parametrize("depth", [15, 40, 80, 140])
def test_no_tumour_cell_is_removed_in_silence(
    patient: anndata.AnnData,
    is_ctc: IsCtc,
    measure: Measure,
    tables: dict[str, pd.DataFrame],
    depth: float,
) -> None:
    """Tumour cells below the limits, such as damaged ones, are kept or listed by barcode."""
    tumour = is_ctc(patient)
    found = measure(_thin(patient, tumour, depth))
    listed = {row["barcode"] for row in json.loads(found.uns["qc"])["set_aside"]}
    several = tumour & (_n_panel_genes(found, tables) >= 2)
    assert several.sum() >= 5
    safe = found.obs["keep"].to_numpy() | found.obs_names.isin(listed)
    assert safe[several].all()
    if depth >= 80:  # enough to show several genes: kept whatever the limits say
        assert found.obs["keep"].to_numpy()[several].mean() > 0.8
    # what is listed was set aside, with the reason that its flag has
    for row in json.loads(found.uns["qc"])["set_aside"]:
        assert not found.obs.loc[row["barcode"], "keep"]
        assert row["reason"] == found.obs.loc[row["barcode"], "qc_flag"] != ""
        assert "panel gene" in row["evidence"]


def test_a_dying_blood_cell_is_set_aside_and_a_dying_tumour_cell_is_kept(
    patient: anndata.AnnData, is_ctc: IsCtc, measure: Measure
) -> None:
    tumour = is_ctc(patient)
    dense = patient.X.toarray()
    mitochondrial = patient.var_names.str.startswith("MT-")
    blood = np.flatnonzero(~tumour & (dense.sum(1) > 1000))[:5]
    dying = [*blood, *np.flatnonzero(tumour & (dense.sum(1) > 1000))[:5]]
    for cell in dying:  # four fifths of its counts are mitochondrial
        dense[cell, mitochondrial] = 4 * dense[cell].sum() // mitochondrial.sum()
    patient.X = sparse.csr_matrix(dense)
    obs = measure(patient).obs.iloc[dying]
    assert (obs["pct_mt"] > 70).all()
    assert (obs["qc_flag"] == "high mitochondrial share").all()
    assert obs["keep"].tolist() == [False] * 5 + [True] * 5
    assert obs["tumour_evidence"].tolist() == [False] * 5 + [True] * 5


def test_shares_are_those_of_the_named_genes(healthy: anndata.AnnData, measure: Measure) -> None:
    dense, names = healthy.X.toarray(), healthy.var_names
    total = dense.sum(1)
    obs = measure(healthy).obs
    np.testing.assert_array_equal(obs["n_umis"], total)
    np.testing.assert_array_equal(obs["n_genes"], (dense > 0).sum(1))
    mt = dense[:, names.str.startswith("MT-")].sum(1)
    np.testing.assert_allclose(obs["pct_mt"], 100 * mt / total)
    hb = dense[:, names.isin(["HBA1", "HBA2", "HBB", "HBD", "HBG1", "HBG2", "HBE1", "HBM", "HBZ",
                              "HBQ1"])].sum(1)  # fmt: skip
    np.testing.assert_allclose(obs["pct_hb"], 100 * hb / total)
    assert ((obs["pct_ribo"] > 0) & (obs["pct_ribo"] < 80)).any()


def test_limits_decide_and_the_ledger_adds_up(healthy: anndata.AnnData, measure: Measure) -> None:
    found = measure(healthy, min_umis=900, min_genes=280, min_mt_limit=1.0, max_mt_limit=9.0)
    obs, facts = found.obs, json.loads(found.uns["qc"])
    limit = facts["thresholds"]["mt_limit"]
    assert 1.0 <= limit <= 9.0
    flags = obs["qc_flag"].astype(str)
    for reason, cells in (
        ("few counts", obs["n_umis"] < 900),
        ("few genes", obs["n_genes"] < facts["thresholds"]["min_genes"]),
        ("high mitochondrial share", obs["pct_mt"] > limit),
    ):
        assert (flags.str.split(";").map(lambda f, r=reason: r in f) == cells).all()
    rows = {row["reason"]: row["cells"] for row in facts["ledger"]}
    aside = sum(n for reason, n in rows.items() if reason.startswith("set aside"))
    assert rows["cells in"] == found.n_obs == rows["kept"] + aside
    assert rows["kept"] == obs["keep"].sum()
    assert aside > 20
    rescued = (flags != "") & obs["keep"]
    assert rows["rescued: tumour evidence"] == rescued.sum()
    assert obs.loc[rescued, "tumour_evidence"].all()
    assert (flags[~obs["keep"]] != "").all()


def test_blood_has_hardly_ever_tumour_evidence(healthy: anndata.AnnData, measure: Measure) -> None:
    assert measure(healthy).obs["tumour_evidence"].sum() <= 2


def test_intact_tumour_cells_have_evidence(
    patient: anndata.AnnData, is_ctc: IsCtc, measure: Measure
) -> None:
    evidence = measure(patient).obs["tumour_evidence"].to_numpy()
    assert evidence[is_ctc(patient)].mean() > 0.9


@pytest.mark.parametrize("n", [0, 1, 2, 10])
def test_tiny_samples_are_measured(healthy: anndata.AnnData, measure: Measure, n: int) -> None:
    found = measure(healthy[:n].copy())
    facts = json.loads(found.uns["qc"])
    assert found.n_obs == facts["ledger"][0]["cells"] == n
    assert found.obs["keep"].dtype == bool
    assert found.obs["tumour_evidence"].dtype == bool
    reasons = {row["what"]: row["reason"] for row in facts["not_run"]}
    assert set(reasons) == ({"doublet score"} if n else {"quality control"})
    if n:
        assert "chemistry" in reasons["doublet score"]


def test_without_mitochondrial_genes_the_share_is_missing_and_not_zero(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    found = measure(healthy[:, ~healthy.var_names.str.startswith("MT-")].copy())
    facts = json.loads(found.uns["qc"])
    assert found.obs["pct_mt"].isna().all()
    assert facts["thresholds"]["mt_limit"] is None
    missing = {row["what"]: row["reason"] for row in facts["not_run"]}
    assert missing["mitochondrial share"] == "the reference has no such gene"
    assert not found.obs["qc_flag"].astype(str).str.contains("mitochondrial").any()
    assert found.obs["keep"].sum() > 200


def test_a_targeted_panel_is_not_emptied_by_the_limit_on_genes(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    common = np.argsort(-healthy.X.sum(axis=0).A1)[:200]
    found = measure(healthy[:, common].copy())
    assert json.loads(found.uns["qc"])["thresholds"]["min_genes"] == 20
    assert found.obs["keep"].mean() > 0.8


def test_an_empty_droplet_is_never_kept(healthy: anndata.AnnData, measure: Measure) -> None:
    dense = healthy.X.toarray()
    dense[3] = 0
    healthy.X = sparse.csr_matrix(dense)
    found = measure(healthy, min_umis=0, min_genes=0)
    assert not found.obs["keep"].iloc[3]
    rows = {row["reason"]: row["cells"] for row in json.loads(found.uns["qc"])["ledger"]}
    aside = sum(n for reason, n in rows.items() if reason.startswith("set aside"))
    assert rows["cells in"] == rows["kept"] + aside


def test_planted_doublets_score_high_and_none_is_set_aside(
    healthy: anndata.AnnData, measure: Measure, truth: pd.DataFrame
) -> None:
    kinds = truth[truth["sample"] == "H1"].set_index("barcode").loc[healthy.obs_names]
    single = kinds["kind"] == "cell"
    lymphocytes = np.flatnonzero(single & kinds["lineage"].isin(["T", "B", "NK"]))
    monocytes = np.flatnonzero(single & (kinds["lineage"] == "monocyte"))
    assert min(lymphocytes.size, monocytes.size) >= 12
    pairs = healthy.X[lymphocytes[:12]] + healthy.X[monocytes[:12]]
    rest = np.setdiff1d(np.flatnonzero(single), [*lymphocytes[:12], *monocytes[:12]])
    mixed = anndata.AnnData(
        sparse.vstack([healthy.X[rest], pairs]).tocsr(),
        obs=pd.DataFrame(
            {"chemistry": "10x_3p_v3"}, index=[f"c{i}" for i in range(rest.size + 12)]
        ),
        var=healthy.var.copy(),
    )
    found = measure(mixed, doublet_rate=0.05)
    score = found.obs["doublet_score"].to_numpy()
    planted = np.arange(mixed.n_obs) >= rest.size
    better = (score[planted][:, None] > score[~planted][None, :]).mean()
    assert better > 0.9
    called = found.obs["likely_doublet"].to_numpy()
    np.testing.assert_array_equal(called, score > 0.5)
    assert not found.obs["qc_flag"][called].astype(str).str.contains("doublet").any()
    assert found.obs["keep"][called].all()
    ledger = {row["reason"]: row["cells"] for row in json.loads(found.uns["qc"])["ledger"]}
    assert ledger["of these, likely doublets"] == called.sum()


def test_the_rate_of_doublets_comes_from_the_chemistry(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    """10x user guides: 0.8 % per 1,000 recovered cells."""
    healthy.obs["chemistry"] = "10x 3' v3"
    healthy.obs["expected_cells"] = 5000
    facts = json.loads(measure(healthy).uns["qc"])
    assert facts["thresholds"]["doublet_rate"] == pytest.approx(0.04)
    assert "doublet score" not in {row["what"] for row in facts["not_run"]}
