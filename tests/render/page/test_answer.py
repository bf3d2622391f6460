"""Texts of the first screen: intervals, blanks, recovery, cut-offs, false calls."""

from __future__ import annotations

import html as escaped
import re
from typing import Any

import pytest

from ctcflow.render.page.answer import draws_of, first_screen, no_control_note

Record = dict[str, Any]

DRAW: Record = {
    "draw": "d",
    "patient": "P1",
    "day": 0,
    "role": "patient",
    "samples": "a",
    "cells": 1000,
    "count": 3,
    "count_low": 0.62,
    "count_high": 8.77,
    "interval": "Poisson (Garwood)",
    "volume_ml": 7.5,
    "per_ml": 0.4,
    "per_ml_low": 0.0825,
    "per_ml_high": 1.169,
    "recovery": None,
    "per_ml_corrected": None,
    "limit_of_blank": None,
    "above_blank": "not enough blanks: 2",
    "cutoff": "no cut-off: they belong to CellSearch",
    "note": "",
}
CONTROL: Record = DRAW | {"draw": "h", "role": "healthy", "count": 1, "above_blank": ""}


def shown(*draws: Record, healthy: Record | None = None, dispersion: Record | None = None) -> str:
    sample = {"sample": "a", "draw": "d", "n_aggregate": 0, "n_uncertain": 0, "flags": []}
    page = first_screen(draws_of(draws, [sample]), healthy or {}, dispersion or {}, [], 0.95)
    return " ".join(escaped.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_draw_says_its_interval_and_that_there_are_not_enough_blanks() -> None:
    words = shown(DRAW, dispersion={"source": "not known: too few"})
    assert "3 CTC (95 % interval 0.62 to 8.8)" in words
    assert (
        "exact 95 % interval of the count: Poisson (Garwood); variance over mean not known: too"
        in words
    )
    assert "not enough blanks: 2" in words
    assert "Prognostic cut-offs belong to CellSearch and are not shown elsewhere." in words
    assert "no cut-off" not in words


@pytest.mark.parametrize(
    ("above", "words"),
    [("yes", "above the limit of blank (2.5)"), ("no", "not above the limit of blank (2.5)")],
)
def test_a_draw_stands_against_the_limit_of_blank(above: str, words: str) -> None:
    assert f" {words} " in shown(DRAW | {"above_blank": above, "limit_of_blank": 2.5})


def test_recovery_and_cut_off_are_shown_where_they_are_known() -> None:
    corrected = {
        "recovery": 0.7,
        "per_ml_corrected": 0.571,
        "per_ml_corrected_low": 0.118,
        "per_ml_corrected_high": 1.67,
        "cutoff": "interval includes 5 per 7.5 mL (breast, CellSearch; called by RNA)",
    }
    words = shown(DRAW | corrected)
    assert "0.4 (0.083 to 1.2); with recovery 0.7: 0.57 (0.12 to 1.7)" in words
    assert "interval includes 5 per 7.5 mL (breast, CellSearch; called by RNA)" in words
    assert "Prognostic cut-offs belong" not in words


def test_each_note_stands_in_its_place() -> None:
    note = (
        "per mL not given: the sheet has no volume_ml;"
        " not corrected for recovery: its lanes have 0.5 and 0.7"
    )
    words = shown(DRAW | {"per_ml": None, "volume_ml": None, "note": note})
    assert words.count("the sheet has no volume_ml") == 1
    assert words.count("not corrected for recovery: its lanes have 0.5 and 0.7") == 1


def test_the_tissue_of_origin_stands_at_its_draw() -> None:
    sentence = "tissue of origin: cannot be told from 3 CTCs; class of tumour: epithelial"
    assert shown(DRAW | {"tissue_of_origin": sentence}).count(sentence) == 1
    assert "tissue of origin" not in shown(DRAW | {"tissue_of_origin": ""})


def test_the_claim_stands_beside_what_was_observed() -> None:
    healthy = {"rate_low": 2.5e-5, "rate_high": 5.6e-3, "claimed": 5.54e-5, "flag": ""}
    words = shown(DRAW, CONTROL, healthy=healthy)
    assert (
        "1 cell falsely called among 1,000 cells of 1 control draw"
        " (95 % interval 0.025 to 5.6 per 1,000 cells; at most 0.055 claimed)."
    ) in words
    flag = "more false calls than claimed: the interval lies above the claim"
    warned = shown(DRAW, CONTROL, healthy=healthy | {"flag": flag})
    assert "More false calls than claimed: the interval lies above the claim." in warned


def test_a_run_without_controls_says_what_the_frozen_reference_saw() -> None:
    healthy = {"samples": 3, "cells": 5820, "called": 1}
    patient = [{"role": "patient"}]
    plain = str(no_control_note(patient, {}))
    assert "was not checked on healthy blood" in plain
    frozen = str(no_control_note(patient, healthy))
    assert "3 control samples of the frozen reference 1 of 5,820 cells were called" in frozen
    # these are the run's own blanks
    assert "frozen" not in str(no_control_note([*patient, {"role": "blank"}], healthy))
    assert no_control_note([{"role": "healthy"}], healthy) is None


JUDGED = "cannot be judged: 12 of 61 panel genes in the data"


def test_a_draw_whose_file_lacks_panel_genes_has_no_plain_zero() -> None:
    zero = DRAW | {"count": 0, "count_low": 0.0, "count_high": 3.7, "per_ml": 0.0}
    plain = shown(zero)
    assert "upper limit 3.7" in plain
    assert "That is a result" in plain
    words = shown(zero | {"judged": JUDGED, "above_blank": "no"})
    assert JUDGED in words
    assert "That is no result for 1 of them" in words
    assert "That is a result" not in words
    assert "upper limit" not in words
    assert "not above the limit" not in words


def test_a_call_beside_a_draw_that_cannot_be_judged_stands() -> None:
    words = shown(DRAW, DRAW | {"draw": "e", "count": 0, "judged": JUDGED})
    assert "3 CTCs were called" in words
    assert "1 draw without a call cannot be judged" in words
