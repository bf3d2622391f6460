"""Tables: their columns, their rows, their order and their digits."""

from __future__ import annotations

import json
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from ctcflow.render import tables

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
    "n_panel_genes",
    "panel_genes",
    "reason",
]


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
    assert list(table.columns) == CELLS
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
    assert list(table.columns) == [*CELLS, "phenotype", "emt", "cycle"]
    assert set(table["class"]) == {"CTC", "CTC aggregate", "uncertain"}
    assert len(table) == 24
    rows = list(zip(table["sample"], table["p"], strict=True))
    assert rows == sorted(rows)
    assert table["emt"].tolist() == [0.1] * 24
    scores = call.obsm["signatures"].set_index(call.obs["barcode"])["cycle"]
    assert np.allclose(table["cycle"], scores[table["barcode"]], rtol=1e-3)


def test_tables_of_no_cells_have_their_columns() -> None:
    call = call_of(0)
    assert list(tables.cells_table(call).columns) == CELLS
    assert tables.ctc_table(call).empty
    assert list(tables.ctc_table(call).columns) == [*CELLS, "phenotype", "emt", "cycle"]
    for table, first in (
        (tables.samples_table(call), "sample"),
        (tables.draws_table(call), "draw"),
        (tables.ledger_table(call), "sample"),
        (tables.set_aside_table(call), "sample"),
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
    assert list(table.columns) == [*tables.SAMPLE_COLUMNS, "tube"]
    text = table.to_csv(sep="\t", index=False).splitlines()
    found = dict(zip(text[0].split("\t"), text[1].split("\t"), strict=True))
    assert (found["cells"], found["day"], found["rate_high"]) == ("4", "", "3.689")
    assert found["flags"] == "few; old"
    assert dict(zip(text[0].split("\t"), text[2].split("\t"), strict=True))["day"] == "2"


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
