"""Lines of the ledger against a plain loop over the cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctcflow.stats.quality.ledger import joined, ledger

Masks = dict[str, np.ndarray]
REASONS, REMARKS = ("few counts", "damaged", "foreign"), ("many counts", "likely doublets")


@st.composite
def flagged(draw: st.DrawFn) -> tuple[Masks, np.ndarray, Masks]:
    n = draw(st.integers(0, 12))
    cells = hnp.arrays(np.bool_, n)
    return (
        {name: draw(cells) for name in REASONS},
        draw(cells),
        {name: draw(cells) for name in REMARKS},
    )


def numbers(lines: list[dict[str, object]]) -> dict[str, int]:
    found = {str(line["reason"]): line["cells"] for line in lines}
    assert len(found) == len(lines)
    assert {line["stage"] for line in lines} == {"qc"}
    assert all(type(cells) is int for cells in found.values())  # JSON knows no numpy integers
    return found  # type: ignore[return-value]


@settings(max_examples=80, deadline=None)
@given(flagged())
def test_every_cell_is_counted_once(case: tuple[Masks, np.ndarray, Masks]) -> None:
    reasons, rescued, remarks = case
    expected = dict.fromkeys(
        [
            "cells in",
            *(f"set aside: {name}" for name in REASONS),
            "rescued: tumour evidence",
            "kept",
            *(f"of these, {name}" for name in REMARKS),
        ],
        0,
    )
    for cell in range(rescued.size):
        expected["cells in"] += 1
        first = next((name for name in REASONS if reasons[name][cell]), None)
        if first is not None and not rescued[cell]:
            expected[f"set aside: {first}"] += 1
            continue
        expected["kept"] += 1
        expected["rescued: tumour evidence"] += first is not None
        for name in REMARKS:
            expected[f"of these, {name}"] += bool(remarks[name][cell])
    found = numbers(ledger(reasons, rescued=rescued, remarks=remarks))
    assert found == expected
    assert list(found) == list(expected)


@settings(max_examples=40, deadline=None)
@given(flagged(), st.randoms(use_true_random=False))
def test_what_came_in_is_what_was_kept_and_set_aside(
    case: tuple[Masks, np.ndarray, Masks], random: object
) -> None:
    reasons, rescued, remarks = case
    lines = ledger(reasons, rescued=rescued, remarks=remarks)
    found = numbers(lines)
    aside = sum(cells for line, cells in found.items() if line.startswith("set aside: "))
    assert found["cells in"] == found["kept"] + aside
    order = list(range(rescued.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert lines == ledger(
        {name: cells[order] for name, cells in reasons.items()},
        rescued=rescued[order],
        remarks={name: cells[order] for name, cells in remarks.items()},
    )
    # in another order of the reasons only their own lines may differ
    turned = numbers(ledger(dict(reversed(reasons.items())), rescued=rescued, remarks=remarks))
    assert {k: v for k, v in turned.items() if not k.startswith("set aside")} == {
        k: v for k, v in found.items() if not k.startswith("set aside")
    }


def test_the_masks_are_not_changed() -> None:
    reasons = {"a": np.array([True, True, False]), "b": np.array([True, False, True])}
    before = {name: cells.copy() for name, cells in reasons.items()}
    rescued = np.array([False, True, False])
    ledger(reasons, rescued=rescued, remarks={"c": np.ones(3, bool)})
    joined(reasons, n=3)
    assert rescued.tolist() == [False, True, False]
    for name, cells in reasons.items():
        np.testing.assert_array_equal(cells, before[name])


@settings(max_examples=40, deadline=None)
@given(flagged())
def test_words_are_joined_in_order(case: tuple[Masks, np.ndarray, Masks]) -> None:
    reasons, rescued, _ = case
    found = joined(reasons, n=rescued.size)
    assert found.dtype == object
    assert found.tolist() == [
        ";".join(name for name in REASONS if reasons[name][cell]) for cell in range(rescued.size)
    ]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_no_word_leaves_every_cell_without_text(n: int) -> None:
    assert joined({}, n=n).tolist() == [""] * n
