"""The evidence behind the answer, in the order a sceptic asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from ctcflow import numbers
from ctcflow.render.page import html
from ctcflow.render.page.html import Column, Kind, Markup
from ctcflow.render.tables.records import records_table

MOST_CALLS: Final = 2000
MOST_SET_ASIDE: Final = 500
_DECOYS: Final = ("sample", "decoys", "cells", "level", "share", "low", "high")
_HEADINGS: Final = {
    "n_clusters": "clusters",
    "n_null": "null cells",
}
_REVIEW: Final = ("class_before_review", "verdict", "reviewer")
_CLASS_STYLE: Final = {"CTC": "ctc", "CTC aggregate": "aggregate", "uncertain": "uncertain"}


def calls(ctc: pd.DataFrame, figure: bytes, cards: Markup) -> Markup:
    """Write the calls, one line each, the two lines of evidence of every cell, and the cards."""
    shown = ctc.head(MOST_CALLS)
    reviewed = [name for name in _REVIEW if (ctc[name] != "").any()]
    scores = list(ctc.columns[list(ctc.columns).index("phenotype") + 1 :])
    columns = [
        Column("Barcode", "code"),
        Column("Sample"),
        Column("Class"),
        Column("p", "p"),
        Column("q", "p"),
        Column("p of panel", "p"),
        Column("p of identity", "p"),
        Column("Panel genes", "count"),
        Column("Seen"),
        Column("Phenotype"),
        Column("Nearest lineage"),
        Column("Partner"),
        Column("Why"),
        *(Column(name.replace("_", " ").capitalize()) for name in reviewed),
        *(Column(name.replace("_", " "), "number") for name in scores),
    ]
    names = [
        "barcode",
        "sample",
        "class",
        "p",
        "q",
        "p_panel",
        "p_identity",
        "n_panel_genes",
        "panel_genes",
        "phenotype",
        "lineage",
        "partner",
        "reason",
        *reviewed,
        *scores,
    ]
    rows = [_call_row(row) for row in shown[names].itertuples(index=False, name=None)]
    return html.section(
        "calls",
        "The calls",
        html.paragraph(
            "Each line is one cell. p is the chance that a blood cell of that lineage and depth "
            "shows so much evidence; q is the share of false calls expected in its sample up to "
            "this line. Uncertain cells are listed, never counted; so are cells that a reviewer "
            "vetoed."
        ),
        html.table(
            f"Called, uncertain and reviewed cells ({len(ctc):,}).{_first(len(ctc), MOST_CALLS)}",
            columns,
            rows,
            search=True,
            empty="No cell was called, and none is uncertain.",
        ),
        html.image(
            figure,
            alt="Counts per draw with intervals, and cells by their two lines of evidence",
            caption=(
                "Left: cells called per draw; the bar is the exact interval, blue marks are draws "
                "without a call. Right: every cell by both lines of evidence. Blood cells gather "
                "at the lower left; a call that stands alone towards the upper right is "
                "convincing, one at the edge of the grey cloud is not."
            ),
        ),
        cards,
    )


def calibration(found: Mapping[str, Any], figure: bytes) -> Markup:
    """Write how often null cells reach each p."""
    observed = [list(row)[:4] for row in found.get("observed") or []]
    null = numbers.number_or_none(found.get("n_null"))
    used = "all cells of healthy and blank samples, leukocytes of the others"
    basis = f" {null:,.0f} null cells were used: {used}." if null is not None else ""
    tail = records_table(found.get("tail"), ("sample", "n_null", "factor"))
    columns = (
        Column("p promised", "p"),
        Column("observed", "p"),
        Column("low", "p"),
        Column("high", "p"),
    )
    rows = [[*row, *[None] * (4 - len(row))] for row in observed]
    return html.section(
        "calibration",
        "Do the p-values keep their promise?",
        html.image(
            figure,
            alt="Observed against promised p among null cells",
            caption=(
                "Each point is a p that was promised; its height is the share of null cells that "
                "reached it. Points on the grey line keep the promise, points above it mean more "
                f"false calls than promised.{basis}"
            ),
        ),
        html.tag(
            "details",
            html.tag("summary", "The numbers of this figure"),
            html.table(
                "Observed fractions with intervals.", columns, rows, empty="There are no numbers."
            ),
            framed("Null cells of each sample, and the factor that their tail asked for.", tail),
        ),
        _decoys(found.get("decoys")),
    )


def _decoys(found: Any) -> Markup | None:
    """Write how often blood cells reach a p of panels that have nothing to do with tumours."""
    table = records_table(found, _DECOYS)
    if table.empty:
        return None
    shares = []
    for level, mine in table.groupby("level", sort=False):
        share = (mine["share"] * mine["cells"]).sum() / mine["cells"].sum()
        claimed = f"{100 * level:g} %"
        shares.append(f"{100 * share:.2g} % at p up to {claimed} (claimed: {claimed})")
    return html.join(
        [
            html.paragraph(
                "Decoy panels, sets of random genes as frequent in blood as those of the tumour "
                f"panel: of all blood cells, {', '.join(shares)}."
            ),
            html.tag(
                "details",
                html.tag("summary", "The decoy panels of each sample"),
                framed("Mean share of blood cells over the decoys, lowest and highest.", table),
            ),
        ]
    )


def set_aside(found: pd.DataFrame) -> Markup:
    """Write the cells that were set aside although they show tumour evidence."""
    first = ["barcode", "sample", "reason", "evidence"]
    table = found[[*first, *(name for name in found.columns if name not in first)]]
    return html.section(
        "set-aside",
        "Set aside, with tumour evidence",
        html.paragraph(
            "Droplets that quality control set aside although they show tumour genes. They are not "
            "counted. A dying or damaged CTC looks like this; so does ambient RNA. Where the "
            "unfiltered droplets were given, those outside the given cells are listed too."
        ),
        framed(
            f"Droplets set aside with tumour evidence ({len(found):,})."
            f"{_first(len(found), MOST_SET_ASIDE)}",
            table.head(MOST_SET_ASIDE),
            search=True,
            empty="No droplet with tumour evidence was set aside.",
        ),
    )


def _call_row(row: tuple[Any, ...]) -> list[Any]:
    genes = numbers.text(row[8]).replace(",", ", ")
    return [*row[:2], class_mark(row[2]), *row[3:8], genes, *row[9:]]


def class_mark(name: Any) -> Markup:
    """Write a class with the mark that the figures give it."""
    kind = numbers.text(name)
    return html.tag("span", kind, attributes={"class": f"class {_CLASS_STYLE.get(kind, '')}"})


def _first(found: int, most: int) -> str:
    return f" The first {most:,}; all are in the table beside the page." if found > most else ""


def framed(
    caption: str, table: pd.DataFrame, *, search: bool = False, empty: str = "none"
) -> Markup:
    """Write a table with the headings and digits that its columns ask for."""
    columns = [Column(_heading(str(name)), _kind(str(name), table[name])) for name in table.columns]
    rows = [list(row) for row in table.itertuples(index=False, name=None)]
    return html.table(caption, columns, rows, search=search, empty=empty)


def _heading(name: str) -> str:
    words = _HEADINGS.get(name, name.replace("_", " "))
    return words[:1].upper() + words[1:]


def _kind(name: str, values: pd.Series) -> Kind:
    if name == "barcode":
        return "code"
    if pd.api.types.is_integer_dtype(values):
        return "count"
    return "number" if pd.api.types.is_float_dtype(values) else "text"
