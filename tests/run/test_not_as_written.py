"""Values of the sheet that are not used as written, and what is used instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcflow.run.not_as_written import not_as_written
from ctcflow.settings.config import Config
from ctcflow.settings.sample import Sample

PANELS = ["breast", "lung", "pan_epithelial"]
WHOLE = {
    "chemistry": "10x_3p_v3",
    "cancer_type": "breast",
    "volume_ml": 7.5,
    "fraction_loaded": 0.5,
    "recovery": 0.7,
    "enrichment": "CellSearch",
    "batch": "run1",
    "expected_cells": 5000,
}


def row(name: str, **given: object) -> Sample:
    return Sample.model_validate({"sample": name, "path": Path(name), **given})


def said(*rows: Sample, **config: object) -> list[str]:
    return not_as_written(rows, Config.model_validate(config), PANELS)


def test_a_sheet_that_is_used_as_written_is_not_spoken_of():
    assert said(row("p", **WHOLE), row("q")) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cancer_type": "brest"}, "no panel has this name (did you mean breast?); all panels"),
        ({"cancer_type": "kidney"}, "no panel has this name; all panels are looked at (breast,"),
        ({"chemistry": "Drop-seq"}, "likely doublets are not looked for"),
        ({"chemistry": None}, "expected_cells of p"),
        ({"fraction_loaded": None}, "volume_ml of p: fraction_loaded is not given"),
        ({"volume_ml": None}, "fraction_loaded of p: there is no volume_ml"),
        ({"volume_ml": None}, "recovery of draw p: it corrects counts per mL"),
        ({"enrichment": "Cell Search"}, "it is not read as CellSearch"),
        ({"cancer_type": "lung"}, "enrichment CellSearch of p: cut-offs are known for breast"),
    ],
)
def test_a_value_that_is_not_used_is_named_with_what_is(given, words):
    found = said(row("p", **(WHOLE | given)))
    assert any(words in sentence for sentence in found), found
    assert all("\n" not in sentence for sentence in found)


def test_what_lanes_say_together_is_looked_at():
    lanes = [row(name, draw="d", **WHOLE) for name in "pqr"]
    assert said(*lanes) == ["fraction_loaded of draw d: its lanes have 1.5 together; 1 is used"]
    lanes[0] = row("p", draw="d", **(WHOLE | {"recovery": 0.5, "fraction_loaded": 0.1}))
    found = said(*lanes)
    assert any("recovery of draw d: its lanes do not agree" in sentence for sentence in found)


def test_the_configuration_may_take_the_place_of_the_sheet():
    whole = row("p", **WHOLE)
    assert "score.panel is lung" in said(whole, score={"panel": "lung"})[0]
    assert "integrate.batch is sample" in said(whole, integrate={"batch": "sample"})[0]
    assert "frozen reference" in said(whole, reference="x.zip")[0]
    assert "expected_cells of p" in said(whole, qc={"doublet_rate": 0.1})[0]
    own = row("p", **WHOLE, overrides={"score": {"panel": "lung"}})
    assert "score.panel is lung" in said(own)[0]
    other = row("p", **(WHOLE | {"chemistry": "Drop-seq", "expected_cells": None}))
    assert said(other, qc={"doublet_rate": 0.1}) == []
