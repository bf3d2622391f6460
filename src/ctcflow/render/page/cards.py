"""One card per called or uncertain cell: its evidence, and what speaks against it."""

from __future__ import annotations

import io
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup
from PIL import Image

from ctcflow import keys, numbers
from ctcflow.evidence.line import Cell
from ctcflow.evidence.lines import LINES
from ctcflow.records.run import Params
from ctcflow.render.marks import BLUE, VERMILLION
from ctcflow.render.page.environment import fill
from ctcflow.render.page.sections import class_mark

MOST_CARDS: Final = 100
"""Largest number of cells that get a card; the table has all of them (cells)."""
_MINI: Final = 96  # width and height of the small UMAP in pixels, and number of its bins
_TALLEST: Final = 1.0  # log2 ratio of a bar of full height

Floats = npt.NDArray[np.float64]


class _Bar(NamedTuple):
    """One arm of the drawing of a cell's copy number."""

    x: int
    y: str
    height: str
    colour: str
    title: str


class _Arms(NamedTuple):
    """The drawing of a cell's copy number."""

    width: int
    bars: list[_Bar]


class _Dot(NamedTuple):
    """Position on the small UMAP, from its lower left corner (%)."""

    left: str
    bottom: str


class _Card(NamedTuple):
    """Values of a card."""

    barcode: str
    sample: str
    class_mark: Markup
    reason: str
    facts: list[tuple[str, str]]
    """Labels and values."""
    against: list[str]
    """Sentences."""
    arms: _Arms | None
    place: _Dot | None


def cards(
    cells: pd.DataFrame,
    *,
    n_called: int,
    places: Floats | None,
    whole_map: Floats | None,
    arms: pd.DataFrame | None,
    params: Params,
) -> Markup:
    """Write the cards, and the fields for a reviewer's verdicts.

    Parameters
    ----------
    cells
        Called, uncertain and reviewed cells to show: `sample`, `barcode`, `class`, `p`, `q`,
        `lineage`, `partner`, `p_panel`, `p_identity`, `p_copy_number`, `n_alike`, `malignancy`,
        `n_panel_genes`, `panel_genes`, `other_type`, `reason`, `phenotype`, `verdict`, `reviewer`.
    n_called
        Total number of called, uncertain and reviewed cells.
    places
        (n, 2) UMAP coordinates of these cells; rows may be NaN.
    whole_map
        (m, 2) UMAP coordinates of all cells.
    arms
        (n, a) log2 ratio per chromosome arm; NaN where copy number was not judged.
    params
        Parameters of `call`.
    """
    if cells.empty:
        return Markup("")
    small_map, corners = _small_map(whole_map)
    written = [
        _card(
            cell,
            params,
            arms=None if arms is None else _arms(arms.iloc[row]),
            place=_place(None if places is None else places[row], corners),
        )
        for row, cell in enumerate(cells.to_dict("records"))
    ]
    return fill("sections/cards", cards=written, n_called=n_called, small_map=small_map)


def against(cell: Cell, params: Params) -> list[str]:
    """Say what speaks against a cell being a CTC, from its own numbers."""
    objections = []
    values = cell.get(keys.P.key), params.get("max_p")
    p, limit = (numbers.number_or_none(value) for value in values)
    if cell.get(keys.CLASS.key) in ("CTC", "CTC aggregate") and p is not None and limit is not None:
        times = limit / max(p, 1e-300)
        how = "more than a million" if times > 1e6 else f"{numbers.short(times)}"
        objections.append(f"A p above {limit:g}, which is {how} times as large as the cell's.")
    together = int(numbers.number_or_none(cell.get(keys.N_ALIKE.key)) or 1)
    if together > 1:
        objections.append(
            f"It was judged together with {together - 1} cells that it cannot be told from: its own"
            " counts show less, and if these cells were of several kinds, they would mislead."
        )
    return objections + [words for line in LINES if (words := line.against(cell))]


def _card(cell: Cell, params: Params, *, arms: _Arms | None, place: _Dot | None) -> _Card:
    p, q = (numbers.probability(cell[slot.key]) for slot in (keys.P, keys.Q))
    facts = (
        ("p, q", f"{p}, {q}"),
        *((line.label, line.says(cell)) for line in LINES),
        ("Malignancy", numbers.text(cell.get(keys.MALIGNANCY.key))),
        ("Phenotype", numbers.text(cell[keys.PHENOTYPE.key])),
        ("Review", _review(cell)),
    )
    return _Card(
        numbers.text(cell[keys.BARCODE.key]),
        numbers.text(cell[keys.SAMPLE.key]),
        class_mark(cell[keys.CLASS.key]),
        numbers.text(cell[keys.REASON.key]),
        [(label, value) for label, value in facts if value],
        against(cell, params),
        arms,
        place,
    )


def _review(cell: Cell) -> str:
    """Verdicts that reviewers gave before this run; their reason is part of the cell's reason."""
    verdict = numbers.text(cell[keys.VERDICT.key])
    return f"{verdict} by {numbers.text(cell[keys.REVIEWER.key])}" if verdict else ""


def _arms(log2_ratio: pd.Series) -> _Arms | None:
    """Bars of one cell, one per chromosome arm; None if no arm was judged."""
    values = log2_ratio.to_numpy(np.float64)
    if not np.isfinite(values).any():
        return None
    bars = []
    for place, (arm, value) in enumerate(zip(log2_ratio.index, values, strict=True)):
        if not np.isfinite(value):
            continue
        height = min(abs(value) / _TALLEST, 1.0) * 30
        top = 32 - height if value > 0 else 32
        colour = VERMILLION if value > 0 else BLUE
        title = f"{arm}: {value:+.2f}"
        bars.append(_Bar(place * 5, f"{top:.1f}", f"{height:.1f}", colour, title))
    return _Arms(5 * len(values), bars)


def _small_map(whole_map: Floats | None) -> tuple[bytes | None, Floats | None]:
    """Grey picture of all cells on the UMAP as PNG, and the corners of the UMAP."""
    if whole_map is None:
        return None, None
    known = whole_map[np.isfinite(whole_map).all(axis=1)]
    if not len(known):
        return None, None
    low, high = known.min(axis=0), known.max(axis=0)
    high = np.where(high > low, high, low + 1)
    counts, _, _ = np.histogram2d(
        known[:, 0], known[:, 1], bins=_MINI, range=list(zip(low, high, strict=True))
    )
    grey = (255 - 90 * (counts.T[::-1] > 0)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="PNG")
    return buffer.getvalue(), np.array([low, high])


def _place(place: Floats | None, corners: Floats | None) -> _Dot | None:
    if place is None or corners is None or not np.isfinite(place).all():
        return None
    right, up = (place - corners[0]) / (corners[1] - corners[0])
    return _Dot(f"{100 * right:.1f}", f"{100 * up:.1f}")


def rows_of(cells: pd.DataFrame, table: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Indices in `cells` of the rows of a table, by sample and barcode; -1 for none."""
    names = [keys.SAMPLE.key, keys.BARCODE.key]
    if not set(names) <= set(cells.columns):
        return np.full(len(table), -1, dtype=np.intp)
    # a cohort may have a million cells and this table a hundred: first select by barcode
    like = np.flatnonzero(cells[names[1]].isin(table[names[1]]))
    whole, part = (
        pd.MultiIndex.from_frame(t[names].astype(str)) for t in (cells.iloc[like], table)
    )
    once = ~whole.duplicated()
    matches = whole[once].get_indexer(part)
    places = np.append(like[once], -1)  # the last entry is for rows without a match
    return np.asarray(places[matches])
