"""Positions of well-known genes, and genes that must not be used for copy number."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ctcflow.stats.copy_number.gene_order import arm_names, gene_order, usable

# OMIM cytogenetic locations
BANDS = {
    "TP73": "1p",
    "MDM4": "1q",
    "VHL": "3p",
    "APC": "5q",
    "EGFR": "7p",
    "MET": "7q",
    "MYC": "8q",
    "CDKN2A": "9p",
    "PTEN": "10q",
    "CCND1": "11q",
    "KRAS": "12p",
    "RB1": "13q",
    "CDH1": "16q",
    "TP53": "17p",
    "ERBB2": "17q",
    "SMAD4": "18q",
    "NF2": "22q",
}


def test_known_genes_lie_on_the_arms_of_their_bands(tables: dict[str, pd.DataFrame]) -> None:
    names = np.array(list(BANDS), dtype=object)
    found = gene_order(names, table=tables["genes"])
    assert arm_names(found.arm) == list(BANDS.values())
    assert (np.diff(found.arm) >= 0).all()  # ascending along the genome
    assert found.position[names == "TP53"][0] == 7_661_779  # GRCh38, Ensembl


def test_sex_linked_mitochondrial_and_unknown_genes_have_no_place(
    tables: dict[str, pd.DataFrame],
) -> None:
    names = np.array(["XIST", "DDX3Y", "MT-CO1", "CSF2RA", "not a gene"], dtype=object)
    found = gene_order(names, table=tables["genes"])
    assert found.arm.tolist() == [-1] * 5
    assert found.position.tolist() == [0.0] * 5


def test_a_symbol_on_two_arms_has_no_place_and_of_two_on_one_arm_the_first_counts() -> None:
    table = pd.DataFrame(
        {
            "symbol": ["A", "A", "B", "B", "C", "C"],
            "chromosome": ["1", "1", "2", "2", "3", "X"],
            "arm": ["p", "q", "q", "q", "p", "p"],
            "start": [5, 6, 7, 8, 9, 10],
        }
    )
    found = gene_order(np.array(["C", "B", "A"], dtype=object), table=table)
    assert found.arm.tolist() == [-1, 5, -1]
    assert found.position.tolist() == [0.0, 7.0, 0.0]


def test_arms_of_more_than_one_digit() -> None:
    assert arm_names(np.array([2, 3, 21, 44, 45])) == ["1p", "1q", "10q", "22p", "22q"]
    assert arm_names(np.empty(0, dtype=np.intp)) == []


def test_receptors_hla_and_the_panel_are_masked_and_nothing_that_only_looks_like_them(
    tables: dict[str, pd.DataFrame],
) -> None:
    masked = ["IGKC", "IGHV3-23", "IGLL5", "TRAC", "TRBV20-1", "TRDC", "HLA-A", "HLA-DRA"]
    kept = ["IGHMBP2", "IGLON5", "TRADD", "TRABD", "TRDMT1", "TRAF2", "IGF1R", "B2M", "GAPDH"]
    names = np.array([*masked, "EPCAM", *kept], dtype=object)
    found = usable(names, technical=tables["technical"], left_out=frozenset({"EPCAM", "KRT8"}))
    assert names[found].tolist() == kept
