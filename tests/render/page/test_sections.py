"""Sections of the page on decoy panels and reviewed cells."""

from __future__ import annotations

import html as escaped
import re

import pandas as pd
from markupsafe import Markup

from ctcflow.render.page import sections
from ctcflow.render.tables import columns

PNG = b"\x89PNG"


def words_of(page: str) -> str:
    return " ".join(escaped.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_decoy_panels_stand_beside_what_is_claimed() -> None:
    shares = [("a", 100, 0.01, 0.02), ("a", 100, 0.001, 0.0), ("b", 300, 0.01, 0.004)]
    decoys = [
        {"sample": name, "decoys": 10, "cells": cells, "level": level, "share": share}
        for name, cells, level, share in shares
    ]
    words = words_of(sections.calibration({"decoys": decoys}, PNG))
    # (100 x 2 % + 300 x 0.4 %) / 400
    assert "of all blood cells, 0.8 % at p up to 1 % (claimed: 1 %)" in words
    assert ", 0 % at p up to 0.1 % (claimed: 0.1 %)." in words
    assert "Decoy" not in words_of(sections.calibration({"decoys": []}, PNG))
    assert "Decoy" not in words_of(sections.calibration({}, PNG))


def test_a_review_is_shown_where_there_is_one() -> None:
    row = dict.fromkeys((*columns.CELL_COLUMNS, "phenotype"), "")
    row |= {"sample": "a", "barcode": "AC-1", "class": "blood", "n_panel_genes": 3, "p": 1e-9}
    reason = "vetoed by AB: debris; before review: tumour panel seen"
    reviewed = row | {
        "class_before_review": "CTC", "verdict": "veto", "reviewer": "AB", "reason": reason,
    }  # fmt: skip
    words = words_of(sections.calls(pd.DataFrame([row, reviewed]), PNG, Markup("")))
    assert "Why Class before review Verdict Reviewer" in words
    assert f"{reason} CTC veto AB" in words
    assert "Class before review" not in words_of(
        sections.calls(pd.DataFrame([row]), PNG, Markup(""))
    )
