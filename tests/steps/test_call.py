"""`call` on planted evidence and after the real `score`: classes, limits, draws, calibration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from ctcflow.evidence.classes import CLASSES
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.render.tables.of_run import origin_table
from ctcflow.settings.params import CallParams
from ctcflow.steps.call import call

Run = Callable[..., anndata.AnnData]
IsCtc = Callable[[anndata.AnnData], np.ndarray]

TISSUE_MARKERS = io.read_table(Path(__file__).parents[2] / "resources" / SHIPPED["tissue_markers"])
N_MARKERS = TISSUE_MARKERS["gene"].nunique()

TOGETHER = [
    "total_counts",
    "p_identity",
    "p_panel",
    "tumour_panel",
    "panel_genes",
    "n_panel_genes",
    "other_type",
    "other_group",
    "p_stroma",
    "p_stroma_panel",
    "over_other_tissue",
    "over_blood",
    "p_copy_number",
]
"""Lines of evidence of cells that are judged together."""
SETS = ["epithelial", "mesenchymal_blood_safe", "proliferation"]


def scored_sample(
    name: str,
    *,
    blood: int = 200,
    tumour: int = 0,
    seed: int = 0,
    doublet_rate: float | None = None,
    **row: object,
) -> anndata.AnnData:
    """What `qc` and `score` leave of one sample; p-values of blood are uniform."""
    rng = np.random.default_rng([seed, *name.encode()])
    n = blood + tumour
    is_tumour = np.arange(n) >= blood
    p_panel = np.where(is_tumour, 10.0 ** -rng.uniform(6, 12, n), rng.uniform(size=n))
    p_identity = np.where(is_tumour, 10.0 ** -rng.uniform(4, 6, n), rng.uniform(size=n))
    obs = pd.DataFrame(
        {
            "total_counts": rng.integers(1000, 9000, n),
            "lineage": pd.Categorical(["Monocyte"] * n),
            "p_identity": p_identity,
            "p_panel": p_panel,
            "evidence": -np.log10(p_identity) - np.log10(p_panel),
            "panel_genes": np.where(is_tumour, "EPCAM,KRT8,KRT18", "").astype(object),
            "n_panel_genes": np.where(is_tumour, 3, 0),
            "tumour_panel": pd.Categorical(np.where(is_tumour, "pan_epithelial", "")),
            "other_type": pd.Categorical([""] * n),
            "other_group": pd.Categorical([""] * n),
            "p_stroma": np.full(n, 1e-6),
            "p_stroma_panel": np.ones(n),
            "over_other_tissue": np.zeros(n),
            "over_blood": np.full(n, 0.2),
            "p_copy_number": np.full(n, np.nan),
            "partner_lineage": pd.Categorical([""] * n),
            "p_partner": np.full(n, np.nan),
            "n_alike": np.ones(n, dtype=np.int64),
            "is_leukocyte": ~is_tumour,
            "predicted_doublet": np.zeros(n, dtype=bool),
        },
        index=pd.Index([f"{name}_{i:05d}" for i in range(n)], dtype=object),
    )
    adata = anndata.AnnData(obs=obs)
    scores = rng.uniform(0, 0.05, (n, len(SETS))).astype(np.float32)
    adata.obsm["signatures"] = pd.DataFrame(scores, index=obs.index, columns=SETS)
    adata.obsm["copy_number"] = pd.DataFrame(index=obs.index)
    adata.obsm["alike"] = obs[TOGETHER].copy()
    sheet = {"sample": name, "patient": name, "draw": name, "role": "patient", **row}
    adata.uns["ctcflow"] = json.dumps({"sample": sheet, "steps": {}})
    ledger = [{"stage": "qc", "reason": "kept", "cells": n}]
    adata.uns["qc"] = json.dumps(
        {
            "umis": True,
            "limits": [],
            "distributions": [],
            "ambient": {"share": 0.04, "low": 0.03, "high": 0.05},
            "droplets": None,
            "doublet_rate": doublet_rate,
            "ledger": ledger,
            "set_aside": [],
            "not_run": [],
        }
    )
    adata.obsm["tissue_counts"] = sparse.csr_matrix((n, N_MARKERS + 1), dtype=np.float32)
    measured = [True] * N_MARKERS
    adata.uns["score"] = json.dumps(
        {"not_run": [], "decoys": [], "tissue_genes_measured": measured}
    )
    return adata


def called(*cohort: anndata.AnnData, **params: float) -> tuple[anndata.AnnData, dict]:
    result = call(list(cohort), None, None, TISSUE_MARKERS, params=CallParams(**params))
    return result, json.loads(result.uns["call"])


def after_score(
    adata: anndata.AnnData, name: str, measure: Run, scored: Run, **row: object
) -> anndata.AnnData:
    """One sample through `qc` and `score`, as the cohort reader hands it over."""
    found = measure(adata)
    found = scored(found[found.obs["keep"].to_numpy()].copy())
    sheet = {"sample": name, "patient": name, "draw": name, "role": "patient", **row}
    found.uns["ctcflow"] = json.dumps({"sample": sheet, "steps": {}})
    return found


def test_planted_cells_are_called_and_blood_is_not() -> None:
    result, facts = called(scored_sample("a", tumour=12), scored_sample("b", role="healthy"))
    classes = result.obs["class"].astype(str)
    tumour = result.obs["n_panel_genes"] > 0
    assert (classes[tumour] == "CTC").all()
    assert (classes[~tumour] == "blood").mean() > 0.995
    assert facts["samples"][0]["n_CTC"] == 12
    assert facts["healthy"]["samples"] == 1
    assert facts["healthy"]["cells"] == 200


def test_aggregates_stand_against_chance() -> None:
    adata = scored_sample("a", blood=400, tumour=20, doublet_rate=0.05)
    together = np.flatnonzero(~adata.obs["is_leukocyte"])[:8]
    adata.obs.iloc[together, adata.obs.columns.get_loc("p_identity")] = 0.5
    adata.obs["evidence"] = -np.log10(adata.obs["p_identity"]) - np.log10(adata.obs["p_panel"])
    result, facts = called(adata)
    assert (result.obs["class"] == "CTC aggregate").sum() == 8
    rows = {row["partner"]: row for row in facts["aggregates"]}
    assert set(rows) == {"neutrophil", "monocyte", "platelet", "lymphocyte"}
    monocyte = rows["monocyte"]  # the lineage of all simulated cells
    # 12 tumour cells and 400 monocytes at 5 % doublets: about one pair by chance
    load = 0.1017  # 1 - x / (exp(x) - 1) = 0.05
    blood = int((result.obs["class"] == "blood").sum())
    expected = 12 * blood / (420 / (np.exp(load) - 1))
    assert monocyte["expected"] == pytest.approx(expected, rel=0.01)
    assert monocyte["observed"] == 8
    assert 1 < monocyte["low"] < monocyte["ratio"] < monocyte["high"]
    assert monocyte["verdict"] == "more than random doublets give"
    assert rows["platelet"]["observed"] == 0
    assert rows["platelet"]["verdict"] == "cannot be told from random doublets"


@pytest.mark.parametrize(("tumour", "rate"), [(0, 0.05), (5, None)])
def test_without_tumour_cells_or_loading_nothing_is_compared(
    tumour: int, rate: float | None
) -> None:
    _, facts = called(scored_sample("a", tumour=tumour, doublet_rate=rate))
    assert facts["aggregates"] == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_cell_has_one_class_and_a_call_is_significant(seed: int) -> None:
    rng = np.random.default_rng(seed)
    adata = scored_sample("a", blood=150, seed=seed % 1000)
    chosen = rng.random(150) < 0.5
    for line in ("p_identity", "p_panel"):
        adata.obs[line] = np.where(chosen, 10.0 ** -rng.uniform(0, 8, 150), rng.uniform(size=150))
    adata.obs["evidence"] = -np.log10(adata.obs["p_identity"]) - np.log10(adata.obs["p_panel"])
    adata.obs["n_panel_genes"] = rng.integers(0, 4, 150)
    adata.obs["p_stroma"] = np.where(rng.random(150) < 0.5, 0.5, 1e-6)
    result, facts = called(adata)
    obs = result.obs
    classes = obs["class"].astype(str)
    assert classes.isin(CLASSES).all()
    significant = (obs["q"] <= 0.05) & (obs["p"] <= 0.001)
    assert ((classes != "blood") == significant).all()
    ctc = classes.isin(["CTC", "CTC aggregate"])
    assert (obs["n_panel_genes"][ctc] >= 1).all()
    assert (obs["p_panel"][ctc] <= 0.01).all()
    one_gene = ctc & (obs["n_panel_genes"] == 1)
    assert (obs["p_panel"][one_gene] <= 1e-3).all()
    assert (obs["p_identity"][one_gene] <= 1e-3).all()
    assert (obs["p_identity"][classes == "CTC"] <= 0.01).all()
    assert (adata.obs["p_stroma"][(classes == "CTC").to_numpy()] <= 0.05).all()
    assert (obs["p_identity"][classes == "CTC aggregate"] > 0.01).all()
    assert (obs["reason"][classes != "blood"] != "").all()
    assert ((obs["partner"] != "") == (classes == "CTC aggregate")).all()
    assert (obs["phenotype"][~ctc] == "").all()
    record = facts["samples"][0]
    names = ("n_CTC", "n_aggregate", "n_other", "n_uncertain")
    counts = dict(zip(CLASSES, [record[key] for key in names], strict=False))
    assert counts == {name: int((classes == name).sum()) for name in CLASSES[:4]}
    by_class = [row["cells"] for row in facts["ledger"] if row["stage"] == "call"]
    assert sum(by_class) == record["cells"] == 150
    np.testing.assert_allclose(obs["q"], stats.false_discovery_control(obs["p"]))


@pytest.mark.parametrize(
    ("p_identity", "p_panel", "genes", "group", "expected"),
    [
        (1e-6, 1e-9, 5, "", "CTC"),
        (1e-6, 1e-9, 5, "stroma", "non-blood other"),
        (1e-6, 1e-9, 5, "skin", "non-blood other"),
        (1e-6, 1e-9, 5, "epithelium", "CTC"),
        (1e-9, 0.5, 0, "epithelium", "CTC"),  # epithelial by all of its genes
        (1e-9, 0.5, 0, "stroma", "non-blood other"),
        (1e-6, 1e-3, 3, "", "CTC"),
        (5e-3, 1e-3, 3, "", "uncertain"),
        (0.5, 1e-12, 6, "", "CTC aggregate"),
        (1e-9, 0.5, 0, "", "uncertain"),
        (1e-9, 1e-3, 1, "", "CTC"),  # one gene that leukocytes hardly show, and clearly no blood
        (5e-3, 1e-6, 1, "", "uncertain"),
        (1e-9, 2e-3, 1, "", "uncertain"),
        (0.5, 1e-12, 1, "", "uncertain"),
        (0.5, 0.5, 0, "stroma", "blood"),
    ],
)
def test_the_lines_decide_the_class(
    p_identity: float, p_panel: float, genes: int, group: str, expected: str
) -> None:
    """Of one cell among a hundred quiet ones."""
    adata = scored_sample("a", blood=100, tumour=1)
    adata.obs["evidence"] = 0.1
    values = {
        "p_identity": p_identity,
        "p_panel": p_panel,
        "n_panel_genes": genes,
        "evidence": -np.log10(p_identity) - np.log10(p_panel),
        "p_stroma": 0.5 if group == "stroma" else 1e-6,
        "over_other_tissue": 500.0,
    }
    for key, value in values.items():
        adata.obs.loc[adata.obs_names[-1], key] = value
    adata.obs["other_group"] = pd.Categorical([""] * 100 + [group])
    result, _ = called(adata)
    assert str(result.obs["class"].iloc[-1]) == expected


def _eight_without_a_panel() -> tuple[anndata.AnnData, slice]:
    """A hundred leukocytes and, in these rows, eight cells that lack blood identity only."""
    adata = scored_sample("a", blood=100, tumour=8)
    rows = slice(100, None)
    for key, value in {"p_identity": 1e-5, "p_panel": 0.5, "n_panel_genes": 0}.items():
        adata.obs.loc[adata.obs_names[rows], key] = value
    adata.obs["evidence"] = -np.log10(adata.obs["p_identity"] * adata.obs["p_panel"])
    adata.obsm["alike"] = adata.obs[TOGETHER].copy()
    return adata, rows


def _together(adata: anndata.AnnData, rows: slice, size: int, **lines: object) -> anndata.AnnData:
    """Cells that are judged together with others, by these lines of evidence."""
    adata.obs.loc[adata.obs_names[rows], "n_alike"] = size
    theirs = adata.obsm["alike"].astype(object)
    for key, value in lines.items():
        theirs.loc[adata.obs_names[rows], key] = value
    adata.obsm["alike"] = theirs
    return adata


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"p_panel": 1e-9, "n_panel_genes": 9, "p_identity": 1e-30}, "CTC"),
        ({"p_identity": 1e-30, "p_copy_number": 1e-6}, "CTC"),
        ({"p_identity": 1e-30, "p_stroma": 0.6, "other_type": "Fibroblast"}, "non-blood other"),
        ({"p_identity": 1e-30}, "uncertain"),
    ],
)
def test_cells_that_cannot_be_told_apart_are_judged_by_what_they_show_together(
    lines: dict[str, object], expected: str
) -> None:
    adata, rows = _eight_without_a_panel()
    alone, _ = called(adata)
    assert (alone.obs["class"].iloc[100:] == "uncertain").all()
    result, _ = called(_together(adata, rows, 8, total_counts=8 * 600, **lines))
    assert (result.obs["class"].iloc[100:] == expected).all()
    assert (result.obs["class"].iloc[:100] == "blood").all()
    assert (
        result.obs["reason"]
        .iloc[100:]
        .str.contains("judged together with 7 cells that are like it")
        .all()
    )
    # the cell's own p is what is shown
    assert (result.obs["p_identity"].iloc[100:] == 1e-5).all()
    assert (result.obs["n_alike"].iloc[100:] == 8).all()


def test_what_leukocytes_share_may_be_ambient_rna() -> None:
    """A group that together is nearer to blood than to any tissue lends its panel to none of it."""
    adata, rows = _eight_without_a_panel()
    lines = {"p_panel": 1e-14, "n_panel_genes": 9, "over_blood": -0.3}
    result, _ = called(_together(adata, rows, 8, **lines))
    assert (result.obs["class"].iloc[100:] == "uncertain").all()
    assert (result.obs["n_alike"] == 1).all()


def test_a_sample_full_of_aggregates_is_flagged() -> None:
    adata = scored_sample("a", blood=100, tumour=60)
    quiet, facts = called(adata)
    assert not any("lysed" in flag for flag in facts["samples"][0]["flags"])
    adata.obs.loc[adata.obs_names[100:], "p_identity"] = 0.5  # they keep their blood identity
    adata.obs.loc[adata.obs_names[100:], "evidence"] = 12.0
    result, facts = called(adata)
    assert (result.obs["class"].iloc[100:] == "CTC aggregate").all()
    assert any("60 of 160 cells are called aggregates" in f for f in facts["samples"][0]["flags"])


def test_others_make_no_call_of_a_cell_that_may_be_blood() -> None:
    """However plain the group is: what lacks no blood identity by itself is no CTC."""
    adata = scored_sample("a", blood=100, tumour=1)
    adata = _together(adata, slice(0, 5), 6, p_identity=1e-30, p_panel=1e-30, n_panel_genes=9)
    result, _ = called(adata)
    assert (result.obs["class"].iloc[:5] == "blood").all()


def test_counts_are_given_without_calls_that_are_diploid_as_far_as_seen() -> None:
    adata = scored_sample("a", tumour=6)
    adata.obs["total_counts"] = 9000
    adata.obs.loc[adata.obs_names[-6:], "p_copy_number"] = [1e-6, 1e-5, 0.4, 0.9, np.nan, 0.2]
    result, facts = called(adata)
    assert result.obs["malignancy"].tolist()[-6:] == [
        *["aneuploid"] * 2,
        *["diploid as far as seen"] * 2,
        "not seen",
        "diploid as far as seen",
    ]
    assert (result.obs["malignancy"].iloc[:-6] == "").all()
    sample, draw = facts["samples"][0], facts["draws"][0]
    assert (sample["n_aneuploid"], sample["n_diploid"]) == (2, 3)
    assert (draw["count"], draw["count_without_diploid"]) == (6, 3)


def test_phenotypes_follow_the_programmes_of_calls_only() -> None:
    adata = scored_sample("a", blood=100, tumour=4)
    scores = adata.obsm["signatures"]
    scores.iloc[:, :2] = 0.0
    scores.iloc[-4:, :2] = [[0.3, 0.0], [0.0, 0.3], [0.3, 0.3], [0.0, 0.0]]
    scores.iloc[0, :2] = 0.9  # blood
    result, _ = called(adata)
    assert result.obs["phenotype"].tolist()[-4:] == ["epithelial", "mesenchymal", "hybrid", ""]
    assert (result.obs["phenotype"].iloc[:-4] == "").all()


def test_no_call_is_a_result_with_an_upper_limit() -> None:
    quiet = scored_sample("a")
    quiet.obs["evidence"] = np.minimum(quiet.obs["evidence"], 0.5)
    _, facts = called(quiet)
    (draw,) = facts["draws"]
    assert (draw["count"], draw["count_low"]) == (0, 0.0)
    assert draw["count_high"] == pytest.approx(3.69, abs=0.005)
    assert facts["samples"][0]["rate_high"] == draw["count_high"]


def test_a_draw_is_the_sum_of_its_lanes() -> None:
    lanes = {"draw": "d", "patient": "p", "day": 3, "volume_ml": 7.5, "fraction_loaded": 0.25}
    _, facts = called(
        scored_sample("a", tumour=4, **lanes),
        scored_sample("x", tumour=1, draw="other"),
        scored_sample("b", tumour=6, **lanes),
    )
    first, other = facts["draws"]
    singles = {record["sample"]: record["n_CTC"] for record in facts["samples"]}
    assert first["samples"] == "a, b"
    assert first["count"] == singles["a"] + singles["b"] == 10
    assert first["cells"] == 410
    assert (first["patient"], first["day"]) == ("p", 3)
    assert first["count_without_diploid"] == 10  # copy number was not judged
    assert (round(first["count_low"], 2), round(first["count_high"], 2)) == (4.8, 18.39)
    # half of 7.5 mL was looked at
    assert first["per_ml"] == pytest.approx(10 / 3.75)
    assert first["per_ml_low"] == pytest.approx(first["count_low"] / 3.75)
    assert first["per_ml_high"] == pytest.approx(first["count_high"] / 3.75)
    assert first["note"] == ""
    assert other["count"] == 1


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ({}, "volume_ml"),
        ({"fraction_loaded": 0.5}, "volume_ml"),
        ({"volume_ml": 7.5}, "fraction_loaded"),
        ({"volume_ml": 7.5, "fraction_loaded": None}, "fraction_loaded"),
    ],
)
def test_per_ml_is_given_only_where_volume_and_loading_are(row: dict, missing: str) -> None:
    _, facts = called(scored_sample("a", tumour=3, **row))
    (draw,) = facts["draws"]
    assert draw["count"] == 3
    assert draw["per_ml"] is draw["per_ml_low"] is draw["per_ml_high"] is None
    assert missing in draw["note"]


def test_empty_and_tiny_samples_stand_beside_others() -> None:
    sizes = {"none": 0, "one": 1, "two": 2, "ten": 10, "full": 200}
    result, facts = called(*(scored_sample(name, blood=n) for name, n in sizes.items()))
    assert {r["sample"]: r["cells"] for r in facts["samples"]} == sizes
    flags = {record["sample"]: record["flags"] for record in facts["samples"]}
    assert flags["none"] == ["no cell was kept"]
    assert flags["two"] == ["only 2 leukocytes: p rests on shipped blood rates"]
    assert flags["full"] == []
    assert facts["samples"][0]["median_umis"] is None
    assert result.n_obs == 213
    assert result.obs["p"].between(0, 1).all()


def test_a_cohort_without_a_cell_is_counted() -> None:
    result, facts = called(scored_sample("a", blood=0), scored_sample("b", blood=0))
    assert result.n_obs == 0
    assert [draw["count"] for draw in facts["draws"]] == [0, 0]
    assert facts["healthy"]["rate"] is None


def test_another_sample_moves_no_call() -> None:
    first = scored_sample("a", tumour=5, seed=1)
    alone, _ = called(first.copy())
    mixed, _ = called(scored_sample("h", role="healthy"), first.copy())
    mine = mixed.obs[mixed.obs["sample"] == "a"]
    for column in ("p", "q", "reason", "class"):
        assert mine[column].tolist() == alone.obs[column].tolist()
    assert mine.index.tolist() == alone.obs.index.tolist()


def test_inflated_evidence_is_calibrated_and_tumour_cells_do_not_hide_it() -> None:
    """Blood whose two lines go together: p claims less than the evidence says."""
    adata = scored_sample("a", blood=4000, tumour=40)
    rng = np.random.default_rng(0)
    adata.obs.loc[adata.obs_names[:4000], "evidence"] = rng.gamma(2, 1 / (0.7 * np.log(10)), 4000)
    result, facts = called(adata)
    p = result.obs["p"].to_numpy()[:4000]
    for level in (0.1, 0.01, 0.001):
        below = int((p <= level).sum())
        assert stats.binomtest(below, 4000, level * 1.25).proportion_ci(0.99).low <= level * 1.25
    factor = facts["calibration"]["tail"][0]["factor"]
    assert factor == pytest.approx(0.7, abs=0.08)
    # cells that are no leukocytes are not asked, wherever their evidence lies
    adata.obs.loc[adata.obs_names[4000:], "evidence"] = 3.4
    assert called(adata)[1]["calibration"]["tail"][0]["factor"] == factor
    for level, share, low, high in facts["calibration"]["observed"]:
        assert share == pytest.approx((p <= level).mean())
        assert low <= share <= high


def test_p_of_pure_blood_is_as_rare_as_it_says(
    healthy: anndata.AnnData, measure: Run, scored: Run
) -> None:
    result, _ = called(after_score(healthy, "H1", measure, scored, role="healthy"))
    p, n = result.obs["p"].to_numpy(), result.n_obs
    for level in (0.3, 0.1, 0.01):
        below = int((p <= level).sum())
        assert stats.binomtest(below, n, level).proportion_ci(0.99).low <= level * 1.2
    assert (result.obs["class"] == "blood").mean() > 0.98


def test_the_chain_finds_the_planted_cells(
    patient: anndata.AnnData, is_ctc: IsCtc, truth: pd.DataFrame, measure: Run, scored: Run
) -> None:
    """A mesenchymal tumour cell without copy number may be a fibroblast, but is no leukocyte."""
    result, facts = called(after_score(patient, "P1", measure, scored))
    kept = result.obs.set_index("barcode")
    tumour = patient.obs_names[is_ctc(patient)]
    known = truth[truth["sample"] == "P1_d0"].set_index("barcode")["phenotype"]
    found = kept.loc[kept.index.isin(tumour), "class"].astype(str)
    called_ = found.isin(["CTC", "CTC aggregate"])
    epithelial = known.reindex(found.index) != "mesenchymal"
    assert called_[epithelial].sum() / (known.reindex(tumour) != "mesenchymal").sum() >= 0.95
    assert (found != "blood").sum() / len(tumour) >= 0.95
    aside = [row["barcode"] for row in facts["set_aside"]]
    assert set(tumour) <= set(kept.index) | set(aside)


def test_the_same_file_twice_is_flagged() -> None:
    def named(name: str) -> anndata.AnnData:
        adata = scored_sample(name, blood=120)
        codes = ["".join("ACGT"[(i >> (2 * k)) & 3] for k in range(12)) for i in range(120)]
        adata.obs_names = pd.Index(codes, dtype=object)
        adata.obsm["signatures"].index = adata.obs_names
        adata.obs["total_counts"] = np.arange(120) + 1000
        return adata

    _, facts = called(named("a"), named("b"))
    for record, other in zip(facts["samples"], ("b", "a"), strict=True):
        (flag,) = record["flags"]
        assert flag.startswith(f"shares 120 barcodes with {other}")
        assert flag.endswith("the same file twice?")


def with_liver_genes(adata: anndata.AnnData, which: np.ndarray) -> anndata.AnnData:
    """10 counts of each marker gene of the liver in these cells, 500 of all others together."""
    liver = TISSUE_MARKERS[TISSUE_MARKERS["tissue"] == "liver"]
    strong = liver.loc[liver["share"] >= 0.8, "gene"]
    counts = np.zeros((adata.n_obs, N_MARKERS + 1), dtype=np.float32)
    genes = sorted(set(TISSUE_MARKERS["gene"]))
    counts[np.ix_(np.flatnonzero(which), [genes.index(gene) for gene in strong])] = 10
    counts[which, -1] = 500
    adata.obsm["tissue_counts"] = sparse.csr_matrix(counts)
    return adata


def test_ctcs_of_all_samples_of_a_draw_say_together_where_they_are_from() -> None:
    lanes = [scored_sample(name, tumour=2, draw="d") for name in ("a", "b")]
    lanes = [with_liver_genes(lane, ~lane.obs["is_leukocyte"].to_numpy()) for lane in lanes]
    other = scored_sample("c", tumour=2)
    result, facts = called(*lanes, other)
    assert [draw["tissue_of_origin"] for draw in facts["draws"]] == [
        "tissue of origin: liver (from 4 CTCs)",
        "",
    ]
    table = origin_table(result)
    assert set(table["draw"]) == {"d"}
    assert table["cells"].unique().tolist() == [4]
    first = table[table["rank"] == 1].set_index("level")
    assert first["name"].to_dict() == {"class": "epithelial", "tissue": "liver"}
    assert first["told"].all()
    assert ((table["lower"] <= table["weight"]) & (table["weight"] <= table["upper"])).all()


def test_only_cells_called_ctc_say_where_they_are_from() -> None:
    """Blood cells with a line of evidence have counts too; an aggregate is half a leukocyte."""
    adata = scored_sample("a", blood=400, tumour=20, doublet_rate=0.05)
    together = np.flatnonzero(~adata.obs["is_leukocyte"])
    adata.obs.iloc[together, adata.obs.columns.get_loc("p_identity")] = 0.5
    adata.obs["evidence"] = -np.log10(adata.obs["p_identity"]) - np.log10(adata.obs["p_panel"])
    result, facts = called(with_liver_genes(adata, np.ones(adata.n_obs, dtype=bool)))
    assert not (result.obs["class"] == "CTC").any()
    assert (result.obs["class"] == "CTC aggregate").any()
    assert facts["draws"][0]["tissue_of_origin"] == ""
    assert len(origin_table(result)) == 0


def test_score_keeps_the_counts_of_candidates_in_marker_genes(
    patient: anndata.AnnData, measure: Run, scored: Run, is_ctc: IsCtc
) -> None:
    found = after_score(patient[::-1].copy(), "a", measure, scored)
    counts = found.obsm["tissue_counts"]
    total = np.asarray(counts.sum(axis=1)).ravel()
    candidates = found.obs["other_type"].astype(str).to_numpy() != ""
    assert candidates[is_ctc(found)].mean() > 0.9
    np.testing.assert_array_equal(total, np.where(candidates, found.obs["total_counts"], 0))
    genes = sorted(set(TISSUE_MARKERS["gene"]))
    krt18 = found[:, "KRT18"].X.toarray().ravel()
    np.testing.assert_array_equal(
        counts[:, [genes.index("KRT18")]].toarray().ravel(), np.where(candidates, krt18, 0)
    )


@pytest.mark.parametrize(
    ("share", "flagged"), [(0.0, True), (0.899, True), (0.9, False), (1.0, False)]
)
@pytest.mark.parametrize("tumour", [0, 3])
def test_a_zero_of_a_file_without_the_genes_of_the_panels_is_no_zero(
    share: float, flagged: bool, tumour: int
) -> None:
    sample = scored_sample("a", tumour=tumour)
    record = json.loads(sample.uns["score"])
    genes = {"panel_genes_in_data": 12, "panel_genes": 60, "panel_evidence_in_data": share}
    sample.uns["score"] = json.dumps(record | genes)
    facts = called(sample)[1]
    (row,), (draw,) = facts["samples"], facts["draws"]
    assert any(flag.startswith("12 of 60 panel genes") for flag in row["flags"]) == flagged
    unjudged = flagged and tumour == 0
    assert draw["judged"] == ("cannot be judged: 12 of 60 panel genes in the data" * unjudged)
    assert row["judged"] == draw["judged"]
    assert draw["count"] == tumour
    assert facts["ingest"][0]["panel_genes"] == "12 of 60"


@pytest.mark.parametrize("role", ["healthy", "blank"])
def test_every_cell_of_a_control_is_null_so_that_false_calls_show(role: str) -> None:
    """Six cells that `score` took for no leukocytes, in a sample that can have no tumour cell."""
    _, patient = called(scored_sample("s", blood=300, tumour=6))
    _, control = called(scored_sample("s", blood=300, tumour=6, role=role))
    assert patient["calibration"]["n_null"] == 300
    assert control["calibration"]["n_null"] == 306
    for record, least in ((patient, 0), (control, 6)):
        for level, share, *_ in record["calibration"]["observed"]:
            uniform = stats.binom.ppf(1 - 1e-6, 300, level)
            n_null = record["calibration"]["n_null"]
            assert least <= round(share * n_null) <= uniform + least


@pytest.mark.parametrize(("line", "threshold"), [("fdr", "q"), ("max_p", "p")])
def test_a_cell_at_the_error_rate_that_was_asked_for_is_called(line: str, threshold: str) -> None:
    first, _ = called(scored_sample("s", blood=300, tumour=6), fdr=0.05, max_p=0.05)
    tumour = first.obs["class"] == "CTC"
    highest = float(first.obs.loc[tumour, threshold].max())
    assert tumour.sum() == 6
    for value, n in ((highest, 6), (np.nextafter(highest, 0), 5)):
        found, _ = called(
            scored_sample("s", blood=300, tumour=6), **{"fdr": 0.05, "max_p": 0.05, line: value}
        )
        assert (found.obs["class"] == "CTC").sum() <= n
        assert (found.obs.loc[tumour, "class"] == "CTC").sum() == n


def test_two_looks_at_copy_number_cost_a_factor_of_two_and_p_ends_at_one() -> None:
    for theirs, own, word in ((0.8, 0.7, "p 1)"), (2e-4, 0.7, "p 0.0004)"), (0.9, 1e-4, "0.0002)")):
        adata, rows = _eight_without_a_panel()
        adata.obs.loc[adata.obs_names[rows], "p_copy_number"] = own
        result, _ = called(_together(adata, rows, 8, total_counts=4800, p_copy_number=theirs))
        reasons = (
            result.obs["reason"]
            .iloc[100:]
            .str.removesuffix("; `uncertain` is within the random error of p")
        )
        assert reasons.str.endswith(word).all()


def test_one_barcode_in_two_samples_is_chance_and_no_flag() -> None:
    """Of 120 of 737,280 barcodes each, 0.02 are shared by chance: one in fifty pairs shares one."""

    def named(name: str, first: int) -> anndata.AnnData:
        adata = scored_sample(name, blood=120)
        numbers = np.arange(first, first + 120)
        codes = ["".join("ACGT"[(i >> (2 * k)) & 3] for k in range(12)) for i in numbers]
        adata.obs_names = pd.Index(codes, dtype=object)
        adata.obsm["signatures"].index = adata.obs_names
        return adata

    _, facts = called(named("a", 0), named("b", 119))
    assert [record["flags"] for record in facts["samples"]] == [[], []]
