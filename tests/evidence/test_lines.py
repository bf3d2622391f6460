"""Lines of evidence as data: a line writes the columns it declares, and tables show them."""

from __future__ import annotations

import numpy as np
import pytest

from ctcflow.contracts import STEPS
from ctcflow.evidence import lines, look, tissue
from ctcflow.evidence.line import Column, spread
from ctcflow.keys import Slot
from ctcflow.render.tables.columns import CELL_COLUMNS


def test_each_line_is_measured_by_its_own_module():
    modules = [function.__module__ for function in lines._MEASURED]
    declared = [
        next(m.__name__ for m in _modules() if getattr(m, "LINE", None) is line)
        for line in lines.LINES
    ]
    assert modules == declared


def _modules():
    return [module for module in vars(lines).values() if hasattr(module, "LINE")]


def test_no_slot_belongs_to_two_lines():
    slots = lines.slots()
    assert len(slots) == len(set(slots))


def test_what_a_line_lists_is_in_the_tables_and_in_the_contracts():
    listed = [slot.key for slot in lines.listed_slots()]
    assert set(listed) <= set(CELL_COLUMNS)
    assert set(lines.slots()) <= set(STEPS["score"].slots)
    assert set(lines.listed_slots()) <= set(STEPS["call"].slots)


@pytest.mark.parametrize("line", lines.LINES, ids=lambda line: line.name)
def test_a_cell_of_which_nothing_is_known_has_words_all_the_same(line):
    assert isinstance(line.says({}), str)
    assert isinstance(line.against({}), str)


@pytest.mark.parametrize(
    ("kind", "missing", "values", "expected"),
    [
        ("p", np.nan, [0.5], [np.nan, 0.5, np.nan]),
        ("p", 1.0, [0.5], [1.0, 0.5, 1.0]),
        ("count", 0, [7], [0, 7, 0]),
        ("category", "", ["a"], ["", "a", ""]),
        ("text", "", ["a,b"], ["", "a,b", ""]),
    ],
)
def test_cells_that_are_not_judged_have_what_stands_for_missing(kind, missing, values, expected):
    column = Column(Slot("obs", "x"), kind, missing=missing)
    found = spread(np.array(values), column, rows=np.array([1]), n=3)
    np.testing.assert_array_equal(
        np.asarray(found),
        np.array(expected, dtype=object if kind in ("category", "text") else None),
    )
    assert np.asarray(found).dtype.kind == {"p": "f", "count": "i"}.get(kind, "O")


def test_only_a_normal_type_that_is_known_speaks_against_a_cell():
    known = {"other_type": "Fibroblast", "p_stroma": 0.2}
    for say in (tissue.LINE.says, tissue.LINE.against):
        assert "most like Fibroblast" in say(known)
        assert say(known | {"other_type": ""}) == ""


def test_a_cell_is_suspect_at_the_limit_of_p_and_not_just_above_it(monkeypatch):
    p = np.array([0.0, look.SHOWN_P, np.nextafter(look.SHOWN_P, 1), 1.0])
    monkeypatch.setattr(look.panel, "surprise", lambda *_, **__: (p, np.zeros(4, dtype=np.intp)))
    suspect = look._suspect(None, umis=np.ones(4), prior=np.ones(1))
    assert suspect.tolist() == [True, True, False, False]


def test_how_the_ambient_profile_is_scaled_does_not_matter():
    soup = np.array([3.0, 1.0, 0.0])
    for scale in (1e-6, 0.5, 100.0):
        found = look._ambient(None, soup * scale, 0.2)
        np.testing.assert_allclose(found, [0.15, 0.05, 0.0])


def test_a_table_cannot_be_listed():
    assert Column(Slot("obs", "toy"), "number", listed=True).listed
    with pytest.raises(ValueError, match="obsm/toy is listed"):
        Column(Slot("obsm", "toy"), "table", listed=True)
