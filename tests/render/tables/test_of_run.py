"""Tables of a run: columns, rows, order and number formats."""

from __future__ import annotations

import json
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from ctcflow.evidence.lines import listed_slots
from ctcflow.render.tables import columns
from ctcflow.render.tables import of_run as tables

CELLS = [
    "sample",
    "barcode",
    "class",
    "p",
    "q",
    "lineage",
    "partner",
    "p_panel",
    "p_identity",
    "p_stroma",
    "p_copy_number",
    "malignancy",
    "tumour_panel",
    "n_panel_genes",
    "panel_genes",
    "other_type",
    "n_alike",
    "reason",
    "class_before_review",
    "verdict",
    "reviewer",
]


def have_promised(found: pd.DataFrame, *more: str) -> bool:
    """Whether a table has these columns in this order; a line of evidence may add its own."""
    promised = [*CELLS, *more]
    added = [name for name in found.columns if name not in promised]
    assert set(added) <= {slot.key for slot in listed_slots()}
    return [name for name in found.columns if name not in added] == promised


def call_of(n: int) -> ad.AnnData:
    classes = ["blood", "CTC", "uncertain", "non-blood other", "CTC aggregate"]
    obs = pd.DataFrame(
        {
            "sample": pd.Categorical([["b", "a"][i % 2] for i in range(n)]),
            "barcode": [f"ACGT-{i}" for i in range(n)],
            "class": pd.Categorical([classes[i % 5] for i in range(n)], categories=classes),
            "p": [1.0 / (7 * i + 3) for i in range(n)],
            "phenotype": pd.Categorical([None] * n, categories=["hybrid"]),
            "n_panel_genes": np.arange(n),
            "panel_genes": ["EPCAM"] * n,
        },
        index=[f"i{i}" for i in range(n)],
    )
    call = ad.AnnData(obs=obs)
    call.obsm["signatures"] = pd.DataFrame(
        {"emt": np.full(n, np.float32(0.1)), "cycle": np.arange(n) / 3.0}, index=obs.index
    )
    return call


def test_cells_table_has_exactly_the_promised_columns_and_every_cell() -> None:
    table = tables.cells_table(call_of(20))
    assert have_promised(table)
    assert table["barcode"].tolist() == [f"ACGT-{i}" for i in range(20)]
    assert table["q"].isna().all()
    assert table["lineage"].tolist() == [""] * 20
    assert table["n_panel_genes"].tolist() == list(range(20))


def test_p_keeps_four_significant_digits() -> None:
    table = tables.cells_table(call_of(3))
    assert table["p"].tolist() == [0.3333, 0.1, 0.05882]


def test_ctc_table_has_calls_only_by_sample_then_p() -> None:
    call = call_of(40)
    table = tables.ctc_table(call)
    assert have_promised(table, "phenotype", "emt", "cycle")
    assert set(table["class"]) == {"CTC", "CTC aggregate", "uncertain"}
    assert len(table) == 24
    rows = list(zip(table["sample"], table["p"], strict=True))
    assert rows == sorted(rows)
    assert table["emt"].tolist() == [0.1] * 24
    scores = call.obsm["signatures"].set_index(call.obs["barcode"])["cycle"]
    assert np.allclose(table["cycle"], scores[table["barcode"]], rtol=1e-3)


def test_a_vetoed_cell_stays_listed_with_who_said_so() -> None:
    call = call_of(10)
    call.obs["verdict"] = ["veto", *[""] * 9]
    call.obs["reviewer"] = ["AB", *[""] * 9]
    call.obs["class_before_review"] = pd.Categorical(["CTC", *[""] * 9])
    table = tables.ctc_table(call).set_index("barcode")
    assert len(table) == len(tables.ctc_table(call_of(10))) + 1
    row = table.loc["ACGT-0"]
    assert row["class"] == "blood"
    assert (row["class_before_review"], row["verdict"], row["reviewer"]) == ("CTC", "veto", "AB")
    assert (table["verdict"].drop("ACGT-0") == "").all()
    assert tables.cells_table(call)["verdict"].tolist() == ["veto", *[""] * 9]


def test_a_draw_has_its_columns_whatever_is_known_of_it() -> None:
    call = call_of(1)
    draws = [
        {"draw": "d", "count": 3, "interval": "Poisson (Garwood)", "above_blank": "yes"},
        {"draw": "e", "count": 0, "above_blank": "not enough blanks: 2", "cutoff": "no cut-off"},
    ]
    call.uns["call"] = json.dumps({"draws": draws})
    table = tables.draws_table(call)
    assert list(table.columns) == list(columns.DRAW_COLUMNS)
    lines = [line.split("\t") for line in table.to_csv(sep="\t", index=False).splitlines()]
    first, second = (dict(zip(lines[0], line, strict=True)) for line in lines[1:])
    assert (first["interval"], first["above_blank"]) == ("Poisson (Garwood)", "yes")
    assert (second["above_blank"], second["per_ml_corrected"]) == ("not enough blanks: 2", "")


def test_tables_of_no_cells_have_their_columns() -> None:
    call = call_of(0)
    assert have_promised(tables.cells_table(call))
    assert tables.ctc_table(call).empty
    assert have_promised(tables.ctc_table(call), "phenotype", "emt", "cycle")
    for table, first in (
        (tables.samples_table(call), "sample"),
        (tables.draws_table(call), "draw"),
        (tables.ledger_table(call), "sample"),
        (tables.set_aside_table(call), "sample"),
        (tables.limits_table(call), "sample"),
        (tables.ambient_table(call), "sample"),
        (tables.aggregates_table(call), "sample"),
        (tables.markers_table(call), "cluster"),
        (tables.not_run_table(call, call), "sample"),
    ):
        assert table.empty
        assert table.columns[0] == first


def test_records_become_rows_with_lists_joined_and_new_columns_last() -> None:
    call = call_of(1)
    samples = [
        {"sample": "a", "cells": 4, "day": None, "rate_high": 3.68888, "flags": ["few", "old"]},
        {"sample": "b", "cells": 0, "day": 2, "rate_high": None, "flags": [], "tube": "EDTA"},
    ]
    call.uns["call"] = json.dumps({"samples": samples})
    table = tables.samples_table(call)
    assert list(table.columns) == [*columns.SAMPLE_COLUMNS, "tube"]
    text = table.to_csv(sep="\t", index=False).splitlines()
    found = dict(zip(text[0].split("\t"), text[1].split("\t"), strict=True))
    assert (found["cells"], found["day"], found["rate_high"]) == ("4", "", "3.689")
    assert found["flags"] == "few; old"
    assert dict(zip(text[0].split("\t"), text[2].split("\t"), strict=True))["day"] == "2"


def test_limits_have_one_row_per_sample_and_lineage() -> None:
    call = call_of(1)
    own = {"cells": 812, "adaptive": True, "min_umis": 213.456, "damaged_umis": None}
    qc = [
        {"sample": "a", "limits": [{"lineage": "B", **own}, {"lineage": "other", "cells": 3}]},
        {"sample": "b", "limits": None},
        {"sample": "c", "limits": [{"lineage": "B", "adaptive": False, "max_pct_mt": 50}]},
    ]
    call.uns["call"] = json.dumps({"qc": qc})
    table = tables.limits_table(call)
    assert list(table.columns) == list(columns.LIMIT_COLUMNS)
    lines = table.to_csv(sep="\t", index=False).splitlines()[1:]
    assert [line.rstrip("\t") for line in lines] == [
        "a\tB\t812\tTrue\t213.5",
        "a\tother\t3",
        "c\tB\t\tFalse\t\t\t50",
    ]


def test_ambient_has_one_row_per_sample_that_was_looked_at() -> None:
    call = call_of(1)
    measured = {"share": 0.0312345, "low": 0.02, "high": 0.05, "genes": 43, "corrected": False}
    qc = [
        {"sample": "a", "ambient": {**measured, "measured_on": "droplets", "reason": ""}},
        {"sample": "b", "ambient": None},
        {"sample": "c", "ambient": {"share": None, "reason": "3 cells"}},
    ]
    call.uns["call"] = json.dumps({"qc": qc})
    table = tables.ambient_table(call)
    assert list(table.columns) == list(columns.AMBIENT_COLUMNS)
    assert table["sample"].tolist() == ["a", "c"]
    assert table["share"].tolist()[0] == 0.03123 and np.isnan(table["share"].tolist()[1])
    assert table["reason"].tolist() == ["", "3 cells"]


def test_aggregates_keep_an_open_end_empty() -> None:
    call = call_of(1)
    rows = [
        {"sample": "a", "partner": "platelet", "observed": 4, "expected": 0.51234, "ratio": 7.8}
        | {"low": 1.9, "high": None, "verdict": "more than random doublets"}
    ]
    call.uns["call"] = json.dumps({"aggregates": rows})
    table = tables.aggregates_table(call)
    assert list(table.columns) == list(columns.AGGREGATE_COLUMNS)
    line = table.to_csv(sep="\t", index=False).splitlines()[1]
    assert line == "a\tplatelet\t4\t0.5123\t7.8\t1.9\t\tmore than random doublets"


def test_samples_have_their_ambient_share_with_its_interval() -> None:
    call = call_of(1)
    samples = [{"sample": "a", "ambient": 0.03, "ambient_low": 0.02, "ambient_high": None}]
    call.uns["call"] = json.dumps({"samples": samples})
    row = tables.samples_table(call).iloc[0]
    assert (row["ambient"], row["ambient_low"]) == (0.03, 0.02)
    assert "ambient_high" in columns.SAMPLE_COLUMNS and columns.SAMPLE_COLUMNS[-1] == "flags"


@pytest.mark.parametrize(
    "markers",
    [
        {"0": ["LYZ", "CD14"], "1": ["CD3E"]},
        {"0": [{"gene": "LYZ"}, {"gene": "CD14"}], "1": [{"gene": "CD3E"}], "2": []},
        [{"cluster": c, "gene": g} for c, g in (("0", "LYZ"), ("0", "CD14"), ("1", "CD3E"))],
    ],
)
def test_markers_are_ranked_within_their_cluster(markers: Any) -> None:
    call = call_of(1)
    call.uns["markers"] = json.dumps(markers)
    rows = tables.markers_table(call).to_numpy().tolist()
    assert rows == [["0", 1, "LYZ"], ["0", 2, "CD14"], ["1", 1, "CD3E"]]


def test_reasons_of_cohort_steps_are_listed_and_empty_ones_are_not() -> None:
    call, adata = call_of(1), call_of(1)
    call.uns["call"] = json.dumps({"not_run": [{"sample": "a", "what": "x", "reason": "y"}]})
    adata.uns["integrate"] = json.dumps({"reason": "", "mixing_reason": "one batch"})
    adata.uns["cluster"] = json.dumps({"reason": "3 cells"})
    rows = tables.not_run_table(call, adata).to_numpy().tolist()
    assert rows == [
        ["a", "x", "y"],
        ["", "integrate mixing", "one batch"],
        ["", "cluster", "3 cells"],
    ]
