"""`qc` on simulated blood with planted damage: no cell is lost, every decision has a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.stats.counts.content import content_order

Measure = Callable[..., anndata.AnnData]
IsCtc = Callable[[anndata.AnnData], np.ndarray]


def _thin(
    adata: anndata.AnnData, cells: np.ndarray, depth: float, *, written: list[str] | None = None
) -> anndata.AnnData:
    """Draw the counts of some cells down to about `depth`, gene by gene as in `written`."""
    rng = np.random.default_rng(0)
    if written is not None:
        adata = adata[:, written].copy()
    dense = adata.X.toarray()
    for cell in np.flatnonzero(cells):
        share = min(1.0, depth / max(dense[cell].sum(), 1))
        dense[cell] = rng.binomial(dense[cell], share)
    adata.X = sparse.csr_matrix(dense)
    return adata


def _n_panel_genes(adata: anndata.AnnData, tables: dict[str, pd.DataFrame]) -> np.ndarray:
    """Panel genes seen of those that hardly any blood cell shows."""
    panels, leak = tables["panels"], tables["background"]
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
    run_folder: Path,
) -> None:
    """Tumour cells below the limits, such as damaged ones, are kept or listed by barcode."""
    tumour = is_ctc(patient)
    # the order in which the file has its genes: the draws are those of before genes were sorted
    with h5py.File(next((run_folder / "data" / "P1_d0").glob("*.h5ad"))) as file:
        named = set(patient.var_names)
        written = [name for name in file["var/_index"].asstr()[:] if name in named]
    sorted_names = list(patient.var_names)
    found = measure(_thin(patient, tumour, depth, written=written)[:, sorted_names].copy())
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
    assert (obs["pct_counts_mt"] > 70).all()
    assert (obs["qc_flag"] == "high mitochondrial share").all()
    assert obs["keep"].tolist() == [False] * 5 + [True] * 5
    assert obs["tumour_evidence"].tolist() == [False] * 5 + [True] * 5


@pytest.mark.parametrize(("mitochondrial_share", "kept"), [(80, True), (96, False)])
def test_missing_blood_identity_protects_a_dying_cell_but_not_a_heap_of_mitochondria(
    patient: anndata.AnnData,
    is_ctc: IsCtc,
    measure: Measure,
    tables: dict[str, pd.DataFrame],
    mitochondrial_share: int,
    kept: bool,
) -> None:
    dense = patient.X.toarray()
    panel = patient.var_names.isin(tables["panels"]["gene"])
    mitochondrial = patient.var_names.str.startswith("MT-")
    dying = np.flatnonzero(is_ctc(patient) & (dense[:, ~panel].sum(1) > 1000))[:5]
    for cell in dying:
        dense[cell, panel | mitochondrial] = 0
        other = 100 - mitochondrial_share
        total = mitochondrial_share * dense[cell].sum() / other
        dense[cell, mitochondrial] = np.ceil(total / mitochondrial.sum())
    patient.X = sparse.csr_matrix(dense)
    found = measure(patient)
    obs = found.obs.iloc[dying]
    assert obs["pct_counts_mt"].between(mitochondrial_share - 1, mitochondrial_share + 1).all()
    assert (obs["qc_flag"] == "high mitochondrial share").all()
    assert (obs["keep"] == kept).all()
    listed = {row["barcode"] for row in json.loads(found.uns["qc"])["set_aside"]}
    assert kept or listed.issuperset(obs.index)


def test_shares_are_those_of_the_named_genes(healthy: anndata.AnnData, measure: Measure) -> None:
    dense, names = healthy.X.toarray(), healthy.var_names
    total = dense.sum(1)
    obs = measure(healthy).obs
    np.testing.assert_array_equal(obs["total_counts"], total)
    np.testing.assert_array_equal(obs["n_genes_by_counts"], (dense > 0).sum(1))
    mt = dense[:, names.str.startswith("MT-")].sum(1)
    np.testing.assert_allclose(obs["pct_counts_mt"], 100 * mt / total)
    hb = dense[:, names.isin(["HBA1", "HBA2", "HBB", "HBD", "HBG1", "HBG2", "HBE1", "HBM", "HBZ",
                              "HBQ1"])].sum(1)  # fmt: skip
    np.testing.assert_allclose(obs["pct_counts_hb"], 100 * hb / total)
    assert ((obs["pct_counts_ribo"] > 0) & (obs["pct_counts_ribo"] < 80)).any()


def test_limits_decide_and_the_ledger_adds_up(healthy: anndata.AnnData, measure: Measure) -> None:
    found = measure(healthy, min_umis=900, min_genes=280, min_mt_limit=1.0, max_mt_limit=9.0)
    obs, facts = found.obs, json.loads(found.uns["qc"])
    limits = pd.DataFrame(facts["limits"]).set_index("lineage")
    assert limits["cells"].sum() == found.n_obs
    assert limits["max_pct_mt"].between(1.0, 9.0).all()
    assert (limits["min_umis"] >= 900).all()  # the floor, or what the lineage's cells say
    own = limits.loc[obs["coarse_lineage"].astype(str)].set_index(obs.index)
    flags = obs["qc_flag"].astype(str)
    few, much = (
        obs["total_counts"] < own["damaged_umis"],
        obs["pct_counts_mt"] > own["damaged_pct_mt"],
    )
    for reason, cells in (
        ("few counts", obs["total_counts"] < own["min_umis"]),
        ("few genes", obs["n_genes_by_counts"] < own["min_genes"]),
        ("high mitochondrial share", obs["pct_counts_mt"] > own["max_pct_mt"]),
        ("damaged", few & much),
    ):
        said = flags.str.split(";").map(lambda words, reason=reason: reason in words)
        # limits are shown with four digits
        assert (said == cells).mean() > 0.99
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
    """A missing blood identity protects at p 0.01: one leukocyte in a hundred, here of 250."""
    found = measure(healthy)
    assert found.obs["tumour_evidence"].sum() <= 8


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
    assert set(reasons) == ({"doublet score", "ambient RNA"} if n else {"quality control"})
    if n:
        assert "genes that a lineage cannot express" in reasons["ambient RNA"]
        assert "chemistry" in reasons["doublet score"]


def test_without_mitochondrial_genes_the_share_is_missing_and_not_zero(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    found = measure(healthy[:, ~healthy.var_names.str.startswith("MT-")].copy())
    facts = json.loads(found.uns["qc"])
    assert found.obs["pct_counts_mt"].isna().all()
    assert {row["max_pct_mt"] for row in facts["limits"]} == {None}
    assert "pct_counts_mt" not in {row["metric"] for row in facts["distributions"]}
    missing = {row["what"]: row["reason"] for row in facts["not_run"]}
    assert missing["mitochondrial share"] == "the reference has no such gene"
    assert not found.obs["qc_flag"].astype(str).str.contains("mitochondrial").any()
    assert found.obs["keep"].sum() > 200


def test_a_targeted_panel_is_not_emptied_by_the_limit_on_genes(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    common = np.argsort(-healthy.X.sum(axis=0).A1)[:200]
    found = measure(healthy[:, common].copy())
    limits = {row["lineage"]: row for row in json.loads(found.uns["qc"])["limits"]}
    assert all(row["min_genes"] <= 20 for row in limits.values())
    assert limits["T and NK"]["adaptive"]
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
    called = found.obs["predicted_doublet"].to_numpy()
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
    assert facts["doublet_rate"] == pytest.approx(0.04)
    assert "doublet score" not in {row["what"] for row in facts["not_run"]}


def _soup(
    adata: anndata.AnnData, totals: np.ndarray, seed: int, names: str = "empty"
) -> anndata.AnnData:
    """Droplets of nothing but the mean profile of the sample."""
    rng = np.random.default_rng(seed)
    share = adata.X.sum(axis=0).A1 / adata.X.sum()
    rows = np.array([rng.multinomial(total, share) for total in totals])
    return anndata.AnnData(
        sparse.csr_matrix(rows.astype(np.int32)),
        obs=pd.DataFrame(index=[f"{names}{i}" for i in range(totals.size)]),
        var=adata.var.copy(),
    )


def test_unfiltered_droplets_tell_cells_from_ambient_rna(
    patient: anndata.AnnData, is_ctc: IsCtc, measure: Measure
) -> None:
    rng = np.random.default_rng(5)
    tumour = np.flatnonzero(is_ctc(patient))
    lost, rest = patient[tumour[:3]].copy(), np.setdiff1d(np.arange(patient.n_obs), tumour[:3])
    blood = np.setdiff1d(rest, tumour)
    small = _thin(patient[blood[:20]].copy(), np.ones(20, dtype=bool), 250)
    small.obs_names = [f"small{i}" for i in range(20)]
    planted = _soup(patient, np.full(40, 250), 1, "planted")
    given = anndata.concat([patient[rest], planted, small], merge="same")
    background = _soup(patient, rng.integers(5, 100, 3000), 2)
    everything = anndata.concat([given, lost, background], merge="same")
    found = measure(given.copy(), everything)
    obs = found.obs
    empty = obs["qc_flag"].astype(str).str.contains("empty droplet")
    assert empty[planted.obs_names].mean() >= 0.95
    assert not obs.loc[planted.obs_names, "keep"].any()
    assert empty[small.obs_names].mean() <= 0.1
    assert empty[patient.obs_names[rest]].mean() <= 0.02
    facts = json.loads(found.uns["qc"])
    listed = {row["barcode"]: row["reason"] for row in facts["set_aside"]}
    for barcode in lost.obs_names:  # the three tumour cells that the given matrix lacks
        assert listed[barcode] == "not among the given cells"
    assert sum(reason == "not among the given cells" for reason in listed.values()) <= 5
    ledger = {(row["stage"], row["reason"]): row["cells"] for row in facts["ledger"]}
    assert ledger["unfiltered", "hold a cell, not given"] >= 3
    droplets = facts["droplets"]
    assert droplets["barcodes"] == everything.n_obs
    assert droplets["curve"][0] == [1, int(everything.X.sum(axis=1).max())]
    assert droplets["curve"][-1][0] == everything.n_obs
    assert facts["ambient"]["measured_on"] == "droplets"
    assert 0 <= facts["ambient"]["low"] <= facts["ambient"]["share"] <= facts["ambient"]["high"] < 1
    assert found.var["ambient_profile"].sum() == pytest.approx(1.0)


def test_droplets_of_another_library_are_refused(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    other = _soup(healthy, np.full(300, 40), 1)
    other.obs_names = [f"{'ACGT'[i % 4]}{i}" for i in range(300)]
    with pytest.raises(CtcflowError, match="0 of the 250 barcodes of path are among the 300 of"):
        measure(healthy, other)


def test_unfiltered_droplets_without_a_small_one_say_so(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    deep = healthy[healthy.X.sum(axis=1).A1 > 500].copy()
    found = measure(deep.copy(), deep)
    facts = json.loads(found.uns["qc"])
    reasons = {row["what"]: row["reason"] for row in facts["not_run"]}
    assert "no unfiltered droplet has few enough counts" in reasons["test of droplets"]
    assert facts["droplets"] is None
    assert facts["ambient"]["measured_on"] == "cells"


def test_the_ambient_share_is_measured_and_taken_out_on_request(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    plain = measure(healthy.copy())
    share = json.loads(plain.uns["qc"])["ambient"]["share"]
    assert 0.02 < share < 0.12  # simulated with 5 % of a typical cell's counts
    assert "corrected" not in plain.layers
    before = healthy.X.copy()
    found = measure(healthy, ambient="correct")
    assert (before != found.X).nnz == 0  # the counts themselves are never touched
    corrected = found.layers["corrected"]
    assert corrected.dtype == before.dtype
    assert corrected.data.min() >= 1
    assert (corrected > before).nnz == 0
    keep = found.obs["keep"].to_numpy()
    assert 1 - corrected[keep].sum() / before[keep].sum() == pytest.approx(share, abs=0.02)
    assert (corrected[~keep] != before[~keep]).nnz == 0
    assert json.loads(found.uns["qc"])["ambient"]["corrected"]


def test_cells_of_another_species_are_flagged_and_human_ones_are_kept(
    patient: anndata.AnnData, is_ctc: IsCtc, measure: Measure
) -> None:
    """A xenograft: mouse leukocytes with some human ambient RNA among human tumour cells."""
    tumour = np.flatnonzero(is_ctc(patient))
    human = patient[tumour].copy()
    mouse = _soup(patient, np.full(60, 120), 3, "mouse")
    mixed = anndata.concat([human, mouse], merge="same")
    foreign = np.where(np.arange(mixed.n_obs) < tumour.size, 20, 4000)
    mixed.obsm["other_features"] = sparse.csr_matrix(foreign[:, None])
    mixed.uns["other_features"] = json.dumps(
        {"name": ["mm10___Ptprc"], "id": [""], "type": ["Gene Expression of another species"]}
    )
    obs = measure(mixed).obs
    is_mouse = np.arange(mixed.n_obs) >= tumour.size
    flagged = obs["qc_flag"].astype(str).str.contains("cell of another species").to_numpy()
    np.testing.assert_array_equal(flagged, is_mouse)
    total = mixed.X.sum(axis=1).A1
    np.testing.assert_allclose(obs["pct_other_species"], 100 * foreign / (foreign + total))
    assert obs["keep"].to_numpy()[~is_mouse].all()
    assert not obs["keep"].to_numpy()[is_mouse].any()


def test_read_counts_have_no_limits_on_counts_and_no_doublet_model(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    healthy.obs["chemistry"] = "10x_3p_v3"
    rng = np.random.default_rng(0)
    healthy.X.data = (healthy.X.data * rng.integers(5, 90, healthy.X.nnz)).astype(np.int32)
    found = measure(healthy)
    facts = json.loads(found.uns["qc"])
    assert not facts["umis"]
    for row in facts["limits"]:
        assert row["min_umis"] is row["damaged_umis"] is row["high_umis"] is None
        assert row["min_genes"] is not None
    reasons = {row["what"]: row["reason"] for row in facts["not_run"]}
    assert "read counts" in reasons["doublet score"]
    assert "read counts" in reasons["ambient RNA"]
    assert found.obs["doublet_score"].isna().all()
    assert found.obs["keep"].mean() > 0.9


@pytest.mark.parametrize("n", [30, 120])
def test_one_lineage_alone_is_measured_on_itself(
    healthy: anndata.AnnData, measure: Measure, truth: pd.DataFrame, n: int
) -> None:
    kinds = truth[truth["sample"] == "H1"].set_index("barcode").loc[healthy.obs_names, "lineage"]
    cells = healthy[(kinds == "T").to_numpy()][:n].copy()
    found = measure(cells)
    facts = json.loads(found.uns["qc"])
    assert found.obs["keep"].mean() > 0.95
    (own,) = [row for row in facts["limits"] if row["lineage"] == "T and NK"]
    assert own["adaptive"] == (own["cells"] >= 20)
    assert facts["ambient"]["share"] is None
    assert facts["ambient"]["reason"] in {
        row["reason"] for row in facts["not_run"] if row["what"] == "ambient RNA"
    }


def test_large_cells_get_a_remark_and_stay(healthy: anndata.AnnData, measure: Measure) -> None:
    dense = healthy.X.toarray()
    large = np.flatnonzero(measure(healthy.copy()).obs["coarse_lineage"] == "T and NK")[:3]
    dense[large] *= 60
    healthy.X = sparse.csr_matrix(dense)
    obs = measure(healthy).obs.iloc[large]
    assert (obs["qc_remark"].astype(str).str.contains("many counts")).all()
    assert obs["keep"].all()


@pytest.mark.parametrize(
    ("gene", "one_in", "share", "remark"),
    [
        ("HBB", 20, "pct_counts_hb", "haemoglobin counts"),
        ("PPBP", 100, "pct_counts_platelet", "platelet counts"),
    ],
)
def test_haemoglobin_above_five_per_cent_and_platelet_genes_above_one_get_a_remark(
    healthy: anndata.AnnData, measure: Measure, gene: str, one_in: int, share: str, remark: str
) -> None:
    plain = measure(healthy.copy())
    dense = healthy.X.toarray()
    column = healthy.var_names.get_loc(gene)
    other = healthy.var_names.get_loc("ACTB")
    usable = (plain.obs[share] == 0) & (plain.obs["total_counts"] > 1000)
    rows = np.flatnonzero(usable.to_numpy())[:3]
    for row, added in zip(rows, (-1, 0, 1), strict=True):
        rest = dense[row].sum()
        dense[row, other] += -rest % (one_in - 1)
        dense[row, column] = dense[row].sum() // (one_in - 1) + added
    healthy.X = sparse.csr_matrix(dense)
    found = measure(healthy).obs["qc_remark"].astype(str).iloc[rows]
    assert found.str.contains(remark).tolist() == [False, False, True]


def test_a_cell_of_another_species_has_more_than_half_of_its_counts_from_it(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    total = healthy.X.sum(axis=1).A1
    foreign = np.zeros(healthy.n_obs, dtype=np.int64)
    foreign[[0, 1, 2]] = total[0], total[1] + 1, total[2] - 1
    healthy.obsm["other_features"] = sparse.csr_matrix(foreign[:, None])
    healthy.uns["other_features"] = json.dumps(
        {"name": ["mm10___Ptprc"], "id": [""], "type": ["Gene Expression of another species"]}
    )
    obs = measure(healthy).obs
    assert obs["pct_other_species"].iloc[0] == 50
    flagged = obs["qc_flag"].astype(str).str.contains("another species").to_numpy()
    assert np.flatnonzero(flagged).tolist() == [1]


def test_limits_are_measured_on_cells_and_not_on_empty_droplets_or_other_species(
    healthy: anndata.AnnData, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Droplets of nothing but ambient RNA look like leukocytes, with few counts each."""
    from ctcflow.stats.quality import limits as lim

    asked = []

    def noted(umis: np.ndarray, *given: np.ndarray, measured: list, rules: list) -> list:
        asked.append(np.logical_or.reduce(measured))
        return original(umis, *given, measured=measured, rules=rules)

    original = lim.limits
    monkeypatch.setattr(lim, "limits", noted)
    planted = _soup(healthy, np.full(60, 250), 1, "planted")
    given = anndata.concat([healthy, planted], merge="same")
    foreign = np.zeros(given.n_obs, dtype=np.int64)
    foreign[:10] = 50_000
    given.obsm["other_features"] = sparse.csr_matrix(foreign[:, None])
    given.uns["other_features"] = json.dumps(
        {"name": ["mm10___Ptprc"], "id": [""], "type": ["Gene Expression of another species"]}
    )
    background = _soup(healthy, np.random.default_rng(5).integers(5, 100, 3000), 2)
    everything = anndata.concat([given, background], merge="same")
    found = measure(given, everything)
    (used,) = asked
    order = content_order(given.X.tocsr(), names=given.var_names.to_numpy(dtype=object))
    flags = found.obs["qc_flag"].astype(str).iloc[order]
    empty = flags.str.contains("empty droplet").to_numpy()
    assert empty.sum() >= 50 and used.sum() > 150
    assert not (used & empty).any()
    assert not (used & flags.str.contains("another species").to_numpy()).any()


def test_droplets_of_another_library_with_the_same_barcodes_are_refused(
    healthy: anndata.AnnData, measure: Measure
) -> None:
    # the list of barcodes of a kit: in the other library these droplets hold ambient RNA
    ambient = _soup(healthy, np.full(healthy.n_obs, 60), 1)
    ambient.obs_names = healthy.obs_names
    more = _soup(healthy, np.full(100, 40), 2)
    with pytest.raises(CtcflowError, match="are not the droplets of these barcodes in raw_path"):
        measure(healthy.copy(), anndata.concat([ambient, more], merge="same"))
    other = healthy[np.roll(np.arange(healthy.n_obs), 1)].copy()
    other.obs_names = healthy.obs_names
    with pytest.raises(CtcflowError, match="are not the droplets of these barcodes in raw_path"):
        measure(healthy.copy(), anndata.concat([other, more], merge="same"))
    own = anndata.concat([healthy, more], merge="same")
    assert measure(healthy.copy(), own).n_obs == healthy.n_obs
