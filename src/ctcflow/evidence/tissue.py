"""Normal tissue: the normal cell type outside blood that fits best, and whether it may be one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ctcflow import keys, numbers
from ctcflow.evidence.line import Cell, Column, Found, Line, spread
from ctcflow.evidence.look import Looked
from ctcflow.keys import Slot
from ctcflow.stats.identity.normal_tissue import Tissue
from ctcflow.stats.identity.profiles import NORMAL_GROUPS


def measured(of: Looked) -> Found:
    """Compare the candidates with normal cell types outside blood."""
    candidates = np.flatnonzero(of.roles.candidates)
    groups = np.arange(of.together.rows.size)
    return Found(
        _columns(of.tissue, rows=candidates, n=of.n),
        _columns(of.together.tissue, rows=groups, n=groups.size),
    )


def _columns(tissue: Tissue, *, rows: npt.NDArray[np.intp], n: int) -> dict[Slot, Any]:
    group = np.full(rows.size, "", dtype=object)
    if rows.size:
        group = np.array(NORMAL_GROUPS, dtype=object)[tissue.margin.argmax(axis=1)]
    values: tuple[npt.NDArray[Any], ...] = (
        tissue.p_stroma,
        tissue.nearest,
        group,
        tissue.p_stroma_panel,
        tissue.margin.max(axis=1, initial=0.0) * tissue.depth,
        tissue.over_blood,
    )
    return {
        column.slot: spread(value, column, rows=rows, n=n)
        for column, value in zip(LINE.columns, values, strict=True)
    }


def _says(cell: Cell) -> str:
    other = numbers.text(cell.get(keys.OTHER_TYPE.key))
    p = numbers.probability(cell.get(keys.P_STROMA.key))
    return f"looks most like {other}; p of stroma {p}" if other else ""


def _against(cell: Cell) -> str:
    other = numbers.text(cell.get(keys.OTHER_TYPE.key))
    if not other:
        return ""
    return f"Of normal cells it looks most like {other}: one of these would be no tumour cell."


LINE: Final = Line(
    name="normal tissue",
    label="Tissue",
    columns=(
        Column(keys.P_STROMA, "p", listed=True, together="group"),
        Column(keys.OTHER_TYPE, "category", listed=True, together="group", missing=""),
        Column(keys.OTHER_GROUP, "category", together="group", missing=""),
        Column(keys.P_STROMA_PANEL, "p", together="group"),
        Column(keys.OVER_OTHER_TISSUE, "number", together="group"),
        Column(keys.OVER_BLOOD, "number", together="group"),
    ),
    says=_says,
    against=_against,
)
