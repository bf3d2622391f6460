"""One card per called or uncertain cell: its evidence, and what speaks against it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from ctcflow import keys, numbers
from ctcflow.evidence.lines import LINES
from ctcflow.render.marks import BLUE, VERMILLION
from ctcflow.render.page import html
from ctcflow.render.page.html import Markup
from ctcflow.render.page.sections import class_mark

MOST_CARDS: Final = 100
"""Cells that get a card; all are in the table (cells)."""
_MINI: Final = 96  # pixels of the small map, and bins of its cells
_TALLEST: Final = 1.0  # log2 ratio at which a bar ends

Floats = npt.NDArray[np.float64]


def cards(
    cells: pd.DataFrame,
    *,
    n_called: int,
    places: Floats | None,
    whole_map: Floats | None,
    arms: pd.DataFrame | None,
    params: Mapping[str, Any],
) -> Markup:
    """Write the cards, and the fields for a reviewer's verdicts.

    Parameters
    ----------
    cells
        Called, uncertain and reviewed cells to show: `sample`, `barcode`, `class`, `p`, `q`,
        `lineage`, `partner`, `p_panel`, `p_identity`, `p_copy_number`, `n_alike`, `malignancy`,
        `n_panel_genes`, `panel_genes`, `other_type`, `reason`, `phenotype`, `verdict`, `reviewer`.
    n_called
        Called, uncertain and reviewed cells in all.
    places
        (n, 2) of these cells on the map; rows may be NaN.
    whole_map
        (m, 2) of all cells.
    arms
        (n, a) log2 ratio per chromosome arm; NaN where copy number was not judged.
    params
        Parameters of `call`.
    """
    if cells.empty:
        return Markup("")
    background, corners = _small_map(whole_map)
    written = []
    for row, cell in enumerate(cells.to_dict("records")):
        figures = [
            _bars(arms.iloc[row]) if arms is not None else None,
            _place(None if places is None else places[row], corners),
        ]
        written.append(_card(cell, figures, params))
    more = f" The first {len(cells)} of {n_called:,} are shown." if len(cells) < n_called else ""
    return html.join(
        [
            html.tag("style", background) if background else None,
            html.tag("h3", "One card per call"),
            html.paragraph(
                f"What speaks for each cell, and what would make it no CTC.{more} Confirm or veto "
                "a cell and say why; the file that is saved goes into the run as `verdicts` (its "
                "lines below those that are there), and the next run counts by it."
            ),
            _reviewer(),
            html.tag("div", *written, attributes={"class": "cards"}),
        ]
    )


def against(cell: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Say what would make a cell no CTC, from its own numbers."""
    said = []
    p, limit = (numbers.number_or_none(v) for v in (cell.get("p"), params.get("max_p")))
    if cell.get("class") in ("CTC", "CTC aggregate") and p is not None and limit is not None:
        times = limit / max(p, 1e-300)
        how = "more than a million" if times > 1e6 else f"{numbers.short(times)}"
        said.append(f"A p above {limit:g}, which is {how} times as large as the cell's.")
    together = int(numbers.number_or_none(cell.get("n_alike")) or 1)
    if together > 1:
        said.append(
            f"It was judged together with {together - 1} cells that it cannot be told from: its own"
            " counts show less, and if these cells were of several kinds, they would mislead."
        )
    return said + [words for line in LINES if (words := line.against(cell))]


def _card(
    cell: Mapping[str, Any], figures: Sequence[Markup | None], params: Mapping[str, Any]
) -> Markup:
    name, sample = numbers.text(cell["barcode"]), numbers.text(cell["sample"])
    facts = (
        ("p, q", f"{numbers.probability(cell['p'])}, {numbers.probability(cell['q'])}"),
        *((line.label, line.says(cell)) for line in LINES),
        ("Malignancy", numbers.text(cell.get("malignancy"))),
        ("Phenotype", numbers.text(cell["phenotype"])),
        ("Review", _given(cell)),
    )
    pairs = [
        part
        for label, value in facts
        if value
        for part in (html.tag("dt", label), html.tag("dd", value))
    ]
    return html.tag(
        "article",
        html.tag("h4", html.tag("code", name), f" {sample} ", class_mark(cell["class"])),
        html.paragraph(numbers.text(cell["reason"])),
        html.tag("dl", *pairs),
        html.tag("div", *figures, attributes={"class": "pictures"}),
        html.paragraph("What would make it no CTC:"),
        html.bullets(against(cell, params)),
        _verdict(f"{name} of {sample}"),
        attributes={"class": "card", "data-sample": sample, "data-barcode": name},
    )


def _given(cell: Mapping[str, Any]) -> str:
    """What reviewers said before this run; their reason is part of the cell's."""
    said = numbers.text(cell["verdict"])
    return f"{said} by {numbers.text(cell['reviewer'])}" if said else ""


def _verdict(who: str) -> Markup:
    options = [
        html.tag("option", shown, attributes={"value": value})
        for value, shown in (("", "no verdict"), ("confirm", "confirm"), ("veto", "veto"))
    ]
    verdict = {"class": "verdict", "aria-label": f"Verdict on {who}"}
    reason = {"class": "reason", "type": "text", "aria-label": f"Reason for the verdict on {who}"}
    return html.tag(
        "div",
        html.tag("select", *options, attributes=verdict),
        html.tag("input", attributes=reason | {"placeholder": "why"}),
        attributes={"class": "review fields"},
    )


def _reviewer() -> Markup:
    name = html.tag("input", attributes={"id": "reviewer", "type": "text"})
    save = html.tag("button", "Save verdicts.tsv", attributes={"id": "save", "type": "button"})
    said = html.tag("span", "", attributes={"id": "save-status", "role": "status"})
    return html.tag(
        "div",
        html.tag("label", "Reviewer ", name),
        save,
        said,
        attributes={"class": "fields review"},
    )


def _bars(arms: pd.Series) -> Markup | None:
    """Draw the copy number of one cell, an arm a bar: gains up, losses down."""
    values = arms.to_numpy(np.float64)
    if not np.isfinite(values).any():
        return None
    drawn = []
    for place, (arm, value) in enumerate(zip(arms.index, values, strict=True)):
        if not np.isfinite(value):
            continue
        height = min(abs(value) / _TALLEST, 1.0) * 30
        top = 32 - height if value > 0 else 32
        bar = {
            "x": str(place * 5),
            "y": f"{top:.1f}",
            "width": "4",
            "height": f"{height:.1f}",
            "fill": VERMILLION if value > 0 else BLUE,
        }
        title = html.tag("title", f"{arm}: {value:+.2f}")
        drawn.append(html.tag("rect", title, attributes=bar))
    line = {"x1": "0", "x2": str(5 * len(values)), "y1": "32", "y2": "32", "stroke": "#6b7075"}
    attributes = {
        "viewBox": f"0 0 {5 * len(values)} 64",
        "class": "arms",
        "preserveAspectRatio": "none",
        "role": "img",
        "aria-label": "Copy number by chromosome arm, 1p to 22q: gains up, losses down",
    }
    return html.tag("svg", *drawn, html.tag("line", attributes=line), attributes=attributes)


def _small_map(whole_map: Floats | None) -> tuple[Markup | None, Floats | None]:
    """Grey picture of all cells as a style, and the corners of the map."""
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
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    style = f".mini {{ background-image: url(data:image/png;base64,{data}); }}"
    return Markup(style), np.array([low, high])


def _place(place: Floats | None, corners: Floats | None) -> Markup | None:
    if place is None or corners is None or not np.isfinite(place).all():
        return None
    right, up = (place - corners[0]) / (corners[1] - corners[0])
    dot = {
        "class": "dot",
        "style": f"left: {100 * right:.1f}%; bottom: {100 * up:.1f}%",
    }
    attributes = {"class": "mini", "role": "img", "aria-label": "Its place on the map"}
    return html.tag("div", html.tag("span", "", attributes=dot), attributes=attributes)


def rows_of(cells: pd.DataFrame, table: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Places in `cells` of the rows of a table, by sample and barcode; -1 for none."""
    names = [keys.SAMPLE.key, keys.BARCODE.key]
    if not set(names) <= set(cells.columns):
        return np.full(len(table), -1, dtype=np.intp)
    # a cohort may have a million cells and this table a hundred: only those with its barcodes
    like = np.flatnonzero(cells[names[1]].isin(table[names[1]]))
    whole, part = (
        pd.MultiIndex.from_frame(t[names].astype(str)) for t in (cells.iloc[like], table)
    )
    once = ~whole.duplicated()
    found = whole[once].get_indexer(part)
    places = np.append(like[once], -1)  # the last one is that of none
    return np.asarray(places[found])
