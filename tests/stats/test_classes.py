"""Rules that name a cell: copy number, rival types and what never counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctcflow.stats.classes import CLASSES, classify

NAN = float("nan")


def named(**line: object) -> tuple[str, str]:
    """Class and reason of one significant cell, blood identity missing and nothing else."""
    given = {
        "significant": True,
        "p_identity": 1e-8,
        "p_panel": 1.0,
        "n_panel_genes": 0,
        "p_copy_number": NAN,
        "other_type": "",
        "p_other": 1.0,
        "p_partner": NAN,
        **line,
    }
    arrays = {
        key: np.array([value], dtype=object if key == "other_type" else None)
        for key, value in given.items()
    }
    classes, reasons = classify(**arrays)
    return str(classes[0]), str(reasons[0])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({}, "uncertain"),
        ({"p_copy_number": 1e-4}, "CTC"),  # a mesenchymal tumour cell
        ({"p_copy_number": 5e-3}, "uncertain"),  # tissue reaches that
        ({"p_copy_number": 1e-4, "p_identity": 1e-3}, "uncertain"),
        ({"p_copy_number": 1e-4, "p_identity": 0.5, "p_panel": 1e-8}, "uncertain"),
        ({"p_copy_number": 1e-4, "other_type": "Endothelial", "p_other": 1e-6}, "non-blood other"),
        ({"p_copy_number": 1e-4, "other_type": "Fibroblast/Mural", "p_other": 1e-6}, "CTC"),
        ({"other_type": "Fibroblast/Mural", "p_other": 1e-6}, "non-blood other"),
        (
            {"p_panel": 1e-30, "n_panel_genes": 9, "other_type": "Keratinocyte", "p_other": 1e-14},
            "non-blood other",
        ),
        (
            {
                "p_panel": 1e-30,
                "n_panel_genes": 9,
                "other_type": "Keratinocyte",
                "p_other": 1e-14,
                "p_copy_number": 1e-4,
            },
            "CTC",
        ),
        (  # aneuploid, but with too little else to be called
            {
                "p_identity": 8e-3,
                "p_panel": 1e-9,
                "n_panel_genes": 1,
                "other_type": "Keratinocyte",
                "p_other": 1e-14,
                "p_copy_number": 1e-4,
            },
            "non-blood other",
        ),
        ({"p_panel": 1e-6, "n_panel_genes": 3, "p_partner": 1e-7}, "CTC aggregate"),
        ({"p_panel": 1e-6, "n_panel_genes": 3, "p_partner": 1e-4}, "CTC"),
        ({"p_partner": 1e-9}, "uncertain"),  # no tumour cell
        ({"significant": False, "p_panel": 1e-9, "n_panel_genes": 5}, "blood"),
    ],
)
def test_copy_number_and_other_programmes_decide_without_a_panel(
    line: dict[str, object], expected: str
) -> None:
    assert named(**line)[0] == expected


def test_the_reason_names_the_type_that_outweighs_the_panel() -> None:
    _, reason = named(other_type="Endothelial", p_other=1e-6)
    assert "Endothelial" in reason
    assert "{" not in reason


p = st.floats(0, 1)


@given(p, p, st.integers(0, 9), st.one_of(p, st.just(NAN)), p)
def test_a_copy_number_that_was_not_judged_changes_no_class(
    p_identity: float, p_panel: float, genes: int, p_copy_number: float, p_other: float
) -> None:
    """And one that was can only turn a cell into a CTC."""
    line = {
        "p_identity": p_identity,
        "p_panel": p_panel,
        "n_panel_genes": genes,
        "other_type": "Keratinocyte",
        "p_other": p_other,
    }
    without, with_it = named(**line)[0], named(**line, p_copy_number=p_copy_number)[0]
    assert without in CLASSES
    assert with_it in {without, "CTC"}
    if np.isnan(p_copy_number) or p_copy_number > 1e-3:
        assert with_it == without
