"""Tables for MultiQC: valid YAML comments, one row per sample, ledger rows that add up."""

from __future__ import annotations

import io

import pandas as pd
import yaml

from ctcflow.render.tables.multiqc import multiqc

SAMPLES = pd.DataFrame(
    {
        "sample": ["A", "B"],
        "cells": [8, 5],
        "n_CTC": [1, 0],
        "n_aggregate": [0, 0],
        "n_uncertain": [1, 0],
        "median_umis": [1000.5, 900.0],
        "ambient": [0.05, None],
    }
)
LEDGER = pd.DataFrame(
    [
        ("A", "qc", "cells in", 10),
        ("A", "qc", "set aside: few counts", 2),
        ("A", "qc", "kept", 8),
        ("A", "qc", "of these, many counts", 3),
        ("A", "unfiltered", "hold a cell, not given", 4),
        ("A", "call", "class: CTC", 1),
        ("A", "call", "class: blood", 7),
        ("B", "qc", "cells in", 5),
        ("B", "qc", "kept", 5),
        ("B", "call", "class: blood", 5),
    ],
    columns=["sample", "stage", "reason", "cells"],
)
LIMITS = pd.DataFrame(
    {
        "sample": ["A", "A"],
        "lineage": ["B", "myeloid"],
        "min_umis": [150.0, 150.0],
        "min_genes": [100.0, 100.0],
        "max_pct_mt": [15.0, 20.0],
    }
)


def read(text: bytes) -> tuple[dict[str, str], pd.DataFrame]:
    lines = text.decode().splitlines()
    head = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    rows = "\n".join(line for line in lines if not line.startswith("# "))
    return yaml.safe_load("\n".join(head)), pd.read_csv(io.StringIO(rows), sep="\t", index_col=0)


def test_each_table_names_itself_and_has_one_row_per_sample() -> None:
    found = multiqc(samples=SAMPLES, ledger=LEDGER, limits=LIMITS)
    assert all(path.endswith("_mqc.tsv") for path in found)
    for path, text in found.items():
        about, table = read(text)
        assert about["id"] in path
        assert about["plot_type"] in ("table", "bargraph")
        assert table.index.name == "Sample" and table.index.is_unique


def test_the_fates_of_the_ledger_add_up_to_the_cells_that_came_in() -> None:
    _, table = read(
        multiqc(samples=SAMPLES, ledger=LEDGER, limits=LIMITS)["multiqc/ctcflow_ledger_mqc.tsv"]
    )
    assert table.sum(axis=1).to_dict() == {"A": 10, "B": 5}
    assert list(table.columns) == ["set aside: few counts", "CTC", "blood"]
