"""Cards of calls: their evidence, and what speaks against them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcflow.render.page import cards

PARAMS = {"max_p": 0.0002, "fdr": 0.05}
CELL = {
    "sample": "P1",
    "barcode": "ACGT-1",
    "class": "CTC",
    "p": 1e-8,
    "q": 1e-6,
    "lineage": "Monocyte",
    "partner": "",
    "p_panel": 1e-6,
    "p_identity": 1e-5,
    "p_copy_number": 1e-4,
    "n_panel_genes": 8,
    "panel_genes": "EPCAM,KRT8",
    "other_type": "",
    "reason": "blood identity missing and tumour panel seen",
    "phenotype": "epithelial",
    "verdict": "",
    "reviewer": "",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "A p above 0.0002, which is 20,000 times as large as the cell's."),
        ({"p": 1e-30}, "more than a million times"),
        ({"n_panel_genes": 0, "panel_genes": ""}, "No panel gene was seen"),
        ({"n_panel_genes": 1, "panel_genes": "KRT19"}, "One panel gene carries it (KRT19)"),
        ({"n_panel_genes": 2}, "Few panel genes carry it (EPCAM, KRT8)"),
        ({"p_identity": 0.2}, "keeps its blood identity (p 0.2)"),
        ({"p_copy_number": np.nan}, "Copy number was not judged"),
        ({"p_copy_number": 0.6}, "as in normal cells (p 0.6)"),
        ({"n_alike": 12}, "judged together with 11 cells that it cannot be told from"),
        ({"other_type": "Keratinocyte"}, "most like Keratinocyte"),
        ({"partner": "Neutrophil"}, "Genes of a Neutrophil"),
    ],
)
def test_a_card_says_what_would_make_it_no_ctc(change: dict[str, Any], words: str) -> None:
    said = " ".join(cards.against(CELL | change, PARAMS))
    assert words in said
    if change:
        assert words not in " ".join(cards.against(CELL, PARAMS))


def test_an_aneuploid_call_is_not_said_to_have_normal_copies() -> None:
    """Its own counts may show none of what those of its group show."""
    words = "as in normal cells"
    assert words in " ".join(cards.against(CELL | {"p_copy_number": 0.6}, PARAMS))
    together = {"p_copy_number": 0.6, "malignancy": "aneuploid", "n_alike": 12}
    assert words not in " ".join(cards.against(CELL | together, PARAMS))


def written(rows: list[dict[str, Any]], **given: Any) -> str:
    arguments = {"n_called": len(rows), "places": None, "whole_map": None, "arms": None}
    return cards.cards(pd.DataFrame(rows), params=PARAMS, **(arguments | given))


def test_every_cell_has_a_card_that_can_be_parsed() -> None:
    rows = [CELL | {"barcode": f"B{k}", "sample": "<b>&"} for k in range(3)]
    arms = pd.DataFrame([[0.4, -0.2, np.nan]] * 2 + [[np.nan] * 3], columns=["1p", "1q", "2p"])
    places = np.array([[0.0, 0.0], [1.0, 2.0], [np.nan, 0.0]])
    text = written(rows, n_called=7, places=places, whole_map=places, arms=arms)
    page = ET.fromstring(
        f"<page>{text}</page>".replace('type="text">', 'type="text"/>').replace(
            'placeholder="why">', 'placeholder="why"/>'
        )
    )
    found = page.findall(".//article")
    assert [card.get("data-barcode") for card in found] == ["B0", "B1", "B2"]
    assert {card.get("data-sample") for card in found} == {"<b>&"}
    bars = [len(card.findall(".//rect")) for card in found]
    assert bars == [2, 2, 0]
    dots = [card.find(".//span[@class='dot']") for card in found]
    assert [None if dot is None else dot.get("style") for dot in dots] == [
        "left: 0.0%; bottom: 0.0%",
        "left: 100.0%; bottom: 100.0%",
        None,
    ]
    assert "The first 3 of 7 are shown." in text


def test_a_verdict_that_was_given_is_shown() -> None:
    assert "<dd>veto by AB</dd>" in written([CELL | {"verdict": "veto", "reviewer": "AB"}])
    assert "Review</dt>" not in written([CELL])


def test_rows_are_found_by_sample_and_barcode() -> None:
    whole = pd.DataFrame({"sample": ["a", "a", "b"], "barcode": ["x", "y", "x"]})
    part = pd.DataFrame({"sample": ["b", "a", "c"], "barcode": ["x", "y", "x"]})
    assert cards.rows_of(whole, part).tolist() == [2, 1, -1]
    twice = pd.concat([whole, whole], ignore_index=True)
    assert cards.rows_of(twice, part).tolist() == [2, 1, -1]
    assert cards.rows_of(whole[:0], part).tolist() == [-1, -1, -1]
    assert cards.rows_of(whole[["sample"]], part).tolist() == [-1, -1, -1]


def test_no_call_is_no_card() -> None:
    assert (
        cards.cards(
            pd.DataFrame(columns=list(CELL)),
            n_called=0,
            places=None,
            whole_map=None,
            arms=None,
            params=PARAMS,
        )
        == ""
    )
