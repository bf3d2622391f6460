"""Technical gene sets: names that belong to them, and names that only look similar."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.counts.gene_sets import columns_of_sets, in_set

MADE = pd.DataFrame(
    {
        "set": ["x", "x", "y", "y", "z"],
        "gene": ["A1", np.nan, np.nan, "AB", np.nan],
        "pattern": [np.nan, "^B", "2$", np.nan, "^A(?!B)"],
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("AB12", min_size=1, max_size=3), max_size=10))
def test_members_are_those_that_a_name_or_a_pattern_finds(names: list[str]) -> None:
    genes = np.array(names, dtype=object)
    for chosen in ("x", "y", "z", "not a set"):
        rows = MADE[MADE["set"] == chosen]
        expected = [
            any(
                name == row.gene
                or (isinstance(row.pattern, str) and bool(re.search(row.pattern, name)))
                for row in rows.itertuples()
            )
            for name in names
        ]
        found = in_set(genes, MADE, chosen)
        assert found.dtype == bool
        assert found.tolist() == expected


@pytest.mark.parametrize(
    ("chosen", "members", "others"),
    [
        ("mitochondrial", "MT-CO1 MT-ND4L MT-RNR2", "MTOR MT1X MT2A MTRNR2L1 HMT-1"),
        ("ribosomal", "RPL3 RPS27A RPS4X RPS4Y1 RPLP0 RPSA RPL36AL", "RPS6KA1 RPL13AP5 RPN1 RPA1"),
        ("haemoglobin", "HBA1 HBA2 HBB HBD HBG1 HBZ", "HBEGF HBP1 HBS1L HBXIP"),
        ("platelet", "PPBP PF4 ITGA2B", "PF4V1 ITGA2 LYZ"),
    ],
)
def test_shipped_sets(
    tables: dict[str, pd.DataFrame], chosen: str, members: str, others: str
) -> None:
    genes = np.array(members.split() + others.split(), dtype=object)
    found = in_set(genes, tables["technical"], chosen)
    assert genes[found].tolist() == members.split()


def test_the_human_mitochondrial_chromosome_is_the_mitochondrial_set(
    tables: dict[str, pd.DataFrame],
) -> None:
    genes = tables["genes"]
    found = in_set(genes["symbol"].to_numpy(dtype=object), tables["technical"], "mitochondrial")
    np.testing.assert_array_equal(found, (genes["chromosome"] == "MT").to_numpy())
    assert found.sum() == 37


def test_no_gene() -> None:
    assert in_set(np.empty(0, dtype=object), MADE, "x").tolist() == []


def test_columns_of_a_set_are_those_of_its_positive_genes() -> None:
    sets = pd.DataFrame(
        {
            "set": ["y", "x", "x", "x", "x", "absent"],
            "gene": ["A", "C", "A", "C", "B", "Q"],
            "direction": [1, 1, 1, 1, -1, 1],
        }
    )
    found = columns_of_sets(np.array(["A", "B", "C"], dtype=object), sets)
    assert {name: columns.tolist() for name, columns in found.items()} == {
        "absent": [],
        "x": [0, 2],
        "y": [0],
    }
    assert list(found) == ["absent", "x", "y"]
