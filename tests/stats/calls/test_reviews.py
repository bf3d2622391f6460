"""Verdicts change classes, are mentioned in the reasons, and lose no information."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcflow.stats.calls import reviews

CLASSES = ("CTC", "CTC aggregate", "uncertain", "non-blood other", "blood")


def review(
    classes: tuple[str, ...], *verdicts: tuple[str, str, str, str], p_identity: float = 0.5
) -> reviews.Reviewed:
    n = len(classes)
    return reviews.apply(
        np.array(classes, dtype=object),
        np.array(
            [f"machine {k}" if name != "blood" else "" for k, name in enumerate(classes)], object
        ),
        barcodes=np.array([f"cell{k}" for k in range(n)], dtype=object),
        p_identity=np.full(n, p_identity),
        verdicts=pd.DataFrame(
            verdicts, columns=["barcode", "verdict", "reviewer", "reason"], dtype=object
        ),
        identity_p=0.01,
    )


@pytest.mark.parametrize("before", CLASSES)
def test_a_confirmed_cell_is_a_ctc_and_an_aggregate_stays_one(before: str) -> None:
    found = review((before, "blood"), ("cell0", "confirm", "AB", "typical"))
    expected = "CTC aggregate" if before == "CTC aggregate" else "CTC"
    assert found.classes.tolist() == [expected, "blood"]
    assert found.before.tolist() == [before, ""]
    assert found.verdict.tolist() == ["confirm", ""]
    assert found.reviewer.tolist() == ["AB", ""]
    assert found.reasons[0].startswith("confirmed by AB: typical")
    assert ("before review: machine 0" in found.reasons[0]) == (before != "blood")
    assert found.not_applied == []


@pytest.mark.parametrize(
    ("before", "p_identity", "after"),
    [
        ("CTC", 0.001, "non-blood other"),
        ("CTC", 0.01, "non-blood other"),
        ("uncertain", 0.02, "blood"),
        ("CTC aggregate", 0.5, "blood"),
        ("non-blood other", 0.5, "non-blood other"),
        ("blood", 0.001, "blood"),
    ],
)
def test_a_vetoed_cell_is_what_it_is_without_tumour_evidence(
    before: str, p_identity: float, after: str
) -> None:
    found = review((before,), ("cell0", "veto", "AB", "debris"), p_identity=p_identity)
    assert found.classes.tolist() == [after]
    assert (found.before[0], found.verdict[0]) == (before, "veto")
    assert found.reasons[0].startswith("vetoed by AB: debris")


def test_two_who_disagree_leave_the_cell_uncertain_and_are_both_named() -> None:
    found = review(
        ("CTC", "CTC"),
        ("cell0", "veto", "CD", "no nucleus"),
        ("cell1", "confirm", "CD", "clear"),
        ("cell0", "confirm", "AB", "typical"),
        ("cell1", "confirm", "AB", "clear"),
    )
    assert found.classes.tolist() == ["uncertain", "CTC"]
    assert found.verdict.tolist() == ["confirm; veto", "confirm"]
    assert found.reviewer.tolist() == ["CD; AB", "CD; AB"]
    assert found.reasons[0] == (
        "reviewers disagree; vetoed by CD: no nucleus; confirmed by AB: typical;"
        " before review: machine 0"
    )
    assert reviews.summary(found.verdict) == "reviewed: 1 confirmed, 1 disputed"


def test_a_verdict_on_a_cell_that_was_not_kept_is_listed() -> None:
    found = review(("CTC",), ("gone-1", "veto", "AB", "debris"))
    assert found.classes.tolist() == ["CTC"]
    assert found.reasons.tolist() == ["machine 0"]
    assert found.not_applied == [
        {
            "what": "verdict not applied",
            "reason": "gone-1 (veto, AB): no cell of this barcode was kept",
        }
    ]
    assert reviews.summary(found.verdict) == ""


@pytest.mark.parametrize("n", [0, 1])
def test_without_verdicts_or_cells_nothing_changes(n: int) -> None:
    found = review(CLASSES[:n])
    assert found.classes.tolist() == list(CLASSES[:n])
    assert found.verdict.tolist() == [""] * n
    lost = review((), ("cell0", "veto", "AB", "debris")).not_applied
    assert len(lost) == 1


def test_the_order_of_cells_and_what_the_machine_said_stay_as_they_were() -> None:
    classes = np.array(["CTC", "blood"], dtype=object)
    reasons = np.array(["panel", ""], dtype=object)
    verdicts = pd.DataFrame(
        {"barcode": ["a", "b"], "verdict": ["veto", "confirm"], "reviewer": "AB", "reason": "x"}
    )
    found = [
        reviews.apply(
            classes[order],
            reasons[order],
            barcodes=np.array(["a", "b"], dtype=object)[order],
            p_identity=np.array([0.5, 0.5]),
            verdicts=verdicts,
            identity_p=0.01,
        ).classes[order]
        for order in ([0, 1], [1, 0])
    ]
    assert found[0].tolist() == found[1].tolist() == ["blood", "CTC"]
    assert classes.tolist() == ["CTC", "blood"]


def test_many_verdicts_are_all_applied() -> None:
    n = 50_000
    barcodes = np.array([f"C{k}" for k in range(n)], dtype=object)
    verdicts = pd.DataFrame(
        {"barcode": barcodes, "verdict": "veto", "reviewer": "A", "reason": "seen"}, dtype=object
    )
    found = reviews.apply(
        np.full(n, "CTC", dtype=object),
        np.full(n, "", dtype=object),
        barcodes=barcodes,
        p_identity=np.ones(n),
        verdicts=verdicts,
        identity_p=0.01,
    )
    assert set(found.classes) == {"blood"}
