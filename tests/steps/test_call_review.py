"""Records of `call` with a reviewer's verdicts, blanks, replicates and decoys."""

from __future__ import annotations

import json

import anndata
import pandas as pd
import pytest

from ctcflow.render.tables import of_run as tables
from ctcflow.settings.params import CallParams
from ctcflow.steps.call import call

from .test_call import TISSUE_MARKERS, scored_sample


def called(
    *cohort: anndata.AnnData, verdicts: pd.DataFrame | None = None, **params: float
) -> tuple[anndata.AnnData, dict]:
    result = call(list(cohort), verdicts, None, TISSUE_MARKERS, params=CallParams(**params))
    return result, json.loads(result.uns["call"])


def said(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Verdicts of AB: sample, barcode, word."""
    frame = pd.DataFrame(rows, columns=["sample", "barcode", "verdict"], dtype=object)
    return frame.assign(reviewer="AB", reason="seen under the microscope")


def test_verdicts_change_classes_and_counts_and_nothing_else() -> None:
    before, _ = called(scored_sample("a", tumour=5), scored_sample("b", tumour=2))
    verdicts = said(("a", "a_00000", "confirm"), ("a", "a_00200", "veto"), ("b", "gone-1", "veto"))
    result, facts = called(
        scored_sample("a", tumour=5), scored_sample("b", tumour=2), verdicts=verdicts
    )
    changed = result.obs["class"].astype(str) != before.obs["class"].astype(str)
    assert result.obs_names[changed].tolist() == ["a:a_00000", "a:a_00200"]
    assert result.obs.loc["a:a_00000", "class"] == "CTC"
    assert result.obs.loc["a:a_00200", "class"] == "non-blood other"
    assert result.obs.loc["a:a_00200", "class_before_review"] == "CTC"
    assert result.obs.loc["a:a_00200", "phenotype"] == ""
    assert (result.obs["p"] == before.obs["p"]).all()
    assert facts["samples"][0]["n_CTC"] == facts["draws"][0]["count"] == 5
    assert facts["samples"][0]["n_before_review"] == 5
    assert facts["samples"][0]["flags"] == ["reviewed: 1 confirmed, 1 vetoed"]
    assert facts["samples"][1]["flags"] == []
    assert [row for row in facts["not_run"] if row["what"] == "verdict not applied"] == [
        {
            "sample": "b",
            "what": "verdict not applied",
            "reason": "gone-1 (veto, AB): no cell of this barcode was kept",
        }
    ]
    listed = tables.ctc_table(result).set_index("barcode")
    assert listed.loc["a_00200", "reviewer"] == "AB"
    assert len(listed) == (before.obs["class"].astype(str) == "CTC").sum() + 1


def test_a_reviewer_does_not_set_the_error_rate() -> None:
    healthy = scored_sample("h", tumour=3, role="healthy")
    verdicts = said(*(("h", f"h_00{k}", "veto") for k in range(200, 203)))
    _, facts = called(healthy, verdicts=verdicts)
    assert facts["draws"][0]["count"] == 0
    assert facts["healthy"]["called"] == 3
    assert facts["healthy"]["flag"].startswith("more false calls than claimed")


def test_draws_stand_against_twenty_healthy_ones_with_the_given_dispersion() -> None:
    healthy = [scored_sample(f"h{k}", blood=20, role="healthy") for k in range(20)]
    _, facts = called(*healthy, scored_sample("p", tumour=4), dispersion=2.3)
    assert facts["blanks"] == {"draws": 20, "limit": 0.0, "reason": ""}
    assert facts["dispersion"] == {"ratio": 2.3, "source": "given as call.dispersion"}
    draw = facts["draws"][-1]
    assert (draw["count"], draw["above_blank"]) == (4, "yes")
    assert draw["interval"] == "negative binomial, variance/mean 2.3"
    assert facts["samples"][-1]["rate_high"] == draw["count_high"]
    assert 20 * facts["healthy"]["claimed"] == pytest.approx(0.0554, abs=1e-4)


def test_decoy_panels_are_passed_on() -> None:
    adata = scored_sample("a")
    row = {"decoys": 10, "cells": 200, "level": 0.01, "share": 0.009, "low": 0.0, "high": 0.02}
    adata.uns["score"] = json.dumps({**json.loads(adata.uns["score"]), "decoys": [row]})
    _, facts = called(adata, scored_sample("b"))
    assert facts["calibration"]["decoys"] == [{"sample": "a", **row}]
