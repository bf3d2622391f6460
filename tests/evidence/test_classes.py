"""Class rules: each normal explanation, copy number, and evidence that must never count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctcflow.evidence.classes import CLASSES, Evidence, as_likely, classify, malignancy

NAN = float("nan")
TYPE = "Cycling basal"


def one(**line: object) -> Evidence:
    """One significant cell: no leukocyte, no stroma, like nothing known, and no more."""
    values = {
        "umis": 600.0,
        "significant": True,
        "p_identity": 1e-8,
        "p_panel": 1.0,
        "n_panel_genes": 0,
        "p_copy_number": NAN,
        "p_stroma": 1e-6,
        "p_stroma_panel": 1.0,
        "nearest": TYPE,
        "only_stroma_speaks": False,
        "over_other_tissue": 0.0,
        "is_skin": False,
        "is_epithelium": False,
        "over_blood": 0.2,
        "p_partner": NAN,
        **line,
    }
    return Evidence(
        **{
            name: np.array([value], dtype=object if name == "nearest" else None)
            for name, value in values.items()
        }
    )


def named(**line: object) -> tuple[str, str]:
    classes, reasons = classify(one(**line))
    return str(classes[0]), str(reasons[0])


PANEL = {"p_panel": 1e-6, "n_panel_genes": 3}
SKIN = {"is_skin": True, "over_other_tissue": 40.0, "nearest": "Keratinocyte"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({}, "uncertain"),  # no known normal cell
        (PANEL, "CTC"),
        ({"is_epithelium": True}, "CTC"),
        ({"is_epithelium": True, "over_blood": 0.01}, "uncertain"),
        ({"p_copy_number": 1e-4}, "CTC"),  # a tumour cell of no panel
        ({"p_copy_number": 5e-3}, "uncertain"),  # tissue reaches that
        ({"p_copy_number": 1e-4, "p_identity": 1e-3}, "uncertain"),
        ({"p_copy_number": 1e-4, "p_identity": 0.5, "p_panel": 1e-8}, "uncertain"),
        ({**PANEL, "p_partner": 1e-7}, "CTC aggregate"),
        ({**PANEL, "p_partner": 1e-4}, "CTC"),
        ({"p_partner": 1e-9}, "uncertain"),  # no tumour cell
        ({**PANEL, "p_identity": 0.5}, "CTC aggregate"),  # keeps its blood identity
        ({"significant": False, "p_panel": 1e-9, "n_panel_genes": 5}, "blood"),
        ({"p_panel": 5e-4, "n_panel_genes": 1}, "CTC"),
        ({"p_panel": 5e-4, "n_panel_genes": 1, "p_identity": 5e-3}, "uncertain"),
    ],
)
def test_what_is_no_normal_cell(line: dict[str, object], expected: str) -> None:
    assert named(**line)[0] == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"p_stroma": 0.5}, "non-blood other"),
        ({**PANEL, "p_stroma": 0.5}, "non-blood other"),
        ({"p_stroma": 0.5, "p_copy_number": 1e-5}, "non-blood other"),
        # stroma is often taken for aneuploid, and shows the genes of a sarcoma
        ({**PANEL, "p_stroma": 0.5, "p_copy_number": 1e-5}, "non-blood other"),
        ({**PANEL, "p_stroma": 0.5, "p_copy_number": 1e-5, "p_stroma_panel": 1e-6}, "CTC"),
        ({"p_stroma": 0.02}, "uncertain"),
        ({**PANEL, "p_stroma": 0.02}, "uncertain"),
        ({**PANEL, "p_stroma": 0.02, "p_copy_number": 1e-5}, "CTC"),
        ({**PANEL, **SKIN}, "non-blood other"),
        ({**PANEL, **SKIN, "over_other_tissue": 2.0}, "CTC"),  # may be any epithelium
        ({**PANEL, **SKIN, "umis": 10_000.0}, "CTC"),  # 40 nats are little for so many counts
        ({**PANEL, **SKIN, "p_copy_number": 1e-5}, "CTC"),
        ({**PANEL, "p_stroma": 0.02, "p_stroma_panel": 1e-6}, "CTC"),
        ({**PANEL, "p_stroma": 0.5, "p_stroma_panel": 1e-6}, "uncertain"),  # stroma and keratins
        ({**PANEL, "p_stroma": NAN}, "CTC"),  # not judged
        ({**PANEL, "only_stroma_speaks": True}, "uncertain"),  # collagens in a cell like stroma
        ({**PANEL, "over_blood": -0.3}, "uncertain"),
        ({**PANEL, "over_blood": -0.3, "p_partner": 1e-7}, "CTC aggregate"),
        ({**PANEL, "over_blood": -0.3, "p_copy_number": 1e-5}, "CTC"),
    ],
)
def test_stroma_and_skin_are_normal_explanations(line: dict[str, object], expected: str) -> None:
    assert named(**line)[0] == expected


def test_the_reason_names_the_type_that_it_looks_like() -> None:
    _, reason = named(p_stroma=0.5, nearest="Endothelial")
    assert "Endothelial" in reason
    assert "{" not in reason


p = st.floats(0, 1)


@given(p, p, st.integers(0, 9), st.one_of(p, st.just(NAN)), p, st.booleans(), p)
def test_a_copy_number_that_was_not_judged_changes_no_class(
    p_identity: float,
    p_panel: float,
    genes: int,
    p_copy_number: float,
    p_stroma: float,
    skin: bool,
    over: float,
) -> None:
    """And one that was can only turn a cell into a CTC."""
    line = {
        "p_identity": p_identity,
        "p_panel": p_panel,
        "n_panel_genes": genes,
        "p_stroma": p_stroma,
        "is_skin": skin,
        "over_other_tissue": 20 * over,
    }
    without, with_it = named(**line)[0], named(**line, p_copy_number=p_copy_number)[0]
    assert without in CLASSES
    assert with_it in {without, "CTC"}
    if np.isnan(p_copy_number) or p_copy_number > 1e-3:
        assert with_it == without


@given(p, p, st.integers(0, 9), p, p)
def test_more_like_stroma_never_makes_a_tumour_cell(
    p_identity: float, p_panel: float, genes: int, low: float, high: float
) -> None:
    line = {"p_identity": p_identity, "p_panel": p_panel, "n_panel_genes": genes}
    low, high = sorted([low, high])
    tumour = {"CTC", "CTC aggregate"}
    if named(**line, p_stroma=high)[0] in tumour:
        assert named(**line, p_stroma=low)[0] in tumour


@pytest.mark.parametrize(
    ("p_copy_number", "umis", "called", "expected"),
    [
        (1e-5, 500.0, True, "aneuploid"),
        (0.5, 20_000.0, True, "diploid as far as seen"),
        (0.5, 400.0, True, "not seen"),  # an aneuploid cell of that depth would not show it
        (NAN, 20_000.0, True, "not seen"),
        (1e-5, 20_000.0, False, ""),
    ],
)
def test_what_copy_number_says_of_malignancy(
    p_copy_number: float, umis: float, called: bool, expected: str
) -> None:
    of = one(p_copy_number=p_copy_number, umis=umis)
    found = malignancy(of, called=np.array([called]))
    assert found.tolist() == [expected]


AT: list[tuple[dict[str, object], str, float, float, str, str]] = [
    # other lines, line, threshold, towards which it stops to hold, class at it, class past it
    ({"p_stroma": 0.5}, "p_identity", 0.01, 1, "non-blood other", "uncertain"),
    ({"p_copy_number": 1e-5}, "p_identity", 1e-4, 1, "CTC", "uncertain"),
    ({"p_panel": 5e-3, "n_panel_genes": 2}, "p_identity", 1e-3, 1, "CTC", "uncertain"),
    ({"n_panel_genes": 2}, "p_panel", 0.01, 1, "CTC", "uncertain"),
    ({"p_panel": 5e-3}, "n_panel_genes", 2, 0, "CTC", "uncertain"),
    ({"n_panel_genes": 1}, "p_panel", 1e-3, 1, "CTC", "uncertain"),
    ({"p_panel": 1e-3}, "n_panel_genes", 1, 0, "CTC", "uncertain"),
    ({"n_panel_genes": 2, "p_identity": 0.5}, "p_panel", 1e-4, 1, "CTC aggregate", "uncertain"),
    (
        {**PANEL, "p_stroma": 0.5, "p_copy_number": 1e-5},
        *("p_stroma_panel", 1e-3, 1, "CTC", "uncertain"),
    ),
    ({}, "p_copy_number", 1e-3, 1, "CTC", "uncertain"),
    ({}, "p_stroma", 0.025, 1, "uncertain", "non-blood other"),  # times two
    ({**PANEL, "p_stroma_panel": 1e-6}, "p_stroma", 0.05, 1, "CTC", "uncertain"),
    (
        {**PANEL, "p_copy_number": 1e-5, "p_stroma_panel": 0.01},
        *("p_stroma", 0.05, 1, "CTC", "uncertain"),
    ),
    (PANEL, "p_stroma", 0.0025, 1, "CTC", "uncertain"),  # times two
    ({**PANEL, **SKIN}, "over_other_tissue", 10.0, 0, "non-blood other", "CTC"),
    ({**PANEL, **SKIN, "umis": 1100.0}, "over_other_tissue", 20.0, 0, "non-blood other", "CTC"),
    (PANEL, "over_blood", -0.12, -1, "CTC", "uncertain"),
    ({"is_epithelium": True}, "over_blood", 0.03, 0, "CTC", "uncertain"),
    (PANEL, "p_partner", 1e-6, 1, "CTC aggregate", "CTC"),
]


@pytest.mark.parametrize(("others", "line", "threshold", "towards", "at", "past"), AT)
def test_every_threshold_holds_at_its_value_and_not_past_it(
    others: dict[str, object], line: str, threshold: float, towards: float, at: str, past: str
) -> None:
    assert named(**{**others, line: threshold})[0] == at
    beyond = threshold - 1 if isinstance(threshold, int) else np.nextafter(threshold, towards)
    assert named(**{**others, line: beyond})[0] == past


def test_an_aberration_would_be_seen_from_3000_counts_and_at_p_of_one_in_a_thousand() -> None:
    def word(**line: object) -> str:
        return str(malignancy(one(**line), called=np.array([True]))[0])

    assert word(p_copy_number=0.5, umis=3000.0) == "diploid as far as seen"
    assert word(p_copy_number=0.5, umis=2999.0) == "not seen"
    assert word(p_copy_number=1e-3, umis=100.0) == "aneuploid"
    assert word(p_copy_number=np.nextafter(1e-3, 1), umis=3000.0) == "diploid as far as seen"


@pytest.mark.parametrize(
    ("p", "q", "line", "expected"),
    [
        (8e-4, 1e-3, {}, "blood"),  # p is close to the limit of .001
        (1e-6, 0.04, {}, "blood"),  # and here q is close to .05
        (1e-6, 1e-4, {}, ""),
        (1e-6, 1e-4, {"p_panel": 1.0, "n_panel_genes": 0, "p_copy_number": 2e-3}, "CTC"),
        (1e-6, 1e-4, {"p_panel": 1.0, "n_panel_genes": 0, "p_copy_number": 2e-2}, ""),
    ],
)
def test_a_class_within_the_random_error_is_said(
    p: float, q: float, line: dict[str, object], expected: str
) -> None:
    evidence = one(**{"significant": True, "p_identity": 1e-8, **line})
    other = as_likely(evidence, p=np.array([p]), q=np.array([q]), fdr=0.05, max_p=1e-3)
    assert other.tolist() == [expected]


def test_blood_that_is_nearly_significant_is_said() -> None:
    evidence = one(significant=False, p_identity=1e-8)
    other = as_likely(evidence, p=np.array([1.2e-3]), q=np.array([1e-3]), fdr=0.05, max_p=1e-3)
    assert other.tolist() == ["uncertain"]
    other = as_likely(evidence, p=np.array([2e-3]), q=np.array([1e-3]), fdr=0.05, max_p=1e-3)
    assert other.tolist() == [""]
