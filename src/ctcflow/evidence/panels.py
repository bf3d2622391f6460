"""Tumour panels: genes that tumours express and leukocytes hardly ever do."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ctcflow import keys, numbers
from ctcflow.evidence.line import Cell, Column, Found, Line, spread
from ctcflow.evidence.look import Looked, Panels
from ctcflow.keys import Slot

_FEW_GENES: Final = 3


def measured(of: Looked) -> Found:
    """P of each cell, the panel that gives this p, and the panel genes that are seen."""
    none = "" if of.panels.columns.size else "no panel gene is in the data"
    return Found(_columns(of, of.panels), _columns(of, of.together.panels), not_run=none)


def _columns(of: Looked, panels: Panels) -> dict[Slot, Any]:
    genes, names = of.sample.genes, np.array(list(of.panel_genes), dtype=object)
    count = panels.seen.sum(axis=1)
    listed = np.full(panels.p.size, "", dtype=object)
    listed[:] = [",".join(genes[panels.columns][row]) for row in panels.seen]
    spoke = np.where(panels.seen.any(axis=1), names[panels.panel], "")
    values: tuple[npt.NDArray[Any], ...] = (panels.p, spoke, count, listed)
    rows = np.arange(panels.p.size)
    return {
        column.slot: spread(value, column, rows=rows, n=rows.size)
        for column, value in zip(LINE.columns, values, strict=True)
    }


def _genes(cell: Cell) -> str:
    return numbers.text(cell.get(keys.PANEL_GENES.key)).replace(",", ", ")


def _says(cell: Cell) -> str:
    return f"p {numbers.probability(cell.get(keys.P_PANEL.key))}; {_genes(cell) or 'none seen'}"


def _against(cell: Cell) -> str:
    count = int(numbers.number_or_none(cell.get(keys.N_PANEL_GENES.key)) or 0)
    if count == 0:
        return "No panel gene was seen: any cell that is not blood looks like this."
    if count == 1:
        return f"One panel gene carries it ({_genes(cell)}): a stray molecule would explain it."
    if count <= _FEW_GENES:
        return f"Few panel genes carry it ({_genes(cell)}): are they in the sample's ambient RNA?"
    return ""


LINE: Final = Line(
    name="tumour panel",
    label="Panel",
    columns=(
        Column(keys.P_PANEL, "p", listed=True, together="group", missing=1.0),
        Column(keys.TUMOUR_PANEL, "category", listed=True, together="group", missing=""),
        Column(keys.N_PANEL_GENES, "count", listed=True, together="group", missing=0),
        Column(keys.PANEL_GENES, "text", listed=True, together="group", missing=""),
    ),
    says=_says,
    against=_against,
)
